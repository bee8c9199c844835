"""Whether an analysis depends on what it should not: where a record begins, its polarity, hum, or a lead of noise.

A record is changed in a way that changes no beat, analysed again, and the beats that both analyses could find are
compared one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass, replace
from typing import Any, Final

import numpy as np

from ..schema import Analysis, Bool, Float32, Record, SignalSource
from .matching import match_beats

MARGIN_S: Final = 60.0  # after a cut, the beats have less around them than in the whole record: they are not compared
SHIFT_S: Final = 0.3
HUM_MV: Final = 0.1  # amplitude of mains hum, some tenth of a QRS
NOISE_MV: Final = 1.0  # standard deviation of a lead of noise, as large as a QRS


@dataclass(frozen=True)
class ChangedSource:
    """A source from one of its samples on, multiplied, with hum, or with a lead of noise as the last one."""

    whole: SignalSource
    fs_hz: float
    first: int = 0  # sample of the whole at which it begins
    factor: float = 1.0
    hum_hz: float = 0.0  # none where 0
    noise_lead: int | None = None  # position of the lead of noise

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """See ``SignalSource``."""
        sample = np.arange(self.first + start, self.first + stop)
        real = [lead for lead in leads if lead != self.noise_lead]
        signal = np.empty((len(leads), len(sample)), dtype=np.float32)
        if real:
            recorded = self.whole.read(self.first + start, self.first + stop, tuple(real))
            hum_mv = HUM_MV * np.sin(2 * np.pi * self.hum_hz / self.fs_hz * sample)
            signal[np.isin(leads, real)] = self.factor * recorded + hum_mv
        if len(real) < len(leads):
            noise_mv = np.random.default_rng(0).normal(0, NOISE_MV, self.first + stop)  # the same, whatever is read
            signal[leads.index(self.noise_lead or 0)] = noise_mv[sample]
        return signal


@dataclass(frozen=True)
class Change:
    """A change of a record that changes no beat."""

    name: str
    of: Callable[[Record], Record]
    begins: Callable[[Record], float] = lambda _: 0.0  # where the changed record begins in the record, s


@dataclass(frozen=True)
class Invariance:
    """How many beats of two analyses of one recording differ."""

    n_beats: int = 0  # that were compared: analysable in both, and away from a cut
    n_alone: int = 0  # found by one analysis only
    n_labels: int = 0  # of another class
    n_labels_by_af: int = 0  # of these, those that only one analysis has in fibrillation
    n_af: int = 0  # that only one analysis has in fibrillation, whatever their class

    @property
    def changed_pct(self) -> float:
        """Beats of another class, or that one analysis does not have, in per cent."""
        return 100.0 * (self.n_alone + self.n_labels) / max(self.n_beats, 1)


def together(parts: Iterable[Invariance]) -> Invariance:
    """The beats of several records together."""
    return Invariance(*np.sum([astuple(part) for part in parts], axis=0).tolist())


def _from(record: Record, start_s: float) -> Record:
    first = round(start_s * record.fs_hz)
    source = ChangedSource(record.source, record.fs_hz, first=first)
    return replace(record, source=source, n_samples=record.n_samples - first, reference=None)


def _changed(record: Record, **how: Any) -> Record:
    return replace(record, source=ChangedSource(record.source, record.fs_hz, **how), reference=None)


def _with_noise_lead(record: Record) -> Record:
    changed = _changed(record, noise_lead=len(record.lead_names))
    return replace(changed, lead_names=(*record.lead_names, "noise"), calibrated=(*record.calibrated, True))


def _half_s(record: Record) -> float:
    return record.n_samples // 2 / record.fs_hz


CHANGES: Final = (
    Change("second half alone", lambda record: _from(record, _half_s(record)), _half_s),
    Change(
        f"begins {SHIFT_S:g} s later", lambda record: _from(record, SHIFT_S),
        lambda record: round(SHIFT_S * record.fs_hz) / record.fs_hz,
    ),
    Change("inverted", lambda record: _changed(record, factor=-1.0)),
    Change("a lead of noise more", _with_noise_lead),
    Change(f"50 Hz hum of {HUM_MV:g} mV", lambda record: _changed(record, hum_hz=50.0)),
    Change(f"60 Hz hum of {HUM_MV:g} mV", lambda record: _changed(record, hum_hz=60.0)),
)  # fmt: skip


def compare(whole: Analysis, changed: Analysis, *, begins_s: float = 0.0) -> Invariance:
    """Compare the analysis of a record with that of the changed record, which begins at ``begins_s`` in it."""
    one, other = whole.beats, changed.beats
    other_s, from_s = other.time_s + begins_s, begins_s + MARGIN_S if begins_s else 0.0
    i, j = match_beats(one.time_s, other_s)
    counted = one.usable[i] & other.usable[j] & (one.time_s[i] >= from_s)
    label = counted & (one.label[i] != other.label[j])
    af = counted & (in_fibrillation(whole)[i] != in_fibrillation(changed)[j])
    alone = [
        np.delete(beats.usable & (time_s >= from_s), paired).sum()
        for beats, time_s, paired in ((one, one.time_s, i), (other, other_s, j))
    ]
    return Invariance(*(int(n) for n in (counted.sum(), sum(alone), label.sum(), (label & af).sum(), af.sum())))


def in_fibrillation(analysis: Analysis) -> Bool:
    """Which beats lie in an episode of atrial fibrillation, shape (n_beats,)."""
    time_s = analysis.beats.time_s
    inside = np.zeros(len(time_s), dtype=bool)
    for event in analysis.events:
        if event.kind == "af":
            inside |= (time_s >= event.start_s) & (time_s <= event.end_s)
    return inside
