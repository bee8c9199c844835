"""A model as one zip, for another computer: its files, and a manifest with the SHA-256 of each."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from .. import __version__
from ..errors import EcgError, ModelError
from ..files import atomic_file
from ..text import format_quoted
from .installed import InstalledModel, installed_model
from .kept import keep
from .model_files import CARD, MAX_BYTES, SUFFIXES, check_name, digest_of, files_of, named

FORMAT, VERSION = "ecg-workstation-model", 1  # raised when a name in the manifest changes its meaning
MANIFEST: Final = "manifest.json"
MAX_MANIFEST_BYTES: Final = 1 << 16
MAX_ZIP_BYTES: Final = len(SUFFIXES) * MAX_BYTES
FIRST_DATE: Final = (1980, 1, 1, 0, 0, 0)  # of members: the same model gives the same bytes


def export(name: str, path: Path) -> None:
    """Write an installed model into a zip: weights, spec, network in 8-bit integers, proof, card, and a manifest.

    No patient is named in it, nor a recording but those of public databases.

    Raises
    ------
    ModelError
        The model is not installed, or the zip cannot be written; nothing is left of it.

    """
    model = installed_model(name)
    try:
        with atomic_file(path) as part:
            _write(part, model)
    except OSError as error:
        raise ModelError(
            f"{path}: the model cannot be written there ({error.strerror or error}). Choose another place."
        ) from error


def import_(path: Path, name: str = "") -> InstalledModel:
    """Install the model of a zip as one of the user's own, under its name or another; no code in it runs.

    Nothing is unpacked to the disk before every file has the hash that the manifest states, and weights and network
    those of the spec. Weights are read when the model is loaded, as numbers alone.

    Raises
    ------
    ModelError
        The zip is damaged, altered, too large, of another version, or holds no model; or see ``keep``.

    """
    try:
        if path.stat().st_size > MAX_ZIP_BYTES:
            raise ModelError(f"{path.name}: is larger than any model; choose the zip that the export of a model wrote.")
        with _damage(path), zipfile.ZipFile(path) as archive:
            manifest = _read_manifest(path, archive)
            stated, files = str(manifest["name"]), _read_files(archive, manifest)
    except OSError as error:
        raise ModelError(f"{path}: this file cannot be read ({error.strerror or error}).") from error
    return keep({suffix: content for suffix, content in files.items() if suffix != CARD}, name or stated)


def _write(part: Path, model: InstalledModel) -> None:
    files = files_of(model.weights)
    files = named(files, model.spec, model.name) if model.is_kept else {**files, CARD: model.card.encode()}
    listed = [{"name": f"{model.name}{suffix}", "sha256": digest_of(content)} for suffix, content in files.items()]
    manifest = {
        "format": FORMAT, "version": VERSION, "software_version": __version__, "name": model.name, "files": listed,
    }  # fmt: skip
    with zipfile.ZipFile(part, "w") as archive:
        archive.writestr(zipfile.ZipInfo(MANIFEST, FIRST_DATE), json.dumps(manifest, indent=1).encode())
        for suffix, content in files.items():
            archive.writestr(zipfile.ZipInfo(f"{model.name}{suffix}", FIRST_DATE), content, zipfile.ZIP_DEFLATED)


def _read_manifest(path: Path, archive: zipfile.ZipFile) -> dict[str, Any]:
    """The manifest of a zip; refused where the zip holds anything but the files of one model."""
    members = archive.namelist()
    no_model = ModelError(f"{path.name}: this zip holds no model; choose the zip that the export of a model wrote.")
    if MANIFEST not in members or archive.getinfo(MANIFEST).file_size > MAX_MANIFEST_BYTES:
        raise no_model
    manifest = json.loads(_read(archive, MANIFEST, MAX_MANIFEST_BYTES))
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise no_model
    if manifest["version"] != VERSION:
        raise ModelError(
            f"{path.name}: this model is of format version {manifest['version']!r}, expected {VERSION}; export or "
            "import it by the same version of this program."
        )
    check_name(str(manifest["name"]))
    expected = {MANIFEST, *(f"{manifest['name']}{suffix}" for suffix in SUFFIXES)}
    foreign = next((name for name in members if name not in expected), None)
    if foreign is not None or len(members) != len(set(members)):
        what = f"a file that no model has ({format_quoted(foreign)})" if foreign else "two files of one name"
        raise ModelError(f"{path.name}: holds {what}; nothing was unpacked. Export the model again.")
    return manifest


def _read_files(archive: zipfile.ZipFile, manifest: dict[str, Any]) -> dict[str, bytes]:
    """The files that a manifest names, by suffix, each with the hash that it states."""
    stated = {str(one["name"]): str(one["sha256"]) for one in manifest["files"]}
    if {MANIFEST, *stated} != set(archive.namelist()):
        raise ValueError("its manifest names other files than it holds")
    files = {}
    for member, sha256 in stated.items():
        content = _read(archive, member, MAX_BYTES)
        if digest_of(content) != sha256:
            raise ValueError(f"{member} was changed")
        files[member.removeprefix(str(manifest["name"]))] = content
    return files


def _read(archive: zipfile.ZipFile, member: str, most: int) -> bytes:
    """A member of a zip; no more of it is unpacked than a file of a model can hold."""
    with archive.open(member) as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{member} unpacks to more than {most:,} bytes, which no file of a model has")
    return content


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Turn what damaged or altered content raises into a sentence."""
    try:
        yield
    except (EcgError, OSError):
        raise
    except Exception as error:  # zip and JSON each raise their own kinds
        raise ModelError(
            f"{path.name}: this model is damaged or was altered ({format_quoted(error)}); nothing was installed. "
            "Export it again."
        ) from error
