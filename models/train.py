"""Train the source model on mitdb DS1: ``ECG_DATABASES=... python models/train.py``.

First fits the network to the DS1 patients that are not held out, and chooses the detection threshold and the class
bias on those that are and on svdb's validation records: five patients alone cannot tell where the classes part. Then
fits it again, by the same plan, to all patients of DS1, and saves that with what was chosen. DS2 is not touched, nor
svdb's test records. Goes on where it left off when it was stopped.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ecg_core.classifier.model import Model, save_model
from ecg_core.classifier.network import BeatNetwork
from ecg_core.evaluation.noise_stress import TEST_FRACTION
from ecg_core.labels import CLASSES
from ecg_core.records import read_record
from ecg_core.schema import Float32, ModelSpec
from ecg_core.signals.filters import FS_HZ, clean_leads
from ecg_core.training.augmentation import TrainingRecord
from ecg_core.training.calibration import calibrate
from ecg_core.training.fit import FitPlan, fit, prepare_record

HERE = Path(__file__).resolve().parent
NOISES = ("em", "em", "ma", "bw")  # electrode motion twice as often: of all noise it looks most like beats
MITDB, SVDB, NSTDB = "mitdb/1.0.0", "svdb/1.0.0", "nstdb/1.0.0"

SPEC = ModelSpec(
    name="source",
    fs_hz=FS_HZ,
    stride=4,  # 32 ms a frame: finer than a P wave, and four times cheaper than a frame a sample
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
    recipe="python models/train.py",
)
PLAN = FitPlan(steps=3000)


def read_split(name: str) -> list[str]:
    """Record names of a split."""
    return (HERE / "splits" / f"{name}.txt").read_text().split()


def load_records(folder: Path, names: list[str]) -> list[TrainingRecord]:
    """Records of a database, ready for training."""
    return [prepare_record(read_record(folder / name), f"{folder.parent.name}/{name}") for name in names]


def load_noise(folder: Path) -> Float32:
    """nstdb's noise at 125 Hz, shape (n_channels, n), each channel of unit power, without what the stress test adds."""
    channels = []
    for name in NOISES:
        record = read_record(folder / name)
        raw = record.source.read(int(TEST_FRACTION * record.n_samples), record.n_samples, (0, 1))
        channels += [channel / channel.std() for channel in clean_leads(raw, record.fs_hz).signal_mv]
    return np.stack(channels)


def fit_stage(
    stage: str, records: list[TrainingRecord], noise: Float32, spec: ModelSpec, plan: FitPlan, runs: Path
) -> BeatNetwork:
    """Fit a fresh network, with a checkpoint and a line of progress."""
    torch.manual_seed(plan.seed)
    return fit(
        BeatNetwork(spec).to("cuda" if torch.cuda.is_available() else "cpu"),
        records,
        noise,
        spec,
        plan,
        checkpoint=runs / f"{spec.name}-{stage}.ckpt",
        report=lambda step, loss, left_s: print(
            f"{stage}: step {step} of {plan.steps}, loss {loss:.4f}, {left_s / 60:.1f} min left", flush=True
        ),
    ).cpu()


def main() -> None:
    """Fit, choose, fit again, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--databases", type=Path, default=os.environ.get("ECG_DATABASES"))
    parser.add_argument("--name", default=SPEC.name)
    parser.add_argument("--seed", type=int, default=SPEC.seed)
    parser.add_argument("--steps", type=int, default=PLAN.steps)
    parser.add_argument("--runs", type=Path, default=HERE.parent / "runs", help="where checkpoints are kept")
    options = parser.parse_args()
    if options.databases is None:
        parser.error("name the folder of the databases with --databases or ECG_DATABASES")
    options.runs.mkdir(exist_ok=True)
    all_names, held_out = read_split("mitdb_ds1"), read_split("mitdb_ds1_validation")
    folder, noise = options.databases / MITDB, load_noise(options.databases / NSTDB)
    plan = replace(PLAN, steps=options.steps, seed=options.seed)
    spec = replace(SPEC, name=options.name, seed=options.seed)

    fitted = load_records(folder, [name for name in all_names if name not in held_out])
    network = fit_stage("held-out", fitted, noise, spec, plan, options.runs)
    others = read_split("svdb_validation")
    validation = [read_record(folder / name) for name in held_out]
    validation += [read_record(options.databases / SVDB / name) for name in others]
    chosen = calibrate(Model(spec, network), validation, report=lambda line: print(line, flush=True)).spec

    network = fit_stage("all", load_records(folder, all_names), noise, spec, plan, options.runs)
    spec = replace(
        chosen,
        trained_on=tuple(f"mitdb/{name}" for name in all_names),
        validated_on=(*(f"mitdb/{name}" for name in held_out), *(f"svdb/{name}" for name in others)),
    )
    save_model(HERE / f"{options.name}.pt", Model(spec, network))


if __name__ == "__main__":
    main()
