"""The page Beats: templates as cards, edited all together, and what the browser may ask for."""

import base64
import json
from dataclasses import replace

import numpy as np
import pytest
from support.analyses import make_analysis
from support.pages import button, page, text_of, workspace_with

from ecg_core.edits import DeleteEdit, LabelEdit, Stretch, StretchEdit, TemplateEdit
from ecg_core.figures.template_cards import N_LEVELS, template_cards
from ecg_core.morphology.templates import UNUSABLE, Shape, describe_templates, make_templates
from ecg_core.morphology.waveforms import OFFSET_S
from pages._ui import labelling, view
from pages._ui import template_cards as cards_of_page
from pages._ui.template_cards import CARDS_A_PAGE, edit_templates, made_templates
from pages._ui.view import study_key

DISTRIBUTIONS = "Probability and RR"


@pytest.fixture(scope="module")
def first(demo):
    """Made-up beats on the real demo record, of which the last minutes are not analysable."""
    made = make_analysis(demo.duration_s, unusable=(170, 171))
    return replace(made, record=demo)


@pytest.fixture(scope="module")
def made(first):
    """Their templates."""
    return make_templates(first.record, first.lead_names, first.beats)


@pytest.fixture(autouse=True)
def made_once(made, monkeypatch):
    """The pages get the templates that were made."""
    monkeypatch.setattr(cards_of_page, "make_templates", lambda record, lead_names, beats: made)


@pytest.fixture
def workspace(first, monkeypatch):
    """A window that shows them, whose templates are made."""
    opened = workspace_with(first)
    for module in (cards_of_page, labelling, view):
        monkeypatch.setattr(module, "current_workspace", lambda: opened)
    monkeypatch.setattr(cards_of_page.st, "session_state", {})
    cards_of_page._being_made(first).result(30)
    return opened


def shown(workspace):
    return workspace.analysis(workspace.current)


def sizes(workspace):
    return {name: len(index) for name, index in made_templates(shown(workspace)).members.items()}


def act(workspace, action, *names, **more):
    edit_templates(shown(workspace), {"action": action, "names": list(names), **more})
    return workspace.edits_of(workspace.current)


def data_of(at):
    """What the cards are drawn from."""
    sent = [json.loads(component.proto.json or "null") for component in at.get("bidi_component")]
    return next(data for data in sent if data and "cards" in data)


def test_the_pages_of_cards_show_every_beat_once_those_with_the_most_doubt_first(first):
    at = page("beats", workspace_with(first))
    assert not at.exception
    assert "sum of one minus the probability" in text_of(at)
    cards = data_of(at)["cards"]
    assert len(cards) == CARDS_A_PAGE
    at.button_group(key=study_key("cards 2", first.record.sha256)).set_value(CARDS_A_PAGE).run()
    cards += data_of(at)["cards"]
    assert sum(card["n"] for card in cards) == len(first.beats)
    assert [card["doubt"] for card in cards] == sorted((card["doubt"] for card in cards), reverse=True)
    assert cards[-1]["name"] == UNUSABLE


def test_distributions_stand_in_a_view_of_their_own(first):
    at = page("beats", workspace_with(first))
    assert not at.get("plotly_chart")
    at.button_group(key="beats_view").set_value(DISTRIBUTIONS).run()
    assert len(at.get("plotly_chart")) == 3
    assert all(chart.proto.alt and len(chart.proto.spec) < 1_000_000 for chart in at.get("plotly_chart"))


def test_one_act_labels_all_beats_of_templates_in_one_edit_and_undo_takes_it_back(first, workspace):
    before = sizes(workspace)
    index = made_templates(first).members["V1"]
    (edit,) = act(workspace, "label", "V1", label="N")
    assert isinstance(edit, LabelEdit)
    assert len(edit.labels) == before["V1"]
    assert set(shown(workspace).beats.label[index]) == {"N"}
    assert sizes(workspace) == before
    workspace.undo_edit(workspace.current)
    assert shown(workspace).beats.label[index].tolist() == ["V"] * before["V1"]


def test_a_class_of_a_template_is_not_given_to_its_beats_in_marked_artefact(first, workspace):
    index = made_templates(first).members["V1"]
    time_s = float(first.beats.time_s[index[3]])
    artefact = StretchEdit((Stretch(time_s - 0.3, time_s + 0.3),), analysable=False)
    workspace.add_edit(workspace.current, artefact)
    assert len(act(workspace, "label", "V1", label="N")[-1].labels) == len(index) - 1
    assert not shown(workspace).beats.usable[index[3]]
    workspace.add_edit(workspace.current, StretchEdit((Stretch(0.0, first.record.duration_s),), analysable=False))
    assert act(workspace, "label", "V1", label="V")[-1].kind == "stretch"
    assert "artefact" in cards_of_page.st.session_state[cards_of_page.MESSAGE]


def test_templates_are_merged_split_and_hidden_as_edits_and_undone(workspace):
    before = sizes(workspace)
    names = [name for name in before if name[0] in "NSV"][:2]
    merge = act(workspace, "merge", *names)[-1]
    assert (merge.action, merge.names) == ("merge", tuple(names))
    assert sizes(workspace)[names[0]] == before[names[0]] + before[names[1]]
    act(workspace, "hide", names[0])
    assert made_templates(shown(workspace)).hidden == (names[0],)
    act(workspace, "split", names[0], n_parts=2)
    assert len(sizes(workspace)) == len(before)
    for _ in range(3):
        workspace.undo_edit(workspace.current)
    assert sizes(workspace) == before


def test_what_is_no_beat_is_deleted_and_its_template_goes(workspace):
    before = sizes(workspace)
    (edit,) = act(workspace, "none", "V1")
    assert isinstance(edit, DeleteEdit)
    assert sizes(workspace) == {name: n for name, n in before.items() if name != "V1"}


def test_a_box_takes_beats_out_and_says_so_where_it_takes_all_or_none(first, made, workspace):
    index = made.members["N1"]
    level = made.waveform[index, 0].astype(float)
    level -= np.median(level, axis=1, keepdims=True)
    at_beat = level[:, np.searchsorted(OFFSET_S, 0)]
    box = {"lead": first.lead_names[0], "offset_s": [-0.001, 0.001], "mv": [float(np.median(at_beat)), 99.0]}
    act(workspace, "box", "N1", **box)
    assert 0 < sizes(workspace)["N1"] < len(index)
    n_edits = len(workspace.edits_of(workspace.current))
    assert len(act(workspace, "box", "V1", **{**box, "mv": [-99.0, 99.0]})) == n_edits
    assert "nothing was split" in cards_of_page.st.session_state[cards_of_page.MESSAGE]


@pytest.mark.parametrize(
    "asked",
    [
        {"action": "label", "names": ["V1"], "label": "X"},
        {"action": "split", "names": ["V1"], "n_parts": 10**9},
        {"action": "merge", "names": ["V1"]},
        {"action": "box", "names": ["V1"], "lead": "nowhere"},
        {"action": "delete everything", "names": ["V1"]},
        {"action": "none", "names": ["W9"]},
        {},
    ],
)
def test_what_a_browser_cannot_ask_for_changes_nothing(workspace, asked):
    edit_templates(shown(workspace), asked)
    assert workspace.edits_of(workspace.current) == ()


def test_the_beats_of_templates_are_opened_in_the_gallery(first, made, workspace):
    act(workspace, "step", "V1", "N1")
    index, title = cards_of_page.st.session_state[cards_of_page.OPENED]
    assert index.tolist() == sorted([*made.members["V1"], *made.members["N1"]])
    assert title == "Beats of V1, N1"


def test_a_label_on_the_page_is_undone_there(first):
    workspace = workspace_with(first)
    at = page("beats", workspace)
    workspace.add_edit(workspace.current, TemplateEdit("hide", ("N1",)))
    at.run()
    assert "N1" not in [card["name"] for card in data_of(at)["cards"]]
    button(at, "Undo").click().run()
    assert "N1" in [card["name"] for card in data_of(at)["cards"]]


def test_a_page_of_cards_of_three_leads_stays_below_half_a_megabyte(first, made):
    rng = np.random.default_rng(0)
    overlaid = rng.normal(0, 1, (60, 3, len(OFFSET_S))).astype(np.float32)
    (template, *_) = describe_templates(made, first.beats)
    template = replace(template, shape=Shape(overlaid.mean(axis=0), overlaid))
    data = template_cards([template] * CARDS_A_PAGE, ("II", "V1", "V5"))
    assert len(json.dumps(data)) < 500_000
    lines = np.frombuffer(base64.b64decode(data["cards"][0]["lines"]), dtype=np.uint8)
    low, high = data["low_mv"][0], data["high_mv"][0]
    first_line = low + (high - low) * lines[: len(OFFSET_S)] / N_LEVELS
    inside = (overlaid[0, 0] > low) & (overlaid[0, 0] < high)
    assert np.allclose(first_line[inside], overlaid[0, 0][inside], atol=(high - low) / N_LEVELS)
