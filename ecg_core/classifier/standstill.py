"""No beats where the ventricles stand still: P waves and low noise have no steep wave, as every QRS has.

The network sees leads in units of their usual amplitude, and in a pause it may take what is left for beats. But the
steepest slope of a QRS, even of a wide one, is many times that of a P wave: of 96,000 annotated beats of mitdb DS1,
svdb, qtdb, ltdb and aftdb, three do not reach STILL of the usual slope.

Beats become as flat where the gain falls, or where the lead with the large QRS comes off with noise. In their own lead,
and at their own size, P waves are as steep and as probable as they are; but beats have the shape that larger ones have.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..schema import Bool, Float32, Index
from ..signals.filters import FS_HZ, CleanLeads
from ..signals.windows import sliding_maximum, with_held_ends
from .detection import fuse_heatmaps, pick_beats
from .encoder import Encoded
from .model import Model

Series: TypeAlias = NDArray[np.floating[Any]]

SLOPE_SAMPLES = 4  # a slope is that over 32 ms: shorter than a QRS, and four times less noisy than that of a sample
QRS_HALF_S = 0.06  # the steepest slope of a QRS lies so close to its mark
USUAL_PCT = 40.0  # percentile of the candidates' slopes: neither P waves of minutes nor artefacts are the majority
STILL = 0.15  # of the usual slope
SURE, MIN_SURE = 0.8, 20  # the candidates whose slopes are usual have this beat probability, where so many do

SMALL = 0.5  # of the usual slope: less steep beats may be the patient's at a smaller size
LIKELY = 0.6  # beat probability of such beats in their own lead
SHAPE_S = (-0.2, 0.4)  # around a beat: P wave, QRS and T wave
SHIFT = 2  # samples by which two shapes are shifted against each other: beats are found to within a frame
RESEMBLES = 0.7  # correlation of a beat, noise and all, with a larger one, below which it is of another kind
NEAR_S, MIN_NEAR = 15.0, 11  # the mean shape is that of the beats so near, and of so many at least ...
USUAL_BEATS = 50  # ... and beside it stand those of so many larger beats in a row each: shapes come and go
# Correlation of the mean shapes of the same beats. In 57 records, nearly all of mitdb DS1, svdb and qtdb, it keeps no P
# wave of a standstill of minutes, neither the patient's own, with QRS and T cut out, nor Gaussian ones of 80 ms and
# more; of the beats at a sixteenth of the gain it keeps 94 % in one lead, and 97 % in two.
LIKE = 0.97
BESIDE_S = 1.0  # beats of other kinds so near to one of them are kept as well; further away only if steep as SMALL
AROUND_BEATS = 23  # the steepest of so many is their measure: at the edge of a standstill, P waves may be among them
TINY = 1e-9


def still_frames(model: Model, encoded: Encoded, clean: CleanLeads) -> Bool:
    """Frames of a stretch in which no lead has a slope as steep as a QRS of this patient, shape (n_frames,)."""
    stride = model.spec.stride
    slope = steepest_slopes(clean, stride)[:, : encoded.beat_heatmap.shape[1]]
    heatmap = fuse_heatmaps(encoded.beat_heatmap, np.ones_like(slope))
    frame = np.rint(pick_beats(heatmap, threshold=model.spec.detection_threshold, frame_s=stride / FS_HZ)).astype(int)
    sure = frame[heatmap[frame] >= SURE]
    candidate = sure if len(sure) >= MIN_SURE else frame
    if not len(candidate):
        return np.zeros(len(heatmap), dtype=bool)
    usual = usual_slopes(slope[:, candidate])
    still = is_still(slope, usual)
    if not still[frame].any():
        return still
    small = is_still(slope, usual, part=SMALL)
    leads = zip(clean.signal_mv, encoded.beat_heatmap, slope, strict=True)
    kept = [among_small_beats(*lead, small, stride=stride) for lead in leads]
    return np.asarray(still & ~np.any(kept, axis=0))


def among_small_beats(lead: Float32, beat_heatmap: Float32, slope: Float32, small: Bool, *, stride: int) -> Bool:
    """Frames of a lead that are as steep as the small beats beside them, which have the shape of the larger ones.

    Parameters
    ----------
    lead
        A clean lead in mV, shape (n,).
    beat_heatmap, slope, small
        Its beat probability and steepest slope, and whether the slopes are small for this patient, (n_frames,).
    stride
        Samples per frame.

    Returns
    -------
    Shape (n_frames,).

    """
    position = pick_beats(beat_heatmap, threshold=LIKELY, frame_s=stride / FS_HZ)
    frame = np.rint(position).astype(int)
    known = np.isfinite(slope[frame])
    frame, position = frame[known], np.rint(position[known] * stride).astype(int)
    is_small = small[frame]
    if is_small.sum() < MIN_NEAR or (~is_small).sum() < MIN_SURE:
        return np.zeros_like(small)
    is_like = np.zeros_like(is_small)
    is_like[is_small] = have_larger_shape(lead, position[is_small], position[~is_small])
    if not is_like.any():
        return np.zeros_like(small)
    number, again = np.arange(len(small)), frame[is_like]
    steepest = sliding_maximum(with_held_ends(slope[again], AROUND_BEATS), AROUND_BEATS)
    edges = np.concatenate(([-len(small)], again, [2 * len(small)]))  # no beat is near beyond the ends
    after = np.searchsorted(again, number)
    away = np.minimum(number - edges[after], edges[after + 1] - number)
    between = edges[after + 1] - edges[after] <= NEAR_S * FS_HZ / stride
    part = np.where(away <= BESIDE_S * FS_HZ / stride, STILL, np.where(between, SMALL, np.inf))
    return np.asarray(slope >= part * np.interp(number, again, steepest))


def have_larger_shape(lead: Float32, position: Index, larger: Index) -> Bool:
    """Which small beats of a lead have the shape of larger ones, by the mean of all around them that resemble these.

    Parameters
    ----------
    lead
        A clean lead in mV, shape (n,).
    position, larger
        Samples of the beats, ascending, shapes (n_beats,) and (n_larger,).

    Returns
    -------
    Shape (n_beats,).

    """
    shape = _shapes(lead, position)
    first = np.arange(0, max(1, len(larger) - USUAL_BEATS + 1), USUAL_BEATS)
    usual = np.add.reduceat(_shapes(lead, larger), first)
    resembles = _correlation(shape, usual) >= RESEMBLES
    total = np.cumsum(np.pad(shape * resembles[:, None], ((1, 0), (0, 0))), axis=0, dtype=np.float64)
    number = np.cumsum(np.pad(resembles, (1, 0)), dtype=int)
    reach = round(NEAR_S * FS_HZ)
    before, after = np.searchsorted(position, position - reach), np.searchsorted(position, position + reach, "right")
    enough = number[after] - number[before] >= MIN_NEAR
    return np.asarray(resembles & enough & (_correlation(total[after] - total[before], usual) >= LIKE))


def _correlation(shape: Series, usual: Series) -> Series:
    """Correlation of each shape, (n, n_steps), with the most similar of some, at the best shift, shape (n,)."""
    n_steps = shape.shape[1] - 2 * SHIFT
    middle = _of_power_1(shape[:, SHIFT : SHIFT + n_steps])
    moved = [_of_power_1(usual[:, shift : shift + n_steps]) for shift in range(2 * SHIFT + 1)]
    return np.asarray(np.max([middle @ one.T for one in moved], axis=(0, 2)))


def _shapes(lead: Float32, position: Index) -> Float32:
    """The signal around beats, with a margin for shifts, each of power 1, shape (n_beats, n_steps)."""
    first, last = (round(edge * FS_HZ) for edge in SHAPE_S)
    step = np.arange(first - SHIFT, last + SHIFT)
    return np.asarray(_of_power_1(lead[np.clip(position[:, None] + step, 0, len(lead) - 1)]), dtype=np.float32)


def _of_power_1(shape: Series) -> Series:
    """Series without their mean and of power 1, along the last axis."""
    level = shape - shape.mean(axis=-1, keepdims=True)
    return np.asarray(level / (np.sqrt((level**2).sum(axis=-1, keepdims=True)) + TINY))


def without_still(encoded: Encoded, still: Bool) -> Encoded:
    """The same stretch without beat probability in the frames that are still."""
    return replace(encoded, beat_heatmap=np.where(still, np.float32(0), encoded.beat_heatmap))


def steepest_slopes(clean: CleanLeads, stride: int) -> Float32:
    """Steepest slope in mV per sample within QRS_HALF_S of each frame, shape (n_leads, n_frames); NaN where off."""
    signal, reach = clean.signal_mv, round(QRS_HALF_S * FS_HZ)
    change = np.abs(signal[:, SLOPE_SAMPLES:] - signal[:, :-SLOPE_SAMPLES])
    edge = reach + SLOPE_SAMPLES // 2  # beyond the ends nothing changes
    steepest = sliding_maximum(np.pad(change, ((0, 0), (edge, edge))), 2 * reach + 1)[:, ::stride] / SLOPE_SAMPLES
    return np.where(clean.valid[:, ::stride], steepest, np.float32(np.nan))


def usual_slopes(slope: Float32) -> Float32:
    """Usual slope of the beats in each lead (n_leads,), of candidates (n_leads, n); NaN in a lead that is off."""
    known = np.isfinite(slope).any(axis=1)
    usual = np.full(len(slope), np.nan, dtype=np.float32)
    usual[known] = np.nanpercentile(slope[known], USUAL_PCT, axis=1)
    return usual


def is_still(slope: Float32, usual: Float32, *, part: float = STILL) -> Bool:
    """Whether all leads that hold a signal together have less than a part of their usual slopes, shape (n_frames,)."""
    known = np.isfinite(slope) & np.isfinite(usual)[:, None]
    total = np.where(known, slope, 0).sum(axis=0)
    return np.asarray(total < part * np.where(known, usual[:, None], 0).sum(axis=0))
