"""How far the figures depend on chance: ``ECG_DATABASES=... python models/seeds.py``.

Fits the source model anew with each of SEEDS, adapts each to svdb, and measures both as ``evaluate.py`` does.
Thresholds and biases are those that were chosen with seed 0. Writes ``seeds.metrics.json``; the weights stay beside the
checkpoints. Goes on where it left off when it was stopped, and begins anew when other models are shipped.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from adapt import fine_tuned
from evaluate import SETS, judge, records_of
from train import MITDB, NSTDB, fit_stage, load_noise, load_records, read_split
from train import PLAN as SOURCE_PLAN

from ecg_core.classifier.model import Model, load_model, save_model
from ecg_core.classifier.spec import read_spec
from ecg_core.evaluation.evaluate import Evaluation
from ecg_core.evaluation.summary import summarise
from ecg_core.training.adaptation import PLAN as ADAPT_PLAN

SEEDS = (1, 2, 3, 4)  # beside 0, the one that is shipped
SET_KEYS = (
    "mitdb_ds2", "mitdb_ds2_without_232", "mitdb_ds2_noise_12db", "mitdb_ds2_noise_6db", "svdb_test",
    "svdb_test_all_leads", "icentia11k",
)  # fmt: skip
OUT = HERE / "seeds.metrics.json"


def source_of(seed: int, databases: Path, runs: Path) -> Model:
    """The source model with another seed, fitted to all patients of DS1; that of an earlier run if there is one."""
    path = runs / f"source-s{seed}.pt"
    if path.is_file():
        return load_model(path)
    spec = replace(read_spec(HERE / "source.pt"), name=path.stem, seed=seed)
    records = load_records(databases / MITDB, read_split("mitdb_ds1"))
    plan = replace(SOURCE_PLAN, seed=seed)
    return save_model(path, Model(spec, fit_stage("all", records, load_noise(databases / NSTDB), spec, plan, runs)))


def adapted_of(seed: int, source: Model, databases: Path, runs: Path) -> Model:
    """The same adapted to svdb."""
    path = runs / f"adapted-s{seed}.pt"
    if path.is_file():
        return load_model(path)
    plan, checkpoint = replace(ADAPT_PLAN, seed=seed), path.with_suffix(".ckpt")
    chosen = read_spec(HERE / "adapted.pt")
    model = fine_tuned(source, "svdb", databases, plan=plan, checkpoint=checkpoint, chosen=chosen)
    return save_model(path, replace(model, spec=replace(model.spec, name=path.stem)))


def measured(model: Model, databases: Path) -> dict[str, Any]:
    """Figures on detected beats of each set, gross over its records."""
    figures = {}
    for test in SETS:
        if test.key in SET_KEYS:
            records = tuple(judge(test, name, model, databases) for name in records_of(test, databases))
            result = summarise(Evaluation(test.database, test.lead, model.spec.name, model.spec.sha256, records))
            figures[test.key] = result["detected_beats"]["gross"]
            print(f"{model.spec.name}, {test.key}: V F1 {figures[test.key]['v_f1']}", flush=True)
    return figures


def main() -> None:
    """Fit, adapt and measure seed by seed; what is measured is kept at once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--databases", type=Path, default=os.environ.get("ECG_DATABASES"))
    parser.add_argument("--seeds", type=lambda text: [int(part) for part in text.split(",")], default=SEEDS)
    parser.add_argument("--runs", type=Path, default=HERE.parent / "runs", help="where weights are kept")
    options = parser.parse_args()
    if options.databases is None:
        parser.error("name the folder of the databases with --databases or ECG_DATABASES")
    shipped = {kind: read_spec(HERE / f"{kind}.pt").sha256 for kind in ("source", "adapted")}
    runs = options.runs / f"seeds-{shipped['adapted'][:12]}"
    runs.mkdir(parents=True, exist_ok=True)
    known: dict[str, dict[str, Any]] = json.loads(OUT.read_text(encoding="utf-8")) if OUT.is_file() else {}
    if known.get("shipped") != shipped:
        known = {"shipped": shipped, "figures": {}}
    for seed in options.seeds:
        source = source_of(seed, options.databases, runs)
        adapted = adapted_of(seed, source, options.databases, runs)
        for kind, model in (("source", source), ("adapted", adapted)):
            by_seed = known["figures"].setdefault(kind, {})
            if str(seed) not in by_seed:
                by_seed[str(seed)] = measured(model, options.databases)
                OUT.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
