"""The fit of a model to recordings of a recorder, with the source's records in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from ..classifier.leads import ALL
from ..classifier.model import Model
from ..classifier.unnamed import database_of, without_record_names
from ..labels import UNLABELLED, Codes, class_codes
from ..pipeline import analyse
from ..schema import Annotations, Float32, Float64, ModelSpec, Record
from ..signals.filters import FS_HZ
from ..text import plural
from ..training.adaptation import adapt, pseudo_label
from ..training.fit import Report, no_report
from ..training.plan import FitPlan
from ..training.preparation import TrainingRecord, prepare_record
from ..training.waveforms import NORMAL
from .material import LEARNED_S, Labels, Origin, Recording

# What describes and classifies the beats is fitted; what finds them, and with it the waveform's rhythms and what is
# analysable, stays as it is, and so does the head for fibrillation. Chosen on svdb's 38 records outside its test set:
# with ten of them, the whole network gained less (V F1 by .011 in place of .015, S by .028 in place of .061).
PARTS: Final = ("score", "token", "first_look", "beat", "shape", "sequence", "judge")
PLAN: Final = FitPlan(steps=600, parts=PARTS, learning_rate=1e-3, checkpoint_steps=60)
STEPS_OF_SEVERAL: Final = 240  # of each fit, where each patient is left out in turn
# See ``adapt``. Of .4 to 1, tried with two draws of ten patients, .8 kept V F1 of ltdb and three quarters of the gain
# in S of svdb's other patients.
FRACTION: Final = 0.8
# Of the weights of all records that are drawn from; the source has the rest. A step draws its 8 crops from 8 different
# records, so that few recordings have less of the crops than of the weights: 1 recording .12, 2 .24, 5 .41, 10 .47.
TARGET_WEIGHT: Final = 0.5
# The marks of these databases lie in the middle of the QRS, at the R peak or not, as their algorithm placed them. Where
# a model is used it reads beats at the peaks that it found itself: such marks are moved to the R peaks before learning.
MARKED_OFF_PEAK: Final = ("incartdb",)


@dataclass(frozen=True, eq=False)
class SourceMaterial:
    """What keeps a model from forgetting."""

    records: Sequence[TrainingRecord]
    noise: Float32  # at 125 Hz, (n_channels, n)


def fit_to(
    model: Model,
    recordings: Sequence[tuple[Recording, Record]],
    *,
    labels: Labels,
    source: SourceMaterial,
    plan: FitPlan = PLAN,
    checkpoint: Path | None = None,
    report: Report = no_report,
    preparing: Callable[[int, int], None] = lambda done, total: None,
) -> Model:
    """Fit a copy of a model to some recordings; patients weigh alike, and all together as TARGET_WEIGHT says.

    What is drawn follows these weights only roughly, see TARGET_WEIGHT: a patient with several recordings is drawn more
    often than one with a single recording of the same weight, where there are few of them.
    """
    prepared = []
    for number, (recording, record) in enumerate(recordings):
        preparing(number, len(recordings))
        prepared.append(learned_record(recording, record, model, labels))
    of_patient = [recording.patient for recording, _ in recordings]
    whole = TARGET_WEIGHT / (1 - TARGET_WEIGHT) * len(source.records)
    weighted = [
        replace(one, weight=whole / len(set(of_patient)) / of_patient.count(patient))
        for one, patient in zip(prepared, of_patient, strict=True)
    ]
    return adapt(
        model, weighted, noise=source.noise, rehearsed=source.records, plan=plan, checkpoint=checkpoint, report=report,
        fraction=FRACTION,
    )  # fmt: skip


def learned_record(recording: Recording, record: Record, model: Model, labels: Labels) -> TrainingRecord:
    """A recording ready for training, with the labels that are to be used."""
    name = f"{recording.patient}/{recording.name}"
    if labels == Labels.ALL and recording.is_complete:
        beats = _all_marks(record) if recording.origin == Origin.SIGNED else None
        return most_ectopic(prepare_record(record, name, beats=beats, snapped=is_marked_off_peak(recording)))
    known = None
    if labels != Labels.NONE and record.reference is not None:
        known = record.reference if recording.origin == Origin.READER else queried_labels(record, model)
    return most_ectopic(replace(pseudo_label(replace(record, reference=None), model, known=known), name=name))


def _all_marks(record: Record) -> tuple[Float64, Codes] | None:
    """All marks of a signed report: a beat without a mark would be learned as noise, one that is UNLABELLED is not."""
    if record.reference is None:
        return None
    return record.reference.time_s * FS_HZ, class_codes(record.reference.symbol)


def is_marked_off_peak(recording: Recording) -> bool:
    """Whether the labels of a recording are the marks of a database in MARKED_OFF_PEAK."""
    return recording.origin == Origin.REFERENCE and any(
        part in MARKED_OFF_PEAK for part in Path(recording.path).parent.parts
    )


def queried_labels(record: Record, model: Model) -> Annotations:
    """The reference's classes of the beats that the program queries."""
    if record.reference is None:
        raise ValueError("there are no labels to be queried")
    analysis = analyse(record, model, lead=ALL)
    time_s = analysis.beats.time_s[np.sort(analysis.queried)]
    code = record.reference.codes_at(time_s)
    known = code != UNLABELLED
    label = np.array(analysis.model.classes)[code[known]]
    return Annotations(time_s[known], label, np.full(len(label), ""))


def most_ectopic(record: TrainingRecord) -> TrainingRecord:
    """A record, or of one that is longer than LEARNED_S the stretch with the most ectopic beats."""
    length = round(LEARNED_S * FS_HZ)
    n = record.signal.shape[1]
    if n <= length:
        return record
    ectopic = record.position[(record.code != NORMAL) & (record.code != UNLABELLED)]
    starts = np.arange(0, n - length + 1, length // 8)
    counts = np.searchsorted(ectopic, starts + length) - np.searchsorted(ectopic, starts)
    first = int(starts[counts.argmax()])
    inside = (record.position >= first) & (record.position < first + length)
    return replace(
        record,
        signal=record.signal[:, first : first + length].copy(),
        valid=record.valid[:, first : first + length].copy(),
        position=record.position[inside] - first,
        code=record.code[inside],
        in_af=record.in_af[inside],
    )


def adapted_spec(
    spec: ModelSpec, name: str, recordings: Sequence[Recording], *, labels: Labels, plan: FitPlan
) -> ModelSpec:
    """The spec of a model that was adapted; what was measured of the model before no longer counts."""
    return replace(
        spec,
        name=name,
        seed=plan.seed,
        trained_on=(
            *spec.trained_on,
            *without_record_names(f"{database_of(one.path) or name}/{one.name}" for one in recordings),
        ),
        validated_on=(),
        recipe=f"{spec.recipe}; adapted to {plural(len(recordings), 'recording')}, labels {labels}",
        sha256="",
        int8_sha256="",
        calibration=(),
        operating_points=(),
        domain=None,
        learned_sha256=(
            *spec.learned_sha256, *(recording.content_sha256 for recording in recordings if recording.content_sha256)
        ),
    )  # fmt: skip
