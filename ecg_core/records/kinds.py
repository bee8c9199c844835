"""What a file is by its first bytes, in words, and what to do with one that is no recording."""

from __future__ import annotations

from pathlib import Path
from typing import Final

FIRST_BYTES = 512
READ_HERE = "WFDB, EDF, BDF, ISHNE, DICOM, CSV, Parquet, MATLAB, an archive of one"
EXPORT = "export the recording itself, for example as EDF"
# First bytes, where they stand, what the file is, and what to do where that is no recording
KINDS: Final[tuple[tuple[int, bytes, str, str], ...]] = (
    (192, b"EDF+D", "EDF+, interrupted", ""),
    (192, b"EDF+", "EDF+", ""),
    (192, b"BDF+", "BDF+", ""),
    (0, b"0       ", "EDF", ""),
    (0, b"\xffBIOSEMI", "BDF", ""),
    (0, b"ISHNE1.0", "ISHNE", ""),
    (128, b"DICM", "DICOM", ""),
    (0, b"PAR1", "Parquet", ""),
    (0, b"MATLAB", "MATLAB", ""),
    (0, b"PK\x03\x04", "zip archive", ""),
    (0, b"\x1f\x8b", "gzip archive", ""),
    (0, b"ISHNE", "ISHNE file of another version", EXPORT),
    (0, b"ANN", "ISHNE annotation file", "open the .ecg file that belongs to it"),
    (0, b"%PDF", "PDF document", f"a printed report holds no samples; {EXPORT}"),
    (0, b"\x89PNG", "PNG picture", f"a picture holds no samples; {EXPORT}"),
    (0, b"\xff\xd8\xff", "JPEG picture", f"a picture holds no samples; {EXPORT}"),
    (0, b"\x89HDF", "HDF5 file", f"it is not read here; {EXPORT}"),
    (0, b"\xd0\xcf\x11\xe0", "old Office document", "save the table as CSV"),
    (0, b"<?xml", "XML document", f"XML is not read here; {EXPORT}"),
    (0, b"\xef\xbb\xbf<?xml", "XML document", f"XML is not read here; {EXPORT}"),
    (0, b"{", "JSON document", f"it is not read here; {EXPORT}"),
    (0, b"7z\xbc\xaf", "7-Zip archive", "unpack it, or pack the record as zip"),
    (0, b"Rar!", "RAR archive", "unpack it, or pack the record as zip"),
    (0, b"BZh", "bzip2 archive", "unpack it, or pack the record as zip"),
    (0, b"\xfd7zXZ", "xz archive", "unpack it, or pack the record as zip"),
    (0, b"MZ", "Windows program", "open a recording"),
    (0, b"\x7fELF", "Linux program", "open a recording"),
)


def kind_of(path: Path) -> str:
    """Name of a file's format; WFDB where it is given without ending, as one record of several files."""
    if path.suffix.lower() in (".dat", ".atr") and path.with_suffix(".hea").is_file():
        return "WFDB"  # whose samples may begin with anything
    known = _known(first_bytes(path))
    if known:
        return known[0]
    if path.suffix.lower() in (".csv", ".tsv", ".txt") and path.is_file():
        return "table of text"
    return "MATLAB" if path.suffix.lower() == ".mat" else "WFDB"


def what_instead(path: Path, first: bytes) -> str:
    """What is wrong with a file that no reader knows, and what to do."""
    if not first:
        return "is empty; copy or export it anew."
    known = _known(first)
    if known and known[1]:
        return f"is no recording, but a {known[0]}; {known[1]}."
    if not any(first):
        return "begins with zeros alone, which a broken copy does; copy or export it anew."
    if b"\0" not in first and path.suffix.lower() in ("", ".txt", ".dat", ".asc"):
        return f"is text of no format that is read here ({READ_HERE}); a table needs the ending .csv."
    return (
        f"its first bytes are of no format that is read here ({READ_HERE}); it may have been renamed or be damaged. "
        "Export it anew in one of these."
    )


def _known(first: bytes) -> tuple[str, str] | None:
    """Name of a format and what to do with it."""
    return next(((name, what) for place, magic, name, what in KINDS if first[place:].startswith(magic)), None)


def first_bytes(path: Path) -> bytes:
    """What a file begins with; nothing where there is none."""
    if not path.is_file():
        return b""
    with path.open("rb") as stream:
        return stream.read(FIRST_BYTES)
