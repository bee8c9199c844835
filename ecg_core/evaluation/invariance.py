"""Whether an analysis depends on what it should not: where a record begins, its polarity, hum, or a lead of noise.

A record is changed in a way that changes no beat, analysed again, and the beats that both analyses could find are
compared one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ..schema import Analysis, Bool, Float32, Record, SignalSource
from .matching import match_beats

MARGIN_S: Final = 60.0  # next to a cut, the beats of the shorter record have less around them: they are not compared
SHIFT_S: Final = 0.3
HUM_MV: Final = 0.1  # amplitude of mains hum, some tenth of a QRS
NOISE_MV: Final = 1.0  # standard deviation of a lead of noise, as large as a QRS


@dataclass(frozen=True)
class ChangedSource:
    """A stretch of a source, with something added, with its sign changed, or with a lead more."""

    whole: SignalSource
    fs_hz: float
    first: int = 0  # sample of the whole at which the stretch begins
    factor: float = 1.0
    hum_hz: float = 0.0  # none where 0
    noise_lead: int = -1  # position of a lead of noise, that is not in the whole; none where negative

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """See ``SignalSource``."""
        first, last = self.first + start, self.first + stop
        real = tuple(lead for lead in leads if lead != self.noise_lead)
        signal = np.empty((len(leads), last - first), dtype=np.float32)
        is_real = [lead != self.noise_lead for lead in leads]
        if real:
            signal[is_real] = self.factor * self.whole.read(first, last, real)
        if self.hum_hz:
            signal += np.float32(HUM_MV) * np.sin(2 * np.pi * self.hum_hz * np.arange(first, last) / self.fs_hz)
        if len(real) < len(leads):
            signal[np.logical_not(is_real)] = _noise_mv(last)[first:]
        return signal


@dataclass(frozen=True)
class Change:
    """A change of a record that changes no beat."""

    name: str
    of: Callable[[Record], Record]
    begins: Callable[[Record], float] = lambda record: 0.0  # where the changed record begins in the record, s


@dataclass(frozen=True)
class Invariance:
    """How many beats of two analyses of one recording differ."""

    n_beats: int  # that were compared: analysable in both, and away from a cut
    n_alone: int  # found by one analysis only
    n_labels: int  # of another class
    n_labels_by_af: int  # of these, those that only one analysis has in fibrillation
    n_af: int  # that only one analysis has in fibrillation

    @property
    def labels_pct(self) -> float:
        """Beats of another class, or that one analysis does not have, in per cent."""
        return 100.0 * (self.n_alone + self.n_labels) / max(self.n_beats, 1)


def _noise_mv(n: int) -> Float32:
    """The first samples of a lead of noise, shape (n,)."""
    return np.random.default_rng(0).normal(0, NOISE_MV, n).astype(np.float32)


def _from(record: Record, start_s: float) -> Record:
    first = round(start_s * record.fs_hz)
    source = ChangedSource(record.source, record.fs_hz, first)
    return replace(record, source=source, n_samples=record.n_samples - first, reference=None)


def _with(record: Record, **how: float) -> Record:
    return replace(record, source=ChangedSource(record.source, record.fs_hz, **how), reference=None)  # type: ignore[arg-type]


def _with_noise_lead(record: Record) -> Record:
    more = {"lead_names": (*record.lead_names, "noise"), "calibrated": (*record.calibrated, True)}
    return replace(_with(record, noise_lead=len(record.lead_names)), **more)  # type: ignore[arg-type]


def _half_s(record: Record) -> float:
    return record.n_samples // 2 / record.fs_hz


CHANGES: Final = (
    Change("second half alone", lambda record: _from(record, _half_s(record)), _half_s),
    Change(f"begins {SHIFT_S:g} s later", lambda record: _from(record, SHIFT_S), lambda record: SHIFT_S),
    Change("inverted", lambda record: _with(record, factor=-1.0)),
    Change("a lead of noise more", _with_noise_lead),
    Change("50 Hz hum", lambda record: _with(record, hum_hz=50.0)),
    Change("60 Hz hum", lambda record: _with(record, hum_hz=60.0)),
)


def compare(whole: Analysis, changed: Analysis, *, begins_s: float = 0.0) -> Invariance:
    """Compare the analysis of a record with that of the changed record, which begins at ``begins_s`` in it."""
    one, other = whole.beats, changed.beats
    other_s = other.time_s + begins_s
    from_s = begins_s + MARGIN_S if begins_s else 0.0
    i, j = match_beats(one.time_s, other_s)
    alone_s = np.concatenate([np.delete(one.time_s[one.usable], []), []])
    pairs = one.usable[i] & other.usable[j] & (one.time_s[i] >= from_s)
    both = one.label[i] != other.label[j]
    in_af = in_fibrillation(whole)[i] != in_fibrillation(changed)[j]
    del alone_s
    lone = [
        np.delete(beats.usable & (time_s >= from_s), matched).sum()
        for beats, time_s, matched in ((one, one.time_s, i), (other, other_s, j))
    ]
    return Invariance(
        n_beats=int(pairs.sum()),
        n_alone=int(sum(lone)),
        n_labels=int((pairs & both).sum()),
        n_labels_by_af=int((pairs & both & in_af).sum()),
        n_af=int((pairs & in_af).sum()),
    )


def in_fibrillation(analysis: Analysis) -> Bool:
    """Which beats lie in an episode of atrial fibrillation, shape (n_beats,)."""
    time_s = analysis.beats.time_s
    inside = np.zeros(len(time_s), dtype=bool)
    for event in analysis.events:
        if event.kind == "af":
            inside |= (time_s >= event.start_s) & (time_s <= event.end_s)
    return inside
