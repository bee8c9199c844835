"""``ecg monitor SOURCE``: classify the beats of a live stream as they arrive."""

from __future__ import annotations

import argparse
from pathlib import Path

from .options import Commands, add_model_options, add_rule_option, add_speed_option, model_of, rules_of


def add_parser(commands: Commands) -> None:
    """Add the command and its options."""
    parser = commands.add_parser("monitor", help="classify the beats of a live stream as they arrive")
    parser.add_argument("source", metavar="SOURCE", help="lsl:NAME, tcp:PORT, - (standard input), or a record")
    help_ = (
        "record into this folder, at most 14 days (gaps included) or 32 GB, then only monitor; without it nothing is "
        "kept"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help=help_)
    parser.add_argument("--record", action=argparse.BooleanOptionalAction, default=True, help="also record the samples")
    parser.add_argument(
        "--horizon", type=float, default=2.0, metavar="S",
        help="horizon: seconds of signal after a beat that are used before it is labelled (2)",
    )  # fmt: skip
    add_rule_option(parser, help_="as for analyze")
    parser.add_argument("--quiet", action="store_true", help="print alarms only")
    add_speed_option(parser)
    parser.add_argument(
        "--token", default="", help='for tcp:PORT: what the header of a sender must carry as its "token"'
    )
    add_model_options(parser, auto="all")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print beats and alarms until the stream ends or Ctrl-C is pressed."""
    from ..live.console import monitor  # loads wfdb

    monitor(
        options.source, rules_of(options), model_of(options), engine=options.engine, out=options.out,
        record=options.record, horizon_s=options.horizon, lead=options.lead, speed=options.speed, token=options.token,
        quiet=options.quiet,
    )  # fmt: skip
    return 0
