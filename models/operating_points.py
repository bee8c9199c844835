"""Choose and measure operating points: ``ECG_DATABASES=... python -m models.operating_points [NAME]``.

An operating point is what is added to the logarithms of the probabilities of V and S. Each mode but the balanced one
aims at an Se or a +P of both (AIMS), end to end: on detected beats, with the rules, by EC57, all beats of the patients
together (gross). The patients are those of ``models.calibrate`` that were new to the network which judges them; none of
them is a test patient. V and S compete for the same beats, so both offsets are searched together. Where an aim cannot
be reached within the bounds, the nearest point is taken.

The figures are cross-validated: those of patients that were not used to choose the offsets they are scored with. They
are written with the offsets into the spec beside the weights, which stay as they are, and with all else that was
measured into ``NAME.operating_points.json``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any, Final, NamedTuple

import numpy as np

from ecg_core.classifier.leads import ALL, FIRST
from ecg_core.classifier.model import save_spec
from ecg_core.evaluation.ec57 import Score, gross
from ecg_core.evaluation.evaluate import score_beats
from ecg_core.files import write_json
from ecg_core.measuring import settle
from ecg_core.rhythm.labelling import at_operating_point
from ecg_core.rules import BALANCED, HIGH, PRECISE, SENSITIVITIES, OperatingPoint
from models.calibrate import DECIMALS, FOLDS, AnalysedRecord, analysed_records, fold_of, parse_judges
from models.command import print_line

AIMS: Final = {HIGH: (0.99, 0.95), PRECISE: (0.97, 0.97)}  # Se of V and S; +P of V and S
FARTHEST, COARSE, STEP = 8.0, 1.0, 0.25  # nats: bound of an offset, first steps, and those around the best of them
LEAST_PPV = 1 / 3  # of a sensitive mode: where two of three are false, a reader looks no more
LEAST_SE = 0.5  # of a precise mode: what misses more than it finds is no measure of a burden
TOLERANCE = 0.005  # where the aims are not reached, of both together; less is not worth larger offsets


class Offsets(NamedTuple):
    """What is added to the logarithms of the probabilities, in nats."""

    v: float
    s: float

    @property
    def size(self) -> float:
        """How far this is from the balanced mode."""
        return abs(self.v) + abs(self.s)


NO_OFFSETS = Offsets(0.0, 0.0)


class Trials:
    """The scores of records at any offsets; labels that were scored before are not scored again."""

    def __init__(self, records: Sequence[AnalysedRecord]) -> None:
        self.records = records
        self._by_labels: list[dict[bytes, Score]] = [{} for _ in records]
        self._by_offsets: dict[Offsets, list[Score]] = {}

    def scores(self, offsets: Offsets) -> list[Score]:
        """The score of each record."""
        if offsets not in self._by_offsets:
            known = zip(self.records, self._by_labels, strict=True)
            self._by_offsets[offsets] = [_score(one, offsets, by_labels) for one, by_labels in known]
        return self._by_offsets[offsets]

    def total(self, offsets: Offsets, *, rows: Iterable[int]) -> Score:
        """The gross score of some records."""
        scores = self.scores(offsets)
        return gross(scores[row] for row in rows)


def _score(one: AnalysedRecord, offsets: Offsets, known: dict[bytes, Score]) -> Score:
    """End to end, with the rules, as an analysis by this operating point would label the beats."""
    made, point = one.analysis, point_at(offsets)
    key = at_operating_point(made.predicted, point).label.tobytes()
    if key not in known:
        labels = made.label_codes
        beats, _, _ = settle(made.record, made.predicted, made.waveform, made.rules, labels=labels, point=point)
        known[key] = score_beats(made.record, beats.time_s, beats.label)
    return known[key]


def point_at(offsets: Offsets) -> OperatingPoint:
    """An operating point of which nothing was measured yet."""
    return OperatingPoint("", *offsets, *(0.0,) * 8, n_patients=0, measured_on=(), recipe="")


def choose_offsets(mode: str, total: Callable[[Offsets], Score]) -> Offsets:
    """The smallest offsets of those nearest to the aims of a mode, by the score at any offsets.

    A sensitive mode adds to the probabilities, a precise one takes from them. What is not ``is_allowed`` beside the
    balanced mode is left out.
    """
    sign = 1.0 if mode == HIGH else -1.0
    balanced = total(NO_OFFSETS)

    def best_of(steps: Iterable[tuple[float, float]]) -> Offsets:
        tried = [Offsets(sign * v + 0.0, sign * s + 0.0) for v, s in steps]  # the zero so that none is minus zero
        allowed = [NO_OFFSETS, *(at for at in tried if is_allowed(mode, total(at), balanced))]
        short = {at: shortfall(mode, total(at)) for at in allowed}
        least = min(short.values())
        enough = least + TOLERANCE if least else 0.0
        return min((at for at in allowed if short[at] <= enough), key=lambda at: at.size)

    grid = np.arange(0, FARTHEST + STEP, COARSE).tolist()
    found = best_of(product(grid, grid))
    steps = np.arange(-COARSE, COARSE + STEP, STEP)
    around = [np.clip(abs(value) + steps, 0, FARTHEST).tolist() for value in found]
    return best_of(product(*around))


def aimed(mode: str, score: Score) -> tuple[float, float]:
    """What a mode aims at: Se of V and S, or their +P."""
    return (score.se("V"), score.se("S")) if mode == HIGH else (score.ppv("V"), score.ppv("S"))


def is_allowed(mode: str, score: Score, balanced: Score) -> bool:
    """Whether no class is behind the balanced mode in what is aimed at, or below LEAST_PPV or LEAST_SE in the other."""
    other, least = (PRECISE, LEAST_PPV) if mode == HIGH else (HIGH, LEAST_SE)
    keeps = all(at >= before for at, before in zip(aimed(mode, score), aimed(mode, balanced), strict=True))
    return keeps and min(aimed(other, score)) >= least


def shortfall(mode: str, score: Score) -> float:
    """How far a score is from the aims of a mode, both classes together."""
    return float(sum(max(0.0, aim - at) for aim, at in zip(AIMS[mode], aimed(mode, score), strict=True)))


def measure_mode(mode: str, trials: Trials) -> tuple[Offsets, dict[str, Any]]:
    """The offsets of a mode, chosen on all patients, and its figures: cross-validated, and on all patients."""
    every = range(len(trials.records))
    if mode == BALANCED:
        figures = figures_of(trials.total(NO_OFFSETS, rows=every))
        return NO_OFFSETS, {"cross_validated": figures, "chosen_on": figures}
    offsets = choose_offsets(mode, partial(trials.total, rows=every))
    fold, left_out, chosen = fold_of(one.patient for one in trials.records), [], []
    for part in range(FOLDS):
        is_out = [fold[one.patient] == part for one in trials.records]
        used = [row for row in every if not is_out[row]]
        chosen.append(choose_offsets(mode, partial(trials.total, rows=used)))
        scores = trials.scores(chosen[-1])
        left_out += [scores[row] for row in every if is_out[row]]
    return offsets, {
        "cross_validated": figures_of(gross(left_out)),
        "chosen_on": figures_of(trials.total(offsets, rows=every)),
        "offsets_of_folds": chosen,
    }


def figures_of(score: Score) -> dict[str, float]:
    """The figures of an operating point, by the names of its fields."""
    figures = {
        "v_se": score.se("V"), "v_ppv": score.ppv("V"), "s_se": score.se("S"), "s_ppv": score.ppv("S"),
        "false_v_per_hour": score.false_per_hour("V"), "false_s_per_hour": score.false_per_hour("S"),
    }  # fmt: skip
    return {name: round(value, DECIMALS) for name, value in figures.items()}


def measure_points(records: Sequence[AnalysedRecord], recipe: str) -> tuple[tuple[OperatingPoint, ...], dict[str, Any]]:
    """The operating points by these records, and all that was measured of them."""
    trials, points, measured = Trials(records), [], {}
    n_patients, databases = len({one.patient for one in records}), tuple(sorted({one.database for one in records}))
    for mode in SENSITIVITIES:
        offsets, measured[mode] = measure_mode(mode, trials)
        v_aim, s_aim = AIMS.get(mode, (0.0, 0.0))
        figures = measured[mode]["cross_validated"]
        point = OperatingPoint(
            mode, *offsets, **figures, v_aim=v_aim, s_aim=s_aim, n_patients=n_patients, measured_on=databases,
            recipe=recipe,
        )  # fmt: skip
        points.append(point)
        measured[mode] |= {"offsets": offsets, "aims": [v_aim, s_aim]}
        print_line(f"{point.text}. {point.aim_text} {measured[mode]}")
    return tuple(points), measured


def main() -> None:
    """Analyse, choose, measure, write the spec."""
    options, judges = parse_judges(__doc__)
    began, spec = time.monotonic(), judges.model.spec
    points: list[tuple[OperatingPoint, ...]] = []
    measured: dict[str, Any] = {"model_sha256": spec.sha256}
    for lead in (FIRST, ALL):
        records = list(analysed_records(judges, lead, options.databases, only_new=True))
        print_line(f"lead {lead}: {len(records)} records, {time.monotonic() - began:.0f} s")
        of_lead, measured[lead] = measure_points(records, f"python -m models.operating_points {options.name}")
        points.append(of_lead)
    save_spec(judges.path, replace(spec, operating_points=tuple(points)))
    write_json(judges.path.with_suffix(".operating_points.json"), measured)


if __name__ == "__main__":
    main()
