"""Leads of different rates: each at its own, read at the highest one."""

import numpy as np
import pytest

from ecg_core.records.mixed_rates import LeadsOfRate, MixedRateSource
from ecg_core.records.samples import ArraySource


def part_of(rows, fs_hz):
    rows = np.atleast_2d(rows).astype(np.float32)
    return LeadsOfRate(ArraySource(rows, (1.0,) * len(rows), (0.0,) * len(rows)), fs_hz, rows.shape[1], len(rows))


def tone(fs_hz, hz=9.0, seconds=8.0):
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * fs_hz)) / fs_hz)


@pytest.mark.parametrize("low_hz", [125.0, 100.0, 128.0, 249.0])
def test_a_lead_of_a_lower_rate_keeps_its_wave_and_its_time(low_hz):
    source = MixedRateSource((part_of(tone(250.0), 250.0), part_of(tone(low_hz), low_hz)), 250.0)
    high, low = source.read(0, 2000, (0, 1))
    inside = slice(50, 1950)
    np.testing.assert_allclose(low[inside], high[inside], atol=2e-3)


def test_a_stretch_is_what_it_is_in_the_whole_and_leads_may_come_in_any_order():
    source = MixedRateSource((part_of(tone(250.0), 250.0), part_of([tone(128.0), tone(128.0, 3.0)], 128.0)), 250.0)
    whole = source.read(0, 2000, (0, 1, 2))
    np.testing.assert_array_equal(source.read(333, 1001, (2, 0)), whole[[2, 0], 333:1001])


def test_what_is_missing_at_the_lower_rate_is_missing_at_the_higher_and_a_constant_stays():
    row = np.ones(1000)
    row[500:600] = np.nan
    got = MixedRateSource((part_of(tone(250.0), 250.0), part_of(row, 125.0)), 250.0).read(0, 2000, (1,))[0]
    assert np.isnan(got[1001:1199]).all()
    np.testing.assert_allclose(got[:999], 1.0, atol=1e-6)
    np.testing.assert_allclose(got[1201:], 1.0, atol=1e-6)
