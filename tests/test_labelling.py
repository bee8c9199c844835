"""Labels that a reader gives beats, without a browser: counted at once, undone, and used for fine-tuning."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from support.analyses import make_analysis
from support.learning import press, with_queries
from support.pages import address_time_s, controls, html_of, page, press_late, workspace_with

from ecg_core.evaluation.comparison import disagreements
from ecg_core.measuring import with_labels
from ecg_core.report.columns import csv_bytes
from ecg_core.report.tables import labels_table
from ecg_core.rhythm.intervals import follows_previous
from ecg_core.schema import Annotations
from pages._ui import labelling
from pages._ui.labelling import load_labels, set_labels
from pages._ui.view import QUERIED, probability_note


@pytest.fixture(scope="module")
def analysis(demo):
    """Made-up beats on the demo record, of which five are queried."""
    return with_queries(demo)


@pytest.fixture
def workspace(analysis):
    return workspace_with(analysis)


@pytest.fixture
def at(workspace):
    return page("review", workspace)


def captions(at):
    return "\n".join(element.value for element in at.caption)


def shown(workspace):
    return workspace.analysis(workspace.current)


def queried_times_s(analysis):
    return analysis.beats.time_s[analysis.queried]


def test_a_label_is_counted_at_once_and_everywhere(at, workspace, analysis):
    press(at, "class V")
    beat = int(shown(workspace).labelled[0])
    assert shown(workspace).beats.label[beat] == "V"
    assert shown(workspace).burden.count[2] == analysis.burden.count[2] + 1
    bodies = "\n".join(html_of(page("overview", workspace)))
    assert f"{analysis.burden.count[2] + 1:,} V of" in bodies


def test_undo_takes_back_one_edit_at_a_time(at, workspace, analysis):
    press(at, "class V")
    press(at, "class S")
    assert shown(workspace).beats.label[shown(workspace).labelled].tolist() == ["S"]  # the last word on the same beat
    press(at, "Undo")
    assert shown(workspace).beats.label[shown(workspace).labelled].tolist() == ["V"]
    press(at, "Undo")
    assert shown(workspace) is analysis
    assert next(item for item in at.button if item.label == "Undo").disabled


def test_a_label_typed_before_the_browser_drew_the_queried_beats_goes_on_to_the_next_one(at, workspace, analysis):
    wanted = queried_times_s(analysis)
    drawn, steps = at._tree, next(box for box in at.selectbox if box.label == "Step through")
    steps.select(steps.value)
    press(at, "Label queried beats")
    at._tree = drawn  # a busy browser still has the page before, and with it the old choice of what is stepped through
    next(button for button in at.button if button.label == "Label queried beats").set_value(False)
    press(at, "class S")
    assert shown(workspace).beats.time_s[shown(workspace).labelled].tolist() == wanted[:1].tolist()
    assert address_time_s(at) == pytest.approx(wanted[1], abs=0.01)


def test_a_label_typed_before_the_browser_drew_the_fewer_queried_beats_goes_on_to_the_next_one(at, workspace, analysis):
    wanted, steps = queried_times_s(analysis), next(box for box in at.selectbox if box.label == "Step through")
    steps.select(QUERIED).run()
    press(at, "Next")
    sent = controls(at)  # with "Queried beats (5)", of which there are then four
    press(at, "class V")
    press_late(at, sent, "class S")
    assert shown(workspace).beats.time_s[shown(workspace).labelled].tolist() == sorted(wanted[:2].tolist())
    assert next(box for box in at.selectbox if box.label == "Step through").value == QUERIED
    assert address_time_s(at) == pytest.approx(wanted[2], abs=0.01)


def test_queried_beats_are_stepped_through_in_their_order_to_the_last(at, workspace, analysis):
    wanted = queried_times_s(analysis)
    press(at, "Label queried beats")
    assert at.selectbox(key="what 1").value == QUERIED
    for number, time_s in enumerate(wanted):
        assert address_time_s(at) == pytest.approx(time_s, abs=0.01)
        assert f"{len(wanted) - number} queried beat" in captions(at)
        press(at, "class S")
    assert f"{len(wanted)} beats labelled by you" in captions(at)
    assert "no queried beats left to label" in captions(at)
    assert shown(workspace).labelled.tolist() == sorted(analysis.queried.tolist())
    assert next(item for item in at.button if item.label == "Label queried beats").disabled


def test_skipped_queries_come_again_at_the_end(at, analysis):
    press(at, "Label queried beats")
    press(at, "Next")
    for _ in range(4):
        press(at, "class N")
    assert address_time_s(at) == pytest.approx(queried_times_s(analysis)[0], abs=0.01)


def test_undo_goes_to_the_beat_whose_label_is_taken_back(at, analysis):
    press(at, "Label queried beats")
    press(at, "class V")
    press(at, "Undo")
    assert address_time_s(at) == pytest.approx(queried_times_s(analysis)[0], abs=0.01)


def test_many_beats_are_labelled_and_undone_together(workspace, analysis, monkeypatch):
    monkeypatch.setattr(labelling, "current_workspace", lambda: workspace)
    beats = np.flatnonzero(analysis.beats.label == "V")
    set_labels(analysis, dict.fromkeys(beats.tolist(), "S"))
    assert shown(workspace).labelled.tolist() == beats.tolist()
    assert len(workspace.edits_of(workspace.current)) == 1
    assert shown(workspace).burden.count[2] == 0


# Beats in signal that is not analysable


@pytest.fixture
def noisy(demo):
    """Made-up beats on the demo record, of which those from 300 s to 320 s are in signal that is not analysable."""
    return replace(make_analysis(demo.duration_s, unusable=(30, 31)), record=demo)


def first_uncounted(analysis):
    return int(np.flatnonzero(~analysis.beats.usable)[0])


def test_a_beat_in_unusable_signal_counts_once_it_is_labelled_and_undo_takes_it_back(noisy):
    workspace, beat = workspace_with(noisy), first_uncounted(noisy)
    at = page("review", workspace, t=f"{noisy.beats.time_s[beat]:.2f}")
    assert "not counted until you label it" in "".join(html_of(at))
    press(at, "class V")
    labelled = shown(workspace)
    assert labelled.labelled.tolist() == [beat]
    assert labelled.burden.count[2] == noisy.burden.count[2] + 1
    assert labelled.burden.n_beats == noisy.burden.n_beats + 1
    assert labelled.burden.n_unusable_beats == noisy.burden.n_unusable_beats - 1
    assert np.flatnonzero(labelled.beats.usable & ~noisy.beats.usable).tolist() == [beat]
    press(at, "Undo")
    assert shown(workspace) is noisy


def test_a_labelled_beat_keeps_its_unknown_rr(noisy):
    beat = first_uncounted(noisy)
    rr_s = noisy.beats.rr_s.copy()
    rr_s[beat] = np.nan
    unknown = replace(noisy, predicted=replace(noisy.predicted, rr_s=rr_s), beats=replace(noisy.beats, rr_s=rr_s))
    time_s = noisy.beats.time_s[[beat]]
    labelled = with_labels(unknown, Annotations(time_s, np.array(["V"]), np.array([""])))
    assert labelled.beats.usable[beat]
    assert np.isnan(labelled.beats.rr_s[beat])
    assert not follows_previous(labelled.beats)[beat]


def test_stretches_that_are_not_analysable_are_stepped_through_and_so_are_their_beats(noisy):
    at = page("review", workspace_with(noisy))
    for name, time_s in (("Not analysable", 300.0), ("Beats that are not counted", noisy.beats.time_s[375])):
        option = next(option for option in at.selectbox(key="what 0").options if option.startswith(name))
        at.selectbox(key="what 0").select(option.rpartition(" (")[0]).run()
        at.query_params["t"] = "100"
        at.run()
        press(at, "Next")
        assert address_time_s(at) == pytest.approx(time_s, abs=0.01)


def test_labels_in_unusable_signal_are_saved_loaded_and_compared_with_the_reference(session, noisy, monkeypatch):
    beat = first_uncounted(noisy)  # normal, by the reference
    workspace = workspace_with(noisy)
    monkeypatch.setattr(labelling, "current_workspace", lambda: workspace)
    set_labels(noisy, {beat: "F"})
    saved = csv_bytes(labels_table(shown(workspace)))
    workspace.undo_edit(workspace.current)
    session["labels_file"] = Uploaded(saved)
    load_labels("labels_file")
    assert "labels_message" not in session
    assert shown(workspace).beats.label[beat] == "F"
    inside = (300.0, 320.0)
    assert not within(disagreements(noisy).time_s, inside).any()
    found = disagreements(shown(workspace))
    assert found.time_s[within(found.time_s, inside)] == pytest.approx(noisy.beats.time_s[[beat]], abs=0.15)


def within(time_s, span_s):
    return (time_s >= span_s[0]) & (time_s < span_s[1])


def test_no_beat_far_from_the_strip_is_labelled(noisy):
    time_s = noisy.beats.time_s
    kept = (time_s < 500) | (time_s > 600)
    sparse = replace(
        noisy,
        beats=replace(
            noisy.beats,
            **{name: getattr(noisy.beats, name)[kept] for name in ("time_s", "label", "probability", "rr_s", "usable")},
        ),
    )
    at = page("review", workspace_with(sparse), t="550")
    assert not at.exception
    assert all(item.disabled for item in at.button if item.key and item.key.startswith("class "))


def test_labels_stay_when_their_study_is_put_away(at, workspace, analysis):
    press(at, "class V")
    sha256 = workspace.current
    workspace.close(sha256)
    assert not workspace.studies
    workspace.open_study(sha256)
    assert len(workspace.edits_of(sha256)) == 1


class Uploaded:
    """A file as the uploader gives it."""

    name = "../rec_labels.csv"

    def __init__(self, content):
        self.content = content

    def getvalue(self):
        return self.content


@pytest.fixture
def session(workspace, monkeypatch):
    monkeypatch.setattr(labelling, "current_workspace", lambda: workspace)
    state = {}
    monkeypatch.setattr(labelling.st, "session_state", state)
    return state


def test_saved_labels_can_be_loaded_again(session, workspace, analysis):
    beats = np.flatnonzero(analysis.beats.usable)[[3, 7, 40]]
    set_labels(analysis, dict(zip(beats.tolist(), "VSN", strict=True)))
    saved = csv_bytes(labels_table(shown(workspace)))
    workspace.undo_edit(workspace.current)
    session["labels_file"] = Uploaded(saved)
    load_labels("labels_file")
    assert shown(workspace).labelled.tolist() == beats.tolist()
    assert shown(workspace).beats.label[beats].tolist() == ["V", "S", "N"]
    assert "labels_message" not in session
    assert list(workspace.uploads.path.iterdir()) == []


def test_labels_of_another_record_are_refused_with_both_names(session, workspace, analysis):
    beats = np.flatnonzero(analysis.beats.usable)[[3, 7]]
    table = pd.DataFrame(labels_table(with_labels_at(analysis, beats)))
    session["labels_file"] = Uploaded(csv_bytes(table.assign(record="other", record_sha256="1" * 64)))
    load_labels("labels_file")
    for part in ("rec_labels.csv: these labels are of another record", "11111111", analysis.record.record_id):
        assert part in session["labels_message"]
    assert shown(workspace).labelled.tolist() == []
    mixed = pd.concat([table, table.assign(record_sha256="1" * 64)])
    session["labels_file"] = Uploaded(csv_bytes(mixed))
    load_labels("labels_file")
    assert "none of them is used" in session["labels_message"]
    assert shown(workspace).labelled.tolist() == []


def test_labels_that_state_no_record_are_set_with_a_notice(session, workspace, analysis):
    beats = np.flatnonzero(analysis.beats.usable)[[3, 7]]
    older = pd.DataFrame(labels_table(with_labels_at(analysis, beats)))[["sample", "time_s", "label"]]
    session["labels_file"] = Uploaded(csv_bytes(older))
    load_labels("labels_file")
    assert "does not state its record" in session["labels_message"]
    assert shown(workspace).labelled.tolist() == beats.tolist()


def with_labels_at(analysis, beats):
    """The analysis with some beats labelled by a reader."""
    return replace(analysis, labelled=beats)


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"time_s,label\n1.0,X\n", b"\xff\x00"])
def test_a_file_without_labels_shows_a_message_and_changes_nothing(session, workspace, content):
    session["labels_file"] = Uploaded(content)
    load_labels("labels_file")
    assert "a table of beats" in session["labels_message"]
    assert str(workspace.uploads.path) not in session["labels_message"]
    assert workspace.edits_of(workspace.current) == ()


def test_labels_at_no_beat_are_counted_and_excluded(session, workspace, analysis):
    beat_s = analysis.beats.time_s[analysis.beats.usable][3]
    session["labels_file"] = Uploaded(f"time_s,label\n{beat_s},V\n{beat_s + 0.4},V\n".encode())
    load_labels("labels_file")
    assert len(shown(workspace).labelled) == 1
    assert "1 label excluded: no beat at the same time" in session["labels_message"]


def test_a_class_that_is_not_the_most_probable_is_explained():
    analysis = make_analysis()
    assert not probability_note(analysis, 4)
    probability = analysis.beats.probability.copy()
    probability[4] = (0.6, 0.05, 0.3, 0.03, 0.02)
    doubtful = replace(analysis, beats=replace(analysis.beats, probability=probability))
    assert "more often N than V" in probability_note(doubtful, 4)
