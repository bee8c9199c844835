"""What learning from labels does to records whose reference is known, with and without its check.

    ECG_DATABASES=... python -m benchmarks.learning [--labels 12,50] [--split svdb_adaptation,svdb_validation]
        [--model source] [--json FILE]

The queried beats of each record get their reference class, as a reader would label them, and the model ``source``
learns from them: it has seen none of svdb's beats. Accuracy and F1 are those of all other beats. A record got worse
where it lost more than LOST_POINTS of accuracy, or of the F1 of V or S where the reference has MIN_BEATS of them.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.command import options_of, publish
from ecg_core.classifier.model import load_model
from ecg_core.classifier.spec import MODELS
from ecg_core.evaluation.matching import match_beats
from ecg_core.labels import CLASSES, UNLABELLED, class_codes
from ecg_core.pipeline import analyse
from ecg_core.records import read_record
from ecg_core.schema import Annotations, Record
from models.databases import SVDB, read_split

LOST_POINTS = {"accuracy": 0.1, "V F1": 2.0, "S F1": 2.0}
MIN_BEATS = 5


class Outcome(NamedTuple):
    """What learning did to one record."""

    record: str
    n_labels: int
    before: dict[str, float]  # per cent, of the beats without a label
    after: dict[str, float]
    held_back: str  # why; empty where the check advises to learn
    seconds: float  # that learning and its check took

    @property
    def lost(self) -> list[str]:
        """What got worse."""
        return [key for key, points in LOST_POINTS.items() if self.after[key] < self.before[key] - points]


def outcome(record: Record, model: Any, n_labels: int) -> Outcome:
    """Let the model learn from the first queried beats of a record."""
    began = time.perf_counter()
    before = analyse(record, model)
    plain_s = time.perf_counter() - began
    marks = record.reference
    assert marks is not None  # noqa: S101, as every record of the database has it
    known = class_codes(marks.symbol) != UNLABELLED
    mark, beat = match_beats(marks.time_s[known], before.beats.time_s)
    chosen = mark[np.isin(beat, before.queried[:n_labels])]
    labels = Annotations(marks.time_s[known][chosen], marks.symbol[known][chosen], marks.aux[known][chosen])
    began = time.perf_counter()
    after = analyse(record, model, patient_labels=labels)
    seconds = time.perf_counter() - began - plain_s
    truth = np.array(CLASSES)[class_codes(marks.symbol[known])]
    others = ~np.isin(mark, chosen) & before.beats.usable[beat]
    found = [_figures(truth[mark[others]], one.beats.label[beat[others]]) for one in (before, after)]
    check = after.learning
    return Outcome(record.record_id, len(chosen), *found, check.problem if check else "", round(seconds, 1))


def _figures(truth: Any, label: Any) -> dict[str, float]:
    figures = {"accuracy": 100 * float(np.mean(truth == label))}
    for name in "VS":
        n_true, n_found = np.sum(truth == name), np.sum(label == name)
        f1 = 200 * np.sum((truth == name) & (label == name)) / (n_true + n_found) if n_true >= MIN_BEATS else np.nan
        figures[f"{name} F1"] = float(f1)
    return {key: round(value, 2) if np.isfinite(value) else float("nan") for key, value in figures.items()}


def summary(outcomes: list[Outcome]) -> dict[str, Any]:
    """How many records got worse, and the mean gain, without and with the check."""
    gain = np.array([one.after["accuracy"] - one.before["accuracy"] for one in outcomes])
    taken = np.array([not one.held_back for one in outcomes])
    return {
        "records": len(outcomes),
        "held_back": int((~taken).sum()),
        "worse_without_check": sum(bool(one.lost) for one in outcomes),
        "worse_with_check": sum(bool(one.lost) and not one.held_back for one in outcomes),
        "mean_gain_of_accuracy_without_check": round(float(gain.mean()), 3),
        "mean_gain_of_accuracy_with_check": round(float(gain[taken].sum() / len(gain)), 3),
        "median_seconds": float(np.median([one.seconds for one in outcomes])),
    }


def main() -> None:
    """Let the model learn in each record, print and save."""
    options = options_of(__doc__, labels="12,50", split="svdb_adaptation,svdb_validation", model="source", json=Path)
    model = load_model(MODELS / f"{options.model}.pt")
    names = [name for split in options.split.split(",") for name in read_split(split)]
    results: dict[str, Any] = {"model": options.model, "lost_points": LOST_POINTS}
    for n_labels in map(int, options.labels.split(",")):
        outcomes = [outcome(read_record(options.databases / SVDB / name), model, n_labels) for name in names]
        rows = [one._asdict() | {"worse": one.lost} for one in outcomes]
        results[f"{n_labels} labels"] = {"summary": summary(outcomes), "records": rows}
    publish(results, options.json)


if __name__ == "__main__":
    main()
