"""SCP-ECG files (EN 1064), simulated, with each way of compressing a rhythm, and written without the reader."""

import binascii
import struct

import numpy as np

from support.made_carts import EIGHT, FS_HZ, START, N, counts

CODES = {
    "I": 1, "II": 2, "V1": 3, "V2": 4, "V3": 5, "V4": 6, "V5": 7, "V6": 8, "III": 61, "aVR": 62, "aVL": 63, "aVF": 64,
}  # fmt: skip
STEP_US = 1_000_000 // FS_HZ
FIDUCIAL = 100  # sample of the reference beat, from 1
DECIMATION = 4


def with_crc(content):
    return struct.pack("<H", binascii.crc_hqx(content, 0xFFFF)) + content


def scp(bodies, *, magic=b"SCPECG"):
    """A file of some sections, by number."""
    place = 6 + 16 + 120
    pointers, whole = b"", b""
    sections = {}
    for number in range(12):
        if number in bodies:
            content = struct.pack("<HIBB6x", number, 16 + len(bodies[number]), 13, 13) + bodies[number]
            sections[number] = with_crc(content)
    for number in range(12):
        length = 136 if number == 0 else len(sections.get(number, b""))
        index = 7 if number == 0 else place + 1 if length else 0
        pointers += struct.pack("<HII", number, length, index)
        if number:
            whole += sections.get(number, b"")
            place += length
    first = with_crc(struct.pack("<HIBB6s", 0, 136, 13, 13, magic) + pointers)
    content = first + whole
    return with_crc(struct.pack("<I", 6 + len(content)) + content)


def tag(number, value):
    return struct.pack("<BH", number, len(value)) + value


def about():
    """Section 1."""
    device = bytes(8) + b"CART1\0" + bytes((13, 0, 0x37)) + bytes(19)
    tags = [
        tag(0, "Müster\0".encode()), tag(1, b"Erika\0"), tag(2, b"P7\0"), tag(4, struct.pack("<HB", 51, 1)),
        tag(5, struct.pack("<HBB", 1950, 1, 2)), tag(8, b"\2"), tag(14, device), tag(20, b"Ref\0"),
        tag(25, struct.pack("<HBB", START.year, START.month, START.day)),
        tag(26, bytes((START.hour, START.minute, START.second))),
    ]  # fmt: skip
    return b"".join(tags) + b"\xff\0\0"


def leads(names, n, *, flags=4, first=1):
    """Section 3."""
    firsts = first if isinstance(first, dict) else dict.fromkeys(names, first)
    return bytes((len(names), flags)) + b"".join(
        struct.pack("<IIB", firsts[name], firsts[name] + n - 1, CODES[name]) for name in names
    )


def differences(row, order):
    """What a writer stores of a row: the first samples, then differences."""
    row = np.asarray(row, dtype=np.int64)
    return np.concatenate([row[:order], np.diff(row, order)]) if order else row


def signed(number, bits):
    return format(number & ((1 << bits) - 1), f"0{bits}b")


def default_code(number):
    if number == 0:
        return "0"
    if abs(number) <= 8:
        return "1" * abs(number) + "0" + ("1" if number < 0 else "0")
    return "1111111110" + signed(number, 8) if -128 <= number < 128 else "1111111111" + signed(number, 16)


def bits_of(numbers):
    """A stream in the default table."""
    return packed("".join(default_code(int(number)) for number in numbers))


def packed(bits):
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big") if bits else b""


DEFAULT = struct.pack("<H", 19_999)


def code(prefix, total_bits, mode, value):
    """A code of section 2, whose prefix is stored with its first bit lowest."""
    return struct.pack("<3BhI", len(prefix), total_bits, mode, value, int(prefix[::-1], 2))


def own_tables():
    """Two tables: small numbers and a change to the other, which has numbers of 16 bits and a change back."""
    one = [code("0", 1, 1, 0), code("10", 6, 1, 3), code("11", 2, 0, 2)]
    two = [code("0", 17, 1, 0), code("1", 1, 0, 1)]
    tables = [struct.pack("<H", len(table)) + b"".join(table) for table in (one, two)]
    return struct.pack("<H", 2) + b"".join(tables)


def own_bits(numbers):
    """A stream in these tables, that changes them whenever it must."""
    bits, is_small = "", True
    for number in map(int, numbers):
        fits = number == 0 or -8 <= number - 3 < 8
        if fits != is_small:
            bits, is_small = bits + ("11" if is_small else "1"), fits
        if not is_small:
            bits += "0" + signed(number, 16)
        else:
            bits += "0" if number == 0 else "10" + signed(number - 3, 4)
    return packed(bits)


def raw(numbers):
    return np.asarray(numbers).astype("<i2").tobytes()


def block(rows, *, order=2, nv=5000, step_us=STEP_US, bimodal=0, pack=bits_of):
    """Section 5 or 6."""
    content = [pack(differences(row, order)) for row in rows]
    return (
        struct.pack("<HHBB", nv, step_us, order, bimodal)
        + struct.pack(f"<{len(content)}H", *map(len, content))
        + b"".join(content)
    )


def whole_scp(n=N, *, order=2, tables=DEFAULT, pack=bits_of, names=EIGHT):
    rows = counts(len(names), n)
    bodies = {1: about(), 3: leads(names, n), 6: block(rows, order=order, pack=pack)}
    return scp(bodies | ({2: tables} if tables else {}))


def subtracted(*, nv=5000, reference_nv=5000, bimodal=False, noise=0):
    """A file from whose ordinary beats a reference beat was subtracted, and the counts of ``nv`` that it stands for."""
    beat = np.rint(counts(8, 300, per_mv=1e6 / reference_nv)).astype(np.int64)
    at = np.arange(400, N - 400, 400)  # the fiducial sample of each beat, from 1
    kind = np.where(np.arange(len(at)) % 5 == 3, 1, 0)  # every fifth beat is of another shape
    time_s = np.arange(N) / FS_HZ
    whole = np.rint(60 * np.sin(2 * np.pi * 0.4 * time_s) + 30 * np.sin(2 * np.pi * 3 * time_s))[None].repeat(8, axis=0)
    residual = whole.copy()
    ratio = reference_nv / nv
    for fiducial in at[kind == 0]:
        first = fiducial - FIDUCIAL
        whole[:, first : first + 300] += beat * ratio
    zones = [(int(k), int(f - FIDUCIAL + 1), int(f), int(f - FIDUCIAL + 300)) for k, f in zip(kind, at, strict=True)]
    kept = [(f - 39, f + 40) for f in at.tolist()]  # from a sample after a multiple of four
    section_4 = struct.pack("<3H", 300 * STEP_US // 1000, FIDUCIAL, len(at))
    section_4 += b"".join(struct.pack("<HIII", *zone) for zone in zones)
    section_4 += b"".join(struct.pack("<II", *ends) for ends in kept)
    rows, step_us = residual.astype(np.int64), STEP_US
    if bimodal:
        rows, step_us = [decimated(row, kept) for row in residual], STEP_US * DECIMATION
    bodies = {
        1: about(), 2: DEFAULT, 3: leads(EIGHT, N, flags=5), 4: section_4, 5: block(beat, nv=reference_nv),
        6: block(rows, nv=nv, step_us=step_us, bimodal=int(bimodal)),
    }  # fmt: skip
    is_kept = np.zeros(N, dtype=bool)
    for first, last in kept:
        is_kept[first - 1 : last] = True
    return scp(bodies), whole, is_kept


def decimated(row, kept):
    """All samples of the zones, and the mean of each four samples between them."""
    stored, place = [], 0
    for first, last in [*kept, (len(row) + 1, len(row))]:
        stored += [
            row[start : min(start + DECIMATION, first - 1)].mean() for start in range(place, first - 1, DECIMATION)
        ]
        stored += row[first - 1 : last].tolist()
        place = last
    return np.rint(stored).astype(np.int64)


WHOLE = {
    "scp": (lambda: whole_scp(2600), "x.scp"),
    "scp, subtracted and bimodal": (lambda: subtracted(bimodal=True)[0], "x.scp"),
    "scp, tables of its own": (lambda: whole_scp(2600, tables=own_tables(), pack=own_bits), "x.scp"),
}
