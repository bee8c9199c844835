"""An analysis in a thread of its own: it can be watched, waited for and cancelled while the pages stay alive."""

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

CALM_SENTENCE = "Something went wrong that this program did not foresee. The details are in the window it runs in."


class Label(NamedTuple):
    """The class that the reader tells of a beat."""

    time_s: float
    label: str


LabelEdit = tuple[Label, ...]  # what is told at a time, of one beat or of many, and undone at a time


def all_labels(tellings: Iterable[LabelEdit]) -> list[Label]:
    """Every label of what was told, in the order it was told in."""
    return [label for telling in tellings for label in telling]


class AnalysisKey(NamedTuple):
    """What an analysis depends on; two that share it are the same."""

    record_sha256: str
    lead: str
    model_sha256: str
    rules: RhythmRules
    fitted_labels: tuple[LabelEdit, ...] = ()  # what the model was brought closer to the patient by


class Job:
    """One analysis, from its start to its end."""

    def __init__(self, key: AnalysisKey, record: Record, model_path: Path, *, beside: bool = False) -> None:
        self.key = key
        self.beside = beside  # its result is kept beside the analysis that is shown, and does not take its place
        self.record = record
        self.done_s = 0.0
        self.fitted = 0.0  # share of bringing the model closer to the patient that is done
        self.result: Analysis | None = None
        self.problem = ""  # a sentence for the reader
        self._began_s = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(model_path,), daemon=True)
        self._thread.start()

    @property
    def finished(self) -> bool:
        """Whether it ended, in whichever way."""
        return not self._thread.is_alive()

    @property
    def share(self) -> float:
        """Part of the work that is done, 0..1."""
        read = min(1.0, self.done_s / self.record.duration_s)
        return (read + self.fitted) / 2 if self.key.fitted_labels else read

    @property
    def left_s(self) -> float | None:
        """Seconds that it will still take, at the pace so far; None before there is a pace."""
        if not 0 < self.share < 1:
            return None
        return (time.monotonic() - self._began_s) * (1 / self.share - 1)

    def cancel(self) -> None:
        """Stop at the next piece of the record."""
        self._stop.set()

    def wait(self, at_most_s: float | None = None) -> None:
        """Return when it has ended, or after some time."""
        self._thread.join(at_most_s)

    def _work(self, model_path: Path) -> None:
        try:
            from . import engine  # noqa: PLC0415, as torch takes a second: here it delays no page

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
            self.problem = str(error)
        except Exception:  # a thread has nobody above it
            logging.getLogger(__name__).exception("analysis of %s", self.record.record_id)
            self.problem = CALM_SENTENCE

    def _progress(self, done_s: float, _total_s: float) -> None:
        self._go_on()
        self.done_s = done_s

    def _fitting(self, share: float) -> None:
        self._go_on()
        self.fitted = share

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise Cancelled("The analysis was cancelled; nothing was written.")
