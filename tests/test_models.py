"""The shipped model and the figures that are told of it."""

import json
import os
import sys
from pathlib import Path

import pytest

from ecg_core.evaluation import evaluate
from ecg_core.inference import load_model
from ecg_core.scoring import gross
from ecg_core.specs import DEFAULT_MODEL

ROOT = Path(__file__).resolve().parent.parent
BAR = {"qrs_se": 0.998, "qrs_ppv": 0.989, "v_f1": 0.93}
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


def test_the_shipped_model_has_seen_no_test_record(model):
    assert {name.split("/")[1] for name in model.spec.trained_on} == split("mitdb_ds1")
    assert {name.split("/")[1] for name in model.spec.validated_on} == (
        split("mitdb_ds1_validation") | split("svdb_validation")
    )


def test_metrics_belong_to_the_shipped_weights(model):
    metrics = json.loads(DEFAULT_MODEL.with_suffix(".metrics.json").read_text(encoding="utf-8"))
    assert {part["model_sha256"] for part in metrics.values()} == {model.spec.sha256}


def test_readme_and_card_hold_the_measured_figures(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT / "models"), *sys.path])
    import card

    for path, text in card.rendered().items():
        assert path.read_text(encoding="utf-8") == text, f"run models/card.py: {path.name} is not up to date"


def test_the_demo_record_is_labelled_rightly(model):
    """A bar just below what the model reaches on the simulated record; some beats of its AF are called S."""
    total = gross(evaluate([ROOT / "demo_data" / "demo"], model, database="demo").detected())
    assert total.f1("V") >= 0.98
    assert total.se("S") >= 0.95
    assert total.f1("S") >= 0.80


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
