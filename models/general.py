"""Train the general model on every patient who is no test patient: ``ECG_DATABASES=... python -m models.general``.

It goes on from the adapted model, whose beats it keeps: fitted is the head that finds fibrillation. What classifies the
beats within their whole record is fitted after it, by ``models.second_stage``.
The patients of TRAINING are dealt out to FOLDS folds once and for all (``splits/general_folds.csv``, by ``--deal``).
``--fold K`` fits to the patients of the other folds, so that each patient is classified by a network that does not know
that patient: all choices are made on these. Without it the network is fitted to all of them, by the same plan. The
network of a fold goes on from one that was adapted without the fold. All of these know DS1's patients, so no choice is
made on them. A run that was stopped goes on where it was.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ecg_core.adaptation.source import read_noise
from ecg_core.classifier.leads import ALL
from ecg_core.classifier.model import Model, load_model, uncalibrated
from ecg_core.classifier.network import BeatNetwork
from ecg_core.classifier.spec import read_spec
from ecg_core.classifier.weights import save_model, torch_model
from ecg_core.evaluation.patients import patient_of
from ecg_core.labels import UNLABELLED
from ecg_core.pipeline import analyse
from ecg_core.records import read_record
from ecg_core.schema import ModelSpec, Record
from ecg_core.signals.filters import FS_HZ
from ecg_core.training.adaptation import PLAN as ADAPTATION_PLAN
from ecg_core.training.adaptation import adapt
from ecg_core.training.augmentation_config import AUGMENTATION
from ecg_core.training.fit import fit
from ecg_core.training.plan import FitPlan
from ecg_core.training.preparation import TrainingRecord, prepare_record
from models.command import RUNS, parse, parser_of, print_line, print_progress
from models.databases import (
    AFDB,
    AFPDB,
    AFTDB,
    CHALLENGE,
    FOLDER,
    LTAFDB,
    LTDB,
    LUDB,
    MITDB,
    NSTDB,
    QTDB,
    SVDB,
    listed_names,
    load_records,
    read_split,
)

NAME = "general"
FOLDS = 5
FOLDS_FILE = FOLDER / "splits" / "general_folds.csv"
FINDER = "source"  # the model that finds the beats of records that have no reference beats
NO_FIBRILLATION = ("sel16", "sel17")  # qtdb's records of nsrdb: people in sinus rhythm, some of it irregular
MARKED_AT_ONSET = "sele"  # qtdb's records of edb have their marks at the onset of the QRS
PLAN = FitPlan(
    steps=800,
    parts=("fibrillation",),
    augmentation=replace(AUGMENTATION, atrial=replace(AUGMENTATION.atrial, dominant_probability=0.15)),
)


@dataclass(frozen=True)
class Source:
    """A database of the training, and how often a patient of it is drawn beside one of mitdb."""

    folder: str
    weight: float
    splits: tuple[str, ...] = ()  # files of record names; by default all records of the database
    has_beats: bool = True  # otherwise it gives rhythms alone

    @property
    def name(self) -> str:
        """As in the names of records: "database/record"."""
        return self.folder.split("/")[0]


TRAINING = (
    Source(MITDB, 1.0, ("mitdb_ds1",)),
    Source(SVDB, 1.0, ("svdb_adaptation", "svdb_validation")),
    Source(QTDB, 0.5),  # nearly all of their beats are normal
    Source(LTDB, 2.0),  # long records of few patients with V of many shapes
    Source(LTAFDB, 1.0),
    Source(AFTDB, 0.1),  # minutes of fibrillation
    Source(AFDB, 0.6, has_beats=False),
    Source(AFPDB, 0.3, has_beats=False),
    Source(CHALLENGE, 0.06, has_beats=False),  # half minutes
    Source(LUDB, 0.02, has_beats=False),  # ten seconds
)


@dataclass(frozen=True)
class Dealt:
    """A record with its patient and the fold of the patient."""

    name: str  # "database/record"
    patient: str
    fold: int
    weight: float


def names_of(source: Source, databases: Path) -> list[str]:
    """Names of the records of a database that are trained on."""
    names = listed_names(databases, source.folder, source.splits)
    if source.folder != CHALLENGE:
        return names
    readable = challenge_rhythms(databases)
    return [name for name in names if name in readable]


def challenge_rhythms(databases: Path) -> dict[str, int]:
    """Of each readable record of the challenge whether it is in atrial fibrillation, 1 or 0."""
    with (databases / CHALLENGE / "REFERENCE.csv").open(encoding="utf-8") as file:
        return {name: int(rhythm == "A") for name, rhythm in csv.reader(file) if rhythm != "~"}


def deal(databases: Path) -> list[Dealt]:
    """Deal the patients of each database out to the folds, in an order drawn by seed 0."""
    rng = np.random.default_rng(0)
    fold: dict[str, int] = {}
    dealt: list[Dealt] = []
    for source in TRAINING:
        records = [read_record(databases / source.folder / name) for name in names_of(source, databases)]
        patients = [patient_of(source.folder, record) for record in records]
        for number, patient in enumerate(rng.permutation(sorted(set(patients) - set(fold)))):
            fold[str(patient)] = (number + len(dealt)) % FOLDS
        for record, patient in zip(records, patients, strict=True):
            weight = source.weight / patients.count(patient)
            dealt.append(Dealt(f"{source.name}/{record.record_id}", patient, fold[patient], round(weight, 4)))
    return dealt


def write_folds(dealt: list[Dealt]) -> None:
    """Write the table of the folds."""
    with FOLDS_FILE.open("w", encoding="utf-8", newline="\n") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("record", "patient", "fold", "weight"))
        writer.writerows((row.name, row.patient, row.fold, row.weight) for row in dealt)


def read_folds() -> list[Dealt]:
    """The table of the folds."""
    with FOLDS_FILE.open(encoding="utf-8") as file:
        rows = csv.DictReader(file)
        return [Dealt(row["record"], row["patient"], int(row["fold"]), float(row["weight"])) for row in rows]


def prepared(dealt: list[Dealt], databases: Path) -> Iterator[TrainingRecord]:
    """The records ready for training."""
    finder = uncalibrated(load_model(FOLDER / f"{FINDER}.pt"))
    source_of = {source.name: source for source in TRAINING}
    fibrillates = challenge_rhythms(databases)
    for row in dealt:
        database, name = row.name.split("/", 1)
        source = source_of[database]
        record = read_record(databases / source.folder / name)
        if source.has_beats:
            snapped = database == "qtdb" and name.startswith(MARKED_AT_ONSET)
            ready = prepare_record(record, row.name, snapped=snapped, weight=row.weight)
        else:
            ready = prepare_record(record, row.name, beats=found_beats(record, finder), weight=row.weight)
        if source.folder == AFPDB or (database == "qtdb" and name.startswith(NO_FIBRILLATION)):
            ready = replace(ready, in_af=np.zeros(len(ready.code), dtype=np.int64))
        if source.folder == CHALLENGE:
            ready = replace(ready, in_af=np.full(len(ready.code), fibrillates[name]))
        yield ready


def found_beats(record: Record, finder: Model) -> tuple[np.ndarray, np.ndarray]:
    """Beats of a record without reference beats: where a model finds them, of unknown class."""
    beats = analyse(record, finder, lead=ALL).beats
    return beats.time_s * FS_HZ, np.full(len(beats), UNLABELLED)


def adapted_without(fold: int | None, databases: Path, runs: Path) -> Model:
    """The adapted model that the fit goes on from; that of a fold is adapted anew without the fold's svdb records."""
    if fold is None:
        return load_model(FOLDER / "adapted.pt")
    path = runs / f"adapted-fold{fold}.pt"
    if path.is_file():
        return load_model(path)
    kept = [row.name.split("/")[1] for row in read_folds() if row.name.startswith("svdb/") and row.fold != fold]
    adapted = adapt(
        load_model(FOLDER / "source.pt"),
        [read_record(databases / SVDB / name) for name in kept],
        noise=read_noise(databases / NSTDB),
        rehearsed=load_records(databases / MITDB, read_split("mitdb_ds1")),
        plan=ADAPTATION_PLAN,
        checkpoint=path.with_suffix(".ckpt"),
        report=print_progress(path.stem, ADAPTATION_PLAN.steps),
    )
    return save_model(path, adapted)


def with_rhythm_head(network: BeatNetwork, spec: ModelSpec) -> BeatNetwork:
    """The same network with a new head for fibrillation."""
    torch.manual_seed(PLAN.seed)
    started = BeatNetwork(spec)
    started.load_state_dict(network.state_dict(), strict=False)
    return started.to("cuda" if torch.cuda.is_available() else "cpu")


def fold_name(fold: int | None) -> str:
    """Of the model that a fit makes."""
    return NAME if fold is None else f"{NAME}-fold{fold}"


def train(fold: int | None, *, databases: Path, plan: FitPlan, runs: Path) -> Model:
    """Fit to the patients of the other folds, or to all patients."""
    name, fitted = fold_name(fold), [row for row in read_folds() if row.fold != fold]
    print_line(f"{name}: {len(fitted)} records of {len({row.patient for row in fitted})} patients")
    shipped, adapted = read_spec(FOLDER / "adapted.pt"), adapted_without(fold, databases, runs)
    spec = replace(
        shipped,
        name=name,
        seed=plan.seed,
        finds_af=True,
        trained_on=tuple(row.name for row in fitted),
        validated_on=(),
        recipe=f"{shipped.recipe}; python -m models.general",
        sha256="",
        calibration=(),
        operating_points=(),
    )
    network = fit(
        with_rhythm_head(adapted.network, spec),
        list(prepared(fitted, databases)),
        noise=read_noise(databases / NSTDB),
        spec=spec,
        plan=plan,
        checkpoint=runs / f"{name}.ckpt",
        report=print_progress(name, plan.steps),
    )
    return torch_model(spec, network.cpu())


def main() -> None:
    """Deal the patients out, or fit and save."""
    parser = parser_of(__doc__)
    parser.add_argument("--deal", action="store_true", help="write the table of the folds")
    parser.add_argument("--fold", type=int, choices=range(FOLDS), help="the fold that is not fitted to")
    parser.add_argument("--steps", type=int, default=PLAN.steps)
    parser.add_argument("--seed", type=int, default=PLAN.seed)
    parser.add_argument("--runs", type=Path, default=RUNS, help="where checkpoints and the networks of folds are kept")
    options = parse(parser)
    if options.deal:
        write_folds(deal(options.databases))
        return
    options.runs.mkdir(exist_ok=True)
    plan = replace(PLAN, steps=options.steps, seed=options.seed)
    model = train(options.fold, databases=options.databases, plan=plan, runs=options.runs)
    save_model((FOLDER if options.fold is None else options.runs) / f"{model.spec.name}.pt", model)


if __name__ == "__main__":
    main()
