"""Columns of Parquet files, read row group by row group through pyarrow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from ..errors import RecordError
from ..schema import Float32, Float64
from .limits import MOST_RATIO

PARQUET_MAGIC = b"PAR1"
NUMBER_BYTES = 8


@dataclass(frozen=True)
class ParquetSource:
    """Columns of numbers in a file."""

    path: Path
    columns: tuple[str, ...]  # a lead each
    mv: tuple[float, ...]  # of the unit of each

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """See ``SignalSource``."""
        rows = _columns(self.path, [self.columns[lead] for lead in leads], start, stop)
        mv = np.array([self.mv[lead] for lead in leads])[:, None]
        with np.errstate(over="ignore", invalid="ignore"):
            signal = (rows * mv).astype(np.float32)
        signal[~np.isfinite(signal)] = np.nan
        return np.asarray(signal)


def open_parquet(path: Path) -> tuple[list[str], int]:
    """Names of the columns, and the number of rows.

    Raises
    ------
    RecordError
        It cannot be read, or claims far more than its bytes can hold.

    """
    try:
        file = pq.ParquetFile(path)
        names, n_rows = list(file.schema_arrow.names), int(file.metadata.num_rows)
    except Exception as error:  # the decoder raises whatever the bytes make it trip over
        raise _damaged(path, error) from error
    if len(set(names)) < len(names):
        raise RecordError(f"{path.name}: two of its columns have one name; give each its own.")
    if n_rows * NUMBER_BYTES > MOST_RATIO * path.stat().st_size:
        raise RecordError(f"{path.name}: claims {n_rows:,} rows, far more than its bytes can hold; it is damaged.")
    return names, n_rows


def parquet_column(path: Path, name: str) -> Float64:
    """A column as a whole, shape (n,)."""
    return _columns(path, [name], 0, None)[0]


def _columns(path: Path, names: list[str], start: int, stop: int | None) -> Float64:
    """Rows [start, stop) of columns, shape (n_columns, n)."""
    try:
        file = pq.ParquetFile(path)
        ends = np.cumsum([file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)])
        begins = np.append(0, ends[:-1])
        last = int(ends[-1]) if stop is None else stop
        groups = np.flatnonzero((ends > start) & (begins < last)).tolist()
        table = file.read_row_groups(groups, columns=names)
        skip = start - int(begins[groups[0]]) if groups else 0
        return np.stack([_numbers(table[name])[skip : skip + last - start] for name in names])
    except Exception as error:  # the decoder raises whatever the bytes make it trip over
        raise _damaged(path, error) from error


def _numbers(column: Any) -> Float64:
    return np.asarray(column.cast("float64").to_numpy())


def _damaged(path: Path, error: Exception) -> RecordError:
    told = str(error).splitlines()[0] if str(error) else type(error).__name__
    return RecordError(f"{path.name}: begins as Parquet but cannot be read as such ({told}). Export it anew.")
