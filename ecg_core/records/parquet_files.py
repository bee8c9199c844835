"""Columns of Parquet files, read row group by row group through pyarrow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import RecordError
from ..schema import Float32, Float64
from ..text import format_quoted, plural
from .limits import MAX_EXPANSION
from .table_clocks import clocks_s, dated

MAGIC = b"PAR1"
NUMBER_BYTES = 8
OF_DURATION = "0 days "  # how pandas begins one of less than a day


@dataclass(frozen=True)
class ParquetSource:
    """Columns of numbers in a file, a lead each."""

    path: Path
    columns: tuple[str, ...]  # per lead
    mv: tuple[float, ...]  # of the unit, per lead

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """See ``SignalSource``."""
        signal = np.empty((len(leads), stop - start), dtype=np.float32)
        _fill(self.path, [self.columns[lead] for lead in leads], start, signal)
        with np.errstate(over="ignore", invalid="ignore"):
            signal *= np.array([self.mv[lead] for lead in leads], dtype=np.float32)[:, None]
        signal[~np.isfinite(signal)] = np.nan
        return signal


def is_parquet(_path: Path, first: bytes) -> bool:
    """Whether a file begins as Parquet does."""
    return first.startswith(MAGIC)


def open_parquet(path: Path) -> tuple[list[str], int]:
    """Names of the columns, and the number of rows.

    Raises
    ------
    RecordError
        It cannot be decoded, or states far more rows than its bytes can hold.

    """
    try:
        file = _opened(path)
        names, n_rows = list(file.schema_arrow.names), int(file.metadata.num_rows)
    except Exception as error:  # the decoder raises all kinds of errors on damaged bytes
        raise _damaged(path, error) from error
    if len(set(names)) < len(names):
        raise RecordError("two of its columns have the same name", where=path.name, advice="Give each a different one.")
    if n_rows * NUMBER_BYTES > MAX_EXPANSION * path.stat().st_size:
        raise RecordError(
            f"states {plural(n_rows, 'row')}, more than its bytes can hold; it is damaged",
            where=path.name,
            advice="Copy it again.",
        )
    return names, n_rows


def _opened(path: Path) -> Any:
    """The file, open to be read; pyarrow takes a twentieth of a second to load."""
    from pyarrow.parquet import ParquetFile  # noqa: PLC0415

    return ParquetFile(path)


def parquet_column(path: Path, name: str, n_rows: int) -> Float64:
    """All values of a column, shape (n_rows,)."""
    column: Float64 = np.empty(n_rows)
    _fill(path, [name], 0, column[None])
    return column


def parquet_times_s(path: Path, name: str, n_rows: int, *, day: str | None = None) -> Float64:
    """Seconds of each row of a column of dates and times, from midnight of the first day, shape (n_rows,).

    ``day`` is the column of its dates, where it has none itself.
    """
    try:
        column = _opened(path).read(columns=[name])[name].to_pandas()
        if day is not None:
            dates = _opened(path).read(columns=[day])[day].to_pandas()
            column = dated(column.astype("str").str.removeprefix(OF_DURATION), dates)
        if column.dtype.kind == "M":
            column = column - column.iloc[0].normalize() if column.dt.tz is None else column - column.iloc[0]
        since_s = (
            column.dt.total_seconds().to_numpy(dtype=np.float64, na_value=np.nan)
            if column.dtype.kind == "m"
            else clocks_s(column)
        )
        if len(since_s) != n_rows:
            raise ValueError(f"it holds {plural(len(since_s), 'row')}")
    except Exception as error:  # see ``_fill``
        raise _damaged(path, error) from error
    return np.asarray(since_s)


def parquet_first_time(path: Path, name: str, *, day: str | None = None) -> str:
    """The first cell of a column of dates and times as text; ``day`` as above."""
    columns = [name] if day is None else [day, name]
    return " ".join(cells[0] for cells in parquet_cells(path, columns, 1))


def parquet_cells(path: Path, names: list[str], n_rows: int) -> list[tuple[str, ...]]:
    """The first cells of each column, as text."""
    try:
        batch = next(_opened(path).iter_batches(batch_size=n_rows, columns=names), None)
        if batch is None:
            return [()] * len(names)
        rows = (["" if cell is None else str(cell) for cell in batch.column(name).to_pylist()] for name in names)
        return [tuple(cell.removeprefix(OF_DURATION) for cell in cells) for cells in rows]
    except Exception as error:  # see ``_fill``
        raise _damaged(path, error) from error


def _fill(path: Path, names: list[str], start: int, rows: NDArray[Any]) -> None:
    """Write columns, from a row on, into the rows of an array, one row group after the other."""
    try:
        file, begin, stop = _opened(path), 0, start + rows.shape[1]
        for group in range(file.num_row_groups):
            end = begin + int(file.metadata.row_group(group).num_rows)
            first, last = max(start, begin), min(stop, end)
            if first < last:
                table = file.read_row_group(group, columns=names)
                for row, name in zip(rows, names, strict=True):
                    part = table[name].slice(first - begin, last - first).cast("float64").to_numpy()
                    with np.errstate(over="ignore"):
                        row[first - start : last - start] = part
            begin = end
        if begin < stop:
            raise ValueError(f"it holds {plural(begin, 'row')}")
    except Exception as error:  # the decoder raises all kinds of errors on damaged bytes
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> RecordError:
    return RecordError(
        f"begins as Parquet but cannot be decoded ({format_quoted(error)})", where=path.name, advice="Export it again."
    )
