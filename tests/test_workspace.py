"""What a window does is in the store as it happens: found again, shared with other windows, never lost in silence."""

import os
import socket
import threading
from dataclasses import replace

import pytest
from support.analyses import make_analysis
from support.pages import button, page, text_of

from ecg_core.errors import StoreError, StudyHeldError
from ecg_core.rules import RhythmRules
from ecg_core.studies import audit
from ecg_core.studies.edits import Label, edits_of
from ecg_core.studies.queue import CANCELLED, INTERRUPTED, RUNNING, note_interrupted, queue
from ecg_core.studies.store import open_store
from ecg_core.studies.study import Editor, find_studies, get_study
from ecg_core.studies.study_notes import set_narrative
from pages._ui import actions, engine, jobs
from pages._ui.jobs import AnalysisKey, AnalysisQueue, Job
from pages._ui.stores import Desk, is_gone, window_name
from pages._ui.workspace import Workspace

EDIT = (Label(12.5, "V"),)
NO_PROCESS = 2**22 + 1  # above the highest number of a process


@pytest.fixture(scope="module")
def analysis(demo):
    return replace(make_analysis(demo.duration_s), record=demo)


@pytest.fixture
def desk(tmp_path):
    return Desk(AnalysisQueue(open_store(tmp_path / "studies", url="")))


@pytest.fixture
def run(monkeypatch, analysis):
    """The analysis replaced by one that waits for this event and then is made at once."""
    go_on = threading.Event()

    def made(record, model_path, rules, *, lead, patient_labels, progress, fitting):
        progress(record.duration_s / 4, record.duration_s)
        go_on.wait(20)
        progress(record.duration_s, record.duration_s)
        return replace(analysis, record=record)

    monkeypatch.setattr(engine, "run", made)
    monkeypatch.setattr(actions, "installed_models", lambda: {"made": "0" * 64})
    return go_on


def window(desk, name="Dr One"):
    """A window of the dashboard on a desk."""
    return Workspace(desk, Editor(name, window_name()))


def key_of(record):
    return AnalysisKey(record.sha256, "auto", "0" * 64, RhythmRules())


def analysed(desk, demo, run):
    """A window in which the demo record is analysed, through the queue."""
    workspace = window(desk)
    workspace.add(demo)
    run.set()
    job = Job(key_of(demo), demo, demo.files[0])
    workspace.start(job)
    job.wait(20)
    workspace.refresh()
    return workspace


def test_a_new_window_finds_analysis_labels_place_and_notes(desk, demo, run):
    first = analysed(desk, demo, run)
    n_v = first.analysis(demo.sha256).burden.count[2]
    normal = float(first.analysis(demo.sha256).beats.time_s[3])
    first.add_edit(demo.sha256, (Label(normal, "V"),))
    first.remember(demo.sha256, t=600.3, sec=30)
    first.save(set_narrative, demo.sha256, "Quiet.")
    assert first.analysis(demo.sha256).burden.count[2] == n_v + 1
    del first
    again = window(Desk(AnalysisQueue(open_store(desk.store.folder, url=""))))  # after a restart
    again.open_study(demo.sha256)
    assert again.analysis(demo.sha256).burden.count[2] == n_v + 1
    assert again.studies[demo.sha256].time_s == 600.3
    assert again.study(demo.sha256).view == {"t": 600.3, "sec": 30}
    assert again.notes(demo.sha256).narrative == "Quiet."


def test_nothing_is_analysed_twice(desk, demo, run, monkeypatch):
    analysed(desk, demo, run)
    monkeypatch.setattr(engine, "run", lambda *args, **kwargs: pytest.fail("analysed again"))
    workspace = window(desk)
    workspace.open_study(demo.sha256)
    at = page("overview", workspace)
    assert "PVC burden" in text_of(at)
    assert not workspace.queue.jobs


def test_what_is_shown_is_kept_so_that_opening_measures_nothing(desk, demo, run, monkeypatch):
    first = analysed(desk, demo, run)
    first.add_edit(demo.sha256, (Label(float(first.analysis(demo.sha256).beats.time_s[3]), "V"),))
    shown = first.analysis(demo.sha256)
    first.stay()
    monkeypatch.setattr(engine, "labelled", lambda *args: pytest.fail("measured again"))
    again = window(desk)
    again.open_study(demo.sha256)
    assert again.analysis(demo.sha256).burden.count.tolist() == shown.burden.count.tolist()


def test_another_window_reads_along_and_takes_over(desk, demo, run):
    first = analysed(desk, demo, run)
    second = window(desk, "Dr Two")
    second.open_study(demo.sha256)
    assert not second.may_edit(demo.sha256)
    first.add_edit(demo.sha256, EDIT)
    second.refresh()
    assert second.edits_of(demo.sha256) == (EDIT,)
    with pytest.raises(StudyHeldError, match="by Dr One: nothing was changed here"):
        second.add_edit(demo.sha256, EDIT)
    at = page("overview", second)
    assert "open for changes in another window, by Dr One" in text_of(at)
    button(at, "Take over").click().run()
    assert second.may_edit(demo.sha256)
    second.add_edit(demo.sha256, (Label(13.5, "S"),))
    with pytest.raises(StudyHeldError, match="by Dr Two"):
        first.add_edit(demo.sha256, EDIT)
    assert not first.may_edit(demo.sha256)
    first.refresh()
    assert first.edits_of(demo.sha256) == edits_of(desk.store, demo.sha256) == (EDIT, (Label(13.5, "S"),))
    assert audit.verify(desk.store, demo.sha256) == ()


def test_a_study_whose_window_is_closed_is_free(desk, demo, run):
    first = analysed(desk, demo, run)
    first.empty()
    second = window(desk, "Dr Two")
    second.open_study(demo.sha256)
    assert second.may_edit(demo.sha256)


def test_a_study_whose_server_was_killed_is_free_at_once(desk, demo, run):
    killed = Workspace(desk, Editor("Dr One", f"{socket.gethostname()}:{NO_PROCESS}:session"))
    killed.add(demo)
    second = window(desk, "Dr Two")
    second.open_study(demo.sha256)
    assert second.may_edit(demo.sha256)


def test_only_windows_of_this_computer_are_known_to_be_gone():
    assert not is_gone("another-computer:1:session")
    assert not is_gone(f"{socket.gethostname()}:{os.getpid()}:session")
    assert is_gone(f"{socket.gethostname()}:{NO_PROCESS}:session")


def test_a_change_that_the_store_refuses_stays_on_the_page_until_it_is_saved(desk, demo, run, monkeypatch):
    workspace = analysed(desk, demo, run)
    monkeypatch.setattr("pages._ui.workspace.add_edit", full)
    workspace.add_edit(demo.sha256, EDIT)
    at = page("overview", workspace)
    assert "1 change not saved yet" in text_of(at)
    assert "the disk is full" in text_of(at)
    assert workspace.edits_of(demo.sha256) == (EDIT,)  # it counts here already
    assert "1 change not saved yet" in text_of(at.run())


def full(*_args):
    raise StoreError("studies.sqlite: the disk is full: what was changed last is not saved. Make room on it.")


def test_unsaved_changes_are_saved_in_their_order_once_there_is_room(desk, demo, run, monkeypatch):
    workspace = analysed(desk, demo, run)
    writing = type(desk.store).writing
    monkeypatch.setattr(type(desk.store), "writing", full)
    workspace.add_edit(demo.sha256, EDIT)
    workspace.add_edit(demo.sha256, (Label(14.5, "S"),))
    assert len(workspace.unsaved) == 2
    monkeypatch.setattr(type(desk.store), "writing", writing)
    at = page("overview", workspace)
    assert "not saved yet" not in text_of(at)
    assert edits_of(desk.store, demo.sha256) == (EDIT, (Label(14.5, "S"),))


def test_a_result_that_cannot_be_kept_is_shown_all_the_same(desk, demo, run, monkeypatch):
    workspace = window(desk)
    workspace.add(demo)
    run.set()
    monkeypatch.setattr(jobs, "save_analysis", full)
    job = Job(key_of(demo), demo, demo.files[0])
    workspace.start(job)
    job.wait(20)
    at = page("overview", workspace)
    assert "PVC burden" in text_of(at)
    assert "1 change not saved yet" in text_of(at)
    monkeypatch.undo()
    assert "not saved yet" not in text_of(at.run())
    assert window_on(desk, demo).has_analysis(demo.sha256)


def test_analyses_wait_for_each_other_and_switching_studies_cancels_none(desk, demo, run):
    workspace = window(desk)
    other = replace(demo, record_id="other", files=demo.files[:1])
    waiting = []
    for record in (demo, other):
        workspace.add(record)
        waiting.append(Job(key_of(record), record, demo.files[0]))
        workspace.start(waiting[-1])
    while waiting[0].state != RUNNING:
        waiting[0].wait(0.01)
    assert [one.state for one in waiting] == ["running", "waiting"]
    assert [one.record_id for one in queue(desk.store)] == ["demo", "other"]
    workspace.current = demo.sha256
    run.set()
    for job in waiting:
        job.wait(20)
        assert job.result is not None
    assert queue(desk.store) == []


def test_what_was_cancelled_or_interrupted_can_be_resumed(desk, demo, run, monkeypatch):
    workspace = window(desk)
    workspace.add(demo)
    job = Job(key_of(demo), demo, demo.files[0])
    workspace.start(job)
    job.cancel()
    run.set()
    job.wait(20)
    assert [one.state for one in queue(desk.store)] == [CANCELLED]
    at = page("overview", workspace)
    assert "The analysis of demo was cancelled." in text_of(at)
    button(at, "Resume").click().run()
    assert "PVC burden" in text_of(at)
    assert queue(desk.store) == []


def test_an_analysis_that_a_kill_interrupted_is_offered_again(desk, demo, run):
    workspace = window(desk)
    workspace.add(demo)
    job = Job(key_of(demo), demo, demo.files[0])
    workspace.start(job)
    while job.state != RUNNING:
        job.wait(0.01)
    restarted = Desk(AnalysisQueue(open_store(desk.store.folder, url="")))
    note_interrupted(restarted.store)
    assert [one.state for one in queue(restarted.store)] == [INTERRUPTED]
    at = page("overview", window_on(restarted, demo))
    assert "was interrupted" in text_of(at)
    job.cancel()
    run.set()
    job.wait(20)


def test_a_running_analysis_reports_that_its_server_is_still_there(desk, demo, run, monkeypatch):
    reported = []
    monkeypatch.setattr("pages._ui.jobs.keep_in_queue", reported.append)
    job = Job(key_of(demo), demo, demo.files[0])
    monkeypatch.setattr(job, "run", lambda report: [report() for _ in range(3)])
    workspace = window(desk)
    workspace.add(demo)
    workspace.start(job)
    job.wait(20)
    assert reported == [desk.store]  # every few seconds, and not at each step


def window_on(desk, demo):
    workspace = window(desk, "Dr Two")
    workspace.open_study(demo.sha256)
    return workspace


def test_a_study_that_was_deleted_elsewhere_is_put_away_with_a_notice(desk, demo, run):
    first = analysed(desk, demo, run)
    second = window(desk, "Dr Two")
    second.open_study(demo.sha256)
    first.delete(demo.sha256)
    at = page("overview", second)
    assert "The study was deleted in another window." in text_of(at)
    assert get_study(desk.store, demo.sha256) is None


def test_a_study_that_is_only_opened_is_not_edited(desk, demo, run):
    first = analysed(desk, demo, run)
    page("overview", first)
    before = get_study(desk.store, demo.sha256)
    second = window(desk, "Dr Two")
    second.open_study(demo.sha256)
    page("overview", second)
    assert get_study(desk.store, demo.sha256) == before


def test_the_worklist_follows_the_labels(desk, demo, run):
    workspace = analysed(desk, demo, run)
    before = find_studies(desk.store)[0].pvc_pct
    beats = workspace.analysis(demo.sha256).beats
    normal = beats.time_s[(beats.label == "N") & beats.usable][::3][:100]
    workspace.add_edit(demo.sha256, tuple(Label(float(time_s), "V") for time_s in normal))
    workspace.analysis(demo.sha256)
    after = find_studies(desk.store)[0]
    assert after.pvc_pct > before + 1
    assert after.state == "in review"


def test_every_file_that_is_handed_out_is_in_the_audit_trail(desk, demo, run):
    workspace = analysed(desk, demo, run)
    workspace.note_export(demo.sha256, "demo_report.pdf", with_patient=False)
    last = audit.trail(desk.store, demo.sha256)[-1]
    assert (last.action, last.reader) == ("files exported", "Dr One")
    assert last.detail == {"files": ["demo_report.pdf"], "with_patient": False}
