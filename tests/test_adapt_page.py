"""The page Adapt: what an adaptation has come to, its proof, and how a new one is begun."""

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
import streamlit as st
from support import adaptations as made
from support.kept_models import RECORDER, adapted_files
from support.pages import button, page, text_of, workspace_on

from ecg_core.adaptation import source, task
from ecg_core.adaptation.material import Labels, Origin
from ecg_core.adaptation.split import Side
from ecg_core.adaptation.task import CANCELLED, DONE, FAILED, INTERRUPTED, RUNNING, State, find_all
from ecg_core.classifier.installed import installed_models
from ecg_core.classifier.kept import keep
from ecg_core.errors import AdaptationError, DownloadError
from ecg_core.figures import marked_strip_figure
from ecg_core.records import physionet, read_record, read_strip
from pages._ui import adaptation_proof, adaptations, adapting, fetching, new_adaptation, waiting
from pages._ui.adapting import PATIENT, SIDE, Draft

pytestmark = pytest.mark.usefixtures("own_models", "folder")
FEW_LABELS = "expected two or more, as nothing is kept without a proof"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where adaptations are kept; every other thing that adaptation needs is there."""
    monkeypatch.setenv("ECG_ADAPTATIONS", str(tmp_path / "adaptations"))
    monkeypatch.setattr(source, "find_source", lambda: tmp_path)
    fetching.source_download.clear()
    return tmp_path / "adaptations"


@pytest.fixture
def workspace(tmp_path):
    """A window on a store that is kept."""
    return workspace_on(tmp_path / "studies")


@pytest.fixture
def started(monkeypatch):
    """Names of the adaptations that a process was started for."""
    names = []
    for module in (adaptations, new_adaptation):
        monkeypatch.setattr(module, "start_process", lambda adaptation: names.append(adaptation.task.name))
    return names


@pytest.fixture
def _no_waiting(monkeypatch):
    monkeypatch.setattr(waiting, "await_changes", lambda waits: None)


def shown(workspace):
    at = page("adapt", workspace)
    assert not at.exception
    return at


def read(at):
    """What a reader sees, without the escapes of Markdown."""
    return text_of(at).replace("\\", "")


def labels(at):
    return [item.label for item in at.button]


def draft_of(*, n_patients=6, **values):
    survey = made.made_survey(n_patients)
    patients = dict.fromkeys(one.patient for one in survey.recordings)
    sides = {patient: Side.HOLD_OUT if patient == "p2" else Side.LEARN for patient in patients}
    return replace(Draft(survey, sides, "adapted-r"), **values)


def with_draft(workspace, draft):
    """The page with recordings that were looked at."""
    at = page("adapt", workspace)
    at.session_state[new_adaptation.DRAFT] = draft
    at.session_state[new_adaptation.TABLE_NUMBER] = 1
    at.session_state[new_adaptation.NAME_KEY] = draft.name
    at.session_state[new_adaptation.LABELS_KEY] = adapting.likeliest_labels(draft)
    at.run()
    assert not at.exception
    return at


def begin_button(at):
    return next(item for item in at.button if item.key == "begin_adaptation")


# -- adaptations that are there ----------------------------------------------------------------------------------------


def test_without_an_adaptation_the_page_explains_its_three_steps(workspace):
    text = read(shown(workspace))
    assert new_adaptation.WELCOME in text
    assert "Adapt to a recorder" in text


def test_a_dashboard_that_keeps_nothing_adapts_no_model():
    at = page("adapt")
    assert "This dashboard keeps nothing, so no model can be adapted here" in read(at)
    assert "Look at the recordings" not in labels(at)


@pytest.mark.usefixtures("_no_waiting")
def test_one_that_runs_shows_how_far_it_is_and_stops_when_it_is_cancelled(workspace):
    adaptation = made.put_adaptation(RUNNING)
    at = shown(workspace)
    assert (
        adaptations.progress_text(adaptation.state).replace("\\", "")
        == "34 %: Fit: step 80 of 600, loss 0.412; 6 min 40 s left"
    )
    assert "learns all labels of 1 patient, 1 patient held out" in read(at)
    assert "Discard it" not in labels(at)
    button(at, "Cancel").click().run()
    assert adaptation.is_asked_to_stop
    assert button(at, "Cancel").disabled


def test_the_page_is_drawn_again_when_one_ends(workspace):
    adaptation = made.put_adaptation(RUNNING)

    def end():
        time.sleep(2)
        adaptation.note(made.STATES[FAILED])

    thread = threading.Thread(target=end)
    thread.start()
    at = shown(workspace)
    thread.join()
    assert "p2: the file was changed since the recordings were chosen" in read(at)


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (made.STATES[CANCELLED], "The adaptation was cancelled. It can be resumed where it was. 20 % are done."),
        (made.STATES[FAILED], "p2: the file was changed since the recordings were chosen. 2 % are done."),
        (State(RUNNING, "Fit", 0.5, process=2**22 + 1), "its process ended before it was done"),
        (None, "It has not begun."),
    ],
)
def test_one_that_stopped_says_why_and_is_resumed_or_discarded(workspace, started, state, why):
    made.put_adaptation(state)
    at = shown(workspace)
    assert why in read(at)
    button(at, "Resume" if state else "Begin").click().run()
    assert started == ["mine"]
    button(at, "Discard it").click().run()
    assert find_all() == []
    assert new_adaptation.WELCOME in read(at)


@pytest.mark.parametrize("outcome", made.VERDICTS)
def test_the_verdict_decides_what_can_be_done(workspace, outcome):
    made.put_done(outcome)
    at = shown(workspace)
    box = {"better": at.success, "no better": at.info, "worse": at.error, "not shown": at.warning}[outcome]
    assert any(made.VERDICTS[outcome].split(":")[0] in element.value for element in box)
    offered = {"better": "Keep", "no better": "Keep all the same"}.get(outcome)
    assert [label for label in labels(at) if label.startswith("Keep")] == [offered] * bool(offered)
    assert "Discard it" in labels(at)


@pytest.mark.parametrize(("outcome", "label"), [("better", "Keep"), ("no better", "Keep all the same")])
def test_a_kept_model_is_installed_and_the_page_says_where_it_is(workspace, outcome, label):
    made.put_done(outcome)
    at = shown(workspace)
    button(at, label).click().run()
    assert [model.name for model in installed_models() if model.is_kept] == ["mine"]
    assert "Kept as **mine**: choose it on the page **Studies**" in read(at)
    assert label not in labels(at)
    assert "Your models" in labels(at)
    button(at, "Discard it").click().run()
    assert [model.name for model in installed_models() if model.is_kept] == ["mine"]


@pytest.mark.parametrize("recorder", [RECORDER, ""])
def test_a_default_for_a_recorder_is_offered_only_where_one_is_stated(workspace, recorder):
    made.put_done(recorder=recorder)
    at = shown(workspace)
    button(at, "Keep").click().run()
    assert "Kept as **mine**" in read(at)
    assert ("make it the default for its recorder" in read(at)) == bool(recorder)


def test_a_name_that_was_taken_in_the_meantime_is_said_when_the_model_is_kept(workspace):
    made.put_done()
    keep(adapted_files(seed=1), "mine")
    at = shown(workspace)
    button(at, "Keep").click().run()
    assert any("mine" in element.value for element in at.warning)
    assert len([model for model in installed_models() if model.is_kept]) == 1


def test_a_proof_that_is_lost_leaves_only_the_way_to_discard(workspace):
    made.put_adaptation(State(DONE, "Done", 1.0))
    at = shown(workspace)
    assert adaptations.NO_PROOF in read(at)
    assert "Keep" not in labels(at)


def test_a_folder_whose_task_is_damaged_does_not_hide_the_others(workspace, folder):
    made.put_done()
    (folder / "other").mkdir()
    (folder / "other" / task.TASK).write_text("{")
    assert made.VERDICTS["better"].split(":")[0] in read(shown(workspace))


# -- the proof ---------------------------------------------------------------------------------------------------------


def test_the_figures_are_in_per_cent_with_their_change_and_its_interval():
    table = adaptation_proof.figures_table(made.made_proof("better"), "held-out patients").set_index("")
    assert table.loc["V F1, %"].tolist() == ["80.00", "88.00", "+8.00", "+6.00 to +11.00"]
    assert table.loc["False V an hour"].tolist() == ["3.2", "1.2", "-2.0", ""]
    assert not [name for name in table.index if name.startswith("AF")]


def test_too_few_patients_have_no_interval():
    table = adaptation_proof.figures_table(made.made_proof("better", n_patients=3), "source")
    assert adaptation_proof.TOO_FEW in table["95 % interval"].tolist()


def test_the_burdens_of_each_patient_stand_beside_the_reference_with_their_errors():
    row = adaptation_proof.patients_table(made.made_proof(), "sve").iloc[0]
    assert row.tolist() == ["p0", 2.0, 9.0, 2.5, 7.0, 0.5]


def test_the_proof_says_how_it_was_made():
    one, several = (adaptation_proof.how_it_was_made(made.made_proof(fits=n)) for n in (1, 4))
    assert one.startswith("One fit to 10 patients (5 h), steps 600, seed 0, from the model general")
    assert "4 fits, each without the patients that it was measured on, left out in turn" in several


def test_changed_beats_are_stepped_through_with_their_strips(workspace, tmp_path, excerpt):
    made.write_labelled(tmp_path / "r", ["a", "b"], excerpt)
    recordings = [made.surveyed(tmp_path / "r" / name) for name in "ab"]
    made.put_done(recordings=recordings)
    at = shown(workspace)
    assert "reference **V (ventricular ectopic)**, before **N (normal)**, after **V" in read(at)
    assert "**1 of 2**" in read(at)
    button(at, "Next").click().run()
    assert "before **missed**" in read(at)
    assert button(at, "Next").disabled
    assert len(at.get("plotly_chart")) == 1


def test_the_page_says_of_how_many_changed_beats_some_are_shown():
    proof = made.made_proof(number_of_changed_beats={"for the better": 1034, "for the worse": 25})
    assert list(adaptation_proof.changed_groups(proof)) == ["For the better (2 of 1,034)", "For the worse (1 of 25)"]
    assert list(adaptation_proof.changed_groups(made.made_proof())) == ["For the better (2)", "For the worse (1)"]


def test_a_strip_whose_file_is_gone_says_so(workspace):
    made.put_done()
    assert "r1: its file is no longer at /gone/r1, so no strip can be drawn." in read(shown(workspace))


def test_the_marked_beat_stands_on_its_strip_with_the_annotations_of_the_record(tmp_path, excerpt):
    made.write_labelled(tmp_path / "r", ["a"], excerpt)
    record = read_record(tmp_path / "r" / "a")
    lead = read_strip(record, "I", start_s=6.0, length_s=10.0)
    figure = marked_strip_figure(record, (lead,), length_s=10.0, at_s=11.0, text="N to V")
    mark, reference = (next(trace for trace in figure.data if trace.name == name) for name in ("mark", "reference"))
    assert (list(mark.x), list(mark.text)) == ([11.0], ["<b>N to V</b>"])
    assert list(reference.text).count("V") == 1
    assert any(shape.x0 < 11.0 < shape.x1 for shape in figure.layout.shapes if shape.type == "rect")


# -- the recordings and their sides ------------------------------------------------------------------------------------


def test_a_side_holds_for_all_recordings_of_a_patient():
    draft = adapting.edited(draft_of(), {0: {SIDE: "hold out"}})
    table = adapting.table_of(draft).set_index("Recording")
    assert table.loc[["r1", "r1b"], SIDE].tolist() == ["hold out"] * 2
    assert table.loc["r3", SIDE] == "learn from"


def test_a_recording_that_is_given_to_another_patient_takes_the_side_of_this_one():
    draft = adapting.edited(draft_of(), {0: {PATIENT: "p2"}})
    assert adapting.table_of(draft)[SIDE].tolist()[:3] == ["hold out", "learn from", "hold out"]


def test_a_new_patient_keeps_the_side_of_the_row_and_one_without_recordings_is_forgotten():
    draft = adapting.edited(draft_of(), {2: {PATIENT: " Eva "}})
    assert draft.sides["Eva"] == Side.HOLD_OUT
    assert "p2" not in draft.sides


def test_names_that_differ_in_case_and_spaces_are_one_patient_with_one_side_spelt_as_typed_last():
    draft = adapting.edited(draft_of(), {0: {PATIENT: "P2 "}})
    assert adapting.table_of(draft)[PATIENT].tolist()[:3] == ["P2", "p1", "P2"]
    assert draft.sides == dict.fromkeys(["p1", "p3", "p4", "p5", "p6"], Side.LEARN) | {"P2": Side.HOLD_OUT}


def test_an_empty_name_of_a_patient_changes_nothing():
    draft = draft_of()
    assert adapting.edited(draft, {0: {PATIENT: "  "}}) == draft


def test_however_the_table_is_edited_a_patient_is_on_one_side():
    edits = [{0: {PATIENT: "p3", SIDE: "leave out"}, 3: {SIDE: "hold out"}}, {1: {PATIENT: "p3"}}, {4: {PATIENT: "p1"}}]
    draft = draft_of()
    for rows in edits:
        draft = adapting.edited(draft, rows)
        table = adapting.table_of(draft)
        assert (table.groupby(PATIENT)[SIDE].nunique() == 1).all()
        assert set(draft.sides) == set(table[PATIENT])


def test_an_edit_of_the_table_is_shown_in_a_new_table(workspace, monkeypatch):
    at = with_draft(workspace, draft_of())
    state = {new_adaptation.DRAFT: draft_of(), new_adaptation.TABLE_NUMBER: 1}
    state["adaptation_table 1"] = {"edited_rows": {0: {SIDE: "leave out"}}}
    monkeypatch.setattr(st, "session_state", state)
    new_adaptation._edit("adaptation_table 1")
    assert state[new_adaptation.DRAFT].sides["p1"] == Side.LEAVE_OUT
    assert state[new_adaptation.TABLE_NUMBER] == 2
    assert "5 patients to learn from, 1 held out, 0 left out" in read(at)


def test_sides_are_proposed_again_for_patients_that_were_renamed(workspace):
    at = with_draft(workspace, draft_of(sides=dict.fromkeys((f"p{i}" for i in range(1, 7)), Side.LEAVE_OUT)))
    assert "There are no patients to learn from" in read(at)
    button(at, "Propose the sides again").click().run()
    assert "4 patients to learn from, 2 held out, 0 left out" in read(at)


# -- what is learned, and the beginning --------------------------------------------------------------------------------


def test_an_adaptation_begins_with_what_was_chosen(workspace, started):
    at = with_draft(workspace, draft_of())
    assert "One fit to 5 patients (3 h 0 min), measured on 1 patient that it does not learn from." in read(at)
    at.radio[0].set_value(Labels.NONE).run()
    next(item for item in at.number_input if item.label == "Steps of each fit").set_value(3).run()
    begin_button(at).click().run()
    assert started == ["adapted-r"]
    begun = find_all()[0].task
    assert (begun.labels, begun.steps, begun.sides["p2"]) == (Labels.NONE, 3, Side.HOLD_OUT)
    assert new_adaptation.DRAFT not in at.session_state


def test_of_days_the_page_counts_and_states_the_hours_that_are_learned(workspace):
    short = draft_of()
    days = tuple(replace(one, duration_s=86400.0) for one in short.recordings)
    draft = replace(short, survey=replace(short.survey, recordings=days))
    assert "One fit to 5 patients (12 h 0 min), measured on 1 patient" in read(with_draft(workspace, draft))
    assert all(adapting.OF_LONG_ONES in hint for hint in adapting.at_hand(draft).values())
    assert not any(adapting.OF_LONG_ONES in hint for hint in adapting.at_hand(short).values())


def test_few_patients_are_left_out_in_turn_and_the_page_says_so(workspace):
    draft = draft_of(n_patients=3, sides=dict.fromkeys(("p1", "p2", "p3"), Side.LEARN))
    at = with_draft(workspace, draft)
    assert "Nobody is held out: patients are left out in turn, in 3 fits" in read(at)
    assert not begin_button(at).disabled


def unlabelled(draft, origin=Origin.NONE):
    recordings = [replace(one, origin=origin, n_labels=(0,) * 5) for one in draft.recordings]
    return replace(draft, survey=replace(draft.survey, recordings=tuple(recordings)))


@pytest.mark.parametrize(
    ("draft", "chosen", "why"),
    [
        (draft_of(n_patients=1, sides={"p1": Side.LEARN}), Labels.ALL, FEW_LABELS),
        (unlabelled(draft_of()), Labels.NONE, FEW_LABELS),
        (unlabelled(draft_of()), Labels.ALL, "There are no labelled patients to learn from"),
        (draft_of(name="general"), Labels.ALL, "a model of this name is installed already"),
        (draft_of(name="Mine"), Labels.ALL, "an adaptation of this name is there already"),
        (draft_of(name="our recorder"), Labels.ALL, "expected a name of 1 to 40 letters"),
        (draft_of(name=""), Labels.ALL, "expected a name of 1 to 40 letters"),
    ],
)
def test_what_cannot_begin_says_why_beside_the_button(workspace, draft, chosen, why):
    made.put_done()
    at = with_draft(workspace, draft)
    at.radio[0].set_value(chosen).run()
    assert why in read(at)
    assert begin_button(at).disabled


def test_a_patient_that_the_chosen_model_knows_cannot_be_held_out_and_another_one_is_proposed(workspace, monkeypatch):
    spec = installed_models()[0].spec
    draft = draft_of()
    survey = replace(draft.survey, recordings=tuple(replace(one, content_sha256=one.name) for one in draft.recordings))
    knows = replace(installed_models()[0], spec=replace(spec, learned_sha256=("r2",)))
    monkeypatch.setattr(new_adaptation.installed, "installed_models", lambda: [knows])
    at = with_draft(workspace, replace(draft, survey=survey))
    assert "1 of 6 patients was used before (p2, learned by general)" in read(at)
    assert "1 patient cannot be held out" in read(at)
    assert begin_button(at).disabled
    button(at, "Propose the sides again").click().run()
    assert at.session_state[new_adaptation.DRAFT].sides["p2"] == Side.LEARN
    assert not begin_button(at).disabled


def test_a_few_labels_need_a_labelled_beat_on_the_learning_side():
    draft = draft_of()
    recordings = [
        one if one.patient == "p2" else replace(one, n_labels=(0,) * 5, origin=Origin.NONE) for one in draft.recordings
    ]
    draft = replace(draft, survey=replace(draft.survey, recordings=tuple(recordings)))
    assert "There are no labelled patients to learn from" in adapting.plan_of(draft, Labels.SOME).problem
    assert adapting.plan_of(draft, Labels.NONE).folds


def test_the_way_to_learn_is_proposed_by_what_is_at_hand():
    assert adapting.likeliest_labels(draft_of()) == Labels.ALL
    assert adapting.likeliest_labels(unlabelled(draft_of(), Origin.READER)) == Labels.SOME
    assert adapting.likeliest_labels(unlabelled(draft_of())) == Labels.NONE


def test_a_name_is_proposed_that_can_be_had():
    made.put_done(name="our-recorder")
    assert adapting.free_name("our recorder") == "our-recorder-2"
    assert adapting.free_name("Ä" * 60) == "adapted-2"  # a model that is shipped is called adapted
    assert len(adapting.free_name("a" * 60)) == 40


def test_a_model_that_is_gone_is_said():
    with pytest.raises(AdaptationError, match="no longer installed"):
        adapting.task_of(draft_of(), name="new", model="gone", labels=Labels.ALL)


# -- looking at recordings ---------------------------------------------------------------------------------------------


def look(at, folder):
    at.text_input(key="adaptation_folder").set_value(str(folder)).run()
    next(item for item in at.button if item.key == "look_folder").click().run()
    assert not at.exception
    return at


def test_a_folder_is_looked_at_and_what_differs_or_fails_is_named(workspace, tmp_path, excerpt):
    place = tmp_path / "our recorder"
    made.write_labelled(place, ["a", "b"], excerpt)
    made.write_labelled(place, ["c"], excerpt, fs_hz=250)
    (place / "broken.edf").write_bytes(b"0" * 300)
    at = look(page("adapt", workspace), place)
    text = read(at)
    assert "The recordings have several sampling rates (250, 257 Hz)" in text
    assert "1 recording cannot be used" in text
    assert "broken" in text
    assert "3 patients to learn from" in text
    assert at.text_input(key=new_adaptation.NAME_KEY).value == "adapted-our-recorder"


def test_a_folder_that_does_not_exist_is_said(workspace, tmp_path):
    text = read(look(page("adapt", workspace), tmp_path / "nowhere"))
    assert "nowhere: there is no folder of this name: expected a folder with recordings." in text


def test_a_folder_without_recordings_is_said(workspace, tmp_path):
    at = look(page("adapt", workspace), tmp_path)
    assert len(at.error) == 1
    assert new_adaptation.DRAFT not in at.session_state


def test_a_folder_of_which_nothing_can_be_read_leads_to_no_beginning(workspace, tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "broken.edf").write_bytes(b"0" * 300)
    at = look(page("adapt", workspace), tmp_path / "x")
    assert "None of the recordings can be used" in read(at)
    assert "Begin" not in labels(at)


def test_studies_are_looked_at_and_become_the_recordings_of_the_task(workspace, tmp_path, excerpt):
    made.write_labelled(tmp_path / "r", ["a", "b"], excerpt)
    for name in "ab":
        workspace.add(read_record(tmp_path / "r" / name))
    at = page("adapt", workspace)
    box = at.multiselect(key="adaptation_studies")
    assert sorted(box.options) == ["a (no labels)", "b (no labels)"]
    box.set_value(box.options).run()
    next(item for item in at.button if item.key == "look_studies").click().run()
    draft = at.session_state[new_adaptation.DRAFT]
    assert {one.study for one in draft.recordings} == set(workspace.studies)
    assert draft.studies == str(workspace.store.folder)


# -- what is needed of PhysioNet ---------------------------------------------------------------------------------------


def finish(at):
    """Wait for the download, and draw the page again."""
    fetching.source_download()._thread.join()
    return at.run()


def test_without_its_source_nothing_begins_and_it_is_fetched_by_a_click(workspace, monkeypatch, tmp_path):
    found, asked = [None], []
    monkeypatch.setattr(source, "find_source", lambda: found[0])

    def fetch(names, **options):
        asked.append((names, options["records"]))
        options["show"]("1.0 MB of 130.0 MB, 60 s left")
        found[0] = tmp_path

    monkeypatch.setattr(physionet, "fetch", fetch)
    at = with_draft(workspace, draft_of())
    assert new_adaptation.SOURCE_MISSING in read(at)
    assert begin_button(at).disabled
    button(at, "Fetch them from PhysioNet").click().run()
    finish(at)
    assert asked == [(("mitdb", "nstdb"), "all")]
    assert new_adaptation.SOURCE_MISSING not in read(at)
    assert not begin_button(at).disabled


def test_a_download_that_fails_says_why_and_can_be_tried_again(workspace, monkeypatch):
    monkeypatch.setattr(source, "find_source", lambda: None)

    def fetch(names, **options):
        raise DownloadError("https://physionet.org: cannot be reached; check the network.")

    monkeypatch.setattr(physionet, "fetch", fetch)
    at = page("adapt", workspace)
    button(at, "Fetch them from PhysioNet").click().run()
    finish(at)
    assert "cannot be reached; check the network" in read(at)
    assert "Fetch them from PhysioNet" in labels(at)


def test_a_download_that_is_stopped_says_that_it_can_go_on(monkeypatch):
    began, go_on = threading.Event(), threading.Event()

    def fetch(names, **options):
        began.set()
        go_on.wait(10)
        options["show"]("2.0 MB of 130.0 MB")

    monkeypatch.setattr(physionet, "fetch", fetch)
    download = fetching.SourceDownload()
    download.start()
    began.wait(10)
    download.stop()
    assert download.is_stopping
    go_on.set()
    download._thread.join()
    assert download.problem == fetching.STOPPED


# -- the process -------------------------------------------------------------------------------------------------------


def test_a_process_that_is_killed_leaves_an_interrupted_adaptation(monkeypatch):
    adaptation = made.put_adaptation(None)
    real = subprocess.Popen
    command = [sys.executable, "-c", "pass"]
    monkeypatch.setattr(task.subprocess, "Popen", lambda _command, **options: real(command, **options))
    task.start_process(adaptation)
    for _ in range(600):
        if adaptation.state.state == INTERRUPTED:
            break
        time.sleep(0.1)
    assert adaptation.state.state == INTERRUPTED


def test_a_wish_to_stop_holds_also_while_the_process_still_starts():
    from ecg_core.adaptation.running import run

    adaptation = made.put_adaptation(State(RUNNING, "Starting", process=os.getpid()))
    adaptation.ask_to_stop()
    assert run(adaptation).state == CANCELLED
    assert json.loads((adaptation.folder / task.STATE).read_text())["state"] == CANCELLED
