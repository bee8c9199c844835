"""How many cores of the processor are used, and how work is distributed among them."""

from __future__ import annotations

import ctypes
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TypeVar

import torch

ALL_THREADS = torch.get_num_threads()
MAX_THREADS = 8  # bounds the memory, as each thread holds a chunk of a record and its result
RELEASE_EVERY = 8  # items; freed memory goes back to the system after each of these

Item = TypeVar("Item")
Result = TypeVar("Result")


def use_threads(n: int = ALL_THREADS) -> None:
    """Set how many threads torch uses in this thread, and in those that begin after it.

    A second of a stream is too little work for two: they would wait for each other, long where the machine is busy.
    Where several processes analyse a record each, one thread each leaves no core idle.
    """
    torch.set_num_threads(n)


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread inside the block: in small steps, two would only wait for each other."""
    before = torch.get_num_threads()
    use_threads(1)
    try:
        yield
    finally:
        use_threads(before)


def parallel_map(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield the results of ``work`` on all items, in order; items not yet begun are dropped when the caller stops.

    Each thread works on an item alone. Threads that share one layer of a network wait for each other at its end: on an
    idle machine that is as fast, but where another program keeps one core busy it is a hundred times as slow.
    """
    n_threads = min(torch.get_num_threads(), MAX_THREADS)
    if n_threads == 1:
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(n_threads, initializer=use_threads, initargs=(1,))
    begun: deque[Future[Result]] = deque()
    try:
        for item in items:
            begun.append(pool.submit(work, item))
            if len(begun) == 2 * n_threads:  # enough to keep all threads busy
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
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL("libc.so.6").malloc_trim(0)
