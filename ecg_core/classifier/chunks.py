"""A record in chunks of half an hour, several at a time: what is found in each, and in the record as a whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from ..parallel import parallel_map, release_memory, returning_memory
from ..records.unchanged import check_unchanged, state_of
from ..schema import Bool, Float32, Float64, FrozenArrays, Quality, Record, Waveform
from ..signals.filters import FLAT_S, FS_HZ, MARGIN_S, CleanLeads, reached_hz
from ..signals.quality import (
    BLOCK_S,
    analysable,
    block_scores,
    lead_weights,
    lost_times,
    only_where_needed,
    scores_at_frames,
)
from .detection import fuse_heatmaps, pick_beats, with_inserted
from .encoder import Encoded, describe_beats
from .model import Model
from .waveform import CONTEXT_STEPS, STEP, STEP_S, measure_waveform
from .waveform_head import RHYTHMS, load_head, rhythm_probability, usual_size

Progress = Callable[[float, float], None]  # seconds of the record that are done, of how many; raise to stop

CHUNK_S = 1800.0  # a record goes through memory in chunks of half an hour ...
CHUNK_LEADS = 6  # ... or less where there are more leads than these
MIN_STILL_S = 1.5  # shorter stretches without a steep wave lie between any two beats
EDGE_S = 0.1  # two chunks may place one and the same beat on either side of their edge, but not this far apart


@dataclass(frozen=True)
class Chunk:
    """A stretch of a record, read with a margin on either side that belongs to its neighbours."""

    first: int  # samples to read: [first, last)
    last: int
    start_s: float  # time of the first sample read
    core_s: tuple[float, float]  # what belongs to this chunk
    rate_hz: float  # of the signal that the network sees
    is_last: bool  # of the record

    @property
    def core(self) -> slice:
        """What belongs to this chunk, in samples at 125 Hz from its first."""
        return slice(*(round((edge - self.start_s) * FS_HZ) for edge in self.core_s))


@dataclass(frozen=True, eq=False)
class Detections(FrozenArrays):
    """Candidates for beats in the core of a chunk, and how well it can be analysed."""

    time_s: Float64  # (n_beats,)
    position: Float64  # (n_beats,), in samples of the chunk at ``rate_hz``
    quality: Float32  # (n_beats, n_leads): quality of each lead at each beat
    lost_s: Float64  # times of the frames at which no lead could be analysed
    score: Float32  # (n_leads, n_blocks)


@dataclass(frozen=True, eq=False)
class ChunkFeatures(FrozenArrays):
    """What was found in the core of a chunk, or in a whole record."""

    time_s: Float64  # (n_beats,)
    token: NDArray[np.float16]  # (n_beats, n_leads, token_size); half precision: a day of 12 leads has 120 million
    attention: NDArray[np.float16]  # (n_beats, n_steps), the leads fused
    before_qrs: NDArray[np.float16]  # (n_beats, n_leads, n_steps): where a P wave would be
    qrs_correlation: Float32  # (n_beats,), with the beat before; NaN at the first of a chunk
    quality: Float32  # (n_beats, n_leads): quality of each lead at each beat
    lost_s: Float64  # times of the frames at which no lead could be analysed
    score: Float32  # (n_leads, n_blocks); 0 where a lead beyond the usual ones was not needed
    rhythm: Float32  # (n_seconds, n_rhythms): probability of each of RHYTHMS by the waveform
    off_s: Float64  # (n, 2), start and end of stretches of any length in which no lead holds a signal
    still_s: Float64  # (n, 2), and of stretches in which the leads hold one, but nothing as steep as a QRS
    leads: tuple[int, ...] = (0,)  # their positions in the record: the usual ones, then those that replace them

    @property
    def lead_weight(self) -> Float32:
        """Weights of the leads at each beat, which sum to one, shape (n_beats, n_leads)."""
        return lead_weights(self.quality)


def chunks_of(record: Record, n_leads: int) -> list[Chunk]:
    """Cut a record into chunks whose cores touch; a short rest at the end joins the last one."""
    length_s = CHUNK_S * min(1.0, CHUNK_LEADS / n_leads) // BLOCK_S * BLOCK_S  # so that blocks touch as well
    n_chunks = max(1, int(record.duration_s / length_s))
    rate_hz = reached_hz(record.fs_hz)
    chunks = []
    for number in range(n_chunks):
        is_last = number == n_chunks - 1
        core_s = (number * length_s, record.duration_s if is_last else (number + 1) * length_s)
        first = max(0, round((core_s[0] - MARGIN_S) * record.fs_hz))
        last = min(record.n_samples, round((core_s[1] + MARGIN_S) * record.fs_hz))
        chunks.append(Chunk(first, last, first / record.fs_hz, core_s, rate_hz, is_last))
    return chunks


def detect(
    model: Model, encoded: Encoded, valid: Bool, chunk: Chunk,
    *, n_usual: int, known_s: Float64 | None = None, inserted_s: Float64 | None = None,
) -> Detections:  # fmt: skip
    """Find the beats in the core of a chunk, or take those that are known, and measure how well it can be analysed.

    Parameters
    ----------
    valid
        Where the signal holds an ECG, shape (n_leads, n).
    n_usual
        Leads from this one on count only in blocks in which none before them can be analysed.
    known_s
        Known beats of the record, ascending; None searches for them.
    inserted_s
        Beats that are there beside those that are found, ascending.

    """
    stride = model.spec.stride
    frame_s = chunk.start_s + np.arange(encoded.beat_heatmap.shape[1]) * stride / chunk.rate_hz
    core = chunk.core
    score = only_where_needed(block_scores(valid, encoded.beat_heatmap, core, stride), n_usual)
    weight = valid[:, ::stride] * scores_at_frames(score, core, len(frame_s), stride)
    until_s = np.inf if chunk.is_last else chunk.core_s[1]  # a mark may lie past the last sample
    if known_s is None:
        from_s = chunk.core_s[0] - EDGE_S
        heatmap = fuse_heatmaps(encoded.beat_heatmap, weight)
        frame = pick_beats(heatmap, threshold=model.spec.detection_threshold, frame_s=stride / FS_HZ)
        time_s = chunk.start_s + frame * stride / chunk.rate_hz
    else:
        from_s, time_s = chunk.core_s[0], known_s
    time_s = time_s if inserted_s is None else with_inserted(time_s, inserted_s)
    time_s = time_s[(time_s >= from_s) & (time_s < until_s)]
    position = (time_s - chunk.start_s) * chunk.rate_hz
    quality = weight[:, np.clip((position / stride).astype(int), 0, len(frame_s) - 1)].T
    return Detections(time_s, position, quality, lost_times(frame_s, weight, chunk.core_s), score)


@dataclass(frozen=True, eq=False)
class ChunkRhythm(FrozenArrays):
    """What the waveform shows in the core of a chunk."""

    probability: Float32  # (n_seconds, n_rhythms), of each of RHYTHMS
    off_s: Float64  # (n, 2), start and end of stretches of any length in which no lead holds a signal
    still_s: Float64  # (n, 2), and of stretches in which the leads hold one, but nothing as steep as a QRS


def chunk_rhythm(model: Model, encoded: Encoded, clean: CleanLeads, still: Bool, chunk: Chunk) -> ChunkRhythm:
    """What the waveform shows in each second of the core of a chunk, whether or not there are beats in it.

    Parameters
    ----------
    still
        See ``still_frames``.

    """
    stride = model.spec.stride
    first, last = chunk.core.start, chunk.core.stop
    n_steps = max(1, -(-(last - first) // STEP))
    measures = measure_waveform(
        clean, encoded.beat_heatmap, stride=stride, first=first - CONTEXT_STEPS * STEP,
        n_steps=n_steps + 2 * CONTEXT_STEPS,
    )  # fmt: skip
    probability = rhythm_probability(load_head(), measures, usual_size(measures))
    core = slice(first // stride, -(-last // stride))
    signal = np.asarray(clean.valid[:, ::stride].any(axis=0))
    step_s = stride / chunk.rate_hz
    spans = [
        chunk.start_s + (core.start + long_stretches(inside[core], least_s / step_s)) * step_s
        for inside, least_s in ((np.asarray(~signal), 0.0), (np.asarray(still & signal), MIN_STILL_S))
    ]
    return ChunkRhythm(probability[CONTEXT_STEPS:-CONTEXT_STEPS], *spans)


def long_stretches(inside: Bool, n_frames: float) -> Float64:
    """First frame and the one after the last of each stretch of so many frames, or at an edge, shape (n, 2)."""
    spans = np.flatnonzero(np.diff(inside, prepend=False, append=False)).reshape(-1, 2)
    kept = (spans[:, 1] - spans[:, 0] >= n_frames) | (spans[:, 0] == 0) | (spans[:, 1] == len(inside))
    return np.asarray(spans[kept], dtype=np.float64)


def joined_spans(spans_s: Float64, *, least_s: float) -> Float64:
    """Stretches of at least ``least_s``, those that were cut at the edge of a chunk in one piece, shape (n, 2)."""
    if not len(spans_s):
        return spans_s
    cut = np.flatnonzero(spans_s[1:, 0] - spans_s[:-1, 1] > EDGE_S)
    joined = np.stack([spans_s[np.append(0, cut + 1), 0], spans_s[np.append(cut, len(spans_s) - 1), 1]], axis=1)
    return np.asarray(joined[joined[:, 1] - joined[:, 0] >= least_s])


def waveform_of(features: ChunkFeatures, duration_s: float) -> Waveform:
    """What the waveform of a whole record shows."""
    return Waveform(
        step_s=STEP_S,
        vf=features.rhythm[:, RHYTHMS.index("vf")],
        vt=features.rhythm[:, RHYTHMS.index("vt")],
        no_signal_s=np.minimum(joined_spans(features.off_s, least_s=FLAT_S - EDGE_S), duration_s),
        still_s=np.minimum(joined_spans(features.still_s, least_s=MIN_STILL_S), duration_s),
    )


def quality_of(features: ChunkFeatures, duration_s: float) -> Quality:
    """The signal quality of a whole record."""
    lost_s = np.minimum(joined_spans(features.off_s, least_s=0.0), duration_s)
    return Quality(BLOCK_S, features.score, analysable(features.score), lost_s)


def describe(
    model: Model,
    encoded: Encoded,
    detections: Detections,
    before_qrs: Float32,
    qrs_correlation: Float32,
    rhythm: ChunkRhythm,
    *,
    leads: tuple[int, ...],
) -> ChunkFeatures:
    """Describe the detected beats by the network's tokens and attention.

    Parameters
    ----------
    before_qrs
        What lies before each QRS, shape (n_beats, n_leads, n_steps); see ``rhythm.p_waves``.
    qrs_correlation
        Of each QRS with that of the beat before, shape (n_beats,); see ``rhythm.qrs_shape``.
    rhythm
        What the waveform shows in the same chunk.
    leads
        Positions of the leads in the record.

    """
    described = describe_beats(model, encoded, detections.position)
    attention = np.einsum("nl,nlk->nk", lead_weights(detections.quality), described.attention)
    return ChunkFeatures(
        time_s=detections.time_s,
        token=described.token.astype(np.float16),
        attention=attention.astype(np.float16),
        before_qrs=before_qrs.astype(np.float16),
        qrs_correlation=qrs_correlation,
        quality=detections.quality,
        lost_s=detections.lost_s,
        score=detections.score,
        rhythm=rhythm.probability,
        off_s=rhythm.off_s,
        still_s=rhythm.still_s,
        leads=leads,
    )


def read_chunks(
    record: Record,
    n_leads: int,
    features_of: Callable[[Chunk], ChunkFeatures],
    progress: Progress,
    *,
    searched: bool,
) -> ChunkFeatures:
    """What is found in a whole record, chunk by chunk, several at a time.

    Parameters
    ----------
    features_of
        Reads one chunk.
    progress
        Called with the seconds of the record that are done and its length; it may raise ``Cancelled``.
    searched
        Whether beats were searched for, so that two chunks may have found the same beat at their edge.

    Raises
    ------
    RecordError
        A file of the record was changed meanwhile.

    """
    progress(0.0, record.duration_s)
    chunks, files = chunks_of(record, n_leads), state_of(record)
    parts: list[ChunkFeatures] = []
    for chunk, part in zip(chunks, returning_memory(parallel_map(features_of, chunks)), strict=True):
        parts.append(_without_repeated(part, _last_beat_s(parts)) if searched else part)
        progress(chunk.core_s[1], record.duration_s)
    check_unchanged(record, files)
    whole = _concatenate(parts, n_leads)
    parts.clear()
    release_memory()
    return whole


def _concatenate(parts: list[ChunkFeatures], n_usual: int) -> ChunkFeatures:
    """All chunks as one; each has all leads that one of them has."""
    leads = _all_leads(parts, n_usual)
    whole = [_with_leads(part, leads, n_usual) for part in parts]
    columns = {item.name: [getattr(part, item.name) for part in whole] for item in fields(ChunkFeatures)}
    del columns["leads"]
    joined = {name: np.concatenate(arrays, axis=-1 if name == "score" else 0) for name, arrays in columns.items()}
    for column in range(n_usual, len(leads)):
        _fill_unread(joined["token"][:, column])
    return ChunkFeatures(**joined, leads=leads)


def _all_leads(parts: list[ChunkFeatures], n_usual: int) -> tuple[int, ...]:
    """The usual leads, and those that replace them in one chunk or another, in the order of the record."""
    return (*parts[0].leads[:n_usual], *sorted({lead for part in parts for lead in part.leads[n_usual:]}))


def _with_leads(part: ChunkFeatures, leads: tuple[int, ...], n_usual: int) -> ChunkFeatures:
    """A chunk with columns for all of some leads, with nothing in those that were not read."""
    if part.leads == leads:
        return part
    column = [leads.index(lead) for lead in part.leads]
    token = np.full((len(part.time_s), len(leads), part.token.shape[2]), np.nan, dtype=np.float16)
    quality = np.zeros((len(part.time_s), len(leads)), dtype=np.float32)
    score = np.zeros((len(leads), part.score.shape[1]), dtype=np.float32)
    token[:, column], quality[:, column], score[column] = part.token, part.quality, part.score
    return replace(part, token=token, quality=quality, score=score, leads=leads)


def _fill_unread(token: NDArray[np.float16]) -> None:
    """Give the beats that were not read in a lead its usual token, so that it says nothing of them and they of it."""
    unread = np.isnan(token[:, 0])
    token[unread] = np.median(token[~unread].astype(np.float32), axis=0) if not unread.all() else 0


def _without_repeated(part: ChunkFeatures, last_beat_s: float) -> ChunkFeatures:
    """Without the beat at its edge that the chunk before has already."""
    new = part.time_s >= last_beat_s + EDGE_S
    of_beats = ("time_s", "token", "attention", "before_qrs", "qrs_correlation", "quality")
    return part if new.all() else replace(part, **{name: getattr(part, name)[new] for name in of_beats})


def _last_beat_s(parts: list[ChunkFeatures]) -> float:
    """Time of the last beat so far, or so early that nothing is too close to it."""
    return next((float(part.time_s[-1]) for part in reversed(parts) if len(part.time_s)), -EDGE_S)
