"""Measures of a lead's waveform, second by second: what tells fibrillation and tachycardia from beats and from noise.

Each step looks at a window of WINDOW_S around it. The measures are published ones: VF leakage (Kuo & Dillman 1978;
reviewed by Amann 2005, doi:10.1186/1475-925X-4-60), threshold crossings (Arafat 2011, doi:10.1007/s11760-009-0118-9),
bands and concentration of the spectrum, autocorrelation and kurtosis (reviewed by Figuera 2016,
doi:10.1371/journal.pone.0159654). Differs from the papers in that the network's beat probability map stands beside
them, and in that only seconds without clear beats in any lead are measured: where beats stand out, nothing fibrillates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..schema import Bool, Float32, Float64, FrozenArrays, Index
from ..signals.filters import FS_HZ, CleanLeads
from ..signals.windows import maximum_within, minimum_within, sliding_maximum

STEP_S = 1.0
WINDOW_S = 4.0  # the shortest episode of fibrillation
STEP, WIDTH = int(STEP_S * FS_HZ), int(WINDOW_S * FS_HZ)
STEPS_AT_ONCE = 128  # their windows fit the processor's cache
CONTEXT_STEPS = 4  # to either side, over which the measures are averaged for a decision
# Certainty of the beats in a window from which a lead is clear. No lead reaches it in 4,500 s of annotated
# fibrillation; in other rhythms 94 to 99 % of the seconds do.
CLEAR = 0.85
FAINT = 0.1  # lower peaks of the beat probability map are no candidates for beats

N_FFT = 512
SPECTRUM_HZ: Final = (0.5, 40.0)
BANDS_HZ: Final = ((0.5, 2.0), (2.0, 3.5), (3.5, 5.5), (5.5, 8.0), (8.0, 15.0), (15.0, 40.0))
PEAK_HZ: Final = (1.2, 10.0)  # where the peak of the spectrum is looked for
PEAK_HALF_HZ = 0.6  # half width of that peak, whose share of the power is its concentration
FAST_LAGS_S, SLOW_LAGS_S = (0.12, 0.35), (0.35, 1.6)  # periods of fibrillation and flutter; of beats
CROSSING_LEVELS: Final = (0.2, 0.5)  # of the greatest deflection
LEVEL_SLOPE = 0.05  # of the steepest slope: a lesser one is level, as between beats
LIKELY, DOUBTFUL = 0.5, 0.8  # beat probability of a likely beat, and below which a beat is doubtful
NO_PEAK = -1.0  # correlation where the autocorrelation has no peak
TINY = 1e-9

MEASURES: Final = (
    "peak_hz", "concentration", *(f"log_band_{low:g}_{high:g}_hz" for low, high in BANDS_HZ), "entropy",
    "crossings_0.2", "crossings_0.5", "log_kurtosis", "zero_crossings", "leakage", "fast_correlation", "fast_lag_s",
    "slow_correlation", "slow_lag_s", "steepness", "level_share", "log_amplitude", "log_slope",
    "heat_max", "heat_mean", "heat_certainty", "heat_likely", "heat_doubtful", "heat_between", "valid_share",
)  # fmt: skip
AMPLITUDE, SLOPE = MEASURES.index("log_amplitude"), MEASURES.index("log_slope")
VALID_SHARE = MEASURES.index("valid_share")
HEAT: Final = slice(MEASURES.index("heat_max"), VALID_SHARE)


@dataclass(frozen=True, eq=False)
class WaveformMeasures(FrozenArrays):
    """Measures of the seconds that were looked at, and the size of all."""

    step: Index  # (n,), the seconds that were measured, ascending
    measure: Float32  # (n, n_leads, n_measures)
    clear: Bool  # (n_steps,): some lead has clear beats, so that there is no fibrillation
    size: Float32  # (n_steps, n_leads, 2): logarithms of amplitude and slope; NaN where the lead has no clear beats


def measure_waveform(
    clean: CleanLeads, beat_heatmap: Float32, *, stride: int, first: int, n_steps: int
) -> WaveformMeasures:
    """Measure a stretch of a record.

    Parameters
    ----------
    clean, beat_heatmap
        The leads, (n_leads, n), and the beat probability of each frame, (n_leads, n_frames).
    stride
        Samples per frame.
    first, n_steps
        The sample at which the first second begins, and how many seconds there are.

    """
    heat = np.stack([_heat(row, stride, first, n_steps) for row in beat_heatmap], axis=1)
    column = {name: heat[:, :, i] for i, name in enumerate(MEASURES[HEAT])}
    clear = (column["heat_certainty"] >= CLEAR) & (column["heat_likely"] >= 1)
    step = np.flatnonzero(sliding_maximum(np.pad(~clear.any(axis=1), CONTEXT_STEPS), 2 * CONTEXT_STEPS + 1))
    measured = [
        _measure_lead(lead, known, heat[step, i], first + step * STEP)
        for i, (lead, known) in enumerate(zip(clean.signal_mv, clean.valid, strict=True))
    ]
    size = np.stack([_size(lead, first, n_steps) for lead in clean.signal_mv], axis=1)
    return WaveformMeasures(
        step=step,
        measure=np.stack(measured, axis=1),
        clear=np.asarray(clear.any(axis=1)),
        size=np.where(clear[:, :, None], size, np.float32(np.nan)),
    )


def _measure_lead(lead: Float32, valid: Bool, heat: Float32, begin: Index) -> Float32:
    """All measures of one lead in the windows around the seconds that begin at these samples, (n, n_measures)."""
    batches = [slice(first, first + STEPS_AT_ONCE) for first in range(0, len(begin), STEPS_AT_ONCE)]
    measured = [_measure_windows(lead, valid, heat[some], begin[some]) for some in batches]
    return np.concatenate([np.zeros((0, len(MEASURES)), dtype=np.float32), *measured])


def _measure_windows(lead: Float32, valid: Bool, heat: Float32, begin: Index) -> Float32:
    index = np.clip(begin[:, None] + STEP // 2 - WIDTH // 2 + np.arange(WIDTH), 0, len(lead) - 1)
    known = valid[index]
    window = np.where(known, lead[index], np.float32(0))
    window -= window.mean(axis=1, keepdims=True)
    parts = (
        _spectrum(window), _shape(window), _leakage(window)[:, None], _correlations(window), _slopes(window), heat,
        known.mean(axis=1, keepdims=True),
    )  # fmt: skip
    return np.concatenate(parts, axis=1).astype(np.float32)


def _spectrum(window: Float32) -> Float64:
    """Peak, its concentration, the logarithms of the bands' shares, and the entropy of the spectrum."""
    hz = np.fft.rfftfreq(N_FFT, 1 / FS_HZ)
    inside = (hz >= SPECTRUM_HZ[0]) & (hz <= SPECTRUM_HZ[1])
    power = _power(np.fft.rfft(window * np.hanning(WIDTH).astype(np.float32), N_FFT, axis=1)[:, inside])
    hz = hz[inside]
    share = power / (power.sum(axis=1, keepdims=True) + TINY)
    searched = (hz >= PEAK_HZ[0]) & (hz <= PEAK_HZ[1])
    peak_hz = hz[searched][share[:, searched].argmax(axis=1)]
    concentration = (share * (np.abs(hz - peak_hz[:, None]) <= PEAK_HALF_HZ)).sum(axis=1)
    bands = [np.log(share[:, (hz >= low) & (hz < high)].sum(axis=1) + 1e-4) for low, high in BANDS_HZ]
    entropy = -(share * np.log(share + TINY)).sum(axis=1) / np.log(len(hz))
    return np.stack([peak_hz, concentration, *bands, entropy], axis=1)


def _power(spectrum: NDArray[np.complexfloating[Any]]) -> Float32:
    return np.asarray(spectrum.real**2 + spectrum.imag**2)


def _shape(window: Float32) -> Float32:
    """Share of the window beyond each crossing level, the logarithm of the kurtosis, and the zero crossings."""
    height = np.abs(window) / (np.abs(window).max(axis=1, keepdims=True) + TINY)
    crossings = [(height > level).mean(axis=1) for level in CROSSING_LEVELS]
    square = (window / (window.std(axis=1, keepdims=True) + TINY)) ** 2
    kurtosis = (square**2).mean(axis=1)  # ** 4 would call pow for each sample
    below = np.signbit(window)
    zero_crossings = (below[:, 1:] != below[:, :-1]).mean(axis=1)
    return np.stack([*crossings, np.log(kurtosis + TINY), zero_crossings], axis=1).astype(np.float32)


def _leakage(window: Float32) -> Float32:
    """VF leakage: how little a window and itself half a period earlier cancel; 0 for a sine, shape (n,)."""
    change = np.abs(np.diff(window, axis=1)).sum(axis=1)
    half_period = np.floor(np.pi * np.abs(window).sum(axis=1) / (change + TINY) + 0.5).astype(int).clip(1, WIDTH // 2)
    earlier = np.arange(WIDTH) - half_period[:, None]
    before = np.take_along_axis(window, earlier.clip(0), axis=1)
    inside = earlier >= 0
    left = (np.abs(window + before) * inside).sum(axis=1)
    return np.asarray(left / (((np.abs(window) + np.abs(before)) * inside).sum(axis=1) + TINY))


def _correlations(window: Float32) -> Float64:
    """Highest peak of the autocorrelation, and its lag, among the lags of fibrillation and among those of beats."""
    power = _power(np.fft.rfft(window, 2 * N_FFT, axis=1))
    overlap = (WIDTH - np.arange(N_FFT)).clip(1) / WIDTH
    correlation = np.fft.irfft(power, axis=1)[:, :N_FFT] / overlap
    correlation /= correlation[:, :1] + TINY
    lag_s = np.arange(N_FFT) / FS_HZ
    columns = []
    for low, high in (FAST_LAGS_S, SLOW_LAGS_S):
        lags = np.flatnonzero((lag_s >= low) & (lag_s <= high))
        near = correlation[:, lags]
        is_peak = (near[:, 1:-1] >= near[:, :-2]) & (near[:, 1:-1] >= near[:, 2:])
        peaks = np.where(is_peak, near[:, 1:-1], NO_PEAK)
        best = peaks.argmax(axis=1)
        columns += [peaks[np.arange(len(best)), best], lag_s[lags[best + 1]]]
    return np.stack(columns, axis=1)


def _slopes(window: Float32) -> Float32:
    """Steepest slope relative to the amplitude, share of level signal, and logarithms of amplitude and slope."""
    slope = np.abs(np.diff(window, axis=1))
    steepest, amplitude = slope.max(axis=1), np.ptp(window, axis=1) + TINY
    level = (slope < LEVEL_SLOPE * (steepest[:, None] + TINY)).mean(axis=1)
    return np.stack([steepest / amplitude, level, np.log(amplitude + 1e-3), np.log(steepest + 1e-4)], axis=1)


def _size(lead: Float32, first: int, n_steps: int) -> Float32:
    """Logarithms of amplitude and steepest slope in the window around each second, shape (n_steps, 2)."""
    begin = first + np.arange(n_steps) * STEP + STEP // 2 - WIDTH // 2
    slope = np.abs(np.diff(lead, prepend=lead[:1], append=lead[-1:]))  # to each sample, and nothing at the ends
    window = _window(begin, len(lead))
    amplitude = maximum_within(lead, *window) - minimum_within(lead, *window)
    steepest = maximum_within(slope, *_window(begin + 1, len(slope)))
    return np.stack([np.log(amplitude + 1e-3), np.log(steepest + 1e-4)], axis=1).astype(np.float32)


def _window(begin: Index, n: int) -> tuple[Index, Index]:
    """First sample of each window and the one after its last, of ``n``; at least the one that is nearest to it."""
    first = np.clip(begin, 0, n - 1)
    return first, np.clip(begin + WIDTH, first + 1, n)


def _heat(beat_heatmap: Float32, stride: int, first: int, n_steps: int) -> Float32:
    """How clearly beats stand out in the window around each second, shape (n_steps, 6)."""
    padded = np.concatenate(([0], beat_heatmap, [0]))
    is_peak = (padded[1:-1] >= padded[:-2]) & (padded[1:-1] > padded[2:]) & (beat_heatmap >= FAINT)
    peak = np.flatnonzero(is_peak)
    height = beat_heatmap[peak]
    between = (beat_heatmap > FAINT) & (beat_heatmap < DOUBTFUL)
    half = WIDTH // stride // 2
    centre = np.rint((first + np.arange(n_steps) * STEP + STEP // 2) / stride).astype(int)
    edges = np.clip(np.stack([centre - half, centre + half]), 0, len(beat_heatmap))
    n_frames = np.maximum(edges[1] - edges[0], 1)
    middle = np.clip(centre, 0, len(beat_heatmap) - 1)
    near = np.clip(np.stack([middle - half, middle + half]), 0, len(beat_heatmap))
    of_peaks = np.searchsorted(peak, edges)
    certainty = _totals(height**2, of_peaks) / np.maximum(_totals(height, of_peaks), FAINT)
    columns = (
        maximum_within(beat_heatmap, *near), _totals(beat_heatmap, edges) / n_frames, certainty,
        _totals(height > LIKELY, of_peaks), _totals(height < DOUBTFUL, of_peaks), _totals(between, edges) / n_frames,
    )  # fmt: skip
    return np.stack(columns, axis=1).astype(np.float32)


def _totals(values: Float32 | Bool, edges: Index) -> Float64:
    """Sums of the values from each of ``edges[0]`` to the one before ``edges[1]``."""
    running = np.concatenate(([0.0], np.cumsum(values, dtype=np.float64)))
    return np.asarray(running[edges[1]] - running[edges[0]])
