"""Clean leads -> frames of the network's trunk and a beat probability map; frames around a beat -> its features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import expit

from ..parallel import one_thread, parallel_map
from ..schema import Float32, Float64, FrozenArrays
from .features import beat_frames
from .model import Model

STRIP_FRAMES = 1750  # a strip of 56 s goes through the trunk at a time: what it makes fits the processor's cache
HALO_FRAMES = 64  # the trunk sees 1.6 s to either side; strips overlap by 2 s so that cutting leaves no trace
STRIPS_AT_ONCE = 2


@dataclass(frozen=True, eq=False)
class Encoded(FrozenArrays):
    """What the trunk makes of a stretch of signal."""

    frames: torch.Tensor  # (n_leads, channels, n_frames)
    beat_heatmap: Float32  # (n_leads, n_frames): beat probability, 0 .. 1, with a bump at each beat


@dataclass(frozen=True, eq=False)
class BeatFeatures(FrozenArrays):
    """Beats as the network describes them."""

    token: Float32  # (n_beats, n_leads, token_size)
    attention: Float32  # (n_beats, n_leads, n_steps), the mean over the heads


@torch.inference_mode()
def encode(model: Model, signal: Float32) -> Encoded:
    """Run the trunk over normalised leads, shape (n_leads, n)."""
    n_frames = -(-signal.shape[1] // model.spec.stride)
    frames = _frames(model, signal)[:, :, :n_frames]
    return Encoded(frames, _beat_heatmap(model, frames))


@torch.inference_mode()
def encode_end(model: Model, signal: Float32) -> Encoded:
    """Like ``encode`` for the last seconds of a stream, whose first HALO_FRAMES are not to be used."""
    halo = np.zeros((len(signal), HALO_FRAMES * model.spec.stride), dtype=np.float32)
    strips = torch.from_numpy(np.concatenate((signal, halo), axis=1))
    frames = model.serving.trunk(model.serving.stem(strips[:, None]))[:, :, : -(-signal.shape[1] // model.spec.stride)]
    return Encoded(frames, _beat_heatmap(model, frames))


@one_thread()  # several would round differently where they cut the frames among them; so would torch's own sigmoid
def _beat_heatmap(model: Model, frames: torch.Tensor) -> Float32:
    return np.asarray(expit(model.serving.heat_logit(frames).numpy()))


@torch.inference_mode()
def describe_beats(model: Model, encoded: Encoded, position: Float64) -> BeatFeatures:
    """Describe the beats at (fractional) samples ``position`` in every lead."""
    index = torch.from_numpy(beat_frames(position, model.spec, encoded.beat_heatmap.shape[1]))
    strip = torch.zeros(len(position), dtype=torch.int64)
    described = [model.serving.tokens(lead[None], strip, index) for lead in encoded.frames]
    token = np.stack([token.numpy() for token, _ in described], axis=1)
    attention = np.stack([attention.mean(1).numpy() for _, attention in described], axis=1)
    return BeatFeatures(token, attention)


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
    def frames_of(first: int) -> torch.Tensor:
        frames: torch.Tensor = network.trunk(network.stem(torch.tensor(strips[first : first + at_once])))
        return frames[:, :, HALO_FRAMES:-HALO_FRAMES].transpose(1, 2)  # as it lies in memory

    parts = list(parallel_map(frames_of, range(0, len(strips), at_once)))
    return torch.cat(parts).reshape(n_leads, n_strips * strip_frames, -1).transpose(1, 2)
