"""What was open goes: with its record when that is closed, and with its reader when they leave."""

import gc
import weakref
from dataclasses import replace
from types import SimpleNamespace

import pytest
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec
from test_app import DEMO, Room, button, page, room_with
from test_figures import make_analysis

from pages._ui import uploads
from pages._ui.absences import Absences

KEPT_S = 120.0


@pytest.fixture(scope="module")
def analysis(demo):
    return replace(make_analysis(demo.duration_s), record=demo)


def demo_files(name):
    """The demo record under another name, as uploads."""
    header = DEMO.with_suffix(".hea").read_text(encoding="ascii").replace("demo", name)
    signal = DEMO.with_suffix(".dat").read_bytes()
    kind = "application/octet-stream"
    return [(f"{name}.hea", header.encode(), kind), (f"{name}.dat", signal, kind)]


def uploaded(room, *names):
    at = page("record", room)
    for name in names:
        at.file_uploader[0].set_value(demo_files(name)).run()
    return at


def lying(room):
    return sorted(path.name for path in room.folder.rglob("*.*"))


def test_what_was_uploaded_is_on_the_disk_once_and_the_field_is_empty_again():
    room = Room()
    at = uploaded(room, "one", "two", "one")
    assert lying(room) == ["one.dat", "one.hea", "two.dat", "two.hea"]
    assert at.file_uploader[0].value == []


def test_a_closed_record_leaves_no_upload_behind():
    room = Room()
    at = uploaded(room, "one", "two")
    button(at, "Close this record").click().run()
    assert [record.record_id for record in room.records.values()] == ["one"]
    assert lying(room) == ["one.dat", "one.hea"]


def test_an_upload_that_cannot_be_opened_leaves_nothing_behind():
    room = Room()
    at = page("record", room)
    at.file_uploader[0].set_value(demo_files("one")[:1]).run()
    assert at.error
    assert lying(room) == []


def test_uploads_that_a_watch_may_read_stay_until_it_ends():
    room = Room()
    uploaded(room, "one")
    stopped = []
    room.watch(SimpleNamespace(stop=lambda: stopped.append(True)))
    room.close(room.current)
    assert lying(room) == ["one.dat", "one.hea"]
    room.watch(None)
    assert lying(room) == []
    assert stopped


def test_streamlit_holds_no_bytes_of_what_was_stored(monkeypatch):
    manager = MemoryUploadedFileManager("/upload")
    file = UploadedFileRec("7", "x.hea", "text/plain", b"x 1 257 10\n")
    manager.add_file("mine", file)
    manager.add_file("another's", file)
    context = SimpleNamespace(session_id="mine", uploaded_file_mgr=manager)
    monkeypatch.setattr(uploads, "get_script_run_ctx", lambda: context)
    uploads.forget([SimpleNamespace(name="x.hea", file_id="7")])
    assert manager.get_files("mine", ["7"]) == []
    assert manager.get_files("another's", ["7"]) == [file]


@pytest.mark.parametrize("name", ["review", "beats"])
def test_no_figure_of_a_page_holds_an_analysis_whose_record_was_closed(analysis, name):
    closed = replace(make_analysis(0.5 * analysis.record.duration_s), record=analysis.record)
    still_there = [weakref.ref(closed), weakref.ref(closed.beats)]
    room = room_with(closed)
    at = page(name, room)
    assert not at.exception
    room.close(closed.record.sha256)
    del closed
    room_with(analysis, room=room)
    at.run()
    gc.collect()
    assert [found() for found in still_there] == [None, None]


def test_the_room_of_a_reader_who_has_left_is_emptied(analysis):
    room = room_with(analysis)
    uploaded(room, "one")
    folder = room.folder
    absences = Absences()
    absences.add("mine", room)
    assert absences.look(lambda _: False, 1000.0, kept_s=KEPT_S) == 0
    assert absences.look(lambda _: False, 1000.0 + KEPT_S, kept_s=KEPT_S) == 0
    assert room.records
    assert absences.look(lambda _: False, 1001.0 + KEPT_S, kept_s=KEPT_S) == 1
    assert not (room.records or room.analyses or room.kept or room.on_select or room.current)
    assert not folder.exists()


def test_a_reader_who_comes_back_in_time_finds_all(analysis):
    room = room_with(analysis)
    absences = Absences()
    absences.add("mine", room)
    for now_s, here in ((0.0, False), (100.0, True), (200.0, False), (300.0, False), (319.0, False)):
        assert absences.look(lambda _, here=here: here, now_s, kept_s=KEPT_S) == 0
    assert room.analyses
    assert absences.look(lambda _: False, 321.0, kept_s=KEPT_S) == 1


def test_only_the_room_of_the_reader_who_left_is_emptied(analysis):
    rooms = {name: room_with(analysis) for name in ("one", "two")}
    absences = Absences()
    for name, room in rooms.items():
        absences.add(name, room)
    for now_s in (0.0, 1.0 + KEPT_S):
        absences.look(lambda name: name == "two", now_s, kept_s=KEPT_S)
    assert not rooms["one"].analyses
    assert rooms["two"].analyses
