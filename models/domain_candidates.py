"""What else could say how unlike the training recordings a recording is: the scores that were compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ecg_core.classifier.chunks import ChunkFeatures, quality_of
from ecg_core.classifier.classification import NOISE_ROUNDS
from ecg_core.classifier.leads import AUTO, choose_leads
from ecg_core.classifier.model import Model
from ecg_core.labels import CLASSES, UNLABELLED, Codes
from ecg_core.pipeline import classify_candidates, predicted_beats, read_features
from ecg_core.rhythm.domain_shift import DOUBTFUL
from ecg_core.schema import Beats, Float32, Float64, Record

JUDGED = "NSV"  # classes with tokens enough to have a centre
SHRINKAGE = 1e-3  # of the covariance towards a multiple of the identity: keeps its inverse finite
LEVELS = (0.8, DOUBTFUL, 0.95)
TINY = 1e-9


@dataclass(frozen=True, eq=False)
class Tokens:
    """The analysable beats of a recording as the network describes them."""

    token: Float32  # (n_beats, n_leads, token_size)
    weight: Float32  # (n_beats, n_leads), summing to one over the leads
    code: Codes  # (n_beats,), by the reference; UNLABELLED where it has none
    beats: Beats
    quality: Float32  # (n_leads, n_blocks)


@dataclass(frozen=True, eq=False)
class TokenDistance:
    """Mahalanobis distance to the nearest class of the training, one covariance for all (Lee 2018).

    doi:10.48550/arXiv.1807.03888.
    """

    centre: Float64  # (n_classes, token_size)
    whitening: Float64  # (token_size, token_size)

    def squared(self, tokens: Tokens) -> Float64:
        """Of each beat, the mean over its leads by their weights, shape (n_beats,)."""
        whitened = tokens.token.astype(np.float64) @ self.whitening
        squares = [((whitened - centre) ** 2).sum(axis=2) for centre in self.centre @ self.whitening]
        return np.asarray((np.min(squares, axis=0) * tokens.weight).sum(axis=1))


def tokens_of(record: Record, model: Model) -> Tokens:
    """Read a recording as ``analyse`` does, up to the beats that the model predicts."""
    features: ChunkFeatures = read_features(record, model, choose_leads(record, model, AUTO))
    kept, rr_s, predictions = classify_candidates(model, features, rounds=NOISE_ROUNDS)
    usable = quality_of(features, record.duration_s).usable_at(features.time_s[kept])
    beats = predicted_beats(features, kept, rr_s, predictions, usable)
    code = np.full(len(beats), UNLABELLED) if record.reference is None else record.reference.codes_at(beats.time_s)
    token, weight = features.token[kept][usable].astype(np.float32), features.lead_weight[kept][usable]
    return Tokens(token, weight, code[usable], beats, features.score)


def fit_distance(recordings: Sequence[Tokens]) -> TokenDistance:
    """The classes of the training recordings, each of which counts as much as any other one."""
    token = np.concatenate([one.token.reshape(-1, one.token.shape[2]) for one in recordings]).astype(np.float64)
    code = np.concatenate([np.repeat(one.code, one.token.shape[1]) for one in recordings])
    weight = np.concatenate([one.weight.ravel() / max(float(one.weight.sum()), TINY) for one in recordings])
    centres, spread, total = [], np.zeros((token.shape[1],) * 2), 0.0
    for label in JUDGED:
        of_class = code == CLASSES.index(label)
        centres.append(np.average(token[of_class], axis=0, weights=weight[of_class]))
        away = (token[of_class] - centres[-1]) * np.sqrt(weight[of_class])[:, None]
        spread, total = spread + away.T @ away, total + float(weight[of_class].sum())
    covariance = spread / total
    covariance += SHRINKAGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    return TokenDistance(np.stack(centres), np.linalg.cholesky(np.linalg.inv(covariance)))


def candidate_scores(tokens: Tokens, distance: TokenDistance) -> dict[str, float]:
    """The scores of a recording by what they are; the higher, the more unlike."""
    probability = tokens.beats.probability[tokens.beats.usable].astype(np.float64)
    likeliest, squared = probability.max(axis=1), distance.squared(tokens)
    return {
        **{f"beats with no class of {level:g} or more": float((likeliest < level).mean()) for level in LEVELS},
        "mean doubt (1 - probability of the likeliest class)": float((1 - likeliest).mean()),
        "mean entropy of the probabilities": float(-(probability * np.log(probability + TINY)).sum(axis=1).mean()),
        "distance of the tokens, mean": float(squared.mean()),
        "distance of the tokens, 90th percentile": float(np.quantile(squared, 0.9)),
        "1 - signal quality of the clearest lead": float(1 - tokens.quality.max(axis=0).mean()),
    }
