"""The worklist: which studies there are, and what each row says."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import pandas as pd
import streamlit as st
from pandas.io.formats.style import Styler

from ecg_core.clock import elapsed_text
from ecg_core.rhythm.events import DANGERS, KIND_NAMES, SHORT_NAMES
from ecg_core.schema import Float64
from ecg_core.studies.queue import RUNNING, WAITING, queue
from ecg_core.studies.study import STATES, Study, count_studies, find_studies

from .figures import theme
from .printed import SCREEN_ONLY, printed
from .study_work import open_elsewhere
from .wording import NONE, plural
from .workspace import Workspace

PAGE: Final = 200  # studies drawn at first, and so many more with each click: the newest are those at work
QUEUED_NAMES: Final = {RUNNING: "analysing", WAITING: "waiting"}
ROW_PX, MAX_ROWS_SHOWN, HEADER_PX = 35, 9, 34  # of Streamlit's tables; more rows scroll inside
SELECTED, N_SHOWN, ORDER = "selected_studies", "n_studies_shown", "order_of_studies"  # in the session's state


@dataclass(frozen=True)
class Wanted:
    """Which studies the reader wants to see."""

    search: str = ""
    states: tuple[str, ...] = ()  # of any state where empty
    archived: bool = False


@dataclass(frozen=True)
class Worklist:
    """Studies that fit, the last edited first."""

    studies: tuple[Study, ...]
    n_fitting: int  # also those that are not drawn yet
    queued: Mapping[str, str]  # states of those in the queue, by sha256
    open_by: Mapping[str, str]  # readers in other windows, by sha256 of what they hold


def draw_filters() -> Wanted:
    """Draw the search field and the filters."""
    search, states, archived = st.columns([4, 4, 2], vertical_alignment="center")
    text = search.text_input(
        "Search", placeholder="Search for a record, a patient or a reader", label_visibility="collapsed",
        icon=":material/search:", key="search", persist_state="session",
    )  # fmt: skip
    chosen = states.pills(
        "State", STATES, selection_mode="multi", label_visibility="collapsed", key="states", persist_state="session"
    )
    return Wanted(
        text.strip(),
        tuple(chosen),
        archived.toggle("Archive", key="archive", persist_state="session", help="Shows the archived studies instead"),
    )


def find(workspace: Workspace, wanted: Wanted, n_shown: int) -> Worklist:
    """The newest studies that fit; a search looks in all of them."""
    store, filters = workspace.store, asdict(wanted)
    found, n_fitting = find_studies(store, **filters, limit=n_shown), count_studies(store, **filters)
    queued = {one.record_sha256: QUEUED_NAMES[one.state] for one in queue(store) if one.state in QUEUED_NAMES}
    shown = _in_place(found) if workspace.queue.jobs else tuple(found)
    st.session_state[ORDER] = tuple(study.record_sha256 for study in shown)
    return Worklist(shown, n_fitting, queued, open_elsewhere(workspace))


def _in_place(studies: Sequence[Study]) -> tuple[Study, ...]:
    """The same studies in the order in which they were drawn: while analyses end, no row moves below the pointer."""
    place = {sha256: number for number, sha256 in enumerate(st.session_state.get(ORDER, ()))}
    if place.keys() != {study.record_sha256 for study in studies}:
        return tuple(studies)
    return tuple(sorted(studies, key=lambda study: place[study.record_sha256]))


def worklist_table(worklist: Worklist) -> pd.DataFrame:
    """One row per study; the columns for patients and for other readers are there where they say something."""
    studies = worklist.studies
    table = pd.DataFrame(
        {
            "Name": [study.record_id for study in studies],
            "Patient": [study.patient_name for study in studies],
            "Date": [study.start[:10] or None for study in studies],
            "Length": [elapsed_text(study.duration_s) for study in studies],
            "Leads": [len(study.lead_names) for study in studies],
            "State": [worklist.queued.get(study.record_sha256, study.state) for study in studies],
            "PVC %": _numbers([study.pvc_pct for study in studies]),
            "SVE %": _numbers([study.sve_pct for study in studies]),
            "AF %": _numbers([study.af_pct for study in studies]),
            "Danger": [short_danger(study.danger) for study in studies],
            "Unlike": [unlike_text(study.unlike_pct) for study in studies],
            "Last edit": [datetime.fromisoformat(study.edited_at) for study in studies],
            "By": [study.edited_by for study in studies],
            "Open": [_open_text(worklist.open_by.get(study.record_sha256)) for study in studies],
        }
    )
    return table.drop(columns=[name for name in ("Patient", "Unlike", "Open") if not table[name].any()])


def _numbers(values: Sequence[float | None]) -> Float64:
    return np.array(values, dtype=np.float64)  # None becomes NaN


def _open_text(reader: str | None) -> str:
    return "" if reader is None else f"open: by {reader}"


def unlike_text(unlike_pct: float | None) -> str:
    """The share of doubtful beats of a recording that is unlike the training recordings."""
    return "" if unlike_pct is None else f"≠ {unlike_pct:.0f} %"


def short_danger(text: str) -> str:
    """The kind of danger that a study's line of the report names, in a word or two."""
    if not text:
        return ""
    return next((SHORT_NAMES[kind] for kind in DANGERS if text.startswith(KIND_NAMES[kind])), text.partition(":")[0])


def draw_worklist(worklist: Worklist) -> tuple[Study, ...]:
    """Draw the table; returns the studies that are selected in it.

    The key names the rows: a selection never passes on to other studies when the order changes.
    """
    studies = worklist.studies
    kept: tuple[str, ...] = st.session_state.get(SELECTED, ())
    before = [row for row, study in enumerate(studies) if study.record_sha256 in kept]
    table = worklist_table(worklist)
    with st.container(key=f"{SCREEN_ONLY}_studies"):
        picked = st.dataframe(
            _coloured(table), hide_index=True, key=table_key(studies), on_select="rerun",
            selection_mode="multi-row", selection_default={"selection": {"rows": before, "columns": [], "cells": []}},
            placeholder=NONE, height=HEADER_PX + ROW_PX * min(len(studies), MAX_ROWS_SHOWN), row_height=ROW_PX,
            column_config=_columns(),
        )  # fmt: skip
    printed(table)
    selected = tuple(studies[row] for row in sorted(picked.selection.rows) if row < len(studies))
    st.session_state[SELECTED] = tuple(study.record_sha256 for study in selected)
    n = worklist.n_fitting
    if n > len(studies):
        text, more = st.columns([6, 1], vertical_alignment="center")
        text.caption(f"The newest {len(studies):,} of {plural(n, 'study')} are shown; a search looks in all of them.")
        more.button("Show more", on_click=_show_more, args=(len(studies),), width="stretch")
    return selected


def table_key(studies: Sequence[Study]) -> str:
    """Key of the table with these rows."""
    names = "".join(study.record_sha256 for study in studies)
    return f"worklist{hashlib.sha256(names.encode()).hexdigest()[:12]}"


def n_shown() -> int:
    """How many studies are drawn at most."""
    return int(st.session_state.get(N_SHOWN, PAGE))


def _show_more(n: int) -> None:
    st.session_state[N_SHOWN] = n + PAGE


def _coloured(table: pd.DataFrame) -> Styler:
    red = f"color: {theme().danger}; font-weight: 600"
    styled = table.style.map(lambda text: red if text else "", subset=["Danger"])
    return styled.format(lambda text: f"▲ {text}" if text else "", subset=["Danger"])


def _columns() -> dict[str, Any]:
    of_beats = "of the beats in analysable signal"
    config = st.column_config
    return {
        "Date": config.TextColumn(help="When the recording began", width=86),
        "Length": config.TextColumn(help="Hours, minutes, seconds", width=72),
        "Leads": config.NumberColumn(width=50),
        "State": config.TextColumn(width=82),
        "PVC %": config.NumberColumn(format="%.1f", help=f"PVC burden, {of_beats}", width=58),
        "SVE %": config.NumberColumn(format="%.1f", help=f"SVE burden, {of_beats}", width=58),
        "AF %": config.NumberColumn(format="%.1f", help="AF burden, of the analysable time", width=52),
        "Danger": config.TextColumn(
            help="The most serious kind that was found; else how much is not analysable, where that is a fifth or more",
            width=118,
        ),
        "Unlike": config.TextColumn(
            help="Unlike the training recordings: so many beats are of doubtful class. Review a sample of them",
            width=62,
        ),
        "Last edit": config.DatetimeColumn(format="distance", width=110),
        "Open": config.TextColumn(help="Another window may change it; here you read along, or take over"),
    }
