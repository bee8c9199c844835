"""What is typed, ticked and chosen for one study stays with it when another is picked in the sidebar."""

from dataclasses import replace

import pytest
from support.analyses import make_analysis, make_event, with_events
from support.made_files import FS_HZ, signal
from support.pages import app_test, button, page, workspace_with
from support.records import write_record

from ecg_core.errors import RecordMovedError
from ecg_core.notes import Patient
from ecg_core.records import read_record
from ecg_core.studies import signing
from ecg_core.studies.signing import sign
from ecg_core.studies.study import find_one, find_studies
from ecg_core.studies.study_notes import set_patient
from pages._ui.sign_off import STATEMENT
from pages._ui.view import study_key
from pages._ui.worklist import table_key

RECORD_S = 300


@pytest.fixture
def analyses(tmp_path, monkeypatch):
    """Analyses of two records of five minutes with the same leads, whose reports are stand-ins."""
    monkeypatch.setattr(signing, "WRITERS", {"pdf": lambda *_: b"%PDF made", "json": lambda *_: b"{}"})
    made = make_analysis(float(RECORD_S))
    made = with_events(made, make_event("pause", 10.0, 13.0), make_event("svt", 100.0, 140.0, n_beats=90))
    made = replace(made, model=replace(made.model, sha256="f" * 64))
    records = [
        read_record(write_record(tmp_path, name, signal(2, RECORD_S * FS_HZ), FS_HZ, lead_names=("II", "V1")))
        for name in ("one", "two")
    ]
    return [replace(made, record=record) for record in records]


@pytest.fixture
def workspace(analyses):
    """A window with both studies open, the first one shown."""
    one, two = analyses
    return workspace_with(one, workspace_with(two))


@pytest.fixture
def one(analyses):
    return analyses[0].record.sha256


@pytest.fixture
def two(analyses):
    return analyses[1].record.sha256


def pick(at, sha256):
    """Pick a study in the sidebar."""
    at.selectbox(key="picked").set_value(sha256).run()
    assert not at.exception
    return at


def labelled(items, label):
    return next(item for item in items if item.label == label)


def signed(workspace, sha256):
    analysis = workspace.analysis(sha256)
    sign(
        workspace.store, sha256, analysis, version=workspace.study(sha256).version, role="Physician",
        statement="Seen.", editor=workspace.editor,
    )  # fmt: skip
    workspace.open_study(sha256)
    workspace.refresh()


def test_what_is_typed_to_sign_one_study_is_not_signed_with_another(workspace, two):
    at = page("report", workspace)
    labelled(at.text_input, "Reader").set_value("Somebody Else")
    labelled(at.selectbox, "Role").set_value("Nurse")
    labelled(at.text_area, "Statement").set_value("Only the first hour is of use.")
    labelled(at.checkbox, "Name the patient in the signed report").check().run()
    assert labelled(at.text_area, "Statement").value == "Only the first hour is of use."
    pick(at, two)
    assert labelled(at.text_input, "Reader").value == workspace.editor.reader
    assert labelled(at.selectbox, "Role").value is None
    assert labelled(at.text_area, "Statement").value == STATEMENT
    assert not labelled(at.checkbox, "Name the patient in the signed report").value


def test_a_new_version_begins_with_an_empty_form(workspace, one):
    at = page("report", workspace)
    labelled(at.selectbox, "Role").set_value("Nurse")
    labelled(at.checkbox, "Name the patient in the signed report").check().run()
    signed(workspace, one)
    button(at.run(), "Begin a new version").click().run()
    assert labelled(at.selectbox, "Role").value is None
    assert not labelled(at.checkbox, "Name the patient in the signed report").value


def test_an_addendum_typed_to_one_study_is_not_signed_into_another(workspace, one, two):
    signed(workspace, two)
    signed(workspace, one)
    at = page("report", workspace)
    labelled(at.text_area, "Addendum").set_value("The pause was artefact.")
    labelled(at.selectbox, "Role").set_value("Nurse").run()
    assert labelled(at.text_area, "Addendum").value == "The pause was artefact."
    pick(at, two)
    assert not labelled(at.text_area, "Addendum").value
    assert labelled(at.selectbox, "Role").value is None


def test_patient_data_are_asked_for_in_each_study(workspace, one, two):
    for sha256 in (one, two):
        workspace.save(set_patient, sha256, Patient(name="Known Somebody"))
    at = page("report", workspace)
    labelled(at.checkbox, "With patient data").check().run()
    assert labelled(at.checkbox, "With patient data").value
    assert not labelled(pick(at, two).checkbox, "With patient data").value


def test_the_export_of_each_study_is_asked_for_its_patient_data(workspace):
    at = page("studies", workspace)
    listed = find_studies(workspace.store)

    def select(row):
        at.session_state[table_key(listed)] = {"selection": {"rows": [row], "columns": [], "cells": []}}
        return labelled(at.run().checkbox, "With patient data")

    select(0).check().run()
    assert select(0).value
    assert not select(1).value


def test_the_place_typed_for_one_moved_recording_is_not_that_of_the_next(workspace, one, two):
    for sha256 in (one, two):
        workspace.moved[sha256] = RecordMovedError(f"the recording of {sha256} is no longer there", place="")
    at = page("studies", workspace)
    labelled(at.text_input, "Where is it now?").set_value("/data/holter/one")
    button(at, "Open from there").click().run()
    assert at.error  # it is not there either
    assert labelled(at.text_input, "Where is it now?").value == "/data/holter/one"
    button(at, "Leave it").click().run()
    assert not labelled(at.text_input, "Where is it now?").value


def test_the_caption_of_a_strip_stays_with_its_study(workspace, one, two):
    label = "Caption of the strip in the report"
    at = page("review", workspace)
    labelled(at.text_input, label).set_value("A run of V").run()
    assert not labelled(pick(at, two).text_input, label).value
    assert labelled(pick(at, one).text_input, label).value == "A run of V"


VIEWS = (
    {"lead": "II", "leads": 1, "sec": 10, "speed": 25, "gain": 10},
    {"lead": "V1", "leads": 2, "sec": 30, "speed": 50, "gain": 20},
)


def layout(at):
    """How Review draws the strip, by the keys of its controls."""
    return {"lead": at.selectbox(key="lead").value} | {
        name: at.button_group(key=name).value for name in ("leads", "sec", "speed", "gain")
    }


def kept_view(workspace, sha256):
    view = find_one(workspace.store, sha256).view
    return {name: view[name] for name in VIEWS[0]}


def test_each_study_is_drawn_and_kept_as_it_was_left(workspace, one, two):
    for sha256, view in zip((one, two), VIEWS, strict=True):
        workspace.remember(sha256, **view)
    at = page("review", workspace)
    assert layout(at) == VIEWS[0]
    for sha256, view in ((two, VIEWS[1]), (one, VIEWS[0]), (two, VIEWS[1])):
        assert layout(pick(at, sha256)) == view
        assert layout(at.run()) == view
    assert (kept_view(workspace, one), kept_view(workspace, two)) == VIEWS


def test_a_study_seen_for_the_first_time_is_drawn_as_any_other(workspace, one, two):
    at = page("review", workspace)
    first = layout(at)
    at.selectbox(key="lead").set_value("V1").run()
    at.button_group(key="sec").set_value(30).run()
    assert layout(pick(at, two)) == first
    assert layout(pick(at, one)) == {**first, "lead": "V1", "sec": 30}
    assert kept_view(workspace, two) == first


def test_a_link_decides_how_its_own_study_is_drawn_and_no_other(workspace, two):
    workspace.remember(two, **VIEWS[1])
    at = page("review", workspace, lead="V1", sec="6", gain="5")
    assert layout(at) == {**VIEWS[0], "lead": "V1", "sec": 6, "gain": 5}
    assert layout(pick(at, two)) == VIEWS[1]


def test_a_study_picked_on_another_page_is_drawn_as_it_was_left(workspace, two):
    workspace.remember(two, **VIEWS[1])
    at = app_test("dashboard.py")
    at.session_state["workspace"] = workspace
    at.run().switch_page("pages/review.py").run()
    at.button_group(key="gain").set_value(5).run()
    at.switch_page("pages/overview.py").run()
    pick(at, two).switch_page("pages/review.py").run()
    assert layout(at) == VIEWS[1]


def test_findings_of_the_next_study_are_all_listed(workspace, one, two):
    at = page("review", workspace)
    n_listed = len(at.dataframe[0].value)
    at.button_group(key=study_key("kinds", one)).set_value(["pause"]).run()
    assert len(at.dataframe[0].value) < n_listed
    assert len(pick(at, two).dataframe[0].value) == n_listed


def test_leads_chosen_to_analyse_one_study_are_not_those_of_another(workspace, two):
    at = page("studies", workspace)
    labelled(at.selectbox, "Leads to analyse").set_value("V1").run()
    assert labelled(at.selectbox, "Leads to analyse").value == "V1"
    assert labelled(pick(at, two).selectbox, "Leads to analyse").value == "auto"


def test_the_table_of_rules_is_another_one_in_each_study(workspace, two):
    def keys(at):
        return {frame.proto.id for frame in at.dataframe if "rules " in frame.proto.id}

    at = page("report", workspace)
    first = keys(at)
    assert len(first) == 1
    assert len(keys(pick(at, two)) - first) == 1
