"""Another lead where the one that was chosen cannot be analysed: looked for in each chunk of a record.

Of more leads than are read together, ``choose_leads`` chooses one by a few minutes. Where it turns out in the whole
record that this lead cannot be analysed, another one can: it is read in the chunks in question, and counts in those
blocks alone in which no lead before it is analysable.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..certainty import ReplacedLead
from ..parallel import parallel_map
from ..schema import Float32, Index, Record
from ..signals.filters import FS_HZ, clean_leads, normalised
from ..signals.quality import BLOCK_S, UNUSABLE_SCORE, analysable, block_scores, scores_at_frames
from .chunks import Chunk, ChunkFeatures, Detections
from .encoder import encode
from .features import evenly
from .leads import LIKE_QUALITY, RHYTHM_LEADS
from .model import Model

LEAST_LOST_S = 60.0  # in a chunk: for less, which every recording loses to movement, no other lead is read
JUDGED_BLOCKS = 4  # the other leads are judged by so many of the lost blocks ...
BESIDE_S = 10.0  # ... and so much on either side: the filters have settled
MOSTLY = 0.5  # of the blocks of a stretch: the usual leads held no signal
MOST_REPLACEMENTS = 2  # leads for one in a chunk, so that as many are read as together otherwise


def with_replacements(
    record: Record, model: Model, chunk: Chunk, *, leads: tuple[int, ...], others: tuple[int, ...],
    features_of: Callable[[Chunk, tuple[int, ...]], ChunkFeatures],
) -> ChunkFeatures:  # fmt: skip
    """What is found in a chunk in these leads, and in others where none of these can be analysed.

    Parameters
    ----------
    others
        Leads that may replace the usual ones; none where these are a reader's choice.
    features_of
        Reads a chunk in some leads, of which those beyond the usual ones count only where they are needed.

    """
    found, read = features_of(chunk, leads), leads
    while len(read) < len(leads) + MOST_REPLACEMENTS:
        candidates = tuple(lead for lead in others if lead not in read)
        lead = _replacement(record, model, chunk, candidates, found.score)
        if lead is None:
            break
        read = (*read, lead)
        further = features_of(chunk, read)
        if analysable(further.score).sum() <= analysable(found.score).sum():
            break
        found = further
    return found


def _replacement(record: Record, model: Model, chunk: Chunk, candidates: tuple[int, ...], score: Float32) -> int | None:
    """The lead that can be analysed best where no other one can; None where little is lost, or none is better."""
    lost = np.flatnonzero(~analysable(score))
    if not candidates or len(lost) * BLOCK_S < LEAST_LOST_S:
        return None

    def judged(block: int) -> Float32:
        start_s = chunk.core_s[0] + block * BLOCK_S
        first = max(chunk.first, round((start_s - BESIDE_S) * record.fs_hz))
        last = min(chunk.last, round((start_s + BLOCK_S + BESIDE_S) * record.fs_hz))
        clean = clean_leads(record.source.read(first, last, candidates), record.fs_hz)
        begin = round((start_s - first / record.fs_hz) * FS_HZ)
        core = slice(begin, min(begin + round(BLOCK_S * FS_HZ), clean.valid.shape[1]))
        heatmap = encode(model, normalised(clean)).beat_heatmap
        return block_scores(clean.valid, heatmap, core, model.spec.stride)[:, 0]

    of_blocks = np.stack(list(parallel_map(judged, evenly(lost, JUDGED_BLOCKS).tolist())), axis=1)
    mean = of_blocks.mean(axis=1)
    like = np.flatnonzero((mean >= mean.max() - LIKE_QUALITY) & (of_blocks > UNUSABLE_SCORE).any(axis=1)).tolist()
    if not like:
        return None
    preferred = [at for at in like if record.lead_names[candidates[at]].upper() in RHYTHM_LEADS]
    return candidates[(preferred or like)[0]]  # the same one in each chunk, where several are as good


def of_speaking_leads(signal: Float32, detections: Detections, chunk: Chunk, n_usual: int) -> tuple[Float32, Index]:
    """The signal of the usual leads, or of the lead that replaces them; and which it is at each beat, 0 for none.

    Parameters
    ----------
    signal
        Normalised leads, shape (n_leads, n): those that are read, the usual ones first.

    """
    speaking = np.zeros(signal.shape[1], dtype=np.int64)
    speaks = scores_at_frames(detections.score, chunk.core, signal.shape[1], 1) > UNUSABLE_SCORE
    for lead in range(n_usual, len(signal)):
        speaking[speaks[lead]] = lead
    if not speaking.any():
        return signal[:n_usual], np.zeros(len(detections.position), dtype=np.int64)
    merged = np.where(speaking, signal[speaking, np.arange(signal.shape[1])], signal[:n_usual])
    return merged, speaking[np.clip(np.rint(detections.position).astype(int), 0, signal.shape[1] - 1)]


def replaced_leads(record: Record, features: ChunkFeatures, n_usual: int) -> tuple[ReplacedLead, ...]:
    """The stretches in which another lead counts than the usual ones, in the order of time."""
    found = []
    for lead, speaks in zip(features.leads[n_usual:], features.score[n_usual:] > UNUSABLE_SCORE, strict=True):
        for first, stop in np.flatnonzero(np.diff(speaks, prepend=False, append=False)).reshape(-1, 2).tolist():
            no_signal = bool(np.mean(features.score[:n_usual, first:stop].max(axis=0) == 0) > MOSTLY)
            end_s = min(stop * BLOCK_S, record.duration_s)
            found.append(ReplacedLead(record.lead_names[lead], first * BLOCK_S, end_s, no_signal))
    return tuple(sorted(found, key=lambda one: one.start_s))
