"""A network with its spec, and the two files that they are kept in."""

from __future__ import annotations

import hashlib
import json
import os
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import torch

from ..errors import ModelError
from ..files import atomic_file
from ..schema import ModelSpec
from .network import BeatNetwork, for_serving
from .spec import DEFAULT_MODEL, read_spec

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


def save_model(path: Path, model: Model) -> Model:
    """Write weights and, beside them, the spec with their hash; each file is written whole or not at all."""
    with atomic_file(path) as part:
        torch.save(model.network.state_dict(), part)
        spec = replace(model.spec, sha256=_sha256(part))
    save_spec(path, spec)
    return Model(spec, model.network)


def save_spec(path: Path, spec: ModelSpec) -> None:
    """Write the spec beside weights that stay as they are."""
    with atomic_file(path.with_suffix(".json")) as part:
        part.write_text(json.dumps(asdict(spec), indent=1) + "\n", encoding="utf-8")


def uncalibrated(model: Model) -> Model:
    """The model with the probabilities that its network gives: what is learned or chosen by them needs these."""
    return Model(replace(model.spec, calibration=(), operating_points=()), model.network)


def load_model(path: Path = DEFAULT_MODEL) -> Model:
    """Read weights and spec; no code in the file is executed.

    Raises
    ------
    ModelError
        A file is missing, is not a model of this program, or its weights are not those that the spec was written for.

    Examples
    --------
    >>> from ecg_core import load_model
    >>> load_model().spec.classes
    ('N', 'S', 'V', 'F', 'Q')

    """
    spec = read_spec(path)
    found = _sha256(path)
    if found != spec.sha256:
        raise ModelError(
            f"{path.name}: its SHA-256 is {found[:12]}..., expected {spec.sha256[:12]}... from {path.stem}.json; the "
            "weights were altered or belong to another spec. Download both files again.",
            settings=("model",),
        )
    return _build(path, spec)


@lru_cache(maxsize=4)
def _build(path: Path, spec: ModelSpec) -> Model:
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(KEPT_KERNELS))  # read when the first one is made
    try:
        network = BeatNetwork(spec)
        network.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
    except Exception as error:  # unpickling foreign bytes raises what it likes
        raise ModelError(
            f"{path.name}: expected weights of this network ({type(error).__name__}).", settings=("model",)
        ) from error
    return Model(spec, network.eval())


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
