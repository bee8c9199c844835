"""The download of the databases that adaptation needs, in a thread: the page stays responsive and can stop it."""

from __future__ import annotations

import logging
import threading
from typing import Final

import streamlit as st

from ecg_core.errors import Cancelled, EcgError

from .messages import UNFORESEEN, error_message

DATABASES: Final = ("mitdb", "nstdb")
STOPPED: Final = "The download was stopped. What was fetched is kept; fetch again to go on."


class SourceDownload:
    """One download for all windows of this server."""

    def __init__(self) -> None:
        self.line = ""  # how far it is
        self.problem = ""  # a sentence for the reader
        self._stop, self._thread = threading.Event(), threading.Thread()

    @property
    def is_running(self) -> bool:
        """Whether it has begun and not ended."""
        return self._thread.is_alive()

    @property
    def is_stopping(self) -> bool:
        """Whether it was asked to stop and has not ended yet."""
        return self._stop.is_set() and self.is_running

    def start(self) -> None:
        """Begin, or go on where it stopped; for callbacks."""
        if not self.is_running:
            self.line, self.problem = "Asking PhysioNet for the list of files", ""
            self._stop.clear()
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End after the bytes at work; for callbacks."""
        self._stop.set()

    def _work(self) -> None:
        from ecg_core.records.physionet import fetch  # noqa: PLC0415  # loads what asks a server

        try:
            fetch(DATABASES, records="all", report=self._note, show=self._note)
        except Cancelled:
            self.problem = STOPPED
        except EcgError as error:
            self.problem = error_message(error)
        except Exception:  # nobody else handles the errors of a thread
            logging.getLogger(__name__).exception("the download of %s", ", ".join(DATABASES))
            self.problem = UNFORESEEN

    def _note(self, line: str) -> None:
        if self._stop.is_set():
            raise Cancelled(STOPPED)
        self.line = line


@st.cache_resource(show_spinner=False)
def source_download() -> SourceDownload:
    """The download of this server."""
    return SourceDownload()
