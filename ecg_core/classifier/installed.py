"""The models that can be chosen: those that are shipped, and the user's own, each by its name.

A user's own model is a folder of its name that holds its files. They lie in the user's data folder, or in the one that
``ECG_MODELS`` names; ``kept`` changes what is there.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import platformdirs

from ..errors import ModelError
from ..files import APP_NAME
from ..schema import ModelSpec
from .model_card import card_of, recorder_of_proof, shipped_card_of, verdict_of
from .model_files import NAME, WEIGHTS, read_proof
from .spec import DEFAULT_MODEL, find_models, model_digest, read_spec

RECORDERS: Final = "recorders.json"  # which model is the default for which recorder


@dataclass(frozen=True)
class InstalledModel:
    """A model that can be chosen."""

    name: str
    weights: Path
    spec: ModelSpec
    is_kept: bool  # whether it is the user's own

    @property
    def digest(self) -> str:
        """What a study knows it by, under any name: see ``model_digest``."""
        return model_digest(self.spec)

    @property
    def proof(self) -> dict[str, Any]:
        """What was measured before and after its adaptation; empty where nothing was."""
        return read_proof(self.weights)

    @property
    def verdict(self) -> str:
        """What was concluded from these measurements, on one line; empty where nothing was."""
        return verdict_of(self.proof)

    @property
    def recorder(self) -> str:
        """The recorder whose recordings it was adapted to; empty where it is not stated."""
        return recorder_of_proof(self.proof)

    @property
    def card(self) -> str:
        """Its card, in Markdown."""
        return card_of(self.spec, self.proof) if self.is_kept else shipped_card_of(self.spec)


def kept_folder() -> Path:
    """The folder of the user's own models: ``ECG_MODELS``, or one in the user's data folder."""
    named = os.environ.get("ECG_MODELS")
    return Path(named).expanduser() if named else platformdirs.user_data_path(APP_NAME, appauthor=False) / "models"


def installed_models() -> tuple[InstalledModel, ...]:
    """All models, the default model first, the user's own last; one whose spec is damaged is left out."""
    return tuple(_installed())


def _installed() -> Iterator[InstalledModel]:
    places = [(path, False) for path in find_models()] + [(path, True) for path in _kept_weights()]
    for weights, is_kept in places:
        try:
            yield InstalledModel(weights.stem, weights, read_spec(weights), is_kept)
        except ModelError as error:
            logging.getLogger(__name__).warning("%s", error)


def _kept_weights() -> list[Path]:
    folder = kept_folder()
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return [path for name in names if NAME.fullmatch(name) and (path := folder / name / f"{name}{WEIGHTS}").is_file()]


def find_model(name_or_path: str | Path) -> Path:
    """The weights of an installed model of this name, or the path itself where it is one.

    Raises
    ------
    ModelError
        No model of this name is installed, and no file is there.

    Examples
    --------
    >>> find_model("general").name, find_model("models/general.pt").name
    ('general.pt', 'general.pt')

    """
    installed = installed_models()
    found = next((model.weights for model in installed if model.name == str(name_or_path)), None)
    path = Path(name_or_path)
    if found is None and path.suffix != WEIGHTS and not path.is_file():
        what = f"{name_or_path}: no model of this name is installed, and there is no such file"
        raise ModelError(
            f"{what if path.name else 'No model was named'}; expected one of "
            f"{', '.join(model.name for model in installed)}, or the path of weights (.pt).",
            settings=("model",),
        )
    return found or path


def installed_model(name: str) -> InstalledModel:
    """The installed model of this name.

    Raises
    ------
    ModelError
        There is none.

    """
    installed = installed_models()
    found = next((model for model in installed if model.name == name), None)
    if found is None:
        names = ", ".join(model.name for model in installed)
        raise ModelError(f"{name}: no model of this name is installed; expected one of {names}.")
    return found


def default_models() -> dict[str, InstalledModel]:
    """The model that is the default for a recorder, by the recorder as its user wrote it."""
    installed = {model.digest: model for model in installed_models()}
    return {name: installed[digest] for name, digest in stored_defaults().items() if digest in installed}


def default_model_for(recorder: str) -> InstalledModel | None:
    """The model that is the default for recordings of a recorder, in any case; None where it is the default of all.

    The recorder is what ``records.recorder_of`` gives for a record.
    """
    wanted = recorder_key(recorder)
    found = (model for name, model in default_models().items() if recorder_key(name) == wanted) if wanted else iter(())
    return next(found, None)


def default_weights(recorder: str) -> Path:
    """The weights that analyse recordings of a recorder where nothing else is asked for."""
    found = default_model_for(recorder)
    return found.weights if found else DEFAULT_MODEL


def stored_defaults() -> dict[str, str]:
    """The table of defaults: digest of the model by recorder, so that a model that is renamed keeps its place.

    A table that is damaged is none.
    """
    try:
        found = json.loads((kept_folder() / RECORDERS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(digest) for name, digest in found.items()} if isinstance(found, dict) else {}


def recorder_key(recorder: str) -> str:
    """A recorder's name without what writings of it differ in: case and spaces."""
    return " ".join(recorder.split()).casefold()
