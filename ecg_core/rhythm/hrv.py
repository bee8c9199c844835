"""Heart rate variability (Task Force 1996, doi:10.1161/01.CIR.93.5.1043) of RR between normal beats (NN).

RR in atrial fibrillation are excluded, as the sinus node does not pace them, and in ventricular tachycardia or
suspected fibrillation, whose beats may be labelled N where the waveform alone shows it. LF and HF power are defined as
the Task Force does for short recordings, and averaged over the segments of the recording that NN cover.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from ..rules import RhythmRules
from ..schema import Beats, Float64, RhythmEvent, Variability
from .intervals import nn_intervals

MIN_INTERVALS = 30  # with fewer NN no statistic of variability means anything
PNN_S = 0.05  # pNN50: successive NN that differ by more than 50 ms
LF_HZ, HF_HZ = (0.04, 0.15), (0.15, 0.40)
RESAMPLED_HZ = 4.0  # of the even grid for the spectrum: far above the highest band
MIN_COVERAGE = 0.8  # fraction of a segment that NN must cover for its spectrum and its mean to count
GAP_RR = 3.0  # median RR without an NN, as beside two ectopic beats: across a longer gap a spline swings
SEGMENTS_KEPT = 2048  # a week of them, 16 kB each, whose tachogram is not computed again
UNKNOWN = float("nan")


def measure_variability(
    beats: Beats, rules: RhythmRules, *, others: Iterable[RhythmEvent], analysable_s: float
) -> Variability:
    """SDNN, SDANN, RMSSD, pNN50, LF and HF of the NN, and their coverage; NaN where there are too few NN.

    Parameters
    ----------
    others
        Rhythms whose RR are no NN, whatever the class of their beats.

    """
    nn = nn_intervals(beats, rules)
    for event in others:
        nn = nn[(beats.time_s[nn] <= event.start_s) | (beats.time_s[nn] > event.end_s)]
    rr_ms = 1000.0 * beats.rr_s[nn]
    coverage_pct = min(100.0, float(100.0 * rr_ms.sum() / 1000.0 / analysable_s)) if analysable_s else UNKNOWN
    if len(nn) < MIN_INTERVALS:
        return Variability(len(nn), coverage_pct, *[UNKNOWN] * 6)
    step_ms = np.diff(rr_ms)[np.diff(nn) == 1]
    means_ms, lf_ms2, hf_ms2 = _by_segment(beats.time_s[nn], rr_ms, rules.segment_s)
    return Variability(
        n_intervals=len(nn),
        coverage_pct=coverage_pct,
        sdnn_ms=float(rr_ms.std(ddof=1)),
        sdann_ms=float(means_ms.std(ddof=1)) if len(means_ms) > 1 else UNKNOWN,
        rmssd_ms=float(np.sqrt(np.mean(step_ms**2))) if len(step_ms) else UNKNOWN,
        pnn50_pct=float(100.0 * np.mean(np.abs(step_ms) > 1000.0 * PNN_S)) if len(step_ms) else UNKNOWN,
        lf_ms2=float(np.mean(lf_ms2)) if len(lf_ms2) else UNKNOWN,
        hf_ms2=float(np.mean(hf_ms2)) if len(hf_ms2) else UNKNOWN,
    )


def _by_segment(time_s: Float64, rr_ms: Float64, segment_s: float) -> tuple[Float64, Float64, Float64]:
    """Mean NN, LF power and HF power of each segment that NN cover by MIN_COVERAGE, each of shape (n_segments,)."""
    segment = (time_s / segment_s).astype(int)
    edge = np.flatnonzero(np.diff(segment)) + 1
    covered = [
        (times, values)
        for times, values in zip(np.split(time_s, edge), np.split(rr_ms, edge), strict=True)
        if values.sum() >= MIN_COVERAGE * 1000.0 * segment_s
    ]
    if not covered:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    tachogram = np.stack([_tachogram(times.tobytes(), rr.tobytes(), segment_s) for times, rr in covered])
    power, hz = _spectrum(tachogram)
    bands = [power[:, (hz >= low) & (hz < high)].sum(axis=1) for low, high in (LF_HZ, HF_HZ)]
    return np.array([rr.mean() for _, rr in covered]), bands[0], bands[1]


@lru_cache(maxsize=SEGMENTS_KEPT)
def _tachogram(time_s: bytes, rr_ms: bytes, segment_s: float) -> Float64:
    """NN of a segment on an even grid; kept by their bytes, as an edit of a beat leaves most segments as they are."""
    times, values = np.frombuffer(time_s), np.frombuffer(rr_ms)
    start_s = times[0] // segment_s * segment_s
    tachogram = _resampled(start_s + np.arange(0, segment_s, 1 / RESAMPLED_HZ), times, values)
    tachogram.flags.writeable = False
    return tachogram


def _resampled(grid_s: Float64, time_s: Float64, rr_ms: Float64) -> Float64:
    """NN on an even grid by a cubic spline, which keeps fast oscillations that linear interpolation would flatten.

    Across a gap between NN of more than GAP_RR it would swing far beyond them; there the grid lies on a line.
    """
    distinct = np.concatenate(([True], np.diff(time_s) > 0))
    at_s, time_s, rr_ms = np.clip(grid_s, time_s[0], time_s[-1]), time_s[distinct], rr_ms[distinct]
    gap_ms = 1000.0 * np.diff(time_s) - rr_ms[1:]
    piece = np.clip(np.searchsorted(time_s, at_s, "right") - 1, 0, len(gap_ms) - 1)
    in_gap = (gap_ms > GAP_RR * np.median(rr_ms))[piece]
    return np.where(in_gap, np.interp(at_s, time_s, rr_ms), cubic_spline(at_s, time_s, rr_ms))


def cubic_spline(at: Float64, x: Float64, y: Float64) -> Float64:
    """The cubic spline through points, with the ends of ``scipy.interpolate.CubicSpline`` ("not a knot").

    That module takes as long to load as this program needs for a short record.

    Parameters
    ----------
    x, y
        At least four points, ``x`` ascending, shape (n,).

    """
    step = np.diff(x)
    slope = np.diff(y) / step
    first, last = x[2] - x[0], x[-1] - x[-3]
    upper = np.concatenate(([first], step[:-1]))
    diagonal = np.concatenate((step[1:2], 2 * (step[:-1] + step[1:]), step[-2:-1]))
    lower = np.concatenate((step[1:], [last]))
    right = np.empty(len(x))
    right[1:-1] = 3 * (step[1:] * slope[:-1] + step[:-1] * slope[1:])
    right[0] = ((step[0] + 2 * first) * step[1] * slope[0] + step[0] ** 2 * slope[1]) / first
    right[-1] = (step[-1] ** 2 * slope[-2] + (2 * last + step[-1]) * step[-2] * slope[-1]) / last
    rise = _solve_tridiagonal(lower, diagonal, upper, right)  # the derivative at each point
    bend = (rise[:-1] + rise[1:] - 2 * slope) / step
    piece = np.clip(np.searchsorted(x, at, "right") - 1, 0, len(x) - 2)
    z = at - x[piece]
    square, cube = (slope - rise[:-1]) / step - bend, bend / step
    return np.asarray(y[piece] + z * (rise[piece] + z * (square[piece] + z * cube[piece])))


def _solve_tridiagonal(lower: Float64, diagonal: Float64, upper: Float64, right: Float64) -> Float64:
    """The solution of equations with three diagonals, by elimination without pivots; the middle one, (n,), is large."""
    pivot, value = diagonal.tolist(), right.tolist()
    below, above = lower.tolist(), upper.tolist()
    for row in range(1, len(pivot)):
        factor = below[row - 1] / pivot[row - 1]
        pivot[row] -= factor * above[row - 1]
        value[row] -= factor * value[row - 1]
    value[-1] /= pivot[-1]
    for row in range(len(pivot) - 2, -1, -1):
        value[row] = (value[row] - above[row] * value[row + 1]) / pivot[row]
    return np.array(value)


def _spectrum(tachogram: Float64) -> tuple[Float64, Float64]:
    """Power in ms2, and the frequencies in Hz; a sine of amplitude A has a power of A2/2."""
    n = tachogram.shape[1]
    window = np.hanning(n + 1)[:-1]
    trend = np.arange(n) - (n - 1) / 2
    detrended = tachogram - tachogram.mean(axis=1, keepdims=True)
    detrended -= np.outer(detrended @ trend / (trend @ trend), trend)  # a trend over the segment is no oscillation
    power = np.abs(np.fft.rfft(detrended * window)) ** 2 * 2 / (n * np.sum(window**2))
    return np.asarray(power), np.asarray(np.fft.rfftfreq(n, 1 / RESAMPLED_HZ))
