"""WFDB records of the plain form that nearly all have, read without the wfdb library.

That library loads pandas, which takes longer than to read a short record. Each function here gives what the library
gives, or None for what is not plain or is damaged, which is then left to the library and its errors.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..schema import Float32, Index

# The first line of a header (https://wfdb.io/spec/header-files.html) and that of a signal; its name may be missing.
RECORD: Final = re.compile(
    r"[-\w]+[ \t]+(\d{1,9})[ \t]+(\d{1,9}\.?\d{0,9})[ \t]+(\d{1,18})"
    r"(?:[ \t]+(\d{1,2}:\d{1,2}:\d{1,2}(?:\.\d{1,6})?)(?:[ \t]+(\d{1,2}/\d{1,2}/\d{4}))?)?",
    re.ASCII,
)
SIGNAL: Final = re.compile(
    r"([-\w]+\.\w+)[ \t]+(\d{1,9})(?:\+(\d{1,9}))?"
    r"[ \t]+(\d{1,9}(?:\.\d{1,18})?)(?:\((-?\d{1,18})\))?(?:/[\w^\-?%/]+)?"
    r"[ \t]+\d{1,9}[ \t]+(-?\d{1,18})[ \t]+-?\d{1,18}[ \t]+-?\d{1,18}[ \t]+\d{1,9}(?:[ \t]+(\S[^\t\n\r\f\v]*))?",
    re.ASCII,
)
TYPES: Final = {"16": "<i2", "61": ">i2", "80": "u1"}  # of formats that store each sample in whole bytes
MISSING: Final = {"16": -(1 << 15), "61": -(1 << 15), "80": -(1 << 7), "212": -(1 << 11)}  # samples not recorded

# Codes of annotations (https://wfdb.io/spec/annotation-files.html), in the upper six bits of a word.
SYMBOLS: Final = dict(enumerate(" NLRaVFJASEj/Q~", 0)) | dict(enumerate('|', 16)) | dict(
    enumerate('sT*D"=pB^t+u?![]en@xf()r', 18)
)  # fmt: skip
NO_ANNOTATION, COMMENT, SKIP, NOTE = 0, 22, 59, 63  # SKIP: a long step in the next two words
RATE: Final = re.compile(r"## time resolution: (\d+\.?\d*)")


@dataclass
class PlainHeader:
    """A header of one segment; the names are those of the library."""

    n_sig: int
    fs: float
    sig_len: int
    base_time: time | None
    base_date: date | None
    comments: list[str]
    file_name: list[str]
    fmt: list[str]
    byte_offset: list[int | None]
    samps_per_frame: list[int]
    skew: list[int | None]
    adc_gain: list[float]
    baseline: list[int]
    sig_name: list[str | None]


@dataclass(frozen=True)
class PlainSignal:
    """The signal file of a segment, in which the leads alternate sample by sample."""

    path: Path
    form: str
    offset: int  # bytes before the first sample
    gain: tuple[float, ...]  # of each lead
    baseline: tuple[int, ...]  # of each lead

    def read(self, start: int, stop: int, channels: list[int]) -> Float32:
        """Samples [start, stop) in the units of the header, shape (stop - start, n_channels)."""
        n = len(self.gain)
        first, last = start * n, stop * n
        counts = (_counts_212 if self.form == "212" else _counts)(self, first, last)
        counts = counts.reshape(stop - start, n)[:, channels]
        signal = counts.astype(np.float32)
        np.subtract(signal, np.array(self.baseline)[channels], signal)
        np.divide(signal, np.array(self.gain)[channels], signal)
        signal[counts == MISSING[self.form]] = np.nan
        return signal


def plain_header(path: Path) -> PlainHeader | None:
    """What ``wfdb.rdheader`` decodes of a header of one segment."""
    try:
        lines = [stripped for line in path.read_bytes().decode("ascii").splitlines() if (stripped := line.strip())]
    except (OSError, UnicodeDecodeError):
        return None
    stated = [line for line in lines if not line.startswith("#")]
    record = RECORD.fullmatch(stated[0]) if stated else None
    signals = [found for line in stated[1:] if (found := SIGNAL.fullmatch(line))]
    if record is None or not len(signals) == len(stated) - 1 == int(record[1]) > 0:
        return None
    file_name, form, offset, gain, baseline, zero, name = zip(*(signal.groups() for signal in signals), strict=True)
    try:
        base_time = _moment(record[4], "%H:%M:%S.%f" if "." in (record[4] or "") else "%H:%M:%S")
        base_date = _moment(record[5], "%d/%m/%Y")
    except ValueError:
        return None
    n = len(signals)
    return PlainHeader(
        n_sig=n, fs=float(record[2]), sig_len=int(record[3]), base_time=base_time.time() if base_time else None,
        base_date=base_date.date() if base_date else None,
        comments=[line.strip(" \t#") for line in lines if line.startswith("#")], file_name=[*file_name], fmt=[*form],
        byte_offset=[None if text is None else int(text) for text in offset], samps_per_frame=[1] * n,
        skew=[None] * n, adc_gain=[float(text) or 200.0 for text in gain],
        baseline=[int(own or of_zero) for own, of_zero in zip(baseline, zero, strict=True)], sig_name=[*name],
    )  # fmt: skip


def _moment(text: str | None, form: str) -> datetime | None:
    return None if text is None else datetime.strptime(text, form)


def plain_signal(stem: Path, header: Any) -> PlainSignal | None:
    """The signal file of a plain header, where there is one alone, in one of the frequent formats."""
    if not isinstance(header, PlainHeader) or len({*header.file_name}) > 1 or len({*header.fmt}) > 1:
        return None
    if header.fmt[0] not in MISSING:
        return None
    path = stem.parent / header.file_name[0]
    return PlainSignal(path, header.fmt[0], header.byte_offset[0] or 0, tuple(header.adc_gain), tuple(header.baseline))


def _counts(signal: PlainSignal, first: int, last: int) -> NDArray[np.signedinteger[Any]]:
    kind = np.dtype(TYPES[signal.form])
    counts = np.fromfile(signal.path, kind, last - first, offset=signal.offset + first * kind.itemsize)
    return counts.astype(np.int16) - 128 if signal.form == "80" else counts


def _counts_212(signal: PlainSignal, first: int, last: int) -> NDArray[np.signedinteger[Any]]:
    """Two samples of 12 bits in three bytes."""
    begin = first // 2 * 2
    raw = np.fromfile(signal.path, np.uint8, -(-(last - begin) * 3 // 2), offset=signal.offset + begin * 3 // 2)
    low, both, high = np.pad(raw, (0, -len(raw) % 3)).reshape(-1, 3).astype(np.int16).T
    pairs = np.stack((low | (both & 0x0F) << 8, high | (both & 0xF0) << 4), axis=1)
    return np.where(pairs > 0x7FF, pairs - 0x1000, pairs).ravel()[first - begin : last - begin]


def plain_annotations(path: Path) -> tuple[Index, list[str], list[str], float | None] | None:
    """Samples, symbols and notes of an annotation file as ``wfdb.rdann`` decodes them, and the rate that it states."""
    content = path.read_bytes()
    if len(content) % 2:
        return None
    words = np.frombuffer(content, "<u2").tolist()
    try:
        found = _annotations(words, content)
        symbols = [SYMBOLS[code] for _, code, _ in found]
    except (IndexError, KeyError):  # it ends too early, or has codes of its own
        return None
    definitions = [number for number, (at, code, _) in enumerate(found) if code == COMMENT and not at]
    stated = RATE.match(found[0][2]) if definitions == [0] else None
    if definitions and stated is None:
        return None
    kept = [n for n, (at, code, _) in enumerate(found) if code != NO_ANNOTATION and not (code == COMMENT and not at)]
    sample = np.array([found[n][0] for n in kept], dtype=np.int64)
    rate = float(stated[1]) if stated else None
    return sample, [symbols[n] for n in kept], [found[n][2] for n in kept], rate


def _annotations(words: list[int], content: bytes) -> list[tuple[int, int, str]]:
    """Sample, code and note of each annotation; KeyError where one has two notes."""
    found, at, sample = [], 0, 0
    while at < len(words) - 1:  # the last word is the end
        while words[at] >> 10 == SKIP:
            far = words[at + 1] << 16 | words[at + 2]
            sample += far - (1 << 32) if far >> 31 else far
            at += 3
        code, sample, note = words[at] >> 10, sample + (words[at] & 0x3FF), None
        at += 1
        while words[at] >> 10 > SKIP:  # fields of this annotation
            if words[at] >> 10 == NOTE:
                length = words[at] & 0xFF
                if note is not None:
                    raise KeyError(code)
                note = content[2 * at + 2 : 2 * at + 2 + length].decode("latin-1")
                at += (length + 1) // 2
            at += 1
        found.append((sample, code, note or ""))
    return found
