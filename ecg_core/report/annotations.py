"""An analysis as a WFDB annotation file: beats, changes of rhythm, and the marks of fibrillation."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import wfdb
from numpy.typing import NDArray

from ..labels import SYMBOL_OF_CLASS
from ..schema import Analysis, Beats, Bool, Record, RhythmEvent
from ..signals.filters import to_sample

ANNOTATOR = "ai"  # suffix of the WFDB annotation file
# WFDB's code of each kind of event; of several at one beat, the last one here is written.
RHYTHM_CODES: Final = {
    "paced": "(P", "s_bigeminy": "(AB", "v_trigeminy": "(T", "v_bigeminy": "(B", "af": "(AFIB", "svt": "(SVTA",
    "svt_sustained": "(SVTA", "v_run": "(IVR", "idioventricular": "(IVR", "vt": "(VT", "vt_sustained": "(VT",
    "asystole": "(ASYS", "vf": "(VFL",
}  # fmt: skip
WITHOUT_BEATS: Final = ("asystole", "vf")  # rhythms that begin and end where the waveform changes, not at beats
VF_MARKS: Final = "[", "]"  # WFDB's marks of the start and the end of flutter or fibrillation
RHYTHM_MARK, NO_RHYTHM = "+", "(NOISE"  # NO_RHYTHM: no beat follows


class Mark(NamedTuple):
    """An annotation of WFDB."""

    sample: int
    symbol: str
    note: str = ""


def annotation_bytes(analysis: Analysis) -> bytes:
    """Beats, changes of rhythm and the marks of fibrillation as a WFDB annotation file, which any WFDB tool reads."""
    beats, record = analysis.beats, analysis.record
    rhythm, spans = rhythm_of_beats(analysis), _waveform_rhythms(analysis)
    sample = to_sample(beats.time_s, record.fs_hz, record.n_samples)
    marks = _span_marks(record, beats, rhythm, spans, taken=set(sample.tolist()) if spans else set())
    if not len(beats) and not marks:
        return b"\x00\x00"  # the format's own end mark
    change = np.flatnonzero((rhythm != np.concatenate(([""], rhythm[:-1]))[: len(beats)]) & ~_marked(beats, spans))
    before = np.concatenate(([-1], sample[:-1]))[change]
    place = np.concatenate((np.maximum(sample[change] - 1, np.maximum(before, 0)), sample)).astype(np.int64)
    symbol = [*[RHYTHM_MARK] * len(change), *(SYMBOL_OF_CLASS[label] for label in beats.label.tolist())]
    note = [*rhythm[change].tolist(), *[""] * len(beats)]
    place = np.concatenate(([mark.sample for mark in marks], place)).astype(np.int64)
    order = np.lexsort((np.concatenate((np.zeros(len(marks)), change - 0.5, np.arange(len(beats)))), place))
    with tempfile.TemporaryDirectory() as folder:
        wfdb.wrann(
            "record", ANNOTATOR, place[order], symbol=np.array([*(mark.symbol for mark in marks), *symbol])[order],
            aux_note=np.array([*(mark.note for mark in marks), *note])[order].tolist(), fs=record.fs_hz,
            write_dir=folder,
        )  # fmt: skip
        return (Path(folder) / f"record.{ANNOTATOR}").read_bytes()


def rhythm_of_beats(analysis: Analysis) -> NDArray[np.str_]:
    """WFDB's code of the rhythm that each beat belongs to, shape (n_beats,); of several, the last in RHYTHM_CODES."""
    beats = analysis.beats
    rhythm = np.full(len(beats), "(N", dtype="<U6")
    coded = [event for event in analysis.events if event.kind in RHYTHM_CODES]
    for event in sorted(coded, key=lambda event: list(RHYTHM_CODES).index(event.kind)):
        rhythm[_beats_in(beats, event)] = RHYTHM_CODES[event.kind]
    return rhythm


def _beats_in(beats: Beats, event: RhythmEvent) -> slice:
    """Beats of an event: from its first to its last, or those strictly within what the waveform delimits."""
    if event.kind in WITHOUT_BEATS:
        first, last = np.searchsorted(beats.time_s, event.start_s, "right"), np.searchsorted(beats.time_s, event.end_s)
    else:
        first, last = np.searchsorted(beats.time_s, event.start_s), np.searchsorted(beats.time_s, event.end_s, "right")
    return slice(int(first), int(last))


def _waveform_rhythms(analysis: Analysis) -> list[tuple[RhythmEvent, float]]:
    """Each rhythm that the waveform delimits, with the start of the next or the end of the record."""
    spans = [event for event in analysis.events if event.kind in WITHOUT_BEATS]
    ends_s = [*(event.start_s for event in spans[1:]), analysis.record.duration_s]
    return list(zip(spans, ends_s, strict=True)) if spans else []


def _marked(beats: Beats, spans: Sequence[tuple[RhythmEvent, float]]) -> Bool:
    """Whether a mark of a waveform's rhythm already says what rhythm a beat is in, shape (n_beats,)."""
    marked = np.zeros(len(beats), dtype=bool)
    for event, next_s in spans:
        inside = _beats_in(beats, event)
        marked[inside] = True
        if inside.stop < len(beats) and beats.time_s[inside.stop] < next_s:
            marked[inside.stop] = True
    return marked


def _span_marks(
    record: Record, beats: Beats, rhythm: NDArray[np.str_], spans: Sequence[tuple[RhythmEvent, float]],
    *, taken: set[int],
) -> list[Mark]:  # fmt: skip
    """Marks where the waveform's rhythms begin and end, at samples that are not ``taken`` by beats."""
    marks = []
    for event, next_s in spans:
        after = _beats_in(beats, event).stop
        has_beat = after < len(beats) and beats.time_s[after] < next_s
        wanted = [(event.start_s, RHYTHM_MARK, RHYTHM_CODES[event.kind])]
        if event.kind == "vf":
            wanted += [(event.start_s, VF_MARKS[0], ""), (event.end_s, VF_MARKS[1], "")]
        if event.end_s < next_s:
            wanted.append((event.end_s, RHYTHM_MARK, str(rhythm[after]) if has_beat else NO_RHYTHM))
        for time_s, symbol, note in wanted:
            sample = _free_sample(int(to_sample(np.array([time_s]), record.fs_hz, record.n_samples)[0]), taken)
            taken.add(sample)
            marks.append(Mark(sample, symbol, note))
    return marks


def _free_sample(sample: int, taken: set[int]) -> int:
    """The nearest sample that carries no annotation yet: WFDB allows one at a time."""
    near = (at for step in range(len(taken) + 1) for at in (sample + step, sample - step))
    return next(at for at in near if at >= 0 and at not in taken)
