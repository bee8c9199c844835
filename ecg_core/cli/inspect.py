"""``ecg inspect FILE ...``: what files are, what they hold, and what is wrong with them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from .options import BAD_INPUT, Commands, add_override_options, overrides_of


def add_parser(commands: Commands) -> None:
    """Add the command and its options."""
    parser = commands.add_parser("inspect", help="show what files are, what they hold, and what is wrong with them")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    parser.add_argument("--json", action="store_true", help="print a JSON document, with the parts of an error apart")
    add_override_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print a paragraph per file; the exit code is 2 where one of them cannot be analysed."""
    from ..records.inspect import inspect_json, inspect_text  # loads every format

    overrides = overrides_of(options)
    if options.json:
        documents = [inspect_json(path, overrides) for path in options.files]
        print(json.dumps(documents, ensure_ascii=False, allow_nan=False, indent=1))
        return BAD_INPUT if any(document["error"] for document in documents) else 0
    findings = [inspect_text(path, overrides) for path in options.files]
    print("\n\n".join(text for text, _ in findings))
    return 0 if all(can_be_analysed for _, can_be_analysed in findings) else BAD_INPUT
