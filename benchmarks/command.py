"""What the benchmarks have in common as commands: their options, and how they print and keep what they measured."""

from __future__ import annotations

import json
import os
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def options_of(text: str | None, *, real: bool = True, **defaults: object) -> Namespace:
    """Options of a benchmark: each name with its default, or with its type where there is none.

    Benchmarks on ``real`` records also have the option ``--databases``.
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
    if real:
        options.databases = Path(options.databases)
    return options


def publish(results: dict[str, Any], path: Path | None) -> None:
    """Print what was measured, and write it to a file where one is named."""
    text = json.dumps(results, indent=1)
    print(text)
    if path:
        path.write_text(text + "\n", encoding="utf-8")
