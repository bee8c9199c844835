"""The models that are installed, and the spec beside each one's weights; reading these needs no network."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from ..certainty import Calibration, TrainingDomain
from ..errors import ModelError
from ..rules import OperatingPoint
from ..schema import ModelSpec

PACKAGE = Path(__file__).resolve().parents[1]


def models_folder(package: Path = PACKAGE) -> Path:
    """The folder of the shipped models: inside an installed package, beside the package in a checkout."""
    inside = package / "models"
    return inside if inside.is_dir() else package.parent / "models"


MODELS = models_folder()
DEFAULT_MODEL = MODELS / "general.pt"
# Fields that change no result
NOT_DECIDING: Final = ("name", "trained_on", "validated_on", "seed", "recipe", "origin", "learned_sha256")


def find_models(folder: Path = MODELS) -> list[Path]:
    """Weights files of a folder, the default model's first."""
    return sorted(folder.glob("*.pt"), key=lambda path: (path.stem != DEFAULT_MODEL.stem, path.stem))


def read_spec(path: Path) -> ModelSpec:
    """The spec beside the weights.

    Raises
    ------
    ModelError
        Weights or spec are missing, or the spec is not one of this program.

    """
    if not path.name:
        raise ModelError("No model was named; a model is a .pt file and a .json file beside it.", settings=("model",))
    spec_path = path.with_suffix(".json")
    for needed in (path, spec_path):
        if not needed.is_file():
            raise ModelError(
                f"{needed}: this file does not exist; a model is a .pt file and a .json file beside it.",
                settings=("model",),
            )
    return spec_of(spec_path.read_bytes(), where=spec_path.name)


def spec_of(content: bytes, *, where: str) -> ModelSpec:
    """The spec that the bytes of its file hold; see ``read_spec``."""
    try:
        stored: dict[str, Any] = json.loads(content)
        calibration = tuple(Calibration(**_fields(numbers)) for numbers in stored.pop("calibration", ()))
        points = tuple(
            tuple(OperatingPoint(**_fields(point)) for point in of_leads)
            for of_leads in stored.pop("operating_points", ())
        )
        domain = TrainingDomain(**found) if (found := stored.pop("domain", None)) else None
        return ModelSpec(**_fields(stored), calibration=calibration, operating_points=points, domain=domain)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"{where}: expected the spec of a model of this program ({error}).", settings=("model",)
        ) from error


def spec_bytes(spec: ModelSpec) -> bytes:
    """The content of a spec's file."""
    return (json.dumps(asdict(spec), indent=1) + "\n").encode()


def model_digest(spec: ModelSpec) -> str:
    """SHA-256 of all that decides what a model finds: weights, network in 8-bit integers, all fields but NOT_DECIDING.

    Where PyTorch runs the network, a spec names none in 8-bit integers: each engine has a digest of its own.
    """
    deciding = {name: value for name, value in asdict(spec).items() if name not in NOT_DECIDING}
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()


def _fields(stored: dict[str, Any]) -> dict[str, Any]:
    """The fields of a dataclass as JSON keeps them, with tuples instead of lists."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in stored.items()}
