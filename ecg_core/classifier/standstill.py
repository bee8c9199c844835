"""No beats where the ventricles stand still: P waves and low noise have no steep wave, as every QRS has.

The network sees leads in units of their usual amplitude, and in a pause it may take what is left for beats. But the
steepest slope of a QRS, even of a wide one, is many times that of a P wave: of 90,000 annotated beats of three
databases, five in a hundred thousand reach less than STILL of the usual slope, of P waves nearly all.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import maximum_filter1d

from ..schema import Float32
from ..signals.filters import FS_HZ, CleanLeads
from .detection import fuse_heatmaps, pick_beats
from .encoder import Encoded
from .model import Model

QRS_HALF_S = 0.06  # the steepest slope of a QRS lies so close to its mark
USUAL_PCT = 40.0  # percentile of the candidates' slopes: neither P waves of minutes nor artefacts are the majority
STILL = 0.15  # of the usual slope


def without_still(model: Model, encoded: Encoded, clean: CleanLeads) -> Encoded:
    """The same stretch without beat probability where no lead has a slope as steep as a QRS of this patient."""
    stride = model.spec.stride
    slope = steepest_slopes(clean, stride)[:, : encoded.beat_heatmap.shape[1]]
    frame = pick_beats(
        fuse_heatmaps(encoded.beat_heatmap, np.ones_like(slope)),
        threshold=model.spec.detection_threshold,
        frame_s=stride / FS_HZ,
    )
    if not len(frame):
        return encoded
    candidate = np.clip(np.rint(frame).astype(int), 0, slope.shape[1] - 1)
    still = is_still(slope, usual_slopes(slope[:, candidate]))
    return replace(encoded, beat_heatmap=np.where(still, np.float32(0), encoded.beat_heatmap))


def steepest_slopes(clean: CleanLeads, stride: int) -> Float32:
    """Steepest slope in mV per sample within QRS_HALF_S of each frame, shape (n_leads, n_frames); NaN where off."""
    slope = np.abs(np.diff(clean.signal_mv, axis=1, prepend=clean.signal_mv[:, :1]))
    width = 2 * round(QRS_HALF_S * FS_HZ) + 1
    steepest = maximum_filter1d(slope, width, axis=1, mode="nearest")[:, ::stride]
    return np.where(clean.valid[:, ::stride], steepest, np.float32(np.nan))


def usual_slopes(slope: Float32) -> Float32:
    """Usual slope of the beats in each lead (n_leads,), of candidates (n_leads, n); NaN in a lead that is off."""
    known = np.isfinite(slope).any(axis=1)
    usual = np.full(len(slope), np.nan, dtype=np.float32)
    usual[known] = np.nanpercentile(slope[known], USUAL_PCT, axis=1)
    return usual


def is_still(slope: Float32, usual: Float32) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Whether all leads that hold a signal together are far less steep than usual, shape (n_frames,)."""
    known = np.isfinite(slope) & np.isfinite(usual)[:, None]
    total = np.where(known, slope, 0).sum(axis=0)
    return np.asarray(total < STILL * np.where(known, usual[:, None], 0).sum(axis=0))
