"""The analysis with its heavy libraries; imported late, so that the first page does not wait for torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ecg_core.evaluation import score_beats
from ecg_core.inference import load_model
from ecg_core.occlusion import Occlusion, occlude
from ecg_core.pipeline import analyse, with_rules
from ecg_core.rules import RhythmRules
from ecg_core.schema import Analysis, Record
from ecg_core.scoring import Score
from ecg_core.threads import use_threads


def run(
    record: Record, model_path: Path, rules: RhythmRules, *, lead: str, progress: Callable[[float, float], None]
) -> Analysis:
    """Load the model and analyse a record with it."""
    use_threads()
    return analyse(record, load_model(model_path), rules, lead=lead, progress=progress)


def occluded(analysis: Analysis, model_path: Path, beat: int) -> Occlusion:
    """What hiding the attended steps of a beat does to its class."""
    return occlude(analysis, load_model(model_path), beat)


def scored(analysis: Analysis) -> Score:
    """Count the beats of an analysis against the reference of its record."""
    return score_beats(analysis.record, analysis.beats.time_s, analysis.beats.label)


def measured_by(analysis: Analysis, rules: RhythmRules) -> Analysis:
    """The same beats measured by other rules."""
    return with_rules(analysis, rules)
