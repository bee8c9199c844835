"""Learning from labels on the page Review: what would change is seen before it is accepted or discarded."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.learning import HELPS, press, with_queries
from support.pages import page, text_of, workspace_with

from ecg_core.edits import InsertEdit, Label, lasting_labels
from ecg_core.labels import CLASSES
from ecg_core.measuring import with_labels
from ecg_core.schema import Annotations
from ecg_core.studies.analyses import save_analysis
from ecg_core.studies.audit import trail
from pages._ui import engine, labelling, learning
from pages._ui.workspace import Workspace

HARMS = replace(HELPS, right_after=(6, 2, 1, 0, 0, 0))


@pytest.fixture(scope="module")
def analysis(demo):
    """Made-up beats on the demo record, of which five are queried."""
    return with_queries(demo)


@pytest.fixture
def workspace(analysis):
    return workspace_with(analysis)


@pytest.fixture
def check():
    """What cross-validation finds; a test may say otherwise."""
    return [HELPS]


@pytest.fixture
def fitted_labels(monkeypatch, analysis, check):
    """A stand-in for fine-tuning: labelled beats keep their class, and each beat after one becomes V. Its labels."""
    given = []

    def run(record, model_path, rules, *, lead, edits, progress, fitting):
        own = lasting_labels(edits)
        if not own:
            return analysis
        given.append(own)
        progress(record.duration_s, record.duration_s)
        fitting(1.0)
        n = len(own)
        time_s, label = zip(*own, strict=True)
        changed = with_labels(analysis, Annotations(np.array(time_s), np.array(label), np.full(n, "")))
        after = changed.beats.label.copy()
        after[changed.labelled + 1] = "V"
        beats, learned = replace(changed.beats, label=after), replace(check[0], n_labels=n)
        return replace(changed, beats=beats, learning=learned, queried=analysis.queried[:2])

    monkeypatch.setattr(engine, "run", run)
    for module in (learning, labelling):
        monkeypatch.setattr(module, "model_path", lambda spec: Path("made.pt"))
    return given


@pytest.fixture
def at(workspace, fitted_labels):
    """The page after two beats were labelled and the model has learned from them."""
    at = page("review", workspace)
    for name in ("Label queried beats", "class S", "class S", "Learn from my labels"):
        press(at, name)
    return at.run()


def names(at):
    return [item.label for item in at.button]


def shown(workspace):
    return workspace.analysis(workspace.current)


def changed_beats(at):
    """The list of the beats that would change."""
    return next(item.value for item in at.dataframe if list(item.value.columns) == ["Time", "Now", "Proposed"])


def test_what_the_model_learned_is_proposed_and_nothing_has_changed(at, workspace, fitted_labels):
    assert [label for _, label in fitted_labels[0]] == ["S", "S"]
    assert shown(workspace).n_fitted == 0
    assert "Nothing has changed yet" in text_of(at)
    assert "Agreement with 20 held-out labels: 11 before, 19 after (N 8 to 10 of 10, S 2 to 5 of 6" in text_of(at)
    assert changed_beats(at)[["Now", "Proposed"]].to_numpy().tolist() == [["N", "V"]] * 2
    counts = next(item.value for item in at.dataframe if list(item.value.columns) == ["", "Now", "Proposed"])
    assert [name[0] for name in counts[""][: len(CLASSES)]] == list(CLASSES)


def test_an_accepted_proposal_is_shown_and_noted_in_the_audit_trail(at, workspace):
    press(at, "Accept")
    assert shown(workspace).n_fitted == 2
    assert "Accept" not in names(at)
    assert "2 of them used for fine-tuning, which changed the class of 2 other beats" in text_of(at)
    assert next(item for item in at.button if item.label == "Learn from my labels").disabled
    entry = trail(workspace.store, workspace.current)[-1]
    assert entry.detail["n_fitted_edits"] == 2
    assert "11 before, 19 after" in entry.detail["learning"]


def test_a_discarded_proposal_changes_nothing_and_comes_again_without_another_analysis(at, workspace, fitted_labels):
    press(at, "Discard")
    assert shown(workspace).n_fitted == 0
    assert len(shown(workspace).labelled) == 2
    assert "Accept" not in names(at)
    press(at, "Learn from my labels")
    assert "Accept" in names(at)
    assert len(fitted_labels) == 1


def test_a_proposal_waits_for_its_decision_after_a_reload(at, workspace, analysis):
    save_analysis(workspace.store, workspace.shown[workspace.current], analysis)
    again = Workspace(workspace.desk, editor=workspace.editor)
    again.open_study(workspace.current)
    assert "Accept" in names(page("review", again))


@pytest.mark.parametrize("check", [[HARMS]])
def test_learning_that_does_harm_is_held_back_and_taken_only_on_a_second_word(at, workspace, check):
    assert "Held back: the model would agree with 9 of 20 held-out labels, and agrees with 11 as it is" in text_of(at)
    assert "Accept" not in names(at)
    press(at, "Accept against this advice")
    assert shown(workspace).n_fitted == 2


def test_fine_tuning_is_undone_before_the_labels_that_it_used(at, workspace, analysis):
    press(at, "Accept")
    press(at, "class V")  # after the fine-tuning
    press(at, "Undo")
    assert shown(workspace).n_fitted == 2
    press(at, "Undo")
    assert shown(workspace).n_fitted == 0
    assert shown(workspace).beats.label[shown(workspace).labelled].tolist() == ["S", "S"]
    press(at, "Undo")
    press(at, "Undo")
    assert shown(workspace) is analysis


def test_a_fine_tuned_study_can_be_read_and_undone_where_no_earlier_analysis_is_stored(at, workspace):
    press(at, "Accept")
    key = workspace.shown[workspace.current]
    workspace.window_analyses.by_key = {key: workspace.stored(key)}
    for path in (workspace.store.folder / "analyses").iterdir():  # as an update of the program leaves a study
        path.unlink()
    at.run()
    assert not at.exception
    assert "**2 beats labelled by you**, 2 of them used for fine-tuning;" in text_of(at)
    press(at, "Undo")
    at.run()
    assert shown(workspace).n_fitted == 0
    assert shown(workspace).beats.label[shown(workspace).labelled].tolist() == ["S", "S"]


def learn_again(at):
    """Label one more queried beat, and let the model learn from all labels."""
    press(at, "class S")
    press(at, "Learn from my labels")
    return at.run()


def test_undone_learning_shows_what_was_shown_before_and_no_proposal_that_was_discarded(at, workspace):
    press(at, "Discard")  # what was learned from two labels
    press(learn_again(at), "Accept")
    assert shown(workspace).n_fitted == 3
    press(at, "Undo")
    assert shown(workspace).n_fitted == 0
    assert len(shown(workspace).labelled) == 3


def test_accepted_learning_is_undone_step_by_step(at, workspace):
    press(at, "Accept")
    press(learn_again(at), "Accept")
    seen = []
    for _ in range(4):
        seen.append((shown(workspace).n_fitted, len(shown(workspace).labelled)))
        press(at, "Undo")
    assert seen == [(3, 3), (2, 3), (2, 2), (0, 2)]


def test_what_learning_changed_is_counted_beside_beats_that_were_inserted_since(at, workspace, analysis):
    press(at, "Accept")
    after_last_s = float(analysis.beats.time_s[-1]) + 0.2
    workspace.add_edit(workspace.current, InsertEdit((Label(0.05, "N"), Label(after_last_s, "V"))))
    at.run()
    assert not at.error
    assert "2 of them used for fine-tuning, which changed the class of 2 other beats" in text_of(at)
