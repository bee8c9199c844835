"""The pages, run without a browser: what they say when things are there, missing, hostile or changed."""

import gc
import os
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from streamlit.testing.v1 import AppTest
from test_figures import make_analysis

from ecg_core.errors import MissingMetadataError, RecordError, RulesError
from ecg_core.pipeline import with_rules
from ecg_core.records import read_record
from ecg_core.report.export import WRITERS
from ecg_core.report.measures import measures
from ecg_core.rhythm.events import KIND_NAMES
from ecg_core.rules import RhythmRules
from pages._ui import jobs, session, uploads
from pages._ui.jobs import CALM_SENTENCE, AnalysisKey, Job, Label
from pages._ui.session import Workspace
from pages._ui.tables import WEIGHTIEST_FIRST, by_weight, edited_rules, hours_shown

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "demo_data" / "demo"
PAGES = ("record", "overview", "review", "report", "about")
NEED_ANALYSIS = ("overview", "review", "report")
PURPOSE = "not cleared for use as a primary diagnostic tool"


@pytest.fixture(scope="module")
def analysis(demo):
    """Made-up beats on the real demo record: the pages do not care where they came from."""
    return replace(make_analysis(demo.duration_s), record=demo)


def room_with(analysis, workspace=None):
    workspace = workspace or Workspace()
    workspace.add(analysis.record)
    workspace.put(AnalysisKey(analysis.record.sha256, "auto", analysis.model.sha256, analysis.rules), analysis)
    return workspace


def page(name, workspace=None, **query):
    at = AppTest.from_file(str(ROOT / "pages" / f"{name}.py"), default_timeout=30)
    at.session_state["workspace"] = workspace or Workspace()
    for key, value in query.items():
        at.query_params[key] = value
    return at.run()


def text_of(at):
    """Everything that a reader sees, as one string."""
    kinds = ("title", "header", "markdown", "caption", "info", "warning", "error", "success")
    shown = [element.value for kind in kinds for element in getattr(at, kind)]
    return "\n".join([*shown, *(element.proto.body for element in at.get("html"))])


def button(at, label):
    return next(item for item in at.button if item.label == label)


def moment(at):
    """The time that the address carries, which is a list before and a text after a page has written it."""
    value = at.query_params["t"]
    return float(value if isinstance(value, str) else value[0])


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
    at = page(name, room_with(analysis))
    assert not at.exception
    assert not at.error
    shown = text_of(at)
    assert PURPOSE in shown
    assert "Simulated record" in shown


def test_app_runs_with_its_navigation(analysis):
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=30)
    at.session_state["workspace"] = room_with(analysis)
    at.run()
    assert not at.exception
    at.switch_page("pages/overview.py").run()
    assert not at.exception
    assert "PVC burden" in text_of(at)


def test_overview_prints_the_denominators(analysis):
    shown = text_of(page("overview", room_with(analysis)))
    n_beats, n_v = analysis.burden.n_beats, analysis.burden.count[2]
    assert f"{n_v:,} V of {n_beats:,} beats" in shown
    assert shown.index("Analysable time") < shown.index("PVC burden")


def test_record_that_can_hardly_be_read_says_so(demo):
    n_blocks = int(np.ceil(demo.duration_s / 10))
    poor = replace(make_analysis(demo.duration_s, unusable=range(n_blocks - 40)), record=demo)
    assert "could be read" in text_of(page("overview", room_with(poor)))


def test_one_relabelled_beat_of_a_hundred_thousand_changes_the_burden(demo):
    first = replace(make_analysis(80_000.0), record=demo)
    assert len(first.beats) > 99_000
    workspace = room_with(first)
    before = text_of(page("overview", workspace))
    assert first.beats.label[50_000] != "V"
    workspace.told[demo.sha256] = ((Label(float(first.beats.time_s[50_000]), "V"),),)
    after = text_of(page("overview", workspace))
    n_v = first.burden.count[2]
    assert f"{n_v:,} V of" in before
    assert f"{n_v + 1:,} V of" in after


def test_link_reopens_the_moment(analysis):
    at = page("review", room_with(analysis), t="600.3")
    beat = np.abs(analysis.beats.time_s - 600.3).argmin()
    assert f"08:{int(analysis.beats.time_s[beat] // 60):02d}:" in text_of(at)
    assert moment(at) == 600.3


def test_link_to_a_record_that_is_not_open_says_which_and_keeps_its_moment(demo):
    workspace = Workspace()
    at = page("review", workspace, record="demo2", t="600.3")
    assert "demo2" in text_of(at)
    workspace.add(replace(demo, record_id="demo2"))
    assert workspace.time_s[demo.sha256] == 600.3


def test_link_to_the_demo_opens_it(engine, demo):
    engine.set()
    at = page("review", record="demo", t="600.3")
    workspace = at.session_state["workspace"]
    assert workspace.current == demo.sha256
    assert "08:10:" in text_of(at)


def test_link_to_another_open_record_shows_that_one(analysis, demo):
    workspace = room_with(analysis)
    workspace.add(replace(demo, record_id="other", files=demo.files[:1]))
    assert workspace.current != demo.sha256
    page("overview", workspace, record="demo")
    assert workspace.current == demo.sha256


@pytest.mark.parametrize("time", ["nan", "inf", "-5", "1e9", "soon", ""])
def test_link_with_a_foolish_time_is_survived(analysis, time):
    at = page("review", room_with(analysis), t=time)
    assert not at.exception
    assert not at.error


def test_next_goes_from_v_to_v(analysis):
    at = page("review", room_with(analysis))
    time_s = analysis.beats.time_s[analysis.beats.label == "V"]
    button(at, "Next").click().run()
    assert moment(at) == pytest.approx(time_s[0], abs=0.01)
    button(at, "Next").click().run()
    assert moment(at) == pytest.approx(time_s[1], abs=0.01)
    button(at, "Previous").click().run()
    assert moment(at) == pytest.approx(time_s[0], abs=0.01)


def test_attention_is_never_called_an_explanation(analysis):
    shown = text_of(page("review", room_with(analysis)))
    assert "It is not an explanation" in shown
    assert "because" not in shown.lower()


@pytest.mark.parametrize(("how_many", "seconds"), [(1, 6), (3, 10), (12, 10), (1, 30)])
def test_strips_of_every_kind_are_drawn(analysis, how_many, seconds):
    at = page("review", room_with(analysis), t="600", leads=str(how_many), sec=str(seconds))
    assert not at.exception
    assert not at.error
    charts = [chart.proto.id for chart in at.get("plotly_chart")]
    assert sum("strip" in name for name in charts) == (3 if seconds == 30 else 1)


def uploaded(*suffixes, rename=None):
    return [
        ((rename or {}).get(suffix, f"demo{suffix}"), DEMO.with_suffix(suffix).read_bytes(), "application/octet-stream")
        for suffix in suffixes
    ]


def test_upload_without_its_signal_names_the_missing_file():
    at = page("record")
    at.file_uploader[0].set_value(uploaded(".hea")).run()
    assert [error.value for error in at.error] == ["demo.hea asks for demo.dat, which is not beside it; add this file."]


def test_upload_opens_the_record(demo):
    workspace = Workspace()
    at = page("record", workspace)
    at.file_uploader[0].set_value(uploaded(".hea", ".dat", ".atr")).run()
    assert not at.error
    assert list(workspace.records) == [demo.sha256]
    assert len(workspace.records[demo.sha256].reference.time_s) == len(demo.reference.time_s)


def test_an_upload_that_says_neither_rate_nor_unit_is_asked_for_both(tmp_path):
    savemat(tmp_path / "x.mat", {"val": np.stack([np.sin(np.arange(5000) / 20)] * 2)})
    workspace = Workspace()
    at = page("record", workspace)
    at.file_uploader[0].set_value([("x.mat", (tmp_path / "x.mat").read_bytes(), "application/octet-stream")]).run()
    assert not at.exception
    assert not at.error
    assert "does not say its sampling rate and the unit of its numbers" in text_of(at)
    button(at, "Open with these").click().run()
    assert "State its sampling rate and the unit of its numbers first." in text_of(at)
    asked = {item.label: item for item in [*at.number_input, *at.selectbox]}
    asked["Sampling rate in Hz"].set_value(250.0)
    asked["Unit"].set_value("counts")
    asked["Counts a mV, if these are counts"].set_value(200.0)
    button(at, "Open with these").click().run()
    assert not at.exception
    (record,) = workspace.records.values()
    assert (record.fs_hz, record.overrides.per_mv) == (250.0, 200.0)
    assert "does not say" not in text_of(at)
    assert not workspace.asked


def test_what_a_file_says_itself_is_not_asked_for(tmp_path):
    (tmp_path / "x.csv").write_text("II_mv\n" + "".join(f"{np.sin(i / 20):.5f}\n" for i in range(5000)))
    workspace = Workspace()
    at = page("record", workspace)
    at.text_input[0].set_value(str(tmp_path)).run()
    button(at, "Open").click().run()
    asked = {item.label: item for item in [*at.number_input, *at.selectbox]}
    assert asked["Unit"].disabled
    asked["Sampling rate in Hz"].set_value(5.0)
    button(at, "Open with these").click().run()
    assert "its sampling rate is 5 Hz, expected 50 to 10000 Hz" in at.error[0].value
    asked = {item.label: item for item in [*at.number_input, *at.selectbox]}
    asked["Sampling rate in Hz"].set_value(250.0)
    button(at, "Open with these").click().run()
    assert [record.fs_hz for record in workspace.records.values()] == [250.0]


def test_a_file_that_is_asked_about_can_be_left(tmp_path):
    (tmp_path / "x.csv").write_text("II_mv\n" + "0\n" * 5000)
    workspace = Workspace()
    with pytest.raises(MissingMetadataError):
        read_record(tmp_path / "x.csv")
    workspace.asked[tmp_path / "x.csv"] = MissingMetadataError("x", rate=True, unit=False)
    at = page("record", workspace)
    button(at, "Do not open it").click().run()
    assert not workspace.asked
    assert "does not say" not in text_of(at)


def test_upload_without_a_header_says_what_is_needed():
    at = page("record")
    at.file_uploader[0].set_value(uploaded(".dat")).run()
    assert "No header (.hea) is among the files (demo.dat)" in at.error[0].value


def test_upload_writes_nowhere_but_its_own_folder(tmp_path):
    class File:
        def __init__(self, name):
            self.name = name

        def getbuffer(self):
            return memoryview(b"demo 1 257 10\n")

    folder = tmp_path / "own"
    folder.mkdir()
    headers = uploads.store([File("../../evil.hea"), File("..\\..\\worse.hea"), File("/etc/cron.hea")], folder)
    assert {path.name for path in headers} == {"evil", "worse", "cron"}
    assert all(folder in path.parents for path in headers)
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("name", ["..", ".hea", "x\x00.hea", "a;rm.hea", "a\nb.hea", "", "-x.hea", " x.hea", "a" * 200])
def test_strange_names_are_refused_in_a_sentence(name):
    with pytest.raises(RecordError, match="cannot be taken as a file name"):
        uploads.safe_name(name)


def test_messages_do_not_name_the_servers_folders(monkeypatch, tmp_path):
    monkeypatch.setattr(uploads.tempfile, "gettempdir", lambda: str(tmp_path))
    workspace = Workspace()
    inner = uploads.store(
        [type("F", (), {"name": "x.hea", "getbuffer": lambda self: memoryview(b"")})()], workspace.folder
    )
    sentence = workspace.plain(f"{inner[0]}.hea: this header file does not exist.")
    assert sentence == "x.hea: this header file does not exist."


def test_uploads_are_gone_with_the_session():
    workspace = Workspace()
    folder = workspace.folder
    (folder / "x.hea").write_text("x")
    del workspace
    gc.collect()
    assert not folder.exists()


def test_what_a_killed_program_left_is_removed(monkeypatch, tmp_path):
    monkeypatch.setattr(uploads.tempfile, "tempdir", str(tmp_path))
    old, other = tmp_path / f"{uploads.PREFIX}old", tmp_path / "other"
    for folder in (old, other):
        folder.mkdir()
        os.utime(folder, (0, 0))
    made = uploads.make_folder()
    assert sorted(tmp_path.iterdir()) == sorted([made, other])


def test_two_sessions_do_not_see_each_other(analysis):
    page("overview", room_with(analysis))
    at = AppTest.from_file(str(ROOT / "pages" / "overview.py"), default_timeout=30).run()
    assert "No record is open" in text_of(at)


def test_switching_records_is_possible_and_closing_forgets(analysis, demo):
    workspace = room_with(analysis)
    other = replace(demo, record_id="other", files=demo.files[:1])
    workspace.add(other)
    at = page("record", workspace)
    assert at.sidebar.selectbox[0].options == ["demo", "other"]
    at.sidebar.selectbox[0].set_value(demo.sha256).run()
    assert workspace.current == demo.sha256
    button(at, "Close this record").click().run()
    assert demo.sha256 not in workspace.records
    assert not workspace.analyses


def test_folder_without_records_says_so(tmp_path):
    at = page("record")
    at.text_input[0].set_value(str(tmp_path)).run()
    assert "no recording was found in this folder" in at.error[0].value


def test_folder_offers_its_records(demo):
    workspace = Workspace()
    at = page("record", workspace)
    at.text_input[0].set_value(str(DEMO.parent)).run()
    button(at, "Open").click().run()
    assert workspace.current == demo.sha256


def test_unforeseen_error_becomes_a_calm_sentence(analysis, monkeypatch, caplog):
    def break_down(*args, **kwargs):
        raise ZeroDivisionError("/secret/place")

    monkeypatch.setattr("ecg_core.figures.strip_figure", break_down)
    at = page("review", room_with(analysis))
    assert [error.value for error in at.error] == [CALM_SENTENCE]
    assert "/secret/place" in caplog.text


@pytest.fixture
def engine(monkeypatch, analysis):
    """The analysis replaced by one that waits at each piece until it is let go on."""
    import pages._ui.engine

    go_on = threading.Event()

    def run(record, model_path, rules, *, lead, own, progress, fitting):
        progress(0.0, record.duration_s)
        progress(record.duration_s / 4, record.duration_s)
        go_on.wait(20)
        progress(record.duration_s, record.duration_s)
        return analysis

    monkeypatch.setattr(pages._ui.engine, "run", run)
    monkeypatch.setattr(session, "installed_models", lambda: {"made": "0" * 64})
    return go_on


def test_analysis_shows_its_result_when_it_is_done(demo, engine):
    workspace = Workspace()
    workspace.add(demo)
    at = page("overview", workspace)
    threading.Timer(0.7, engine.set).start()
    button(at, "Analyse").click().run()
    assert "PVC burden" in text_of(at)
    assert workspace.job is None


def test_job_tells_how_long_it_will_take(demo, engine):
    job = Job(AnalysisKey(demo.sha256, "auto", "", RhythmRules()), demo, DEMO)
    while job.share == 0:
        job.wait(0.01)
    assert job.share == 0.25
    assert job.left_s > 0
    engine.set()
    job.wait()
    assert job.left_s is None
    assert job.result is not None


def test_cancelled_analysis_leaves_nothing(demo, engine):
    workspace = Workspace()
    workspace.add(demo)
    workspace.job = Job(AnalysisKey(demo.sha256, "auto", "", RhythmRules()), demo, DEMO)
    workspace.job.cancel()
    engine.set()
    at = page("overview", workspace)
    assert "The analysis was cancelled." in text_of(at)
    assert button(at, "Analyse")
    assert not workspace.analyses


def test_demo_asked_for_by_the_launcher_opens_and_is_analysed(monkeypatch, engine, demo):
    engine.set()
    monkeypatch.setenv("ECG_DEMO", "1")
    at = AppTest.from_file(str(ROOT / "pages" / "overview.py"), default_timeout=30).run()
    workspace = at.session_state["workspace"]
    assert workspace.current == demo.sha256
    assert "PVC burden" in text_of(at)


def test_same_analysis_is_not_made_twice(analysis, engine, monkeypatch):
    monkeypatch.setattr(session, "installed_models", lambda: {"made": analysis.model.sha256})
    workspace = room_with(analysis)
    at = page("record", workspace)
    button(at, "Analyse").click().run()
    assert workspace.job is None


def test_broken_model_is_told_in_its_own_words(demo, tmp_path):
    (tmp_path / "bad.pt").write_bytes(b"no weights")
    job = Job(AnalysisKey(demo.sha256, "auto", "", RhythmRules()), demo, tmp_path / "bad.pt")
    job.wait()
    assert job.result is None
    assert "a model is a .pt file and a .json file beside it" in job.problem


def test_crash_in_the_thread_is_told_calmly(demo, monkeypatch, caplog):
    import pages._ui.engine

    monkeypatch.setattr(pages._ui.engine, "run", lambda *args, **kwargs: 1 / 0)
    job = jobs.Job(AnalysisKey(demo.sha256, "auto", "", RhythmRules()), demo, DEMO)
    job.wait()
    assert job.problem == CALM_SENTENCE
    assert "ZeroDivisionError" in caplog.text


def test_downloads_are_made_of_the_analysis(analysis):
    at = page("report", room_with(analysis))
    names = [item.proto.label for item in at.get("download_button")]
    assert names == [f"demo{suffix}" for suffix in WRITERS]
    rules = at.dataframe[0].value
    assert rules["Rule"].tolist() == [rule.says for rule in analysis.rules.rows()]
    assert rules["Value"].tolist() == [rule.value for rule in analysis.rules.rows()]


def test_report_shows_every_measure_or_why_it_is_missing(analysis):
    at = page("report", room_with(analysis))
    shown = " ".join(element.proto.body for element in at.get("html"))
    for measure in measures(analysis):
        assert measure.name in shown
        assert (measure.text if measure.value is not None else measure.why) in shown


def test_changed_rules_measure_the_same_beats_anew_and_can_be_undone(analysis, demo):
    workspace = room_with(analysis)
    at = page("report", workspace)
    assert not at.button or all("default" not in item.label for item in at.button)
    rules = edited_rules(analysis.rules, {0: {"Value": 4.0}, 4: {"Value": 2.5}})
    assert (rules.run_min_beats, rules.pause_s) == (4, 2.5)
    at.session_state["workspace"] = room_with(with_rules(analysis, rules), workspace=workspace)
    at = at.run()
    assert "pause_s" in text_of(at)
    button(at, "Back to the default rules").click().run()
    shown = workspace.analyses[workspace.shown[demo.sha256]]
    assert shown.rules == RhythmRules()
    assert shown.events == analysis.events


def test_an_emptied_rule_is_the_default_and_a_wrong_one_is_a_sentence():
    rules = RhythmRules(pause_s=2.5)
    assert edited_rules(rules, {4: {"Value": None}}) == RhythmRules()
    with pytest.raises(RulesError, match=r"pause_s: expected 1\.5 to 10 s, got 99"):
        edited_rules(rules, {4: {"Value": 99.0}})


def test_review_lists_the_findings_with_the_weightiest_first(demo_analysis):
    analysis = demo_analysis
    at = page("review", room_with(analysis))
    table = next(frame.value for frame in at.dataframe if "Finding" in frame.value)
    assert len(table) == len(analysis.events)
    ranks = [WEIGHTIEST_FIRST.index(event.kind) for event in by_weight(analysis.events)]
    assert ranks == sorted(ranks)
    assert table["Finding"].tolist() == [KIND_NAMES[WEIGHTIEST_FIRST[rank]] for rank in ranks]


def test_every_kind_of_event_has_its_weight():
    assert set(WEIGHTIEST_FIRST) == set(KIND_NAMES)


def test_the_occlusion_check_tells_its_verdict(demo, demo_analysis):
    at = page("review", room_with(demo_analysis), t="100.0")
    button(at, "Check the attention by occlusion").click().run()
    assert "most attended steps" in text_of(at)
    assert "Hiding the attended steps changed" in text_of(at)


def test_the_occlusion_check_without_its_model_says_so(analysis):
    at = page("review", room_with(analysis), t="100.0")
    button(at, "Check the attention by occlusion").click().run()
    assert any("no longer in models/" in error.value for error in at.error)


@pytest.mark.parametrize("speed", ["12.5", "25", "50"])
@pytest.mark.parametrize("leads", ["1", "6"])
def test_strips_are_drawn_at_every_speed(analysis, speed, leads):
    at = page("review", room_with(analysis), speed=speed, leads=leads, sec="30")
    assert not at.exception
    assert not at.error


def test_fetched_records_are_offered_by_themselves(tmp_path, monkeypatch):
    monkeypatch.setattr(session, "ROOT", tmp_path)
    assert "Setup_Test_Data.bat" in text_of(page("record"))
    folder = tmp_path / "data" / "svdb-125hz" / "1.0.0"
    folder.mkdir(parents=True)
    for ending in (".hea", ".dat"):
        (folder / f"demo{ending}").write_bytes(DEMO.with_suffix(ending).read_bytes())
    at = page("record")
    choice = next(box for box in at.selectbox if box.label == "Fetched from PhysioNet, or recorded live")
    assert choice.options == ["svdb-125hz demo"]
    choice.select("svdb-125hz demo").run()
    button(at, "Open").click().run()
    assert at.title[0].value.startswith("Record demo")


def test_the_hours_add_up_to_their_total(demo_analysis):
    table = hours_shown(demo_analysis)
    *hours, total = table.to_dict("records")
    assert total["From"] == "Total"
    for name in ("Beats", "V", "S", "Pauses"):
        assert sum(hour[name] for hour in hours) == total[name]
    assert total["V"] == demo_analysis.burden.v.n_beats


def test_the_record_page_shows_the_quality_of_the_leads(demo_analysis):
    at = page("record", room_with(demo_analysis))
    assert not at.error
    spec = at.get("plotly_chart")[0].proto.spec
    assert "unreadable" in spec


def test_a_file_of_another_format_is_uploaded_by_itself():
    time_s = np.arange(5000) / 250
    text = "time_s,II_mv\n" + "".join(f"{t:.3f},{np.sin(t):.4f}\n" for t in time_s)
    at = page("record")
    at.file_uploader[0].set_value([("mine.csv", text.encode(), "text/csv")]).run()
    assert at.title[0].value.startswith("Record mine")


def test_the_record_page_says_what_may_be_wrong_with_a_record(demo):
    workspace = Workspace()
    workspace.add(demo)
    shown = " ".join(element.proto.body for element in page("record", workspace).get("html"))
    assert "Looked through" in shown
    assert "nothing wrong was seen" in shown
    workspace = Workspace()
    workspace.add(replace(demo, calibrated=(False, *demo.calibrated[1:]), files=()))  # another record by its hash
    shown = " ".join(element.proto.body for element in page("record", workspace).get("html"))
    assert "no gain is stated for I: 200 counts are taken for 1 mV" in shown
