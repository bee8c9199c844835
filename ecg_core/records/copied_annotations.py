"""What a copy of a record has of annotations: the record's own or those of a file, and events of an analysis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from ..errors import OutputError, RecordError
from ..labels import AAMI_OF_SYMBOL
from ..schema import Annotations, Bool, Record
from ..text import plural
from .annotation_files import LINK_SYMBOL, NOTE_SYMBOL, RHYTHM, RHYTHM_SYMBOL, VF_MARKS, read_labels_of
from .event_files import EventfulAnnotations, read_events

EDF: Final = "edf"
ROUNDED_S: Final = 0.001  # of the times in a table of events
TEXTS: Final = (RHYTHM_SYMBOL, *VF_MARKS)  # that forms with texts hold beside beats
HELD: Final = {EDF: TEXTS, "dicom": TEXTS, "aecg": TEXTS, "ishne": (), "csv": (), "parquet": ()}


def with_annotations(record: Record, path: Path) -> Record:
    """The record with the annotations of a file in place of its reference.

    Raises
    ------
    RecordError
        They cannot be decoded, lie beyond the record's end, or are stated to be of another record.

    """
    annotations, _ = read_labels_of(path, record)
    if len(annotations.time_s) and annotations.time_s[-1] > record.duration_s:
        raise RecordError(
            f"it and the record {record.record_id} do not belong together",
            where=path.name,
            expected=f"annotations within {record.duration_s:,.1f} s",
            got=f"the last one at {annotations.time_s[-1]:,.1f} s",
        )
    return replace(record, reference=annotations, files=without_annotation_file(record))


def with_events(record: Record, path: Path, kind: str) -> Record:
    """The record with the events of a table beside its annotations.

    Raises
    ------
    OutputError
        The kind of copy holds no events.
    RecordError
        They cannot be read, end more than ``ROUNDED_S`` beyond the record's end, or are stated to be of another record.

    """
    if kind != EDF:
        raise OutputError(f"{path.name}: events are written into {EDF} alone, not into {kind}.", settings=("to",))
    events, known = read_events(path, record.record_id), record.reference
    last_s = max((event.start_s + event.duration_s for event in events), default=0.0)
    if last_s > record.duration_s + ROUNDED_S:
        raise RecordError(
            f"it and the record {record.record_id} do not belong together",
            where=path.name,
            expected=f"events within {record.duration_s:,.1f} s",
            got=f"the last one until {last_s:,.1f} s",
        )
    known = known or Annotations(np.zeros(0), np.zeros(0, dtype=np.str_), np.zeros(0, dtype=np.str_))
    return replace(record, reference=EventfulAnnotations(known.time_s, known.symbol, known.aux, events))


def within_end(record: Record, report: Callable[[str], None] | None) -> Record:
    """The record without annotations at its end and beyond: no sample is there, and the last one is none of theirs."""
    known = record.reference
    if known is None or (inside := known.time_s < record.duration_s).all():
        return record
    if report:
        n = len(inside) - int(inside.sum())
        report(
            f"{plural(n, 'annotation')} at or beyond the end of the record ({record.duration_s:,.1f} s) "
            f"{'was' if n == 1 else 'were'} left out."
        )
    return replace(record, reference=_chosen(known, inside))


def held_by(record: Record, kind: str, report: Callable[[str], None] | None) -> Record:
    """The record with the annotations that a form of copy holds; the others are named."""
    held, known = HELD.get(kind), record.reference
    if held is None or known is None or (kept := np.isin(known.symbol, [*AAMI_OF_SYMBOL, *held])).all():
        return record
    if report:
        others = known.symbol[~kept].tolist()
        report(
            f"{plural(len(others), 'annotation')} of a kind that {kind} does not hold "
            f"{'was' if len(others) == 1 else 'were'} left out, in WFDB's symbols: {' '.join(dict.fromkeys(others))}"
        )
    return replace(record, reference=_chosen(known, kept))


def anonymous(reference: Annotations | None) -> Annotations | None:
    """Annotations without free text: notes and links are left out, of the others what is no change of rhythm."""
    if reference is None:
        return None
    kept = _chosen(reference, ~np.isin(reference.symbol, [NOTE_SYMBOL, LINK_SYMBOL]))
    aux = np.array([note if RHYTHM.fullmatch(note) else "" for note in kept.aux.tolist()], dtype=np.str_)
    return replace(kept, aux=aux)  # the events of an analysis are codes alone


def without_annotation_file(record: Record) -> tuple[Path, ...]:
    """Files of the record, so that a writer takes the annotations from ``reference``."""
    return tuple(file for file in record.files if file.suffix.lower() != ".atr")


def _chosen(known: Annotations, rows: Bool) -> Annotations:
    return replace(known, time_s=known.time_s[rows], symbol=known.symbol[rows], aux=known.aux[rows])
