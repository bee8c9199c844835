"""``ecg audit STUDY``: the audit trail of a study, and whether it and its signatures are as they were written."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OutputError, StoreError
from ..text import one_line
from .options import FAILED, Commands

if TYPE_CHECKING:
    from ..studies.audit import AuditEntry


def add_parser(commands: Commands) -> None:
    """Add the command and its options."""
    parser = commands.add_parser("audit", help="show who did what to a study, and verify it")
    parser.add_argument(
        "study", metavar="STUDY", help="the path of its record, its name, or the first digits of its SHA-256"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the trail there as a table")
    parser.add_argument("--studies", type=Path, metavar="FOLDER", help="folder of the studies (the user's own)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the trail and what is wrong with it; the exit code is 1 where something is."""
    from ..studies.audit import trail, verify  # loads the database
    from ..studies.signing import verify_signature
    from ..studies.store import open_store
    from ..studies.study import find_one

    if options.studies is not None and not options.studies.is_dir():
        raise StoreError(f"{options.studies}: this folder does not exist; expected the folder of the studies.")
    store = open_store(options.studies)
    study = find_one(store, options.study)
    entries = trail(store, study.record_sha256)
    print(f"{one_line(study.record_id)} ({study.record_sha256}), {study.state}\n")
    for entry in entries:
        print(one_line(_line(entry)))
    if options.csv is not None:
        _write_csv(options.csv, entries)
    problems = (*verify(store, study.record_sha256), *verify_signature(store, study.record_sha256))
    print()
    for problem in problems:
        print(one_line(f"NOT VERIFIED: {problem}"))
    if not problems:
        print(f"Verified: all {len(entries)} entries are as they were written, and so is what was signed.")
    return FAILED if problems else 0


def _line(entry: AuditEntry) -> str:
    from ..studies.wording import local_time, sentence_of

    return f"{entry.number:>4}  {local_time(entry)}  {entry.reader}: {sentence_of(entry)}"


def _write_csv(path: Path, entries: tuple[AuditEntry, ...]) -> None:
    from ..files import atomic_file
    from ..report.export import csv_bytes
    from ..studies.wording import trail_table

    content = csv_bytes(trail_table(entries))
    try:
        with atomic_file(path) as part:
            part.write_bytes(content)
    except OSError as error:
        raise OutputError(f"{path}: the trail cannot be written there ({error.strerror or error}).") from error
