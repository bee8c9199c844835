"""Write the demo record: a simulated 12-lead recording of 30 minutes with its reference annotations.

The heart is one dipole (McSharry 2003, doi:10.1109/TBME.2003.808805; Sameni 2007, doi:10.1155/2007/43407): each wave is
a sum of Gaussian lobes in time along directions in space. Dower's leads turn the dipole into electrode potentials, the
noise is added at the electrodes, and the twelve leads are differences of electrodes; Einthoven's and Goldberger's laws
hold therefore by construction. Differs from both papers: no phase oscillator, the beats follow the programme below.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, cycle, groupby
from pathlib import Path

import numpy as np
import wfdb
from numpy.typing import NDArray
from scipy import signal
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Section:
    """A stretch of the programme: ``phrases`` come one after the other, ``gap`` (min, max) normal beats before each.

    Letters of a phrase: V and W ventricular ectopics of two foci, A atrial ectopic, P normal beat after a sinus pause.
    """

    seconds: float
    rate_bpm: float
    phrases: tuple[str, ...] = ("",)
    gap: tuple[int, int] = (1, 1)
    rhythm: str = "(N"  # WFDB rhythm note


AF = "(AFIB"
PROGRAMME = (
    Section(120, 66),  #                                              00:00 calm sinus rhythm
    Section(240, 70, ("V",), (7, 13)),  #                             02:00 single PVCs of the first focus
    Section(180, 75, ("V", "A", "VV", "W"), (6, 10)),  #              06:00 both foci, couplets, PACs
    Section(60, 72, ("V",), (1, 1), "(B"),  #                         09:00 bigeminy
    Section(90, 72, ("V",), (2, 2), "(T"),  #                         10:00 trigeminy
    Section(150, 78, ("A", "A", "AA", "A"), (4, 8)),  #               11:30 PACs and atrial couplets
    Section(60, 74, ("VVVVVVV",), (37, 37)),  #                       14:00 a ventricular run of 7
    Section(240, 90, ("W",), (50, 70), AF),  #                        15:00 atrial fibrillation, a few PVCs
    Section(120, 76, ("A",), (3, 6)),  #                              19:00 PACs
    Section(30, 74, ("AAAAAA",), (20, 20)),  #                        21:00 an atrial run of 6
    Section(60, 62, ("P",), (36, 36)),  #                             21:30 a sinus pause
    Section(120, 68),  #                                              22:30 sinus rhythm, the unusable stretch
    Section(180, 82, ("A", "V", "A", "W", "A", "VW"), (5, 9)),  #     24:30 everything mixed, faster
    Section(150, 64),  #                                              27:30 calm sinus rhythm, V5 comes off
)

# Artefacts, in seconds from the start; both lie in plain sinus rhythm, so that no ectopic is hidden in them.
UNUSABLE_S = (1400.0, 1430.0)  # every electrode: no beat is visible here
LEAD_OFF = ("V5", 1730.0, 1750.0)  # an electrode that came off: its lead shows a flat line
MOTION_EVENTS = 26  # short movements of one electrode, anywhere

FS_HZ = 257  # as the INCART Holter recordings: not a multiple of any rate that a program resamples to
SECTION_START_S = list(accumulate((section.seconds for section in PROGRAMME[:-1]), initial=0.0))
DURATION_S = sum(section.seconds for section in PROGRAMME)
N_SAMPLES = round(DURATION_S * FS_HZ)
TIME_S = np.arange(N_SAMPLES) / FS_HZ
START = datetime(2001, 1, 1, 8, 0)  # invented, so that clock times can be shown
SEED = 20010101
GAIN, LIMIT = 400, 2047  # counts per mV and largest count: steps of 2.5 uV to +-5.1 mV in the 12 bits of format 212
COMMENTS = ["Simulated record: not a patient", "Made by: python demo_data/make_demo.py"]

# Timing as fractions of the sinus RR unless noted otherwise: (mean, standard deviation).
COUPLING = {"V": (0.62, 0.018), "W": (0.67, 0.025), "A": (0.66, 0.035)}  # prematurity 25-45 %, nearly fixed by focus
PREMATURE = (0.55, 0.75)  # the bounds of these 25-45 %
AFTER_ATRIAL = (1.08, 0.03)  # the ectopic resets the sinus node: a pause that does not compensate
RUN_CYCLE_S = {"V": (0.40, 0.012), "W": (0.40, 0.012), "A": (0.43, 0.012)}  # 150 and 140 bpm, in couplets too
PAUSE_S = 3.4  # above the 3 s from which a pause is counted
AF_SHORTEST_S, AF_SHAPE = 0.36, 3.2  # refractory AV node; gamma-distributed rest: CV 0.28 at 90 bpm
RSA, MAYER, DRIFT = 0.030, 0.020, 0.026  # fraction of RR: respiration 0.25 Hz, Mayer waves 0.1 Hz, 1/f; SDNN 30-40 ms

# Lobes: (centre ms from the R peak, sigma ms, left, down, back in mV). Axes as in Dower's matrix.
P_WAVE = ((-162, 17, 0.03, 0.08, -0.06), (-132, 19, 0.08, 0.05, 0.05))  # right atrium, then left; PR 160 ms
ECTOPIC_P = ((-142, 16, -0.02, -0.07, -0.04), (-116, 16, 0.05, -0.05, 0.02))  # from low in the atrium: inverted
QRS = (
    (-25, 7, -0.15, -0.06, -0.16),  # septum, to the right and front: q in I and V6, r in V1
    (-13, 8, 0.22, 0.16, -0.30),  # apex and front: r in V2 and V3
    (0, 10, 1.05, 0.92, 0.36),  # free wall of the left ventricle: R
    (20, 10, -0.12, -0.14, 0.66),  # base, to the back: S in V1 to V3
)
T_WAVE = ((222, 48, 0.13, 0.08, -0.06), (268, 34, 0.19, 0.13, -0.09))  # at RR 1 s; rises slower than it falls
ABERRANT = ((44, 11, -0.30, -0.06, -0.28),)  # late right ventricle: incomplete right bundle branch block
ABERRANT_PROBABILITY = 0.12  # of the atrial ectopics
PVC = {  # 160 ms wide; half-width as in Holter leads (80 ms); the last lobe is T, opposite to QRS
    "V": (  # outflow tract of the right ventricle: LBBB-like, inferior axis
        (-31, 15, 0.35, 0.65, 0.10),
        (0, 15, 0.75, 1.25, 0.60),
        (32, 16, 0.55, 1.00, 0.95),
        (60, 14, 0.10, 0.15, 0.40),
        (275, 58, -0.34, -0.60, -0.46),
    ),
    "W": (  # back wall of the left ventricle: RBBB-like, superior axis
        (-31, 15, -0.10, -0.60, -0.60),
        (0, 15, -0.45, -1.25, -0.90),
        (32, 16, -0.60, -0.95, -0.60),
        (60, 14, -0.40, -0.30, -0.10),
        (280, 58, 0.38, 0.58, 0.44),
    ),
}
JITTER = {"N": 0.03, "A": 0.04, "V": 0.05, "W": 0.05}  # of each lobe's size, from beat to beat
BREATH_AXIS_DEG, POSTURE_AXIS_DEG = 4.0, 5.0  # the heart turns with respiration and, slowly, with posture
F_WAVE = (-0.045, 0.040, -0.065)  # mV: 0.09 in V1, 0.04 in II
F_WAVE_HZ = 6.0

# Noise at each electrode, mV: small against a P wave of 0.15 mV most of the time, above the QRS where unusable.
WANDER_MV, BREATH_MV = 0.08, 0.04
MUSCLE_MV, MUSCLE_BURST_MV = 0.006, 0.045
HUM_MV, MOTION_MV = 0.003, (0.25, 0.9)
UNUSABLE_MUSCLE_MV, UNUSABLE_MOTION_MV = 0.35, 1.1

SYMBOL = {"N": "N", "A": "A", "V": "V", "W": "V"}  # WFDB symbol of each kind of beat
RUN_RHYTHM = {"V": "(VT", "W": "(VT", "A": "(SVTA"}
RUN_MIN_BEATS = 3  # EC57: three and more ectopics in a row are a run
NOTE_BEFORE_S = 0.1  # a rhythm note stands just before its first beat

LEADS = ("I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6")
ELECTRODES = ("RA", "LA", "LL", "V1", "V2", "V3", "V4", "V5", "V6")
# I, II, V1 to V6 from left, down and back: Dower 1980, Clin Cardiol 3:87; its inverse: Edenbrandt & Pahlm 1988
DOWER = np.array(((0.632, 0.235, -0.515, 0.044, 0.882, 1.213, 1.125, 0.831),
                  (-0.235, 1.066, 0.157, 0.164, 0.098, 0.127, 0.127, 0.076),
                  (0.059, -0.132, -0.917, -1.387, -1.277, -0.601, -0.086, 0.230))).T  # fmt: skip


@dataclass(frozen=True)
class Beat:
    """One beat of the plan."""

    time_s: float
    kind: str  # N, A, V or W
    rr_s: float  # smoothed: it sets the QT
    rhythm: str  # of its section


def band_noise(rng: np.random.Generator, n_rows: int, low_hz: float, high_hz: float) -> Array:
    """Gaussian noise of unit variance between two frequencies, shape (n_rows, N_SAMPLES)."""
    sections = signal.butter(2, (low_hz, high_hz), "bandpass", fs=FS_HZ, output="sos")
    noise = signal.sosfilt(sections, rng.standard_normal((n_rows, N_SAMPLES)), axis=1)
    return noise / noise.std(axis=1, keepdims=True)


def slow_noise(rng: np.random.Generator, n_rows: int, *, step_s: float = 1.0) -> Array:
    """1/f noise of unit variance with a value each ``step_s``, interpolated; shape (n_rows, N_SAMPLES)."""
    n_steps = round(DURATION_S / step_s) + 1
    frequency_hz = np.fft.rfftfreq(n_steps, step_s)
    scale = np.r_[0.0, frequency_hz[1:] ** -0.5]
    coarse = np.fft.irfft(np.fft.rfft(rng.standard_normal((n_rows, n_steps))) * scale, n_steps)
    coarse /= coarse.std(axis=1, keepdims=True)
    return np.stack([np.interp(TIME_S, np.arange(n_steps) * step_s, row) for row in coarse])


def breathing(rng: np.random.Generator) -> Array:
    """Respiration as a sine of slowly changing rate about 0.25 Hz, -1 to 1, shape (N_SAMPLES,)."""
    rate_hz = 0.25 * (1 + 0.08 * slow_noise(rng, 1, step_s=10.0)[0])
    return np.sin(2 * np.pi * np.cumsum(rate_hz) / FS_HZ)


def sinus_rr(rng: np.random.Generator, breath: Array) -> Array:
    """RR in seconds that the sinus node would give at each sample: the programme's rate with its variability."""
    middle_s = [start + section.seconds / 2 for start, section in zip(SECTION_START_S, PROGRAMME, strict=True)]
    rate_bpm = np.interp(TIME_S, middle_s, [section.rate_bpm for section in PROGRAMME])
    mayer = np.sin(2 * np.pi * 0.1 * TIME_S + slow_noise(rng, 1, step_s=10.0)[0])
    return 60 / rate_bpm * (1 + RSA * breath + MAYER * mayer + DRIFT * slow_noise(rng, 1)[0])


def letters(section: Section, rng: np.random.Generator) -> Iterator[str]:
    """Beats of a section, without end: normal beats, a phrase, normal beats, the next phrase."""
    for phrase in cycle(section.phrases):
        yield from "N" * int(rng.integers(*section.gap, endpoint=True)) + phrase


def draw_rr(rng: np.random.Generator, before: str, kind: str, sinus_s: float, last_s: float) -> float:
    """RR in seconds from a beat ``before`` (which came ``last_s`` after its own predecessor) to one of ``kind``."""
    if kind == "P":
        return PAUSE_S
    if kind != "N" and RUN_RHYTHM[kind] == RUN_RHYTHM.get(before):
        return rng.normal(*RUN_CYCLE_S[kind])
    if kind in COUPLING:
        return sinus_s * float(np.clip(rng.normal(*COUPLING[kind]), *PREMATURE))
    if before == "A":
        return sinus_s * rng.normal(*AFTER_ATRIAL)
    if before in "VW":  # the sinus node was not reset: two cycles from the beat before the ectopic
        return max(2 * sinus_s - last_s, 1.2 * sinus_s)
    return sinus_s


def plan_beats(rng: np.random.Generator, sinus: Array) -> list[Beat]:
    """Beats of the whole programme in time order."""
    beats: list[Beat] = []
    time_s, before, last_s, qt_rr_s = 0.0, "N", 0.0, float(sinus[0])
    for start_s, section in zip(SECTION_START_S, PROGRAMME, strict=True):
        for kind in letters(section, rng):
            sinus_s = float(sinus[min(int(time_s * FS_HZ), N_SAMPLES - 1)])
            if section.rhythm == AF and kind == "N":
                rr_s = AF_SHORTEST_S + rng.gamma(AF_SHAPE, (60 / section.rate_bpm - AF_SHORTEST_S) / AF_SHAPE)
                rr_s *= 1.3 if before == "W" else 1.0  # concealed conduction lengthens the cycle after a PVC
            else:
                rr_s = draw_rr(rng, before, kind, sinus_s, last_s)
            if time_s + rr_s > min(start_s + section.seconds, DURATION_S - 0.5):
                break
            time_s, before, last_s = time_s + rr_s, kind.replace("P", "N"), rr_s
            qt_rr_s += 0.25 * (min(rr_s, 1.3) - qt_rr_s)  # QT follows the rate within a few beats
            beats.append(Beat(time_s, before, qt_rr_s, section.rhythm))
    return beats


def lobes(beat: Beat, rng: np.random.Generator) -> Array:
    """Lobes of one beat with random variation, shape (n, 5): centre_s, sigma_s, left, down, back."""
    qt = beat.rr_s ** (1 / 3)  # Fridericia
    if beat.kind in PVC:
        *depolarisation, repolarisation = np.array(PVC[beat.kind], float)
        waves = np.array([*depolarisation, repolarisation * [qt, 1, 1, 1, 1]])
    else:
        p_wave = () if beat.rhythm == AF else ECTOPIC_P if beat.kind == "A" else P_WAVE
        late = ABERRANT if beat.kind == "A" and rng.random() < ABERRANT_PROBABILITY else ()
        waves = np.array([*p_wave, *QRS, *late, *(np.array(T_WAVE) * [qt, qt, 1, 1, 1])], float)
    waves[:, :2] /= 1000.0
    waves[:, 1] *= rng.normal(1, 0.02, len(waves))
    waves[:, 2:] *= rng.normal(1, JITTER[beat.kind], (len(waves), 1))
    return waves


def beat_dipole(rng: np.random.Generator, beats: list[Beat], breath: Array) -> Array:
    """Heart dipole of all beats in mV, shape (3, N_SAMPLES)."""
    before, after = round(0.3 * FS_HZ), round(0.6 * FS_HZ)
    dipole = np.zeros((3, N_SAMPLES + before + after))
    posture_deg = POSTURE_AXIS_DEG * slow_noise(rng, 1, step_s=60.0)[0]
    for beat in beats:
        peak = round(beat.time_s * FS_HZ)
        waves = lobes(beat, rng)
        time_s = np.arange(peak - before, peak + after) / FS_HZ - beat.time_s
        shape = np.exp(-0.5 * ((time_s - waves[:, :1]) / waves[:, 1:2]) ** 2)
        size = 1 + 0.03 * breath[peak]  # an inflated chest conducts differently
        axis_deg = BREATH_AXIS_DEG * breath[peak] + posture_deg[peak]  # frontal; half of it in the horizontal plane
        vectors = Rotation.from_euler("zy", [axis_deg, axis_deg / 2], degrees=True).apply(waves[:, 2:]).T
        dipole[:, peak : peak + before + after] += size * vectors @ shape
    return dipole[:, before:-after]


def fibrillation_dipole(rng: np.random.Generator) -> Array:
    """F waves in mV while the atria fibrillate, shape (3, N_SAMPLES)."""
    phase = 2 * np.pi * np.cumsum(F_WAVE_HZ * (1 + 0.08 * slow_noise(rng, 1, step_s=0.5)[0])) / FS_HZ
    wave = np.sin(phase) + 0.35 * np.sin(2 * phase + 0.6)  # steeper on one side, as a sawtooth
    wave *= np.clip(1 + 0.3 * slow_noise(rng, 1)[0], 0.6, 1.6)
    fibrillates = [section.rhythm == AF for section in PROGRAMME]
    present = np.repeat(fibrillates, [round(section.seconds * FS_HZ) for section in PROGRAMME])
    return np.array(F_WAVE)[:, None] * wave * present


def motion(rng: np.random.Generator) -> Array:
    """Short movements of single electrodes in mV: a push that decays within a second, shape (9, N_SAMPLES)."""
    moved = np.zeros((len(ELECTRODES), N_SAMPLES))
    time_s = np.arange(2 * FS_HZ) / FS_HZ
    for _ in range(MOTION_EVENTS):
        rise_s, fall_s = rng.uniform(0.05, 0.15), rng.uniform(0.25, 0.5)
        push = (1 - np.exp(-time_s / rise_s)) * np.exp(-time_s / fall_s)
        at = int(rng.integers(N_SAMPLES - len(time_s)))
        size_mv = rng.choice([-1, 1]) * rng.uniform(*MOTION_MV)
        moved[rng.integers(len(ELECTRODES)), at : at + len(time_s)] += size_mv * push / push.max()
    return moved


def electrode_noise(rng: np.random.Generator, breath: Array) -> Array:
    """Noise at each electrode in mV, shape (9, N_SAMPLES)."""
    n = len(ELECTRODES)
    start_s, end_s = UNUSABLE_S
    shaken = np.clip(np.minimum(TIME_S - start_s, end_s - TIME_S), 0, 1)  # comes and goes within a second
    bursts = np.clip(slow_noise(rng, 1, step_s=2.0)[0] - 1.0, 0, 1)  # a sixth of the time the muscles are tense
    muscle_mv = MUSCLE_MV + MUSCLE_BURST_MV * bursts + UNUSABLE_MUSCLE_MV * shaken
    hum = np.sin(2 * np.pi * (50 * TIME_S + rng.random((n, 1)))) * rng.uniform(0.3, 1.7, (n, 1))
    return (
        WANDER_MV * band_noise(rng, n, 0.02, 0.35)
        + BREATH_MV * rng.normal(0, 1, (n, 1)) * breath
        + muscle_mv * band_noise(rng, n, 20, 100)
        + UNUSABLE_MOTION_MV * shaken * band_noise(rng, n, 0.8, 12)
        + HUM_MV * hum
        + motion(rng)
    )


def project(dipole: Array, noise: Array) -> Array:
    """Twelve leads from the dipole (3, n) through the nine electrodes and their noise (9, n): shape (12, n)."""
    lead_i, lead_ii, *chest = DOWER @ dipole
    right = -(lead_i + lead_ii) / 3  # potentials against Wilson's terminal, the mean of the limbs
    ra, la, ll, *chest = np.vstack([right, lead_i + right, lead_ii + right, *chest]) + noise
    limb = [la - ra, ll - ra, ll - la, ra - (la + ll) / 2, la - (ra + ll) / 2, ll - (ra + la) / 2]
    return np.vstack([limb, np.array(chest) - (ra + la + ll) / 3])


def annotation_rows(beats: list[Beat]) -> list[tuple[int, str, int, str]]:
    """Rows (sample, symbol, subtype, aux): beats, "+" at each change of rhythm, "~" around the unusable stretch."""
    rows = [(round(UNUSABLE_S[0] * FS_HZ), "~", -1, ""), (round(UNUSABLE_S[1] * FS_HZ), "~", 0, "")]
    before = ""
    for run_rhythm, group in groupby(beats, key=lambda beat: RUN_RHYTHM.get(beat.kind)):
        same = list(group)
        for beat in same:
            rhythm = run_rhythm if run_rhythm and len(same) >= RUN_MIN_BEATS else beat.rhythm
            if rhythm != before:
                rows.append((round((beat.time_s - NOTE_BEFORE_S) * FS_HZ), "+", 0, rhythm))
            rows.append((round(beat.time_s * FS_HZ), SYMBOL[beat.kind], 0, ""))
            before = rhythm
    return sorted(rows)


def simulate() -> tuple[Array, list[Beat]]:
    """Twelve leads in mV, shape (12, N_SAMPLES), and the beats in them."""
    rng = np.random.default_rng(SEED)
    breath = breathing(rng)
    beats = plan_beats(rng, sinus_rr(rng, breath))
    leads = project(beat_dipole(rng, beats, breath) + fibrillation_dipole(rng), electrode_noise(rng, breath))
    name, start_s, end_s = LEAD_OFF
    leads[LEADS.index(name), round(start_s * FS_HZ) : round(end_s * FS_HZ)] = 0.0
    return leads, beats


def write_demo(folder: Path) -> Counter[str]:
    """Write demo.hea, demo.dat and demo.atr into ``folder``, which must exist; return the count of each beat symbol."""
    leads, beats = simulate()
    n = len(LEADS)
    counts = np.clip(np.rint(leads.T * GAIN), -LIMIT, LIMIT).astype(np.int64)
    form = {"fmt": ["212"] * n, "adc_gain": [GAIN] * n, "baseline": [0] * n, "units": ["mV"] * n}
    names = {"sig_name": list(LEADS), "base_time": START.time(), "base_date": START.date()}
    wfdb.wrsamp("demo", FS_HZ, d_signal=counts, comments=COMMENTS, write_dir=str(folder), **form, **names)
    sample, symbol, subtype, aux = (np.array(column) for column in zip(*annotation_rows(beats), strict=True))
    wfdb.wrann("demo", "atr", sample, symbol, subtype=subtype, aux_note=list(aux), write_dir=str(folder))
    return Counter(SYMBOL[beat.kind] for beat in beats)


def main() -> None:
    """Write the record and print the number of its beats."""
    parser = argparse.ArgumentParser(description="Write the simulated demo record.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder (default: beside this script)")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    counts = write_demo(folder)
    print(f"{folder / 'demo'}: " + ", ".join(f"{count} {symbol}" for symbol, count in sorted(counts.items())))


if __name__ == "__main__":
    main()
