"""Which store the dashboard works on, and this window's name in it.

Started with ``ECG_EPHEMERAL=1``, nothing is kept: each window has a store of its own in a temporary folder, which goes
when its reader leaves.
"""

from __future__ import annotations

import getpass
import os
import socket
import uuid
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field

import streamlit as st

from ecg_core.errors import StoreError
from ecg_core.files import TemporaryFolder, is_running, sweep_temporary
from ecg_core.studies.queue import note_interrupted
from ecg_core.studies.recordings import sweep_uploads
from ecg_core.studies.store import Store, open_store

from . import streamlit_runtime
from .jobs import AnalysisQueue


@dataclass(eq=False)
class Desk:
    """A store and its queue of analyses."""

    queue: AnalysisQueue
    clear: Callable[[], object] = field(default=lambda: None)  # removes what must not stay when the reader leaves
    is_ephemeral: bool = False

    @property
    def store(self) -> Store:
        """The store."""
        return self.queue.store


def session_desk() -> Desk:
    """The desk of this session: the store that all windows share, or one of its own that goes with it."""
    return ephemeral_desk() if os.environ.get("ECG_EPHEMERAL") == "1" else shared_desk()


@st.cache_resource(show_spinner=False)
def shared_desk() -> Desk:
    """The store of this server; see ``open_store``."""
    sweep_temporary()
    store = open_store()
    sweep_uploads(store)
    note_interrupted(store)
    return Desk(AnalysisQueue(store))


def ephemeral_desk() -> Desk:
    """A store in a temporary folder, removed with the desk at the latest."""
    try:
        folder = TemporaryFolder()
    except OSError as error:
        raise StoreError(
            f"There is no room for temporary files, in which this window keeps its studies ({error.strerror or error})."
        ) from error
    queue = AnalysisQueue(open_store(folder.path / "studies", url=""))
    desk = Desk(queue, is_ephemeral=True)
    desk.clear = weakref.finalize(desk, _remove, queue.store, folder)
    return desk


def _remove(store: Store, folder: TemporaryFolder) -> None:
    store.close()
    folder.remove()


def window_name() -> str:
    """A name of this browser window that no other has, on any computer: which one, which server, which session."""
    session = streamlit_runtime.current_session_id() if streamlit_runtime.is_running() else uuid.uuid4().hex
    return f"{socket.gethostname()}:{os.getpid()}:{session}"


def is_gone(window: str) -> bool:
    """Whether a window is known to be closed; of another computer's windows it is not known."""
    host, _, rest = window.partition(":")
    process, _, session = rest.partition(":")
    if host != socket.gethostname() or not process.isdigit():
        return False
    if int(process) != os.getpid():
        return not is_running(int(process))
    return streamlit_runtime.is_running() and not streamlit_runtime.is_connected(session)


def account_name() -> str:
    """Name of the reader until another is entered: ``ECG_READER``, or the account on this computer."""
    try:
        return os.environ.get("ECG_READER") or getpass.getuser()
    except (OSError, KeyError, ImportError):  # a process whose account has no name
        return "unnamed reader"
