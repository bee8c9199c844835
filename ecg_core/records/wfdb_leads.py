"""Which signals of a WFDB record are leads of an ECG: by their names and units, as the format itself does not say."""

from __future__ import annotations

import re
from typing import Final

from ..text import format_quoted
from .other_signals import other_signal
from .units import ASSUMED_PER_MV, mv_of_unit
from .wfdb_header import SignalLine

UNITS: Final = ("mv", "uv", "v", "nv", "millivolt", "millivolts", "microvolt", "microvolts", "volt", "volts")
COUNTS: Final = ("adu", "nu", "au", "a.u.", "du", "lsb", "count", "counts", "unit", "units", "unitless", "unknown")
ECG_NAME: Final = re.compile(  # I, aVR, V1, MLII, ML2, CM5, MCL1, D3, "mod.V1", "lead II", or what says ECG
    r".*\b(ecg|ekg|electrocardio\w*)([\W\d_].*)?|(lead|mod\.?|modified)?[\W_]*(m?l?(i{1,3}|[123])|a?v[rlf]|v[1-9]r?|mv[1-6]"
    r"|m?cl[1-6]|c[mcsrb]\d|d[1-3]|[nedais])",
    re.IGNORECASE | re.ASCII,
)


def why_no_lead(signal: SignalLine) -> str | None:
    """Why a signal is no lead of an ECG; None where it is one.

    A unit that is not of voltage decides, then the name. A signal of an unknown name in a unit of voltage, or without
    a unit, which is WFDB's millivolt, is a lead.
    """
    is_named = is_ecg_name(signal.name)
    if _mv_of(signal.unit) is None and not (signal.unit.casefold() in COUNTS and (is_named or not signal.name)):
        return f"in {format_quoted(signal.unit)}, which is no unit of an ECG"
    what = "" if is_named else other_signal(signal.name)
    return f"its name is that of {what}" if what else None


def is_ecg_name(name: str) -> bool:
    """Whether a name is that of a lead.

    Examples
    --------
    >>> [is_ecg_name(name) for name in ("MLII", "ECG resp", "RESP", "ABP")]
    [True, True, False, False]

    """
    return bool(ECG_NAME.fullmatch(name.strip()))


def scale_of(signal: SignalLine) -> tuple[float, float, bool]:
    """Counts per unit, millivolts of this unit, and whether the header states them.

    Where the gain is missing, or in counts, WFDB's 200 counts per millivolt are assumed.
    """
    unit_mv = _mv_of(signal.unit)
    if unit_mv is None:
        return ASSUMED_PER_MV, 1.0, False
    return signal.gain, unit_mv, signal.states_gain


def _mv_of(unit: str) -> float | None:
    """Millivolts of a unit as WFDB writes it, no unit being a millivolt."""
    plain = unit.casefold()
    if not plain.isascii() and plain.endswith("v"):
        plain = "uv"  # the micro sign has many encodings
    return mv_of_unit(plain or "mv", UNITS)
