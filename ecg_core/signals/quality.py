"""Signal quality of each lead in blocks of ten seconds: its valid samples, and how clearly its beats stand out."""

from __future__ import annotations

import numpy as np

from ..schema import Bool, Float32, Float64, Index
from .filters import FS_HZ
from .peaks import find_peaks
from .windows import sliding_maximum

BLOCK_S = 10.0  # signal quality is measured per block
FAINT = 0.1  # lower peaks of the beat probability map are no candidates for beats
# Certainty of the detector at which a block's quality is 1, and 0. By models/quality.py, a block at UNUSABLE_SCORE
# between them (certainty .59) has an error at about every other beat, and one at CLEAR hardly any.
CLEAR, DOUBTFUL = 0.95, 0.5
UNUSABLE_SCORE = 0.2
LEAST_SCORE = 0.02  # of a lead with valid samples, so that the beats of unusable blocks are found and shown as unusable


def valid_share(valid: Bool) -> Float32:
    """Fraction of valid samples of one lead in blocks of BLOCK_S, shape (n_blocks,)."""
    starts = np.arange(0, max(len(valid), 1), int(BLOCK_S * FS_HZ))
    length = np.diff(np.append(starts, len(valid)))
    return (np.add.reduceat(valid.astype(np.float32), starts) / length).astype(np.float32)


def certainty(beat_heatmap: Float32, block: Index, *, n_blocks: int | None = None) -> Float32:
    """How clearly beats stand out in each block of one lead: 1 clear, towards 0 doubtful, shape (n_blocks,).

    The mean beat probability of the candidates in a block, each weighted by its own; in a clear lead every peak is
    either high or absent. A block without any candidate counts as clear: 1.

    Parameters
    ----------
    beat_heatmap
        Beat probability of each frame, shape (n_frames,).
    block
        Block of each frame, shape (n_frames,), ascending from 0.
    n_blocks
        By default those in which there is a frame: a last block can be shorter than one.

    """
    peak = find_peaks(beat_heatmap, height=FAINT)
    height, of_peak = beat_heatmap[peak], block[peak]
    n_blocks = int(block[-1]) + 1 if n_blocks is None else n_blocks
    total = np.bincount(of_peak, height, n_blocks)
    squared = np.bincount(of_peak, height**2, n_blocks)
    return np.where(total > 0, squared / np.maximum(total, FAINT), 1.0).astype(np.float32)


def lead_quality(valid: Float32, certain: Float32) -> Float32:
    """Quality of a lead, 0 .. 1, from its fraction of valid samples and how clearly its beats stand out."""
    return np.asarray(valid * np.clip((certain - DOUBTFUL) / (CLEAR - DOUBTFUL), LEAST_SCORE, 1), dtype=np.float32)


def block_scores(valid: Bool, beat_heatmap: Float32, core: slice, stride: int) -> Float32:
    """Quality of each lead in the blocks of a stretch, shape (n_leads, n_blocks).

    Parameters
    ----------
    valid, beat_heatmap
        Shapes (n_leads, n) and (n_leads, n_frames).
    core
        The stretch that is scored, in samples at 125 Hz.
    stride
        Samples per frame.

    """
    block = np.arange(0, core.stop - core.start, stride) // int(BLOCK_S * FS_HZ)
    scores = []
    for known, probability in zip(valid[:, core], beat_heatmap[:, core.start // stride :], strict=True):
        share, n_frames = valid_share(known), min(len(block), len(probability))
        certain = certainty(probability[:n_frames], block[:n_frames], n_blocks=len(share))
        scores.append(lead_quality(share, certain))
    return np.stack(scores)


def scores_at_frames(score: Float32, core: slice, n_frames: int, stride: int) -> Float32:
    """The quality of each lead's block at each frame, (n_leads, n_frames); outside of the core the nearest block's."""
    block = (np.arange(n_frames) * stride - core.start) // int(BLOCK_S * FS_HZ)
    return np.asarray(score[:, np.clip(block, 0, score.shape[1] - 1)])


def only_where_needed(score: Float32, n_usual: int) -> Float32:
    """The scores; of the leads beyond the usual ones only in blocks in which no lead before them is analysable.

    And in the block on either side, within which the lead before them came off, or back.
    """
    kept = score.copy()
    for lead in range(n_usual, len(score)):
        lost = sliding_maximum(np.pad(~analysable(kept[:lead]), 1), 3)
        kept[lead, ~lost] = 0
    return kept


def lead_weights(quality: Float32) -> Float32:
    """Weights of the leads that sum to one at each beat, (n_beats, n_leads); equal where no lead can be analysed."""
    total = quality.sum(axis=1, keepdims=True)
    weight = np.where(total > 0, quality / np.maximum(total, 1e-9), 1 / quality.shape[1])
    return np.asarray(weight, dtype=np.float32)


def analysable(weight: Float32) -> Bool:
    """Whether at least one lead can be analysed, over the first axis of leads."""
    return np.asarray((weight > UNUSABLE_SCORE).any(axis=0))


def lost_times(time_s: Float64, weight: Float32, core_s: tuple[float, float]) -> Float64:
    """The moments of a stretch at which no lead could be analysed; ``weight`` of shape (n_leads, n)."""
    return time_s[~analysable(weight) & (time_s >= core_s[0]) & (time_s < core_s[1])]
