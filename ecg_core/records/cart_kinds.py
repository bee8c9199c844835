"""How files of electrocardiographs are recognised; the module that reads a kind loads when its first file is opened."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Final

from ..notes import Patient
from ..overrides import RecordOverrides
from ..schema import Record

PROLOG_BYTES: Final = 1 << 16  # before the root element: declarations and comments
SKIPPED = re.compile(r"\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>", re.DOTALL)
ROOT = re.compile(r"<(?:[A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)")
UTF16_LETTERS: Final = {b"<\0": "utf-16-le", b"\0<": "utf-16-be"}  # a document without a byte order mark
MORTARA_MARKS: Final = (
    "<CHANNEL",
    "UNITS_PER_MV",
    "ACQUISITION_TIME",
    "<TYPICAL_CYCLE",
)  # "ECG" alone is a common name
PREAMBLE_BYTES, HEADER_BYTES, POINTER_BYTES = 6, 16, 10  # of SCP-ECG
FIRST_POINTER_AT = PREAMBLE_BYTES + HEADER_BYTES
SCP_MAGIC, SCP_MAGIC_AT = b"SCPECG", 16  # in the header of section 0, from version 1.3 on
ATC_MAGIC: Final = b"ALIVE\0\0\0"
JSON_MARK: Final = re.compile(r'"(waveformSamples|signal)"\s*:\s*\[')
MFER_MAGIC, MFER_MAGIC_AT = b"MFR ", 2  # the first words of the preamble
MFER_SUFFIXES = (".mwf", ".mfer", ".mfr")
MFER_PREAMBLE = 0x40
MFER_FIRST_TAGS: Final = (MFER_PREAMBLE, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x08, 0x0A, 0x0B)

Opener = Callable[[Path, RecordOverrides], Record]
PatientReader = Callable[[Path], Patient]


def reader_of(module: str, function: str) -> tuple[Opener, PatientReader]:
    """The functions of a module of this package that open a file and read its patient."""

    def open_file(path: Path, overrides: RecordOverrides) -> Record:
        record: Record = getattr(import_module(f".{module}", __package__), function)(path, overrides)
        return record

    def read_patient(path: Path) -> Patient:
        patient: Patient = import_module(f".{module}", __package__).patient_of(path)
        return patient

    return open_file, read_patient


def root_name(path: Path, first: bytes) -> str:
    """Name of the root element of a document, without its prefix; empty where a file is no XML.

    Examples
    --------
    >>> root_name(Path("x.xml"), b"<!-- of a cart --><RestingECG>")
    'RestingECG'

    """
    if not _text(first).lstrip().startswith("<"):
        return ""
    return _root(_text(first)) or _root(beginning(path, first))


def beginning(path: Path, first: bytes) -> str:
    """The first text of a document, longer than the bytes by which formats are recognised."""
    if not path.is_file():
        return _text(first)
    with path.open("rb") as stream:
        return _text(stream.read(PROLOG_BYTES))


def _text(content: bytes) -> str:
    """The beginning of a document; what its encoding makes of letters beyond ASCII does not matter."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    return content.removeprefix(b"\xef\xbb\xbf").decode(UTF16_LETTERS.get(content[:2], "latin-1"), errors="replace")


def _root(text: str) -> str:
    place = 0
    while found := SKIPPED.match(text, place):
        place = found.end()
    name = ROOT.match(text, place)
    return name[1] if name and name.end() < len(text) else ""  # at the end of the text, the name may go on


def is_aecg(path: Path, first: bytes) -> bool:
    """Whether a file is an HL7 annotated ECG."""
    return root_name(path, first) == "AnnotatedECG"


def is_muse(path: Path, first: bytes) -> bool:
    """Whether a file is XML of GE MUSE."""
    return root_name(path, first) == "RestingECG"


def is_sierra(path: Path, first: bytes) -> bool:
    """Whether a file is XML of Philips."""
    return root_name(path, first) == "restingecgdata"


def is_mortara(path: Path, first: bytes) -> bool:
    """Whether a file is XML of Mortara."""
    if root_name(path, first) != "ECG":
        return False
    text = beginning(path, first)
    return any(mark in text for mark in MORTARA_MARKS)


def is_atc(_path: Path, first: bytes) -> bool:
    """Whether a file begins with the signature of AliveCor."""
    return first.startswith(ATC_MAGIC)


def is_watch_json(path: Path, first: bytes) -> bool:
    """Whether a file is JSON with the samples of an ECG soon after its beginning."""
    if not _text(first).lstrip().startswith(("{", "[")):
        return False
    return bool(JSON_MARK.search(beginning(path, first)))


def is_scp(_path: Path, first: bytes) -> bool:
    """Whether a file begins with the pointers of SCP-ECG."""
    if len(first) < FIRST_POINTER_AT + POINTER_BYTES:
        return False
    number, length = struct.unpack_from("<HI", first, PREAMBLE_BYTES + 2)
    pointed, _, index = struct.unpack_from("<HII", first, FIRST_POINTER_AT)
    if number != 0 or length < HEADER_BYTES + POINTER_BYTES:
        return False
    named = first[SCP_MAGIC_AT : SCP_MAGIC_AT + len(SCP_MAGIC)] == SCP_MAGIC
    return named or ((length - HEADER_BYTES) % POINTER_BYTES == 0 and (pointed, index) == (0, PREAMBLE_BYTES + 1))


def is_mfer(path: Path, first: bytes) -> bool:
    """Whether a file begins with the preamble of MFER, or by its suffix and its first tag may."""
    named = (
        first[:1] == bytes((MFER_PREAMBLE,)) and first[MFER_MAGIC_AT : MFER_MAGIC_AT + len(MFER_MAGIC)] == MFER_MAGIC
    )
    return named or (path.suffix.lower() in MFER_SUFFIXES and first[:1] != b"" and first[0] in MFER_FIRST_TAGS)
