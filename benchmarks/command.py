"""What the benchmarks have in common as commands: their options, and how they tell what they measured."""

from __future__ import annotations

import json
import os
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def options_of(text: str | None, *, real: bool = True, **defaults: object) -> Namespace:
    """Options of a benchmark, by name with their defaults, or with their type where there is none.

    Those on ``real`` records are told the folder of the databases besides.
    """
    parser = ArgumentParser(description=text, formatter_class=RawDescriptionHelpFormatter)
    if real:
        parser.add_argument("--databases", type=Path, default=os.environ.get("ECG_DATABASES"))
    for name, value in defaults.items():
        kind, default = (value, None) if isinstance(value, type) else (type(value), value)
        parser.add_argument(f"--{name}", type=kind, default=default)
    options = parser.parse_args()
    if real and options.databases is None:
        parser.error("name the folder of the databases with --databases or ECG_DATABASES")
    return options


def tell(results: dict[str, Any], path: Path | None) -> None:
    """Print what was measured, and write it where a file is named."""
    text = json.dumps(results, indent=1)
    print(text)
    if path:
        path.write_text(text + "\n", encoding="utf-8")
