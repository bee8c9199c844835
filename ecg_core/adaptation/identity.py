"""Whether two recordings are of one patient: by the patient's number first, then by name, however it is spelt."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .material import Recording


def patient_key(name: str) -> str:
    """A name without its differences of case, spaces and composed letters.

    Examples
    --------
    >>> patient_key("smith  ANN ") == patient_key("Smith Ann")
    True

    """
    folded = unicodedata.normalize("NFC", name).casefold()
    return unicodedata.normalize("NFC", " ".join(folded.split()))


def identified(recordings: Sequence[Recording]) -> tuple[Recording, ...]:
    """The recordings with one name for each patient: the number that file or study states, else the name.

    One that states a name alone is of the patient of this name whose number another one states, where there is one.
    """
    numbers = _by_name(recordings)
    patients = []
    for recording in recordings:
        known = numbers.get(patient_key(recording.patient_name), {}) if not recording.patient_id else {}
        patients.append(next(iter(known.values())) if len(known) == 1 else recording.patient)
    first: dict[str, str] = {}
    for patient in patients:
        first.setdefault(patient_key(patient), patient)
    return tuple(
        replace(recording, patient=first[patient_key(patient)])
        for recording, patient in zip(recordings, patients, strict=True)
    )


def identity_doubts(recordings: Iterable[Recording]) -> list[str]:
    """Where numbers and names of patients contradict each other, as sentences; none where the sides mend it."""
    recordings = list(recordings)
    found = []
    names: dict[str, dict[str, str]] = defaultdict(dict)
    for one in recordings:
        if one.patient_id and one.patient_name:
            names[one.patient].setdefault(patient_key(one.patient_name), one.patient_name)
    for patient, spelt in names.items():
        if len(spelt) > 1:
            found.append(
                f"Recordings of the patient {patient} have several names ({_listed(spelt)}): is it one patient?"
            )
    for name, numbers in _by_name(recordings).items():
        of_name = [one for one in recordings if patient_key(one.patient_name) == name]
        if len(numbers) > 1 and len({one.patient for one in of_name}) > 1:
            found.append(
                f"Recordings of {of_name[0].patient_name} have several numbers ({_listed(numbers)}): they count as "
                "several patients. Give them one name where they are one."
            )
    return found


def _by_name(recordings: Iterable[Recording]) -> dict[str, dict[str, str]]:
    """The numbers of the patients of each name, both by their keys."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for one in recordings:
        if one.patient_id and one.patient_name:
            found[patient_key(one.patient_name)].setdefault(patient_key(one.patient_id), one.patient_id)
    return found


def _listed(spelt: dict[str, str]) -> str:
    return "; ".join(spelt.values())
