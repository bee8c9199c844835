"""Time of all that follows the classification on 24 h of one real lead: events and burden, the PDF, all other files.

    ECG_DATABASES=... python -m benchmarks.report_24h [--database svdb/1.0.0] [--runs 5]

Medians are printed, and their ratio to the time of the whole analysis in the same run.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.command import options_of
from benchmarks.tiling import tile
from ecg_core.classifier.model import load_model
from ecg_core.measuring import measure
from ecg_core.pipeline import analyse
from ecg_core.records import read_record
from ecg_core.report.export import WRITERS


def seconds(step: Callable[[], object], runs: int) -> float:
    """Median time of a step."""
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def main() -> None:
    """Tile, analyse once, time each step."""
    options = options_of(__doc__, database="svdb/1.0.0", runs=5)
    with tempfile.TemporaryDirectory() as folder:
        record = read_record(tile(options.databases / options.database, Path(folder)))
        began = time.perf_counter()
        analysis = analyse(record, load_model())
        whole_s = time.perf_counter() - began
        record, beats, quality = analysis.record, analysis.predicted, analysis.quality
        _ = record.sha256  # hashing half a gigabyte is not the report's work
        steps: dict[str, Callable[[], object]] = {
            "events and burden": lambda: measure(
                record,
                beats,
                quality,
                analysis.waveform,
                analysis.rules,
                labels=analysis.label_codes,
                calibration=analysis.model.calibration_of(len(analysis.usual_leads)),
            )
        }
        steps |= {suffix: lambda writer=writer: writer(analysis) for suffix, writer in WRITERS.items()}  # type: ignore[misc]
        print(f"{len(beats):,} beats, {len(analysis.events):,} events, analysed in {whole_s:.1f} s")
        for name, step in steps.items():
            took_s = seconds(step, options.runs)
            print(f"{name:>20} {took_s:7.2f} s   {took_s / whole_s:.3f} of the analysis")


if __name__ == "__main__":
    main()
