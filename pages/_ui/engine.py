"""The analysis with its heavy libraries; imported late, so that the first page does not wait for torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ecg_core.classifier.model import load_model
from ecg_core.evaluation.ec57 import Score
from ecg_core.evaluation.evaluate import score_beats
from ecg_core.evaluation.occlusion import Occlusion, occlude
from ecg_core.parallel import use_threads
from ecg_core.pipeline import analyse, with_labels, with_rules
from ecg_core.rules import RhythmRules
from ecg_core.schema import Analysis, Annotations, Record


def run(
    record: Record,
    model_path: Path,
    rules: RhythmRules,
    *,
    lead: str,
    patient_labels: Sequence[tuple[float, str]],
    progress: Callable[[float, float], None],
    fitting: Callable[[float], None],
) -> Analysis:
    """Load the model and analyse a record with it; ``patient_labels``, if any, bring it closer to the patient first."""
    use_threads()
    marks = _marks(patient_labels) if patient_labels else None
    return analyse(
        record, load_model(model_path), rules, lead=lead, patient_labels=marks, progress=progress, fitting=fitting
    )


def labelled(analysis: Analysis, told: Sequence[tuple[float, str]]) -> Analysis:
    """The same analysis with the classes of some beats as the reader tells them, at times in seconds."""
    return with_labels(analysis, _marks(told))


def _marks(told: Sequence[tuple[float, str]]) -> Annotations:
    time_s, label = zip(*told, strict=True)
    return Annotations(np.array(time_s), np.array(label), np.full(len(told), ""))


def occluded(analysis: Analysis, model_path: Path, beat: int) -> Occlusion:
    """What hiding the attended steps of a beat does to its class."""
    return occlude(analysis, load_model(model_path), beat)


def scored(analysis: Analysis) -> Score:
    """Count the beats of an analysis against the reference of its record."""
    return score_beats(analysis.record, analysis.beats.time_s, analysis.beats.label)


def measured_by(analysis: Analysis, rules: RhythmRules) -> Analysis:
    """The same beats measured by other rules."""
    return with_rules(analysis, rules)
