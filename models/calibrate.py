"""Calibrate the probabilities and the intervals of a model: ``ECG_DATABASES=... python -m models.calibrate [NAME]``.

Fits the numbers of ``ecg_core.certainty.Calibration`` to the patients of DATABASES, none of whom is a test patient, and
writes them into the spec beside the weights, which stay as they are; and what they are worth, cross-validated over
the patients, into ``NAME.calibration.json``. Most of these patients are new to the weights.
Those that the weights were fitted to flatter the model; where an earlier model did not know them, its errors
count as much as those of the later one.
"""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ecg_core.certainty import Calibration
from ecg_core.classifier.leads import ALL, FIRST
from ecg_core.classifier.model import Model, load_model, save_spec, uncalibrated
from ecg_core.classifier.spec import DEFAULT_MODEL
from ecg_core.evaluation.evaluate import reference_of
from ecg_core.evaluation.patients import patient_of
from ecg_core.evaluation.reliability import BurdenInterval, Trust, said_and_right, summarise_trust
from ecg_core.files import write_json
from ecg_core.labels import CLASSES
from ecg_core.pipeline import analyse
from ecg_core.records import read_record
from ecg_core.rhythm.uncertainty import calibrate_probabilities, count_interval
from ecg_core.schema import Analysis
from ecg_core.training.reliability import CalibrationRecord, calibration_record, fit_scaling, fit_spread
from models.command import add_fold_networks, parse, parser_of, print_line
from models.cross_validate import fold_judges
from models.databases import AFTDB, FOLDER, LTAFDB, LTDB, MITDB, QTDB, SVDB, listed_names

EARLIER = "source"  # the model that others were adapted from
DECIMALS = 4
FOLDS = 5  # of the patients, for cross-validation


@dataclass(frozen=True)
class PatientSet:
    """Records that a model is calibrated on."""

    folder: str
    splits: tuple[str, ...] = ()  # files of record names; by default all records of the database


@dataclass(frozen=True, eq=False)
class AnalysedRecord:
    """A record of a patient, as a model that is not calibrated classifies it."""

    database: str  # that the patient belongs to
    patient: str
    analysis: Analysis
    weight: float = 1.0  # less than 1 where another one stands for the same beats


DATABASES = (
    PatientSet(QTDB),
    PatientSet(LTDB),
    PatientSet(LTAFDB),
    PatientSet(AFTDB),
    PatientSet(SVDB, ("svdb_adaptation", "svdb_validation")),
    PatientSet(MITDB, ("mitdb_ds1",)),
)


@dataclass(frozen=True, eq=False)
class Judges:
    """A model with those that classify a record in its place, where it knows the patient."""

    path: Path  # of the model's weights
    model: Model
    earlier: Model
    folds: Mapping[str, Model]  # of a cross-validated model, by "database/record"


def parse_judges(text: str | None) -> tuple[Namespace, Judges]:
    """The options of a command that judges the patients of DATABASES, and the models that it names."""
    parser = parser_of(text)
    parser.add_argument("name", nargs="?", default=DEFAULT_MODEL.stem)
    add_fold_networks(parser)
    options = parse(parser)
    path = FOLDER / f"{options.name}.pt"
    model, earlier = load_model(path), load_model(FOLDER / f"{EARLIER}.pt")
    return options, Judges(path, model, earlier, fold_judges(options.name, options.runs))


def analysed_records(judges: Judges, lead: str, databases: Path, *, only_new: bool = False) -> Iterator[AnalysedRecord]:
    """The records of DATABASES as the model classifies them, and as the earlier one does where only that is new to one.

    Parameters
    ----------
    lead
        FIRST or ALL.
    only_new
        Only those that the model which classifies them, and the earlier one, were not fitted to.

    """
    model, earlier, folds = judges.model, judges.earlier, judges.folds
    for chosen in DATABASES:
        folder = chosen.folder.split("/")[0]
        for name in listed_names(databases, chosen.folder, chosen.splits):
            record = read_record(databases / chosen.folder / name)
            key = f"{folder}/{name}"
            learned = key not in folds and key in model.spec.trained_on and key not in earlier.spec.trained_on
            for judge in (model, earlier) if learned else (folds.get(key, model),):
                if only_new and key in (*judge.spec.trained_on, *earlier.spec.trained_on):
                    continue
                analysis = analyse(record, uncalibrated(judge), lead=lead)
                patient = patient_of(folder, record)
                yield AnalysedRecord(patient.split("/")[0], patient, analysis, 0.5 if learned else 1.0)


def to_calibrate(one: AnalysedRecord) -> CalibrationRecord:
    """Its beats with what the reference says of them."""
    reference = reference_of(one.analysis.record)
    return calibration_record(one.database, one.patient, one.analysis.beats, reference, weight=one.weight)


def fold_of(patients: Iterable[str]) -> dict[str, int]:
    """In which of FOLDS parts each patient is left out for cross-validation."""
    names = sorted(set(patients))
    part = np.random.default_rng(0).permutation(len(names)) % FOLDS
    return dict(zip(names, part.tolist(), strict=True))


def calibrate_model(records: list[CalibrationRecord], recipe: str) -> Calibration:
    """The calibration by these records."""
    slope, offset = fit_scaling(records)
    spread = {}
    for label in "VS":
        (floor, factor), needed = fit_spread(records, label, slope, offset)
        spread[label] = round(floor, DECIMALS), round(factor, DECIMALS)
        print_line(f"{label}: spread {spread[label]}; factors that databases need: {needed}")
    return Calibration(
        slope=tuple(np.round(slope.astype(float), DECIMALS).tolist()),
        offset=tuple(np.round(offset.astype(float), DECIMALS).tolist()),
        v_spread=spread["V"],
        s_spread=spread["S"],
        n_patients=len({record.patient for record in records}),
        fitted_on=tuple(sorted({record.database for record in records})),
        recipe=recipe,
    )


def cross_validate(records: list[CalibrationRecord]) -> dict[str, Any]:
    """Coverage and reliability in patients that a calibration was not fitted to, each in one of FOLDS parts."""
    fold = fold_of(record.patient for record in records)
    trusts = []
    for part in range(FOLDS):
        calibration = calibrate_model([record for record in records if fold[record.patient] != part], "")
        trusts += [trust_of(record, calibration) for record in records if fold[record.patient] == part]
    return summarise_trust(trusts)


def trust_of(record: CalibrationRecord, calibration: Calibration) -> Trust:
    """What a calibration is worth in a record."""
    beats = calibrate_probabilities(record.beats, calibration)
    n = max(1, int(beats.usable.sum()))
    burdens = []
    for label in "VS":
        count = float(np.sum((beats.label == label) & beats.usable))
        low, high = count_interval(beats, label, calibration)
        share_pct = 100 * record.shares[CLASSES.index(label)]
        burdens.append(BurdenInterval(label, 100 * count / n, 100 * low / n, 100 * high / n, share_pct))
    return Trust(said_and_right(beats, record.code), tuple(burdens))


def main() -> None:
    """Analyse, fit, write the spec."""
    options, judges = parse_judges(__doc__)
    began, model = time.monotonic(), judges.model
    calibration: list[Calibration] = []
    measured: dict[str, Any] = {"model_sha256": model.spec.sha256}
    for lead in (FIRST, ALL):
        records = [to_calibrate(one) for one in analysed_records(judges, lead, options.databases)]
        print_line(f"lead {lead}: {len(records)} analyses, {time.monotonic() - began:.0f} s")
        calibration.append(calibrate_model(records, f"python -m models.calibrate {options.name}"))
        measured[lead] = cross_validate(records)
        print_line(f"{calibration[-1]}; cross-validated: {measured[lead]}; {time.monotonic() - began:.0f} s")
    save_spec(judges.path, replace(model.spec, calibration=tuple(calibration)))
    write_json(judges.path.with_suffix(".calibration.json"), measured)


if __name__ == "__main__":
    main()
