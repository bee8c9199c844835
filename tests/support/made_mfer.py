"""MFER files (ISO 22077-1), simulated, and written without the reader."""

import numpy as np

from support.made_carts import EIGHT, FS_HZ, START, N, counts

CODES = {"I": 1, "II": 2, "V1": 3, "V2": 4, "V3": 5, "V4": 6, "V5": 7, "V6": 8, "III": 61}


def length(n):
    if n < 128:
        return bytes((n,))
    size = (n.bit_length() + 7) // 8
    return bytes((0x80 | size,)) + n.to_bytes(size, "big")


def define(tag, value):
    return bytes((tag,)) + length(len(value)) + value


def mfer(rows, *, order="little", names=EIGHT, block=100, dtype="i2", types=0, own=None, more=b"", frames=1, **changed):
    """A file whose channels lie in blocks; ``own`` has definitions of single channels, ``changed`` other values."""
    sign = "<" if order == "little" else ">"

    def number(value, size):
        return int(value).to_bytes(size, order)

    values = {
        "order": define(0x01, bytes((order == "little",))),
        "interval": define(0x0B, bytes((1, 0xFD)) + number(1000 // FS_HZ, 2)),  # 2 ms
        "sensitivity": define(0x0C, bytes((0, 0xFA)) + number(5, 2)),  # 5 uV
        "block": define(0x04, number(block, 4)),
        "channels": define(0x05, bytes((len(rows),))),
        "type": define(0x0A, bytes((types,))),
    } | changed
    day = number(START.year, 2) + bytes((START.month, START.day, START.hour, START.minute, START.second)) + bytes(4)
    content = define(0x40, b"MFR Standard 12 leads ECG".ljust(32)) + values["order"]
    content += define(0x03, b"UTF-8") + define(0x17, b"Maker^Model^1^2")
    content += define(0x81, "Müster^^Erika".encode()) + define(0x82, b"P7") + define(0x84, b"\2")
    content += define(0x83, bytes((51, 0, 0)) + number(1950, 2) + bytes((1, 2))) + define(0x85, day)
    content += b"".join(values[name] for name in ("interval", "sensitivity", "block", "channels", "type"))
    for channel, name in enumerate(names[: len(rows)]):
        inner = define(0x09, number(CODES[name], 2)) + (own or {}).get(name, b"")
        content += bytes((0x3F, channel)) + length(len(inner)) + inner
    content += more
    blocks = np.stack(rows).astype(f"{sign}{dtype}").reshape(len(rows), -1, block).transpose(1, 0, 2)
    for piece in np.split(blocks, frames):
        content += define(0x06, number(len(piece), 4)) + define(0x1E, piece.tobytes())
    return content + bytes((0x80,))


WHOLE = {
    "mfer": (lambda: mfer(counts(8, 2600)), "x.mwf"),
    "mfer, frames": (lambda: mfer(counts(8, N), frames=5), "x.mwf"),
}
