"""Whether two recordings are of one patient: by the patient's number first, then by name, however it is spelt."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Stated(NamedTuple):
    """Whom a recording counts as of, and the number and the name that its file or study states, or nothing."""

    patient: str
    number: str
    name: str


def patient_key(name: str) -> str:
    """A name without its differences of case, spaces and composed letters.

    Examples
    --------
    >>> patient_key("smith  ANN ") == patient_key("Smith Ann")
    True

    """
    folded = unicodedata.normalize("NFC", name).casefold()
    return unicodedata.normalize("NFC", " ".join(folded.split()))


def name_patients(stated: Sequence[Stated]) -> list[str]:
    """One name for each patient, in the order of the recordings: the first of its spellings.

    A recording that states a name alone is of the patient of this name whose number another one states, if it is one.
    """
    numbers = _by_name(stated)
    patients = []
    for one in stated:
        known = numbers.get(patient_key(one.name), {}) if not one.number else {}
        patients.append(next(iter(known.values())) if len(known) == 1 else one.patient)
    first: dict[str, str] = {}
    return [first.setdefault(patient_key(patient), patient) for patient in patients]


def identity_doubts(stated: Sequence[Stated]) -> list[str]:
    """Where numbers and names of patients contradict each other, as sentences; none where the sides mend it."""
    names: dict[str, dict[str, str]] = defaultdict(dict)
    for one in stated:
        if one.number and one.name:
            names[one.patient].setdefault(patient_key(one.name), one.name)
    found = [
        f"Recordings of the patient {patient} have several names ({'; '.join(spelt.values())}): is it one patient?"
        for patient, spelt in names.items()
        if len(spelt) > 1
    ]
    for name, numbers in _by_name(stated).items():
        of_name = [one for one in stated if patient_key(one.name) == name]
        if len(numbers) > 1 and len({one.patient for one in of_name}) > 1:
            found.append(
                f"Recordings of {of_name[0].name} have several numbers ({'; '.join(numbers.values())}): they count as "
                "several patients. Give them one name where they are one."
            )
    return found


def _by_name(stated: Iterable[Stated]) -> dict[str, dict[str, str]]:
    """The numbers of the patients of each name, both by their keys."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for one in stated:
        if one.number and one.name:
            found[patient_key(one.name)].setdefault(patient_key(one.number), one.number)
    return found
