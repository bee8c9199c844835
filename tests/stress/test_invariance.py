"""Beats and their classes do not depend on where a record begins, on polarity, hum, or a lead of noise beside it."""

from dataclasses import replace

import numpy as np
import pytest
from support.strategies import make_beats

from ecg_core.evaluation.invariance import CHANGES, ChangedSource, Invariance, compare, together
from ecg_core.pipeline import analyse
from ecg_core.records import read_record
from models.invariance import RECORDS

EXCERPT_S = 1200.0
MOST_CHANGED_PCT = 1.0  # of the beats of all records together; models/README.md states what is measured
MOST_BY_AF_PCT = 0.1


@pytest.fixture(scope="module")
def measured(databases, model):
    """What each change changes in the excerpts of all records together, by its name."""
    parts = {change.name: [] for change in CHANGES}
    for name in RECORDS:
        record = read_record(databases / name)
        record = replace(record, n_samples=min(record.n_samples, round(EXCERPT_S * record.fs_hz)))
        whole = analyse(record, model)
        for change in CHANGES:
            parts[change.name].append(compare(whole, analyse(change.of(record), model), begins_s=change.begins(record)))
    return {name: together(of_records) for name, of_records in parts.items()}


@pytest.mark.databases
@pytest.mark.parametrize("name", [change.name for change in CHANGES])
def test_hardly_any_class_depends_on_what_changes_no_beat(measured, name):
    found = measured[name]
    assert found.n_beats > 4000
    assert found.changed_pct <= MOST_CHANGED_PCT


@pytest.mark.databases
@pytest.mark.parametrize("name", [change.name for change in CHANGES])
def test_hardly_any_class_changes_because_fibrillation_is_decided_otherwise(measured, name):
    found = measured[name]
    assert 100 * found.n_labels_by_af <= MOST_BY_AF_PCT * found.n_beats


# Changed records are those that their names say


def test_a_changed_record_holds_the_samples_of_the_record(demo):
    two = demo.source.read(1000, 3000, (1, 6))
    later = ChangedSource(demo.source, demo.fs_hz, first=400)
    np.testing.assert_array_equal(later.read(600, 2600, (1, 6)), two)
    np.testing.assert_array_equal(ChangedSource(demo.source, demo.fs_hz, factor=-1.0).read(1000, 3000, (1, 6)), -two)
    hum = ChangedSource(demo.source, demo.fs_hz, hum_hz=50.0).read(1000, 3000, (1, 6)) - two
    assert np.ptp(hum[0]) == pytest.approx(0.2, rel=0.05)
    np.testing.assert_allclose(hum[0], hum[1], atol=1e-6)


def test_a_lead_of_noise_is_the_same_whatever_is_read(demo):
    source = ChangedSource(demo.source, demo.fs_hz, noise_lead=12)
    both = source.read(1000, 3000, (12, 1))
    np.testing.assert_array_equal(both[1], demo.source.read(1000, 3000, (1,))[0])
    np.testing.assert_array_equal(both[0, 500:], source.read(1500, 3000, (12,))[0])


def test_what_differs_is_counted_away_from_the_cut(make_analysis):
    whole = make_analysis(make_beats([100] * 300, "N" * 300))
    changed = make_analysis(make_beats([100] * 300, "N" * 30 + "V" + "N" * 169 + "S" + "N" * 99))
    assert compare(whole, changed) == Invariance(n_beats=300, n_labels=2)
    late = make_analysis(make_beats([100] * 200, "V" * 30 + "N" * 170))
    found = compare(whole, late, begins_s=100.0)
    assert (found.n_labels, found.n_alone) == (0, 0)
    assert 100 <= found.n_beats <= 142
