"""Recordings of beats whose form nobody has: each simulated, with P, QRS and T of random lobes, and V of others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecg_core.schema import Annotations, Float32, Float64, Record

FS_HZ, DURATION_S = 250.0, 900.0
RR_S, RR_DEVIATION_S = 0.8, 0.03
V_SHARE, V_RR, AFTER_V_RR = 0.08, 0.65, 1.35  # of the beats; RR before and after one, of the usual RR
# Lobes of a beat: how many, their centres and widths in seconds, and their largest amplitude in mV
P, T = (1, (-0.17, -0.15), (0.015, 0.025), 0.15), (1, (0.2, 0.3), (0.04, 0.06), 0.3)
QRS = (3, (-0.03, 0.03), (0.008, 0.02), 1.0)
WIDE_QRS, WIDE_T = (4, (-0.08, 0.08), (0.02, 0.05), 1.5), (1, (0.25, 0.35), (0.06, 0.08), 0.5)
NOISE_MV, WANDER_MV, WANDER_HZ = 0.02, 0.1, 0.2
N_LEADS, BEAT_HALF_S = 2, 0.5

Lobes = tuple[int, tuple[float, float], tuple[float, float], float]


@dataclass(frozen=True, eq=False)
class SimulatedSource:
    """Samples in memory."""

    signal_mv: Float32

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """See ``SignalSource``."""
        return np.asarray(self.signal_mv[list(leads), start:stop], dtype=np.float32)


def simulated_record(seed: int) -> Record:
    """A recording with normal beats of one form and ventricular beats of another one, with its reference."""
    rng = np.random.default_rng(seed)
    is_v = rng.random(round(DURATION_S / RR_S)) < V_SHARE
    rr_s = RR_S + RR_DEVIATION_S * rng.standard_normal(len(is_v))
    rr_s *= np.where(is_v, V_RR, np.where(np.roll(is_v, 1), AFTER_V_RR, 1.0))
    time_s = np.cumsum(rr_s)
    inside = time_s < DURATION_S - 1
    time_s, is_v = time_s[inside], is_v[inside]
    n = round(DURATION_S * FS_HZ)
    phase = 2 * np.pi * WANDER_HZ * np.arange(n) / FS_HZ
    signal = NOISE_MV * rng.standard_normal((N_LEADS, n)) + WANDER_MV * np.sin(phase)
    for parts, some in (((P, QRS, T), time_s[~is_v]), ((WIDE_QRS, WIDE_T), time_s[is_v])):
        _add(signal, [_beat(parts, rng) for _ in range(N_LEADS)], some)
    marks = Annotations(time_s, np.where(is_v, "V", "N"), np.full(len(time_s), ""))
    return Record(
        f"simulated{seed}", SimulatedSource(signal.astype(np.float32)), FS_HZ, n, ("ECG1", "ECG2"), (True,) * N_LEADS,
        comments=("simulated record",), reference=marks,
    )  # fmt: skip


def _beat(parts: tuple[Lobes, ...], rng: np.random.Generator) -> Float64:
    """The form of a beat in one lead, in mV."""
    at_s = np.arange(-round(BEAT_HALF_S * FS_HZ), round(BEAT_HALF_S * FS_HZ)) / FS_HZ
    form = np.zeros(len(at_s))
    for count, centre_s, width_s, most_mv in parts:
        for _ in range(count):
            lobe = np.exp(-0.5 * ((at_s - rng.uniform(*centre_s)) / rng.uniform(*width_s)) ** 2)
            form += rng.choice((-1, 1)) * rng.uniform(0.3, 1) * most_mv * lobe
    return form


def _add(signal: Float64, forms: list[Float64], time_s: Float64) -> None:
    """Add the form of each lead at each time."""
    for first in np.rint((time_s - BEAT_HALF_S) * FS_HZ).astype(int).tolist():
        for lead, form in enumerate(forms):
            place = slice(max(first, 0), first + len(form))
            signal[lead, place] += form[max(-first, 0) :][: signal[lead, place].shape[0]]
