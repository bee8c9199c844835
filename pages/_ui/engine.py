"""The work of the classifier, which takes a while to load: each function loads it when it is first called."""
# ruff: noqa: PLC0415

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import ecg_core as ecg
from ecg_core.edits import Edit
from ecg_core.rules import RhythmRules
from ecg_core.schema import Analysis, Record

if TYPE_CHECKING:
    from ecg_core.evaluation.ec57 import Score
    from ecg_core.evaluation.occlusion import Occlusion


def load() -> None:
    """Load everything that the functions below need."""
    from ecg_core.evaluation import evaluate, occlusion  # noqa: F401


def run(
    record: Record,
    model_path: Path,
    rules: RhythmRules,
    *,
    lead: str,
    edits: Sequence[Edit],
    progress: Callable[[float, float], None],
    fitting: Callable[[float], None],
) -> Analysis:
    """Load the model and analyse a record with it; ``edits``, if any, fine-tune it to the patient first."""
    from ecg_core.parallel import use_threads

    use_threads()
    return ecg.analyse(
        record,
        ecg.load_model(model_path),
        rules,
        lead=lead,
        edits=edits,
        progress=progress,
        fitting=fitting,
    )


def edited(base: Analysis, edits: Sequence[Edit]) -> Analysis:
    """An analysis, as the program made it, with a reader's edits."""
    return ecg.with_edits(base, edits)


def with_rules(analysis: Analysis, rules: RhythmRules) -> Analysis:
    """The same beats measured by other rules."""
    return ecg.with_rules(analysis, rules)


def score(analysis: Analysis) -> Score:
    """Score the beats of an analysis against the reference of its record."""
    from ecg_core.evaluation.evaluate import score_beats

    return score_beats(analysis.record, analysis.beats.time_s, analysis.beats.label)


def check_by_occlusion(analysis: Analysis, model_path: Path, beat: int) -> Occlusion:
    """How hiding the most attended steps of a beat changes its probability."""
    from ecg_core.evaluation.occlusion import occlude

    return occlude(analysis, ecg.load_model(model_path), beat=beat)


def release_memory() -> None:
    """Return freed memory to the operating system."""
    from ecg_core.parallel import release_memory

    release_memory()
