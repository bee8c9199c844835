"""A model brought closer to one patient by a few of the patient's own beats whose class is known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from .inference import Model, verdict_bias
from .labels import UNLABELLED, Codes
from .network import N_VERDICTS, BeatNetwork
from .schema import Float64
from .windows import rr_features

STEPS = 60
LEARNING_RATE = 1e-3
SEQUENCE_BEATS = 128  # the record is read in stretches this long: all alike, they are fastest
REMEMBERED, ANCHOR_WEIGHT = 6, 0.1  # so many stretches hold the model to what it said before, by this weight


def personalise(
    model: Model, tokens: Iterable[NDArray[np.floating[Any]]], rr_s: Float64, code: Codes, *, seed: int = 0
) -> Model:
    """Fit what judges the beats, not what reads the signal, to the beats of a patient whose class is known.

    Parameters
    ----------
    tokens
        Of each lead, (n_beats, token_size).
    rr_s
        Shape (n_beats,), NaN where unknown.
    code
        Shape (n_beats,): index into CLASSES, or UNLABELLED for the beats whose class is not known.

    """
    known = np.flatnonzero(code != UNLABELLED)
    if not len(known):
        return model
    torch.manual_seed(seed)
    network = deepcopy(model.network)
    learned = [*network.first_look.parameters(), *network.beat.parameters(), *network.sequence.parameters()]
    learned += [*network.judge.parameters()]
    optimiser = torch.optim.Adam(learned, lr=LEARNING_RATE)
    rr = torch.from_numpy(rr_features(rr_s))
    leads = [torch.tensor(np.asarray(token), dtype=torch.float32) for token in tokens]
    rng = np.random.default_rng(seed)
    last = max(0, len(code) - SEQUENCE_BEATS)
    taught = [min(start, last) for start in range(int(known[0]), int(known[-1]) + 1, SEQUENCE_BEATS)]
    target = _stretches(torch.from_numpy(code), taught)
    counted = torch.bincount(target[target != UNLABELLED], minlength=N_VERDICTS).clamp(min=1).float()
    weight, bias = (counted.max() / counted) ** 0.5, verdict_bias(model.spec)
    for _ in range(STEPS):
        starts = [*taught, *rng.integers(0, last + 1, REMEMBERED).tolist()]
        loss = torch.zeros(())
        for token in leads:
            now = _read(network, token, rr, starts) + bias
            with torch.no_grad():
                then = _read(model.network, token, rr, starts[len(taught) :]) + bias
            own, others = now[: len(taught)].flatten(0, 1), log_softmax(now[len(taught) :], dim=2).flatten(0, 1)
            anchor = kl_div(others, log_softmax(then, dim=2).flatten(0, 1), log_target=True, reduction="batchmean")
            loss = loss + cross_entropy(own, target.flatten(), weight=weight, ignore_index=UNLABELLED)
            loss = loss + ANCHOR_WEIGHT * anchor
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return Model(model.spec, network)


def _read(network: BeatNetwork, tokens: Tensor, rr: Tensor, starts: Sequence[int]) -> Tensor:
    """Logits of stretches of one lead's beats, each held against the whole record's reference beat."""
    described, _ = network.describe(tokens, rr)
    return network.classify(_stretches(described, starts), _stretches(rr, starts))


def _stretches(of_beats: Tensor, starts: Sequence[int]) -> Tensor:
    return torch.stack([of_beats[start : start + SEQUENCE_BEATS] for start in starts])
