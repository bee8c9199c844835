"""The state of a fit on disk, so that a fit that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..classifier.weights import save_tensors
from ..files import atomic_file
from .plan import FitPlan
from .preparation import TrainingRecord

# A change in one of these files changes the result of a fit, so a checkpoint from before it does not count.
FITTED_BY = (
    "classifier/detection.py",
    "classifier/features.py",
    "classifier/network.py",
    "labels.py",
    "signals/filters.py",
    "training/augmentation.py",
    "training/augmentation_config.py",
    "training/fit.py",
    "training/loss.py",
    "training/plan.py",
    "training/preparation.py",
    "training/rhythm_changes.py",
    "training/waveforms.py",
)
PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, eq=False)
class FitState:
    """What changes from step to step; ``save`` and ``resume`` copy it to a file and back."""

    model: nn.Module
    averaged: nn.Module
    optimiser: torch.optim.Optimizer

    def save(self, path: Path, task: dict[str, Any], *, step: int) -> None:
        """Write the state after ``step`` steps of a task; the file is written whole or not at all."""
        state = {name: part.state_dict() for name, part in vars(self).items()}
        with atomic_file(path) as part:
            save_tensors(part, {"task": task, "step": step, **state})

    def resume(self, path: Path | None, task: dict[str, Any]) -> int:
        """Take over the state of a checkpoint of the same task; return the steps that it has done, else 0."""
        if path is None or not path.is_file():
            return 0
        state = torch.load(path, weights_only=True)
        if state["task"] != task:
            return 0
        for name, part in vars(self).items():
            part.load_state_dict(state[name])
        return int(state["step"])


def describe_task(model: nn.Module, records: Sequence[TrainingRecord], plan: FitPlan) -> dict[str, Any]:
    """What a checkpoint belongs to: the plan, the code, the weights at the start, and the records."""
    digest = hashlib.sha256()
    for name in FITTED_BY:
        digest.update((PACKAGE / name).read_bytes())
    for weight in model.state_dict().values():
        digest.update(weight.cpu().numpy().tobytes())
    for record in records:
        digest.update(f"{record.name} {record.weight}".encode() + record.code.tobytes() + record.in_af.tobytes())
    return {**asdict(plan), "start": digest.hexdigest()}
