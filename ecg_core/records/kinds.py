"""Files that are not recordings: what they are, by their first bytes, and what to open instead."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import RecordError

EXPORT = "Export the recording itself, for example as EDF."
UNPACK = "Unpack it, or pack the record as zip."
NOT_READ = "; it is not read here"
JSON = "; JSON is read as the ECG of Fitbit, Google Health and Withings alone"
XML = "; XML is read as HL7 annotated ECG and as that of GE MUSE, Philips and Mortara alone"
SPOKEN_WITH_A_VOWEL = ("ISHNE", "HDF5", "XML", "HTML", "old", "xz")  # first words of names that "an" precedes
TEXT_SUFFIXES = ("", ".txt", ".dat", ".asc")  # of files whose text is worth a hint


@dataclass(frozen=True)
class Foreign:
    """A kind of file that holds no recording, or none that is read here."""

    magic: bytes  # its first bytes
    name: str
    advice: str
    reason: str = ""  # why it is not read, after its name


FOREIGN: Final = (
    Foreign(b"ISHNE", "ISHNE file of another version", EXPORT),
    Foreign(b"ANN", "ISHNE annotation file", "Open the .ecg file that belongs to it."),
    Foreign(b"%PDF", "PDF document", EXPORT, "; a printed report holds no samples"),
    Foreign(b"\x89PNG", "PNG picture", EXPORT, "; a picture holds no samples"),
    Foreign(b"\xff\xd8\xff", "JPEG picture", EXPORT, "; a picture holds no samples"),
    Foreign(b"\x89HDF", "HDF5 file", EXPORT, NOT_READ),
    Foreign(b"\xd0\xcf\x11\xe0", "old Office document", "Save the table as CSV."),
    Foreign(b"ECG-JOIN", "list of the pieces of a recording", "Give it the suffix .join."),
    Foreign(b"7z\xbc\xaf", "7-Zip archive", UNPACK),
    Foreign(b"Rar!", "RAR archive", UNPACK),
    Foreign(b"BZh", "bzip2 archive", UNPACK),
    Foreign(b"\xfd7zXZ", "xz archive", UNPACK),
    Foreign(b"MZ", "Windows program", "Open a recording."),
    Foreign(b"\x7fELF", "Linux program", "Open a recording."),
)
MARKUP: Final = (  # by the pattern of the text, for none of these needs a declaration
    (r"(?i:<(!doctype )?html\b)", Foreign(b"<html", "HTML document", EXPORT, "; a page holds no samples")),
    (r"<[?!A-Za-z_]", Foreign(b"<", "XML document of another kind", EXPORT, XML)),
    (r'\{\s*("|\}|$)|\[\s*[\[{]', Foreign(b"{", "JSON document", EXPORT, JSON)),
)


def markup_kind(first: bytes) -> Foreign | None:
    """The kind of a text in XML, HTML or JSON; None for any other file."""
    encoding = "utf-16" if first.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    text = first.decode(encoding, errors="replace").lstrip()
    return next((kind for pattern, kind in MARKUP if re.match(pattern, text)), None)


def foreign_kind(first: bytes) -> Foreign | None:
    """The kind of a file that is not a recording; None where its first bytes are of no known kind."""
    return next((kind for kind in FOREIGN if first.startswith(kind.magic)), None) or markup_kind(first)


def not_a_recording(path: Path, first: bytes, *, formats: str) -> RecordError:
    """The error for a file of no known format: what it is, and what to do.

    Parameters
    ----------
    formats
        Names of the formats that are read.

    """
    kind = foreign_kind(first)
    if kind:
        article = "an" if kind.name.startswith(SPOKEN_WITH_A_VOWEL) else "a"
        what, advice = f"is not a recording but {article} {kind.name}{kind.reason}", kind.advice
    elif not first:
        what, advice = "is empty", "Copy or export it again."
    elif not any(first):
        what, advice = "begins with nothing but zeros, as broken copies do", "Copy or export it again."
    elif b"\0" not in first and path.suffix.lower() in TEXT_SUFFIXES:
        what, advice = f"is text of no known format ({formats})", "Give it the suffix .csv if it is a table."
    else:
        what = f"its first bytes are of no known format ({formats}); it may have been renamed, or it is damaged"
        advice = "Export it again in one of these."
    return RecordError(what, where=path.name, advice=advice)
