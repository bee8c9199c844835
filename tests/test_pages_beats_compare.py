"""The pages Beats and Compare, run without a browser: what they say with and without beats, reference and models."""

import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from support.analyses import make_analysis
from support.made_files import FS_HZ, signal
from support.pages import button, page, text_of, workspace_with
from support.records import DEMO, write_record

from ecg_core.adaptation.material import content_sha256
from ecg_core.classifier.spec import model_digest
from ecg_core.edits import DeleteEdit
from ecg_core.evaluation.comparison import compare_beats
from ecg_core.figures import lorenz_figure, rr_bars
from ecg_core.measuring import with_rules
from ecg_core.records import read_record
from ecg_core.report.export import MORE_WRITERS, WRITERS
from ecg_core.rhythm.burden import measure_burden
from ecg_core.rhythm.intervals import follows_previous
from ecg_core.rules import RhythmRules
from ecg_core.schema import Annotations
from pages._ui import actions, chosen_beats, engine, installed_models, jobs, model_facts
from pages._ui.chosen_beats import ChosenBeats, choose_bars, choose_points
from pages._ui.jobs import AnalysisKey
from pages._ui.workspace import Workspace

PAGES = ("beats", "compare")
SHA256 = {"first": "sha256 of first", "second": "sha256 of second"}


@pytest.fixture(scope="module")
def first(demo):
    """Made-up beats on the real demo record, analysed by a model that is installed."""
    made = replace(make_analysis(demo.duration_s), record=demo)
    spec = replace(made.model, name="first", sha256=SHA256["first"], trained_on=("mitdb/1", "mitdb/2"))
    return replace(made, model=spec)


@pytest.fixture(scope="module")
def second(first):
    """The same beats read by another model, that calls five V N."""
    label = first.beats.label.copy()
    label[np.flatnonzero(label == "V")[:5]] = "N"
    beats = replace(first.beats, label=label)
    burden = measure_burden(
        beats, first.events, quality=first.quality, duration_s=first.record.duration_s, rules=first.rules
    )
    spec = replace(first.model, name="second", sha256=SHA256["second"], trained_on=("svdb/1", "mitdb/2"))
    return replace(first, beats=beats, burden=burden, model=spec)


@pytest.fixture
def installed(monkeypatch, first, second):
    """Two models, without their weights."""
    made = {"first": first.model, "second": second.model}
    for module in (actions, model_facts, installed_models):
        monkeypatch.setattr(
            module, "installed_models", lambda: {name: model_digest(spec) for name, spec in made.items()}
        )
    monkeypatch.setattr(
        "pages._ui.frame.installed_models", lambda: {name: model_digest(spec) for name, spec in made.items()}
    )
    monkeypatch.setattr(model_facts, "read_spec", lambda path: made[path.stem])


def workspace_of_both(first, second, workspace=None):
    workspace = workspace_with(first, workspace)
    key = AnalysisKey(first.record.sha256, "II", model_digest(second.model), second.rules)
    workspace.analyses[key] = second
    return workspace


def charts(at):
    return at.get("plotly_chart")


def table(at, column):
    return next(item.value for item in at.dataframe if column in item.value.columns)


@pytest.mark.parametrize("name", PAGES)
def test_page_stands_without_a_record_and_without_an_analysis(name, demo):
    assert "No study is open" in text_of(page(name))
    workspace = Workspace()
    workspace.add(demo)
    at = page(name, workspace)
    assert not at.exception
    assert "has not been analysed" in text_of(at)


@pytest.mark.parametrize("name", PAGES)
def test_page_shows_an_analysis_and_gives_every_chart_a_text(name, first, installed):
    at = page(name, workspace_with(first))
    assert not at.exception
    assert not at.error
    assert "Simulated record" in text_of(at)
    assert all(chart.proto.alt for chart in charts(at))


def test_chosen_beats_are_listed_with_time_class_confidence_and_rr(first):
    at = page("beats", workspace_with(first))
    index = np.array([4, 14, 104])
    at.session_state["chosen"] = ChosenBeats(first.beats, index, "3 beats of V")
    at.session_state["list_chosen"] = True
    listed = table(at.run(), "Probability")
    assert "3 beats of V. Choose a row" in text_of(at)
    assert listed["Class"].tolist() == ["V, ventricular ectopic"] * 3
    assert listed["RR before, ms"].tolist() == pytest.approx(1000 * first.beats.rr_s[index], abs=0.5)
    assert listed["RR after, ms"].tolist() == pytest.approx(1000 * first.beats.rr_s[index + 1], abs=0.5)
    at.run()
    assert not at.dataframe
    button(at, "Chosen beats").click().run()
    assert len(table(at, "Probability")) == 3


def test_chosen_beats_get_their_class_all_together(first):
    workspace = workspace_with(first)
    index = np.flatnonzero(first.beats.label == "V")[:3]
    at = page("beats", workspace)
    at.session_state["chosen"] = ChosenBeats(first.beats, index, "3 beats of V")
    at.session_state["list_chosen"] = True
    at.run()
    at.session_state["list_chosen"] = True  # it is open still
    button(at, "S").click().run()
    shown = workspace.analysis(workspace.current)
    assert shown.labelled.tolist() == index.tolist()
    assert set(shown.beats.label[index]) == {"S"}
    assert "Chosen beats" not in [item.label for item in at.button]  # they are of another class now
    at.run()
    button(at, "Undo").click().run()
    assert workspace.analysis(workspace.current) is first


def test_beats_that_were_chosen_in_another_analysis_are_not_listed(first, second):
    at = page("beats", workspace_with(first))
    at.session_state["chosen"] = ChosenBeats(second.beats, np.array([4]), "1 beat")
    at.session_state["list_chosen"] = True
    assert not at.run().dataframe


def chosen_by(monkeypatch, custom_data, choose, *options, box=()):
    """What a callback keeps when parts of a figure with this custom data are selected."""
    points = [{"customdata": data} for data in custom_data]
    state = {"figure": SimpleNamespace(selection=SimpleNamespace(points=points, box=box))}
    monkeypatch.setattr(chosen_beats.st, "session_state", state)
    choose("figure", *options)
    return state.get("chosen")


def test_clicked_bars_choose_the_beats_they_count(first, monkeypatch):
    beats, bar = first.beats, rr_bars(first.beats)
    number = int(bar[beats.label == "V"].max())
    kept = chosen_by(monkeypatch, [["V", number], ["S", number]], choose_bars, beats, bar, "RR")
    assert kept.index.tolist() == np.flatnonzero((bar == number) & np.isin(beats.label, ["V", "S"])).tolist()
    assert kept.title.endswith("beats of S, V by RR")


def test_boxed_points_choose_their_beats_and_an_empty_box_nothing(first, monkeypatch):
    assert chosen_by(monkeypatch, [[9], 4, 4], choose_points, first.beats).index.tolist() == [4, 9]
    assert chosen_by(monkeypatch, [], choose_points, first.beats) is None


def test_a_box_chooses_all_beats_in_it_not_the_sample_that_is_drawn(first, monkeypatch):
    beats = first.beats
    drawn = np.concatenate([trace.customdata for trace in lorenz_figure(beats).data if trace.customdata is not None])
    inside = np.flatnonzero(follows_previous(beats))[:-1]  # all of its RR are 800 ms
    assert len(drawn) < len(inside)
    box = [{"x": [790.0, 810.0], "y": [810.0, 790.0]}]
    assert chosen_by(monkeypatch, drawn.tolist(), choose_points, beats, box=box).index.tolist() == inside.tolist()
    beyond = [{"x": [790.0, 810.0], "y": [810.0, 900.0]}]
    assert chosen_by(monkeypatch, [], choose_points, beats, box=beyond) is None


def test_beats_that_were_all_deleted_were_found_and_come_back(first):
    workspace = workspace_with(first)
    workspace.add_edit(workspace.current, DeleteEdit(tuple(first.beats.time_s.tolist())))
    at = page("beats", workspace)
    assert "were deleted" in text_of(at)
    assert "No beat was found" not in text_of(at)
    button(at, "Undo").click().run()
    assert not at.exception
    assert len(workspace.analysis(workspace.current).beats) == len(first.beats)


def test_compare_offers_the_second_model_and_says_what_each_was_trained_on(first, installed):
    at = page("compare", workspace_with(first))
    shown = text_of(at)
    assert "**first** was trained on 2 records of mitdb." in shown
    assert "**second** was trained on 1 record of svdb and 1 record of mitdb." in shown
    assert button(at, "Analyse with second")
    assert table(at, "Burden").columns.tolist() == ["Burden", "first", "reference"]


def test_compare_shows_each_confusion_matrix_and_the_row_of_fusion_beats(first, second, installed):
    at = page("compare", workspace_of_both(first, second))
    matrices = [item.value for item in at.dataframe if "missed" in item.value.columns]
    assert [matrix["Reference"].tolist() for matrix in matrices] == [["N", "S", "V", "F", "Q", "extra"]] * 2
    assert matrices[0].iloc[:, 1:].to_numpy().tolist() == engine.score(first).matrix.tolist()
    n_scored = matrices[0].set_index("Reference").iloc[:5].to_numpy().sum()
    assert f"Scored on {n_scored:,} reference beats" in text_of(at)
    assert "F Se / +P" in table(at, "EC57, %")["EC57, %"].tolist()


def test_compare_says_which_model_knows_the_patient(first, installed, monkeypatch):
    seen = replace(first.model, trained_on=("demo_data/demo", "mitdb/100"), validated_on=())
    assert "first was trained on this patient" in text_of(page("compare", workspace_with(replace(first, model=seen))))
    learned = replace(first.model, trained_on=("ours/recording 1",), learned_sha256=(content_sha256(first.record),))
    assert "first was trained on this recording" in text_of(
        page("compare", workspace_with(replace(first, model=learned)))
    )
    named = replace(first.model, trained_on=(), validated_on=("svdb/demo",))
    shown = text_of(page("compare", workspace_with(replace(first, model=named))))
    assert "first was validated on a record of this name (svdb/demo)" in shown.replace("\\", "")
    assert "do not hold for new patients" not in text_of(page("compare", workspace_with(first)))


def test_compare_with_one_model_says_how_to_get_a_second(first, monkeypatch):
    monkeypatch.setattr(installed_models, "installed_models", lambda: {"first": model_digest(first.model)})
    monkeypatch.setattr(model_facts, "installed_models", dict)
    at = page("compare", workspace_with(first))
    assert not at.exception
    assert "Only one model is installed, first." in text_of(at)
    assert table(at, "EC57, %").columns.tolist() == ["EC57, %", "first"]


def test_two_models_stand_beside_each_other_and_their_differences_can_be_stepped_through(first, second, installed):
    at = page("compare", workspace_of_both(first, second))
    assert not at.exception
    assert table(at, "EC57, %").columns.tolist() == ["EC57, %", "first", "second"]
    burden = table(at, "Burden").set_index("Burden")
    assert burden.loc["V beats"].tolist()[:2] == [f"{analysis.burden.count[2]:,}" for analysis in (first, second)]
    listed = table(at, "Time")
    assert listed.columns.tolist() == ["Time", "first", "second", "reference"]
    assert (listed["first"].tolist(), listed["second"].tolist()) == (["V"] * 5, ["N"] * 5)
    assert "**1 of 5**" in text_of(at)
    before = charts(at)[0].proto.spec
    button(at, "Next").click().run()
    assert "**2 of 5**" in text_of(at)
    assert charts(at)[0].proto.spec != before
    assert "It is not an explanation" in text_of(at)
    button(at, "Previous").click().run()
    assert "**1 of 5**" in text_of(at)


def test_each_study_is_compared_from_its_own_first_difference_on(first, second, installed, tmp_path):
    workspace = workspace_of_both(first, second)
    other = read_record(write_record(tmp_path, "other", signal(1, 60 * FS_HZ), FS_HZ, lead_names=("II",)))
    workspace_of_both(replace(first, record=other), replace(second, record=other), workspace)
    at = page("compare", workspace)
    button(at, "Next").click().run()
    button(at, "Next").click().run()
    assert "**3 of 5**" in text_of(at)
    at.selectbox(key="picked").set_value(first.record.sha256).run()
    assert "Compare models on demo" in text_of(at)
    assert "**1 of 5**" in text_of(at)
    assert not at.exception


def test_order_of_the_models_does_not_depend_on_which_is_shown(first, second, installed):
    workspace = workspace_of_both(first, second)
    workspace.studies[first.record.sha256].shown = next(
        key for key in workspace.analyses if key.model_digest == model_digest(second.model)
    )
    assert table(page("compare", workspace), "EC57, %").columns.tolist() == ["EC57, %", "first", "second"]


def test_models_without_a_difference_say_so(first, second, installed):
    workspace = workspace_of_both(first, replace(second, beats=first.beats))
    assert "first and second agree on every analysable beat." in text_of(page("compare", workspace))


def test_record_without_reference_is_compared_but_not_scored(first, second, installed):
    bare = replace(first.record, reference=None)
    workspace = workspace_of_both(replace(first, record=bare), replace(second, record=bare))
    at = page("compare", workspace)
    assert not at.exception
    assert "no reference annotations" in text_of(at)
    assert table(at, "Burden").columns.tolist() == ["Burden", "first", "second"]
    assert table(at, "Time").columns.tolist() == ["Time", "first", "second"]


def test_reference_equal_to_the_first_analysis_scores_100_per_cent(first, second, installed):
    beats = first.beats
    marks = Annotations(beats.time_s, beats.label, np.full(len(beats), ""))
    record = replace(first.record, reference=marks)
    at = page("compare", workspace_of_both(replace(first, record=record), replace(second, record=record)))
    scores = table(at, "EC57, %").set_index("EC57, %")
    assert scores.loc["V Se / +P", "first"] == "100.0 / 100.0"
    assert scores.loc["V F1", "first"] == "100.0"
    assert float(scores.loc["Accuracy", "second"]) <= 100
    burden = table(at, "Burden").set_index("Burden")
    assert burden.loc["PVC burden", "first"] == burden.loc["PVC burden", "reference"]


def test_second_analysis_is_measured_by_the_rules_that_are_shown(first, second, installed):
    rules = RhythmRules(run_min_beats=4)
    workspace = workspace_of_both(with_rules(first, rules), second)
    assert table(page("compare", workspace), "EC57, %").columns.tolist() == ["EC57, %", "first", "second"]
    kept = [analysis for analysis in workspace.analyses.values() if analysis.model.name == "second"]
    assert {analysis.rules for analysis in kept} == {rules, second.rules}


def test_second_analysis_runs_beside_the_shown_one_and_does_not_replace_it(first, second, installed, monkeypatch):
    done = threading.Event()

    def run(record, model_path, rules, *, lead, edits, progress, fitting):
        done.wait(10)
        assert (model_path.stem, lead) == ("second", "II")
        return second

    monkeypatch.setattr(engine, "run", run)
    workspace = workspace_with(first)
    shown = workspace.shown[first.record.sha256]
    at = page("compare", workspace)
    threading.Timer(0.5, done.set).start()
    button(at, "Analyse with second").click().run()
    assert workspace.shown[first.record.sha256] == shown
    assert table(at, "EC57, %").columns.tolist() == ["EC57, %", "first", "second"]


def test_other_pages_stay_while_a_second_model_analyses(first, second, installed, monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(engine, "run", lambda *args, **kwargs: release.wait(10) and first)
    workspace = workspace_with(first)
    key = AnalysisKey(first.record.sha256, "II", model_digest(second.model), first.rules)
    workspace.start(jobs.Job(key, first.record, DEMO, beside=True))
    try:
        at = page("report", workspace)
        names = {item.proto.label for item in at.get("download_button")}
        assert names == {f"demo{suffix}" for suffix in WRITERS | MORE_WRITERS}
    finally:
        release.set()


def test_choice_of_what_to_compare_says_how_often_they_differ(first, second, installed):
    at = page("compare", workspace_of_both(first, second))
    n = len(compare_beats(first.beats, second.beats).time_s)
    assert any(
        f"first vs second\\: {n} difference" in option for item in at.get("button_group") for option in item.options
    )
