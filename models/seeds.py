"""How far the figures depend on chance: ``ECG_DATABASES=... python -m models.seeds``.

Fits the source model with each of SEEDS, adapts each to svdb, and measures both as ``models.evaluate`` does, with the
thresholds and biases that were chosen with seed 0. Writes ``seeds.metrics.json``; the weights stay beside the
checkpoints. A run that was stopped goes on where it was; other shipped models begin a new one.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ecg_core.adaptation.source import read_noise
from ecg_core.classifier.model import Model, load_model
from ecg_core.classifier.spec import read_spec
from ecg_core.classifier.weights import save_model, torch_model
from ecg_core.evaluation.evaluate import Evaluation
from ecg_core.evaluation.summary import summarise
from ecg_core.files import write_json
from ecg_core.training.adaptation import PLAN as ADAPTATION_PLAN
from models.adapt import fine_tune
from models.command import RUNS, parse, parser_of, print_line, read_json
from models.databases import FOLDER, MITDB, NSTDB, load_records, read_split
from models.evaluate import SETS, evaluate_in_set, record_names
from models.train import PLAN as SOURCE_PLAN
from models.train import fit_stage

SEEDS = (1, 2, 3, 4)  # beside 0, the one that is shipped
SET_KEYS = (
    "mitdb_ds2", "mitdb_ds2_without_232", "mitdb_ds2_noise_12db", "mitdb_ds2_noise_6db", "svdb_test",
    "svdb_test_all_leads", "icentia11k",
)  # fmt: skip
OUT = FOLDER / "seeds.metrics.json"


def fit_source(seed: int, *, databases: Path, runs: Path) -> Model:
    """The source model with another seed, fitted to all patients of DS1; that of an earlier run if there is one."""
    path = runs / f"source-s{seed}.pt"
    if path.is_file():
        return load_model(path)
    spec = replace(read_spec(FOLDER / "source.pt"), name=path.stem, seed=seed, calibration=())
    records, noise = load_records(databases / MITDB, read_split("mitdb_ds1")), read_noise(databases / NSTDB)
    plan = replace(SOURCE_PLAN, seed=seed)
    return save_model(path, torch_model(spec, fit_stage("all", records, noise=noise, spec=spec, plan=plan, runs=runs)))


def fit_adapted(seed: int, source: Model, *, databases: Path, runs: Path) -> Model:
    """A source model adapted to svdb with the same seed; that of an earlier run if there is one."""
    path = runs / f"adapted-s{seed}.pt"
    if path.is_file():
        return load_model(path)
    plan, checkpoint = replace(ADAPTATION_PLAN, seed=seed), path.with_suffix(".ckpt")
    chosen = read_spec(FOLDER / "adapted.pt")
    model = fine_tune(source, databases=databases, plan=plan, checkpoint=checkpoint, chosen=chosen)
    return save_model(path, replace(model, spec=replace(model.spec, name=path.stem)))


def measure_sets(model: Model, databases: Path) -> dict[str, Any]:
    """Figures on detected beats of each set, gross over its records."""
    figures = {}
    for test in (test for test in SETS if test.key in SET_KEYS):
        names = record_names(test, databases)
        records = tuple(evaluate_in_set(test, name, model=model, databases=databases) for name in names)
        result = summarise(Evaluation(test.database, test.lead, model.spec, records))
        figures[test.key] = result["detected_beats"]["gross"]
        print_line(f"{model.spec.name}, {test.key}: V F1 {figures[test.key]['v_f1']}")
    return figures


def main() -> None:
    """Fit, adapt and measure seed by seed; each result is kept at once."""
    parser = parser_of(__doc__)
    parser.add_argument("--seeds", type=lambda text: [int(part) for part in text.split(",")], default=SEEDS)
    parser.add_argument("--runs", type=Path, default=RUNS, help="where weights are kept")
    options = parse(parser)
    shipped = {kind: read_spec(FOLDER / f"{kind}.pt").sha256 for kind in ("source", "adapted")}
    runs = options.runs / f"seeds-{shipped['adapted'][:12]}"
    runs.mkdir(parents=True, exist_ok=True)
    known = read_json(OUT)
    if known.get("shipped") != shipped:
        known = {"shipped": shipped, "figures": {}}
    for seed in options.seeds:
        source = fit_source(seed, databases=options.databases, runs=runs)
        adapted = fit_adapted(seed, source, databases=options.databases, runs=runs)
        for kind, model in (("source", source), ("adapted", adapted)):
            by_seed = known["figures"].setdefault(kind, {})
            if str(seed) not in by_seed:
                by_seed[str(seed)] = measure_sets(model, options.databases)
                write_json(OUT, known)


if __name__ == "__main__":
    main()
