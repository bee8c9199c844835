"""The general model: who is trained on, how patients are dealt out, and that no choice sees its own patient."""

import json
import re
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from support.training import SMALL_SPEC

from ecg_core.classifier.model import load_model
from ecg_core.classifier.network import BeatNetwork
from ecg_core.classifier.spec import MODELS, read_spec
from ecg_core.classifier.weights import save_model, torch_model
from ecg_core.evaluation.evaluate import AfDuration
from ecg_core.evaluation.patients import patient_of
from models import general
from models.cross_validate import RhythmEvaluation, fold_judges, fold_models, summarise_rhythm
from models.databases import CHALLENGE, FOLDER, read_split
from models.general import FOLDS, NAME, PLAN, TRAINING, challenge_rhythms, fold_name, names_of, read_folds
from models.second_stage import PLAN as TREES

SOURCES = {source.name: source for source in TRAINING}
TESTED = {f"mitdb/{name}" for name in read_split("mitdb_ds2")} | {f"svdb/{name}" for name in read_split("svdb_test")}
FROM_TESTED = re.compile(r"qtdb/sel[128]\d\d$")  # qtdb's parts of mitdb (100 to 234) and svdb (800 to 894)


@pytest.fixture(scope="module")
def dealt():
    return read_folds()


@pytest.fixture(scope="module")
def spec():
    return read_spec(MODELS / f"{NAME}.pt")


# -------------------------------------------------------------------------------------------------------- the patients


def test_no_patient_is_in_two_folds(dealt):
    folds = defaultdict(set)
    for row in dealt:
        folds[row.patient].add(row.fold)
    assert {patient for patient, of_patient in folds.items() if len(of_patient) > 1} == set()
    assert len({row.name for row in dealt}) == len(dealt)


def test_every_fold_has_patients_with_beats_of_their_own(dealt):
    patients = {fold: {row.patient for row in dealt if row.fold == fold} for fold in range(FOLDS)}
    assert set(patients) == {row.fold for row in dealt}
    assert max(map(len, patients.values())) <= 1.1 * min(map(len, patients.values()))
    for database in ("mitdb", "svdb", "qtdb", "aftdb", "afdb", "afpdb", "challenge-2017", "ludb"):
        assert {row.fold for row in dealt if row.name.startswith(f"{database}/")} == set(range(FOLDS)), database


def test_no_test_record_is_trained_on(dealt):
    names = {row.name for row in dealt}
    assert not names & TESTED
    assert {row.name.split("/")[0] for row in dealt} == set(SOURCES)  # so none of icentia11k, cudb, vfdb and incartdb
    assert [name for name in names if FROM_TESTED.match(name)] == []


def test_the_only_patient_of_a_test_set_is_the_one_that_the_splits_name(dealt):
    """201 and 202 of mitdb are one person, and DS2 is also reported without 202."""
    patients = {row.patient for row in dealt}
    of_test = {patient_of(*_as_record(name)) for name in TESTED}
    assert patients & of_test == {"mitdb/201"}


def _as_record(name):
    """Database and record as ``patient_of`` takes them."""
    database, record_id = name.split("/")
    return database, SimpleNamespace(record_id=record_id, comments=(), path=Path(record_id))


def test_the_weights_of_a_patients_records_add_up_to_that_of_the_database(dealt):
    weights = defaultdict(float)
    for row in dealt:
        weights[row.name.split("/")[0], row.patient] += row.weight
    for (database, patient), weight in weights.items():
        assert weight == pytest.approx(SOURCES[database].weight, abs=1e-3), patient


@pytest.mark.parametrize("split", ["mitdb_ds1", "svdb_adaptation", "svdb_validation"])
def test_the_splits_are_in_the_table_from_end_to_end(dealt, split):
    database = split.split("_")[0]
    names = {row.name for row in dealt}
    assert {f"{database}/{name}" for name in read_split(split)} <= names


# --------------------------------------------------------------------------------------------------- the shipped model


def test_the_shipped_model_is_that_of_the_table_and_of_the_recipe(spec, dealt):
    assert spec.trained_on == tuple(row.name for row in dealt)
    assert spec.validated_on == ()
    assert (spec.seed, spec.finds_af, spec.trees) == (PLAN.seed, True, (3 * TREES.rounds, TREES.leaves))
    adapted = read_spec(MODELS / "adapted.pt")
    assert spec.recipe == f"{adapted.recipe}; python -m models.general; python -m models.second_stage"
    assert (spec.detection_threshold, spec.class_bias) == (adapted.detection_threshold, adapted.class_bias)
    assert set(adapted.trained_on) <= set(spec.trained_on)  # it is what the fit goes on from


def test_the_first_stage_is_the_adapted_network_with_a_head_for_fibrillation():
    adapted, general = (load_model(MODELS / f"{name}.pt").network.state_dict() for name in ("adapted", NAME))
    assert all(torch.equal(general[name], weight) for name, weight in adapted.items())
    assert {name.split(".")[0] for name in set(general) - set(adapted)} == {"fibrillation", "trees"}


def test_the_cross_validated_figures_belong_to_the_shipped_weights(spec):
    path = FOLDER / f"{NAME}.cross_validation.json"
    assert path.is_file(), "run python -m models.cross_validate: the general model has no cross-validated figures"
    measured = json.loads(path.read_text(encoding="utf-8"))
    assert measured["model_sha256"] == spec.sha256
    assert "mitdb" not in measured["beats"]  # the start of every fold knows these patients
    assert {"svdb", "qtdb", "ltdb", "all"} <= set(measured["beats"])


# -------------------------------------------------------------------------------------------------- the made databases


@pytest.fixture
def databases(tmp_path):
    """A challenge of five recordings, of which one is too noisy to have a rhythm."""
    folder = tmp_path / CHALLENGE
    folder.mkdir(parents=True)
    (folder / "RECORDS").write_text("A1\nA2\nA3\nA4\nA5\n")
    (folder / "REFERENCE.csv").write_text("A1,N\nA2,A\nA3,~\nA4,O\nA5,A\n")
    return tmp_path


def test_recordings_too_noisy_for_a_rhythm_are_not_trained_on(databases):
    assert challenge_rhythms(databases) == {"A1": 0, "A2": 1, "A4": 0, "A5": 1}
    assert names_of(SOURCES["challenge-2017"], databases) == ["A1", "A2", "A4", "A5"]


def test_records_of_a_split_are_those_of_its_files(tmp_path):
    assert names_of(SOURCES["mitdb"], tmp_path) == read_split("mitdb_ds1")
    assert names_of(SOURCES["svdb"], tmp_path) == read_split("svdb_adaptation") + read_split("svdb_validation")


def test_a_deal_is_the_same_each_time_and_keeps_patients_together(tmp_path, monkeypatch):
    """Twenty patients of two records each."""
    folder = tmp_path / "ltdb" / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "RECORDS").write_text("\n".join(f"{n}_{part}" for n in range(20) for part in (1, 2)))
    monkeypatch.setattr(general, "TRAINING", (general.Source("ltdb/1.0.0", 2.0),))
    monkeypatch.setattr(
        general, "read_record", lambda path: SimpleNamespace(record_id=path.name, comments=(), path=path)
    )
    monkeypatch.setattr(general, "FOLDS_FILE", tmp_path / "folds.csv")
    made = general.deal(tmp_path)
    assert made == general.deal(tmp_path)
    assert [made[n].fold for n in range(0, 40, 2)] == [made[n].fold for n in range(1, 40, 2)]
    assert np.bincount([row.fold for row in made]).tolist() == [8] * FOLDS
    assert {row.weight for row in made} == {1.0}
    general.write_folds(made)
    assert read_folds() == made


# ---------------------------------------------------------------------------------------------------- the folds' models


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A small model of each fold, made without its patients."""
    folder = tmp_path_factory.mktemp("runs")
    for fold in range(FOLDS):
        known = tuple(row.name for row in read_folds() if row.fold != fold)
        fields = {**vars(SMALL_SPEC), "name": fold_name(fold), "trained_on": known, "finds_af": True}
        made = type(SMALL_SPEC)(**fields)
        save_model(folder / f"{fold_name(fold)}.pt", torch_model(made, BeatNetwork(made)))
    return folder


def test_each_patient_is_judged_by_a_network_that_does_not_know_that_patient(runs, dealt):
    judges = fold_judges(NAME, runs)
    assert set(judges) == {row.name for row in dealt}
    by_patient = defaultdict(set)
    for row in dealt:
        by_patient[row.patient].add(row.name)
    for row in dealt:
        assert not by_patient[row.patient] & set(judges[row.name].spec.trained_on)


def test_the_networks_of_the_folds_have_the_thresholds_of_the_shipped_one(runs, spec):
    models = fold_models(runs)
    assert [model.spec.name for model in models] == [fold_name(fold) for fold in range(FOLDS)]
    assert {model.spec.class_bias for model in models} == {spec.class_bias}
    assert {model.spec.detection_threshold for model in models} == {spec.detection_threshold}
    assert len({model.spec.sha256 for model in models}) == FOLDS


def test_other_models_have_no_folds(tmp_path):
    assert fold_judges("adapted", tmp_path) == {}


def test_the_fibrillation_of_records_is_added_up_before_it_is_divided():
    found = [
        RhythmEvaluation(600.0, AfDuration(found_s=300.0, reference_s=360.0, both_s=270.0)),
        RhythmEvaluation(3000.0, AfDuration(found_s=60.0, reference_s=0.0, both_s=0.0)),
    ]
    assert summarise_rhythm(found) == {"duration_se": 0.75, "duration_ppv": 0.75, "false_minutes": 1.5, "hours": 1.0}
    assert summarise_rhythm(found[1:])["duration_se"] is None
