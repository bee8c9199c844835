"""What a user asks for, how far it has come, and where both are kept: adaptations outlive the program that runs them.

Each has a folder of its own below the user's data folder (``ECG_ADAPTATIONS`` names another place): ``task.json`` says
what is asked for, ``state.json`` how far it is, ``*.ckpt`` holds the fits, ``adapted.*`` is the model with its proof.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import platformdirs

from ..classifier.leads import AUTO
from ..classifier.model_files import MAX_NAME, is_name
from ..errors import AdaptationError, Cancelled
from ..files import APP_NAME, PRIVATE, is_locked, is_running, lock_folder, write_json
from ..overrides import RecordOverrides
from .material import Labels, Origin, Recording
from .split import Side

WAITING, RUNNING, DONE, FAILED, CANCELLED, INTERRUPTED = (
    "waiting", "running", "done", "failed", "cancelled", "interrupted",
)  # fmt: skip
TASK, STATE, STOP, LOG = "task.json", "state.json", "stop", "log.txt"
MODEL: Final = "adapted.pt"
STARTING: Final = "Starting"  # the stage of a process that does not hold the adaptation yet
LONGEST_START_S: Final = 60.0  # until a process that was started holds it: it loads in a few seconds
AT_WORK: Final = "Wait until it is done, or cancel it on the page Adapt."
NOT_OF_A_NAME: Final = re.compile(r"[^A-Za-z0-9_-]+")  # what ``is_name`` refuses
PROOF: Final = "adapted.proof.json"  # beside the model, as models are kept


@dataclass(frozen=True)
class Task:
    """An adaptation as it is asked for."""

    name: str  # of the model that it makes
    model: str  # path of the weights that it goes on from
    model_sha256: str
    recordings: tuple[Recording, ...]
    sides: dict[str, Side]  # by patient
    labels: Labels = Labels.ALL
    lead: str = AUTO  # that is measured; all leads are learned from
    seed: int = 0
    steps: int = 0  # of each fit; 0 for as many as usual
    studies: str = ""  # folder of the store, where recordings are studies of it


@dataclass(frozen=True)
class State:
    """How far an adaptation has come."""

    state: str = WAITING
    stage: str = ""  # what is done now, as the beginning of a sentence
    fraction: float = 0.0  # of all work
    left_s: float | None = None
    process: int = 0  # that works on it, or was started to
    problem: str = ""  # a sentence for the reader
    verdict: str = ""


@dataclass(eq=False)
class Adaptation:
    """The folder of an adaptation."""

    folder: Path
    task: Task = field(repr=False)

    @property
    def state(self) -> State:
        """How far it is; one that no process holds any more, though none said why, is interrupted."""
        stored = _read(self.folder / STATE)
        state = State(**stored) if stored else State()
        if state.state == RUNNING and not (is_locked(self.folder, by=TASK) or self._is_starting(state)):
            return replace(state, state=INTERRUPTED, left_s=None)
        return state

    def _is_starting(self, state: State) -> bool:
        """Whether a process was started a moment ago that does not hold it yet."""
        if state.stage != STARTING or not is_running(state.process):
            return False
        try:
            return time.time() - (self.folder / STATE).stat().st_mtime < LONGEST_START_S
        except OSError:
            return False

    def require_idle(self) -> None:
        """Refuse one that a process works on.

        Raises
        ------
        AdaptationError
            One does.

        """
        if self.state.state == RUNNING:
            raise AdaptationError("a process works on this adaptation", where=self.folder.name, advice=AT_WORK)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold it for this process until the block ends, or until the process does.

        Raises
        ------
        AdaptationError
            Another process holds it.

        """
        lock = lock_folder(self.folder, by=TASK)
        if lock is None:
            raise AdaptationError("a process works on this adaptation", where=self.folder.name, advice=AT_WORK)
        try:
            yield
        finally:
            os.close(lock)

    @property
    def proof(self) -> dict[str, Any]:
        """What was measured; empty until it is done."""
        return _read(self.folder / PROOF)

    @property
    def model_path(self) -> Path:
        """The weights that it made; they are there when it is done."""
        return self.folder / MODEL

    def note(self, state: State) -> None:
        """Keep how far it is."""
        write_json(self.folder / STATE, asdict(state), default=str)

    def ask_to_stop(self) -> None:
        """Let the process that works on it stop at its next step."""
        (self.folder / STOP).touch()

    @property
    def is_asked_to_stop(self) -> bool:
        """Whether somebody asked for it, and it has not begun again since."""
        return (self.folder / STOP).exists()

    def raise_if_stopped(self) -> None:
        """Raise ``Cancelled`` where somebody asked for it."""
        if self.is_asked_to_stop:
            raise Cancelled("The adaptation was cancelled. It can be resumed where it was.")

    def begin(self) -> None:
        """Forget an earlier wish to stop."""
        (self.folder / STOP).unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove it with all that it made.

        Raises
        ------
        AdaptationError
            A process works on it.

        """
        self.require_idle()
        with self.held():
            shutil.rmtree(self.folder)


def discard(name: str, *, folder: Path | None = None) -> None:
    """Remove the adaptation of this name, also one whose task is damaged or was never written.

    Raises
    ------
    AdaptationError
        There is none, or a process works on it.

    """
    place = _place_of(name, folder)
    try:
        adaptation = Adaptation(place, _task_of(place))
    except AdaptationError:
        if not (place / TASK).exists() and any(place.iterdir()):  # something else than an adaptation
            raise
        shutil.rmtree(place)
        return
    adaptation.discard()


def adaptations_folder() -> Path:
    """``ECG_ADAPTATIONS``, or a folder in the user's data folder."""
    named = os.environ.get("ECG_ADAPTATIONS")
    return Path(named) if named else platformdirs.user_data_path(APP_NAME, appauthor=False) / "adaptations"


def plain_name(wanted: str) -> str:
    """A name that a new model can have, from what a folder is called.

    Examples
    --------
    >>> plain_name("adapted-svdb 1.0.0")
    'adapted-svdb-1-0-0'

    """
    return NOT_OF_A_NAME.sub("-", wanted).strip("-_")[:MAX_NAME] or "adapted"


def check_name(name: str) -> str:
    """The name of a new model, if it can be one.

    Raises
    ------
    AdaptationError
        It is empty, too long, holds other letters, or is that of a device, which ``kept.keep`` would refuse in the end.

    """
    if not is_name(name):
        raise AdaptationError(
            f'"{name}": expected a name of 1 to {MAX_NAME} letters, digits, - and _ that begins with a letter or '
            "digit.",
            settings=("name",),
        )
    return name


def create(task: Task, *, folder: Path | None = None) -> Adaptation:
    """Keep a task; it is run by ``running.run``.

    Raises
    ------
    AdaptationError
        There is one of this name, the name is none, or the folder cannot be written.

    """
    place = (folder or adaptations_folder()) / check_name(task.name)
    try:
        place.parent.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        with suppress(OSError):  # there is none, or something is in it
            place.rmdir()
        place.mkdir(mode=PRIVATE)
        try:
            write_json(place / TASK, asdict(task), default=str)
        except OSError:
            shutil.rmtree(place, ignore_errors=True)  # else it would keep the name from the next one
            raise
    except FileExistsError as error:
        raise AdaptationError(
            f'An adaptation "{task.name}" is there already: resume or discard it, or choose another name.',
            settings=("name",),
        ) from error
    except OSError as error:
        raise AdaptationError(
            f"{place}: an adaptation cannot be kept there ({error.strerror}). Make room or give write access there; "
            "ECG_ADAPTATIONS names another folder."
        ) from error
    return Adaptation(place, task)


def find(name: str, *, folder: Path | None = None) -> Adaptation:
    """The adaptation of this name.

    Raises
    ------
    AdaptationError
        There is none, or its task is damaged.

    """
    place = _place_of(name, folder)
    return Adaptation(place, _task_of(place))


def _place_of(name: str, folder: Path | None) -> Path:
    place = (folder or adaptations_folder()) / check_name(name)
    if not place.is_dir():
        raise AdaptationError(f'There is no adaptation "{name}" in {place.parent}.', settings=("name",))
    return place


def find_all(*, folder: Path | None = None) -> list[Adaptation]:
    """All adaptations whose task can be read, the newest first."""
    place = folder or adaptations_folder()
    found = []
    for path in place.iterdir() if place.is_dir() else ():
        try:
            found.append((path.stat().st_mtime, Adaptation(path, _task_of(path))))
        except (AdaptationError, OSError):
            continue
    return [adaptation for _, adaptation in sorted(found, key=lambda pair: -pair[0])]


def _task_of(place: Path) -> Task:
    try:
        stored = json.loads((place / TASK).read_text(encoding="utf-8"))
        recordings = tuple(_recording_of(one) for one in stored.pop("recordings"))
        sides = {patient: Side(side) for patient, side in stored.pop("sides").items()}
        return Task(recordings=recordings, sides=sides, labels=Labels(stored.pop("labels")), **stored)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise AdaptationError(f"{place / TASK}: expected the task of an adaptation; discard this folder.") from error


def _recording_of(stored: dict[str, Any]) -> Recording:
    overrides = RecordOverrides(**stored.pop("overrides"))
    tuples = {name: tuple(value) for name, value in stored.items() if isinstance(value, list)}
    return Recording(**{**stored, **tuples, "origin": Origin(stored["origin"]), "overrides": overrides})


def start_process(adaptation: Adaptation) -> None:
    """Run it in a process of its own, which goes on when this one ends.

    Raises
    ------
    AdaptationError
        A process works on it.

    """
    adaptation.require_idle()
    adaptation.begin()
    with (adaptation.folder / LOG).open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  # this program itself
            [sys.executable, "-m", "ecg_core.adaptation", str(adaptation.folder)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=Path.cwd(),
        )  # fmt: skip
    adaptation.note(State(RUNNING, STARTING, process=process.pid))
    # A process that ended and that nobody waited for would still count as running.
    threading.Thread(target=process.wait, daemon=True).start()


class ProgressClock:
    """Turns the fraction of all work that is done into a state with the time left."""

    def __init__(self, adaptation: Adaptation, keep: Callable[[State], None]) -> None:
        self._adaptation, self._keep = adaptation, keep
        self._began: tuple[float, float] | None = None  # time, and fraction at that time

    def at(self, stage: str, fraction: float) -> None:
        """Note a stage and how much of all work is done; raises ``Cancelled`` where somebody asked for it."""
        self._adaptation.raise_if_stopped()
        now = time.monotonic()
        if self._began is None:
            self._began = now, fraction
        began, first = self._began
        left_s = (now - began) * (1 - fraction) / (fraction - first) if fraction - first > LEAST_FRACTION else None
        self._keep(State(RUNNING, stage, fraction, left_s, os.getpid()))


LEAST_FRACTION: Final = 0.02  # of the work, from which a time left can be estimated


def _read(path: Path) -> dict[str, Any]:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}
