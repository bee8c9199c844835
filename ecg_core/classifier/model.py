"""A model: what runs its network, and the spec that it is used by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from ..errors import ModelError
from ..files import atomic_file
from ..schema import ModelSpec
from .engine import INT8, TORCH, Engine
from .int8_engine import SUFFIX, WEIGHTS, Int8Engine
from .spec import DEFAULT_MODEL, read_spec, spec_bytes

if TYPE_CHECKING:  # torch takes a second to load
    from .network import BeatNetwork


@dataclass(frozen=True, eq=False)
class Model:
    """A network, run by an engine, with its spec."""

    spec: ModelSpec
    engine: Engine

    @property
    def network(self) -> BeatNetwork:
        """The network in torch, for what learns from it or changes it."""
        return self.engine.network


def save_spec(path: Path, spec: ModelSpec) -> None:
    """Write the spec beside weights that stay as they are."""
    with atomic_file(path.with_suffix(".json")) as part:
        part.write_bytes(spec_bytes(spec))


def uncalibrated(model: Model) -> Model:
    """The model without what was measured with its weights: what is learned or chosen needs its own probabilities."""
    return Model(replace(model.spec, calibration=(), operating_points=(), domain=None), model.engine)


def load_model(path: str | Path = DEFAULT_MODEL, *, engine: str | None = None) -> Model:
    """Read weights and spec; no code in the files is executed.

    Parameters
    ----------
    path
        The weights file.
    engine
        One of ``ENGINES``; by default 8-bit integers where they were exported from these weights, otherwise torch.

    Raises
    ------
    ModelError
        A file is missing, is not a model of this program, or is not the one that the spec was written for.

    Examples
    --------
    >>> from ecg_core import load_model
    >>> load_model().spec.classes
    ('N', 'S', 'V', 'F', 'Q')

    """
    path = Path(path)
    spec = read_spec(path)
    _check(path, spec.sha256, f"{path.stem}.json")
    chosen = engine or (INT8 if spec.int8_sha256 else TORCH)
    return (_in_int8 if chosen == INT8 else _in_torch)(path, spec)


def int8_path(path: Path) -> Path:
    """The file of the graphs in 8-bit integers beside a weights file."""
    return path.with_suffix(SUFFIX)


@lru_cache(maxsize=4)
def _in_int8(path: Path, spec: ModelSpec) -> Model:
    graphs = int8_path(path)
    remedy = f"make it by: python -m models.export {path}"
    if not spec.int8_sha256 or not graphs.is_file():
        raise ModelError(
            f"{graphs.name}: this model has no network in 8-bit integers; {remedy}, or use the engine torch.",
            settings=("model", "engine"),
        )
    _check(graphs, spec.int8_sha256, f"{path.stem}.json")
    try:
        with np.load(graphs, allow_pickle=False) as file:
            stored = dict(file)
        made_from = str(stored[WEIGHTS])
        if made_from != spec.sha256:
            raise ModelError(
                f"{graphs.name}: it was made from weights with SHA-256 {made_from[:12]}..., expected those of "
                f"{path.name}, {spec.sha256[:12]}...; {remedy}.",
                settings=("model", "engine"),
            )
        return Model(spec, Int8Engine(stored, path, spec))
    except (KeyError, ValueError, BadZipFile) as error:
        raise ModelError(
            f"{graphs.name}: expected the network of {path.name} in 8-bit integers ({error}); {remedy}.",
            settings=("model", "engine"),
        ) from error


@lru_cache(maxsize=4)
def _in_torch(path: Path, spec: ModelSpec) -> Model:
    from .torch_engine import TorchEngine, load_network  # noqa: PLC0415, as torch takes a second

    return Model(replace(spec, int8_sha256=""), TorchEngine(load_network(path, spec)))


def _check(path: Path, expected: str, stated_in: str) -> None:
    """Whether a file is the one that its spec was written for."""
    found = sha256_of(path)
    if found != expected:
        raise ModelError(
            f"{path.name}: its SHA-256 is {found[:12]}..., expected {expected[:12]}... from {stated_in}; the "
            "file was altered or belongs to another spec. Download all files of the model again.",
            settings=("model",),
        )


def sha256_of(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
