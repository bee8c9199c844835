"""The recording of a study: opened again in every format, found where it was moved, refused where it was changed."""

import gzip
import os
import shutil
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.io
import wfdb
from sqlalchemy import text
from support.analyses import make_analysis
from support.made_files import FS_HZ, csv_text, dicom_group, ishne, signal, whole, write_dicom, write_edf
from support.records import write_record
from support.stores import OTHER, READER, add_small, edit, with_record

import ecg_core.schema
from ecg_core.errors import RecordMovedError, StoreError, StudyHeldError
from ecg_core.overrides import RecordOverrides
from ecg_core.records import read_record, write_join
from ecg_core.studies import audit
from ecg_core.studies.analyses import AnalysisKey, load_analysis, load_shown, save_analysis, save_shown
from ecg_core.studies.bundle import export_study, import_study
from ecg_core.studies.edits import add_edit, edits_of
from ecg_core.studies.holding import hold
from ecg_core.studies.recordings import files_of_study, open_recording, relocate
from ecg_core.studies.store import open_store
from ecg_core.studies.study import add_study, delete_study, get_study
from ecg_core.studies.study_files import N_SAMPLED, SAMPLED_BYTES
from ecg_core.studies.tables import SignatureRow, StudyRow

COUNTS_PER_MV = 200


def write_wfdb(folder):
    path = write_record(folder, "x", signal(), FS_HZ)
    wfdb.wrann("x", "atr", np.array([100, 900]), symbol=["N", "V"], write_dir=str(folder))
    return path


def write_segments(folder):
    """A record of two segments whose names come before its own, with a layout."""
    for name in ("a1", "a2"):
        write_record(folder, name, signal(), FS_HZ)
    n = signal().shape[1]
    lines = [f"~ 0 {COUNTS_PER_MV}/mV 16 0 0 0 0 {lead}" for lead in ("I", "II")]
    (folder / "a0.hea").write_text("\n".join([f"a0 2 {FS_HZ} 0", *lines]) + "\n")
    (folder / "whole.hea").write_text(f"whole/3 2 {FS_HZ} {2 * n}\na0 0\na1 {n}\na2 {n}\n")
    return folder / "whole"


def write_zip(folder):
    inner = folder / "inner"
    inner.mkdir()
    write_wfdb(inner)
    with zipfile.ZipFile(folder / "packed.zip", "w") as archive:
        for path in sorted(inner.iterdir()):
            archive.write(path, f"study/{path.name}")
    shutil.rmtree(inner)
    return folder / "packed.zip"


def write_tar(folder):
    write_edf(folder / "x.edf", signal())
    with tarfile.open(folder / "packed.tar.gz", "w:gz") as archive:
        archive.add(folder / "x.edf", "x.edf")
    (folder / "x.edf").unlink()
    return folder / "packed.tar.gz"


def write_joined(folder):
    """Two pieces of twenty seconds that follow each other."""
    pieces = []
    for name, clock in (("p1", "04:05:06"), ("p2", "04:05:26")):
        header = write_record(folder, name, signal(), FS_HZ).with_suffix(".hea")
        first, *rest = header.read_text().splitlines()
        header.write_text("\n".join([f"{first} {clock} 03/02/2001", *rest]) + "\n")
        pieces.append(read_record(header))
    return write_join(pieces, folder)


def write_bytes(path, content):
    path.write_bytes(content)
    return path


def write_mat(folder):
    scipy.io.savemat(folder / "x.mat", {"val": COUNTS_PER_MV * signal()})
    return folder / "x.mat"


def write_parquet(folder):
    pd.DataFrame({"time_s": np.arange(signal().shape[1]) / FS_HZ, "II_mv": signal()[0]}).to_parquet(
        folder / "x.parquet"
    )
    return folder / "x.parquet"


OVERRIDES = RecordOverrides(FS_HZ, COUNTS_PER_MV)
WRITERS = {
    "wfdb": write_wfdb,
    "wfdb by its header": lambda folder: write_wfdb(folder).with_name("x.hea"),
    "wfdb in segments": write_segments,
    "edf": lambda folder: write_edf(folder / "x.edf", signal()),
    "ishne": lambda folder: write_bytes(folder / "x.ecg", ishne(signal())),
    "dicom": lambda folder: write_dicom(folder / "x.dcm", [dicom_group(np.rint(400 * signal()))]),
    "mat": write_mat,
    "csv": lambda folder: write_bytes(folder / "x.csv", csv_text(signal()).encode()),
    "parquet": write_parquet,
    "joined": write_joined,
    "zip": write_zip,
    "tar.gz": write_tar,
}


@pytest.fixture(params=WRITERS)
def study_and_record(request, tmp_path, file_store):
    """A study of a record of each format, and the record."""
    (tmp_path / "data").mkdir()
    path = WRITERS[request.param](tmp_path / "data")
    record = read_record(path, OVERRIDES if request.param == "mat" else RecordOverrides())
    return add_study(file_store, record, READER), record


def test_a_study_of_every_format_opens_again_without_being_hashed(study_and_record, file_store, monkeypatch):
    study, record = study_and_record
    before = whole(record)
    sha256 = record.sha256
    assert study.path.is_relative_to(file_store.folder.parent / "data")
    monkeypatch.setattr(ecg_core.schema.hashlib, "sha256", None)
    again = open_recording(file_store, study)
    assert again.sha256 == sha256
    assert (again.record_id, again.lead_names, again.overrides) == (
        record.record_id,
        record.lead_names,
        record.overrides,
    )
    np.testing.assert_array_equal(whole(again), before)


def test_a_study_of_every_format_arrives_in_another_store(study_and_record, file_store, tmp_path):
    study, record = study_and_record
    before = whole(record)
    export_study(file_store, study.record_sha256, tmp_path / "study.zip", READER, with_patient=False)
    shutil.rmtree(tmp_path / "data")
    other = open_store(tmp_path / "other", url="")
    arrived = import_study(other, tmp_path / "study.zip", OTHER)
    again = open_recording(other, arrived)
    assert {path.parent for path in ([again.archive] if again.archive else again.files)} == {
        other.folder / "recordings" / study.record_sha256
    }
    assert again.overrides == record.overrides
    np.testing.assert_array_equal(whole(again), before)
    delete_study(other, study.record_sha256, OTHER)
    assert list((other.folder / "recordings").iterdir()) == []
    other.close()


def test_a_study_of_every_format_is_found_where_it_was_moved(study_and_record, file_store, tmp_path):
    study, _ = study_and_record
    (tmp_path / "data").rename(tmp_path / "moved")
    with pytest.raises(RecordMovedError, match="data") as moved:
        open_recording(file_store, study)
    assert "data" in moved.value.place
    now = tmp_path / "moved" / study.path.name
    found = relocate(file_store, study.record_sha256, now, OTHER)
    assert found.path == now
    assert open_recording(file_store, found).sha256 == study.record_sha256
    assert audit.trail(file_store, study.record_sha256)[-1].action == "file found again"
    assert audit.verify(file_store, study.record_sha256) == ()


def test_a_copy_with_other_times_is_hashed_once_and_accepted(study_and_record, file_store, tmp_path, monkeypatch):
    study, _ = study_and_record
    for path in (tmp_path / "data").iterdir():
        os.utime(path, (1, 1))
    assert open_recording(file_store, study).sha256 == study.record_sha256
    monkeypatch.setattr(ecg_core.schema.hashlib, "sha256", None)
    assert open_recording(file_store, study).sha256 == study.record_sha256


@pytest.mark.parametrize("is_same_time", [True, False])
def test_a_changed_file_of_every_format_is_refused(study_and_record, file_store, tmp_path, is_same_time):
    study, _ = study_and_record
    path = max((tmp_path / "data").iterdir(), key=lambda path: path.stat().st_size)
    changed_ns = path.stat().st_mtime_ns if is_same_time else 1
    content = bytearray(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
    block = (len(content) - SAMPLED_BYTES) * 8 // (N_SAMPLED - 1)  # where the ninth of those begins that are compared
    content[block if is_same_time else len(content) // 2] ^= 1
    path.write_bytes(gzip.compress(bytes(content), mtime=0) if path.suffix == ".gz" else content)
    os.utime(path, ns=(changed_ns, changed_ns))
    with pytest.raises(StoreError, match="was changed since the study was made"):
        open_recording(file_store, study)


def same_times(folder):
    """Let all files be of the first day that a card knows, as those of a recorder without a clock."""
    for path in folder.iterdir():
        os.utime(path, (315_532_800,) * 2)


def test_the_next_patients_card_at_the_same_place_is_refused(file_store, tmp_path):
    card, day = tmp_path / "card", signal(1, 3600 * FS_HZ)
    card.mkdir()
    path = write_record(card, "ECG", day, FS_HZ)
    same_times(card)
    study = add_study(file_store, read_record(path), READER)
    write_record(card, "ECG", np.roll(day, FS_HZ), FS_HZ)
    same_times(card)
    with pytest.raises(StoreError, match="was changed since the study was made"):
        open_recording(file_store, study)


def test_what_lies_between_the_blocks_that_are_compared_is_read_before_a_study_is_handed_out(file_store, tmp_path):
    path = write_record(tmp_path, "day", signal(1, 3600 * FS_HZ), FS_HZ)
    same_times(tmp_path)
    study = add_study(file_store, read_record(path), READER)
    with path.with_suffix(".dat").open("r+b") as stream:
        stream.seek(SAMPLED_BYTES)
        stream.write(b"other")
    same_times(tmp_path)
    assert open_recording(file_store, study).sha256 == study.record_sha256  # as the threat model states
    with pytest.raises(StoreError, match="was changed since the study was made"):
        export_study(file_store, study.record_sha256, tmp_path / "study.zip", READER, with_patient=False)
    assert not (tmp_path / "study.zip").exists()


def test_a_study_of_an_earlier_version_which_kept_no_digest_is_hashed_once(file_store, tmp_path, monkeypatch):
    study = add_small(file_store, tmp_path)
    with file_store.writing() as session:
        row = session.get_one(StudyRow, study.record_sha256)
        row.files = [entry[:3] for entry in row.files]
    assert add_study(file_store, read_record(study.path), READER) == study
    assert open_recording(file_store, study).sha256 == study.record_sha256
    monkeypatch.setattr(ecg_core.schema.hashlib, "sha256", None)
    assert open_recording(file_store, study).sha256 == study.record_sha256


def test_an_annotation_file_that_came_later_makes_it_another_recording(file_store, tmp_path):
    study = add_small(file_store, tmp_path)
    wfdb.wrann("small", "atr", np.array([100, 900]), symbol=["N", "V"], write_dir=str(tmp_path))
    with pytest.raises(StoreError, match="was changed since"):
        open_recording(file_store, study)


def test_another_recording_is_refused_with_both_names_and_hashes(file_store, tmp_path):
    study = add_small(file_store, tmp_path / "a", "mine")
    other = add_small(file_store, tmp_path / "b", "foreign")
    shutil.rmtree(tmp_path / "a")
    with pytest.raises(StoreError) as refused:
        relocate(file_store, study.record_sha256, other.path, READER)
    for part in ("mine", "foreign", study.record_sha256[:8], other.record_sha256[:8]):
        assert part in str(refused.value)
    assert get_study(file_store, study.record_sha256).path == study.path


def test_the_recording_of_a_signed_study_is_found_too_and_of_one_held_elsewhere_is_not(file_store, tmp_path):
    study = add_small(file_store, tmp_path / "a")
    with file_store.writing() as session:
        session.execute(text("UPDATE study SET state = 'signed'"))
    (tmp_path / "a").rename(tmp_path / "b")
    hold(file_store, study.record_sha256, session=OTHER.session, reader=OTHER.reader)
    with pytest.raises(StudyHeldError):
        relocate(file_store, study.record_sha256, tmp_path / "b" / "small", READER)
    assert relocate(file_store, study.record_sha256, tmp_path / "b" / "small", OTHER).state == "signed"


def test_a_recording_that_is_opened_from_another_place_has_it_where_the_first_is_gone(file_store, tmp_path):
    study = add_small(file_store, tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    there = read_record(tmp_path / "b" / "small")
    assert add_study(file_store, there, READER).path == study.path
    shutil.rmtree(tmp_path / "a")
    assert add_study(file_store, there, READER).path == tmp_path / "b" / "small"


def add_uploaded(store, name="up"):
    """A study whose recording lies in the store's folder."""
    folder = store.subfolder("recordings", name)
    path = write_record(folder, "small", np.sin(np.arange(3000) / 25 + len(name)), 360)
    return add_study(store, read_record(path), READER, kept=True)


def test_an_uploaded_recording_moves_with_the_folder_of_the_store(file_store, tmp_path):
    study = add_uploaded(file_store)
    assert study.path == file_store.folder / "recordings" / "up" / "small"
    file_store.close()
    file_store.folder.rename(tmp_path / "elsewhere")
    again = open_store(tmp_path / "elsewhere", url="")
    record = open_recording(again, get_study(again, study.record_sha256))
    assert record.sha256 == study.record_sha256
    assert record.files[0].is_relative_to(tmp_path / "elsewhere")
    again.close()


def with_everything(store, study):
    """A study with files of every kind."""
    record = open_recording(store, study)
    analysis = with_record(make_analysis(), record)
    key = AnalysisKey(study.record_sha256, "II", "0" * 64, analysis.rules)
    save_analysis(store, key, analysis)
    save_shown(store, key, (), analysis)
    (store.subfolder("signed", study.record_sha256) / "v1_report.pdf").write_bytes(b"%PDF")
    with store.writing() as session:
        session.add(
            SignatureRow(
                record_sha256=study.record_sha256, version=1, reader="", role="", statement="", signed_at="",
                addendum="", hashes={}, files={"pdf": "v1_report.pdf"}, with_patient=False,
            )
        )  # fmt: skip
    return key


def test_a_study_is_deleted_with_its_files_and_those_are_named_before(file_store, tmp_path):
    mine, kept = add_small(file_store, tmp_path / "mine"), add_uploaded(file_store)
    for study in (mine, kept):
        with_everything(file_store, study)
    named = files_of_study(file_store, kept.record_sha256)
    assert sorted(file.what for file in named) == [
        "signed file", *["stored analysis"] * 2, *["uploaded recording"] * 2,
    ]  # fmt: skip
    assert all(file.path.stat().st_size == file.n_bytes for file in named)
    delete_study(file_store, kept.record_sha256, READER)
    assert not any(file.path.exists() for file in named)
    assert not (file_store.folder / "recordings" / "up").exists()
    others = files_of_study(file_store, mine.record_sha256)
    assert [file.what for file in others] == ["stored analysis"] * 2 + ["signed file"]
    assert all(file.path.is_file() for file in others)
    delete_study(file_store, mine.record_sha256, READER)
    assert mine.path.with_suffix(".dat").is_file()  # a recording elsewhere on the disk stays
    assert [path for path in file_store.folder.rglob("*") if path.is_file() and "sqlite" not in path.name] == []


def test_a_study_that_another_window_holds_keeps_its_files(file_store):
    study = add_uploaded(file_store)
    hold(file_store, study.record_sha256, session=OTHER.session, reader=OTHER.reader)
    with pytest.raises(StudyHeldError):
        delete_study(file_store, study.record_sha256, READER)
    assert open_recording(file_store, study).sha256 == study.record_sha256


def test_a_file_that_two_studies_use_stays_with_the_second(file_store):
    study = add_uploaded(file_store)
    other = replace(read_record(study.path), overrides=RecordOverrides(360.0))
    second = add_study(file_store, other, READER, kept=True)
    assert second.record_sha256 != study.record_sha256
    delete_study(file_store, study.record_sha256, READER)
    assert study.path.with_suffix(".dat").is_file()
    delete_study(file_store, second.record_sha256, READER)
    assert not study.path.with_suffix(".dat").exists()


@pytest.mark.parametrize("name", ["../../victim", "/etc/victim"])
def test_no_name_in_the_tables_deletes_a_file_outside_the_store(file_store, tmp_path, name):
    study = add_uploaded(file_store)
    victim = tmp_path / "victim"
    victim.write_text("mine")
    with file_store.writing() as session:
        session.add(
            SignatureRow(
                record_sha256=study.record_sha256, version=1, reader="", role="", statement="", signed_at="",
                addendum="", hashes={}, files={"pdf": name, "json": str(victim)}, with_patient=False,
            )
        )  # fmt: skip
    assert {file.what for file in files_of_study(file_store, study.record_sha256)} == {"uploaded recording"}
    delete_study(file_store, study.record_sha256, READER)
    assert victim.read_text() == "mine"


def test_what_is_shown_is_stored_with_its_edits_and_replaced_by_the_next(file_store, tmp_path):
    study = add_small(file_store, tmp_path)
    key = with_everything(file_store, study)
    record = open_recording(file_store, study)
    base = load_analysis(file_store, key, record)
    plain = load_shown(file_store, key, (), base)
    assert len(plain.beats) == len(base.beats)
    add_edit(file_store, study.record_sha256, edit(plain.beats.time_s[0]), READER)
    edits = edits_of(file_store, study.record_sha256)
    assert load_shown(file_store, key, edits, base) is None
    label = plain.beats.label.copy()
    label[0] = "V"
    labelled = replace(plain, beats=replace(plain.beats, label=label), labelled=np.array([0]))
    save_shown(file_store, key, edits, labelled)
    found = load_shown(file_store, key, edits, base)
    np.testing.assert_array_equal(found.beats.label, label)
    np.testing.assert_array_equal(found.predicted.label, plain.predicted.label)
    assert found.burden.pvc_burden_pct == labelled.burden.pvc_burden_pct
    assert load_shown(file_store, key, (), base) is None
    assert len(list((file_store.folder / "shown").iterdir())) == 1
    other_rules = key._replace(rules=replace(key.rules, pause_s=2.5))
    assert load_shown(file_store, other_rules, edits, base) is None


def test_the_files_of_a_moved_recording_are_named_in_one_sentence(file_store, tmp_path):
    study = add_small(file_store, tmp_path)
    Path(f"{study.path}.dat").unlink()
    with pytest.raises(RecordMovedError) as moved:
        open_recording(file_store, study)
    assert str(moved.value).endswith("is kept.")
    assert "small.dat" in str(moved.value)
