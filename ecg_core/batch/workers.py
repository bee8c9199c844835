"""Where the records are analysed: in this process, in several of this computer, or on a Dask cluster."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import get_context, parent_process
from multiprocessing.synchronize import Event
from typing import Any

from .. import __version__
from ..errors import Cancelled, ClusterError, EcgError, OutputError
from ..text import format_quoted, one_line
from .plan import Outcome, Settings, Task

Show = Callable[[int, int, Sequence[str]], None]  # records done, of how many, and the names of those being analysed
Outcomes = Generator[Outcome, None, None]

REFRESH_S = 1.0  # the progress is shown again at least this often
DASK_TIMEOUT_S = 10.0
CLUSTER_ENDED = "The scheduler of the cluster ended before it was done. Start it again, and run the same command again."
ENDED = "The process that analysed it ended: killed, or out of memory. Run the same command again."

_stop: Event | None = None  # of this process, where it is one of several


def run_local(tasks: Sequence[Task], settings: Settings, *, jobs: int, show: Show) -> Outcomes:
    """Yield outcomes as they come, from ``jobs`` processes of this computer; one job runs in this process itself."""
    if jobs <= 1:
        yield from _one_by_one(tasks, settings, show)
        return
    context = get_context("spawn")  # a process with threads cannot be forked
    stop = context.Event()
    executors: list[Executor] = []

    def new_executor() -> Executor:
        """One process alone: when it dies, it is known which record it was analysing."""
        executors.append(ProcessPoolExecutor(1, mp_context=context, initializer=_begin, initargs=(stop,)))
        return executors[-1]

    try:
        free = [new_executor() for _ in range(min(jobs, len(tasks)))]
        yield from _distribute(tasks, settings, free, new_executor, show)
    finally:
        stop.set()
        for executor in executors:
            executor.shutdown(cancel_futures=True)


def run_on_dask(tasks: Sequence[Task], settings: Settings, *, address: str, show: Show) -> Outcomes:
    """Yield outcomes as they come, from a Dask cluster; it gives the record of a worker that dies to another one.

    Raises
    ------
    ClusterError
        The package is not installed, no scheduler answers at the address, it has no worker, or one that lacks this
        program or has another version of it.

    """
    try:
        from distributed import Client  # noqa: PLC0415  # an optional package
    except ImportError as error:
        raise ClusterError(
            "A Dask scheduler needs the package distributed, which is not installed. In the folder of this program: "
            "pip install '.[dask]'",
            settings=("dask",),
        ) from error
    with _silenced("distributed", "tornado", "asyncio"):
        try:
            client = Client(address, timeout=DASK_TIMEOUT_S)
        # which of them depends on how the address is wrong; the last one, where this computer is too busy to begin
        except (OSError, ValueError, TypeError, AssertionError) as error:
            raise ClusterError(
                f"{address}: no Dask scheduler answers there within {DASK_TIMEOUT_S:g} s; start one, or check the "
                "address (for example tcp://127.0.0.1:8786).",
                settings=("dask",),
            ) from error
        with client:
            _check_workers(client, address)
            executor = client.get_executor(pure=False)
            free = [executor] * len(tasks)  # all tasks at once: the scheduler knows best which worker is free
            try:
                yield from _distribute(
                    tasks, settings, free, lambda: executor, lambda done, total, _: show(done, total, ())
                )
            finally:
                executor.shutdown(wait=False)


@contextmanager
def _silenced(*packages: str) -> Iterator[None]:
    """Keep the logs of packages, with their tracebacks, out of the terminal: what matters becomes a sentence."""
    names = [*packages, *(name for name in logging.root.manager.loggerDict if name.startswith(packages))]
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def _check_workers(client: Any, address: str) -> None:
    """Refuse a cluster without a worker, or with one that cannot do the work or would do it differently."""
    try:
        client.wait_for_workers(1, timeout=DASK_TIMEOUT_S)
        found = client.run(_version, on_error="return")
    except TimeoutError as error:
        raise ClusterError(
            f"{address}: this Dask scheduler has no worker, and none came within {DASK_TIMEOUT_S:g} s; start one: "
            f"dask worker {address}",
            settings=("dask",),
        ) from error
    except Exception as error:  # of many kinds, as the scheduler or the last worker may end at this moment
        raise ClusterError(
            f"{address}: the workers of this Dask scheduler cannot be asked for their version "
            f"({format_quoted(error)}); start both again.",
            settings=("dask",),
        ) from error
    for worker, answer in found.items():
        if not isinstance(answer, str):
            raise _unfit(address, f"the worker {worker} does not have this program, or cannot run it")
        if answer != __version__:
            raise _unfit(address, f"the worker {worker} has version {answer} of this program, expected {__version__}")


def _unfit(address: str, reason: str) -> ClusterError:
    return ClusterError(
        f"{address}: {reason}. Install this program in the same version wherever a worker runs, and start them again.",
        settings=("dask",),
    )


def _version() -> str:
    """Version of this program, where it is called."""
    return __version__


def _one_by_one(tasks: Sequence[Task], settings: Settings, show: Show) -> Outcomes:
    for done, task in enumerate(tasks):
        show(done, len(tasks), [task.name])
        yield work_on(task, settings, one_thread=False)


def _distribute(
    tasks: Sequence[Task],
    settings: Settings,
    executors: Sequence[Executor],
    replacement: Callable[[], Executor],
    show: Show,
) -> Outcomes:
    """Give every free executor a task until none is left; one that dies gets a replacement."""
    waiting, free = list(reversed(tasks)), list(executors)
    running: dict[Future[Outcome], tuple[Task, Executor]] = {}
    while waiting or running:
        while waiting and free:
            task, executor = waiting.pop(), free.pop()
            with _interrupts_later():
                running[executor.submit(work_on, task, settings, one_thread=True)] = (task, executor)
        show(len(tasks) - len(waiting) - len(running), len(tasks), [task.name for task, _ in running.values()])
        ready, _ = wait(running, timeout=REFRESH_S, return_when=FIRST_COMPLETED)
        for future in ready:
            task, executor = running.pop(future)
            try:
                yield future.result()
                free.append(executor)
            except EcgError:
                raise
            except Exception as error:  # the worker is gone
                yield _lost(task, error)
                free.append(replacement())


@contextmanager
def _interrupts_later() -> Iterator[None]:
    """Let Ctrl-C wait while a process is started: it inherits that, and cannot be interrupted before it is ready."""
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _lost(task: Task, error: Exception) -> Outcome:
    """Outcome of a record whose worker is gone."""
    if isinstance(error, BrokenProcessPool):
        return Outcome(task, {}, ENDED, settings=("jobs",))
    if isinstance(error, CancelledError):
        return Outcome(task, {}, CLUSTER_ENDED)
    sentence = f"The cluster gave no answer for it ({type(error).__name__}: {error}); run the same command again."
    return Outcome(task, {}, one_line(sentence))


def work_on(task: Task, settings: Settings, *, one_thread: bool) -> Outcome:
    """Analyse one record; its own problem becomes an outcome, and only what would hit every other record is raised."""
    from ..parallel import use_threads  # noqa: PLC0415  # where the work is done
    from .work import analyse_one  # noqa: PLC0415

    if one_thread:
        use_threads(1)
    try:
        return analyse_one(task, settings, _raise_if_stopped)
    except (OutputError, Cancelled):
        raise
    except EcgError as error:
        return Outcome(task, {}, str(error), settings=error.settings, fields=error.fields)
    except OSError as error:
        return Outcome(task, {}, one_line(f"{error.filename or task.path}: {error.strerror or error}; check the file."))
    except Exception as error:  # one record must not stop a thousand others
        return Outcome(task, {}, one_line(f"{task.path}: could not be analysed ({type(error).__name__}: {error})."))


def _raise_if_stopped(_done_s: float, _total_s: float) -> None:
    """Progress of a record in a process of several."""
    if _stop is not None and _stop.is_set():
        raise Cancelled("The analysis was cancelled; finished records are kept.")


def _begin(stop: Event) -> None:
    """Let this process end when the event is set, and with the process that started it."""
    global _stop  # noqa: PLW0603  # a process has one
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the first process decides
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        with suppress(KeyboardInterrupt):
            parent.join()
        os._exit(1)
