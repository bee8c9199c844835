"""No beats where the ventricles stand still: P waves and low noise have no steep wave, as every QRS has.

The network sees leads in units of their usual amplitude, and in a pause it may take what is left for beats. But the
steepest slope of a QRS, even of a wide one, is many times that of a P wave: of 96,000 annotated beats of mitdb DS1,
svdb, qtdb, ltdb and aftdb, three do not reach STILL of the usual slope.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..schema import Bool, Float32
from ..signals.filters import FS_HZ, CleanLeads
from ..signals.windows import sliding_maximum
from .detection import fuse_heatmaps, pick_beats
from .encoder import Encoded
from .model import Model

SLOPE_SAMPLES = 4  # a slope is that over 32 ms: shorter than a QRS, and four times less noisy than that of a sample
QRS_HALF_S = 0.06  # the steepest slope of a QRS lies so close to its mark
USUAL_PCT = 40.0  # percentile of the candidates' slopes: neither P waves of minutes nor artefacts are the majority
STILL = 0.15  # of the usual slope
SURE, MIN_SURE = 0.8, 20  # the candidates whose slopes are usual have this beat probability, where so many do


def still_frames(model: Model, encoded: Encoded, clean: CleanLeads) -> Bool:
    """Frames of a stretch in which no lead has a slope as steep as a QRS of this patient, shape (n_frames,)."""
    stride = model.spec.stride
    slope = steepest_slopes(clean, stride)[:, : encoded.beat_heatmap.shape[1]]
    heatmap = fuse_heatmaps(encoded.beat_heatmap, np.ones_like(slope))
    frame = np.rint(pick_beats(heatmap, threshold=model.spec.detection_threshold, frame_s=stride / FS_HZ)).astype(int)
    sure = frame[heatmap[frame] >= SURE]
    candidate = sure if len(sure) >= MIN_SURE else frame
    return is_still(slope, usual_slopes(slope[:, candidate])) if len(candidate) else np.zeros(len(heatmap), dtype=bool)


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


def is_still(slope: Float32, usual: Float32) -> Bool:
    """Whether all leads that hold a signal together are far less steep than usual, shape (n_frames,)."""
    known = np.isfinite(slope) & np.isfinite(usual)[:, None]
    total = np.where(known, slope, 0).sum(axis=0)
    return np.asarray(total < STILL * np.where(known, usual[:, None], 0).sum(axis=0))
