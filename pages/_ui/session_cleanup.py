"""A reader who has left: what was open goes soon after, also when nobody comes after them.

Streamlit keeps a session for a while, so that a reader whose connection broke finds all as it was. Past that time no
reader can come back to it; but it is let go only when another one ends, and the last one never.
"""

from __future__ import annotations

import gc
import logging
import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

if TYPE_CHECKING:
    from .session import Workspace

LOOK_S = 5.0  # from look to look


class SessionCleanup:
    """Rooms by the session of their reader, and since when a reader is away."""

    def __init__(self) -> None:
        self._rooms: dict[str, weakref.ref[Workspace]] = {}
        self._away_since_s: dict[str, float] = {}

    def add(self, session_id: str, workspace: Workspace) -> None:
        """Empty a workspace when its reader has left for good."""
        self._rooms[session_id] = weakref.ref(workspace)

    def look(self, is_here: Callable[[str], bool], now_s: float, *, kept_s: float) -> int:
        """Empty the rooms whose readers are away for longer than ``kept_s``; return how many these are."""
        n_left = 0
        for session_id, found in list(self._rooms.items()):
            if is_here(session_id):
                self._away_since_s.pop(session_id, None)
            elif now_s - self._away_since_s.setdefault(session_id, now_s) > kept_s:
                del self._rooms[session_id], self._away_since_s[session_id]
                n_left += 1
                workspace = found()
                if workspace is not None:
                    workspace.empty()
        return n_left


def session_id() -> str:
    """The session that this script runs for."""
    context = get_script_run_ctx()
    return context.session_id if context else ""


@st.cache_resource(show_spinner=False)
def session_cleanup() -> SessionCleanup:
    """Those of this server, looked at from now on."""
    found = SessionCleanup()
    threading.Thread(target=_keep_looking, args=(found,), daemon=True).start()
    return found


def _keep_looking(found: SessionCleanup) -> None:
    while True:
        time.sleep(LOOK_S)
        try:
            if runtime.exists():
                kept_s = float(st.get_option("server.disconnectedSessionTTL"))
                _let_go(found.look(runtime.get_instance().is_active_session, time.monotonic(), kept_s=kept_s))
        except Exception:  # a thread has nobody above it
            logging.getLogger(__name__).exception("looking for readers who have left")


def _let_go(n_left: int) -> None:
    """Free what those who left held together in cycles: streamlit does so after each run, and none may follow."""
    if n_left:
        from ecg_core.parallel import release_memory  # noqa: PLC0415  # torch takes a second: here it is loaded already

        gc.collect()
        release_memory()
