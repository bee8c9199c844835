"""Fit the doubt about a count of S: ``ECG_DATABASES=... python -m models.doubt [NAME]``.

How probable it is, by what is seen in a recording, that its SVE burden is off by more than BURDEN_POINTS: a logistic
regression over the recordings of ``models.calibrate`` whose patients were new to the network that judges them; none of
them is a test patient. Recordings of up to a minute are left out, too short for a burden. Prints the table TERMS of
``ecg_core.rhythm.doubt``, and writes it with what it is worth, cross-validated over the patients, into
``NAME.doubt.json``; and beside it what the table in force is worth in these recordings, by whose counts in an earlier
version of the model it may have been fitted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy.optimize import minimize
from scipy.stats import rankdata

from ecg_core.classifier.leads import ALL
from ecg_core.evaluation.evaluate import reference_of
from ecg_core.evaluation.patients import BURDEN_POINTS, EctopyCount, count_reference
from ecg_core.files import write_json
from ecg_core.labels import UNLABELLED, class_codes
from ecg_core.measuring import with_rules
from ecg_core.rhythm.doubt import CONSTANT, TERMS, UNCERTAIN_FROM, doubt_features, open_share, s_doubt
from ecg_core.rhythm.short_recordings import SHORT_S
from ecg_core.schema import Analysis, Bool, Float64
from models.calibrate import FOLDS, Judges, analysed_records, fold_of, parse_judges
from models.command import print_line

RIDGE = 0.01  # of the squared weights beside the mean loss: a few dozen wrong counts fit no large ones
TRIED: Final = (0.2, 0.25, UNCERTAIN_FROM, 0.4, 0.5)  # scores from which on a count might be called uncertain
DECIMALS = 3


@dataclass(frozen=True)
class JudgedRecord:
    """What is seen of S in a recording, and whether its SVE burden is right."""

    patient: str
    score: float  # of the doubt in force
    features: Mapping[str, float]  # see doubt_features
    open_share: float
    is_wrong: bool


@dataclass(frozen=True, eq=False)
class Logistic:
    """A logistic regression; the arrays have one number a term, shape (n_terms,)."""

    constant: float
    weight: Float64
    centre: Float64
    scale: Float64

    def probability(self, values: Float64) -> Float64:
        """Of a wrong count, shape (n,), by values on their scales, shape (n, n_terms)."""
        odds = self.constant + self.standardised(values) @ self.weight
        return np.asarray(1 / (1 + np.exp(-odds)))

    def standardised(self, values: Float64) -> Float64:
        """(value - centre) / scale; 0 where it is not known."""
        return np.nan_to_num((values - self.centre) / self.scale)


def judged_records(judges: Judges, databases: Path) -> Iterator[JudgedRecord]:
    """The recordings, with the probabilities as the calibration of the model makes them."""
    for one in analysed_records(judges, ALL, databases, only_new=True):
        if one.analysis.record.duration_s <= SHORT_S:
            continue
        spec = replace(one.analysis.model, calibration=judges.model.spec.calibration)
        analysis = with_rules(replace(one.analysis, model=spec), one.analysis.rules)
        if (in_force := s_doubt(analysis.beats, analysis.rules)) is None:
            continue
        features = doubt_features(analysis.beats, analysis.rules)
        yield JudgedRecord(one.patient, in_force.score, features, open_share(analysis.beats), is_wrong(analysis))


def is_wrong(analysis: Analysis) -> bool:
    """Whether the SVE burden is off by more than BURDEN_POINTS."""
    burden, code = analysis.burden, class_codes(reference_of(analysis.record).symbol)
    found = EctopyCount(burden.v.n_beats, burden.s.n_beats, int(burden.count.sum()))
    true = count_reference(code[code != UNLABELLED])
    return abs(found.sve_burden_pct - true.sve_burden_pct) > BURDEN_POINTS


def values_of(records: Sequence[JudgedRecord]) -> Float64:
    """The features on the scales of their terms, shape (n, n_terms)."""
    return np.array([[term.on_scale(one.features[name]) for name, term in TERMS.items()] for one in records])


def fit(values: Float64, wrong: Bool) -> Logistic:
    """A logistic regression with a ridge, by values on their scales, shape (n, n_terms)."""
    at_centre = Logistic(0.0, np.zeros(values.shape[1]), np.nanmean(values, axis=0), np.nanstd(values, axis=0))
    x = at_centre.standardised(values)

    def loss(parameters: Float64) -> float:
        odds = parameters[0] + x @ parameters[1:]
        return float((np.logaddexp(0, odds) - wrong * odds).mean() + RIDGE * (parameters[1:] ** 2).sum())

    found = minimize(loss, np.zeros(1 + values.shape[1])).x
    return replace(at_centre, constant=float(found[0]), weight=found[1:])


def cross_validated(records: Sequence[JudgedRecord]) -> Float64:
    """The score of each recording by a fit without the patients of its part, shape (n,)."""
    values, wrong = values_of(records), np.array([one.is_wrong for one in records])
    fold = fold_of(one.patient for one in records)
    part = np.array([fold[one.patient] for one in records])
    score = np.array([one.open_share for one in records])
    for k in range(FOLDS):
        score[part == k] *= fit(values[part != k], wrong[part != k]).probability(values[part == k])
    return score


def area_under_roc(score: Float64, wrong: Bool) -> float:
    """How often a wrong recording has the higher score than a right one: the rank statistic."""
    n_wrong, n_right = int(wrong.sum()), int((~wrong).sum())
    return float((rankdata(score)[wrong].sum() - n_wrong * (n_wrong + 1) / 2) / (n_wrong * n_right))


def figures_of(records: Sequence[JudgedRecord]) -> dict[str, Any]:
    """The fit to all recordings, and what it is worth, cross-validated."""
    wrong, score = np.array([one.is_wrong for one in records]), cross_validated(records)
    for least in TRIED:
        print_line(f"from {least:g}: {(score[wrong] >= least).sum()} wrong, {(score[~wrong] >= least).sum()} right")
    found = fit(values_of(records), wrong)
    numbers = np.stack([found.weight, found.centre, found.scale], axis=1).round(DECIMALS)
    return {
        "n_patients": len({one.patient for one in records}),
        "uncertain_from": UNCERTAIN_FROM,
        "wrong": int(wrong.sum()),
        "right": int((~wrong).sum()),
        **worth(score, wrong),
        "in_force": {
            **worth(np.array([one.score for one in records]), wrong),
            "constant": CONSTANT,
            "terms": {name: [term.weight, term.centre, term.scale] for name, term in TERMS.items()},
        },
        "constant": round(found.constant, DECIMALS),
        "terms": dict(zip(TERMS, numbers.tolist(), strict=True)),  # weight, centre, scale
    }


def worth(score: Float64, wrong: Bool) -> dict[str, float]:
    """How well scores part wrong recordings from right ones, and how many of either are called uncertain."""
    return {
        "auc": round(area_under_roc(score, wrong), DECIMALS),
        "wrong_flagged": int((score[wrong] >= UNCERTAIN_FROM).sum()),
        "right_flagged": int((score[~wrong] >= UNCERTAIN_FROM).sum()),
    }


def doubt_table(figures: Mapping[str, Any]) -> str:
    """How well the score parts wrong counts from right ones, and how many of either are called uncertain."""
    rows = []
    for title, of in (("in force, fitted to earlier counts of these", figures["in_force"]), ("fitted again", figures)):
        counts = " | ".join(f"{of[f'{which}_flagged']} of {figures[which]}" for which in ("wrong", "right"))
        rows.append(f"| {title} | {of['auc']:.2f} | {counts} |")
    return "\n".join(
        [
            f"{figures['wrong'] + figures['right']} recordings of {figures['n_patients']} patients, uncertain from a "
            f"score of {figures['uncertain_from']:g}:",
            "",
            "| doubt | AUC | wrong, called uncertain | right, called uncertain |",
            "|---|---|---|---|",
            *rows,
        ]
    )


def main() -> None:
    """Analyse, fit, print, save."""
    options, judges = parse_judges(__doc__)
    figures = figures_of(list(judged_records(judges, options.databases)))
    print_line(f"CONSTANT: Final = {figures['constant']}")
    for name, (weight, centre, scale) in figures["terms"].items():
        print_line(f'"{name}": Term({weight}, {centre}, {scale}, ...)')
    write_json(judges.path.with_suffix(".doubt.json"), {"model_sha256": judges.model.spec.sha256, **figures})


if __name__ == "__main__":
    main()
