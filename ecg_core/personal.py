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
from torch.nn.utils.rnn import pad_sequence

from .inference import Model, verdict_bias
from .labels import UNLABELLED, Codes
from .network import N_VERDICTS, BeatNetwork
from .schema import Float64
from .windows import rr_features

STEPS = 30
LEARNING_RATE = 1e-3
TAUGHT_BEATS = 192  # the known beats are read within the first so many of the record
REMEMBERED, SEQUENCE_BEATS = 6, 128  # so many stretches of the record hold the model to what it said before ...
ANCHOR_WEIGHT = 1.0  # ... by this weight


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
    first = int(max(0, min(known[0], len(code) - TAUGHT_BEATS)))
    taught = slice(first, max(int(known[-1]) + 1, min(len(code), first + TAUGHT_BEATS)))
    target = torch.from_numpy(code[taught])
    counted = torch.bincount(target[target != UNLABELLED], minlength=N_VERDICTS).clamp(min=1).float()
    weight = (counted.max() / counted) ** 0.5
    bias = verdict_bias(model.spec)
    with torch.no_grad():
        before = [log_softmax(_read(network, token, rr, [slice(0, len(code))])[0] + bias, dim=1) for token in leads]
    for _ in range(STEPS):
        starts = rng.integers(0, max(1, len(code) - SEQUENCE_BEATS), REMEMBERED)
        cuts = [taught, *(slice(int(start), int(start) + SEQUENCE_BEATS) for start in starts)]
        loss = torch.zeros(())
        for token, said in zip(leads, before, strict=True):
            own, *others = _read(network, token, rr, cuts)
            now = log_softmax(torch.cat(others) + bias, dim=1)
            then = torch.cat([said[cut] for cut in cuts[1:]])
            loss = loss + cross_entropy(own + bias, target, weight=weight, ignore_index=UNLABELLED)
            loss = loss + ANCHOR_WEIGHT * kl_div(now, then, log_target=True, reduction="batchmean")
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return Model(model.spec, network)


def _read(network: BeatNetwork, tokens: Tensor, rr: Tensor, cuts: Sequence[slice]) -> list[Tensor]:
    """Logits of stretches of one lead's beats, each held against the whole record's reference beat."""
    described, _ = network.describe(tokens, rr)
    length = torch.tensor([len(rr[cut]) for cut in cuts])
    beats, intervals = (pad_sequence([part[cut] for cut in cuts], batch_first=True) for part in (described, rr))
    logits = network.classify(beats, intervals, length)
    return [row[:n] for row, n in zip(logits, length.tolist(), strict=True)]
