"""``ecg audit STUDY``: the audit trail of a study, and whether it and what was signed are as they were written.

The trail of a deleted study is found by the SHA-256 of its recording; ``--store`` shows the store's own trail.
"""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OutputError, StoreError
from ..text import one_line, plural
from .options import FAILED, Commands, add_studies_option

if TYPE_CHECKING:
    from ..studies.audit import AuditEntry
    from ..studies.store import Store


def add_parser(commands: Commands) -> None:
    """Add the command and its options."""
    parser = commands.add_parser("audit", help="show who did what to a study, and verify it")
    parser.add_argument(
        "study", nargs="?", metavar="STUDY",
        help="the path of its record, its name, or the first digits of its SHA-256, also where it was deleted",
    )  # fmt: skip
    parser.add_argument("--store", action="store_true", help="the store's own trail: studies deleted and imported")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the trail there as a table")
    add_studies_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the trail and what is wrong with it; the exit code is 1 where something is."""
    from ..studies.audit import trail, verify  # loads the database
    from ..studies.signing import left_out_files, verify_recording, verify_signature
    from ..studies.store import open_store
    from ..studies.study import get_study

    if options.store == (options.study is not None):
        raise StoreError("Expected a study, or --store for the store's own trail; got both, or neither.")
    if options.studies is not None and not options.studies.is_dir():
        raise StoreError(f"{options.studies}: this folder does not exist; expected the folder of the studies.")
    with closing(open_store(options.studies)) as store:
        sha256, heading = _trail_of(store, options.study)
        entries, left_out = trail(store, sha256), left_out_files(store, sha256)
        problems = (*verify(store, sha256), *verify_signature(store, sha256), *verify_recording(store, sha256))
        is_study = get_study(store, sha256) is not None
    print(f"{one_line(heading)}\n")
    for entry in entries:
        print(one_line(_line(entry)))
    if options.csv is not None:
        _write_csv(options.csv, entries)
    print()
    for name in sorted(left_out):
        print(one_line(f"Left out of the export: {name}, a signed file that holds patient data."))
    for problem in problems:
        print(one_line(f"NOT VERIFIED: {problem}"))
    if not problems:
        others = ", and so are the recording and what was signed" if is_study else ""
        print(f"Verified: {plural(len(entries), 'entry')}, each as it was written{others}.")
    return FAILED if problems else 0


def _trail_of(store: Store, named: str | None) -> tuple[str, str]:
    """The hash by which a trail is found, and a heading."""
    from ..studies.audit import STORE, trails_of
    from ..studies.study import HASH_START, find_one

    if named is None:
        return STORE, f"The trail of the store {store.place}"
    try:
        study = find_one(store, named)
    except StoreError:
        digits = named.casefold()
        deleted = trails_of(store, digits) if HASH_START.fullmatch(digits) else ()
        if len(deleted) != 1:
            raise
        return deleted[0], f"A study that was deleted ({deleted[0]})"
    return study.record_sha256, f"{study.record_id} ({study.record_sha256}), {study.state}"


def _line(entry: AuditEntry) -> str:
    from ..studies.wording import local_time, sentence_of

    return f"{entry.number:>4}  {local_time(entry)}  {entry.reader}: {sentence_of(entry)}"


def _write_csv(path: Path, entries: tuple[AuditEntry, ...]) -> None:
    from ..files import atomic_file
    from ..report.columns import csv_bytes
    from ..studies.wording import trail_table

    content = csv_bytes(trail_table(entries))
    try:
        with atomic_file(path) as part:
            part.write_bytes(content)
    except OSError as error:
        raise OutputError(f"{path}: the trail cannot be written there ({error.strerror or error}).") from error
