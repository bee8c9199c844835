"""Beats in a lead: from the network's beat probability map to positions in time."""

from __future__ import annotations

import numpy as np

from ..labels import SAME_BEAT_S
from ..schema import Float32, Float64
from ..signals.peaks import find_peaks

REFRACTORY_S = 0.2  # no ventricle depolarises twice within 200 ms


def pick_beats(beat_heatmap: Float32, *, threshold: float, frame_s: float) -> Float64:
    """Positions of beats in frames, refined between frames.

    The network is trained towards a Gaussian bump around each beat; the logarithm of a Gaussian is a parabola, so the
    parabola through the logarithms at a peak and its two neighbours has its vertex at the beat.

    Parameters
    ----------
    beat_heatmap
        Beat probability of each frame, shape (n_frames,), 0 .. 1.
    threshold
        Least beat probability of a beat.
    frame_s
        Duration of a frame in seconds.

    """
    distance = max(1, round(REFRACTORY_S / frame_s))
    padded = np.pad(beat_heatmap.astype(np.float64), 1)
    peak = find_peaks(padded, height=threshold, distance=distance)
    before, at, after = np.log(np.maximum(padded[[peak - 1, peak, peak + 1]], 1e-4))
    curvature = before - 2 * at + after
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.where(curvature < 0, 0.5 * (before - after) / curvature, 0.0)
    return np.asarray(peak - 1 + np.clip(shift, -0.5, 0.5), dtype=np.float64)


def with_inserted(time_s: Float64, inserted_s: Float64) -> Float64:
    """Times of found beats and of those that a reader inserted where none was found, ascending."""
    if not len(inserted_s):
        return time_s
    edges = np.concatenate(([-np.inf], time_s, [np.inf]))
    after = np.searchsorted(edges, inserted_s)
    away_s = np.minimum(inserted_s - edges[after - 1], edges[after] - inserted_s)
    return np.sort(np.concatenate((time_s, inserted_s[away_s > SAME_BEAT_S])))


def fuse_heatmaps(beat_heatmap: Float32, weight: Float32) -> Float32:
    """One beat probability map from several leads: the mean weighted by each lead's quality at each frame.

    Parameters
    ----------
    beat_heatmap, weight
        Shape (n_leads, n_frames).

    """
    total = weight.sum(axis=0)
    return np.asarray((beat_heatmap * weight).sum(axis=0) / np.maximum(total, 1e-6), dtype=np.float32)
