"""Copies as ISHNE Holter files (Badilini 1998), with the beats in an annotation file (.ann) beside the ECG."""

from __future__ import annotations

import binascii
import struct
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Final

import numpy as np

from ..clock import clock_of
from ..errors import OutputError
from ..labels import AAMI_OF_SYMBOL
from ..schema import Annotations, Float32, Record
from ..signals.filters import to_sample
from ..text import one_line, plural
from .counts import counts_of
from .ishne_files import HEADER_BYTES, LEAD_NAMES, MAX_LEADS
from .mdc import lead_code

ECG, ANNOTATIONS = b"ISHNE1.0", b"ANN  1.0"
FILE_VERSION, UNKNOWN = 1, -9
UNKNOWN_LEAD = 0
MOST_HZ = 32_767
MOST_STEP_NV = 32_767
CRC_START = 0xFFFF  # CRC-CCITT, over all of the header behind the checksum
SPEC_OF: Final = {name: spec for spec, name in LEAD_NAMES.items()}
TIMEOUT, MOST_SAMPLES = b"!", 0xFFFF  # no beat, where the next one is further away than 16 bits can say
# Letters of the classes, and of beats that the format's list tells apart; F and U, for Q, are not in that list.
LETTER: Final = {"N": b"N", "S": b"S", "V": b"V", "F": b"F", "Q": b"U"}
OF_SYMBOL: Final = {"L": b"B", "R": b"B", "B": b"B", "/": b"P", "f": b"P"}
BEAT: Final = np.dtype([("letter", "S1"), ("internal", "S1"), ("samples", "<u2")])


def write_ishne(record: Record, rows: Callable[[int], Float32], fs_hz: float, folder: Path) -> None:
    """Write ``NAME.ecg`` without a patient, and where there are annotations ``NAME.ann``.

    Raises
    ------
    OutputError
        ISHNE holds at most 12 leads, whole rates, and a signal of up to a volt.

    """
    n_leads = len(record.lead_names)
    if n_leads > MAX_LEADS or fs_hz != int(fs_hz) or fs_hz > MOST_HZ:
        raise OutputError(
            f"{record.record_id}: ISHNE holds up to {MAX_LEADS} leads at a whole number of Hz, the record has "
            f"{plural(n_leads, 'lead')} at {fs_hz:g} Hz; choose another form or rate.",
            settings=("to", "rate"),
        )
    counts = counts_of(record, rows, whole_nv=True)
    steps_nv = [0 if step_uv is None else round(1000 * step_uv) for step_uv in counts.step_uv]
    if max(steps_nv) > MOST_STEP_NV:
        raise OutputError(
            f"{record.record_id}: ISHNE holds up to a volt, the signal is larger; choose another form.",
            settings=("to",),
        )
    n_samples = len(counts.samples)
    header = _header(record, n_samples, int(fs_hz), steps_nv)
    with (folder / f"{record.record_id}.ecg").open("wb") as stream:
        stream.write(_file_header(ECG, header))
        stream.write(counts.samples.data)
    if record.reference is not None:
        beats = _beats(record.reference, n_samples, fs_hz)
        (folder / f"{record.record_id}.ann").write_bytes(_file_header(ANNOTATIONS, header) + beats)


def _file_header(magic: bytes, header: bytes) -> bytes:
    return magic + struct.pack("<H", binascii.crc_hqx(header, CRC_START)) + header


def _header(record: Record, n_samples: int, rate: int, steps_nv: list[int]) -> bytes:
    """What follows the checksum: the fixed block, and the names of the leads in the block of free length."""
    names = f"Leads: {', '.join(one_line(name) for name in record.lead_names)}".encode("ascii", "replace") + b"\0"
    offset = HEADER_BYTES + len(names)
    unused = [0] * (MAX_LEADS - len(steps_nv))
    specs = [_spec(name) for name in record.lead_names]
    return (
        struct.pack("<4ih", len(names), n_samples, HEADER_BYTES, offset, FILE_VERSION)
        + bytes(40 + 40 + 20)  # names and number of the patient
        + struct.pack("<2h", 0, 0)  # sex and race, unknown
        + struct.pack("<3h", UNKNOWN, UNKNOWN, UNKNOWN)  # date of birth
        + struct.pack("<9h", *_day(record.start), *_day(record.start), *_clock(record))
        + struct.pack("<13h", len(specs), *specs, *unused)
        + struct.pack("<12h", *[0] * MAX_LEADS)  # quality, unknown
        + struct.pack("<12h", *steps_nv, *unused)
        + struct.pack("<h", UNKNOWN)  # pacemaker
        + b"digital".ljust(40, b"\0")
        + struct.pack("<h", rate)
        + bytes(80 + 80 + 88)  # proprietary, copyright, reserved
        + names
    )


def _spec(name: str) -> int:
    """ISHNE's number of a lead; 0 where it has none, which its name in the block of free length makes up for."""
    code = lead_code(name)
    return SPEC_OF.get(code.name.removeprefix("MDC_ECG_LEAD_"), UNKNOWN_LEAD) if code else UNKNOWN_LEAD


def _day(moment: date | None) -> tuple[int, int, int]:
    return (moment.day, moment.month, moment.year) if moment else (UNKNOWN,) * 3


def _clock(record: Record) -> tuple[int, int, int]:
    clock: datetime | None = clock_of(record)
    return (clock.hour, clock.minute, clock.second) if clock else (UNKNOWN,) * 3


def _beats(reference: Annotations, n_samples: int, fs_hz: float) -> bytes:
    """Sample of the first beat, then of each beat its letter, WFDB's symbol, and the samples since the one before."""
    kept = np.isin(reference.symbol, list(AAMI_OF_SYMBOL))
    symbols = reference.symbol[kept].tolist()
    if not symbols:
        return struct.pack("<I", 0)
    place = to_sample(reference.time_s[kept], fs_hz, n_samples)
    first = int(place[0])
    step = np.diff(place, prepend=first)
    n_far = np.maximum(-(-step // MOST_SAMPLES) - 1, 0)  # marks without a beat before each beat
    made = np.zeros(len(symbols) + int(n_far.sum()), dtype=BEAT)
    made["letter"], made["samples"] = TIMEOUT, MOST_SAMPLES
    at = np.arange(len(symbols)) + np.cumsum(n_far)
    made["letter"][at] = [OF_SYMBOL.get(symbol, LETTER[AAMI_OF_SYMBOL[symbol]]) for symbol in symbols]
    made["internal"][at] = symbols
    made["samples"][at] = step - n_far * MOST_SAMPLES
    return struct.pack("<I", first) + made.tobytes()
