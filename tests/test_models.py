"""The shipped models and their published figures."""

import importlib.util
import json
import os
from pathlib import Path

import pytest

from ecg_core.classifier.model import load_model
from ecg_core.classifier.spec import DEFAULT_MODEL, MODELS, find_models, read_spec
from ecg_core.evaluation.ec57 import gross
from ecg_core.evaluation.evaluate import NO_LABELS, evaluate
from models.calibrate import DATABASES
from models.card import rendered
from models.databases import AFTDB, LTAFDB, LTDB, QTDB
from models.evaluate import SETS, describe_set
from models.tables import MODELS as MODELS_OF_THE_CARD
from models.train import SPEC

ROOT = Path(__file__).resolve().parent.parent
BAR = {"qrs_se": 0.999, "qrs_ppv": 0.9985, "v_f1": 0.96}
SPLITS = ROOT / "models" / "splits"


@pytest.fixture(scope="module")
def model():
    return load_model(DEFAULT_MODEL)


def split(name):
    return set((SPLITS / f"{name}.txt").read_text().split())


def test_no_record_stands_on_two_sides_of_a_split():
    assert not split("mitdb_ds1") & split("mitdb_ds2")
    assert split("mitdb_ds1_validation") < split("mitdb_ds1")
    svdb = [split(f"svdb_{part}") for part in ("adaptation", "validation", "test")]
    assert len(set.union(*svdb)) == sum(map(len, svdb)) == 52
    assert not split("incartdb_adaptation") & split("incartdb_test")


def test_no_test_record_was_used_to_train_the_shipped_models():
    source, adapted = (read_spec(MODELS / f"{name}.pt") for name in ("source", "adapted"))
    ds1 = {f"mitdb/{name}" for name in split("mitdb_ds1")}
    validated = {f"svdb/{name}" for name in split("svdb_validation")}
    assert set(source.trained_on) == ds1
    assert set(source.validated_on) == validated | {f"mitdb/{name}" for name in split("mitdb_ds1_validation")}
    assert set(adapted.trained_on) == ds1 | {f"svdb/{name}" for name in split("svdb_adaptation")} | validated
    assert set(adapted.validated_on) == validated


@pytest.mark.parametrize("path", find_models(), ids=lambda path: path.stem)
def test_metrics_belong_to_the_shipped_weights(path):
    metrics = json.loads(path.with_suffix(".metrics.json").read_text(encoding="utf-8"))
    assert {part["model_sha256"] for part in metrics.values()} == {read_spec(path).sha256}


def test_the_quality_was_measured_with_the_default_weights(model):
    quality = json.loads(DEFAULT_MODEL.with_suffix(".quality.json").read_text(encoding="utf-8"))
    assert quality["model_sha256"] == model.spec.sha256


def test_readme_and_card_hold_the_measured_figures():
    for path, text in rendered().items():
        assert path.read_text(encoding="utf-8") == text, f"run python -m models.card: {path.name} is not up to date"


@pytest.mark.parametrize("path", find_models(), ids=lambda path: path.stem)
def test_the_metrics_hold_every_test_set_without_labels_and_all_as_they_are_defined(path):
    metrics = json.loads(path.with_suffix(".metrics.json").read_text(encoding="utf-8"))
    assert list(metrics) == [test.key for test in SETS if test.key in metrics]
    assert {test.key for test in SETS if test.budget == NO_LABELS} <= metrics.keys()
    for test in SETS:
        if test.key in metrics:
            assert describe_set(test).items() <= metrics[test.key].items()


@pytest.mark.parametrize("recipe", [SPEC.recipe, *(read_spec(path).recipe for path in find_models())])
def test_every_command_of_a_recipe_can_be_run(recipe):
    for command in recipe.split("; "):
        module = command.removeprefix("python -m ").split()[0]
        assert importlib.util.find_spec(module), module


def test_the_demo_record_is_labelled_rightly(model):
    """A bar just below what the default model reaches on the simulated record."""
    total = gross(evaluate([ROOT / "demo_data" / "demo"], model, database="demo").detected())
    assert total.f1("V") >= 0.98
    assert total.se("S") >= 0.95
    assert total.f1("S") >= 0.97


@pytest.mark.databases
def test_changes_do_not_make_the_model_worse_on_real_records(model):
    """Ten DS2 records, first lead, detected beats: a bar just below what the shipped model reaches."""
    if "ECG_DATABASES" not in os.environ:
        pytest.skip("ECG_DATABASES is not set: the real databases are not at hand")
    folder = Path(os.environ["ECG_DATABASES"]) / "mitdb" / "1.0.0"
    names = ("100", "105", "123", "200", "210", "213", "221", "228", "231", "233")
    total = gross(evaluate([folder / name for name in names], model, database="mitdb", lead="first").detected())
    assert total.qrs_se >= BAR["qrs_se"]
    assert total.qrs_ppv >= BAR["qrs_ppv"]
    assert total.f1("V") >= BAR["v_f1"]


def test_no_test_record_was_used_to_calibrate_the_shipped_models():
    splits = {name for chosen in DATABASES for name in chosen.splits}
    assert splits == {"svdb_adaptation", "svdb_validation", "mitdb_ds1"}
    assert {chosen.folder for chosen in DATABASES if not chosen.splits} == {QTDB, LTDB, LTAFDB, AFTDB}


@pytest.mark.parametrize("path", find_models(), ids=lambda path: path.stem)
def test_every_shipped_model_is_calibrated_for_one_lead_and_for_several(path):
    spec = read_spec(path)
    assert len(spec.calibration) == 2
    assert spec.calibration_of(1) == spec.calibration[0]
    assert spec.calibration_of(2) == spec.calibration_of(3) == spec.calibration[1]
    assert {numbers.recipe for numbers in spec.calibration} == {f"python -m models.calibrate {path.stem}"}


@pytest.mark.parametrize("name", MODELS_OF_THE_CARD)
@pytest.mark.parametrize("keys", [("mitdb_ds2", "svdb_test"), ("mitdb_ds2_all_leads", "svdb_test_all_leads")])
def test_the_intervals_of_both_test_sets_together_cover_what_they_state(name, keys):
    metrics = json.loads((MODELS / f"{name}.metrics.json").read_text(encoding="utf-8"))
    burdens = [burden for key in keys for record in metrics[key]["records"] for burden in record["burdens"]]
    assert len(burdens) == 2 * 36
    for label in "VS":
        covered = [burden["covered"] for burden in burdens if burden["label"] == label]
        assert sum(covered) / len(covered) >= 0.92


@pytest.mark.parametrize("path", find_models(), ids=lambda path: path.stem)
def test_the_intervals_cover_what_they_state_in_patients_they_were_not_fitted_to(path):
    measured = json.loads(path.with_suffix(".calibration.json").read_text(encoding="utf-8"))
    assert measured["model_sha256"] == read_spec(path).sha256
    for lead in ("first", "all"):
        for row in measured[lead]["coverage"].values():
            assert row["covered"] / row["records"] >= 0.95
