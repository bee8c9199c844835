"""The files of a model, by their suffixes, and what each may hold: all is checked before any of it is used."""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import zipfile
from collections.abc import Mapping
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Any, Final, get_args, get_origin, get_type_hints

from ..errors import ModelError
from ..labels import CLASSES
from ..rules import SENSITIVITIES
from ..schema import ModelSpec
from .model_card import card_of, origin_of
from .spec import spec_bytes, spec_of
from .unnamed import without_names, without_record_names

WEIGHTS, SPEC, INT8, PROOF, CARD = ".pt", ".json", ".int8.npz", ".proof.json", ".card.md"
SUFFIXES: Final = (WEIGHTS, SPEC, INT8, PROOF, CARD)
MAX_BYTES: Final = 64 << 20  # of a file: the shipped weights have 2.5 MB
MAX_TEXT: Final = 2_000  # characters of a text in a spec: a command that trained a model has some hundred
MAX_NAME: Final = 40  # letters
# A file's name on any system, and a word in a command
NAME: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_-]{{0,{MAX_NAME - 1}}}")
DEVICES: Final = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
SIZES: Final = ("stride", "stem_channels", "token_size", "heads", "hidden_size")
MAX_SIZE, MAX_STAGES = 1_024, 8  # of a layer, and layers: the shipped network has at most 128, and 4
MAX_TREES: Final = 10_000
FS_RANGE_HZ, MAX_ATTENTION_S = (50.0, 1_000.0), 60.0
MAX_DEPTH: Final = 20  # of a proof: a table is three deep
PLACES: Final = {"path", "study"}  # names in a proof of where a recording lies on this computer
NOT_STATED: Final = "its user's own, of an origin that is not stated"
OUTSIDE: Final = b"location"  # in a graph: its numbers lie in another file, which no graph of this program does

ModelFiles = Mapping[str, bytes]  # content by suffix, of SUFFIXES


def files_of(weights: Path) -> dict[str, bytes]:
    """The files of a model, from its weights and what lies beside them.

    Raises
    ------
    ModelError
        One of them is larger than any of a model.

    """
    paths = {suffix: weights.with_suffix(suffix) for suffix in SUFFIXES}
    found = {suffix: path for suffix, path in paths.items() if path.is_file()}
    for path in found.values():
        _require(path.stat().st_size <= MAX_BYTES, f"{path.name} is larger than {MAX_BYTES >> 20} MB", weights.name)
    return {suffix: path.read_bytes() for suffix, path in found.items()}


def is_name(name: str) -> bool:
    """Whether a text is a plain word that can be the name of a model: it becomes that of a folder and of files."""
    return NAME.fullmatch(name) is not None and name.casefold() not in DEVICES


def check_name(name: str) -> None:
    """Refuse what cannot be a name; see ``is_name``.

    Raises
    ------
    ModelError
        With what was expected.

    """
    if not is_name(name):
        raise ModelError(
            f"{name[:60]!r} cannot be the name of a model; expected up to {MAX_NAME} letters (a to z), digits, hyphens "
            "and underscores, with a letter or a digit first."
        )


def checked_spec(files: ModelFiles, *, where: str) -> ModelSpec:
    """The spec of a model's files, which fit each other; weights are not opened here, and no code in them runs.

    Raises
    ------
    ModelError
        A file is missing, foreign or too large, is not the one that the spec names by its hash, or the spec holds
        what no spec of this program does.

    """
    held = ", ".join(sorted(files)) or "nothing"
    _require(files.keys() <= set(SUFFIXES), f"it holds files that no model has: {held}", where)
    _require({WEIGHTS, SPEC} <= files.keys(), f"expected weights (.pt) and their spec (.json), got {held}", where)
    _require(all(len(content) <= MAX_BYTES for content in files.values()), "a file of it is too large", where)
    spec = spec_of(files[SPEC], where=where)
    _check_values(spec, where)
    _check_hash(files[WEIGHTS], spec.sha256, "weights", where)
    as_stated = (INT8 in files) == bool(spec.int8_sha256)
    _require(as_stated, "its spec and its network in 8-bit integers do not agree", where)
    if INT8 in files:
        _check_hash(files[INT8], spec.int8_sha256, "network in 8-bit integers", where)
    for suffix in {WEIGHTS, INT8} & files.keys():
        _check_archive(files[suffix], f"its {suffix} file", where)
    proof_of(files, where=where)
    return spec


def proof_of(files: ModelFiles, *, where: str) -> dict[str, Any]:
    """What was measured before and after the adaptation of a model, without PLACES and names; empty where nothing was.

    Raises
    ------
    ModelError
        It is no JSON object.

    """
    try:
        found = _without_places(json.loads(files.get(PROOF, b"{}")))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{where}: its {PROOF} file is no JSON that can be read.") from error
    _require(isinstance(found, dict), f"its {PROOF} file is no JSON object", where)
    return without_names(found)


def read_proof(weights: Path) -> dict[str, Any]:
    """The proof beside weights; empty where there is none that can be read."""
    path = weights.with_suffix(PROOF)
    try:
        is_small = path.stat().st_size <= MAX_BYTES
        return proof_of({PROOF: path.read_bytes()}, where=path.name) if is_small else {}
    except (OSError, ModelError):
        return {}


def named(files: ModelFiles, spec: ModelSpec, name: str) -> dict[str, bytes]:
    """The same files as those of a model of this name: spec and card state it, weights and hashes stay.

    Patients, and recordings of no public database, are numbered in them.
    """
    proof = proof_of(files, where=name)
    trained_on, validated_on = map(without_record_names, (spec.trained_on, spec.validated_on))
    origin = origin_of(proof) or spec.origin or NOT_STATED
    spec = replace(spec, name=name, origin=origin, trained_on=trained_on, validated_on=validated_on)
    made = {SPEC: spec_bytes(spec), CARD: card_of(spec, proof).encode()}
    return {**files, **made} | ({PROOF: json.dumps(proof, indent=1).encode()} if PROOF in files else {})


def _without_places(content: Any, depth: int = 0) -> Any:
    """What was measured, without where its recordings lie on this computer: a path can name a patient."""
    if depth > MAX_DEPTH:
        raise ValueError("it is nested too deep")
    if isinstance(content, dict):
        kept = {name: value for name, value in content.items() if name not in PLACES}
        return {name: _without_places(value, depth + 1) for name, value in kept.items()}
    return [_without_places(part, depth + 1) for part in content] if isinstance(content, list) else content


def digest_of(content: bytes) -> str:
    """SHA-256 of the content of a file."""
    return hashlib.sha256(content).hexdigest()


def _check_hash(content: bytes, expected: str, what: str, where: str) -> None:
    found = digest_of(content)
    differs = f"the SHA-256 of its {what} is {found[:12]}..., expected {expected[:12]}... from its spec"
    _require(found == expected, differs, where)


def _check_archive(content: bytes, what: str, where: str) -> None:
    """Refuse what is no archive of stored arrays, as packed ones could fill the memory, or names files elsewhere."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            stored = all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
            inside = sum(info.file_size for info in archive.infolist()) <= len(content)
    except Exception as error:  # damaged bytes raise all kinds of errors
        raise ModelError(f"{where}: {what} is damaged, or none of a model.") from error
    _require(stored and inside, f"{what} is packed, as none of this program is", where)
    _require(what != f"its {INT8} file" or OUTSIDE not in content, f"{what} names another file", where)


def _check_values(spec: ModelSpec, where: str) -> None:
    """Refuse values that no spec has: of another type, without bounds, or made to be shown as something else."""
    hints = get_type_hints(ModelSpec)
    wrong = [name for name, hint in hints.items() if not _fits(hint, getattr(spec, name))]
    sizes = [*(getattr(spec, name) for name in SIZES), *spec.channels] if not wrong else []
    if not wrong and not (all(1 <= size <= MAX_SIZE for size in sizes) and 1 <= len(spec.channels) <= MAX_STAGES):
        wrong = ["sizes of the network"]
    if not wrong and not (
        spec.classes == tuple(CLASSES)
        and len(spec.class_bias) == len(CLASSES)
        and FS_RANGE_HZ[0] <= spec.fs_hz <= FS_RANGE_HZ[1]
        and 0 < spec.attention_half_s <= MAX_ATTENTION_S
        and len(spec.trees) <= MAX_TREES
        and all(0 <= size <= MAX_TREES for size in spec.trees)
        and all(point.sensitivity in SENSITIVITIES for points in spec.operating_points for point in points)
    ):
        wrong = ["classes, rate, attention, trees or sensitivity"]
    _require(not wrong, f"its spec holds values that no model has ({', '.join(wrong)})", where)


def _fits(hint: Any, value: Any) -> bool:
    """Whether a value is of a type, all through, its numbers finite and its texts printable."""
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(_fits(get_args(hint)[0], part) for part in value)
    if isinstance(hint, type) and is_dataclass(hint):
        fields = get_type_hints(hint)
        return isinstance(value, hint) and all(_fits(kind, getattr(value, name)) for name, kind in fields.items())
    if hint is str:
        return isinstance(value, str) and value.isprintable() and len(value) <= MAX_TEXT
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(value, hint) and (hint is bool or not isinstance(value, bool))


def _require(fits: object, problem: str, where: str) -> None:
    if not fits:
        raise ModelError(f"{where}: {problem}; nothing was installed. Export the model again.")
