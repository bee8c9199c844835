"""How unlike the training recordings a recording is: measured, and stated where it is."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from support.analyses import SPEC, make_analysis
from support.pages import app_test, button, page, text_of, workspace_on, workspace_with
from support.pdf import words
from support.records import DEMO

from ecg_core.certainty import TrainingDomain
from ecg_core.classifier.model import Model, save_spec, uncalibrated
from ecg_core.classifier.spec import find_models, model_digest, read_spec
from ecg_core.cli.analyze import summary
from ecg_core.evaluation.ec57 import Score
from ecg_core.records import read_record
from ecg_core.report.export import report_json
from ecg_core.report.measures import measures
from ecg_core.report.pdf import report_pdf
from ecg_core.report.statements import UNLIKE_TRAINING, statements
from ecg_core.rhythm.domain_shift import LEAST_BEATS, domain_shift
from ecg_core.schema import ModelSpec
from ecg_core.studies.analyses import AnalysisKey
from ecg_core.studies.frozen import read_frozen, write_frozen
from ecg_core.studies.study import get_study
from ecg_core.text import plain_markdown
from ecg_core.training.domain import LEAST_RECORDINGS, training_domain
from models.domain_shift import SETS, rank_correlation, wrong_share
from models.simulated import simulated_record
from pages._ui.gallery_verdicts import OPENED_KIND, kind_key

DOMAIN = TrainingDomain(limit=0.155, median=0.003, n_recordings=160, recipe="python -m models.domain_shift made")
NOT_MEASURED = "the training recordings of the model were not measured"


def analysed(*, doubtful, n=1000, domain=DOMAIN):
    """An analysis in which so many of n beats are of doubtful class."""
    analysis = make_analysis(n * 0.8 + 0.4)
    probability = np.tile(np.array([0.96, 0.01, 0.01, 0.01, 0.01], dtype=np.float32), (len(analysis.beats), 1))
    probability[:doubtful] = [0.85, 0.15, 0, 0, 0]
    predicted = replace(analysis.predicted, probability=probability)
    return replace(analysis, predicted=predicted, model=replace(SPEC, domain=domain), queried=np.arange(5))


def values_of(analysis):
    return {measure.key: measure for measure in measures(analysis)}


UNLIKE, LIKE = analysed(doubtful=200), analysed(doubtful=155)


def test_the_share_of_doubtful_beats_is_that_of_the_analysable_ones():
    assert domain_shift(UNLIKE).doubtful_share == pytest.approx(0.2)
    usable = np.arange(1000) >= 100
    part = replace(UNLIKE, predicted=replace(UNLIKE.predicted, usable=usable))
    assert domain_shift(part).doubtful_share == pytest.approx(100 / 900)


def test_a_recording_is_unlike_the_training_only_above_the_limit():
    assert domain_shift(UNLIKE).is_unlike
    assert not domain_shift(LIKE).is_unlike
    assert statements(LIKE) == ()


def test_too_few_beats_say_nothing():
    few = analysed(doubtful=50, n=LEAST_BEATS - 1)
    assert domain_shift(few) is None
    assert statements(few) == ()
    assert {values_of(few)[key].why for key in ("doubtful_beats", "unlike_training")} == {
        f"fewer than {LEAST_BEATS} analysable beats"
    }
    assert json.loads(report_json(few))["domain_shift"] is None


def test_a_model_whose_training_was_not_measured_gives_the_share_and_no_verdict():
    unknown = analysed(doubtful=900, domain=None)
    assert statements(unknown) == ()
    assert values_of(unknown)["doubtful_beats"].value == pytest.approx(90)
    assert (values_of(unknown)["unlike_training"].value, values_of(unknown)["unlike_training"].why) == (
        None,
        NOT_MEASURED,
    )
    assert json.loads(report_json(unknown))["domain_shift"] == {
        "doubtful_share": 0.9,
        "limit": None,
        "unlike_training": None,
    }


def test_what_is_unlike_the_training_stands_first_everywhere_with_what_to_do():
    (statement,) = statements(UNLIKE)
    assert (statement.kind, statement.is_warning) == (UNLIKE_TRAINING, True)
    assert statement.text == (
        "Unlike the training recordings: the class of 20.0 % of the beats is in doubt, where hardly any recording that "
        "the model learned from exceeds 15.5 %; review a sample of beats, label the queried beats, or adapt the model "
        "to this recorder"
    )
    content = json.loads(report_json(UNLIKE))
    assert content["statements"] == [statement.text]
    assert content["domain_shift"] == {"doubtful_share": 0.2, "limit": 0.155, "unlike_training": True}
    assert [values_of(each)["unlike_training"].value for each in (UNLIKE, LIKE)] == [1, 0]
    printed = summary(UNLIKE)
    assert printed.index(statement.text) < printed.index("Analysable")
    silent = replace(UNLIKE, record=replace(UNLIKE.record, source=read_record(DEMO).source))
    assert f"{statement.text}." in words(report_pdf(silent))[0]


@pytest.mark.parametrize("name", ["overview", "report"])
def test_pages_say_it_and_are_silent_otherwise(name):
    at = page(name, workspace_with(UNLIKE))
    assert [warning.value for warning in at.warning] == [f"{plain_markdown(statements(UNLIKE)[0].text)}."]
    assert "Unlike" not in text_of(page(name, workspace_with(LIKE))).partition("Measures")[0]


def test_the_queried_beats_are_a_click_away():
    at = app_test("app.py")
    at.session_state["workspace"] = workspace_with(UNLIKE)
    at.run().switch_page("pages/overview.py").run()
    button(at, "Gallery").click().run()
    assert not at.exception
    assert at.session_state[kind_key(UNLIKE.record)] == OPENED_KIND


def test_the_worklist_marks_what_is_unlike_and_has_no_column_where_nothing_is(tmp_path):
    for analysis, mark in ((LIKE, None), (UNLIKE, "≠ 20 %")):
        window = workspace_on(tmp_path / f"store{mark}")
        record = read_record(DEMO)
        window.add(record)
        window.show(
            AnalysisKey(record.sha256, "auto", model_digest(SPEC), analysis.rules), replace(analysis, record=record)
        )  # fmt: skip
        assert (get_study(window.store, record.sha256).unlike_pct is None) == (mark is None)
        table = page("studies", window).dataframe[0].value
        assert ("Unlike" in table) == (mark is not None)
        assert mark is None or table["Unlike"].tolist() == [mark]
        window.store.close()


def test_a_stored_analysis_keeps_it_and_one_of_an_earlier_version_reads_without_it(tmp_path):
    write_frozen(tmp_path / "spec.npz", UNLIKE.model)
    assert read_frozen(tmp_path / "spec.npz", ModelSpec).domain == DOMAIN
    write_frozen(tmp_path / "spec.npz", UNLIKE.model, without=("domain",))
    assert read_frozen(tmp_path / "spec.npz", ModelSpec).domain is None


def test_a_spec_keeps_the_domain_and_one_without_it_loads(tmp_path):
    path = tmp_path / "m.pt"
    path.touch()
    save_spec(path, UNLIKE.model)
    assert read_spec(path) == UNLIKE.model
    older = {key: value for key, value in asdict(UNLIKE.model).items() if key != "domain"}
    path.with_suffix(".json").write_text(json.dumps(older))
    assert read_spec(path).domain is None


def test_new_weights_do_not_keep_the_domain_of_those_that_they_began_from():
    assert uncalibrated(Model(UNLIKE.model, engine=None)).spec.domain is None


def test_of_fewer_than_a_hundred_training_recordings_none_is_unlike_themselves():
    shares = np.random.default_rng(0).random(99).tolist()
    assert max(shares) <= training_domain(shares).limit
    thousand = np.random.default_rng(0).random(1000)
    assert (thousand > training_domain(thousand.tolist()).limit).mean() == pytest.approx(0.01, abs=0.002)
    assert training_domain(shares[: LEAST_RECORDINGS - 1]) is None


def test_nothing_is_said_of_the_demo_record(demo_analysis):
    assert UNLIKE_TRAINING not in {statement.kind for statement in statements(demo_analysis)}
    assert values_of(demo_analysis)["unlike_training"].value == 0


@pytest.mark.parametrize("path", find_models(), ids=lambda path: path.stem)
def test_every_shipped_model_has_a_domain_that_its_figures_belong_to(path):
    spec = read_spec(path)
    figures = json.loads(path.with_suffix(".domain_shift.json").read_text(encoding="utf-8"))
    assert (figures["model_sha256"], figures["int8_sha256"]) == (spec.sha256, spec.int8_sha256)
    assert figures["domain"] == asdict(spec.domain)
    assert spec.domain.recipe == f"python -m models.domain_shift {path.stem}"
    assert list(figures["sets"]) == [key for key, some in SETS.items() if path.stem not in some.known_to]


def test_wrong_beats_are_those_missed_extra_or_of_another_class():
    matrix = np.zeros((6, 6), dtype=int)
    matrix[0, 0], matrix[0, 1], matrix[2, 5], matrix[5, 2] = 90, 6, 4, 2
    assert wrong_share(Score("made", matrix)) == 0.12


def test_ranks_are_compared_over_enough_recordings_that_differ():
    assert rank_correlation([1, 2, 3, 4, 50], [1, 4, 9, 16, 25]) == 1
    assert rank_correlation([1, 2, 3, 4], [1, 2, 3, 4]) is None
    assert rank_correlation([1] * 5, [1, 2, 3, 4, 5]) is None


def test_a_simulated_recording_says_so_and_is_the_same_again():
    one, again = simulated_record(3), simulated_record(3)
    assert one.is_simulated
    samples = [record.source.read(0, 5000, (0, 1)) for record in (one, again)]
    assert np.array_equal(*samples)
    assert np.abs(samples[0]).max() > 0.2
    assert {"N", "V"} == set(one.reference.symbol)
