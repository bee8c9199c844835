"""Adapt the source model to another recorder: ``ECG_DATABASES=... python models/adapt.py [svdb|incartdb|DIR]``.

Fine-tunes on the target's adaptation records with the source's own records in between, then chooses the detection
threshold and the class bias on the target's validation patients. Of a folder of WFDB records every fifth is for
validation. Records without annotations teach themselves; ``--unlabelled`` does so with all, ``--own`` with the test
records' own signals (transductive). Goes on where it left off when it was stopped.
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

from ecg_core.adaptation import PLAN, adapt
from ecg_core.calibration import calibrate
from ecg_core.inference import Model, load_model, save_model
from ecg_core.records import find_records, read_record
from ecg_core.training import FitPlan

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
    source: Model, target: str, databases: Path, *, plan: FitPlan, checkpoint: Path, told: str = LABELS
) -> Model:
    """Adapt a model to a target, and choose threshold and bias if labels may be looked at."""
    folder, names, held_out = target_names(target, databases)
    if told == OWN:
        names = read_split(f"{target}_test")
    records = [read_record(folder / name) for name in names]
    if told != LABELS:
        records = [replace(record, reference=None) for record in records]
    adapted = adapt(
        source,
        records,
        noise=load_noise(databases / NSTDB),
        rehearsed=load_records(databases / MITDB, read_split("mitdb_ds1")),
        plan=plan,
        checkpoint=checkpoint,
        report=lambda step, loss, left_s: print(
            f"step {step} of {plan.steps}, loss {loss:.4f}, {left_s / 60:.1f} min left", flush=True
        ),
    )
    validation = [record for record in (read_record(folder / name) for name in held_out) if record.reference]
    if validation and told == LABELS:
        adapted = calibrate(adapted, validation, report=lambda line: print(line, flush=True))
        validated_on = tuple(f"{target}/{record.record_id}" for record in validation)
    else:
        validated_on = source.spec.validated_on
    spec = replace(
        adapted.spec,
        seed=plan.seed,
        trained_on=(*source.spec.trained_on, *(f"{target}/{name}" for name in names)),
        validated_on=validated_on,
        recipe=f"{source.spec.recipe}; python models/adapt.py {target}{told}",
    )
    return Model(spec, adapted.network)


if __name__ == "__main__":
    main()
