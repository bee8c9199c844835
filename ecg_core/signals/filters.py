"""Raw leads in mV at any rate -> clean leads at 125 Hz, and where they hold an ECG.

Every function works on a stretch of a record as well as on the whole: further than ``MARGIN_S`` from its ends a result
does not depend on where the stretch was cut.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np

from ..schema import Bool, Float32, Float64, FrozenArrays, Index
from .windows import sliding_maximum, sliding_rank, with_held_ends

FS_HZ = 125.0  # the rate at which everything is analysed: the QRS lies below 40 Hz
MARGIN_S = 60.0  # further than any filter or running scale below reaches

PASS_HZ, STOP_HZ = 50.0, 62.5  # anti-aliasing: flat up to the one, nothing from the other, the Nyquist frequency, on
MAX_DOWN = 25_000  # ratios of larger numbers than any real rate has would need blocks of gigabytes
BASELINE_HZ = 0.5  # slower is baseline wander (respiration, electrodes); AHA 2007 for monitoring
NOISE_HZ = 40.0  # faster is muscle noise and mains for the purpose of beat classes
BLOCK_S = 300.0  # a lead is filtered in blocks about so long, which fit the processor's cache ...
SETTLED_S = 10.0  # ... and of which so much is cut off at either end: the filters have settled to 1e-9
KEPT_GAINS = 16  # a stream's window grows through several sizes, and every record may have a rate of its own

FLAT_S = 2.0  # no heart and no amplifier gives the same number for two seconds
SPIKE_FACTOR = 20.0  # beyond this many times the usual amplitude it is no ECG
SCALE_BLOCK_S = 1.0  # the amplitude of a lead: peak-to-peak of blocks this long (a QRS in most of them) ...
SCALE_BLOCKS = 61  # ... and the median over so many of them
SPARSE_BLOCKS = 5  # so many seconds in a row hold a beat, even with pauses of four seconds
SPARSE_RATIO, SPARSE_SPREAD = 0.5, 1.5  # of the tallest of these; see ``usual_heights``
SPARSE_RANKS = 6, 54  # of SCALE_BLOCKS: a tenth of them is lower, and a tenth higher
SCALE_RANGE = 5.0  # normalised amplitudes are clipped here
CENTRE_SAMPLES = 20_000  # so many samples of a lead show its median


@dataclass(frozen=True, eq=False)
class CleanLeads(FrozenArrays):
    """Leads at 125 Hz: resampled and filtered, artefacts filled and marked."""

    signal_mv: Float32  # (n_leads, n)
    valid: Bool  # (n_leads, n): False where nothing was recorded, flat, or beyond any ECG


@lru_cache
def rate_ratio(fs_hz: float) -> tuple[int, int]:
    """(up, down) with ``fs_hz * up / down == FS_HZ``: 360 Hz gives (25, 72); see ``reached_hz``."""
    ratio = Fraction(FS_HZ) / Fraction(fs_hz).limit_denominator(10_000)
    ratio = ratio.limit_denominator(MAX_DOWN)
    return ratio.numerator, ratio.denominator


def reached_hz(fs_hz: float) -> float:
    """Rate after resampling: 125 Hz but for odd rates (333.3333 Hz), which come within 0.01 % of it."""
    up, down = rate_ratio(fs_hz)
    return fs_hz * up / down


def resample(signal: Float32, fs_hz: float) -> Float32:
    """Anti-aliased resampling to 125 Hz along the last axis.

    Sample k of the result lies at exactly ``k / reached_hz(fs_hz)`` s from the first, whatever the length.
    Lower rates are interpolated.
    """
    up, down = rate_ratio(fs_hz)
    if up == down:
        return signal
    rows = signal.reshape(-1, signal.shape[-1])
    resampled = np.stack([_filtered(row, fs_hz, _antialias_gain, ratio=(up, down)) for row in rows])
    return resampled.reshape(*signal.shape[:-1], -1)


@lru_cache(maxsize=KEPT_GAINS)
def _antialias_gain(n_in: int, n_out: int) -> Float32:
    """Gain of each frequency of a block that is resampled from ``n_in`` to ``n_out`` samples, a raised cosine.

    It falls between PASS_HZ and STOP_HZ, or at lower rates, in the same proportion, below their Nyquist frequency.
    """
    nyquist = min(n_in, n_out) / 2
    share = np.arange(int(nyquist) + 1) / nyquist
    fall = (share - PASS_HZ / STOP_HZ) / (1 - PASS_HZ / STOP_HZ)
    return ((0.5 + 0.5 * np.cos(np.pi * np.clip(fall, 0, 1))) * n_out / n_in).astype(np.float32)


@lru_cache(maxsize=KEPT_GAINS)
def _ecg_gain(n_in: int, n_out: int) -> Float32:
    """Like ``_antialias_gain``, without baseline wander and muscle noise."""
    band = _band_gain(n_out, BASELINE_HZ / FS_HZ, NOISE_HZ / FS_HZ)
    return band if n_in == n_out else _antialias_gain(n_in, n_out) * band[: min(n_in, n_out) // 2 + 1]


@lru_cache(maxsize=KEPT_GAINS)
def _band_gain(n: int, low: float, high: float) -> Float32:
    """Gain of each frequency of a block of ``n`` samples between two frequencies, in cycles per sample.

    That of a digital Butterworth band-pass of order 2 that passes over the signal forwards and backwards, and so
    without a shift in time; the bilinear transform maps a frequency to the tangent.
    """
    first, last, warped = (np.tan(np.pi * cycles) for cycles in (low, high, np.arange(1, n // 2 + 1) / n))
    band = 1 / (1 + ((warped**2 - first * last) / ((last - first) * warped)) ** 4)
    return np.concatenate(([0.0], band)).astype(np.float32)


def band_passed(lead: Float32, fs_hz: float, high_hz: float) -> Float32:
    """A lead at its own rate between BASELINE_HZ and ``high_hz``, without a shift in time, shape (n,)."""
    low, high = BASELINE_HZ / fs_hz, high_hz / fs_hz
    return _filtered(lead - _centre(lead), fs_hz, lambda n, _: _band_gain(n, low, high), ratio=(1, 1))


def _filtered(lead: Float32, fs_hz: float, gain: Callable[[int, int], Float32], *, ratio: tuple[int, int]) -> Float32:
    """A lead, resampled by a ratio (up, down), with a gain for each frequency, (n,) -> (n / down * up, rounded up).

    Blocks overlap by what is cut off at their ends, where the end of a block runs into its beginning.

    Parameters
    ----------
    gain
        Of each frequency of a block, from its size before and after.

    """
    up, down = ratio
    # Margin, size and core of a block count steps of ``down`` samples, which are whole samples at both rates.
    margin = -(-int(SETTLED_S * fs_hz) // down)
    n_blocks = max(1, round(len(lead) / (BLOCK_S * fs_hz)))
    size = _fast_length(-(-len(lead) // (n_blocks * down)) + 2 * margin)
    core = size - 2 * margin
    n_blocks = -(-len(lead) // (core * down))
    padded = _mirrored(lead, margin * down, (n_blocks * core + 2 * margin) * down)
    weight = gain(size * down, size * up)
    out = np.empty((n_blocks, core * up), dtype=np.float32)
    for number, row in enumerate(out):
        first = number * core * down
        spectrum = np.fft.rfft(padded[first : first + size * down])[: len(weight)]
        row[:] = np.fft.irfft(spectrum * weight, size * up)[margin * up : (margin + core) * up]
    return out.reshape(-1)[: -(-len(lead) * up // down)]


def _mirrored(lead: Float32, before: int, length: int) -> Float32:
    """A lead from sample ``before`` on, in ``length`` samples; it goes on mirrored at its end points, then held."""
    n, padded = len(lead), np.empty(length, dtype=np.float32)
    left, right = min(n - 1, before), min(n - 1, length - before - n)
    padded[before : before + n] = lead
    padded[before - left : before] = 2 * lead[0] - lead[left:0:-1]
    padded[before + n : before + n + right] = 2 * lead[-1] - lead[n - 1 - right : n - 1][::-1]
    padded[: before - left] = padded[before - left]
    padded[before + n + right :] = padded[before + n + right - 1]
    return padded


def _fast_length(n: int) -> int:
    """The least number that is no less than ``n`` and has no prime factor above 5, so that its transform is fast."""
    parts: list[int] = [3**i * 5**j for i in range(n.bit_length()) for j in range(n.bit_length())]
    return min(part << (-(-n // part) - 1).bit_length() for part in parts)


def clean_leads(raw_mv: Float32, fs_hz: float) -> CleanLeads:
    """Resample, fill and filter raw leads.

    Parameters
    ----------
    raw_mv
        Shape (n_leads, n), NaN where nothing was recorded.
    fs_hz
        Sampling rate of ``raw_mv``.

    """
    broken = np.stack([_broken(lead, fs_hz) for lead in raw_mv])
    filled = [fill_gaps(lead, gap) for lead, gap in zip(raw_mv, broken, strict=True)]
    ratio = rate_ratio(fs_hz)
    signal = np.stack([_filtered(lead - _centre(lead), fs_hz, _ecg_gain, ratio=ratio) for lead in filled])
    return CleanLeads(signal, _valid(broken, fs_hz, signal.shape[1]))


def _valid(broken: Bool, fs_hz: float, n: int) -> Bool:
    """Whether the sample at 125 Hz lies where nothing is broken, (n_leads, n at ``fs_hz``) -> (n_leads, n)."""
    if not broken.any():
        return np.ones((len(broken), n), dtype=bool)
    up, down = rate_ratio(fs_hz)
    return np.asarray(~broken[:, np.minimum(np.arange(n) * down // up, broken.shape[1] - 1)])


def _centre(lead: Float32) -> np.float32:
    """Median of a lead, by some of its samples; the exact one takes as long as the filters."""
    return np.float32(np.median(lead[:: 1 + len(lead) // CENTRE_SAMPLES]))


def _broken(lead: Float32, fs_hz: float) -> Bool:
    """Samples that hold no ECG: missing, flat for FLAT_S, or far beyond the usual amplitude."""
    missing = ~np.isfinite(lead)
    if missing.all():
        return np.asarray(missing)
    known = np.where(missing, _centre(lead[~missing]), lead) if missing.any() else lead
    amplitude, centre = np.median(peak_to_peak(known, int(fs_hz))), _centre(known)
    farthest = max(known.max() - centre, centre - known.min())
    if 0 < SPIKE_FACTOR * amplitude < farthest:
        missing |= np.abs(known - centre) > SPIKE_FACTOR * amplitude
    return np.asarray(missing | _flat(known, int(FLAT_S * fs_hz)))


def _flat(lead: Float32, min_length: int) -> Bool:
    """Runs of one and the same value, at least ``min_length`` samples long."""
    goes_on, block = lead[1:] == lead[:-1], max(1, (min_length - 1) // 2)  # such a run fills a whole block
    if not goes_on[: len(goes_on) // block * block].reshape(-1, block).all(axis=1).any():
        return np.zeros(len(lead), dtype=bool)
    length = np.diff(_run_edges(lead))
    return np.repeat(length >= min_length, length)


def _run_edges(lead: Float32) -> Index:
    """Where each run of one and the same value begins, and the end of the last one."""
    return np.concatenate(([0], np.flatnonzero(lead[1:] != lead[:-1]) + 1, [len(lead)]))


def fill_gaps(lead: Float32, gap: Bool) -> Float32:
    """Straight lines across gaps; zero where there is nothing at all."""
    if not gap.any():
        return lead
    if gap.all():
        return np.zeros_like(lead)
    known, missing, filled = np.flatnonzero(~gap), np.flatnonzero(gap), lead.copy()
    filled[missing] = np.interp(missing, known, lead[known])
    return filled


def peak_to_peak(lead: Float32, block: int) -> Float32:
    """Peak-to-peak of consecutive blocks; the rest at the end joins the last one."""
    n_blocks = max(1, len(lead) // block)
    starts = np.arange(n_blocks) * block
    return np.asarray(np.maximum.reduceat(lead, starts) - np.minimum.reduceat(lead, starts), dtype=np.float32)


def local_amplitude(lead: Float32, valid: Bool) -> Float32:
    """Usual peak-to-peak amplitude around each sample of a clean lead, shape of ``lead``, never zero.

    The median over a minute is not moved by single ectopic beats or spikes and follows a change of electrode or gain.
    Where beats are so rare that most seconds hold none, the amplitude is that of their beats.
    """
    block = int(SCALE_BLOCK_S * FS_HZ)
    height = peak_to_peak(lead if valid.all() else np.where(valid, lead, 0), block)
    live = height > 0
    if not live.any():
        return np.ones_like(lead)
    number = np.arange(len(height))
    height = np.interp(number, number[live], height[live]).astype(np.float32)
    return _between_blocks(usual_heights(height), block, len(lead))


def _between_blocks(value: Float32, block: int, n: int) -> Float32:
    """Values at the middle of consecutive blocks, with straight lines between, shape (n,)."""
    edged = np.concatenate((value[:1], value, value[-1:], value[-1:]))  # held before the first and in the rest
    along = ((np.arange(block) + block % 2 / 2) / block).astype(np.float32)
    line = edged[:-1, None] + np.diff(edged)[:, None] * along
    return np.asarray(line.reshape(-1)[block // 2 :][:n])


def usual_heights(height: Float32) -> Float32:
    """Median of the peak-to-peak amplitudes around each of consecutive seconds, shape (n,).

    Where most seconds lie between beats, as in a slow rhythm, it is that of the tallest of SPARSE_BLOCKS seconds: this
    is much taller than most, and as tall as the tallest of the others; that of an artefact is not.
    """
    tallest = sliding_maximum(with_held_ends(height, SPARSE_BLOCKS), SPARSE_BLOCKS)
    usual, usual_tallest = (_running_rank(values, SCALE_BLOCKS // 2) for values in (height, tallest))
    sparse = usual < SPARSE_RATIO * usual_tallest
    if sparse.any():
        lower, upper = (_running_rank(tallest, rank) for rank in SPARSE_RANKS)
        sparse &= upper < SPARSE_SPREAD * lower
    return np.where(sparse, usual_tallest, usual)


def _running_rank(height: Float32, rank: int) -> Float32:
    return sliding_rank(with_held_ends(height, SCALE_BLOCKS), SCALE_BLOCKS, rank)


def normalise(lead: Float32, valid: Bool) -> Float32:
    """A clean lead in units of its own usual amplitude, zero where it is not valid: what the network sees."""
    return scaled(lead, valid, local_amplitude(lead, valid))


def scaled(lead: Float32, valid: Bool, amplitude: Float32 | float) -> Float32:
    """A clean lead in units of an amplitude, zero where it is not valid."""
    clipped = np.clip(lead / amplitude, -SCALE_RANGE, SCALE_RANGE)
    return np.where(valid, clipped, 0).astype(np.float32, copy=False)


def normalised(clean: CleanLeads) -> Float32:
    """``normalise`` of each lead, shape (n_leads, n)."""
    return np.stack([normalise(lead, valid) for lead, valid in zip(clean.signal_mv, clean.valid, strict=True)])


def to_sample(time_s: Float64, fs_hz: float, n_samples: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Nearest sample of the record's own time base, inside the record."""
    return np.clip(np.rint(np.asarray(time_s) * fs_hz), 0, n_samples - 1).astype(np.int64)
