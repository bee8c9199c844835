"""The network in PyTorch, single precision: the reference, and what runs a network that is still being fitted."""

from __future__ import annotations

import os
from copy import deepcopy
from functools import cached_property
from pathlib import Path

import torch

from ..errors import ModelError
from ..parallel import n_threads
from ..schema import Float32, Index, ModelSpec
from .engine import TORCH, Frames
from .network import BeatNetwork, for_serving
from .trees import BoostedTrees

KEPT_KERNELS = 64  # torch keeps 1024 that it made for shapes seen once: megabytes with every few records, never freed


class TorchEngine:
    """See ``Engine``."""

    name = TORCH

    def __init__(self, network: BeatNetwork) -> None:
        self.network = network  # as it was fitted, so that adaptation can go on from it
        torch.set_num_threads(n_threads())  # it may have been loaded after these were chosen

    @cached_property
    def _serving(self) -> BeatNetwork:
        """A copy that gives the same results in less time."""
        return for_serving(deepcopy(self.network))

    @cached_property
    def trees(self) -> BoostedTrees | None:
        """See ``Engine``."""
        return None if self.network.trees is None else self.network.trees.boosted

    @torch.inference_mode()
    def frames(self, strips: Float32) -> tuple[Frames, Float32]:
        """See ``Engine``."""
        frames, logit = self._serving.frames(torch.tensor(strips))
        return frames.transpose(1, 2).numpy(), logit.numpy()  # a frame's channels side by side, as they lie in memory

    @torch.inference_mode()
    def tokens(self, frames: Frames, index: Index) -> tuple[Float32, Float32]:
        """See ``Engine``."""
        of_lead = torch.tensor(frames)[None].transpose(1, 2)
        strip = torch.zeros(len(index), dtype=torch.int64)
        token, attention = self._serving.tokens(of_lead, strip, torch.tensor(index))
        return token.numpy(), attention.mean(1).numpy()

    @torch.inference_mode()
    def reference(self, tokens: Float32, rr: Float32) -> Float32:
        """See ``Engine``."""
        reference: Float32 = self._serving.reference(torch.tensor(tokens), torch.tensor(rr))[0].numpy()
        return reference

    @torch.inference_mode()
    def beside(self, tokens: Float32, reference: Float32) -> Float32:
        """See ``Engine``."""
        described: Float32 = self._serving.beside(torch.tensor(tokens), torch.tensor(reference)).numpy()
        return described

    @torch.inference_mode()
    def logits(self, described: Float32, rr: Float32) -> Float32:
        """See ``Engine``."""
        found: Float32 = self._serving.all_logits(torch.tensor(described), torch.tensor(rr)).numpy()
        return found


def load_network(path: Path, spec: ModelSpec) -> BeatNetwork:
    """Read the weights; no code in the file is executed.

    Raises
    ------
    ModelError
        The file holds no weights of this network.

    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(KEPT_KERNELS))  # read when the first one is made
    try:
        network = BeatNetwork(spec)
        network.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
    except Exception as error:  # unpickling foreign bytes raises what it likes
        raise ModelError(
            f"{path.name}: expected weights of this network ({type(error).__name__}).", settings=("model",)
        ) from error
    return network.eval()
