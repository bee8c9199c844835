"""Every noun of the project as a frozen dataclass.

Times are seconds from the start of the record (suffix ``_s``); samples exist only inside ``records``,
``signals``, ``detection`` and ``windows``. Arrays are stored as read-only views.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from .labels import CLASSES, MATCH_WINDOW_S, UNLABELLED, Codes, class_codes
from .rules import RhythmRules

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
Text = NDArray[np.str_]
Index = NDArray[np.int64]  # positions of beats, samples or frames


class _Columns:
    """Makes every array field read-only, so that a result that is shared cannot be changed behind anyone's back."""

    def __post_init__(self) -> None:
        for item in fields(self):  # type: ignore[arg-type]
            value = getattr(self, item.name)
            if isinstance(value, np.ndarray):
                view = value.view()
                view.flags.writeable = False
                object.__setattr__(self, item.name, view)


@dataclass(frozen=True, eq=False)
class Annotations(_Columns):
    """Reference marks of a record."""

    time_s: Float64  # (n,), ascending
    symbol: Text  # (n,), WFDB symbols
    aux: Text  # (n,), e.g. "(AFIB" at a rhythm change

    def codes_at(self, time_s: Float64) -> Codes:
        """Class of each beat at ``time_s`` (ascending) that a mark lies at, or UNLABELLED; of several the last counts."""
        code, known = np.full(len(time_s), UNLABELLED), class_codes(self.symbol)
        if not len(time_s):
            return code
        after = np.searchsorted(time_s, self.time_s)
        beside = np.clip([after - 1, after], 0, len(time_s) - 1)
        away_s = np.abs(time_s[beside] - self.time_s)
        nearest = beside[away_s.argmin(axis=0), np.arange(len(after))]
        there = (away_s.min(axis=0) <= MATCH_WINDOW_S) & (known != UNLABELLED)
        code[nearest[there]] = known[there]
        return code


class SignalSource(Protocol):
    """Where a record's samples lie; they are read in pieces and never held whole."""

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """Samples [start, stop) of the leads in mV, shape (n_leads, stop - start); NaN where nothing was recorded."""
        ...


@dataclass(frozen=True)
class RecordOverrides:
    """What a person states of a recording whose file does not say it."""

    fs_hz: float | None = None
    per_mv: float | None = None  # 1 where its numbers are mV, 1000 where they are uV, or counts a millivolt

    @property
    def text(self) -> str:
        """What was stated, in words; empty where nothing was."""
        rate = [] if self.fs_hz is None else [f"{self.fs_hz:g} Hz"]
        return " and ".join(rate + ([] if self.per_mv is None else [f"{self.per_mv:g} a mV"]))


NO_OVERRIDES: Final = RecordOverrides()


@dataclass(frozen=True, eq=False)
class Record:
    """A recording on disk, opened but not read."""

    record_id: str
    source: SignalSource = field(repr=False)
    fs_hz: float
    n_samples: int
    lead_names: tuple[str, ...]
    calibrated: tuple[bool, ...]  # per lead: False where the header states no gain (200 adu/mV is then assumed)
    start: datetime | None = None
    comments: tuple[str, ...] = ()
    age_years: int | None = None  # where the header's comments state it
    reference: Annotations | None = field(default=None, repr=False)
    overrides: RecordOverrides = NO_OVERRIDES  # by a person, where the file leaves it open
    files: tuple[Path, ...] = field(default=(), repr=False)

    @property
    def duration_s(self) -> float:
        """Length of the recording in seconds."""
        return self.n_samples / self.fs_hz

    @property
    def is_simulated(self) -> bool:
        """Whether its own header says that no patient was recorded."""
        return any(comment.lower().startswith("simulated record") for comment in self.comments)

    @cached_property
    def sha256(self) -> str:
        """Hash over what was stated and all files in name order: the identity that caches are keyed by."""
        digest = hashlib.sha256(self.overrides.text.encode())
        for path in sorted(self.files):
            digest.update(path.name.encode())
            with path.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Lead(_Columns):
    """A piece of one lead as a reader sees it: as recorded, not filtered."""

    name: str
    signal_mv: Float32  # (n,), NaN where nothing was recorded
    fs_hz: float
    start_s: float = 0.0


@dataclass(frozen=True, eq=False)
class Quality(_Columns):
    """Signal quality of each analysed lead in consecutive blocks."""

    block_s: float
    score: Float32  # (n_leads, n_blocks), 0 (nothing to read) .. 1 (clean)
    usable: Bool  # (n_blocks,): at least one analysed lead can be read

    def usable_at(self, time_s: Float64) -> Bool:
        """Whether the block that holds each time is usable, shape of ``time_s``."""
        block = np.clip((np.asarray(time_s) / self.block_s).astype(int), 0, len(self.usable) - 1)
        return np.asarray(self.usable[block], dtype=bool)

    def unusable_stretches(self, duration_s: float) -> list[tuple[float, float]]:
        """Start and end of each stretch that could not be read, seconds."""
        edges = np.flatnonzero(np.diff(~self.usable, prepend=False, append=False))
        return [
            (float(a * self.block_s), float(min(b * self.block_s, duration_s)))
            for a, b in zip(edges[::2], edges[1::2], strict=True)
        ]


@dataclass(frozen=True)
class ModelSpec:
    """What the weights need to be served as they were trained; lies beside them as JSON."""

    name: str
    fs_hz: float  # rate the network sees
    stride: int  # samples a frame of the trunk
    stem_channels: int
    channels: tuple[int, ...]  # of each residual stage
    token_size: int
    heads: int  # of the attention
    attention_half_s: float  # the attention sees this much before and after a beat
    hidden_size: int  # of the BiLSTM, each direction
    classes: tuple[str, ...]
    detection_threshold: float  # heat above which a frame can be a beat
    class_bias: tuple[float, ...]  # added to the logits; chosen on validation patients
    trained_on: tuple[str, ...]  # "database/record"
    validated_on: tuple[str, ...]
    seed: int
    recipe: str  # the command that made it
    sha256: str = ""  # of the weights file


@dataclass(frozen=True, eq=False)
class Attention(_Columns):
    """Where the network looked to judge each beat; relative weights, not an explanation."""

    weight: NDArray[np.float16]  # (n_beats, n_steps), each row sums to 1
    offset_s: Float32  # (n_steps,), time of each step relative to the beat

    @property
    def step_s(self) -> float:
        """Duration of one step of the network."""
        return float(self.offset_s[1] - self.offset_s[0])


@dataclass(frozen=True, eq=False)
class Beats(_Columns):
    """Detected beats as columns."""

    time_s: Float64  # (n,), ascending
    label: Text  # (n,), one of CLASSES
    probability: Float32  # (n, 5), in the order of CLASSES
    rr_s: Float64  # (n,), to the beat before; NaN at the first beat and across an unusable stretch
    usable: Bool  # (n,): False inside unusable stretches, where the label is Q and nothing is counted
    p_repeats: Float32 | None = None  # (n,), share of what lies before the QRS that repeats; None where not measured

    def __len__(self) -> int:
        return len(self.time_s)

    @property
    def confidence(self) -> Float32:
        """Probability of each beat's own label, shape (n,)."""
        own = self.label[:, None] == np.array(CLASSES)
        return np.asarray((self.probability * own).sum(axis=1), dtype=np.float32)


@dataclass(frozen=True)
class RhythmEvent:
    """Something that a reader wants to see: a couplet, a run, a pause, an episode."""

    kind: str  # one of rhythm.KIND_NAMES
    start_s: float  # time of its first beat
    end_s: float  # time of its last beat
    n_beats: int
    rate_bpm: float  # mean over its RR; NaN where all its beats are at one moment

    @property
    def duration_s(self) -> float:
        """From the first beat to the last."""
        return self.end_s - self.start_s


@dataclass(frozen=True)
class HeartRate:
    """A heart rate and the moment it was reached."""

    bpm: float
    time_s: float


@dataclass(frozen=True, eq=False)
class Hourly(_Columns):
    """One row for each hour of the recording."""

    start_s: Float64  # (n_hours,)
    analysable_s: Float64
    count: NDArray[np.int64]  # (n_hours, 5), analysable beats in the order of CLASSES
    rate_min_bpm: Float64  # NaN where there is no rate
    rate_mean_bpm: Float64
    rate_max_bpm: Float64
    af_s: Float64  # in atrial fibrillation
    n_runs: NDArray[np.int64]  # (n_hours, 2), runs of V and of S that begin in the hour
    n_pauses: NDArray[np.int64]


@dataclass(frozen=True)
class Episodes:
    """Episodes of one kind."""

    n: int = 0
    n_beats: int = 0
    total_s: float = 0.0
    longest: RhythmEvent | None = None
    fastest: RhythmEvent | None = None


@dataclass(frozen=True)
class Ectopy:
    """The ectopic beats of one class, V or S, and how they come."""

    label: str
    n_beats: int
    burden_pct: float  # of the analysable beats; NaN without beats
    interval_pct: tuple[float, float]  # 95 % of what the classifier's own probabilities leave open
    at_thresholds: tuple[tuple[float, int], ...]  # beats whose probability of the class reaches each threshold
    per_hour: float  # of analysable time; NaN without any
    most_in_an_hour: int
    singles: int
    couplets: int
    runs: Episodes  # three beats and more, whatever their rate
    triplets: int  # those of the runs that have three beats
    tachycardias: Episodes  # those of the runs that are faster than the rule
    bigeminy: Episodes
    trigeminy: Episodes
    usual_per_day: float | None  # 97.5th percentile of healthy people of this age; None where the age is not known


@dataclass(frozen=True)
class Variability:
    """Heart rate variability of RR between normal beats; NaN where too few are there."""

    n_intervals: int
    coverage_pct: float  # of the analysable time that these RR cover
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
class Burden(_Columns):
    """Counts and shares over the analysable beats and the analysable time."""

    duration_s: float
    analysable_s: float
    count: NDArray[np.int64]  # (5,), analysable beats in the order of CLASSES
    n_unusable_beats: int
    rate_mean_bpm: float  # NaN without a rate
    rate_min: HeartRate | None
    rate_max: HeartRate | None
    v: Ectopy
    s: Ectopy
    pvc_error_points: float  # expected error of a PVC burden measured over this length; see trust.py
    af: Episodes
    pauses: Episodes
    af_pauses: Episodes
    long_rr: Episodes
    slow: Episodes
    fast: Episodes
    variability: Variability
    hourly: Hourly

    @property
    def pvc_burden_pct(self) -> float:
        """100 V / analysable beats; NaN without beats."""
        return self.v.burden_pct

    @property
    def sve_burden_pct(self) -> float:
        """100 S / analysable beats; NaN without beats."""
        return self.s.burden_pct

    @property
    def af_burden_pct(self) -> float:
        """Share of the analysable time that is atrial fibrillation, in this recording."""
        return 100.0 * self.af.total_s / self.analysable_s if self.analysable_s else float("nan")

    @property
    def n_beats(self) -> int:
        """Analysable beats of all classes."""
        return int(self.count.sum())

    @property
    def analysable_pct(self) -> float:
        """Share of the recording that could be read."""
        return 100.0 * self.analysable_s / self.duration_s if self.duration_s else float("nan")


def _no_beats() -> Index:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Analysis:
    """All that pages, figures and exports get."""

    record: Record
    lead_names: tuple[str, ...]  # the leads that were analysed
    model: ModelSpec
    rules: RhythmRules
    quality: Quality
    predicted: Beats = field(repr=False)  # as the network classifies them, before rules and reader labels
    beats: Beats  # as they are counted
    attention: Attention
    events: tuple[RhythmEvent, ...]
    burden: Burden
    queried: Index = field(default_factory=_no_beats)  # to be labelled by a reader, the most informative first
    labelled: Index = field(default_factory=_no_beats)  # those that a reader labelled, ascending
    n_fitted: int = 0  # how many of these the model was fine-tuned to before it classified the others

    @property
    def label_codes(self) -> Codes:
        """Class of each beat that a reader labelled, UNLABELLED for the others, shape (n_beats,)."""
        codes = np.full(len(self.beats), UNLABELLED)
        codes[self.labelled] = class_codes(self.beats.label[self.labelled])
        return codes
