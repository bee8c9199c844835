"""Annotations of beats: WFDB annotation files, the tables of beats that this program writes, and texts of EDF+."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from ..errors import RecordError
from ..labels import AAMI_OF_SYMBOL, NOT_A_BEAT, SYMBOL_OF_CLASS
from ..schema import Annotations, Index, Record, Text
from ..text import format_quoted, one_line
from .wfdb_annotations import RATE, plain_annotations
from .wfdb_header import header_of, read_header

# Texts of EDF+ that mean a beat, beside the WFDB symbols themselves
SYMBOL_OF_WORD: Final = {
    "normal": "N", "normal beat": "N", "sinus": "N", "lbbb": "L", "rbbb": "R", "pvc": "V", "vpb": "V", "veb": "V",
    "ventricular": "V", "ventricular beat": "V", "pac": "A", "apb": "A", "sveb": "S", "supraventricular": "S",
    "supraventricular beat": "S", "fusion": "F", "fusion beat": "F", "paced": "/", "paced beat": "/",
    "unclassifiable": "Q",
}  # fmt: skip
RHYTHM = re.compile(r"\([A-Z][A-Z0-9]{0,5}")  # a change of rhythm as WFDB writes it, such as "(AFIB"
RHYTHM_SYMBOL, NOTE_SYMBOL, LINK_SYMBOL = "+", '"', "@"
VF_MARKS: Final = {  # that stand around an episode
    "[": "start of ventricular flutter or fibrillation", "]": "end of ventricular flutter or fibrillation",
}  # fmt: skip
MAX_BEAT_S = 1.0  # a longer annotation is a stretch, such as an epoch of sleep called N or R
MAX_INTERVAL_S = 3.0  # median between beats; letters that come more rarely mean something else
KNOWN_LABELS: Final = {**SYMBOL_OF_CLASS, NOT_A_BEAT: NOT_A_BEAT}
RECORD_COLUMNS: Final = ("record", "record_sha256")  # of a table of labels: whose they are
SHOWN_DIGITS, LONGEST_NAME = 8, 60  # of a hash and of a name in a sentence
MAX_SAMPLE = 1 << 53  # a larger number is damage, and no double represents it exactly


def read_annotations(path: Path, fs_hz: float) -> Annotations:
    """Annotations of a WFDB annotation file or a table of beats (.csv), in seconds from the start of the record.

    Parameters
    ----------
    fs_hz
        Rate by which the samples of a WFDB file count where neither the file nor the header beside it states one.

    Raises
    ------
    RecordError
        The file is missing, or neither of these.

    Examples
    --------
    >>> annotations = read_annotations(Path("demo_data/demo.atr"), fs_hz=257)
    >>> len(annotations.time_s), annotations.symbol[:3].tolist()
    (2276, ['+', 'N', 'N'])

    """
    if not path.is_file():
        raise RecordError("this annotation file does not exist", where=path, advice="Check its path.")
    return _read_table(path) if path.suffix.lower() == ".csv" else read_wfdb_annotations(path, fs_hz)


def read_labels_of(path: Path, record: Record) -> tuple[Annotations, bool]:
    """Annotations of a record, and whether their file states that they are of this record.

    The table ``NAME_labels.csv`` states the SHA-256 of its record; other files do not, and are taken as they are.

    Raises
    ------
    RecordError
        The file is missing, of no known form, or of another record.

    """
    annotations = read_annotations(path, record.fs_hz)
    stated = _records_of_table(path) if path.suffix.lower() == ".csv" else []
    for name, sha256 in stated:
        if sha256 != record.sha256:
            raise RecordError(
                "these labels are of another record; none of them is used",
                where=path.name,
                expected=f"{record.record_id} (SHA-256 {record.sha256[:SHOWN_DIGITS]})",
                got=f"{name} ({sha256[:SHOWN_DIGITS]})",
                advice="Choose the labels of this record, or open the other one.",
            )
    return annotations, bool(stated)


def _records_of_table(path: Path) -> list[tuple[str, str]]:
    """Name and SHA-256 of the records that a table of labels states; none in a table of an older version."""
    import pandas as pd  # noqa: PLC0415  # a quarter of a second, which only tables need

    table = pd.read_csv(path, keep_default_na=False, dtype=str)
    if not {*RECORD_COLUMNS} <= {*table.columns}:
        return []
    pairs = table[[*RECORD_COLUMNS]].drop_duplicates().to_numpy().tolist()
    return [(one_line(name)[:LONGEST_NAME], one_line(sha256)) for name, sha256 in pairs]


def read_wfdb_annotations(path: Path, fs_hz: float) -> Annotations:
    """Annotations of a WFDB annotation file, in seconds from the start of the record; ``fs_hz`` as above."""
    try:
        sample, symbols, notes, stated_hz = _decoded(path)
        symbol = np.array(symbols, dtype=np.str_)
        aux = np.array([note.rstrip("\x00") for note in notes], dtype=np.str_)
    except Exception as error:  # the decoder raises all kinds of errors on damaged bytes
        raise RecordError(
            f"cannot be decoded ({format_quoted(error)})",
            where=path.name,
            expected="WFDB annotations",
            advice="Copy it again, or remove it to analyse the record without a reference.",
        ) from error
    outside = (sample < 0) | (sample > MAX_SAMPLE)
    if outside.any():
        raise RecordError(
            "is damaged",
            where=path.name,
            expected="WFDB annotations",
            got=f"{outside.sum()} before the record's start",
            advice="Copy it again, or remove it to analyse the record without a reference.",
        )
    order = np.argsort(sample, kind="stable")
    return Annotations(sample[order] / (stated_hz or _header_hz(path) or fs_hz), symbol[order], aux[order])


def annotation_rate_hz(path: Path, fs_hz: float) -> float:
    """Rate by which the samples of a WFDB annotation file count: its own, that of the header beside it, or ``fs_hz``.

    Without a rate of its own, a file counts the frames of its record, which may hold several samples of a lead.
    """
    return _stated_hz(path) or _header_hz(path) or fs_hz


def _decoded(path: Path) -> tuple[Index, list[str], list[str], float | None]:
    """Samples, symbols and notes of a WFDB annotation file, and the rate that it states."""
    plain = plain_annotations(path)
    if plain is not None:
        return plain
    import wfdb  # noqa: PLC0415  # a third of a second, for files that are not plain

    found = wfdb.rdann(str(path.with_suffix("")), path.suffix[1:])
    return np.asarray(found.sample, dtype=np.int64), found.symbol, found.aux_note, _stated_hz(path)


def _stated_hz(path: Path) -> float | None:
    """The rate that an annotation file states in a note."""
    found = RATE.search(path.read_bytes().decode("latin-1"))
    return float(found[1]) or None if found else None


def _header_hz(path: Path) -> float | None:
    """The rate of the frames by the header beside an annotation file."""
    stem = path.with_suffix("")
    try:
        return read_header(stem).fs_hz or None if header_of(stem).is_file() else None
    except (RecordError, OSError):
        return None


def _read_table(path: Path) -> Annotations:
    """Times and classes or symbols of the table ``NAME_beats.csv`` that an analysis or a copy writes."""
    import pandas as pd  # noqa: PLC0415  # see above

    try:
        table = pd.read_csv(path, keep_default_na=False)
        time_s = table["time_s"].to_numpy(dtype=np.float64)
        symbol = table["symbol"] if "symbol" in table else table["label"].map(KNOWN_LABELS)
        known = bool(symbol.isin([*AAMI_OF_SYMBOL, NOT_A_BEAT]).all())
        known = known and bool(np.isfinite(time_s).all() and (time_s >= 0).all())
    except (KeyError, ValueError, TypeError, pd.errors.ParserError) as error:
        raise RecordError(
            f"cannot be read ({format_quoted(error)})",
            where=path.name,
            expected="a table of beats with the columns time_s and label",
            advice="Take the NAME_beats.csv of an analysis.",
        ) from error
    if not known:
        raise RecordError(
            "is not a table of beats",
            where=path.name,
            expected=f"times in seconds from 0 and the labels {', '.join(SYMBOL_OF_CLASS)} in the columns time_s and "
            "label",
            advice="Take the NAME_beats.csv of an analysis.",
        )
    order = np.argsort(time_s, kind="stable")
    return Annotations(time_s[order], symbol.to_numpy(dtype=np.str_)[order], np.full(len(order), "", dtype=np.str_))


def texts_of(annotations: Annotations) -> Text:
    """Changes of rhythm and ends of ventricular fibrillation in words, shape (n,); empty for other annotations."""
    texts = np.where(annotations.symbol == RHYTHM_SYMBOL, annotations.aux, "").astype(object)
    for symbol, words in VF_MARKS.items():
        texts[annotations.symbol == symbol] = words
    return texts.astype(np.str_)


def beats_of_texts(texts: Sequence[tuple[float, float, str]]) -> Annotations | None:
    """Annotations of beats and rhythms among the texts of an EDF+ file; None where the texts are not beats.

    Parameters
    ----------
    texts
        Time from the first sample and duration in seconds, and the text.

    """
    found = sorted(
        (time_s, *known)
        for time_s, duration, text in texts
        if duration <= MAX_BEAT_S and (known := _annotation_of(text))
    )
    beat_s = [time_s for time_s, symbol, _ in found if symbol in AAMI_OF_SYMBOL]
    if len(beat_s) < 2 or np.median(np.diff(beat_s)) > MAX_INTERVAL_S:
        return None
    time_s, symbol, aux = zip(*found, strict=True)
    return Annotations(np.array(time_s), np.array(symbol, dtype=np.str_), np.array(aux, dtype=np.str_))


def is_beat_or_rhythm(text: str) -> bool:
    """Whether a text of an EDF+ file stands for a beat, a change of rhythm, or an end of ventricular fibrillation."""
    return _annotation_of(text) is not None


def _annotation_of(text: str) -> tuple[str, str] | None:
    """Symbol and note of a text that stands for a beat, a change of rhythm, or an end of ventricular fibrillation."""
    if RHYTHM.fullmatch(text):
        return RHYTHM_SYMBOL, text
    symbol = text if text in AAMI_OF_SYMBOL or text in VF_MARKS else SYMBOL_OF_WORD.get(text.casefold())
    return (symbol, "") if symbol else None
