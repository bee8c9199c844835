"""The two numbers that are chosen on validation patients, never on a test set: detection threshold and class bias."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from ..classifier.model import Model
from ..evaluation.ec57 import Score, gross
from ..evaluation.evaluate import score_beats
from ..labels import CLASSES
from ..pipeline import analyse
from ..schema import Beats, Record

THRESHOLDS = (0.2, 0.3, 0.4, 0.5)
BIAS_STEPS = tuple(np.linspace(-3, 3, 25).round(2).tolist())  # a quarter of a nat apart
AS_GOOD = 0.02  # what eight patients can tell; svdb calls some beats of atrial fibrillation S and others N

Found = Sequence[tuple[Record, Beats]]


def calibrate(model: Model, records: Sequence[Record], report: Callable[[str], None] = lambda line: None) -> Model:
    """Choose threshold and bias on all leads of the validation records.

    The threshold maximises the F1 of QRS detection. The bias of S and of V is the smallest that brings the mean of
    their F1, on the beats detected at that threshold, to within AS_GOOD of the best: a few patients cannot tell more.
    """
    tried = []
    for threshold in THRESHOLDS:
        spec = replace(model.spec, detection_threshold=threshold, class_bias=(0.0,) * len(CLASSES))
        found = _find(Model(spec, model.network), records)
        total = _total(found, spec.class_bias)
        f1 = 2 * total.qrs_se * total.qrs_ppv / (total.qrs_se + total.qrs_ppv)
        report(f"threshold {threshold:.2f}: QRS Se {total.qrs_se:.4%}, +P {total.qrs_ppv:.4%}, F1 {f1:.4%}")
        tried.append((f1, spec, found))
    _, spec, found = max(tried, key=lambda trial: trial[0])
    reached = {bias: _mean_f1(_total(found, bias)) for bias in _biases()}
    enough = max(reached.values()) - AS_GOOD
    bias = min((bias for bias in reached if reached[bias] >= enough), key=lambda bias: sum(map(abs, bias)))
    report(f"bias {dict(zip(CLASSES, bias, strict=True))}: mean F1 of S and V {reached[bias]:.4f}")
    return Model(replace(spec, class_bias=bias), model.network)


def _find(model: Model, records: Sequence[Record]) -> Found:
    return [(record, analyse(record, model, lead=lead).beats) for record in records for lead in record.lead_names]


def _biases() -> list[tuple[float, ...]]:
    return [(0.0, s, v, 0.0, 0.0) for s, v in product(BIAS_STEPS, BIAS_STEPS)]


def _total(found: Found, bias: tuple[float, ...]) -> Score:
    return gross([_score(record, beats, bias) for record, beats in found])


def _score(record: Record, beats: Beats, bias: tuple[float, ...]) -> Score:
    code = (np.log(beats.probability + 1e-9) + np.array(bias)).argmax(axis=1)
    label = np.where(beats.usable, np.array(CLASSES)[code], "Q")
    return score_beats(record, beats.time_s, label)


def _mean_f1(total: Score) -> float:
    return 0.5 * (total.f1("S") + total.f1("V"))
