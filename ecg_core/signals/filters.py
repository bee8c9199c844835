"""Raw leads in mV at any rate -> clean leads at 125 Hz, and where they hold an ECG.

Every function works on a stretch of a record as well as on the whole: further than ``MARGIN_S`` from its ends a result
does not depend on where the stretch was cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from scipy.ndimage import maximum_filter1d, median_filter, percentile_filter
from scipy.signal import butter, firwin, kaiserord, resample_poly, sosfiltfilt

from ..schema import Bool, Float32, Float64, FrozenArrays

FS_HZ = 125.0  # the rate at which everything is analysed: the QRS lies below 40 Hz
MARGIN_S = 60.0  # further than any filter or running scale below reaches

PASS_HZ = 50.0  # anti-aliasing: flat up to here ...
STOP_HZ = 62.5  # ... and STOP_DB down from the new Nyquist frequency on
STOP_DB = 80.0
MAX_DOWN = 25_000  # ratios of larger numbers than any real rate has would need filters of gigabytes
KEPT_FILTERS = 8  # one of an odd rate takes 5 MB, and every record may have a rate of its own
BASELINE_HZ = 0.5  # slower is baseline wander (respiration, electrodes); AHA 2007 for monitoring
NOISE_HZ = 40.0  # faster is muscle noise and mains for the purpose of beat classes

FLAT_S = 2.0  # no heart and no amplifier gives the same number for two seconds
SPIKE_FACTOR = 20.0  # beyond this many times the usual amplitude it is no ECG
SCALE_BLOCK_S = 1.0  # the amplitude of a lead: peak-to-peak of blocks this long (a QRS in most of them) ...
SCALE_BLOCKS = 61  # ... and the median over so many of them
SPARSE_BLOCKS = 5  # so many seconds in a row hold a beat, even with pauses of four seconds
SPARSE_RATIO, SPARSE_SPREAD = 0.5, 1.5  # of the tallest of these; see ``sparse_beats``
SCALE_RANGE = 5.0  # normalised amplitudes are clipped here


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


@lru_cache(maxsize=KEPT_FILTERS)
def _antialias_taps(up: int, down: int, fs_hz: float) -> Float32:
    """Low-pass at the common rate ``fs_hz * up``; unit gain after the zero stuffing."""
    common_hz = fs_hz * up
    n_taps, beta = kaiserord(STOP_DB, (STOP_HZ - PASS_HZ) / (common_hz / 2))
    taps = firwin(n_taps | 1, (PASS_HZ + STOP_HZ) / 2, window=("kaiser", beta), fs=common_hz)
    return np.asarray(taps, dtype=np.float32)


def resample(signal: Float32, fs_hz: float) -> Float32:
    """Anti-aliased resampling to 125 Hz along the last axis.

    Sample k of the result lies at exactly ``k / reached_hz(fs_hz)`` s from the first, whatever the length.
    Lower rates are interpolated.
    """
    up, down = rate_ratio(fs_hz)
    if up == down:
        return signal
    taps = _antialias_taps(up, down, fs_hz) if fs_hz > FS_HZ else ("kaiser", 8.0)
    return np.asarray(resample_poly(signal, up, down, axis=-1, window=taps, padtype="line"), dtype=np.float32)


def filter_ecg(signal: Float32) -> Float32:
    """Remove baseline wander and muscle noise at 125 Hz without a shift in time, along the last axis."""
    pad = min(signal.shape[-1] - 1, int(4 * FS_HZ))
    return np.asarray(sosfiltfilt(_bandpass(), signal, axis=-1, padlen=pad), dtype=np.float32)


@lru_cache
def _bandpass() -> Float64:
    return np.asarray(butter(2, (BASELINE_HZ, NOISE_HZ), "bandpass", fs=FS_HZ, output="sos"))


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
    filled = np.stack([fill_gaps(lead, gap) for lead, gap in zip(raw_mv, broken, strict=True)])
    resampled = resample(filled, fs_hz)
    up, down = rate_ratio(fs_hz)
    nearest = np.minimum(np.arange(resampled.shape[1]) * down // up, raw_mv.shape[1] - 1)
    return CleanLeads(filter_ecg(resampled), ~broken[:, nearest])


def _broken(lead: Float32, fs_hz: float) -> Bool:
    """Samples that hold no ECG: missing, flat for FLAT_S, or far beyond the usual amplitude."""
    missing = ~np.isfinite(lead)
    if missing.all():
        return np.asarray(missing)
    known = np.where(missing, np.float32(np.nanmedian(lead[~missing])), lead)
    centre, amplitude = np.median(known), np.median(peak_to_peak(known, int(fs_hz)))
    spike = np.abs(known - centre) > SPIKE_FACTOR * amplitude if amplitude > 0 else np.zeros_like(missing)
    return np.asarray(missing | spike | _flat(known, int(FLAT_S * fs_hz)))


def _flat(lead: Float32, min_length: int) -> Bool:
    """Runs of one and the same value, at least ``min_length`` samples long."""
    edges = np.flatnonzero(np.diff(lead, prepend=np.nan, append=np.nan) != 0)
    length = np.diff(edges)
    return np.repeat(length >= min_length, length)


def fill_gaps(lead: Float32, gap: Bool) -> Float32:
    """Straight lines across gaps; zero where there is nothing at all."""
    if not gap.any():
        return lead
    if gap.all():
        return np.zeros_like(lead)
    known = np.flatnonzero(~gap)
    return np.interp(np.arange(len(lead)), known, lead[known]).astype(np.float32)


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
    height = peak_to_peak(np.where(valid, lead, 0), block).astype(np.float64)
    live = height > 0
    if not live.any():
        return np.ones_like(lead)
    centre = (np.arange(len(height)) + 0.5) * block
    height = np.interp(centre, centre[live], height[live])
    smooth = np.where(sparse_beats(height), _running_median(_tallest_nearby(height)), _running_median(height))
    return np.asarray(np.interp(np.arange(len(lead)), centre, smooth), dtype=np.float32)


def sparse_beats(height: Float64) -> Bool:
    """Whether most seconds around each one lie between beats, as in a slow rhythm, shape of ``height``.

    The tallest of SPARSE_BLOCKS seconds is then much taller than most, and as tall as the tallest of the others; that
    of an artefact is not.

    Parameters
    ----------
    height
        Peak-to-peak amplitude of consecutive seconds, shape (n,).

    """
    tallest = _tallest_nearby(height)
    lower, upper = (percentile_filter(tallest, pct, SCALE_BLOCKS, mode="nearest") for pct in (10, 90))
    much_taller = _running_median(height) < SPARSE_RATIO * _running_median(tallest)
    return np.asarray(much_taller & (upper < SPARSE_SPREAD * lower))


def _tallest_nearby(height: Float64) -> Float64:
    return np.asarray(maximum_filter1d(height, SPARSE_BLOCKS, mode="nearest"))


def _running_median(height: Float64) -> Float64:
    return np.asarray(median_filter(height, SCALE_BLOCKS, mode="nearest"))


def normalise(lead: Float32, valid: Bool) -> Float32:
    """A clean lead in units of its own usual amplitude, zero where it is not valid: what the network sees."""
    return scaled(lead, valid, local_amplitude(lead, valid))


def scaled(lead: Float32, valid: Bool, amplitude: Float32 | float) -> Float32:
    """A clean lead in units of an amplitude, zero where it is not valid."""
    return np.where(valid, np.clip(lead / amplitude, -SCALE_RANGE, SCALE_RANGE), 0).astype(np.float32)


def normalised(clean: CleanLeads) -> Float32:
    """``normalise`` of each lead, shape (n_leads, n)."""
    return np.stack([normalise(lead, valid) for lead, valid in zip(clean.signal_mv, clean.valid, strict=True)])


def to_sample(time_s: Float64, fs_hz: float, n_samples: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Nearest sample of the record's own time base, inside the record."""
    return np.clip(np.rint(np.asarray(time_s) * fs_hz), 0, n_samples - 1).astype(np.int64)
