"""Whether a report is right for the patient: burdens and false beats of each, and in how many patients all are right.

The records of one patient are pooled before anything is judged: counts, hours and burdens.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from statistics import median
from typing import Final, NamedTuple

from ..labels import CLASSES, Codes
from ..records.patients import read_patient
from ..schema import Record
from ..text import plural
from .ec57 import Score, gross

BURDEN_POINTS: Final = 1.0  # from the reference's: no band of a burden (10 %, 15 %) is missed by more
# False beats of the scored time: some by chance, and so many an hour. For scale, healthy people of 40 to 59 years have
# up to 254 V and 232 S a day (Hashimoto 2023): a fifth of that V, and as many S.
FALSE_V, FALSE_V_PER_HOUR = 1, 2.0
FALSE_S, FALSE_S_PER_HOUR = 2, 10.0
CRITERIA: Final = {  # what is judged, and when it is right
    "pvc_burden": f"PVC burden within {BURDEN_POINTS:g} point",
    "sve_burden": f"SVE burden within {BURDEN_POINTS:g} point",
    "false_v": f"false V at most {FALSE_V} + {FALSE_V_PER_HOUR:g} an hour",
    "false_s": f"false S at most {FALSE_S} + {FALSE_S_PER_HOUR:g} an hour",
}
N_WORST: Final = 10  # patients that are listed by name
DECIMALS: Final = 9  # of an error over its limit, so that what lies on the limit is inside it

PARTS_OF_PATIENTS: Final = ("ltdb", "afdb", "icentia11k-continuous-ecg")  # records are named <patient>_<part>
SAME_PATIENT: Final = {
    ("mitdb", "202"): "mitdb/201",  # one tape
    ("qtdb", "sel14046"): "ltdb/14046",
    ("qtdb", "sel14157"): "ltdb/14157",
    ("qtdb", "sel14172"): "ltdb/14172",
}
KNOWN: Final = (*PARTS_OF_PATIENTS, "mitdb", "qtdb", "aftdb", "ltafdb", "incartdb")
# Published databases that models learn from, with their sampling rates: by its name and its rate a record is known
# again in a folder of another name, where a recording of a user that is only named alike is not.
PUBLISHED_HZ: Final = {
    "mitdb": 360.0, "svdb": 128.0, "incartdb": 257.0, "ltdb": 128.0, "qtdb": 250.0, "afdb": 250.0, "ltafdb": 128.0,
    "aftdb": 128.0, "afpdb": 128.0, "ludb": 500.0, "challenge-2017": 300.0, "icentia11k-continuous-ecg": 250.0,
}  # fmt: skip


def patient_of(database: str, record: Record) -> str:
    """The patient that a record is of, as "database/patient": several records, also of two databases, can be of one.

    Parameters
    ----------
    database
        Folders of the database, such as "mitdb/1.0.0"; in one that is not known each record is a patient.

    Examples
    --------
    >>> from ecg_core.records import read_record
    >>> patient_of("made/1.0.0", read_record("demo_data/demo"))
    'made/demo'

    """
    folders = database.split("/")
    folder, name = next((part for part in folders if part in KNOWN), folders[0]), record.record_id
    if folder == "incartdb" and record.path is not None:
        name = read_patient(record.path).patient_id or name
    elif folder == "aftdb" and (parent := re.search(r"LTAFDB record (\d+)", " ".join(record.comments))):
        folder, name = "ltafdb", parent[1]
    return _patient_named(folder, name)


def _patient_named(database: str, name: str) -> str:
    """The patient of a record as far as its name alone tells."""
    if (database, name) in SAME_PATIENT:
        return SAME_PATIENT[database, name]
    if database in PARTS_OF_PATIENTS:
        name = name.split("_", maxsplit=1)[0]
    return f"{database}/{name.lstrip('0') or '0'}" if database == "ltafdb" else f"{database}/{name}"


def learned_as(trained_on: Iterable[str], name: str, *, folders: Iterable[str] = (), fs_hz: float = math.nan) -> str:
    """The record that a model learned from and that is of the patient of this one, by their names; empty if none is.

    Parameters
    ----------
    trained_on
        As a spec lists it: "database/record", and of a model that was adapted "model/recording", where the recorder is
        not known and the recording's name has to do.
    folders
        That the record lies in; where none is a published database, ``fs_hz`` tells whether it is a record of one.

    Examples
    --------
    >>> learned_as(["mitdb/201", "ltdb/14046_1"], "202", folders=["mitdb", "1.0.0"])
    'mitdb/201'
    >>> learned_as(["mitdb/100"], "100", folders=["our recorder"], fs_hz=250)
    ''
    >>> learned_as(["mitdb/100"], "100", folders=["a copy"], fs_hz=360)
    'mitdb/100'

    """
    around = next((folder for folder in folders if folder in PUBLISHED_HZ), "")
    patient = _patient_named(around, name)
    for learned in trained_on:
        database, _, record = learned.partition("/")
        if around and database in PUBLISHED_HZ:
            is_same = _patient_named(database, record) == patient
        else:
            is_same = record == name and (database not in PUBLISHED_HZ or PUBLISHED_HZ[database] == fs_hz)
        if is_same:
            return learned
    return ""


@dataclass(frozen=True)
class EctopyCount:
    """Beats of class V and of class S, and all beats that they are a share of."""

    n_v: int
    n_s: int
    n_beats: int

    @property
    def pvc_burden_pct(self) -> float:
        """100 V / all; NaN without beats."""
        return 100 * self.n_v / self.n_beats if self.n_beats else math.nan

    @property
    def sve_burden_pct(self) -> float:
        """100 S / all; NaN without beats."""
        return 100 * self.n_s / self.n_beats if self.n_beats else math.nan

    def __add__(self, other: EctopyCount) -> EctopyCount:
        return EctopyCount(self.n_v + other.n_v, self.n_s + other.n_s, self.n_beats + other.n_beats)


def count_reference(code: Codes) -> EctopyCount:
    """The beats of a reference, by their indices in CLASSES."""
    n_v, n_s = (int((code == CLASSES.index(label)).sum()) for label in "VS")
    return EctopyCount(n_v, n_s, len(code))


@dataclass(frozen=True, eq=False)
class PatientScore:
    """What was found in the records of one patient, and what is true."""

    patient: str  # see patient_of
    records: tuple[str, ...]
    score: Score  # of the detected beats
    ectopy: EctopyCount  # among the analysable beats of the whole records
    reference_ectopy: EctopyCount  # among all beats of the reference

    @property
    def name(self) -> str:
        """As it is listed: the record, or the patient and the number of records."""
        if len(self.records) == 1:
            return self.records[0]
        return f"{self.patient.rpartition('/')[2]} ({plural(len(self.records), 'record')})"

    @property
    def scored_h(self) -> float:
        """Hours in which false beats are counted."""
        return self.score.scored_s / 3600.0

    @property
    def is_judged(self) -> bool:
        """Whether there are reference beats to judge by."""
        return self.reference_ectopy.n_beats > 0

    @property
    def excess(self) -> dict[str, float]:
        """Each error as a multiple of its limit, by CRITERIA; up to 1 it is right, infinite where none is known."""
        found, true = self.ectopy, self.reference_ectopy
        errors = {
            "pvc_burden": abs(found.pvc_burden_pct - true.pvc_burden_pct) / BURDEN_POINTS,
            "sve_burden": abs(found.sve_burden_pct - true.sve_burden_pct) / BURDEN_POINTS,
            "false_v": self.score.false_positives("V") / (FALSE_V + FALSE_V_PER_HOUR * self.scored_h),
            "false_s": self.score.false_positives("S") / (FALSE_S + FALSE_S_PER_HOUR * self.scored_h),
        }
        return {name: math.inf if math.isnan(error) else round(error, DECIMALS) for name, error in errors.items()}

    @property
    def largest_excess(self) -> float:
        """The largest of the four."""
        return max(self.excess.values())

    @property
    def is_right(self) -> bool:
        """Whether all four hold: a report that is right for the patient."""
        return self.largest_excess <= 1

    def f1(self, label: str) -> float:
        """F1 of a class, 0..1; NaN where the scored reference has no such beat."""
        has_beats = self.score.true_positives(label) + self.score.false_negatives(label) > 0
        return self.score.f1(label) if has_beats else math.nan


def pool_patients(scores: Iterable[PatientScore]) -> list[PatientScore]:
    """One score a patient, in the order in which the patients first occur."""
    by_patient: dict[str, list[PatientScore]] = {}
    for score in scores:
        by_patient.setdefault(score.patient, []).append(score)
    return [_pooled(together) for together in by_patient.values()]


def _pooled(together: Sequence[PatientScore]) -> PatientScore:
    return PatientScore(
        together[0].patient,
        tuple(name for part in together for name in part.records),
        gross(part.score for part in together),
        reduce(EctopyCount.__add__, (part.ectopy for part in together)),
        reduce(EctopyCount.__add__, (part.reference_ectopy for part in together)),
    )


class Figure(NamedTuple):
    """A figure over all patients together, its median over single patients, and how many of them have it."""

    gross: float
    median: float
    n_patients: int


@dataclass(frozen=True, eq=False)
class PatientSummary:
    """In how many patients what is right, and who is worst off."""

    n_judged: int
    n_not_judged: int  # without reference beats; they count nowhere
    n_within: dict[str, int]  # patients in whom one of CRITERIA holds
    n_right: int  # patients in whom all hold
    figures: dict[str, Figure]  # v_f1, s_f1, false_v_per_hour, false_s_per_hour
    worst: tuple[PatientScore, ...]  # by the largest of a patient's four errors, each divided by its limit


def summarise_patients(patients: Sequence[PatientScore]) -> PatientSummary:
    """Judge patients, whose records are pooled; up to N_WORST are listed, the worst first."""
    judged = [patient for patient in patients if patient.is_judged]
    total = gross(patient.score for patient in judged)
    figures = {f"{label.lower()}_f1": _figure(total.f1(label), [p.f1(label) for p in judged]) for label in "VS"}
    for label in "VS":
        rates = [patient.score.false_per_hour(label) for patient in judged]
        figures[f"false_{label.lower()}_per_hour"] = _figure(total.false_per_hour(label), rates)
    return PatientSummary(
        n_judged=len(judged),
        n_not_judged=len(patients) - len(judged),
        n_within={name: sum(patient.excess[name] <= 1 for patient in judged) for name in CRITERIA},
        n_right=sum(patient.is_right for patient in judged),
        figures=figures,
        worst=tuple(sorted(judged, key=lambda patient: (-patient.largest_excess, patient.patient))[:N_WORST]),
    )


def _figure(total: float, values: Sequence[float]) -> Figure:
    """With the median of the values that are known."""
    known = [value for value in values if not math.isnan(value)]
    return Figure(total, median(known) if known else math.nan, len(known))
