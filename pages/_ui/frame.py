"""The frame of every page: heading, status line, sidebar, and how figures and errors are shown."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable, Sequence
from html import escape
from typing import Any, NoReturn, ParamSpec, TypeVar

import streamlit as st

from ecg_core import NOTICE, __version__
from ecg_core.clock import duration_text
from ecg_core.errors import EcgError
from ecg_core.figures import DARK, LIGHT, Theme
from ecg_core.labels import CLASSES, COLOUR, NAME
from ecg_core.schema import Analysis, Record
from ecg_core.text import plain_markdown

from .jobs import CALM_SENTENCE, Job
from .session import Workspace, current_workspace, installed_models, open_demo, show_error, start_analysis

P = ParamSpec("P")
R = TypeVar("R")

SIMULATED = "Simulated record"
POLL_S = 0.3  # how often the progress of an analysis is looked at

# Streamlit's own paddings are those of an article; a strip of 10 s at 25 mm/s has to fit beside the sidebar.
STYLE = """<style>
[data-testid="stHeader"] { height: 2.6rem; min-height: 0; background: transparent; pointer-events: none; }
[data-testid="stHeader"] * { pointer-events: auto; }
[data-testid="stMainBlockContainer"] { padding: 0.8rem 1rem 0.5rem; max-width: none; }
[data-testid="stMain"] [data-testid="stHeading"] * { margin: 0; }
[data-testid="stMain"] h1 { font-size: 1.4rem; padding: 0; }
[data-testid="stMain"] h2 { font-size: 1.1rem; padding: 0.4rem 0 0; }
[data-testid="stSidebar"][data-collapsed="false"] { width: 16.8rem !important; }
[data-testid="stSidebarNav"] { margin: 0; } [data-testid="stSidebarUserContent"] { padding-top: 0.5rem; }
[data-testid="stSidebarHeader"] { height: 2.6rem; margin: 0; }
[data-testid="stBottomBlockContainer"] { padding: 0.2rem 1rem 0.3rem; max-width: none; }
[data-testid="stBottomBlockContainer"] p { font-size: 0.8rem; }
[data-testid="stVerticalBlock"] { gap: 0.6rem; }
[data-testid="stButtonGroup"] button { min-height: 2.45rem; }
.ecg-cards { display: grid; grid-template-columns: repeat(6, minmax(0, 1fr)); gap: 0.6rem; }
.ecg-card { border: 1px solid color-mix(in srgb, currentColor 18%, transparent); border-radius: 0.375rem;
  padding: 0.5rem 0.8rem 0.55rem; }
.ecg-card.wide { grid-column: span 2; }
.ecg-card b { display: block; font-size: 1.5rem; line-height: 1.3; font-weight: 600;
  font-variant-numeric: tabular-nums; white-space: nowrap; }
.ecg-card span, .ecg-facts dt { font-size: 0.85rem; opacity: 0.75; }
.ecg-facts { display: grid; grid-template-columns: max-content 1fr; gap: 0.25rem 1rem; margin: 0; font-size: 0.9rem; }
dl.ecg-facts { padding: 0; align-items: baseline; }
.ecg-facts.figures { grid-template-columns: 1fr max-content; gap: 0.1rem 0.6rem; font-size: 0.85rem; }
.ecg-facts.figures dd { text-align: right; }
.ecg-facts dt, .ecg-facts dd { margin: 0; padding: 0; } .ecg-facts dd { font-variant-numeric: tabular-nums; }
</style>"""


def current_record() -> Record:
    """The record that is shown; draws the frame, and stops with a way to open one where none is open."""
    workspace = draw_frame()
    if not workspace.current:
        _say_empty()
    return workspace.records[workspace.current]


def current_analysis(*, wait: bool = True) -> Analysis:
    """The analysis that is shown; draws the frame, and stops with what to do where there is none yet.

    Where the record is being read anew, that is waited for; or not, if the page shows it itself.
    """
    record = current_record()
    workspace = current_workspace()
    job = workspace.reading(record.sha256)
    if job is not None and (wait or record.sha256 not in workspace.shown):
        heading(record.record_id, record)
        watch(job)
    if record.sha256 not in workspace.shown:
        heading(record.record_id, record)
        st.info("This record has not been analysed yet.", icon=":material/info:")
        st.button("Analyse", type="primary", on_click=guarded(start_analysis), args=(record,))
        st.stop()
    return workspace.analysis(record.sha256)


def draw_frame() -> Workspace:
    """Draw what every page has; return the session's workspace."""
    st.html(STYLE)
    workspace = current_workspace()
    if "record" in st.query_params:
        guarded(workspace.follow_link)(st.query_params["record"], address_time_s() or 0.0)
    with st.sidebar:
        _pick_record(workspace)
    st.bottom.caption(f"{NOTICE} Version {__version__}, model {_model_name(workspace)}.")
    if workspace.notice:
        st.warning(plain_markdown(workspace.notice), icon=":material/warning:")
        workspace.notice = ""
    return workspace


def address_time_s() -> float | None:
    """The moment that the address carries; None where it carries none."""
    try:
        time_s = float(st.query_params.get("t", "nan"))
    except ValueError:
        return None
    return time_s if math.isfinite(time_s) else None


def heading(title: str, record: Record) -> None:
    """Title of a page, with what is looked at."""
    simulated = f" :orange-badge[{SIMULATED}]" if record.is_simulated else ""
    st.title(f"{plain_markdown(title)}{simulated}", anchor=False)


def record_name(record: Record) -> str:
    """How a record is called in lists."""
    return f"{record.record_id} ({SIMULATED})" if record.is_simulated else record.record_id


def cards(entries: Sequence[tuple[str, str, str]]) -> None:
    """Label, value and note side by side; the last card is a wide one."""
    pieces = [
        f'<div class="ecg-card{" wide" if i == len(entries) else ""}"><span>{escape(label)}</span>'
        f"<b>{escape(value)}</b><span>{escape(note)}</span></div>"
        for i, (label, value, note) in enumerate(entries, 1)
    ]
    st.html(f'<div class="ecg-cards">{"".join(pieces)}</div>')


def facts(rows: Sequence[tuple[str, str]], *, look: str = "") -> None:
    """Names and values in two columns; with the look ``figures`` the values stand at the right edge."""
    pieces = [f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows]
    st.html(f'<dl class="ecg-facts {look}">{"".join(pieces)}</dl>')


def theme() -> Theme:
    """Neutral colours for figures on the theme that is on."""
    return DARK if st.context.theme.type == "dark" else LIGHT


def legend() -> None:
    """What the colours of the beats mean."""
    swatch = '<span style="color:{colour};font-weight:700">{label}</span>&nbsp;{name}'
    entries = [swatch.format(colour=COLOUR[label], label=label, name=NAME[label].lower()) for label in CLASSES]
    st.html(f'<div style="font-size:0.8rem;opacity:0.9">{" &ensp; ".join(entries)}</div>')


def show(figure: Any, key: str, *, alt: str, on_select: str | Callable[[], object] = "ignore", **options: Any) -> Any:
    """Draw a figure as it is, without plotly's tool bar.

    For every figure that a session ever drew, streamlit keeps what is called when something is selected in it, and with
    that all that the page knew, a whole analysis. So it is given a name alone, and the workspace holds the last of each.
    """
    if callable(on_select):
        current_workspace().on_select[key] = on_select
        on_select = functools.partial(_selected, key)
    config = {"displayModeBar": False}
    return st.plotly_chart(figure, key=key, theme=None, config=config, alt=alt, on_select=on_select, **options)


def _selected(key: str) -> None:
    """Do what is to be done when something is selected in a figure; nothing where its record was closed."""
    act = current_workspace().on_select.get(key)
    if act is not None:
        act()


def guarded(work: Callable[P, R]) -> Callable[P, R | None]:
    """Turn what can go wrong into sentences; never a traceback on the page."""

    @functools.wraps(work)
    def safely(*args: P.args, **kwargs: P.kwargs) -> R | None:
        try:
            return work(*args, **kwargs)
        except EcgError as error:
            show_error(error)
        except Exception:  # the last one before the reader's eyes
            logging.getLogger(__name__).exception("%s", work)
            st.error(CALM_SENTENCE, icon=":material/error:")
        return None

    return safely


def watch(job: Job) -> None:
    """Show the progress of an analysis, the time left and a way to stop it; at its end the page is drawn anew.

    One run that waits, and no fragment that runs again and again: streamlit collects garbage after every run, which
    would hold up the analysis. Any click ends the waiting.
    """
    progress, button = st.columns([6, 1], vertical_alignment="bottom")
    bar = progress.empty()
    button.button("Cancel", on_click=job.cancel, width="stretch")
    while not job.finished:
        bar.progress(job.share, text=_progress_text(job))
        job.wait(POLL_S)
    st.rerun()


def _progress_text(job: Job) -> str:
    if job.left_s is None:
        return f"Reading {plain_markdown(record_name(job.record))} ..."
    length_s = job.record.duration_s
    if job.fitted:
        return f"Learning from your labels, {duration_text(job.left_s)} left"
    return f"{duration_text(job.done_s)} of {duration_text(length_s)}, {duration_text(job.left_s)} left"


def _pick_record(workspace: Workspace) -> None:
    """Choice among the open records; the way to open one where there is none."""
    if not workspace.records:
        st.caption("No record is open.")
        st.button("Open the demo record", on_click=guarded(open_demo), width="stretch", key="sidebar_demo")
        return
    open_ones = list(workspace.records)
    st.session_state["picked"] = workspace.current
    st.selectbox(
        "Record", open_ones, key="picked", format_func=lambda sha256: workspace.records[sha256].record_id,
        on_change=lambda: _choose(workspace),
    )  # fmt: skip
    record = workspace.records[workspace.current]
    kind = f"{SIMULATED}, " if record.is_simulated else ""
    st.caption(f"{kind}{len(record.lead_names)} leads, {record.fs_hz:g} Hz, {duration_text(record.duration_s)}")


def _choose(workspace: Workspace) -> None:
    workspace.current = st.session_state["picked"]
    st.query_params.clear()


def _model_name(workspace: Workspace) -> str:
    key = workspace.shown.get(workspace.current)
    if key:
        return workspace.analyses[key].model.name
    return next(iter(installed_models()), "not installed")


def _say_empty() -> NoReturn:
    """Say how to begin, and end the page."""
    st.title("No record is open", anchor=False)
    linked = st.query_params.get("record")
    if linked:
        st.markdown(
            f"This link leads to the record **{plain_markdown(linked)}**: open it, and its moment will be shown."
        )
    else:
        st.markdown("Open the bundled demo record, or choose one of your own on the page **Record**.")
    with st.container(horizontal=True):
        st.button("Open the demo record", type="primary", on_click=guarded(open_demo))
        if st.button("Choose a record"):
            st.switch_page("pages/record.py")
    st.stop()
    raise AssertionError
