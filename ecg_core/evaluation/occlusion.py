"""Whether a beat's class depends on what the model attends to: attended steps are hidden, then as many random ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..classifier.leads import ALL
from ..classifier.model import Model
from ..labels import CLASSES
from ..pipeline import analyse
from ..schema import Analysis, Bool, Float32, Float64, Index, Record, SignalSource

AROUND_S = 30.0  # so much of the record on either side is analysed with the beat
HIDDEN_ATTENTION = 0.5  # the steps of largest weight that together make up so much of the attention are hidden
N_DRAWS = 20  # times that as many steps are drawn at random
SMALLEST_CHANGE = 0.05  # of a probability; a smaller one counts as none


@dataclass(frozen=True)
class Occlusion:
    """Probability of a beat's class with some steps of the signal around it hidden."""

    label: str
    n_steps: int  # hidden
    hidden_s: float
    before: float  # with nothing hidden
    attended: float  # with the most attended steps hidden
    random: tuple[float, ...]  # with as many random ones hidden, for each draw

    @property
    def typical_random(self) -> float:
        """Median of the random draws."""
        return float(np.median(self.random))

    @property
    def supported(self) -> bool:
        """Whether hiding the attended steps changed the probability more than 95 % of the random draws did."""
        change = abs(self.before - np.array(self.random))
        return abs(self.before - self.attended) > max(SMALLEST_CHANGE, float(np.percentile(change, 95)))


@dataclass(frozen=True)
class HidingSource:
    """A stretch of a source, in which straight lines between their neighbours replace some of the samples."""

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


def occlude(analysis: Analysis, model: Model, *, beat: int) -> Occlusion:
    """Hide parts of the signal around one beat and classify the beat again, with the half minute on either side.

    Parameters
    ----------
    model
        The one that the analysis was made with.
    beat
        Index of the beat in ``analysis.beats``.

    """
    weight = analysis.attention.weight[beat].astype(np.float64)
    order = np.argsort(weight)[::-1]
    n_steps = int(np.searchsorted(np.cumsum(weight[order]), HIDDEN_ATTENTION * weight.sum()) + 1)
    rng = np.random.default_rng(beat)
    draws = [rng.choice(len(weight), n_steps, replace=False) for _ in range(N_DRAWS)]
    return Occlusion(
        label=str(analysis.beats.label[beat]),
        n_steps=n_steps,
        hidden_s=n_steps * analysis.attention.step_s,
        before=_probability(analysis, model, beat, order[:0]),
        attended=_probability(analysis, model, beat, order[:n_steps]),
        random=tuple(_probability(analysis, model, beat, steps) for steps in draws),
    )


def _probability(analysis: Analysis, model: Model, beat: int, steps: Index) -> float:
    """Probability of a beat's class with some steps of its attention hidden."""
    record, beats = analysis.record, analysis.beats
    time_s, code = float(beats.time_s[beat]), CLASSES.index(str(beats.label[beat]))
    first = max(0, int((time_s - AROUND_S) * record.fs_hz))
    last = min(record.n_samples, int((time_s + AROUND_S) * record.fs_hz))
    hidden = _hidden(analysis, beat, steps, np.arange(first, last) / record.fs_hz)
    excerpt = replace(record, source=HidingSource(record.source, first, hidden), n_samples=last - first, reference=None)
    shift_s = first / record.fs_hz
    known_s = beats.time_s[np.abs(beats.time_s - time_s) <= AROUND_S] - shift_s
    found = analyse(_analysed_leads(excerpt, analysis), model, lead=ALL, beats_at_s=known_s).beats
    return float(found.probability[int(np.abs(found.time_s + shift_s - time_s).argmin()), code])


def _hidden(analysis: Analysis, beat: int, steps: Index, time_s: Float64) -> Bool:
    """Which moments lie in one of the steps of a beat's attention, shape (n,)."""
    attention = analysis.attention
    centre_s = analysis.beats.time_s[beat] + attention.offset_s[steps].astype(np.float64)
    hidden = np.zeros(len(time_s), dtype=bool)
    for middle_s in centre_s.tolist():
        hidden |= np.abs(time_s - middle_s) <= attention.step_s / 2
    return hidden


def _analysed_leads(record: Record, analysis: Analysis) -> Record:
    """The record with no other leads than those that were analysed."""
    index = tuple(record.lead_names.index(name) for name in analysis.lead_names)
    return replace(
        record,
        source=_Leads(record.source, index),
        lead_names=analysis.lead_names,
        calibrated=tuple(record.calibrated[i] for i in index),
    )


@dataclass(frozen=True)
class _Leads:
    """Some leads of a source."""

    whole: SignalSource
    index: tuple[int, ...]

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """See ``SignalSource``."""
        return self.whole.read(start, stop, tuple(self.index[lead] for lead in leads))
