"""Marks of beats: WFDB annotation files, the tables of beats that this program writes, and the notes of EDF+."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import wfdb

from ..errors import RecordError
from ..labels import AAMI_OF_SYMBOL, SYMBOL_OF_CLASS
from ..schema import Annotations
from ..text import format_quoted

# Texts of EDF+ that mean a beat, beside the WFDB symbols themselves
SYMBOL_OF_WORD: Final = {
    "normal": "N", "normal beat": "N", "sinus": "N", "lbbb": "L", "rbbb": "R", "pvc": "V", "vpb": "V", "veb": "V",
    "ventricular": "V", "ventricular beat": "V", "pac": "A", "apb": "A", "sveb": "S", "supraventricular": "S",
    "supraventricular beat": "S", "fusion": "F", "fusion beat": "F", "paced": "/", "paced beat": "/",
    "unclassifiable": "Q",
}  # fmt: skip
RHYTHM = re.compile(r"\([A-Z][A-Z0-9]{0,5}")  # a change of rhythm as WFDB writes it, such as "(AFIB"
RHYTHM_SYMBOL = "+"
BEAT_S = 1.0  # what lasts longer is a stretch, such as an epoch of sleep called N or R
MOST_BETWEEN_S = 3.0  # between beats; letters that come more rarely mean something else
LARGEST_SAMPLE = 1 << 53  # a larger number is damage, and no double holds it


def read_annotations(path: Path, fs_hz: float) -> Annotations:
    """Marks of a file, in seconds from the start of the record: a WFDB annotation file, or a table of beats (.csv).

    Raises
    ------
    RecordError
        The file is missing, or none of these.

    """
    if not path.is_file():
        raise RecordError(f"{path}: this file of annotations does not exist; check its path.")
    return _read_table(path) if path.suffix.lower() == ".csv" else read_wfdb_annotations(path, fs_hz, own_rate=True)


def read_wfdb_annotations(path: Path, fs_hz: float, *, own_rate: bool = False) -> Annotations:
    """Marks of a WFDB annotation file, in seconds from the start of the record.

    With ``own_rate``, the rate that the file or the header beside it states goes before ``fs_hz``.
    """
    try:
        marks = wfdb.rdann(str(path.with_suffix("")), path.suffix[1:])
        sample, symbol = np.asarray(marks.sample, dtype=np.int64), np.array(marks.symbol, dtype=np.str_)
        fs_hz = float(marks.fs) if own_rate and marks.fs else fs_hz
        aux = np.array([note.rstrip("\x00") for note in marks.aux_note], dtype=np.str_)
    except Exception as error:  # the decoder raises whatever the bytes make it trip over
        raise RecordError(
            f"{path.name}: expected WFDB annotations, but the file cannot be read as such ({format_quoted(error)}). "
            "Get it anew, or remove it to analyse the record without a reference."
        ) from error
    outside = (sample < 0) | (sample > LARGEST_SAMPLE)
    if outside.any():
        raise RecordError(
            f"{path.name}: expected WFDB annotations, but {outside.sum()} marks lie before the record's start. "
            "Get it anew, or remove it to analyse the record without a reference."
        )
    order = np.argsort(sample, kind="stable")
    return Annotations(sample[order] / fs_hz, symbol[order], aux[order])


def _read_table(path: Path) -> Annotations:
    """The table ``NAME_beats.csv`` of an analysis or of a copy: when, and which class or symbol."""
    try:
        table = pd.read_csv(path, keep_default_na=False)
        time_s = table["time_s"].to_numpy(dtype=np.float64)
        symbol = table["symbol"] if "symbol" in table else table["label"].map(SYMBOL_OF_CLASS)
        known = symbol.isin(list(AAMI_OF_SYMBOL)).all() and bool(np.isfinite(time_s).all() and (time_s >= 0).all())
    except (KeyError, ValueError, TypeError, pd.errors.ParserError) as error:
        raise RecordError(
            f"{path.name}: expected a table of beats with the columns time_s and label ({format_quoted(error)}); take the "
            "NAME_beats.csv of an analysis."
        ) from error
    if not known:
        raise RecordError(
            f"{path.name}: expected times in seconds from 0 and the labels {', '.join(SYMBOL_OF_CLASS)} in the columns "
            "time_s and label; take the NAME_beats.csv of an analysis."
        )
    order = np.argsort(time_s, kind="stable")
    return Annotations(time_s[order], symbol.to_numpy(dtype=np.str_)[order], np.full(len(order), "", dtype=np.str_))


def beats_of_texts(notes: Sequence[tuple[float, float, str]], begin_s: float) -> Annotations | None:
    """Beats among the notes of an EDF+ file, which are (onset, duration, text); None where they are no beats.

    Parameters
    ----------
    begin_s
        Onset of the first sample.

    """
    found = sorted(
        (onset - begin_s, *known) for onset, lasts, text in notes if lasts <= BEAT_S and (known := _mark(text))
    )
    beat_s = [time_s for time_s, symbol, _ in found if symbol in AAMI_OF_SYMBOL]
    if len(beat_s) < 2 or np.median(np.diff(beat_s)) > MOST_BETWEEN_S:
        return None
    time_s, symbol, aux = zip(*found, strict=True)
    return Annotations(np.array(time_s), np.array(symbol, dtype=np.str_), np.array(aux, dtype=np.str_))


def _mark(text: str) -> tuple[str, str] | None:
    """Symbol and note of a text that marks a beat or a change of rhythm."""
    if RHYTHM.fullmatch(text):
        return RHYTHM_SYMBOL, text
    symbol = text if text in AAMI_OF_SYMBOL else SYMBOL_OF_WORD.get(text.casefold())
    return (symbol, "") if symbol else None
