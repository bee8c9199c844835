"""Recordings, evaluations and a source for adaptation, made in a moment."""

import numpy as np
import wfdb

from ecg_core.adaptation.material import Origin, Recording
from ecg_core.evaluation.ec57 import Score
from ecg_core.evaluation.evaluate import Evaluation, RecordEvaluation
from ecg_core.evaluation.patients import EctopyCount
from ecg_core.evaluation.reliability import JUDGED, N_BINS, Trust
from ecg_core.labels import CLASSES
from ecg_core.records import read_record

from .records import DEMO, write_record
from .training import SMALL_SPEC

N, S, V = (CLASSES.index(label) for label in "NSV")


def recording(patient, n_s=20, n_v=20, *, origin=Origin.REFERENCE, **values):
    """A recording of half an hour with so many ectopic beats."""
    counts = (1800, n_s, n_v, 0, 0) if origin else (0,) * 5
    return Recording(
        path=f"/data/{patient}", name=f"r{patient}", patient=patient, duration_s=1800.0, fs_hz=128.0,
        lead_names=("ECG1", "ECG2"), origin=origin, n_labels=counts, **values,
    )  # fmt: skip


def evaluation(right, *, n=100, n_s=None, n_patients=6, false_s=0):
    """An evaluation of patients with n V and n S each, of which this share of each is found and the rest is N.

    Parameters
    ----------
    right
        By class, 0..1.
    n_s, false_s
        S of each patient, where these are not n, and N that are called S.

    """
    matrix = np.zeros((6, 6), dtype=np.int64)
    matrix[N, N], matrix[N, S] = 2000 - false_s, false_s
    n_s = n if n_s is None else n_s
    for label, code, n_beats in (("S", S, n_s), ("V", V, n)):
        matrix[code, code] = round(right[label] * n_beats)
        matrix[code, N] = n_beats - matrix[code, code]
    found = EctopyCount(int(matrix[:, V].sum()), int(matrix[:, S].sum()), int(matrix.sum()))
    trust = Trust(np.zeros((len(JUDGED), N_BINS, 3)), ())
    records = [
        RecordEvaluation(
            patient=f"p{number}", lead_names=("ECG1",), detected=Score(f"r{number}", matrix, 1500.0),
            reference=Score(f"r{number}", matrix, 1500.0), ectopy=found,
            reference_ectopy=EctopyCount(n, n_s, 2000 + n + n_s), duration_s=1800.0, unusable_s=0.0,
            af=None, trust=trust, found_s=np.zeros(0), found_label=np.zeros(0, dtype="U1"),
        )
        for number in range(n_patients)
    ]  # fmt: skip
    return Evaluation("made", "auto", SMALL_SPEC, tuple(records))


def write_labelled(folder, name, start_s, stop_s, *, symbol=None, leads=(1, 7)):
    """A stretch of some leads of the demo record as a record of its own, with its marks, or all of one symbol."""
    demo = read_record(DEMO)
    first, last = (round(time_s * demo.fs_hz) for time_s in (start_s, stop_s))
    marks = demo.reference
    inside = (marks.time_s >= start_s) & (marks.time_s < stop_s) & np.isin(marks.symbol, [*CLASSES, "A"])
    symbols = [str(one) if symbol is None else symbol for one in marks.symbol[inside]]
    folder.mkdir(parents=True, exist_ok=True)
    signal_mv, names = demo.source.read(first, last, leads), ("I", "II", "III", "V1")
    path = write_record(folder, name, signal_mv, round(demo.fs_hz), lead_names=names)
    samples = np.rint((marks.time_s[inside] - start_s) * demo.fs_hz).astype(int)
    wfdb.wrann(name, "atr", samples, symbols, fs=round(demo.fs_hz), write_dir=str(folder))
    return path
