"""The queue of analyses on the page Studies: what runs, waits or was stopped."""

from __future__ import annotations

from typing import Final

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ecg_core.studies.queue import FAILED, Queued, leave_queue, queue
from ecg_core.text import plain_markdown

from .actions import resume
from .frame import POLL_S, guarded, progress_text, stopped_text
from .jobs import Job
from .study_work import resume_all
from .workspace import Workspace

SHOWN_ROWS: Final = 5  # more of them scroll
ROW_PX: Final = 58

Bars = dict[Job, DeltaGenerator]


def draw_queue(workspace: Workspace) -> Bars:
    """Draw the queue, nothing where it is empty; returns where the progress of each job is drawn.

    Every job is drawn, also one that is no longer in the stored queue: the page waits until these jobs change.
    """
    jobs = workspace.queue.jobs
    drawn = {job.queued_id for job in jobs}
    stopped = [row for row in queue(workspace.store) if row.id not in drawn]
    n_drawn = len(jobs) + len(stopped)
    if not n_drawn:
        return {}
    st.header(f"Queue ({n_drawn})", anchor=False)
    if len(stopped) > 1:
        st.button(
            "Resume all", on_click=guarded(resume_all), args=(stopped,), icon=":material/play_arrow:",
            help="Starts all analyses again that were stopped",
        )  # fmt: skip
    many = n_drawn > SHOWN_ROWS
    with st.container(height=ROW_PX * SHOWN_ROWS if many else "content", border=many, key="queue"):
        bars = {job: _draw_job(workspace, job) for job in jobs}
        for row in stopped:
            _draw_stopped(workspace, row)
    return bars


def await_queue(workspace: Workspace, bars: Bars) -> None:
    """Show the progress until an analysis ends, when the page is drawn again; any click ends the waiting.

    This run waits, instead of a fragment that runs repeatedly; see ``frame.show_progress``.
    """
    if not bars:
        return
    while set(workspace.queue.jobs) == set(bars):
        for job, bar in bars.items():
            bar.progress(job.fraction_done, text=progress_text(job))
        next(iter(bars)).wait(POLL_S)
    st.rerun()


def _draw_job(workspace: Workspace, job: Job) -> DeltaGenerator:
    progress, button = st.columns([6, 1], vertical_alignment="bottom")
    bar = progress.empty()
    bar.progress(job.fraction_done, text=progress_text(job))
    button.button(
        "Cancel", on_click=guarded(workspace.queue.cancel), args=(job,), disabled=job.stopping, width="stretch",
        key=f"cancel{job.queued_id}",
    )  # fmt: skip
    return bar


def _draw_stopped(workspace: Workspace, row: Queued) -> None:
    text, again, away = st.columns([5, 1, 1], vertical_alignment="center")
    icon = ":red[:material/error:]" if row.state == FAILED else ":orange[:material/pause_circle:]"
    text.markdown(f"{icon} {plain_markdown(workspace.uploads.hide(stopped_text(row)))}")
    again.button("Resume", on_click=guarded(resume), args=(row,), width="stretch", key=f"resume{row.id}")
    away.button(
        "Dismiss", on_click=guarded(leave_queue), args=(workspace.store, row.id), width="stretch", key=f"leave{row.id}"
    )
