"""Clean leads -> frames of the network's trunk and a beat probability map; frames around a beat -> its features."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from ..parallel import parallel_map
from ..probabilities import expit
from ..schema import Float32, Float64, FrozenArrays
from .engine import Frames
from .features import beat_frames
from .model import Model

STRIP_FRAMES = 3500  # a strip of two minutes goes through the trunk at a time: what it makes fits the processor's cache
HALO_FRAMES = 64  # the trunk sees 1.6 s to either side; strips overlap by 2 s so that cutting leaves no trace
BEATS_AT_ONCE = 256  # whose surroundings fit the processor's cache


@dataclass(frozen=True, eq=False)
class Encoded(FrozenArrays):
    """What the trunk makes of a stretch of signal."""

    frames: Frames  # (n_leads, n_frames, channels), as the engine keeps them
    beat_heatmap: Float32  # (n_leads, n_frames): beat probability, 0 .. 1, with a bump at each beat


@dataclass(frozen=True, eq=False)
class BeatFeatures(FrozenArrays):
    """Beats as the network describes them."""

    token: Float32  # (n_beats, n_leads, token_size)
    attention: Float32  # (n_beats, n_leads, n_steps), the mean over the heads


def encode(model: Model, signal: Float32) -> Encoded:
    """Run the trunk over normalised leads, shape (n_leads, n)."""
    n_leads, n = signal.shape
    n_frames = -(-n // model.spec.stride)
    n_strips = -(-n_frames // STRIP_FRAMES)
    strip_frames = -(-n_frames // n_strips)  # all alike, and no longer than needed
    halo, core = HALO_FRAMES * model.spec.stride, strip_frames * model.spec.stride
    padded = np.zeros((n_leads, n_strips * core + 2 * halo), dtype=np.float32)
    padded[:, halo : halo + n] = signal
    windows = np.lib.stride_tricks.sliding_window_view(padded, core + 2 * halo, axis=1)[:, ::core]
    strips = windows.reshape(n_leads * n_strips, -1)
    at_once = STRIP_FRAMES // strip_frames

    def run(first: int) -> tuple[Frames, Float32]:
        frames, logit = model.engine.frames(strips[first : first + at_once])
        return frames[:, HALO_FRAMES:-HALO_FRAMES], logit[:, HALO_FRAMES:-HALO_FRAMES]

    frames, logit = zip(*parallel_map(run, range(0, len(strips), at_once)), strict=True)
    whole = (n_leads, n_strips * strip_frames)
    return Encoded(
        np.concatenate(frames).reshape(*whole, -1)[:, :n_frames],
        expit(np.concatenate(logit).reshape(whole)[:, :n_frames]),
    )


def encode_end(model: Model, signal: Float32) -> Encoded:
    """Like ``encode`` for the last seconds of a stream, whose first HALO_FRAMES are not to be used."""
    n_frames = -(-signal.shape[1] // model.spec.stride)
    halo = np.zeros((len(signal), HALO_FRAMES * model.spec.stride), dtype=np.float32)
    frames, logit = model.engine.frames(np.concatenate((signal, halo), axis=1))
    return Encoded(frames[:, :n_frames], expit(logit[:, :n_frames]))


def describe_beats(model: Model, encoded: Encoded, position: Float64) -> BeatFeatures:
    """Describe the beats at (fractional) samples ``position`` in every lead."""
    index = beat_frames(position, model.spec, encoded.beat_heatmap.shape[1])
    n_leads, n_beats = len(encoded.frames), len(position)
    token = np.empty((n_beats, n_leads, model.spec.token_size), dtype=np.float32)
    attention = np.empty((n_beats, n_leads, index.shape[1]), dtype=np.float32)
    for lead, first in product(range(n_leads), range(0, n_beats, BEATS_AT_ONCE)):
        some = slice(first, first + BEATS_AT_ONCE)
        token[some, lead], attention[some, lead] = model.engine.tokens(encoded.frames[lead], index[some])
    return BeatFeatures(token, attention)
