"""Where the work is done: in this process, in several of this computer, or on a Dask cluster."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context, parent_process
from multiprocessing.synchronize import Event

from ..errors import Cancelled, ClusterError, EcgError, OutputError
from ..text import one_line
from .plan import Outcome, Settings, Task

Show = Callable[[int, int, Sequence[str]], None]  # records done, of how many, and names of those at work
Outcomes = Generator[Outcome, None, None]

LOOK_S = 1.0  # the display is brought up to date at least this often
DASK_TIMEOUT_S = 10.0
ENDED = (
    "The process that analysed it ended, killed or out of memory; run the same command again, with fewer --jobs where "
    "memory is short."
)

_stop: Event | None = None  # of this process, where it is one of several


def run_local(tasks: Sequence[Task], settings: Settings, jobs: int, show: Show) -> Outcomes:
    """Outcomes as they come, from as many processes of this computer; one alone is this process itself."""
    if jobs <= 1:
        yield from _one_by_one(tasks, settings, show)
        return
    context = get_context("spawn")  # a process with torch's threads cannot be forked
    stop = context.Event()

    def seat() -> Executor:
        """A process of its own: when it dies, it is known which record died with it."""
        seats.append(ProcessPoolExecutor(1, mp_context=context, initializer=_begin, initargs=(stop,)))
        return seats[-1]

    seats: list[Executor] = []
    try:
        yield from _run(tasks, settings, [seat() for _ in range(min(jobs, len(tasks)))], seat, show)
    finally:
        stop.set()
        for one in seats:
            one.shutdown(cancel_futures=True)


def run_on_dask(tasks: Sequence[Task], settings: Settings, address: str, show: Show) -> Outcomes:
    """Outcomes as they come, from the workers of a Dask scheduler; what a worker that dies was at, another one does."""
    try:
        from distributed import Client  # noqa: PLC0415  # an optional package
    except ImportError as error:
        raise ClusterError(
            "--dask needs the package distributed, which is not installed: pip install -r requirements-dask.txt"
        ) from error
    try:
        client = Client(address, timeout=DASK_TIMEOUT_S)
    # which of them depends on how the address is wrong; the last one, where this computer is too busy to begin
    except (OSError, ValueError, TypeError, AssertionError) as error:
        raise ClusterError(
            f"{address}: no Dask scheduler answers there within {DASK_TIMEOUT_S:g} s; start one, or check the address "
            "(for example tcp://127.0.0.1:8786)."
        ) from error
    with client:
        executor = client.get_executor(pure=False)
        seats = [executor] * len(tasks)  # all at once: the scheduler knows best which worker is free
        try:
            yield from _run(tasks, settings, seats, lambda: executor, lambda done, total, _: show(done, total, ()))
        finally:
            executor.shutdown(wait=False)


def _one_by_one(tasks: Sequence[Task], settings: Settings, show: Show) -> Outcomes:
    for done, task in enumerate(tasks):
        show(done, len(tasks), [task.name])
        yield work_on(task, settings, one_thread=False)


def _run(
    tasks: Sequence[Task], settings: Settings, seats: Sequence[Executor], new_seat: Callable[[], Executor], show: Show
) -> Outcomes:
    """Give every free seat a task until none is left."""
    waiting, free = list(reversed(tasks)), list(seats)
    running: dict[Future[Outcome], tuple[Task, Executor]] = {}
    while waiting or running:
        while waiting and free:
            task, seat = waiting.pop(), free.pop()
            running[seat.submit(work_on, task, settings, one_thread=True)] = (task, seat)
        show(len(tasks) - len(waiting) - len(running), len(tasks), [task.name for task, _ in running.values()])
        ready, _ = wait(running, timeout=LOOK_S, return_when=FIRST_COMPLETED)
        for future in ready:
            task, seat = running.pop(future)
            try:
                yield future.result()
                free.append(seat)
            except EcgError:
                raise
            except Exception as error:  # whoever was at it is gone
                yield Outcome(task, {}, _lost(error))
                free.append(new_seat())


def _lost(error: Exception) -> str:
    if isinstance(error, BrokenProcessPool):
        return ENDED
    return one_line(f"The cluster gave no answer for it ({type(error).__name__}: {error}); run the same command again.")


def work_on(task: Task, settings: Settings, *, one_thread: bool) -> Outcome:
    """Analyse one record; what is wrong with it is a sentence, and only what would hit every other one is raised."""
    from ..parallel import use_threads  # noqa: PLC0415  # torch loads where the work is done
    from .work import analyse_one  # noqa: PLC0415

    if one_thread:
        use_threads(1)
    try:
        return analyse_one(task, settings, _progress)
    except (OutputError, Cancelled):
        raise
    except EcgError as error:
        return Outcome(task, {}, str(error))
    except OSError as error:
        return Outcome(task, {}, one_line(f"{error.filename or task.path}: {error.strerror or error}; check the file."))
    except Exception as error:  # one record must not stop a thousand others
        return Outcome(task, {}, one_line(f"{task.path}: could not be analysed ({type(error).__name__}: {error})."))


def _progress(_done_s: float, _total_s: float) -> None:
    if _stop is not None and _stop.is_set():
        raise Cancelled("The analysis was cancelled; finished records stay.")


def _begin(stop: Event) -> None:
    """Make this process one that stops when it is told to, and with the one that started it."""
    global _stop  # noqa: PLW0603  # a process has one
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the first process says what to do
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        with suppress(KeyboardInterrupt):
            parent.join()
        os._exit(1)
