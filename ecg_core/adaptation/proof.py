"""The proof: a model before and after adaptation, on patients that were not learned from, and on its source."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ..evaluation.budgets import LEAST_PATIENTS
from ..evaluation.ec57 import gross, statistics
from ..evaluation.evaluate import AfDuration, Evaluation
from ..evaluation.patients import FALSE_S, FALSE_S_PER_HOUR, FALSE_V, FALSE_V_PER_HOUR, PatientScore
from ..evaluation.reliability import summarise_trust
from ..evaluation.summary import HEADLINE
from ..schema import Float64
from ..text import plural

CLASSES_JUDGED: Final = "VS"
LEAST_BEATS: Final = 30  # of a class in the reference of the held-out patients: with fewer its F1 is left to chance
LEAST_GAIN: Final = 0.005  # mean F1 of V and S, from which the adapted model is better
MOST_LOST: Final = 0.02  # F1 of one class, that the other's gain may cost
MOST_QRS_LOST: Final = 0.002  # of sensitivity or positive predictivity of the QRS
# F1 on the source. Two fits of the source model that differ in their seed alone differ by as much (see the model card);
# a smaller loss is stated in the verdict and does not forbid a model that is better on its own recorder.
MOST_FORGOTTEN: Final = {"V": 0.02, "S": 0.05}
MOST_AF_FORGOTTEN: Final = 0.05  # of sensitivity or positive predictivity by duration, on the source
# False beats of a class that is not judged may rise by so many a patient and an hour: those that a report that is right
# for a patient may hold.
MOST_FALSE: Final = {"V": (FALSE_V, FALSE_V_PER_HOUR), "S": (FALSE_S, FALSE_S_PER_HOUR)}
N_DRAWS: Final = 1000  # times the patients are drawn with replacement
PERCENTILES: Final = (2.5, 97.5)
DECIMALS: Final = 5


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two evaluations of the same recordings."""

    before: Evaluation
    after: Evaluation

    def f1(self, label: str) -> tuple[float, float]:
        """Gross F1 of a class before and after."""
        return gross(self.before.detected()).f1(label), gross(self.after.detected()).f1(label)

    def n_beats(self, label: str) -> int:
        """Beats of a class in the reference."""
        total = gross(self.before.detected())
        return total.true_positives(label) + total.false_negatives(label)

    @property
    def judged(self) -> list[str]:
        """Classes with enough beats to be judged by."""
        return [label for label in CLASSES_JUDGED if self.n_beats(label) >= LEAST_BEATS]

    def false_per_hour(self, label: str) -> tuple[float, float]:
        """False beats of a class an hour before and after."""
        before, after = gross(self.before.detected()), gross(self.after.detected())
        return before.false_per_hour(label), after.false_per_hour(label)

    def has_more_false(self, label: str) -> bool:
        """Whether more false beats were added than a report that is right may hold: see ``evaluation.patients``."""
        before, after = gross(self.before.detected()), gross(self.after.detected())
        each, per_hour = MOST_FALSE[label]
        most = each * len(self.before.patients()) + per_hour * after.scored_s / 3600
        return after.false_positives(label) - before.false_positives(label) > most

    @property
    def not_judged(self) -> list[str]:
        """Classes with too few beats to be judged by; false ones can be counted all the same."""
        return [label for label in CLASSES_JUDGED if label not in self.judged]

    def gain(self, label: str) -> float:
        """F1 of a class after, less that before."""
        before, after = self.f1(label)
        return after - before


@dataclass(frozen=True, eq=False)
class Proof:
    """What adaptation brought on held-out patients, and what it cost on the source."""

    held_out: Comparison
    source: Comparison
    n_fits: int = 1  # more than one where each patient was left out in turn
    is_simulated: bool = False  # whether recordings that were learned from or held out are simulated

    @property
    def problems(self) -> list[str]:
        """Why the adapted model is not to be kept, as clauses; none where it may be."""
        found = [
            f"{label} F1 on held-out patients falls from {_f1(*self.held_out.f1(label))}"
            for label in self.held_out.judged
            if self.held_out.gain(label) < -MOST_LOST
        ]
        if self.mean_gain < -LEAST_GAIN:
            found.append(f"the mean F1 of {' and '.join(self.held_out.judged)} falls by {-self.mean_gain:.3f}")
        found += [
            f"false {label} on held-out patients rise from {_rates(*self.held_out.false_per_hour(label))} an hour"
            for label in self.held_out.not_judged
            if self.held_out.has_more_false(label)
        ]
        found += [
            f"{label} F1 on the source falls from {_f1(*self.source.f1(label))}: it would forget what it knows"
            for label, most in MOST_FORGOTTEN.items()
            if self.source.gain(label) < -most
        ]
        for what, comparison in (("held-out patients", self.held_out), ("the source", self.source)):
            before, after = gross(comparison.before.detected()), gross(comparison.after.detected())
            if min(after.qrs_se - before.qrs_se, after.qrs_ppv - before.qrs_ppv) < -MOST_QRS_LOST:
                found.append(f"beats of {what} are found less reliably")
        if self.fibrillation_lost > MOST_AF_FORGOTTEN:
            found.append("atrial fibrillation of the source is found less reliably")
        return found

    @property
    def mean_gain(self) -> float:
        """Mean gain in F1 of the judged classes on held-out patients; NaN where none can be judged."""
        gains = [self.held_out.gain(label) for label in self.held_out.judged]
        return float(np.mean(gains)) if gains else math.nan

    @property
    def fibrillation_lost(self) -> float:
        """The larger loss of sensitivity and positive predictivity by duration on the source; 0 where unknown."""
        before, after = (_af_figures(part) for part in (self.source.before, self.source.after))
        return max((old - new for old, new in zip(before, after, strict=True)), default=0.0)

    @property
    def outcome(self) -> str:
        """``better``, ``no better``, ``worse``, or ``not shown`` where too few ectopic beats were held out."""
        if self.problems:
            return WORSE
        if math.isnan(self.mean_gain):
            return NOT_SHOWN
        return BETTER if self.mean_gain >= LEAST_GAIN else NO_BETTER

    @property
    def may_keep(self) -> bool:
        """Whether the adapted model may be kept: it is better, or at least shown to be no worse."""
        return self.outcome in (BETTER, NO_BETTER)

    @property
    def verdict(self) -> str:
        """The outcome in one sentence with its figures."""
        patients = self.held_out.before.patients()
        figures = [f"{label} F1 {_f1(*self.held_out.f1(label), ' -> ')}" for label in self.held_out.judged]
        figures += [
            f"{label} not judged ({plural(self.held_out.n_beats(label), 'beat')}; false "
            f"{_rates(*self.held_out.false_per_hour(label), ' -> ')} an hour)"
            for label in self.held_out.not_judged
        ]
        source = ", ".join(f"{label} {self.source.gain(label):+.3f}" for label in CLASSES_JUDGED)
        text = f"{', '.join(figures)} on {plural(len(patients), 'patient')} not used; source {source}."
        text += SIMULATED * self.is_simulated
        match self.outcome:
            case "better":
                return f"Better: {text}"
            case "no better":
                return f"No better: {text}"
            case "worse":
                return f"Worse: {text} It cannot be kept: {'; '.join(self.problems)}."
        return f"Not shown: {text} It cannot be kept: the held-out patients have too few ectopic beats to judge by."


SIMULATED: Final = " Simulated recordings are among them: this says nothing of patients."
BETTER, NO_BETTER, WORSE, NOT_SHOWN = "better", "no better", "worse", "not shown"


def _f1(before: float, after: float, between: str = " to ") -> str:
    return f"{before:.3f}{between}{after:.3f}"


def _rates(before: float, after: float, between: str = " to ") -> str:
    return f"{before:.1f}{between}{after:.1f}"


def _af_figures(evaluation: Evaluation) -> tuple[float, ...]:
    """Sensitivity and positive predictivity by duration; none where no reference names rhythms."""
    known = [record.af for record in evaluation.records if record.af is not None]
    total = AfDuration(*(sum(getattr(one, name) for one in known) for name in ("found_s", "reference_s", "both_s")))
    if not total.reference_s:
        return ()
    return total.both_s / total.reference_s, total.both_s / total.found_s if total.found_s else 0.0


def describe_proof(proof: Proof) -> dict[str, Any]:
    """The whole proof as plain JSON values, tables as lists of rows; undefined figures are null."""
    parts = {"held-out patients": proof.held_out, "source": proof.source}
    return {
        "verdict": proof.verdict,
        "outcome": proof.outcome,
        "may_keep": proof.may_keep,
        "problems": proof.problems,
        "before": [{"measured on": name, **_figures(part.before)} for name, part in parts.items()],
        "after": [{"measured on": name, **_figures(part.after)} for name, part in parts.items()],
        "change": [
            {"measured on": name, "figure": figure, **change}
            for name, part in parts.items()
            for figure, change in _changes(part).items()
        ],
        "held_out_patients": _patients(proof.held_out),
        "reliability": [
            {"measured on": "held-out patients", "when": when, "class": label, **row}
            for when, evaluation in (("before", proof.held_out.before), ("after", proof.held_out.after))
            for label, rows in summarise_trust(record.trust for record in evaluation.records)["reliability"].items()
            for row in rows
        ],
        "rules": "ANSI/AAMI EC57, on detected beats unless named otherwise; intervals of 95 % by drawing patients",
        "fits": proof.n_fits,
    }


def _patients(comparison: Comparison) -> list[dict[str, Any]]:
    pairs = zip(comparison.before.patients(), comparison.after.patients(), strict=True)
    return [_patient(old, new) for old, new in pairs if old.is_judged]


def _figures(evaluation: Evaluation) -> dict[str, Any]:
    """Gross figures on detected beats, F1 on reference beats, false beats an hour, fibrillation by duration."""
    total = gross(evaluation.detected())
    at_reference = gross(evaluation.reference())
    af = _af_figures(evaluation)
    return {
        "patients": len(evaluation.patients()),
        **{name: _number(statistics(total)[name]) for name in HEADLINE},
        "v_f1_on_reference_beats": _number(at_reference.f1("V")),
        "s_f1_on_reference_beats": _number(at_reference.f1("S")),
        "false_v_per_hour": _number(total.false_per_hour("V")),
        "false_s_per_hour": _number(total.false_per_hour("S")),
        "af_duration_se": _number(af[0]) if af else None,
        "af_duration_ppv": _number(af[1]) if af else None,
    }


def _changes(comparison: Comparison) -> dict[str, dict[str, float | None]]:
    """After less before, with its interval over patients; without one where there are too few patients."""
    pairs = list(zip(comparison.before.patients(), comparison.after.patients(), strict=True))
    whole = _differences(pairs)
    edges = _intervals(pairs) if len(pairs) >= LEAST_PATIENTS else np.full((2, len(HEADLINE)), math.nan)
    return {
        name: {"change": _number(change), "low": _number(low), "high": _number(high)}
        for name, change, low, high in zip(HEADLINE, whole, *edges, strict=True)
    }


Pairs = Sequence[tuple[PatientScore, PatientScore]]


def _differences(pairs: Pairs) -> list[float]:
    """After less before of each headline figure, over the patients together."""
    before, after = (statistics(gross(pair[column].score for pair in pairs)) for column in (0, 1))
    return [after[name] - before[name] for name in HEADLINE]


def _intervals(pairs: Pairs) -> Float64:
    """Interval of each difference by drawing patients with replacement, shape (2, n_figures)."""
    rng = np.random.default_rng(0)
    drawn = [_differences([pairs[i] for i in rng.integers(len(pairs), size=len(pairs))]) for _ in range(N_DRAWS)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a figure that is undefined in every draw
        return np.asarray(np.nanpercentile(np.array(drawn), PERCENTILES, axis=0))


def _patient(before: PatientScore, after: PatientScore) -> dict[str, Any]:
    """A patient's errors before and after."""
    return {
        "patient": before.name,
        "hours": _number(before.scored_h),
        "reference_pvc_burden_pct": _number(before.reference_ectopy.pvc_burden_pct),
        "reference_sve_burden_pct": _number(before.reference_ectopy.sve_burden_pct),
        **{
            f"{name}_{when}": _number(value)
            for when, score in (("before", before), ("after", after))
            for name, value in (
                ("pvc_burden_pct", score.ectopy.pvc_burden_pct),
                ("sve_burden_pct", score.ectopy.sve_burden_pct),
                ("v_f1", score.f1("V")),
                ("s_f1", score.f1("S")),
                ("false_v_per_hour", score.score.false_per_hour("V")),
                ("false_s_per_hour", score.score.false_per_hour("S")),
            )
        },
    }


def _number(value: float) -> float | None:
    return round(float(value), DECIMALS) if math.isfinite(value) else None
