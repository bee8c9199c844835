"""The models that can be chosen, the shipped ones and the user's own, and their files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ecg_core.classifier import installed
from ecg_core.classifier.spec import DEFAULT_MODEL, MODELS, model_digest
from ecg_core.errors import ModelError
from ecg_core.schema import ModelSpec, Record

NO_MODEL: Final = (
    f"No model is installed: models/ should hold {DEFAULT_MODEL.name} and {DEFAULT_MODEL.stem}.json. "
    "Install this program again."
)


def installed_models() -> dict[str, str]:
    """The digest of each model by its name, the default model first."""
    return {model.name: model.digest for model in installed.installed_models()}


def choose_model(models: Mapping[str, str], name: str = "", *, digest: str = "", recorder: str = "") -> str:
    """The model of this digest or name where it is installed, else the default for the recorder, else that of all.

    Raises
    ------
    ModelError
        No model is installed.

    """
    if not models:
        raise ModelError(NO_MODEL)
    renamed = next((other for other, known in models.items() if known == digest), "")
    default = installed.default_model_for(recorder)
    wanted = (renamed, name, default.name if default else "")
    return next((one for one in wanted if one in models), next(iter(models)))


def recorder_with_default(record: Record) -> str:
    """The recorder of a record, where a model is the default for it; empty otherwise."""
    if not installed.stored_defaults():  # a header is not read for nothing
        return ""
    from ecg_core.records import recorder_of  # noqa: PLC0415, as wfdb takes half a second

    recorder = recorder_of(record)
    return recorder if installed.default_model_for(recorder) else ""


def weights_of(name: str) -> Path:
    """The weights of a model; of one that is no longer installed a place without a file, as loading it says."""
    found = (model.weights for model in installed.installed_models() if model.name == name)
    return next(found, MODELS / f"{name}.pt")


def model_path(spec: ModelSpec) -> Path:
    """The weights of the model that a spec is of, under whatever name it is installed.

    Raises
    ------
    ModelError
        It is no longer installed, or was changed.

    """
    for model in installed.installed_models():
        if model.digest == model_digest(spec):
            return model.weights
    raise ModelError(f"{spec.name}: the model that made this analysis is no longer installed; analyse it again.")
