"""``ecg audit``: the trail in words, as a table, and verified."""

import csv

import pytest
from sqlalchemy import text
from support.made_files import FS_HZ, signal
from support.records import write_record

from ecg_core.cli.main import main
from ecg_core.edits import (
    AcceptEdit,
    DeleteEdit,
    InsertEdit,
    Label,
    LabelEdit,
    RhythmEdit,
    Stretch,
    StretchEdit,
    TemplateEdit,
)
from ecg_core.notes import DiaryEntry, Patient, ReportStrip
from ecg_core.records import read_record
from ecg_core.studies.audit import AuditEntry, trail
from ecg_core.studies.edits import add_edit, redo_edit, undo_edit
from ecg_core.studies.store import open_store
from ecg_core.studies.study import Editor, add_study, delete_study, set_archived
from ecg_core.studies.study_notes import set_diary, set_narrative, set_patient, set_report_strips
from ecg_core.studies.wording import SENTENCES, sentence_of, trail_table

EDITOR = Editor("A. Reader", "test")


@pytest.fixture
def study(tmp_path):
    """Folder, store and hash of a study that was worked on."""
    record = read_record(write_record(tmp_path, "x", signal(1), FS_HZ, lead_names=("II",)))
    store = open_store(tmp_path / "studies", url="")
    sha256 = add_study(store, record, EDITOR).record_sha256
    add_edit(store, sha256, LabelEdit((Label(61.5, "V"),)), EDITOR)
    add_edit(store, sha256, LabelEdit((Label(1.0, "V"), Label(2.0, "V"), Label(3.0, "S"))), EDITOR)
    undo_edit(store, sha256, EDITOR)
    set_patient(store, sha256, Patient(name="Secret", sex="male"), EDITOR)
    set_narrative(store, sha256, "=1+1", EDITOR)
    set_diary(store, sha256, [DiaryEntry(3.0, "Dizziness")], EDITOR)
    set_report_strips(store, sha256, [ReportStrip(2.0)], EDITOR)
    set_archived(store, sha256, EDITOR, archived=True)
    yield tmp_path, store, sha256
    store.close()


def audit(folder, name, *more):
    return main(["audit", name, "--studies", str(folder / "studies"), *map(str, more)])


EDITS = {
    "Deleted the beat at 00:00:01.00.": DeleteEdit((1.0,)),
    "Deleted 2 beats.": DeleteEdit((1.0, 2.0)),
    "Inserted a beat at 00:00:01.00 as S.": InsertEdit((Label(1.0, "S"),)),
    "Marked 00:00:01.0 to 00:00:03.0 as artefact.": StretchEdit((Stretch(1.0, 3.0),), analysable=False),
    "Marked 2 stretches (3.5 s) as analysable.": StretchEdit((Stretch(1.0, 3.0), Stretch(4, 5.5)), analysable=True),
    "Marked 00:00:01.0 to 00:00:03.0 as paced rhythm.": RhythmEdit((Stretch(1.0, 3.0),), "paced"),
    "Accepted pause: 00:00:01.0 to 00:00:04.0.": AcceptEdit((Stretch(1.0, 4.0),), "pause"),
    "Templates V1, V2: merge.": TemplateEdit("merge", ("V1", "V2")),
}


def test_every_kind_of_edit_stands_in_the_trail_in_words(study, capsys):
    folder, store, sha256 = study
    for edit in EDITS.values():
        add_edit(store, sha256, edit, EDITOR)
    redo_edit(store, sha256, EDITOR)
    undo_edit(store, sha256, EDITOR)
    redo_edit(store, sha256, EDITOR)
    assert audit(folder, sha256[:10]) == 0
    shown = capsys.readouterr().out
    for sentence in (*EDITS, "Redid edit 10.", "Verified"):
        assert sentence in shown


@pytest.mark.parametrize("named", ["path", "id", "digits"])
def test_the_trail_is_printed_in_words_and_verified(study, capsys, named):
    folder, _, sha256 = study
    assert audit(folder, {"path": str(folder / "x"), "id": "x", "digits": sha256[:10]}[named]) == 0
    shown = capsys.readouterr().out
    for sentence in (
        "A. Reader: Opened the recording x for the first time.",
        "A. Reader: Labelled the beat at 00:01:01.50 as V.",
        "A. Reader: Labelled beats: 1 as S, 2 as V.",
        "A. Reader: Undid edit 2.",
        "A. Reader: Changed patient data: name, sex.",
        "A. Reader: Changed the diary, which has 1 entry.",
        "A. Reader: Moved the study into the archive.",
        "Verified: 9 entries, each as it was written, and so are the recording and what was signed.",
    ):
        assert sentence in shown
    assert "Secret" not in shown


def test_the_trail_is_written_as_a_table_without_formulas(study, capsys):
    folder, store, sha256 = study
    assert audit(folder, "x", "--csv", folder / "trail.csv") == 0
    with (folder / "trail.csv").open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    entries = trail(store, sha256)
    assert [(row["number"], row["time_utc"], row["hash"]) for row in rows] == [
        (str(one.number), one.made_at, one.hash) for one in entries
    ]
    assert [row["what"] for row in rows] == [sentence_of(one) for one in entries]
    assert capsys.readouterr().out


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET reader = 'Mallory' WHERE number = 2",
        "UPDATE audit SET detail = 'no JSON' WHERE number = 2",
        "UPDATE audit SET made_at = 'yesterday' WHERE number = 2",
        "DELETE FROM audit WHERE number = 3",
        "DELETE FROM audit WHERE number = 9",
    ],
)
def test_a_changed_entry_is_not_verified(study, capsys, statement):
    folder, store, _ = study
    with store.writing() as session:
        session.execute(text(statement))
    assert audit(folder, "x") == 1
    shown = capsys.readouterr().out
    assert "NOT VERIFIED" in shown
    assert "Verified:" not in shown


def test_a_recording_that_was_changed_is_not_verified_though_nothing_is_signed(study, capsys):
    folder, _, sha256 = study
    path = folder / "x.dat"
    path.write_bytes(bytes(len(path.read_bytes())))
    assert audit(folder, sha256) == 1
    assert "NOT VERIFIED: " in (shown := capsys.readouterr().out)
    assert "the recording was changed after it was opened" in shown


def test_the_trail_of_a_deleted_study_and_that_of_the_store_are_shown_and_verified(study, capsys):
    folder, store, sha256 = study
    delete_study(store, sha256, EDITOR)
    assert audit(folder, sha256) == audit(folder, sha256[:10]) == 0
    shown = capsys.readouterr().out
    assert f"A study that was deleted ({sha256})" in shown
    assert "Deleted the study." in shown
    assert "and so are the recording" not in shown
    assert main(["audit", "--store", "--studies", str(folder / "studies")]) == 0
    assert "Deleted the study of x." in capsys.readouterr().out
    with store.writing() as session:
        session.execute(text("UPDATE audit SET reader = 'Mallory' WHERE record_sha256 = ''"))
    assert main(["audit", "--store", "--studies", str(folder / "studies")]) == 1
    assert main(["audit", "--store", "x", "--studies", str(folder / "studies")]) == 2
    assert main(["audit", "--studies", str(folder / "studies")]) == 2


def test_one_edit_is_one_edit():
    shown = {"lead": "II", "model_name": "m", "rules": {}, "n_fitted_edits": 1}
    assert "fine-tuned to 1 edit;" in sentence_of(AuditEntry(1, "", "", "analysis shown", shown, ""))


def test_what_is_no_study_ends_in_a_sentence(study, capsys):
    folder, *_ = study
    assert audit(folder, "absent") == 2
    assert main(["audit", "x", "--studies", str(folder / "absent")]) == 2
    assert audit(folder, "x", "--csv", folder / "no" / "trail.csv") == 2
    assert capsys.readouterr().err.count("Error: ") == 3
    assert not (folder / "absent").exists()


def test_every_action_of_a_study_has_a_sentence_of_its_own(study):
    _, store, sha256 = study
    assert {entry.action for entry in trail(store, sha256)} <= set(SENTENCES)


def test_an_action_of_another_version_is_shown_with_what_it_states():
    entry = AuditEntry(1, "2026-01-02T03:04:05.000000+00:00", "B", "flown to the moon", {"by_rocket": True}, "h")
    assert sentence_of(entry) == "Flown to the moon (by rocket: true)."
    damaged = AuditEntry(2, "", "B", "labelled", {}, "h")
    assert sentence_of(damaged) == "Labelled."
    assert trail_table([entry, damaged])["time_local"][1] == ""
