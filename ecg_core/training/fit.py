"""The one loop that fits the network, from scratch or on to another recorder."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..classifier.features import N_OUTPUTS
from ..classifier.network import BeatNetwork
from ..labels import CLASSES, UNLABELLED
from ..schema import Float32, ModelSpec
from .augmentation import Crop, Material, draw_crop, gather_material
from .checkpoints import FitState, describe_task
from .loss import crop_loss
from .plan import FitPlan
from .preparation import TrainingRecord

REPORT_STEPS = 20
SEED_STRIDE = 1_000_003  # keeps torch's seeds of different fits apart: larger than any number of steps

Report = Callable[[int, float, float], None]  # step, mean loss since the last report, seconds left


def no_report(step: int, loss: float, left_s: float) -> None:
    """Report nothing."""


def fit(
    model: BeatNetwork,
    records: Sequence[TrainingRecord],
    *,
    noise: Float32,
    spec: ModelSpec,
    plan: FitPlan,
    checkpoint: Path | None = None,
    report: Report = no_report,
) -> BeatNetwork:
    """Fit the network and return the moving average of its weights.

    Goes on from ``checkpoint`` with the same random numbers if that file belongs to the same plan, code, records and
    initial weights.

    Parameters
    ----------
    noise
        Recorded noise at 125 Hz, shape (n_channels, n).
    report
        Called every REPORT_STEPS steps and at the end.

    """
    parts = fitted_parts(model, plan)
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(plan.average_decay))  # type: ignore[no-untyped-call]
    optimiser = torch.optim.AdamW(parts.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay)
    class_weight = weigh_classes(records, plan).to(next(model.parameters()).device)
    material = gather_material(records, noise, config=plan.augmentation.ventricular)
    task, state = describe_task(model, records, plan), FitState(model, averaged, optimiser)
    start = state.resume(checkpoint, task)
    model.eval()
    parts.train()
    losses: list[float] = []
    began = time.monotonic()
    for step in range(start, plan.steps):
        rng = np.random.default_rng((plan.seed, step))
        torch.manual_seed(plan.seed * SEED_STRIDE + step)
        crops = [crop for crop in draw_crops(records, material, spec=spec, plan=plan, rng=rng) if len(crop.position)]
        loss = crop_loss(model, crops, spec=spec, plan=plan, class_weight=class_weight, rng=rng)
        _descend(parts, loss, optimiser=optimiser, plan=plan, step=step)
        averaged.update_parameters(model)
        losses.append(loss.item())
        done, last = step + 1, step + 1 == plan.steps
        if done % REPORT_STEPS == 0 or last:
            left_s = (time.monotonic() - began) / (done - start) * (plan.steps - done)
            report(done, float(np.mean(losses)), left_s)
            losses.clear()
        if checkpoint and (done % plan.checkpoint_steps == 0 or last):
            state.save(checkpoint, task, step=done)
    result = averaged.module
    assert isinstance(result, BeatNetwork)  # noqa: S101  # for the type checker
    if not plan.parts:
        settle_batch_norm(result, records, material=material, spec=spec, plan=plan)
    return result.eval()


def fitted_parts(model: BeatNetwork, plan: FitPlan) -> nn.Module:
    """The parts of the network that the plan names; only they have a gradient."""
    if not plan.parts:
        return model
    parts = nn.ModuleList([model.get_submodule(name) for name in plan.parts])
    model.requires_grad_(False)
    parts.requires_grad_(True)
    return parts


def draw_crops(
    records: Sequence[TrainingRecord],
    material: Material,
    *,
    spec: ModelSpec,
    plan: FitPlan,
    rng: np.random.Generator,
) -> list[Crop]:
    """A crop of each of some records that are drawn at random, each as often as it weighs."""
    weight = np.array([record.weight for record in records])
    if (weight == weight[0]).all():
        chosen = rng.permutation(len(records))[: plan.crops]
    else:
        chosen = rng.choice(len(records), size=plan.crops, replace=False, p=weight / weight.sum())
    return [draw_crop(records[i], material, spec=spec, rng=rng, config=plan.augmentation) for i in chosen]


def _descend(model: nn.Module, loss: Tensor, *, optimiser: torch.optim.Optimizer, plan: FitPlan, step: int) -> None:
    """One step down the gradient of the loss; none where the crops teach the fitted parts nothing."""
    if not loss.requires_grad:
        return
    for group in optimiser.param_groups:
        group["lr"] = learning_rate(step, plan)
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), plan.max_gradient_norm)
    optimiser.step()


def learning_rate(step: int, plan: FitPlan) -> float:
    """Linear warm-up, then half a cosine to zero."""
    warm = max(1, int(plan.steps * plan.warm_up_fraction))
    if step < warm:
        return plan.learning_rate * (step + 1) / warm
    return plan.learning_rate * 0.5 * (1 + float(np.cos(np.pi * (step - warm) / max(1, plan.steps - warm))))


def weigh_classes(records: Sequence[TrainingRecord], plan: FitPlan) -> Tensor:
    """Weight of each output of the network, shape (N_OUTPUTS,): rare classes weigh more."""
    code = np.concatenate([record.code for record in records])
    count = np.bincount(code[code != UNLABELLED], minlength=len(CLASSES))
    frequency = np.maximum(count / count.sum(), plan.rarest_class)
    weight = np.ones(N_OUTPUTS)  # noise weighs as the most frequent class
    weight[: len(CLASSES)] = (frequency.max() / frequency) ** plan.class_power
    return torch.from_numpy(weight).float()


@torch.no_grad()
def settle_batch_norm(
    model: BeatNetwork, records: Sequence[TrainingRecord], *, material: Material, spec: ModelSpec, plan: FitPlan
) -> None:
    """Measure the batch-norm statistics of averaged weights: the average of other weights' statistics is not theirs."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm1d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all batches
    model.train()
    rng = np.random.default_rng(plan.seed)
    device = next(model.parameters()).device
    for _ in range(plan.settling_batches):
        crops = draw_crops(records, material, spec=spec, plan=plan, rng=rng)
        model.frames(torch.from_numpy(np.stack([crop.signal for crop in crops])).to(device))
