"""Empties the workspaces of readers who have left, also of the last one.

Streamlit keeps the session of a disconnected reader for a while, so that a reader whose connection broke finds
everything as it was. After that time nobody can return to the session, but Streamlit frees it only when another session
ends, and the last one never.
"""

from __future__ import annotations

import gc
import logging
import threading
import time
import weakref
from collections.abc import Callable
from typing import Protocol

import streamlit as st

from . import engine, streamlit_runtime

CHECK_EVERY_S = 5.0


class Emptiable(Protocol):
    """A workspace, as far as the clean-up knows it."""

    def empty(self) -> None:
        """Forget everything."""
        ...

    def stay(self) -> None:
        """Note that its reader is still there."""
        ...


class SessionCleanup:
    """Workspaces by the session of their reader, and since when each reader is disconnected."""

    def __init__(self) -> None:
        self._workspaces: dict[str, weakref.ref[Emptiable]] = {}
        self._disconnected_at_s: dict[str, float] = {}

    def add(self, session_id: str, workspace: Emptiable) -> None:
        """Empty a workspace once its reader has left for good."""
        self._workspaces[session_id] = weakref.ref(workspace)

    def sweep(self, is_connected: Callable[[str], bool], now_s: float, *, keep_s: float) -> int:
        """Empty the workspaces whose readers are disconnected for longer than ``keep_s``; return how many those are."""
        n_left = 0
        for session_id, reference in list(self._workspaces.items()):
            if is_connected(session_id):
                self._disconnected_at_s.pop(session_id, None)
                if (connected := reference()) is not None:
                    _guarded(connected.stay)
            elif now_s - self._disconnected_at_s.setdefault(session_id, now_s) > keep_s:
                del self._workspaces[session_id], self._disconnected_at_s[session_id]
                n_left += 1
                workspace = reference()
                if workspace is not None:
                    _guarded(workspace.empty)
        return n_left


def _guarded(work: Callable[[], None]) -> None:
    """Do the work of one session; what goes wrong in it does not stop that of the others."""
    try:
        work()
    except Exception:  # nobody else handles the errors of a thread
        logging.getLogger(__name__).exception("the clean-up of a session")


@st.cache_resource(show_spinner=False)
def session_cleanup() -> SessionCleanup:
    """The clean-up of this server; its thread starts with the first session."""
    cleanup = SessionCleanup()
    threading.Thread(target=_sweep_forever, args=(cleanup,), daemon=True).start()
    return cleanup


def _sweep_forever(cleanup: SessionCleanup) -> None:
    while True:
        time.sleep(CHECK_EVERY_S)
        try:
            if streamlit_runtime.is_running():
                keep_s = float(st.get_option("server.disconnectedSessionTTL"))
                if cleanup.sweep(streamlit_runtime.is_connected, time.monotonic(), keep_s=keep_s):
                    _free_memory()
        except Exception:  # nobody else handles the errors of a thread
            logging.getLogger(__name__).exception("emptying the workspaces of readers who have left")


def _free_memory() -> None:
    """Collect garbage: Streamlit does so after each run of a page, and after the last reader no run follows."""
    gc.collect()
    engine.release_memory()
