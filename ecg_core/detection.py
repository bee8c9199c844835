"""Beats in a lead: from the network's heat to positions in time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks

from .schema import Float32, Float64

Index = NDArray[np.int64]

FAINT_HEAT = 0.1  # fainter bumps are no candidates
REFRACTORY_S = 0.2  # no ventricle depolarises twice within 200 ms


def pick_beats(heat: Float32, *, threshold: float, frame_s: float) -> Float64:
    """Positions of beats in frames, refined between frames.

    The network is trained towards a Gaussian bump around each beat; the logarithm of a Gaussian is a parabola, so the
    parabola through a peak's three log heats has its vertex at the beat.

    Parameters
    ----------
    heat
        Shape (n_frames,), 0..1.
    threshold
        Least heat of a beat.
    frame_s
        Duration of a frame in seconds.

    """
    distance = max(1, round(REFRACTORY_S / frame_s))
    peak, _ = find_peaks(np.concatenate(([0.0], heat, [0.0])), height=threshold, distance=distance)
    log_heat = np.log(np.maximum(np.concatenate(([0.0], heat, [0.0])), 1e-4))
    before, at, after = log_heat[peak - 1], log_heat[peak], log_heat[peak + 1]
    curvature = before - 2 * at + after
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.where(curvature < 0, 0.5 * (before - after) / curvature, 0.0)
    return np.asarray(peak - 1 + np.clip(shift, -0.5, 0.5), dtype=np.float64)


def fuse_heat(heat: Float32, weight: Float32) -> Float32:
    """One heat from several leads: the mean weighted by each lead's quality at each frame.

    Parameters
    ----------
    heat, weight
        Shape (n_leads, n_frames).

    """
    total = weight.sum(axis=0)
    return np.asarray((heat * weight).sum(axis=0) / np.maximum(total, 1e-6), dtype=np.float32)


def certainty(heat: Float32, block: Index) -> Float32:
    """How surely beats stand out in each block of one lead: 1 clear, towards 0 nothing but doubt, shape (n_blocks,).

    The mean heat of the candidates in a block, each weighted by its own heat; in a clear lead every bump is either hot
    or absent. A block without any candidate says nothing against the lead: 1.

    Parameters
    ----------
    heat
        Shape (n_frames,).
    block
        Block of each frame, shape (n_frames,), ascending from 0.

    """
    peak, properties = find_peaks(heat, height=FAINT_HEAT)
    height, own = properties["peak_heights"], block[peak]
    n_blocks = int(block[-1]) + 1
    total = np.bincount(own, height, n_blocks)
    squared = np.bincount(own, height**2, n_blocks)
    return np.where(total > 0, squared / np.maximum(total, FAINT_HEAT), 1.0).astype(np.float32)
