"""Training crops: excerpts of records, changed as other recorders, leads, hearts and noise would change them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import butter, sosfiltfilt

from ..labels import MATCH_WINDOW_S, NO_BEAT, UNLABELLED, Codes
from ..schema import Bool, Float32, Float64, ModelSpec
from ..signals.filters import FS_HZ, normalise
from .augmentation_config import AUGMENTATION, Augmentation, DetectorErrors, LeadChanges, NoiseChanges, VentricularBeats
from .preparation import TrainingRecord
from .rhythm_changes import SMALLEST_DEVIATION, change_rhythm, insert_ventricular_beats
from .waveforms import NORMAL, VENTRICULAR, Strip, time_map

BUMP_FRAMES = 1.2  # standard deviation of the target's bump: a beat's position is uncertain by about a frame
QRS_POWER = 1 / 8  # nstdb's definition: the squared peak-to-peak amplitude of a QRS, here 1, over 8


@dataclass(frozen=True, eq=False)
class Crop:
    """An excerpt of one lead of one record as the network gets it in training."""

    signal: Float32  # (n,)
    target_heatmap: Float32  # (n_frames,), the beat probability map that the network is to find
    position: Float64  # (n_beats,), in samples at 125 Hz
    code: Codes  # (n_beats,)
    in_af: Codes  # (n_beats,): 1 in atrial fibrillation or flutter, 0 in another rhythm, UNLABELLED where not known


@dataclass(frozen=True, eq=False)
class Material:
    """What is mixed into crops."""

    noise: Float32  # recorded noise at 125 Hz, (n_channels, n)
    ventricular: tuple[Float32, ...] = ()  # the lone ventricular beats of each record, (n_beats, n_leads, n)


def gather_material(
    records: Sequence[TrainingRecord], noise: Float32, *, config: VentricularBeats = AUGMENTATION.ventricular
) -> Material:
    """The noise, and the ventricular beats of all records that lie between two normal ones."""
    offset = np.arange(int(config.from_s * FS_HZ), int(config.to_s * FS_HZ))
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


def draw_crop(
    record: TrainingRecord,
    material: Material,
    *,
    spec: ModelSpec,
    rng: np.random.Generator,
    config: Augmentation = AUGMENTATION,
) -> Crop:
    """A random excerpt of a record, changed at random."""
    length = int(config.crop_s * FS_HZ)
    strip, valid = draw_strip(record, length, config=config, rng=rng)
    strip = replace(strip, signal=change_band(strip.signal, config.lead, rng=rng))
    strip = change_rhythm(strip, config, rng=rng)
    strip = insert_ventricular_beats(strip, material.ventricular, config=config, rng=rng)
    signal, valid, position = retime(strip, valid, length=length, config=config, rng=rng)
    if rng.random() < config.noise.probability:
        signal = add_noise(signal, material.noise, config=config.noise, rng=rng)
    signal = normalise(signal, valid)
    inside = position < length
    target = target_heatmap(position[inside], spec, n_frames=-(-length // spec.stride))
    beats = position[inside], strip.code[inside], strip.in_af[inside]
    return Crop(signal, target, *disturb_detection(*beats, length=length, config=config.detection, rng=rng))


def draw_strip(
    record: TrainingRecord, length: int, *, config: Augmentation, rng: np.random.Generator
) -> tuple[Strip, Bool]:
    """An excerpt of one lead that is long enough for a crop of ``length`` samples, and where it is valid, (n,)."""
    drawn = int(length * config.excerpt_factor) + config.excerpt_margin
    first = int(rng.integers(0, max(1, record.signal.shape[1] - drawn)))
    excerpt = slice(first, first + drawn)
    inside = (record.position >= first) & (record.position < first + drawn)
    position = record.position[inside] - first
    signal, valid = mix_leads(record.signal[:, excerpt], record.valid[:, excerpt], config=config.lead, rng=rng)
    return Strip(signal, position, record.code[inside], record.in_af[inside], np.diff(position)), valid


def mix_leads(signal: Float32, valid: Bool, *, config: LeadChanges, rng: np.random.Generator) -> tuple[Float32, Bool]:
    """One of the leads, or a mixture of two, sometimes inverted: shapes (n_leads, n) to (n,)."""
    order = rng.permutation(len(signal))
    one, other = order[0], order[-1]
    mixed = signal[one].copy()
    mixed_valid = valid[one]
    if one != other and rng.random() < config.mix_probability:
        mixed += np.float32(rng.uniform(*config.mix_weight)) * signal[other]
        mixed_valid = mixed_valid & valid[other]
        mixed = normalise(mixed, mixed_valid)
    if rng.random() < config.invert_probability:
        mixed = -mixed
    return mixed, mixed_valid


def change_band(signal: Float32, config: LeadChanges, *, rng: np.random.Generator) -> Float32:
    """Another recorder's bandwidth."""
    if rng.random() < config.lowpass_probability:
        low = butter(config.lowpass_order, rng.uniform(*config.lowpass_hz), "lowpass", fs=FS_HZ, output="sos")
        signal = sosfiltfilt(low, signal).astype(np.float32)
    if rng.random() < config.highpass_probability:
        high = butter(config.highpass_order, rng.uniform(*config.highpass_hz), "highpass", fs=FS_HZ, output="sos")
        signal = sosfiltfilt(high, signal).astype(np.float32)
    return np.asarray(signal)


def retime(
    strip: Strip, valid: Bool, *, length: int, config: Augmentation, rng: np.random.Generator
) -> tuple[Float32, Bool, Float64]:
    """Give the beats of a strip their new RR, and the whole another sampling rate.

    Returns
    -------
    Signal and validity, shape (length,), and positions of all beats of the strip, some of them beyond ``length``.

    """
    before, after = time_map(strip, config.retiming)
    factor = rng.uniform(1 / config.max_stretch, config.max_stretch)
    wanted = np.arange(length) * factor
    source = np.interp(wanted, after, before)
    signal = np.interp(source, np.arange(len(strip.signal)), strip.signal).astype(np.float32)
    inside = wanted <= after[-1]  # a record shorter than a crop ends before it
    valid = valid[np.rint(source).astype(int)] & inside
    return np.where(inside, signal, 0), valid, np.interp(strip.position, before, after) / factor


def add_noise(signal: Float32, noise: Float32, *, config: NoiseChanges, rng: np.random.Generator) -> Float32:
    """Recorded noise: swelling, steady, or in bursts."""
    channel = noise[rng.integers(len(noise))]
    first = int(rng.integers(0, len(channel) - len(signal)))
    excerpt = channel[first : first + len(signal)] * rng.choice([-1.0, 1.0])
    time = np.linspace(0, config.swells, len(signal))
    knots = rng.uniform(0, 1, config.swells + 1) ** rng.uniform(*config.swell_exponent)
    swelling = np.interp(time, np.arange(config.swells + 1), knots / knots.max())
    bursts = np.sin(time + rng.uniform(*config.burst_phase)) > 0
    level = (swelling, np.ones(len(signal)), bursts)[rng.integers(3)]
    amplitude = np.sqrt(QRS_POWER / 10 ** (rng.uniform(*config.snr_db) / 10))
    scaled = excerpt / max(float(np.std(excerpt)), SMALLEST_DEVIATION) * amplitude
    return np.asarray((signal + scaled * level).astype(np.float32))


def target_heatmap(position: Float64, spec: ModelSpec, *, n_frames: int) -> Float32:
    """The beat probability map that the network is to find: a Gaussian bump at each beat, shape (n_frames,)."""
    if not len(position):
        return np.zeros(n_frames, dtype=np.float32)
    frame = np.arange(n_frames)
    place = position / spec.stride
    after = np.clip(np.searchsorted(place, frame), 1, max(1, len(place) - 1))
    distance = np.minimum(np.abs(frame - place[after - 1]), np.abs(frame - place[np.minimum(after, len(place) - 1)]))
    return np.exp(-0.5 * (distance / BUMP_FRAMES) ** 2).astype(np.float32)


def disturb_detection(
    position: Float64, code: Codes, in_af: Codes, *, length: int, config: DetectorErrors, rng: np.random.Generator
) -> tuple[Float64, Codes, Codes]:
    """Positions as a detector would find them: scattered, a few missed, a few where there is no beat."""
    kept = rng.random(len(position)) >= config.missed_probability
    position, code, in_af = position[kept], code[kept], in_af[kept]
    position = position + rng.normal(0, config.jitter_samples, len(position))
    extra = rng.uniform(0, length, rng.binomial(max(1, len(position)), config.extra_probability))
    gap = np.abs(extra[:, None] - position).min(axis=1, initial=np.inf)
    extra = extra[gap > MATCH_WINDOW_S * FS_HZ]
    merged = np.concatenate([position, extra])
    order = np.argsort(merged, kind="stable")
    codes = np.concatenate([code, np.full(len(extra), NO_BEAT)])
    rhythm = np.concatenate([in_af, np.full(len(extra), UNLABELLED)])
    return np.clip(merged, 0, length - 1)[order], codes[order], rhythm[order]
