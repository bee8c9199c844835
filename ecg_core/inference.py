"""Weights with their spec -> beats, tokens and probabilities."""

from __future__ import annotations

import hashlib
import json
import os
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit

from .errors import ModelError
from .labels import CLASSES, NO_BEAT
from .network import N_VERDICTS, BeatNetwork, for_serving
from .schema import Bool, Float32, Float64, ModelSpec, _Columns
from .specs import DEFAULT_MODEL, read_spec
from .threads import side_by_side, tidily
from .windows import Index, Sequence, beat_frames, reference_groups, rr_features, sequences

STRIP_FRAMES = 1750  # a strip of 56 s goes through the trunk at a time: what it makes fits the processor's cache
HALO_FRAMES = 64  # the trunk sees 1.6 s to either side; strips overlap by 2 s so that cutting leaves no trace
STRIPS_AT_ONCE = 2
SEQUENCES_AT_ONCE = 16
KEPT_KERNELS = 64  # torch keeps 1024 that it made for shapes seen once: megabytes with every few records, never freed


@dataclass(frozen=True, eq=False)
class Model:
    """A network with the spec it is served by."""

    spec: ModelSpec
    network: BeatNetwork  # as it was fitted, so that adaptation can go on from it

    @cached_property
    def serving(self) -> BeatNetwork:
        """A copy that gives the same results in less time."""
        return for_serving(deepcopy(self.network))


@dataclass(frozen=True, eq=False)
class Seen(_Columns):
    """What the trunk sees in a piece of a record."""

    frames: torch.Tensor  # (n_leads, channels, n_frames)
    heat: Float32  # (n_leads, n_frames), 0..1, with a bump at each beat


@dataclass(frozen=True, eq=False)
class Described(_Columns):
    """Beats as the network describes them."""

    token: Float32  # (n_beats, n_leads, token_size)
    attention: Float32  # (n_beats, n_leads, n_steps), the mean over the heads


@dataclass(frozen=True, eq=False)
class Verdicts(_Columns):
    """What the network says of beats, and of what the detector took for beats."""

    probability: Float32  # (n_beats, n_classes); what may be no beat counts as Q, unclassifiable
    noise: Float32  # (n_beats,), the probability of being no beat


def save_model(path: Path, model: Model) -> Model:
    """Write weights and, beside them, the spec with their hash; neither file is ever there by half."""
    half = path.with_suffix(".part")
    torch.save(model.network.state_dict(), half)
    spec = replace(model.spec, sha256=_sha256(half))
    half.replace(path)
    half.write_text(json.dumps(asdict(spec), indent=1) + "\n", encoding="utf-8")
    half.replace(path.with_suffix(".json"))
    return Model(spec, model.network)


def load_model(path: Path = DEFAULT_MODEL) -> Model:
    """Read weights and spec; no code in the file is executed.

    Raises
    ------
    ModelError
        A file is missing, is no model of this program, or its weights are not those that the spec was written for.

    """
    spec = read_spec(path)
    found = _sha256(path)
    if found != spec.sha256:
        raise ModelError(
            f"{path.name}: its SHA-256 is {found[:12]}..., expected {spec.sha256[:12]}... from {path.stem}.json; the "
            "weights were altered or belong to another spec. Get both files anew."
        )
    return _build(path, spec)


@lru_cache(maxsize=4)
def _build(path: Path, spec: ModelSpec) -> Model:
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(KEPT_KERNELS))  # read when the first one is made
    try:
        network = BeatNetwork(spec)
        network.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
    except Exception as error:  # unpickling foreign bytes raises what it likes
        raise ModelError(f"{path.name}: expected weights of this network ({type(error).__name__}).") from error
    return Model(spec, network.eval())


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@torch.inference_mode()
def look(model: Model, signal: Float32) -> Seen:
    """Run the trunk over normalised leads, shape (n_leads, n)."""
    n_frames = -(-signal.shape[1] // model.spec.stride)
    frames = _frames(model, signal)[:, :, :n_frames]
    return Seen(frames, _heat(model, frames))


@torch.inference_mode()
def look_at_end(model: Model, signal: Float32) -> Seen:
    """Like ``look`` for a short piece at the end of what came, whose first HALO_FRAMES are not to be used."""
    halo = np.zeros((len(signal), HALO_FRAMES * model.spec.stride), dtype=np.float32)
    strips = torch.from_numpy(np.concatenate((signal, halo), axis=1))
    frames = model.serving.trunk(model.serving.stem(strips[:, None]))[:, :, : -(-signal.shape[1] // model.spec.stride)]
    return Seen(frames, _heat(model, frames))


def _heat(model: Model, frames: torch.Tensor) -> Float32:
    # not torch's sigmoid, which rounds otherwise where its threads cut a long row
    return np.asarray(expit(model.serving.heat_logit(frames).numpy()))


@torch.inference_mode()
def describe_beats(model: Model, seen: Seen, position: Float64) -> Described:
    """Describe the beats at (fractional) samples ``position`` in every lead."""
    index = torch.from_numpy(beat_frames(position, model.spec, seen.heat.shape[1]))
    strip = torch.zeros(len(position), dtype=torch.int64)
    described = [model.serving.tokens(lead[None], strip, index) for lead in seen.frames]
    token = np.stack([token.numpy() for token, _ in described], axis=1)
    attention = np.stack([attention.mean(1).numpy() for _, attention in described], axis=1)
    return Described(token, attention)


def _frames(model: Model, signal: Float32) -> torch.Tensor:
    """Trunk over leads in overlapping strips, shape (n_leads, channels, at least n / stride)."""
    n_leads, n = signal.shape
    stride = model.spec.stride
    strip_frames = min(STRIP_FRAMES, -(-n // stride))
    n_strips = -(-n // (strip_frames * stride))
    halo, core = HALO_FRAMES * stride, strip_frames * stride
    padded = np.zeros((n_leads, n_strips * core + 2 * halo), dtype=np.float32)
    padded[:, halo : halo + n] = signal
    windows = np.lib.stride_tricks.sliding_window_view(padded, core + 2 * halo, axis=1)[:, ::core]
    strips = windows.reshape(n_leads * n_strips, 1, -1)
    at_once = STRIPS_AT_ONCE * STRIP_FRAMES // strip_frames
    network = model.serving

    @torch.inference_mode()
    def read(first: int) -> torch.Tensor:
        frames = network.trunk(network.stem(torch.tensor(strips[first : first + at_once])))
        return frames[:, :, HALO_FRAMES:-HALO_FRAMES].transpose(1, 2)  # as it lies in memory

    parts = list(side_by_side(read, range(0, len(strips), at_once)))
    return torch.cat(parts).reshape(n_leads, n_strips * strip_frames, -1).transpose(1, 2)


@torch.inference_mode()
def classify(
    model: Model,
    tokens: NDArray[np.floating[Any]],
    rr_s: Float64,
    share: Float32,
    *,
    rows: Index | None = None,
    asked: Bool | None = None,
) -> Verdicts:
    """Judge the beats of a record.

    Parameters
    ----------
    tokens
        Of shape (n, n_leads, token_size).
    rr_s
        Shape (n_beats,), NaN where unknown.
    share
        What each lead counts at each beat, shape (n_beats, n_leads), summing to one over the leads: the logarithms of
        the leads' probabilities are averaged by it.
    rows
        Which of the tokens are those of the beats, shape (n_beats,); by default all, in their order. A week of tokens
        need not be copied so that some can be left out.
    asked
        Of which beats a verdict is needed at least, shape (n_beats,); by default of all.

    """
    n_beats = len(rr_s)
    rows = np.arange(n_beats) if rows is None else rows
    asked = np.ones(n_beats, dtype=bool) if asked is None else asked
    if n_beats == 0:
        return Verdicts(np.zeros((0, len(CLASSES)), dtype=np.float32), np.zeros(0, dtype=np.float32))
    rr = torch.from_numpy(rr_features(rr_s))
    bias = verdict_bias(model.spec)
    logits = torch.zeros(n_beats, len(bias))
    for lead, lead_share in enumerate(torch.tensor(share).T):
        own = _lead_logits(model.serving, tokens[:, lead], rows, rr, asked)
        logits += lead_share[:, None] * torch.log_softmax(own + bias, dim=1)
    return _verdicts(logits)


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
    model: Model, tokens: NDArray[np.floating[Any]], rr_s: Float64, share: Float32, reference: Float32
) -> Verdicts:
    """Judge the latest beats of a patient whose normal beat is known.

    Parameters
    ----------
    tokens, share
        Of beats in a row, (n_beats, n_leads, token_size) and (n_beats, n_leads).
    rr_s
        Of these and the beats before them, shape (n_beats or more,); the more, the better the usual RR is known.
    reference
        See ``references``.

    """
    rr = torch.from_numpy(rr_features(rr_s, edge="reflect")[len(rr_s) - len(tokens) :])
    leads = _single(tokens).transpose(0, 1)
    described = model.serving.beside(leads, torch.tensor(reference)[:, None])
    logits = model.serving.classify(described, rr.expand(len(leads), -1, -1)) + verdict_bias(model.spec)
    weight = torch.tensor(share).T[:, :, None]
    return _verdicts((weight * torch.log_softmax(logits, dim=2)).sum(dim=0))


def _verdicts(logits: torch.Tensor) -> Verdicts:
    """From the logits of the leads together, shape (n_beats, n_verdicts)."""
    probability = torch.softmax(logits, dim=1).numpy()
    noise = probability[:, NO_BEAT]
    probability = probability[:, : len(CLASSES)].copy()
    probability[:, CLASSES.index("Q")] += noise
    return Verdicts(probability, noise)


def verdict_bias(spec: ModelSpec) -> torch.Tensor:
    """What is added to the network's logits: the bias of each class, nothing to "no beat"."""
    return torch.tensor((*spec.class_bias, 0.0))


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
    def learn(part: slice) -> torch.Tensor:
        return network.reference(_single(tokens[rows[part]]), rr[part])[0]

    parts = reference_groups(len(rr))
    reference = torch.stack(list(side_by_side(learn, parts)))
    return reference, torch.repeat_interleave(torch.tensor([part.stop - part.start for part in parts]))


def _lead_logits(
    network: BeatNetwork, tokens: NDArray[np.floating[Any]], rows: Index, rr: torch.Tensor, asked: Bool
) -> torch.Tensor:
    """Logits of one lead's beats, each held against the patient's reference beat, read in overlapping sequences.

    Zero in the sequences in which none is asked for.
    """

    @torch.inference_mode()
    def judge(some: list[Sequence]) -> torch.Tensor:
        beats = torch.stack(
            [network.beside(_single(tokens[rows[cut.seen]]), reference[of_beat[cut.seen]]) for cut in some]
        )
        return network.classify(beats, torch.stack([rr[cut.seen] for cut in some]))

    reference, of_beat = part_references(network, tokens, rows, rr)
    cuts = [cut for cut in sequences(len(rr)) if asked[cut.judged].any()]
    batches = [cuts[first : first + SEQUENCES_AT_ONCE] for first in range(0, len(cuts), SEQUENCES_AT_ONCE)]
    logits = torch.zeros(len(rr), N_VERDICTS)
    for some, judged in zip(batches, tidily(side_by_side(judge, batches)), strict=True):
        for cut, row in zip(some, judged, strict=True):
            logits[cut.judged] = row[cut.judged.start - cut.seen.start :][: cut.judged.stop - cut.judged.start]
    return logits
