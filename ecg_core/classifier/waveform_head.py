"""From measures of the waveform to the probability of fibrillation and of tachycardia: a small network of its own.

It needs no frames of the trunk, so that one head serves every model that gives a beat probability map.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np

from ..errors import ModelError
from ..probabilities import softmax
from ..schema import Float32, FrozenArrays
from .spec import MODELS
from .waveform import AMPLITUDE, CONTEXT_STEPS, SLOPE, VALID_SHARE, WaveformMeasures

RHYTHMS: Final = ("beats", "vt", "vf", "noise")  # what a second of a lead shows
HEAD_FILE = MODELS / "waveform.npz"
INPUT_RANGE = 5.0  # standardised measures are clipped here
MIN_CLEAR_STEPS = 20  # fewer seconds with clear beats do not show the usual amplitude
MIN_VALID_SHARE = 0.75  # of a window; with less of it recorded, a lead says nothing
NOISE_WEIGHT = 0.02  # of a lead that is surely noise, where leads are fused
SMALLEST_PROBABILITY = 1e-6


@dataclass(frozen=True, eq=False)
class WaveformHead(FrozenArrays):
    """An ensemble of small networks: standardised inputs, one hidden layer, the logits of RHYTHMS."""

    mean: Float32  # (n_inputs,)
    deviation: Float32  # (n_inputs,)
    hidden_weight: Float32  # (n_members, n_inputs, n_hidden)
    hidden_bias: Float32  # (n_members, 1, n_hidden)
    out_weight: Float32  # (n_members, n_hidden, n_rhythms)
    out_bias: Float32  # (n_members, 1, n_rhythms)

    def probability(self, inputs: Float32) -> Float32:
        """Mean probability of each rhythm over the members, (n, n_inputs) -> (n, n_rhythms)."""
        standard = np.clip((inputs - self.mean) / self.deviation, -INPUT_RANGE, INPUT_RANGE)
        hidden = np.maximum(standard @ self.hidden_weight + self.hidden_bias, 0)
        return np.asarray(softmax(hidden @ self.out_weight + self.out_bias, axis=2).mean(axis=0))


@lru_cache(maxsize=2)
def load_head(path: Path = HEAD_FILE) -> WaveformHead:
    """Read the weights of the head, once.

    Raises
    ------
    ModelError
        A file is missing, or the weights are not those that the spec beside them was written for.

    """
    spec = path.with_suffix(".json")
    if not path.is_file() or not spec.is_file():
        raise ModelError(f"{path}: this file, or {spec.name} beside it, does not exist; reinstall the program.")
    expected = json.loads(spec.read_text(encoding="utf-8"))["sha256"]
    content = path.read_bytes()
    if (found := sha256(content).hexdigest()) != expected:
        raise ModelError(f"{path.name}: its SHA-256 is {found[:12]}..., expected {expected[:12]}...; reinstall it.")
    with np.load(path, allow_pickle=False) as stored:
        return WaveformHead(**stored)


def usual_size(measures: WaveformMeasures) -> Float32:
    """Usual logarithms of amplitude and slope of each lead, shape (n_leads, 2).

    Those of the seconds with clear beats; where there are hardly any, of the seconds that were measured.
    """
    if not len(measures.step):
        return np.zeros((measures.size.shape[1], 2), dtype=np.float32)  # nothing to be compared with them
    n_clear = np.isfinite(measures.size).all(axis=2).sum(axis=0)
    measured = measures.measure[:, :, [AMPLITUDE, SLOPE]]
    usual = [
        np.nanmedian(measures.size[:, lead], axis=0) if n >= MIN_CLEAR_STEPS else np.median(measured[:, lead], axis=0)
        for lead, n in enumerate(n_clear.tolist())
    ]
    return np.asarray(usual, dtype=np.float32)


def head_inputs(measures: WaveformMeasures, usual: Float32) -> Float32:
    """Measures beside their mean and deviation over CONTEXT_STEPS to either side, shape (n, n_leads, n_inputs).

    Amplitude and slope are relative to the usual ones. The seconds beside those that were measured have clear beats:
    nothing is lost where these are not looked at.
    """
    value = measures.measure.copy()
    value[:, :, [AMPLITUDE, SLOPE]] -= usual
    stretch = np.cumsum(np.diff(measures.step, prepend=measures.step[:1]) > 1)
    first, last = np.searchsorted(stretch, stretch), np.searchsorted(stretch, stretch, side="right") - 1
    total, square = np.zeros((2, *value.shape))
    for offset in range(-CONTEXT_STEPS, CONTEXT_STEPS + 1):
        beside = value[np.clip(np.arange(len(value)) + offset, first, last)]  # the ends of a stretch are held
        total += beside
        square += beside**2
    mean, square = (np.asarray(part / (2 * CONTEXT_STEPS + 1), dtype=np.float32) for part in (total, square))
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    return np.concatenate([value, mean, deviation], axis=2)


def fuse_leads(probability: Float32) -> Float32:
    """One probability of each rhythm from those of the leads, (n, n_leads, n_rhythms) -> (n, n_rhythms).

    The logarithms of the leads' probabilities are averaged; a lead that is probably noise counts for little.
    """
    weight = 1 - probability[:, :, RHYTHMS.index("noise"), None] + NOISE_WEIGHT
    mean = (weight * np.log(probability + SMALLEST_PROBABILITY)).sum(axis=1) / weight.sum(axis=1)
    return softmax(mean, axis=1)


def rhythm_probability(head: WaveformHead, measures: WaveformMeasures, usual: Float32) -> Float32:
    """Probability of each of RHYTHMS in every second, shape (n_steps, n_rhythms); beats where they are clear."""
    found = np.zeros((len(measures.clear), len(RHYTHMS)), dtype=np.float32)
    found[:, RHYTHMS.index("beats")] = 1
    if len(measures.step):
        inputs = head_inputs(measures, usual)
        n, n_leads, n_inputs = inputs.shape
        by_lead = head.probability(inputs.reshape(-1, n_inputs)).reshape(n, n_leads, -1)
        judged = ~measures.clear[measures.step]
        off = measures.measure[:, :, VALID_SHARE] < MIN_VALID_SHARE
        by_lead[off] = np.eye(len(RHYTHMS), dtype=np.float32)[RHYTHMS.index("noise")]
        found[measures.step[judged]] = fuse_leads(by_lead)[judged]
    return found
