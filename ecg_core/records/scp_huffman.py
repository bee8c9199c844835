"""The entropy code of SCP-ECG (EN 1064, section 2 and annex C): Huffman tables."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..schema import Index

DEFAULT: Final = 19_999  # in place of the number of tables: the one of the standard
CODE_BYTES = 9
MAX_PREFIX_BITS = 20  # the default table needs 10; the table of all prefixes of more would fill the memory
MAX_BITS = 32  # of a code with the number that follows it
MAX_TABLES = 32
NO_CODE = -1


@dataclass(frozen=True)
class Code:
    """What a prefix of bits stands for."""

    prefix_bits: int
    total_bits: int  # of the prefix and the number that follows it
    is_value: bool  # or a change to another table
    value: int  # that the following number is added to, or the table from 1
    prefix: int  # the first bit is the highest


@dataclass(frozen=True, eq=False)
class Table:
    """Codes, and which of them each pattern of ``bits`` bits begins with."""

    codes: tuple[Code, ...]
    bits: int
    first: NDArray[np.int32]  # (2 ** bits,), positions in ``codes``


def default_table() -> Table:
    """The table of the standard: 0, then -8 to 8 by ones and a sign, then numbers of 8 and of 16 bits."""
    codes = [Code(1, 1, is_value=True, value=0, prefix=0)]
    for size in range(1, 9):
        ones = ((1 << size) - 1) << 2
        codes += [
            Code(size + 2, size + 2, is_value=True, value=sign * size, prefix=ones + (sign < 0)) for sign in (1, -1)
        ]
    codes += [Code(10, 10 + bits, is_value=True, value=0, prefix=0b1111111110 + (bits == 16)) for bits in (8, 16)]
    return _table(codes)


def read_tables(body: bytes) -> tuple[Table, ...]:
    """The tables of section 2.

    Raises
    ------
    ValueError
        They end early, or are no prefix code.

    """
    (n_tables,) = struct.unpack_from("<H", body)
    if n_tables == DEFAULT:
        return (default_table(),)
    if not 1 <= n_tables <= MAX_TABLES:
        raise ValueError(f"{n_tables} Huffman tables")
    tables, place = [], 2
    for _ in range(n_tables):
        (n_codes,) = struct.unpack_from("<H", body, place)
        codes = [_code(body, place + 2 + CODE_BYTES * number) for number in range(n_codes)]
        tables.append(_table(codes))
        place += 2 + CODE_BYTES * n_codes
    return tuple(tables)


def _code(body: bytes, place: int) -> Code:
    prefix_bits, total_bits, mode, value, stored = struct.unpack_from("<3BhI", body, place)
    if not (1 <= prefix_bits <= MAX_PREFIX_BITS and prefix_bits <= total_bits <= MAX_BITS):
        raise ValueError(f"a Huffman code of {prefix_bits} in {total_bits} bits")
    prefix = int(f"{stored & ((1 << prefix_bits) - 1):0{prefix_bits}b}"[::-1], 2)  # stored with its first bit lowest
    return Code(prefix_bits, total_bits, is_value=mode == 1, value=value, prefix=prefix)


def _table(codes: list[Code]) -> Table:
    bits = max((code.prefix_bits for code in codes), default=1)
    first = np.full(1 << bits, NO_CODE, dtype=np.int32)
    for number, code in enumerate(codes):
        rest = bits - code.prefix_bits
        patterns = first[code.prefix << rest : (code.prefix + 1) << rest]
        if (patterns != NO_CODE).any():
            raise ValueError("two Huffman codes of which one begins the other")
        patterns[:] = number
    return Table(tuple(codes), bits, first)


def decode(content: bytes, n: int, tables: tuple[Table, ...]) -> Index:
    """At most ``n`` numbers of a stream of bits; fewer where it ends early.

    Raises
    ------
    ValueError
        Bits are of no code.

    """
    n_bits = 8 * len(content)
    following = _following(content)
    numbers: list[int] = []
    place, table = 0, tables[0]
    while len(numbers) < n and place < n_bits:
        found = int(table.first[following[place] >> (MAX_BITS - table.bits)])
        if found == NO_CODE:
            raise ValueError(f"bit {place} begins no Huffman code")
        code = table.codes[found]
        if not code.is_value:
            if not 1 <= code.value <= len(tables):
                raise ValueError(f"a change to Huffman table {code.value}, there are {len(tables)}")
            table = tables[code.value - 1]
            place += code.prefix_bits
            continue
        if place + code.total_bits > n_bits:
            break
        extra = code.total_bits - code.prefix_bits
        value = code.value
        if extra:
            number = (following[place + code.prefix_bits] >> (MAX_BITS - extra)) & ((1 << extra) - 1)
            value += number - (1 << extra) if number >> (extra - 1) else number
        numbers.append(value)
        place += code.total_bits
    return np.array(numbers, dtype=np.int64)


def _following(content: bytes) -> list[int]:
    """The 32 bits that follow each bit of a stream, zeros after its end."""
    padded = np.frombuffer(content + bytes(8), dtype=np.uint8).astype(np.uint64)
    forty = np.zeros(len(content), dtype=np.uint64)  # bits from each byte on
    for number in range(5):
        forty = forty << np.uint64(8) | padded[number : number + len(content)]
    shifted = forty[:, None] >> np.arange(8, 0, -1, dtype=np.uint64)
    return [*map(int, (shifted & np.uint64(0xFFFFFFFF)).ravel().tolist())]
