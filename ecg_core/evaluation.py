"""A model judged on records with reference annotations: on its own detected beats and on the reference beats."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .errors import RecordError
from .inference import Model
from .labels import AAMI_OF_SYMBOL
from .pipeline import AUTO, analyse
from .records import read_record
from .schema import Annotations, Float64, Record, Text
from .scoring import (
    CONFUSION_COLUMNS,
    CONFUSION_ROWS,
    LEARNING_S,
    Score,
    average,
    gross,
    measures,
    score_record,
)

HEADLINE = ("qrs_se", "qrs_ppv", "v_se", "v_ppv", "v_f1", "s_se", "s_ppv", "s_f1", "accuracy", "macro_f1")
DECIMALS = 5


@dataclass(frozen=True, eq=False)
class RecordEvaluation:
    """One record judged both ways."""

    lead_names: tuple[str, ...]
    detected: Score
    reference: Score
    pvc_burden_pct: float
    reference_pvc_burden_pct: float
    unusable_s: float


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A database judged with one model and one choice of lead."""

    database: str
    lead: str
    model_name: str
    model_sha256: str
    records: tuple[RecordEvaluation, ...]

    def detected(self) -> list[Score]:
        """Scores end to end, on the program's own beats."""
        return [record.detected for record in self.records]

    def reference(self) -> list[Score]:
        """Scores of the classes alone, on the reference beats."""
        return [record.reference for record in self.records]


def evaluate(
    paths: Iterable[Path],
    model: Model,
    *,
    database: str,
    lead: str = AUTO,
    progress: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> Evaluation:
    """Judge a model on records; ``progress`` is called with each record's name, its number, and how many there are."""
    paths = list(paths)
    judged = []
    for number, path in enumerate(paths):
        progress(path.name, number, len(paths))
        judged.append(evaluate_record(read_record(path), model, lead=lead))
    return Evaluation(database, lead, model.spec.name, model.spec.sha256, tuple(judged))


def evaluate_record(record: Record, model: Model, *, lead: str = AUTO) -> RecordEvaluation:
    """Judge a model on one record.

    Raises
    ------
    RecordError
        The record has no reference annotations.

    """
    marks = reference_of(record)
    is_beat = np.isin(marks.symbol, list(AAMI_OF_SYMBOL))
    found = analyse(record, model, lead=lead)
    told = analyse(record, model, lead=lead, beats_at_s=marks.time_s[is_beat])
    classes = np.array([AAMI_OF_SYMBOL[symbol] for symbol in marks.symbol[is_beat]])
    return RecordEvaluation(
        lead_names=found.lead_names,
        detected=score_beats(record, found.beats.time_s, found.beats.label),
        reference=score_beats(record, told.beats.time_s, told.beats.label),
        pvc_burden_pct=found.burden.pvc_burden_pct,
        reference_pvc_burden_pct=float(100 * np.mean(classes == "V")) if len(classes) else float("nan"),
        unusable_s=found.burden.duration_s - found.burden.analysable_s,
    )


def reference_of(record: Record) -> Annotations:
    """The record's reference annotations, or an error that says that there are none."""
    if record.reference is None:
        raise RecordError(
            f"{record.record_id}: there is no reference annotation file ({record.record_id}.atr) beside it, so nothing "
            "can be scored; add it, or leave this record out with --records."
        )
    return record.reference


def score_beats(record: Record, time_s: Float64, label: Text) -> Score:
    """Count beats against the record's reference annotations."""
    # A record no longer than the learning period would otherwise score nothing without a word.
    learning_s = LEARNING_S if record.duration_s > LEARNING_S else 0.0
    return score_record(
        reference_of(record),
        time_s,
        label,
        record_id=record.record_id,
        duration_s=record.duration_s,
        learning_s=learning_s,
    )


def burden_errors(evaluation: Evaluation) -> Float64:
    """PVC burden minus the reference's, in points, shape (n_records,)."""
    return np.array([record.pvc_burden_pct - record.reference_pvc_burden_pct for record in evaluation.records])


def summarise(evaluation: Evaluation) -> dict[str, Any]:
    """Everything that was measured, as plain JSON values; undefined figures are null."""
    return {
        "database": evaluation.database,
        "lead": evaluation.lead,
        "model": evaluation.model_name,
        "model_sha256": evaluation.model_sha256,
        "rules": f"ANSI/AAMI EC57; match window 150 ms; first {LEARNING_S:.0f} s of a record not scored",
        "detected_beats": _both_ways(evaluation.detected()),
        "reference_beats": _both_ways(evaluation.reference()),
        "records": [
            {
                "record": record.detected.record_id,
                "leads": list(record.lead_names),
                "detected_beats": _rounded(measures(record.detected)),
                "reference_beats": _rounded(measures(record.reference)),
                "confusion": record.detected.matrix.tolist(),
                "pvc_burden_pct": _number(record.pvc_burden_pct),
                "reference_pvc_burden_pct": _number(record.reference_pvc_burden_pct),
                "unusable_s": _number(record.unusable_s),
            }
            for record in evaluation.records
        ],
    }


def _both_ways(scores: Sequence[Score]) -> dict[str, Any]:
    total = gross(scores)
    return {
        "gross": _rounded(measures(total)),
        "average": _rounded({name: mean.value for name, mean in average(scores).items()}),
        "average_over_records": {name: mean.n_records for name, mean in average(scores).items()},
        "confusion": {
            "rows_reference": list(CONFUSION_ROWS),
            "columns_program": list(CONFUSION_COLUMNS),
            "counts": total.matrix.tolist(),
        },
    }


def _rounded(row: dict[str, float]) -> dict[str, float | None]:
    return {name: _number(value) for name, value in row.items()}


def _number(value: float) -> float | None:
    return round(float(value), DECIMALS) if np.isfinite(value) else None


def report_text(evaluation: Evaluation) -> str:
    """The evaluation as a person reads it in a terminal."""
    lines = [f"{evaluation.database}, lead {evaluation.lead}, model {evaluation.model_name}; EC57, % unless said"]
    for title, scores in (("DETECTED BEATS", evaluation.detected()), ("REFERENCE BEATS", evaluation.reference())):
        rows = [(score.record_id, measures(score)) for score in scores]
        rows += [("gross", measures(gross(scores)))]
        rows += [("average", {name: mean.value for name, mean in average(scores).items()})]
        lines += ["", title, f"{'record':>10} " + " ".join(f"{name:>8}" for name in HEADLINE)]
        lines += [f"{name:>10} " + " ".join(_percent(row[key]) for key in HEADLINE) for name, row in rows]
        total = gross(scores)
        lines += ["", f"accuracy of calling every beat N: {100 * total.always_n_accuracy:.2f}", *_confusion_text(total)]
    error = np.abs(burden_errors(evaluation))
    lines += ["", f"PVC burden within 1 point of the reference: {np.sum(error <= 1)} of {len(error)} records"]
    return "\n".join(lines)


def _confusion_text(score: Score) -> list[str]:
    lines = [f"{'reference':>10} " + " ".join(f"{name:>8}" for name in CONFUSION_COLUMNS)]
    for name, row in zip(CONFUSION_ROWS, score.matrix, strict=True):
        lines.append(f"{name:>10} " + " ".join(f"{n:>8}" for n in row))
    return lines


def _percent(value: float) -> str:
    return f"{'-':>8}" if np.isnan(value) else f"{100 * value:8.2f}"
