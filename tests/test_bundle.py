"""A study as one zip: it arrives whole in another store, or, damaged or altered on the way, not at all."""

import json
import os
import random
import shutil
import zipfile

import numpy as np
import pytest
from support.analyses import make_analysis
from support.processes import everything
from support.stores import OTHER, READER, add_small, edit, with_record, write_small

from ecg_core.errors import StoreError
from ecg_core.notes import DiaryEntry, Patient, ReportStrip
from ecg_core.records import read_record, write_join
from ecg_core.studies import audit, bundle
from ecg_core.studies.analyses import AnalysisKey, load_analysis, save_analysis
from ecg_core.studies.bundle import MANIFEST, export_study, import_study
from ecg_core.studies.edits import add_edit, edits_of, undo_edit
from ecg_core.studies.recordings import files_of_study, open_recording
from ecg_core.studies.store import open_store
from ecg_core.studies.study import add_study, delete_study, find_studies, get_study
from ecg_core.studies.study_notes import notes_of, set_diary, set_narrative, set_patient, set_report_strips
from ecg_core.studies.tables import SignatureRow

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
    analysis = with_record(make_analysis(), open_recording(store, study))
    key = AnalysisKey(sha256, "II", "0" * 64, analysis.rules)
    save_analysis(store, key, analysis)
    (store.subfolder("signed") / f"{sha256}_1.pdf").write_bytes(b"%PDF Zaphod Beeblebrox")
    row = SignatureRow(
        record_sha256=sha256, version=1, reader="Dr A", role="physician", statement="I agree.", signed_at="2001",
        addendum="", hashes={"pdf": "1" * 64}, files={"pdf": f"{sha256}_1.pdf"},
    )  # fmt: skip
    with store.writing() as session:
        audit.append(session, sha256, "Dr A", "signed", version=1, signature_sha256=audit.signature_sha256(row))
        session.add(row)
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
    add_edit(either, sha256, edit(9), OTHER)
    assert audit.verify(either, sha256) == ()
    export_study(either, sha256, tmp_path / "again.zip", OTHER, with_patient=True)
    assert edits_of(import_to(other, tmp_path / "again.zip"), sha256) == (edit(1), edit(9))
    assert audit.verify(other, sha256) == ()
    delete_study(either, sha256, OTHER)
    assert [path for path in either.folder.rglob("*") if path.is_file() and "sqlite" not in path.name] == []


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
    delete_study(store, sha256, READER)
    with pytest.raises(StoreError, match="went on in this store"):
        import_study(store, tmp_path / "back.zip", READER)
    third = open_store(tmp_path / "third", url="")
    import_to(third, packed)
    delete_study(third, sha256, READER)
    third.close()
    third = open_store(tmp_path / "fourth", url="")
    assert edits_of(import_to(third, tmp_path / "back.zip"), sha256) == (edit(1), edit(3))
    assert audit.verify(third, sha256) == ()
    third.close()


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
    "a newer version": lambda m: m.update(version=2),
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
}


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
