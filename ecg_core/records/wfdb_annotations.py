"""WFDB annotation files of the form that nearly all have, read without the wfdb library, and notes written.

That library loads pandas, which takes longer than to read a short record. What is not plain, or is damaged, is left to
the library and its errors.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from ..schema import Index

# Codes of annotations (https://wfdb.io/spec/annotation-files.html), in the upper six bits of a word.
SYMBOLS: Final = dict(enumerate(" NLRaVFJASEj/Q~", 0)) | dict(enumerate('|', 16)) | dict(
    enumerate('sT*D"=pB^t+u?![]en@xf()r', 18)
)  # fmt: skip
NO_ANNOTATION, COMMENT, SKIP, NOTE = 0, 22, 59, 63  # SKIP: a long step in the next two words
MAX_STEP, MAX_SKIP, MAX_NOTE = 0x3FF, 0x7FFFFFFF, 0xFF  # samples in a word and in a SKIP, bytes of a note
RATE: Final = re.compile(r"## time resolution: (\d+\.?\d*)")


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


def note_annotations(notes: Sequence[tuple[int, str]], fs_hz: float) -> bytes:
    """An annotation file with a note at each sample; samples ascend from 1 on, and count at ``fs_hz``."""
    words, before = bytearray(), 0
    for sample, text in [(0, f"## time resolution: {fs_hz:.10g}"), *notes]:
        step, note = sample - before, text.encode("latin-1", "replace")[:MAX_NOTE]
        before = sample
        while step > MAX_STEP:
            skipped = min(step, MAX_SKIP)
            words += np.array([SKIP << 10, skipped >> 16, skipped & 0xFFFF], dtype="<u2").tobytes()
            step -= skipped
        words += np.array([COMMENT << 10 | step, NOTE << 10 | len(note)], dtype="<u2").tobytes()
        words += note + b"\0" * (len(note) % 2)
    return bytes(words) + b"\0\0"
