"""The templates of the analysis that is shown: made in the background, drawn as cards, and edited by key."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import streamlit as st

from ecg_core.edits import DeleteEdit, TemplateEdit
from ecg_core.figures import Theme
from ecg_core.figures.template_cards import template_cards
from ecg_core.labels import CLASSES, COLOUR, NAME
from ecg_core.morphology.templates import (
    BeatTemplates,
    Template,
    beats_through_box,
    describe_templates,
    edited_templates,
    make_templates,
    marks_of,
)
from ecg_core.rhythm.editing import outside_artefact
from ecg_core.rules import RhythmRules
from ecg_core.schema import Analysis, Index

from .frame import guarded
from .gallery_verdicts import open_gallery
from .label_bar import redo_button, undo_button
from .labelling import set_labels
from .view import cached, study_key
from .workspace import current_workspace

HERE = Path(__file__).resolve().parent
POLL_S = 0.1
MOST_PARTS = 6
CARDS_A_PAGE = 24  # more would make a message of half a megabyte
KEY: Final = "template_cards"
MESSAGE, OPENED = "templates_message", "templates_opened"  # what a callback leaves for the next run
CLASS_BUTTONS: Final = "".join(
    f'<button name="{label}" title="Key {number}: label all beats of the selected templates {NAME[label].lower()}">'
    f"{label} <kbd>{number}</kbd></button>"
    for number, label in enumerate(CLASSES, 1)
)
PARTS: Final = "".join(f"<option>{n}</option>" for n in range(2, MOST_PARTS + 1))
HTML: Final = f"""<div class="bar">{CLASS_BUTTONS}
<button name="none" title="Key 0: what was taken for these beats is none">Not a beat <kbd>0</kbd></button>
<button name="merge" title="Key M: merge the selected templates into the first one">Merge <kbd>M</kbd></button>
<button name="split" title="Key S: split the selected template by shape">Split <kbd>S</kbd></button>
<select title="Number of parts of a split" aria-label="Number of parts of a split">{PARTS}</select>
<button name="hide" title="Key H: hide the selected templates, or show them again">Hide <kbd>H</kbd></button>
<button name="step" title="Key G: go through the beats of the selected templates">Gallery <kbd>G</kbd></button>
<span class="readout" role="status"></span></div>
<div class="grid" role="listbox" aria-multiselectable="true" aria-label="Templates of beats"></div>"""
CSS: Final = """
.bar { position: sticky; top: 0; z-index: 2; display: flex; flex-wrap: wrap; gap: 0.35rem; align-items: center;
  padding: 0.3rem 0; background: var(--st-background-color); font-family: var(--st-font); }
button, select { font: inherit; font-size: 0.85rem; padding: 0.25rem 0.6rem; border-radius: 0.375rem; cursor: pointer;
  color: var(--st-text-color); background: var(--st-background-color); border: 1px solid var(--st-border-color); }
select { padding: 0.25rem 0.2rem; }
button:hover { border-color: var(--st-primary-color); } button:disabled { opacity: 0.4; cursor: default; }
kbd { font: inherit; font-size: 0.72rem; opacity: 0.65; margin-left: 0.15rem; }
.readout { margin-left: 0.4rem; font-size: 0.85rem; font-variant-numeric: tabular-nums; color: var(--st-text-color); }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(215px, 1fr)); gap: 0.5rem;
  font-family: var(--st-font); color: var(--st-text-color); }
.card { border: 1px solid var(--st-border-color); border-radius: 0.375rem; padding: 0.3rem 0.5rem; cursor: pointer;
  min-width: 0; user-select: none; }
.card.selected { outline: 2px solid var(--st-primary-color); outline-offset: -1px; }
.card.at:not(.selected) { border-color: var(--st-primary-color); } .card.hidden { opacity: 0.5; }
.card canvas { width: 100%; height: 126px; display: block; touch-action: none; }
.head, .foot { display: flex; gap: 0.4rem; align-items: baseline; white-space: nowrap; font-size: 0.78rem; }
.head b { font-size: 1rem; } .head .class { overflow: hidden; text-overflow: ellipsis; opacity: 0.8; }
.head .n { margin-left: auto; font-weight: 600; font-variant-numeric: tabular-nums; }
.foot { justify-content: space-between; opacity: 0.8; font-variant-numeric: tabular-nums; }
.foot .share { overflow: hidden; text-overflow: ellipsis; }"""


@functools.cache
def _component() -> Callable[..., Any]:
    """The cards, which the browser draws."""
    js = (HERE / "template_cards.js").read_text(encoding="utf-8")
    component: Callable[..., Any] = st.components.v2.component("template_cards", html=HTML, css=CSS, js=js)
    return component


@functools.cache
def _background() -> ThreadPoolExecutor:
    """One thread of the server makes templates, one record after the other."""
    return ThreadPoolExecutor(1, thread_name_prefix="templates")


def _being_made(analysis: Analysis) -> Future[BeatTemplates]:
    """The templates of an analysis before all edits and by the default rules, so that nothing edited changes them."""
    workspace, record = current_workspace(), analysis.record
    shown = workspace.shown[record.sha256]
    unedited = shown._replace(rules=RhythmRules(), fitted_labels=())
    found = workspace.stored(unedited)
    if found is None:  # only the analysis that was fine-tuned to labels is there
        unedited = shown._replace(rules=RhythmRules())
        found = workspace.stored(unedited)
    base = analysis if found is None else found

    def begin() -> Future[BeatTemplates]:
        return _background().submit(make_templates, record, base.lead_names, base.beats)

    return cached("templates", unedited, begin)


def made_templates(analysis: Analysis) -> BeatTemplates | None:
    """The templates of the beats of an analysis, as the reader edited them; None while they are made."""
    being_made = _being_made(analysis)
    if not being_made.done():
        return None
    made, record, time_s = being_made.result(), analysis.record, analysis.beats.time_s
    edits = tuple(edit for edit in current_workspace().edits_of(record.sha256) if isinstance(edit, TemplateEdit))
    key = (being_made, edits, time_s.tobytes())
    return cached("edited templates", key, lambda: edited_templates(made, record, time_s, edits))


def wait_for_templates(analysis: Analysis) -> None:
    """Wait until the templates are made, then draw the page again; any click ends the waiting."""
    being_made = _being_made(analysis)
    while not being_made.done():
        time.sleep(POLL_S)
    st.rerun()


def draw_templates(analysis: Analysis, theme: Theme) -> None:
    """Draw the cards of an analysis, those with the most doubt first, and the choice of which are shown."""
    made = made_templates(analysis)
    if made is None:
        st.info("Sorting all beats into templates by their shape ...", icon=":material/hourglass:")
        return
    if message := st.session_state.pop(MESSAGE, ""):
        st.toast(message)
    if (opened := st.session_state.pop(OPENED, None)) is not None:
        open_gallery(analysis, *opened)
    described = cached("templates as counted", (made, analysis), lambda: describe_templates(made, analysis.beats))
    shown = _choose_shown(analysis, described)
    sha256 = analysis.record.sha256
    data = template_cards(shown, made.lead_names) | {
        "id": sha256, "colours": dict(COLOUR), "letters": dict(theme.letter), "theme": asdict(theme),
        "may_edit": current_workspace().may_edit(sha256),
    }  # fmt: skip
    _component()(key=KEY, data=data, on_act_change=functools.partial(guarded(_act), sha256))


def _choose_shown(analysis: Analysis, described: Sequence[Template]) -> list[Template]:
    """Draw the filters; return the templates of one page of cards."""
    sha256, n_hidden = analysis.record.sha256, sum(template.is_hidden for template in described)
    labels = [label for label in CLASSES if any(template.label == label for template in described)]
    with st.container(horizontal=True, vertical_alignment="center"):
        label = st.pills(
            "Class", labels, format_func=NAME.__getitem__, key=study_key("template_class", sha256),
            label_visibility="collapsed", persist_state="session", width="content",
        )  # fmt: skip
        with_hidden = n_hidden and st.toggle(
            f"Show hidden ({n_hidden})", key=study_key("with_hidden", sha256), persist_state="session"
        )
        chosen = [
            template for template in described
            if label in (None, template.label) and (with_hidden or not template.is_hidden)
        ]  # fmt: skip
        pages = range(0, len(chosen), CARDS_A_PAGE)
        first = 0
        if len(pages) > 1:
            names = {at: f"{at + 1}–{min(at + CARDS_A_PAGE, len(chosen))}" for at in pages}
            first = st.segmented_control(
                "Cards", list(names), format_func=names.__getitem__, default=0, required=True, width="content",
                key=study_key(f"cards {len(pages)}", sha256), label_visibility="collapsed",
            )  # fmt: skip
        undo_button(analysis)
        redo_button(analysis)
    return chosen[first : first + CARDS_A_PAGE]


def _act(sha256: str) -> None:
    """Do what was asked for in the browser; for callbacks."""
    act, workspace = st.session_state.get(KEY, {}).get("act"), current_workspace()
    if isinstance(act, dict) and workspace.current == sha256:
        edit_templates(workspace.analysis(sha256), act)


def edit_templates(analysis: Analysis, act: dict[str, Any]) -> None:
    """Edit the templates, or the beats of the templates, that ``act`` names; nothing that it holds is trusted."""
    made, workspace, sha256 = made_templates(analysis), current_workspace(), analysis.record.sha256
    if made is None:
        return
    names = tuple(name for name in act.get("names", ()) if name in made.members)
    if not names:
        return
    index, action = np.sort(np.concatenate([made.members[name] for name in names])), act.get("action")
    if action == "step":
        st.session_state[OPENED] = (index, f"Beats of {', '.join(names)}")
    elif action == "label" and act.get("label") in CLASSES:
        _label(analysis, index, str(act["label"]))
    elif action == "none":
        workspace.add_edit(sha256, DeleteEdit(tuple(analysis.beats.time_s[index].tolist())))
    elif action in ("merge", "hide", "show") and (action != "merge" or len(names) > 1):
        workspace.add_edit(sha256, TemplateEdit(action, names, times_s=marks_of(made, names)))
    elif action == "split" and act.get("n_parts") in range(2, MOST_PARTS + 1):
        workspace.add_edit(sha256, TemplateEdit("split", names[:1], n_parts=act["n_parts"]))
    elif action == "box" and act.get("lead") in made.lead_names:
        _split_by_box(analysis, made, names[0], act)


def _label(analysis: Analysis, index: Index, label: str) -> None:
    """Label beats of templates, but not those in artefact, which would count again."""
    counted = outside_artefact(analysis, index)
    set_labels(analysis, dict.fromkeys(counted.tolist(), label))
    if not len(counted):
        st.session_state[MESSAGE] = "All of these beats lie in what is marked as artefact: none was labelled."


def _split_by_box(analysis: Analysis, made: BeatTemplates, name: str, act: dict[str, Any]) -> None:
    """Take the beats that pass through a box out of a template."""
    (start_s, end_s), (low_mv, high_mv) = (map(float, act[key]) for key in ("offset_s", "mv"))
    members = made.members[name]
    found = beats_through_box(made, members, act["lead"], offset_s=(start_s, end_s), mv=(low_mv, high_mv))
    if 0 < len(found) < len(members):
        times_s = tuple(analysis.beats.time_s[found].tolist())
        current_workspace().add_edit(analysis.record.sha256, TemplateEdit("split", (name,), times_s=times_s))
    else:
        which = "All" if len(found) else "None"
        st.session_state[MESSAGE] = f"{which} of the beats of {name} pass through the box: nothing was split."
