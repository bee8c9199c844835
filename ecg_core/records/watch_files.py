"""Electrocardiograms that watches export as text: lines of a name and a value, then a number per line.

The names are in the language of the watch, and decimals follow a point or a comma, as there. So the values say what a
line states: "512 hertz" the rate, a unit of voltage the unit, a date with a time of day the start.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np

from ..errors import RecordError
from ..overrides import RecordOverrides
from ..schema import Float32, Record
from ..text import format_quoted
from .limits import check_length
from .overrides import apply_overrides
from .samples import ArraySource
from .table_cells import MISSING_WORDS, NUMBER, unquoted
from .table_clocks import moment_of, start_of
from .table_text import head_of
from .units import MV_OF_UNIT

MAX_FIELDS = 60  # lines before the numbers
MAX_NUMBER = float(np.finfo(np.float32).max)
N_NUMBERS = 3  # lines of numbers that follow each other
RATE: Final = re.compile(
    r"(?P<hz>\d+([.,]\d+)?)\s*(hz|hertz|herz|hercios|hertzios|герц|гц|ヘルツ|赫兹|赫茲|헤르츠|हर्ट्ज़|هرتز|הרץ|χερτζ)\.?",
    re.IGNORECASE,
)
LEAD: Final = re.compile(
    r"(.*\W|第|誘導|导联|導程)?(?P<name>I{1,3}|aV[RLF]|V[1-6])(誘導|导联|導程|\s*유도)?", re.IGNORECASE
)
FIELD: Final = re.compile(r"\s*(?P<name>\"[^\"]*\"|[^,;\t\"]*)\s*[,;\t]\s*(?P<value>.*)")


def is_watch(path: Path) -> bool:
    """Whether a text begins with names and values, a rate and a unit among them, before lines of one number each."""
    fields, begin, _ = _fields(path)
    values = [value for _, value in fields]
    return begin > 0 and any(map(RATE.fullmatch, values)) and any(value.casefold() in MV_OF_UNIT for value in values)


def _fields(path: Path) -> tuple[list[tuple[str, str]], int, str]:
    """Names and values, the number of lines before the numbers (0 where none follow), and the encoding."""
    encoding, lines = head_of(path)
    filled = [(number, line) for number, line in enumerate(lines) if line.strip()]
    is_number = [bool(NUMBER.fullmatch(unquoted(line))) for _, line in filled[: MAX_FIELDS + N_NUMBERS]]
    fields: list[tuple[str, str]] = []
    for place, (number, line) in enumerate(filled[:MAX_FIELDS]):
        if is_number[place : place + N_NUMBERS] == [True] * N_NUMBERS:
            return fields, number, encoding
        match = FIELD.fullmatch(line)
        if match:
            fields.append((unquoted(match["name"]), unquoted(match["value"].rstrip(",;\t "))))
    return fields, 0, encoding


def read_watch(path: Path, overrides: RecordOverrides) -> Record:
    """Read the electrocardiogram of a watch.

    Raises
    ------
    RecordError
        A line after the first number is none, or the overrides contradict the file.

    """
    fields, begin, encoding = _fields(path)
    values = [value for _, value in fields]
    rate = next(match for value in values if (match := RATE.fullmatch(value)))
    mv = next(MV_OF_UNIT[value.casefold()] for value in values if value.casefold() in MV_OF_UNIT)
    leads = [match["name"] for value in values if (match := LEAD.fullmatch(value))]
    signal = _numbers(path, begin, encoding)
    fs_hz = float(rate["hz"].replace(",", "."))
    check_length(path.name, fs_hz, len(signal))
    start = next((found for value in values if (found := _start(value))), None)
    record = Record(
        path.stem, ArraySource(signal[None], (mv,), (0.0,)), fs_hz, len(signal),
        (leads[-1] if leads else "I",), (True,), start=start, files=(path,),
    )  # fmt: skip
    if overrides.per_mv is not None and abs(overrides.per_mv * mv - 1) < 1e-6:
        overrides = replace(overrides, per_mv=None)
    return apply_overrides(record, overrides)


def _start(value: str) -> datetime | None:
    """Date and time in a value; None where it lacks either."""
    moment = moment_of(value)
    return start_of(moment)[0] if moment else None


def _numbers(path: Path, begin: int, encoding: str) -> Float32:
    """A number per line, NaN where a word says that it is missing."""
    found = []
    with path.open(encoding=encoding, errors="replace", newline=None) as stream:
        for number, line in enumerate(stream):
            text = unquoted(line.strip().rstrip(",;")) if number >= begin else ""
            if not text:
                continue
            value = float(text.replace(",", ".")) if NUMBER.fullmatch(text) else float("nan")
            if abs(value) > MAX_NUMBER or (np.isnan(value) and text not in MISSING_WORDS):
                raise RecordError(
                    where=path.name,
                    position=f"line {number + 1}",
                    expected="one number",
                    got=f'"{format_quoted(text)}"',
                    advice="Export it again.",
                )
            found.append(value)
    return np.array(found, dtype=np.float32)
