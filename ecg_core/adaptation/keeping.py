"""Keeping an adapted model: only with its proof, and only where that shows no harm."""

from __future__ import annotations

from ..classifier.installed import InstalledModel
from ..classifier.kept import is_taken, keep
from ..classifier.model_files import files_of
from ..errors import AdaptationError
from .task import DONE, Adaptation


def require_free(name: str) -> None:
    """Refuse a name that an installed model has, before the work and not after it.

    Raises
    ------
    AdaptationError
        There is a model of this name.

    """
    if is_taken(name):
        raise AdaptationError(
            f'"{name}" is the name of an installed model, expected another one: no model is ever replaced.',
            settings=("name",),
        )


def keep_adapted(adaptation: Adaptation, name: str = "") -> InstalledModel:
    """Install the model of an adaptation that is done, under its name or another one.

    Raises
    ------
    AdaptationError
        It is not done, or its proof shows harm or nothing.
    ModelError
        The name is taken, or there is no room.

    """
    state, proof = adaptation.state, adaptation.proof
    if state.state != DONE or not proof:
        raise AdaptationError(f"{adaptation.task.name}: this adaptation is {state.state}, expected one that is done.")
    if not proof["may_keep"]:
        raise AdaptationError(f"{adaptation.task.name}: {proof['verdict']}")
    return keep(files_of(adaptation.model_path), name or adaptation.task.name)
