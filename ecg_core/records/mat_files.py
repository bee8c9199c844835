"""Matrices of MATLAB (.mat, versions 4 to 7): samples whose rate and unit a person has to give.

Only matrices of numbers are decoded, and they are decoded here: libraries decode everything that such a file may hold,
and a damaged file can end the whole program, as scipy's ``loadmat`` did on one of a thousand damaged files.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import RecordError
from ..overrides import RecordOverrides
from ..schema import Record
from ..text import format_quoted, plural
from .limits import MAX_EXPANSION, check_leads, check_length, distinct_names
from .overrides import missing_metadata
from .samples import ArraySource

MAGIC, HDF_MAGIC = b"MATLAB 5.0 MAT-file", b"MATLAB 7.3 MAT-file"
HEADER_BYTES, TAG_BYTES = 128, 8
MATRIX, COMPRESSED = 14, 15  # types of elements
TYPES: Final = {  # of numbers
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
NUMERIC = range(6, 16)  # classes of an array: from double to uint64
COMPLEX = 0x0800  # flag of an array
HEAD_BYTES = 512  # of a matrix, which include its class, shape and name
MAX_BYTES = 4 << 30  # of a compressed matrix
PREFERRED = "val"  # PhysioNet's name for the matrix
OLD = struct.Struct("<5i")  # version 4: type, rows, columns, imaginary, length of the name
OLD_TYPES: Final = {0: "f8", 10: "f4", 20: "i4", 30: "i2", 40: "u2", 50: "u1"}
MAX_NAME = 64

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Matrix:
    """A matrix of numbers in a file, before it is decoded."""

    shape: tuple[int, int]
    content: Bytes
    kind: int  # type of the element; in version 4, of the numbers
    order: str  # of bytes, "<" or ">"


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
    matrix = _matrix(path)
    numbers = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    n_leads, n_samples = numbers.shape
    if overrides.fs_hz is None or overrides.per_mv is None:
        raise missing_metadata(
            path.name, f"holds a matrix of {n_leads} by {n_samples:,}",
            rate=overrides.fs_hz is None, unit=overrides.per_mv is None,
        )  # fmt: skip
    check_leads(path.name, n_leads)
    check_length(path.name, overrides.fs_hz, n_samples)
    return Record(
        record_id=path.stem,
        source=ArraySource(numbers, (1 / overrides.per_mv,) * n_leads, (0.0,) * n_leads),
        fs_hz=overrides.fs_hz,
        n_samples=n_samples,
        lead_names=distinct_names([None] * n_leads),
        calibrated=(True,) * n_leads,
        overrides=overrides,
        files=(path,),
    )


def _matrix(path: Path) -> NDArray[Any]:
    """The matrix of samples as it was saved; without compression it stays on disk."""
    content = np.memmap(path, np.uint8, "r")
    first = content[:HEADER_BYTES].tobytes()
    if first.startswith(HDF_MAGIC):
        raise RecordError(
            f'{path.name}: is a MATLAB file of version 7.3, which is not read here; save it with save(..., "-v7").'
        )
    try:
        found = dict(_matrices(content) if first.startswith(MAGIC) else _old_matrices(content))
        chosen = [PREFERRED] if PREFERRED in found else list(found)
        if len(chosen) == 1:
            matrix = found[chosen[0]]
            return _decode(matrix) if first.startswith(MAGIC) else _decode_old(matrix)
    except (ValueError, IndexError, struct.error, zlib.error, ArithmeticError) as error:
        raise RecordError(
            f"{path.name}: begins as a MATLAB file but cannot be decoded ({format_quoted(error)}). Save or copy it "
            "again."
        ) from error
    names = ", ".join(f"{name} ({matrix.shape[0]} x {matrix.shape[1]})" for name, matrix in found.items()) or "none"
    raise RecordError(
        f"{path.name}: expected one matrix of numbers, or one called {PREFERRED}, found {format_quoted(names)}; save "
        "the matrix of samples alone."
    )


def _matrices(content: Bytes) -> Iterator[tuple[str, Matrix]]:
    """Names and matrices of numbers of versions 5 to 7; anything else is skipped."""
    order = ">" if content[126:128].tobytes() == b"MI" else "<"
    place = HEADER_BYTES
    while place + TAG_BYTES <= len(content):
        kind, size = struct.unpack_from(f"{order}2I", content.data, place)
        element = content[place + TAG_BYTES : place + TAG_BYTES + size]
        if len(element) < size:
            raise ValueError(f"it ends within an element of {plural(size, 'byte')}")
        if kind in (MATRIX, COMPRESSED):
            name, shape, is_plain, _ = _head(_body(element, kind, order, HEAD_BYTES), order)
            if is_plain and len(shape) == 2 and min(shape) > 0 and max(shape) > 1:
                yield name, Matrix((shape[0], shape[1]), element, kind, order)
        place += TAG_BYTES + size


def _body(element: Bytes, kind: int, order: str, most: int) -> Bytes:
    """At most ``most`` bytes of a matrix, decompressed."""
    if kind == MATRIX:
        return element[:most]
    inflater = zlib.decompressobj()
    inner, size = struct.unpack(f"{order}2I", inflater.decompress(element.data, TAG_BYTES))
    if inner != MATRIX or size > min(MAX_BYTES, MAX_EXPANSION * max(len(element), 1 << 10)):
        raise ValueError("a compressed element is damaged, or expands to far more than a record needs")
    body = inflater.decompress(inflater.unconsumed_tail, min(size, most) + 1)
    if most >= size and (len(body) != size or not inflater.eof):
        raise ValueError(f"a compressed element of {plural(size, 'byte')} is cut off")
    return np.frombuffer(body, np.uint8)


def _head(body: Bytes, order: str) -> tuple[str, list[int], bool, int]:
    """Name and shape of an array, whether it is of plain numbers, and where these begin."""
    _, place, _, dimensions = _item(body, 0, order)
    (flags,) = struct.unpack_from(f"{order}I", body.data, place)
    _, place, size, name = _item(body, dimensions, order)
    shape = list(struct.unpack_from(f"{order}{min(size, 32) // 4}i", body.data, place))
    _, place, size, numbers = _item(body, name, order)
    text = body[place : place + min(size, MAX_NAME)].tobytes().decode("latin-1")
    return text, shape, flags & 0xFF in NUMERIC and not flags & COMPLEX, numbers


def _item(body: Bytes, place: int, order: str) -> tuple[int, int, int, int]:
    """Type of a part of an array, where its content begins, its size, and where the next part begins."""
    (kind,) = struct.unpack_from(f"{order}I", body.data, place)
    if kind >> 16:  # four bytes and less stand in the tag itself
        return kind & 0xFFFF, place + 4, kind >> 16, place + TAG_BYTES
    (size,) = struct.unpack_from(f"{order}I", body.data, place + 4)
    begin = place + TAG_BYTES
    return kind, begin, size, begin + -(-size // 8) * 8


def _decode(matrix: Matrix) -> NDArray[Any]:
    body = _body(matrix.content, matrix.kind, matrix.order, MAX_BYTES)
    *_, place = _head(body, matrix.order)
    kind, begin, size, _ = _item(body, place, matrix.order)
    if kind not in TYPES:
        raise ValueError(f"numbers of the unknown type {kind}")
    return _numbers(body[begin : begin + size], np.dtype(matrix.order + TYPES[kind]), matrix.shape)


def _old_matrices(content: Bytes) -> Iterator[tuple[str, Matrix]]:
    """Names and matrices of numbers of version 4."""
    place = 0
    while place + OLD.size <= len(content):
        kind, rows, columns, imaginary, length = OLD.unpack_from(content.data, place)
        if min(rows, columns) < 0 or not 0 < length <= MAX_NAME or kind not in range(0, 60):
            raise ValueError(f"no matrix begins at byte {place:,}")
        name = content[place + OLD.size : place + OLD.size + length].tobytes().rstrip(b"\0").decode("latin-1")
        place += OLD.size + length
        size = rows * columns * np.dtype(OLD_TYPES.get(kind // 10 * 10, "f8")).itemsize
        if kind in OLD_TYPES and not imaginary and min(rows, columns) > 0 and max(rows, columns) > 1:
            yield name, Matrix((rows, columns), content[place : place + size], kind, "<")
        place += size * (2 if imaginary else 1)


def _decode_old(matrix: Matrix) -> NDArray[Any]:
    return _numbers(matrix.content, np.dtype("<" + OLD_TYPES[matrix.kind]), matrix.shape)


def _numbers(content: Bytes, dtype: np.dtype[Any], shape: tuple[int, int]) -> NDArray[Any]:
    """A matrix from its numbers, which are stored column by column."""
    if len(content) != shape[0] * shape[1] * dtype.itemsize:
        numbers = f"{shape[0]:,} x {shape[1]:,} numbers of {plural(dtype.itemsize, 'byte')}"
        raise ValueError(f"{numbers} in {plural(len(content), 'byte')}")
    return np.frombuffer(content.data, dtype).reshape(shape, order="F")
