"""A model brought closer to one patient by a few of the patient's own beats whose class is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from ..labels import UNLABELLED, Codes
from ..parallel import one_thread
from ..schema import Float32, Float64, Index
from .classification import logit_bias, part_references
from .features import rr_features
from .model import Model
from .network import N_OUTPUTS, BeatNetwork

STEPS = 40
LEARNING_RATE = 1e-3
FINE_TUNING_SEQUENCE_BEATS = 64  # the record is read in stretches this long: all alike, they are fastest
AROUND_BEATS = 24  # before and after a known one, at least
TAUGHT_AT_ONCE = 8  # stretches with known beats that a step learns from: a day's are not all read each time
REMEMBERED, ANCHOR_WEIGHT = 4, 0.1  # so many others hold the model to what it said before, by this weight


@dataclass(frozen=True, eq=False)
class _Patient:
    """A patient's beats as the network sees them."""

    token: NDArray[np.floating[Any]]  # (n_beats, n_leads, token_size)
    rr: Float32  # (n_beats, N_RR_FEATURES)
    reference: Float32  # (n_parts, n_leads, token_size), the patient's normal beat in each part of the record
    part: Index  # (n_beats,), the part that each beat lies in

    @classmethod
    def of(cls, model: Model, token: NDArray[np.floating[Any]], rr_s: Float64) -> _Patient:
        """A patient with the normal beats that the model takes for theirs."""
        rr, rows = rr_features(rr_s), np.arange(len(rr_s))
        leads = range(token.shape[1])
        found = [part_references(model.serving, token[:, lead], rows, torch.from_numpy(rr)) for lead in leads]
        return cls(token, rr, np.stack([reference.numpy() for reference, _ in found], axis=1), found[0][1].numpy())

    def read(self, network: BeatNetwork, starts: Sequence[int]) -> Tensor:
        """Logits (n_starts, n_leads, FINE_TUNING_SEQUENCE_BEATS, N_OUTPUTS) of stretches of the beats, all leads at once."""
        token = torch.from_numpy(_stretches(self.token, starts).astype(np.float32)).transpose(1, 2)
        reference = torch.from_numpy(self.reference[_stretches(self.part, starts)]).transpose(1, 2)
        rr = torch.from_numpy(_stretches(self.rr, starts))[:, None].expand(-1, token.shape[1], -1, -1)
        logits = network.classify(network.beside(token, reference).flatten(0, 1), rr.flatten(0, 1))
        return logits.reshape(*token.shape[:2], *logits.shape[1:])


@one_thread()
def fine_tune(
    model: Model,
    token: NDArray[np.floating[Any]],
    rr_s: Float64,
    code: Codes,
    *,
    seed: int = 0,
    report: Callable[[float], None] = lambda share: None,
) -> Model:
    """Fit what judges the beats, not what reads the signal, to the beats of a patient whose class is known.

    Parameters
    ----------
    token
        Template (n_beats, n_leads, token_size).
    rr_s
        Template (n_beats,), NaN where unknown.
    code
        Template (n_beats,): index into CLASSES, or UNLABELLED for the beats whose class is not known.
    report
        Called after each step with the share that is done.

    """
    known = np.flatnonzero(code != UNLABELLED)
    if not len(known):
        return model
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = deepcopy(model.network)
    learned = [*network.beat.parameters(), *network.sequence.parameters(), *network.judge.parameters()]
    optimiser = torch.optim.Adam(learned, lr=LEARNING_RATE)
    patient = _Patient.of(model, token, rr_s)
    taught, last = _starts(known, len(code)), max(0, len(code) - FINE_TUNING_SEQUENCE_BEATS)
    counted = np.bincount(code[known], minlength=N_OUTPUTS).clip(min=1)
    weight, bias = torch.from_numpy((counted.max() / counted) ** 0.5).float(), logit_bias(model.spec)
    for step in range(STEPS):
        own = rng.permutation(taught)[:TAUGHT_AT_ONCE].tolist()
        others = rng.integers(0, last + 1, REMEMBERED).tolist()
        now = patient.read(network, [*own, *others]) + bias
        with torch.no_grad():
            then = _log_share(patient.read(model.network, others) + bias)
        told = torch.from_numpy(_stretches(code, own))[:, None].expand(-1, now.shape[1], -1)
        fits = cross_entropy(now[: len(own)].flatten(0, 2), told.flatten(), weight=weight, ignore_index=UNLABELLED)
        anchor = kl_div(_log_share(now[len(own) :]), then, log_target=True, reduction="batchmean")
        loss = fits + ANCHOR_WEIGHT * anchor
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        report((step + 1) / STEPS)
    return Model(model.spec, network)


def _log_share(logits: Tensor) -> Tensor:
    return log_softmax(logits, dim=-1).flatten(0, -2)


def _starts(known: Index, n_beats: int) -> list[int]:
    """Where stretches begin that hold all known beats, each with some beats around it."""
    starts: list[int] = []
    for beat in known.tolist():
        if not starts or beat >= starts[-1] + FINE_TUNING_SEQUENCE_BEATS - AROUND_BEATS:
            starts.append(max(0, min(beat - AROUND_BEATS, n_beats - FINE_TUNING_SEQUENCE_BEATS)))
    return starts


def _stretches(of_beats: NDArray[Any], starts: Sequence[int]) -> NDArray[Any]:
    return np.stack([of_beats[start : start + FINE_TUNING_SEQUENCE_BEATS] for start in starts])
