"""Measure a shipped model on its test sets: ``ECG_DATABASES=... python models/evaluate.py [NAME]``.

Writes ``<name>.metrics.json`` beside the weights, which the About page reads; ``card.py`` puts it into the README.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from ecg_core.classifier.leads import ALL, FIRST
from ecg_core.classifier.model import Model, load_model
from ecg_core.classifier.spec import DEFAULT_MODEL
from ecg_core.evaluation.ec57 import LEARNING_S
from ecg_core.evaluation.evaluate import (
    NO_LABELS,
    Evaluation,
    LabelBudget,
    RecordEvaluation,
    evaluate_record,
)
from ecg_core.evaluation.noise_stress import with_noise
from ecg_core.evaluation.summary import report_text, summarise
from ecg_core.records import read_record
from ecg_core.schema import Record

MITDB, SVDB, NSTDB = "mitdb/1.0.0", "svdb/1.0.0", "nstdb/1.0.0"
ICENTIA = "icentia11k-continuous-ecg/1.0.0"
QUERIED_12, QUERIED_50 = LabelBudget(n_queried=12), LabelBudget(n_queried=50)


@dataclass(frozen=True)
class TestSet:
    """Records that a model is judged on, and how."""

    key: str
    database: str
    split: str = ""  # file of record names; by default all records of the database
    lead: str = FIRST
    left_out: tuple[str, ...] = ()
    snr_db: float | None = None  # nstdb's electrode motion is added in turns
    budget: LabelBudget = NO_LABELS  # the patient's beats whose labels are given to the model
    fine_tuned: bool = True  # False leaves these beats out of the score alone, for comparison


SETS = (
    TestSet("mitdb_ds2", MITDB, "mitdb_ds2"),
    TestSet("mitdb_ds2_without_202", MITDB, "mitdb_ds2", left_out=("202",)),  # 201, the same person, is in DS1
    TestSet("mitdb_ds2_without_232", MITDB, "mitdb_ds2", left_out=("232",)),  # it holds three quarters of DS2's S
    TestSet("mitdb_ds2_all_leads", MITDB, "mitdb_ds2", lead=ALL),
    TestSet("mitdb_ds2_noise_12db", MITDB, "mitdb_ds2", snr_db=12.0),
    TestSet("mitdb_ds2_noise_6db", MITDB, "mitdb_ds2", snr_db=6.0),
    TestSet("svdb_test", SVDB, "svdb_test"),
    TestSet("svdb_test_all_leads", SVDB, "svdb_test", lead=ALL),
    TestSet("svdb_test_12_own_beats", SVDB, "svdb_test", budget=LabelBudget(n_first=12)),
    TestSet("svdb_test_50_own_beats", SVDB, "svdb_test", budget=LabelBudget(n_first=50)),
    TestSet("svdb_test_5_own_minutes", SVDB, "svdb_test", budget=LabelBudget(first_s=LEARNING_S)),
    TestSet("svdb_test_12_asked", SVDB, "svdb_test", budget=QUERIED_12),
    TestSet("svdb_test_50_asked", SVDB, "svdb_test", budget=QUERIED_50),
    TestSet("svdb_test_50_left_out", SVDB, "svdb_test", budget=QUERIED_50, fine_tuned=False),
    TestSet("svdb_test_all_leads_50_asked", SVDB, "svdb_test", lead=ALL, budget=QUERIED_50),
    TestSet("svdb_test_all_leads_50_left_out", SVDB, "svdb_test", lead=ALL, budget=QUERIED_50, fine_tuned=False),
    TestSet("mitdb_ds2_50_asked", MITDB, "mitdb_ds2", budget=QUERIED_50),
    TestSet("mitdb_ds2_50_left_out", MITDB, "mitdb_ds2", budget=QUERIED_50, fine_tuned=False),
    TestSet("icentia11k", ICENTIA),
)


def records_of(test: TestSet, databases: Path) -> list[str]:
    """Names of the records of a test set."""
    listed = HERE / "splits" / f"{test.split}.txt" if test.split else databases / test.database / "RECORDS"
    return [name for name in listed.read_text().split() if name not in test.left_out]


def judge(test: TestSet, name: str, model: Model, databases: Path) -> RecordEvaluation:
    """One record of a test set."""
    record: Record = read_record(databases / test.database / name)
    if test.snr_db is not None:
        record = with_noise(record, read_record(databases / NSTDB / "em"), snr_db=test.snr_db)
    return evaluate_record(record, model, lead=test.lead, budget=test.budget, fine_tuned=test.fine_tuned)


def _budget_json(budget: LabelBudget) -> dict[str, float]:
    """A label budget by the keys of the metrics file."""
    return {"n_first": budget.n_first, "first_s": budget.first_s, "n_asked": budget.n_queried}


def main() -> None:
    """Judge each set once, print and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", default=DEFAULT_MODEL.stem)
    parser.add_argument("--databases", type=Path, default=os.environ.get("ECG_DATABASES"))
    parser.add_argument("--sets", help="only these, by key, with commas; the others' figures are dropped")
    options = parser.parse_args()
    if options.databases is None:
        parser.error("name the folder of the databases with --databases or ECG_DATABASES")
    model = load_model(HERE / f"{options.name}.pt")
    wanted = options.sets.split(",") if options.sets else [test.key for test in SETS]
    chosen = [test for test in SETS if test.key in wanted]
    judged: dict[tuple[Any, ...], RecordEvaluation] = {}
    metrics: dict[str, Any] = {}
    began = time.monotonic()
    for number, test in enumerate(chosen):
        records = []
        for name in records_of(test, options.databases):
            how = (test.database, test.lead, test.snr_db, test.budget, test.fine_tuned, name)
            if how not in judged:
                judged[how] = judge(test, name, model, options.databases)
            records.append(judged[how])
        result = Evaluation(test.database, test.lead, model.spec.name, model.spec.sha256, tuple(records))
        print(f"\n=== {test.key}\n{report_text(result)}", flush=True)
        metrics[test.key] = {
            "split": test.split,
            "left_out": list(test.left_out),
            "snr_db": test.snr_db,
            "told": _budget_json(test.budget),
            "taught": test.fine_tuned,
            **summarise(result),
        }
        print(f"{number + 1} of {len(chosen)} sets, {time.monotonic() - began:.0f} s", flush=True)
    path = HERE / f"{options.name}.metrics.json"
    path.write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
