"""An analysis in a thread of its own: the pages stay responsive, show its progress and can cancel it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ecg_core.errors import Cancelled, EcgError
from ecg_core.rules import RhythmRules
from ecg_core.schema import Analysis, Record

from . import engine
from .messages import UNFORESEEN, error_message


class Label(NamedTuple):
    """A beat's class as the reader labels it."""

    time_s: float
    label: str


LabelEdit = tuple[Label, ...]  # labels of one beat or of many that are set, and undone, together


def all_labels(edits: Iterable[LabelEdit]) -> list[Label]:
    """The labels of all edits, in their order."""
    return [label for edit in edits for label in edit]


class AnalysisKey(NamedTuple):
    """What an analysis depends on; two that share it are the same."""

    record_sha256: str
    lead: str
    model_sha256: str
    rules: RhythmRules
    fitted_labels: tuple[LabelEdit, ...] = ()  # by which the model was fine-tuned to the patient


class Job:
    """One analysis, from its start to its end."""

    def __init__(self, key: AnalysisKey, record: Record, model_path: Path, *, beside: bool = False) -> None:
        self.key = key
        self.beside = beside  # its result does not replace the analysis that is shown
        self.record = record
        self.done_s = 0.0
        self.fitted = 0.0  # part of the fine-tuning that is done, 0..1
        self.result: Analysis | None = None
        self.problem = ""  # a sentence for the reader
        self._began_s = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(model_path,), daemon=True)
        self._thread.start()

    @property
    def finished(self) -> bool:
        """Whether the job has ended: done, failed or cancelled."""
        return not self._thread.is_alive()

    @property
    def fraction_done(self) -> float:
        """Part of the work that is done, 0..1."""
        read = min(1.0, self.done_s / self.record.duration_s)
        return (read + self.fitted) / 2 if self.key.fitted_labels else read

    @property
    def left_s(self) -> float | None:
        """Seconds left at the pace so far; None at the beginning, and when all is done."""
        done = self.fraction_done
        return (time.monotonic() - self._began_s) * (1 / done - 1) if 0 < done < 1 else None

    def cancel(self) -> None:
        """Stop after the chunk of the record at work."""
        self._stop.set()

    def wait(self, at_most_s: float | None = None) -> None:
        """Return when the job has ended, or after ``at_most_s``."""
        self._thread.join(at_most_s)

    def _work(self, model_path: Path) -> None:
        try:
            self.result = engine.run(
                self.record,
                model_path,
                self.key.rules,
                lead=self.key.lead,
                patient_labels=all_labels(self.key.fitted_labels),
                progress=self._progress,
                fitting=self._fitting,
            )
        except Cancelled:
            self.problem = "The analysis was cancelled."
        except EcgError as error:
            self.problem = error_message(error)
        except Exception:  # nobody else handles the errors of a thread
            logging.getLogger(__name__).exception("analysis of %s", self.record.record_id)
            self.problem = UNFORESEEN

    def _progress(self, done_s: float, _total_s: float) -> None:
        self._raise_if_cancelled()
        self.done_s = done_s

    def _fitting(self, fraction: float) -> None:
        self._raise_if_cancelled()
        self.fitted = fraction

    def _raise_if_cancelled(self) -> None:
        if self._stop.is_set():
            raise Cancelled("The analysis was cancelled; nothing was written.")
