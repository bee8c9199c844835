"""A study as one zip: it arrives whole in another store, or, damaged or altered on the way, not at all."""

import hashlib
import json
import os
import random
import shutil
import zipfile
from contextlib import contextmanager

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session, SessionTransaction
from support.analyses import make_analysis
from support.made_files import csv_text
from support.made_files import signal as made_signal
from support.processes import everything
from support.records import write_record
from support.stores import OTHER, READER, add_small, edit, with_record, write_small

from ecg_core import files
from ecg_core.cli.main import main
from ecg_core.errors import StoreError
from ecg_core.notes import DiaryEntry, Patient, ReportStrip
from ecg_core.records import read_record, write_join
from ecg_core.records.joined import MAX_PIECES
from ecg_core.studies import audit, bundle, bundle_checks
from ecg_core.studies.analyses import AnalysisKey, load_analysis, save_analysis
from ecg_core.studies.bundle import MANIFEST, export_study, import_study, is_study_zip
from ecg_core.studies.bundle_checks import MAX_LETTERS
from ecg_core.studies.edits import add_edit, edits_of, undo_edit
from ecg_core.studies.recordings import files_of_study, open_recording
from ecg_core.studies.signing import begin_new_version, left_out_files, verify_signature
from ecg_core.studies.store import now, open_store
from ecg_core.studies.study import Editor, add_study, delete_study, find_studies, get_study, set_view
from ecg_core.studies.study_notes import (
    keep_measurement,
    notes_of,
    set_diary,
    set_narrative,
    set_patient,
    set_report_strips,
)
from ecg_core.studies.tables import AuditRow, EditRow, SignatureRow, StudyRow
from ecg_core.studies.wording import sentence_of

HASHES = {
    "pdf": hashlib.sha256(b"%PDF Zaphod Beeblebrox").hexdigest(), "model": "", "signal": "", "labels": "",
}  # fmt: skip
PATIENT = Patient(name="Zaphod Beeblebrox", birth_date="1950-01-01")


@pytest.fixture
def store(file_store):
    """The store that studies come from."""
    return file_store


@pytest.fixture
def key(store, tmp_path):
    """The key of the analysis of a study with something in every table."""
    study = add_small(store, tmp_path / "data")
    sha256 = study.record_sha256
    for number in (1, 2):
        add_edit(store, sha256, edit(number), READER)
    undo_edit(store, sha256, READER)
    set_patient(store, sha256, PATIENT, READER)
    set_diary(store, sha256, [DiaryEntry(1.0, "dizzy")], READER)
    set_report_strips(store, sha256, [ReportStrip(2.0, "a strip")], READER)
    set_narrative(store, sha256, "Sinus rhythm.", READER)
    keep_measurement(store, sha256, ("QT", 1.0, 1.4), READER)
    set_view(store, sha256, {"t": 4.5, "sec": 10})
    analysis = with_record(make_analysis(), open_recording(store, study))
    key = AnalysisKey(sha256, "II", "0" * 64, analysis.rules)
    save_analysis(store, key, analysis)
    (store.subfolder("signed", sha256) / "v1_report.pdf").write_bytes(b"%PDF Zaphod Beeblebrox")
    row = SignatureRow(
        record_sha256=sha256, version=1, reader="Dr A", role="physician", statement="I agree.", signed_at=now(),
        addendum="", hashes=HASHES, files={"pdf": "v1_report.pdf"}, with_patient=True,
    )  # fmt: skip
    with store.writing() as session:
        audit.append(session, sha256, "Dr A", "signed", version=1, signature_sha256=audit.signature_sha256(row))
        session.add(row)
        session.get_one(StudyRow, sha256).state = "signed"
        session.get_one(StudyRow, sha256).unlike_pct = 12.5
    begin_new_version(store, sha256, READER)
    return key


@pytest.fixture
def other(tmp_path):
    """Another store."""
    opened = open_store(tmp_path / "other", url="")
    yield opened
    opened.close()


@pytest.fixture
def either(tmp_path, store_address):
    """Another store, on each kind of database."""
    opened = open_store(tmp_path / "either", url=store_address)
    yield opened
    opened.close()


@pytest.fixture
def packed(store, key, tmp_path):
    """The zip of a whole study."""
    path = tmp_path / "study.zip"
    export_study(store, key.record_sha256, path, READER, with_patient=True)
    return path


def test_a_study_arrives_whole_in_another_store(store, other, either, key, packed, tmp_path):
    sha256 = key.record_sha256
    shutil.rmtree(tmp_path / "data")
    study = import_study(either, packed, OTHER)
    assert study.record_sha256 == sha256
    assert edits_of(either, sha256) == edits_of(store, sha256)
    assert notes_of(either, sha256) == notes_of(store, sha256)
    record = open_recording(either, study)
    assert record.files[0].is_relative_to(either.folder / "recordings")
    np.testing.assert_array_equal(load_analysis(either, key, record).beats.time_s, make_analysis().beats.time_s)
    before, after = audit.trail(store, sha256), audit.trail(either, sha256)
    assert after[:-1] == before
    assert (before[-1].action, after[-1].action, after[-1].reader) == ("exported", "imported", "Dr B")
    assert audit.verify(either, sha256) == audit.verify(either, audit.STORE) == ()
    assert audit.trail(either, audit.STORE)[-1].action == "study imported"
    (signed,) = (file for file in files_of_study(either, sha256) if file.what == "signed file")
    assert signed.path.read_bytes() == b"%PDF Zaphod Beeblebrox"
    add_edit(either, sha256, edit(5.5), OTHER)
    assert audit.verify(either, sha256) == ()
    export_study(either, sha256, tmp_path / "again.zip", OTHER, with_patient=True)
    assert edits_of(import_to(other, tmp_path / "again.zip"), sha256) == (edit(1), edit(5.5))
    assert audit.verify(other, sha256) == ()
    delete_study(either, sha256, OTHER)
    assert [path for path in either.folder.rglob("*") if path.is_file() and "sqlite" not in path.name] == []


def test_measurements_and_doubts_about_a_recording_go_with_its_study_and_how_a_window_was_left_does_not(other, packed):
    study = import_study(other, packed, OTHER)
    assert (study.view, study.unlike_pct) == ({"measurements": [["QT", 1.0, 1.4]]}, 12.5)


def test_an_export_replaces_no_file_but_an_earlier_export_of_the_same_study(store, key, packed, tmp_path):
    study, before = get_study(store, key.record_sha256), audit.trail(store, key.record_sha256)
    another = add_small(store, tmp_path / "another")
    export_study(store, another.record_sha256, tmp_path / "another.zip", READER, with_patient=False)
    (tmp_path / "thesis.txt").write_text("a year of work")
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.writestr(MANIFEST, "{}")
    others = [tmp_path / name for name in ("another.zip", "thesis.txt", "model.zip")]
    for path in (*others, *open_recording(store, study).files, *store.folder.glob("*.sqlite")):
        content = path.read_bytes()
        with pytest.raises(StoreError, match="no export of this study, and it was not replaced"):
            export_study(store, key.record_sha256, path, READER, with_patient=True)
        assert path.read_bytes() == content
    assert audit.trail(store, key.record_sha256) == before
    export_study(store, key.record_sha256, packed, READER, with_patient=False)
    assert audit.trail(store, key.record_sha256)[-1].action == "exported"


def test_patient_data_are_in_the_zip_only_if_they_are_asked_for(store, other, key, packed, tmp_path):
    def holds_a_name(path):
        with zipfile.ZipFile(path) as archive:
            return any(b"Beeblebrox" in archive.read(name) for name in archive.namelist())

    assert holds_a_name(packed)
    without = tmp_path / "without.zip"
    export_study(store, key.record_sha256, without, READER, with_patient=False)
    assert not holds_a_name(without)
    assert [entry.detail for entry in audit.trail(store, key.record_sha256)[-2:]] == [
        {"with_patient": True}, {"with_patient": False},
    ]  # fmt: skip
    import_study(other, without, OTHER)
    assert notes_of(other, key.record_sha256).patient.is_empty
    assert audit.verify(other, key.record_sha256) == ()


def test_a_study_that_is_there_is_not_overwritten(store, packed, key):
    sha256 = key.record_sha256
    add_edit(store, sha256, edit(5), READER)
    with pytest.raises(StoreError, match="already in the store"):
        import_study(store, packed, OTHER)
    assert edits_of(store, sha256)[-1] == edit(5)


def test_a_study_goes_to_a_colleague_and_comes_back(store, other, packed, key, tmp_path):
    sha256 = key.record_sha256
    add_edit(import_to(other, packed), sha256, edit(3), OTHER)
    export_study(other, sha256, tmp_path / "back.zip", OTHER, with_patient=True)
    delete_study(store, sha256, READER)
    assert edits_of(import_to(store, packed), sha256) == (edit(1),)  # what was exported here
    assert audit.verify(store, sha256) == ()
    before = audit.trail(store, sha256)
    delete_study(store, sha256, READER)
    assert edits_of(import_to(store, tmp_path / "back.zip"), sha256) == (edit(1), edit(3))
    after = audit.trail(store, sha256)
    assert after[: len(before)] == before  # what was done here, and deleted, stays in the trail
    assert [entry.action for entry in after[len(before) :]] == ["deleted", "imported"]
    assert [entry.action for entry in audit.others_of(after[-1])] == ["imported", "labelled", "exported"]
    assert audit.verify(store, sha256) == audit.verify(store, audit.STORE) == ()
    third = open_store(tmp_path / "third", url="")
    import_to(third, packed)
    delete_study(third, sha256, READER)
    third.close()
    third = open_store(tmp_path / "fourth", url="")
    assert edits_of(import_to(third, tmp_path / "back.zip"), sha256) == (edit(1), edit(3))
    assert audit.verify(third, sha256) == ()
    third.close()


def test_a_narrative_that_comes_back_is_no_older_than_the_figures_over_which_it_was_written(
    store, other, packed, key, tmp_path
):
    sha256, back = key.record_sha256, tmp_path / "back.zip"
    add_edit(import_to(other, packed), sha256, edit(3), OTHER)
    set_narrative(other, sha256, "Seen there.", OTHER)
    export_study(other, sha256, back, OTHER, with_patient=True)
    set_narrative(store, sha256, "Seen here.", READER)
    delete_study(store, sha256, READER)
    import_to(store, back)
    assert not notes_of(store, sha256).is_narrative_older  # the last entry of the trail itself is of the other words
    undo_edit(store, sha256, READER)
    assert notes_of(store, sha256).is_narrative_older


def test_what_was_deleted_here_after_its_export_comes_back_with_what_a_colleague_did(
    store, other, packed, key, tmp_path
):
    sha256 = key.record_sha256
    delete_study(store, sha256, READER)
    add_edit(import_to(other, packed), sha256, edit(3), OTHER)
    export_study(other, sha256, tmp_path / "back.zip", OTHER, with_patient=True)
    assert edits_of(import_to(store, tmp_path / "back.zip"), sha256) == (edit(1), edit(3))
    assert audit.verify(store, sha256) == audit.verify(store, audit.STORE) == ()
    assert len(open_recording(store, get_study(store, sha256)).files) == 2


def test_no_entry_of_a_deleted_study_is_removed_and_the_joined_trail_goes_on(store, other, packed, key, tmp_path):
    sha256 = key.record_sha256
    export_study(store, sha256, tmp_path / "out.zip", Editor("Mallory", "x"), with_patient=True)
    delete_study(store, sha256, Editor("Mallory", "x"))
    add_edit(import_to(other, packed), sha256, edit(3), OTHER)
    export_study(other, sha256, tmp_path / "back.zip", OTHER, with_patient=True)
    import_to(store, tmp_path / "back.zip")
    mallorys = [entry.action for entry in audit.trail(store, sha256) if entry.reader == "Mallory"]
    assert mallorys == ["exported", "deleted"]
    assert "Dr B: Labelled the beat" in sentence_of(audit.trail(store, sha256)[-1])
    add_edit(store, sha256, edit(4), READER)
    export_study(store, sha256, tmp_path / "third.zip", READER, with_patient=True)
    delete_study(other, sha256, OTHER)
    assert edits_of(import_to(other, tmp_path / "third.zip"), sha256) == (edit(1), edit(3), edit(4))
    assert audit.verify(other, sha256) == audit.verify(other, audit.STORE) == ()
    with other.writing() as session:
        session.query(EditRow).filter_by(number=3).one().content = [[3.0, "S"]]
    assert "Edit 3 was changed" in " ".join(audit.verify(other, sha256))


def test_an_altered_entry_among_those_that_an_import_brought_is_found(store, other, packed, key, tmp_path):
    sha256 = key.record_sha256
    delete_study(store, sha256, READER)
    add_edit(import_to(other, packed), sha256, edit(3), OTHER)
    export_study(other, sha256, tmp_path / "back.zip", OTHER, with_patient=True)
    import_to(store, tmp_path / "back.zip")
    with store.reading() as session:
        *before, last = audit.rows_of(session, sha256)
    altered = audit.AuditRow(record_sha256=sha256, **dict(zip(audit.ENTRY_COLUMNS, audit.as_list(last), strict=True)))
    altered.detail = last.detail.replace("Dr B", "Dr X")
    assert altered.detail != last.detail
    altered.hash = audit.hash_of(altered)
    problems = audit.chain_problems([*before, altered], (len(before) + 1, altered.hash))
    assert "was changed after it was written" in " ".join(problems)


def test_a_signed_file_is_left_out_for_its_own_patient_data_alone_and_verified_as_left_out(
    store, other, key, tmp_path, capsys
):
    sha256 = key.record_sha256
    set_patient(store, sha256, Patient(), READER)  # the signed file still names the patient
    sign_second(store, sha256)
    export_study(store, sha256, tmp_path / "without.zip", READER, with_patient=False)
    with zipfile.ZipFile(tmp_path / "without.zip") as archive:
        assert [name for name in archive.namelist() if "signed/" in name] == [f"signed/{sha256}/v2_report.pdf"]
        assert not any(b"Beeblebrox" in archive.read(name) for name in archive.namelist())
    import_study(other, tmp_path / "without.zip", OTHER)
    assert audit.trail(other, sha256)[-1].detail["left_out"] == ["v1_report.pdf"]
    assert left_out_files(other, sha256) == {"v1_report.pdf"}
    assert audit.verify(other, sha256) == ()
    assert not [problem for problem in verify_signature(other, sha256) if "v1_report" in problem]
    main(["audit", sha256, "--studies", str(other.folder)])
    assert "Left out of the export: v1_report.pdf" in capsys.readouterr().out
    (other.folder / "signed" / sha256 / "v2_report.pdf").unlink()
    assert "v2_report.pdf" in " ".join(verify_signature(other, sha256))


def sign_second(store, sha256):
    """Sign a second version without patient data."""
    content = b"%PDF two"
    (store.subfolder("signed", sha256) / "v2_report.pdf").write_bytes(content)
    row = SignatureRow(
        record_sha256=sha256, version=2, reader="Dr A", role="", statement="", signed_at=now(), addendum="",
        hashes=HASHES | {"pdf": hashlib.sha256(content).hexdigest()}, files={"pdf": "v2_report.pdf"},
        with_patient=False,
    )  # fmt: skip
    with store.writing() as session:
        audit.append(session, sha256, "Dr A", "signed", version=2, signature_sha256=audit.signature_sha256(row))
        session.add(row)
        session.get_one(StudyRow, sha256).state = "signed"


@pytest.mark.parametrize("name", ["../../../id_rsa", "../../recordings/other/x.edf", "/etc/hosts", "", "..", "a\\b"])
def test_a_zip_whose_signature_names_a_file_elsewhere_is_refused(other, packed, tmp_path, name):
    victim = other.subfolder("recordings", "other") / "x.edf"
    victim.write_text("the upload of another patient")
    change = lambda m: m["signatures"][0].update(files={"pdf": name})  # noqa: E731
    assert "signed file" in is_refused(other, repacked(packed, tmp_path / "altered.zip", change=change))
    assert victim.read_text() == "the upload of another patient"


def test_a_name_in_the_database_brings_no_other_file_into_an_export(store, key, tmp_path):
    (tmp_path / "id_rsa").write_text("PRIVATE KEY")
    with store.writing() as session:
        session.query(SignatureRow).one().files = {"pdf": "../../../id_rsa"}
    with pytest.raises(StoreError, match="expected the name of a file without a folder"):
        export_study(store, key.record_sha256, tmp_path / "out.zip", READER, with_patient=True)
    assert not (tmp_path / "out.zip").exists()


@pytest.mark.parametrize("failing", ["atomic_folder", "atomic_files", "commit"])
def test_an_import_that_fails_at_its_end_leaves_neither_rows_nor_files(
    other, packed, key, tmp_path, monkeypatch, failing
):
    @contextmanager
    def fail(folder, name):
        with getattr(files, failing)(folder, name) as hidden:
            yield hidden
            raise OSError(13, "Permission denied")

    if failing == "commit":
        monkeypatch.setattr(Session, "commit", refuse)
        monkeypatch.setattr(SessionTransaction, "commit", refuse)
    else:
        monkeypatch.setattr(bundle, failing, fail)
    is_refused(other, packed)
    assert not (other.folder / "recordings" / key.record_sha256).exists()
    monkeypatch.undo()
    import_study(other, packed, OTHER)
    assert audit.verify(other, key.record_sha256) == verify_signature(other, key.record_sha256) == ()


def refuse(*_args, **_more):
    raise OSError(28, "No space left on device")


def test_a_study_that_no_import_would_accept_is_not_exported(store, key, tmp_path, monkeypatch):
    n_entries = len(audit.trail(store, key.record_sha256))
    for name, module, value in (("MAX_MEMBERS", bundle_checks, 3), ("MAX_BYTES", bundle, 100)):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, value)
            with pytest.raises(StoreError, match="nothing was written"):
                export_study(store, key.record_sha256, tmp_path / "x.zip", READER, with_patient=True)
    assert not (tmp_path / "x.zip").exists()
    assert len(audit.trail(store, key.record_sha256)) == n_entries
    assert bundle_checks.MAX_MEMBERS > 3 * MAX_PIECES


def test_a_flat_recording_that_packs_to_nothing_comes_in_again(file_store, other, tmp_path):
    (tmp_path / "flat").mkdir()
    flat = write_record(tmp_path / "flat", "flat", np.zeros((1, 3600 * 360)), 360)
    study = add_study(file_store, read_record(flat), READER)
    export_study(file_store, study.record_sha256, tmp_path / "flat.zip", READER, with_patient=False)
    assert import_study(other, tmp_path / "flat.zip", OTHER).record_id == "flat"


@pytest.mark.skipif(os.name == "nt", reason="names of Windows hold no colon")
def test_a_recording_named_by_the_clock_comes_in_again(file_store, other, tmp_path):
    path = tmp_path / "2024-01-01T12:30:00.csv"
    path.write_text(csv_text(made_signal()))
    study = add_study(file_store, read_record(path), READER)
    export_study(file_store, study.record_sha256, tmp_path / "clock.zip", READER, with_patient=False)
    assert import_study(other, tmp_path / "clock.zip", OTHER).record_id == "2024-01-01T12:30:00"


TEXTS = {
    "narrative": lambda m, words: m["study"].update(narrative=words),
    "patient data": lambda m, words: m["study"]["patient"].update(indication=words),
    "addendum": lambda m, words: m["signatures"][0].update(addendum=words),
}


@pytest.mark.parametrize("write", TEXTS.values(), ids=TEXTS)
def test_a_text_without_end_is_refused(other, packed, tmp_path, write):
    path = repacked(packed, tmp_path / "long.zip", change=lambda m: write(m, "x" * (MAX_LETTERS + 1)))
    assert f"longer than {MAX_LETTERS:,} letters" in is_refused(other, path)


def test_the_longest_text_comes_in_again_and_a_longer_one_is_not_exported(store, other, key, tmp_path):
    sha256, path = key.record_sha256, tmp_path / "long.zip"
    set_narrative(store, sha256, "x" * MAX_LETTERS, READER)
    export_study(store, sha256, path, READER, with_patient=False)
    assert len(notes_of(import_to(other, path), sha256).narrative) == MAX_LETTERS
    set_narrative(store, sha256, "x" * (MAX_LETTERS + 1), READER)
    n_entries = len(audit.trail(store, sha256))
    with pytest.raises(StoreError, match=r"longer than .* nothing was written"):
        export_study(store, sha256, tmp_path / "longer.zip", READER, with_patient=False)
    assert not (tmp_path / "longer.zip").exists()
    assert len(audit.trail(store, sha256)) == n_entries


def import_to(store, path):
    import_study(store, path, OTHER)
    return store


def repacked(path, target, *, change=lambda manifest: None, files=lambda name, content: content, extra=()):
    """A copy of a zip with an altered manifest or altered files."""
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as archive:
        for name in source.namelist():
            content = source.read(name)
            if name == MANIFEST:
                manifest = json.loads(content)
                change(manifest)
                content = json.dumps(manifest).encode()
            content = files(name, content)
            if content is not None:
                archive.writestr(name, content)
        for name, content in extra:
            archive.writestr(name, content)
    return target


ALTERATIONS = {
    "a newer version": lambda m: m.update(version=bundle_checks.VERSION + 1),
    "another format": lambda m: m.update(format="recipes"),
    "no format": lambda m: m.pop("format"),
    "no study": lambda m: m.pop("study"),
    "no edits": lambda m: m.update(edits=[]),
    "an edit of another beat": lambda m: m["edits"][0].update(content=[[7.0, "V"]]),
    "an edit that is no label": lambda m: m["edits"][0].update(content=[["x"]]),
    "an edit of an unknown kind": lambda m: m["edits"][0].update(kind="magic"),
    "an edit that was undone": lambda m: m["edits"][0].update(undone_at="2001"),
    "an edit of somebody else": lambda m: m["edits"][0].update(made_by="Dr X"),
    "a number as text": lambda m: m["edits"][0].update(number="1"),
    "a number as yes": lambda m: m["edits"][0].update(number=True),
    "a column too many": lambda m: m["study"].update(colour="red"),
    "a column too few": lambda m: m["study"].pop("lead"),
    "an unknown state": lambda m: m["study"].update(state="lost"),
    "patient data of another form": lambda m: m["study"].update(patient={"x": 1}),
    "another reader in the trail": lambda m: m["audit"][1].update(reader="Dr X"),
    "no trail": lambda m: m.update(audit=[]),
    "a shorter trail": lambda m: m.update(audit=m["audit"][:3]),
    "another signature": lambda m: m["signatures"][0].update(reader="Dr X"),
    "another recording": lambda m: m.update(record_sha256="0" * 64),
    "a hash that is none": lambda m: m.update(record_sha256="../x"),
    "a path for a record": lambda m: m.update(opens="../small"),
    "a rate of its own": lambda m: m["study"].update(fs_hz=500.0),
    "a file elsewhere": lambda m: m["files"][0].update(name="../../victim"),
    "a file of an unknown kind": lambda m: m["files"][0].update(subfolder="bin"),
    "a file that is not there": lambda m: m["files"][0].update(name="nothing"),
    "a file of another hash": lambda m: m["files"][0].update(sha256="0" * 64),
    "a field of a file too many": lambda m: m["files"][0].update(mode=7),
    "a list": lambda m: m.update(study=[]),
    "no number": lambda m: m["study"].update(duration_s=float("nan")),
    "no time": lambda m: m["study"].update(edited_at="zzz"),
    "a time of another form": lambda m: m["study"].update(edited_at="2001-02-03"),
    "a start that is none": lambda m: m["study"].update(start="yesterday"),
    "patient data that are no text": lambda m: m["study"].update(patient={"name": 5}),
    "other patient data": lambda m: m["study"]["patient"].update(name="Somebody Else"),
    "patient data that were left out": lambda m: m["study"].update(patient={}),
    "a rule that is no number": lambda m: m["study"].update(rules={"pause_s": "x"}),
    "an unknown rule": lambda m: m["study"].update(rules={"magic": 1.0}),
    "other rules": lambda m: m["study"].update(rules={"pause_s": 9.0}),
    "another narrative": lambda m: m["study"].update(narrative="All normal."),
    "another earlier narrative": lambda m: m["study"].update(narratives=dict.fromkeys(m["study"]["narratives"], "x")),
    "no earlier narratives": lambda m: m["study"].update(narratives={}),
    "an earlier narrative that is no text": lambda m: m["study"].update(narratives={"x": 5}),
    "another diary": lambda m: m["diary"][0].update(symptom="fine"),
    "other strips": lambda m: m.update(strips=[]),
    "a signature without its files": lambda m: m["signatures"][0].update(files={}),
    "a signature without hashes": lambda m: m["signatures"][0].update(hashes={}),
    "a hash that is no text": lambda m: m["signatures"][0]["hashes"].update(pdf=5),
    "a signature of another study": lambda m: m["signatures"][0].update(with_patient=False),
    "a study that counts as signed": lambda m: m["study"].update(state="signed"),
    "more fitted edits than there are": lambda m: m["study"].update(n_fitted_edits=7),
    "a measurement of an unknown interval": lambda m: m["study"]["view"]["measurements"][0].insert(0, "<b>"),
    "a measurement with a name of its own": lambda m: m["study"].update(view={"measurements": [["**", 1, 2]]}),
    "a measurement of no length": lambda m: m["study"].update(view={"measurements": [["QT", 2.0, 2.0]]}),
}


def test_no_export_is_written_that_no_import_would_accept(store, key, tmp_path):
    with store.writing() as session:
        session.execute(text("update audit set detail = '{}' where number = 1"))
    with pytest.raises(StoreError, match="its audit trail was altered"):
        export_study(store, key.record_sha256, tmp_path / "study.zip", READER, with_patient=True)
    assert not (tmp_path / "study.zip").exists()


def test_a_stored_analysis_that_was_damaged_is_left_out_of_an_import(store, other, key, tmp_path):
    (store.folder / "analyses" / f"{key.digest}.npz").write_bytes(b"no arrays")
    export_study(store, key.record_sha256, tmp_path / "study.zip", READER, with_patient=True)
    study = import_study(other, tmp_path / "study.zip", OTHER)
    assert study.record_sha256 == key.record_sha256
    assert list((other.folder / "analyses").iterdir()) == []


def test_an_import_of_a_file_that_is_not_there_says_so(other, tmp_path):
    with pytest.raises(StoreError, match=r"nothing\.zip: there is no such file"):
        import_study(other, tmp_path / "nothing.zip", OTHER)


def test_a_damaged_zip_is_no_exported_study(packed, tmp_path):
    newer = bytearray(packed.read_bytes())
    place = newer.rindex(b"PK\x01\x02")
    newer[place + 6] = 99  # the version of zip that the entry asks for
    (tmp_path / "newer.zip").write_bytes(newer)
    assert not is_study_zip(tmp_path / "newer.zip")


@pytest.mark.parametrize("change", ALTERATIONS.values(), ids=ALTERATIONS)
def test_an_altered_zip_is_refused_and_leaves_nothing(other, packed, tmp_path, change):
    is_refused(other, repacked(packed, tmp_path / "altered.zip", change=change))


def is_refused(store, path):
    """The sentence by which a zip is refused; nothing of it is left."""
    before = everything(store.folder)
    with pytest.raises(StoreError) as refused:
        import_study(store, path, OTHER)
    sentence = str(refused.value)
    assert path.name in sentence
    assert "\n" not in sentence
    left = {name for name in everything(store.folder) - before if (store.folder / name).is_file()}
    assert {name for name in left if "sqlite" not in name} == set()
    assert find_studies(store) == []
    assert audit.trail(store, audit.STORE) == ()
    return sentence


def test_a_zip_of_the_version_before_is_imported(store, other, packed, tmp_path, key):
    """As it was written before hashes of notes had a key: no earlier narratives, and the words in the trail."""
    sha256 = key.record_sha256
    notes = notes_of(store, sha256)

    def before(manifest):
        manifest["version"] = 1
        for name in ("narratives", "notes_key", "unlike_pct"):
            del manifest["study"][name]
        manifest["study"]["view"] = {}
        previous = audit.FIRST_PREVIOUS
        for values in manifest["audit"]:
            detail = json.loads(values["detail"])
            if detail.pop("narrative_keyed_sha256", ""):
                detail["narrative"] = notes.narrative
            if detail.pop("diary_keyed_sha256", ""):
                detail["diary_sha256"] = audit.content_sha256(audit.diary_of(notes.diary))
            if detail.pop("strips_keyed_sha256", ""):
                detail["strips_sha256"] = audit.content_sha256(audit.strips_of(notes.strips))
            row = AuditRow(record_sha256=sha256, **values | {"detail": audit.canonical(detail), "previous": previous})
            values |= {"detail": row.detail, "previous": previous, "hash": audit.hash_of(row)}
            previous = values["hash"]

    import_study(other, repacked(packed, tmp_path / "earlier.zip", change=before), OTHER)
    assert notes_of(other, sha256) == notes_of(store, sha256)
    assert audit.verify(other, sha256) == ()
    assert audit.has_words(audit.trail(other, sha256))
    assert not audit.has_words(audit.trail(store, sha256))
    set_diary(other, sha256, [], OTHER)
    set_narrative(other, sha256, "", OTHER)
    assert audit.verify(other, sha256) == ()


@pytest.mark.parametrize("name", ["recordings/small.dat", "recordings/small.hea"])
def test_a_zip_whose_recording_was_exchanged_is_refused_with_both_hashes(other, packed, tmp_path, key, name):
    foreign = tmp_path / "foreign"
    write_small(foreign)
    content = (foreign / "small.dat").read_bytes()

    def exchange(member, old):
        return content if member == "recordings/small.dat" else old

    def state_it(manifest):
        (one,) = (one for one in manifest["files"] if one["name"] == "small.dat")
        one["sha256"] = bundle.hashlib.sha256(content).hexdigest()

    sentence = is_refused(other, repacked(packed, tmp_path / "altered.zip", change=state_it, files=exchange))
    assert key.record_sha256[:8] in sentence
    gone = repacked(packed, tmp_path / "gone.zip", files=lambda member, old: None if member == name else old)
    is_refused(other, gone)


def test_random_damage_of_a_zip_ends_in_a_sentence_or_in_the_whole_study(tmp_path, other, packed, key):
    content, draw = packed.read_bytes(), random.Random(7)  # noqa: S311
    for _ in range(60):
        damaged = bytearray(content)
        for _ in range(draw.choice((1, 3, 40))):
            damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
        if draw.random() < 0.3:
            del damaged[draw.randrange(len(damaged)) :]
        path = tmp_path / "damaged.zip"
        path.write_bytes(damaged)
        try:
            import_study(other, path, OTHER)
        except StoreError:
            assert find_studies(other) == []
        else:
            assert audit.verify(other, key.record_sha256) == ()
            delete_study(other, key.record_sha256, OTHER)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no zip" * 100, os.urandom(3000)])
def test_what_is_no_zip_of_a_study_is_refused(tmp_path, other, content):
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    is_refused(other, path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", content)
    assert "holds no study" in is_refused(other, path)
    is_refused(other, tmp_path / "missing.zip")


def test_a_zip_that_unpacks_to_far_more_is_refused(other, packed, tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "MAX_BYTES", 5000)
    assert "far more" in is_refused(other, packed)


def test_an_analysis_that_this_version_cannot_read_is_left_out_and_no_code_in_it_runs(other, packed, tmp_path, key):
    target = tmp_path / "pickled"
    np.savez(target, tree=np.array([os.getcwd], dtype=object))
    content = target.with_suffix(".npz").read_bytes()
    name = f"{key.digest}.npz"

    def state_it(manifest):
        (one,) = (one for one in manifest["files"] if one["name"] == name)
        one["sha256"] = bundle.hashlib.sha256(content).hexdigest()

    path = repacked(
        packed, tmp_path / "old.zip", change=state_it, files=lambda member, old: content if name in member else old
    )
    study = import_study(other, path, OTHER)
    assert load_analysis(other, key, open_recording(other, study)) is None
    assert list((other.folder / "analyses").iterdir()) == []
    assert audit.verify(other, key.record_sha256) == ()


def test_an_analysis_that_no_row_names_is_not_written(other, packed, tmp_path, key):
    digest = "1" * 64

    def add(manifest):
        (one,) = (one for one in manifest["files"] if one["subfolder"] == "analyses")
        manifest["files"].append({**one, "name": f"{digest}.npz"})

    with zipfile.ZipFile(packed) as archive:
        extra = [(f"analyses/{digest}.npz", archive.read(f"analyses/{key.digest}.npz"))]
    import_study(other, repacked(packed, tmp_path / "more.zip", change=add, extra=extra), OTHER)
    assert [path.stem for path in (other.folder / "analyses").iterdir()] == [key.digest]


def test_an_imported_list_of_pieces_opens_no_other_file_of_this_computer(file_store, other, tmp_path):
    pieces, places = [], (tmp_path / "a", tmp_path / "b")
    for folder, clock in zip(places, ("04:05:06", "04:05:26"), strict=True):
        header = write_small(folder, folder.name).with_suffix(".hea")
        first, *rest = header.read_text().splitlines()
        header.write_text("\n".join([f"{first} {clock} 03/02/2001", *rest]) + "\n")
        pieces.append(read_record(header))
    joined = read_record(write_join(pieces, tmp_path / "list"))
    add_study(file_store, joined, READER)
    export_study(file_store, joined.sha256, tmp_path / "joined.zip", READER, with_patient=False)
    study = import_study(other, tmp_path / "joined.zip", OTHER)
    assert {path.parent for path in open_recording(other, study).files} == {study.path.parent}


def test_pieces_whose_files_have_the_same_names_are_refused(file_store, tmp_path):
    pieces = []
    for folder, clock in (("a", "04:05:06"), ("b", "04:05:26")):
        header = write_small(tmp_path / folder, "same").with_suffix(".hea")
        first, *rest = header.read_text().splitlines()
        header.write_text("\n".join([f"{first} {clock} 03/02/2001", *rest]) + "\n")
        pieces.append(read_record(header))
    joined = read_record(write_join(pieces, tmp_path / "list"))
    add_study(file_store, joined, READER)
    with pytest.raises(StoreError, match="same names"):
        export_study(file_store, joined.sha256, tmp_path / "joined.zip", READER, with_patient=False)
    assert not (tmp_path / "joined.zip").exists()


def test_an_export_that_fails_leaves_no_file_and_is_in_the_trail(store, key, tmp_path):
    before = everything(tmp_path / "data")
    with pytest.raises(StoreError, match="cannot be written there"):
        export_study(store, key.record_sha256, tmp_path / "no folder" / "x.zip", READER, with_patient=True)
    assert everything(tmp_path / "data") == before
    assert [entry.action for entry in audit.trail(store, key.record_sha256)[-2:]] == ["exported", "export failed"]
    assert audit.verify(store, key.record_sha256) == ()
