"""``ecg fetch [DATABASE ...]``: fetch databases of PhysioNet, check them, and copy them at 125 Hz."""

from __future__ import annotations

import argparse
from pathlib import Path

from . import progress
from .options import Commands


def add_parser(commands: Commands) -> None:
    """Add the command and its options."""
    parser = commands.add_parser("fetch", help="fetch databases of PhysioNet, checked, with copies at 125 Hz")
    parser.add_argument(
        "databases", nargs="*", metavar="DATABASE", help="of nsrdb, svdb, incartdb, mitdb, nstdb (the first three)"
    )
    parser.add_argument("--records", default="", metavar="N|all|A,B", help="of each database (a few)")
    parser.add_argument("--to", type=Path, metavar="DIR", help="folder of the databases (data)")
    parser.add_argument("--base-url", metavar="URL", help="server (PhysioNet's)")
    parser.add_argument("--jobs", type=int, default=4, metavar="N", help="downloads at a time (4)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Fetch what is missing and print where the records are."""
    from ..records.physionet import BASE_URL, FOLDER, USUAL, fetch  # loads pooch and requests

    folder = options.to or FOLDER
    fetch(
        options.databases or USUAL, records=options.records, folder=folder,
        base_url=(options.base_url or BASE_URL).rstrip("/") + "/", jobs=options.jobs, report=_print,
        show=progress.show_line,
    )  # fmt: skip
    _print(f"The records are in {folder.resolve()}; the dashboard lists them on its page Studies.")
    return 0


def _print(line: str) -> None:
    """Print a line that stays, in place of the progress."""
    progress.clear_line()
    print(line)
