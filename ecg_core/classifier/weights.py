"""Models whose network is at hand in torch: made of it, and written to its file of weights."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import torch

from ..files import atomic_file
from ..schema import ModelSpec
from .model import Model, save_spec, sha256_of
from .network import BeatNetwork
from .torch_engine import TorchEngine


def torch_model(spec: ModelSpec, network: BeatNetwork) -> Model:
    """A model whose network is at hand, and run by torch."""
    return Model(replace(spec, int8_sha256=""), TorchEngine(network))


def save_tensors(path: Path, content: object) -> None:
    """Write tensors with ``torch.save``.

    Raises
    ------
    OSError
        The file cannot be written, with the reason: torch itself raises a RuntimeError without one.

    """
    try:
        torch.save(content, path)
    except RuntimeError:
        whole = io.BytesIO()
        torch.save(content, whole)
        path.write_bytes(whole.getbuffer())


def save_model(path: Path, model: Model) -> Model:
    """Write weights and, beside them, the spec with their hash; each file is written whole or not at all.

    Graphs in 8-bit integers that belonged to earlier weights are no longer named by the spec.
    """
    with atomic_file(path) as part:
        save_tensors(part, model.engine.network.state_dict())
        spec = replace(model.spec, sha256=sha256_of(part), int8_sha256="")
    save_spec(path, spec)
    return torch_model(spec, model.engine.network)
