"""What a beat is within its whole record, when the first stage has classified all of them.

The BiLSTM sees a few minutes of one lead. Whether an early beat is ectopic often shows only in the rest of the record:
whether beats of its shape are ectopic elsewhere, how early it is beside the normal beats alone, what precedes the QRS
of the normal beats, how irregular their rhythm is, and how the run begins that it belongs to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..labels import CLASSES
from ..parallel import parallel_map
from ..schema import Beats, Bool, Float32, Float64, Index
from ..signals.windows import running_median, window_sums, with_held_ends
from .chunks import ChunkFeatures
from .features import evenly, reference_groups, rr_features

N, S, V, F, Q = range(len(CLASSES))
LEAST_PROBABILITY: Final = 1e-5  # of a class, so that its log odds are finite
NORMAL_RR: Final = 21  # normal beats around each one whose median RR is the usual one
AROUND_BEATS: Final = 31  # over which the mean probability of S and V is taken
COMPARED_BEATS: Final = 512  # evenly over each part of a record: among these the beats of the same shape are sought
SAME_SHAPE: Final = 10  # so many of them, the nearest ones
AT_ONCE: Final = 512  # beats whose distances are in memory
LEAST_SPREAD: Final = 0.5  # of a token's elements: what hardly varies in a record is not blown up
MIN_POWER: Final = 1e-6  # of the signal before a QRS: keeps a flat one from dividing by zero
NEIGHBOURS: Final = (-2, -1, 1, 2)  # beats before and after whose probabilities are seen

FEATURES: Final = (
    *(f"odds_{name}" for name in "svfq"),
    *(f"odds_{name}{beat:+d}" for name in "sv" for beat in NEIGHBOURS),
    "before_local", "after_local", "before_usual", "after_usual", "before_after", "local_usual", "local_rr", "disorder",
    "rr", "rr_normal", "next_rr_normal", "second_rr_normal", "change", "next_change", "irregularity",
    "p_changes", "qrs_changes", "next_qrs_changes", "p_repeats",
    "from_normal", "shape_s", "shape_v", "shape_rr", "shape_distance",
    "p_correlation", "p_size", "p_power",
    "run_length", "run_beat", "run_onset",
    "s_around", "v_around", "s_share", "v_share", "p_repeats_usually",
)  # fmt: skip

Groups: TypeAlias = dict[str, Callable[[], NDArray[np.floating[Any]]]]  # columns, by the name of the first of them


def record_features(beats: Beats, features: ChunkFeatures, rows: Index) -> Float32:
    """The features of each beat of a record, shape (n_beats, len(FEATURES)).

    Parameters
    ----------
    beats
        As the first stage classifies them.
    features, rows
        What was found in the whole record, and which of its candidates are these beats, shape (n_beats,).

    """
    if not len(beats):
        return np.zeros((0, len(FEATURES)), dtype=np.float32)
    odds, rhythm, lead_weight = _odds(beats.probability), _rhythm(beats), features.lead_weight

    def of_part(part: slice) -> Float64:
        """The columns that compare a beat with the others of its part of the record."""
        probability, some = beats.probability[part], rows[part]
        shapes = _shapes(probability, rhythm[part, 1], features.token[some], lead_weight[some])
        return np.concatenate([shapes, _before_qrs(probability, features.before_qrs[some])], axis=1)

    of_all: Groups = {
        "odds_s": lambda: odds,
        "odds_s-2": lambda: np.stack([_shifted(odds[:, column], by) for column in (0, 1) for by in NEIGHBOURS], axis=1),
        "before_local": lambda: rr_features(beats.rr_s),
        "rr": lambda: rhythm,
        "p_changes": lambda: _changes(beats),
        "run_length": lambda: _runs(beats.label == "S", rhythm[:, 1]),
        "s_around": lambda: _shares(beats),
    }
    jobs: list[tuple[slice, Groups]] = [(slice(None), of_all)]
    jobs += [(part, {"from_normal": partial(of_part, part)}) for part in reference_groups(len(beats))]
    table = np.empty((len(beats), len(FEATURES)), dtype=np.float32)

    def fill(job: tuple[slice, Groups]) -> None:
        """Fill in some columns of some beats, one after the other: all, in double precision, are 300 MB in a week."""
        part, groups = job
        for name, group in groups.items():
            columns, first = group(), FEATURES.index(name)
            table[part, first : first + columns.shape[1]] = columns

    deque(parallel_map(fill, jobs), maxlen=0)
    return table


def _odds(probability: Float32) -> Float64:
    """Log odds of S, V, F and Q against N, shape (n, 4)."""
    log = np.log(np.clip(probability.astype(np.float64), LEAST_PROBABILITY, 1))
    return np.asarray(log[:, S:] - log[:, [N]])


def _rhythm(beats: Beats) -> Float64:
    """RR, also relative to those before normal beats, and how it changes, (n, 7); the logarithms of RR."""
    n = len(beats)
    known = np.flatnonzero(np.isfinite(beats.rr_s) & (beats.rr_s > 0))
    if not len(known):
        return np.zeros((n, 7))
    rr = np.interp(np.arange(n), known, np.log(beats.rr_s[known]))
    normal = np.flatnonzero(beats.label == "N")
    usual = np.full(n, np.median(rr))
    if len(normal):
        usual = np.interp(np.arange(n), normal, running_median(rr[normal], NORMAL_RR))
    change = np.diff(rr, prepend=rr[0])
    irregularity = np.median(np.abs(np.diff(rr[normal]))) if len(normal) > 1 else 0.0
    return np.stack(
        [rr, rr - usual, _shifted(rr, 1) - usual, _shifted(rr, 2) - usual, change, _shifted(change, 1),
         np.full(n, irregularity)], axis=1,
    )  # fmt: skip


def _changes(beats: Beats) -> Float64:
    """Whether P wave and QRS change at a beat, and whether there is a P wave, (n, 4); 0 where not known."""
    qrs = _known(beats.qrs_correlation, len(beats))
    p_changes, p_repeats = (_known(column, len(beats)) for column in (beats.p_correlation, beats.p_repeats))
    return np.stack([p_changes, qrs, _shifted(qrs, 1), p_repeats], axis=1)


def _shapes(probability: Float32, rr: Float64, token: NDArray[np.floating[Any]], lead_weight: Float32) -> Float64:
    """How a beat's shape differs from the normal one, and what beats of the same shape are, (n, 5)."""
    n = len(token)
    compared = evenly(np.arange(n), COMPARED_BEATS)
    single = token.astype(np.float32)
    centre, spread = single[compared].mean(axis=0), single[compared].std(axis=0) + LEAST_SPREAD
    shape = ((single - centre) / spread * np.sqrt(lead_weight)[:, :, None]).reshape(n, -1)
    normal = probability[:, N] + LEAST_PROBABILITY
    from_normal = ((shape - _mean(shape, normal)) ** 2).mean(axis=1)
    if len(compared) < 2:
        return np.stack([from_normal, probability[:, S], probability[:, V], rr, np.zeros(n)], axis=1)
    same, distance = _nearest(shape, compared)
    return np.stack(
        [from_normal, probability[same, S].mean(axis=1), probability[same, V].mean(axis=1),
         np.median(rr[same], axis=1), distance], axis=1,
    )  # fmt: skip


def _nearest(shape: Float32, compared: Index) -> tuple[Index, Float32]:
    """The beats of the same shape as each one (n, SAME_SHAPE or fewer), and their mean distance (n,)."""
    n, n_same = len(shape), min(SAME_SHAPE, len(compared) - 1)
    same, mean = np.empty((n, n_same), dtype=np.int64), np.empty(n, dtype=np.float32)
    power, others = (shape**2).sum(axis=1), shape[compared].T
    for first in range(0, n, AT_ONCE):
        some = slice(first, first + AT_ONCE)
        # Half of what the square of a distance lacks to the power of the beat itself:
        likeness = shape[some] @ others - power[compared] / 2
        own = np.arange(*np.searchsorted(compared, (first, first + AT_ONCE)))
        likeness[compared[own] - first, own] = -np.inf  # a beat says nothing of itself
        nearest = _largest(likeness, n_same)
        most = np.take_along_axis(likeness, nearest, axis=1)
        same[some] = compared[nearest]
        mean[some] = np.maximum(power[some] - 2 * most.mean(axis=1), 0) / shape.shape[1]
    return same, mean


def _largest(rows: Float32, n: int) -> Index:
    """Positions of the n largest values of each row, shape (n_rows, n); of equal ones the first."""
    least = np.sort(rows, axis=1)[:, -n]  # many times as fast as numpy's search for the positions
    chosen = rows >= least[:, None]
    if np.count_nonzero(chosen) > n * len(rows):
        for row in np.flatnonzero(chosen.sum(axis=1) > n):
            chosen[row] = False
            chosen[row, np.argsort(-rows[row], kind="stable")[:n]] = True
    return np.asarray(np.flatnonzero(chosen).reshape(-1, n) % rows.shape[1])


def _before_qrs(probability: Float32, before_qrs: NDArray[np.floating[Any]]) -> Float64:
    """What precedes a QRS beside the mean of that before normal beats: correlation, size, power, (n, 3)."""
    normal = probability[:, N] + LEAST_PROBABILITY
    segment = before_qrs.reshape(len(before_qrs), -1).astype(np.float32)
    usual = _mean(segment, normal)
    both, power, usual_power = (segment * usual).sum(axis=1), (segment**2).sum(axis=1), float((usual**2).sum())
    correlation = both / np.sqrt(power * usual_power + MIN_POWER)
    return np.stack([correlation, both / (usual_power + MIN_POWER), np.log(power + MIN_POWER)], axis=1)


def _mean(rows: Float32, weight: Float32) -> Float32:
    """The weighted mean of some rows."""
    return np.asarray(weight @ rows / weight.sum())


def _runs(is_s: Bool, rr: Float64) -> Float64:
    """Length of the run of S that a beat belongs to, its place in it, and how early the first is; (n, 3)."""
    edges = np.flatnonzero(np.diff(is_s, prepend=False, append=False)).reshape(-1, 2)
    length, place, onset = np.zeros((3, len(is_s)))
    for first, stop in edges.tolist():
        length[first:stop] = stop - first
        place[first:stop] = np.arange(stop - first)
        onset[first:stop] = rr[first]
    return np.stack([np.log1p(length), np.log1p(place), onset], axis=1)


def _shares(beats: Beats) -> Float64:
    """How many S and V there are around a beat and in the record, and whether it has P waves, (n, 5)."""
    n = len(beats)
    of_both = with_held_ends(beats.probability[:, [S, V]].astype(np.float64), AROUND_BEATS)
    around = window_sums(of_both, AROUND_BEATS) / AROUND_BEATS
    usually = np.median(_known(beats.p_repeats, n))
    whole = [*beats.probability[:, [S, V]].mean(axis=0), usually]
    return np.concatenate([around, np.tile(whole, (n, 1))], axis=1)


def _shifted(column: Float64, by: int) -> Float64:
    """The value so many beats later, or before where negative, shape (n,); past the ends that of the outermost beat."""
    return column[np.clip(np.arange(len(column)) + by, 0, len(column) - 1)]


def _known(column: Float32 | None, n: int) -> Float64:
    """The column, 0 where it is not known, shape (n,)."""
    return np.zeros(n) if column is None else np.nan_to_num(column.astype(np.float64))
