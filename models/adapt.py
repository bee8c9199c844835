"""Adapt the source model to another recorder: ``ECG_DATABASES=... python -m models.adapt [svdb|incartdb|DIR]``.

Fine-tunes on the target's adaptation records with the source's records in between, and chooses detection threshold and
class bias on the target's validation patients. Then fine-tunes again, by the same plan, on both, and saves that with
the chosen numbers. Of a folder of WFDB records every fifth is for validation. Records without annotations are learned
with pseudo-labels: ``--unlabelled`` does so with all records, ``--own`` with the signals of the test records themselves
(transductive). A run that was stopped goes on where it was.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path

from ecg_core.adaptation.source import read_noise
from ecg_core.classifier.model import Model, load_model
from ecg_core.classifier.weights import save_model, torch_model
from ecg_core.errors import ModelError
from ecg_core.records import find_records, read_record
from ecg_core.schema import ModelSpec, Record
from ecg_core.training.adaptation import PLAN, adapt
from ecg_core.training.calibration import calibrate
from ecg_core.training.plan import FitPlan
from models.command import RUNS, parse, parser_of, print_line, print_progress
from models.databases import FOLDER, INCARTDB, MITDB, NSTDB, SVDB, load_records, read_split
from models.tables import MODELS

TARGETS = {"svdb": SVDB, "incartdb": INCARTDB}  # targets that have splits
ADAPTED, ADAPTED_TO = "adapted", "svdb"  # the shipped model that this recipe makes, and its target
VALIDATION_STEP = 5  # of another folder every fifth record is for validation


class Supervision(StrEnum):
    """What the target gives, by the option that the recipe notes."""

    LABELS = ""
    SIGNALS = " --unlabelled"  # of the adaptation records
    TEST_SIGNALS = " --own"  # of the test records


def target_names(target: str, databases: Path) -> tuple[Path, list[str], list[str]]:
    """Folder, adaptation and validation records of a target."""
    if target not in TARGETS:
        names = [path.name for path in find_records(Path(target))]
        adaptation = [name for i, name in enumerate(names) if i % VALIDATION_STEP]
        return Path(target), adaptation, names[::VALIDATION_STEP]
    held_out = read_split(f"{target}_validation")
    names = [name for name in read_split(f"{target}_adaptation") if name not in held_out]
    return databases / TARGETS[target], names, held_out


def fine_tune_to(
    target: str,
    source: Model,
    *,
    databases: Path,
    plan: FitPlan,
    checkpoint: Path,
    supervision: Supervision = Supervision.LABELS,
    chosen: ModelSpec | None = None,
) -> Model:
    """Adapt a model to a target.

    With labels, threshold and bias are chosen with a network that was not fitted to the validation patients, and are
    saved with one that was; unless they were ``chosen`` before.
    """
    folder, names, held_out = target_names(target, databases)
    noise, rehearsed = read_noise(databases / NSTDB), load_records(databases / MITDB, read_split("mitdb_ds1"))

    def fit_stage(stage: str, names: list[str]) -> Model:
        records = [read_record(folder / name) for name in names]
        return adapt(
            source,
            records if supervision == Supervision.LABELS else [replace(record, reference=None) for record in records],
            noise=noise,
            rehearsed=rehearsed,
            plan=plan,
            checkpoint=checkpoint.with_name(f"{checkpoint.stem}-{stage}.ckpt"),
            report=print_progress(stage, plan.steps),
        )

    validation = validation_records(folder, held_out) if supervision == Supervision.LABELS else []
    if validation and chosen is None:
        chosen = calibrate(fit_stage("held-out", names), validation, report=print_line).spec
    fitted = read_split(f"{target}_test") if supervision == Supervision.TEST_SIGNALS else sorted([*names, *held_out])
    chosen = chosen or source.spec
    spec = replace(
        source.spec,
        sha256="",
        calibration=(),
        detection_threshold=chosen.detection_threshold,
        class_bias=chosen.class_bias,
        seed=plan.seed,
        trained_on=(*source.spec.trained_on, *(f"{target}/{name}" for name in fitted)),
        validated_on=tuple(f"{target}/{record.record_id}" for record in validation) or source.spec.validated_on,
        recipe=f"{source.spec.recipe}; python -m models.adapt {target}{supervision}",
    )
    return torch_model(spec, fit_stage("all", fitted).network)


def name_of(target: str, chosen: str) -> str:
    """Name of the model: as chosen, or by the target.

    Raises
    ------
    ModelError
        It is that of a shipped model, which only its own recipe replaces.

    """
    if target == ADAPTED_TO:
        return chosen or ADAPTED
    name = chosen or f"{ADAPTED}-{Path(target).resolve().name}"
    if name in MODELS:
        raise ModelError(
            f'"{name}" is a model that is shipped with the program, expected another name for one that is adapted to '
            f"{target}. Choose one with --name."
        )
    return name


def validation_records(folder: Path, names: list[str]) -> list[Record]:
    """Those of the records that have reference annotations."""
    return [record for record in (read_record(folder / name) for name in names) if record.reference]


def main() -> None:
    """Adapt and save."""
    parser = parser_of(__doc__)
    parser.add_argument("target", nargs="?", default="svdb", help="svdb, incartdb, or a folder of WFDB records")
    parser.add_argument("--source", default="source", help="the model to start from")
    parser.add_argument("--name", default="", help="of the new model (adapted; for another target adapted-TARGET)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=PLAN.steps)
    parser.add_argument("--unlabelled", action="store_true", help="do not use the labels of the adaptation records")
    parser.add_argument("--own", action="store_true", help="adapt to the signals of the test records, without labels")
    parser.add_argument("--runs", type=Path, default=RUNS, help="where checkpoints are kept")
    options = parse(parser)
    try:
        name = name_of(options.target, options.name)
    except ModelError as error:
        parser.error(str(error))
    options.runs.mkdir(exist_ok=True)
    supervision = Supervision.SIGNALS if options.unlabelled else Supervision.LABELS
    model = fine_tune_to(
        options.target,
        load_model(FOLDER / f"{options.source}.pt"),
        databases=options.databases,
        plan=replace(PLAN, steps=options.steps, seed=options.seed),
        checkpoint=options.runs / f"{name}.ckpt",
        supervision=Supervision.TEST_SIGNALS if options.own else supervision,
    )
    save_model(FOLDER / f"{name}.pt", replace(model, spec=replace(model.spec, name=name)))


if __name__ == "__main__":
    main()
