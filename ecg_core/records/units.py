"""Units of voltage and of time, and what each is in millivolts and in seconds.

The numbers stand here once. Which spellings a format accepts stands with the format: a unit is never guessed from a
spelling that its standard does not know.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

MICRO_SIGN, GREEK_MU = "\u00b5", "\u03bc"  # two letters that look the same; files hold either
ASSUMED_PER_MV: Final = 200.0  # counts a millivolt where a file states no gain: WFDB's own assumption

MV_OF_UNIT: Final = {  # by lower-case spelling
    **dict.fromkeys(("mv", "millivolt", "millivolts", "-3"), 1.0),  # Lab Streaming Layer allows powers of ten of a volt
    **dict.fromkeys(("uv", f"{MICRO_SIGN}v", f"{GREEK_MU}v", "microv", "microvolt", "microvolts", "-6"), 1e-3),
    **dict.fromkeys(("v", "volt", "volts"), 1e3),
    **dict.fromkeys(("nv", "nanovolt", "nanovolts"), 1e-6),
}
WRITTEN_BY_HAND: Final = ("mv", "uv", f"{MICRO_SIGN}v", f"{GREEK_MU}v", "v")  # in headings of tables, and by a reader
S_OF_UNIT: Final = {  # in headings of tables, by lower-case spelling
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("us", f"{MICRO_SIGN}s", f"{GREEK_MU}s", "usec", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("ns", "nsec", "nanosecond", "nanoseconds"), 1e-9),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
}


def mv_of_unit(unit: str, spellings: Collection[str] = MV_OF_UNIT) -> float | None:
    """Millivolts of a unit of voltage, in any case; None where it is none of the spellings.

    Examples
    --------
    >>> mv_of_unit("uV")
    0.001
    >>> mv_of_unit("mmHg") is None
    True

    """
    return MV_OF_UNIT[unit.lower()] if unit.lower() in spellings else None
