"""What every record has to satisfy, whatever its format: a plausible rate, length and number of leads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import RecordError
from ..text import one_line, plural

MIN_FS_HZ, MAX_FS_HZ = 50.0, 10_000.0  # below, the QRS cannot be recognised; above, it is not a surface ECG
MIN_DURATION_S = 5.0  # a few beats are needed to classify any of them
MAX_DURATION_S = 60 * 86_400.0  # patches are worn for two weeks; a header that states years is damaged
MAX_LEADS = 64  # a 12-lead recorder with everything it measures beside the ECG; a table of more columns is not an ECG
FIRST_YEAR, LAST_YEAR = 1900, 2200  # a start outside of these is damage

MAX_EXPANSION = 200  # bytes after decompression per byte before: no signal is more regular; more is a bomb, or damage


def check_length(name: str, fs_hz: float, n_samples: int) -> None:
    """Refuse rates that no ECG has, and recordings that are too short, or longer than any recorder runs.

    Raises
    ------
    RecordError
        With what was found and what was expected.

    """
    if not MIN_FS_HZ <= fs_hz <= MAX_FS_HZ:
        raise RecordError(
            "its sampling rate is none of an ECG",
            where=name,
            expected=f"{MIN_FS_HZ:g} to {MAX_FS_HZ:g} Hz",
            got=f"{fs_hz:g} Hz",
            advice="Check the rate that the file states.",
        )
    if n_samples / fs_hz < MIN_DURATION_S:
        raise RecordError(
            "the record is too short to classify beats",
            where=name,
            expected=f"at least {MIN_DURATION_S:g} s",
            got=f"{n_samples / fs_hz:.1f} s",
            advice="Choose a longer record.",
        )
    if n_samples / fs_hz > MAX_DURATION_S:
        raise RecordError(
            "its header is damaged",
            where=name,
            expected=f"at most {MAX_DURATION_S / 86_400:.0f} days",
            got=f"{plural(n_samples, 'sample')}, {n_samples / fs_hz / 86_400:,.0f} days",
            advice="Copy or export it again.",
        )


def read_whole(path: Path, most_bytes: int, *, what: str, advice: str = "Copy or export it again.") -> bytes:
    """The bytes of a small file.

    Parameters
    ----------
    what
        What a file of more than ``most_bytes`` is, or is not.

    Raises
    ------
    RecordError
        It is larger.

    """
    size = path.stat().st_size
    if size > most_bytes:
        raise RecordError(
            what, where=path.name, expected=f"at most {most_bytes >> 20} MB", got=f"{size >> 20:,} MB", advice=advice
        )
    return path.read_bytes()


def check_leads(name: str, n_leads: int) -> None:
    """Refuse a file with no lead, or with more than any ECG has.

    Raises
    ------
    RecordError
        With what was found and what was expected.

    """
    if not 1 <= n_leads <= MAX_LEADS:
        raise RecordError(
            "it is not an ECG, or its header is damaged",
            where=name,
            expected=f"1 to {MAX_LEADS} leads",
            got=f"{n_leads:,}",
            advice="Export the ECG alone.",
        )


def distinct_names(names: Sequence[str | None]) -> tuple[str, ...]:
    """Names of leads, each on one line, none empty, and no two equal in any case.

    Examples
    --------
    >>> distinct_names(["II", "ii", None])
    ('II', 'ii (2)', 'lead 3')

    """
    result: dict[str, str] = {}
    for number, name in enumerate(names, 1):
        plain = distinct = one_line(name or "").strip() or f"lead {number}"
        copy = 1
        while distinct.casefold() in result:
            copy += 1
            distinct = f"{plain} ({copy})"
        result[distinct.casefold()] = distinct
    return tuple(result.values())


def length_doubt(stated_s: float, held_s: float) -> str:
    """The doubt about a file that is longer or shorter than its header states.

    Examples
    --------
    >>> length_doubt(240, 143.99)
    'the header states 240 s, the file holds 144 s'

    """
    digits = 0 if abs(stated_s - held_s) >= 1 else 3
    stated, held = (f"{length_s:,.{digits}f} s" for length_s in (stated_s, held_s))
    return f"the header states {stated}, the file holds {held}"
