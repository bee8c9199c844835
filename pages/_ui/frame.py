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
from ecg_core.errors import EcgError, RecordMovedError, StoreError
from ecg_core.files import typed_path
from ecg_core.schema import Analysis, Record
from ecg_core.studies.queue import CANCELLED, FAILED, INTERRUPTED, WAITING, Queued, leave_queue, queue
from ecg_core.studies.recordings import relocate
from ecg_core.text import plain_markdown

from . import streamlit_runtime
from .actions import (
    analyse_as_before,
    enter,
    follow_link,
    follow_study,
    open_demo,
    resume,
    work_without_store,
)
from .installed_models import installed_models
from .jobs import Job
from .messages import UNFORESEEN, error_parts
from .page_width import observe_width
from .stores import account_name
from .wording import plural
from .workspace import Workspace, current_workspace

P = ParamSpec("P")
R = TypeVar("R")

SIMULATED = "Simulated record"
ADDRESS_DIGITS = 16  # of a study's hash in the address of a page
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
.st-key-width { position: absolute; }
:is(.st-key-dangers, .st-key-statements), :is(.st-key-dangers, .st-key-statements) [data-testid="stVerticalBlock"] {
  gap: 0.3rem; }
:is(.st-key-dangers, .st-key-statements) [data-testid="stAlertContainer"] { padding: 0.3rem 0.8rem; min-height: 0; }
:is(.st-key-dangers, .st-key-statements) p { font-size: 0.9rem; }
.st-key-dangers [data-testid="stAlertContainer"] p { font-weight: 600; }
:is(.st-key-dangers, .st-key-statements) button { min-height: 0; padding: 0.2rem 0.8rem; }
.st-key-extremes { gap: 0.1rem 1.1rem; }
.st-key-extremes button { min-height: 0; padding: 0; }
.st-key-extremes button p { font-size: 0.85rem; text-decoration: underline; text-underline-offset: 0.2em; }
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
[data-testid="stElementContainer"]:has(.ecg-printed), .ecg-printed { display: none; }
[data-testid="stCaptionContainer"] { color: inherit !important; opacity: 0.75; }  /* texts of at least 4.5:1 */
[data-testid="stCaptionContainer"] * { color: inherit !important; }
kbd, [data-testid="stButtonGroup"] button[kind$="Active"] { color: inherit !important; opacity: 1 !important; }
@media print {
  @page { size: A4 landscape; margin: 10mm; }
  [data-testid="stSidebar"], [data-testid="stHeader"], [data-testid="stButton"], [data-testid="stDownloadButton"],
  [data-testid="stElementToolbar"], [data-testid="stFileUploader"], [data-testid="stPopover"],
  [class*="st-key-screen_only"] { display: none !important; }
  .st-key-extremes [data-testid="stButton"], [data-testid="stElementContainer"]:has(.ecg-printed) {
    display: block !important; }
  html, body, #root, [data-testid="stApp"], [data-testid="stAppViewContainer"], [data-testid="stMain"] {
    position: static !important; display: block !important; height: auto !important; overflow: visible !important; }
  p.ecg-printed { display: block; }
  [data-testid="stBottom"] { position: static !important; }
  [data-testid="stMain"] [data-testid="stVerticalBlock"], [data-testid="stMain"] [data-testid="stColumn"],
  [data-testid="stMain"] [data-testid="stLayoutWrapper"] { display: block; }
  [data-testid="stMain"] div:not(:has(canvas)) { overflow: visible !important; }
  .js-plotly-plot .main-svg:first-of-type { position: static !important; }  /* a wide figure shrinks the page */
  [data-testid="stPlotlyChart"], [data-testid="stDataFrame"], .ecg-card, .ecg-printed tr { break-inside: avoid; }
  h1, h2, h3 { break-after: avoid; }
  table.ecg-printed { display: table; border-collapse: collapse; font-size: 0.8rem; }
  .ecg-printed th, .ecg-printed td { border: 1px solid #9DB0BF; padding: 0.1rem 0.4rem; text-align: left;
    overflow-wrap: anywhere; }
}
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
    job, has_analysis = workspace.job_of(record.sha256), workspace.has_analysis(record.sha256)
    if job is not None and (wait or not has_analysis):
        heading(record.record_id, record)
        show_progress(job)
    if not has_analysis:
        heading(record.record_id, record)
        _offer_analysis(workspace, record)
    return workspace.analysis(record.sha256)


def _offer_analysis(workspace: Workspace, record: Record) -> NoReturn:
    """Say why there is no analysis yet, and end the page with a button that starts or resumes it."""
    stopped = _stopped(workspace)
    if stopped is not None:
        st.warning(plain_markdown(stopped_text(stopped)), icon=":material/warning:")
        st.button("Resume", type="primary", on_click=guarded(resume), args=(stopped,))
    else:
        earlier = workspace.study(record.sha256).model_name
        why = "was analysed by another version of this program" if earlier else "has not been analysed yet"
        st.info(f"This record {why}.", icon=":material/info:")
        st.button("Analyse", type="primary", on_click=guarded(analyse_as_before), args=(record,))
    st.stop()
    raise AssertionError


def _stopped(workspace: Workspace) -> Queued | None:
    """The analysis of the study that is shown, where it is in the queue and does not run."""
    if workspace.job_of(workspace.current) or workspace.job_of(workspace.current, beside=True) or workspace.unsaved:
        return None
    return next((one for one in queue(workspace.store) if one.record_sha256 == workspace.current), None)


def stopped_text(stopped: Queued) -> str:
    """Why an analysis in the queue does not run."""
    why = {
        CANCELLED: "was cancelled",
        INTERRUPTED: "was interrupted: the program ended before it was done",
        FAILED: f"failed: {stopped.problem}",
    }
    otherwise = "does not run in this server: another one may be at it"
    return f"The analysis of {stopped.record_id} {why.get(stopped.state, otherwise)}".rstrip(".") + "."


def draw_frame(*, with_stopped: bool = True) -> Workspace:
    """Draw what every page has; return the session's workspace.

    With ``with_stopped``, an analysis that was stopped of the study that is shown can be resumed.
    """
    if streamlit_runtime.leave_pages_directory() and "workspace" not in st.session_state:
        st.rerun()
    st.html(STYLE)
    try:
        workspace = enter()
    except StoreError as error:
        _offer_ephemeral(error)
    _follow_address(workspace)
    observe_width()
    with st.sidebar:
        with st.container():
            _pick_record(workspace)
        _reader(workspace)
    st.bottom.caption(f"{NOTICE} Version {__version__}, model {plain_markdown(_model_name(workspace))}.")
    with st.container():
        _draw_notices(workspace, with_stopped=with_stopped)
    return workspace


def _follow_address(workspace: Workspace) -> None:
    """Show the study that the address names, where a link or a reload put it there; else the address follows."""
    asked = st.query_params.get("study", "")
    if asked and asked != workspace.address:
        guarded(follow_study)(asked, st.query_params.get("record", ""), address_time_s() or 0.0)
    elif not asked and "record" in st.query_params:
        guarded(follow_link)(st.query_params["record"], address_time_s() or 0.0)
    workspace.address = workspace.current[:ADDRESS_DIGITS]
    if workspace.address != asked:
        if workspace.address:
            st.query_params["study"] = workspace.address
        elif "record" not in st.query_params:  # else the link waits for this very recording, not for one of its name
            st.query_params.pop("study", None)


def draw_again_if_noticed() -> None:
    """Draw the whole page again where something has to head it since it was drawn; for fragments, at their begin."""
    if st.session_state.get("noticed") != current_workspace().noticed:
        st.rerun()


def _draw_notices(workspace: Workspace, *, with_stopped: bool) -> None:
    """Draw what the reader has to know before anything else: what is not saved, and who else works on the study."""
    st.session_state["noticed"] = workspace.noticed
    if workspace.unsaved.problem:
        n, problem = len(workspace.unsaved), workspace.uploads.hide(workspace.unsaved.problem)
        what = f"{plural(n, 'change')} not saved yet" if n else "Nothing can be saved at present"
        st.error(plain_markdown(f"{what}: {problem}"), icon=":material/sync_problem:")
        st.button("Save now", on_click=guarded(workspace.refresh))
    if workspace.notice:
        st.warning(plain_markdown(workspace.notice), icon=":material/warning:")
        workspace.notice = ""
    for sha256, moved in list(workspace.moved.items())[:1]:
        _ask_place(workspace, sha256, moved)
    stopped = _stopped(workspace) if with_stopped and workspace.current else None
    if stopped and workspace.has_analysis(workspace.current):
        text, again, away = st.columns([6, 1, 1], vertical_alignment="center")
        text.warning(plain_markdown(stopped_text(stopped)), icon=":material/warning:")
        again.button("Resume", on_click=guarded(resume), args=(stopped,), width="stretch")
        away.button("Dismiss", on_click=guarded(leave_queue), args=(workspace.store, stopped.id), width="stretch")
    if workspace.current and workspace.is_signed(workspace.current):
        st.info("The report of this study is signed, and the study is locked.", icon=":material/lock:")
    if workspace.current and not workspace.holds(workspace.current):
        held = workspace.studies[workspace.current].hold
        text, button = st.columns([6, 1], vertical_alignment="center")
        who = plain_markdown(held.reader if held else "another reader")
        text.warning(
            f"This study is open for changes in another window, by {who}. You read along.", icon=":material/group:"
        )
        button.button(
            "Take over", on_click=guarded(workspace.take_over), args=(workspace.current,), width="stretch",
            help="The other window reads along from then on; what it saved stays",
        )  # fmt: skip


def _ask_place(workspace: Workspace, sha256: str, moved: RecordMovedError) -> None:
    """Ask where the recording of a study is now."""
    with st.form("moved", clear_on_submit=False):
        st.markdown(f":material/move_location: {plain_markdown(workspace.uploads.hide(str(moved)))}")
        field, button = st.columns([6, 1], vertical_alignment="bottom")
        field.text_input(
            "Where is it now?",
            key=f"moved_to {sha256}",
            placeholder="path of the file, or of the record without suffix",
        )
        button.form_submit_button("Open from there", on_click=guarded(_relocate), args=(sha256,), width="stretch")
    st.button("Leave it", key="leave_moved", on_click=_leave_moved, args=(sha256,), type="tertiary")


def _leave_moved(sha256: str) -> None:
    current_workspace().moved.pop(sha256, None)


def _relocate(sha256: str) -> None:
    place = st.session_state[f"moved_to {sha256}"].strip().strip('"')
    if place:
        workspace = current_workspace()
        relocate(workspace.store, sha256, typed_path(place), workspace.editor)
        workspace.open_study(sha256)


def _offer_ephemeral(error: StoreError) -> NoReturn:
    """Say why the studies cannot be opened, and end the page with a way to work without them."""
    st.title("The studies cannot be opened", anchor=False)
    st.error(plain_markdown(str(error)), icon=":material/error:")
    st.button("Try again", type="primary")
    st.button("Work without them: nothing will be kept", on_click=work_without_store)
    st.stop()
    raise AssertionError


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


def show_error(error: EcgError) -> None:
    """Show what is wrong, and how to mend it, each in a paragraph of its own."""
    hide = current_workspace().uploads.hide
    st.error("\n\n".join(plain_markdown(hide(part)) for part in error_parts(error)), icon=":material/error:")


def guarded(work: Callable[P, R]) -> Callable[P, R | None]:
    """The same function, with errors shown as sentences; never a traceback on the page."""

    @functools.wraps(work)
    def safely(*args: P.args, **kwargs: P.kwargs) -> R | None:
        try:
            return work(*args, **kwargs)
        except RecordMovedError:
            pass  # the frame asks where it is now
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
    button.button("Cancel", on_click=guarded(current_workspace().queue.cancel), args=(job,), width="stretch")
    while not job.finished:
        bar.progress(job.fraction_done, text=progress_text(job))
        job.wait(POLL_S)
    st.rerun()


def progress_text(job: Job) -> str:
    """What a job does, and how long it will take."""
    if job.stopping:
        return f"{plain_markdown(record_name(job.record))} stops after the part at work"
    if job.state == WAITING:
        return f"{plain_markdown(record_name(job.record))} waits for another analysis to end"
    if job.left_s is None:
        return f"Analysing {plain_markdown(record_name(job.record))} ..."
    name, left = plain_markdown(record_name(job.record)), duration_text(job.left_s)
    if job.fitted:
        return f"Fine-tuning to your labels of {name}, {left} left"
    return f"{name}: {duration_text(job.done_s)} of {duration_text(job.record.duration_s)}, {left} left"


def _pick_record(workspace: Workspace) -> None:
    """Draw the choice among the studies that are open in this window, or a way to open one."""
    if not workspace.records:
        st.caption("No study is open.")
        st.button("Open the demo record", on_click=guarded(open_demo), width="stretch", key="sidebar_demo")
        return
    open_ones = list(workspace.records)
    st.session_state["picked"] = workspace.current
    st.selectbox(
        "Study", open_ones, key="picked", format_func=lambda sha256: _study_name(workspace, sha256),
        on_change=lambda: _choose_record(workspace), help="The studies that are open in this window",
    )  # fmt: skip
    record = workspace.records[workspace.current]
    kind = f"{SIMULATED}, " if record.is_simulated else ""
    st.caption(
        f"{kind}{plural(len(record.lead_names), 'lead')}, {record.fs_hz:g} Hz, {duration_text(record.duration_s)}"
    )
    if st.button("All studies", icon=":material/list:", type="tertiary", key="all_studies"):
        st.switch_page("pages/studies.py")


def _study_name(workspace: Workspace, sha256: str) -> str:
    """Name of a record, with its patient where one is known."""
    patient = workspace.notes(sha256).patient.name
    name = workspace.records[sha256].record_id
    return f"{name}, {patient}" if patient else name


def _choose_record(workspace: Workspace) -> None:
    workspace.current = st.session_state["picked"]
    for name in ("record", "t"):
        st.query_params.pop(name, None)


def _reader(workspace: Workspace) -> None:
    """Draw who works here, under whose name every change is kept."""
    name = plain_markdown(workspace.editor.reader)
    with st.popover(f"Reader: {name}", icon=":material/person:", width="stretch", type="tertiary"):
        st.text_input(
            "Your name", value=workspace.editor.reader, key="reader_name", max_chars=80,
            on_change=lambda: workspace.set_reader(st.session_state["reader_name"].strip() or account_name()),
            help="Every change is kept under this name",
        )  # fmt: skip


def _model_name(workspace: Workspace) -> str:
    if workspace.current and (name := workspace.study(workspace.current).model_name):
        return name
    return next(iter(installed_models()), "not installed")


def _offer_records() -> NoReturn:
    """Draw ways to open a record, and end the page."""
    st.title("No study is open", anchor=False)
    linked = st.query_params.get("record")
    if linked:
        st.markdown(f"This link leads to the record **{plain_markdown(linked)}**: open it to see the linked time.")
    else:
        st.markdown("Choose a study on the page **Studies**, add a recording there, or open the bundled demo record.")
    with st.container(horizontal=True):
        st.button("Open the demo record", type="primary", on_click=guarded(open_demo))
        if st.button("Choose a study"):
            st.switch_page("pages/studies.py")
    st.stop()
    raise AssertionError
