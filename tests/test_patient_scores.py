"""Is a report right for the patient: whose records are pooled, what lies within the limits, and who is worst off."""

import json
import math
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from support.records import DEMO, in_memory

from ecg_core.classifier.spec import DEFAULT_MODEL, read_spec
from ecg_core.cli.main import main
from ecg_core.evaluation.ec57 import Score
from ecg_core.evaluation.patients import (
    CRITERIA,
    N_WORST,
    EctopyCount,
    PatientScore,
    count_reference,
    patient_of,
    pool_patients,
    summarise_patients,
)
from ecg_core.evaluation.test_sets import TEST_SETS
from ecg_core.labels import CLASSES
from models.patient_tables import patients_table, worst_table
from models.tables import NOT_MEASURED
from pages._ui import model_facts

N, S, V = (CLASSES.index(label) for label in "NSV")


def score_of(*, hours=1.0, v=0, s=0, false_v=0, false_s=0, missed_v=0):
    """So many beats of V and S that were found, of N that were called so, and of V that were called N."""
    matrix = np.zeros((6, 6), dtype=int)
    matrix[N, N], matrix[V, V], matrix[S, S] = 1000, v, s
    matrix[N, V], matrix[N, S], matrix[V, N] = false_v, false_s, missed_v
    return Score("", matrix, 3600.0 * hours)


def patient(name="made/a", *, records=("a",), found=(0, 0, 1000), reference=(0, 0, 1000), **counts):
    """A patient whose report is right in everything that is not stated."""
    return PatientScore(name, records, score_of(**counts), EctopyCount(*found), EctopyCount(*reference))


def record_named(name, *comments):
    return replace(in_memory(np.zeros(1000), 100.0), record_id=name, comments=comments)


# --------------------------------------------------------------------------------------------------------- who it is


@pytest.mark.parametrize(
    ("database", "name", "wanted"),
    [
        ("mitdb/1.0.0", "201", "mitdb/201"),
        ("mitdb/1.0.0", "202", "mitdb/201"),
        ("mitdb/1.0.0", "203", "mitdb/203"),
        ("svdb/1.0.0", "202", "svdb/202"),
        ("ltdb/1.0.0", "14046_3225600", "ltdb/14046"),
        ("afdb/1.0.0", "04015_330625", "afdb/04015"),
        ("qtdb/1.0.0", "sel14046", "ltdb/14046"),
        ("qtdb/1.0.0", "sel14157", "ltdb/14157"),
        ("qtdb/1.0.0", "sel14172", "ltdb/14172"),
        ("qtdb/1.0.0", "sel301", "qtdb/sel301"),
        ("ltafdb/1.0.0", "07", "ltafdb/7"),
        ("ltafdb/1.0.0", "00", "ltafdb/0"),
        ("icentia11k-continuous-ecg/1.0.0", "p00000_s02", "icentia11k-continuous-ecg/p00000"),
        ("aftdb/1.0.0", "b01", "aftdb/b01"),
        ("holters/2024", "a_1", "holters/a_1"),
        ("downloads/mitdb", "202", "mitdb/201"),
        ("", "a_1", "/a_1"),
    ],
)
def test_the_patient_follows_from_the_database_and_the_record(database, name, wanted):
    assert patient_of(database, record_named(name)) == wanted


def test_aftdb_names_the_ltafdb_record_of_its_patient_in_the_header():
    record = record_named("a02", "LTAFDB record 07 from sample 9730845: labels are those of ltafdb/07.atr")
    assert patient_of("aftdb/1.0.0", record) == patient_of("ltafdb/1.0.0", record_named("07"))


@pytest.mark.parametrize(("comment", "wanted"), [("# patient 12", "incartdb/12"), ("# PVCs, noise", "incartdb/I33")])
def test_incart_names_its_patient_in_the_header(tmp_path, comment, wanted):
    (tmp_path / "I33.hea").write_text(f"I33 1 257 1000\nI33.dat 16 306 16 0 0 0 0 I\n{comment}\n")
    assert patient_of("incartdb/1.0.0", replace(record_named("I33"), path=tmp_path / "I33.hea")) == wanted


# ------------------------------------------------------------------------------------------------------------ pooling


def test_records_of_one_patient_are_pooled_before_they_are_judged():
    one = patient("mitdb/201", records=("201",), found=(40, 8, 1000), reference=(10, 0, 1000), false_v=5, hours=0.5)
    other = patient("mitdb/201", records=("202",), found=(0, 1, 2000), reference=(20, 6, 3000), false_v=0, hours=1.5)
    assert not one.is_right
    pooled, alone = pool_patients([one, patient("mitdb/203", records=("203",)), other])
    assert (pooled.patient, pooled.records, pooled.name) == ("mitdb/201", ("201", "202"), "201 (2 records)")
    assert (alone.records, alone.name) == (("203",), "203")
    assert pooled.ectopy == EctopyCount(40, 9, 3000)
    assert pooled.reference_ectopy == EctopyCount(30, 6, 4000)
    assert pooled.scored_h == 2.0
    assert pooled.excess["pvc_burden"] == pytest.approx(100 * 40 / 3000 - 100 * 30 / 4000)
    assert pooled.excess["false_v"] == 1  # 5 in two hours
    assert pooled.is_right


def test_the_reference_burden_is_over_all_its_beats():
    counted = count_reference(np.array([N, V, S, V, CLASSES.index("Q")]))
    assert counted == EctopyCount(2, 1, 5)
    assert (counted.pvc_burden_pct, counted.sve_burden_pct) == (40.0, 20.0)


# ------------------------------------------------------------------------------------------------------------- limits


@pytest.mark.parametrize(
    ("criterion", "inside", "outside"),
    [
        ("pvc_burden", {"found": (69, 0, 1000), "reference": (59, 0, 1000)}, {"found": (11, 0, 1000)}),
        ("sve_burden", {"reference": (0, 29, 1000), "found": (0, 19, 1000)}, {"reference": (0, 1001, 100_000)}),
        ("false_v", {"false_v": 5, "hours": 2.0}, {"false_v": 6, "hours": 2.0}),
        ("false_s", {"false_s": 22, "hours": 2.0}, {"false_s": 23, "hours": 2.0}),
    ],
)
def test_what_lies_on_its_limit_is_right_and_what_lies_beyond_is_not(criterion, inside, outside):
    assert patient(**inside).excess[criterion] == 1
    assert patient(**inside).is_right
    beyond = patient(**outside)
    assert not beyond.is_right
    assert [name for name, excess in beyond.excess.items() if excess > 1] == [criterion]


@pytest.mark.parametrize(("false_v", "right"), [(1, True), (2, False)])
def test_half_an_hour_with_its_learning_period_allows_one_false_v(false_v, right):
    assert patient(false_v=false_v, hours=25 / 60).is_right is right


def test_a_report_is_right_only_where_all_four_hold():
    right = patient("made/a")
    wrong_in_one = patient("made/b", false_s=13)
    wrong_in_three = patient("made/c", false_v=4, found=(20, 20, 1000))
    found = summarise_patients([right, wrong_in_one, wrong_in_three])
    assert found.n_within == {"pvc_burden": 2, "sve_burden": 2, "false_v": 2, "false_s": 2}
    assert (found.n_right, found.n_judged, found.n_not_judged) == (1, 3, 0)


def test_a_patient_without_reference_beats_is_not_judged_and_counts_nowhere():
    without = patient("made/b", reference=(0, 0, 0), false_v=100, v=3)
    found = summarise_patients([patient("made/a"), without])
    assert (found.n_right, found.n_judged, found.n_not_judged) == (1, 1, 1)
    assert [row.patient for row in found.worst] == ["made/a"]
    assert found.figures["false_v_per_hour"] == (0.0, 0.0, 1)


def test_where_no_beat_was_analysable_the_report_is_not_right():
    blind = patient(found=(0, 0, 0))
    assert blind.largest_excess == math.inf
    assert not blind.is_right
    assert summarise_patients([blind]).n_within["pvc_burden"] == 0


# ------------------------------------------------------------------------------------------------ figures, the worst


def test_the_median_is_over_the_patients_that_have_such_beats():
    patients = [
        patient("made/a", v=10),  # F1 1
        patient("made/b", v=6, missed_v=8),  # 0.6
        patient("made/c", missed_v=4),  # 0
        patient("made/d", false_v=30),  # has no V
    ]
    found = summarise_patients(patients).figures
    assert found["v_f1"].median == pytest.approx(0.6)
    assert found["v_f1"].gross == pytest.approx(32 / (32 + 12 + 30))
    assert found["v_f1"].n_patients == 3
    assert math.isnan(found["s_f1"].median)
    assert found["s_f1"].n_patients == 0
    assert found["false_v_per_hour"] == (7.5, 0.0, 4)


def test_the_worst_come_first_by_their_largest_error_over_its_limit():
    patients = [
        patient("made/b", found=(20, 0, 1000)),  # 2 points
        patient("made/right"),
        patient("made/d", false_s=60),  # five times the limit
        patient("made/c", false_v=9),  # three times
        patient("made/a", found=(0, 20, 1000), false_v=3),  # 2 points, as made/b
    ]
    worst = summarise_patients(patients).worst
    assert [row.patient for row in worst] == ["made/d", "made/c", "made/a", "made/b", "made/right"]
    assert [row.largest_excess for row in worst] == [5, 3, 2, 2, 0]


def test_ten_are_listed_at_most():
    patients = [patient(f"made/{n}", false_v=n) for n in range(15)]
    assert [row.score.false_positives("V") for row in summarise_patients(patients).worst] == list(range(14, 4, -1))
    assert N_WORST == 10


def test_without_patients_everything_is_nothing():
    found = summarise_patients([])
    assert (found.n_judged, found.n_right, found.worst) == (0, 0, ())
    assert math.isnan(found.figures["v_f1"].gross)


# --------------------------------------------------------------------------------------------------- where it is shown


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """What ``ecg evaluate`` prints and writes of the demo record."""
    out = tmp_path_factory.mktemp("evaluated") / "figures.json"
    with redirect_stdout(StringIO()) as printed:
        assert main(["evaluate", str(DEMO.parent), "--records", "demo", "--json", str(out)]) == 0
    return printed.getvalue(), json.loads(out.read_text())


def test_evaluate_writes_the_table_by_patients(evaluated):
    figures = evaluated[1]
    found, record = figures["patients"], figures["records"][0]
    assert record["patient"].endswith("/demo")
    assert (found["judged"], found["not_judged"]) == (1, 0)
    assert list(found["within"]) == list(CRITERIA)
    (row,) = found["worst"]
    assert (row["name"], row["records"]) == ("demo", ["demo"])
    assert found["right"] == int(all(found["within"].values())) == int(row["largest_excess"] <= 1)
    for name in ("pvc_burden_pct", "reference_pvc_burden_pct", "sve_burden_pct", "reference_sve_burden_pct"):
        assert row[name] == record[name] > 0
    gross = figures["detected_beats"]["gross"]
    for name in ("v_f1", "s_f1", "false_v_per_hour", "false_s_per_hour"):
        assert found[name] == {"gross": gross[name], "median": gross[name], "patients": 1}


def test_evaluate_prints_the_table_by_patients(evaluated):
    text, figures = evaluated
    lines = text.partition("PATIENTS")[2].splitlines()
    assert f"all four: right for the patient    {figures['patients']['right']} of 1" in [line.strip() for line in lines]
    for title in CRITERIA.values():
        assert any(line.strip().startswith(title) for line in lines)
    row = figures["patients"]["worst"][0]
    cells = next(line.split() for line in lines if line.split()[:1] == ["demo"])
    assert cells[1:4] == [
        f"{row[name]:.2f}" for name in ("largest_excess", "pvc_burden_pct", "reference_pvc_burden_pct")
    ]


@pytest.fixture
def metrics(evaluated):
    """Metrics of two models, of which one was measured by patients, in one set."""
    row = {"patients": evaluated[1]["patients"]}
    return {"old": {key: {} for key in TEST_SETS}, "new": {key: {} for key in TEST_SETS} | {"mitdb_ds2": row}}


def test_the_card_has_a_row_for_each_set_and_model_and_says_what_is_not_measured(metrics):
    lines = patients_table(metrics).splitlines()
    assert len(lines) == 2 + 2 * len(TEST_SETS)
    measured = [line for line in lines[2:] if "not measured" not in line]
    right = metrics["new"]["mitdb_ds2"]["patients"]["right"]
    assert [line.split(" | ")[1:3] for line in measured] == [["new", f"{right} of 1"]]
    assert {line.count("|") for line in lines} == {lines[0].count("|")}


def test_the_card_lists_the_worst_by_name_where_they_are_measured(metrics):
    assert [line.split(" | ")[1] for line in worst_table(metrics, "mitdb_ds2").splitlines()[2:]] == ["demo"]
    assert worst_table(metrics, "svdb_test_all_leads") == NOT_MEASURED
    assert patients_table({"old": metrics["old"]}) == NOT_MEASURED


@pytest.mark.parametrize(("key", "wanted"), [("mitdb_ds2", "{right} of 1"), ("svdb_test", "not measured")])
def test_the_page_about_shows_in_how_many_patients_the_report_is_right(
    evaluated, metrics, tmp_path, monkeypatch, key, wanted
):
    spec = read_spec(DEFAULT_MODEL)
    content = {part: evaluated[1][part] for part in ("detected_beats", "reference_beats")}
    written = {key: {**content, **metrics["new"][key], "model_sha256": spec.sha256}}
    (tmp_path / f"{spec.name}.metrics.json").write_text(json.dumps(written))
    monkeypatch.setattr(model_facts, "MODELS", tmp_path)
    shown = model_facts.performance(spec)["Right for"].tolist()
    assert shown == [wanted.format(right=evaluated[1]["patients"]["right"]), "–"]
