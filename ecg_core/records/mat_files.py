"""Matrices of MATLAB (.mat, versions 4 to 7): samples whose rate and unit a person has to give.

Only matrices of numbers are decoded, and they are decoded here: libraries decode everything that such a file may hold,
and a damaged file can end the whole program, as scipy's ``loadmat`` did on one of a thousand damaged files.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import RecordError
from ..overrides import RecordOverrides
from ..schema import Float32, Record, SignalSource
from ..text import format_quoted, plural
from .limits import MAX_EXPANSION, check_leads, check_length, distinct_names
from .overrides import missing_metadata
from .samples import ArraySource, scaled, stored_numbers

MAGIC, HDF_MAGIC = b"MATLAB 5.0 MAT-file", b"MATLAB 7.3 MAT-file"
HEADER_BYTES, TAG_BYTES = 128, 8
MATRIX, COMPRESSED = 14, 15  # types of elements
TYPES: Final = {  # of numbers
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
NUMERIC = range(6, 16)  # classes of an array: from double to uint64
COMPLEX = 0x0800  # flag of an array
HEAD_BYTES = 512  # of a matrix, which include its class, shape and name
PACKED_HEAD_BYTES = 1 << 16  # of a compressed one, which hold more than that
MAX_BYTES = 4 << 30  # of a compressed matrix
PREFERRED = "val"  # PhysioNet's name for the matrix
OLD = struct.Struct("<5i")  # version 4: type, rows, columns, imaginary, length of the name
OLD_TYPES: Final = {0: "f8", 10: "f4", 20: "i4", 30: "i2", 40: "u2", 50: "u1"}
MAX_NAME = 64


@dataclass(frozen=True)
class Stretch:
    """Bytes of a file, from a place on, which are read when they are needed."""

    path: Path
    begin: int
    size: int

    def read(self, most: int) -> bytes:
        """At most so many bytes, from its beginning on."""
        count = min(self.size, most)
        return stored_numbers(self.path, "u1", count, offset=self.begin).tobytes()

    def part(self, begin: int, size: int) -> Stretch:
        """A part of it; shorter where it ends before."""
        return Stretch(self.path, self.begin + begin, max(min(size, self.size - begin), 0))


@dataclass(frozen=True)
class Matrix:
    """A matrix of numbers in a file, before it is decoded."""

    shape: tuple[int, int]
    content: Stretch
    kind: int  # type of the element; in version 4, of the numbers
    order: str  # of bytes, "<" or ">"


@dataclass(frozen=True)
class MatrixSource:
    """A matrix as it lies in a file, column by column; its shorter side are the leads."""

    place: Stretch
    dtype: str
    shape: tuple[int, int]
    per_mv: float

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """See ``SignalSource``."""
        n_rows, n_columns = self.shape
        if n_rows <= n_columns:
            chosen = self._numbers(start * n_rows, (stop - start) * n_rows).reshape(-1, n_rows).T[list(leads)]
        else:
            chosen = np.stack([self._numbers(lead * n_rows + start, stop - start) for lead in leads])
        return scaled(chosen, np.float64(1 / self.per_mv))

    def _numbers(self, first: int, count: int) -> NDArray[Any]:
        offset = self.place.begin + first * np.dtype(self.dtype).itemsize
        return stored_numbers(self.place.path, self.dtype, count, offset=offset)


def is_mat(_path: Path, first: bytes) -> bool:
    """Whether a file begins as MATLAB's do; version 4 has no magic text, but a header that few other files match."""
    return first.startswith((MAGIC, HDF_MAGIC)) or _is_old(first)


def _is_old(first: bytes) -> bool:
    if len(first) <= OLD.size:
        return False
    kind, rows, columns, imaginary, length = OLD.unpack_from(first)
    name = first[OLD.size : OLD.size + length] if 1 < length <= MAX_NAME else b""
    return (
        kind in OLD_TYPES and rows > 0 and columns > 0 and imaginary in (0, 1)
        and name[-1:] == b"\0" and name[:-1].decode("latin-1").isidentifier()
    )  # fmt: skip


def read_mat(path: Path, overrides: RecordOverrides) -> Record:
    """Read the one matrix of a file, or the one called ``val``; its shorter side are the leads.

    Raises
    ------
    RecordError
        There is no such matrix, or several, or the file is damaged.
    MissingMetadataError
        No rate or no unit was given: no such file states them.

    """
    shape, source_of = _matrix(path)
    n_leads, n_samples = min(shape), max(shape)
    if overrides.fs_hz is None or overrides.per_mv is None:
        raise missing_metadata(
            path.name, f"holds a matrix of {n_leads} by {n_samples:,}",
            rate=overrides.fs_hz is None, unit=overrides.per_mv is None,
        )  # fmt: skip
    check_leads(path.name, n_leads)
    check_length(path.name, overrides.fs_hz, n_samples)
    return Record(
        record_id=path.stem,
        source=source_of(overrides.per_mv),
        fs_hz=overrides.fs_hz,
        n_samples=n_samples,
        lead_names=distinct_names([None] * n_leads),
        calibrated=(True,) * n_leads,
        overrides=overrides,
        files=(path,),
    )


def _matrix(path: Path) -> tuple[tuple[int, int], Callable[[float], SignalSource]]:
    """Shape of the matrix of samples, and what makes its source, given counts a millivolt."""
    content = Stretch(path, 0, path.stat().st_size)
    first = content.read(HEADER_BYTES)
    if first.startswith(HDF_MAGIC):
        raise RecordError(
            "is a MATLAB file of version 7.3, which is not read here",
            where=path.name,
            advice='Save it with save(..., "-v7").',
        )
    try:
        found = dict(_matrices(content) if first.startswith(MAGIC) else _old_matrices(content))
        chosen = [PREFERRED] if PREFERRED in found else list(found)
        if len(chosen) == 1:
            matrix = found[chosen[0]]
            return matrix.shape, _decode(matrix) if first.startswith(MAGIC) else _decode_old(matrix)
    except (ValueError, IndexError, struct.error, zlib.error, ArithmeticError) as error:
        raise RecordError(
            f"begins as a MATLAB file but cannot be decoded ({format_quoted(error)})",
            where=path.name,
            advice="Save or copy it again.",
        ) from error
    names = ", ".join(f"{name} ({matrix.shape[0]} x {matrix.shape[1]})" for name, matrix in found.items()) or "none"
    raise RecordError(
        where=path.name,
        expected=f"one matrix of numbers, or one called {PREFERRED}",
        got=format_quoted(names),
        advice="Save the matrix of samples alone.",
    )


def _matrices(content: Stretch) -> Iterator[tuple[str, Matrix]]:
    """Names and matrices of numbers of versions 5 to 7; anything else is skipped."""
    order = ">" if content.read(HEADER_BYTES)[126:128] == b"MI" else "<"
    place = HEADER_BYTES
    while place + TAG_BYTES <= content.size:
        kind, size = struct.unpack(f"{order}2I", content.part(place, TAG_BYTES).read(TAG_BYTES))
        element = content.part(place + TAG_BYTES, size)
        if element.size < size:
            raise ValueError(f"it ends within an element of {plural(size, 'byte')}")
        if kind in (MATRIX, COMPRESSED):
            name, shape, is_plain, _ = _head(_body(element, kind, order, HEAD_BYTES), order)
            if is_plain and len(shape) == 2 and min(shape) > 0 and max(shape) > 1:
                yield name, Matrix((shape[0], shape[1]), element, kind, order)
        place += TAG_BYTES + size


def _body(element: Stretch, kind: int, order: str, most: int) -> bytes:
    """At most ``most`` bytes of a matrix, decompressed."""
    if kind == MATRIX:
        return element.read(most)
    inflater = zlib.decompressobj()
    packed = element.read(element.size if most >= MAX_BYTES else PACKED_HEAD_BYTES)
    inner, size = struct.unpack(f"{order}2I", inflater.decompress(packed, TAG_BYTES))
    if inner != MATRIX or size > min(MAX_BYTES, MAX_EXPANSION * max(element.size, 1 << 10)):
        raise ValueError("a compressed element is damaged, or expands to far more than a record needs")
    body = inflater.decompress(inflater.unconsumed_tail, min(size, most) + 1)
    if most >= size and len(packed) == element.size and (len(body) != size or not inflater.eof):
        raise ValueError(f"a compressed element of {plural(size, 'byte')} is cut off")
    return body


def _head(body: bytes, order: str) -> tuple[str, list[int], bool, int]:
    """Name and shape of an array, whether it is of plain numbers, and where these begin."""
    _, place, _, dimensions = _item(body, 0, order)
    (flags,) = struct.unpack_from(f"{order}I", body, place)
    _, place, size, name = _item(body, dimensions, order)
    shape = list(struct.unpack_from(f"{order}{min(size, 32) // 4}i", body, place))
    _, place, size, numbers = _item(body, name, order)
    text = body[place : place + min(size, MAX_NAME)].decode("latin-1")
    return text, shape, flags & 0xFF in NUMERIC and not flags & COMPLEX, numbers


def _item(body: bytes, place: int, order: str) -> tuple[int, int, int, int]:
    """Type of a part of an array, where its content begins, its size, and where the next part begins."""
    (kind,) = struct.unpack_from(f"{order}I", body, place)
    if kind >> 16:  # four bytes and less stand in the tag itself
        return kind & 0xFFFF, place + 4, kind >> 16, place + TAG_BYTES
    (size,) = struct.unpack_from(f"{order}I", body, place + 4)
    begin = place + TAG_BYTES
    return kind, begin, size, begin + -(-size // 8) * 8


def _decode(matrix: Matrix) -> Callable[[float], SignalSource]:
    """What makes the source of a matrix of version 5 to 7: it stays where it is, or is held where it is compressed."""
    body = _body(matrix.content, matrix.kind, matrix.order, HEAD_BYTES if matrix.kind == MATRIX else MAX_BYTES)
    *_, place = _head(body, matrix.order)
    kind, begin, size, _ = _item(body, place, matrix.order)
    if kind not in TYPES:
        raise ValueError(f"numbers of the unknown type {kind}")
    dtype = matrix.order + TYPES[kind]
    if matrix.kind == MATRIX:
        return _stored(matrix.content.part(begin, size), dtype, matrix.shape)
    content = memoryview(body)[begin : begin + size]
    _check_size(len(content), dtype, matrix.shape)
    numbers = np.frombuffer(content, dtype).reshape(matrix.shape, order="F")
    leads = numbers if matrix.shape[0] <= matrix.shape[1] else numbers.T
    return lambda per_mv: ArraySource(leads, (1 / per_mv,) * len(leads), (0.0,) * len(leads))


def _old_matrices(content: Stretch) -> Iterator[tuple[str, Matrix]]:
    """Names and matrices of numbers of version 4."""
    place = 0
    while place + OLD.size <= content.size:
        kind, rows, columns, imaginary, length = OLD.unpack(content.part(place, OLD.size).read(OLD.size))
        if min(rows, columns) < 0 or not 0 < length <= MAX_NAME or kind not in range(0, 60):
            raise ValueError(f"no matrix begins at byte {place:,}")
        name = content.part(place + OLD.size, length).read(length).rstrip(b"\0").decode("latin-1")
        place += OLD.size + length
        size = rows * columns * np.dtype(OLD_TYPES.get(kind // 10 * 10, "f8")).itemsize
        if kind in OLD_TYPES and not imaginary and min(rows, columns) > 0 and max(rows, columns) > 1:
            yield name, Matrix((rows, columns), content.part(place, size), kind, "<")
        place += size * (2 if imaginary else 1)


def _decode_old(matrix: Matrix) -> Callable[[float], SignalSource]:
    return _stored(matrix.content, "<" + OLD_TYPES[matrix.kind], matrix.shape)


def _stored(place: Stretch, dtype: str, shape: tuple[int, int]) -> Callable[[float], SignalSource]:
    """What makes the source of a matrix in a file."""
    _check_size(place.size, dtype, shape)
    return lambda per_mv: MatrixSource(place, dtype, shape, per_mv)


def _check_size(n_bytes: int, dtype: str, shape: tuple[int, int]) -> None:
    itemsize = np.dtype(dtype).itemsize
    if n_bytes != shape[0] * shape[1] * itemsize:
        numbers = f"{shape[0]:,} x {shape[1]:,} numbers of {plural(itemsize, 'byte')}"
        raise ValueError(f"{numbers} in {plural(n_bytes, 'byte')}")
