"""``ecg join PIECE ... --to FILE.join``: the files into which a recorder cut a recording open as one record."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..clock import duration_text
from ..text import one_line, plural
from .options import Commands


def add_parser(commands: Commands) -> None:
    """Add the command and its options."""
    parser = commands.add_parser("join", help="join the pieces of a recording, which then open as one record")
    parser.add_argument("pieces", type=Path, nargs="+", metavar="PIECE", help="records that follow each other")
    parser.add_argument("--to", type=Path, required=True, metavar="FILE.join", help="the list of the pieces")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the list of the pieces, and print what they make together."""
    from ..records import read_record, write_join  # loads every format

    pieces = [read_record(path) for path in options.pieces]
    path = write_join(pieces, options.to.parent, name=options.to.name.removesuffix(".join"))
    joined = read_record(path)
    missing_s = joined.duration_s - sum(piece.duration_s for piece in pieces)
    missing = f"of which {duration_text(missing_s)} are missing"
    print(f"{plural(len(pieces), 'piece')}, {duration_text(joined.duration_s)}, {missing}")
    print(f"Written: {one_line(str(path))}")
    return 0
