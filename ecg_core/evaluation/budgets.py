"""A test split measured in several ways: which leads, and how many beats of each patient are labelled for the model.

Several records can be of one patient. A budget of labels is the patient's, divided evenly among these records, and the
intervals of all figures are drawn over patients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..classifier.model import Model
from ..records import read_record
from ..rules import RhythmRules
from ..schema import Record
from ..text import plural
from .ec57 import Score, gross
from .evaluate import Evaluation, LabelBudget, RecordEvaluation, evaluate_record
from .patients import patient_of
from .promised import PROMISED
from .summary import intervals, summarise

LEAST_PATIENTS: Final = 4  # that an interval over patients is drawn from
BUDGETS: Final = ((0, True), (12, True), (50, True), (50, False))  # queried beats, and whether they are labelled


@dataclass(frozen=True)
class Condition:
    """One way to measure."""

    lead: str
    n_queried: int = 0  # beats of each patient
    fine_tuned: bool = True  # False leaves these beats out of the score alone: what the labels themselves bring

    @property
    def title(self) -> str:
        """The budget of labels in words."""
        if not self.n_queried:
            return "no labels"
        if self.fine_tuned:
            return f"{plural(self.n_queried, 'queried beat')} labelled"
        return f"the same {self.n_queried} excluded, not labelled"


@dataclass(frozen=True, eq=False)
class Measured:
    """What one way to measure gave, on the same records as the others."""

    condition: Condition
    evaluation: Evaluation
    is_simulated: bool  # whether signals of a record are simulated: then the figures are of no real recorder

    def by_patient(self, scores: Sequence[Score]) -> list[Score]:
        """Scores of the records, added up for each patient, in the order in which the patients first occur."""
        patients = [record.patient for record in self.evaluation.records]
        return [
            gross(score for score, of in zip(scores, patients, strict=True) if of == patient)
            for patient in dict.fromkeys(patients)
        ]

    def intervals(self, scores: Sequence[Score]) -> dict[str, list[float | None]]:
        """95 % interval of each gross headline figure by drawing patients; none of fewer than LEAST_PATIENTS."""
        pooled = self.by_patient(scores)
        return intervals(pooled) if len(pooled) >= LEAST_PATIENTS else {}


def conditions_of(leads: Iterable[str]) -> list[Condition]:
    """Each choice of leads with each of BUDGETS."""
    return [Condition(lead, *budget) for lead in leads for budget in BUDGETS]


def measure_conditions(
    paths: Iterable[Path],
    model: Model,
    conditions: Sequence[Condition],
    *,
    database: str,
    rules: RhythmRules | None = None,
    progress: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> list[Measured]:
    """Score a model on records in each way.

    Parameters
    ----------
    database
        Folders of the database, such as "incartdb/1.0.0", by which its patients are known.
    progress
        Called with each record's name, its number, and how many there are.

    Raises
    ------
    RecordError
        A record cannot be read or has no reference annotations.

    """
    rules = rules or RhythmRules()
    records = [read_record(path) for path in paths]
    patients = [patient_of(database, record) for record in records]
    rows: list[list[RecordEvaluation]] = []
    for number, record in enumerate(records):
        progress(record.record_id, number, len(records))
        n_before, n_records = patients[:number].count(patients[number]), patients.count(patients[number])
        rows.append(
            [
                _measure(record, model, rules, database, condition, divided(condition.n_queried, n_records, n_before))
                for condition in conditions
            ]
        )
    simulated = any(record.is_simulated for record in records)
    return [
        Measured(
            condition,
            Evaluation(database, condition.lead, model.spec, tuple(row[number] for row in rows), rules.sensitivity),
            simulated,
        )
        for number, condition in enumerate(conditions)
    ]


def _measure(
    record: Record, model: Model, rules: RhythmRules, database: str, condition: Condition, n_queried: int
) -> RecordEvaluation:
    return evaluate_record(
        record,
        model,
        rules,
        database=database,
        lead=condition.lead,
        budget=LabelBudget(n_queried=n_queried),
        fine_tuned=condition.fine_tuned,
    )


def divided(budget: int, n_records: int, number: int) -> int:
    """The part of a patient's budget that one of the patient's records gets, the first ones one more where it is odd.

    >>> [divided(50, 3, number) for number in range(3)]
    [17, 17, 16]

    """
    return budget // n_records + (number < budget % n_records)


def describe_conditions(measured: Sequence[Measured], *, name: str, split: str) -> dict[str, Any]:
    """Everything that was measured as plain JSON values, with the promised figures of the database."""
    records = measured[0].evaluation.records
    return {
        "database": name,
        "split": split,
        "simulated": measured[0].is_simulated,
        "records": len(records),
        "patients": len({record.patient for record in records}),
        "promised": PROMISED.get(name, {}),
        "intervals": f"95 %, by drawing patients with replacement; none with fewer than {LEAST_PATIENTS} patients",
        "conditions": [_describe(one) for one in measured],
    }


def _describe(measured: Measured) -> dict[str, Any]:
    """One way to measure, as ``summarise``, with its intervals drawn over patients."""
    condition, evaluation = measured.condition, measured.evaluation
    figures = summarise(evaluation)
    figures["detected_beats"]["interval_95"] = measured.intervals(evaluation.detected())
    figures["reference_beats"]["interval_95"] = measured.intervals(evaluation.reference())
    return {
        "title": condition.title,
        "n_queried": condition.n_queried,
        "fine_tuned": condition.fine_tuned,
        **figures,
    }
