"""``ecg inspect FILE ...``: what files are, what they hold, and what is wrong with them."""

from __future__ import annotations

import argparse
from pathlib import Path

from .options import BAD_INPUT, Commands, add_override_options, overrides_of


def add_parser(commands: Commands) -> None:
    """Add the command and its options."""
    parser = commands.add_parser("inspect", help="show what files are, what they hold, and what is wrong with them")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    add_override_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print a paragraph per file; the exit code is 2 where one of them cannot be analysed."""
    from ..records.inspect import inspect_text  # loads every format

    overrides = overrides_of(options)
    findings = [inspect_text(path, overrides) for path in options.files]
    print("\n\n".join(text for text, _ in findings))
    return 0 if all(can_be_analysed for _, can_be_analysed in findings) else BAD_INPUT
