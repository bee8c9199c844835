"""The features of a record's beats -> the probability of each class, and of being noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..labels import CLASSES, NO_BEAT
from ..parallel import parallel_map, returning_memory
from ..probabilities import expit, softmax
from ..schema import Bool, Float32, Float64, FrozenArrays, Index, ModelSpec
from ..signals.windows import sliding_maximum
from .features import CONTEXT_BEATS, N_OUTPUTS, Sequence, reference_groups, rr_features, sequences
from .model import Model

T = TypeVar("T")

SEQUENCES_AT_ONCE = 4  # more would be no faster, and take more memory
NOISE = 0.5  # a candidate that is noise with this probability is dropped ...
NOISE_ROUNDS = 2  # ... twice, as dropping some changes the RR of the others


@dataclass(frozen=True, eq=False)
class Predictions(FrozenArrays):
    """What the network says of candidates for beats."""

    probability: Float32  # (n_beats, n_classes); what may be no beat counts as Q, unclassifiable
    noise: Float32  # (n_beats,), the probability of being no beat
    af: Float32 | None = None  # (n_beats,), the probability of atrial fibrillation; None if the network gives none


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
        Weight of each lead at each beat, shape (n_beats, n_leads), summing to one over the leads: what each lead shows
        of a beat beside the normal one is averaged by it, and all leads are read as one sequence.
    rows
        Which of the tokens are those of the beats, shape (n_beats,); by default all, in their order. A week of tokens
        need not be copied so that some can be left out.
    needed
        Which beats have to be classified at least, shape (n_beats,); by default all.

    """
    n_beats = len(rr_s)
    rows = np.arange(n_beats) if rows is None else rows
    needed = np.ones(n_beats, dtype=bool) if needed is None else needed
    if n_beats == 0:
        return no_predictions(model.spec)
    return predictions_of(_logits(model, tokens, rr_features(rr_s), lead_weight, rows, needed), model.spec)


def take_rows(columns: T, rows: slice | Bool | Index) -> T:
    """Some rows of a dataclass all of whose fields are columns; a column that is None stays so."""
    values = [getattr(columns, item.name) for item in fields(columns)]  # type: ignore[arg-type]
    return type(columns)(*(None if column is None else column[rows] for column in values))


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
        needed = sliding_maximum(np.pad(noise, CONTEXT_BEATS), 2 * CONTEXT_BEATS + 1)[~noise]
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


def references(model: Model, tokens: NDArray[np.floating[Any]], rr_s: Float64) -> Float32:
    """A patient's own normal beat in each lead (n_leads, token_size), of tokens (n_beats, n_leads, token_size)."""
    rr, leads = rr_features(rr_s), tokens.transpose(1, 0, 2).astype(np.float32)
    return np.stack([model.engine.reference(lead, rr) for lead in leads])


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
    rr = rr_features(rr_s, ends="symmetric")[len(rr_s) - len(tokens) :]
    described = fused_description(model, tokens, np.broadcast_to(reference, tokens.shape), lead_weight)
    return predictions_of(model.engine.logits(described[None], rr[None])[0], model.spec)


def fused_description(
    model: Model, tokens: NDArray[np.floating[Any]], reference: Float32, lead_weight: Float32
) -> Float32:
    """Beats beside the patient's normal beat, the mean over the leads by their weights, (n_beats, hidden_size).

    Parameters
    ----------
    tokens, reference, lead_weight
        Of each beat: (n_beats, n_leads, token_size), twice, and (n_beats, n_leads).

    """
    described = np.zeros((len(tokens), model.spec.hidden_size), dtype=np.float32)
    for lead, weight in enumerate(lead_weight.T):
        of_lead = tokens[:, lead].astype(np.float32), np.ascontiguousarray(reference[:, lead])
        described += weight[:, None] * model.engine.beside(*of_lead)
    return described


def no_predictions(spec: ModelSpec) -> Predictions:
    """What a network says of no candidates at all."""
    return predictions_of(np.zeros((0, n_logits(spec)), dtype=np.float32), spec)


def predictions_of(logits: Float32, spec: ModelSpec) -> Predictions:
    """From logits of the network, shape (n_beats, ``n_logits``)."""
    probability = softmax(logits[:, :N_OUTPUTS] + logit_bias(spec), axis=1)
    noise = probability[:, NO_BEAT]
    probability = probability[:, : len(CLASSES)].copy()
    probability[:, CLASSES.index("Q")] += noise
    af = expit(logits[:, N_OUTPUTS]) if logits.shape[1] > N_OUTPUTS else None
    return Predictions(probability, noise, af)


def n_logits(spec: ModelSpec) -> int:
    """How many logits the network gives for each beat: N_OUTPUTS and, where it finds it, that of fibrillation."""
    return N_OUTPUTS + int(spec.finds_af)


def logit_bias(spec: ModelSpec) -> Float32:
    """What is added to the network's logits: the bias of each class, nothing to "no beat"; (N_OUTPUTS,)."""
    return np.array((*spec.class_bias, 0.0), dtype=np.float32)


def part_references(
    model: Model, tokens: NDArray[np.floating[Any]], rows: Index, rr: Float32, *, wanted: Bool | None = None
) -> tuple[Float32, Index]:
    """The normal beat of each part of a record (n_parts, token_size), and the part of each beat (n_beats,).

    Parameters
    ----------
    tokens, rows
        Of one lead, (n, token_size); see ``classify``.
    rr
        See ``rr_features``.
    wanted
        Beats of the parts whose normal beat is needed, shape (n_beats,); that of the others is zero. By default all.

    """

    def reference_of(part: slice) -> Float32:
        if wanted is not None and not wanted[part].any():
            return np.zeros(tokens.shape[1], dtype=np.float32)
        return model.engine.reference(tokens[rows[part]].astype(np.float32), rr[part])

    parts = reference_groups(len(rr))
    reference = np.stack(list(parallel_map(reference_of, parts)))
    return reference, np.repeat(np.arange(len(parts)), [part.stop - part.start for part in parts])


def _logits(
    model: Model,
    tokens: NDArray[np.floating[Any]],
    rr: Float32,
    lead_weight: Float32,
    rows: Index,
    needed: Bool,
) -> Float32:
    """Logits of the beats of a record, each beside the patient's normal beat, read in overlapping sequences.

    Shape (n_beats, ``n_logits``), zero in the sequences that hold no beat that is needed.
    """
    cuts = [cut for cut in sequences(len(rr)) if needed[cut.core].any()]
    read = np.zeros(len(rr), dtype=bool)
    for cut in cuts:
        read[cut.context] = True
    found = [part_references(model, tokens[:, lead], rows, rr, wanted=read) for lead in range(tokens.shape[1])]
    reference, part = np.stack([of_lead for of_lead, _ in found], axis=1), found[0][1]

    def logits_of(some: list[Sequence]) -> Float32:
        beats = np.concatenate([np.arange(cut.context.start, cut.context.stop) for cut in some])
        described = fused_description(model, tokens[rows[beats]], reference[part[beats]], lead_weight[beats])
        each = len(some), -1
        return model.engine.logits(described.reshape(*each, described.shape[1]), rr[beats].reshape(*each, rr.shape[1]))

    batches = [cuts[first : first + SEQUENCES_AT_ONCE] for first in range(0, len(cuts), SEQUENCES_AT_ONCE)]
    logits = np.zeros((len(rr), n_logits(model.spec)), dtype=np.float32)
    for some, of_some in zip(batches, returning_memory(parallel_map(logits_of, batches)), strict=True):
        for cut, row in zip(some, of_some, strict=True):
            logits[cut.core] = row[cut.core.start - cut.context.start :][: cut.core.stop - cut.core.start]
    return logits
