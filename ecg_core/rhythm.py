"""Beats -> events that a reader wants to see; what counts as what is in ``RhythmRules``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from .schema import Beats, RhythmEvent, RhythmRules

DECIMALS = 6  # differences of times are compared to the microsecond: 13.1 - 10.1 is a pause of 3.0 s

KIND_NAMES: Final = {
    "v_couplet": "Ventricular couplet",
    "v_run": "Ventricular run",
    "vt": "Ventricular tachycardia, non-sustained",
    "vt_sustained": "Ventricular tachycardia, sustained",
    "s_couplet": "Supraventricular couplet",
    "s_run": "Supraventricular run",
    "svt": "Supraventricular tachycardia",
    "pause": "Pause",
    "long_rr": "Long RR",
}


def find_rhythms(beats: Beats, rules: RhythmRules) -> tuple[RhythmEvent, ...]:
    """All events in the order of their start; none spans an unusable stretch."""
    events = [*_ectopic_series(beats, "V", rules), *_ectopic_series(beats, "S", rules), *_long_intervals(beats, rules)]
    return tuple(sorted(events, key=lambda event: (event.start_s, event.kind)))


def series_of(beats: Beats, label: str) -> list[slice]:
    """Unbroken series of beats of one class, as slices of the beats."""
    same = (beats.label == label) & beats.usable
    joined = same[1:] & same[:-1] & np.isfinite(beats.rr_s[1:])
    starts = np.flatnonzero(same & ~np.concatenate(([False], joined)))
    ends = np.flatnonzero(same & ~np.concatenate((joined, [False])))
    return [slice(int(a), int(b) + 1) for a, b in zip(starts, ends, strict=True)]


def _ectopic_series(beats: Beats, label: str, rules: RhythmRules) -> Iterator[RhythmEvent]:
    """Couplets, runs and tachycardias of V or S; a single ectopic beat is in the beat list."""
    for series in series_of(beats, label):
        time_s = beats.time_s[series]
        n_beats = len(time_s)
        if n_beats != 2 and n_beats < max(2, rules.run_min_beats):
            continue
        duration_s = float(np.round(time_s[-1] - time_s[0], DECIMALS))
        bpm = round(60.0 * (n_beats - 1) / duration_s, DECIMALS) if duration_s else float("nan")
        kind = f"{label.lower()}_couplet" if n_beats == 2 else f"{label.lower()}_run"
        if n_beats > 2 and bpm > rules.tachycardia_bpm:
            kind = _tachycardia(label, duration_s, rules)
        yield RhythmEvent(kind, float(time_s[0]), float(time_s[-1]), n_beats, bpm)


def _tachycardia(label: str, duration_s: float, rules: RhythmRules) -> str:
    if label == "V":
        return "vt_sustained" if duration_s > rules.sustained_s else "vt"
    return "svt" if duration_s > rules.sustained_s else "s_run"


def _long_intervals(beats: Beats, rules: RhythmRules) -> Iterator[RhythmEvent]:
    """Pauses and long RR; an interval across an unusable stretch has no length and so is neither."""
    both = beats.usable & np.concatenate(([False], beats.usable[:-1]))
    rr_s = np.round(beats.rr_s, DECIMALS)
    for i in np.flatnonzero(both & (rr_s >= min(rules.long_rr_s, rules.pause_s))):
        kind = "pause" if rr_s[i] >= rules.pause_s else "long_rr"
        start_s, end_s = float(beats.time_s[i - 1]), float(beats.time_s[i])
        yield RhythmEvent(kind, start_s, end_s, 2, 60.0 / (end_s - start_s))
