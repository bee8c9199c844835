"""An analysis as a WFDB annotation file: beats, changes of rhythm, and the marks of fibrillation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..labels import SYMBOL_OF_CLASS
from ..records.event_files import RHYTHM_CODES
from ..records.wfdb_annotations import COMMENT, NOTE, SKIP, SYMBOLS
from ..schema import Analysis, Beats, Bool, Index, Record, RhythmEvent
from ..signals.filters import to_sample

ANNOTATOR = "ai"  # suffix of the WFDB annotation file
WITHOUT_BEATS: Final = ("asystole", "vf")  # rhythms that begin and end where the waveform changes, not at beats
VF_MARKS: Final = "[", "]"  # WFDB's marks of the start and the end of flutter or fibrillation
RHYTHM_MARK, NO_RHYTHM = "+", "(NOISE"  # NO_RHYTHM: no beat follows

# The bytes of the file (https://wfdb.io/spec/annotation-files.html): words of 16 bits, the code of what follows in the
# upper six, and samples since the annotation before, or the length of a note, in the lower ten.
WRITTEN: Final = (*SYMBOL_OF_CLASS.values(), RHYTHM_MARK, *VF_MARKS)
CODES: Final = {symbol: code for code, symbol in SYMBOLS.items() if symbol in WRITTEN}
CODE_SHIFT, MAX_STEP, MAX_SKIP = 10, 1023, 0x7FFF_FFFF
RATE_NOTE: Final = "## time resolution: {}"  # a comment at the start
END_OF_COMMENTS: Final = (SKIP << CODE_SHIFT, 0xFFFF, 0xFFFF, 1)  # a step back by one sample, and one on
END: Final = b"\x00\x00"  # of the file


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
        return END
    change = np.flatnonzero((rhythm != np.concatenate(([""], rhythm[:-1]))[: len(beats)]) & ~_marked(beats, spans))
    before = np.concatenate(([-1], sample[:-1]))[change]
    place = np.concatenate((np.maximum(sample[change] - 1, np.maximum(before, 0)), sample)).astype(np.int64)
    symbol = np.concatenate((np.full(len(change), RHYTHM_MARK), _symbols(beats)))
    note = np.concatenate((rhythm[change], np.full(len(beats), "", dtype=rhythm.dtype)))
    place = np.concatenate(([mark.sample for mark in marks], place)).astype(np.int64)
    order = np.lexsort((np.concatenate((np.zeros(len(marks)), change - 0.5, np.arange(len(beats)))), place))
    return encoded(
        place[order],
        np.concatenate((np.array([mark.symbol for mark in marks], dtype=np.str_), symbol))[order],
        np.concatenate((np.array([mark.note for mark in marks], dtype=np.str_), note))[order],
        fs_hz=record.fs_hz,
    )


def _symbols(beats: Beats) -> NDArray[np.str_]:
    """WFDB's symbol of each beat."""
    symbol = np.empty(len(beats), dtype="<U1")
    for label, of_class in SYMBOL_OF_CLASS.items():
        symbol[beats.label == label] = of_class
    return symbol


def encoded(sample: Index, symbol: NDArray[np.str_], note: NDArray[np.str_], *, fs_hz: float) -> bytes:
    """The bytes of a WFDB annotation file: the same as those that ``wfdb.wrann`` writes.

    Parameters
    ----------
    sample
        Place of each annotation, ascending, shape (n,).
    symbol, note
        One of CODES, and up to 255 letters of ASCII, shape (n,).

    """
    code_of = np.zeros(128, dtype=np.int64)
    code_of[[ord(known) for known in CODES]] = list(CODES.values())
    code = code_of[symbol.astype("<U1").view(np.uint32)]
    rate = int(fs_hz) if round(fs_hz, 8) == int(fs_hz) else fs_hz
    begin = _words(np.zeros(1, dtype=np.int64), np.array([COMMENT]), np.array([RATE_NOTE.format(rate)]))
    words = _words(np.diff(sample, prepend=0), code, note)
    return b"".join(part.tobytes() for part in (begin, np.array(END_OF_COMMENTS, dtype="<u2"), words)) + END


def _words(step: Index, code: Index, note: NDArray[np.str_]) -> NDArray[np.uint16]:
    """The words of annotations, each after a long step where it needs one, and before its note where it has one."""
    n_skips, letters = -((MAX_STEP - step) // MAX_SKIP), np.char.str_len(note)
    n_words = 1 + 3 * n_skips + np.where(letters > 0, 1 + (letters + 1) // 2, 0)
    at, words = np.cumsum(n_words) - n_words, np.zeros(int(n_words.sum()), dtype="<u2")
    left = step.copy()
    for number in range(int(n_skips.max(initial=0))):
        rows = np.flatnonzero(n_skips > number)
        far = np.minimum(left[rows], MAX_SKIP)
        first, left[rows] = at[rows] + 3 * number, left[rows] - far
        words[first], words[first + 1], words[first + 2] = SKIP << CODE_SHIFT, far >> 16, far & 0xFFFF
    at += 3 * n_skips
    words[at] = code << CODE_SHIFT | left
    for number in np.flatnonzero(letters).tolist():
        text, begin = str(note[number]).encode("ascii"), int(at[number]) + 2
        words[begin - 1] = NOTE << CODE_SHIFT | len(text)
        words[begin : begin + (len(text) + 1) // 2] = np.frombuffer(text + b"\0" * (len(text) % 2), dtype="<u2")
    return words


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
