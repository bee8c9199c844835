"""Measures of a lead's waveform, second by second: what tells ventricular fibrillation from beats and from noise.

Each step looks at a window of WINDOW_S around it. The measures are published ones: VF leakage (Kuo & Dillman 1978;
reviewed by Amann 2005, doi:10.1186/1475-925X-4-60), threshold crossing sample count (Arafat 2011,
doi:10.1007/s11760-009-0118-9), bands and concentration of the spectrum, autocorrelation and kurtosis (reviewed by
Figuera 2016, doi:10.1371/journal.pone.0159654). Differs from the papers in that the network's beat probability map stands
beside them: where beats stand out clearly there is no fibrillation.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from ..schema import Float32, Float64
from ..signals.filters import FS_HZ

STEP_S = 1.0
WINDOW_S = 4.0  # the shortest episode of fibrillation
N_FFT = 512
BANDS_HZ: Final = ((0.5, 2.0), (2.0, 3.5), (3.5, 5.5), (5.5, 8.0), (8.0, 15.0), (15.0, 40.0))
PEAK_HALF_HZ = 0.6  # half width of the peak of the spectrum whose share of the power is its concentration
FAST_LAGS_S, SLOW_LAGS_S = (0.12, 0.35), (0.35, 1.6)  # periods of fibrillation and flutter; of beats
CROSSING_LEVELS: Final = (0.2, 0.5)  # of the greatest deflection
LEVEL_SLOPE = 0.05  # of the steepest slope: less is level, as between beats
PEAK_LOWEST = 0.1  # lower peaks of the beat probability map are no candidates for beats
TINY = 1e-9

MEASURES: Final = (
    "peak_hz", "concentration", *(f"band_{low:g}_{high:g}" for low, high in BANDS_HZ), "entropy", "leakage",
    "crossings_0.2", "crossings_0.5", "kurtosis", "zero_crossings", "fast_correlation", "fast_lag", "slow_correlation",
    "slow_lag", "steepness", "level_share", "log_amplitude", "log_slope", "heat_max", "heat_mean", "heat_certainty",
    "heat_count", "heat_doubtful", "heat_spread", "valid_share",
)  # fmt: skip


def measure_leads(signal_mv: Float32, valid, beat_heatmap: Float32, *, stride: int, first: int, n_steps: int) -> Float32:
    return np.stack([
        measure_lead(lead, known, heat, stride=stride, first=first, n_steps=n_steps)
        for lead, known, heat in zip(signal_mv, valid, beat_heatmap, strict=True)
    ])


def windows_of(values, first, step, width, n_steps):
    """Windows centred on steps; edges padded with the edge."""
    start = first + np.arange(n_steps) * step + step // 2 - width // 2
    index = np.clip(start[:, None] + np.arange(width), 0, len(values) - 1)
    return values[index]


def measure_lead(lead, valid, heat, *, stride, first, n_steps):
    step, width = int(STEP_S * FS_HZ), int(WINDOW_S * FS_HZ)
    x = windows_of(lead, first, step, width, n_steps).astype(np.float32)
    known = windows_of(valid, first, step, width, n_steps)
    x = np.where(known, x, 0)
    x = x - x.mean(axis=1, keepdims=True)
    # heat
    centre = (first + np.arange(n_steps) * step + step // 2) / stride
    half = width // stride // 2
    hi = np.clip(np.rint(centre).astype(int)[:, None] + np.arange(-half, half), 0, len(heat) - 1)
    spectrum, correlation = _spectrum(x)
    shape, size = _time(x)
    parts = [spectrum, shape, correlation, size, _heat(heat, hi, stride), known.mean(axis=1, keepdims=True)]
    return np.concatenate(parts, axis=1).astype(np.float32)


def _spectrum(x):
    n, width = x.shape
    window = np.hanning(width).astype(np.float32)
    power = np.abs(np.fft.rfft(x * window, N_FFT, axis=1)) ** 2
    hz = np.fft.rfftfreq(N_FFT, 1 / FS_HZ)
    inside = (hz >= 0.5) & (hz <= 40)
    p, f = power[:, inside], hz[inside]
    total = p.sum(axis=1, keepdims=True) + TINY
    share = p / total
    searched = (f >= 1.2) & (f <= 10)
    peak = f[searched][share[:, searched].argmax(axis=1)]
    near = np.abs(f[None] - peak[:, None]) <= PEAK_HALF_HZ
    concentration = (share * near).sum(axis=1)
    bands = [share[:, (f >= a) & (f < b)].sum(axis=1) for a, b in BANDS_HZ]
    entropy = -(share * np.log(share + TINY)).sum(axis=1) / np.log(share.shape[1])
    # autocorrelation
    spec = np.abs(np.fft.rfft(x, 2 * N_FFT, axis=1)) ** 2
    ac = np.fft.irfft(spec, axis=1)[:, :N_FFT]
    lags = np.arange(N_FFT) / FS_HZ
    overlap = (width - np.arange(N_FFT)).clip(1) / width
    ac = ac / (ac[:, :1] + TINY) / overlap
    out = [peak, concentration, *(np.log(b + 1e-4) for b in bands), entropy, _leakage(x)]
    cor = []
    for low, high in (FAST_LAGS_S, SLOW_LAGS_S):
        idx = np.flatnonzero((lags >= low) & (lags <= high))
        seg = ac[:, idx]
        inner = seg[:, 1:-1]
        ispeak = (inner >= seg[:, :-2]) & (inner >= seg[:, 2:])
        val = np.where(ispeak, inner, -1.0)
        k = val.argmax(axis=1)
        cor += [val[np.arange(n), k], lags[idx[k + 1]]]
    return np.stack(out, axis=1), np.stack(cor, axis=1)


def _leakage(x):
    n, width = x.shape
    total = np.abs(x).sum(axis=1)
    change = np.abs(np.diff(x, axis=1)).sum(axis=1)
    half = np.floor(np.pi * total / (change + TINY) + 0.5).astype(int).clip(1, width // 2)
    idx = np.arange(width)[None] - half[:, None]
    ok = idx >= 0
    back = np.take_along_axis(x, idx.clip(0), axis=1)
    num = (np.abs(x + back) * ok).sum(axis=1)
    den = ((np.abs(x) + np.abs(back)) * ok).sum(axis=1)
    return num / (den + TINY)


def _time(x):
    top = np.abs(x).max(axis=1, keepdims=True) + TINY
    y = np.abs(x) / top
    c = [(y > level).mean(axis=1) for level in CROSSING_LEVELS]
    sd = x.std(axis=1) + TINY
    kurt = ((x / sd[:, None]) ** 4).mean(axis=1)
    zc = (np.signbit(x[:, 1:]) != np.signbit(x[:, :-1])).mean(axis=1)
    dx = np.abs(np.diff(x, axis=1))
    steep = dx.max(axis=1)
    ptp = np.ptp(x, axis=1) + TINY
    level = (dx < LEVEL_SLOPE * (steep[:, None] + TINY)).mean(axis=1)
    return np.stack([*c, np.log(kurt + TINY), zc], axis=1), np.stack([steep / ptp, level, np.log(ptp + 1e-3), np.log(steep + 1e-4)], axis=1)


def _heat(heat, hi, stride):
    pad = np.concatenate(([0.0], heat, [0.0]))
    peak = (pad[1:-1] >= pad[:-2]) & (pad[1:-1] > pad[2:]) & (heat >= PEAK_LOWEST)
    ph = np.where(peak, heat, 0)
    w = ph[hi]
    s1, s2, n = w.sum(axis=1), (w**2).sum(axis=1), (w > 0).sum(axis=1)
    certainty = np.where(s1 > 0, s2 / np.maximum(s1, PEAK_LOWEST), 0)
    raw = heat[hi]
    return np.stack([raw.max(axis=1), raw.mean(axis=1), certainty, (w > 0.5).sum(axis=1), ((w > 0) & (w < 0.8)).sum(axis=1), ((raw > 0.1) & (raw < 0.8)).mean(axis=1)], axis=1)
