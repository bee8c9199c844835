"""How a page waits: it draws what goes on until something ends, and keeps nothing on the screen that is gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import wraps
from typing import ParamSpec

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ecg_core.errors import EcgError

from .frame import POLL_S, guarded
from .messages import error_message
from .workspace import current_workspace

P = ParamSpec("P")
Wait = Callable[[], bool]  # draws how far something is; whether it still goes on as it was drawn


def await_changes(waits: Sequence[Wait]) -> None:
    """Show the progress until something ends, when the page is drawn again; any click ends the waiting.

    This run waits, instead of a fragment that runs repeatedly; see ``frame.show_progress``.
    """
    if not waits:
        return
    while all(wait() for wait in waits):
        time.sleep(POLL_S)
    st.rerun()


def part(*, shown: bool) -> DeltaGenerator:
    """A place on the page. Where nothing is shown in it, what was there before goes at once.

    Streamlit removes what a run has not drawn again only at the end of the run, and a run that waits has none.
    """
    return st.container() if shown else st.empty()


def noted(work: Callable[P, object]) -> Callable[P, None]:
    """The same callback, whose error heads the page: drawn by the callback itself, it would move every part by one."""

    @wraps(work)
    def safely(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            work(*args, **kwargs)
        except EcgError as error:
            workspace = current_workspace()
            workspace.notice = workspace.uploads.hide(error_message(error))

    return guarded(safely)
