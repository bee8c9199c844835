"""The frame of every page: title, sidebar and status line, and how facts, progress and errors are shown."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable, Sequence
from html import escape
from typing import NoReturn, ParamSpec, TypeVar

import streamlit as st

from ecg_core import NOTICE, __version__
from ecg_core.clock import duration_text
from ecg_core.errors import EcgError
from ecg_core.labels import CLASSES, COLOUR, NAME
from ecg_core.schema import Analysis, Record
from ecg_core.text import plain_markdown

from .actions import enter, follow_link, open_demo, start_analysis
from .installed_models import installed_models
from .jobs import Job
from .messages import UNFORESEEN, error_message
from .wording import plural
from .workspace import Workspace, current_workspace

P = ParamSpec("P")
R = TypeVar("R")

SIMULATED = "Simulated record"
POLL_S = 0.3  # between two updates of the progress bar

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
.st-key-dangers, .st-key-dangers [data-testid="stVerticalBlock"] { gap: 0.3rem; }
.st-key-dangers [data-testid="stAlertContainer"] { padding: 0.3rem 0.8rem; min-height: 0; }
.st-key-dangers [data-testid="stAlertContainer"] p { font-weight: 600; font-size: 0.9rem; }
.st-key-dangers button { min-height: 0; padding: 0.2rem 0.8rem; }
.ecg-cards { display: grid; grid-template-columns: repeat(6, minmax(0, 1fr)); gap: 0.6rem; }
.ecg-card { border: 1px solid color-mix(in srgb, currentColor 18%, transparent); border-radius: 0.375rem;
  padding: 0.5rem 0.8rem 0.55rem; }
.ecg-card.wide { grid-column: span 2; }
.ecg-card b { display: block; font-size: 1.5rem; line-height: 1.3; font-weight: 600;
  font-variant-numeric: tabular-nums; white-space: nowrap; }
.ecg-card span, .ecg-facts dt { font-size: 0.85rem; opacity: 0.75; }
.ecg-facts { display: grid; grid-template-columns: max-content 1fr; gap: 0.25rem 1rem; margin: 0; font-size: 0.9rem; }
dl.ecg-facts { padding: 0; align-items: baseline; }
.ecg-facts.figures { grid-template-columns: 1fr fit-content(70%); gap: 0.1rem 0.6rem; font-size: 0.85rem; }
.ecg-facts.figures dd { text-align: right; }
.ecg-facts.wide { grid-template-columns: repeat(3, 1fr fit-content(23%)); column-gap: 1.2rem; }
.ecg-facts dt, .ecg-facts dd { margin: 0; padding: 0; } .ecg-facts dd { font-variant-numeric: tabular-nums; }
</style>"""


def current_record() -> Record:
    """The record that is shown; draws the frame, and ends the page with ways to open one where none is open."""
    workspace = draw_frame()
    if not workspace.current:
        _offer_records()
    return workspace.records[workspace.current]


def current_analysis(*, wait: bool = True) -> Analysis:
    """The analysis that is shown; draws the frame, and ends the page with a button where there is none yet.

    While the record is analysed again, the page waits for the new analysis; with ``wait=False`` it shows the present
    one, and draws the progress itself.
    """
    record = current_record()
    workspace = current_workspace()
    job = workspace.job_of(record.sha256)
    if job is not None and (wait or record.sha256 not in workspace.shown):
        heading(record.record_id, record)
        show_progress(job)
    if record.sha256 not in workspace.shown:
        heading(record.record_id, record)
        st.info("This record has not been analysed yet.", icon=":material/info:")
        st.button("Analyse", type="primary", on_click=guarded(start_analysis), args=(record,))
        st.stop()
    return workspace.analysis(record.sha256)


def draw_frame() -> Workspace:
    """Draw what every page has; return the session's workspace."""
    st.html(STYLE)
    workspace = enter()
    if "record" in st.query_params:
        guarded(follow_link)(st.query_params["record"], address_time_s() or 0.0)
    with st.sidebar:
        _pick_record(workspace)
    st.bottom.caption(f"{NOTICE} Version {__version__}, model {_model_name(workspace)}.")
    if workspace.notice:
        st.warning(plain_markdown(workspace.notice), icon=":material/warning:")
        workspace.notice = ""
    return workspace


def address_time_s() -> float | None:
    """The time in the address of the page; None where it has none."""
    try:
        time_s = float(st.query_params.get("t", "nan"))
    except ValueError:
        return None
    return time_s if math.isfinite(time_s) else None


def heading(title: str, record: Record) -> None:
    """Title of a page; a simulated record has a badge."""
    simulated = f" :orange-badge[{SIMULATED}]" if record.is_simulated else ""
    st.title(f"{plain_markdown(title)}{simulated}", anchor=False)


def record_name(record: Record) -> str:
    """Name of a record in a sentence."""
    return f"{record.record_id} ({SIMULATED})" if record.is_simulated else record.record_id


def cards(entries: Sequence[tuple[str, str, str]]) -> None:
    """Label, value and note side by side; the last card is a wide one."""
    pieces = [
        f'<div class="ecg-card{" wide" if i == len(entries) else ""}"><span>{escape(label)}</span>'
        f"<b>{escape(value)}</b><span>{escape(note)}</span></div>"
        for i, (label, value, note) in enumerate(entries, 1)
    ]
    st.html(f'<div class="ecg-cards">{"".join(pieces)}</div>')


def facts(rows: Sequence[tuple[str, str]], *, style: str = "") -> None:
    """Names and values in two columns; in the style ``figures`` the values stand at the right edge."""
    pieces = [f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows]
    st.html(f'<dl class="ecg-facts {style}">{"".join(pieces)}</dl>')


def legend() -> None:
    """Draw the classes of beats with their colours."""
    swatch = '<span style="color:{colour};font-weight:700">{label}</span>&nbsp;{name}'
    entries = [swatch.format(colour=COLOUR[label], label=label, name=NAME[label].lower()) for label in CLASSES]
    st.html(f'<div style="font-size:0.8rem;opacity:0.9">{" &ensp; ".join(entries)}</div>')


def show_error(error: EcgError) -> None:
    """Show what is wrong, and how to mend it."""
    message = current_workspace().uploads.hide(error_message(error))
    st.error(plain_markdown(message), icon=":material/error:")


def guarded(work: Callable[P, R]) -> Callable[P, R | None]:
    """The same function, with errors shown as sentences; never a traceback on the page."""

    @functools.wraps(work)
    def safely(*args: P.args, **kwargs: P.kwargs) -> R | None:
        try:
            return work(*args, **kwargs)
        except EcgError as error:
            show_error(error)
        except Exception:  # whatever is left, the reader need not see its traceback
            logging.getLogger(__name__).exception("%s", work)
            st.error(UNFORESEEN, icon=":material/error:")
        return None

    return safely


def show_progress(job: Job) -> None:
    """Show the progress of an analysis, the time left and a button to cancel it; at its end the page is drawn again.

    This run waits, instead of a fragment that runs repeatedly: Streamlit collects garbage after every run, which would
    delay the analysis. Any click ends the waiting.
    """
    progress, button = st.columns([6, 1], vertical_alignment="bottom")
    bar = progress.empty()
    button.button("Cancel", on_click=job.cancel, width="stretch")
    while not job.finished:
        bar.progress(job.fraction_done, text=_progress_text(job))
        job.wait(POLL_S)
    st.rerun()


def _progress_text(job: Job) -> str:
    if job.left_s is None:
        return f"Analysing {plain_markdown(record_name(job.record))} ..."
    length_s = job.record.duration_s
    if job.fitted:
        return f"Fine-tuning to your labels, {duration_text(job.left_s)} left"
    return f"{duration_text(job.done_s)} of {duration_text(length_s)}, {duration_text(job.left_s)} left"


def _pick_record(workspace: Workspace) -> None:
    """Draw the choice among the open records, or a way to open one."""
    if not workspace.records:
        st.caption("No record is open.")
        st.button("Open the demo record", on_click=guarded(open_demo), width="stretch", key="sidebar_demo")
        return
    open_ones = list(workspace.records)
    st.session_state["picked"] = workspace.current
    st.selectbox(
        "Record", open_ones, key="picked", format_func=lambda sha256: workspace.records[sha256].record_id,
        on_change=lambda: _choose_record(workspace),
    )  # fmt: skip
    record = workspace.records[workspace.current]
    kind = f"{SIMULATED}, " if record.is_simulated else ""
    st.caption(
        f"{kind}{plural(len(record.lead_names), 'lead')}, {record.fs_hz:g} Hz, {duration_text(record.duration_s)}"
    )


def _choose_record(workspace: Workspace) -> None:
    workspace.current = st.session_state["picked"]
    st.query_params.clear()


def _model_name(workspace: Workspace) -> str:
    key = workspace.shown.get(workspace.current)
    if key:
        return workspace.analyses[key].model.name
    return next(iter(installed_models()), "not installed")


def _offer_records() -> NoReturn:
    """Draw ways to open a record, and end the page."""
    st.title("No record is open", anchor=False)
    linked = st.query_params.get("record")
    if linked:
        st.markdown(f"This link leads to the record **{plain_markdown(linked)}**: open it to see the linked time.")
    else:
        st.markdown("Open the bundled demo record, or choose one of your own on the page **Record**.")
    with st.container(horizontal=True):
        st.button("Open the demo record", type="primary", on_click=guarded(open_demo))
        if st.button("Choose a record"):
            st.switch_page("pages/record.py")
    st.stop()
    raise AssertionError
