"""What one reader has open: records, analyses, labels and the running job. No other session sees any of it."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import streamlit as st

from ecg_core.errors import MissingMetadataError
from ecg_core.schema import Analysis, Record

from . import engine
from .jobs import AnalysisKey, Job, LabelEdit, all_labels
from .session_cleanup import session_cleanup
from .streamlit_runtime import current_session_id
from .uploads import UploadFolder

if TYPE_CHECKING:  # torch takes a second
    from ecg_core.live.session import LiveSession

T = TypeVar("T")

CANCEL_WAIT_S = 5.0  # an analysis stops at the end of the chunk at work


@dataclass(eq=False)
class Workspace:
    """State of one session; it ends with the session."""

    records: dict[str, Record] = field(default_factory=dict)  # by sha256
    analyses: dict[AnalysisKey, Analysis] = field(default_factory=dict)
    shown: dict[str, AnalysisKey] = field(default_factory=dict)  # which analysis is shown, by sha256 of the record
    label_edits: dict[str, tuple[LabelEdit, ...]] = field(default_factory=dict)  # by sha256 of the record
    time_s: dict[str, float] = field(default_factory=dict)  # where each record was left, by sha256
    linked_s: dict[str, float] = field(default_factory=dict)  # times in links to records not yet open, by record_id
    current: str = ""  # sha256 of the record that is shown
    job: Job | None = None
    awaiting_metadata: dict[Path, MissingMetadataError] = field(default_factory=dict)  # rate or unit to be entered
    live: LiveSession | None = None  # the stream that is watched
    live_speed: float = 1.0
    notice: str = ""  # a sentence for the next page that is drawn
    cache: dict[str, tuple[Hashable, Any]] = field(default_factory=dict)  # the last value of each name, with its key
    on_select: dict[str, Callable[[], object]] = field(default_factory=dict)  # by the key of a figure
    uploads: UploadFolder = field(default_factory=UploadFolder)
    _stop_live: Callable[[], object] | None = None

    def add(self, record: Record) -> None:
        """Open a record and show it."""
        self.records.setdefault(record.sha256, record)
        self.current = record.sha256
        self.time_s.setdefault(record.sha256, self.linked_s.pop(record.record_id, 0.0))

    def find(self, record_id: str) -> list[Record]:
        """The open records of this name."""
        return [record for record in self.records.values() if record.record_id == record_id]

    def close(self, sha256: str) -> None:
        """Forget a record and everything that belongs to it."""
        if self.job and self.job.key.record_sha256 == sha256:
            self.job.cancel()
            self.job.wait(CANCEL_WAIT_S)
            self.job = None
        for by_record in (self.records, self.shown, self.label_edits, self.time_s):
            by_record.pop(sha256, None)
        self.analyses = {key: analysis for key, analysis in self.analyses.items() if key.record_sha256 != sha256}
        self.current = next(reversed(self.records), "")
        self.cache.clear()
        self.on_select.clear()
        self.remove_unused_uploads()

    def decline(self, path: Path) -> None:
        """Leave a file closed that waits for its rate or unit."""
        self.awaiting_metadata.pop(path, None)
        self.remove_unused_uploads()

    def watch(self, live: LiveSession | None) -> None:
        """Watch a stream, or none, instead of the previous one; it ends with the workspace."""
        if self._stop_live is not None:
            self._stop_live()
        self.live = live
        self._stop_live = weakref.finalize(self, live.stop) if live else None
        self.remove_unused_uploads()

    def remove_unused_uploads(self) -> None:
        """Remove the uploads of records that are closed; a stream that is watched may still replay one of them."""
        if self.live is None:
            opened = [path for record in self.records.values() for path in record.files]
            self.uploads.keep_only([*self.awaiting_metadata, *opened])

    def empty(self) -> None:
        """Forget everything: the reader has left."""
        for sha256 in list(self.records):
            self.close(sha256)
        self.watch(None)
        self.awaiting_metadata.clear()
        self.linked_s.clear()
        self.uploads.remove()

    def start(self, job: Job) -> None:
        """Take on a job instead of the previous one."""
        if self.job is not None:
            self.job.cancel()
        self.job = job

    def job_of(self, sha256: str) -> Job | None:
        """The running job whose analysis will be shown of a record."""
        job = self.job
        return job if job is not None and job.key.record_sha256 == sha256 and not job.beside else None

    def collect(self) -> None:
        """Store the result of a job that has ended."""
        job = self.job
        if job is None or not job.finished:
            return
        self.job = None
        if job.result is None:
            self.notice = self.uploads.hide(job.problem)
        elif job.beside:
            self.analyses[job.key] = job.result
        else:
            self.show(job.key, job.result)

    def show(self, key: AnalysisKey, analysis: Analysis) -> None:
        """Store an analysis, and show it of its record."""
        self.analyses[key] = analysis
        self.shown[key.record_sha256] = key

    def edits_of(self, sha256: str) -> tuple[LabelEdit, ...]:
        """The label edits of a record, the oldest first."""
        return self.label_edits.get(sha256, ())

    def analysis(self, sha256: str) -> Analysis:
        """The analysis that is shown of a record, with the reader's labels."""
        key = self.shown[sha256]
        analysis, edits = self.analyses[key], self.edits_of(sha256)
        if edits == key.fitted_labels or not edits:
            return analysis
        return self.cached("labelled", (analysis, edits), lambda: engine.labelled(analysis, all_labels(edits)))

    def cached(self, name: str, key: Hashable, make: Callable[[], T]) -> T:
        """The last value of ``name`` where it was made for this key, else a new one; one of each name is kept."""
        if name not in self.cache or self.cache[name][0] != key:
            self.cache[name] = (key, make())
        value: T = self.cache[name][1]
        return value


def current_workspace() -> Workspace:
    """The workspace of this session, with the result of a job that has ended."""
    if "workspace" not in st.session_state:
        st.session_state["workspace"] = Workspace()
        session_cleanup().add(current_session_id(), st.session_state["workspace"])
    workspace: Workspace = st.session_state["workspace"]
    workspace.collect()
    return workspace
