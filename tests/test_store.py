"""A store of studies: what is saved is there again, whoever else works at the same moment, on SQLite and PostgreSQL."""

import os
import random
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from support.processes import started
from support.stores import OTHER, READER, add_small, edit, write_small

from ecg_core.errors import StoreError, StudyHeldError
from ecg_core.notes import DiaryEntry, Patient, ReportStrip
from ecg_core.records import read_record
from ecg_core.studies import audit, edits, study
from ecg_core.studies.edits import add_edit, edits_of, redo_edit, redoable_of, undo_edit
from ecg_core.studies.holding import hold, holds, keep_holding, release
from ecg_core.studies.queue import (
    INTERRUPTED,
    RUNNING,
    WAITING,
    enqueue,
    keep_in_queue,
    note_interrupted,
    queue,
    set_queue_state,
)
from ecg_core.studies.signing import begin_new_version
from ecg_core.studies.store import as_text, database_time, open_store
from ecg_core.studies.study import (
    Editor,
    add_study,
    delete_study,
    find_studies,
    get_study,
    set_archived,
    set_view,
)
from ecg_core.studies.study_notes import (
    drop_measurement,
    keep_measurement,
    notes_of,
    set_diary,
    set_narrative,
    set_patient,
    set_report_strips,
)
from ecg_core.studies.tables import EditRow, QueueRow

N_READERS, N_EDITS = 10, 6
MOMENTS = 60
LONGEST_S = 0.03  # of work before a kill: some edits


def test_what_is_saved_is_there_when_the_store_is_opened_again(tmp_path, store, store_address):
    study = add_small(store, tmp_path)
    sha256 = study.record_sha256
    add_edit(store, sha256, edit(1), READER)
    add_edit(store, sha256, edit(2), READER)
    undo_edit(store, sha256, READER)
    set_patient(store, sha256, Patient(name="Ünal"), READER)
    set_diary(store, sha256, [DiaryEntry(3.0, "dizzy")], READER)
    set_report_strips(store, sha256, [ReportStrip(1.0, "start")], READER)
    set_narrative(store, sha256, "Sinus rhythm.", READER)
    set_view(store, sha256, {"t": 3.5})
    store.close()
    again = open_store(store.folder, url=store_address)
    notes = notes_of(again, sha256)
    assert edits_of(again, sha256) == (edit(1),)
    assert (notes.patient.name, notes.narrative) == ("Ünal", "Sinus rhythm.")
    assert notes.diary == (DiaryEntry(3.0, "dizzy"),)
    assert notes.strips == (ReportStrip(1.0, "start"),)
    assert get_study(again, sha256).view == {"t": 3.5}
    assert audit.verify(again, sha256) == ()
    again.close()


def test_views_and_measurements_of_several_windows_are_all_kept(tmp_path, store):
    sha256 = add_small(store, tmp_path).record_sha256
    set_view(store, sha256, {"t": 3.5})
    keep_measurement(store, sha256, ("QT", 1.0, 1.4), READER)
    keep_measurement(store, sha256, ("PR", 1.0, 1.2), OTHER)
    set_view(store, sha256, {"t": 4.5, "sec": 10, "measurements": []})  # as a window has it that read nothing of them
    assert get_study(store, sha256).view == {"t": 4.5, "sec": 10, "measurements": [["QT", 1.0, 1.4], ["PR", 1.0, 1.2]]}
    drop_measurement(store, sha256, ("QRS", 1.0, 1.2), READER)
    drop_measurement(store, sha256, ("QT", 1.0, 1.4), READER)
    assert get_study(store, sha256).view["measurements"] == [["PR", 1.0, 1.2]]


def test_what_was_undone_is_redone_until_another_edit_is_made(tmp_path, store):
    sha256 = add_small(store, tmp_path).record_sha256
    for number in (1, 2, 3):
        add_edit(store, sha256, edit(number), READER)
    for _ in range(2):
        undo_edit(store, sha256, READER)
    assert redoable_of(store, sha256) == (edit(2), edit(3))
    redo_edit(store, sha256, READER)
    assert edits_of(store, sha256) == (edit(1), edit(2))
    add_edit(store, sha256, edit(4), READER)
    redo_edit(store, sha256, READER)
    assert edits_of(store, sha256) == (edit(1), edit(2), edit(4))
    for _ in range(2):
        undo_edit(store, sha256, READER)
    assert redoable_of(store, sha256) == (edit(2), edit(4))  # and not 3, which another edit followed
    for _ in range(3):
        redo_edit(store, sha256, READER)
    assert edits_of(store, sha256) == (edit(1), edit(2), edit(4))
    assert audit.verify(store, sha256) == ()


@pytest.mark.parametrize("seed", range(3))
def test_undo_and_redo_are_those_of_a_list_whatever_the_clock_does(tmp_path, file_store, monkeypatch, seed):
    """Beside two lists; the clock goes on, stands still, and is set back by an hour, at random."""
    choice, moments = random.Random(seed).choice, [datetime(2001, 1, 1, 12, tzinfo=UTC)]  # noqa: S311  # no secret

    def now():
        moments[0] += timedelta(seconds=choice([1, 0, -3600]))
        return as_text(moments[0])

    for module in (edits, audit, study):
        monkeypatch.setattr(module, "now", now)
    sha256 = add_small(file_store, tmp_path).record_sha256
    made, undone = [], []
    for number in range(40):
        match choice(["add", "undo", "undo", "redo"]):
            case "add":
                add_edit(file_store, sha256, edit(number), READER)
                made, undone = [*made, edit(number)], []
            case "undo":
                undo_edit(file_store, sha256, READER)
                made, undone = made[:-1], [*made[-1:], *undone]
            case "redo":
                redo_edit(file_store, sha256, READER)
                made, undone = [*made, *undone[:1]], undone[1:]
        assert (edits_of(file_store, sha256), redoable_of(file_store, sha256)) == (tuple(made), tuple(undone))
    assert audit.verify(file_store, sha256) == ()


def test_studies_are_found_by_record_patient_and_editor_in_any_case_the_last_edited_first(tmp_path, store):
    first, second, third = (add_small(store, tmp_path / name, name) for name in ("Alpha", "beta_1", "gamma"))
    set_patient(store, second.record_sha256, Patient(name="MÜLLER"), OTHER)
    assert [study.record_id for study in find_studies(store)] == ["beta_1", "gamma", "Alpha"]
    assert [study.patient_name for study in find_studies(store)] == ["MÜLLER", "", ""]
    for wanted in ("müll", "BETA", "dr b", "_1"):
        assert [study.record_sha256 for study in find_studies(store, search=wanted)] == [second.record_sha256]
    assert find_studies(store, search="%") == []
    assert len(find_studies(store, limit=2)) == 2
    assert len(find_studies(store, search="a", limit=2)) == 2
    set_archived(store, first.record_sha256, READER, archived=True)
    assert [study.record_id for study in find_studies(store, archived=True)] == ["Alpha"]
    assert find_studies(store, states=["signed"]) == []
    assert get_study(store, third.record_sha256) == find_studies(store, search="gamma")[0]


def test_another_window_changes_nothing_until_it_takes_over(tmp_path, store):
    sha256 = add_small(store, tmp_path).record_sha256
    hold(store, sha256, session=READER.session, reader=READER.reader)
    with pytest.raises(StudyHeldError, match="Dr A"):
        add_edit(store, sha256, edit(1), OTHER)
    assert edits_of(store, sha256) == ()
    assert hold(store, sha256, session=OTHER.session, reader=OTHER.reader).reader == "Dr A"
    hold(store, sha256, session=OTHER.session, reader=OTHER.reader, take_over=True)
    add_edit(store, sha256, edit(1), OTHER)
    with pytest.raises(StudyHeldError, match="Dr B"):
        undo_edit(store, sha256, READER)


def test_a_change_that_fails_leaves_no_part_of_it(tmp_path, store, monkeypatch):
    sha256 = add_small(store, tmp_path).record_sha256
    before = get_study(store, sha256)

    def failing(*arguments, **details):
        raise StoreError("no entry")

    monkeypatch.setattr(audit, "append", failing)
    with pytest.raises(StoreError, match="no entry"):
        add_edit(store, sha256, edit(1), READER)
    with pytest.raises(StoreError, match="no entry"):
        delete_study(store, sha256, READER)
    monkeypatch.undo()
    assert edits_of(store, sha256) == ()
    assert get_study(store, sha256) == before
    assert audit.verify(store, sha256) == ()


def test_saving_what_is_there_already_changes_neither_the_version_nor_the_last_edit(tmp_path, store):
    sha256 = add_small(store, tmp_path).record_sha256
    patient, diary, strips = Patient(name="Known"), [DiaryEntry(3.0, "dizzy")], [ReportStrip(1, "start")]
    set_patient(store, sha256, patient, READER)
    set_narrative(store, sha256, "Sinus rhythm.", READER)
    set_diary(store, sha256, diary, READER)
    set_report_strips(store, sha256, strips, READER)
    before, trail = get_study(store, sha256), audit.trail(store, sha256)
    set_patient(store, sha256, patient, OTHER)
    set_narrative(store, sha256, "Sinus rhythm.", OTHER)
    set_diary(store, sha256, diary, OTHER)
    set_report_strips(store, sha256, strips, OTHER)
    set_archived(store, sha256, OTHER, archived=False)
    undo_edit(store, sha256, OTHER)
    begin_new_version(store, sha256, OTHER)
    assert (get_study(store, sha256), audit.trail(store, sha256)) == (before, trail)
    set_narrative(store, sha256, "Other.", OTHER)
    assert (get_study(store, sha256).version, get_study(store, sha256).edited_by) == (before.version + 1, "Dr B")


def test_a_recording_that_was_found_at_another_place_raises_the_version(tmp_path, store):
    study = add_small(store, tmp_path / "one")
    (tmp_path / "one").rename(tmp_path / "two")
    again = add_study(store, read_record(tmp_path / "two" / "small"), OTHER)
    assert again.path.parent.name == "two"
    assert (again.version, again.edited_by) == (study.version + 1, "Dr A")


def test_who_holds_a_study_is_decided_by_one_clock(tmp_path, store, monkeypatch):
    sha256 = add_small(store, tmp_path).record_sha256
    hold(store, sha256, session=READER.session, reader=READER.reader)
    with store.reading() as session:
        moment = database_time(session)
        is_server = session.get_bind().dialect.name == "postgresql"
    assert abs(moment - datetime.now(UTC)) < timedelta(minutes=1)

    class Ahead(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(hours=1)

    monkeypatch.setattr("ecg_core.studies.store.datetime", Ahead)  # the clock of this computer
    holder = hold(store, sha256, session=OTHER.session, reader=OTHER.reader)
    assert (holder.session == READER.session) == is_server  # an SQLite file is used by one computer, of one clock


def test_holding_goes_on_while_another_window_takes_over(tmp_path, store):
    studies = [add_small(store, tmp_path / str(number), str(number)).record_sha256 for number in range(5)]

    def work(number):
        editor = Editor(f"reader {number}", f"window {number}")
        for _ in range(5):
            for sha256 in studies:
                hold(store, sha256, session=editor.session, reader=editor.reader, take_over=True)
                keep_holding(store, {editor.session})
            release(store, editor.session)

    at_once(work, 4)
    assert holds(store) == {}


def test_a_server_that_begins_leaves_the_analyses_of_another_running(tmp_path, store):
    names = {
        "alive": f"{socket.gethostname()}:{os.getppid()}", "ended": f"{socket.gethostname()}:{2**22 + 1}",
        "elsewhere": "other computer:1", "lost": "other computer:2",
    }  # fmt: skip
    ids = {}
    for name, state in ((name, state) for name in names for state in (WAITING, RUNNING)):
        sha256 = add_small(store, tmp_path / name / state, f"{name}_{state}").record_sha256
        ids[name, state] = enqueue(store, sha256, READER, lead="auto", model_name="m", rules={})
        set_queue_state(store, ids[name, state], state)
    with store.writing() as session:
        for (name, _), number in ids.items():
            row = session.get_one(QueueRow, number)
            row.owner = names[name]
            if name == "lost":
                row.seen_at = "2001-01-01T00:00:00.000000+00:00"
    note_interrupted(store)
    states = {one.id: one.state for one in queue(store)}
    for state in (WAITING, RUNNING):
        assert states[ids["alive", state]] == states[ids["elsewhere", state]] == state
        assert states[ids["ended", state]] == states[ids["lost", state]] == INTERRUPTED


def test_a_server_that_reports_is_not_taken_for_lost(tmp_path, store):
    number = enqueue(store, add_small(store, tmp_path).record_sha256, READER, lead="auto", model_name="m", rules={})
    with store.writing() as session:
        session.get_one(QueueRow, number).seen_at = "2001-01-01T00:00:00.000000+00:00"
    keep_in_queue(store)
    with store.reading() as session:
        assert session.get_one(QueueRow, number).seen_at > "2001-01-02"


def at_once(work, n=N_READERS):
    """Results of the work of several threads that begin at the same moment."""
    barrier = threading.Barrier(n)

    def one(number):
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(one, range(n)))


def test_ten_readers_at_once_meet_no_lock_error_and_lose_nothing(tmp_path, store, store_address):
    shared = add_small(store, tmp_path / "shared").record_sha256
    records = [read_record(write_small(tmp_path / str(number))) for number in range(N_READERS)]

    def work(number):
        own = store if number % 2 else open_store(store.folder, url=store_address)  # a window, or another program
        editor, saved = Editor(f"reader {number}", f"window {number}"), 0
        study = add_study(own, records[number], editor)
        for step in range(N_EDITS):
            add_edit(own, study.record_sha256, edit(step), editor)
            find_studies(own, search="small")
            try:
                hold(own, shared, session=editor.session, reader=editor.reader, take_over=True)
                add_edit(own, shared, edit(100 * number + step), editor)
                saved += 1
            except StudyHeldError:
                edits_of(own, shared)
            assert audit.verify(own, shared) == ()
        if own is not store:
            own.close()
        return saved

    saved = at_once(work)
    assert sum(saved) > 0  # not more is certain: whoever takes over next stands in line before the edit
    assert len(edits_of(store, shared)) == sum(saved)
    for record in records:
        assert edits_of(store, record.sha256) == tuple(edit(step) for step in range(N_EDITS))
        assert audit.verify(store, record.sha256) == ()
    assert audit.verify(store, shared) == ()


def test_a_record_that_many_open_at_once_is_one_study_with_one_beginning(tmp_path, store):
    record = read_record(write_small(tmp_path))
    record.sha256  # noqa: B018  # hashed once, so that all reach the store together
    found = at_once(lambda number: add_study(store, record, Editor(f"reader {number}", f"window {number}")))
    assert {study.record_sha256 for study in found} == {record.sha256}
    assert [entry.action for entry in audit.trail(store, record.sha256)] == ["opened"]
    held = at_once(lambda number: hold(store, record.sha256, session=f"window {number}", reader=f"reader {number}"))
    assert len(set(held)) == 1


def test_a_trail_that_many_begin_at_once_has_all_entries_in_one_chain(store):
    def work(number):
        with store.writing() as session:
            audit.append(session, audit.STORE, f"reader {number}", "study deleted", record=str(number))

    at_once(work)
    assert [entry.number for entry in audit.trail(store, audit.STORE)] == list(range(1, N_READERS + 1))
    assert audit.verify(store, audit.STORE) == ()


def test_a_store_that_many_open_for_the_first_time_at_once_is_made_once(tmp_path, store_address):
    stores = at_once(lambda _: open_store(tmp_path / "new", url=store_address))
    add_small(stores[0], tmp_path)
    assert {len(find_studies(store)) for store in stores} == {1}
    for store in stores:
        store.close()


def test_all_rows_of_a_study_go_with_it(tmp_path, store):
    study = add_small(store, tmp_path)
    sha256 = study.record_sha256
    add_edit(store, sha256, edit(1), READER)
    hold(store, sha256, session=READER.session, reader=READER.reader)
    enqueue(store, sha256, READER, lead="auto", model_name="adapted", rules={})
    delete_study(store, sha256, READER)
    assert (get_study(store, sha256), edits_of(store, sha256), queue(store)) == (None, (), [])
    assert audit.verify(store, sha256) == ()
    assert audit.trail(store, audit.STORE)[-1].detail["trail"] == audit.trail(store, sha256)[-1].hash
    with pytest.raises(StoreError, match="deleted in the meantime"):
        add_edit(store, sha256, edit(1), READER)
    assert add_study(store, read_record(study.path), READER).state == "new"
    assert audit.verify(store, sha256) == ()


def edit_until_killed(folder, sha256, n_before, pipe):
    """Save edits, and write the number of each to a pipe once it is saved."""
    store = open_store(folder, url="")
    for number in range(n_before + 1, n_before + 10_000):
        add_edit(store, sha256, edit(number), READER)
        os.write(pipe, f"{number}\n".encode())


@pytest.mark.skipif(os.name != "posix", reason="forks")
def test_nothing_that_was_shown_as_saved_is_lost_when_the_program_is_killed_at_any_moment(tmp_path):
    folder, draw = tmp_path / "store", random.Random(19)  # noqa: S311
    store = open_store(folder, url="")
    sha256 = add_small(store, tmp_path).record_sha256
    store.close()  # a fork must not share a connection
    n_saved, n_in_the_middle = 0, 0
    for _ in range(MOMENTS):
        reading, writing = os.pipe()
        child = started(lambda n=n_saved, pipe=writing: edit_until_killed(folder, sha256, n, pipe))
        os.close(writing)
        with os.fdopen(reading) as stream:
            if draw.random() < 0.9:  # else also while the store is being opened
                n_saved = int(stream.readline())
            time.sleep(draw.uniform(0, LONGEST_S))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            printed = [int(line) for line in stream.read().split("\n") if line]
        n_saved = max([n_saved, *printed])
        store = open_store(folder, url="")
        with store.reading() as session:
            stored = session.scalars(select(EditRow.number).order_by(EditRow.number)).all()
        assert stored[:n_saved] == list(range(1, n_saved + 1))
        assert len(stored) <= n_saved + 1  # at most the one that was saved and not yet shown
        n_in_the_middle += len(stored) > n_saved
        assert audit.verify(store, sha256) == ()
        store.close()
        n_saved = len(stored)
    store = open_store(folder, url="")
    assert edits_of(store, sha256) == tuple(edit(number) for number in range(1, n_saved + 1))
    assert n_saved > MOMENTS
    store.close()


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_the_folder_of_the_store_is_for_its_owner_alone(file_store):
    assert file_store.folder.stat().st_mode & 0o077 == 0
