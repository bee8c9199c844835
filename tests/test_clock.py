"""Clock times and durations as text."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from support.records import in_memory

from ecg_core.clock import clock_text, duration_text, iso_text


@pytest.fixture
def record():
    return replace(in_memory(np.zeros(1000), 250.0), start=datetime(2001, 1, 1, 8, 0))


def test_clock_starts_where_the_record_does(record):
    assert clock_text(record, 90.0) == "08:01:30"
    assert clock_text(record, 17 * 3600) == "day 2 01:00:00"
    assert clock_text(replace(record, start=None), 3661.26, decimals=1) == "01:01:01.3"


@pytest.mark.parametrize(
    ("start", "time_s", "expected"),
    [
        (datetime(2001, 1, 1, 8, 0), 90.0004, "2001-01-01T08:01:30.000"),
        (datetime(1969, 12, 31, 23, 59, 59), 1.5, "1970-01-01T00:00:00.500"),
        (datetime(1850, 2, 28), 14 * 86400.0, "1850-03-14T00:00:00.000"),
        (None, 90.0, ""),
        (datetime(2001, 1, 1), None, ""),
    ],
)
def test_times_are_iso_8601_where_the_start_is_known(record, start, time_s, expected):
    assert iso_text(replace(record, start=start), time_s) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(8.4, "8 s"), (59.6, "1 min"), (90, "1 min 30 s"), (3600, "1 h 0 min"), (86_340, "23 h 59 min")],
)
def test_durations_are_in_their_two_largest_units(seconds, expected):
    assert duration_text(seconds) == expected
