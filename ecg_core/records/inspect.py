"""What a file is, what it holds, and what may be wrong with it, in plain words."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..clock import duration_text, start_text
from ..errors import EcgError
from ..overrides import NO_OVERRIDES, RecordOverrides
from ..schema import Float32, Record
from ..text import one_line, plural
from .formats import kind_of
from .patients import read_marks, read_patient
from .reading import read_record
from .units import ASSUMED_PER_MV

EXCERPTS, EXCERPT_S = 12, 10.0  # the signal is checked in so many excerpts across the record
NOTABLE = 0.05  # a larger fraction of a lead that is missing or clipped is reported
LOW_MV, HIGH_MV = 0.15, 15.0  # an ECG whose amplitude is outside of these has another unit than the file states
PERCENTILES = (1, 99)  # between which the amplitude is measured
PATIENT_FIELDS: Final = {
    "name": "name", "patient_id": "number", "birth_date": "born", "sex": "sex", "indication": "indication",
    "medication": "medication", "referring_physician": "referring physician", "reading_physician": "reading physician",
    "recorder": "recorder",
}  # fmt: skip
MAX_PATIENT_LETTERS = 300  # of a file's fields about the patient


def inspect_text(path: Path, overrides: RecordOverrides = NO_OVERRIDES) -> tuple[str, bool]:
    """What is known of a file, and whether it can be analysed.

    The text includes the file's fields about the patient, for whoever has the file; no file that is written has them.
    """
    kind = kind_of(path)
    try:
        record = read_record(path, overrides)
        found = [*_facts(record), *_patient(path, record), *doubts(record)]
    except EcgError as error:
        return f"{one_line(path.name)} ({kind})\n  Cannot be analysed: {error}", False
    return "\n".join([f"{record.record_id} ({kind})", *(f"  {line}" for line in found)]), True


def inspect_json(path: Path, overrides: RecordOverrides = NO_OVERRIDES) -> dict[str, Any]:
    """What is known of a file, for another program, without its fields about the patient.

    ``error`` has the fields of the error where the file cannot be analysed, else None.
    """
    found: dict[str, Any] = {"file": one_line(str(path)), "kind": kind_of(path), "error": None}
    try:
        record = read_record(path, overrides)
        found["doubts"] = _all_doubts(record)
    except EcgError as error:
        return {**found, "error": {**error.fields, "settings": list(error.settings)}}
    return {
        **found,
        "record": record.record_id,
        "duration_s": record.duration_s,
        "fs_hz": record.fs_hz,
        "samples_per_lead": record.n_samples,
        "leads": list(record.lead_names),
        "calibrated": list(record.calibrated),
        "left_out": [asdict(channel) for channel in record.left_out],
        "start": record.start.isoformat() if record.start else None,
        "reference_annotations": 0 if record.reference is None else len(record.reference.time_s),
    }


def _facts(record: Record) -> list[str]:
    n = 0 if record.reference is None else len(record.reference.time_s)
    return [
        f"{duration_text(record.duration_s)} at {record.fs_hz:g} Hz, {plural(record.n_samples, 'sample')} per lead",
        f"leads: {', '.join(record.lead_names)}",
        *(f"left out: {channel.name} ({channel.reason})" for channel in record.left_out),
        *([f"given by hand: {record.overrides.text}"] if record.overrides.text else []),
        f"start: {start_text(record)}",
        f"reference annotations: {f'{n:,}' if n else 'none'}",
    ]


def _patient(path: Path, record: Record) -> list[str]:
    """A line with the file's fields about the patient; no line where there are none."""
    stated = asdict(read_patient(path))
    known = [f"{name} {stated[field]}" for field, name in PATIENT_FIELDS.items() if stated[field]]
    fields = "; ".join(record.comments or known)  # comments, which WFDB has, are where its fields come from
    shown = "".join(letter if letter.isprintable() else " " for letter in fields)
    return [f"patient, as the file states (shown here only): {shown[:MAX_PATIENT_LETTERS]}"] if shown else []


def doubts(record: Record) -> list[str]:
    """What may be wrong with a record, each with what to do; one line that says so where nothing is."""
    return _all_doubts(record) or ["nothing wrong was found"]


def _all_doubts(record: Record) -> list[str]:
    found = list(record.doubts)
    uncalibrated = [name for name, stated in zip(record.lead_names, record.calibrated, strict=True) if not stated]
    if uncalibrated:
        found.append(
            f"no gain for {', '.join(uncalibrated)}: {ASSUMED_PER_MV:g} counts per mV assumed; amplitudes in mV are "
            "uncertain; if the counts per mV are known, open the file again with them"
        )
    _, n = read_marks(record)
    if n:
        found.append(f"{plural(n, 'event mark')} of the file {'lies' if n == 1 else 'lie'} outside the recording")
    for name, signal in zip(record.lead_names, _excerpts(record), strict=True):
        found += [f"lead {name}: {doubt}" for doubt in _lead_doubts(signal)]
    return found


def _excerpts(record: Record) -> Float32:
    """Excerpts across the record, one after the other, in mV, shape (n_leads, n)."""
    n = min(record.n_samples, round(EXCERPT_S * record.fs_hz))
    leads = tuple(range(len(record.lead_names)))
    starts = np.unique(np.linspace(0, record.n_samples - n, EXCERPTS).astype(int)).tolist()
    return np.concatenate([record.source.read(start, start + n, leads) for start in starts], axis=1)


def _lead_doubts(signal: Float32) -> list[str]:
    missing = float(np.mean(~np.isfinite(signal)))
    known = signal[np.isfinite(signal)]
    if not len(known) or np.ptp(known) == 0:
        return ["holds no signal (missing or flat); choose another lead"]
    doubts = []
    if missing > NOTABLE:
        doubts.append(f"{100 * missing:.0f} % is missing; these stretches are not analysed")
    flat = float(np.mean(np.diff(known) == 0)) if len(known) > 1 else 0.0
    clipped = float(np.mean((known == known.max()) | (known == known.min())))
    if clipped > NOTABLE and clipped > flat / 2:
        doubts.append(f"{100 * clipped:.0f} % is at the limits of the recorder (clipped)")
    low, high = np.percentile(known, PERCENTILES)
    if not LOW_MV <= high - low <= HIGH_MV:
        doubts.append(f"its amplitude is {high - low:.3g} mV, which no ECG has; check unit and gain")
    return doubts
