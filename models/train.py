"""Train the source model on mitdb DS1: ``ECG_DATABASES=... python -m models.train``.

First the network is fitted to the DS1 patients that are not held out. Detection threshold and class bias are chosen on
those that are, and on svdb's validation records: five patients alone do not show where the classes part. Then it is
fitted again, by the same plan, to all patients of DS1, and saved with the chosen numbers. DS2 and svdb's test records
are not touched. A run that was stopped goes on where it was.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from ecg_core.adaptation.source import read_noise
from ecg_core.classifier.model import Model
from ecg_core.classifier.network import BeatNetwork
from ecg_core.classifier.weights import save_model, torch_model
from ecg_core.labels import CLASSES
from ecg_core.records import read_record
from ecg_core.schema import Float32, ModelSpec
from ecg_core.signals.filters import FS_HZ
from ecg_core.training.calibration import calibrate
from ecg_core.training.fit import fit
from ecg_core.training.plan import FitPlan
from ecg_core.training.preparation import TrainingRecord
from models.command import RUNS, parse, parser_of, print_line, print_progress
from models.databases import FOLDER, MITDB, NSTDB, SVDB, load_records, read_split

SPEC = ModelSpec(
    name="source",
    fs_hz=FS_HZ,
    stride=4,  # 32 ms per frame: finer than a P wave, and four times cheaper than a frame per sample
    stem_channels=24,
    channels=(32, 48, 64),
    token_size=96,
    heads=4,  # P, QRS, T and what lies between
    attention_half_s=0.5,  # P wave before, T wave after
    hidden_size=96,
    classes=CLASSES,
    detection_threshold=0.5,
    class_bias=(0.0,) * len(CLASSES),
    trained_on=(),
    validated_on=(),
    seed=0,
    recipe="python -m models.train",
)
PLAN = FitPlan(steps=3000)


def fit_stage(
    stage: str, records: list[TrainingRecord], *, noise: Float32, spec: ModelSpec, plan: FitPlan, runs: Path
) -> BeatNetwork:
    """Fit a new network, with a checkpoint and lines of progress."""
    torch.manual_seed(plan.seed)
    network = BeatNetwork(spec).to("cuda" if torch.cuda.is_available() else "cpu")
    checkpoint, report = runs / f"{spec.name}-{stage}.ckpt", print_progress(stage, plan.steps)
    return fit(network, records, noise=noise, spec=spec, plan=plan, checkpoint=checkpoint, report=report).cpu()


def train(databases: Path, spec: ModelSpec, *, plan: FitPlan, runs: Path) -> Model:
    """Fit, choose threshold and bias, fit again."""
    names, held_out, others = (read_split(name) for name in ("mitdb_ds1", "mitdb_ds1_validation", "svdb_validation"))
    mitdb, svdb, noise = databases / MITDB, databases / SVDB, read_noise(databases / NSTDB)

    fitted = load_records(mitdb, [name for name in names if name not in held_out])
    network = fit_stage("held-out", fitted, noise=noise, spec=spec, plan=plan, runs=runs)
    validation = [*(read_record(mitdb / name) for name in held_out), *(read_record(svdb / name) for name in others)]
    chosen = calibrate(torch_model(spec, network), validation, report=print_line).spec

    network = fit_stage("all", load_records(mitdb, names), noise=noise, spec=spec, plan=plan, runs=runs)
    validated = (*(f"mitdb/{name}" for name in held_out), *(f"svdb/{name}" for name in others))
    trained = tuple(f"mitdb/{name}" for name in names)
    return torch_model(replace(chosen, trained_on=trained, validated_on=validated), network)


def main() -> None:
    """Train and save."""
    parser = parser_of(__doc__)
    parser.add_argument("--name", default=SPEC.name)
    parser.add_argument("--seed", type=int, default=SPEC.seed)
    parser.add_argument("--steps", type=int, default=PLAN.steps)
    parser.add_argument("--runs", type=Path, default=RUNS, help="where checkpoints are kept")
    options = parse(parser)
    options.runs.mkdir(exist_ok=True)
    plan = replace(PLAN, steps=options.steps, seed=options.seed)
    spec = replace(SPEC, name=options.name, seed=options.seed)
    save_model(FOLDER / f"{options.name}.pt", train(options.databases, spec, plan=plan, runs=options.runs))


if __name__ == "__main__":
    main()
