"""``ecg evaluate DATABASE_DIR``: score a model against reference annotations by EC57."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from ..errors import OutputError, RecordError
from ..files import atomic_file
from . import progress
from .options import FEW_LEADS, Commands, add_model_options, model_of, names


def add_parser(commands: Commands) -> None:
    """Add the command and its options."""
    parser = commands.add_parser("evaluate", help="score a model against reference annotations by EC57")
    parser.add_argument("database", type=Path, metavar="DATABASE_DIR", help="folder of annotated WFDB records")
    parser.add_argument("--records", type=names, default=[], metavar="A,B", help="only these records")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    add_model_options(parser, auto=FEW_LEADS)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the scores, and write them as JSON where a file is named."""
    from ..classifier.model import load_model
    from ..evaluation.evaluate import evaluate
    from ..evaluation.summary import report_text, summarise
    from ..rules import RhythmRules

    rules = RhythmRules(sensitivity=options.sensitivity)
    if options.json:
        _check_writable(options.json)
    paths = _annotated_records(options.database, options.records)
    model = load_model(model_of(options), engine=options.engine)
    name = "/".join(options.database.resolve().parts[-2:])
    result = evaluate(paths, model, database=name, lead=options.lead, rules=rules, progress=progress.show_evaluation)
    progress.clear_line()
    print(report_text(result))
    if options.json:
        with atomic_file(options.json) as part:
            part.write_text(json.dumps(summarise(result), indent=1) + "\n", encoding="utf-8", newline="\n")
    return 0


def _annotated_records(database: Path, chosen: list[str]) -> list[Path]:
    """Chosen records of a folder, or all that have reference annotations.

    Raises
    ------
    RecordError
        There is no such folder, or it holds no annotated record.

    """
    from ..records import find_records  # loads every format

    if not database.is_dir():
        raise RecordError(f"{database}: this folder does not exist; choose one that holds annotated records.")
    if chosen:
        return [database / name for name in chosen]
    paths = [path for path in find_records(database) if path.with_name(f"{path.name}.atr").is_file()]
    if not paths:
        raise RecordError(f"{database}: none of its records has reference annotations (.atr).")
    return paths


def _check_writable(path: Path) -> None:
    """Fail before the work, not after it."""
    if path.is_dir():
        raise OutputError(f"{path}: is a folder, expected a file.", settings=("json",))
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise OutputError(f"{path}: its folder does not exist or cannot be written to.", settings=("json",))
