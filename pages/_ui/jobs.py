"""Analyses in a thread of their own, one after the other: the pages stay responsive, show progress and can cancel."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ecg_core.errors import Cancelled, ChangeRefusedError, EcgError, StoreError
from ecg_core.schema import Analysis, Record
from ecg_core.studies.analyses import AnalysisKey, rules_as_stored, save_analysis
from ecg_core.studies.queue import (
    CANCELLED,
    FAILED,
    RUNNING,
    WAITING,
    enqueue,
    keep_in_queue,
    leave_queue,
    set_queue_state,
)
from ecg_core.studies.store import Store
from ecg_core.studies.study import Editor

from . import engine
from .analyses import set_shown_with_edits
from .messages import UNFORESEEN, error_message

__all__ = ["AnalysisKey", "AnalysisQueue", "Job"]

DONE = "done"
CANCELLED_TEXT = "The analysis was cancelled."
REPORT_S = 5.0  # between two reports that this server is still there


class Job:
    """One analysis, from the moment it is asked for to its end."""

    def __init__(self, key: AnalysisKey, record: Record, model_path: Path, *, beside: bool = False) -> None:
        self.key = key
        self.beside = beside  # its result does not replace the analysis that is shown
        self.record = record
        self.model_path = model_path
        self.queued_id = 0  # in the stored queue
        self.gave_way = False  # to another analysis of the same study: there is nothing to resume
        self.state = WAITING
        self.done_s = 0.0
        self.fitted = 0.0  # part of the fine-tuning that is done, 0..1
        self.result: Analysis | None = None
        self.problem = ""  # a sentence for the reader
        self._began_s = 0.0
        self._report: Callable[[], None] = lambda: None
        self._stop, self._ended = threading.Event(), threading.Event()

    @property
    def finished(self) -> bool:
        """Whether the job has ended: done, failed or cancelled."""
        return self._ended.is_set()

    @property
    def fraction_done(self) -> float:
        """Part of the work that is done, 0..1."""
        read = min(1.0, self.done_s / self.record.duration_s)
        return (read + self.fitted) / 2 if self.key.fitted_labels else read

    @property
    def left_s(self) -> float | None:
        """Seconds left at the pace so far; None while it waits, at the beginning, and when all is done."""
        done = self.fraction_done
        return (time.monotonic() - self._began_s) * (1 / done - 1) if 0 < done < 1 else None

    def cancel(self) -> None:
        """Stop after the chunk of the record at work, or before the first."""
        self._stop.set()

    @property
    def stopping(self) -> bool:
        """Whether it was cancelled and has not ended yet."""
        return self._stop.is_set() and not self.finished

    def wait(self, at_most_s: float | None = None) -> None:
        """Return when the job has ended, or after ``at_most_s``."""
        self._ended.wait(at_most_s)

    def run(self, report: Callable[[], None] = lambda: None) -> None:
        """Do the work, in this thread; ``report`` is called after each step of it."""
        self.state, self._began_s, self._report = RUNNING, time.monotonic(), report
        try:
            self._raise_if_cancelled()
            self.result = engine.run(
                self.record, self.model_path, self.key.rules, lead=self.key.lead,
                edits=self.key.fitted_labels, progress=self._progress, fitting=self._fitting,
            )  # fmt: skip
            self.state = DONE
        except Cancelled:
            self.state, self.problem = CANCELLED, CANCELLED_TEXT
        except EcgError as error:
            self.state, self.problem = FAILED, error_message(error)
        except Exception:  # nobody else handles the errors of a thread
            logging.getLogger(__name__).exception("analysis of %s", self.record.record_id)
            self.state, self.problem = FAILED, UNFORESEEN

    def end(self) -> None:
        """Let those who wait for the job go on."""
        self._ended.set()

    def _progress(self, done_s: float, _total_s: float) -> None:
        self._raise_if_cancelled()
        self._report()
        self.done_s = done_s

    def _fitting(self, fraction: float) -> None:
        self._raise_if_cancelled()
        self._report()
        self.fitted = fraction

    def _raise_if_cancelled(self) -> None:
        if self._stop.is_set():
            raise Cancelled("The analysis was cancelled; nothing was written.")


class AnalysisQueue:
    """The jobs of one store, one at a time. No browser window has to stay open: results are kept in the store."""

    def __init__(self, store: Store) -> None:
        self._unsaved: list[tuple[Job, Editor]] = []  # whose results the store could not take
        self.store = store
        self._jobs: list[tuple[Job, Editor]] = []  # the first one runs
        self._lock = threading.Lock()
        self._reported_s = -REPORT_S

    @property
    def jobs(self) -> tuple[Job, ...]:
        """The jobs that run or wait, in their order."""
        with self._lock:
            return tuple(job for job, _ in self._jobs)

    def job_of(self, record_sha256: str, *, beside: bool = False) -> Job | None:
        """The job of a study that runs or waits."""
        found = (job for job in self.jobs if job.key.record_sha256 == record_sha256 and job.beside == beside)
        return next(found, None)

    def add(self, job: Job, editor: Editor) -> None:
        """Put a job at the end of the queue; another one of the same study gives way, and the same one goes on.

        Raises
        ------
        StoreError
            The queue cannot be stored.

        """
        previous = self.job_of(job.key.record_sha256, beside=job.beside)
        if previous is not None and previous.key == job.key and not previous.stopping:
            return
        if previous is not None:
            previous.gave_way = True
            self.cancel(previous)
        key = job.key
        job.queued_id = enqueue(
            self.store, key.record_sha256, editor, lead=key.lead, model_name=job.model_path.stem,
            rules=rules_as_stored(key.rules), n_fitted_edits=len(key.fitted_labels),
        )  # fmt: skip
        with self._lock:
            self._jobs.append((job, editor))
            if len(self._jobs) == 1:
                threading.Thread(target=self._work, daemon=True).start()

    def cancel(self, job: Job) -> None:
        """Stop a job after the chunk at work; one that waits leaves the line at once."""
        job.cancel()
        with self._lock:
            waits = any(other is job for other, _ in self._jobs[1:])
            self._jobs = self._jobs[:1] + [entry for entry in self._jobs[1:] if entry[0] is not job]
        if waits:
            job.state, job.problem = CANCELLED, CANCELLED_TEXT
            job.end()
            self.keep(job, Editor("", ""))

    def take_unsaved(self, record_sha256: str) -> list[tuple[Job, Editor]]:
        """Jobs of a study whose results the store could not take: whoever takes them shows and saves them."""
        with self._lock:
            taken = [one for one in self._unsaved if one[0].key.record_sha256 == record_sha256]
            self._unsaved = [one for one in self._unsaved if one not in taken]
            return taken

    def stop(self) -> None:
        """Cancel everything."""
        for job in self.jobs:
            job.cancel()

    def _work(self) -> None:
        """Run the jobs until none is left."""
        while True:
            with self._lock:
                job, editor = self._jobs[0]
            with suppress(StoreError):  # an analysis does not wait until the store can be written
                set_queue_state(self.store, job.queued_id, RUNNING)
            try:
                job.run(self._report)
                self.keep(job, editor)
            except ChangeRefusedError as error:  # it is stored; who holds the study decides what it shows
                job.problem = str(error)
            except StoreError as error:
                job.problem = str(error)
                if job.result is not None:
                    self._unsaved.append((job, editor))
            except Exception:  # the queue goes on with the next job
                logging.getLogger(__name__).exception("the queue, at %s", job.record.record_id)
                job.problem = job.problem or UNFORESEEN
            with self._lock:
                self._jobs.pop(0)
                is_last = not self._jobs
            job.end()
            if is_last:
                return

    def _report(self) -> None:
        """Note in the stored queue that this server is still there, so that no other takes its analyses for lost."""
        if time.monotonic() - self._reported_s >= REPORT_S:
            self._reported_s = time.monotonic()
            with suppress(StoreError):  # the result itself meets the problem, and says so
                keep_in_queue(self.store)

    def keep(self, job: Job, editor: Editor) -> None:
        """Store what a job found, or why it found nothing.

        Raises
        ------
        StoreError
            The store cannot take it.

        """
        if job.result is None and job.gave_way:
            leave_queue(self.store, job.queued_id)
            return
        if job.result is None:
            set_queue_state(self.store, job.queued_id, job.state, problem=job.problem)
            return
        save_analysis(self.store, job.key, job.result)
        leave_queue(self.store, job.queued_id)
        if not job.beside:
            set_shown_with_edits(self.store, job.key, job.result, editor)
