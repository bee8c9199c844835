"""All findings of a kind, or all beats of a class, as small strips that are accepted or corrected by key."""

from functools import partial

import numpy as np
import streamlit as st

from ecg_core.figures.gallery import GallerySource
from ecg_core.labels import CLASSES
from ecg_core.rhythm.events import MOST_SERIOUS_FIRST
from ecg_core.rhythm.reviewing import (
    BEAT_ORDERS,
    BEATS,
    BY_LENGTH,
    BY_PROBABILITY,
    BY_RATE,
    BY_TIME,
    EVENT_ORDERS,
    ReviewItems,
    beat_items,
    kind_name,
    kinds_found,
    ordered,
    review_items,
    reviewed,
)
from ecg_core.schema import Analysis, Record, Text
from pages._ui.frame import current_analysis, draw_again_if_noticed, guarded, heading
from pages._ui.gallery import choose_first, choose_layout, draw_gallery
from pages._ui.gallery_verdicts import (
    KEY,
    OPENED_KIND,
    kind_key,
    lock_reason,
    opened_beats,
    take_verdict,
    verdict_groups,
)
from pages._ui.tables import no_finding_text
from pages._ui.view import cached, counted, uncounted
from pages._ui.wording import plural
from pages._ui.workspace import current_workspace

ORDER_NAMES = {
    BY_TIME: "Time", BY_LENGTH: "Longest first", BY_RATE: "Fastest first", BY_PROBABILITY: "Least probable first",
}  # fmt: skip
KEYS = (
    "Arrow keys choose a strip, Shift with an arrow key or Space several; Enter opens it in Review, Page Up and Page "
    "Down turn the page, Escape chooses one again."
)


def choose_kind(analysis: Analysis) -> str:
    """Draw the choice among the kinds that were found."""
    found = cached("gallery_kinds", analysis, lambda: kinds_found(analysis))
    key, opened = kind_key(analysis.record), opened_beats(analysis)
    chosen = chosen_kind(key, opened[0] if opened else "")
    if chosen in MOST_SERIOUS_FIRST or chosen in CLASSES:
        found = {**found, chosen: found.get(chosen, 0)}  # stays when its last one is gone: no key hits another kind
    names = {kind: counted(kind_name(kind), n) for kind, n in found.items()}
    if opened is not None:
        names = {OPENED_KIND: counted(opened[0], len(opened[1])), **names}
    if not names:
        st.caption(no_finding_text(analysis))
        st.stop()
    if chosen in names:
        st.session_state[key] = chosen  # though its count may have changed
    return st.selectbox(
        "Findings", list(names), key=key, format_func=names.__getitem__, persist_state="session", width=330,
        label_visibility="collapsed", on_change=choose_first, args=(KEY, analysis.record),
    )  # fmt: skip


def chosen_kind(key: str, opened_title: str) -> str:
    """The kind that was chosen last, also where a busy browser sends its option with an earlier count."""
    chosen = str(st.session_state.get(key, ""))
    name = uncounted(chosen)
    if name and name == opened_title:
        return OPENED_KIND
    return next((kind for kind in (*MOST_SERIOUS_FIRST, *CLASSES) if kind_name(kind) == name), chosen)


def choose_items(analysis: Analysis, kind: str, order: str) -> tuple[ReviewItems, Text | None]:
    """What is gone through in which order, and the classes of all beats before a change."""
    if kind == OPENED_KIND and (opened := opened_beats(analysis)) is not None:
        _title, beats, before = opened
        items = beat_items(analysis, beats)  # made anew: other beats may have been opened since
        return (items if order == BY_TIME else ordered(analysis, items, order)), before
    key = (analysis, kind, order)
    return cached("gallery_items", key, lambda: ordered(analysis, review_items(analysis, kind), order)), None


@st.fragment
@guarded
def viewer(record: Record) -> None:
    """The choice of findings, and their strips; a verdict or another page redraws these and nothing else."""
    draw_again_if_noticed()
    workspace, sha256 = current_workspace(), record.sha256
    analysis = workspace.analysis(sha256)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        kind = choose_kind(analysis)
        orders = EVENT_ORDERS if len(kind) > 1 and kind != OPENED_KIND else BEAT_ORDERS
        order = st.selectbox(
            "Order", orders, key=f"gallery_order {len(orders)} {orders[1]}", format_func=ORDER_NAMES.__getitem__,
            persist_state="session", width=190, label_visibility="collapsed", on_change=choose_first,
            args=(KEY, record),
        )  # fmt: skip
        layout = choose_layout(analysis, KEY)
        only_new = st.toggle(
            "Not reviewed yet", key="gallery_new", persist_state="session", on_change=choose_first, args=(KEY, record)
        )
    items, before = choose_items(analysis, kind, order)
    edits = workspace.edits_of(sha256)
    done = reviewed(analysis, items, edits)
    n_in_report = len(workspace.notes(sha256).strips)
    in_report = f", {plural(n_in_report, 'strip')} in the report" if n_in_report else ""
    note = f"{int(done.sum()):,} of {len(items):,} reviewed{in_report}"
    if only_new:
        items, done = items.only(~done), np.zeros(int((~done).sum()), dtype=bool)
    if not len(items):
        st.info("All of these are reviewed." if only_new else "None of these is left.", icon=":material/check_circle:")
    name = kind_name(kind) if kind != OPENED_KIND else "Chosen beats"
    source = GallerySource(analysis, items, name, done, layout.lead, layout.scale, before)
    groups = verdict_groups(
        BEATS if items.kind == BEATS else kind, can_undo=bool(edits), can_redo=bool(workspace.studies[sha256].redoable)
    )
    draw_gallery(
        KEY, source, groups, partial(take_verdict, source), per_page=layout.per_page,
        locked=lock_reason(workspace, sha256), note=note,
    )  # fmt: skip
    st.caption(KEYS)


analysis = current_analysis()
heading(f"Gallery of {analysis.record.record_id}", analysis.record)
viewer(analysis.record)
