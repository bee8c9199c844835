"""``ecg replay RECORD --to TARGET``: send a record as if it were a live stream."""

from __future__ import annotations

import argparse

from .options import Commands, add_record_argument, add_speed_option


def add_parser(commands: Commands) -> None:
    """Add the command and its options."""
    parser = commands.add_parser("replay", help="send a record as if it were a live stream")
    add_record_argument(parser)
    parser.add_argument("--to", required=True, metavar="lsl:NAME|tcp:PORT|-", help="the target; - is standard output")
    add_speed_option(parser)
    parser.add_argument("--token", default="", help="for tcp:PORT: that of the monitor, if it was started with one")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Send the record until its end or Ctrl-C."""
    from ..live.console import replay  # loads wfdb

    replay(options.record, options.to, speed=options.speed, token=options.token)
    return 0
