"""``ecg models``: the installed models, and what can be done with the user's own."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..text import one_line
from .options import Commands
from .studies import table_text

if TYPE_CHECKING:
    from ..classifier.installed import InstalledModel

HEADINGS: Final = ("model", "weights", "origin", "default for", "verdict")
HASH_DIGITS: Final = 8
SHIPPED: Final = "shipped"


def add_parser(commands: Commands) -> None:
    """Add the command, and a command below it for each thing to be done."""
    parser = commands.add_parser("models", help="list the installed models; export, import and name your own")
    parser.set_defaults(run=_list)
    below = parser.add_subparsers(metavar="WHAT")
    show = below.add_parser("show", help="print the card of a model")
    show.set_defaults(run=_show)
    export = below.add_parser("export", help="write a model into a zip, for another computer")
    export.set_defaults(run=_export)
    rename = below.add_parser("rename", help="give one of your models another name")
    rename.set_defaults(run=_rename)
    remove = below.add_parser("remove", help="remove one of your models")
    remove.set_defaults(run=_remove)
    restore = below.add_parser("restore", help="bring back a model that was removed since the dashboard started")
    restore.set_defaults(run=_restore)
    default = below.add_parser("default", help="make a model the default for the recordings of a recorder")
    default.set_defaults(run=_default)
    for one in (show, export, rename, remove, restore, default):
        one.add_argument("name", metavar="NAME", help="an installed model")
    export.add_argument("file", type=Path, metavar="FILE.zip", help="the zip to be written")
    rename.add_argument("new_name", metavar="NEW", help="letters, digits, hyphens and underscores")
    default.add_argument(
        "--recorder", required=True, metavar="TEXT", help="the recorder, as its recordings state it; see inspect"
    )
    import_ = below.add_parser("import", help="install the model of a zip as one of your own")
    import_.set_defaults(run=_import)
    import_.add_argument("file", type=Path, metavar="FILE.zip", help="a zip that export wrote")
    import_.add_argument("--name", default="", metavar="NAME", help="another name than its own")


def _list(_options: argparse.Namespace) -> int:
    from ..classifier.installed import default_models, installed_models, kept_folder

    recorders: dict[str, list[str]] = {}
    for recorder, model in default_models().items():
        recorders.setdefault(model.name, []).append(recorder)
    rows = [_row(model, recorders.get(model.name, [])) for model in installed_models()]
    print(table_text([HEADINGS, *rows]))
    print(f"\nYour own models lie in {one_line(str(kept_folder()))}.")
    return 0


def _row(model: InstalledModel, recorders: list[str]) -> tuple[str, ...]:
    origin = model.spec.origin if model.is_kept else SHIPPED
    return model.name, model.spec.sha256[:HASH_DIGITS], origin, ", ".join(recorders), model.verdict


def _show(options: argparse.Namespace) -> int:
    from ..classifier.installed import installed_model

    print(installed_model(options.name).card, end="")
    return 0


def _export(options: argparse.Namespace) -> int:
    from ..classifier.model_zip import export

    export(options.name, options.file)
    print(f"Written: {one_line(str(options.file))}, the model {options.name}")
    return 0


def _import(options: argparse.Namespace) -> int:
    from ..classifier.model_zip import import_

    model = import_(options.file, options.name)
    print(f"Installed: {model.name}, {model.spec.origin}")
    return 0


def _rename(options: argparse.Namespace) -> int:
    from ..classifier.kept import rename

    print(f"Renamed: {options.name} is now {rename(options.name, options.new_name).name}")
    return 0


def _remove(options: argparse.Namespace) -> int:
    from ..classifier.kept import remove

    place = remove(options.name)
    print(f"Removed: {options.name}; until the dashboard starts next, `ecg models restore {place}` brings it back")
    return 0


def _restore(options: argparse.Namespace) -> int:
    from ..classifier.kept import restore

    print(f"Restored: {restore(options.name).name}")
    return 0


def _default(options: argparse.Namespace) -> int:
    from ..classifier.kept import set_default

    set_default(options.name, options.recorder)
    print(f"Recordings of {one_line(options.recorder)} are analysed by {options.name} where no other model is chosen")
    return 0
