"""Domain adaptation: from the recorder that a model was trained on to another one, with or without labels."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch

from ..classifier.leads import ALL
from ..classifier.model import Model, uncalibrated
from ..classifier.network import BeatNetwork
from ..classifier.weights import torch_model
from ..labels import UNLABELLED, class_codes
from ..pipeline import analyse
from ..schema import Annotations, Float32, Record
from ..signals.filters import FS_HZ
from .fit import Report, fit, no_report
from .plan import FitPlan
from .preparation import TrainingRecord, prepare_record

CONFIDENT: Final = 0.9  # a beat gets the model's own class as its label from this probability on
PLAN: Final = FitPlan(steps=1500, learning_rate=1e-3)


def adapt(
    model: Model,
    records: Sequence[Record | TrainingRecord],
    *,
    noise: Float32,
    rehearsed: Sequence[TrainingRecord] = (),
    plan: FitPlan = PLAN,
    checkpoint: Path | None = None,
    report: Report = no_report,
    fraction: float = 1.0,
) -> Model:
    """Fine-tune a copy of a model to the recorder of these records.

    A record with reference annotations is learned with these. A record without is learned with pseudo-labels
    (Lee 2013): the model's own classes where it is confident, no class elsewhere. Detection threshold and class bias
    stay as they are: ``calibrate`` chooses them on validation patients.

    Parameters
    ----------
    records
        Records of the recorder, or such that were made ready before.
    noise
        Recorded noise at 125 Hz, shape (n_channels, n).
    rehearsed
        Records of the source, learned again in between so that they are not forgotten.
    checkpoint, report
        See ``training.fit``.
    fraction
        Of the way from the weights before to the fitted ones: less forgets less of the source, and still gains most on
        the target (Wortsman 2022, doi:10.1109/CVPR52688.2022.00780).

    """
    model = uncalibrated(model)
    network = fit(
        deepcopy(model.network),
        [*(_prepared(record, model) for record in records), *rehearsed],
        noise=noise,
        spec=model.spec,
        plan=plan,
        checkpoint=checkpoint,
        report=report,
    )
    return torch_model(replace(model.spec, sha256=""), between(model.network, network, fraction))


def between(one: BeatNetwork, other: BeatNetwork, fraction: float) -> BeatNetwork:
    """A network whose weights lie so far on the way from those of one to those of another one, 0..1."""
    if fraction == 1:
        return other
    result = deepcopy(other)
    weights = dict(one.named_parameters())
    with torch.no_grad():
        for name, weight in result.named_parameters():
            weight.copy_(torch.lerp(weights[name], weight, fraction))
    return result


def _prepared(record: Record | TrainingRecord, model: Model) -> TrainingRecord:
    if isinstance(record, TrainingRecord):
        return record
    return prepare_record(record, record.record_id) if record.reference else pseudo_label(record, model)


def pseudo_label(record: Record, model: Model, *, known: Annotations | None = None) -> TrainingRecord:
    """A record with the beats that the model finds in it; UNLABELLED where the model is not confident of the class.

    Parameters
    ----------
    known
        Beats of the record whose class is known: they keep it, and the model is fine-tuned to them before.

    """
    beats = analyse(record, model, lead=ALL, patient_labels=known).beats
    code = np.where(beats.usable & (beats.confidence >= CONFIDENT), class_codes(beats.label), UNLABELLED)
    if known is not None:
        labelled = known.codes_at(beats.time_s)
        code = np.where(labelled != UNLABELLED, labelled, code)
    return prepare_record(record, record.record_id, beats=(beats.time_s * FS_HZ, code))
