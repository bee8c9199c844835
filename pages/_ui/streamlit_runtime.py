"""All that this program uses of Streamlit beyond its public functions, and why; the other modules use only these."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from streamlit import config, file_util, runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner import get_script_run_ctx


def current_session_id() -> str:
    """The session that this script runs for; ``st.context`` does not hold it. Empty outside of a session."""
    context = get_script_run_ctx()
    return context.session_id if context else ""


def leave_pages_directory() -> bool:
    """Let dashboard.py run from now on; returns whether it did not.

    Streamlit takes a folder ``pages`` for its old kind of app until dashboard.py has run once: the first page of a new
    server, opened by a link, would run without dashboard.py, beside a menu of file names.
    """
    was_in_use = bool(PagesManager.uses_pages_directory)
    PagesManager.uses_pages_directory = False
    return was_in_use


def is_running() -> bool:
    """Whether a server runs; a script that is run for itself, as in tests, has none."""
    return runtime.exists()


def is_connected(session_id: str) -> bool:
    """Whether a browser is connected to a session: no public event says when a reader leaves."""
    return runtime.get_instance().is_active_session(session_id)


def release_uploads(file_ids: Sequence[str]) -> None:
    """Free the memory of uploaded files: Streamlit itself keeps them for as long as the session lives."""
    context = get_script_run_ctx()
    if context is not None and isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
        for file_id in file_ids:
            context.uploaded_file_mgr.remove_file(context.session_id, file_id)


def allowed_hosts() -> list[str]:
    """The names of this computer by which a browser may ask for the dashboard; empty for any."""
    return [str(host) for host in config.get_option("server.allowedHosts")]


def shell_page() -> str:
    """The page that loads the dashboard, as Streamlit serves it at every address."""
    return Path(file_util.get_static_dir(), "index.html").read_text(encoding="utf-8")
