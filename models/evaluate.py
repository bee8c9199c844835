"""Measure a shipped model on its test sets: ``ECG_DATABASES=... python -m models.evaluate [NAME]``.

Writes ``<name>.metrics.json`` beside the weights; the About page reads it, and ``models.card`` puts it into the README
and the model card.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecg_core.classifier.leads import ALL, FIRST
from ecg_core.classifier.model import Model, load_model
from ecg_core.classifier.spec import DEFAULT_MODEL
from ecg_core.evaluation.ec57 import LEARNING_S
from ecg_core.evaluation.evaluate import NO_LABELS, Evaluation, LabelBudget, RecordEvaluation, evaluate_record
from ecg_core.evaluation.noise_stress import with_noise
from ecg_core.evaluation.summary import report_text, summarise
from ecg_core.files import write_json
from ecg_core.records import read_record
from models.command import parse, parser_of, print_line, read_json
from models.databases import FOLDER, ICENTIA, MITDB, NSTDB, SVDB, listed_names

FIRST_12, FIRST_50, FIRST_5_MIN = LabelBudget(n_first=12), LabelBudget(n_first=50), LabelBudget(first_s=LEARNING_S)
QUERIED_12, QUERIED_50 = LabelBudget(n_queried=12), LabelBudget(n_queried=50)


@dataclass(frozen=True)
class TestSet:
    """Records that a model is measured on, and how."""

    key: str  # in the metrics file
    database: str
    split: str = ""  # file of record names; by default all records of the database
    lead: str = FIRST
    excluded: tuple[str, ...] = ()  # records
    snr_db: float | None = None  # with nstdb's electrode motion in alternate stretches
    budget: LabelBudget = NO_LABELS  # the patient's beats whose labels are given to the model
    fine_tuned: bool = True  # False leaves these beats out of the score alone, for comparison


SETS = (
    TestSet("mitdb_ds2", MITDB, "mitdb_ds2"),
    TestSet("mitdb_ds2_without_202", MITDB, "mitdb_ds2", excluded=("202",)),  # 201, the same person, is in DS1
    TestSet("mitdb_ds2_without_232", MITDB, "mitdb_ds2", excluded=("232",)),  # three quarters of DS2's S are in it
    TestSet("mitdb_ds2_all_leads", MITDB, "mitdb_ds2", lead=ALL),
    TestSet("mitdb_ds2_noise_12db", MITDB, "mitdb_ds2", snr_db=12.0),
    TestSet("mitdb_ds2_noise_6db", MITDB, "mitdb_ds2", snr_db=6.0),
    TestSet("svdb_test", SVDB, "svdb_test"),
    TestSet("svdb_test_all_leads", SVDB, "svdb_test", lead=ALL),
    TestSet("svdb_test_12_own_beats", SVDB, "svdb_test", budget=FIRST_12),
    TestSet("svdb_test_50_own_beats", SVDB, "svdb_test", budget=FIRST_50),
    TestSet("svdb_test_5_own_minutes", SVDB, "svdb_test", budget=FIRST_5_MIN),
    TestSet("svdb_test_12_asked", SVDB, "svdb_test", budget=QUERIED_12),
    TestSet("svdb_test_50_asked", SVDB, "svdb_test", budget=QUERIED_50),
    TestSet("svdb_test_50_left_out", SVDB, "svdb_test", budget=QUERIED_50, fine_tuned=False),
    TestSet("svdb_test_all_leads_50_asked", SVDB, "svdb_test", lead=ALL, budget=QUERIED_50),
    TestSet("svdb_test_all_leads_50_left_out", SVDB, "svdb_test", lead=ALL, budget=QUERIED_50, fine_tuned=False),
    TestSet("mitdb_ds2_50_asked", MITDB, "mitdb_ds2", budget=QUERIED_50),
    TestSet("mitdb_ds2_50_left_out", MITDB, "mitdb_ds2", budget=QUERIED_50, fine_tuned=False),
    TestSet("icentia11k", ICENTIA),
)


def record_names(test: TestSet, databases: Path) -> list[str]:
    """Names of the records of a test set."""
    names = listed_names(databases, test.database, (test.split,) if test.split else ())
    return [name for name in names if name not in test.excluded]


def evaluate_in_set(test: TestSet, name: str, *, model: Model, databases: Path) -> RecordEvaluation:
    """Score a model on one record of a test set."""
    record = read_record(databases / test.database / name)
    if test.snr_db is not None:
        record = with_noise(record, read_record(databases / NSTDB / "em"), snr_db=test.snr_db)
    return evaluate_record(
        record, model, database=test.database, lead=test.lead, budget=test.budget, fine_tuned=test.fine_tuned
    )


def describe_set(test: TestSet) -> dict[str, Any]:
    """A test set by the keys of the metrics file."""
    budget = test.budget
    return {
        "split": test.split,
        "left_out": list(test.excluded),
        "snr_db": test.snr_db,
        "labelled": {"n_first": budget.n_first, "first_s": budget.first_s, "n_queried": budget.n_queried},
        "fine_tuned": test.fine_tuned,
    }


def measured_before(path: Path, sha256: str) -> dict[str, Any]:
    """The figures of earlier runs with the same weights, by the key of the test set."""
    figures = read_json(path)
    return {key: figure for key, figure in figures.items() if figure["model_sha256"] == sha256}


def main() -> None:
    """Measure each set, print and save."""
    parser = parser_of(__doc__)
    parser.add_argument("name", nargs="?", default=DEFAULT_MODEL.stem)
    parser.add_argument("--sets", help="only these, by key, with commas; of the others the figures stay")
    options = parse(parser)
    model = load_model(FOLDER / f"{options.name}.pt")
    wanted = options.sets.split(",") if options.sets else [test.key for test in SETS]
    chosen = [test for test in SETS if test.key in wanted]
    known: dict[tuple[Any, ...], RecordEvaluation] = {}  # sets overlap: no record is scored twice in the same way
    path = FOLDER / f"{options.name}.metrics.json"
    metrics = measured_before(path, model.spec.sha256) if options.sets else {}
    began = time.monotonic()
    for number, test in enumerate(chosen):
        records = []
        for name in record_names(test, options.databases):
            how = (test.database, test.lead, test.snr_db, test.budget, test.fine_tuned, name)
            if how not in known:
                known[how] = evaluate_in_set(test, name, model=model, databases=options.databases)
            records.append(known[how])
        result = Evaluation(test.database, test.lead, model.spec, tuple(records))
        print_line(f"\n=== {test.key}\n{report_text(result)}")
        metrics[test.key] = {**describe_set(test), **summarise(result)}
        write_json(path, {test.key: metrics[test.key] for test in SETS if test.key in metrics})
        print_line(f"{number + 1} of {len(chosen)} sets, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
