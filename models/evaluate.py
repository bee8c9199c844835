"""Measure a shipped model on its test sets: ``ECG_DATABASES=... python models/evaluate.py [NAME]``.

Writes ``<name>.metrics.json`` beside the weights, which the About page reads; ``card.py`` puts it into the README.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from ecg_core.evaluation import Evaluation, RecordEvaluation, evaluate, report_text, summarise
from ecg_core.inference import load_model

MITDB, SVDB = "mitdb/1.0.0", "svdb/1.0.0"
# (key, database, split, lead, records left out): 201 and 202 are one person, and 201 is in DS1;
# three quarters of DS2's S beats lie in 232.
SETS = (
    ("mitdb_ds2", MITDB, "mitdb_ds2", "first", ()),
    ("mitdb_ds2_without_202", MITDB, "mitdb_ds2", "first", ("202",)),
    ("mitdb_ds2_without_232", MITDB, "mitdb_ds2", "first", ("232",)),
    ("mitdb_ds2_all_leads", MITDB, "mitdb_ds2", "all", ()),
    ("svdb_test", SVDB, "svdb_test", "first", ()),
    ("svdb_test_all_leads", SVDB, "svdb_test", "all", ()),
)


def main() -> None:
    """Judge each set once, print and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", default="source")
    parser.add_argument("--databases", type=Path, default=os.environ.get("ECG_DATABASES"))
    options = parser.parse_args()
    if options.databases is None:
        parser.error("name the folder of the databases with --databases or ECG_DATABASES")
    model = load_model(HERE / f"{options.name}.pt")
    judged: dict[tuple[str, str, str], RecordEvaluation] = {}
    metrics: dict[str, Any] = {}
    for key, database, split, lead, left_out in SETS:
        names = [name for name in (HERE / "splits" / f"{split}.txt").read_text().split() if name not in left_out]
        new = [name for name in names if (database, lead, name) not in judged]
        result = evaluate([options.databases / database / name for name in new], model, database=database, lead=lead)
        judged |= {(database, lead, name): record for name, record in zip(new, result.records, strict=True)}
        records = tuple(judged[database, lead, name] for name in names)
        result = Evaluation(database, lead, model.spec.name, model.spec.sha256, records)
        print(f"\n=== {key}\n{report_text(result)}", flush=True)
        metrics[key] = {"split": split, "left_out": list(left_out), **summarise(result)}
    path = HERE / f"{options.name}.metrics.json"
    path.write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
