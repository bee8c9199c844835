"""What a file states of patient and recorder, and the event marks in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Final

from ..notes import FROM_FILE, SEXES, DiaryEntry, Patient
from ..schema import Record
from .formats import format_of
from .wfdb_header import HEADER_SUFFIX

MAX_LETTERS: Final = 200  # of a field: more is damage
MOST_OF_A_KIND: Final = 200  # a text that comes more often was not marked by a patient: a beat, a breath, a movement


def read_patient(path: Path) -> Patient:
    """Patient and recording data that a file states; a field that is missing or damaged is empty.

    Examples
    --------
    >>> read_patient(Path("demo_data/demo.hea")).name
    ''

    """
    try:
        form = format_of(path)
        stated = form.patient(path) if form else Patient()
    except Exception:  # a damaged header raises all kinds of errors, and an empty field harms nobody
        return Patient()
    fields = {name: _plain(text) for name, text in asdict(stated).items()}
    if fields["sex"] not in SEXES:
        fields["sex"] = ""
    if not _is_date(fields["birth_date"]):
        fields["birth_date"] = ""
    return Patient(**fields)


def recorder_of(record: Record) -> str:
    """The recorder that a record's header states, on one line; empty where it states none.

    EDF states it in the identification of the recording, ISHNE as its type, DICOM as manufacturer and model, WFDB in a
    comment, and the forms of electrocardiographs each in a field of their own.
    """
    return read_patient(main_file(record)).recorder if record.files else ""


def read_diary(record: Record) -> tuple[DiaryEntry, ...]:
    """Event marks of the files of a record, by time: texts of EDF+, notes of WFDB; empty where none can be read.

    Those outside the recording are left out; ``read_marks`` counts them.
    """
    return read_marks(record)[0]


def read_marks(record: Record) -> tuple[tuple[DiaryEntry, ...], int]:
    """The diary as above, and how many event marks lie before the start of the record or beyond its end."""
    marks = _marks(record)
    inside = [(time_s, text) for time_s, text in marks if 0 <= time_s <= record.duration_s]
    return tuple(DiaryEntry(time_s, text, source=FROM_FILE) for time_s, text in inside), len(marks) - len(inside)


def _marks(record: Record) -> list[tuple[float, str]]:
    """Time in seconds and text of each event mark, by time."""
    try:
        form = format_of(main_file(record)) if record.files else None
        marks = form.marks(record) if form else []
    except Exception:  # see above
        return []
    plain = [(time_s, _plain(text)) for time_s, text in marks]
    often = {text for text, n in Counter(text for _, text in plain).items() if n > MOST_OF_A_KIND}
    return sorted({(time_s, text) for time_s, text in plain if text and text not in often})


def main_file(record: Record) -> Path:
    """The file of a record that has its header, or that lists its pieces."""
    if record.pieces:
        return record.files[0]
    header = next((path for path in record.files if path.suffix.lower() == HEADER_SUFFIX), None)
    return header or record.files[0]


def _plain(text: str) -> str:
    """A text on one line, without what cannot be printed."""
    printable = "".join(
        letter if letter.isprintable() else " " for letter in text.replace("\N{REPLACEMENT CHARACTER}", " ")
    )
    return " ".join(printable.split())[:MAX_LETTERS].strip()


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
