"""The features of a record's beats -> the probability of each class, and of being noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from ..labels import CLASSES, NO_BEAT
from ..parallel import parallel_map, returning_memory
from ..schema import Bool, Float32, Float64, FrozenArrays, Index, ModelSpec, take_rows
from .features import CONTEXT_BEATS, Sequence, reference_groups, rr_features, sequences
from .model import Model
from .network import N_OUTPUTS, BeatNetwork

SEQUENCES_AT_ONCE = 16
NOISE = 0.5  # a candidate that is noise with this probability is dropped ...
NOISE_ROUNDS = 2  # ... twice, as dropping some changes the RR of the others


@dataclass(frozen=True, eq=False)
class Predictions(FrozenArrays):
    """What the network says of candidates for beats."""

    probability: Float32  # (n_beats, n_classes); what may be no beat counts as Q, unclassifiable
    noise: Float32  # (n_beats,), the probability of being no beat
    af: Float32 | None = None  # (n_beats,), the probability of atrial fibrillation; None if the network gives none


@torch.inference_mode()
def classify(
    model: Model,
    tokens: NDArray[np.floating[Any]],
    rr_s: Float64,
    lead_weight: Float32,
    *,
    rows: Index | None = None,
    needed: Bool | None = None,
) -> Predictions:
    """Classify the beats of a record, read as one sequence.

    Parameters
    ----------
    tokens
        Of shape (n, n_leads, token_size).
    rr_s
        Shape (n_beats,), NaN where unknown.
    lead_weight
        Weight of each lead at each beat, shape (n_beats, n_leads), summing to one over the leads: the logarithms of
        the leads' probabilities, and the logits of fibrillation, are averaged by it.
    rows
        Which of the tokens are those of the beats, shape (n_beats,); by default all, in their order. A week of tokens
        need not be copied so that some can be left out.
    needed
        Which beats have to be classified at least, shape (n_beats,); by default all.

    """
    n_beats = len(rr_s)
    rows = np.arange(n_beats) if rows is None else rows
    needed = np.ones(n_beats, dtype=bool) if needed is None else needed
    logits = torch.zeros(n_beats, n_logits(model.spec))
    if n_beats == 0:
        return predictions_of(logits)
    rr = torch.from_numpy(rr_features(rr_s))
    for lead, weight in enumerate(torch.tensor(lead_weight).T):
        of_lead = _lead_logits(model, tokens[:, lead], rows, rr, needed)
        logits += weight[:, None] * _normalised(of_lead, model.spec)
    return predictions_of(logits)


def drop_noise(
    n_candidates: int,
    classify_kept: Callable[[Index, Bool], tuple[Float64, Predictions]],
    *,
    rounds: int = NOISE_ROUNDS,
    certain: Bool | None = None,
) -> tuple[Index, Float64, Predictions]:
    """Drop the candidates that turn out as noise: which are kept, their RR, and their predictions.

    Parameters
    ----------
    classify_kept
        Gives RR and predictions of the kept candidates. Its second argument says which of these are needed: all, and
        after some were dropped those that had one of these in their context.
    certain
        Candidates that are beats whatever they look like, shape (n_candidates,).

    """
    kept = np.arange(n_candidates)
    certain = np.zeros(n_candidates, dtype=bool) if certain is None else certain
    rr_s, predictions = classify_kept(kept, np.ones(n_candidates, dtype=bool))
    for _ in range(rounds):
        noise = (predictions.noise >= NOISE) & ~certain[kept]
        if not noise.any():
            break
        needed = binary_dilation(noise, iterations=CONTEXT_BEATS)[~noise]
        kept = kept[~noise]
        rr_s, updated = classify_kept(kept, needed)
        predictions = _updated(take_rows(predictions, ~noise), updated, needed)
    return kept, rr_s, predictions


def _updated(before: Predictions, updated: Predictions, needed: Bool) -> Predictions:
    """The predictions with those in their place that were ``needed`` again."""
    return Predictions(
        probability=np.where(needed[:, None], updated.probability, before.probability),
        noise=np.where(needed, updated.noise, before.noise),
        af=None if before.af is None or updated.af is None else np.where(needed, updated.af, before.af),
    )


def _single(tokens: NDArray[np.floating[Any]]) -> torch.Tensor:
    return torch.tensor(tokens, dtype=torch.float32)


@torch.inference_mode()
def references(model: Model, tokens: NDArray[np.floating[Any]], rr_s: Float64) -> Float32:
    """A patient's own normal beat in each lead (n_leads, token_size), of tokens (n_beats, n_leads, token_size)."""
    rr = torch.from_numpy(rr_features(rr_s))
    leads = _single(tokens).transpose(0, 1)
    return torch.stack([model.serving.reference(lead, rr)[0] for lead in leads]).numpy()


@torch.inference_mode()
def classify_latest(
    model: Model, tokens: NDArray[np.floating[Any]], rr_s: Float64, lead_weight: Float32, reference: Float32
) -> Predictions:
    """Classify the latest beats of a patient whose normal beat is known.

    Parameters
    ----------
    tokens, lead_weight
        Of beats in a row, (n_beats, n_leads, token_size) and (n_beats, n_leads).
    rr_s
        Of these and the beats before them, shape (n_beats or more,); the more, the better the usual RR is known.
    reference
        See ``references``.

    """
    rr = torch.from_numpy(rr_features(rr_s, edge="reflect")[len(rr_s) - len(tokens) :])
    leads = _single(tokens).transpose(0, 1)
    described = model.serving.beside(leads, torch.tensor(reference)[:, None])
    logits = _sequence_logits(model.serving, described, rr.expand(len(leads), -1, -1))
    weight = torch.tensor(lead_weight).T[:, :, None]
    return predictions_of((weight * _normalised(logits, model.spec)).sum(dim=0))


def no_predictions(spec: ModelSpec) -> Predictions:
    """What a network says of no candidates at all."""
    return predictions_of(torch.zeros(0, n_logits(spec)))


def predictions_of(logits: torch.Tensor) -> Predictions:
    """From the logits of the leads together, shape (n_beats, N_OUTPUTS), or one more where fibrillation is found."""
    probability = torch.softmax(logits[:, :N_OUTPUTS], dim=1).numpy()
    noise = probability[:, NO_BEAT]
    probability = probability[:, : len(CLASSES)].copy()
    probability[:, CLASSES.index("Q")] += noise
    af = torch.sigmoid(logits[:, N_OUTPUTS]).numpy() if logits.shape[1] > N_OUTPUTS else None
    return Predictions(probability, noise, af)


def n_logits(spec: ModelSpec) -> int:
    """How many logits the network gives for each beat: N_OUTPUTS and, where it finds it, that of fibrillation."""
    return N_OUTPUTS + int(spec.finds_af)


def logit_bias(spec: ModelSpec) -> torch.Tensor:
    """What is added to the network's logits: the bias of each class, nothing to "no beat"."""
    return torch.tensor((*spec.class_bias, 0.0))


def _sequence_logits(network: BeatNetwork, described: torch.Tensor, rr: torch.Tensor) -> torch.Tensor:
    """All that the network says of sequences of beats, the logit of fibrillation last, (batch, n, ``n_logits``)."""
    logits, af_logit = network.classify(described, rr)
    return logits if af_logit is None else torch.cat([logits, af_logit[:, :, None]], dim=2)


def _normalised(logits: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
    """Logits (..., ``n_logits``) as they can be averaged over leads: of the classes the logarithms of probabilities."""
    classes, af = logits[..., :N_OUTPUTS], logits[..., N_OUTPUTS:]
    return torch.cat([torch.log_softmax(classes + logit_bias(spec), dim=-1), af], dim=-1)


def part_references(
    network: BeatNetwork, tokens: NDArray[np.floating[Any]], rows: Index, rr: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The normal beat of each part of a record (n_parts, token_size), and the part of each beat (n_beats,).

    Parameters
    ----------
    tokens, rows
        Of one lead, (n, token_size); see ``classify``.
    rr
        See ``rr_features``.

    """

    @torch.inference_mode()
    def reference_of(part: slice) -> torch.Tensor:
        return network.reference(_single(tokens[rows[part]]), rr[part])[0]

    parts = reference_groups(len(rr))
    reference = torch.stack(list(parallel_map(reference_of, parts)))
    return reference, torch.repeat_interleave(torch.tensor([part.stop - part.start for part in parts]))


def _lead_logits(
    model: Model, tokens: NDArray[np.floating[Any]], rows: Index, rr: torch.Tensor, needed: Bool
) -> torch.Tensor:
    """Logits of one lead's beats, each compared with the patient's reference beat, read in overlapping sequences.

    Shape (n_beats, ``n_logits``), zero in the sequences that hold no beat that is needed.
    """
    network = model.serving

    @torch.inference_mode()
    def logits_of(some: list[Sequence]) -> torch.Tensor:
        beats = torch.stack(
            [network.beside(_single(tokens[rows[cut.context]]), reference[of_beat[cut.context]]) for cut in some]
        )
        return _sequence_logits(network, beats, torch.stack([rr[cut.context] for cut in some]))

    reference, of_beat = part_references(network, tokens, rows, rr)
    cuts = [cut for cut in sequences(len(rr)) if needed[cut.core].any()]
    batches = [cuts[first : first + SEQUENCES_AT_ONCE] for first in range(0, len(cuts), SEQUENCES_AT_ONCE)]
    logits = torch.zeros(len(rr), n_logits(model.spec))
    for some, found in zip(batches, returning_memory(parallel_map(logits_of, batches)), strict=True):
        for cut, row in zip(some, found, strict=True):
            logits[cut.core] = row[cut.core.start - cut.context.start :][: cut.core.stop - cut.core.start]
    return logits
