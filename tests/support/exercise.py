"""Simulated rhythms whose rate changes: an exercise test, and a tachycardia that begins at once."""

import numpy as np

from demo_data.make_demo import DOWER, ECTOPIC_P, P_WAVE, QRS, T_WAVE

FS_HZ = 250
LEAD_II = np.array(DOWER)[1]
NOISE_MV = 0.01


AT_S, BPM = (0, 120, 480, 540, 780, 900), (75, 75, 150, 150, 95, 85)  # rest, climbing, the peak, recovery


def exercise_rr(*, at_s=AT_S, bpm=BPM, seed=0):
    """RR of an exercise test with these rates at these times, linear in between."""
    rng = np.random.default_rng(seed)
    rr, time_s = [], 0.0
    while time_s < at_s[-1] - 2:
        rate = np.interp(time_s, at_s, bpm)
        breath = 0.03 * (bpm[0] / rate) ** 2 * np.sin(2 * np.pi * 0.25 * time_s)  # vanishes with the vagal tone
        rr.append(60.0 / rate * (1 + breath + 0.005 * rng.normal()))
        time_s += rr[-1]
    return np.array(rr)


def tachycardia_rr(n_before, n_inside, n_after, *, rest_s=0.85, cycle_s=0.4, seed=0):
    """RR of sinus rhythm, a tachycardia that begins and ends at once, and sinus rhythm; and which beats are inside."""
    rng = np.random.default_rng(seed)

    def sinus(n):
        return rest_s * (1 + 0.03 * np.sin(1.3 * np.arange(n)) + 0.01 * rng.normal(size=n))

    inside = np.r_[0.6 * rest_s, cycle_s * (1 + 0.01 * rng.normal(size=n_inside - 1))]
    rr_s = np.r_[sinus(n_before), inside, 1.3 * rest_s, sinus(n_after - 1)]
    number = np.arange(len(rr_s)) - n_before
    return rr_s, (number >= 0) & (number < n_inside)


def lead_ii(rr_s, *, ectopic_p=None, seed=0):
    """Lead II in mV at FS_HZ of beats with these RR, shape (n,), and the times of the beats.

    PR and QT shorten with RR, so that P falls into T above 130 bpm. ``ectopic_p`` says which beats have another P wave.
    """
    rng = np.random.default_rng(seed)
    time_s = 1.0 + np.cumsum(rr_s)
    signal = np.zeros(int((time_s[-1] + 1.5) * FS_HZ))
    for at_s, rr, other in zip(time_s, rr_s, np.zeros(len(rr_s)) if ectopic_p is None else ectopic_p, strict=True):
        qt, pr = rr ** (1 / 3), min(1.0, 0.55 + 0.45 * rr)
        p = np.array(ECTOPIC_P if other else P_WAVE) * [pr, 1, 1, 1, 1]
        waves = np.vstack([p, QRS, np.array(T_WAVE) * [qt, qt, 1, 1, 1]])
        centre_s, sigma_s, size_mv = waves[:, 0] / 1000, waves[:, 1] / 1000, waves[:, 2:] @ LEAD_II
        first = int((at_s - 0.4) * FS_HZ)
        part = slice(max(first, 0), int((at_s + 0.6) * FS_HZ))
        offset_s = np.arange(part.start, part.stop) / FS_HZ - at_s
        shape = np.exp(-0.5 * ((offset_s - centre_s[:, None]) / sigma_s[:, None]) ** 2)
        signal[part] += size_mv * (1 + 0.02 * rng.normal(size=len(size_mv))) @ shape
    return (signal + NOISE_MV * rng.normal(size=len(signal))).astype(np.float32), time_s
