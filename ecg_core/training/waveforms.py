"""One lead with its beats, and changes to its waves and its timing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..labels import CLASSES, Codes
from ..schema import Float32, Float64, Index
from ..signals.filters import FS_HZ
from .augmentation_config import AberrantConduction, AtrialBeats, Augmentation, Fibrillation, Retiming

NORMAL, SUPRAVENTRICULAR, VENTRICULAR = (CLASSES.index(label) for label in "NSV")
SHORTEST_RR = 1e-3  # samples: two annotations at one sample would divide by zero


@dataclass(frozen=True, eq=False)
class Strip:
    """An excerpt of one lead with its beats, on the way from a record to a crop."""

    signal: Float32  # (n,), at 125 Hz, in units of the lead's usual amplitude
    position: Float64  # (n_beats,), in samples
    code: Codes  # (n_beats,)
    in_af: Codes  # (n_beats,): 1 in atrial fibrillation or flutter, 0 in another rhythm, UNLABELLED where not known
    rr: Float64  # (n_beats - 1,), in samples: the RR that the beats are to have; ``retime`` gives it to them


def block_conduction(strip: Strip, config: Augmentation, *, rng: np.random.Generator) -> Strip:
    """Some P waves without QRS: a P wave alone is not a beat."""
    blocked = config.blocked
    dropped = (strip.code == NORMAL) & (rng.random(len(strip.code)) < rng.uniform(0, blocked.max_fraction))
    first, last = int(blocked.from_s * FS_HZ), int(blocked.to_s * FS_HZ)
    signal = flatten(strip.signal, strip.position[dropped], first=first, last=last, fade=round(config.fade_s * FS_HZ))
    position = strip.position[~dropped]
    return Strip(signal, position, strip.code[~dropped], strip.in_af[~dropped], np.diff(position))


def remove_p_waves(signal: Float32, position: Float64, *, config: AtrialBeats) -> Float32:
    """Straight lines in place of the P waves of the beats at ``position``."""
    first, last = int(config.p_from_s * FS_HZ), int(config.p_to_s * FS_HZ)
    return flatten(signal, position, first=first, last=last, fade=round(config.p_fade_s * FS_HZ))


def replace_p_waves(signal: Float32, position: Float64, *, config: AtrialBeats, rng: np.random.Generator) -> Float32:
    """P waves of an ectopic focus, of another shape or hidden in the QRS, in place of those at ``position``."""
    if rng.random() >= config.other_p_probability:
        return signal
    without = remove_p_waves(signal, position, config=config)
    if rng.random() < config.hidden_p_probability:
        return without
    width = rng.uniform(*config.p_width_s) * FS_HZ
    centre = position + rng.uniform(*config.p_place_s) * FS_HZ
    offset = np.arange(-config.p_half_samples, config.p_half_samples + 1)
    return add_waves(without, centre, offset=offset, waves=rng.uniform(*config.p_height) * _bell(offset / width))


def bend_qrs(signal: Float32, position: Float64, *, config: AberrantConduction, rng: np.random.Generator) -> Float32:
    """Aberrant conduction of the beats at ``position``, of the same bundle branch but in different degrees.

    The degrees range from hardly visible to a bundle branch block with the T wave that belongs to it. So a QRS that
    differs from the patient's usual one does not make a beat ventricular.
    """
    early_height, late_height = rng.normal(0, (config.early_height_spread, config.late_height_spread))
    at = np.array([rng.uniform(*at_s) for at_s in (config.early_at_s, config.late_at_s, config.t_at_s)]) * FS_HZ
    widths_s = (config.early_width_s, config.late_width_s, config.t_width_s)
    width = np.array([rng.uniform(*width_s) for width_s in widths_s]) * FS_HZ
    height = np.array([early_height, late_height, config.t_per_late_height * late_height * rng.random()])
    offset = np.arange(int(config.from_s * FS_HZ), int(config.to_s * FS_HZ))
    waves = (height[:, None] * _bell((offset - at[:, None]) / width[:, None])).sum(axis=0)
    degree = np.clip(rng.uniform(0, 1) + rng.normal(0, config.degree_spread, len(position)), 0, 1)
    return add_waves(signal, position, offset=offset, waves=degree[:, None] * waves)


def fibrillatory_waves(n: int, config: Fibrillation, *, rng: np.random.Generator) -> Float32:
    """Small fast waves whose rate wanders, shape (n,)."""
    seconds = np.arange(0, n + FS_HZ, FS_HZ)
    mean_hz = rng.uniform(*config.wave_hz)
    rate_hz = mean_hz + config.wave_hz_spread * np.interp(np.arange(n), seconds, rng.normal(size=len(seconds)))
    phase = 2 * np.pi * np.cumsum(rate_hz) / FS_HZ
    waves = np.sin(phase) + rng.uniform(*config.wave_overtone) * np.sin(2 * phase + rng.uniform(0, 2 * np.pi))
    return (rng.uniform(*config.wave_height) * waves).astype(np.float32)


def flatten(signal: Float32, position: Float64, *, first: int, last: int, fade: int) -> Float32:
    """Straight lines between two offsets from the beats at ``position``, faded in and out; all in samples."""
    result = signal.copy()
    offset = np.arange(first, last + 1)
    centre = np.rint(position).astype(int)
    index = centre[(centre + first >= 0) & (centre + last < len(signal))][:, None] + offset
    ramp = np.linspace(0, 1, len(offset), dtype=np.float32)
    straight = signal[index[:, :1]] * (1 - ramp) + signal[index[:, -1:]] * ramp
    weight = np.minimum(1, np.minimum(offset - first, last - offset) / fade).astype(np.float32)
    result[index] = weight * straight + (1 - weight) * signal[index]
    return result


def add_waves(signal: Float32, position: Float64, *, offset: Index, waves: Float64 | Float32) -> Float32:
    """Add waves at ``offset`` samples from the beats at ``position``, where they lie inside the signal.

    Parameters
    ----------
    waves
        One for all beats, shape (n_offsets,), or one for each, shape (n_beats, n_offsets).

    """
    result = signal.copy()
    index = np.rint(position).astype(int)[:, None] + offset
    inside = (index[:, 0] >= 0) & (index[:, -1] < len(signal))
    np.add.at(result, index[inside], np.broadcast_to(waves, index.shape)[inside].astype(np.float32))
    return result


def time_map(strip: Strip, config: Retiming) -> tuple[Float64, Float64]:
    """Knots (before, after) of a map of time that gives the beats of a strip their new RR.

    Only what lies between T wave and P wave changes; where that is too little, the T wave changes as well. RR cannot
    become shorter than what is left.
    """
    ends = np.array([0.0, len(strip.signal) - 1.0])
    if len(strip.position) < 2:
        return ends, ends
    old = np.maximum(np.diff(strip.position), SHORTEST_RR)
    lead_in = np.minimum(config.before_s * FS_HZ, config.before_rr * old)
    lead_out = np.minimum(config.after_s * FS_HZ, config.after_rr * old)
    qrs_out = np.minimum(config.qrs_s * FS_HZ, config.qrs_rr * old)
    too_short = strip.rr < lead_in + lead_out + config.min_loose * (old - lead_in - lead_out)
    lead_out = np.where(too_short, qrs_out, lead_out)
    loose = old - lead_in - lead_out
    stretched = np.maximum(strip.rr - lead_in - lead_out, config.min_stretch * loose)
    before = np.stack([strip.position[:-1] + lead_out, strip.position[1:] - lead_in], axis=1).ravel()
    gained = np.cumsum(stretched - loose)
    shift = np.stack([np.concatenate(([0.0], gained[:-1])), gained], axis=1).ravel()
    before = np.concatenate((ends[:1], before, ends[1:]))
    return before, before + np.concatenate(([0.0], shift, shift[-1:]))


def _bell(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """A Gaussian of unit height, at a distance in standard deviations."""
    return np.asarray(np.exp(-0.5 * distance**2))
