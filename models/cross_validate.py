"""Cross-validate the general model over its patients: ``ECG_DATABASES=... python -m models.cross_validate``.

Each patient is analysed by the network of ``models.general --fold K`` that was not fitted to that patient, on the
program's own beats and with the leads that it chooses by itself. Writes ``general.cross_validation.json``. Choices are
made by these figures: the test sets are read when nothing is left to choose.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ecg_core.classifier.leads import AUTO
from ecg_core.classifier.model import Model, load_model
from ecg_core.classifier.spec import read_spec
from ecg_core.evaluation.evaluate import (
    AfDuration,
    Evaluation,
    RecordEvaluation,
    af_duration,
    evaluate_record,
    learning_s,
)
from ecg_core.evaluation.matching import AF_RHYTHMS, rhythm_spans
from ecg_core.evaluation.summary import summarise
from ecg_core.files import write_json
from ecg_core.pipeline import analyse
from ecg_core.records import read_record
from ecg_core.schema import ModelSpec, Record
from models.command import add_fold_networks, parse, parser_of, print_line
from models.databases import AFDB, AFPDB, AFTDB, FOLDER, LTAFDB, MITDB, QTDB
from models.general import FOLDS, NAME, TRAINING, Dealt, Source, fold_name, read_folds

OUT = FOLDER / f"{NAME}.cross_validation.json"
# Databases with reference beats, and patients that the network of their fold does not know; each knows those of DS1.
WITH_UNSEEN_PATIENTS = tuple(source for source in TRAINING if source.has_beats and source.folder != MITDB)
WITH_AF = (AFDB, AFTDB, LTAFDB)  # databases whose fibrillation is scored together ...
WITHOUT_AF = (AFPDB, QTDB)  # ... and those without any


@dataclass(frozen=True)
class RhythmEvaluation:
    """The fibrillation of one record."""

    scored_s: float
    af: AfDuration


def fold_models(runs: Path) -> list[Model]:
    """The model of each fold, with the thresholds of the one that is shipped."""
    shipped = read_spec(FOLDER / f"{NAME}.pt")
    models = [load_model(runs / f"{fold_name(fold)}.pt") for fold in range(FOLDS)]
    return [Model(_as_shipped(model.spec, shipped), model.engine) for model in models]


def _as_shipped(fold: ModelSpec, shipped: ModelSpec) -> ModelSpec:
    """The spec of the shipped model for the network of a fold."""
    own = {name: getattr(fold, name) for name in ("name", "sha256", "int8_sha256", "trained_on")}
    return replace(shipped, **own)


def fold_judges(name: str, runs: Path) -> dict[str, Model]:
    """The model of each record's fold, which does not know the patient, by "database/record"; none of another model."""
    if name != NAME:
        return {}
    models = fold_models(runs)
    return {row.name: models[row.fold] for row in read_folds()}


def dealt_records(source: Source, databases: Path) -> Iterator[tuple[Dealt, Record]]:
    """The records of a database with their folds."""
    for row in read_folds():
        database, name = row.name.split("/", 1)
        if database == source.name:
            yield row, read_record(databases / source.folder / name)


def evaluate_database(source: Source, models: list[Model], databases: Path) -> list[RecordEvaluation]:
    """The scores of the records of a database that has reference beats."""
    return [
        evaluate_record(record, models[row.fold], lead=AUTO, database=source.folder)
        for row, record in dealt_records(source, databases)
    ]


def evaluate_rhythm(source: Source, models: list[Model], databases: Path) -> list[RhythmEvaluation]:
    """The fibrillation in the records of a database; of one that names no rhythms there is none."""
    found = []
    for row, record in dealt_records(source, databases):
        marks = record.reference
        spans = rhythm_spans(marks, AF_RHYTHMS, record.duration_s) if marks else None
        analysis = analyse(record, models[row.fold], lead=AUTO)
        found.append(
            RhythmEvaluation(record.duration_s - learning_s(record.duration_s), af_duration(analysis, spans or []))
        )
    return found


def summarise_beats(evaluations: list[RecordEvaluation], name: str, shipped: ModelSpec) -> dict[str, Any]:
    """The figures of some records on detected beats: gross, and by patients."""
    summary = summarise(Evaluation(name, AUTO, shipped, tuple(evaluations)))
    return {"gross": summary["detected_beats"]["gross"], "patients": summary["patients"]}


def summarise_rhythm(evaluations: list[RhythmEvaluation]) -> dict[str, float | None]:
    """Sensitivity and positive predictivity by duration, and the false minutes of so many hours."""
    total = {name: sum(getattr(one.af, name) for one in evaluations) for name in ("found_s", "reference_s", "both_s")}
    return {
        "duration_se": total["both_s"] / total["reference_s"] if total["reference_s"] else None,
        "duration_ppv": total["both_s"] / total["found_s"] if total["found_s"] else None,
        "false_minutes": (total["found_s"] - total["both_s"]) / 60,
        "hours": sum(one.scored_s for one in evaluations) / 3600,
    }


def main() -> None:
    """Evaluate by database, write the figures."""
    parser = parser_of(__doc__)
    add_fold_networks(parser)
    options = parse(parser)
    models = fold_models(options.runs)
    shipped = read_spec(FOLDER / f"{NAME}.pt")
    beats: dict[str, list[RecordEvaluation]] = {}
    rhythms: dict[str, list[RhythmEvaluation]] = {}
    for source in TRAINING:
        if source in WITH_UNSEEN_PATIENTS:
            beats[source.name] = evaluate_database(source, models, options.databases)
        if source.folder in (*WITH_AF, *WITHOUT_AF):
            rhythms[source.name] = evaluate_rhythm(source, models, options.databases)
        print_line(f"{source.name}: done")
    with_af = [one for source in TRAINING if source.folder in WITH_AF for one in rhythms[source.name]]
    figures = {name: summarise_beats(found, name, shipped) for name, found in beats.items()}
    figures["all"] = summarise_beats([one for found in beats.values() for one in found], "all", shipped)
    fibrillation = {name: summarise_rhythm(found) for name, found in rhythms.items()}
    fibrillation["together"] = summarise_rhythm(with_af)
    write_json(OUT, {"model_sha256": shipped.sha256, "beats": figures, "fibrillation": fibrillation})


if __name__ == "__main__":
    main()
