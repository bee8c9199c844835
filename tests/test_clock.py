"""Clock times and durations as text."""

from dataclasses import replace
from datetime import datetime, time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.records import in_memory

from ecg_core.clock import clock_text, duration_text, iso_text, place_of, start_text, time_of
from ecg_core.errors import EcgError


@pytest.fixture
def record():
    return replace(in_memory(np.zeros(1000), 250.0), start=datetime(2001, 1, 1, 8, 0))


def test_clock_starts_where_the_record_does(record):
    assert clock_text(record, 90.0) == "08:01:30"
    assert clock_text(record, 17 * 3600) == "day 2 01:00:00"
    assert clock_text(replace(record, start=None), 3661.26, decimals=1) == "01:01:01.3"


@pytest.mark.parametrize("microsecond", [0, 1, 300_000, 499_999, 500_000, 700_000, 999_999])
def test_a_full_hour_is_one_whatever_the_fraction_of_a_second_of_the_start(record, microsecond):
    late = replace(record, start=datetime(2001, 1, 1, 20, 15, 30, microsecond))
    full_s = 44 * 60 + 30 - microsecond / 1e6
    assert clock_text(late, full_s) == "21:00:00"
    assert clock_text(late, full_s, decimals=2) == "21:00:00.00"
    assert iso_text(late, full_s) == "2001-01-01T21:00:00.000"
    by_clock = replace(late, start=None, start_clock=late.start.time())
    assert clock_text(by_clock, full_s) == "21:00:00"


@given(st.datetimes(datetime(1950, 1, 1), datetime(2050, 1, 1)), st.floats(0, 14 * 86_400))
def test_clock_time_and_iso_8601_are_the_same_moment(start, time_s):
    record = replace(in_memory(np.zeros(1000), 250.0), start=start)
    assert clock_text(record, time_s, decimals=3).split()[-1] == iso_text(record, time_s)[11:]


@given(st.times(), st.integers(0, 2))
def test_the_clock_time_of_the_start_is_read_as_the_start(clock, decimals):
    record = replace(in_memory(np.zeros(1000), 250.0), start_clock=clock)
    assert time_of(record, clock_text(record, 0.0, decimals=decimals)) == pytest.approx(0.0, abs=0.51)


def test_the_start_is_rounded_as_its_clock_time_is(record):
    late = replace(record, start=datetime(2001, 1, 1, 20, 15, 30, 700_000))
    assert start_text(late) == f"2001-01-01 {clock_text(late, 0.0)}" == "2001-01-01 20:15:31"
    assert start_text(replace(late, start=None, start_clock=time(20, 15, 30, 700_000))) == "20:15:31, date unknown"


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


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("09:30", 5400.0),
        ("08:00:30", 30.0),
        (" 2:07:30:00 ", 84_600.0),
        ("day 2 07:30", 84_600.0),
        ("1h02m", 3720.0),
        ("1h 2m 3s", 3723.0),
        ("3723 s", 3723.0),
        ("90 min", 5400.0),
        ("+30", 1030.0),
        ("-30", 970.0),
        ("-5m", 700.0),
        ("+1:02:03", 3723.0),
    ],
)
def test_a_reader_goes_to_a_clock_time_an_elapsed_time_or_a_step(record, typed, expected):
    day = replace(record, n_samples=round(90_000 * record.fs_hz))
    assert place_of(day, typed, here_s=1000.0) == pytest.approx(expected)


def test_a_day_before_a_time_counts_where_the_start_is_unknown(record):
    days = replace(record, start=None, n_samples=round(200_000 * record.fs_hz))
    assert place_of(days, "2:01:00:00", here_s=0.0) == 90_000.0


@pytest.mark.parametrize("typed", ["soon", "", "12:77", "h", "+", "1:2:3:4:5", "09:30 tomorrow"])
def test_what_is_no_time_is_refused_with_what_was_expected(record, typed):
    with pytest.raises(EcgError, match="is no time: expected a time such as 14:05"):
        place_of(record, typed, here_s=0.0)


@pytest.mark.parametrize("typed", ["-30", "07:59", "9 h"])
def test_a_place_outside_the_recording_is_refused_with_its_span(record, typed):
    with pytest.raises(EcgError, match="lies outside the recording, which is from 08:00:00 to 08:00:04"):
        place_of(record, typed, here_s=1.0)
