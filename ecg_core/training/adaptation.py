"""Domain adaptation: from the recorder a model knows to another one, with or without labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..classifier.leads import ALL
from ..classifier.model import Model
from ..labels import UNLABELLED, class_codes
from ..pipeline import analyse
from ..schema import Float32, Record
from ..signals.filters import FS_HZ
from .augmentation import TrainingRecord
from .fit import FitPlan, fit, prepare_record

CONFIDENT = 0.9  # a beat labels itself where the model gives its class at least this probability
PLAN = FitPlan(steps=1500, learning_rate=1e-3)


def adapt(
    model: Model,
    records: Sequence[Record],
    *,
    noise: Float32,
    rehearsed: Sequence[TrainingRecord] = (),
    plan: FitPlan = PLAN,
    checkpoint: Path | None = None,
    report: Callable[[int, float, float], None] = lambda step, loss, left_s: None,
) -> Model:
    """Fine-tune a model to the recorder of these records.

    A record with reference annotations teaches by these. One without teaches itself (self-training, Lee 2013): its
    beats get the classes that the model is confident of, and no class where it is not. The model that is given is left
    as it is, and so are detection threshold and class bias: ``calibrate`` chooses them anew on validation patients.

    Parameters
    ----------
    noise
        Recorded noise at 125 Hz, shape (n_channels, n), see ``training.fit``.
    rehearsed
        Records of the source, seen again in between so that what was learned there is not forgotten.
    checkpoint, report
        See ``training.fit``.

    """
    target = [
        prepare_record(record, record.record_id) if record.reference else label_itself(record, model)
        for record in records
    ]
    network = fit(
        deepcopy(model.network),
        [*target, *rehearsed],
        noise,
        model.spec,
        plan,
        checkpoint=checkpoint,
        report=report,
    )
    return Model(replace(model.spec, sha256=""), network)


def label_itself(record: Record, model: Model) -> TrainingRecord:
    """A record with the beats that the model finds in it, and the classes of those it is confident of."""
    beats = analyse(record, model, lead=ALL).beats
    code = class_codes(beats.label)
    sure = beats.usable & (beats.confidence >= CONFIDENT)
    return prepare_record(record, record.record_id, marks=(beats.time_s * FS_HZ, np.where(sure, code, UNLABELLED)))
