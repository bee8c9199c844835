"""The page Live, run without a browser: its sources, and sessions that run or have ended."""

import base64
import gc
import re
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace

import numpy as np
import pytest
from support.analyses import make_analysis
from support.pages import PURPOSE, app_test, button, page, text_of, workspace_with
from support.records import DEMO

from ecg_core.classifier.spec import DEFAULT_MODEL
from ecg_core.figures import LIGHT
from ecg_core.figures.samples import drawn_part
from ecg_core.live import session
from ecg_core.live.alarm_lines import KINDS
from ecg_core.live.recent import ENDED, NO_UPDATE, RUNNING, RecentStream
from ecg_core.live.replay import Replay
from ecg_core.live.session import LiveSession
from ecg_core.live.stream import Alarm, Vitals
from ecg_core.records import read_record
from ecg_core.rhythm.events import DANGERS
from ecg_core.rules import RhythmRules
from pages._ui import live
from pages._ui.stores import ephemeral_desk
from pages._ui.workspace import Workspace

WAIT_S = 60


@pytest.fixture(scope="module")
def record():
    return read_record(DEMO)


def monitored(record, folder=None):
    """A workspace with a live session on the last half minute of the demo."""
    workspace = Workspace()
    source = Replay(record, speed=np.inf, start_s=record.duration_s - 30)
    workspace.watch(
        LiveSession(lambda closed: source, DEFAULT_MODEL, RhythmRules(), horizon_s=2.0, lead="II", folder=folder)
    )
    return workspace


def refused(closed):
    raise live.LiveError("lsl:belt: no such stream was found.")


def test_the_page_opens_without_a_record_and_states_what_it_is_not():
    at = page("live")
    assert not at.exception
    assert not at.error
    assert PURPOSE in text_of(at)
    assert "not a patient monitor" in text_of(at)
    assert at.radio[0].options == ["The demo record", "Lab Streaming Layer", "TCP port on this computer"]


def test_an_open_record_can_be_monitored_lead_by_lead(record):
    at = page("live", workspace_with(make_analysis(record.duration_s)))
    at.radio[0].set_value("The open record").run()
    assert not at.exception
    (leads,) = [box for box in at.selectbox if box.label == "Leads to analyse"]
    assert leads.options[0] == "All leads, weighted by their quality"


def test_a_program_that_keeps_nothing_offers_and_makes_no_recording(record, monkeypatch, tmp_path):
    workspace, folders = Workspace(ephemeral_desk()), []
    at = page("live", workspace)
    assert not [toggle for toggle in at.toggle if toggle.label == "Save the recording"]
    assert "monitored without a recording" in text_of(at)
    monkeypatch.setattr(live, "current_workspace", lambda: workspace)
    monkeypatch.setattr(session, "LiveSession", lambda *_, folder, **__: folders.append(folder))
    monkeypatch.setattr(workspace, "watch", lambda _: None)
    live.begin("", record=record, speed=1.0, horizon_s=2.0, lead="auto", keep=True)
    assert folders == [None]


def test_a_stream_without_a_name_is_refused():
    at = page("live")
    at.radio[0].set_value("Lab Streaming Layer").run()
    button(at, "Start").click().run()
    assert "Enter a stream name" in at.error[0].value
    assert at.session_state["workspace"].live is None


def test_a_click_starts_the_demo(monkeypatch):
    begun = {}
    monkeypatch.setattr(live, "begin", lambda source, **how: begun.update(source=source, **how))
    at = page("live")
    button(at, "Start").click().run()
    assert not at.exception
    assert begun["record"].record_id == "demo"
    assert (begun["speed"], begun["horizon_s"], begun["keep"]) == (1.0, 2.0, False)


def test_what_review_shows_of_a_record_is_not_asked_of_a_stream(record, monkeypatch):
    begun = {}
    monkeypatch.setattr(live, "begin", lambda source, **how: begun.update(source=source, **how))
    at = app_test("dashboard.py")
    at.session_state["workspace"] = workspace_with(make_analysis(record.duration_s))
    at.run().switch_page("pages/review.py").run()
    at.selectbox(key="lead").set_value("V5").run()
    at.button_group(key="speed").set_value(50).run()
    at.switch_page("pages/live.py").run()
    button(at, "Start").click().run()
    assert not at.exception
    assert (begun["record"].record_id, begun["lead"], begun["speed"]) == ("demo", "auto", 1.0)


def test_a_lead_of_the_open_record_is_monitored_where_it_was_chosen(record, monkeypatch):
    begun = {}
    monkeypatch.setattr(live, "begin", lambda source, **how: begun.update(source=source, **how))
    at = page("live", workspace_with(make_analysis(record.duration_s)))
    at.radio[0].set_value("The open record").run()
    next(box for box in at.selectbox if box.label == "Leads to analyse").set_value("V5").run()
    button(at, "Start").click().run()
    assert begun["lead"] == "V5"


def test_a_session_that_has_ended_shows_its_counts_and_opens_its_recording(record, tmp_path):
    workspace = monitored(record, tmp_path)
    assert workspace.live.wait(WAIT_S)
    at = page("live", workspace)
    assert not at.exception
    assert "The stream has ended. 00:00:30 monitored;" in text_of(at)
    assert "Simulated" in text_of(at)
    assert "Rhythm" in text_of(at)
    button(at, "Open the recording of 00:00:30 for review").click().run()
    assert workspace.live is None
    assert [kept.record_id for kept in workspace.records.values()] == ["demo"]


def test_a_session_that_could_not_begin_shows_the_reason():
    workspace = Workspace()
    workspace.watch(LiveSession(refused, DEFAULT_MODEL, RhythmRules(), horizon_s=2.0, lead="auto"))
    assert workspace.live.wait(WAIT_S)
    at = page("live", workspace)
    assert "no such stream was found" in at.error[0].value
    button(at, "Close").click().run()
    assert workspace.live is None


def test_the_strip_gets_the_samples_unchanged(record):
    """At up to 250 Hz, in steps of 2 uV, with the beats and their attention."""
    workspace = monitored(record)
    assert workspace.live.wait(WAIT_S)
    view = workspace.live.view(10)
    data = live.strip_data(workspace, view, view.stream, 1, LIGHT)
    counts = np.frombuffer(base64.b64decode(data["samples"]), "<i2")
    np.testing.assert_allclose(counts * data["step_mv"], view.signal_mv[1], atol=0.0011)
    assert data["first"] == view.first
    assert data["end"] == view.end_s
    assert len(data["beats"]) == len(view.beats) > 5
    at_s, label, usable, weights = data["beats"][-1]
    assert (round(float(view.beats.time_s[-1]), 3), view.beats.label[-1]) == (at_s, label)
    assert usable
    assert sum(weights) == pytest.approx(100, abs=len(weights))


@pytest.mark.parametrize("fs_hz", [250.0, 360.0, 500.0, 1000.0])
def test_the_moving_strip_loses_no_spike_and_its_parts_fit_together(fs_hz):
    signal = np.zeros(4000, dtype=np.float32)
    signal[[700, 1333, 2001, 2999]] = 3.0, -3.0, 3.0, 3.0  # pacemaker spikes, a sample wide
    shown = {}
    for first in range(0, 3000, 371):
        samples, at, drawn_hz = drawn_part(signal[first : first + 900], first, fs_hz)
        for position, value in enumerate(samples.tolist(), at):
            assert shown.setdefault(position, value) == value
    assert sorted(shown) == list(range(len(shown)))
    assert drawn_hz <= 360
    spikes = [position / drawn_hz for position, value in shown.items() if value]
    np.testing.assert_allclose(spikes, np.array([700, 1333, 2001, 2999]) / fs_hz, atol=2 / drawn_hz)


def alarming(*alarms):
    """The view of a running session in which these alarms go on, the most serious one first."""
    recent = RecentStream()
    vitals = Vitals(30.0, None, 0, 0, 0, 0, "", True, (False,), active=alarms)
    recent.write_update(replace(NO_UPDATE, alarms=alarms, vitals=vitals))
    view = recent.view(0, state=RUNNING, problem="", lag_s=0.0, recording=None)
    return replace(view, end_s=32.0)


def test_a_press_that_is_reported_twice_is_one_mark():
    """As on a busy computer, where the browser's report of it is handled again."""
    marks, last_ms = [], None
    session = SimpleNamespace(
        view=lambda _: SimpleNamespace(n_marks=len(marks)), mark=lambda *what, **when: marks.append((*what, when))
    )
    for press in ([17.0, 1_000], [17.0, 1_000], [17.0, 2_000]):
        last_ms = live.set_mark(session, press, last_ms)
    at = [{"pressed": datetime.fromtimestamp(second)} for second in (1, 2)]
    assert marks == [(17.0, "1", at[0]), (17.0, "2", at[1])]


@pytest.mark.parametrize("kind", DANGERS)
def test_an_alarm_of_what_endangers_life_is_red_in_the_status_line_and_in_the_list(kind):
    view = alarming(Alarm(kind, 20.0, 26.0), Alarm("leads_off", 28.0, 30.0))
    html = live.status_html(view)
    assert live.DANGER_STYLE in html
    assert re.search(rf"ALARM: {KINDS[kind]}.*since 00:00:20, 12 s.*Leads off since 00:00:28, 4 s", html, re.DOTALL)
    assert live.log_styles(view) == ["", live.DANGER_STYLE]  # the latest first


def test_other_alarms_are_not_red_and_without_one_the_line_says_so():
    html = live.status_html(alarming(Alarm("unreadable", 20.0, 30.0)))
    assert live.ALARM_STYLE in html
    assert live.DANGER_STYLE not in html
    silent = live.status_html(alarming(Alarm("no_signal", 32.0, 32.0)))
    assert "ALARM: No signal" in silent
    assert "since 00:00:32<" in silent.replace("</div>", "<")
    calm = alarming()
    assert "No alarm" in live.status_html(calm)
    noisy = replace(calm, vitals=replace(calm.vitals, usable=False))
    assert "Signal not analysable" in live.status_html(noisy)
    assert live.ALARM_STYLE in live.status_html(noisy)
    without_rate = replace(calm, vitals=replace(calm.vitals, rate_bpm=None))
    assert "heart rate not measurable" in live.status_html(without_rate)
    assert live.status_html(replace(alarming(), state=ENDED)) == ""


def test_an_alarm_that_goes_on_when_the_stream_ends_lasts_until_its_end():
    view = alarming(Alarm("asystole", 20.0, 26.0))
    assert live.log_rows(view)["Duration"] == ["ongoing"]
    assert live.log_rows(replace(view, state=ENDED))["Duration"] == ["until the end"]


def test_a_live_session_ends_with_its_workspace_and_with_the_next_one(record):
    def endless():
        return LiveSession(lambda closed: Replay(record), DEFAULT_MODEL, RhythmRules(), horizon_s=2.0, lead="II")

    workspace = Workspace()
    first, second = endless(), endless()
    workspace.watch(first)
    workspace.watch(second)
    assert first.wait(WAIT_S)
    assert not second.wait(0)
    del workspace
    gc.collect()
    assert second.wait(WAIT_S)
