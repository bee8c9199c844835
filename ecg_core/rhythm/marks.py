"""Stretches that a reader marked as one rhythm: they take the place of what the program found there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ..edits import Changes, Mark
from ..schema import Beats, RhythmEvent
from .danger import MIN_REST_S, Tachyarrhythmia, without
from .intervals import RHYTHM_LOST_S, goes_on, rate_over, unbroken_slices


def mark_tachyarrhythmias(found: Iterable[Tachyarrhythmia], changes: Changes) -> list[Tachyarrhythmia]:
    """What the waveform shows outside marks and artefact, and marked fibrillation and tachycardia of the ventricles.

    What is left of a stretch stays however short it is, but for edges of less than MIN_REST_S.
    """
    spans = [*(mark[:2] for mark in changes.marks), *changes.artefact]
    left = []
    for one in found:
        parts = without(one[1:], spans)
        left += [
            Tachyarrhythmia(one.kind, *part) for part in parts if part == one[1:] or part[1] - part[0] >= MIN_REST_S
        ]
    left += [Tachyarrhythmia(mark.rhythm, *mark[:2]) for mark in changes.marks if mark.rhythm in ("vf", "vt")]
    return sorted(left, key=lambda one: one.start_s)


def mark_episodes(episodes: Iterable[slice], beats: Beats, marks: Sequence[Mark]) -> list[slice]:
    """Atrial fibrillation as slices of the beats: what was found outside all marks, and what is marked.

    Marked or found, an episode ends where more than RHYTHM_LOST_S of the signal is lost.
    """
    if not marks:
        return list(episodes)
    found = np.zeros(len(beats), dtype=np.int64)  # number of the episode that each beat lies in
    for number, episode in enumerate(episodes, 1):
        found[episode] = number
    for number, mark in enumerate(marks, 1):
        first, last = np.searchsorted(beats.time_s, mark[:2])
        found[first:last] = -number if mark.rhythm == "af" else 0
    is_same = np.diff(found, prepend=0) == 0
    slices = unbroken_slices(found != 0, is_same & goes_on(beats, RHYTHM_LOST_S))
    return [episode for episode in slices if episode.stop - episode.start > 1]


def marked_events(beats: Beats, marks: Iterable[Mark]) -> Iterator[RhythmEvent]:
    """Paced rhythm, which the program does not look for."""
    for mark in marks:
        if mark.rhythm == "paced":
            first, last = np.searchsorted(beats.time_s, mark[:2])
            rr_s = beats.rr_s[first + 1 : last]
            known_s = rr_s[np.isfinite(rr_s)]
            bpm = rate_over(len(known_s), float(known_s.sum()))
            yield RhythmEvent("paced", *mark[:2], int(last - first), bpm)
