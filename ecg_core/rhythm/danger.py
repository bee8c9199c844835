"""What a report begins with: ventricular fibrillation and tachycardia, asystole, and what could not be analysed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ..labels import CLASSES
from ..rules import RhythmRules
from ..schema import Beats, Bool, Float32, Float64, Quality, RhythmEvent, Waveform
from ..signals.windows import with_held_ends
from .intervals import DECIMALS, MASKED_S, follows_previous, rate_over

# Probability of fibrillation or tachycardia over three seconds: an episode reaches CERTAIN, and lasts while it is at
# least POSSIBLE; one that stays below CERTAIN is suspected. Chosen by cross-validation over patients.
CERTAIN, POSSIBLE = 0.7, 0.5
SMOOTH_STEPS = 3
# Fibrillation rather than tachycardia from this share of the two over nine seconds on: so low, as a missed fibrillation
# is worse than a tachycardia that is called one.
VF_SHARE, SHARE_STEPS = 0.15, 9
# Beats are separable where the network is so sure of V, and they fill so much of a stretch, at RR of a tachycardia that
# vary by so little around their median.
SURE_V, SEPARABLE_SHARE, MAX_TACHYCARDIC_RR_S, MAX_RR_SPREAD = 0.7, 0.8, 0.6, 0.1
MIN_REST_S = 1.0  # what is left of a stretch that is not analysable beside other findings is no shorter
JOINED_S = 3.0  # between tachycardias that are one lies no more analysable signal ...
JOINED_UNUSABLE_S = 10.0  # ... and no more of any
MAX_STEEP_S = 1.5  # T wave and P wave beside a pause are steeper than nothing for so long; a beat in between is longer
LOST = ("not_analysable", "artefact", "no_signal")  # events of signal in which no beat is counted
BETWEEN_BEATS = ("pause", "af_pause", "long_rr", "asystole", "paced")  # events whose edges lost signal does not move
BESIDE_S = 2.0  # lost signal so near to an event may hide more of it
UNKNOWN = float("nan")

Span = tuple[float, float]  # start and end in seconds


def no_waveform(duration_s: float) -> Waveform:
    """A waveform in which nothing was found, for analyses that are made by hand."""
    nothing = np.zeros(max(1, int(np.ceil(duration_s))), dtype=np.float32)
    return Waveform(1.0, nothing, nothing, np.zeros((0, 2)), np.zeros((0, 2)))


class Tachyarrhythmia(NamedTuple):
    """A stretch in which the waveform shows fibrillation or tachycardia of the ventricles."""

    kind: str  # "vf", "vf_suspected" or "vt"
    start_s: float
    end_s: float


def tachyarrhythmias(waveform: Waveform, rules: RhythmRules) -> list[Tachyarrhythmia]:
    """Stretches of fibrillation, certain or suspected, and of tachycardia, ascending; each of ``vf_min_s`` at least."""
    either = _smooth(waveform.vf + waveform.vt, SMOOTH_STEPS)
    vf_share = _smooth(waveform.vf, SHARE_STEPS) / np.maximum(_smooth(waveform.vf + waveform.vt, SHARE_STEPS), 1e-6)
    shortest = max(1, round(rules.vf_min_s / waveform.step_s))
    found = []
    for first, last in stretches(either >= POSSIBLE):
        if last - first < shortest:
            continue
        certain = either[first:last].max() >= CERTAIN
        for a, b, is_vf in _split(vf_share[first:last] >= VF_SHARE, shortest):
            kind = ("vf" if certain else "vf_suspected") if is_vf else "vt"
            if is_vf or certain:
                found.append(Tachyarrhythmia(kind, (first + a) * waveform.step_s, (first + b) * waveform.step_s))
    return found


def _smooth(values: Float32, n: int) -> Float32:
    windows = np.lib.stride_tricks.sliding_window_view(with_held_ends(values, n), n)
    return np.asarray(windows.mean(axis=1, dtype=np.float64), dtype=np.float32)


def _split(is_vf: Bool, shortest: int) -> list[tuple[int, int, bool]]:
    """Cut an episode into fibrillation and tachycardia; a piece shorter than ``shortest`` joins the one before it."""
    pieces: list[tuple[int, int, bool]] = []
    edges = [0, *(np.flatnonzero(np.diff(is_vf)) + 1).tolist(), len(is_vf)]
    for a, b in pairwise(edges):
        kind = bool(is_vf[a])
        if pieces and (b - a < shortest or pieces[-1][2] == kind):
            pieces[-1] = (pieces[-1][0], b, pieces[-1][2])
        elif pieces and pieces[-1][1] - pieces[-1][0] < shortest:
            pieces[-1] = (pieces[-1][0], b, kind)
        else:
            pieces.append((a, b, kind))
    return pieces


def stretches(inside: Bool) -> list[tuple[int, int]]:
    """First index, and the index after the last, of each stretch that is true."""
    edges = np.flatnonzero(np.diff(inside, prepend=False, append=False))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def with_separable_beats(found: Sequence[Tachyarrhythmia], beats: Beats) -> list[Tachyarrhythmia]:
    """The stretches, with tachycardia in place of fibrillation where the beats of one can be separated.

    Fibrillation has no separable QRS: where ventricular beats of which the network is sure follow each other regularly
    through nearly all of a stretch, it is a tachycardia.
    """
    interval_s = np.diff(beats.time_s, prepend=np.nan)
    sure = (beats.label == "V") & (beats.probability[:, CLASSES.index("V")] >= SURE_V)
    checked = []
    for kind, start_s, end_s in found:
        inside = (beats.time_s > start_s) & (beats.time_s <= end_s)
        rr_s = interval_s[inside & sure]
        separable = len(rr_s) > 0 and bool(
            rr_s[rr_s < MAX_TACHYCARDIC_RR_S].sum() >= SEPARABLE_SHARE * (end_s - start_s)
            and np.median(np.abs(rr_s - np.median(rr_s))) <= MAX_RR_SPREAD * np.median(rr_s)
        )
        checked.append(Tachyarrhythmia("vt" if separable else kind, start_s, end_s))
    return checked


def mask_fibrillation(beats: Beats, found: Iterable[Tachyarrhythmia]) -> Beats:
    """The beats without those inside fibrillation, which are none, and without RR across it, which are no pauses.

    Nor is a long RR across a tachycardia whose beats cannot be separated, or a fibrillation that is only suspected; the
    beats in these are counted, and a short RR between them has its length.
    """
    usable, rr_s = beats.usable.copy(), beats.rr_s.copy()
    for kind, start_s, end_s in found:
        first, last = np.searchsorted(beats.time_s, (start_s, end_s))
        across = slice(first, last + 1)  # also of the first beat after it
        if kind == "vf":
            usable[first:last] = False
        rr_s[across] = np.nan if kind == "vf" else np.where(rr_s[across] <= MASKED_S, rr_s[across], np.nan)
    return replace(beats, usable=usable, rr_s=rr_s, label=np.where(usable, beats.label, "Q"))


def find_dangers(
    beats: Beats,
    found: Sequence[Tachyarrhythmia],
    waveform: Waveform,
    quality: Quality,
    *,
    duration_s: float,
    rules: RhythmRules,
    artefact: Sequence[Span] = (),
) -> Iterator[RhythmEvent]:
    """Fibrillation, tachycardia without separable beats, stretches without beats, and what is not analysable.

    Parameters
    ----------
    found
        See ``tachyarrhythmias``.
    artefact
        As a reader marked it: part of the signal that ``quality`` calls unusable.

    """
    for kind, start_s, end_s in found:
        yield RhythmEvent(kind, start_s, min(end_s, duration_s), 0, UNKNOWN)
    no_signal = [(float(a), float(b)) for a, b in waveform.no_signal_s.tolist()]
    still = [(float(a), float(b)) for a, b in waveform.still_s.tolist()]
    tachycardic = [(start_s, end_s) for _, start_s, end_s in found]
    marked = [piece for span in artefact for piece in without(span, [*no_signal, *tachycardic])]
    for kind, spans in (("no_signal", no_signal), ("artefact", marked)):
        for start_s, end_s in spans:
            yield RhythmEvent(kind, start_s, end_s, 0, UNKNOWN)
    unusable = quality.unusable_stretches(duration_s)
    doubtful = [piece for span in unusable for piece in without(span, still)]
    lost = [*doubtful, *no_signal, *tachycardic]
    standing = list(_standstills(beats, lost, quality.lost_stretches(), still, duration_s=duration_s, rules=rules))
    yield from standing
    explained = [*no_signal, *marked, *tachycardic, *((event.start_s, event.end_s) for event in standing)]
    for span in unusable:
        for start_s, end_s in without(span, explained):
            if end_s - start_s >= MIN_REST_S:
                yield RhythmEvent("not_analysable", start_s, end_s, 0, UNKNOWN)


def _standstills(
    beats: Beats,
    lost: Sequence[Span],
    dropouts: Sequence[Span],
    still: Sequence[Span],
    *,
    duration_s: float,
    rules: RhythmRules,
) -> Iterator[RhythmEvent]:
    """Pauses and asystoles that have no RR: with an edge in lost signal, at an edge of the recording, or in noise.

    Those between two beats in analysable signal are found by their RR. Of the ``dropouts``, stretches of any length
    without a signal, a short one does not end a standstill; in a longer one there may have been a beat.
    """
    shown = beats.usable
    time_s = np.concatenate(([0.0], beats.time_s[shown], [duration_s]))
    known = np.concatenate(([False], follows_previous(beats)[shown], [False]))
    n_beats = int(shown.sum())
    shortest_s = min(rules.pause_s, rules.asystole_s)
    for i in np.flatnonzero((np.round(np.diff(time_s), DECIMALS) >= shortest_s) & ~known[1:]).tolist():
        gap = (float(time_s[i]), float(time_s[i + 1]))
        pieces = without(gap, lost)
        if pieces == [gap] and 0 < i < n_beats and not _is_still(gap, still):
            # something steep may have been a beat, but none lies in what is still beside a dropout
            pieces = [piece for piece in without(gap, dropouts) if piece != gap and _is_still(piece, still)]
        for start_s, end_s in pieces:
            edges = int(start_s == gap[0] and i > 0), int(end_s == gap[1] and i < n_beats)
            for kind, least_s in (("pause", rules.pause_s), ("asystole", rules.asystole_s)):
                if round(end_s - start_s, DECIMALS) >= least_s:
                    yield RhythmEvent(kind, start_s, end_s, sum(edges), UNKNOWN, at_least=sum(edges) < len(edges))


def _is_still(span: Span, still: Iterable[Span]) -> bool:
    """Whether nothing in a span is steep for so long that it may be a beat."""
    return all(end_s - start_s <= MAX_STEEP_S for start_s, end_s in without(span, still))


def without(span: Span, holes: Iterable[Span]) -> list[Span]:
    """What is left of a span beside the holes."""
    left, at_s = [], span[0]
    for start_s, end_s in sorted(holes):
        if end_s <= at_s or start_s >= span[1]:
            continue
        if start_s > at_s:
            left.append((at_s, start_s))
        at_s = max(at_s, end_s)
    return [*left, (at_s, span[1])] if at_s < span[1] else left


def join_tachycardias(
    events: Sequence[RhythmEvent], beats: Beats, rules: RhythmRules, *, kinds: tuple[str, str] = ("vt", "vt_sustained")
) -> list[RhythmEvent]:
    """The events with tachycardias that follow each other closely, without a beat between, as one each.

    A tachycardia of beats goes on through a stretch in which the waveform alone shows it, and through lost signal:
    between two of them without a beat between, an RR is not known.

    Parameters
    ----------
    kinds
        Those of tachycardias that are not sustained, and of those that are.

    """
    beat_s = beats.time_s[beats.usable]
    tachycardias = [event for event in events if event.kind in kinds]
    others = [event for event in events if event.kind not in kinds]
    lost = [(event.start_s, event.end_s) for event in others if event.kind in LOST]
    groups: list[list[RhythmEvent]] = []
    for event in sorted(tachycardias, key=lambda event: event.start_s):
        if groups and _is_joined(groups[-1], event, lost, beat_s):
            groups[-1].append(event)
        else:
            groups.append([event])
    return [*others, *(_joined(group, rules, kinds) for group in groups)]


def with_open_edges(events: Iterable[RhythmEvent], beats: Beats) -> list[RhythmEvent]:
    """The events, as at least as long as they are where lost signal lies between an edge of theirs and the next beat.

    Pauses and standstills have their own edges: the length of an RR is known, whatever lies beside it.
    """
    every = list(events)
    lost = [event for event in every if event.kind in LOST]
    lost_from_s, lost_to_s = np.sort([event.start_s for event in lost]), np.sort([event.end_s for event in lost])
    beat_s = np.concatenate(([-np.inf], beats.time_s[beats.usable], [np.inf]))

    def is_lost(from_s: Float64, to_s: Float64) -> Bool:
        """Whether lost signal begins before each stretch ends, and does not end before it begins."""
        return np.asarray(np.searchsorted(lost_from_s, to_s) > np.searchsorted(lost_to_s, from_s, "right"))

    start_s, end_s = np.array([event.start_s for event in every]), np.array([event.end_s for event in every])
    before_s = np.maximum(beat_s[np.searchsorted(beat_s, start_s) - 1], start_s - BESIDE_S)
    after_s = np.minimum(beat_s[np.searchsorted(beat_s, end_s, "right")], end_s + BESIDE_S)
    is_open = is_lost(before_s, start_s) | is_lost(end_s, after_s)
    return [
        replace(event, at_least=True) if beside and event.kind not in (*LOST, *BETWEEN_BEATS) else event
        for event, beside in zip(every, is_open.tolist(), strict=True)
    ]


def has_all_beats(event: RhythmEvent) -> bool:
    """Whether the beats of a run are known through nearly all of it; not where the waveform alone shows a part."""
    return event.n_beats * 60.0 >= SEPARABLE_SHARE * event.duration_s * event.rate_bpm


def _is_joined(group: Sequence[RhythmEvent], event: RhythmEvent, lost: list[Span], beat_s: Float64) -> bool:
    """Whether a tachycardia goes on from a group: no beat, and hardly any analysable signal, lies between them."""
    gap = (max(part.end_s for part in group), event.start_s)
    analysable_s = sum(b - a for a, b in without(gap, lost))
    no_beat = bool(np.searchsorted(beat_s, gap[1], "left") <= np.searchsorted(beat_s, gap[0], "right"))
    return no_beat and analysable_s <= JOINED_S and gap[1] - gap[0] <= JOINED_UNUSABLE_S


def _joined(group: Sequence[RhythmEvent], rules: RhythmRules, kinds: tuple[str, str]) -> RhythmEvent:
    """One tachycardia of several, at the mean rate of their beats."""
    start_s, end_s = min(event.start_s for event in group), max(event.end_s for event in group)
    timed = [event for event in group if event.n_beats > 1]
    intervals = sum(event.n_beats - 1 for event in timed)
    length_s = sum(event.duration_s for event in timed)
    kind = kinds[round(end_s - start_s, DECIMALS) > rules.sustained_s]
    return RhythmEvent(kind, start_s, end_s, sum(event.n_beats for event in timed), rate_over(intervals, length_s))
