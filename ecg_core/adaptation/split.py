"""Who is learned from and who is held out for the proof: by patient, never a patient on both sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from ..classifier.leads import ALL, AUTO, FIRST
from ..errors import AdaptationError
from ..records.reading import position_of
from ..text import plural
from .identity import patient_key
from .material import Labels, Recording, known_patients, list_known

FEW_PATIENTS: Final = 5  # with fewer labelled ones each is left out in turn
HELD_OUT_FRACTION: Final = 1 / 3  # of the labelled patients
LEAST_PATIENTS: Final = 2  # one to learn from, and one to be measured on
MOST_FOLDS: Final = 4  # where nobody is held out; of four patients each is left out alone
ECTOPIC: Final = (1, 2)  # columns of S and V among the counts of labels


class Side(StrEnum):
    """What a patient's recordings are for."""

    LEARN = "learn from"
    HOLD_OUT = "hold out"
    LEAVE_OUT = "leave out"


@dataclass(frozen=True)
class Fold:
    """One fit: whom it learns from, and whom it is measured on."""

    learned: tuple[Recording, ...]
    held_out: tuple[Recording, ...]


def propose_sides(recordings: Sequence[Recording], *, seed: int = 0) -> dict[str, Side]:
    """A side for each patient: a third of the labelled patients are held out, the others are learned from.

    Patients are held out in turn from those with many and with few ectopic beats, so that both sides have both. With
    fewer than FEW_PATIENTS labelled patients all are learned from, and each is left out of a fit of its own. Patients
    that the model knows already are learned from.
    """
    labelled = provable_patients(recordings)
    sides = dict.fromkeys((recording.patient for recording in recordings), Side.LEARN)
    if len(labelled) < FEW_PATIENTS:
        return sides
    rng = np.random.default_rng(seed)
    ectopic = {patient: _n_ectopic(recordings, patient) for patient in labelled}
    ranked = sorted(labelled, key=lambda patient: (-ectopic[patient], patient))
    n_held_out = max(2, round(HELD_OUT_FRACTION * len(ranked)))
    for group in np.array_split(np.arange(len(ranked)), n_held_out):
        sides[ranked[int(rng.choice(group))]] = Side.HOLD_OUT
    return sides


def require_lead(folds: Sequence[Fold], lead: str) -> None:
    """Refuse a lead that a recording to be measured lacks, before the fits and not after them.

    Raises
    ------
    LeadError
        One has no lead of this name.

    """
    held_out = [recording for fold in folds for recording in fold.held_out]
    for recording in held_out if lead not in (AUTO, ALL, FIRST) else ():
        position_of(lead, recording.lead_names, where=f"{recording.name}, which is held out")


def provable_patients(recordings: Sequence[Recording]) -> list[str]:
    """Patients with a recording of which every beat is labelled and that the model does not know, in their order."""
    labelled = dict.fromkeys(recording.patient for recording in recordings if recording.is_complete)
    known = known_patients(recordings)
    return [patient for patient in labelled if patient not in known]


def _n_ectopic(recordings: Sequence[Recording], patient: str) -> int:
    return sum(recording.n_labels[code] for recording in recordings if recording.patient == patient for code in ECTOPIC)


def _refuse_two_sides(sides: Mapping[str, Side]) -> None:
    first: dict[str, str] = {}
    for patient, side in sides.items():
        other = first.setdefault(patient_key(patient), patient)
        if sides[other] != side:
            raise AdaptationError(
                f"{other} and {patient} are one patient on two sides ({sides[other]}, {side})",
                advice="Give the patient one name, or two that differ by more than case and spaces.",
            )


def folds_of(recordings: Sequence[Recording], sides: Mapping[str, Side], labels: Labels) -> list[Fold]:
    """The fits that the proof needs: one, or as many as labelled patients where nobody is held out.

    Raises
    ------
    AdaptationError
        There is nobody to learn from or to be measured on, one who is held out is known to the model, or one patient
        is on two sides under two spellings.

    """
    _refuse_two_sides(sides)
    known = known_patients(recordings)
    used = {patient: known_as for patient, known_as in known.items() if sides[patient] == Side.HOLD_OUT}
    if used:
        raise AdaptationError(
            f"{plural(len(used), 'patient')} cannot be held out",
            expected="patients that neither the model nor its source learned from",
            got=list_known(used),
            advice="Learn from them or leave them out, and hold out others.",
        )
    learned = [recording for recording in recordings if sides[recording.patient] == Side.LEARN]
    held_out = [
        recording for recording in recordings if sides[recording.patient] == Side.HOLD_OUT and recording.is_complete
    ]
    usable = [recording for recording in learned if labels != Labels.ALL or any(recording.n_labels)]
    if labels != Labels.NONE and not any(any(recording.n_labels) for recording in usable):
        raise AdaptationError(
            "There are no labelled patients to learn from: label beats, change the sides of patients, or use the "
            "signals alone."
        )
    if not usable:
        raise AdaptationError("There are no patients to learn from: change the sides of patients.")
    if held_out:
        return [Fold(tuple(usable), tuple(held_out))]
    patients = [patient for patient in provable_patients(recordings) if sides[patient] == Side.LEARN]
    if len(patients) < LEAST_PATIENTS or len({recording.patient for recording in usable}) < LEAST_PATIENTS:
        others = f", besides those that were used before ({list_known(known)})" if known else ""
        raise AdaptationError(
            f"{plural(len(patients), 'patient')} with a label for every beat{others}: expected two or more, as nothing "
            "is kept without a proof on a patient that was not learned from. Sign the reports of more patients, or add "
            "recordings with reference annotations."
        )
    groups = [set(patients[number::MOST_FOLDS]) for number in range(min(MOST_FOLDS, len(patients)))]
    return [
        Fold(
            tuple(recording for recording in usable if recording.patient not in group),
            tuple(recording for recording in learned if recording.patient in group and recording.is_complete),
        )
        for group in groups
    ]
