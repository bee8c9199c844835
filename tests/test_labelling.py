"""Labels that a reader gives beats, run without a browser: counted at once, undone, and learned from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from test_figures import make_analysis

from ecg_core.pipeline import with_labels
from ecg_core.report.export import csv_bytes, labels_table
from ecg_core.schema import Annotations
from pages._ui import engine, labelling
from pages._ui.jobs import AnalysisKey
from pages._ui.labelling import tell
from pages._ui.session import Workspace
from pages._ui.view import ASKED

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def analysis(demo):
    """Made-up beats on the demo record; it asks about five of them."""
    made = replace(make_analysis(demo.duration_s), record=demo)
    normal = np.flatnonzero(made.beats.usable & (made.beats.label == "N"))
    return replace(made, asked=normal[[300, 20, 100, 200, 50]])


@pytest.fixture
def workspace(analysis):
    workspace = Workspace()
    workspace.add(analysis.record)
    workspace.put(AnalysisKey(analysis.record.sha256, "auto", analysis.model.sha256, analysis.rules), analysis)
    return workspace


@pytest.fixture
def at(workspace):
    at = AppTest.from_file(str(ROOT / "pages" / "review.py"), default_timeout=30)
    at.session_state["workspace"] = workspace
    return at.run()


def press(at, name):
    found = [item for item in at.button if name in (item.label, item.key)]
    assert len(found) == 1
    assert not found[0].disabled
    found[0].click().run()
    assert not at.exception
    assert not at.error


def format_quoted(at):
    return "\n".join(element.value for element in at.caption)


def shown(workspace):
    return workspace.analysis(workspace.current)


def moment(at):
    value = at.query_params["t"]
    return float(value if isinstance(value, str) else value[0])


def asked_times(analysis):
    return analysis.beats.time_s[analysis.queried]


def test_a_label_is_counted_at_once_and_everywhere(at, workspace, analysis):
    press(at, "class V")
    beat = int(shown(workspace).labelled[0])
    assert shown(workspace).beats.label[beat] == "V"
    assert shown(workspace).burden.count[2] == analysis.burden.count[2] + 1
    overview = AppTest.from_file(str(ROOT / "pages" / "overview.py"), default_timeout=30)
    overview.session_state["workspace"] = workspace
    overview.run()
    bodies = "\n".join(element.proto.body for element in overview.get("html"))
    assert f"{analysis.burden.count[2] + 1:,} V of" in bodies


def test_undo_takes_back_one_telling_at_a_time(at, workspace, analysis):
    press(at, "class V")
    press(at, "class S")
    assert shown(workspace).beats.label[shown(workspace).labelled].tolist() == ["S"]  # the last word on the same beat
    press(at, "Undo")
    assert shown(workspace).beats.label[shown(workspace).labelled].tolist() == ["V"]
    press(at, "Undo")
    assert shown(workspace) is analysis
    assert next(item for item in at.button if item.label == "Undo").disabled


def test_what_it_asks_is_gone_through_in_its_own_order_to_the_last(at, workspace, analysis):
    wanted = asked_times(analysis)
    press(at, "Label what it asks")
    assert at.selectbox(key="what").value == ASKED
    for number, time_s in enumerate(wanted):
        assert moment(at) == pytest.approx(time_s, abs=0.01)
        assert f"asks about {len(wanted) - number}" in format_quoted(at)
        press(at, "class S")
    assert f"{len(wanted)} beats labelled by you" in format_quoted(at)
    assert "asks about no more" in format_quoted(at)
    assert shown(workspace).labelled.tolist() == sorted(analysis.queried.tolist())
    assert next(item for item in at.button if item.label == "Label what it asks").disabled


def test_those_that_were_passed_over_are_come_back_to(at, analysis):
    press(at, "Label what it asks")
    press(at, "Next")
    for _ in range(4):
        press(at, "class N")
    assert moment(at) == pytest.approx(asked_times(analysis)[0], abs=0.01)


def test_undo_goes_to_the_beat_whose_label_is_taken_back(at, analysis):
    press(at, "Label what it asks")
    press(at, "class V")
    press(at, "Undo")
    assert moment(at) == pytest.approx(asked_times(analysis)[0], abs=0.01)


@pytest.fixture
def learning(monkeypatch, analysis):
    """The model's part played: what it is told, it believes, and it changes its mind about the beat after each."""
    given = []

    def run(record, model_path, rules, *, lead, own, progress, fitting):
        given.append(list(own))
        progress(record.duration_s, record.duration_s)
        fitting(1.0)
        time_s, label = zip(*own, strict=True)
        changed = with_labels(analysis, Annotations(np.array(time_s), np.array(label), np.full(len(own), "")))
        after = changed.beats.label.copy()
        after[changed.labelled + 1] = "V"
        return replace(
            changed, beats=replace(changed.beats, label=after), n_fitted=len(own), asked=analysis.queried[:2]
        )

    monkeypatch.setattr(engine, "run", run)
    monkeypatch.setattr(labelling, "model_path", lambda spec: Path("made.pt"))
    return given


def test_the_model_learns_from_all_that_was_told_and_says_what_came_of_it(at, workspace, analysis, learning):
    press(at, "Label what it asks")
    press(at, "class S")
    press(at, "class S")
    press(at, "Learn from my labels")
    at.run()
    assert [label for _, label in learning[0]] == ["S", "S"]
    assert shown(workspace).n_fitted == 2
    assert "2 of them learned, which changed the class of 2 other beats" in format_quoted(at)
    assert next(item for item in at.button if item.label == "Learn from my labels").disabled


def test_what_the_model_learned_is_undone_before_the_labels_that_it_learned_from(at, workspace, analysis, learning):
    press(at, "class S")
    press(at, "Learn from my labels")
    press(at, "class V")  # told after it learned
    press(at, "Undo")
    assert shown(workspace).n_fitted == 1
    press(at, "Undo")
    assert shown(workspace).n_fitted == 0
    assert shown(workspace).beats.label[shown(workspace).labelled].tolist() == ["S"]
    press(at, "Undo")
    assert shown(workspace) is analysis


def test_many_beats_are_told_and_undone_together(workspace, analysis, monkeypatch):
    monkeypatch.setattr(labelling, "current_workspace", lambda: workspace)
    beats = np.flatnonzero(analysis.beats.label == "V")
    tell(analysis, dict.fromkeys(beats.tolist(), "S"))
    readable = beats[analysis.beats.usable[beats]]
    assert shown(workspace).labelled.tolist() == readable.tolist()
    assert len(workspace.told[workspace.current]) == 1
    assert shown(workspace).burden.count[2] == 0


def test_of_an_unreadable_beat_nothing_can_be_told(workspace, analysis, monkeypatch):
    monkeypatch.setattr(labelling, "current_workspace", lambda: workspace)
    monkeypatch.setattr("pages._ui.labelling.current_workspace", lambda: workspace)
    dark = replace(analysis, beats=replace(analysis.beats, usable=np.zeros(len(analysis.beats), dtype=bool)))
    tell(dark, {0: "V", 1: "V"})
    assert workspace.told == {}


def test_labels_stay_when_the_rules_change_and_go_with_their_record(at, workspace, analysis):
    press(at, "class V")
    workspace.close(workspace.current)
    assert workspace.told == {}


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


def test_labels_that_were_saved_are_taken_in_again(session, workspace, analysis):
    beats = np.flatnonzero(analysis.beats.usable)[[3, 7, 40]]
    tell(analysis, dict(zip(beats.tolist(), "VSN", strict=True)))
    saved = csv_bytes(labels_table(shown(workspace)))
    workspace.told.clear()
    session["labels_file"] = Uploaded(saved)
    labelling.load()
    assert shown(workspace).labelled.tolist() == beats.tolist()
    assert shown(workspace).beats.label[beats].tolist() == ["V", "S", "N"]
    assert "format_labels" not in session
    assert list(workspace.folder.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"time_s,label\n1.0,X\n", b"\xff\x00"])
def test_a_file_that_holds_no_labels_is_told_of_and_changes_nothing(session, workspace, content):
    session["labels_file"] = Uploaded(content)
    labelling.load()
    assert "rec_labels.csv: expected" in session["format_labels"]
    assert str(workspace.folder) not in session["format_labels"]
    assert workspace.told == {}


def test_labels_at_no_beat_are_counted_and_left_out(session, workspace, analysis):
    beat_s = analysis.beats.time_s[analysis.beats.usable][3]
    session["labels_file"] = Uploaded(f"time_s,label\n{beat_s},V\n{beat_s + 0.4},V\n".encode())
    labelling.load()
    assert len(shown(workspace).labelled) == 1
    assert "1 label at no readable beat" in session["format_labels"]
