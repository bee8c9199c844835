"""Annotations beside an ISHNE recording (.ann, thew-project.org/papers/ishneAnn.pdf): a label for each beat."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

import numpy as np

from ..labels import AAMI_OF_SYMBOL, NOT_A_BEAT
from ..schema import Annotations
from ..text import plural
from .annotation_files import NOTE_SYMBOL

SUFFIX: Final = ".ann"
MAGIC: Final = b"ANN"
HEADER_BYTES: Final = 522  # the same as that of the recording, and after them a block of variable length
MAX_BYTES: Final = 1 << 26  # two months of beats
TIMEOUT: Final = "!"  # carries time on where two beats are further apart than 16 bits can count
CALIBRATION: Final = "C"
SYMBOL_OF_LABEL: Final = {"P": "/", "U": "Q", "X": NOT_A_BEAT}  # where they differ from WFDB's

BEAT = np.dtype([("label", "S1"), ("internal", "u1"), ("samples", "<u2")])  # samples since the annotation before


def annotations_beside(path: Path) -> Path | None:
    """The file of annotations of a recording; None where there is none."""
    for suffix in (SUFFIX, SUFFIX.upper()):
        found = path.with_suffix(suffix)
        if found.is_file():
            with found.open("rb") as stream:
                return found if stream.read(len(MAGIC)) == MAGIC else None
    return None


def read_ishne_annotations(path: Path, fs_hz: float, duration_s: float) -> tuple[Annotations | None, list[str]]:
    """Annotations in seconds from the start of the recording, and doubts; None where the file is damaged.

    Parameters
    ----------
    fs_hz, duration_s
        Of the recording; samples count by the rate that the file of annotations states, or else by this one.

    """
    with path.open("rb") as stream:
        content = stream.read(MAX_BYTES)
    (extra,) = struct.unpack_from("<i", content, 10) if len(content) >= HEADER_BYTES else (-1,)
    begin = HEADER_BYTES + extra + 4
    if extra < 0 or len(content) < begin:
        return None, [f"{path.name} ends within its header, so that there are no reference annotations"]
    (first,) = struct.unpack_from("<I", content, begin - 4)
    (stated_hz,) = struct.unpack_from("<h", content, 272)
    beats = np.frombuffer(content, BEAT, (len(content) - begin) // BEAT.itemsize, begin)
    sample = first + np.cumsum(beats["samples"], dtype=np.int64)
    time_s = sample / (stated_hz if stated_hz > 0 else fs_hz)
    label = np.array([known.decode("latin-1") for known in beats["label"].tolist()], dtype=np.str_)
    counts = (label != TIMEOUT) & (label != CALIBRATION) & (label != "")
    outside = counts & (time_s >= duration_s)
    late = f"{path.name} has {plural(outside.sum(), 'annotation')} after the end of the ECG"
    kept = counts & ~outside
    names = [SYMBOL_OF_LABEL.get(name, name) for name in label[kept].tolist()]
    known = [name in AAMI_OF_SYMBOL or name == NOT_A_BEAT for name in names]
    symbol = [name if is_known else NOTE_SYMBOL for name, is_known in zip(names, known, strict=True)]
    aux = ["" if is_known else name for name, is_known in zip(names, known, strict=True)]
    found = Annotations(time_s[kept], np.array(symbol, dtype=np.str_), np.array(aux, dtype=np.str_))
    return found, [late] if outside.any() else []
