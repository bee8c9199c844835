"""Frozen dataclasses as bytes and back: arrays as they are, everything else as JSON; no code is stored or run."""

from __future__ import annotations

import json
import types
from collections.abc import Hashable
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import numpy as np

from ..errors import StoreError

T = TypeVar("T")

TREE: Final = "tree"  # name of the JSON among the arrays; names of arrays are paths such as "beats.time_s"


def write_frozen(path: Path, content: object, *, without: tuple[str, ...] = ()) -> None:
    """Write a dataclass; fields named in ``without`` are left out."""
    arrays: dict[str, Any] = {}
    tree = {
        item.name: _packed(getattr(content, item.name), item.name, arrays)
        for item in fields(content)  # type: ignore[arg-type]
        if item.name not in without
    }
    arrays[TREE] = np.frombuffer(json.dumps(tree).encode(), dtype=np.uint8)
    with path.open("wb") as stream:
        np.savez(stream, **arrays)


def read_frozen(path: Path, kind: type[T], **given: Any) -> T:
    """Read a dataclass; ``given`` are the fields that were left out.

    Raises
    ------
    StoreError
        The file is missing, damaged, or of another version.

    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        tree = json.loads(arrays.pop(TREE).tobytes())
        return _made(kind, tree, arrays, given)
    except Exception as error:  # zip, numpy and JSON each raise their own kinds on damage
        raise StoreError(f"{path.name}: this stored analysis is damaged; analyse the record again.") from error


def _packed(value: Any, name: str, arrays: dict[str, Any]) -> Any:
    if isinstance(value, np.ndarray):
        arrays[name] = value
        return None
    if is_dataclass(value):
        return {item.name: _packed(getattr(value, item.name), f"{name}.{item.name}", arrays) for item in fields(value)}
    if isinstance(value, tuple):
        return [_packed(part, f"{name}.{number}", arrays) for number, part in enumerate(value)]
    return value.item() if isinstance(value, np.generic) else value


def _made(kind: type[T], tree: dict[str, Any], arrays: dict[str, Any], given: dict[str, Any], at: str = "") -> T:
    hints = _hints(cast("Hashable", kind))
    stored = {
        name: _unpacked(hints[name], value, f"{at}{name}", arrays) for name, value in tree.items() if name not in given
    }
    return kind(**stored, **given)


@cache
def _hints(kind: Hashable) -> dict[str, Any]:
    return get_type_hints(kind)


def _unpacked(hint: Any, value: Any, name: str, arrays: dict[str, Any]) -> Any:
    if name in arrays:
        return arrays[name]
    if value is None:
        return None
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _unpacked(next(part for part in parts if part is not type(None)), value, name, arrays)
    if is_dataclass(hint):
        return _made(hint, value, arrays, {}, f"{name}.")  # type: ignore[arg-type]
    if origin is tuple:
        each = [parts[0]] * len(value) if parts[-1] is Ellipsis else parts
        return tuple(_unpacked(each[i], part, f"{name}.{i}", arrays) for i, part in enumerate(value))
    return value
