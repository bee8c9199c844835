"""Hours, day and night against the clock of each beat."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from support.analyses import make_analysis

from ecg_core.clock import iso_text
from ecg_core.report.periods import clock_hours, day_and_night, hour_lines
from ecg_core.report.tables import beats_table

HOUR_S = 3600.0


@pytest.mark.parametrize("microsecond", [0, 300_000, 500_000, 700_000, 999_999])
def test_night_begins_at_23_whatever_the_fraction_of_a_second_of_the_start(microsecond):
    start = datetime(2001, 1, 1, 20, 15, 30, microsecond)
    analysis = make_analysis(12 * HOUR_S, start=start)
    clocks = [(start + timedelta(seconds=time_s)).hour for time_s in analysis.beats.time_s.tolist()]
    at_night = np.array([hour >= 23 or hour < 6 for hour in clocks])
    day, night, _ = day_and_night(analysis)
    assert (day.n_beats, night.n_beats) == ((~at_night).sum(), at_night.sum())
    assert night.n_of("V") == (at_night & (analysis.beats.label == "V")).sum()
    assert [line.name for line in hour_lines(analysis)][1:3] == ["21:00-22:00", "22:00-23:00"]
    edges_s = [first_s for first_s, _ in clock_hours(analysis)][1:]
    assert {iso_text(analysis.record, edge_s)[14:] for edge_s in edges_s} == {"00:00.000"}


@pytest.mark.parametrize("year", [1969, 2001])
def test_the_column_of_moments_holds_the_moment_of_each_beat(year):
    analysis = make_analysis(60.0, start=datetime(year, 12, 31, 23, 59, 30, 700_700), rr_s=0.8017)
    expected = [iso_text(analysis.record, time_s) for time_s in analysis.beats.time_s.tolist()]
    assert beats_table(analysis)["time_iso"].tolist() == expected
