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
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .labels import CLASSES

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
Text = NDArray[np.str_]


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


class SignalSource(Protocol):
    """Where a record's samples lie; they are read in pieces and never held whole."""

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """Samples [start, stop) of the leads in mV, shape (n_leads, stop - start); NaN where nothing was recorded."""
        ...


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
    reference: Annotations | None = field(default=None, repr=False)
    files: tuple[Path, ...] = field(default=(), repr=False)

    @property
    def duration_s(self) -> float:
        """Length of the recording in seconds."""
        return self.n_samples / self.fs_hz

    @cached_property
    def sha256(self) -> str:
        """Hash over all files of the record in name order: the identity that caches are keyed by."""
        digest = hashlib.sha256()
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

    def __len__(self) -> int:
        return len(self.time_s)

    @property
    def confidence(self) -> Float32:
        """Probability of each beat's own label, shape (n,)."""
        own = self.label[:, None] == np.array(CLASSES)
        return np.asarray((self.probability * own).sum(axis=1), dtype=np.float32)


@dataclass(frozen=True)
class RhythmRules:
    """What counts as what; every report prints the rules it was made with."""

    run_min_beats: int = 3  # EC57: three and more in a row are a run
    tachycardia_bpm: float = 100.0  # AHA/ACC/HRS 2017: VT is faster than 100 bpm
    sustained_s: float = 30.0  # AHA/ACC/HRS 2017: sustained VT lasts longer than 30 s
    pause_s: float = 3.0  # Solomon 2016
    long_rr_s: float = 2.0  # CardioScan
    rate_average_beats: int = 8  # HScribe: the rate is a moving average of 8 RR
    rate_min_rr_s: float = 0.2  # hrstats: shorter RR are not beats
    rate_max_rr_s: float = 3.0  # hrstats: longer RR are pauses
    pvc_burden_high_pct: float = 10.0  # JAHA 2022 trial endpoint


@dataclass(frozen=True)
class RhythmEvent:
    """Something that a reader wants to see: a couplet, a run, a pause."""

    kind: str  # one of rhythm.KIND_NAMES
    start_s: float
    end_s: float
    n_beats: int
    rate_bpm: float  # NaN where a rate has no meaning


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


@dataclass(frozen=True, eq=False)
class Burden(_Columns):
    """Counts and shares over the analysable beats and the analysable time."""

    duration_s: float
    analysable_s: float
    count: NDArray[np.int64]  # (5,), analysable beats in the order of CLASSES
    n_unusable_beats: int
    pvc_burden_pct: float  # 100 V / analysable beats; NaN without beats
    sve_burden_pct: float  # 100 S / analysable beats; NaN without beats
    rate_mean_bpm: float  # NaN without a rate
    rate_min: HeartRate | None
    rate_max: HeartRate | None
    hourly: Hourly

    @property
    def n_beats(self) -> int:
        """Analysable beats of all classes."""
        return int(self.count.sum())

    @property
    def analysable_pct(self) -> float:
        """Share of the recording that could be read."""
        return 100.0 * self.analysable_s / self.duration_s if self.duration_s else float("nan")


@dataclass(frozen=True, eq=False)
class Analysis:
    """All that pages, figures and exports get."""

    record: Record
    lead_names: tuple[str, ...]  # the leads that were analysed
    model: ModelSpec
    rules: RhythmRules
    quality: Quality
    beats: Beats
    attention: Attention
    events: tuple[RhythmEvent, ...]
    burden: Burden
