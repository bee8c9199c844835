"""Files that are not recordings: what they are, by their first bytes, and what to open instead."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

EXPORT = "export the recording itself, for example as EDF"
UNPACK = "unpack it, or pack the record as zip"
XML = f"XML is read as HL7 annotated ECG and as that of GE MUSE, Philips and Mortara alone; {EXPORT}"
SPOKEN_WITH_A_VOWEL = ("ISHNE", "HDF5", "XML", "HTML", "ATC", "old", "xz")  # first words of names that "an" precedes
TEXT_SUFFIXES = ("", ".txt", ".dat", ".asc")  # of files whose text is worth a hint


@dataclass(frozen=True)
class Foreign:
    """A kind of file that holds no recording, or none that is read here."""

    magic: bytes  # its first bytes
    name: str
    remedy: str


FOREIGN: Final = (
    Foreign(b"ISHNE", "ISHNE file of another version", EXPORT),
    Foreign(b"ANN", "ISHNE annotation file", "open the .ecg file that belongs to it"),
    Foreign(b"%PDF", "PDF document", f"a printed report holds no samples; {EXPORT}"),
    Foreign(b"\x89PNG", "PNG picture", f"a picture holds no samples; {EXPORT}"),
    Foreign(b"\xff\xd8\xff", "JPEG picture", f"a picture holds no samples; {EXPORT}"),
    Foreign(b"\x89HDF", "HDF5 file", f"it is not read here; {EXPORT}"),
    Foreign(b"\xd0\xcf\x11\xe0", "old Office document", "save the table as CSV"),
    Foreign(b"ECG-JOIN", "list of the pieces of a recording", "give it the suffix .join"),
    Foreign(b"ALIVE", "ATC file of AliveCor", f"it is not read here; {EXPORT}"),
    Foreign(b"7z\xbc\xaf", "7-Zip archive", UNPACK),
    Foreign(b"Rar!", "RAR archive", UNPACK),
    Foreign(b"BZh", "bzip2 archive", UNPACK),
    Foreign(b"\xfd7zXZ", "xz archive", UNPACK),
    Foreign(b"MZ", "Windows program", "open a recording"),
    Foreign(b"\x7fELF", "Linux program", "open a recording"),
)
MARKUP: Final = (  # by the pattern of the text, for none of these needs a declaration
    (r"(?i:<(!doctype )?html\b)", Foreign(b"<html", "HTML document", f"a page holds no samples; {EXPORT}")),
    (r"<[?!A-Za-z_]", Foreign(b"<", "XML document of another kind", XML)),
    (r'\{\s*("|\}|$)|\[\s*[\[{]', Foreign(b"{", "JSON document", f"it is not read here; {EXPORT}")),
)


def markup_kind(first: bytes) -> Foreign | None:
    """The kind of a text in XML, HTML or JSON; None for any other file."""
    encoding = "utf-16" if first.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    text = first.decode(encoding, errors="replace").lstrip()
    return next((kind for pattern, kind in MARKUP if re.match(pattern, text)), None)


def foreign_kind(first: bytes) -> Foreign | None:
    """The kind of a file that is not a recording; None where its first bytes are of no known kind."""
    return next((kind for kind in FOREIGN if first.startswith(kind.magic)), None) or markup_kind(first)


def what_instead(path: Path, first: bytes, *, formats: str) -> str:
    """What is wrong with a file of no known format, and what to do.

    Parameters
    ----------
    formats
        Names of the formats that are read.

    """
    kind = foreign_kind(first)
    if not first:
        return "is empty; copy or export it again."
    if kind:
        article = "an" if kind.name.startswith(SPOKEN_WITH_A_VOWEL) else "a"
        return f"is not a recording but {article} {kind.name}; {kind.remedy}."
    if not any(first):
        return "begins with nothing but zeros, as broken copies do; copy or export it again."
    if b"\0" not in first and path.suffix.lower() in TEXT_SUFFIXES:
        return f"is text of no known format ({formats}); a table needs the suffix .csv."
    return (
        f"its first bytes are of no known format ({formats}); it may have been renamed, or it is damaged. Export it "
        "again in one of these."
    )
