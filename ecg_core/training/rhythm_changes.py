"""Another rhythm for the same heart: other RR, fibrillation, premature and ventricular beats.

The morphology of a class is learned from few patients, and in each of them it comes with that patient's rhythm. So
the rhythm is varied apart from the morphology: prematurity does not mark an ectopic beat where the rhythm is irregular
and has no P waves, and marks one where the rhythm is regular.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.ndimage import median_filter, uniform_filter1d

from ..labels import Codes
from ..schema import Bool, Float32, Float64
from ..signals.filters import FS_HZ
from .augmentation_config import (
    AtrialBeats,
    Augmentation,
    Fibrillation,
    PrematureBeats,
    RhythmChanges,
    VentricularBeats,
)
from .waveforms import (
    NORMAL,
    SUPRAVENTRICULAR,
    VENTRICULAR,
    Strip,
    add_waves,
    bend_qrs,
    block_conduction,
    fibrillatory_waves,
    flatten,
    remove_p_waves,
    replace_p_waves,
)

SMALLEST_DEVIATION = 1e-6  # a wave of no height cannot be scaled to a deviation of 1


def change_rhythm(strip: Strip, config: Augmentation, *, rng: np.random.Generator) -> Strip:
    """Blocked P waves, another rate, premature atrial beats, atrial fibrillation; each at random."""
    if len(strip.position) < config.rhythm.min_beats:
        return strip
    if rng.random() < config.blocked.probability:
        strip = block_conduction(strip, config, rng=rng)
    steady = is_steady(strip, config.rhythm)
    strip = change_rate(strip, config.rhythm, rng=rng)
    fibrillating = np.zeros(len(strip.position), dtype=bool)
    if rng.random() < config.fibrillation.probability:
        fibrillating = draw_episodes(len(strip.position), config.fibrillation, rng=rng)
    if steady and rng.random() < config.atrial.probability:
        if config.atrial.dominant_probability and rng.random() < config.atrial.dominant_probability:
            early = dominant_runs(strip.code, config.atrial, rng=rng)
        else:
            early = premature_beats(strip.code, config.premature, rng=rng)
        strip = insert_atrial_beats(strip, early & ~fibrillating, config=config, rng=rng)
    if fibrillating.any():
        strip = insert_fibrillation(strip, fibrillating, config=config, rng=rng)
    return strip


def is_steady(strip: Strip, config: RhythmChanges) -> bool:
    """Whether the normal beats follow each other regularly, as in sinus rhythm and not in atrial fibrillation."""
    normal = (strip.code[1:] == NORMAL) & (strip.code[:-1] == NORMAL)
    log_rr = np.log(np.maximum(np.diff(strip.position), 1.0))[normal]
    if len(log_rr) <= config.steady_min_intervals:
        return False
    return float(np.median(np.abs(np.diff(log_rr)))) < config.steady_log_rr


def change_rate(strip: Strip, config: RhythmChanges, *, rng: np.random.Generator) -> Strip:
    """Another heart rate, one that drifts, and sinus arrhythmia."""
    rr = strip.rr
    if rng.random() < config.rate_probability:
        rr = rr * rng.uniform(*config.rr_factor)
    if rng.random() < config.drift_probability:
        rr = rr * draw_drift(len(rr), config, rng=rng)
    if rng.random() < config.sinus_arrhythmia_probability:
        depth = rng.uniform(*config.sinus_arrhythmia_depth)
        rr = rr * np.exp(depth * _slow_wave(len(rr), config.sinus_arrhythmia_beats, rng=rng))
    return replace(strip, rr=rr)


def draw_drift(n: int, config: RhythmChanges, *, rng: np.random.Generator) -> Float64:
    """Factors of RR that wander slowly between those of effort and of rest, shape (n,)."""
    n_knots = int(rng.integers(*config.drift_knots))
    at = np.sort(rng.uniform(0, n, n_knots))
    effort, rest = config.rr_factor
    log_factor = rng.uniform(np.log(effort), np.log(rest), n_knots)
    return np.exp(np.interp(np.arange(n), at, log_factor))


def _slow_wave(n: int, n_beats: int, *, rng: np.random.Generator) -> Float64:
    """A slow irregular wave with a standard deviation of 1, shape (n,)."""
    wave = np.convolve(rng.normal(size=n + n_beats), np.hanning(n_beats + 2)[1:-1], mode="valid")[:n]
    return np.asarray(wave / max(float(np.std(wave)), SMALLEST_DEVIATION))


def draw_episodes(n: int, config: Fibrillation, *, rng: np.random.Generator) -> Bool:
    """Which of ``n`` beats lie in episodes of fibrillation, shape (n,): some stretches, or all beats."""
    inside = np.zeros(n, dtype=bool)
    if rng.random() >= config.paroxysmal_probability:
        return ~inside
    for _ in range(rng.integers(1, config.max_episodes + 1)):
        first, length = int(rng.integers(0, n)), int(rng.integers(*config.episode_beats))
        inside[first : first + length] = True
    return inside


def premature_beats(code: Codes, config: PrematureBeats, *, rng: np.random.Generator) -> Bool:
    """Which beats become premature, shape (n,): normal beats between normal beats, alone, in runs, in bigeminy ..."""
    n = len(code)
    early = rng.random(n) < 10 ** rng.uniform(*config.log10_rate)
    for _ in range(rng.integers(*config.groups)):
        first, length = int(rng.integers(0, n)), int(rng.integers(*config.group_beats))
        every = int(rng.choice(config.every))
        last = first + (length // config.run_shortening if every == 1 else length)
        early[first:last] = False
        early[first:last:every] = True
    early &= code == NORMAL
    early[1:] &= code[:-1] == NORMAL
    early[:-1] &= code[1:] == NORMAL
    early[[0, -1]] = False
    return np.asarray(early)


def dominant_runs(code: Codes, config: AtrialBeats, *, rng: np.random.Generator) -> Bool:
    """Which beats become atrial where these are most of all, shape (n,): normal ones, but few between the runs."""
    inside = np.zeros(len(code), dtype=bool)
    first = int(rng.integers(*config.dominant_gap))
    while first < len(code):
        last = first + int(rng.integers(*config.dominant_beats))
        inside[first:last] = True
        first = last + int(rng.integers(*config.dominant_gap))
    inside[[0, -1]] = False
    return np.asarray(inside & (code == NORMAL))


def insert_atrial_beats(strip: Strip, early: Bool, *, config: Augmentation, rng: np.random.Generator) -> Strip:
    """Make the ``early`` beats premature atrial beats: P wave, QRS, class, RR and the pause after them."""
    signal = replace_p_waves(strip.signal, strip.position[early], config=config.atrial, rng=rng)
    if rng.random() < config.aberrant.probability:
        signal = bend_qrs(signal, strip.position[early], config=config.aberrant, rng=rng)
    code = np.where(early, SUPRAVENTRICULAR, strip.code)
    rr = strip.rr * np.where(early, draw_prematurity(early, config.atrial, rng=rng), 1.0)[1:]
    after = early[:-1] & ~early[1:]
    rr = rr * np.where(after, rng.uniform(*config.atrial.pause, len(rr)), 1.0)
    return replace(strip, signal=signal, code=code, rr=rr)


def draw_prematurity(early: Bool, config: AtrialBeats, *, rng: np.random.Generator) -> Float64:
    """RR of premature atrial beats as factors of the usual RR, shape of ``early``; nearly the same within a run."""
    n = len(early)
    first = early & ~np.concatenate(([False], early[:-1]))
    start = np.maximum.accumulate(np.where(first, np.arange(n), 0))
    factor = rng.uniform(rng.uniform(*config.earliest), config.latest, n)
    return np.asarray(factor[start] * rng.normal(1, config.run_spread, n))


def insert_fibrillation(strip: Strip, inside: Bool, *, config: Augmentation, rng: np.random.Generator) -> Strip:
    """Atrial fibrillation at the beats ``inside``: no P waves but small fast ones, and RR without order.

    No beat of it is premature: a supraventricular beat is normal there, however early it comes.
    """
    fibrillation = config.fibrillation
    premature = bool(np.any(strip.code[inside] == SUPRAVENTRICULAR))
    code = np.where(inside & (strip.code == SUPRAVENTRICULAR), NORMAL, strip.code)
    signal = strip.signal
    if premature or rng.random() >= fibrillation.p_kept_probability:
        signal = remove_p_waves(signal, strip.position[inside & (code == NORMAL)], config=config.atrial)
    next_beat = np.searchsorted(strip.position, np.arange(len(signal))).clip(max=len(strip.position) - 1)
    weight = uniform_filter1d(inside[next_beat].astype(np.float32), round(fibrillation.edge_s * FS_HZ))
    signal = signal + fibrillatory_waves(len(signal), fibrillation, rng=rng) * weight
    mean_factor = rng.uniform(*fibrillation.rr_factor)
    factor = mean_factor * np.exp(rng.uniform(*fibrillation.log_rr_spread) * rng.normal(size=len(strip.rr)))
    usual = median_filter(strip.rr, fibrillation.usual_rr_beats, mode="nearest")
    rr = np.where(inside[1:], usual * factor, strip.rr)
    return replace(strip, signal=signal, code=code, in_af=np.where(inside, 1, strip.in_af), rr=rr)


def insert_ventricular_beats(
    strip: Strip, patients: Sequence[Float32], *, config: Augmentation, rng: np.random.Generator
) -> Strip:
    """Ventricular beats of one focus of another patient in place of some normal beats.

    So any patient's normal beats are learned beside any patient's ventricular beats.

    Parameters
    ----------
    patients
        Ventricular beats of each patient, shape (n_beats, n_leads, n).

    """
    ventricular = config.ventricular
    if not patients or rng.random() >= ventricular.probability or not len(strip.position):
        return strip
    slow = rng.random() < ventricular.slow_probability
    if slow:
        chosen = draw_slow_run(strip.code, ventricular, rng=rng)
    else:
        chosen = premature_beats(strip.code, config.premature, rng=rng)
    if not chosen.any():
        return strip
    waves = _draw_focus(patients, int(chosen.sum()), config=ventricular, rng=rng)
    first, last = int(ventricular.from_s * FS_HZ), int(ventricular.to_s * FS_HZ) - 1
    fade = round(config.fade_s * FS_HZ)
    signal = flatten(strip.signal, strip.position[chosen], first=first, last=last, fade=fade)
    signal = add_waves(signal, strip.position[chosen], offset=np.arange(first, last + 1), waves=waves)
    factor, pause = _draw_coupling(len(strip.rr), ventricular, slow=slow, rng=rng)
    rr = strip.rr * np.where(chosen[1:], factor, 1) * np.where(chosen[:-1] & ~chosen[1:], pause, 1)
    return replace(strip, signal=signal, code=np.where(chosen, VENTRICULAR, strip.code), rr=rr)


def draw_slow_run(code: Codes, config: VentricularBeats, *, rng: np.random.Generator) -> Bool:
    """Which beats become a slow ventricular rhythm, shape (n,): the normal ones of a stretch."""
    first = int(rng.integers(0, len(code)))
    inside = np.zeros(len(code), dtype=bool)
    inside[first : first + int(rng.integers(*config.slow_beats))] = True
    return np.asarray(inside & (code == NORMAL))


def _draw_focus(
    patients: Sequence[Float32], n_beats: int, *, config: VentricularBeats, rng: np.random.Generator
) -> Float32:
    """Beats of one focus of one patient in one lead, shape (n_beats, n)."""
    beats = patients[int(rng.integers(len(patients)))]
    focus = int(rng.integers(len(beats)))
    lead = rng.integers(beats.shape[1])
    waves = beats[focus : focus + config.focus_beats, lead] * np.float32(rng.choice(config.polarities))
    waves = waves[rng.integers(len(waves), size=n_beats)]
    return np.asarray(waves * np.float32(rng.uniform(*config.height)))


def _draw_coupling(
    n: int, config: VentricularBeats, *, slow: bool, rng: np.random.Generator
) -> tuple[Float64, Float64]:
    """Factors of the RR to a ventricular beat, and of the RR after it where the next beat is another, shape (n,)."""
    if slow:
        usual = rng.uniform(*config.slow_rr)
    elif rng.random() < config.premature_probability:
        usual = rng.uniform(*config.premature_rr)
    else:
        usual = config.late_rr
    factor = usual + rng.uniform(*config.rr_jitter, n)
    if rng.random() < config.compensated_probability:
        return factor, np.maximum(2 - factor, config.shortest_pause)
    return factor, rng.uniform(*config.other_pause, n)
