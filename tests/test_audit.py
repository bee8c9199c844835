"""The audit trail: every change has an entry, and what was altered behind the program's back is found in a sentence."""

import json

import pytest
from sqlalchemy import text
from support.stores import OTHER, READER, add_small, edit

from ecg_core.notes import Patient
from ecg_core.records import read_record
from ecg_core.studies import audit
from ecg_core.studies.edits import add_edit, undo_edit
from ecg_core.studies.signing import begin_new_version
from ecg_core.studies.study import add_study, delete_study, set_archived
from ecg_core.studies.study_notes import set_narrative, set_patient
from ecg_core.studies.tables import SignatureRow, StudyRow

NO_SIGNATURE = "Missing or changed: 1 of 1 signature that the trail states."


@pytest.fixture
def sha256(store, tmp_path):
    """A study with edits, one of them undone, and a signature."""
    sha256 = add_small(store, tmp_path).record_sha256
    for number in (1, 2, 3):
        add_edit(store, sha256, edit(number), READER)
    undo_edit(store, sha256, OTHER)
    row = SignatureRow(
        record_sha256=sha256, version=1, reader="Dr A", role="physician", statement="I agree.", signed_at="2001",
        addendum="", hashes={"pdf": "1" * 64}, files={"pdf": "report.pdf"}, with_patient=False,
    )  # fmt: skip
    with store.writing() as session:
        audit.append(session, sha256, "Dr A", "signed", version=1, signature_sha256=audit.signature_sha256(row))
        session.add(row)
        session.get_one(StudyRow, sha256).state = "signed"
    return sha256


def test_every_change_has_an_entry_with_who_and_what(store, sha256):
    begin_new_version(store, sha256, READER)
    set_patient(store, sha256, Patient(name="Secret", sex="female"), READER)
    set_narrative(store, sha256, "Sinus rhythm.", READER)
    set_archived(store, sha256, OTHER, archived=True)
    entries = audit.trail(store, sha256)
    assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
    assert [(entry.action, entry.reader) for entry in entries][1:] == [
        *[("labelled", "Dr A")] * 3, ("undone", "Dr B"), ("signed", "Dr A"), ("new version begun", "Dr A"),
        ("patient data changed", "Dr A"),
        ("narrative changed", "Dr A"), ("archived", "Dr B"),
    ]  # fmt: skip
    assert entries[1].detail["label"] == "V"
    assert entries[7].detail["fields"] == ["name", "sex"]
    assert "Secret" not in "".join(json.dumps(entry.detail) for entry in entries)
    assert audit.verify(store, sha256) == ()


@pytest.mark.parametrize(
    ("tampering", "sentence"),
    [
        ("UPDATE audit SET reader = 'Dr B' WHERE number = 2", "Entry 2 was changed after it was written."),
        ("UPDATE audit SET made_at = '1999' WHERE number = 1", "Entry 1 was changed after it was written."),
        ("UPDATE audit SET detail = '{}' WHERE number = 3", "Entry 3 was changed after it was written."),
        ("UPDATE audit SET hash = previous WHERE number = 3", "Entry 3 was changed after it was written."),
        ("UPDATE audit SET previous = hash WHERE number = 4", "Entry 4 does not continue the entry before it."),
        ("DELETE FROM audit WHERE number = 2", "Entry 2 is missing: entry 3 follows."),
        ("DELETE FROM audit WHERE number = 6", "The trail ends after entry 5; 6 were written."),
        ("DELETE FROM audit", "The trail ends after entry 0; 6 were written."),
        ("UPDATE chain SET length = 5", "The trail ends after entry 6; 5 were written."),
        ("DELETE FROM chain", "The trail ends after entry 6; 0 were written."),
        ("UPDATE edit SET content = '[[1.0,\"N\"]]' WHERE number = 1", "Edit 1 was changed after entry 2 was written."),
        ("UPDATE edit SET made_by = 'Dr B' WHERE number = 1", "Edit 1 is by Dr A, as entry 2 states, not by Dr B."),
        ("DELETE FROM edit WHERE number = 2", "Edit 2 is missing; entry 3 states it."),
        ("UPDATE edit SET number = 9 WHERE number = 2", "Edit 2 is missing; entry 3 states it."),
        ("UPDATE edit SET undone_at = 'x' WHERE number = 1", "Edit 1 is undone, and no entry states it."),
        ("UPDATE edit SET undone_at = '' WHERE number = 3", "Edit 3 counts, and an entry states its undoing."),
        (
            "UPDATE signature SET reader = 'Dr B'",
            NO_SIGNATURE,
        ),
        (
            "UPDATE signature SET signed_at = '1999'",
            NO_SIGNATURE,
        ),
        ("UPDATE signature SET hashes = '{}'", NO_SIGNATURE),
        ("DELETE FROM signature", NO_SIGNATURE),
        ("DELETE FROM study", "The study is missing, and no entry states that it was deleted."),
    ],
)
def test_what_was_altered_behind_the_programs_back_is_found(store, sha256, tampering, sentence):
    assert audit.verify(store, sha256) == ()
    with store.writing() as session:
        session.execute(text(tampering))
    assert sentence in audit.verify(store, sha256)


def test_the_hash_of_patient_data_says_nothing_to_those_who_have_no_key(store, tmp_path):
    sha256 = add_small(store, tmp_path).record_sha256
    hashes = []
    for name in ("Known Somebody", "", "Known Somebody"):
        set_patient(store, sha256, Patient(name=name), READER)
        hashes.append(audit.trail(store, sha256)[-1].detail["patient_sha256"])
        assert audit.verify(store, sha256) == ()
    assert len(set(hashes)) == 3  # the same name has another hash each time


def test_the_trail_of_the_store_misses_that_of_a_deleted_study(store, sha256):
    delete_study(store, sha256, READER)
    assert audit.verify(store, audit.STORE) == ()
    with store.writing() as session:
        session.execute(text("DELETE FROM audit WHERE record_sha256 != ''"))
        session.execute(text("DELETE FROM chain WHERE record_sha256 != ''"))
    assert "whose study was deleted, is missing" in " ".join(audit.verify(store, audit.STORE))


def test_edits_and_signatures_that_no_entry_states_are_found(store, sha256):
    with store.writing() as session:
        session.execute(
            text(
                "INSERT INTO edit (record_sha256, number, kind, content, made_at, made_by, undone_at)"
                " VALUES (:sha256, 4, 'labels', '[]', '', '', '')"
            ),
            {"sha256": sha256},
        )
        session.add(
            SignatureRow(
                record_sha256=sha256, version=2, reader="Dr B", role="", statement="", signed_at="", addendum="",
                hashes={}, files={}, with_patient=False,
            )
        )  # fmt: skip
    assert audit.verify(store, sha256) == (
        "Edit 4 is in no entry of the trail.",
        "1 of 2 stored signatures are in no entry of the trail.",
    )


def test_an_entry_that_was_slipped_in_breaks_the_chain(store, sha256):
    with store.writing() as session:
        session.execute(text("UPDATE audit SET number = number + 100 WHERE number > 2"))
        session.execute(text("UPDATE audit SET number = number - 99 WHERE number > 100"))
        session.execute(
            text(
                "INSERT INTO audit (record_sha256, number, made_at, reader, action, detail, previous, hash)"
                " SELECT record_sha256, 3, made_at, reader, action, detail, hash, hash FROM audit WHERE number = 2"
            )
        )
    assert audit.verify(store, sha256) == ("Entry 3 was changed after it was written.",)


def test_what_a_later_study_of_the_same_recording_holds_is_not_mixed_with_the_deleted_one(store, sha256, tmp_path):
    path = tmp_path / "small"
    delete_study(store, sha256, READER)
    assert audit.verify(store, sha256) == ()
    add_study(store, read_record(path), READER)
    assert audit.verify(store, sha256) == ()
    add_edit(store, sha256, edit(7), READER)
    assert audit.verify(store, sha256) == ()
    with store.writing() as session:
        session.execute(text("DELETE FROM edit"))
    assert audit.verify(store, sha256) == ("Edit 1 is missing; entry 9 states it.",)
