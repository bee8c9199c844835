"""What people wrote into WFDB records: comments of the header, and notes among the annotations."""

from __future__ import annotations

import re
from glob import escape
from pathlib import Path
from typing import Final

from ..errors import RecordError
from ..notes import Patient
from ..schema import Record
from .annotation_files import NOTE_SYMBOL, read_wfdb_annotations
from .wfdb_header import HEADER_SUFFIX, SAMPLE_SUFFIXES, header_of, stem_of

VALUE: Final = r">?\s*[:=]\s*(.+?)\s*(?=<\w|$)"  # "Recorder type: ELA MEDICAL", or INCART's "<diagnoses> ..."
TAGGED: Final = r">\s*:?\s*([^\s:<].*?)\s*(?=<\w|$)"
FIELDS: Final = {  # patterns of a comment, tried in their order
    "name": (rf"^\W*(?:patient\s+)?name{VALUE}",),
    "patient_id": (rf"^\W*(?:patient\s+)?id{VALUE}", r"^\W*patient\s+(\w+)$"),
    "birth_date": (rf"\b(?:birth\s?date|date of birth|dob|born){VALUE}",),
    "sex": (r"\b(?:sex|gender)\b>?\s*[:=]?\s*(male|female|m|f)\b", r"^\W*\d{1,3}\s+(m|f)\b"),
    "indication": (rf"\bindication{VALUE}", rf"<diagnos[ie]s{TAGGED}", rf"^\W*diagnos[ie]s{VALUE}"),
    "medication": (rf"\bmedications?{VALUE}", rf"<medications?{TAGGED}"),
    "referring_physician": (rf"\breferring physician{VALUE}",),
    "recorder": (rf"\brecorder(?:\s+type)?{VALUE}",),
}
SEX: Final = {"m": "male", "f": "female", "male": "male", "female": "female"}
MITDB_FIRST: Final = re.compile(r"^\W*\d{1,3}\s+[MF]\s+\d+\s+\d+\s+x\d")  # "69 M 1085 1629 x1": medication follows
NOTHING: Final = ("none", "unknown", "n/a", "-")
ANNOTATOR: Final = re.compile(r"\.[A-Za-z]{2,4}")
NO_ANNOTATIONS: Final = (HEADER_SUFFIX, *SAMPLE_SUFFIXES, ".pdf", ".txt", ".json", ".xws")
LAST_BYTES: Final = b"\0\0"  # of each WFDB annotation file
MAX_BYTES: Final = 1 << 24  # of an annotation file: ten beats a second for a week
COMMENTARY: Final = ("MISSB", "PSE", "TS")  # PhysioNet's marks of a missed beat, a pause, slipping tape
DEFINITION: Final = "##"  # begins a note that is meant for programs


def patient_of(path: Path) -> Patient:
    """Patient and recorder, as far as the header's comments state them."""
    content = header_of(stem_of(path)).read_bytes().decode("utf-8", errors="replace")
    comments = [line.lstrip()[1:].strip() for line in content.splitlines() if line.lstrip().startswith("#")]
    found = {field: _first(patterns, comments) for field, patterns in FIELDS.items()}
    found["sex"] = SEX.get(found["sex"].casefold(), "")
    if len(comments) > 1 and MITDB_FIRST.match(comments[0]):
        found["medication"] = found["medication"] or comments[1]
    return Patient(**{field: "" if text.casefold() in NOTHING else text for field, text in found.items()})


def marks_of(record: Record) -> list[tuple[float, str]]:
    """Time in seconds and text of each note in the annotation files beside a header, commentary left out."""
    header = next(path for path in record.files if path.suffix.lower() == HEADER_SUFFIX)
    marks = []
    for path in sorted(header.parent.glob(f"{escape(header.stem)}.*")):
        if not may_hold_annotations(path):
            continue
        try:
            found = read_wfdb_annotations(path, record.fs_hz)
        except RecordError:
            continue
        notes = zip(found.time_s.tolist(), found.symbol.tolist(), found.aux.tolist(), strict=True)
        marks += [(time_s, text) for time_s, symbol, text in notes if symbol == NOTE_SYMBOL and _is_mark(text)]
    return marks


def _first(patterns: tuple[str, ...], comments: list[str]) -> str:
    for pattern in patterns:
        for comment in comments:
            if found := re.search(pattern, comment, re.IGNORECASE):
                return found[1].strip()
    return ""


def may_hold_annotations(path: Path) -> bool:
    """Whether a file has a suffix of an annotator, and ends as each WFDB annotation file does."""
    suffix = path.suffix.lower()
    if not ANNOTATOR.fullmatch(suffix) or suffix in NO_ANNOTATIONS or not path.is_file():
        return False
    size = path.stat().st_size
    if not len(LAST_BYTES) < size <= MAX_BYTES:
        return False
    with path.open("rb") as stream:
        stream.seek(size - len(LAST_BYTES))
        return stream.read() == LAST_BYTES


def _is_mark(text: str) -> bool:
    plain = text.strip()
    return plain.isprintable() and plain not in ("", *COMMENTARY) and not plain.startswith(DEFINITION)
