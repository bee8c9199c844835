"""The numbers of the augmentation, each with its reason.

A probability is that of a crop being changed in this way. A pair is the range that a number is drawn from, uniformly
unless said otherwise. RR intervals are changed by factors.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LeadChanges:
    """Other electrode positions and other recorders."""

    mix_probability: float = 0.35  # two leads are added: a new direction of view on the same heart
    mix_weight: tuple[float, float] = (-0.8, 0.8)  # of the second lead; below 1, so that the first one prevails
    invert_probability: float = 0.15  # swapped electrodes, and leads such as aVR
    lowpass_probability: float = 0.3
    lowpass_hz: tuple[float, float] = (15.0, 38.0)  # from a strong muscle filter to that of a monitor
    lowpass_order: int = 2
    highpass_probability: float = 0.3
    highpass_hz: tuple[float, float] = (0.5, 1.2)  # baseline filters of ambulatory recorders and monitors
    highpass_order: int = 1  # a single RC element


@dataclass(frozen=True)
class NoiseChanges:
    """Recorded noise, added at a random level."""

    probability: float = 0.6
    snr_db: tuple[float, float] = (-5.0, 18.0)  # where the noise is loudest; nstdb's own is measured at its softest
    swells: int = 8  # the level changes about every 20 s of a crop
    swell_exponent: tuple[float, float] = (0.5, 2.0)  # above 1 most of the crop is quiet, below 1 most is loud
    burst_phase: tuple[float, float] = (0.0, 7.0)  # rad: a little more than a cycle, so that bursts begin anywhere


@dataclass(frozen=True)
class RhythmChanges:
    """Other heart rates, and regular changes of the rate."""

    min_beats: int = 3  # with fewer beats there is no rhythm to change
    rate_probability: float = 0.4
    rr_factor: tuple[float, float] = (0.6, 1.3)  # from effort to rest
    drift_probability: float = 0.3  # the rate drifts as with effort; no beat is premature there
    drift_knots: tuple[int, int] = (3, 7)  # turning points in a crop, the upper bound excluded
    sinus_arrhythmia_probability: float = 0.3
    sinus_arrhythmia_depth: tuple[float, float] = (0.0, 0.12)  # standard deviation of the logarithm of RR
    sinus_arrhythmia_beats: int = 6  # smoothing window of random changes: about the length of a breath
    steady_log_rr: float = 0.06  # in sinus rhythm the median change of log RR from beat to beat is smaller
    steady_min_intervals: int = 20  # fewer normal RR do not show whether a rhythm is regular


@dataclass(frozen=True)
class BlockedBeats:
    """P waves that are not conducted: QRS and T wave are taken out, the P wave stays."""

    probability: float = 0.1
    max_fraction: float = 0.25  # of the normal beats
    from_s: float = -0.1  # from the QRS on, after the P wave ...
    to_s: float = 0.5  # ... to the end of the T wave


@dataclass(frozen=True)
class Fibrillation:
    """Simulated atrial fibrillation."""

    probability: float = 0.4
    paroxysmal_probability: float = 0.8  # in episodes; otherwise throughout the crop
    max_episodes: int = 3
    episode_beats: tuple[int, int] = (12, 200)  # the upper bound excluded
    edge_s: float = 0.2  # the fibrillatory waves fade in and out, so that an episode does not begin with a step
    p_kept_probability: float = 0.4  # P waves are easily missed, so an irregular rhythm alone must suffice
    rr_factor: tuple[float, float] = (0.6, 1.1)  # conducted at the usual rate or faster
    log_rr_spread: tuple[float, float] = (0.12, 0.3)  # standard deviation of log RR in patients
    usual_rr_beats: int = 9  # a median of so many RR: a premature beat or a pause before has no part in it
    wave_hz: tuple[float, float] = (4.0, 9.0)  # fibrillatory waves
    wave_hz_spread: float = 0.5  # standard deviation of their rate from second to second
    wave_overtone: tuple[float, float] = (0.0, 0.5)  # from sine waves to saw teeth
    wave_height: tuple[float, float] = (0.0, 0.07)  # of the usual QRS: from invisible to coarse


@dataclass(frozen=True)
class PrematureBeats:
    """Which normal beats become premature, for atrial and ventricular beats alike."""

    log10_rate: tuple[float, float] = (-2.3, -0.8)  # lone beats: from one in 200 to one in 6
    groups: tuple[int, int] = (0, 4)  # stretches of bigeminy and its like in a crop, the upper bound excluded
    group_beats: tuple[int, int] = (4, 40)  # length of a stretch, the upper bound excluded
    every: tuple[int, ...] = (1, 2, 3, 4)  # a run, bigeminy, trigeminy, quadrigeminy
    run_shortening: int = 3  # a run is shorter than a stretch of bigeminy by this factor


@dataclass(frozen=True)
class AtrialBeats:
    """Premature atrial beats: a normal beat moved forward in time."""

    probability: float = 0.3  # of the crops of a regular heart
    dominant_probability: float = 0.0  # of these: atrial runs fill most of the crop, as in sick sinus syndrome
    dominant_beats: tuple[int, int] = (4, 80)  # length of such a run, the upper bound excluded ...
    dominant_gap: tuple[int, int] = (1, 9)  # ... and the normal beats up to the next one
    earliest: tuple[float, float] = (0.5, 0.7)  # the shortest RR of a patient's beats, as a factor of the usual RR ...
    latest: float = 0.88  # ... and the longest: what comes later is not visibly premature
    run_spread: float = 0.03  # of the RR in a run; what is more irregular is fibrillation
    pause: tuple[float, float] = (0.95, 1.25)  # RR after the last one: the sinus node is reset
    other_p_probability: float = 0.8  # the focus is not near to the sinus node
    hidden_p_probability: float = 0.2  # of these: a junctional beat, with the P wave in the QRS
    p_from_s: float = -0.26  # where a P wave lies before the QRS ...
    p_to_s: float = -0.06
    p_fade_s: float = 0.05  # ... and how gently it is taken out
    p_width_s: tuple[float, float] = (0.015, 0.035)  # standard deviation of the new P wave
    p_place_s: tuple[float, float] = (-0.21, -0.09)  # its centre, from the QRS
    p_height: tuple[float, float] = (-0.12, 0.15)  # of the usual QRS; below zero it is inverted
    p_half_samples: int = 12  # the new wave is drawn so far on either side: 0.1 s


@dataclass(frozen=True)
class AberrantConduction:
    """A bundle branch that is late in an early beat bends its QRS and its T wave.

    Heights are in units of the usual QRS, times are from the R peak.
    """

    probability: float = 0.6  # of the crops with premature atrial beats
    early_height_spread: float = 0.15  # standard deviation of the wave in the first half of the QRS ...
    late_height_spread: float = 0.35  # ... and of the one in the second half, where a late branch shows
    early_at_s: tuple[float, float] = (-0.03, 0.02)
    late_at_s: tuple[float, float] = (0.03, 0.09)
    t_at_s: tuple[float, float] = (0.22, 0.3)
    early_width_s: tuple[float, float] = (0.01, 0.02)  # standard deviations
    late_width_s: tuple[float, float] = (0.012, 0.03)
    t_width_s: tuple[float, float] = (0.04, 0.06)
    t_per_late_height: float = -0.4  # at most: the T wave points away from the late part of the QRS
    from_s: float = -0.12  # the waves are drawn from here ...
    to_s: float = 0.45  # ... to here
    degree_spread: float = 0.25  # from beat to beat, of a degree between 0 and 1


@dataclass(frozen=True)
class VentricularBeats:
    """Ventricular beats of another patient in place of normal beats."""

    probability: float = 0.4
    from_s: float = -0.28  # excerpt of a beat: the start of a wide QRS ...
    to_s: float = 0.48  # ... to the end of its T wave
    focus_beats: int = 5  # consecutive lone beats of a patient are taken as beats of one focus
    polarities: tuple[int, ...] = (-1, 1, 1, 1)  # one crop in four has them inverted
    height: tuple[float, float] = (0.7, 1.4)  # factor
    slow_probability: float = 0.15  # an idioventricular rhythm instead of premature beats
    slow_beats: tuple[int, int] = (4, 60)  # its length, the upper bound excluded
    slow_rr: tuple[float, float] = (0.9, 1.4)  # RR as a factor of the usual RR: not premature
    premature_probability: float = 0.85  # of the others ...
    premature_rr: tuple[float, float] = (0.5, 0.9)
    late_rr: float = 1.0  # ... the rest are late, next to the sinus beat that is expected
    rr_jitter: tuple[float, float] = (-0.05, 0.05)  # the coupling of a focus is nearly fixed
    compensated_probability: float = 0.7  # the pause makes up for the early beat: two RR together are two cycles
    shortest_pause: float = 0.8
    other_pause: tuple[float, float] = (1.0, 1.2)  # RR after the last one where the pause does not compensate


@dataclass(frozen=True)
class Retiming:
    """RR is changed between T wave and P wave; these parts of a beat keep their shape.

    Of each pair of limits the shorter one applies: seconds, or a fraction of the RR.
    """

    before_s: float = 0.25  # P wave and PR
    before_rr: float = 0.3
    after_s: float = 0.36  # QRS and T wave
    after_rr: float = 0.4
    qrs_s: float = 0.12  # where too little is left to shorten, only the QRS keeps its shape
    qrs_rr: float = 0.15
    min_loose: float = 0.2  # "too little": less than this fraction of what lies between T wave and P wave
    min_stretch: float = 0.15  # what lies between is never shortened below this fraction


@dataclass(frozen=True)
class DetectorErrors:
    """What a beat detector does to positions."""

    jitter_samples: float = 2.0  # standard deviation from the reference annotation
    missed_probability: float = 0.01  # of each beat
    extra_probability: float = 0.015  # of a false beat, for each beat


@dataclass(frozen=True)
class Augmentation:
    """All changes to training crops."""

    crop_s: float = 180.0  # long enough to show the patient's normal beat, short enough for many patients per step
    max_stretch: float = 1.12  # the sampling rate, and with it every wave, differs by up to this factor
    excerpt_factor: float = 2.0  # a faster heart needs more of the record: excerpts are this much longer than crops
    excerpt_margin: int = 2  # samples for the interpolation at the end
    fade_s: float = 0.03  # waves that are taken out fade over this time
    lead: LeadChanges = LeadChanges()
    noise: NoiseChanges = NoiseChanges()
    rhythm: RhythmChanges = RhythmChanges()
    blocked: BlockedBeats = BlockedBeats()
    fibrillation: Fibrillation = Fibrillation()
    premature: PrematureBeats = PrematureBeats()
    atrial: AtrialBeats = AtrialBeats()
    aberrant: AberrantConduction = AberrantConduction()
    ventricular: VentricularBeats = VentricularBeats()
    retiming: Retiming = Retiming()
    detection: DetectorErrors = DetectorErrors()


AUGMENTATION = Augmentation()  # of the shipped models
