"""A model scored on records with reference annotations: on its own detected beats and on the reference beats."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..classifier.leads import AUTO
from ..classifier.model import Model
from ..errors import RecordError
from ..labels import UNLABELLED, class_codes
from ..pipeline import analyse
from ..records import read_record
from ..rules import BALANCED, RhythmRules
from ..schema import Analysis, Annotations, Float64, Index, ModelSpec, Record, Text
from .ec57 import LEARNING_S, Score, score_record
from .matching import AF_RHYTHMS, Spans, match_beats, overlap_s, rhythm_spans
from .patients import EctopyCount, PatientScore, count_reference, patient_of, pool_patients
from .reliability import Trust, measure_trust


@dataclass(frozen=True)
class LabelBudget:
    """Which of a patient's beats are labelled for the model before it is scored; by default none."""

    n_first: int = 0  # the record's first so many beats ...
    first_s: float = 0.0  # ... or those in its first so many seconds, if these are more
    n_queried: int = 0  # instead of the first ones, so many that active learning selects


NO_LABELS = LabelBudget()


@dataclass(frozen=True)
class AfDuration:
    """Seconds of atrial fibrillation and flutter after the learning period, as found and as in the reference."""

    found_s: float
    reference_s: float
    both_s: float


@dataclass(frozen=True, eq=False)
class RecordEvaluation:
    """The scores of one record."""

    patient: str  # see patient_of
    lead_names: tuple[str, ...]
    detected: Score
    reference: Score
    ectopy: EctopyCount  # among the analysable beats
    reference_ectopy: EctopyCount  # among the beats of the reference
    duration_s: float  # of the recording; ``detected.scored_s`` of it is scored
    unusable_s: float
    af: AfDuration | None  # None where the reference names no rhythms
    trust: Trust
    found_s: Float64  # times of the beats that were found, and their classes
    found_label: Text


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The scores of a database, by one model and one choice of lead."""

    database: str
    lead: str
    model: ModelSpec
    records: tuple[RecordEvaluation, ...]
    sensitivity: str = BALANCED  # see ``RhythmRules``

    def detected(self) -> list[Score]:
        """Scores end to end, on the program's own beats."""
        return [record.detected for record in self.records]

    def reference(self) -> list[Score]:
        """Scores of the classes alone, on the reference beats."""
        return [record.reference for record in self.records]

    def patients(self) -> list[PatientScore]:
        """Scores end to end of each patient, whose records are pooled."""
        return pool_patients(
            PatientScore(
                record.patient,
                (record.detected.record_id,),
                record.detected,
                record.ectopy,
                record.reference_ectopy,
            )
            for record in self.records
        )


def evaluate(
    paths: Iterable[Path],
    model: Model,
    *,
    database: str,
    lead: str = AUTO,
    rules: RhythmRules | None = None,
    progress: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> Evaluation:
    """Score a model on records; ``progress`` is called with each record's name, its number, and how many there are.

    Raises
    ------
    RecordError
        A record cannot be read or has no reference annotations.

    """
    paths, rules = list(paths), rules or RhythmRules()
    records = []
    for number, path in enumerate(paths):
        progress(path.name, number, len(paths))
        records.append(evaluate_record(read_record(path), model, rules, database=database, lead=lead))
    return Evaluation(database, lead, model.spec, tuple(records), rules.sensitivity)


def evaluate_record(
    record: Record,
    model: Model,
    rules: RhythmRules | None = None,
    *,
    database: str = "",
    lead: str = AUTO,
    budget: LabelBudget = NO_LABELS,
    fine_tuned: bool = True,
) -> RecordEvaluation:
    """Score a model on one record, end to end and on the reference beats.

    Parameters
    ----------
    database
        Folders of the record's database, such as "mitdb/1.0.0", by which its patient is known.
    budget
        Beats of the record whose reference class is given to the model; they are left out of the score.
    fine_tuned
        False leaves the same beats out but gives the model no label: the score before fine-tuning.

    Raises
    ------
    RecordError
        The record has no reference annotations.

    Examples
    --------
    >>> from ecg_core.classifier.model import load_model
    >>> evaluation = evaluate_record(read_record("demo_data/demo"), load_model(), lead="II")
    >>> evaluation.detected.qrs_se > 0.99
    True

    """
    marks = reference_of(record)
    code = class_codes(marks.symbol)
    beats = _part(marks, np.flatnonzero(code != UNLABELLED))
    patient = _patient_beats(beats, budget, lambda: analyse(record, model, rules=rules, lead=lead))
    labels = patient if fine_tuned and len(patient.time_s) else None
    found = analyse(record, model, rules=rules, lead=lead, patient_labels=labels)
    at_marks = analyse(record, model, rules=rules, lead=lead, patient_labels=labels, beats_at_s=beats.time_s).beats
    burden = found.burden
    return RecordEvaluation(
        patient=patient_of(database, record),
        lead_names=found.lead_names,
        detected=score_beats(record, found.beats.time_s, found.beats.label, excluded_s=patient.time_s),
        reference=score_beats(record, at_marks.time_s, at_marks.label, excluded_s=patient.time_s),
        ectopy=EctopyCount(burden.v.n_beats, burden.s.n_beats, int(burden.count.sum())),
        reference_ectopy=count_reference(code[code != UNLABELLED]),
        duration_s=record.duration_s,
        unusable_s=sum(end_s - start_s for start_s, end_s in found.quality.unusable_stretches(record.duration_s)),
        af=_af_duration(found, marks),
        trust=measure_trust(found, marks),
        found_s=found.beats.time_s,
        found_label=found.beats.label,
    )


def reference_of(record: Record) -> Annotations:
    """The record's reference annotations.

    Raises
    ------
    RecordError
        It has none.

    """
    if record.reference is None:
        raise RecordError(
            f"there is no reference annotation file ({record.record_id}.atr) beside it, so nothing can be scored",
            where=record.record_id,
            advice="Add it, or leave this record out.",
            settings=("records",),
        )
    return record.reference


def _patient_beats(beats: Annotations, budget: LabelBudget, analyse_before: Callable[[], Analysis]) -> Annotations:
    """Those of a record's reference beats whose class is given to the model."""
    if not budget.n_queried:
        return _part(beats, np.arange(max(budget.n_first, int(np.sum(beats.time_s < budget.first_s)))))
    before = analyse_before()
    mark, beat = match_beats(beats.time_s, before.beats.time_s)
    return _part(beats, mark[np.isin(beat, before.queried[: budget.n_queried])])


def _part(marks: Annotations, index: Index) -> Annotations:
    return Annotations(marks.time_s[index], marks.symbol[index], marks.aux[index])


def score_beats(record: Record, time_s: Float64, label: Text, *, excluded_s: Float64 | None = None) -> Score:
    """Count beats against the record's reference annotations; see ``score_record``.

    Raises
    ------
    RecordError
        The record has no reference annotations.

    """
    return score_record(
        reference_of(record),
        time_s,
        label,
        record_id=record.record_id,
        duration_s=record.duration_s,
        learning_s=learning_s(record.duration_s),
        excluded_s=excluded_s,
    )


def _af_duration(analysis: Analysis, marks: Annotations) -> AfDuration | None:
    spans = rhythm_spans(marks, AF_RHYTHMS, analysis.record.duration_s)
    return None if spans is None else af_duration(analysis, spans)


def af_duration(analysis: Analysis, spans: Spans) -> AfDuration:
    """Fibrillation as an analysis finds it, beside the stretches in which there is some."""
    end_s = analysis.record.duration_s
    first_s = learning_s(end_s)
    found = [(event.start_s, event.end_s) for event in analysis.events if event.kind == "af"]
    reference = [(max(start_s, first_s), stop_s) for start_s, stop_s in spans if stop_s > first_s]
    scored = [(first_s, end_s)]
    return AfDuration(overlap_s(found, scored), overlap_s(reference, scored), overlap_s(found, reference))


def learning_s(duration_s: float) -> float:
    """The learning period of a record, which is not scored: none where nothing would be left."""
    return LEARNING_S if duration_s > LEARNING_S else 0.0
