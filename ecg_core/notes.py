"""What people write about a recording: patient data, diary, narrative, strips for the report, signatures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SEXES: Final = ("", "female", "male", "other")
MAX_NARRATIVE_LETTERS: Final = 20_000  # some four pages of the PDF: more was pasted by mistake
TYPED, FROM_FILE = "typed", "file"  # where a diary entry comes from


@dataclass(frozen=True)
class Patient:
    """Whom a recording is of, why it was made, and by what; every field may be empty.

    It is shown to the readers of a study alone, and left out of every export unless it is asked for.
    """

    name: str = ""
    patient_id: str = ""
    birth_date: str = ""  # YYYY-MM-DD
    sex: str = ""  # one of SEXES
    indication: str = ""
    medication: str = ""
    referring_physician: str = ""
    reading_physician: str = ""
    recorder: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known."""
        return self == Patient()


@dataclass(frozen=True)
class DiaryEntry:
    """A symptom or an event mark at a time of the recording."""

    time_s: float
    symptom: str
    note: str = ""
    source: str = TYPED  # or FROM_FILE


@dataclass(frozen=True)
class ReportStrip:
    """A strip that a reader chose for the report."""

    start_s: float
    caption: str = ""


@dataclass(frozen=True)
class Signature:
    """A reader's signature under one version of a report, or under an addendum to it."""

    version: int  # of the report, from 1
    reader: str
    role: str
    statement: str
    signed_at: str  # UTC, ISO 8601
    addendum: str = ""  # the text of an addendum; empty for the report itself


@dataclass(frozen=True)
class Notes:
    """All that people wrote about one recording."""

    patient: Patient = Patient()
    diary: tuple[DiaryEntry, ...] = ()  # by time
    narrative: str = ""  # empty until a reader keeps one: the report then has the drafted one
    strips: tuple[ReportStrip, ...] = ()  # in the order in which they were chosen
    signatures: tuple[Signature, ...] = ()  # the oldest first
    is_signed: bool = False  # whether the report is locked as the last of them signed it, and of this program's version
    is_narrative_older: bool = False  # whether labels, rules, leads, model or program were others when it was kept


NO_NOTES: Final = Notes()
