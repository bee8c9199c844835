"""Detection threshold and class bias, chosen on validation patients and never on a test set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from ..classifier.model import Model, uncalibrated
from ..classifier.weights import torch_model
from ..evaluation.ec57 import Score, gross
from ..evaluation.evaluate import score_beats
from ..labels import CLASSES
from ..pipeline import analyse
from ..schema import Beats, ModelSpec, Record

THRESHOLDS = (0.2, 0.3, 0.4, 0.5)
BIAS_STEPS = tuple(np.linspace(-3, 3, 25).round(2).tolist())  # a quarter of a nat apart
TOLERANCE = 0.02  # of F1: eight patients cannot resolve less; svdb labels some beats of atrial fibrillation S, others N
SMALLEST_PROBABILITY = 1e-9  # so that its logarithm is finite

Bias = tuple[float, ...]  # of each class, added to the logits
AnalysedRecords = Sequence[tuple[Record, Beats]]


def calibrate(model: Model, records: Sequence[Record], *, report: Callable[[str], None] = lambda line: None) -> Model:
    """Choose threshold and bias on all leads of the validation records; ``report`` gets a line about each."""
    spec, analysed = choose_threshold(model, records, report=report)
    bias = choose_bias(analysed, report=report)
    return torch_model(replace(spec, class_bias=bias), model.network)


def choose_threshold(
    model: Model, records: Sequence[Record], *, report: Callable[[str], None]
) -> tuple[ModelSpec, AnalysedRecords]:
    """The spec with the threshold of the highest F1 of QRS detection, without bias, and the beats found with it."""
    tried = []
    for threshold in THRESHOLDS:
        spec = uncalibrated(model).spec
        spec = replace(spec, detection_threshold=threshold, class_bias=(0.0,) * len(CLASSES))
        analysed = _analyse_leads(torch_model(spec, model.network), records)
        total = _score_all(analysed, spec.class_bias)
        f1 = 2 * total.qrs_se * total.qrs_ppv / (total.qrs_se + total.qrs_ppv)
        report(f"threshold {threshold:.2f}: QRS Se {total.qrs_se:.4%}, +P {total.qrs_ppv:.4%}, F1 {f1:.4%}")
        tried.append((f1, spec, analysed))
    _, spec, analysed = max(tried, key=lambda trial: trial[0])
    return spec, analysed


def choose_bias(analysed: AnalysedRecords, *, report: Callable[[str], None]) -> Bias:
    """The smallest bias of S and V whose mean F1 of both is within TOLERANCE of the best."""
    mean_f1 = {}
    for s, v in product(BIAS_STEPS, BIAS_STEPS):
        bias = (0.0, s, v, 0.0, 0.0)
        total = _score_all(analysed, bias)
        mean_f1[bias] = 0.5 * (total.f1("S") + total.f1("V"))
    enough = max(mean_f1.values()) - TOLERANCE
    chosen = min((bias for bias in mean_f1 if mean_f1[bias] >= enough), key=lambda bias: sum(map(abs, bias)))
    report(f"bias {dict(zip(CLASSES, chosen, strict=True))}: mean F1 of S and V {mean_f1[chosen]:.4f}")
    return chosen


def _analyse_leads(model: Model, records: Sequence[Record]) -> AnalysedRecords:
    """Each lead of each record, analysed alone."""
    return [(record, analyse(record, model, lead=lead).beats) for record in records for lead in record.lead_names]


def _score_all(analysed: AnalysedRecords, bias: Bias) -> Score:
    return gross([_score(record, beats, bias) for record, beats in analysed])


def _score(record: Record, beats: Beats, bias: Bias) -> Score:
    code = (np.log(beats.probability + SMALLEST_PROBABILITY) + np.array(bias)).argmax(axis=1)
    label = np.where(beats.usable, np.array(CLASSES)[code], "Q")
    return score_beats(record, beats.time_s, label)
