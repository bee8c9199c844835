"""``ecg studies``: the worklist on the terminal, and whole studies as zip files."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import StoreError
from ..text import one_line
from .options import Commands, add_store_options, reader_of

if TYPE_CHECKING:
    from ..studies.store import Store
    from ..studies.study import Study

STATES: Final = ("new", "analysed", "in review", "signed")  # as ``studies.study``, which takes time to load
HEADINGS: Final = (
    "id", "record", "start", "length", "state", "PVC %", "SVE %", "AF %", "last edit", "by", "danger",
)  # fmt: skip
ID_DIGITS: Final = 8  # of the SHA-256, by which a study can be named


@dataclass(frozen=True)
class Export:
    """What is written of a study, and where."""

    study: str
    to: Path
    with_patient: bool


def add_parser(commands: Commands) -> None:
    """Add the command and its options."""
    parser = commands.add_parser("studies", help="list the studies of the store; export and import whole ones")
    parser.add_argument("--search", default="", metavar="TEXT", help="whose record, patient or editor contains it")
    parser.add_argument("--state", action="append", choices=STATES, help="those in this state; may be repeated")
    parser.add_argument("--archived", action="store_true", help="those in the archive")
    parser.add_argument("--json", action="store_true", help="print a JSON document in place of a table")
    parser.add_argument(
        "--export", metavar="STUDY", help="write a whole study: the path or name of its record, or digits of its id"
    )
    parser.add_argument("--to", type=Path, metavar="FILE.zip", help="with --export: the zip to be written")
    parser.add_argument("--with-patient", action="store_true", help="with --export: patient data too")
    parser.add_argument("--import", dest="bundle", type=Path, metavar="FILE.zip", help="add the study of a zip")
    add_store_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Export, import, or print the worklist."""
    from ..studies.store import open_store  # loads SQLAlchemy

    export = _export_of(options)
    with closing(open_store(options.studies)) as store:
        if export is not None:
            _export(store, export, reader_of(options))
        elif options.bundle is not None:
            _import(store, options.bundle, reader_of(options))
        else:
            _print_worklist(store, options)
    return 0


def _export_of(options: argparse.Namespace) -> Export | None:
    """What is to be exported; options that say nothing without another are refused."""
    if options.export is not None and options.bundle is not None:
        raise StoreError("--export and --import were both given, expected one of them.")
    if options.export is None and (options.to is not None or options.with_patient):
        raise StoreError("--to and --with-patient say how a study is exported; expected --export STUDY with them.")
    if options.export is None:
        return None
    if options.to is None:
        raise StoreError("--export: no file was named.", settings=("to",))
    return Export(options.export, options.to, options.with_patient)


def _export(store: Store, export: Export, reader: str) -> None:
    from ..studies.bundle import export_study
    from ..studies.study import command_editor, find_one

    study = find_one(store, export.study)
    export_study(store, study.record_sha256, export.to, command_editor(reader), with_patient=export.with_patient)
    print(f"Written: {one_line(str(export.to))}, the study of {_named(study)}")


def _import(store: Store, bundle: Path, reader: str) -> None:
    from ..studies.bundle import import_study
    from ..studies.study import command_editor

    print(f"Imported: {_named(import_study(store, bundle, command_editor(reader)))}")


def _named(study: Study) -> str:
    return f"{study.record_id} ({study.record_sha256[:ID_DIGITS]})"


def _print_worklist(store: Store, options: argparse.Namespace) -> None:
    from ..studies.study import find_studies

    studies = find_studies(store, search=options.search, states=options.state or (), archived=options.archived)
    if options.json:
        print(json.dumps([_as_json(study) for study in studies], ensure_ascii=False, allow_nan=False, indent=1))
    elif studies:
        print(table_text([HEADINGS, *(_row(study) for study in studies)], red=_is_colour_terminal()))
    else:
        print(f"No study fits in {one_line(store.place)}.")


def _row(study: Study) -> tuple[str, ...]:
    """A line of the worklist; times of edits are local."""
    from ..clock import duration_text

    edited = datetime.fromisoformat(study.edited_at).astimezone()
    burdens = ("" if value is None else f"{value:.1f}" for value in (study.pvc_pct, study.sve_pct, study.af_pct))
    return (
        study.record_sha256[:ID_DIGITS], study.record_id, study.start[:16].replace("T", " "),
        duration_text(study.duration_s), study.state, *burdens, f"{edited:%Y-%m-%d %H:%M}", study.edited_by,
        study.danger,
    )  # fmt: skip


def table_text(rows: Sequence[Sequence[str]], *, red: bool = False) -> str:
    """Rows of cells as lines with aligned columns; the last column, of dangers, red below its heading where asked.

    >>> print(table_text([("id", "danger"), ("1a2b", "VF")]))
    id    danger
    1a2b  VF

    """
    cells = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]) - 1)]
    lines = []
    for number, row in enumerate(cells):
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        danger = f"\x1b[1;31m{row[-1]}\x1b[0m" if red and number and row[-1] else row[-1]
        lines.append("  ".join([*padded, danger]).rstrip())
    return "\n".join(lines)


def _is_colour_terminal() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _as_json(study: Study) -> dict[str, Any]:
    """A study without data of the patient."""
    return {
        "record_sha256": study.record_sha256, "record": study.record_id, "path": str(study.path), "start": study.start,
        "duration_s": study.duration_s, "leads": list(study.lead_names), "simulated": study.simulated,
        "state": study.state, "archived": study.archived, "model": study.model_name, "lead": study.lead,
        "rules": study.rules, "beats": study.n_beats, "pvc_burden_pct": study.pvc_pct, "sve_burden_pct": study.sve_pct,
        "af_burden_pct": study.af_pct, "danger": study.danger, "unlike_training_pct": study.unlike_pct,
        "edited_at": study.edited_at, "edited_by": study.edited_by, "version": study.version,
    }  # fmt: skip
