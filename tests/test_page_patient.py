"""The pages Patient and Audit trail, and the sign-off on the page Report."""

from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial

import numpy as np
import pytest
import streamlit as st
from sqlalchemy import text
from streamlit.testing.v1 import AppTest
from support.analyses import make_analysis, make_event, with_events
from support.made_files import FS_HZ, signal
from support.pages import button, controls, page, text_of, workspace_with
from support.records import write_record

from ecg_core.clock import clock_text, time_of
from ecg_core.edits import AcceptEdit, Label, LabelEdit, Stretch
from ecg_core.errors import StoreError
from ecg_core.notes import FROM_FILE, DiaryEntry, Patient
from ecg_core.records import read_record
from ecg_core.studies import signing, study_notes
from ecg_core.studies.audit import trail
from ecg_core.studies.edits import add_edit
from ecg_core.studies.signing import sign, signatures_of
from ecg_core.studies.study import SIGNED, get_study
from ecg_core.studies.study_notes import notes_of, set_diary, set_narrative, set_patient
from ecg_core.studies.wording import sentence_of
from ecg_core.text import plain_markdown
from pages._ui.narrative import OLDER
from pages._ui.sign_off import NARRATIVE_IS_OLDER, OF_ANOTHER_PROGRAM, SIGNING, VERSION
from pages._ui.view import study_key


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """A workspace with an analysed record of five minutes, whose reports are stand-ins."""
    record = read_record(write_record(tmp_path, "x", signal(1, 300 * FS_HZ), FS_HZ, lead_names=("II",)))
    record = replace(record, start=datetime(2001, 1, 1, 8))
    made = make_analysis(300.0)
    monkeypatch.setattr(signing, "WRITERS", {"pdf": lambda *_: b"%PDF made", "json": lambda *_: b"{}"})
    return workspace_with(replace(made, record=record, model=replace(made.model, sha256="f" * 64)))


def shown(workspace):
    return workspace.current


def notes(workspace):
    return notes_of(workspace.store, shown(workspace))


def diary_field(at, name):
    fields = [*at.text_input, *at.selectbox]
    return next(field for field in fields if str(field.key).startswith(f"diary {name} "))


def signed(workspace, *, with_patient=False):
    sha256 = shown(workspace)
    sign(
        workspace.store,
        sha256,
        workspace.analysis(sha256),
        version=get_study(workspace.store, sha256).version,
        role="Physician",
        statement="Seen.",
        editor=workspace.editor,
        with_patient=with_patient,
    )
    workspace.refresh()


def test_a_field_is_saved_when_it_is_left(workspace):
    at = page("patient", workspace)
    next(field for field in at.text_input if field.label == "Name").input(" Known Somebody ").run()
    next(field for field in at.selectbox if field.label == "Sex").select("female").run()
    assert not at.exception
    assert notes(workspace).patient == Patient(name="Known Somebody", sex="female")
    assert trail(workspace.store, shown(workspace))[-1].detail["fields"] == ["sex"]
    assert "left out of every export" in text_of(at)


@pytest.mark.parametrize("born", ["1880-01-01", "2999-12-31", "1950", "unknown", "1950-00-00"])
def test_a_field_that_is_left_changes_no_other_whatever_a_file_stored_there(workspace, born):
    stored = Patient(name="A" * 200, birth_date=born, sex="neutered", medication="b" * 3000)
    workspace.save(set_patient, shown(workspace), stored)
    at = page("patient", workspace)
    assert not at.exception
    held = [str(field.value) for field in (*at.date_input, *at.text_input) if field.label == "Date of birth"]
    assert held == [born]
    next(field for field in at.text_input if field.label == "Recorder").input("belt").run()
    assert notes(workspace).patient == replace(stored, recorder="belt")


def test_a_birth_date_that_is_no_date_is_replaced_by_one_alone(workspace):
    def typed(at, text):
        return next(field for field in at.text_input if field.label == "Date of birth").input(text).run()

    workspace.save(set_patient, shown(workspace), Patient(birth_date="unknown"))
    at = typed(page("patient", workspace), "soon")
    assert "expected YYYY-MM-DD" in at.error[0].value
    assert notes(workspace).patient == Patient(birth_date="unknown")
    typed(at, "1950-03-02")
    assert notes(workspace).patient == Patient(birth_date="1950-03-02")


def test_a_diary_entry_is_added_with_the_rhythm_that_was_there(workspace):
    at = page("patient", workspace)
    diary_field(at, "time").input("08:02:30")
    diary_field(at, "symptom").select("Dizziness")
    diary_field(at, "note").input("on the stairs")
    button(at, "Add").click().run()
    assert not at.exception
    assert notes(workspace).diary == (DiaryEntry(150.0, "Dizziness", "on the stairs"),)
    table = at.dataframe[0].value
    assert table["Time"].tolist() == ["08:02:30"]
    assert "heart rate 75 bpm" in " ".join(map(str, table.iloc[0]))
    assert at.dataframe[1].value["Symptom"].tolist() == ["Dizziness"]
    assert at.dataframe[1].value["Total"].tolist() == [1]


def first_entry():
    """The form of the first entry of the diary, as a script."""
    from pages._ui.diary import _draw_form
    from pages._ui.workspace import current_workspace

    workspace = current_workspace()
    record = workspace.records[workspace.current]
    _draw_form(record, workspace.notes(record.sha256).diary, 0, key="first")


def test_an_entry_whose_time_is_changed_keeps_what_a_file_stored_however_long(workspace):
    stored = DiaryEntry(60.0, "s" * 200, "n" * 900, FROM_FILE)
    workspace.save(set_diary, shown(workspace), (stored,))
    at = AppTest.from_function(first_entry)
    at.session_state["workspace"] = workspace
    diary_field(at.run(), "time").input("08:02:00")
    button(at, "Save").click().run()
    assert not at.exception
    assert notes(workspace).diary == (replace(stored, time_s=120.0),)


def test_a_second_click_on_save_in_a_busy_browser_changes_no_other_entry(workspace):
    first, second = DiaryEntry(60.0, "Syncope"), DiaryEntry(90.0, "Dizziness", "on the stairs")
    workspace.save(set_diary, shown(workspace), (first, second))
    at = AppTest.from_function(first_entry)
    at.session_state["workspace"] = workspace
    diary_field(at.run(), "time").input("08:02:00")
    button(at, "Save").set_value(True)
    sent = controls(at)
    for _ in range(2):
        at._run(sent)
    assert notes(workspace).diary == (second, replace(first, time_s=120.0))


@pytest.mark.parametrize(
    ("time", "symptom", "wanted"),
    [
        ("noon", "Dizziness", "is no time"), ("09:00", "Dizziness", "outside the recording"),
        ("08:01", None, "symptom first"),
    ],
)  # fmt: skip
def test_an_entry_that_cannot_be_is_refused_in_a_sentence(workspace, time, symptom, wanted):
    at = page("patient", workspace)
    diary_field(at, "time").input(time)
    if symptom:
        diary_field(at, "symptom").select(symptom)
    button(at, "Add").click().run()
    assert wanted in text_of(at)
    assert notes(workspace).diary == ()


def test_a_study_without_an_analysis_has_its_patient_and_diary(workspace):
    workspace.analyses.clear()
    workspace.studies[shown(workspace)].shown = None
    workspace.save(set_diary, shown(workspace), (DiaryEntry(3.0, "Syncope"),))
    at = page("patient", workspace)
    assert not at.exception
    assert "not analysed yet" in " ".join(map(str, at.dataframe[0].value.iloc[0]))


@pytest.mark.parametrize("name", ["patient", "audit"])
def test_without_a_record_the_page_offers_to_open_one(name):
    at = page(name)
    assert not at.exception
    assert "No study is open" in text_of(at)


@pytest.mark.parametrize(
    ("typed", "time_s"),
    [
        ("08:02:30", 150.0), ("08:02", 120.0), ("07:59", 86_340.0), ("day 2 08:00:01", 86_401.0), ("+0:01:02", 62.0),
        ("8:00:01.5", 1.5),
    ],
)  # fmt: skip
def test_a_time_is_read_as_it_is_written(typed, time_s):
    record = make_analysis(300.0).record
    assert time_of(record, typed) == pytest.approx(time_s)


def test_a_time_without_a_start_is_elapsed_and_a_time_that_is_shown_reads_back():
    record = make_analysis(300.0, start=None).record
    assert time_of(record, "1:02:03") == 3723.0
    for start in (None, datetime(2001, 1, 1, 22, 15, 7)):
        other = replace(record, start=start)
        for time_s in (0.0, 59.0, 3600.0, 86_399.0, 100_000.0):
            assert time_of(other, clock_text(other, time_s)) == pytest.approx(time_s)


@pytest.mark.parametrize("typed", ["", "12", "8:60", "8:00:60", "24:00", "x 8:00", "8:00 pm"])
def test_what_is_no_time_is_refused(typed):
    with pytest.raises(ValueError, match=r"^" + typed.replace(" ", r"\ ") + "$"):
        time_of(make_analysis(300.0).record, typed)


def test_the_minute_in_which_a_recording_begins_is_its_start():
    record = replace(make_analysis(300.0).record, start=datetime(2001, 1, 1, 8, 0, 30))
    assert time_of(record, "08:00") == 0.0


def test_the_trail_is_shown_filtered_and_verified(workspace):
    workspace.save(set_patient, shown(workspace), Patient(name="Secret"))
    at = page("audit", workspace)
    assert not at.exception
    assert "Verified" in text_of(at)
    said = at.dataframe[0].value["What was done"].tolist()
    assert said[0] == "Changed patient data: name."
    at.text_input(key="audit_filter").input("OPENED").run()
    assert at.dataframe[0].value["What was done"].tolist() == ["Opened the recording x for the first time."]


def test_a_changed_entry_is_red(workspace):
    with workspace.store.writing() as session:
        session.execute(text("UPDATE audit SET reader = 'Mallory'"))
    at = page("audit", workspace)
    assert "was changed after it was written" in at.error[0].value
    assert "Verified" not in text_of(at)


def confirmation(version=None):
    """The content of the dialog, as a script."""
    from pages._ui.sign_off import draw_confirmation
    from pages._ui.workspace import current_workspace

    workspace = current_workspace()
    study = workspace.study(workspace.current)
    draw_confirmation(workspace.analysis(workspace.current), version or study.version)


def test_a_report_is_signed_after_a_confirmation_of_what_is_signed_and_what_is_open(workspace):
    at = page("report", workspace)
    at.selectbox(key=study_key("sign_role 0", shown(workspace))).select("Cardiologist")
    at.button(key="sign_open").click().run()
    assert not at.exception
    assert signatures_of(workspace.store, shown(workspace)) == ()
    at = AppTest.from_function(confirmation)
    at.session_state["workspace"] = workspace
    at.session_state[study_key("sign_role 0", shown(workspace))] = "Cardiologist"
    at.run()
    assert "Record x, lead II" in text_of(at)
    at.button(key="sign_now").click().run()
    assert not at.exception
    (stored,) = signatures_of(workspace.store, shown(workspace))
    assert (stored.signature.role, stored.signature.reader) == ("Cardiologist", workspace.editor.reader)
    assert workspace.is_signed(shown(workspace))
    assert "**Version 1** signed by" in text_of(page("report", workspace))


def test_signing_says_what_it_does_while_it_lasts_and_a_second_click_is_no_error(workspace, monkeypatch):
    shown_now, while_written = [], []

    @contextmanager
    def spinner(text):
        shown_now.append(text)
        yield
        shown_now.remove(text)

    def write(*_):
        while_written.extend(shown_now)
        return b"{}"

    monkeypatch.setattr(st, "spinner", spinner)
    monkeypatch.setattr(signing, "WRITERS", {"json": write})
    at = AppTest.from_function(confirmation)
    at.session_state["workspace"] = workspace
    at.run().button(key="sign_now").click().run()
    assert while_written == [SIGNING]
    at.button(key="sign_now").click().run()
    assert not at.exception
    assert not at.error
    assert len(signatures_of(workspace.store, shown(workspace))) == 1


def test_what_another_window_wrote_after_the_page_was_drawn_is_not_signed(workspace):
    sha256 = shown(workspace)
    at = page("report", workspace)
    set_narrative(workspace.store, sha256, "Not what was read.", workspace.editor)
    at.button(key="sign_open").click().run()  # which draws the page again, and the dialog above it
    assert not at.exception
    dialog = AppTest.from_function(confirmation, kwargs={"version": at.session_state[VERSION]})
    dialog.session_state["workspace"] = workspace
    dialog.run().button(key="sign_now").click().run()
    assert "since it was shown here" in dialog.error[0].value
    assert signatures_of(workspace.store, sha256) == ()


def test_a_danger_and_queried_beats_that_are_open_are_said_before_signing(workspace):
    sha256 = shown(workspace)
    analysis = with_events(workspace.analysis(sha256), make_event("vt_sustained", 10.0, 50.0))
    workspace.show(workspace.shown[sha256], replace(analysis, queried=np.arange(3)))
    at = AppTest.from_function(confirmation)
    at.session_state["workspace"] = workspace
    said = text_of(at.run())
    assert "3 queried beats not labelled" in said
    assert "have you seen each" in said


@pytest.mark.parametrize(
    ("unusable", "said"), [(range(6), "No signal is analysable"), (range(3), "50.0 % not analysable"), ((), "")]
)
def test_that_much_or_all_of_a_recording_is_not_analysable_is_said_before_signing(unusable, said):
    workspace = workspace_with(make_analysis(60.0, unusable=unusable))
    at = AppTest.from_function(confirmation)
    at.session_state["workspace"] = workspace
    warnings = " ".join(one.value for one in at.run().warning)
    assert ("not analysable" in warnings or "is analysable" in warnings) == bool(said)
    assert said in warnings


def test_a_narrative_older_than_the_figures_is_said_before_signing(workspace):
    def said():
        at = AppTest.from_function(confirmation)
        at.session_state["workspace"] = workspace
        return plain_markdown(NARRATIVE_IS_OLDER) in text_of(at.run())

    sha256 = shown(workspace)
    assert not said()
    workspace.save(set_narrative, sha256, "No VT.")
    assert not said()
    workspace.save(set_patient, sha256, Patient(name="Known Somebody"))
    assert not said()
    workspace.save(add_edit, sha256, LabelEdit((Label(1.0, "V"),)))
    assert said()
    workspace.save(set_narrative, sha256, "A run of V.")
    assert not said()
    workspace.undo_edit(sha256)
    assert said()
    at = page("report", workspace)
    assert OLDER in text_of(at)
    button(at, "It still holds").click().run()
    assert not said()
    assert OLDER not in text_of(at)
    assert workspace.notes(sha256).narrative == "A run of V."
    assert sentence_of(trail(workspace.store, sha256)[-1]).startswith("Confirmed the narrative")


def test_what_leaves_the_figures_as_they_are_makes_no_narrative_older(workspace):
    sha256, label, another = shown(workspace), LabelEdit((Label(1.0, "V"),)), LabelEdit((Label(2.0, "S"),))
    workspace.add_edit(sha256, label)
    workspace.save(set_narrative, sha256, "A run of V.")
    accepted = AcceptEdit((Stretch(1.0, 2.0),), "vt_sustained")
    steps = (
        (partial(workspace.add_edit, edit=another), True),
        (workspace.undo_edit, False),
        (workspace.undo_edit, True),
        (workspace.redo_edit, False),
        (partial(workspace.add_edit, edit=accepted), False),
        (workspace.undo_edit, False),
        (workspace.redo_edit, False),
    )
    for change, is_older in steps:
        change(sha256)
        assert workspace.notes(sha256).is_narrative_older == is_older


def test_another_version_of_the_program_makes_a_narrative_older(workspace, monkeypatch):
    sha256 = shown(workspace)
    workspace.save(set_narrative, sha256, "No VT.")
    monkeypatch.setattr(study_notes, "code_version", lambda: "0.0+another")
    assert notes_of(workspace.store, sha256).is_narrative_older
    workspace.save(set_narrative, sha256, "")
    assert not notes_of(workspace.store, sha256).is_narrative_older


def test_a_narrative_of_an_earlier_version_may_be_older(workspace, monkeypatch):
    """Its entry does not state over which figures it was written."""
    sha256 = shown(workspace)
    monkeypatch.setattr(study_notes, "FIGURES", "another_name")
    workspace.save(set_narrative, sha256, "No VT.")
    assert not workspace.notes(sha256).is_narrative_older
    monkeypatch.undo()
    assert notes_of(workspace.store, sha256).is_narrative_older


def test_a_narrative_is_older_before_a_change_is_saved_that_the_store_cannot_take_now(workspace, monkeypatch):
    def refuse(*_arguments):
        raise StoreError("The store is busy.")

    sha256 = shown(workspace)
    workspace.save(set_narrative, sha256, "No VT.")
    with monkeypatch.context() as locked:
        locked.setattr("pages._ui.workspace.add_edit", refuse)
        workspace.add_edit(sha256, LabelEdit((Label(1.0, "V"),)))
        assert len(workspace.unsaved) == 1
        assert workspace.notes(sha256).is_narrative_older
        workspace.save(set_narrative, sha256, "A V.")
        assert not workspace.notes(sha256).is_narrative_older


def test_a_signed_study_is_locked_on_every_page_until_a_new_version_is_begun(workspace):
    signed(workspace)
    at = page("patient", workspace)
    assert all(field.disabled for field in at.text_input if field.label in ("Name", "Recorder"))
    assert button(at, "Add").disabled
    at = page("report", workspace)
    assert "the study is locked" in text_of(at)
    assert "Nothing changed since version 1" in text_of(at)
    button(at, "Begin a new version").click().run()
    assert not at.exception
    assert workspace.study(shown(workspace)).state != SIGNED
    assert not any(field.disabled for field in page("patient", workspace).text_input if field.label == "Name")


def test_a_signed_study_that_another_version_analysed_again_says_so(workspace, monkeypatch):
    signed(workspace)
    assert OF_ANOTHER_PROGRAM not in text_of(page("report", workspace))
    monkeypatch.setattr(study_notes, "code_version", lambda: "another")
    workspace.studies[shown(workspace)].notes = notes(workspace)
    at = page("report", workspace)
    assert not at.exception
    assert OF_ANOTHER_PROGRAM in text_of(at)


def test_an_addendum_is_written_to_a_signed_report(workspace):
    signed(workspace)
    at = page("report", workspace)
    at.text_area(key=study_key("addendum 1", shown(workspace))).input("The pause was artefact.\nSo was *that*.")
    at.button(key="addendum_sign").click().run()
    assert not at.exception
    assert "The pause was artefact.  \nSo was \\*that\\*." in text_of(at)
    assert [one.signature.addendum for one in signatures_of(workspace.store, shown(workspace))][1:] == [
        "The pause was artefact.\nSo was *that*."
    ]


def test_a_signed_file_that_was_changed_is_not_offered(workspace):
    signed(workspace)
    (path,) = workspace.store.folder.rglob("v1_report.pdf")
    path.write_bytes(b"other")
    at = page("report", workspace)
    assert not at.exception
    assert "changed after it was signed" in at.error[0].value


@pytest.fixture
def offered(monkeypatch):
    """What the pages offer as files: what makes each, by its name."""
    files = {}
    monkeypatch.setattr(st, "download_button", lambda _label, data, name, **_: files.update({name: data}))
    return files


@pytest.mark.parametrize(
    ("name", "file"),
    [("report", "x_v1_report.pdf"), ("report", "x_v1_report.json"), ("report", "x_burden.csv"),
     ("review", "x_labels.csv"), ("audit", "x_audit.csv")],
)  # fmt: skip
@pytest.mark.parametrize("with_patient", [True, False])
def test_a_file_of_a_study_that_is_handed_out_is_noted(workspace, offered, name, file, with_patient):
    workspace.save(set_patient, shown(workspace), Patient(name="Known Somebody"))
    signed(workspace, with_patient=with_patient)
    assert not page(name, workspace).exception
    n_before = len(trail(workspace.store, shown(workspace)))
    content = offered[file]()
    (entry,) = trail(workspace.store, shown(workspace))[n_before:]
    assert content
    assert (entry.action, entry.reader, entry.detail["files"]) == ("files exported", workspace.editor.reader, [file])
    assert entry.detail["with_patient"] == (with_patient and "v1" in file)
