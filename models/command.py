"""What the recipes have in common as commands: the option that names the databases, progress, figures as JSON."""

from __future__ import annotations

import json
import os
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from ecg_core.training.fit import Report
from models.databases import FOLDER

ROOT = FOLDER.parent
RUNS = ROOT / "runs"  # checkpoints; not part of the project


def parser_of(text: str | None) -> ArgumentParser:
    """A parser with the option ``--databases``, described by a module's docstring."""
    parser = ArgumentParser(description=text, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--databases", type=Path, default=os.environ.get("ECG_DATABASES"))
    return parser


def add_fold_networks(parser: ArgumentParser) -> None:
    """``--runs``, of a command that reads the networks of the folds."""
    parser.add_argument("--runs", type=Path, default=RUNS, help="where the networks of the folds are kept")


def parse(parser: ArgumentParser) -> Namespace:
    """The options of the command line; ends with a sentence where no folder of databases is named."""
    options = parser.parse_args()
    if options.databases is None:
        parser.error("name the folder of the databases with --databases or ECG_DATABASES")
    options.databases = Path(options.databases)
    return options


def print_line(line: str) -> None:
    """Print a line at once, also into a file or pipe."""
    print(line, flush=True)


def print_progress(stage: str, n_steps: int) -> Report:
    """What ``fit`` calls to print a line about a stage of a recipe."""

    def report(step: int, loss: float, left_s: float) -> None:
        print_line(f"{stage}: step {step} of {n_steps}, loss {loss:.4f}, {left_s / 60:.1f} min left")

    return report


def read_json(path: Path) -> dict[str, Any]:
    """What a command measured; empty where it has not run yet."""
    if not path.is_file():
        return {}
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result
