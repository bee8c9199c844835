"""The whole way of the data: a record and a model in, an analysis out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from .asking import worth_asking
from .atrial import before_qrs, repeating
from .burden import measure_burden
from .detection import certainty, fuse_heat, pick_beats
from .errors import LeadError
from .fibrillation import without_s
from .inference import Model, Verdicts, classify, describe_beats, look
from .intervals import Index, rr_between
from .labels import CLASSES, UNLABELLED, Codes, class_codes
from .personal import personalise
from .records import lead_index
from .rhythm import find_rhythms
from .rules import RhythmRules
from .schema import (
    Analysis,
    Annotations,
    Attention,
    Beats,
    Bool,
    Burden,
    Float32,
    Float64,
    Quality,
    Record,
    RhythmEvent,
    _Columns,
)
from .signals import BLOCK_S, FS_HZ, MARGIN_S, CleanLeads, clean_leads, normalised, reached_hz, valid_share
from .threads import give_back_memory, side_by_side, tidily
from .windows import CONTEXT_BEATS, frame_offsets

PIECE_S = 1800.0  # a record goes through memory in pieces of half an hour ...
PIECE_LEADS = 6  # ... or less where there are more leads than these
AUTO, ALL, FIRST = "auto", "all", "first"
RHYTHM_LEADS = ("II", "MLII")  # where P waves are upright and tall: chosen among leads of like quality
LIKE_QUALITY = 0.05
FUSED_LEADS = 3  # so many are read together where nothing else is asked for: a Holter recorder has no more
# Certainty of the detector at which a block's quality is 1, and 0. By models/quality.py, a block at UNUSABLE_SCORE
# between them (certainty .59) has an error at about every other beat, and one at CLEAR hardly any.
CLEAR, DOUBTFUL = 0.95, 0.5
UNUSABLE_SCORE = 0.2
LEAST_SCORE = 0.02  # of a lead that is there, so that the beats of unusable blocks are found and shown as unusable
EDGE_S = 0.1  # two pieces may place one and the same beat on either side of their edge, but not this far apart
SAME_BEAT_S = 0.15  # EC57's match window
NOISE, LOOKS = 0.5, 2  # what is noise at this probability is dropped; twice, as the second look sees other RR
HIDDEN_S = 2.0  # so long an interval with noise in it is no pause: noise may hide a beat
SAMPLED_PIECES, SAMPLED_S = 8, 60.0  # quality of a lead is judged on so many stretches across the record

Progress = Callable[[float, float], None]  # seconds of the record that are done, of how many; raise to stop


@dataclass(frozen=True)
class Piece:
    """A stretch of a record, read with a margin on either side that belongs to its neighbours."""

    first: int  # samples to read: [first, last)
    last: int
    start_s: float  # time of the first sample read
    core_s: tuple[float, float]  # what belongs to this piece


@dataclass(frozen=True, eq=False)
class Reading(_Columns):
    """What was found in the core of a piece."""

    time_s: Float64  # (n_beats,)
    token: NDArray[np.float16]  # (n_beats, n_leads, token_size); half precision: a day of 12 leads has 120 million
    attention: NDArray[np.float16]  # (n_beats, n_steps), the leads fused
    before_qrs: NDArray[np.float16]  # (n_beats, n_leads, n_steps): where a P wave would be
    weight: Float32  # (n_beats, n_leads): quality of each lead at each beat
    lost_s: Float64  # times of the frames at which no lead could be read
    score: Float32  # (n_leads, n_blocks)


def analyse(
    record: Record,
    model: Model,
    rules: RhythmRules | None = None,
    *,
    lead: str = AUTO,
    beats_at_s: Float64 | None = None,
    own: Annotations | None = None,
    progress: Progress = lambda done_s, total_s: None,
    fitting: Callable[[float], None] = lambda share: None,
) -> Analysis:
    """Find and judge the beats of a record and measure its burden.

    Parameters
    ----------
    lead
        A lead's name, ``all`` (each is read, and what they say is fused), ``first``, or ``auto``: all of up to three
        leads that hold a signal, of more the most readable one.
    beats_at_s
        Known beats in seconds, ascending, to be judged instead of searched.
    own
        Some of this patient's beats whose class is known: the model is brought closer to the patient by them, and they
        keep their class.
    progress
        Called with the seconds of the record that are done and its length; it may raise ``Cancelled``.
    fitting
        Called with the share that is done of bringing the model closer to the patient; it may raise the same.

    """
    rules = rules or RhythmRules()
    leads = choose_leads(record, model, lead)
    reading = _read_all(record, model, leads, beats_at_s, progress)
    quality = Quality(BLOCK_S, reading.score, np.asarray((reading.score > UNUSABLE_SCORE).any(axis=0)))
    beats, attention, asked = _judge(model, reading, quality, own, fitting, searched=beats_at_s is None)
    beats, told = _tell(beats, own) if own else (beats, np.zeros(0, dtype=np.int64))
    events, burden = measure(record, beats, quality, rules)
    return Analysis(
        record=record,
        lead_names=tuple(record.lead_names[i] for i in leads),
        model=model.spec,
        rules=rules,
        quality=quality,
        beats=beats,
        attention=attention,
        events=events,
        burden=burden,
        asked=asked,
        told=told,
        n_fitted=len(told),
    )


def measure(
    record: Record, beats: Beats, quality: Quality, rules: RhythmRules
) -> tuple[tuple[RhythmEvent, ...], Burden]:
    """Events and burden of beats that are known."""
    events = find_rhythms(beats, rules)
    return events, measure_burden(beats, events, quality, record.duration_s, rules, age_years=record.age_years)


def with_rules(analysis: Analysis, rules: RhythmRules) -> Analysis:
    """The same beats measured by other rules: no signal is read anew."""
    events, burden = measure(analysis.record, analysis.beats, analysis.quality, rules)
    return replace(analysis, rules=rules, events=events, burden=burden)


def with_labels(analysis: Analysis, told: Annotations) -> Analysis:
    """The same analysis with the classes of some beats as a reader tells them: no signal is read anew."""
    beats, index = _tell(analysis.beats, told)
    events, burden = measure(analysis.record, beats, analysis.quality, analysis.rules)
    return replace(analysis, beats=beats, events=events, burden=burden, told=np.union1d(analysis.told, index))


def _tell(beats: Beats, told: Annotations) -> tuple[Beats, Index]:
    """The beats with what was told of some of them, without a doubt, and which these are; unreadable ones stay Q."""
    code = np.where(beats.usable, _codes_at(told, beats.time_s), UNLABELLED)
    index = np.flatnonzero(code != UNLABELLED)
    label, probability = beats.label.copy(), beats.probability.copy()
    label[index] = np.array(CLASSES)[code[index]]
    probability[index] = np.eye(len(CLASSES), dtype=np.float32)[code[index]]
    return replace(beats, label=label, probability=probability), index


def choose_leads(record: Record, model: Model, lead: str) -> tuple[int, ...]:
    """Positions of the leads to analyse; see ``analyse``."""
    if lead == ALL:
        return tuple(range(len(record.lead_names)))
    if lead == FIRST:
        return (0,)
    if lead != AUTO:
        return (lead_index(record, lead),)
    stretches = _sampled(record)
    alive = np.flatnonzero(np.any([clean.valid.any(axis=1) for clean in stretches], axis=0))
    if not len(alive):
        raise LeadError(
            f"{record.record_id}: no lead holds a signal (all are flat or missing); check the recording, or name a "
            "lead with --lead."
        )
    if len(alive) <= FUSED_LEADS:
        return tuple(alive.tolist())
    score = np.mean(list(side_by_side(partial(_quality, model), stretches)), axis=0)
    like = np.flatnonzero(score >= score.max() - LIKE_QUALITY)
    preferred = [i for i in like if record.lead_names[i].upper() in RHYTHM_LEADS]
    return (int(preferred[0] if preferred else score.argmax()),)


def _sampled(record: Record) -> list[CleanLeads]:
    """A few stretches of all leads from across a record."""
    n = round(min(SAMPLED_S, record.duration_s) * record.fs_hz)

    def clean(start: int) -> CleanLeads:
        return clean_leads(record.source.read(start, start + n, tuple(range(len(record.lead_names)))), record.fs_hz)

    starts = np.unique(np.linspace(0, record.n_samples - n, SAMPLED_PIECES).astype(int)).tolist()
    return list(side_by_side(clean, starts))


def _quality(model: Model, clean: CleanLeads) -> Float32:
    """Mean quality of each lead of a stretch, shape (n_leads,)."""
    heat = look(model, normalised(clean)).heat
    return _block_scores(clean.valid, heat, slice(0, clean.valid.shape[1]), model.spec.stride).mean(axis=1)


def _pieces(record: Record, n_leads: int) -> Iterator[Piece]:
    """Cut a record into pieces whose cores touch; a stub at the end joins the last one."""
    length_s = PIECE_S * min(1.0, PIECE_LEADS / n_leads)
    n_pieces = max(1, int(record.duration_s / length_s))
    for number in range(n_pieces):
        core_s = (number * length_s, record.duration_s if number == n_pieces - 1 else (number + 1) * length_s)
        first = max(0, round((core_s[0] - MARGIN_S) * record.fs_hz))
        last = min(record.n_samples, round((core_s[1] + MARGIN_S) * record.fs_hz))
        yield Piece(first, last, first / record.fs_hz, core_s)


def _read_all(
    record: Record, model: Model, leads: tuple[int, ...], beats_at_s: Float64 | None, progress: Progress
) -> Reading:
    """Read a record piece by piece, several at a time."""
    progress(0.0, record.duration_s)
    pieces = list(_pieces(record, len(leads)))
    readings: list[Reading] = []
    read = partial(_read_piece, record, model, leads, beats_at_s)
    for piece, reading in zip(pieces, tidily(side_by_side(read, pieces)), strict=True):
        readings.append(reading if beats_at_s is not None else _after(reading, _last_beat_s(readings)))
        progress(piece.core_s[1], record.duration_s)
    found = _join(readings)
    readings.clear()
    give_back_memory()
    return found


def _join(readings: list[Reading]) -> Reading:
    """What was found in a record, of what was found in its pieces."""
    columns = {item.name: [getattr(reading, item.name) for reading in readings] for item in fields(Reading)}
    return Reading(
        **{name: np.concatenate(parts, axis=-1 if name == "score" else 0) for name, parts in columns.items()}
    )


def _after(reading: Reading, last_beat_s: float) -> Reading:
    """Without the beat at its edge that the piece before has already."""
    new = reading.time_s >= last_beat_s + EDGE_S
    of_beats = ("time_s", "token", "attention", "before_qrs", "weight")
    return reading if new.all() else replace(reading, **{name: getattr(reading, name)[new] for name in of_beats})


def _read_piece(
    record: Record, model: Model, leads: tuple[int, ...], beats_at_s: Float64 | None, piece: Piece
) -> Reading:
    """Find, or take as told, the beats in the core of a piece, and describe them."""
    rate_hz, stride = reached_hz(record.fs_hz), model.spec.stride
    clean = clean_leads(record.source.read(piece.first, piece.last, leads), record.fs_hz)
    signal = normalised(clean)
    seen = look(model, signal)
    frame_s = piece.start_s + np.arange(seen.heat.shape[1]) * stride / rate_hz
    core = slice(*(round((edge - piece.start_s) * FS_HZ) for edge in piece.core_s))
    score = _block_scores(clean.valid, seen.heat, core, stride)
    weight = clean.valid[:, ::stride] * _score_at_frames(score, core, frame_s, stride)
    own_until_s = piece.core_s[1] if piece.last < record.n_samples else np.inf  # a mark may lie past the last sample
    if beats_at_s is None:
        own_from_s = piece.core_s[0] - EDGE_S
        frame = pick_beats(
            fuse_heat(seen.heat, weight), threshold=model.spec.detection_threshold, frame_s=stride / FS_HZ
        )
        time_s = piece.start_s + frame * stride / rate_hz
    else:
        own_from_s = piece.core_s[0]
        time_s = beats_at_s
    time_s = time_s[(time_s >= own_from_s) & (time_s < own_until_s)]
    position = (time_s - piece.start_s) * rate_hz
    described = describe_beats(model, seen, position)
    beat_weight = weight[:, np.clip((position / stride).astype(int), 0, len(frame_s) - 1)].T
    lost = ~(weight > UNUSABLE_SCORE).any(axis=0) & (frame_s >= piece.core_s[0]) & (frame_s < piece.core_s[1])
    return Reading(
        time_s=time_s,
        token=described.token.astype(np.float16),
        attention=np.einsum("nl,nlk->nk", shares(beat_weight), described.attention).astype(np.float16),
        before_qrs=before_qrs(signal, position).astype(np.float16),
        weight=beat_weight,
        lost_s=frame_s[lost],
        score=score,
    )


def _block_scores(valid: Bool, heat: Float32, core: slice, stride: int) -> Float32:
    """Quality of each lead in the blocks of a piece's core: what is there of it, and how surely beats stand out."""
    block = np.arange(0, core.stop - core.start, stride) // int(BLOCK_S * FS_HZ)
    scores = []
    for known, hot in zip(valid[:, core], heat[:, core.start // stride :], strict=True):
        scores.append(lead_score(valid_share(known), certainty(hot[: len(block)], block[: len(hot)])))
    return np.stack(scores)


def lead_score(valid: Float32, certain: Float32) -> Float32:
    """Quality of a lead by the share of it that is there and by how surely its beats stand out."""
    return np.asarray(valid * np.clip((certain - DOUBTFUL) / (CLEAR - DOUBTFUL), LEAST_SCORE, 1), dtype=np.float32)


def _last_beat_s(readings: list[Reading]) -> float:
    """Time of the last beat so far, or so early that nothing is too close to it."""
    return next((float(reading.time_s[-1]) for reading in reversed(readings) if len(reading.time_s)), -EDGE_S)


def _score_at_frames(score: Float32, core: slice, frame_s: Float64, stride: int) -> Float32:
    """The quality of each lead's block at each frame of a piece; the margins take that of the nearest block."""
    block = (np.arange(len(frame_s)) * stride - core.start) // int(BLOCK_S * FS_HZ)
    return np.asarray(score[:, np.clip(block, 0, score.shape[1] - 1)])


def _judge(
    model: Model,
    reading: Reading,
    quality: Quality,
    own: Annotations | None,
    fitting: Callable[[float], None],
    *,
    searched: bool,
) -> tuple[Beats, Attention, Index]:
    """Classes of all beats of the record, read as one sequence; what was searched and turns out as noise is dropped.

    And those of the beats that a reader should be asked about.
    """
    share = shares(reading.weight)

    def read(kept: Index, asked: Bool) -> tuple[Float64, Verdicts]:
        rr_s = readable_rr(reading.time_s[kept], reading.lost_s, np.delete(reading.time_s, kept))
        return rr_s, classify(model, reading.token, rr_s, share[kept], rows=kept, asked=asked)

    kept, rr_s, verdicts = without_noise(len(reading.time_s), read, looks=LOOKS if searched else 0)
    time_s = reading.time_s[kept]
    usable = quality.usable_at(time_s)
    code = np.full(len(kept), UNLABELLED) if own is None else np.where(usable, _codes_at(own, time_s), UNLABELLED)
    if own is not None:
        model = personalise(model, reading.token[kept], rr_s, code, report=fitting)
        verdicts = classify(model, reading.token, rr_s, share[kept], rows=kept)
    probability = verdicts.probability
    label = np.where(usable, np.array(CLASSES)[probability.argmax(axis=1)], "Q")
    offset_s = (frame_offsets(model.spec) * model.spec.stride / FS_HZ).astype(np.float32)
    beats = Beats(time_s, label, probability, rr_s, usable)
    asked = worth_asking(reading.token, share, kept, probability, usable & (code == UNLABELLED))
    give_back_memory()
    p_repeats = repeating(reading.before_qrs[kept], beats)
    return without_s(replace(beats, p_repeats=p_repeats)), Attention(reading.attention[kept], offset_s), asked


def without_noise(
    n_found: int, read: Callable[[Index, Bool], tuple[Float64, Verdicts]], *, looks: int = LOOKS
) -> tuple[Index, Float64, Verdicts]:
    """Which candidates are left when what turns out as noise is dropped, their RR, and what the network says of them.

    Parameters
    ----------
    read
        Gives, of those that are kept, RR and verdicts; and is told of which of them a verdict is asked for: all, and
        after some were dropped those that had one of these in their context.

    """
    kept = np.arange(n_found)
    rr_s, verdicts = read(kept, np.ones(n_found, dtype=bool))
    for _ in range(looks):
        noise = verdicts.noise >= NOISE
        if not noise.any():
            break
        asked = binary_dilation(noise, iterations=CONTEXT_BEATS)[~noise]
        kept = kept[~noise]
        rr_s, anew = read(kept, asked)
        verdicts = Verdicts(
            probability=np.where(asked[:, None], anew.probability, verdicts.probability[~noise]),
            noise=np.where(asked, anew.noise, verdicts.noise[~noise]),
        )
    return kept, rr_s, verdicts


def readable_rr(time_s: Float64, lost_s: Float64, dropped_s: Float64) -> Float64:
    """``rr_between``, and NaN for a long interval with noise in it that may have hidden a beat."""
    rr_s = rr_between(time_s, lost_s)
    rr_s[np.isnan(rr_between(time_s, dropped_s)) & (rr_s > HIDDEN_S)] = np.nan
    return rr_s


def _codes_at(own: Annotations, time_s: Float64) -> Codes:
    """Class of each beat that a known beat lies at, or UNLABELLED, shape (n_beats,); of several the last one counts."""
    code, known = np.full(len(time_s), UNLABELLED), class_codes(own.symbol)
    if not len(time_s):
        return code
    after = np.searchsorted(time_s, own.time_s)
    beside = np.clip([after - 1, after], 0, len(time_s) - 1)
    away_s = np.abs(time_s[beside] - own.time_s)
    nearest = beside[away_s.argmin(axis=0), np.arange(len(after))]
    there = (away_s.min(axis=0) <= SAME_BEAT_S) & (known != UNLABELLED)
    code[nearest[there]] = known[there]
    return code


def shares(weight: Float32) -> Float32:
    """Weights of the leads that sum to one at each beat; alike where no lead can be read."""
    total = weight.sum(axis=1, keepdims=True)
    return np.where(total > 0, weight / np.maximum(total, 1e-9), 1 / weight.shape[1]).astype(np.float32)
