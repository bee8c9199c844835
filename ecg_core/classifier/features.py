"""The network's inputs, shared by training and inference so that neither differs from the other."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ..labels import NO_BEAT
from ..schema import Float32, Float64, Index, ModelSpec
from ..signals.windows import Ends, running_median

LOCAL_BEATS = 11  # the rhythm of the moment: median over so many RR
HABIT_BEATS = 201  # the patient's usual rhythm: median over some three minutes
RR_RANGE = 1.5  # log ratios beyond a factor of 4.5 say no more
RR_UNIT_S = 0.8  # absolute RR relative to 75 bpm
DISORDER_BEATS, DISORDER_LAGS, DISORDER_UNIT, DISORDER_FLOOR = 21, (1, 2, 3), 0.05, 0.005  # see ``_disorder``
N_RR_FEATURES = 8
N_OUTPUTS = NO_BEAT + 1  # of the network for each beat: a class, or no beat at all
DISORDER = N_RR_FEATURES - 1  # its column

INFERENCE_SEQUENCE_BEATS = 512  # the BiLSTM classifies so many beats at once ...
CONTEXT_BEATS = 64  # ... and sees so many more on either side, so that the cut leaves no trace
REFERENCE_BEATS = 4096  # a patient's normal beat is learned from about an hour of beats


def frame_offsets(spec: ModelSpec) -> Index:
    """Frames around a beat that the attention sees, relative to the beat's own frame."""
    half = round(spec.attention_half_s * spec.fs_hz / spec.stride)
    return np.arange(-half, half + 1)


def attention_offsets_s(spec: ModelSpec) -> Float32:
    """Time of each frame that the attention sees, relative to the beat, shape (n_steps,)."""
    return (frame_offsets(spec) * spec.stride / spec.fs_hz).astype(np.float32)


def beat_frames(position: Float64, spec: ModelSpec, n_frames: int) -> Index:
    """Index of the frames around beats at (fractional) samples ``position``, shape (n_beats, n_steps)."""
    centre = np.rint(np.asarray(position) / spec.stride).astype(np.int64)
    return np.asarray(np.clip(centre[:, None] + frame_offsets(spec), 0, n_frames - 1))


def rr_features(rr_s: Float64, *, ends: Ends = "edge") -> Float32:
    """Prematurity and pause of each beat relative to the moment's and the patient's usual RR.

    Parameters
    ----------
    rr_s
        RR to the beat before, shape (n,); NaN where there is none (the first beat, after an unusable stretch).
    ends
        What stands for the beats before the first and after the last, see ``running_median``: the outermost one, or
        those within ("symmetric"), which is the better guess where the last beats are what matters.

    Returns
    -------
    Shape (n, N_RR_FEATURES): logarithms of before/after relative to the local and the usual RR, of before relative to
    after, of the local relative to the usual RR, of the local RR relative to 0.8 s, and of the disorder of the rhythm.

    """
    n = len(rr_s)
    known = np.isfinite(rr_s) & (rr_s > 0)  # two marks on one sample have no interval
    if n < 2 or not known.any():
        return np.zeros((n, N_RR_FEATURES), dtype=np.float32)
    log_rr = np.log(np.interp(np.arange(n), np.flatnonzero(known), rr_s[known]))
    local = running_median(log_rr, LOCAL_BEATS, ends=ends)
    usual = running_median(log_rr, min(HABIT_BEATS, 2 * n - 1), ends=ends)
    before = np.where(known, log_rr, local)
    after = np.where(np.append(known[1:], False), np.append(log_rr[1:], local[-1]), local)
    columns = (
        before - local,
        after - local,
        before - usual,
        after - usual,
        before - after,
        local - usual,
        local - np.log(RR_UNIT_S),
        np.log((_disorder(log_rr, ends) + DISORDER_FLOOR) / DISORDER_UNIT),
    )
    features = np.empty((n, N_RR_FEATURES), dtype=np.float32)
    for number, column in enumerate(columns):
        features[:, number] = np.clip(column, -RR_RANGE, RR_RANGE)
    return features


def _disorder(log_rr: Float64, ends: Ends) -> Float64:
    """How irregularly irregular the rhythm is around each beat, shape (n,): .02 in sinus rhythm, .15 in fibrillation.

    The median change of RR over some 20 beats, from beat to beat or over two or three beats, whichever is least: so
    neither single premature beats nor bigeminy or trigeminy count as disorder.
    """
    changes = []
    for lag in DISORDER_LAGS:
        if len(log_rr) > lag:
            change = np.pad(np.abs(log_rr[lag:] - log_rr[:-lag]), (lag, 0), mode="edge")
            changes.append(running_median(change, DISORDER_BEATS, ends=ends))
    return np.asarray(np.min(changes, axis=0))


class Sequence(NamedTuple):
    """Beats in a row that the BiLSTM reads at once."""

    context: slice  # all of them
    core: slice  # those among them that have enough context to be classified


def sequences(n_beats: int) -> list[Sequence]:
    """Cut a record's beats for the BiLSTM, each classified once.

    All have the same length, as sequences of one length are read several times as fast.
    """
    cuts = []
    n_context = min(n_beats, INFERENCE_SEQUENCE_BEATS + 2 * CONTEXT_BEATS)
    for start in range(0, n_beats, INFERENCE_SEQUENCE_BEATS):
        first = min(max(0, start - CONTEXT_BEATS), n_beats - n_context)
        cuts.append(
            Sequence(slice(first, first + n_context), slice(start, min(start + INFERENCE_SEQUENCE_BEATS, n_beats)))
        )
    return cuts


def evenly(values: Index, n: int) -> Index:
    """At most n of the values, evenly over them."""
    return values if len(values) <= n else values[np.linspace(0, len(values) - 1, n).round().astype(np.int64)]


def reference_groups(n_beats: int) -> list[slice]:
    """Cut a record's beats into nearly equal groups that share one reference beat."""
    n_groups = max(1, round(n_beats / REFERENCE_BEATS))
    edges = np.linspace(0, n_beats, n_groups + 1).round().astype(int)
    return [slice(int(a), int(b)) for a, b in pairwise(edges)]
