"""Compare the network in 8-bit integers with torch: ``ECG_DATABASES=... python -m models.engines [NAME]``.

On the test sets, end to end: QRS, V and S by each engine, and how many beats only one of them finds or both give
different classes. Nothing is chosen by it. Writes ``NAME.engines.json``, which ``models.card`` puts into the card.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ecg_core.classifier.engine import ENGINES
from ecg_core.classifier.model import Model, load_model
from ecg_core.classifier.spec import DEFAULT_MODEL
from ecg_core.evaluation.comparison import compare_beats
from ecg_core.evaluation.evaluate import Evaluation, evaluate_record
from ecg_core.evaluation.summary import summarise
from ecg_core.files import write_json
from ecg_core.pipeline import analyse
from ecg_core.records import read_record
from models.command import parse, parser_of, print_line
from models.databases import FOLDER
from models.evaluate import SETS, TestSet, record_names

COMPARED = ("mitdb_ds2", "svdb_test_all_leads")
FIGURES = ("qrs_se", "qrs_ppv", "v_f1", "s_f1")


def main() -> None:
    """Score both engines on each set, print and save."""
    parser = parser_of(__doc__)
    parser.add_argument("name", nargs="?", default=DEFAULT_MODEL.stem)
    options = parse(parser)
    models = {engine: load_model(FOLDER / f"{options.name}.pt", engine=engine) for engine in ENGINES}
    sets = [compare_in_set(test, models, options.databases) for test in SETS if test.key in COMPARED]
    print_line(engines_table({"sets": sets}))
    spec = load_model(FOLDER / f"{options.name}.pt").spec
    hashes = {"model_sha256": spec.sha256, "int8_sha256": spec.int8_sha256}
    write_json(FOLDER / f"{options.name}.engines.json", {**hashes, "sets": sets})


def compare_in_set(test: TestSet, models: dict[str, Model], databases: Path) -> dict[str, Any]:
    """The figures of each engine on the records of a test set, and the beats that differ."""
    names = record_names(test, databases)
    records = [read_record(databases / test.database / name) for name in names]
    found: dict[str, Any] = {"set": test.key}
    for engine, model in models.items():
        scored = tuple(evaluate_record(record, model, database=test.database, lead=test.lead) for record in records)
        gross = summarise(Evaluation(test.database, test.lead, model.spec, scored))["detected_beats"]["gross"]
        found[engine] = {name: gross[name] for name in FIGURES}
    n_beats, n_different = 0, 0
    for record in records:
        one, other = (analyse(record, model, lead=test.lead) for model in models.values())
        n_beats += len(one.beats)
        n_different += len(compare_beats(one.beats, other.beats).time_s)
    return {**found, "beats": n_beats, "different": n_different}


def engines_table(measured: dict[str, Any]) -> str:
    """The comparison as a Markdown table."""
    rows = [_row(one, engine) for one in measured["sets"] for engine in ENGINES]
    head = "| set | engine | QRS Se/+P | V F1 | S F1 | beats that differ |"
    return "\n".join([head, "|---|---|---|---|---|---|", *rows])


def _row(one: dict[str, Any], engine: str) -> str:
    of = one[engine]
    qrs = f"{100 * of['qrs_se']:.2f}/{100 * of['qrs_ppv']:.2f}"
    different = f"{one['different']} of {one['beats']:,}" if engine == ENGINES[0] else ""
    return f"| {one['set']} | {engine} | {qrs} | {100 * of['v_f1']:.2f} | {100 * of['s_f1']:.2f} | {different} |"


if __name__ == "__main__":
    main()
