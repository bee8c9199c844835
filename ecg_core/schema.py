"""Every noun of the project as a frozen dataclass.

Times are seconds from the start of the record (suffix ``_s``), arrays are read-only views. Positions in samples exist
only in ``records``, ``signals`` and the first steps of ``classifier``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields
from datetime import datetime, time
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .certainty import NO_AF, AfVerdict, Calibration, ReplacedLead, SDoubt, TrainingDomain
from .edits import NO_CHANGES, Changes
from .labels import CLASSES, MATCH_WINDOW_S, UNLABELLED, Codes, class_codes, nearest
from .learning import LearningCheck
from .overrides import NO_OVERRIDES, FileState, LeftOut, RecordOverrides, hash_of
from .rules import OperatingPoint, RhythmRules

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
Text = NDArray[np.str_]
Index = NDArray[np.int64]  # positions of beats, samples or frames


class FrozenArrays:
    """Makes every array field of a dataclass read-only, so that no user of a shared result can change it."""

    def __post_init__(self) -> None:
        for item in fields(self):  # type: ignore[arg-type]
            value = getattr(self, item.name)
            if isinstance(value, np.ndarray):
                view = value.view()
                view.flags.writeable = False
                object.__setattr__(self, item.name, view)


@dataclass(frozen=True, eq=False)
class Annotations(FrozenArrays):
    """Annotations of a record: a symbol, and perhaps a note, at each of some times."""

    time_s: Float64  # (n,), ascending
    symbol: Text  # (n,), WFDB symbols
    aux: Text  # (n,), e.g. "(AFIB" at a rhythm change

    def codes_at(self, time_s: Float64) -> Codes:
        """Class of each beat at ``time_s`` (ascending) by the annotation within MATCH_WINDOW_S of it, else UNLABELLED.

        An annotation belongs to the beat nearest to it; where several belong to one beat, the last counts.
        """
        code, known = np.full(len(time_s), UNLABELLED), class_codes(self.symbol)
        if not len(time_s):
            return code
        beat, away_s = nearest(time_s, self.time_s)
        matched = (away_s <= MATCH_WINDOW_S) & (known != UNLABELLED)
        code[beat[matched]] = known[matched]
        return code


class SignalSource(Protocol):
    """Where a record's samples are stored; they are read piece by piece, never all at once."""

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """Samples [start, stop) of the leads in mV, shape (n_leads, stop - start); NaN where nothing was recorded."""
        ...


@dataclass(frozen=True, eq=False)
class Record:
    """A recording on disk: its metadata, and where its samples can be read."""

    record_id: str
    source: SignalSource = field(repr=False)
    fs_hz: float
    n_samples: int
    lead_names: tuple[str, ...]
    calibrated: tuple[bool, ...]  # per lead: False where the header states no gain (200 counts per mV is then assumed)
    start: datetime | None = None
    start_clock: time | None = None  # time of day of the start, where the file does not state the date
    left_out: tuple[LeftOut, ...] = ()  # channels that are not read
    doubts: tuple[str, ...] = ()  # what the file states and does not hold, sentences without their full stop
    comments: tuple[str, ...] = ()
    age_years: int | None = None  # None where the header's comments do not state it
    reference: Annotations | None = field(default=None, repr=False)
    overrides: RecordOverrides = NO_OVERRIDES  # in force for this record
    files: tuple[Path, ...] = field(default=(), repr=False)
    path: Path | None = field(default=None, repr=False)  # by which it was opened
    pieces: tuple[Record, ...] = field(default=(), repr=False)  # that it was joined from, in the order of their starts
    archive: Path | None = field(default=None, repr=False)  # whose unpacked ``files`` lie in a temporary folder
    opened: tuple[FileState, ...] = field(default=(), repr=False)  # of ``files``, when it was opened

    @property
    def duration_s(self) -> float:
        """Length of the recording in seconds."""
        return self.n_samples / self.fs_hz

    @property
    def is_simulated(self) -> bool:
        """Whether the header states that the record was simulated, not recorded from a patient."""
        return any(comment.lower().startswith("simulated record") for comment in self.comments)

    @cached_property
    def sha256(self) -> str:
        """Hash of the overrides and of all files by name, or of the pieces wherever they are; the key of caches."""
        if self.pieces:
            return hashlib.sha256(" ".join(piece.sha256 for piece in self.pieces).encode()).hexdigest()
        return hash_of(self.files, self.overrides)


@dataclass(frozen=True, eq=False)
class Lead(FrozenArrays):
    """An excerpt of one lead as recorded, not filtered."""

    name: str
    signal_mv: Float32  # (n,), NaN where nothing was recorded
    fs_hz: float
    start_s: float = 0.0


@dataclass(frozen=True, eq=False)
class Quality(FrozenArrays):
    """Signal quality of each analysed lead in consecutive blocks."""

    block_s: float
    score: Float32  # (n_leads, n_blocks), 0 (not analysable) .. 1 (clean)
    usable: Bool  # (n_blocks,): whether at least one analysed lead is analysable
    lost_s: Float64 = field(default_factory=lambda: np.zeros((0, 2)))  # of any length, in which no lead has a signal

    def usable_at(self, time_s: Float64) -> Bool:
        """Whether the block that holds each time is usable, shape of ``time_s``."""
        block = np.clip((np.asarray(time_s) / self.block_s).astype(int), 0, len(self.usable) - 1)
        return np.asarray(self.usable[block], dtype=bool)

    def score_at(self, time_s: Float64) -> Float32:
        """Score of the clearest lead in the block that holds each time, shape of ``time_s``."""
        block = np.clip((np.asarray(time_s) / self.block_s).astype(int), 0, self.score.shape[1] - 1)
        return np.asarray(self.score.max(axis=0)[block])

    def unusable_stretches(self, duration_s: float) -> list[tuple[float, float]]:
        """Start and end of each stretch that is not analysable, seconds."""
        edges = np.flatnonzero(np.diff(~self.usable, prepend=False, append=False))
        spans_s = np.minimum(edges.reshape(-1, 2) * self.block_s, duration_s)
        return [(start_s, end_s) for start_s, end_s in spans_s.tolist()]

    def lost_stretches(self) -> list[tuple[float, float]]:
        """Start and end of each stretch without a signal, seconds."""
        return [(start_s, end_s) for start_s, end_s in self.lost_s.tolist()]


@dataclass(frozen=True)
class ModelSpec:
    """What the weights need to be used as they were trained; stored as JSON beside them."""

    name: str
    fs_hz: float  # sampling rate of the network's input
    stride: int  # samples per frame of the trunk
    stem_channels: int
    channels: tuple[int, ...]  # of each residual stage
    token_size: int
    heads: int  # of the attention
    attention_half_s: float  # the attention spans this much before and after a beat
    hidden_size: int  # of the BiLSTM, each direction
    classes: tuple[str, ...]
    detection_threshold: float  # beat probability above which a frame can be a beat
    class_bias: tuple[float, ...]  # added to the logits; chosen on validation patients
    trained_on: tuple[str, ...]  # "database/record"
    validated_on: tuple[str, ...]
    seed: int
    recipe: str  # the command that trained it
    finds_af: bool = False  # whether the network gives a probability of atrial fibrillation at each beat
    trees: tuple[int, ...] = ()  # of the second stage, how many and of how many leaves; empty if there is none
    sha256: str = ""  # of the weights file
    int8_sha256: str = ""  # of the same network in 8-bit integers; empty where there is none, or torch runs it
    calibration: tuple[Calibration, ...] = ()  # for one lead, and for several together; empty if not calibrated
    operating_points: tuple[tuple[OperatingPoint, ...], ...] = ()  # likewise; the points of all modes, or none
    origin: str = ""  # of a user's own model, what it was adapted from and to, in words; empty for a shipped one
    domain: TrainingDomain | None = None  # None where its training recordings were not measured
    learned_sha256: tuple[str, ...] = ()  # of an adapted model, of the content of the recordings that it learned from

    @property
    def engine(self) -> str:
        """What runs the network, in words."""
        return "8-bit integers" if self.int8_sha256 else "single precision by PyTorch"

    def calibration_of(self, n_leads: int) -> Calibration | None:
        """The calibration for so many leads read together; None for a model that was not calibrated."""
        return self.calibration[min(n_leads, len(self.calibration)) - 1] if self.calibration else None

    def operating_points_of(self, n_leads: int) -> dict[str, OperatingPoint]:
        """The operating points for so many leads read together, by mode; empty for a model that states none."""
        of_leads = self.operating_points[min(n_leads, len(self.operating_points)) - 1] if self.operating_points else ()
        return {point.sensitivity: point for point in of_leads}


@dataclass(frozen=True, eq=False)
class Attention(FrozenArrays):
    """How the network weighted the signal around each beat to classify it; relative weights, not an explanation."""

    weight: NDArray[np.float16]  # (n_beats, n_steps), each row sums to 1
    offset_s: Float32  # (n_steps,), time of each step relative to the beat

    @property
    def step_s(self) -> float:
        """Duration of one step of the network."""
        return float(self.offset_s[1] - self.offset_s[0])


@dataclass(frozen=True, eq=False)
class Beats(FrozenArrays):
    """Detected beats as columns."""

    time_s: Float64  # (n,), ascending
    label: Text  # (n,), one of CLASSES
    probability: Float32  # (n, 5), in the order of CLASSES; calibrated in the beats that an analysis shows and counts
    rr_s: Float64  # (n,), to the beat before; NaN at the first beat and across an unusable stretch
    usable: Bool  # (n,): False inside unusable stretches, where the label is Q and no beat is counted
    p_repeats: Float32 | None = None  # (n,), fraction of the power before the QRS that repeats; None if not measured
    p_correlation: Float32 | None = None  # (n,), of the signal before the next QRS with that before the last ones
    qrs_correlation: Float32 | None = None  # (n,), of its QRS with that of the beat before
    af_probability: Float32 | None = None  # (n,), of atrial fibrillation or flutter; None if the network gives none

    def __len__(self) -> int:
        return len(self.time_s)

    @property
    def confidence(self) -> Float32:
        """Probability of each beat's label, shape (n,)."""
        is_label = self.label[:, None] == np.array(CLASSES)
        return np.asarray((self.probability * is_label).sum(axis=1), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Waveform(FrozenArrays):
    """What the waveform of the leads shows second by second, whether or not beats can be separated in it."""

    step_s: float
    vf: Float32  # (n_steps,), probability of ventricular fibrillation or flutter in the lead that shows it most clearly
    vt: Float32  # (n_steps,), probability of ventricular tachycardia
    no_signal_s: Float64  # (n, 2), start and end of the stretches in which all analysed leads are flat or missing
    still_s: Float64  # (n, 2), and of those in which they hold a signal without a wave as steep as a QRS


@dataclass(frozen=True)
class RhythmEvent:
    """A finding that takes time: a couplet, a run, a pause, an episode, a stretch that could not be analysed."""

    kind: str  # a key of rhythm.events.KIND_NAMES
    start_s: float  # time of its first beat, or where the waveform changes
    end_s: float  # time of its last beat, or where the waveform changes
    n_beats: int  # 0 where no beats can be separated
    rate_bpm: float  # mean over its RR; NaN where it has none
    at_least: bool = False  # an edge lies in signal that is not analysable: its true length is this or longer

    @property
    def duration_s(self) -> float:
        """From its start to its end."""
        return self.end_s - self.start_s


@dataclass(frozen=True)
class HeartRate:
    """A heart rate and the time at which it was reached."""

    bpm: float
    time_s: float


@dataclass(frozen=True, eq=False)
class Hourly(FrozenArrays):
    """One row for each hour of the recording."""

    start_s: Float64  # (n_hours,)
    analysable_s: Float64
    count: NDArray[np.int64]  # (n_hours, 5), analysable beats in the order of CLASSES
    rate_min_bpm: Float64  # NaN where there is no rate
    rate_mean_bpm: Float64
    rate_max_bpm: Float64
    af_s: Float64  # in atrial fibrillation
    n_runs: NDArray[np.int64]  # (n_hours, 2), runs of V and of S that begin in the hour
    n_pauses: NDArray[np.int64]  # those in atrial fibrillation included


@dataclass(frozen=True)
class Episodes:
    """Number, total duration and extremes of the events of one kind."""

    n: int = 0
    n_beats: int = 0
    rate_bpm: float = float("nan")  # mean over all their RR; NaN where none is known
    total_s: float = 0.0  # of atrial fibrillation, the analysable time
    longest: RhythmEvent | None = None  # in seconds
    most_beats: RhythmEvent | None = None  # in seconds where the beats of one cannot all be separated
    fastest: RhythmEvent | None = None  # None where no rate is known


@dataclass(frozen=True)
class Ectopy:
    """The ectopic beats of one class, V or S, and the patterns they form."""

    label: str
    n_beats: int
    burden_pct: float  # of the analysable beats, idioventricular rhythms not counted; NaN without beats
    interval_pct: tuple[float, float]  # holds the true burden of 95 % of new patients; NaN if not calibrated
    at_thresholds: tuple[tuple[float, int], ...]  # beats whose probability of the class reaches each threshold
    per_hour: float  # of analysable time; NaN without analysable time
    most_in_an_hour: int
    singles: int
    couplets: int
    runs: Episodes  # of at least three beats, at any rate; F joins those of V
    triplets: int  # runs of exactly three beats
    tachycardias: Episodes  # runs faster than the rule
    bigeminy: Episodes
    trigeminy: Episodes
    usual_per_day: float | None  # 97.5th percentile of healthy people of this age; None if the age is unknown


@dataclass(frozen=True)
class Variability:
    """Heart rate variability of RR between normal beats; NaN where there are too few of them."""

    n_intervals: int
    coverage_pct: float  # of the analysable time, covered by these RR
    sdnn_ms: float
    sdann_ms: float
    rmssd_ms: float
    pnn50_pct: float
    lf_ms2: float
    hf_ms2: float

    @property
    def lf_hf(self) -> float:
        """Ratio of the two powers."""
        return self.lf_ms2 / self.hf_ms2 if self.hf_ms2 > 0 else float("nan")


@dataclass(frozen=True, eq=False)
class Burden(FrozenArrays):
    """Counts, and their percentage of the analysable beats and of the analysable time."""

    duration_s: float
    analysable_s: float  # without lost signal, and ventricular fibrillation, which has no beats to be counted
    count: NDArray[np.int64]  # (5,), analysable beats in the order of CLASSES
    n_unusable_beats: int
    rate_mean_bpm: float  # of clear signal as the two below or, where there are none, of all counted RR; NaN without
    rate_min: HeartRate | None
    rate_max: HeartRate | None
    v: Ectopy
    s: Ectopy
    pvc_error_points: float  # expected error of a PVC burden over this length; NaN where it was not measured
    af: Episodes
    vf: Episodes  # ventricular fibrillation or flutter; not in the analysable time
    vf_suspected: Episodes  # where it is not certain
    asystoles: Episodes
    not_analysable: Episodes  # stretches without an analysable lead, looked at for VF, VT and asystole without a sign
    no_signal: Episodes  # stretches in which all analysed leads are flat or missing
    pauses: Episodes
    af_pauses: Episodes
    long_rr: Episodes
    idioventricular: Episodes  # their beats are of class V and in no count of ``v``
    slow: Episodes
    fast: Episodes
    variability: Variability
    hourly: Hourly
    af_verdict: AfVerdict | None = None  # of a short recording as a whole; None for a longer one
    s_doubt: SDoubt | None = None  # None without analysable beats, or where an earlier version measured

    @property
    def pvc_burden_pct(self) -> float:
        """100 V outside idioventricular rhythms / analysable beats; NaN without beats."""
        return self.v.burden_pct

    @property
    def v_and_f_pct(self) -> float:
        """100 (V outside idioventricular rhythms + F) / analysable beats; NaN without beats."""
        n_f = int(self.count[CLASSES.index("F")])
        return 100.0 * (self.v.n_beats + n_f) / self.n_beats if self.n_beats else float("nan")

    @property
    def sve_burden_pct(self) -> float:
        """100 S / analysable beats; NaN without beats."""
        return self.s.burden_pct

    @property
    def af_burden_pct(self) -> float:
        """Percentage of the analysable time that is atrial fibrillation, in this recording.

        NaN where no episode was found and the verdict on a short recording is not that there is no AF.
        """
        is_open = not self.af.n and self.af_verdict is not None and self.af_verdict.answer != NO_AF
        return 100.0 * self.af.total_s / self.analysable_s if self.analysable_s and not is_open else float("nan")

    @property
    def n_beats(self) -> int:
        """Analysable beats of all classes."""
        return int(self.count.sum())

    @property
    def analysable_pct(self) -> float:
        """Percentage of the recording that is analysable."""
        return 100.0 * self.analysable_s / self.duration_s if self.duration_s else float("nan")


@dataclass(frozen=True, eq=False)
class Analysis:
    """The result of analysing a record: all that pages, figures and reports are made from."""

    record: Record
    lead_names: tuple[str, ...]  # the leads that were analysed
    model: ModelSpec
    rules: RhythmRules
    quality: Quality
    predicted: Beats = field(repr=False)  # as the network classifies them, before the rules and reader labels
    beats: Beats  # as they are shown and counted
    attention: Attention
    waveform: Waveform
    events: tuple[RhythmEvent, ...]
    burden: Burden
    queried: Index = field(default_factory=lambda: np.zeros(0, dtype=np.int64))  # for labels, most informative first
    labelled: Index = field(default_factory=lambda: np.zeros(0, dtype=np.int64))  # by a reader, ascending
    learning: LearningCheck | None = None  # whether fine-tuning helps; None where the model was not fine-tuned
    fitted_sha256: str = ""  # of the edits that it was fine-tuned to; see ``edits.digest_of``
    edits_sha256: str = ""  # of all edits that it shows
    changes: Changes = NO_CHANGES  # of a reader, beside the labels
    rejected: tuple[RhythmEvent, ...] = ()  # VF, VT and asystole that the program found in what a reader calls artefact
    replaced: tuple[ReplacedLead, ...] = ()  # stretches that rest on a lead beyond the usual ones

    @property
    def usual_leads(self) -> tuple[str, ...]:
        """The leads that are read together; the further ones of ``lead_names`` replace them in some stretches."""
        return self.lead_names[: len(self.lead_names) - len({one.lead for one in self.replaced})]

    @property
    def n_fitted(self) -> int:
        """How many beats of known class the model was fine-tuned to."""
        return self.learning.n_fitted if self.learning else 0

    @property
    def label_codes(self) -> Codes:
        """Class of each beat that a reader labelled, UNLABELLED for the others, shape (n_beats,)."""
        codes = np.full(len(self.beats), UNLABELLED)
        codes[self.labelled] = class_codes(self.beats.label[self.labelled])
        return codes
