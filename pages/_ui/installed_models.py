"""The models that are installed, and their files."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ecg_core.classifier.spec import DEFAULT_MODEL, MODELS, find_models, read_spec
from ecg_core.errors import ModelError
from ecg_core.schema import ModelSpec

NO_MODEL: Final = (
    f"No model is installed: models/ should hold {DEFAULT_MODEL.name} and {DEFAULT_MODEL.stem}.json. "
    "Install this program again."
)


def installed_models() -> dict[str, str]:
    """SHA-256 of each model by its name, the default model first."""
    found: dict[str, str] = {}
    for weights in find_models():
        try:
            found[weights.stem] = read_spec(weights).sha256
        except ModelError as error:
            logging.getLogger(__name__).warning("%s", error)
    return found


def choose_model(installed: Mapping[str, str], name: str = "") -> str:
    """The model of this name where it is installed, else the default model.

    Raises
    ------
    ModelError
        No model is installed.

    """
    if not installed:
        raise ModelError(NO_MODEL)
    return name if name in installed else next(iter(installed))


def model_path(spec: ModelSpec) -> Path:
    """The weights that a spec belongs to.

    Raises
    ------
    ModelError
        They are no longer installed.

    """
    for name, sha256 in installed_models().items():
        if sha256 == spec.sha256:
            return MODELS / f"{name}.pt"
    raise ModelError(f"{spec.name}: the weights that made this analysis are no longer in models/; analyse it again.")
