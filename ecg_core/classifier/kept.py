"""Keeping the user's own models: each is there whole or not at all, and one that was removed can be brought back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final

from ..errors import ModelError
from ..files import PRIVATE, atomic_folder, sweep, write_json
from ..schema import ModelSpec
from .installed import (
    RECORDERS,
    InstalledModel,
    installed_model,
    installed_models,
    kept_folder,
    recorder_key,
    stored_defaults,
)
from .model_files import NAME, WEIGHTS, ModelFiles, check_name, checked_spec, files_of, named
from .spec import DEFAULT_MODEL, find_models, model_digest, read_spec

TRASH: Final = ".trash"  # subfolder of models that were removed
RENAMED: Final = "."  # before a name there: what a rename left, which is not brought back


def keep(files: ModelFiles, name: str) -> InstalledModel:
    """Install a user's own model under a name; its spec states the name, and its card is written.

    Parameters
    ----------
    files
        Content by suffix: ``.pt`` and ``.json``, where there are such ``.int8.npz`` and ``.proof.json``. Those beside
        weights that ``save_model`` wrote are ``files_of(path)``.

    Raises
    ------
    ModelError
        The name is none or taken, this model is installed already, the files do not fit each other, or there is no
        room; nothing was installed.

    """
    check_name(name)
    spec = checked_spec(files, where=name)
    _refuse_taken(name)
    _refuse_known(spec)
    _place(named(files, spec, name), name)
    return installed_model(name)


def rename(name: str, new_name: str) -> InstalledModel:
    """Give a user's own model another name, in its files and in its spec; weights, hashes and defaults stay.

    Raises
    ------
    ModelError
        It is shipped or not there, the new name is none or taken, or there is no room; it is there as it was.

    """
    model = _own(name)
    check_name(new_name)
    _refuse_taken(new_name)
    files = files_of(model.weights)
    _place(named(files, checked_spec(files, where=name), new_name), new_name)
    with _not_written():
        shutil.rmtree(_to_trash(model, f"{RENAMED}{name}"))
    return installed_model(new_name)


def remove(name: str) -> str:
    """Move a user's own model to the trash, from where ``restore`` brings it back until ``tidy``.

    Returns
    -------
    By what it is brought back: its name, with a number where others of this name were removed before.

    Raises
    ------
    ModelError
        It is shipped or not there, or cannot be moved.

    """
    model = _own(name)
    with _not_written():
        return _to_trash(model, name).name


def removed_models() -> tuple[str, ...]:
    """By what each model in the trash is brought back; ``name_of_removed`` is its name."""
    trash = kept_folder() / TRASH
    places = [path.name for path in trash.iterdir()] if trash.is_dir() else []
    return tuple(sorted(place for place in places if NAME.fullmatch(name_of_removed(place))))


def name_of_removed(place: str) -> str:
    """The name of a removed model, from what it is brought back by.

    Examples
    --------
    >>> name_of_removed("ours"), name_of_removed("ours.2")
    ('ours', 'ours')

    """
    return place.partition(".")[0]


def restore(place: str) -> InstalledModel:
    """Bring a model back from the trash; it is again the default for the recorders that it was the default for.

    Raises
    ------
    ModelError
        It is not there, its name is taken, or it is installed under another one.

    """
    if place not in removed_models():
        removed = ", ".join(removed_models()) or "none, as nothing was removed"
        raise ModelError(
            "no model of this name was removed since the program started",
            where=place, expected=removed, advice="Nothing was changed.",
        )  # fmt: skip
    name = name_of_removed(place)
    _refuse_taken(name)
    folder = kept_folder() / TRASH / place
    _refuse_known(read_spec(folder / f"{name}{WEIGHTS}"))
    with _not_written():
        folder.rename(kept_folder() / name)
    return installed_model(name)


def tidy() -> None:
    """Empty the trash, and remove what killed programs left; for the start of a program that shows the models.

    A model is installed under one name alone: of two of one digest a kill in the middle of ``rename`` left the older
    one, which goes to the trash.
    """
    folder = kept_folder()
    if not folder.is_dir():
        return
    shutil.rmtree(folder / TRASH, ignore_errors=True)
    sweep(folder)
    newest: dict[str, InstalledModel] = {}
    own = [model for model in installed_models() if model.is_kept]
    for model in sorted(own, key=lambda model: model.weights.stat().st_mtime_ns, reverse=True):
        if newest.setdefault(model.digest, model) is not model:
            _to_trash(model, f"{RENAMED}{model.name}")


def set_default(name: str, recorder: str) -> None:
    """Make a model the default for recordings of a recorder, in place of another one.

    Raises
    ------
    ModelError
        The recorder has no name, the model is not installed, or the table cannot be written.

    """
    model, key = installed_model(name), recorder_key(recorder)
    if not key or not recorder.isprintable():
        raise ModelError("No recorder was named; expected its name as its recordings state it.", settings=("recorder",))
    table = {other: digest for other, digest in stored_defaults().items() if recorder_key(other) != key}
    if model.name != DEFAULT_MODEL.stem:  # which is the default of all
        table[" ".join(recorder.split())] = model.digest
    with _not_written():
        _make_folder()
        write_json(kept_folder() / RECORDERS, table)


def _own(name: str) -> InstalledModel:
    model = installed_model(name)
    if not model.is_kept:
        raise ModelError(f"{name}: this model is shipped with the program; it stays, and keeps its name.")
    return model


def is_taken(name: str) -> bool:
    """Whether another model has a name; in any case, as some file systems tell none apart."""
    folder = kept_folder()
    kept = {path.name.casefold() for path in folder.iterdir()} if folder.is_dir() else set()
    return name.casefold() in _shipped_names() | kept


def _shipped_names() -> set[str]:
    return {path.stem.casefold() for path in find_models()}


def _refuse_taken(name: str) -> None:
    """Refuse a name that another model has."""
    if is_taken(name):
        whose = "a model that is shipped" if name.casefold() in _shipped_names() else "another of your models"
        raise ModelError(f"{name}: {whose} has this name; nothing was changed. Choose another name.")


def _refuse_known(spec: ModelSpec) -> None:
    """Refuse a model that is installed: an analysis names its model by its digest."""
    known = next((model.name for model in installed_models() if model.digest == model_digest(spec)), None)
    if known is not None:
        raise ModelError(f"This model is installed already, as {known}; nothing was changed.")


def _place(files: ModelFiles, name: str) -> None:
    """Write the files of a model into its folder: all of them, or none."""

    def refuse(_folder: Path) -> bool:
        raise ModelError(f"{name}: another model took this name a moment ago; nothing was changed.")

    with _not_written():
        _make_folder()
        with atomic_folder(kept_folder() / name, name, keep=refuse) as hidden:
            for suffix, content in files.items():
                (hidden / f"{name}{suffix}").write_bytes(content)


def _make_folder() -> None:
    folder = kept_folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=PRIVATE, exist_ok=True)


def _to_trash(model: InstalledModel, place: str) -> Path:
    """Move a model's folder to a place in the trash, with a number where that is taken: nothing in there is lost."""
    folder = kept_folder() / TRASH
    folder.mkdir(exist_ok=True)
    numbered = (place if number == 1 else f"{place}.{number}" for number in count(1))
    return model.weights.parent.rename(folder / next(name for name in numbered if not (folder / name).exists()))


@contextmanager
def _not_written() -> Iterator[None]:
    """Turn what the disk refuses into a sentence."""
    try:
        yield
    except OSError as error:
        raise ModelError(
            f"{kept_folder()}: your models cannot be changed there ({error.strerror or error}); they are as they were. "
            "Make room or give write access there; ECG_MODELS names another folder."
        ) from error
