"""What a cell of a table can be: a number, a time by the clock, a unit, or nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ..text import one_line
from .units import MV_OF_UNIT, S_OF_UNIT

NUMBER: Final = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)(e[-+]?\d+)?", re.IGNORECASE)
MISSING_WORDS: Final = (
    "-", "--", "---", ".", "*", "?", "nan", "NaN", "NAN", "na", "NA", "null", "NULL", "none", "None", "N/A", "n/a"
)  # fmt: skip
INFINITE: Final = ("inf", "-inf", "+inf", "infinity", "-infinity")
DATE: Final = r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}"
TIME_OF_DAY: Final = r"(?:\d{1,3}:)?\d{1,2}:\d{2}(?:[.,:]\d{1,9})?"
CLOCK: Final = re.compile(
    rf"\[?\s*(?:(?P<date>{DATE})[T ]+)?(?P<time>{TIME_OF_DAY})\s*(?P<half>[ap]\.?m\.?)?"
    rf"(?P<zone>Z|[ ]?[-+]\d{{2}}:?\d{{2}}|[ ]UTC)?(?:\s+(?P<date_after>{DATE}))?\s*\]?",
    re.IGNORECASE,
)
CLOCK_PATTERN: Final = re.compile(r"[hmsfdy:./, -]*mm:ss[hmsfdy:./, -]*", re.IGNORECASE)  # of a row of units
VOLTAGE: Final = tuple(unit for unit in MV_OF_UNIT if not unit.startswith("-"))  # in headings
OTHER_UNITS: Final = (
    "bpm", "1/min", "/min", "mmhg", "kpa", "hpa", "pa", "%", "°c", "degc", "c", "°f", "g", "mg", "m/s2", "m/s^2",
    "m/s²", "hz", "dps", "deg/s", "°/s", "rad/s", "ohm", "kohm", "us/cm", "l/min", "l/s", "ml", "ut", "gauss", "dbm",
    "db", "na", "ua", "deg",
)  # fmt: skip
COUNTS: Final = ("adu", "adc", "counts", "count", "raw", "lsb", "nu", "a.u.", "au", "sample #", "sample number")
IN_BRACKETS: Final = re.compile(r"^(?P<name>.*?)[ _]*[\[(](?P<unit>[^\[\]()]*)[\])]?$")
SUFFIXED: Final = re.compile(
    rf"^(?P<name>.+?)[ _/]+(?P<unit>{'|'.join(map(re.escape, (*VOLTAGE, *S_OF_UNIT, 'bpm', 'mmhg')))})$", re.IGNORECASE
)
TIME_NAME: Final = re.compile(
    r"(t|(\w+[ _.-])?(time|date|datetime|timestamp|time[ _-]?stamp|zeit|zeitstempel|temps|tiempo|tempo)s?([ _.-]\w+)?"
    r"|seconds|sec|elapsed|clock|uhrzeit|datum|heure|horodatage|hora|fecha|ora|data e ora|時間|時刻|时间)",
    re.IGNORECASE,
)
LONG_UNITS: Final = ("s", "second", "seconds", "min", "mins", "minute", "minutes")  # that also end other names
LEAD_V: Final = "v"  # a lead as well as a unit, but a unit where it follows the name of a lead
NAMED_LEAD: Final = re.compile(r"(M?L?I{1,3}|AV[RLF]|V[1-9]R?)", re.IGNORECASE)
RATE_NOTE: Final = re.compile(  # a line before a table that states the rate
    r"((sampl\w*|acquisition|adc|scan)[ _-]*(rate|freq\w*)|messrate|abtast(rate|frequenz)|échantillonnage|muestreo"
    r"|campionamento|amostragem|\bfs\b|\bsfreq\b|^rate\b)"
    r"(?P<words>[^\d:=,;\t]*)[:=,;\t ]+(?P<rate>\d+([.,]\d+)?)\s*(?P<unit>[a-z]*)",
    re.IGNORECASE,
)
INTERVAL_NOTE: Final = re.compile(  # a line, or a cell below a heading, that states the time between two samples
    rf"^(((sampl\w*[ _-]*)?(interval|period)\b|messintervall|abtastintervall)[^\d:=,;\t]*[:=,;\t ]+)?"
    rf"(?P<step>\d*[.,]?\d+)\s*(?P<unit>{'|'.join(sorted(S_OF_UNIT, key=len, reverse=True))})(\s*/\s*sample)?$",
    re.IGNORECASE,
)
UNIT_NOTE: Final = re.compile(r"^\W*(units?|einheit|unité|unidad|unità)\W*[:=,;\t]\W*(?P<unit>\S+?)\W*$", re.IGNORECASE)


@dataclass(frozen=True)
class Heading:
    """A heading, with its unit as it is written; empty where it states none."""

    name: str
    unit: str = ""
    text: str = ""


def unquoted(cell: str) -> str:
    """A cell without the quotes and the space around it."""
    return cell.strip().strip("'\"").strip()


def is_value(cell: str) -> bool:
    """Whether a cell is a number, a time by the clock, or a word for a missing number."""
    is_time = CLOCK.fullmatch(cell) or is_date(cell)
    return bool(NUMBER.fullmatch(cell) or is_time) or cell in MISSING_WORDS or cell.casefold() in INFINITE


def is_date(cell: str) -> bool:
    """Whether a cell is a date without a time."""
    return bool(re.fullmatch(DATE, cell))


def is_unit(cell: str) -> bool:
    """Whether a cell below a heading is a unit, or the pattern of a time."""
    bare = cell.strip("()[] ").casefold()
    is_pattern = bool(CLOCK_PATTERN.fullmatch(bare) or INTERVAL_NOTE.match(bare))
    return is_pattern or bare in (*VOLTAGE, *S_OF_UNIT, *OTHER_UNITS, *COUNTS)


def heading_of(text: str) -> Heading:
    """Name and unit of a heading.

    Examples
    --------
    >>> [heading_of(text).unit for text in ("V1 (uV)", "II_mv", "Lead V", "II V")]
    ['uV', 'mv', '', 'V']

    """
    plain = one_line(text).strip().strip("'\"").strip()
    if plain.casefold() in (*VOLTAGE, *S_OF_UNIT) and plain.casefold() not in ("v", "s"):
        return Heading("", plain, plain)
    match = IN_BRACKETS.match(plain)
    if match is None or not is_unit(match["unit"]):
        match = SUFFIXED.match(plain)
        if match and _ends_a_name(match):
            match = None
    return Heading(match["name"], match["unit"].strip(), plain) if match else Heading(plain, "", plain)


def _ends_a_name(match: re.Match[str]) -> bool:
    """Whether what ends a heading, without brackets, is rather of its name than a unit, such as the V of "Lead V"."""
    unit = match["unit"].casefold()
    if unit in LONG_UNITS:
        return not TIME_NAME.fullmatch(match["name"])
    if unit != LEAD_V or NAMED_LEAD.fullmatch(match["name"]):
        return False
    return "/" not in match[0][match.end("name") : match.start("unit")]


def rate_of_interval(text: str) -> float | None:
    r"""Rate by a time between two samples, as exact as its last digit allows; None where the text states none.

    Examples
    --------
    >>> rate_of_interval("0.00277778 sec"), rate_of_interval("Interval=\t0.004 s"), rate_of_interval("4")
    (360.0, 250.0, None)

    """
    found = INTERVAL_NOTE.match(text.strip())
    step = found["step"].replace(",", ".") if found else "0"
    if found is None or not float(step):
        return None
    unit_s = S_OF_UNIT[found["unit"].casefold()]
    fs_hz = 1 / (float(step) * unit_s)
    last_digit = 10.0 ** -len(step.partition(".")[2])
    is_whole = round(fs_hz) and abs(1 / (round(fs_hz) * unit_s) - float(step)) <= last_digit / 2
    return float(round(fs_hz)) if is_whole else fs_hz
