"""What a reader edits, measures and moves in Review, by the commands that keys and gestures send."""

from dataclasses import replace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from support.analyses import make_analysis
from support.pages import address_time_s, controls, page, text_of, workspace_with

from ecg_core.edits import DeleteEdit, InsertEdit, LabelEdit, RhythmEdit, StretchEdit
from ecg_core.evaluation.occlusion import Occlusion
from ecg_core.measuring import with_edits
from ecg_core.morphology.filtered import read_filtered_strip
from ecg_core.morphology.qtc import qtc_bazett, qtc_fridericia
from ecg_core.morphology.r_peak import snap_to_r_peak
from ecg_core.records import read_strip
from ecg_core.studies.study import find_one
from pages._ui import view
from pages._ui.commands import COMMANDS
from pages._ui.jobs import AnalysisQueue
from pages._ui.kept_measurements import Measurement, measurement_texts
from pages._ui.keys import IN_BROWSER, KEYS, bound_keys
from pages._ui.review_edits import insert_edit, range_text
from pages._ui.strip_layout import lead_counts

STRIP_S = (100.0, 10.0)  # start and length of the strip that is shown


@pytest.fixture(scope="module")
def analysis(demo):
    """Made-up beats on the demo record: each tenth V, each tenth S."""
    return replace(make_analysis(demo.duration_s), record=demo)


@pytest.fixture
def workspace(analysis):
    return workspace_with(analysis)


def script():
    import streamlit as st

    from pages._ui.commands import perform
    from pages._ui.workspace import current_workspace

    perform(current_workspace().current, st.session_state["sent"])


def perform(workspace, *commands, time_s=105.0, at=None):
    """Carry out commands as the browser sends them; returns the session."""
    if at is None:
        at = AppTest.from_function(script)
        at.session_state["workspace"] = workspace
        at.session_state["strip"] = (workspace.current, *STRIP_S)
        for name, value in {"sec": 10, "speed": 25, "gain": 10, "lead": "II"}.items():
            at.session_state[name] = value
        at.query_params["t"] = str(time_s)
    at.session_state["sent"] = [[number, *command] for number, command in enumerate(commands, 1)]
    at.run()
    assert not at.exception
    assert not at.error
    return at


def last_edit(workspace):
    return workspace.edits_of(workspace.current)[-1]


def times_within(analysis, start_s, end_s):
    time_s = analysis.beats.time_s
    return tuple(time_s[(time_s >= start_s) & (time_s < end_s)].tolist())


# Editing


def test_a_key_labels_all_beats_of_the_chosen_range_in_one_edit(workspace, analysis):
    perform(workspace, ("range", 101.0, 107.0), ("label", "V"))
    edit = last_edit(workspace)
    assert isinstance(edit, LabelEdit)
    assert tuple(label.time_s for label in edit.labels) == times_within(analysis, 101.0, 107.0)
    assert {label.label for label in edit.labels} == {"V"}


def test_after_an_edit_the_range_is_no_longer_chosen_and_keys_act_on_the_beat(workspace):
    perform(workspace, ("range", 101.0, 107.0), ("label", "V"), ("label", "S"))
    assert len(last_edit(workspace).labels) == 1


def test_a_range_is_dropped_when_the_reader_goes_elsewhere(workspace):
    perform(workspace, ("range", 101.0, 107.0), ("beat", 1), ("delete",))
    assert len(last_edit(workspace).times_s) == 1


def test_beats_are_deleted_alone_or_as_a_range(workspace, analysis):
    perform(workspace, ("delete",))
    nearest = analysis.beats.time_s[np.abs(analysis.beats.time_s - 105.0).argmin()]
    assert last_edit(workspace) == DeleteEdit((float(nearest),))
    perform(workspace, ("range", 101.0, 104.0), ("delete",))
    assert last_edit(workspace) == DeleteEdit(times_within(analysis, 101.0, 104.0))


@pytest.mark.parametrize("mark", ["artefact", "analysable"])
def test_a_range_is_marked_as_artefact_or_as_analysable(workspace, mark):
    perform(workspace, ("range", 107.0, 101.0), ("mark", mark))
    assert last_edit(workspace) == StretchEdit(((101.0, 107.0),), analysable=mark == "analysable")


def test_a_range_is_marked_as_a_rhythm(workspace):
    perform(workspace, ("range", 101.0, 107.0), ("rhythm", "af"))
    assert last_edit(workspace) == RhythmEdit(((101.0, 107.0),), "af")


def test_a_mark_without_a_range_changes_nothing_and_says_what_to_do(workspace):
    at = perform(workspace, ("mark", "artefact"))
    assert not workspace.edits_of(workspace.current)
    assert "Choose a range first" in at.session_state["labels_message"]


def test_a_beat_is_inserted_at_the_r_peak_and_shown(workspace, demo):
    beat_s = float(demo.reference.time_s[np.flatnonzero(demo.reference.symbol == "N")[100]])
    perform(workspace, ("range", beat_s - 0.4, beat_s + 0.4), ("delete",))
    at = perform(workspace, ("insert", beat_s + 0.05))
    edit = last_edit(workspace)
    assert isinstance(edit, InsertEdit)
    assert edit.beats[0].time_s == pytest.approx(beat_s, abs=0.03)
    assert address_time_s(at) == pytest.approx(edit.beats[0].time_s, abs=0.01)


def test_no_second_beat_is_inserted_where_there_is_one(analysis):
    beat_s = float(analysis.beats.time_s[50])
    near_s = insert_edit(analysis, "II", beat_s)
    assert isinstance(near_s, float) or abs(near_s.beats[0].time_s - analysis.beats.time_s).min() > 0.15


def test_no_beat_is_inserted_beyond_the_end_of_a_recording(workspace, analysis):
    """The paper of a strip goes on where a short recording has ended."""
    at = perform(workspace, ("insert", analysis.record.duration_s + 3.0))
    assert not workspace.edits_of(workspace.current)
    assert "ended" in at.session_state["labels_message"]


def test_undo_and_redo_take_back_and_restore_the_last_edit(workspace):
    perform(workspace, ("range", 101.0, 107.0), ("delete",), ("undo",))
    assert not workspace.edits_of(workspace.current)
    perform(workspace, ("redo",))
    assert isinstance(last_edit(workspace), DeleteEdit)


def test_a_key_that_undoes_does_nothing_where_there_is_nothing_to_undo(workspace):
    perform(workspace, ("label", "V"), ("undo",), ("undo",), ("undo",), ("redo",), ("redo",))
    assert [edit.kind for edit in workspace.edits_of(workspace.current)] == ["labels"]
    assert workspace.job_of(workspace.current) is None  # the record is not analysed again


def test_no_key_undoes_what_a_running_analysis_began_with(workspace, monkeypatch):
    perform(workspace, ("label", "V"), ("label", "S"), ("undo",))
    monkeypatch.setattr(AnalysisQueue, "job_of", lambda *_, **__: "a job that runs")
    for command in ("undo", "redo"):
        perform(workspace, (command,))
        assert len(workspace.edits_of(workspace.current)) == 1


def test_a_command_that_is_sent_again_is_carried_out_once(workspace):
    at = perform(workspace, ("page", 1))
    first_s = address_time_s(at)
    perform(workspace, ("page", 1), ("page", 1), at=at)  # the browser repeats what it has no answer to
    assert address_time_s(at) == pytest.approx(first_s + STRIP_S[1])


def test_a_key_pressed_before_the_address_has_followed_acts_on_the_next_beat(workspace, analysis):
    at = perform(workspace, ("label", "V"), ("beat", 1))
    at.query_params["t"] = "105.0"  # the browser sends the address that it has
    perform(workspace, ("label", "V"), ("beat", 1), ("label", "S"), at=at)
    first, second = (edit.labels[0] for edit in workspace.edits_of(workspace.current))
    assert second.label == "S"
    assert second.time_s == analysis.beats.time_s[np.searchsorted(analysis.beats.time_s, first.time_s) + 1]


def test_the_bar_says_what_a_range_holds(workspace, analysis):
    assert range_text(analysis, (100.0, 110.0)).startswith("N ")
    assert range_text(analysis, (100.0, 110.0)).endswith("in 10.0 s")
    assert range_text(analysis, (0.0, 0.1)) == "no beats in 0.1 s"
    at = page("review", workspace, t="105")
    at.session_state["chosen_range"] = (workspace.current, (101.0, 107.0))
    at.run()
    assert range_text(analysis, (101.0, 107.0)) in text_of(at)
    assert [item.label for item in at.button if item.key in ("artefact", "analysable")] == ["Artefact", "Analysable"]


def test_an_occlusion_check_stays_with_its_beat_and_its_leads_whatever_is_edited(workspace, analysis, monkeypatch):
    found = Occlusion("V", 5, 0.16, 0.91, 0.12, (0.9, 0.89))
    monkeypatch.setattr(view.engine, "check_by_occlusion", lambda *_: found)
    monkeypatch.setattr(view, "model_path", lambda spec: None)
    beat = int(np.searchsorted(analysis.beats.time_s, 105.0))
    monkeypatch.setattr(view.st, "session_state", {})
    view.check_by_occlusion(analysis, beat)
    edited = with_edits(analysis, [DeleteEdit((float(analysis.beats.time_s[3]),))])
    assert "Probability of V" in view.occlusion_text(analysis, beat)
    assert "Probability of V" in view.occlusion_text(edited, beat - 1)
    assert not view.occlusion_text(edited, beat)
    assert not view.occlusion_text(replace(analysis, lead_names=("V1",)), beat)


# Moving


def test_pages_follow_each_other_without_a_gap(workspace):
    at = perform(workspace, ("page", 1))
    assert at.session_state["strip"][1] == pytest.approx(110.0)
    perform(workspace, ("page", 1), ("page", -1), at=at)  # the first was carried out already
    assert at.session_state["strip"][1] == pytest.approx(100.0)


def test_a_dragged_strip_moves_by_the_dragged_seconds(workspace):
    at = perform(workspace, ("pan", 1.5))
    assert at.session_state["strip"][1] == pytest.approx(101.5, abs=0.02)
    assert address_time_s(at) == 105.0


def test_the_wheel_changes_speed_and_seconds_and_what_is_below_it_stays(workspace):
    at = perform(workspace, ("zoom", 1, 102.0))
    start_s, length_s = at.session_state["strip"][1:]
    assert length_s < STRIP_S[1]
    assert (102.0 - start_s) / length_s == pytest.approx(0.2, abs=0.05)
    perform(workspace, *[("zoom", -1)] * 8, at=at)
    assert (at.session_state["sec"], at.session_state["speed"]) == (30, 12.5)


def test_beat_by_beat_and_to_both_ends(workspace, analysis):
    at = perform(workspace, ("beat", 1))
    after = analysis.beats.time_s[np.abs(analysis.beats.time_s - 105.0).argmin() + 1]
    assert address_time_s(at) == pytest.approx(after, abs=0.01)
    assert address_time_s(perform(workspace, ("start",))) == 0.0
    assert address_time_s(perform(workspace, ("end",))) == pytest.approx(analysis.record.duration_s, abs=0.01)


def test_only_lead_counts_that_the_record_has_are_offered(demo):
    def with_leads(n):
        return replace(demo, lead_names=demo.lead_names[:n], calibrated=demo.calibrated[:n])

    assert [lead_counts(with_leads(n)) for n in (1, 2, 3, 8, 12)] == [[1], [1, 2], [1, 3], [1, 3, 6, 8], [1, 3, 6, 12]]


def test_every_key_has_one_meaning_and_every_command_is_known():
    keys = [name for key in KEYS for name in key.keys]
    assert len(keys) == len(set(keys))
    assert not {"c", "r"} & set(keys)  # Streamlit's own
    assert {command[0] for command in bound_keys().values()} <= {*COMMANDS, IN_BROWSER}


def test_the_sheet_of_keys_lists_them(workspace):
    at = page("review", workspace)
    at.button(key="sheet").click().run()
    assert not at.exception
    assert sum(len(table.value) for table in at.table) >= len(KEYS)


def test_choosing_a_finding_shades_its_extent(demo_analysis):
    workspace = workspace_with(demo_analysis)
    event = next(event for event in demo_analysis.events if event.kind == "af")
    at = page("review", workspace)
    at.session_state["shaded_finding"] = (workspace.current, (event.start_s, event.end_s))
    at.query_params["t"] = str(event.start_s)
    at.run()
    chart = next(item for item in at.get("plotly_chart") if "strip0" in item.proto.id)
    assert f'"x0":{event.start_s}' in chart.proto.spec.replace(" ", "")


# Measuring


def test_qtc_by_both_formulas_matches_worked_examples():
    assert qtc_bazett(0.36, 0.64) == pytest.approx(0.45)
    assert qtc_fridericia(0.36, 0.512) == pytest.approx(0.45)
    assert qtc_bazett(0.4, 1.0) == qtc_fridericia(0.4, 1.0) == 0.4
    with pytest.raises(ValueError, match="longer than 0 s"):
        qtc_bazett(0.4, 0.0)


def test_a_qt_is_corrected_with_the_measured_rr_or_the_strips_and_says_which(analysis):
    qt, rr = Measurement("QT", 101.0, 101.36), Measurement("RR", 102.0, 102.64)
    alone = measurement_texts(analysis, [qt], (100.0, 110.0))
    assert alone == ["QT 360 ms, QTc 402 ms (Bazett), 388 ms (Fridericia), with RR 800 ms, the mean of the strip"]
    both = measurement_texts(analysis, [qt, rr], (100.0, 110.0))
    assert both == [
        "QT 360 ms, QTc 450 ms (Bazett), 418 ms (Fridericia), with RR 640 ms, as measured",
        "RR 640 ms (94 bpm)",
    ]


def test_a_kept_measurement_stays_with_the_study_and_goes_to_the_report_with_the_strip(workspace, analysis):
    perform(workspace, ("keep", "PR", 103.0, 103.16))
    sha256 = workspace.current
    assert find_one(workspace.store, sha256).view["measurements"] == [["PR", 103.0, 103.16]]
    at = page("review", workspace, t="105")
    assert "PR 160 ms" in text_of(at)
    next(item for item in at.button if item.label == "To report").click().run()
    assert workspace.notes(sha256).strips[0].caption == "PR 160 ms"
    next(item for item in at.button if item.label == "Remove").click().run()
    assert "PR 160 ms" not in text_of(at)


def test_a_qt_is_not_corrected_with_the_rr_of_beats_that_are_not_counted(analysis):
    beats, inside = analysis.beats, (analysis.beats.time_s > 103) & (analysis.beats.time_s < 106)
    noisy = replace(beats, usable=beats.usable & ~inside, rr_s=np.where(inside, 0.3, beats.rr_s))
    said = measurement_texts(replace(analysis, beats=noisy), [Measurement("QT", 101.0, 101.36)], (100.0, 110.0))
    assert said[0].endswith("with RR 800 ms, the mean of the strip")


def test_a_second_click_on_remove_takes_no_other_measurement_away(workspace):
    perform(workspace, ("keep", "PR", 103.0, 103.16), ("keep", "QT", 103.0, 103.4))
    at = page("review", workspace, t="105")
    first = next(item for item in at.button if item.label == "Remove")
    for _ in range(2):
        sent = controls(at)
        sent.widgets.add(id=first.id, trigger_value=True)
        at._run(sent)
    assert find_one(workspace.store, workspace.current).view["measurements"] == [["QT", 103.0, 103.4]]


def test_a_click_beside_a_beat_finds_its_r_peak(demo):
    reference, rng = demo.reference, np.random.default_rng(0)
    beats = rng.choice(np.flatnonzero(np.isin(reference.symbol, list("NVA"))), 30, replace=False)
    off_s = []
    for time_s in reference.time_s[beats].tolist():
        off_s.append(snap_to_r_peak(demo, "II", time_s + rng.uniform(-0.06, 0.06)) - time_s)
    assert np.mean(np.abs(off_s) <= 0.04) >= 0.95


def test_a_filtered_strip_is_the_same_wherever_it_is_cut_and_has_no_baseline_wander(demo):
    wide = read_filtered_strip(demo, "II", start_s=100.0, length_s=20.0)
    narrow = read_filtered_strip(demo, "II", start_s=108.0, length_s=2.0)
    first = round((narrow.start_s - wide.start_s) * demo.fs_hz)
    assert narrow.signal_mv == pytest.approx(wide.signal_mv[first : first + len(narrow.signal_mv)], abs=0.01)
    raw = read_strip(demo, "II", start_s=0.0, length_s=10.0).signal_mv
    filtered = read_filtered_strip(demo, "II", start_s=0.0, length_s=10.0).signal_mv
    assert np.abs(np.convolve(filtered, np.ones(514) / 514, "valid")).max() < 0.1
    assert len(raw) == len(filtered)
