"""``ecg convert RECORD``: write a record in another format."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..text import one_line
from .options import Commands, add_override_options, add_record_argument, overrides_of


def add_parser(commands: Commands) -> None:
    """Add the command and its options."""
    parser = commands.add_parser("convert", help="write a record in another format")
    add_record_argument(parser)
    parser.add_argument("--to", default="wfdb", metavar="wfdb|edf|csv|...", help="the format (wfdb)")
    parser.add_argument("--rate", type=int, choices=[125], help="resample to this rate in Hz")
    parser.add_argument("--annotations", type=Path, metavar="FILE", help="beats to write as well: rec.atr, x_beats.csv")
    parser.add_argument("--events", type=Path, metavar="FILE", help="events to write as well, into edf: x_events.csv")
    parser.add_argument(
        "--anonymise", action="store_true", help="write no name, no start, no comments; see docs/files.md"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace files that are there, never those of the record"
    )
    parser.add_argument("--out", type=Path, default=Path("converted"), metavar="DIR", help="folder (converted)")
    add_override_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the record, and print what is in doubt about it and where the copy is."""
    from ..records import read_record  # loads every format
    from ..records.convert import convert

    record = read_record(options.record, overrides_of(options))
    for doubt in record.doubts:
        print(f"Doubt about the file: {one_line(doubt)}")
    written = convert(
        record, options.to, options.out, at_125_hz=options.rate == 125, annotations=options.annotations,
        events=options.events, anonymise=options.anonymise, overwrite=options.overwrite,
        report=lambda sentence: print(one_line(sentence)),
    )  # fmt: skip
    print(f"Written: {one_line(str(written))}")
    return 0
