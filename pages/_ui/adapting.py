"""A new adaptation: recordings are looked at, patients get a side, and what is learned is chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pandas as pd

from ecg_core.adaptation.identity import patient_key
from ecg_core.adaptation.material import LEARNED_S, Labels, Origin, Recording, Survey
from ecg_core.adaptation.split import Fold, Side, folds_of, propose_sides
from ecg_core.adaptation.task import Task, adaptations_folder, check_name, plain_name
from ecg_core.classifier.installed import installed_models
from ecg_core.classifier.kept import is_taken
from ecg_core.classifier.model_files import MAX_NAME
from ecg_core.clock import duration_text
from ecg_core.errors import AdaptationError
from ecg_core.labels import CLASSES
from ecg_core.schema import ModelSpec

from .wording import plural

PATIENT, SIDE = "Patient", "Side"  # columns that can be edited
NOT_FREE: Final = "a model of this name is installed already"
OF_LONG_ONES: Final = (
    f"Of a recording longer than {LEARNED_S / 3600:g} hours, the {LEARNED_S / 3600:g} hours with the most ectopic "
    "beats are learned."
)


@dataclass(frozen=True)
class Draft:
    """Recordings that were looked at, with a side for each patient; a patient is never on two sides."""

    survey: Survey
    sides: dict[str, Side]
    name: str  # proposed for the model
    studies: str = ""  # folder of the store, where recordings are studies of it

    @property
    def recordings(self) -> tuple[Recording, ...]:
        """What can be used."""
        return self.survey.recordings

    def on(self, side: Side) -> list[Recording]:
        """The recordings of the patients on a side."""
        return [recording for recording in self.recordings if self.sides[recording.patient] == side]


@dataclass(frozen=True)
class Plan:
    """What would be begun, or why it cannot be."""

    folds: tuple[Fold, ...] = ()
    problem: str = ""  # a sentence


def edited(draft: Draft, rows: Mapping[int, Mapping[str, Any]]) -> Draft:
    """The draft after some cells of its table were edited: a side holds for all recordings of a patient.

    A recording that is given to another patient takes the side of this one; a patient that is new keeps the side of
    the row. Names that differ in case and spaces alone are one patient, spelt as it was typed last. An empty name
    changes nothing.
    """
    recordings, sides = list(draft.recordings), dict(draft.sides)
    for row, cells in rows.items():
        name = " ".join(str(cells.get(PATIENT) or "").split())
        if name:
            there = {one.patient for one in recordings if patient_key(one.patient) == patient_key(name)}
            sides[name] = sides[next(iter(there), recordings[row].patient)]
            recordings[row] = replace(recordings[row], patient=name)
            recordings = [replace(one, patient=name) if one.patient in there else one for one in recordings]
    for row, cells in rows.items():
        if cells.get(SIDE):
            sides[recordings[row].patient] = Side(cells[SIDE])
    left = {recording.patient for recording in recordings}
    survey = replace(draft.survey, recordings=tuple(recordings))
    return replace(draft, survey=survey, sides={patient: side for patient, side in sides.items() if patient in left})


def known_to(draft: Draft, spec: ModelSpec) -> Draft:
    """The draft with what the model of a spec knows of its patients: these cannot be held out."""
    from ecg_core.adaptation.known import for_model  # noqa: PLC0415  # loads what asks a server

    return replace(draft, survey=for_model(draft.survey, spec))


def proposed_again(draft: Draft, *, seed: int = 0) -> Draft:
    """The draft with the sides that are proposed for its patients."""
    return replace(draft, sides=propose_sides(draft.recordings, seed=seed))


def table_of(draft: Draft) -> pd.DataFrame:
    """A row for each recording."""
    rows = [
        {
            PATIENT: one.patient, SIDE: str(draft.sides[one.patient]), "Recording": one.name,
            "Length": duration_text(one.duration_s), "Leads": ", ".join(one.lead_names), "Hz": one.fs_hz,
            "No signal, %": one.no_signal_pct, "Labels": str(one.origin) or "none",
            **dict(zip(CLASSES, one.n_labels, strict=True)),
        }
        for one in draft.recordings
    ]  # fmt: skip
    return pd.DataFrame(rows)


def at_hand(draft: Draft) -> dict[Labels, str]:
    """What there is to learn from on the learning side, by what can be used of it."""
    learned = draft.on(Side.LEARN)
    labelled = [recording for recording in learned if any(recording.n_labels)]
    n_beats = sum(sum(recording.n_labels) for recording in labelled)
    n_patients, n_all = (len({one.patient for one in some}) for some in (labelled, learned))
    there = f"{plural(n_beats, 'labelled beat')} of {plural(n_patients, 'patient')}" if labelled else "none at hand"
    hints = {
        Labels.ALL: f"Every labelled beat is learned: {there}.",
        Labels.SOME: f"Only beats that the program queries or that a reader labelled, out of {there}; the others count "
        "as the model classifies them, where it is confident.",
        Labels.NONE: f"Of {plural(n_all, 'patient')}, every beat as the model classifies it, where it is confident. "
        "This can do harm, and did so in nine of ten trials (see the model card); the proof shows whether it did.",
    }
    is_cut = any(one.learned_s < one.duration_s for one in learned)
    return {labels: f"{hint} {OF_LONG_ONES}" if is_cut else hint for labels, hint in hints.items()}


def likeliest_labels(draft: Draft) -> Labels:
    """All labels where recordings are labelled as a whole, else those that there are."""
    origins = {recording.origin for recording in draft.on(Side.LEARN)}
    if origins & {Origin.REFERENCE, Origin.SIGNED}:
        return Labels.ALL
    return Labels.SOME if Origin.READER in origins else Labels.NONE


def plan_of(draft: Draft, labels: Labels) -> Plan:
    """The fits that are made, or why none can be."""
    try:
        return Plan(tuple(folds_of(draft.recordings, draft.sides, labels)))
    except AdaptationError as error:
        return Plan(problem=str(error))


def split_text(draft: Draft, plan: Plan) -> str:
    """Who is held out for the proof, in words."""
    if len(plan.folds) > 1:
        who = "No patient with a label for every beat" if draft.on(Side.HOLD_OUT) else "Nobody"
        fits = plural(len(plan.folds), "fit")
        return (
            f"{who} is held out: patients are left out in turn, in {fits}, each measured on those that it did not "
            "learn from. The model itself then learns from all."
        )
    learned, held_out = plan.folds[0].learned, plan.folds[0].held_out
    of, measured = (plural(len({one.patient for one in side}), "patient") for side in (learned, held_out))
    hours_s = sum(one.learned_s for one in learned)
    return f"One fit to {of} ({duration_text(hours_s)}), measured on {measured} that it does not learn from."


def free_name(wanted: str) -> str:
    """A name that a new adaptation can have, from what a folder is called."""
    plain = plain_name(wanted)
    numbered = (f"{plain[: MAX_NAME - 3]}-{number}" for number in range(2, 100))
    return next((name for name in (plain, *numbered) if not _name_problem(name)), plain)


def require_name(name: str) -> str:
    """The name of a new adaptation.

    Raises
    ------
    AdaptationError
        It is none, or a model or an adaptation has it.

    """
    problem = _name_problem(check_name(name))
    if problem:
        raise AdaptationError(f'"{name}": {problem}; choose another name.', settings=("name",))
    return name


def _name_problem(name: str) -> str:
    if is_taken(name):
        return NOT_FREE
    if name.casefold() in {folder.casefold() for folder in _folders(adaptations_folder())}:
        return "an adaptation of this name is there already"
    return ""


def _folders(place: Path) -> Iterable[str]:
    """Names of folders in which something is: an empty one keeps no name from another adaptation."""
    return (path.name for path in place.iterdir() if path.is_dir() and any(path.iterdir())) if place.is_dir() else ()


def task_of(draft: Draft, *, name: str, model: str, labels: Labels, steps: int = 0, seed: int = 0) -> Task:
    """The task that a draft becomes.

    Raises
    ------
    AdaptationError
        The name cannot be had, the model is no longer installed, or there is nothing to learn from or measure on.

    """
    require_name(name)
    plan = plan_of(draft, labels)
    if plan.problem:
        raise AdaptationError(plan.problem)
    found = next((one for one in installed_models() if one.name == model), None)
    if found is None:
        raise AdaptationError(f"{model}: this model is no longer installed; choose another one to go on from.")
    return Task(
        name=name, model=str(found.weights.resolve()), model_sha256=found.spec.sha256, recordings=draft.recordings,
        sides=draft.sides, labels=labels, steps=steps, seed=seed, studies=draft.studies,
    )  # fmt: skip
