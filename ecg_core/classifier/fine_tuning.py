"""Fine-tuning a model to one patient by a few of the patient's beats whose class is known."""

from __future__ import annotations

from collections.abc import Sequence
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
from .features import N_OUTPUTS, rr_features
from .model import Model
from .network import BeatNetwork
from .torch_engine import TorchEngine

STEPS = 40
LEARNING_RATE = 1e-3
CLASS_POWER = 0.5  # a class weighs by its frequency among the labels to the minus this
FINE_TUNING_SEQUENCE_BEATS = 64  # the record is read in stretches this long: all alike, they are fastest
AROUND_BEATS = 24  # before and after a labelled one, at least
LABELLED_AT_ONCE = 8  # stretches with labels that a step learns from: a day's are not all read each time
ANCHORS, ANCHOR_WEIGHT = 4, 0.1  # so many other stretches keep the model near its former predictions, by this weight


@dataclass(frozen=True, eq=False)
class PatientBeats:
    """A patient's beats as the network reads them."""

    token: NDArray[np.floating[Any]]  # (n_beats, n_leads, token_size)
    rr: Float32  # (n_beats, N_RR_FEATURES)
    lead_weight: Float32  # (n_beats, n_leads), summing to one over the leads
    reference: Float32  # (n_parts, n_leads, token_size), the patient's normal beat in each part of the record
    part: Index  # (n_beats,), the part that each beat lies in

    @classmethod
    def of(cls, model: Model, token: NDArray[np.floating[Any]], rr_s: Float64, lead_weight: Float32) -> PatientBeats:
        """A patient, with the beats that the model finds normal as reference."""
        rr, rows = rr_features(rr_s), np.arange(len(rr_s))
        leads = range(token.shape[1])
        found = [part_references(model, token[:, lead], rows, rr) for lead in leads]
        return cls(token, rr, lead_weight, np.stack([reference for reference, _ in found], axis=1), found[0][1])

    def logits(self, network: BeatNetwork, starts: Sequence[int]) -> Tensor:
        """Logits of stretches of the beats, shape (n_starts, FINE_TUNING_SEQUENCE_BEATS, N_OUTPUTS)."""
        token = torch.from_numpy(stretches(self.token, starts).astype(np.float32))
        reference = torch.from_numpy(self.reference[stretches(self.part, starts)])
        weight = torch.from_numpy(stretches(self.lead_weight, starts))
        described = (weight[..., None] * network.beside(token, reference)).sum(dim=2)
        return network.classify(described, torch.from_numpy(stretches(self.rr, starts)))[0]


@one_thread()
def fine_tune(model: Model, patient: PatientBeats, code: Codes, *, seed: int = 0) -> Model:
    """Fit the classifying part of the network, not its trunk, to the labelled beats of a patient.

    Parameters
    ----------
    code
        Shape (n_beats,): index into CLASSES, NO_BEAT for what is none, or UNLABELLED where nothing is known.

    """
    labelled = np.flatnonzero(code != UNLABELLED)
    if not len(labelled):
        return model
    rng = np.random.default_rng(seed)
    network = deepcopy(model.network).eval()  # without dropout, so that nothing else is drawn
    fitted = [*network.beat.parameters(), *network.sequence.parameters(), *network.judge.parameters()]
    optimiser = torch.optim.Adam(fitted, lr=LEARNING_RATE)
    with_labels, last = _starts(labelled, len(code)), max(0, len(code) - FINE_TUNING_SEQUENCE_BEATS)
    weight, bias = _class_weight(code[labelled]), torch.from_numpy(logit_bias(model.spec))
    for _ in range(STEPS):
        starts = rng.permutation(with_labels)[:LABELLED_AT_ONCE].tolist()
        anchors = rng.integers(0, last + 1, ANCHORS).tolist()
        logits = patient.logits(network, [*starts, *anchors]) + bias
        with torch.no_grad():
            former = patient.logits(model.network, anchors) + bias
        label_loss = _label_loss(logits[: len(starts)], stretches(code, starts), weight)
        loss = label_loss + ANCHOR_WEIGHT * _anchor_loss(logits[len(starts) :], former)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return Model(model.spec, TorchEngine(network))


def _class_weight(code: Codes) -> Tensor:
    """Weight of each class in the loss, shape (N_OUTPUTS,)."""
    count = np.bincount(code, minlength=N_OUTPUTS).clip(min=1)
    return torch.from_numpy((count.max() / count) ** CLASS_POWER).float()


def _label_loss(logits: Tensor, code: Codes, weight: Tensor) -> Tensor:
    """Cross entropy of the labelled beats; logits (n, n_beats, N_OUTPUTS), codes (n, n_beats)."""
    target = torch.from_numpy(code).flatten()
    return cross_entropy(logits.flatten(0, 1), target, weight=weight, ignore_index=UNLABELLED)


def _anchor_loss(logits: Tensor, former: Tensor) -> Tensor:
    """How far the predictions of other beats have moved from the former ones."""
    return kl_div(_log_probability(logits), _log_probability(former), log_target=True, reduction="batchmean")


def _log_probability(logits: Tensor) -> Tensor:
    return log_softmax(logits, dim=-1).flatten(0, -2)


def _starts(labelled: Index, n_beats: int) -> list[int]:
    """Where stretches begin that hold all labelled beats, each with some beats around it."""
    starts: list[int] = []
    for beat in labelled.tolist():
        if not starts or beat >= starts[-1] + FINE_TUNING_SEQUENCE_BEATS - AROUND_BEATS:
            starts.append(max(0, min(beat - AROUND_BEATS, n_beats - FINE_TUNING_SEQUENCE_BEATS)))
    return starts


def stretches(of_beats: NDArray[Any], starts: Sequence[int]) -> NDArray[Any]:
    """What belongs to the beats of stretches that begin at ``starts``, (n_starts, FINE_TUNING_SEQUENCE_BEATS, ...)."""
    return np.stack([of_beats[start : start + FINE_TUNING_SEQUENCE_BEATS] for start in starts])
