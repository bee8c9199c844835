"""What a window does is in the store as it happens: found again, shared with other windows, never lost in silence."""

import os
import socket
import threading
from dataclasses import replace

import pytest
from support.analyses import make_analysis
from support.pages import button, page, text_of

from ecg_core.edits import Label, LabelEdit, RhythmEdit, Stretch
from ecg_core.errors import ChangeRefusedError, StoreError, StudyHeldError
from ecg_core.notes import DiaryEntry
from ecg_core.rules import RhythmRules
from ecg_core.studies import audit
from ecg_core.studies.edits import edits_of
from ecg_core.studies.queue import CANCELLED, INTERRUPTED, RUNNING, note_interrupted, queue
from ecg_core.studies.store import open_store
from ecg_core.studies.study import Editor, find_studies, get_study
from ecg_core.studies.study_notes import keep_measurement, notes_of, set_diary, set_narrative
from pages._ui import actions, engine, jobs
from pages._ui.jobs import AnalysisKey, AnalysisQueue, Job
from pages._ui.stores import Desk, is_gone, window_name
from pages._ui.workspace import Workspace

EDIT = LabelEdit((Label(12.5, "V"),))
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

    def made(record, model_path, rules, *, lead, edits, progress, fitting):
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
    first.add_edit(demo.sha256, LabelEdit((Label(normal, "V"),)))
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
    first.add_edit(demo.sha256, LabelEdit((Label(float(first.analysis(demo.sha256).beats.time_s[3]), "V"),)))
    shown = first.analysis(demo.sha256)
    first.stay()
    monkeypatch.setattr(engine, "edited", lambda *args: pytest.fail("measured again"))
    again = window(desk)
    again.open_study(demo.sha256)
    assert again.analysis(demo.sha256).burden.count.tolist() == shown.burden.count.tolist()


def test_a_window_that_reads_along_takes_no_measurement_away_and_keeps_none(desk, demo):
    first, second = window(desk), window(desk, "Dr Two")
    for opened in (first, second):
        opened.add(demo)
    first.save(keep_measurement, demo.sha256, ("QT", 1.0, 1.4))
    second.remember(demo.sha256, t=3.0)
    first.remember(demo.sha256, sec=10)
    assert get_study(desk.store, demo.sha256).view == {"measurements": [["QT", 1.0, 1.4]], "t": 3.0, "sec": 10}
    with pytest.raises(StudyHeldError, match="by Dr One"):
        second.save(keep_measurement, demo.sha256, ("PR", 1.0, 1.2))
    second.refresh()
    assert second.study(demo.sha256).view["measurements"] == [["QT", 1.0, 1.4]]


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
    second.add_edit(demo.sha256, LabelEdit((Label(13.5, "S"),)))
    with pytest.raises(StudyHeldError, match="by Dr Two"):
        first.add_edit(demo.sha256, EDIT)
    assert not first.may_edit(demo.sha256)
    first.refresh()
    assert first.edits_of(demo.sha256) == edits_of(desk.store, demo.sha256) == (EDIT, LabelEdit((Label(13.5, "S"),)))
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
    workspace.add_edit(demo.sha256, LabelEdit((Label(14.5, "S"),)))
    assert len(workspace.unsaved) == 2
    monkeypatch.setattr(type(desk.store), "writing", writing)
    at = page("overview", workspace)
    assert "not saved yet" not in text_of(at)
    assert edits_of(desk.store, demo.sha256) == (EDIT, LabelEdit((Label(14.5, "S"),)))


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
    workspace.add_edit(demo.sha256, LabelEdit(tuple(Label(float(time_s), "V") for time_s in normal)))
    workspace.analysis(demo.sha256)
    after = find_studies(desk.store)[0]
    assert after.pvc_pct > before + 1
    assert after.state == "in review"


def test_an_analysis_that_the_queue_made_leaves_the_readers_edits_in_the_worklist(desk, demo, run):
    workspace = analysed(desk, demo, run)
    workspace.add_edit(demo.sha256, RhythmEdit((Stretch(600.0, 640.0),), "vf"))
    workspace.analysis(demo.sha256)
    marked = get_study(desk.store, demo.sha256)
    assert "fibrillation" in marked.danger.lower()
    job = Job(key_of(demo), demo, demo.files[0])
    workspace.start(job)
    job.wait(20)
    again = get_study(desk.store, demo.sha256)
    assert job.result is not None
    assert (again.danger, again.n_beats, again.pvc_pct) == (marked.danger, marked.n_beats, marked.pvc_pct)


def test_every_file_that_is_handed_out_is_in_the_audit_trail(desk, demo, run):
    workspace = analysed(desk, demo, run)
    workspace.note_export(demo.sha256, "demo_report.pdf", with_patient=False)
    last = audit.trail(desk.store, demo.sha256)[-1]
    assert (last.action, last.reader) == ("files exported", "Dr One")
    assert last.detail == {"files": ["demo_report.pdf"], "with_patient": False}


# What a full disk and another window must not do


@pytest.fixture
def disk(desk, monkeypatch):
    """A disk that is full for a while: nothing can be written to the store."""
    writing = type(desk.store).writing

    class Disk:
        def fill(self):
            monkeypatch.setattr(type(desk.store), "writing", full)

        def clear(self):
            monkeypatch.setattr(type(desk.store), "writing", writing)

    return Disk()


def entry(time_s):
    return DiaryEntry(time_s, "Palpitations")


def test_every_one_of_several_unsaved_changes_is_saved(desk, demo, run, disk):
    workspace = analysed(desk, demo, run)
    disk.fill()
    for time_s in (10.0, 20.0):
        workspace.save(set_diary, demo.sha256, (*workspace.notes(demo.sha256).diary, entry(time_s)))
    assert len(workspace.unsaved) == 2
    disk.clear()
    workspace.refresh()
    assert not workspace.unsaved
    assert notes_of(desk.store, demo.sha256).diary == (entry(10.0), entry(20.0))


def test_rules_that_were_changed_on_a_full_disk_are_saved_later(desk, demo, run, disk):
    workspace = analysed(desk, demo, run)
    disk.fill()
    workspace.add_edit(demo.sha256, EDIT)
    rules = RhythmRules(pause_s=2.5)
    key = workspace.shown[demo.sha256]._replace(rules=rules)
    workspace.show(key, workspace.stored(key))
    assert workspace.analysis(demo.sha256).rules == rules
    disk.clear()
    workspace.refresh()
    assert get_study(desk.store, demo.sha256).rules == {"pause_s": 2.5}
    assert workspace.analysis(demo.sha256).rules == rules


def test_a_window_that_reads_along_cannot_change_the_rules(desk, demo, run):
    analysed(desk, demo, run)
    second = window_on(desk, demo)
    key = second.shown[demo.sha256]._replace(rules=RhythmRules(pause_s=2.5))
    with pytest.raises(StudyHeldError):
        second.show(key, second.stored(key))
    assert second.analysis(demo.sha256).rules == RhythmRules()


def test_unsaved_changes_are_saved_without_a_click(desk, demo, run, disk):
    workspace = analysed(desk, demo, run)
    disk.fill()
    workspace.add_edit(demo.sha256, EDIT)
    disk.clear()
    workspace.stay()
    assert edits_of(desk.store, demo.sha256) == (EDIT,)


def test_unsaved_changes_are_saved_when_the_reader_leaves(desk, demo, run, disk):
    workspace = analysed(desk, demo, run)
    disk.fill()
    workspace.add_edit(demo.sha256, EDIT)
    disk.clear()
    workspace.empty()
    assert edits_of(desk.store, demo.sha256) == (EDIT,)


def test_a_study_can_be_read_while_the_disk_is_full(desk, demo, run, disk):
    workspace = analysed(desk, demo, run)
    disk.fill()
    at = page("review", workspace)
    assert not at.exception
    assert "Nothing can be saved at present" in text_of(at)
    assert "Full disclosure" in text_of(at)


def test_a_refused_change_leaves_the_unsaved_changes_of_other_studies(desk, demo, run, disk):
    workspace = analysed(desk, demo, run)
    other = replace(demo, record_id="other", files=demo.files[:1])
    workspace.add(other)
    disk.fill()
    workspace.add_edit(demo.sha256, EDIT)
    workspace.save(set_narrative, other.sha256, "Quiet.")
    disk.clear()
    window_on(desk, demo).take_over(demo.sha256)
    at = page("overview", workspace)
    assert not at.exception
    assert "open for changes elsewhere" in text_of(at)
    assert workspace.edits_of(demo.sha256) == ()
    workspace.refresh()
    assert notes_of(desk.store, other.sha256).narrative == "Quiet."


def test_an_analysis_that_ends_after_a_take_over_is_no_error(desk, demo, run):
    workspace = window(desk)
    workspace.add(demo)
    job = Job(key_of(demo), demo, demo.files[0])
    workspace.start(job)
    while job.state != RUNNING:
        job.wait(0.01)
    window_on(desk, demo).take_over(demo.sha256)
    run.set()
    job.wait(20)
    at = page("overview", workspace)
    assert "You read along" in text_of(at)
    assert "cannot be opened" not in text_of(at)
    assert queue(desk.store) == []


def test_nothing_is_overwritten_by_a_window_that_had_lost_the_study(desk, demo, run):
    first = analysed(desk, demo, run)
    second = window_on(desk, demo)
    second.take_over(demo.sha256)
    second.save(set_diary, demo.sha256, (entry(30.0),))
    second.close(demo.sha256)
    with pytest.raises(ChangeRefusedError, match="read again"):
        first.save(set_diary, demo.sha256, (entry(40.0),))
    first.save(set_diary, demo.sha256, (*first.notes(demo.sha256).diary, entry(40.0)))
    assert notes_of(desk.store, demo.sha256).diary == (entry(30.0), entry(40.0))


def show_other_rules(workspace, sha256):
    key = workspace.shown[sha256]._replace(rules=RhythmRules(pause_s=2.5))
    workspace.show(key, workspace.stored(key))


CHANGES = {
    "a note": lambda workspace, sha256: workspace.save(set_narrative, sha256, "Quiet."),
    "an edit": lambda workspace, sha256: workspace.add_edit(sha256, LabelEdit((Label(14.5, "V"),))),
    "undo": Workspace.undo_edit,
    "redo": Workspace.redo_edit,
    "other rules": show_other_rules,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_no_change_of_a_window_that_had_lost_the_study_touches_the_edits_of_another(desk, demo, run, change):
    first = analysed(desk, demo, run)
    for label in ("V", "S"):
        first.add_edit(demo.sha256, LabelEdit((Label(12.5, label),)))
    first.undo_edit(demo.sha256)
    second = window_on(desk, demo)
    second.take_over(demo.sha256)
    second.add_edit(demo.sha256, LabelEdit((Label(13.5, "S"),)))
    second.close(demo.sha256)
    before = (edits_of(desk.store, demo.sha256), get_study(desk.store, demo.sha256))
    with pytest.raises(ChangeRefusedError, match="read again"):
        change(first, demo.sha256)
    assert (edits_of(desk.store, demo.sha256), get_study(desk.store, demo.sha256)) == before
    assert first.edits_of(demo.sha256) == before[0]


def test_the_same_analysis_asked_for_twice_runs_once(desk, demo, run):
    workspace = window(desk)
    workspace.add(demo)
    first, again = (Job(key_of(demo), demo, demo.files[0]) for _ in range(2))
    workspace.start(first)
    workspace.start(again)
    assert workspace.queue.jobs == (first,)
    run.set()
    first.wait(20)
    assert first.result is not None


def test_an_analysis_that_gave_way_leaves_nothing_to_resume(desk, demo, run):
    workspace = window(desk)
    workspace.add(demo)
    first = Job(key_of(demo), demo, demo.files[0])
    other = Job(key_of(demo)._replace(lead="II"), demo, demo.files[0])
    workspace.start(first)
    workspace.start(other)
    run.set()
    other.wait(20)
    assert queue(desk.store) == []
    workspace.refresh()
    assert workspace.shown[demo.sha256].lead == "II"


def test_a_study_of_another_program_version_is_analysed_as_before(desk, demo, run, monkeypatch):
    first = analysed(desk, demo, run)
    key = first.shown[demo.sha256]._replace(rules=RhythmRules(pause_s=2.5))
    first.show(key, first.stored(key))
    for path in (desk.store.folder / "analyses").iterdir():
        path.unlink()
    first.close(demo.sha256)
    again = window_on(desk, demo)
    at = page("overview", again)
    assert "was analysed by another version of this program" in text_of(at)
    button(at, "Analyse").click().run()
    assert "PVC burden" in text_of(at)
    assert again.shown[demo.sha256] == key
