"""A model judged on records with reference annotations: on its own detected beats and on the reference beats."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..classifier.leads import AUTO
from ..classifier.model import Model
from ..errors import RecordError
from ..labels import CLASSES, UNLABELLED, class_codes
from ..pipeline import analyse
from ..records import read_record
from ..schema import Analysis, Annotations, Float64, Index, Record, Text
from .ec57 import (
    AF_RHYTHMS,
    CONFUSION_COLUMNS,
    CONFUSION_ROWS,
    LEARNING_S,
    Score,
    average,
    gross,
    match_beats,
    overlap_s,
    rhythm_spans,
    score_record,
    statistics,
)

HEADLINE = ("qrs_se", "qrs_ppv", "v_se", "v_ppv", "v_f1", "s_se", "s_ppv", "s_f1", "accuracy", "macro_f1")
DECIMALS = 5
RESAMPLED = 1000  # times the records are drawn with replacement for an interval of a gross figure
INTERVAL = (2.5, 97.5)  # percentiles


@dataclass(frozen=True)
class LabelBudget:
    """Which of a patient's own beats have their class told to the model; by default none."""

    n_first: int = 0  # the record's first so many beats ...
    first_s: float = 0.0  # ... or those in its first so many seconds, if these are more
    n_asked: int = 0  # instead of the first ones, those that the model is least sure of


NO_LABELS = LabelBudget()


@dataclass(frozen=True)
class AfDuration:
    """Seconds of atrial fibrillation and flutter after the learning period, as found and as the reference has them."""

    found_s: float
    reference_s: float
    both_s: float


@dataclass(frozen=True, eq=False)
class RecordEvaluation:
    """One record judged both ways."""

    lead_names: tuple[str, ...]
    detected: Score
    reference: Score
    pvc_burden_pct: float
    reference_pvc_burden_pct: float
    unusable_s: float
    fibrillation: AfDuration | None  # None where the reference names no rhythms


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


def evaluate_record(
    record: Record, model: Model, *, lead: str = AUTO, told: LabelBudget = NO_LABELS, taught: bool = True
) -> RecordEvaluation:
    """Judge a model on one record.

    Parameters
    ----------
    told
        Beats of the record whose classes are told to the model; they are left out of the score.
    taught
        False leaves the same beats out but tells the model nothing: what it did before.

    Raises
    ------
    RecordError
        The record has no reference annotations.

    """
    marks = reference_of(record)
    code = class_codes(marks.symbol)
    is_beat = code != UNLABELLED
    own = _own_beats(_part(marks, np.flatnonzero(is_beat)), told, lambda: analyse(record, model, lead=lead))
    known = own if taught and len(own.time_s) else None
    found = analyse(record, model, lead=lead, patient_labels=known)
    judged = analyse(record, model, lead=lead, patient_labels=known, beats_at_s=marks.time_s[is_beat])
    is_v = code[is_beat] == CLASSES.index("V")
    return RecordEvaluation(
        lead_names=found.lead_names,
        detected=score_beats(record, found.beats.time_s, found.beats.label, excluded_s=own.time_s),
        reference=score_beats(record, judged.beats.time_s, judged.beats.label, excluded_s=own.time_s),
        pvc_burden_pct=found.burden.pvc_burden_pct,
        reference_pvc_burden_pct=float(100 * np.mean(is_v)) if len(is_v) else float("nan"),
        unusable_s=found.burden.duration_s - found.burden.analysable_s,
        fibrillation=_fibrillation(found, marks),
    )


def _own_beats(beats: Annotations, told: LabelBudget, read: Callable[[], Analysis]) -> Annotations:
    """Those of a record's reference beats that are told to the model."""
    if told.n_asked:
        first = read()
        mark, beat = match_beats(beats.time_s, first.beats.time_s)
        return _part(beats, mark[np.isin(beat, first.queried[: told.n_asked])])
    return _part(beats, np.arange(max(told.n_first, int(np.sum(beats.time_s < told.first_s)))))


def _fibrillation(analysis: Analysis, marks: Annotations) -> AfDuration | None:
    end_s = analysis.record.duration_s
    reference = rhythm_spans(marks, AF_RHYTHMS, end_s)
    if reference is None:
        return None
    scored = [(LEARNING_S, end_s)]
    found = [(event.start_s, event.end_s) for event in analysis.events if event.kind == "af"]
    told = [(max(start, LEARNING_S), end) for start, end in reference if end > LEARNING_S]
    return AfDuration(overlap_s(found, scored), overlap_s(told, scored), overlap_s(found, told))


def reference_of(record: Record) -> Annotations:
    """The record's reference annotations, or an error that says that there are none."""
    if record.reference is None:
        raise RecordError(
            f"{record.record_id}: there is no reference annotation file ({record.record_id}.atr) beside it, so nothing "
            "can be scored; add it, or leave this record out with --records."
        )
    return record.reference


def _part(marks: Annotations, index: Index) -> Annotations:
    return Annotations(marks.time_s[index], marks.symbol[index], marks.aux[index])


def score_beats(record: Record, time_s: Float64, label: Text, *, excluded_s: Float64 | None = None) -> Score:
    """Count beats against the record's reference annotations, but for those that the model was told."""
    return score_record(
        reference_of(record),
        time_s,
        label,
        record_id=record.record_id,
        duration_s=record.duration_s,
        # A record no longer than the learning period would otherwise score nothing without a word.
        learning_s=LEARNING_S if record.duration_s > LEARNING_S else 0.0,
        excluded_s=excluded_s,
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
        "fibrillation": _fibrillation_total([record.fibrillation for record in evaluation.records]),
        "records": [
            {
                "record": record.detected.record_id,
                "leads": list(record.lead_names),
                "detected_beats": _rounded(statistics(record.detected)),
                "reference_beats": _rounded(statistics(record.reference)),
                "confusion": record.detected.matrix.tolist(),
                "pvc_burden_pct": _number(record.pvc_burden_pct),
                "reference_pvc_burden_pct": _number(record.reference_pvc_burden_pct),
                "unusable_s": _number(record.unusable_s),
                "fibrillation": _seconds(record.fibrillation),
            }
            for record in evaluation.records
        ],
    }


def _fibrillation_total(records: Sequence[AfDuration | None]) -> dict[str, float | None] | None:
    """Sensitivity and positive predictivity by duration over all records whose reference names rhythms."""
    known = [record for record in records if record is not None]
    if not known:
        return None
    found_s, reference_s, both_s = (
        sum(part) for part in zip(*((r.found_s, r.reference_s, r.both_s) for r in known), strict=True)
    )
    return {
        "duration_se": _number(both_s / reference_s) if reference_s else None,
        "duration_ppv": _number(both_s / found_s) if found_s else None,
        **{name: _number(value) for name, value in asdict(AfDuration(found_s, reference_s, both_s)).items()},
    }


def _seconds(fibrillation: AfDuration | None) -> dict[str, float | None] | None:
    if fibrillation is None:
        return None
    return {name: _number(value) for name, value in asdict(fibrillation).items()}


def _both_ways(scores: Sequence[Score]) -> dict[str, Any]:
    total = gross(scores)
    return {
        "gross": _rounded(statistics(total)),
        "interval_95": intervals(scores),
        "average": _rounded({name: mean.value for name, mean in average(scores).items()}),
        "average_over_records": {name: mean.n_records for name, mean in average(scores).items()},
        "confusion": {
            "rows_reference": list(CONFUSION_ROWS),
            "columns_program": list(CONFUSION_COLUMNS),
            "counts": total.matrix.tolist(),
        },
    }


def intervals(scores: Sequence[Score]) -> dict[str, list[float | None]]:
    """95 % interval of each gross headline figure if other patients of the kind had been recorded.

    Bootstrap over records: beats of one patient stand or fall together.
    """
    rng = np.random.default_rng(0)
    drawn = [gross([scores[i] for i in rng.integers(len(scores), size=len(scores))]) for _ in range(RESAMPLED)]
    rows = [statistics(total) for total in drawn]
    result: dict[str, list[float | None]] = {}
    for name in HEADLINE:
        values = np.array([row[name] for row in rows])
        known = values[np.isfinite(values)]
        result[name] = [_number(edge) for edge in np.percentile(known, INTERVAL)] if len(known) else [None, None]
    return result


def _rounded(row: dict[str, float]) -> dict[str, float | None]:
    return {name: _number(value) for name, value in row.items()}


def _number(value: float) -> float | None:
    return round(float(value), DECIMALS) if np.isfinite(value) else None


def report_text(evaluation: Evaluation) -> str:
    """The evaluation as a person reads it in a terminal."""
    lines = [f"{evaluation.database}, lead {evaluation.lead}, model {evaluation.model_name}; EC57, % unless said"]
    for title, scores in (("DETECTED BEATS", evaluation.detected()), ("REFERENCE BEATS", evaluation.reference())):
        rows = [(score.record_id, statistics(score)) for score in scores]
        rows += [("gross", statistics(gross(scores)))]
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
