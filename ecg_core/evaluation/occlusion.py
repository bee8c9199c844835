"""Whether the attention points at what matters: the attended steps of a beat are hidden, and as many random ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..classifier.leads import ALL
from ..classifier.model import Model
from ..labels import CLASSES
from ..pipeline import analyse
from ..schema import Analysis, Bool, Float32, Float64, Record, SignalSource

AROUND_S = 30.0  # so much of the record on either side is read with the beat
HELD = 0.5  # the steps of largest weight that together hold so much of the attention are hidden
DRAWS = 20  # times that as many steps are drawn at random
MATTERS = 0.05  # a probability that moves by less has not moved


@dataclass(frozen=True)
class Occlusion:
    """Probability of a beat's own class with some steps of the signal around it hidden."""

    label: str
    n_steps: int  # hidden
    hidden_s: float
    before: float  # with nothing hidden
    attended: float  # with the most attended steps hidden
    random: tuple[float, ...]  # with as many random ones hidden, of each draw

    @property
    def typical_random(self) -> float:
        """Median of the random draws."""
        return float(np.median(self.random))

    @property
    def supported(self) -> bool:
        """Whether hiding the attended steps changed more than hiding random ones nearly ever did."""
        change = abs(self.before - np.array(self.random))
        return abs(self.before - self.attended) > max(MATTERS, float(np.percentile(change, 95)))


@dataclass(frozen=True)
class HidingSource:
    """A stretch of a source; some of its samples are replaced by straight lines between their neighbours."""

    whole: SignalSource
    first: int  # sample of the whole at which the stretch begins
    hidden: Bool  # (n,), of the stretch

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """See ``SignalSource``."""
        signal = np.array(self.whole.read(self.first + start, self.first + stop, leads))
        hidden = self.hidden[start:stop]
        if hidden.any() and not hidden.all():
            at = np.arange(len(hidden))
            for row in signal:
                row[hidden] = np.interp(at[hidden], at[~hidden], row[~hidden])
        return signal


def occlude(analysis: Analysis, model: Model, beat: int) -> Occlusion:
    """Hide parts of the signal around one beat and judge it anew, together with the half minute on either side.

    Parameters
    ----------
    model
        The one that the analysis was made with.

    """
    beats, attention = analysis.beats, analysis.attention
    weight = attention.weight[beat].astype(np.float64)
    order = np.argsort(weight)[::-1]
    n_steps = int(np.searchsorted(np.cumsum(weight[order]), HELD * weight.sum()) + 1)
    rng = np.random.default_rng(beat)
    draws = [rng.choice(len(weight), n_steps, replace=False) for _ in range(DRAWS)]
    known_s = beats.time_s[np.abs(beats.time_s - beats.time_s[beat]) <= AROUND_S]
    code = CLASSES.index(str(beats.label[beat]))

    def judged(steps: NDArray[np.int64]) -> float:
        hidden_s = beats.time_s[beat] + attention.offset_s[steps].astype(np.float64)
        return _probability(analysis, model, float(beats.time_s[beat]), hidden_s, known_s, code)

    return Occlusion(
        label=str(beats.label[beat]),
        n_steps=n_steps,
        hidden_s=n_steps * attention.step_s,
        before=judged(order[:0]),
        attended=judged(order[:n_steps]),
        random=tuple(judged(steps) for steps in draws),
    )


def _probability(
    analysis: Analysis, model: Model, time_s: float, hidden_s: Float64, known_s: Float64, code: int
) -> float:
    """Probability of a class for the beat at a moment, with the steps at some moments hidden."""
    record = analysis.record
    first = max(0, int((time_s - AROUND_S) * record.fs_hz))
    last = min(record.n_samples, int((time_s + AROUND_S) * record.fs_hz))
    at_s = np.arange(first, last) / record.fs_hz
    hidden = np.zeros(last - first, dtype=bool)
    for centre_s in hidden_s.tolist():
        hidden |= np.abs(at_s - centre_s) <= analysis.attention.step_s / 2
    excerpt = replace(record, source=HidingSource(record.source, first, hidden), n_samples=last - first, reference=None)
    shift_s = first / record.fs_hz
    found = analyse(_only(excerpt, analysis), model, lead=ALL, beats_at_s=known_s - shift_s).beats
    return float(found.probability[int(np.abs(found.time_s + shift_s - time_s).argmin()), code])


def _only(record: Record, analysis: Analysis) -> Record:
    """The record with its analysed leads alone, so that all of its leads are these."""
    index = tuple(record.lead_names.index(name) for name in analysis.lead_names)
    return replace(
        record,
        source=_Leads(record.source, index),
        lead_names=analysis.lead_names,
        calibrated=tuple(record.calibrated[i] for i in index),
    )


@dataclass(frozen=True)
class _Leads:
    whole: SignalSource
    index: tuple[int, ...]

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        return self.whole.read(start, stop, tuple(self.index[lead] for lead in leads))
