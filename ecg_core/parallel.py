"""How many of the processor's cores are used, and how work is shared out among them."""

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
MOST_AT_ONCE = 8  # pieces of a record that lie in memory at a time, however many cores there are
TIDY_ITEMS = 8  # freed memory goes back to the system after so many pieces

Item = TypeVar("Item")
Result = TypeVar("Result")


def use_threads(n: int = ALL_THREADS) -> None:
    """Let so many threads work for this thread, and for those that begin after it.

    A second of a stream is too little work for two: they would wait for each other, long where the machine is busy.
    Where records are read side by side, one each leaves no core idle.
    """
    torch.set_num_threads(n)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let one thread work for this one for a while: on steps so small, two would but wait for each other."""
    before = torch.get_num_threads()
    use_threads(1)
    try:
        yield
    finally:
        use_threads(before)


def parallel_map(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """``work`` done on all items, the results in their order; what has not begun is dropped when the caller stops.

    Each thread does an item alone. Threads that share one layer of a network wait for each other at its end: here that
    is as fast on an idle machine, but a hundred times as slow where another program keeps one of the cores busy.
    """
    n_threads = min(torch.get_num_threads(), MOST_AT_ONCE)
    if n_threads == 1:
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(n_threads, initializer=use_threads, initargs=(1,))
    begun: deque[Future[Result]] = deque()
    try:
        for item in items:
            begun.append(pool.submit(work, item))
            if len(begun) == 2 * n_threads:  # enough to keep all busy
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def returning_memory(results: Iterable[Result]) -> Iterator[Result]:
    """The same results; what making them has freed goes back to the system now and then."""
    for number, result in enumerate(results, 1):
        yield result
        if number % TIDY_ITEMS == 0:
            release_memory()


def release_memory() -> None:
    """Hand what is no longer needed back to the system.

    glibc keeps freed memory, and what stays of each piece lies in between: half a gigabyte in a day of twelve leads.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL("libc.so.6").malloc_trim(0)
