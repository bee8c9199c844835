"""Make the shipped model ``adapted``: ``ECG_DATABASES=... python -m models.adapt svdb``.

To a recorder of one's own a model is adapted by ``ecg adapt``. This recipe fine-tunes the source model on svdb's
adaptation records with the source's records in between, and chooses detection threshold and class bias on svdb's
validation patients. Then it fine-tunes again, by the same plan, on both, and saves that with the chosen numbers.
``--unlabelled`` learns all of them with pseudo-labels, ``--own`` the signals of the test records themselves
(transductive); both need another name. A run that was stopped goes on where it was.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path

from ecg_core.adaptation.source import read_noise
from ecg_core.classifier.model import Model, load_model
from ecg_core.classifier.weights import save_model, torch_model
from ecg_core.records import read_record
from ecg_core.schema import ModelSpec
from ecg_core.training.adaptation import PLAN, adapt
from ecg_core.training.calibration import calibrate
from ecg_core.training.plan import FitPlan
from models.command import RUNS, parse, parser_of, print_line, print_progress
from models.databases import FOLDER, MITDB, NSTDB, SVDB, load_records, read_split

ADAPTED = "adapted"  # the shipped model that this recipe makes
TARGET = "svdb"


class Supervision(StrEnum):
    """What the target gives, by the option that the recipe notes."""

    LABELS = ""
    SIGNALS = " --unlabelled"  # of the adaptation records
    TEST_SIGNALS = " --own"  # of the test records


def fine_tune(
    source: Model,
    *,
    databases: Path,
    plan: FitPlan,
    checkpoint: Path,
    supervision: Supervision = Supervision.LABELS,
    chosen: ModelSpec | None = None,
) -> Model:
    """Adapt a model to svdb.

    With labels, threshold and bias are chosen with a network that was not fitted to the validation patients, and are
    saved with one that was; unless they were ``chosen`` before.
    """
    folder, held_out = databases / SVDB, read_split(f"{TARGET}_validation")
    names = [name for name in read_split(f"{TARGET}_adaptation") if name not in held_out]
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

    validation = [read_record(folder / name) for name in held_out] if supervision == Supervision.LABELS else []
    if validation and chosen is None:
        chosen = calibrate(fit_stage("held-out", names), validation, report=print_line).spec
    fitted = read_split(f"{TARGET}_test") if supervision == Supervision.TEST_SIGNALS else sorted([*names, *held_out])
    chosen = chosen or source.spec
    spec = replace(
        source.spec,
        sha256="",
        calibration=(),
        detection_threshold=chosen.detection_threshold,
        class_bias=chosen.class_bias,
        seed=plan.seed,
        trained_on=(*source.spec.trained_on, *(f"{TARGET}/{name}" for name in fitted)),
        validated_on=tuple(f"{TARGET}/{record.record_id}" for record in validation) or source.spec.validated_on,
        recipe=f"{source.spec.recipe}; python -m models.adapt {TARGET}{supervision}",
    )
    return torch_model(spec, fit_stage("all", fitted).network)


def main() -> None:
    """Adapt and save."""
    parser = parser_of(__doc__)
    parser.add_argument("target", nargs="?", choices=(TARGET,), default=TARGET, help="the recorder")
    parser.add_argument("--source", default="source", help="the model to start from")
    parser.add_argument("--name", default="", help="of the new model (adapted)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=PLAN.steps)
    parser.add_argument("--unlabelled", action="store_true", help="do not use the labels of the adaptation records")
    parser.add_argument("--own", action="store_true", help="adapt to the signals of the test records, without labels")
    parser.add_argument("--runs", type=Path, default=RUNS, help="where checkpoints are kept")
    options = parse(parser)
    if (options.unlabelled or options.own) and options.name in ("", ADAPTED):
        parser.error(f"--unlabelled and --own make another model than {ADAPTED}: give it a name with --name")
    name = options.name or ADAPTED
    options.runs.mkdir(exist_ok=True)
    supervision = Supervision.SIGNALS if options.unlabelled else Supervision.LABELS
    model = fine_tune(
        load_model(FOLDER / f"{options.source}.pt"),
        databases=options.databases,
        plan=replace(PLAN, steps=options.steps, seed=options.seed),
        checkpoint=options.runs / f"{name}.ckpt",
        supervision=Supervision.TEST_SIGNALS if options.own else supervision,
    )
    save_model(FOLDER / f"{name}.pt", replace(model, spec=replace(model.spec, name=name)))


if __name__ == "__main__":
    main()
