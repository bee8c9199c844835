"""Speed of the live monitor: latency, how many streams at once, and memory over a day.

    python -m benchmarks.live [latency] [leads] [day] [--hours 24] [--json FILE]

The simulated demo record, repeated, comes in chunks of 0.1 s as fast as they are processed. ``latency`` is the time
from a chunk to the labels that follow from it, on one core, after an hour that fills the monitor's buffers. ``leads``
runs streams of one lead at once, a process per core, and measures how many times faster than real time they are.
``day`` measures the memory of the process.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command import ROOT, publish
from ecg_core.classifier.model import load_model
from ecg_core.live.engine import Monitor
from ecg_core.live.stream import Stream, StreamChunk
from ecg_core.parallel import use_threads
from ecg_core.records import read_record

CHUNK_S, FILLED_S, MEASURED_S = 0.1, 3600.0, 600.0
N_STREAMS, STREAM_S = (1, 32, 64, 96, 128, 192), 60.0
MEMORY_STEP_S = 600.0  # of the stream, from one measurement of the memory to the next
HORIZON_S = 2.0


def repeated(n_leads: int, *, chunk_s: float = CHUNK_S) -> tuple[Stream, Callable[[float], Iterator[StreamChunk]]]:
    """A stream that repeats the demo record without end, and a function that yields its chunks up to a time."""
    record = read_record(ROOT / "demo_data" / "demo")
    rows = [i % len(record.lead_names) for i in range(n_leads)]
    signal = record.source.read(0, record.n_samples, tuple(range(len(record.lead_names))))[rows]
    step = round(chunk_s * record.fs_hz)
    signal = signal[:, : signal.shape[1] // step * step]

    def chunks(seconds: float) -> Iterator[StreamChunk]:
        for first in range(0, int(seconds * record.fs_hz), step):
            at = first % signal.shape[1]
            yield StreamChunk(first, signal[:, at : at + step])

    return Stream("demo", record.fs_hz, tuple(f"lead {i}" for i in range(n_leads))), chunks


def latency(n_leads: int) -> dict[str, float]:
    """Milliseconds from a chunk to its labels: of chunks that bring a beat, and of all."""
    stream, chunks = repeated(n_leads)
    monitor = Monitor(stream, load_model(), horizon_s=HORIZON_S)
    took_ms, has_beats = [], []
    filled = int(FILLED_S / CHUNK_S)
    for number, chunk in enumerate(chunks(FILLED_S + MEASURED_S)):
        began = time.perf_counter()
        update = monitor.push(chunk)
        if number >= filled:
            took_ms.append(1000 * (time.perf_counter() - began))
            has_beats.append(len(update.beats) > 0)
    with_beats = np.array(took_ms)[np.array(has_beats)]
    return {
        "leads": n_leads,
        "median_ms": round(float(np.median(with_beats)), 2),
        "p99_ms": round(float(np.percentile(with_beats, 99)), 2),
        "p99_of_all_ms": round(float(np.percentile(took_ms, 99)), 2),
        "labels": len(with_beats),
    }


def _streams(n_streams: int) -> None:
    """Monitor some streams on one core, chunk by chunk in turns."""
    use_threads(1)
    stream, chunks = repeated(1)
    monitors = [Monitor(stream, load_model(), horizon_s=HORIZON_S) for _ in range(n_streams)]
    for chunk in chunks(STREAM_S):
        for monitor in monitors:
            monitor.push(chunk)


def throughput(n_streams: int) -> dict[str, float]:
    """How many times faster than real time so many streams are."""
    n_cores = min(n_streams, os.cpu_count() or 1)
    per_core = [n_streams // n_cores + (i < n_streams % n_cores) for i in range(n_cores)]
    with ProcessPoolExecutor(n_cores) as pool:
        list(pool.map(_streams, [0] * n_cores))  # starts the processes, which is not measured
        began = time.perf_counter()
        list(pool.map(_streams, per_core))
        seconds = time.perf_counter() - began
    return {"leads": n_streams, "cores": n_cores, "times_real_time": round(STREAM_S / seconds, 2)}


def memory_of_a_day(hours: float) -> dict[str, float]:
    """Peak memory of the process above that at the start, in MB."""
    stream, chunks = repeated(1)
    monitor = Monitor(stream, load_model(), horizon_s=HORIZON_S)
    start_mb, most_mb = _memory_mb(), 0.0
    every, n_beats = int(MEMORY_STEP_S / CHUNK_S), 0
    for number, chunk in enumerate(chunks(hours * 3600)):
        n_beats += len(monitor.push(chunk).beats)
        if number % every == 0:
            most_mb = max(most_mb, _memory_mb() - start_mb)
            print(f"{number * CHUNK_S / 3600:.1f} h, {most_mb:.0f} MB above the start", file=sys.stderr, flush=True)
    return {"hours": hours, "beats": n_beats, "most_above_start_mb": round(most_mb)}


def _memory_mb() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    """Measure the named parts; other parts in the file stay as they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["latency", "leads"], choices=["latency", "leads", "day"])
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    use_threads(1)
    known: dict[str, Any] = {}
    if options.json and options.json.is_file():
        known = json.loads(options.json.read_text(encoding="utf-8"))
    if "latency" in options.parts:
        known["latency"] = [latency(n_leads) for n_leads in (1, 12)]
    if "leads" in options.parts:
        known["leads"] = [throughput(n_streams) for n_streams in N_STREAMS]
    if "day" in options.parts:
        known["day"] = memory_of_a_day(options.hours)
    publish(known, options.json)


if __name__ == "__main__":
    main()
