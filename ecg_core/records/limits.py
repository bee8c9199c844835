"""What every record has to be, whatever its format."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import RecordError
from ..text import one_line

MIN_FS_HZ, MAX_FS_HZ = 50.0, 10_000.0  # below, no QRS can be told; above, it is no surface ECG
MIN_DURATION_S = 5.0  # a few beats are needed to say anything
MAX_DURATION_S = 60 * 86_400.0  # patches are worn for two weeks; a header that says years is damaged
MAX_LEADS = 64  # a 12-lead recorder with all it measures beside; a table of more columns is no ECG

MOST_RATIO = 200  # what is unpacked to what was packed: no signal is that regular; more is a bomb, or damage


def check_length(name: str, fs_hz: float, n_samples: int) -> None:
    """Refuse rates that no ECG has, and recordings that are too short, or longer than any recorder runs.

    Raises
    ------
    RecordError
        With what was found and what was expected.

    """
    if not MIN_FS_HZ <= fs_hz <= MAX_FS_HZ:
        raise RecordError(
            f"{name}: its sampling rate is {fs_hz:g} Hz, expected {MIN_FS_HZ:g} to {MAX_FS_HZ:g} Hz. Check the "
            "rate that the file states."
        )
    if n_samples / fs_hz < MIN_DURATION_S:
        raise RecordError(
            f"{name}: the record is {n_samples / fs_hz:.1f} s long, at least {MIN_DURATION_S:g} s are needed to judge "
            "beats; choose a longer record."
        )
    if n_samples / fs_hz > MAX_DURATION_S:
        raise RecordError(
            f"{name}: states {n_samples:,} samples, {n_samples / fs_hz / 86_400:,.0f} days, at most "
            f"{MAX_DURATION_S / 86_400:.0f} are expected; its header is damaged. Copy or export it anew."
        )


def check_leads(name: str, n_leads: int) -> None:
    """Refuse what has more leads than any ECG.

    Raises
    ------
    RecordError
        With what was found and what was expected.

    """
    if not 1 <= n_leads <= MAX_LEADS:
        raise RecordError(
            f"{name}: has {n_leads} leads, expected 1 to {MAX_LEADS}; it is no ECG, or its header is damaged."
        )


def distinct_names(names: Sequence[str | None]) -> tuple[str, ...]:
    """Names of leads on one line, each made different from those before it and none empty."""
    result: dict[str, str] = {}
    for number, name in enumerate(names, 1):
        plain = own = one_line(name or "").strip() or f"lead {number}"
        copy = 1
        while own.casefold() in result:
            copy += 1
            own = f"{plain} ({copy})"
        result[own.casefold()] = own
    return tuple(result.values())
