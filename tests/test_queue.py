"""The queue of analyses: what stays in line in the store, and what the page Studies waits for."""

import threading
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest
from support.analyses import make_analysis
from support.pages import TIMEOUT_S, workspace_on
from support.records import DEMO

from ecg_core.rules import RhythmRules
from ecg_core.studies.queue import CANCELLED, enqueue, leave_queue, queue, set_queue_state
from pages._ui import engine
from pages._ui.jobs import AnalysisKey, Job

WAITING_S = 2.0  # long enough for a page that is drawn again and again to do so many times


@pytest.fixture
def workspace(tmp_path, demo):
    window = workspace_on(tmp_path / "store")
    window.add(demo)
    yield window
    window.store.close()


@pytest.fixture
def go_on(monkeypatch, demo):
    """Analyses replaced by ones that wait until this event is set."""
    event = threading.Event()

    def run(record, *_, **__):
        assert event.wait(TIMEOUT_S)
        return replace(make_analysis(record.duration_s), record=record)

    monkeypatch.setattr(engine, "run", run)
    yield event
    event.set()


def asked(workspace, model_name):
    return enqueue(workspace.store, workspace.current, workspace.editor, lead="auto", model_name=model_name, rules={})


def in_line(workspace):
    return [row.id for row in queue(workspace.store)]


def test_an_analysis_by_another_model_stays_in_line_beside_one_of_the_same_study(workspace):
    both = [asked(workspace, "base"), asked(workspace, "adapted")]
    assert in_line(workspace) == both


def test_what_waits_for_the_same_model_gives_way(workspace):
    asked(workspace, "adapted")
    again = asked(workspace, "adapted")
    assert in_line(workspace) == [again]


def test_what_was_stopped_gives_way_to_any_model(workspace):
    set_queue_state(workspace.store, asked(workspace, "base"), CANCELLED)
    again = asked(workspace, "adapted")
    assert in_line(workspace) == [again]


def drawn_queue():
    """The queue of the page Studies, as a script that counts how often it is drawn."""
    import streamlit as st

    from pages._ui.queue_view import await_queue, draw_queue
    from pages._ui.workspace import current_workspace

    st.session_state["n_drawn"] = st.session_state.get("n_drawn", 0) + 1
    bars = draw_queue(current_workspace())
    st.session_state["labels"] = {*st.session_state.get("labels", ()), *(job.model_path.stem for job in bars)}
    await_queue(current_workspace(), bars)


def test_a_job_that_left_the_stored_queue_does_not_draw_the_page_without_end(workspace, demo, go_on):
    jobs = [
        Job(AnalysisKey(demo.sha256, "auto", digit * 64, RhythmRules()), demo, DEMO.with_name(name), beside=beside)
        for digit, name, beside in (("1", "adapted", False), ("2", "base", True))
    ]
    for job in jobs:
        workspace.start(job)
    leave_queue(workspace.store, jobs[1].queued_id)
    at = AppTest.from_function(drawn_queue, default_timeout=TIMEOUT_S)
    at.session_state["workspace"] = workspace
    ended = threading.Timer(WAITING_S, go_on.set)
    ended.start()
    at.run()
    ended.join()
    assert not at.exception
    assert at.session_state["labels"] == {"adapted", "base"}
    assert at.session_state["n_drawn"] <= 1 + len(jobs)  # once more after each that ended
