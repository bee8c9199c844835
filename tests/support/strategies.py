"""Sequences of beats: drawn by hypothesis, or written by hand in a test."""

import numpy as np
from hypothesis import strategies as st

from ecg_core.labels import CLASSES
from ecg_core.schema import Beats, Quality

TICKS_PER_S = 100  # RR in whole hundredths of a second: what is exactly 3.0 s or 100 bpm stays so in the oracles
RR_TICKS = (15, 20, 40, 59, 60, 61, 80, 100, 199, 200, 201, 299, 300, 301, 500)


def make_beats(rr_ticks, labels, *, usable=None, broken=None):
    """Beats from RR in hundredths of a second; ``broken`` marks RR that lie across a stretch that is not analysable."""
    n = len(labels)
    time_s = np.cumsum(np.asarray(rr_ticks, dtype=float)) / TICKS_PER_S
    rr_s = np.diff(time_s, prepend=np.nan)
    rr_s[np.asarray(broken if broken is not None else [False] * n, dtype=bool)] = np.nan
    probability = (np.array(list(labels), dtype="<U1")[:, None] == np.array(CLASSES)).astype(np.float32)
    return Beats(
        time_s=time_s,
        label=np.array(list(labels), dtype="<U1"),
        probability=probability,
        rr_s=rr_s,
        usable=np.asarray(usable if usable is not None else [True] * n, dtype=bool),
    )


def quality_of(usable):
    """Quality of blocks of 10 s, of which the ``usable`` ones are analysable."""
    usable = np.asarray(usable, dtype=bool)
    return Quality(10.0, usable[None].astype(np.float32), usable)


def all_analysable(duration_s):
    """Quality of a recording that is analysable throughout."""
    return quality_of(np.ones(int(np.ceil(duration_s / 10)), dtype=bool))


@st.composite
def beat_columns(draw, max_beats=60):
    """(RR in ticks, labels, usable, broken) with runs, patterns, pauses and gaps more often than in nature."""
    phrases = st.sampled_from(["N", "V", "S", "F", "Q", "NV", "NNV", "NS", "NNS"])
    stretches = draw(st.lists(st.tuples(phrases, st.integers(1, 6), st.sampled_from(RR_TICKS)), max_size=12))
    labels = [label for phrase, n, _ in stretches for label in phrase * n][:max_beats]
    n = len(labels)
    usual = [rr for phrase, n_same, rr in stretches for _ in phrase * n_same][:max_beats]
    other = draw(st.lists(st.one_of(st.none(), st.sampled_from(RR_TICKS)), min_size=n, max_size=n))
    rare = st.lists(st.integers(0, 9).map(lambda k: k == 0), min_size=n, max_size=n)
    rr_ticks = [a if b is None else b for a, b in zip(usual, other, strict=True)]
    return rr_ticks, labels, [not lost for lost in draw(rare)], draw(rare)
