"""Work is distributed among threads: in order, a bounded number of items ahead, and dropped when the caller stops."""

import threading
import time

import pytest
import torch

from ecg_core.parallel import n_threads as threads_in_use
from ecg_core.parallel import one_thread, parallel_map, use_threads


@pytest.fixture(params=[1, 3])
def n_threads(request):
    before = threads_in_use()
    use_threads(request.param)
    yield request.param
    use_threads(before)


def test_results_come_in_the_order_of_the_items(n_threads):
    def slow_first(number):
        time.sleep(0.02 * (number == 0))
        return number

    assert list(parallel_map(slow_first, range(20))) == list(range(20))


def test_each_item_is_done_by_one_thread_that_works_alone(n_threads):
    used = list(parallel_map(lambda _: (threads_in_use(), torch.get_num_threads()), range(8)))
    assert set(used) == {(1, 1)}
    assert (threads_in_use(), torch.get_num_threads()) == (n_threads, n_threads)


def test_a_block_of_small_steps_uses_one_thread(n_threads):
    with one_thread():
        assert (threads_in_use(), torch.get_num_threads()) == (1, 1)
    assert (threads_in_use(), torch.get_num_threads()) == (n_threads, n_threads)


def test_several_items_are_done_at_once():
    before = threads_in_use()
    use_threads(2)
    try:
        meeting = threading.Barrier(2, timeout=10)
        assert len(list(parallel_map(lambda _: meeting.wait(), range(4)))) == 4
    finally:
        use_threads(before)


def test_no_more_is_begun_than_keeps_the_threads_busy(n_threads):
    taken = []
    results = parallel_map(lambda item: item, (taken.append(i) or i for i in range(100)))
    next(results)
    assert len(taken) <= 2 * n_threads


def test_an_error_ends_the_work_and_comes_to_the_caller(n_threads):
    done = []

    def fails(number):
        done.append(number)
        if number == 3:
            raise ValueError("broken piece")
        return number

    with pytest.raises(ValueError, match="broken piece"):
        list(parallel_map(fails, range(100)))
    assert len(done) <= 3 + 2 * n_threads


def test_what_has_not_begun_is_dropped_when_the_caller_stops(n_threads):
    done = []
    results = parallel_map(done.append, range(100))
    next(results)
    results.close()
    assert len(done) <= 2 * n_threads
