"""Matrices of MATLAB (.mat, versions 4 to 7), read through scipy: samples whose rate and unit have to be stated."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat, whosmat

from ..errors import RecordError
from ..schema import Record, Stated
from ..text import said
from .limits import MOST_RATIO, check_leads, check_length, distinct_names
from .samples import ArraySource
from .stated import unstated

MAGIC, HDF_MAGIC = b"MATLAB 5.0 MAT-file", b"MATLAB 7.3 MAT-file"
HEADER_BYTES, TAG_BYTES = 128, 8
COMPRESSED = 15  # type of an element
MOST_BYTES = 4 << 30
NUMERIC = ("double", "single", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
USUAL = "val"  # PhysioNet's name for the matrix
OLD = struct.Struct("<5i")  # version 4: type, rows, columns, imaginary, length of the name
LONGEST_NAME = 64


def is_mat(_path: Path, first: bytes) -> bool:
    """Whether a file begins as MATLAB's do; version 4 has no word for it, but a header that few other files have."""
    return first.startswith((MAGIC, HDF_MAGIC)) or _is_old(first)


def _is_old(first: bytes) -> bool:
    if len(first) <= OLD.size:
        return False
    kind, rows, columns, imaginary, length = OLD.unpack_from(first)
    name = first[OLD.size : OLD.size + length] if 1 < length <= LONGEST_NAME else b""
    return (
        kind in range(0, 60, 10) and rows > 0 and columns > 0 and imaginary in (0, 1)
        and name[-1:] == b"\0" and name[:-1].decode("latin-1").isidentifier()
    )  # fmt: skip


def read_mat(path: Path, stated: Stated) -> Record:
    """Read the one matrix of a file, or the one called ``val``; its shorter side are the leads.

    Raises
    ------
    RecordError
        There is no such matrix, or several, or the file is damaged.
    UnstatedError
        Rate and unit are not stated: no such file says them.

    """
    with path.open("rb") as stream:
        if stream.read(len(HDF_MAGIC)) == HDF_MAGIC:
            raise RecordError(
                f'{path.name}: is a MATLAB file of version 7.3, which is not read here; save it with save(..., "-v7").'
            )
    matrix = _matrix(path)
    numbers = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    if stated.fs_hz is None or stated.per_mv is None:
        raise unstated(
            path.name, f"a matrix of {numbers.shape[0]} x {numbers.shape[1]:,} numbers states neither rate nor unit",
            rate=stated.fs_hz is None, unit=stated.per_mv is None, hint="",
        )  # fmt: skip
    n_leads, n_samples = numbers.shape
    check_leads(path.name, n_leads)
    check_length(path.name, stated.fs_hz, n_samples)
    return Record(
        record_id=path.stem,
        source=ArraySource(numbers, (1 / stated.per_mv,) * n_leads, (0.0,) * n_leads),
        fs_hz=stated.fs_hz,
        n_samples=n_samples,
        lead_names=distinct_names([None] * n_leads),
        calibrated=(True,) * n_leads,
        stated=stated,
        files=(path,),
    )


def _matrix(path: Path) -> NDArray[Any]:
    """The matrix of samples, as it was saved."""
    try:
        with warnings.catch_warnings(), path.open("rb") as stream:
            warnings.simplefilter("ignore")  # such as that a name comes twice
            plain = _inflated(stream)
            found = {name: shape for name, shape, kind in whosmat(plain) if kind in NUMERIC and _is_matrix(shape)}
            chosen = [USUAL] if USUAL in found else list(found)
            if len(chosen) != 1:
                names = ", ".join(f"{name} ({' x '.join(map(str, shape))})" for name, shape in found.items()) or "none"
                raise RecordError(
                    f"{path.name}: expected one matrix of numbers, or one called {USUAL}, found {names[:120]}; save "
                    "the matrix of samples alone."
                )
            plain.seek(0)
            matrix = loadmat(plain, variable_names=chosen)[chosen[0]]
            if matrix.shape != found[chosen[0]] or matrix.dtype.kind not in "iuf":
                raise ValueError(f"{chosen[0]} holds no plain numbers")
            return np.asarray(matrix)
    except RecordError:
        raise
    except Exception as error:  # the decoder raises whatever the bytes make it trip over
        raise RecordError(
            f"{path.name}: begins as a MATLAB file but cannot be read as such ({said(error)}). Save or copy it anew."
        ) from error


def _is_matrix(shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 and min(shape) > 0 and max(shape) > 1


def _inflated(stream: BinaryIO) -> BinaryIO:
    """The file without compression, within limits that the decoder does not have; a plain one as it is."""
    header = stream.read(HEADER_BYTES)
    order = ">" if header[126:128] == b"MI" else "<"
    plain = io.BytesIO()
    plain.write(header)
    any_compressed, total = False, 0
    while header.startswith(MAGIC) and len(tag := stream.read(TAG_BYTES)) == TAG_BYTES:
        kind, size = struct.unpack(f"{order}2I", tag)
        if kind != COMPRESSED and not any_compressed:
            break  # MATLAB compresses all or none
        any_compressed = True
        parts = _inflate(stream.read(size), order) if kind == COMPRESSED else (tag, stream.read(size))
        total += sum(map(len, parts))
        if total > MOST_BYTES:
            raise ValueError(f"it holds more than {MOST_BYTES >> 30} GB")
        plain.writelines(parts)
    chosen = plain if any_compressed else stream
    chosen.seek(0)
    return chosen


def _inflate(content: bytes, order: str) -> tuple[bytes, bytes]:
    """The tag of a compressed element, which says its size, and the rest of it."""
    inflater = zlib.decompressobj()
    tag = inflater.decompress(content, TAG_BYTES)
    size = struct.unpack(f"{order}2I", tag)[1]
    if size > MOST_RATIO * max(len(content), 1 << 10):
        raise ValueError("it unpacks to far more than a record needs")
    rest = inflater.decompress(inflater.unconsumed_tail, size + 1)
    if len(rest) > size or not inflater.eof:
        raise ValueError("an element is larger than it says, or cut off")
    return tag, rest
