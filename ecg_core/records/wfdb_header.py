"""Headers of WFDB records (https://wfdb.io/spec/header-files.html).

They are parsed here and not by the wfdb library, which replaces what it does not understand by defaults in silence,
drops letters that are not ASCII, and takes longer to load than a short record to read. It is the oracle of the tests.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import RecordError
from ..text import format_quoted, plural
from .limits import MAX_FS_HZ, MIN_FS_HZ
from .overrides import missing_metadata
from .units import ASSUMED_PER_MV
from .wfdb_start import UNFINISHED, Start, parse_start, unfinished_start

HEADER_SUFFIX, REFERENCE_SUFFIX = ".hea", ".atr"
SAMPLE_SUFFIXES = (".dat", ".mat")
UNTIL_NAME = 8  # fields of a signal's line before the name of its lead
AGE_PATTERNS = (r"\bage\b>?\s*[:=]?\s*(\d{1,3})\b", r"^\s*(\d{1,3})\s+[MF]\b")

COUNT: Final = re.compile(r"\d{1,18}", re.ASCII)
INTEGER: Final = re.compile(r"[-+]?\d{1,18}", re.ASCII)
RATE: Final = re.compile(r"(\d{1,9}\.?\d{0,18})(?:/[^\s(]*)?(?:\([^)]*\))?", re.ASCII)  # Hz, counter, first count
FORM: Final = re.compile(r"(\d{1,9})(?:x(\d{1,5}))?(?::(\d{1,9}))?(?:\+(\d{1,15}))?", re.ASCII)
GAIN: Final = re.compile(
    r"([-+]?(?:\d{1,18}\.?\d{0,18}|\.\d{1,18})(?:[eE][-+]?\d{1,2})?)?(?:\(([-+]?\d{0,18})\))?(?:/(\S*))?", re.ASCII
)


@dataclass(frozen=True)
class SignalLine:
    """What a header states of one signal."""

    file_name: str
    form: str  # number of the format
    per_frame: int  # samples in a frame
    skew: int  # frames by which it lies behind the others in its file
    offset: int  # bytes before the first frame; of a compressed file, samples
    gain: float  # counts per unit
    states_gain: bool
    baseline: int  # the count of 0
    unit: str  # "" where it is not stated
    first: int  # value of its first sample, from which format 8 counts
    name: str


@dataclass(frozen=True)
class Header:
    """What a header states; ``signals`` or ``segments`` is empty."""

    path: Path
    fs_hz: float  # of the frames
    states_rate: bool
    n_signals: int
    n_frames: int  # 0 where the length is not stated
    start: Start
    comments: tuple[str, ...]
    doubts: tuple[str, ...]
    signals: tuple[SignalLine, ...]
    segments: tuple[tuple[str, int], ...]  # name and frames of each segment; empty for a record of one

    @property
    def is_of_segments(self) -> bool:
        """Whether it lists segments instead of signals."""
        return bool(self.segments)


def stem_of(path: Path) -> Path:
    """The path of a record without suffix; its name may contain dots.

    Raises
    ------
    RecordError
        No header exists there.

    """
    known = {HEADER_SUFFIX, REFERENCE_SUFFIX, *SAMPLE_SUFFIXES}
    stem = path.with_suffix("") if path.suffix.lower() in known else path
    if header_of(stem).is_file():
        return stem
    if path.is_dir():
        raise RecordError(
            where=path, expected="a record", got="a folder", advice="Choose one of the records inside it."
        )
    if path.is_file() and header_of(path.with_suffix("")).is_file():
        raise RecordError(
            f"is an annotation file of the WFDB record {path.stem}, not a recording",
            where=path.name,
            advice=f"Open {path.stem}, or choose this file where annotations are expected.",
        )
    found = sorted(p.stem for p in headers_in(stem.parent))[:5] if stem.parent.is_dir() else []
    hint = f"records there: {', '.join(found)}" if found else "there are no records in that folder"
    raise RecordError(
        f"this header file does not exist ({hint})", where=header_of(stem), advice="Check the path of the record."
    )


def header_of(stem: Path) -> Path:
    """The header of a record or segment."""
    return with_ending(stem, HEADER_SUFFIX)


def headers_in(folder: Path) -> list[Path]:
    """Headers of a folder, their suffix in either case."""
    found = {*folder.glob(f"*{HEADER_SUFFIX}"), *folder.glob(f"*{HEADER_SUFFIX.upper()}")}
    return sorted(path for path in found if path.is_file())


def with_ending(stem: Path, suffix: str) -> Path:
    """A file of a record, its suffix in either case; unlike ``with_suffix``, keeps what follows a dot in the name."""
    lower, upper = (stem.parent / f"{stem.name}{ending}" for ending in (suffix, suffix.upper()))
    return upper if not lower.exists() and upper.exists() else lower


def file_named(folder: Path, name: str) -> Path:
    """The file that a header names; its case may differ, as on disks that do not distinguish it."""
    path = folder / name
    if path.exists() or path.is_symlink():
        return path
    alike = [other for other in folder.iterdir() if other.name.casefold() == name.casefold()] if folder.is_dir() else []
    return alike[0] if len(alike) == 1 else path


def is_bare(name: str) -> bool:
    """Whether a name leads to no other folder or drive, on any operating system."""
    return not re.search(r"[\\/:\0]", name) and name not in ("", ".", "..")


def read_header(stem: Path, fs_hz: float | None = None) -> Header:
    """Parse a header; ``fs_hz`` is the rate of its frames where it states none.

    Raises
    ------
    RecordError
        The text is not a header, its rate is not a number, or a line contradicts the specification.
    MissingMetadataError
        There is no rate: the 250 Hz that the specification assumes would be a guess.

    """
    path = header_of(stem)
    lines, comments = _lines(path)
    fields = lines[0].split() if lines else []
    name, _, n_segments = fields[0].partition("/") if fields else ("", "", "")
    counts = [n_segments or "1", *fields[1:2]]
    if not name or len(counts) < 2 or not all(COUNT.fullmatch(count) for count in counts):
        raise RecordError(
            where=path.name,
            position="line 1",
            expected="that of a WFDB header",
            got=f'"{format_quoted(lines[0]) if lines else ""}"',
            advice="Check that the file was not renamed from something else.",
        )
    states_rate, of_segments = len(fields) > 2, "/" in fields[0]
    _check_number(path.name, int(fields[1]), int(counts[0]), lines[1:], of_segments=of_segments)
    fs_hz = _rate(path.name, fields[2]) if states_rate else fs_hz
    if fs_hz is None:
        raise missing_metadata(
            path.name, "its first line has no number after that of the signals", rate=True, unit=False
        )
    doubts = []
    if fields[3:4] == ["0"] and not of_segments:
        doubts.append("the header states a length of 0 samples; that of the signal file is taken")
    start = parse_start(" ".join(fields[4:])) if len(fields) > 4 else unfinished_start(comments)
    comments = tuple(comment for comment in comments if not UNFINISHED.fullmatch(comment))
    return Header(
        path=path, fs_hz=fs_hz, states_rate=states_rate, n_signals=int(fields[1]),
        n_frames=_length(path.name, fields[3:4], fs_hz), start=start, comments=comments,
        doubts=(*doubts, *start.doubts),
        signals=() if of_segments else tuple(_signal(path.name, line) for line in lines[1:]),
        segments=tuple(_segment(path.name, line) for line in lines[1:]) if of_segments else (),
    )  # fmt: skip


def segment_names(path: Path) -> list[str]:
    """Names of the segments of a multi-segment record; none for a record of one, or for what is no header."""
    lines, _ = _lines(path)
    return [line.split()[0] for line in lines[1:]] if lines and "/" in lines[0].split()[0] else []


def _lines(path: Path) -> tuple[list[str], tuple[str, ...]]:
    """Lines of a header that are not empty, and its comments."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    lines = [line.strip(" \t\0\x1a") for line in re.split(r"\r\n|\n|\r", text)]
    comments = tuple(line.strip(" \t#") for line in lines if line.startswith("#"))
    return [line for line in lines if line.split() and not line.startswith("#")], comments


def _rate(name: str, text: str) -> float:
    found = RATE.fullmatch(text)
    if found is None:
        raise RecordError(
            where=name,
            expected="a sampling rate in Hz",
            got=f'"{format_quoted(text)}"',
            advice="Correct the first line.",
        )
    return float(found[1])


def _length(name: str, stated: list[str], fs_hz: float) -> int:
    """Frames that the first line states; 0, as the specification says, is a length that is not stated."""
    if not stated:
        return 0
    if not COUNT.fullmatch(stated[0]):
        if not MIN_FS_HZ <= fs_hz <= MAX_FS_HZ:
            return 0
        raise RecordError(
            "states no length",
            where=name,
            expected="a number of samples after the sampling rate",
            got=f'"{format_quoted(stated[0])}"',
            advice="Correct the first line.",
        )
    return int(stated[0])


def _check_number(name: str, n_signals: int, n_segments: int, lines: list[str], *, of_segments: bool) -> None:
    """Refuse a header that describes more or fewer signals or segments than it states."""
    stated, noun = (n_segments, "segment") if of_segments else (n_signals, "lead")
    if not n_signals:
        raise RecordError(
            "the record has no signals; a record with at least one ECG lead is needed",
            where=name,
            advice="If it accompanies annotations of another recording, open that one and choose its annotations "
            "there.",
        )
    if len(lines) != stated:
        raise RecordError(
            "is damaged",
            where=name,
            expected=f"{plural(stated, noun)}, as its first line states",
            got=f"{len(lines)}",
            advice="Copy it again.",
        )


def _segment(name: str, line: str) -> tuple[str, int]:
    fields = line.split()
    if len(fields) < 2 or not COUNT.fullmatch(fields[1]):
        raise RecordError(
            where=name,
            expected="the name of a segment and its number of samples",
            got=f'"{format_quoted(line)}"',
            advice="Correct this line.",
        )
    return fields[0], int(fields[1])


def _signal(name: str, line: str) -> SignalLine:
    """Parse the line of a signal; a field that is missing has the specification's default."""
    file_name, *rest = line.split(maxsplit=1)
    form = FORM.fullmatch(rest[0].split()[0]) if rest else None
    if form is None:
        raise RecordError(
            where=name,
            expected="a signal file, its format and more",
            got=f'"{format_quoted(line)}"',
            advice="Correct this line.",
        )
    after = [*rest[0].split(maxsplit=1), ""][1]
    stated = after.split(maxsplit=1)[0] if after else ""
    gain = GAIN.fullmatch(stated)
    if gain is None and stated[0] in "+-.0123456789":
        raise RecordError(
            where=name,
            expected="a gain such as 200/mV or 200(0)/mV",
            got=f'"{format_quoted(stated)}"',
            advice="Correct this line.",
        )
    after = [*after.split(maxsplit=1), ""][1] if gain and stated else after
    numbers, lead = _numbers(after)
    per_unit = float(gain[1] or 0) if gain else 0.0
    zero = numbers[1] if len(numbers) > 1 else 0
    known = math.isfinite(per_unit) and per_unit != 0
    return SignalLine(
        file_name=file_name, form=form[1], per_frame=int(form[2] or 1) or 1, skew=int(form[3] or 0),
        offset=int(form[4] or 0), gain=per_unit if known else ASSUMED_PER_MV, states_gain=known,
        baseline=int(gain[2]) if gain and gain[2] and INTEGER.fullmatch(gain[2]) else zero,
        unit=(gain[3] or "") if gain else "", first=numbers[2] if len(numbers) > 2 else zero, name=lead,
    )  # fmt: skip


def _numbers(text: str) -> tuple[list[int], str]:
    """The whole numbers that follow a gain, and the name after them; a name may follow sooner than it should."""
    numbers: list[int] = []
    while text and len(numbers) < UNTIL_NAME - 3:
        word = text.split(maxsplit=1)[0]
        if not INTEGER.fullmatch(word):
            break
        numbers.append(int(word))
        text = [*text.split(maxsplit=1), ""][1]
    return numbers, text


def age_of(comments: tuple[str, ...]) -> int | None:
    """Age in years where the comments state it: "Age: 65", INCART's "<age>: 65", or mitdb's "69 M 1085 1629 x1".

    Examples
    --------
    >>> age_of(("69 M 1085 1629 x1",))
    69

    """
    for pattern in AGE_PATTERNS:
        for comment in comments:
            if found := re.search(pattern, comment, re.IGNORECASE):
                return int(found[1])
    return None
