"""Tables as columns of arrays, and their text in CSV and in JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..text import no_formula

# Columns of one length by their names; pandas makes a data frame of it.
Table: TypeAlias = Mapping[str, Sequence[Any] | NDArray[Any]]

LINE_END: Final = "\r\n"
SMALL_NUMBERS: Final = np.array([*map(str, range(256))], dtype=object)  # texts of what a byte holds
ROWS_AT_ONCE: Final = 1 << 16  # of CSV, whose cells are in memory: a week has a million beats
QUOTED: Final = re.compile(r'[,"\r\n]')  # a cell with one of these stands in quotation marks (RFC 4180)


def csv_bytes(table: Table) -> bytes:
    r"""RFC 4180, without formulas; in ASCII, or in UTF-8 with the mark by which Excel recognises it.

    Examples
    --------
    >>> csv_bytes({"time_s": np.array([0.5, np.nan]), "name": ["=x", "a, b"]})
    b'time_s,name\r\n0.5,\'=x\r\n,"a, b"\r\n'

    """
    columns = [np.asarray(column) for _, column in table.items()]  # of a data frame too
    lines = [",".join(_text_cell(str(name)) for name in table)]
    for first in range(0, max(map(len, columns), default=0), ROWS_AT_ONCE):
        cells = [_cells(column[first : first + ROWS_AT_ONCE]) for column in columns]
        lines.append(LINE_END.join(map(",".join, zip(*cells, strict=True))))
    text = LINE_END.join([*lines, ""])
    return text.encode("ascii" if text.isascii() else "utf-8-sig")


def json_columns(table: Table) -> bytes:
    """An object with a list for each column; null in place of NaN, which JSON does not have.

    Examples
    --------
    >>> json_columns({"time_s": np.array([0.5, 2.0, np.nan]), "label": ["N", "V", "V"]})
    b'{"time_s":[0.5,2,null],"label":["N","V","V"]}'

    """
    lists = (f"{json_text(name)}:{_json_list(column)}" for name, column in table.items())
    return f"{{{','.join(lists)}}}".encode()


def rows_of(table: Table) -> list[dict[str, Any]]:
    """The rows of a table, for JSON: None in place of NaN."""
    columns = [np.asarray(column).tolist() for column in table.values()]
    rows = ([None if cell != cell else cell for cell in row] for row in zip(*columns, strict=True))  # noqa: PLR0124  # NaN
    return [dict(zip(table, row, strict=True)) for row in rows]


def json_text(content: Any) -> str:
    """Compact JSON."""
    return json.dumps(content, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def _cells(values: NDArray[Any]) -> list[str]:
    """The cells of a column of CSV."""
    if values.dtype.kind == "f":
        return _by_distinct(values, lambda texts: ["" if text == "nan" else text for text in texts])
    if values.dtype.kind in "biu":
        return _whole_numbers(values)
    cells = values.tolist()
    known = {cell: _text_cell(cell) for cell in {*cells} if isinstance(cell, str)}
    return [known[cell] if isinstance(cell, str) else _other_cell(cell) for cell in cells]


def _text_cell(cell: str) -> str:
    harmless = no_formula(cell)
    return '"{}"'.format(harmless.replace('"', '""')) if QUOTED.search(harmless) else harmless


def _other_cell(cell: Any) -> str:
    """What is no text in a column of several types; nothing for None and NaN."""
    return "" if cell is None or cell != cell else str(cell)  # noqa: PLR0124  # NaN


def _json_list(column: Sequence[Any] | NDArray[Any]) -> str:
    values = np.asarray(column)
    if values.dtype.kind in "iu":
        return f"[{','.join(_whole_numbers(values))}]"
    if values.dtype.kind != "f":
        return json_text(values.tolist())
    texts = _by_distinct(values, lambda texts: ["null" if one == "nan" else one.removesuffix(".0") for one in texts])
    return f"[{','.join(texts)}]"


def _whole_numbers(values: NDArray[Any]) -> list[str]:
    if values.dtype == np.uint8:
        return [*SMALL_NUMBERS[values].tolist()]
    return [*map(str, values.tolist())]


def _by_distinct(values: NDArray[np.floating[Any]], finish: Callable[[Iterable[str]], list[str]]) -> list[str]:
    """The shortest text of each number that reads back as it; each distinct number is written once."""
    if values.dtype == np.float64 and (values[1:] > values[:-1]).all():  # all differ, as times do
        return finish(map(repr, values.tolist()))
    bits = np.ascontiguousarray(values).view(f"i{values.dtype.itemsize}")  # -0.0 and 0.0 are two texts
    distinct, place = np.unique(bits, return_inverse=True)
    texts = np.array(finish(distinct.view(values.dtype).astype(np.str_).tolist()), dtype=object)
    cells: list[str] = texts[place].tolist()
    return cells
