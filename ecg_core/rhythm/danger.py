"""What a report begins with: ventricular fibrillation, asystole, and what could not be analysed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..rules import RhythmRules
from ..schema import Beats, Bool, Quality, RhythmEvent, Waveform

STEP_S = 1.0  # the waveform is measured second by second
CERTAIN, SUSPECTED = 0.7, 0.4  # probability of fibrillation from which it is reported as such, and as suspected
UNKNOWN = float("nan")


def no_waveform(duration_s: float) -> Waveform:
    """A waveform in which nothing was found, for analyses that are made by hand."""
    nothing = np.zeros(max(1, int(np.ceil(duration_s / STEP_S))))
    return Waveform(STEP_S, nothing.astype(np.float32), nothing.astype(np.float32), nothing.astype(bool))


def find_dangers(
    beats: Beats, waveform: Waveform, quality: Quality, *, duration_s: float, rules: RhythmRules
) -> Iterator[RhythmEvent]:
    """Fibrillation, asystole, and the stretches that are not analysable, in no order."""
    certain, suspected = waveform.vf >= CERTAIN, waveform.vf >= SUSPECTED
    for first, last in _runs(suspected):
        kind = "vf" if certain[first:last].any() else "vf_suspected"
        start_s, end_s = first * waveform.step_s, min(last * waveform.step_s, duration_s)
        if end_s - start_s >= rules.vf_min_s:
            yield RhythmEvent(kind, start_s, end_s, 0, UNKNOWN)
    for start_s, end_s in quality.unusable_stretches(duration_s):
        yield RhythmEvent("not_analysable", start_s, end_s, 0, UNKNOWN)


def _runs(inside: Bool) -> list[tuple[int, int]]:
    """First index, and the index after the last, of each stretch that is true."""
    edges = np.flatnonzero(np.diff(inside, prepend=False, append=False))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
