"""``ecg evaluate DATABASE_DIR|NAME``: score a model against reference annotations by EC57."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import ModelError, OutputError, RecordError
from ..files import write_json
from . import progress
from .options import FEW_LEADS, Commands, add_model_options, model_of, names

if TYPE_CHECKING:
    from ..classifier.model import Model
    from ..evaluation.budgets import Measured
    from ..evaluation.ec57 import Score

AUTO: Final = "auto"  # as ``classifier.leads``, which takes time to load
WAYS: Final = ("detected", "reference")  # beats that are scored: end to end, and the classes alone


def add_parser(commands: Commands) -> None:
    """Add the command and its options."""
    parser = commands.add_parser("evaluate", help="score a model against reference annotations by EC57")
    parser.add_argument(
        "database", type=Path, metavar="DATABASE_DIR|NAME",
        help="folder of annotated WFDB records; or incartdb or svdb: its test split, in several ways",
    )  # fmt: skip
    parser.add_argument("--records", type=names, default=[], metavar="A,B", help="only these records")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    add_model_options(parser, auto=f"{FEW_LEADS}; of incartdb II, then all, of svdb the first, then all")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the scores, and write them as JSON where a file is named."""
    from ..adaptation.published import is_published

    if options.json:
        _check_writable(options.json)
    figures = _published(options) if is_published(str(options.database)) else _folder(options)
    if options.json:
        write_json(options.json, figures)
    return 0


def _folder(options: argparse.Namespace) -> dict[str, Any]:
    """Score the records of a folder, print the scores, and return them as JSON values."""
    from ..classifier.model import load_model
    from ..evaluation.evaluate import evaluate
    from ..evaluation.summary import report_text, summarise
    from ..rules import RhythmRules

    rules = RhythmRules(sensitivity=options.sensitivity)
    paths = _annotated_records(options.database, options.records)
    model = load_model(model_of(options), engine=options.engine)
    name = "/".join(options.database.resolve().parts[-2:])
    result = evaluate(paths, model, database=name, lead=options.lead, rules=rules, progress=progress.show_evaluation)
    progress.clear_line()
    print(report_text(result))
    return summarise(result)


def _published(options: argparse.Namespace) -> dict[str, Any]:
    """Score the test split of a published database in each way, print the tables, and return all as JSON values."""
    from ..adaptation.published import PUBLISHED, SPLITS, names_of, published_folder
    from ..classifier.model import load_model
    from ..evaluation.budgets import conditions_of, describe_conditions, measure_conditions
    from ..rules import RhythmRules

    database = str(options.database)
    test = names_of(database, SPLITS[-1])
    records = _chosen(options.records, test, database)
    folder = published_folder(database, records)
    model = load_model(model_of(options), engine=options.engine)
    _check_not_learned(model, database, test)
    leads = PUBLISHED[database] if options.lead == AUTO else (options.lead,)
    measured = measure_conditions(
        [folder / name for name in records], model, conditions_of(leads), database=f"{database}/{folder.name}",
        rules=RhythmRules(sensitivity=options.sensitivity), progress=progress.show_evaluation,
    )  # fmt: skip
    progress.clear_line()
    figures = describe_conditions(measured, name=database, split=f"{database}_{SPLITS[-1]}")
    print(published_text(figures, measured))
    return figures


def _chosen(chosen: list[str], test: list[str], database: str) -> list[str]:
    """Chosen records of a test split, or all of it.

    Raises
    ------
    RecordError
        One is not of the test split.

    """
    foreign = [name for name in chosen if name not in test]
    if foreign:
        raise RecordError(
            f"not in the test split of {database}",
            where=", ".join(foreign),
            expected=f"some of {', '.join(test)}",
            settings=("records",),
        )
    return chosen or test


def _check_not_learned(model: Model, database: str, test: list[str]) -> None:
    """Refuse a model that learned from a patient of the test split.

    Raises
    ------
    ModelError
        It did.

    """
    from ..evaluation.patients import learned_as

    learned = [name for name in test if learned_as(model.spec.trained_on, name, folders=[database])]
    if learned:
        raise ModelError(
            f"{model.spec.name}: this model learned from {', '.join(learned)} of the test split, expected one that "
            "learned from none of its patients.",
            settings=("model",),
        )


def published_text(figures: Mapping[str, Any], measured: Sequence[Measured]) -> str:
    """The test split measured in each way, beside the promised figures, as a person reads it in a terminal."""
    from ..text import plural

    model = measured[0].evaluation.model
    lines = [
        f"{figures['database']}, test split: {plural(figures['records'], 'record')} of "
        f"{plural(figures['patients'], 'patient')}; model {model.name} in {model.engine}; EC57, gross, in %, with 95 % "
        "intervals over patients",
    ]
    if figures["promised"]:
        lines.append("promised: after adaptation, on detected beats; an aim, which was not measured here before")
    if figures["simulated"]:
        lines.append("SIMULATED SIGNALS: these figures say nothing of the accuracy on real recordings.")
    for lead in dict.fromkeys(one.condition.lead for one in measured):
        of_lead = [one for one in measured if one.condition.lead == lead]
        for way in WAYS:
            promised = figures["promised"] if way == WAYS[0] else {}
            lines += ["", f"LEAD {lead}, {way.upper()} BEATS", _table(of_lead, way, promised)]
    return "\n".join(lines)


def _table(measured: Sequence[Measured], way: str, promised: Mapping[str, float]) -> str:
    """Figures as rows, ways to measure as columns, after that of the promised figures where there are any."""
    from ..evaluation.ec57 import gross, statistics
    from ..evaluation.summary import HEADLINE
    from .studies import table_text

    scores: list[list[Score]] = [getattr(one.evaluation, way)() for one in measured]
    values = [statistics(gross(part)) for part in scores]
    edges = [one.intervals(part) for one, part in zip(measured, scores, strict=True)]
    rows = [["", *(["promised"] * bool(promised)), *(one.condition.title for one in measured)]]
    for name in (*HEADLINE, "always_n_accuracy"):
        cells = [_cell(value[name], edge.get(name)) for value, edge in zip(values, edges, strict=True)]
        aim = [_cell(promised[name], None) if name in promised else "-"] * bool(promised)
        rows.append([name, *aim, *cells])
    return table_text(rows)


def _cell(value: float, interval: Sequence[float | None] | None) -> str:
    """A figure in per cent with its interval, where it has one."""
    if math.isnan(value):
        return "-"
    known = [edge for edge in interval or () if edge is not None]
    edges = f" ({100 * known[0]:.2f} to {100 * known[1]:.2f})" if known else ""
    return f"{100 * value:.2f}{edges}"


def _annotated_records(database: Path, chosen: list[str]) -> list[Path]:
    """Chosen records of a folder, or all that have reference annotations.

    Raises
    ------
    RecordError
        There is no such folder, or it holds no annotated record.

    """
    from ..records import find_records  # loads every format

    if not database.is_dir():
        raise RecordError(
            "this folder does not exist", where=database, advice="Choose one that holds annotated records."
        )
    if chosen:
        return [database / name for name in chosen]
    paths = [path for path in find_records(database) if path.with_name(f"{path.name}.atr").is_file()]
    if not paths:
        raise RecordError("none of its records has reference annotations (.atr)", where=database)
    return paths


def _check_writable(path: Path) -> None:
    """Fail before the work, not after it."""
    if path.is_dir():
        raise OutputError(f"{path}: is a folder, expected a file.", settings=("json",))
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise OutputError(f"{path}: its folder does not exist or cannot be written to.", settings=("json",))
