"""ATC files of AliveCor's Kardia: blocks of leads, of what they are in, and of the recorder.

The layout is that of AliveCor's "ATC File Format Specification" 1.7. Its checksum is a CRC32 by the text, and the sum
of the bytes in the files that AliveCor publishes with it: either is right.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np

from ..errors import RecordError
from ..notes import Patient
from ..overrides import NO_OVERRIDES, LeftOut, RecordOverrides
from ..schema import Record
from ..text import format_quoted
from .limits import read_whole
from .stored_leads import About, StoredLead, open_leads

SIGNATURE_BYTES, BLOCK_BYTES, CHECKSUM_BYTES = 12, 8, 4  # signature with version; identifier with length
MAX_BYTES: Final = 64 << 20  # twelve leads of five minutes, the longest that the app records, take 2 MB
LEADS: Final = {
    f"ecg{key}": name
    for key, name in zip(
        " 23456789abc", ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"), strict=True
    )
}
OTHERS: Final = {  # by the first letters of other blocks
    "avg": "an averaged beat, no rhythm",
    "med": "an averaged beat, no rhythm",
    "ann": "beats that the recorder's software found, no reference",
    "acc": "movement",
}
SIGNED_16_BITS = 1  # the only form of samples
MV_PER_NV = 1e-6
INFO_FORM: Final = struct.Struct("<32s40s44s32s32s32s52s")  # start, two numbers, phone, software, hardware, device


@dataclass(frozen=True)
class Block:
    """A part of a file."""

    name: str
    place: int
    data: bytes
    is_sound: bool  # by its checksum


def read_atc(path: Path, overrides: RecordOverrides = NO_OVERRIDES) -> Record:
    """Open the leads of a file.

    Raises
    ------
    RecordError
        It is truncated or damaged, or holds no lead or no rate.

    """
    blocks = _blocks(path)
    _check(path, [block for block in blocks if block.name in LEADS or block.name == "fmt "])
    fs_hz, mv_per_count = _format(path, blocks)
    leads = [
        StoredLead(LEADS[block.name], np.frombuffer(block.data[: len(block.data) // 2 * 2], "<i2"), fs_hz, mv_per_count)
        for block in blocks if block.name in LEADS
    ]  # fmt: skip
    if not leads:
        raise RecordError("is an ATC file without a lead; an ECG is needed", where=path.name, advice="Export it again.")
    others = [block.name for block in blocks if block.name not in (*LEADS, "fmt ", "info")]
    info, is_sound = _info(blocks)
    about = About(
        start=_start(info[0]),
        left_out=tuple(
            LeftOut(format_quoted(name.strip()), OTHERS.get(name[:3], "an unknown block")) for name in others
        ),
        doubts=() if is_sound else ("its checksum of start and recorder does not fit; they may be damaged",),
    )
    return open_leads(path, leads, about, overrides)


def _blocks(path: Path) -> list[Block]:
    content = read_whole(path, MAX_BYTES, what="is too long an ATC file")
    found, place = [], SIGNATURE_BYTES
    while place < len(content):
        begin = place + BLOCK_BYTES
        length = struct.unpack_from("<I", content, place + 4)[0] if begin <= len(content) else 0
        end = begin + length
        if end + CHECKSUM_BYTES > len(content):
            raise RecordError(
                "is truncated, or damaged there",
                where=path.name,
                position=f"byte {place:,}",
                expected=f"a block of {length + BLOCK_BYTES + CHECKSUM_BYTES:,} bytes",
                got=f"{len(content) - place:,}",
                advice="Copy or export it again.",
            )
        (checksum,) = struct.unpack_from("<I", content, end)
        whole = content[place:end]
        is_sound = checksum in (sum(whole) & 0xFFFFFFFF, zlib.crc32(whole))
        found.append(Block(whole[:4].decode("latin-1"), place, whole[BLOCK_BYTES:], is_sound))
        place = end + CHECKSUM_BYTES
    return found


def _check(path: Path, blocks: list[Block]) -> None:
    """Refuse a file whose samples, or what they are in, are not what was written."""
    for block in blocks:
        if not block.is_sound:
            raise RecordError(
                f'the checksum of its block "{block.name.strip()}" does not fit; it is damaged',
                where=path.name,
                position=f"byte {block.place:,}",
                advice="Copy or export it again.",
            )


def _format(path: Path, blocks: list[Block]) -> tuple[float, float]:
    """Rate, and millivolts of a count."""
    data = next((block.data for block in blocks if block.name == "fmt "), b"")
    kind, rate, step_nv = struct.unpack_from("<BHH", data) if len(data) >= 5 else (0, 0, 0)
    if kind != SIGNED_16_BITS or not rate or not step_nv:
        raise RecordError(
            "is an ATC file whose samples are in no form that is read",
            where=path.name,
            expected="a block fmt with format 1, a rate and a resolution",
            got=f"format {kind}, {rate} Hz, {step_nv} nV" if data else "no such block",
            advice="Copy or export it again.",
        )
    return float(rate), step_nv * MV_PER_NV


def _info(blocks: list[Block]) -> tuple[list[str], bool]:
    """Texts of the block about the recorder, empty where there is none, and whether its checksum fits."""
    block = next((block for block in blocks if block.name == "info" and len(block.data) >= INFO_FORM.size), None)
    if block is None:
        return [""] * 7, True
    fields = INFO_FORM.unpack_from(block.data)
    return [field.partition(b"\0")[0].decode("utf-8", errors="replace").strip() for field in fields], block.is_sound


def _start(stated: str) -> datetime | None:
    """The start as the clock of the phone had it; the zone after it is that clock's own."""
    try:
        return datetime.fromisoformat(stated).replace(tzinfo=None)
    except ValueError:
        return None


def patient_of(path: Path) -> Patient:
    """The recorder; a file has no field about the patient."""
    info, _ = _info(_blocks(path))
    hardware = info[5] or info[4]
    return Patient(recorder=format_quoted(f"AliveCor {hardware}") if hardware else "")
