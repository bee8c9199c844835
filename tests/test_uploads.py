"""Files that a reader uploads: opened, stored in a folder of the session alone, and named in no message."""

import errno
import gc
import io
import os
import signal as signal_numbers
import subprocess
import sys
import time
import unicodedata
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.io import savemat
from support import made_carts, made_scp
from support.made_files import csv_text, signal
from support.pages import button, page, text_of, workspace_on
from support.processes import END_S, ENDED_BY_SIGNALS
from support.records import DEMO
from support.stores import write_small

from ecg_core import files
from ecg_core.errors import EcgError, MissingMetadataError, RecordError
from ecg_core.records import read_record, write_join
from ecg_core.studies import recordings
from ecg_core.studies.recordings import sweep_uploads
from ecg_core.studies.store import open_store
from pages._ui import actions, uploads
from pages._ui.jobs import AnalysisQueue
from pages._ui.stores import Desk
from pages._ui.workspace import Workspace


def uploaded(*suffixes, rename=None):
    return [
        ((rename or {}).get(suffix, f"demo{suffix}"), DEMO.with_suffix(suffix).read_bytes(), "application/octet-stream")
        for suffix in suffixes
    ]


def test_upload_without_its_signal_names_the_missing_file():
    at = page("studies")
    at.file_uploader[0].set_value(uploaded(".hea")).run()
    assert [error.value for error in at.error] == [
        "demo.hea\\: names demo.dat, which is not beside it.\n\nAdd this file."
    ]


def test_upload_opens_the_record(demo):
    workspace = Workspace()
    at = page("studies", workspace)
    at.file_uploader[0].set_value(uploaded(".hea", ".dat", ".atr")).run()
    assert not at.error
    assert list(workspace.records) == [demo.sha256]
    assert len(workspace.records[demo.sha256].reference.time_s) == len(demo.reference.time_s)


def test_the_xml_and_the_scp_file_of_a_cart_are_opened():
    workspace = Workspace()
    at = page("studies", workspace)
    files = [("cart.xml", made_carts.whole_muse(), "text/xml"), ("CART.SCP", made_scp.whole_scp(), "")]
    at.file_uploader[0].set_value(files).run()
    assert not at.exception
    assert not at.error
    assert {record.record_id for record in workspace.records.values()} == {"cart", "CART"}


def test_xml_that_is_no_ecg_is_refused_with_its_reason():
    workspace = Workspace()
    at = page("studies", workspace)
    at.file_uploader[0].set_value([("x.xml", b"<?xml version='1.0'?><settings/>", "text/xml")]).run()
    assert "is not a recording but an XML document of another kind" in at.error[0].value
    assert not workspace.records
    assert not list(workspace.uploads.path.rglob("x.xml"))


def test_an_upload_that_states_neither_rate_nor_unit_asks_for_both(tmp_path):
    savemat(tmp_path / "x.mat", {"val": np.stack([np.sin(np.arange(5000) / 20)] * 2)})
    workspace = Workspace()
    at = page("studies", workspace)
    at.file_uploader[0].set_value([("x.mat", (tmp_path / "x.mat").read_bytes(), "application/octet-stream")]).run()
    assert not at.exception
    assert not at.error
    assert "does not state its sampling rate and the unit of its values" in text_of(at)
    button(at, "Open the file").click().run()
    assert "Enter its sampling rate and the unit of its values first." in text_of(at)
    fields = {item.label: item for item in [*at.number_input, *at.selectbox]}
    fields["Sampling rate in Hz"].set_value(250.0)
    fields["Unit"].set_value("counts")
    fields["Counts per mV (raw counts only)"].set_value(200.0)
    button(at, "Open the file").click().run()
    assert not at.exception
    (record,) = workspace.records.values()
    assert (record.fs_hz, record.overrides.per_mv) == (250.0, 200.0)
    assert "does not state" not in text_of(at)
    assert not workspace.awaiting_metadata


def test_what_a_file_states_itself_is_not_asked_for(tmp_path):
    (tmp_path / "x.csv").write_text("II_mv\n" + "".join(f"{np.sin(i / 20):.5f}\n" for i in range(5000)))
    workspace = Workspace()
    at = page("studies", workspace)
    at.text_input(key="folder").set_value(str(tmp_path)).run()
    button(at, "Open this one").click().run()
    fields = {item.label: item for item in [*at.number_input, *at.selectbox]}
    assert fields["Unit"].disabled
    fields["Sampling rate in Hz"].set_value(5.0)
    button(at, "Open the file").click().run()
    assert "expected 50 to 10000 Hz, got 5 Hz" in at.error[0].value
    fields = {item.label: item for item in [*at.number_input, *at.selectbox]}
    fields["Sampling rate in Hz"].set_value(250.0)
    button(at, "Open the file").click().run()
    assert [record.fs_hz for record in workspace.records.values()] == [250.0]


def test_rate_and_unit_entered_for_one_file_are_not_those_of_the_next(tmp_path):
    def fields(at):
        return {item.label: item for item in [*at.number_input, *at.selectbox] if not item.disabled}

    entered = {"Sampling rate in Hz": 250.0, "Unit": "counts", "Counts per mV (raw counts only)": 200.0}
    workspace = Workspace()
    for name in ("first.csv", "second.csv"):
        workspace.awaiting_metadata[tmp_path / name] = MissingMetadataError(name, rate=True, unit=True)
    at = page("studies", workspace)
    for label, value in entered.items():
        fields(at)[label].set_value(value)
    button(at, "Open the file").click().run()
    assert at.error  # the file is not there
    assert {label: fields(at)[label].value for label in entered} == entered
    button(at, "Leave it closed").click().run()
    assert "**second.csv** does not state" in text_of(at)
    assert {label: fields(at)[label].value for label in entered} == dict.fromkeys(entered)


def test_a_file_that_awaits_its_metadata_can_be_left_closed(tmp_path):
    (tmp_path / "x.csv").write_text("II_mv\n" + "0\n" * 5000)
    workspace = Workspace()
    with pytest.raises(MissingMetadataError):
        read_record(tmp_path / "x.csv")
    workspace.awaiting_metadata[tmp_path / "x.csv"] = MissingMetadataError("x", rate=True, unit=False)
    at = page("studies", workspace)
    button(at, "Leave it closed").click().run()
    assert not workspace.awaiting_metadata
    assert "does not state" not in text_of(at)


def test_upload_without_a_header_says_what_is_needed():
    at = page("studies")
    at.file_uploader[0].set_value(uploaded(".dat")).run()
    assert "No header (.hea) is among the files (demo.dat)" in at.error[0].value


def test_upload_writes_nowhere_but_its_own_folder(tmp_path):
    class File:
        def __init__(self, name):
            self.name = name

        def getbuffer(self):
            return memoryview(b"demo 1 257 10\n")

    folder = tmp_path / "session"
    folder.mkdir()
    headers = uploads.store([File("../../evil.hea"), File("..\\..\\worse.hea"), File("/etc/cron.hea")], folder)
    assert {path.name for path in headers} == {"evil", "worse", "cron"}
    assert all(folder in path.parents for path in headers)
    assert list(tmp_path.iterdir()) == [folder]


SCRIPTS = ("Müller.edf", "हिन्दी.edf", "บันทึก.edf", "நோயாளி.edf", "שָׁלוֹם.edf", "مُحَمَّد.edf", "Nguyễn.edf", "患者.edf")


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_name_of_any_script_is_stored_in_its_composed_form(name, form):
    assert uploads.safe_name(unicodedata.normalize(form, name)) == unicodedata.normalize("NFC", name)


def test_a_recording_is_uploaded_under_the_name_that_people_gave_it():
    workspace = Workspace()
    at = page("studies", workspace)
    at.file_uploader[0].set_value([("O'Neil & Sons #3.csv", csv_text(signal()).encode(), "text/csv")]).run()
    assert not at.error
    assert [record.record_id for record in workspace.records.values()] == ["O'Neil & Sons #3"]


def test_two_forms_of_one_name_are_not_taken_for_two_files():
    with pytest.raises(RecordError, match="twice"):
        uploads.refuse_name("Mu\u0308ller.edf", ["M\xfcller.edf"])


@pytest.mark.parametrize(
    "name",
    ["..", ".hea", "x\x00.hea", "a;rm.hea", "a\nb.hea", "", "-x.hea", " x.hea", "a" * 200, "\u0301x.hea", "\u0301",
     "x\u202egpj.hea", "患" * 90, "\ud800.hea"],
)  # fmt: skip
def test_strange_names_are_refused_in_a_sentence(name):
    with pytest.raises(RecordError, match="cannot be used as a file name"):
        uploads.safe_name(name)


def test_messages_do_not_name_the_servers_folders(monkeypatch, tmp_path):
    monkeypatch.setattr(files.tempfile, "tempdir", str(tmp_path))
    workspace = Workspace()
    inner = workspace.uploads.store([SimpleNamespace(name="x.hea", getbuffer=lambda: memoryview(b""))])
    sentence = workspace.uploads.hide(f"{inner[0]}.hea: this header file does not exist.")
    assert sentence == "x.hea: this header file does not exist."


def test_uploads_are_gone_with_the_session():
    workspace = Workspace()
    folder = workspace.uploads.path
    (folder / "x.hea").write_text("x")
    del workspace
    gc.collect()
    assert not folder.exists()


def csv_upload(name="mine.csv"):
    return SimpleNamespace(name=name, file_id="1", getbuffer=lambda: memoryview(csv_text(signal()).encode()))


def in_another_process(code, *arguments):
    """Start a program that prints a line when it is ready, and waits."""
    waits = "print('ready', flush=True)\ntime.sleep(600)"
    command = [sys.executable, "-c", f"import sys, time\n{ENDED_BY_SIGNALS}\n{code}\n{waits}"]
    child = subprocess.Popen([*command, *map(str, arguments)], stdout=subprocess.PIPE, text=True)  # noqa: S603
    assert child.stdout.readline() == "ready\n"
    return child


KEEP_UPLOAD = """
from pathlib import Path
from pages._ui.uploads import UploadFolder
uploads = UploadFolder(Path(sys.argv[1]) / "recordings")
uploads.path.mkdir(parents=True, exist_ok=True)
(uploads.make() / "patient.csv").touch()
"""


def age(folder):
    """Let a folder and what is in it look a year old."""
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (time.time() - 365 * 86_400,) * 2)


@pytest.mark.parametrize("end", ["SIGKILL", "SIGHUP", "SIGQUIT"])
def test_an_upload_in_use_stays_however_old_and_goes_at_the_next_start_whatever_ended_its_server(tmp_path, end):
    store = open_store(tmp_path, url="")
    with in_another_process(KEEP_UPLOAD, tmp_path) as server:
        age(tmp_path / "recordings")
        sweep_uploads(store)
        assert len(list(tmp_path.rglob("patient.csv"))) == 1
        server.send_signal(getattr(signal_numbers, end))
        server.wait(END_S)
    sweep_uploads(store)
    store.close()
    assert list((tmp_path / "recordings").iterdir()) == []


def test_an_upload_that_has_a_study_stays_at_every_start(tmp_path, monkeypatch):
    monkeypatch.setenv("ECG_STUDIES", str(tmp_path))
    workspace = Workspace(Desk(AnalysisQueue(open_store(tmp_path, url=""))))
    (path,) = workspace.uploads.store([csv_upload()])
    workspace.add(read_record(path))
    del workspace
    gc.collect()
    sweep_uploads(store := open_store(tmp_path, url=""))
    store.close()
    assert path.is_file()


def test_an_upload_that_becomes_a_study_while_another_server_starts_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("ECG_STUDIES", str(tmp_path))
    workspace = Workspace(Desk(AnalysisQueue(open_store(tmp_path, url=""))))
    (path,) = workspace.uploads.store([csv_upload()])

    def sweep_after_it_became_one(*args, **more):
        workspace.add(read_record(path))
        files.sweep_temporary(*args, **more)

    monkeypatch.setattr(recordings, "sweep_temporary", sweep_after_it_became_one)
    sweep_uploads(store := open_store(tmp_path, url=""))
    store.close()
    assert path.is_file()


def test_an_upload_without_a_study_goes_with_its_window(tmp_path):
    uploads_of_window = uploads.UploadFolder(tmp_path)
    (path,) = uploads_of_window.store([csv_upload()])
    assert path.is_file()
    del uploads_of_window
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_an_uploaded_archive_goes_with_its_study():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("mine.csv", csv_text(signal()))
    workspace = Workspace()
    at = page("studies", workspace)
    at.file_uploader[0].set_value([("mine.zip", content.getvalue(), "application/zip")]).run()
    assert not at.error
    assert len(list(workspace.uploads.path.rglob("mine.zip"))) == 1
    workspace.delete(workspace.current)
    assert list(workspace.uploads.path.rglob("*.zip")) == []


def test_a_recording_that_is_refused_takes_no_other_of_the_same_upload_away(tmp_path):
    workspace = Workspace()
    at = page("studies", workspace)
    files = [("good.csv", csv_text(signal()).encode(), "text/csv"), ("worse.csv", b"time_s,II_mv\n1,2\n", "text/csv")]
    at.file_uploader[0].set_value(files).run()
    assert at.error
    (record,) = workspace.records.values()
    assert record.path.is_file()
    assert list(workspace.uploads.path.rglob("worse.csv")) == []


@pytest.fixture
def shared(tmp_path):
    """A window on a store, and an upload of the WFDB records a, b and c together: their paths, as they are stored."""
    workspace = workspace_on(tmp_path / "store")
    names = [write_small(tmp_path / "card", name) for name in "abc"]
    files = [name.with_suffix(suffix) for name in names for suffix in (".hea", ".dat")]
    yield workspace, files
    workspace.store.close()


@pytest.fixture
def session(shared, monkeypatch):
    """The actions of a page work on that window."""
    monkeypatch.setattr(actions, "current_workspace", lambda: shared[0])


def as_uploads(files):
    return [
        SimpleNamespace(name=file.name, file_id="1", getbuffer=lambda file=file: memoryview(file.read_bytes()))
        for file in files
    ]


def stored_names(workspace):
    return sorted(path.name for path in workspace.uploads.path.rglob("*") if path.is_file())


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize("known", ["a", "b", "c"])
def test_a_recording_that_is_known_takes_no_other_of_the_same_upload_away(shared, known):
    workspace, files = shared
    original = next(file for file in files if file.stem == known)
    workspace.add(read_record(original.with_suffix("")))
    actions.open_uploads(as_uploads(files))
    assert {record.record_id for record in workspace.records.values()} == {"a", "b", "c"}
    assert stored_names(workspace) == sorted(file.name for file in files if file.stem != known)
    for sha256 in list(workspace.studies):
        workspace.close(sha256)
        workspace.open_study(sha256)


@pytest.mark.usefixtures("session")
def test_every_file_of_an_upload_that_can_be_opened_is_and_all_others_are_named(shared, tmp_path):
    workspace, files = shared
    files[0].write_text("no header\n")
    for name in ("-x.csv", "worse.csv"):
        (tmp_path / "card" / name).write_text("time_s,II_mv\n1,2\n")
    strange = [tmp_path / "card" / name for name in ("-x.csv", "worse.csv")]
    with pytest.raises(EcgError) as error:
        actions.open_uploads(as_uploads([strange[0], *files, strange[1], files[-1]]))
    assert {record.record_id for record in workspace.records.values()} == {"b", "c"}
    assert all(
        name in str(error.value) for name in ("-x.csv", "a.hea", "worse.csv", '"c.dat" is among the files twice')
    )
    assert stored_names(workspace) == ["b.dat", "b.hea", "c.dat", "c.hea"]


@pytest.mark.usefixtures("session")
def test_an_upload_waits_whole_for_the_rate_of_one_of_its_files(shared, tmp_path):
    workspace, files = shared
    table = tmp_path / "card" / "table.csv"
    table.write_text("II_mv\n" + "0.1\n" * 5000)
    actions.open_uploads(as_uploads([*files[:2], table]))
    (waiting,) = workspace.awaiting_metadata
    assert stored_names(workspace) == ["a.dat", "a.hea", "table.csv"]
    workspace.decline(waiting)
    assert stored_names(workspace) == ["a.dat", "a.hea"]


def test_a_recording_that_is_joined_again_leaves_its_pieces(tmp_path):
    workspace = workspace_on(tmp_path / "store")
    for hour in (8, 9):
        path = write_small(tmp_path / "card", f"p{hour}")
        header = path.with_suffix(".hea")
        first, *others = header.read_text().splitlines()
        header.write_text("\n".join([f"{first} {hour:02}:00:00 01/01/2024", *others]) + "\n")
        (path,) = workspace.uploads.store(as_uploads([header, path.with_suffix(".dat")]))
        workspace.add(read_record(path))
    pieces = list(workspace.records.values())
    for _ in range(2):
        workspace.add(read_record(write_join(pieces, workspace.uploads.make())))
    assert len(workspace.records) == 3
    assert len(stored_names(workspace)) == 5  # the pieces, and one list of them
    assert all(file.is_file() for piece in pieces for file in piece.files)
    workspace.store.close()


def test_a_full_disk_for_temporary_files_is_said_on_the_page(monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    workspace = Workspace()
    at = page("studies", workspace)
    monkeypatch.setattr(files.tempfile, "mkdtemp", full)
    at.file_uploader[0].set_value([("mine.csv", csv_text(signal()).encode(), "text/csv")]).run()
    assert [error.value for error in at.error] == [
        "The upload cannot be kept (No space left on device).\n\nMake room on the disk."
    ]


def test_a_file_of_another_format_is_uploaded_by_itself():
    time_s = np.arange(5000) / 250
    text = "time_s,II_mv\n" + "".join(f"{t:.3f},{np.sin(t):.4f}\n" for t in time_s)
    at = page("studies")
    at.file_uploader[0].set_value([("mine.csv", text.encode(), "text/csv")]).run()
    assert at.expander[0].label == "Analysis of mine"


@pytest.mark.parametrize("name", ["belt.txt", "belt.asc"])
def test_a_table_with_the_suffix_of_any_text_is_uploaded(name):
    workspace = Workspace()
    at = page("studies", workspace)
    at.file_uploader[0].set_value([(name, csv_text(signal()).encode(), "text/plain")]).run()
    assert not at.error
    (record,) = workspace.records.values()
    assert record.lead_names == ("II", "V1")
