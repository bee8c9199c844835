"""How many cores of the processor are used, and how work is distributed among them."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

MAX_THREADS = 8  # bounds the memory, as each thread holds a chunk of a record and its result
RELEASE_EVERY = 64  # items: after so many, freed memory goes back to the system; more often would cost time
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)
KEPT_BYTES = 16 << 20  # glibc keeps so much freed memory for the next array
KEPT_BLOCK_BYTES = 8 << 20  # larger arrays get memory of their own, which goes back to the system with them

Item = TypeVar("Item")
Result = TypeVar("Result")

_of_thread = threading.local()


@cache
def n_cores() -> int:
    """How many cores this process may use: those of OMP_NUM_THREADS, or all that the system gives it."""
    stated = os.environ.get("OMP_NUM_THREADS", "")
    if stated.isdigit() and int(stated) > 0:
        return int(stated)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def n_threads() -> int:
    """How many threads share the work that this thread distributes."""
    return int(getattr(_of_thread, "n", n_cores()))


def use_threads(n: int | None = None) -> None:
    """Set how many threads share the work of this thread, torch's included where it is loaded; by default one a core.

    A second of a stream is too little work for two: they would wait for each other, long where the machine is busy.
    Where several processes analyse a record each, one thread each leaves no core idle.
    """
    _of_thread.n = n_cores() if n is None else n
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(_of_thread.n)


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread inside the block: in small steps, two would only wait for each other."""
    before = n_threads()
    use_threads(1)
    try:
        yield
    finally:
        use_threads(before)


@cache
def _configure_libraries() -> None:
    """Configure numpy's linear algebra and glibc for work in several threads; once in a process.

    Linear algebra runs in the thread that calls it, as threads of its own would wait for one another. glibc reuses the
    memory of freed arrays: each chunk of a record needs as much as the one before, and the system clears the pages of
    new memory, which takes a tenth of the time of reading a record.
    """
    threadpool_limits(1, user_api="blas")
    if libc := _libc():
        libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        libc.mallopt(M_MMAP_THRESHOLD, KEPT_BLOCK_BYTES)


def parallel_map(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield the results of ``work`` on all items, in order; items not yet begun are dropped when the caller stops.

    Each thread works on an item alone. Threads that share one layer of a network wait for each other at its end: on an
    idle machine that is as fast, but where another program keeps one core busy it is a hundred times as slow.
    """
    _configure_libraries()
    n = min(n_threads(), MAX_THREADS)
    if n == 1 or (isinstance(items, Sized) and len(items) == 1):  # what is within a single item may be shared instead
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(n, initializer=use_threads, initargs=(1,))
    begun: deque[Future[Result]] = deque()
    try:
        for item in items:
            begun.append(pool.submit(work, item))
            if len(begun) == 2 * n:  # enough to keep all threads busy
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def returning_memory(results: Iterable[Result]) -> Iterator[Result]:
    """Yield the same results; memory that was freed in between goes back to the system now and then."""
    for number, result in enumerate(results, 1):
        yield result
        if number % RELEASE_EVERY == 0:
            release_memory()


def release_memory() -> None:
    """Give freed memory back to the system.

    glibc keeps it, fragmented by what stays of each chunk: half a gigabyte in a day of twelve leads.
    """
    if libc := _libc():
        libc.malloc_trim(0)


@cache
def _libc() -> Any:
    """glibc; None on a system that has another C library, one that only bears its name included."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            libc = ctypes.CDLL("libc.so.6")
            if libc.mallopt and libc.malloc_trim:
                return libc
    return None
