"""Analysis -> files: a table {suffix: writer}; adding a format is one function."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from errno import EISDIR
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import wfdb

from .errors import OutputError
from .labels import CLASSES, NAME, SYMBOL_OF_CLASS
from .rhythm import KIND_NAMES
from .schema import Analysis, HeartRate
from .signals import to_sample

ANNOTATOR = "ai"  # suffix of the WFDB annotation file


def beats_table(analysis: Analysis) -> pd.DataFrame:
    """One row a beat, in the record's own time base."""
    beats, record = analysis.beats, analysis.record
    columns = {
        "sample": to_sample(beats.time_s, record.fs_hz, record.n_samples),
        "time_s": beats.time_s.round(4),
        "label": beats.label,
        **{f"probability_{name}": beats.probability[:, i].round(4) for i, name in enumerate(CLASSES)},
        "rr_s": beats.rr_s.round(4),
        "usable": beats.usable.astype(int),
    }
    return pd.DataFrame(columns)


def events_table(analysis: Analysis) -> pd.DataFrame:
    """One row an event."""
    events = analysis.events
    return pd.DataFrame(
        {
            "kind": [event.kind for event in events],
            "name": [KIND_NAMES[event.kind] for event in events],
            "start_s": np.round([event.start_s for event in events], 3),
            "end_s": np.round([event.end_s for event in events], 3),
            "n_beats": [event.n_beats for event in events],
            "rate_bpm": np.round([event.rate_bpm for event in events], 1),
        }
    )


def burden_table(analysis: Analysis) -> pd.DataFrame:
    """One row a measure, each with its unit and what it is a share of."""
    burden = analysis.burden
    beats = f"{burden.n_beats} analysable beats"
    rows: list[tuple[str, float | None, str, str]] = [
        ("duration", round(burden.duration_s, 3), "s", ""),
        ("analysable_time", round(burden.analysable_s, 3), "s", ""),
        ("analysable_share", burden.analysable_pct, "%", "duration"),
        ("analysable_beats", burden.n_beats, "beats", ""),
        ("beats_in_unusable_signal", burden.n_unusable_beats, "beats", ""),
        *[(f"beats_{label}", int(n), "beats", NAME[label]) for label, n in zip(CLASSES, burden.count, strict=True)],
        ("pvc_burden", burden.pvc_burden_pct, "%", beats),
        ("sve_burden", burden.sve_burden_pct, "%", beats),
        ("heart_rate_mean", burden.rate_mean_bpm, "bpm", "all counted RR"),
        *_rate_rows("min", burden.rate_min, analysis.rules.rate_average_beats),
        *_rate_rows("max", burden.rate_max, analysis.rules.rate_average_beats),
    ]
    table = pd.DataFrame(rows, columns=["measure", "value", "unit", "denominator"])
    table["value"] = [_plain(value) for value in table["value"]]
    return table


def _rate_rows(which: str, rate: HeartRate | None, width: int) -> list[tuple[str, float | None, str, str]]:
    return [
        (f"heart_rate_{which}", rate.bpm if rate else None, "bpm", f"moving average of {width} RR"),
        (f"heart_rate_{which}_at", rate.time_s if rate else None, "s", "from the start of the record"),
    ]


def _plain(value: float | None) -> str:
    """A number as people write it; an empty cell where there is none."""
    if value is None or not np.isfinite(value):
        return ""
    return f"{value:.4f}".rstrip("0").rstrip(".")


def hourly_table(analysis: Analysis) -> pd.DataFrame:
    """One row an hour."""
    hourly = analysis.burden.hourly
    return pd.DataFrame(
        {
            "hour": np.arange(1, len(hourly.start_s) + 1),
            "start_s": hourly.start_s,
            "analysable_s": hourly.analysable_s.round(3),
            "beats": hourly.count.sum(axis=1),
            **{f"beats_{label}": hourly.count[:, i] for i, label in enumerate(CLASSES)},
            "rate_min_bpm": hourly.rate_min_bpm.round(1),
            "rate_mean_bpm": hourly.rate_mean_bpm.round(1),
            "rate_max_bpm": hourly.rate_max_bpm.round(1),
        }
    )


def annotation_bytes(analysis: Analysis) -> bytes:
    """Beats as a WFDB annotation file, which any WFDB tool reads."""
    beats, record = analysis.beats, analysis.record
    if not len(beats):
        return b"\x00\x00"  # the format's own end mark
    sample = to_sample(beats.time_s, record.fs_hz, record.n_samples)
    symbol = np.array([SYMBOL_OF_CLASS[label] for label in beats.label])
    with tempfile.TemporaryDirectory() as folder:
        wfdb.wrann("record", ANNOTATOR, sample, symbol=symbol, fs=record.fs_hz, write_dir=folder)
        return (Path(folder) / f"record.{ANNOTATOR}").read_bytes()


def _csv(table: Callable[[Analysis], pd.DataFrame]) -> Callable[[Analysis], bytes]:
    return lambda analysis: table(analysis).to_csv(index=False, lineterminator="\r\n").encode()  # as RFC 4180 asks


WRITERS: Final[dict[str, Callable[[Analysis], bytes]]] = {
    "_beats.csv": _csv(beats_table),
    "_events.csv": _csv(events_table),
    "_burden.csv": _csv(burden_table),
    "_hourly.csv": _csv(hourly_table),
    f".{ANNOTATOR}": annotation_bytes,
}


def file_name(analysis: Analysis, suffix: str) -> str:
    """Name of an exported file."""
    return f"{analysis.record.record_id}{suffix}"


def write_files(analysis: Analysis, folder: Path) -> list[Path]:
    """Write every format into a folder: all files, or none.

    Raises
    ------
    OutputError
        The folder cannot be made or written to.

    """
    contents = {folder / file_name(analysis, suffix): writer(analysis) for suffix, writer in WRITERS.items()}
    halves = {path: path.with_name(f".{path.name}.part") for path in contents}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in contents:
            if path.is_dir():  # found out now, before any other file is in its place
                raise IsADirectoryError(EISDIR, f"{path.name} is a folder")
        for path, content in contents.items():
            halves[path].write_bytes(content)
        for path, half in halves.items():
            half.replace(path)
    except OSError as error:
        raise OutputError(
            f"{folder}: the results cannot be written there ({error.strerror}); nothing was left behind. "
            "Name another folder with --out."
        ) from error
    finally:
        for half in halves.values():
            if half.is_file():
                half.unlink()
    return list(contents)
