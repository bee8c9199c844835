"""The pages, run without a browser: what they show when things are there, missing, hostile or changed."""

import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from support.analyses import make_analysis
from support.pages import PURPOSE, ROOT, address_time_s, app_test, button, html_of, page, text_of, workspace_with
from support.records import DEMO

from ecg_core.classifier.spec import model_digest
from ecg_core.edits import Label, LabelEdit
from ecg_core.live.recording import Recording
from ecg_core.live.stream import Stream, StreamChunk
from ecg_core.measuring import with_rules
from ecg_core.report.export import MORE_WRITERS, WRITERS
from ecg_core.report.measures import measures
from ecg_core.rhythm.events import KIND_NAMES, SHORT_NAMES
from ecg_core.rules import RhythmRules
from pages._ui import actions, engine
from pages._ui.jobs import AnalysisKey, Job
from pages._ui.messages import UNFORESEEN
from pages._ui.tables import MOST_SERIOUS_FIRST, by_severity, edited_rules, hours_table, short_name
from pages._ui.view import study_key
from pages._ui.workspace import Workspace

PAGES = ("studies", "overview", "review", "report", "about")
NEED_ANALYSIS = ("overview", "review", "report")


@pytest.fixture(scope="module")
def analysis(demo):
    """Made-up beats on the real demo record: the pages do not care where they came from."""
    return replace(make_analysis(demo.duration_s), record=demo)


@pytest.mark.parametrize("name", PAGES)
def test_every_page_stands_without_a_record(name):
    at = page(name)
    assert not at.exception
    assert not at.error
    assert PURPOSE in text_of(at)
    assert "Open the demo record" in [item.label for item in at.button]


@pytest.mark.parametrize("name", NEED_ANALYSIS)
def test_record_that_was_not_analysed_offers_it(name, demo):
    workspace = Workspace()
    workspace.add(demo)
    at = page(name, workspace)
    assert not at.exception
    assert "has not been analysed" in text_of(at)
    assert button(at, "Analyse")


@pytest.mark.parametrize("name", PAGES)
def test_every_page_shows_an_analysis_and_names_the_record_simulated(name, analysis):
    at = page(name, workspace_with(analysis))
    assert not at.exception
    assert not at.error
    shown = text_of(at)
    assert PURPOSE in shown
    assert "Simulated record" in shown


def test_the_frame_of_the_pages_loads_neither_torch_nor_wfdb():
    script = "import sys, pages._ui.frame; sys.exit(bool({'torch', 'wfdb'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=60)  # noqa: S603


def test_app_runs_with_its_navigation(analysis):
    at = app_test("dashboard.py")
    at.session_state["workspace"] = workspace_with(analysis)
    at.run()
    assert not at.exception
    at.switch_page("pages/overview.py").run()
    assert not at.exception
    assert "PVC burden" in text_of(at)


def test_overview_prints_the_denominators(analysis):
    shown = text_of(page("overview", workspace_with(analysis)))
    n_beats, n_v = analysis.burden.n_beats, analysis.burden.count[2]
    assert f"{n_v:,} V of {n_beats:,} beats" in shown
    assert shown.index("Analysable time") < shown.index("PVC burden")


def test_recording_with_little_analysable_time_says_so(demo):
    n_blocks = int(np.ceil(demo.duration_s / 10))
    poor = replace(make_analysis(demo.duration_s, unusable=range(n_blocks - 40)), record=demo)
    assert "% of this recording is analysable in lead II" in text_of(page("overview", workspace_with(poor)))


def test_one_relabelled_beat_of_a_hundred_thousand_changes_the_burden(demo):
    first = replace(make_analysis(80_000.0), record=demo)
    assert len(first.beats) > 99_000
    workspace = workspace_with(first)
    before = text_of(page("overview", workspace))
    assert first.beats.label[50_000] != "V"
    workspace.add_edit(demo.sha256, LabelEdit((Label(float(first.beats.time_s[50_000]), "V"),)))
    after = text_of(page("overview", workspace))
    n_v = first.burden.count[2]
    assert f"{n_v:,} V of" in before
    assert f"{n_v + 1:,} V of" in after


def test_link_reopens_the_time(analysis):
    at = page("review", workspace_with(analysis), t="600.3")
    beat = np.abs(analysis.beats.time_s - 600.3).argmin()
    assert f"08:{int(analysis.beats.time_s[beat] // 60):02d}:" in text_of(at)
    assert address_time_s(at) == 600.3


def test_link_to_a_record_that_is_not_open_names_it_and_keeps_its_time(demo):
    workspace = Workspace()
    at = page("review", workspace, record="demo2", t="600.3")
    assert "demo2" in text_of(at)
    workspace.add(replace(demo, record_id="demo2"))
    assert workspace.studies[demo.sha256].time_s == 600.3


def test_link_to_another_recording_of_the_same_name_opens_none(demo):
    workspace = Workspace()
    workspace.add(demo)
    workspace.close(demo.sha256)
    at = page("review", workspace, study="0" * 16, record="demo", t="600.3")
    for _ in range(2):
        assert "This link leads to the record **demo**" in text_of(at)
        assert workspace.current == ""
        at.run()


def test_link_to_the_study_of_the_demo_opens_it_where_nothing_was_kept(paused_engine, demo):
    paused_engine.set()
    at = page("review", study=demo.sha256[:16], record="demo", t="600.3")
    assert at.session_state["workspace"].current == demo.sha256
    assert "08:10:" in text_of(at)


def test_link_to_the_demo_opens_it(paused_engine, demo):
    paused_engine.set()
    at = page("review", record="demo", t="600.3")
    workspace = at.session_state["workspace"]
    assert workspace.current == demo.sha256
    assert "08:10:" in text_of(at)


def test_link_to_another_open_record_shows_that_one(analysis, demo):
    workspace = workspace_with(analysis)
    workspace.add(replace(demo, record_id="other", files=demo.files[:1]))
    assert workspace.current != demo.sha256
    page("overview", workspace, record="demo")
    assert workspace.current == demo.sha256


@pytest.mark.parametrize("time", ["nan", "inf", "-5", "1e9", "soon", ""])
def test_link_with_a_senseless_time_is_survived(analysis, time):
    at = page("review", workspace_with(analysis), t=time)
    assert not at.exception
    assert not at.error


def test_next_goes_from_v_to_v(analysis):
    at = page("review", workspace_with(analysis))
    time_s = analysis.beats.time_s[analysis.beats.label == "V"]
    button(at, "Next").click().run()
    assert address_time_s(at) == pytest.approx(time_s[0], abs=0.01)
    button(at, "Next").click().run()
    assert address_time_s(at) == pytest.approx(time_s[1], abs=0.01)
    button(at, "Previous").click().run()
    assert address_time_s(at) == pytest.approx(time_s[0], abs=0.01)


def test_attention_is_never_called_an_explanation(analysis):
    shown = text_of(page("review", workspace_with(analysis)))
    assert "It is not an explanation" in shown
    assert "because" not in shown.lower()


@pytest.mark.parametrize(("how_many", "seconds"), [(1, 6), (3, 10), (12, 10), (1, 30)])
def test_strips_of_every_kind_are_drawn(analysis, how_many, seconds):
    at = page("review", workspace_with(analysis), t="600", leads=str(how_many), sec=str(seconds))
    assert not at.exception
    assert not at.error
    charts = [chart.proto.id for chart in at.get("plotly_chart")]
    assert sum("strip" in name for name in charts) == (4 if seconds == 30 else 1)  # 7.2 s fit the narrowest page


def test_two_sessions_do_not_see_each_other(analysis):
    page("overview", workspace_with(analysis))
    at = app_test("pages/overview.py").run()
    assert "No study is open" in text_of(at)


def test_switching_records_is_possible_and_closing_forgets(analysis, demo):
    workspace = workspace_with(analysis)
    other = replace(demo, record_id="other", files=demo.files[:1])
    workspace.add(other)
    at = page("studies", workspace)
    assert at.sidebar.selectbox[0].options == ["demo", "other"]
    at.sidebar.selectbox[0].set_value(demo.sha256).run()
    assert workspace.current == demo.sha256
    button(at, "Close this study").click().run()
    assert demo.sha256 not in workspace.records
    assert not workspace.analyses


def test_folder_without_records_says_so(tmp_path):
    at = page("studies")
    at.text_input(key="folder").set_value(str(tmp_path)).run()
    assert "no recording was found in this folder" in at.error[0].value


def test_folder_offers_its_records(demo):
    workspace = Workspace()
    at = page("studies", workspace)
    at.text_input(key="folder").set_value(str(DEMO.parent)).run()
    button(at, "Open this one").click().run()
    assert workspace.current == demo.sha256


def test_unforeseen_error_becomes_a_sentence(analysis, monkeypatch, caplog):
    def break_down(*args, **kwargs):
        raise ZeroDivisionError("/secret/place")

    monkeypatch.setattr("ecg_core.figures.strip_figure", break_down)
    at = page("review", workspace_with(analysis))
    assert [error.value for error in at.error] == [UNFORESEEN]
    assert "/secret/place" in caplog.text


@pytest.fixture
def paused_engine(monkeypatch, analysis):
    """The analysis replaced by one that waits in the middle until this event is set."""
    go_on = threading.Event()

    def run(record, model_path, rules, *, lead, edits, progress, fitting):
        progress(0.0, record.duration_s)
        progress(record.duration_s / 4, record.duration_s)
        go_on.wait(20)
        progress(record.duration_s, record.duration_s)
        return analysis

    monkeypatch.setattr(engine, "run", run)
    monkeypatch.setattr(actions, "installed_models", lambda: {"made": "0" * 64})
    return go_on


def queued(record, *, model=DEMO, workspace=None):
    """A job in the queue of a workspace."""
    workspace = workspace or Workspace()
    workspace.add(record)
    job = Job(AnalysisKey(record.sha256, "auto", "", RhythmRules()), record, model)
    job.workspace = workspace  # its store goes with it
    workspace.start(job)
    return job


def test_analysis_shows_its_result_when_it_is_done(demo, paused_engine):
    workspace = Workspace()
    workspace.add(demo)
    at = page("overview", workspace)
    threading.Timer(0.7, paused_engine.set).start()
    button(at, "Analyse").click().run()
    assert "PVC burden" in text_of(at)
    assert not workspace.queue.jobs


def test_job_estimates_how_long_it_will_take(demo, paused_engine):
    job = queued(demo)
    while job.fraction_done == 0:
        job.wait(0.01)
    assert job.fraction_done == 0.25
    assert job.left_s > 0
    paused_engine.set()
    job.wait()
    assert job.left_s is None
    assert job.result is not None


def test_cancelled_analysis_leaves_nothing(demo, paused_engine):
    workspace = Workspace()
    workspace.add(demo)
    job = queued(demo, workspace=workspace)
    job.cancel()
    paused_engine.set()
    job.wait()
    at = page("overview", workspace)
    assert "The analysis of demo was cancelled." in text_of(at)
    assert button(at, "Resume")
    assert not workspace.analyses


def test_demo_asked_for_by_the_launcher_opens_and_is_analysed(monkeypatch, paused_engine, demo):
    paused_engine.set()
    monkeypatch.setenv("ECG_DEMO", "1")
    at = app_test("pages/overview.py").run()
    workspace = at.session_state["workspace"]
    assert workspace.current == demo.sha256
    assert "PVC burden" in text_of(at)


def test_same_analysis_is_not_made_twice(analysis, paused_engine, monkeypatch):
    monkeypatch.setattr(actions, "installed_models", lambda: {"made": model_digest(analysis.model)})
    workspace = workspace_with(analysis)
    at = page("studies", workspace)
    button(at, "Analyse").click().run()
    assert not workspace.queue.jobs


def test_broken_model_ends_the_job_with_a_sentence(demo, tmp_path):
    (tmp_path / "bad.pt").write_bytes(b"no weights")
    job = queued(demo, model=tmp_path / "bad.pt")
    job.wait()
    assert job.result is None
    assert "a model is a .pt file and a .json file beside it" in job.problem


def test_crash_in_the_thread_ends_the_job_with_a_sentence(demo, monkeypatch, caplog):
    monkeypatch.setattr(engine, "run", lambda *args, **kwargs: 1 / 0)
    job = queued(demo)
    job.wait()
    assert job.problem == UNFORESEEN
    assert "ZeroDivisionError" in caplog.text


def test_downloads_are_made_of_the_analysis(analysis):
    at = page("report", workspace_with(analysis))
    names = [item.proto.label for item in at.get("download_button")]
    assert names[0] == "demo_report.pdf"
    assert sorted(names) == sorted(f"demo{suffix}" for suffix in WRITERS | MORE_WRITERS)
    rules = next(frame.value for frame in at.dataframe if "Rule" in frame.value)
    assert rules["Rule"].tolist() == [rule.says for rule in analysis.rules.rows()]
    assert rules["Value"].tolist() == [rule.value for rule in analysis.rules.rows()]


def test_report_shows_every_measure_or_why_it_is_missing(analysis):
    at = page("report", workspace_with(analysis))
    shown = " ".join(html_of(at))
    for measure in measures(analysis):
        assert measure.name in shown
        assert (measure.text if measure.value is not None else measure.why) in shown


def row_of(key):
    """Row of a rule in the table of the rules."""
    return [rule.key for rule in RhythmRules().rows()].index(key)


def test_changed_rules_measure_the_same_beats_again_and_can_be_undone(analysis, demo):
    workspace = workspace_with(analysis)
    at = page("report", workspace)
    assert not at.button or all("default" not in item.label for item in at.button)
    rules, refused = edited_rules(analysis.rules, {0: {"Value": 4.0}, row_of("pause_s"): {"Value": 2.5}})
    assert not refused
    assert (rules.run_min_beats, rules.pause_s) == (4, 2.5)
    at.session_state["workspace"] = workspace_with(with_rules(analysis, rules), workspace=workspace)
    at = at.run()
    assert f"{rules.changed()[-1].says}** 2.5 s" in text_of(at)
    button(at, "Back to the default rules").click().run()
    shown = workspace.analysis(demo.sha256)
    assert shown.rules == RhythmRules()
    assert shown.events == analysis.events


def test_an_emptied_rule_is_the_default_and_a_wrong_one_stops_no_other():
    rules = RhythmRules(pause_s=2.5)
    assert edited_rules(rules, {row_of("pause_s"): {"Value": None}}) == (RhythmRules(), {})
    edits = {row_of("pause_s"): {"Value": 99.0}, 0: {"Value": 3.5}, row_of("vt_bpm"): {"Value": 120.0}}
    assert edited_rules(rules, edits) == (
        RhythmRules(pause_s=2.5, vt_bpm=120.0), {"pause_s": 99.0, "run_min_beats": 3.5}
    )  # fmt: skip


def test_what_is_wrong_with_a_rule_stands_beside_what_was_typed(analysis):
    at = page("report", workspace_with(analysis))
    at.session_state[study_key("refused_rules", analysis.record.sha256)] = {"pause_s": 99.0}
    table = next(frame.value for frame in at.run().dataframe if "Rule" in frame.value)
    row = table.iloc[row_of("pause_s")]
    assert (row["Value"], row["Not applied"]) == (99.0, "expected 1.5 to 10 s, got 99")
    assert (table["Not applied"] != "").sum() == 1
    assert "1 value not applied" in text_of(at)


def test_review_lists_the_most_serious_findings_first(demo_analysis):
    analysis = demo_analysis
    at = page("review", workspace_with(analysis))
    table = next(frame.value for frame in at.dataframe if "Finding" in frame.value)
    assert len(table) == len(analysis.events)
    ranks = [MOST_SERIOUS_FIRST.index(event.kind) for event in by_severity(analysis.events)]
    assert ranks == sorted(ranks)
    assert table["Finding"].tolist() == [short_name(MOST_SERIOUS_FIRST[rank]) for rank in ranks]


def test_every_kind_of_event_has_its_severity_and_a_short_name_of_its_own():
    assert set(MOST_SERIOUS_FIRST) == set(KIND_NAMES) == set(SHORT_NAMES)
    assert len(set(SHORT_NAMES.values())) == len(SHORT_NAMES)
    assert max(map(len, SHORT_NAMES.values())) <= 14  # a column of a table at 1280 px


def test_the_occlusion_check_shows_its_conclusion(demo, demo_analysis):
    at = page("review", workspace_with(demo_analysis), t="100.0")
    button(at, "Check the attention by occlusion").click().run()
    assert "most attended steps" in text_of(at)
    assert "Hiding the attended steps changes the probability" in text_of(at)


def test_the_occlusion_check_without_its_model_says_so(analysis):
    at = page("review", workspace_with(analysis), t="100.0")
    button(at, "Check the attention by occlusion").click().run()
    assert any("no longer installed" in error.value for error in at.error)


@pytest.mark.parametrize("speed", ["12.5", "25", "50"])
@pytest.mark.parametrize("leads", ["1", "6"])
def test_strips_are_drawn_at_every_speed(analysis, speed, leads):
    at = page("review", workspace_with(analysis), speed=speed, leads=leads, sec="30")
    assert not at.exception
    assert not at.error


def test_fetched_records_are_offered_by_themselves(tmp_path, monkeypatch):
    monkeypatch.setattr(actions, "ROOT", tmp_path)
    assert "Setup_Test_Data.bat" in text_of(page("studies"))
    folder = tmp_path / "data" / "svdb-125hz" / "1.0.0"
    folder.mkdir(parents=True)
    for ending in (".hea", ".dat"):
        (folder / f"demo{ending}").write_bytes(DEMO.with_suffix(ending).read_bytes())
    at = page("studies")
    choice = next(box for box in at.selectbox if box.label == "Fetched from PhysioNet, or recorded live")
    assert choice.options == ["svdb-125hz demo"]
    choice.select("svdb-125hz demo").run()
    button(at, "Open it").click().run()
    assert at.expander[0].label.startswith("Analysis of demo")


def test_recordings_of_the_same_belt_are_offered_by_their_day_without_their_segments(tmp_path, monkeypatch):
    monkeypatch.setattr(actions, "ROOT", tmp_path)
    stream, signal = Stream("belt", 250.0, ("II",)), np.zeros((1, 2500), dtype=np.float32)
    for day in ("2026-11-28", "2026-11-29"):
        with closing(Recording(tmp_path / "data" / "live" / day, stream)) as recording:
            recording.write_chunk(StreamChunk(0, signal))
            recording.write_chunk(StreamChunk(2_000_000, signal))  # after a gap that begins another segment
    assert list(actions.fetched_records()) == ["live 2026-11-29 belt", "live 2026-11-28 belt"]


def test_the_hours_add_up_to_their_total(demo_analysis):
    table = hours_table(demo_analysis)
    *hours, total = table.to_dict("records")
    assert total["From"] == "Total"
    for name in ("Beats", "V", "S", "Pauses"):
        assert sum(hour[name] for hour in hours) == total[name]
    assert total["V"] == demo_analysis.burden.v.n_beats


def test_the_studies_page_shows_the_quality_of_the_leads(demo_analysis):
    at = page("studies", workspace_with(demo_analysis))
    assert not at.error
    spec = at.get("plotly_chart")[0].proto.spec
    assert "not analysable" in spec


def test_the_page_patient_says_what_may_be_wrong_with_a_record(demo):
    workspace = Workspace()
    workspace.add(demo)
    shown = " ".join(html_of(page("patient", workspace)))
    assert "Signal check" in shown
    assert "nothing wrong was found" in shown
    workspace = Workspace()
    workspace.add(replace(demo, calibrated=(False, *demo.calibrated[1:]), files=()))  # another record by its hash
    shown = " ".join(html_of(page("patient", workspace)))
    assert "no gain for I: 200 counts per mV assumed" in shown
