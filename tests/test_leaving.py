"""What was open goes: with its record when that is closed, and with its reader when they leave."""

import gc
import weakref
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec
from support.analyses import make_analysis
from support.pages import page, workspace_with
from support.records import DEMO

from pages._ui import streamlit_runtime
from pages._ui.session_cleanup import SessionCleanup
from pages._ui.uploads import UploadFolder
from pages._ui.workspace import Workspace

KEEP_S = 120.0


@pytest.fixture(scope="module")
def analysis(demo):
    return replace(make_analysis(demo.duration_s), record=demo)


def demo_files(name):
    """The demo record under another name, as uploads."""
    header = DEMO.with_suffix(".hea").read_text(encoding="ascii").replace("demo", name)
    signal = DEMO.with_suffix(".dat").read_bytes()
    kind = "application/octet-stream"
    return [(f"{name}.hea", header.encode(), kind), (f"{name}.dat", signal, kind)]


def uploaded(workspace, *names):
    at = page("record", workspace)
    for name in names:
        at.file_uploader[0].set_value(demo_files(name)).run()
    return at


def stored(workspace):
    return sorted(path.name for path in workspace.uploads.path.rglob("*.*"))


def test_an_upload_is_stored_once_and_the_uploader_is_empty_again():
    workspace = Workspace()
    at = uploaded(workspace, "one", "two", "one")
    assert stored(workspace) == ["one.dat", "one.hea", "two.dat", "two.hea"]
    assert at.file_uploader[0].value == []


def test_a_deleted_study_leaves_no_upload_behind():
    workspace = Workspace()
    uploaded(workspace, "one", "two")
    workspace.delete(workspace.current)
    assert [record.record_id for record in workspace.records.values()] == ["one"]
    assert stored(workspace) == ["one.dat", "one.hea"]


def test_an_upload_that_cannot_be_opened_leaves_nothing_behind():
    workspace = Workspace()
    at = page("record", workspace)
    at.file_uploader[0].set_value(demo_files("one")[:1]).run()
    assert at.error
    assert stored(workspace) == []


def test_streamlit_holds_no_bytes_of_what_was_stored(monkeypatch):
    manager = MemoryUploadedFileManager("/upload")
    file = UploadedFileRec("7", "x.hea", "text/plain", b"x 1 257 10\n")
    manager.add_file("mine", file)
    manager.add_file("another's", file)
    context = SimpleNamespace(session_id="mine", uploaded_file_mgr=manager)
    monkeypatch.setattr(streamlit_runtime, "get_script_run_ctx", lambda: context)
    UploadFolder(Path("uploads")).release([SimpleNamespace(name="x.hea", file_id="7")])
    assert manager.get_files("mine", ["7"]) == []
    assert manager.get_files("another's", ["7"]) == [file]


@pytest.mark.parametrize("name", ["review", "beats"])
def test_no_figure_of_a_page_holds_an_analysis_whose_record_was_closed(analysis, name):
    closed = replace(make_analysis(0.5 * analysis.record.duration_s), record=analysis.record)
    still_there = [weakref.ref(closed), weakref.ref(closed.beats)]
    workspace = workspace_with(closed)
    at = page(name, workspace)
    assert not at.exception
    workspace.close(closed.record.sha256)
    del closed
    workspace_with(analysis, workspace=workspace)
    at.run()
    gc.collect()
    assert [found() for found in still_there] == [None, None]


def test_the_workspace_of_a_reader_who_has_left_is_emptied(analysis):
    workspace = workspace_with(analysis)
    uploaded(workspace, "one")
    folder = workspace.uploads.path
    cleanup = SessionCleanup()
    cleanup.add("mine", workspace)
    assert cleanup.sweep(lambda _: False, 1000.0, keep_s=KEEP_S) == 0
    assert cleanup.sweep(lambda _: False, 1000.0 + KEEP_S, keep_s=KEEP_S) == 0
    assert workspace.records
    assert cleanup.sweep(lambda _: False, 1001.0 + KEEP_S, keep_s=KEEP_S) == 1
    assert not (workspace.records or workspace.analyses or workspace.cache or workspace.on_select or workspace.current)
    assert not folder.exists()


def test_a_reader_who_returns_in_time_finds_everything(analysis):
    workspace = workspace_with(analysis)
    cleanup = SessionCleanup()
    cleanup.add("mine", workspace)
    for now_s, here in ((0.0, False), (100.0, True), (200.0, False), (300.0, False), (319.0, False)):
        assert cleanup.sweep(lambda _, here=here: here, now_s, keep_s=KEEP_S) == 0
    assert workspace.analyses
    assert cleanup.sweep(lambda _: False, 321.0, keep_s=KEEP_S) == 1


def test_only_the_workspace_of_the_reader_who_left_is_emptied(analysis):
    workspaces = {name: workspace_with(analysis) for name in ("one", "two")}
    cleanup = SessionCleanup()
    for name, workspace in workspaces.items():
        cleanup.add(name, workspace)
    for now_s in (0.0, 1.0 + KEEP_S):
        cleanup.sweep(lambda name: name == "two", now_s, keep_s=KEEP_S)
    assert not workspaces["one"].analyses
    assert workspaces["two"].analyses
