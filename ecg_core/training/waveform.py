"""Fit the head that separates fibrillation, tachycardia, beats and noise by the measures of a waveform."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ..classifier.waveform_head import INPUT_RANGE, RHYTHMS, WaveformHead
from ..schema import Bool, Float32, Float64, FrozenArrays


@dataclass(frozen=True)
class HeadRecipe:
    """How the head is fitted; chosen by cross-validation over patients."""

    n_members: int = 4
    n_hidden: int = 48
    dropout: float = 0.3
    n_epochs: int = 8
    batch: int = 512
    learning_rate: float = 4e-3  # at its peak, of one cycle
    weight_decay: float = 1e-3
    vt_weight: float = 0.15  # of all tachycardia relative to all fibrillation: a missed fibrillation is worse
    other_weight: float = 3.0  # of everything else


@dataclass(frozen=True, eq=False)
class Seconds(FrozenArrays):
    """Measured seconds of leads with what each may show."""

    inputs: Float32  # (n, n_inputs)
    allowed: Bool  # (n, n_rhythms): the rhythms that the annotation leaves open; none where it says nothing
    weight: Float64  # (n,)


def concatenate(parts: Sequence[Seconds]) -> Seconds:
    """Several sets of seconds as one."""
    return Seconds(
        np.concatenate([part.inputs for part in parts]),
        np.concatenate([part.allowed for part in parts]),
        np.concatenate([part.weight for part in parts]),
    )


def balanced(seconds: Seconds, recipe: HeadRecipe) -> Float32:
    """Weights by which fibrillation, tachycardia and the rest have the shares of the recipe, shape (n,)."""
    only = seconds.allowed.sum(axis=1) == 1
    is_vf = seconds.allowed[:, RHYTHMS.index("vf")] & only
    is_vt = seconds.allowed[:, RHYTHMS.index("vt")] & only
    weight = np.array(seconds.weight)
    total = weight[is_vf].sum()
    for group, share in ((is_vt, recipe.vt_weight), (~is_vf & ~is_vt, recipe.other_weight)):
        weight[group] *= share * total / max(weight[group].sum(), 1e-9)
    return np.asarray(weight / weight.mean(), dtype=np.float32)


def fit_head(seconds: Seconds, recipe: HeadRecipe, *, seed: int = 0) -> WaveformHead:
    """Fit an ensemble; a second with several allowed rhythms must only lie among these."""
    known = seconds.allowed.any(axis=1)
    seconds = Seconds(seconds.inputs[known], seconds.allowed[known], seconds.weight[known])
    mean, deviation = seconds.inputs.mean(axis=0), seconds.inputs.std(axis=0) + 1e-6
    standard = torch.tensor(np.clip((seconds.inputs - mean) / deviation, -INPUT_RANGE, INPUT_RANGE))
    allowed, weight = torch.tensor(seconds.allowed), torch.tensor(balanced(seconds, recipe))
    members = [_fit_member(standard, allowed, weight, recipe, seed + i) for i in range(recipe.n_members)]
    hidden, out = (list(pair) for pair in zip(*members, strict=True))
    return WaveformHead(mean, deviation, *_stacked(hidden), *_stacked(out))


def _stacked(layers: Sequence[nn.Linear]) -> tuple[Float32, Float32]:
    """Weights (n_members, n_in, n_out) and biases (n_members, 1, n_out) of the same layer of each member."""
    weight = np.stack([layer.weight.detach().numpy().T for layer in layers])
    return weight, np.stack([layer.bias.detach().numpy()[None] for layer in layers])


def _fit_member(
    standard: torch.Tensor, allowed: torch.Tensor, weight: torch.Tensor, recipe: HeadRecipe, seed: int
) -> tuple[nn.Linear, nn.Linear]:
    """The hidden and the last layer of one member."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    hidden, out = nn.Linear(standard.shape[1], recipe.n_hidden), nn.Linear(recipe.n_hidden, len(RHYTHMS))
    network = nn.Sequential(hidden, nn.ReLU(), nn.Dropout(recipe.dropout), out)
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=recipe.weight_decay)
    n_batches = max(1, len(standard) // recipe.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=recipe.n_epochs * n_batches
    )
    for _ in range(recipe.n_epochs):
        order = torch.from_numpy(rng.permutation(len(standard)))
        for some in torch.chunk(order[: n_batches * recipe.batch], n_batches):
            logit = torch.log_softmax(network(standard[some]), dim=1).masked_fill(~allowed[some], -1e4)
            loss = -(weight[some] * torch.logsumexp(logit, dim=1)).mean()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    return hidden, out
