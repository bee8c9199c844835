"""A signed report: what it keeps, what it locks, and what is noticed when something is changed behind it."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
import wfdb
from sqlalchemy import select, text
from support.analyses import make_analysis
from support.made_files import FS_HZ, signal
from support.records import write_record

from ecg_core.classifier.spec import model_digest
from ecg_core.edits import Label, LabelEdit
from ecg_core.errors import ChangeRefusedError, StoreError, StudyHeldError
from ecg_core.measuring import with_edits
from ecg_core.notes import DiaryEntry, Patient, ReportStrip
from ecg_core.records import read_record
from ecg_core.report.facts import unsigned_text
from ecg_core.rules import RhythmRules
from ecg_core.studies import signing, study_notes
from ecg_core.studies.analyses import AnalysisKey, set_shown
from ecg_core.studies.audit import trail, verify
from ecg_core.studies.edits import add_edit, edits_of, undo_edit
from ecg_core.studies.holding import hold
from ecg_core.studies.signing import (
    add_addendum,
    begin_new_version,
    changes_since,
    sign,
    signatures_of,
    signed_file,
    verify_recording,
    verify_signature,
)
from ecg_core.studies.store import open_store
from ecg_core.studies.study import (
    IN_REVIEW,
    SIGNED,
    Editor,
    add_study,
    delete_study,
    get_study,
    note_export,
    set_archived,
    set_view,
)
from ecg_core.studies.study_notes import (
    add_recording,
    fill_from_file,
    notes_of,
    set_diary,
    set_narrative,
    set_patient,
    set_report_strips,
)
from ecg_core.studies.tables import Base
from ecg_core.studies.wording import sentence_of

EDITOR = Editor("A. Reader", "test")
CONTENT = {"pdf": b"%PDF made", "json": b"{}"}


@pytest.fixture
def store(tmp_path):
    opened = open_store(tmp_path / "studies", url="")
    yield opened
    opened.close()


@pytest.fixture
def analysis(tmp_path, store, monkeypatch):
    """An analysis that is shown of a study; its reports are stand-ins."""
    (tmp_path / "data").mkdir()
    record = read_record(write_record(tmp_path / "data", "x", signal(1, 60 * FS_HZ), FS_HZ, lead_names=("II",)))
    made = replace(make_analysis(60.0), record=record, model=replace(make_analysis(60.0).model, sha256="f" * 64))
    add_study(store, record, EDITOR)
    set_shown(store, key_of(made), made, EDITOR)
    writers = {kind: lambda _analysis, _notes, kind=kind: CONTENT[kind] for kind in CONTENT}
    monkeypatch.setattr(signing, "WRITERS", writers)
    return made


def key_of(analysis):
    return AnalysisKey(analysis.record.sha256, "auto", model_digest(analysis.model), analysis.rules)


def signed(store, analysis, *, editor=EDITOR, with_patient=False):
    """The signature under a study as it is now."""
    sha256 = analysis.record.sha256
    return sign(
        store, sha256, analysis, version=get_study(store, sha256).version, role="Cardiologist", statement="I agree.",
        editor=editor, with_patient=with_patient,
    )  # fmt: skip


def changes(store, analysis):
    """Every way to change a study, by name."""
    sha256 = analysis.record.sha256
    other = replace(analysis, rules=replace(RhythmRules(), pause_s=2.5))
    return {
        "label": lambda: add_edit(store, sha256, LabelEdit((Label(1.0, "V"),)), EDITOR),
        "undo": lambda: undo_edit(store, sha256, EDITOR),
        "rules": lambda: set_shown(store, key_of(other), other, EDITOR),
        "narrative": lambda: set_narrative(store, sha256, "Other words.", EDITOR),
        "patient": lambda: set_patient(store, sha256, Patient(name="Other"), EDITOR),
        "diary": lambda: set_diary(store, sha256, [DiaryEntry(1.0, "Dizziness")], EDITOR),
        "strips": lambda: set_report_strips(store, sha256, [ReportStrip(1.0)], EDITOR),
    }


def test_a_signature_keeps_both_files_and_the_hashes_of_all_that_they_were_made_from(store, analysis):
    signature = signed(store, analysis)
    (stored,) = signatures_of(store, analysis.record.sha256)
    assert (signature.version, signature.reader, signature.role) == (1, "A. Reader", "Cardiologist")
    assert stored.signature == signature
    assert set(stored.hashes) == {"signal", "model", "labels", "rules", "program", "pdf", "json", "audit"}
    assert {kind: signed_file(store, analysis.record.sha256, stored, kind) for kind in CONTENT} == CONTENT
    assert notes_of(store, analysis.record.sha256).signatures == (signature,)
    assert get_study(store, analysis.record.sha256).state == SIGNED
    last = trail(store, analysis.record.sha256)[-1]
    assert (last.action, last.detail["signature_sha256"]) == ("signed", stored.sha256)
    assert verify_signature(store, analysis.record.sha256) == ()


def test_the_real_report_is_stored(store, analysis, monkeypatch):
    monkeypatch.undo()
    signed(store, analysis)
    (stored,) = signatures_of(store, analysis.record.sha256)
    assert signed_file(store, analysis.record.sha256, stored, "pdf").startswith(b"%PDF")
    content = json.loads(signed_file(store, analysis.record.sha256, stored, "json"))
    assert content["record"]["sha256"] == stored.hashes["signal"]
    assert content["signed"] is True


def test_a_report_is_signed_from_its_signature_to_the_next_version(store, analysis):
    sha256 = analysis.record.sha256
    states = [notes_of(store, sha256).is_signed]
    signed(store, analysis)
    states.append(notes_of(store, sha256).is_signed)
    begin_new_version(store, sha256, EDITOR)
    states.append(notes_of(store, sha256).is_signed)
    signed(store, analysis)
    states.append(notes_of(store, sha256).is_signed)
    assert states == [False, True, False, True]


@pytest.mark.parametrize("with_patient", [False, True])
def test_patient_data_are_in_the_signed_files_only_where_they_are_asked_for(store, analysis, monkeypatch, with_patient):
    sha256 = analysis.record.sha256
    set_patient(store, sha256, Patient(name="Known Somebody"), EDITOR)
    monkeypatch.setattr(signing, "WRITERS", {"json": lambda _analysis, notes: repr(notes).encode()})
    signed(store, analysis, with_patient=with_patient)
    (stored,) = signatures_of(store, sha256)
    content = signed_file(store, sha256, stored, "json")
    assert (b"Known Somebody" in content) == with_patient
    assert b"I agree." in content


@pytest.mark.parametrize("name", ["label", "undo", "rules", "narrative", "patient", "diary", "strips"])
def test_a_signed_study_refuses_every_change_until_a_new_version_is_begun(store, analysis, name):
    signed(store, analysis)
    before = trail(store, analysis.record.sha256), notes_of(store, analysis.record.sha256)
    with pytest.raises(ChangeRefusedError, match="signed, and the study is locked"):
        changes(store, analysis)[name]()
    assert (trail(store, analysis.record.sha256), notes_of(store, analysis.record.sha256)) == before
    begin_new_version(store, analysis.record.sha256, EDITOR)
    changes(store, analysis)[name]()
    assert get_study(store, analysis.record.sha256).state == IN_REVIEW


def test_what_leaves_the_signed_content_as_it_is_stays_allowed(store, analysis):
    sha256 = analysis.record.sha256
    signed(store, analysis)
    set_shown(store, key_of(analysis), analysis, EDITOR)
    set_view(store, sha256, {"t": 3.0})
    set_archived(store, sha256, EDITOR, archived=True)
    add_addendum(store, sha256, "  The pause was artefact. ", role="Cardiologist", editor=EDITOR)
    assert [one.addendum for one in notes_of(store, sha256).signatures] == ["", "The pause was artefact."]
    assert verify_signature(store, sha256) == ()
    assert verify(store, sha256) == ()


def test_a_new_version_is_signed_beside_the_old_one(store, analysis):
    sha256 = analysis.record.sha256
    signed(store, analysis)
    begin_new_version(store, sha256, EDITOR)
    set_narrative(store, sha256, "Other words.", EDITOR)
    assert signed(store, analysis).version == 2
    first, second = signatures_of(store, sha256)
    assert first.files != second.files
    assert signed_file(store, sha256, first, "pdf") == CONTENT["pdf"]
    assert verify_signature(store, sha256) == ()


def test_an_analysis_of_another_version_of_the_program_does_not_read_signed(store, analysis, monkeypatch):
    sha256 = analysis.record.sha256
    signed(store, analysis)
    add_addendum(store, sha256, "The pause was artefact.", role="", editor=EDITOR)
    assert notes_of(store, sha256).is_signed
    monkeypatch.setattr(study_notes, "code_version", lambda: "another")
    notes = notes_of(store, sha256)
    assert not notes.is_signed
    assert unsigned_text(notes).startswith("Preliminary: changed since version 1, signed by A. Reader")
    assert get_study(store, sha256).state == SIGNED


def test_what_changed_since_a_version_is_listed(store, analysis):
    sha256 = analysis.record.sha256
    signed(store, analysis)
    note_export(store, sha256, EDITOR, files=["x_v1_report.pdf"], with_patient=False)
    assert changes_since(store, sha256, 1) == ()
    begin_new_version(store, sha256, EDITOR)
    add_edit(store, sha256, LabelEdit((Label(1.0, "V"),)), EDITOR)
    assert [entry.action for entry in changes_since(store, sha256, 1)] == ["new version begun", "labelled"]
    assert changes_since(store, sha256, 2) == ()


def test_a_signature_without_a_name_or_twice_or_of_another_analysis_is_refused(store, analysis):
    with pytest.raises(StoreError, match="name of its reader"):
        signed(store, analysis, editor=Editor(" ", "test"))
    with pytest.raises(StoreError, match="not what is stored"):
        signed(store, replace(analysis, rules=replace(RhythmRules(), pause_s=2.5)))
    with pytest.raises(ChangeRefusedError, match="not signed"):
        add_addendum(store, analysis.record.sha256, "text", role="", editor=EDITOR)
    signed(store, analysis)
    with pytest.raises(ChangeRefusedError, match="signed already"):
        signed(store, analysis)
    with pytest.raises(StoreError, match="empty"):
        add_addendum(store, analysis.record.sha256, " ", role="", editor=EDITOR)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("labels", "other edits"),
        ("fitted", "fine-tuned to other labels"),
        ("lead", "another lead"),
        ("model", "model"),
    ],
)
def test_an_analysis_that_is_not_what_is_stored_is_not_signed(store, analysis, name, wanted):
    sha256, time_s = analysis.record.sha256, float(analysis.beats.time_s[3])
    if name == "lead":
        set_shown(store, key_of(analysis)._replace(lead="II"), analysis, EDITOR)
        analysis = replace(analysis, lead_names=("V1",))
    elif name == "model":
        analysis = replace(analysis, model=replace(analysis.model, sha256="0" * 64))
    else:
        add_edit(store, sha256, LabelEdit((Label(time_s, "V"),)), EDITOR)
    if name == "fitted":
        fitted = key_of(analysis)._replace(fitted_labels=(LabelEdit((Label(time_s, "V"),)),))
        set_shown(store, fitted, analysis, EDITOR)
    with pytest.raises(StoreError, match=wanted):
        signed(store, analysis)
    assert signatures_of(store, sha256) == ()
    assert not [path for path in store.folder.rglob("*report*") if path.is_file()]


def test_an_analysis_with_the_stored_labels_is_signed(store, analysis):
    beat = int(np.flatnonzero(analysis.beats.label == "N")[0])
    add_edit(store, analysis.record.sha256, LabelEdit((Label(float(analysis.beats.time_s[beat]), "V"),)), EDITOR)
    assert signed(store, with_edits(analysis, edits_of(store, analysis.record.sha256))).version == 1
    assert verify(store, analysis.record.sha256) == verify_signature(store, analysis.record.sha256) == ()


def test_what_changed_while_the_report_was_made_is_not_signed_and_leaves_no_file(store, analysis, monkeypatch):
    def write(_analysis, _notes):
        set_narrative(store, analysis.record.sha256, "Other words.", EDITOR)
        return b"%PDF"

    monkeypatch.setattr(signing, "WRITERS", {"pdf": write})
    with pytest.raises(ChangeRefusedError, match="changed since it was shown"):
        signed(store, analysis)
    assert signatures_of(store, analysis.record.sha256) == ()
    assert not [path for path in store.folder.rglob("*report*") if path.is_file()]


@pytest.mark.parametrize("name", ["label", "rules", "narrative", "patient", "diary", "strips"])
def test_what_was_changed_since_it_was_shown_is_not_signed(store, analysis, name):
    """Each way to change a study, by another window that the one who signs has not read again."""
    sha256 = analysis.record.sha256
    shown = get_study(store, sha256).version
    changes(store, analysis)[name]()
    before = trail(store, sha256)
    with pytest.raises(ChangeRefusedError, match="since it was shown"):
        sign(store, sha256, analysis, version=shown, role="", statement="Seen.", editor=EDITOR)
    assert (signatures_of(store, sha256), trail(store, sha256)) == ((), before)
    assert not [path for path in store.folder.rglob("*report*") if path.is_file()]


@pytest.mark.parametrize("name", ["reader", "role", "statement", "addendum"])
def test_a_text_that_cannot_be_stored_signs_nothing(store, analysis, monkeypatch, name):
    monkeypatch.undo()  # the real reports
    sha256, broken = analysis.record.sha256, "half a letter \ud83d"
    texts = {"reader": "A. Reader", "role": "", "statement": "Seen."} | {name: broken}
    editor = EDITOR._replace(reader=texts["reader"])
    if name == "addendum":
        signed(store, analysis)
    before = signatures_of(store, sha256)
    with pytest.raises(ChangeRefusedError, match=r"character \\ud83d, which cannot be stored"):
        if name == "addendum":
            add_addendum(store, sha256, broken, role="", editor=editor)
        else:
            version = get_study(store, sha256).version
            sign(
                store, sha256, analysis, version=version, role=texts["role"], statement=texts["statement"],
                editor=editor,
            )  # fmt: skip
    assert signatures_of(store, sha256) == before


def test_another_recording_at_the_same_place_is_not_signed(store, analysis):
    path = next(path for path in analysis.record.files if path.suffix == ".dat")
    content, stat = path.read_bytes(), path.stat()
    path.write_bytes(content[::-1])
    os.utime(path, ns=(stat.st_mtime_ns,) * 2)
    with pytest.raises(StoreError, match="is not the recording of the study"):
        signed(store, analysis)
    path.unlink()
    with pytest.raises(StoreError, match="cannot be read as a whole"):
        signed(store, analysis)
    assert signatures_of(store, analysis.record.sha256) == ()
    path.write_bytes(content)
    assert signed(store, analysis).version == 1


def test_a_signature_that_fails_at_the_database_leaves_no_file(store, analysis, monkeypatch):
    def fail(*_args, **_more):
        raise StoreError("the disk is full")

    monkeypatch.setattr(signing.audit, "append", fail)
    with pytest.raises(StoreError, match="full"):
        signed(store, analysis)
    assert not [path for path in store.folder.rglob("*report*") if path.is_file()]


def test_another_window_cannot_sign(store, analysis):

    hold(store, analysis.record.sha256, session="other", reader="B. Reader")
    with pytest.raises(StudyHeldError):
        signed(store, analysis)


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        ("UPDATE signature SET reader = 'Mallory'", "Missing or changed"),
        ("UPDATE signature SET statement = 'I disagree.'", "Missing or changed"),
        ("DELETE FROM signature WHERE addendum != ''", "Missing or changed"),
        ("DELETE FROM signature WHERE addendum = ''", "no signature is stored"),
        ("UPDATE edit SET undone_at = 'now'", "labels stored of this study: not what was signed"),
        ("UPDATE study SET model_sha256 = 'x'", "model stored of this study: not what was signed"),
        ("UPDATE study SET state = 'in review'", "the trail states that it is signed and locked"),
        ("UPDATE study SET rules = '{\"pause_s\": 9.0}'", "(rules) is not what the trail states"),
        ("UPDATE study SET lead = 'V5'", "(lead) is not what the trail states"),
        ("UPDATE study SET narrative = 'All normal.'", "The narrative was changed, and no entry states it."),
        ("UPDATE study SET narratives = '{}'", "An earlier narrative is missing or was changed."),
        ('UPDATE study SET patient = \'{"name": "Mallory"}\'', "The patient data were changed"),
        ("UPDATE diary SET symptom = 'none'", "The diary was changed"),
        ("UPDATE report_strip SET caption = 'artefact'", "The strips for the report were changed"),
        ("UPDATE signature SET files = '{}'", "Missing or changed"),
        ("UPDATE signature SET with_patient = 1", "Missing or changed"),
    ],
)
def test_a_change_behind_a_signature_is_noticed(store, analysis, statement, wanted):
    sha256 = analysis.record.sha256
    add_edit(store, sha256, LabelEdit((Label(1.0, "V"),)), EDITOR)
    set_narrative(store, sha256, "Pauses.", EDITOR)
    set_patient(store, sha256, Patient(name="Known Somebody"), EDITOR)
    set_diary(store, sha256, [DiaryEntry(2.0, "dizzy"), DiaryEntry(1, "syncope")], EDITOR)
    set_report_strips(store, sha256, [ReportStrip(2.0), ReportStrip(1, "pause")], EDITOR)
    signed(store, with_edits(analysis, edits_of(store, analysis.record.sha256)))
    add_addendum(store, sha256, "More.", role="", editor=EDITOR)
    assert verify(store, sha256) == ()
    assert verify_signature(store, sha256) == ()
    with store.writing() as session:
        session.execute(text(statement))
    assert wanted in " ".join((*verify(store, sha256), *verify_signature(store, sha256)))


def test_a_changed_or_missing_file_is_noticed(store, analysis):
    sha256 = analysis.record.sha256
    signed(store, analysis)
    pdf, json_file = (store.folder / "signed" / sha256 / f"v1_report.{kind}" for kind in ("pdf", "json"))
    pdf.write_bytes(b"%PDF other")
    json_file.unlink()
    changed, missing = verify_signature(store, sha256)
    assert "changed after it was signed" in changed
    assert "cannot be read" in missing


@pytest.mark.parametrize("is_signed", [True, False])
def test_a_changed_recording_is_noticed(store, analysis, is_signed):
    sha256 = analysis.record.sha256
    if is_signed:
        signed(store, analysis)
    assert verify_recording(store, sha256) == ()
    path = next(path for path in analysis.record.files if path.suffix == ".dat")
    path.write_bytes(bytes(len(path.read_bytes())))
    assert "recording was changed" in " ".join(verify_recording(store, sha256))
    path.unlink()
    assert "recording cannot be checked" in " ".join(verify_recording(store, sha256))
    delete_study(store, sha256, EDITOR)
    assert verify_recording(store, sha256) == ()


def test_words_about_the_patient_are_in_the_trail_while_there_is_the_study_and_nowhere_when_it_is_deleted(
    store, analysis
):
    sha256 = analysis.record.sha256
    for narrative in ("Mrs Known fainted.", "Mrs Known\nfainted twice.", ""):
        set_narrative(store, sha256, narrative, EDITOR)
    set_patient(store, sha256, Patient(name="Known Somebody"), EDITOR)
    set_diary(store, sha256, [DiaryEntry(2.0, "Known to faint")], EDITOR)
    set_report_strips(store, sha256, [ReportStrip(2.0, "Known to pause")], EDITOR)
    signed(store, analysis)
    add_addendum(store, sha256, "Mrs Known has a pacemaker.", role="", editor=EDITOR)
    said = [sentence_of(entry) for entry in trail(store, sha256) if entry.action == "narrative changed"]
    assert said == [
        "Changed the narrative. It reads: Mrs Known fainted.",
        "Changed the narrative. It reads: Mrs Known fainted twice.",
        "Went back to the drafted narrative.",
    ]
    assert verify(store, sha256) == ()
    before = trail(store, sha256)
    delete_study(store, sha256, EDITOR)
    after = trail(store, sha256)
    assert [(one.made_at, one.reader, one.action) for one in after[:-1]] == [
        (one.made_at, one.reader, one.action) for one in before
    ]
    assert verify(store, sha256) == ()
    with store.reading() as session:
        tables = [session.execute(select(table)).all() for table in Base.metadata.sorted_tables]
    assert "Known" not in repr(tables)
    assert "Known" not in repr(after)


def test_what_notes_said_cannot_be_tried_by_the_hashes_that_outlast_them(store, analysis):
    """The same notes in two studies leave other hashes, and so do the same addenda."""
    sha256, hashes = analysis.record.sha256, []
    for _ in range(2):
        add_study(store, analysis.record, EDITOR)
        set_shown(store, key_of(analysis), analysis, EDITOR)
        for name in ("narrative", "patient", "diary", "strips"):
            changes(store, analysis)[name]()
        delete_study(store, sha256, EDITOR)
        stated = [entry.detail for entry in trail(store, sha256)]
        hashes += [value for detail in stated for name, value in detail.items() if name.endswith("sha256")]
    notes = [value for value in hashes if value and value != model_digest(analysis.model)]
    assert len(set(notes)) == 8
    assert len(stated) == 14


def test_what_a_file_states_fills_empty_fields_alone_and_the_trail_has_no_values(tmp_path, store):
    path = write_record(tmp_path, "y", signal(1), FS_HZ, lead_names=("II",))
    with path.with_suffix(".hea").open("a") as stream:
        stream.write("#Age: 69  Sex: M\n#Medications: Digoxin\n#Patient name: Secret\n")
    record = read_record(path)
    add_study(store, record, EDITOR)
    set_patient(store, record.sha256, Patient(medication="Typed"), EDITOR)
    fill_from_file(store, record, EDITOR)
    assert notes_of(store, record.sha256).patient == Patient(name="Secret", sex="male", medication="Typed")
    last = trail(store, record.sha256)[-1]
    assert last.action == "taken from the file"
    assert last.detail.keys() == {"fields", "diary_entries", "patient_sha256"}
    assert (last.detail["fields"], last.detail["diary_entries"]) == (["name", "sex"], 0)


def test_event_marks_outside_the_recording_are_counted_in_the_trail(tmp_path, store):
    path = write_record(tmp_path, "y", signal(1), FS_HZ, lead_names=("II",))
    marks = {"symbol": ['"'] * 2, "aux_note": ["dizzy", "late"], "fs": FS_HZ}
    wfdb.wrann("y", "mrk", np.array([500, 10**6]), write_dir=str(tmp_path), **marks)
    record = read_record(path)
    add_recording(store, record, EDITOR)
    assert [entry.symptom for entry in notes_of(store, record.sha256).diary] == ["dizzy"]
    assert sentence_of(trail(store, record.sha256)[-1]).endswith(
        "Taken from the file: 1 diary entry. Left out, as outside the recording: 1 event mark."
    )


def test_a_file_that_states_nothing_leaves_no_entry(tmp_path, store):
    record = read_record(write_record(tmp_path, "y", signal(1), FS_HZ, lead_names=("II",)))
    add_study(store, record, EDITOR)
    fill_from_file(store, record, EDITOR)
    assert [entry.action for entry in trail(store, record.sha256)] == ["opened"]
