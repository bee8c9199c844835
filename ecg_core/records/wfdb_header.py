"""Headers of WFDB records (https://wfdb.io/spec/header-files.html): decoded by the wfdb library, and checked here.

The library silently replaces what it does not understand by defaults. What must not be lost, such as a missing gain or
letters beyond ASCII, is therefore decoded from the header's lines.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from ..errors import RecordError
from .limits import MAX_FS_HZ, MIN_DURATION_S, MIN_FS_HZ, check_length
from .units import mv_of_unit
from .wfdb_plain import plain_header

HEADER_SUFFIX, REFERENCE_SUFFIX = ".hea", ".atr"
SAMPLE_SUFFIXES = (".dat", ".mat")
UNITS: Final = ("mv", "uv", "v", "nv")
N_FIELDS = 8  # of a signal's line, before the name of its lead
AGE_PATTERNS = (r"\bage\b>?\s*[:=]?\s*(\d{1,3})\b", r"^\s*(\d{1,3})\s+[MF]\b")


def stem_of(path: Path) -> Path:
    """The path of a record without suffix; its name may contain dots.

    Raises
    ------
    RecordError
        No header exists there.

    """
    known = {HEADER_SUFFIX, REFERENCE_SUFFIX, *SAMPLE_SUFFIXES}
    stem = path.with_suffix("") if path.suffix.lower() in known else path
    header = header_of(stem)
    if header.is_file():
        return stem
    if path.is_dir():
        raise RecordError(f"{path}: is a folder, expected a record; choose one of the records inside it.")
    found = sorted(p.stem for p in stem.parent.glob(f"*{HEADER_SUFFIX}"))[:5] if stem.parent.is_dir() else []
    hint = f"records there: {', '.join(found)}" if found else "there are no records in that folder"
    raise RecordError(f"{header}: this header file does not exist ({hint}). Check the path of the record.")


def header_of(stem: Path) -> Path:
    """The header of a record or segment."""
    return with_ending(stem, HEADER_SUFFIX)


def with_ending(stem: Path, suffix: str) -> Path:
    """A file of a record; unlike ``with_suffix``, keeps what follows a dot in the record's name."""
    return stem.parent / f"{stem.name}{suffix}"


def read_header(stem: Path) -> Any:
    """The header as ``wfdb.rdheader`` decodes it, or a plain one with the same fields, with its rate checked.

    Raises
    ------
    RecordError
        The text is not a header, or its rate is not a number.

    """
    name = header_of(stem).name
    try:
        header = plain_header(header_of(stem)) or _decoded(stem)
    except Exception as error:  # the parser raises all kinds of errors on damaged text
        raise RecordError(
            f"{name}: expected a WFDB header, but its text is not one ({type(error).__name__}). "
            "Check that the file was not renamed from something else."
        ) from error
    stated = [*header_lines(header_of(stem))[0].split(), "", ""][2]
    if stated and number_of(re.split(r"[/(]", stated)[0]) != header.fs:  # the parser decodes "-360" as 250 Hz
        raise RecordError(f'{name}: expected a sampling rate in Hz, found "{stated}"; correct the first line.')
    return header


def _decoded(stem: Path) -> Any:
    import wfdb  # noqa: PLC0415  # a third of a second, for headers that are not plain

    return wfdb.rdheader(str(stem))


def states_length(stem: Path) -> bool:
    """Whether the first line of the header states a length, after name, number of leads and rate."""
    return len(header_lines(header_of(stem))[0].split()) > 3


def check_header(stem: Path, header: Any) -> None:
    """Refuse a header without signals, or with an impossible rate or length.

    Raises
    ------
    RecordError
        With what was found and what was expected.

    """
    name = header_of(stem).name
    if not header.n_sig:
        raise RecordError(f"{name}: the record has no signals; a record with at least one ECG lead is needed.")
    if not header.sig_len and MIN_FS_HZ <= header.fs <= MAX_FS_HZ:
        raise RecordError(
            f"{name}: the record is empty or states no length (0 samples); at least {MIN_DURATION_S:g} s are needed. "
            "Check the number after the sampling rate."
        )
    check_length(name, float(header.fs), int(header.sig_len or 0))


def is_bare(name: str) -> bool:
    """Whether a name leads to no other folder or drive, on any operating system."""
    return not re.search(r"[\\/:]", name) and name not in ("", ".", "..")


def signal_lines(stem: Path) -> list[list[str]]:
    """The fields of each line that describes a signal."""
    return [line.split() for line in header_lines(header_of(stem))[1:]]


def lead_names_of(stem: Path, header: Any) -> list[str]:
    """The name of each signal; the parser drops letters that are not ASCII, the header's lines have them."""
    lines = header_lines(header_of(stem))[1:]
    written = [[*line.split(maxsplit=N_FIELDS), *[""] * (N_FIELDS + 1)][N_FIELDS] for line in lines]
    return [parsed if name.isascii() else name for name, parsed in zip(written, header.sig_name or [], strict=False)]


def header_lines(path: Path) -> list[str]:
    """Lines of a header without comments and empty lines."""
    content = path.read_bytes()
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        lines = content.decode("latin-1").splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def segment_lines(path: Path) -> list[str]:
    """Lines that name the segments of a multi-segment record; none for a record of one segment."""
    lines = header_lines(path)
    return lines[1:] if lines and "/" in lines[0].split()[0] else []


def unit_mv_of(gain: str) -> float:
    """Millivolts of the unit in a gain field, such as "200(0)/mV"; a missing or unknown unit is taken as mV."""
    unit = gain.partition("/")[2] or "mv"
    mv = mv_of_unit(unit if unit.isascii() else "uv", UNITS)  # the micro sign has many encodings
    return 1.0 if mv is None else mv


def states_gain(gain: str) -> bool:
    """Whether a gain field states a gain; WFDB writes 0, or nothing, where none is known."""
    return number_of(re.split(r"[/(]", gain)[0]) != 0


def number_of(text: str) -> float:
    """A number, or 0 where the text is not one."""
    try:
        return float(text)
    except ValueError:
        return 0.0


def start_of(header: Any) -> datetime | None:
    """Date and time of the first sample; None unless the header states both."""
    if header.base_date is None or header.base_time is None:
        return None
    return datetime.combine(header.base_date, header.base_time)


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
