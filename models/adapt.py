"""Adapt the source model to another recorder: ``ECG_DATABASES=... python models/adapt.py [svdb|incartdb|DIR]``.

Fine-tunes on the target's adaptation records with the source's own records in between, and chooses the detection
threshold and the class bias on the target's validation patients. Then fine-tunes again, by the same plan, on both, and
saves that with what was chosen. Of a folder of WFDB records every fifth is for validation. Records without annotations
teach themselves; ``--unlabelled`` does so with all, ``--own`` with the test records' own signals (transductive). Goes
on where it left off when it was stopped.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from train import MITDB, NSTDB, load_noise, load_records, read_split

from ecg_core.classifier.model import Model, load_model, save_model
from ecg_core.records import find_records, read_record
from ecg_core.schema import ModelSpec
from ecg_core.training.adaptation import PLAN, adapt
from ecg_core.training.calibration import calibrate
from ecg_core.training.fit import FitPlan

VERSIONS = {"svdb": "1.0.0", "incartdb": "1.0.0"}
EVERY = 5  # of a folder of one's own
LABELS, SIGNALS, OWN = "", " --unlabelled", " --own"  # what the target tells


def target_names(target: str, databases: Path) -> tuple[Path, list[str], list[str]]:
    """Folder, adaptation and validation records of a target."""
    if target not in VERSIONS:
        names = [path.name for path in find_records(Path(target))]
        return Path(target), [name for i, name in enumerate(names) if i % EVERY], names[::EVERY]
    held_out = read_split(f"{target}_validation")
    names = [name for name in read_split(f"{target}_adaptation") if name not in held_out]
    return databases / target / VERSIONS[target], names, held_out


def main() -> None:
    """Fine-tune, choose, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="?", default="svdb", help="svdb, incartdb, or a folder of WFDB records")
    parser.add_argument("--databases", type=Path, default=os.environ.get("ECG_DATABASES"))
    parser.add_argument("--source", default="source", help="the model to start from")
    parser.add_argument("--name", default="adapted")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=PLAN.steps)
    parser.add_argument("--unlabelled", action="store_true", help="do not look at the adaptation records' labels")
    parser.add_argument("--own", action="store_true", help="adapt to the test records' own signals, without labels")
    parser.add_argument("--runs", type=Path, default=HERE.parent / "runs", help="where checkpoints are kept")
    options = parser.parse_args()
    if options.databases is None:
        parser.error("name the folder of the databases with --databases or ECG_DATABASES")
    options.runs.mkdir(exist_ok=True)
    model = fine_tuned(
        load_model(HERE / f"{options.source}.pt"),
        options.target,
        options.databases,
        plan=replace(PLAN, steps=options.steps, seed=options.seed),
        checkpoint=options.runs / f"{options.name}.ckpt",
        told=OWN if options.own else SIGNALS if options.unlabelled else LABELS,
    )
    save_model(HERE / f"{options.name}.pt", replace(model, spec=replace(model.spec, name=options.name)))


def fine_tuned(
    source: Model,
    target: str,
    databases: Path,
    *,
    plan: FitPlan,
    checkpoint: Path,
    told: str = LABELS,
    chosen: ModelSpec | None = None,
) -> Model:
    """Adapt a model to a target.

    If labels may be looked at, threshold and bias are chosen with a network that has not seen the validation patients,
    and are served with one that has; unless they were ``chosen`` before.
    """
    folder, names, held_out = target_names(target, databases)
    noise, rehearsed = load_noise(databases / NSTDB), load_records(databases / MITDB, read_split("mitdb_ds1"))

    def fitted(stage: str, names: list[str]) -> Model:
        records = [read_record(folder / name) for name in names]
        return adapt(
            source,
            records if told == LABELS else [replace(record, reference=None) for record in records],
            noise=noise,
            rehearsed=rehearsed,
            plan=plan,
            checkpoint=checkpoint.with_name(f"{checkpoint.stem}-{stage}.ckpt"),
            report=lambda step, loss, left_s: print(
                f"{stage}: step {step} of {plan.steps}, loss {loss:.4f}, {left_s / 60:.1f} min left", flush=True
            ),
        )

    read = [read_record(folder / name) for name in held_out] if told == LABELS else []
    validation = [record for record in read if record.reference]
    if validation and chosen is None:
        chosen = calibrate(fitted("held-out", names), validation, report=lambda line: print(line, flush=True)).spec
    chosen = chosen or source.spec
    taught = read_split(f"{target}_test") if told == OWN else sorted([*names, *held_out])
    spec = replace(
        source.spec,
        sha256="",
        detection_threshold=chosen.detection_threshold,
        class_bias=chosen.class_bias,
        seed=plan.seed,
        trained_on=(*source.spec.trained_on, *(f"{target}/{name}" for name in taught)),
        validated_on=tuple(f"{target}/{record.record_id}" for record in validation) or source.spec.validated_on,
        recipe=f"{source.spec.recipe}; python models/adapt.py {target}{told}",
    )
    return Model(spec, fitted("all", taught).network)


if __name__ == "__main__":
    main()
