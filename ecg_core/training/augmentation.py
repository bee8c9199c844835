"""A piece of a training record, changed as other recorders, leads, hearts and days would change it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter, uniform_filter1d
from scipy.signal import butter, sosfiltfilt

from ..labels import CLASSES, NO_BEAT, Codes
from ..schema import Bool, Float32, Float64, ModelSpec
from ..signals.filters import FS_HZ, normalise

CROP_S = 180.0  # long enough to know the patient's normal beat, short enough for many patients a step
MAX_STRETCH = 1.12  # time itself runs slower or faster by up to this factor
ROOM = 2.0  # a faster heart needs this much more of the record

MIX_SHARE, INVERT_SHARE, BAND_SHARE, NOISE_SHARE = 0.35, 0.15, 0.3, 0.6  # of the crops
NOISE_DB = (-5.0, 18.0)  # signal-to-noise ratio; nstdb's own is measured where its noise is softest
FIBRILLATING_SHARE, PAROXYSMAL_SHARE = 0.4, 0.8  # of the crops get atrial fibrillation; of these in episodes ...
EPISODES, EPISODE_BEATS = 3, (12, 200)  # ... up to so many, of so many beats
FIBRILLATING_SPREAD = (0.12, 0.3)  # of the logarithm of its RR in patients
FIBRILLATION_EDGE_S, USUAL_BEATS = 0.2, 9
P_KEPT_SHARE = 0.4  # of these keep their P waves: that the rhythm is irregular must do, as P waves are easily missed
BLOCKED_SHARE, BLOCKED_BEATS = 0.1, 0.25  # of the crops; of their normal beats, at most
BLOCKED_FROM_S, BLOCKED_TO_S, FADE_S = -0.1, 0.5, 0.03  # QRS and T, not P
RATE_SHARE, FASTEST, SLOWEST = 0.4, 0.6, 1.3  # of the crops get another heart rate, RR by a factor from .. to
DRIFTING_SHARE, DRIFT_KNOTS = 0.3, (3, 7)  # of the crops speed up and slow down as with effort: no beat is early there
SWAYING_SHARE, SWAY, SWAY_BEATS = 0.3, 0.12, 6  # of the crops get a sinus arrhythmia
PREMATURE_SHARE = 0.3  # of the crops of a steady heart get premature atrial beats
ABERRANT_SHARE, ABERRANT_SPREAD = 0.6, (0.15, 0.35)  # of these conduct aberrantly; height of its early and late waves
OTHER_P_SHARE, JUNCTIONAL_SHARE = 0.8, 0.2  # of these come from far off the sinus node; of those, with P in the QRS
RUN_SPREAD = 0.03  # of the RR in a run of these: what is more irregular is fibrillation
VENTRICULAR_SHARE = 0.4  # of all crops get ventricular beats of another patient
IDIOVENTRICULAR_SHARE, LONG_RUN_BEATS = 0.15, (4, 60)  # of these are no early beats, but a slow rhythm of so many
VENTRICULAR_FROM_S, VENTRICULAR_TO_S = -0.28, 0.48  # what is taken of such a beat
STEADY = 0.06  # a heart whose usual RR differs from its neighbours by less (logarithm) is in sinus rhythm
RIGID_BEFORE_S, RIGID_AFTER_S, RIGID_QRS_S = 0.25, 0.36, 0.12  # P to T (or QRS) keep their shape when RR changes ...
RIGID_BEFORE_RR, RIGID_AFTER_RR, RIGID_QRS_RR = 0.3, 0.4, 0.15  # ... or these parts of a short RR
P_WAVE_S = (-0.26, -0.06)  # where a P wave lies before the QRS

BUMP_FRAMES = 1.2  # width (one standard deviation) of the heat around a beat
SAME_BEAT_S = 0.15  # EC57's match window
JITTER_SAMPLES = 2.0  # the detector's own scatter around the reference mark
MISSED_SHARE, EXTRA_SHARE = 0.01, 0.015  # beats that a detector misses and invents
ECTOPIC_ATRIAL, VENTRICULAR = CLASSES.index("S"), CLASSES.index("V")
NORMAL = CLASSES.index("N")


@dataclass(frozen=True, eq=False)
class TrainingRecord:
    """A record ready for training."""

    name: str
    signal: Float32  # (n_leads, n) at 125 Hz, clean, in units of each lead's usual amplitude
    valid: Bool  # (n_leads, n)
    position: Float64  # (n_beats,), in samples at 125 Hz
    code: Codes  # (n_beats,)


@dataclass(frozen=True, eq=False)
class Crop:
    """A piece of one lead of one record as the network sees it in training."""

    signal: Float32  # (n,)
    heat: Float32  # (n_frames,)
    position: Float64  # (n_beats,)
    code: Codes  # (n_beats,)


@dataclass(frozen=True, eq=False)
class Material:
    """What crops are mixed with."""

    noise: Float32  # recorded noise at 125 Hz, (n_channels, n)
    ventricular: tuple[Float32, ...] = ()  # of each record with lone ventricular beats: these, (n_beats, n_leads, n)


def gather_material(records: Sequence[TrainingRecord], noise: Float32) -> Material:
    """The noise, and the ventricular beats of all records that stand between two normal ones."""
    offset = np.arange(int(VENTRICULAR_FROM_S * FS_HZ), int(VENTRICULAR_TO_S * FS_HZ))
    found = []
    for record in records:
        v, n = record.code == VENTRICULAR, record.code == NORMAL
        lone = np.flatnonzero(v[1:-1] & n[:-2] & n[2:]) + 1
        index = np.rint(record.position[lone]).astype(int)[:, None] + offset
        index = index[(index[:, 0] >= 0) & (index[:, -1] < record.signal.shape[1])]
        if len(index):
            beats = record.signal[:, index].transpose(1, 0, 2)
            line = np.linspace(0, 1, len(offset), dtype=np.float32)
            found.append(beats - beats[..., :1] * (1 - line) - beats[..., -1:] * line)
    return Material(noise, tuple(found))


def draw_crop(record: TrainingRecord, material: Material, spec: ModelSpec, rng: np.random.Generator) -> Crop:
    """A random piece of a record, changed at random."""
    length = int(CROP_S * FS_HZ)
    drawn = int(length * ROOM) + 2
    first = int(rng.integers(0, max(1, record.signal.shape[1] - drawn)))
    piece = slice(first, first + drawn)
    inside = (record.position >= first) & (record.position < first + drawn)
    position, code = record.position[inside] - first, record.code[inside]
    signal, valid = _mix_leads(record.signal[:, piece], record.valid[:, piece], rng)
    signal = _change_band(signal, rng)
    signal, position, code, rr = _another_rhythm(signal, position, code, rng)
    if material.ventricular and rng.random() < VENTRICULAR_SHARE:
        signal, code, rr = _with_ventricular_beats(signal, position, code, rr, material, rng)
    before, after = _retimed(position, rr, len(signal))
    factor = rng.uniform(1 / MAX_STRETCH, MAX_STRETCH)  # a slower or faster heart, and another sampling grid
    source = np.interp(np.arange(length) * factor, after, before)
    valid = valid[np.rint(source).astype(int)]
    signal = np.interp(source, np.arange(len(signal)), signal).astype(np.float32)
    if rng.random() < NOISE_SHARE:
        signal = _add_noise(signal, material.noise, rng)
    signal = normalise(signal, valid)
    position = np.interp(position, before, after) / factor
    inside = position < length
    position, code = position[inside], code[inside]
    heat = target_heatmap(position, spec, -(-length // spec.stride))
    return Crop(signal, heat, *_disturb_detection(position, code, length, rng))


def target_heatmap(position: Float64, spec: ModelSpec, n_frames: int) -> Float32:
    """The heat that the network is to give: a Gaussian bump around each beat, shape (n_frames,)."""
    if not len(position):
        return np.zeros(n_frames, dtype=np.float32)
    frame = np.arange(n_frames)
    place = position / spec.stride
    after = np.clip(np.searchsorted(place, frame), 1, max(1, len(place) - 1))
    distance = np.minimum(np.abs(frame - place[after - 1]), np.abs(frame - place[np.minimum(after, len(place) - 1)]))
    return np.exp(-0.5 * (distance / BUMP_FRAMES) ** 2).astype(np.float32)


def _another_rhythm(
    signal: Float32, position: Float64, code: Codes, rng: np.random.Generator
) -> tuple[Float32, Float64, Codes, Float64]:
    """The same heart with another rhythm: signal, position and class of its beats, and the RR that they are to have.

    What a class looks like is learned from few patients, and in each of them it comes with that patient's rhythm. So
    the rhythm is varied apart from the shapes: prematurity alone is no sign of an ectopic beat where the rhythm is
    irregular and has no P waves, and is one where it is regular.
    """
    if len(position) < 3:
        return signal, position, code, np.diff(position)
    if rng.random() < BLOCKED_SHARE:
        signal, position, code = _block_conduction(signal, position, code, rng)
    steady = _is_steady(position, code)
    rr = np.diff(position)
    if rng.random() < RATE_SHARE:
        rr = rr * rng.uniform(FASTEST, SLOWEST)
    if rng.random() < DRIFTING_SHARE:
        rr = rr * _drift(len(rr), rng)
    if rng.random() < SWAYING_SHARE:
        rr = rr * np.exp(rng.uniform(0, SWAY) * _sway(len(rr), rng))
    fibrillating = np.zeros(len(position), dtype=bool)
    if rng.random() < FIBRILLATING_SHARE:
        fibrillating = _episodes(len(position), rng)
    if steady and rng.random() < PREMATURE_SHARE:
        early = _premature_pattern(code, rng) & ~fibrillating
        signal = _with_other_p_waves(signal, position[early], rng)
        if rng.random() < ABERRANT_SHARE:
            signal = _aberrant(signal, position[early], rng)
        code = np.where(early, ECTOPIC_ATRIAL, code)
        rr = rr * np.where(early, _prematurity(early, rng), 1.0)[1:]
        after = early[:-1] & ~early[1:]
        rr = rr * np.where(after, rng.uniform(0.95, 1.25, len(rr)), 1.0)
    if fibrillating.any():
        signal, code, rr = _fibrillating(signal, position, code, rr, fibrillating, rng)
    return signal, position, code, rr


def _episodes(n: int, rng: np.random.Generator) -> Bool:
    """Which of ``n`` beats lie in episodes of fibrillation, shape (n,): all of them, or some stretches."""
    inside = np.zeros(n, dtype=bool)
    if rng.random() >= PAROXYSMAL_SHARE:
        return ~inside
    for _ in range(rng.integers(1, EPISODES + 1)):
        first, length = int(rng.integers(0, n)), int(rng.integers(*EPISODE_BEATS))
        inside[first : first + length] = True
    return inside


def _fibrillating(
    signal: Float32, position: Float64, code: Codes, rr: Float64, inside: Bool, rng: np.random.Generator
) -> tuple[Float32, Codes, Float64]:
    """Atrial fibrillation at these beats: no P waves, but small fast ones, and RR without order; signal, classes, RR.

    No beat of it is premature: what is supraventricular is normal there, however early it comes.
    """
    premature = bool(np.any(code[inside] == ECTOPIC_ATRIAL))
    code = np.where(inside & (code == ECTOPIC_ATRIAL), NORMAL, code)
    if premature or rng.random() >= P_KEPT_SHARE:
        signal = _without_p_waves(signal, position[inside & (code == NORMAL)])
    next_beat = np.searchsorted(position, np.arange(len(signal))).clip(max=len(position) - 1)
    share = uniform_filter1d(inside[next_beat].astype(np.float32), round(FIBRILLATION_EDGE_S * FS_HZ))
    signal = signal + _fibrillatory_waves(len(signal), rng) * share
    other = rng.uniform(FASTEST, 1.1) * np.exp(rng.uniform(*FIBRILLATING_SPREAD) * rng.normal(size=len(rr)))
    usual = median_filter(rr, USUAL_BEATS, mode="nearest")  # a premature beat or a pause of before is no part of it
    return signal, code, np.where(inside[1:], usual * other, rr)


def _with_ventricular_beats(
    signal: Float32, position: Float64, code: Codes, rr: Float64, material: Material, rng: np.random.Generator
) -> tuple[Float32, Codes, Float64]:
    """Ventricular beats of one focus of another patient in place of some normal beats; signal, classes and RR.

    So any patient's normal beats are seen beside any patient's ventricular ones.
    """
    slow = rng.random() < IDIOVENTRICULAR_SHARE
    early = _long_run(code, rng) if slow else _premature_pattern(code, rng)
    if not early.any():
        return signal, code, rr
    beats = material.ventricular[rng.integers(len(material.ventricular))]
    focus = int(rng.integers(len(beats)))
    shapes = beats[focus : focus + 5, rng.integers(beats.shape[1])] * np.float32(rng.choice([-1, 1, 1, 1]))
    shapes = shapes[rng.integers(len(shapes), size=int(early.sum()))] * np.float32(rng.uniform(0.7, 1.4))
    from_, to = int(VENTRICULAR_FROM_S * FS_HZ), int(VENTRICULAR_TO_S * FS_HZ) - 1
    flat = _straighten(signal, position[early], from_, to, round(FADE_S * FS_HZ))
    result = _with_waves(flat, position[early], np.arange(from_, to + 1), shapes)
    usual = rng.uniform(0.9, 1.4) if slow else rng.uniform(0.5, 0.9) if rng.random() < 0.85 else 1.0
    ratio = usual + rng.uniform(-0.05, 0.05, len(rr))
    pause = np.maximum(2 - ratio, 0.8) if rng.random() < 0.7 else rng.uniform(1, 1.2, len(rr))
    rr = rr * np.where(early[1:], ratio, 1) * np.where(early[:-1] & ~early[1:], pause, 1)
    return result, np.where(early, VENTRICULAR, code), rr


def _is_steady(position: Float64, code: Codes) -> bool:
    """Whether the normal beats follow each other regularly, as in sinus rhythm and not in atrial fibrillation."""
    log_rr = np.log(np.maximum(np.diff(position), 1.0))[(code[1:] == NORMAL) & (code[:-1] == NORMAL)]
    return len(log_rr) > 20 and float(np.median(np.abs(np.diff(log_rr)))) < STEADY


def _drift(n: int, rng: np.random.Generator) -> Float64:
    """Factors of RR that wander slowly between those of effort and of rest, shape (n,)."""
    n_knots = int(rng.integers(*DRIFT_KNOTS))
    at = np.sort(rng.uniform(0, n, n_knots))
    return np.exp(np.interp(np.arange(n), at, rng.uniform(np.log(FASTEST), np.log(SLOWEST), n_knots)))


def _sway(n: int, rng: np.random.Generator) -> Float64:
    """A slow irregular wave of unit amplitude, shape (n,)."""
    wave = np.convolve(rng.normal(size=n + SWAY_BEATS), np.hanning(SWAY_BEATS + 2)[1:-1], mode="valid")[:n]
    return np.asarray(wave / max(float(np.std(wave)), 1e-6))


def _premature_pattern(code: Codes, rng: np.random.Generator) -> Bool:
    """Which beats become premature: normal ones between normal ones, alone, in turns with others, or in runs."""
    n = len(code)
    early = rng.random(n) < 10 ** rng.uniform(-2.3, -0.8)
    for _ in range(rng.integers(0, 4)):
        first, length = int(rng.integers(0, n)), int(rng.integers(4, 40))
        every = int(rng.choice([1, 2, 3, 4]))
        last = first + (length // 3 if every == 1 else length)  # a run is shorter than a bigeminy
        early[first:last] = False
        early[first:last:every] = True
    early &= code == NORMAL
    early[1:] &= code[:-1] == NORMAL
    early[:-1] &= code[1:] == NORMAL
    early[[0, -1]] = False
    return np.asarray(early)


def _long_run(code: Codes, rng: np.random.Generator) -> Bool:
    """Which beats become ventricular in a slow rhythm of their own: some in a row, the normal ones among them."""
    first = int(rng.integers(0, len(code)))
    inside = np.zeros(len(code), dtype=bool)
    inside[first : first + int(rng.integers(*LONG_RUN_BEATS))] = True
    return inside & (code == NORMAL)


def _prematurity(early: Bool, rng: np.random.Generator) -> Float64:
    """RR of premature atrial beats as shares of the usual RR, shape of ``early``: in a run nearly the same for all."""
    n = len(early)
    first = early & ~np.concatenate(([False], early[:-1]))
    start = np.maximum.accumulate(np.where(first, np.arange(n), 0))
    share = rng.uniform(rng.uniform(0.5, 0.7), 0.88, n)
    return np.asarray(share[start] * rng.normal(1, RUN_SPREAD, n))


def _retimed(position: Float64, rr: Float64, n: int) -> tuple[Float64, Float64]:
    """Knots (before, after) of a map of time that gives beats other RR by changing what lies between T and P.

    Where too little lies there, T is changed as well; RR cannot become shorter than what is left.
    """
    ends = np.array([0.0, n - 1.0])
    if len(position) < 2:
        return ends, ends
    old = np.maximum(np.diff(position), 1e-3)
    lead_in = np.minimum(RIGID_BEFORE_S * FS_HZ, RIGID_BEFORE_RR * old)
    lead_out = np.minimum(RIGID_AFTER_S * FS_HZ, RIGID_AFTER_RR * old)
    qrs_out = np.minimum(RIGID_QRS_S * FS_HZ, RIGID_QRS_RR * old)
    lead_out = np.where(rr < lead_in + lead_out + 0.2 * (old - lead_in - lead_out), qrs_out, lead_out)
    loose = old - lead_in - lead_out
    stretched = np.maximum(rr - lead_in - lead_out, 0.15 * loose)
    before = np.stack([position[:-1] + lead_out, position[1:] - lead_in], axis=1).ravel()
    gained = np.cumsum(stretched - loose)
    shift = np.stack([np.concatenate(([0.0], gained[:-1])), gained], axis=1).ravel()
    before = np.concatenate((ends[:1], before, ends[1:]))
    return before, before + np.concatenate(([0.0], shift, shift[-1:]))


def _block_conduction(
    signal: Float32, position: Float64, code: Codes, rng: np.random.Generator
) -> tuple[Float32, Float64, Codes]:
    """P waves that no QRS follows: a P wave is no beat."""
    dropped = (code == NORMAL) & (rng.random(len(code)) < rng.uniform(0, BLOCKED_BEATS))
    from_, to = int(BLOCKED_FROM_S * FS_HZ), int(BLOCKED_TO_S * FS_HZ)
    flat = _straighten(signal, position[dropped], from_, to, round(FADE_S * FS_HZ))
    return flat, position[~dropped], code[~dropped]


def _without_p_waves(signal: Float32, position: Float64) -> Float32:
    """Straight lines in place of the P waves of these beats."""
    return _straighten(signal, position, int(P_WAVE_S[0] * FS_HZ), int(P_WAVE_S[1] * FS_HZ), round(0.05 * FS_HZ))


def _with_other_p_waves(signal: Float32, position: Float64, rng: np.random.Generator) -> Float32:
    """The P waves of an ectopic focus in place of these beats' own: of other shape, or hidden in the QRS."""
    if rng.random() >= OTHER_P_SHARE:
        return signal
    flat = _without_p_waves(signal, position)
    if rng.random() < JUNCTIONAL_SHARE:
        return flat
    width, place = rng.uniform(0.015, 0.035) * FS_HZ, position + rng.uniform(-0.21, -0.09) * FS_HZ
    offset = np.arange(-12, 13)
    return _with_waves(flat, place, offset, rng.uniform(-0.12, 0.15) * np.exp(-0.5 * (offset / width) ** 2))


def _aberrant(signal: Float32, position: Float64, rng: np.random.Generator) -> Float32:
    """These beats conducted more or less aberrantly: a bundle branch that is late in an early beat bends its QRS.

    The same branch in all of them, but not as late in each: from hardly at all to a bundle branch block with the T wave
    that goes with it. So a QRS that differs from the patient's own is no sign of a ventricular beat by itself.
    """
    early_height, late_height = rng.normal(0, ABERRANT_SPREAD)
    at = np.array([rng.uniform(-0.03, 0.02), rng.uniform(0.03, 0.09), rng.uniform(0.22, 0.3)]) * FS_HZ
    width = np.array([rng.uniform(0.01, 0.02), rng.uniform(0.012, 0.03), rng.uniform(0.04, 0.06)]) * FS_HZ
    height = np.array([early_height, late_height, -0.4 * late_height * rng.random()])
    offset = np.arange(int(-0.12 * FS_HZ), int(0.45 * FS_HZ))
    waves = (height[:, None] * np.exp(-0.5 * ((offset - at[:, None]) / width[:, None]) ** 2)).sum(axis=0)
    degree = np.clip(rng.uniform(0, 1) + rng.normal(0, 0.25, len(position)), 0, 1)
    return _with_waves(signal, position, offset, degree[:, None] * waves)


def _fibrillatory_waves(n: int, rng: np.random.Generator) -> Float32:
    """Small waves of 4 to 9 Hz whose rate wanders, shape (n,)."""
    seconds = np.arange(0, n + FS_HZ, FS_HZ)
    rate_hz = rng.uniform(4, 9) + 0.5 * np.interp(np.arange(n), seconds, rng.normal(size=len(seconds)))
    phase = 2 * np.pi * np.cumsum(rate_hz) / FS_HZ
    waves = np.sin(phase) + rng.uniform(0, 0.5) * np.sin(2 * phase + rng.uniform(0, 2 * np.pi))
    return (rng.uniform(0, 0.07) * waves).astype(np.float32)


def _with_waves(signal: Float32, position: Float64, offset: NDArray[np.int64], waves: Float64 | Float32) -> Float32:
    """Add waves at these offsets from some beats, (n_offsets,) or (n_beats, n_offsets), where they fit in whole."""
    result = signal.copy()
    index = np.rint(position).astype(int)[:, None] + offset
    inside = (index[:, 0] >= 0) & (index[:, -1] < len(signal))
    np.add.at(result, index[inside], np.broadcast_to(waves, index.shape)[inside].astype(np.float32))
    return result


def _straighten(signal: Float32, position: Float64, from_: int, to: int, fade: int) -> Float32:
    """Straight lines in place of what lies between two offsets from some beats, faded in and out."""
    result = signal.copy()
    offset = np.arange(from_, to + 1)
    centre = np.rint(position).astype(int)
    index = centre[(centre + from_ >= 0) & (centre + to < len(signal))][:, None] + offset
    ramp = np.linspace(0, 1, len(offset), dtype=np.float32)
    straight = signal[index[:, :1]] * (1 - ramp) + signal[index[:, -1:]] * ramp
    share = np.minimum(1, np.minimum(offset - from_, to - offset) / fade).astype(np.float32)
    result[index] = share * straight + (1 - share) * signal[index]
    return result


def _mix_leads(signal: Float32, valid: Bool, rng: np.random.Generator) -> tuple[Float32, Bool]:
    """One of the leads, or a new lead in between: the heart seen from another side; sometimes upside down."""
    order = rng.permutation(len(signal))
    one, other = order[0], order[-1]
    mixed = signal[one].copy()
    seen = valid[one]
    if one != other and rng.random() < MIX_SHARE:
        mixed += np.float32(rng.uniform(-0.8, 0.8)) * signal[other]
        seen = seen & valid[other]
        mixed = normalise(mixed, seen)
    if rng.random() < INVERT_SHARE:
        mixed = -mixed
    return mixed, seen


def _change_band(signal: Float32, rng: np.random.Generator) -> Float32:
    """Another recorder's bandwidth."""
    if rng.random() < BAND_SHARE:
        low = butter(2, rng.uniform(15, 38), "lowpass", fs=FS_HZ, output="sos")
        signal = sosfiltfilt(low, signal).astype(np.float32)
    if rng.random() < BAND_SHARE:
        high = butter(1, rng.uniform(0.5, 1.2), "highpass", fs=FS_HZ, output="sos")
        signal = sosfiltfilt(high, signal).astype(np.float32)
    return signal


def _add_noise(signal: Float32, noise: Float32, rng: np.random.Generator) -> Float32:
    """Recorded noise: swelling, steady, or in turns with none."""
    channel = noise[rng.integers(len(noise))]
    first = int(rng.integers(0, len(channel) - len(signal)))
    piece = channel[first : first + len(signal)] * rng.choice([-1.0, 1.0])
    time = np.linspace(0, 8, len(signal))
    knots = rng.uniform(0, 1, 9) ** rng.uniform(0.5, 2)
    swelling, turns = np.interp(time, np.arange(9), knots / knots.max()), np.sin(time + rng.uniform(0, 7)) > 0
    loudness = (swelling, np.ones(len(signal)), turns)[rng.integers(3)]
    # nstdb's own measure: signal power is the squared peak-to-peak of a QRS over 8
    amplitude = np.sqrt(1 / 8 / 10 ** (rng.uniform(*NOISE_DB) / 10))
    scaled = piece / max(float(np.std(piece)), 1e-6) * amplitude
    return (signal + scaled * loudness).astype(np.float32)


def _disturb_detection(position: Float64, code: Codes, n: int, rng: np.random.Generator) -> tuple[Float64, Codes]:
    """Positions as a detector would give them: scattered, a few missed, a few where no beat is."""
    kept = rng.random(len(position)) >= MISSED_SHARE
    position, code = position[kept], code[kept]
    position = position + rng.normal(0, JITTER_SAMPLES, len(position))
    extra = rng.uniform(0, n, rng.binomial(max(1, len(position)), EXTRA_SHARE))
    gap = np.abs(extra[:, None] - position).min(axis=1, initial=np.inf)
    extra = extra[gap > SAME_BEAT_S * FS_HZ]
    merged = np.concatenate([position, extra])
    order = np.argsort(merged, kind="stable")
    codes = np.concatenate([code, np.full(len(extra), NO_BEAT)])
    return np.clip(merged, 0, n - 1)[order], codes[order]
