"""Hours, day and night against the clock of each beat."""

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from support.analyses import make_analysis, make_event, with_events

from ecg_core.clock import iso_text
from ecg_core.edits import RhythmEdit, Stretch
from ecg_core.measuring import with_edits, with_rules
from ecg_core.report.measures import measures
from ecg_core.report.periods import clock_hours, day_and_night, hour_lines
from ecg_core.report.tables import beats_table
from pages._ui.tables import hours_table, rate_card

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


def test_an_hour_of_less_than_a_minute_is_named_with_its_seconds():
    analysis = make_analysis(60.0, start=datetime(2001, 1, 1, 8, 59, 40))
    assert [line.name for line in hour_lines(analysis)] == ["08:59-09:00", "09:00:00-09:00:40", "Total"]
    analysis = make_analysis(60.0, start=datetime(2001, 1, 1, 8, 59, 0, 400_000))
    assert [line.name for line in hour_lines(analysis)] == ["08:59-09:00", "09:00:00.00-09:00:00.40", "Total"]


@pytest.mark.parametrize("year", [1969, 2001])
def test_the_column_of_moments_holds_the_moment_of_each_beat(year):
    analysis = make_analysis(60.0, start=datetime(year, 12, 31, 23, 59, 30, 700_700), rr_s=0.8017)
    expected = [iso_text(analysis.record, time_s) for time_s in analysis.beats.time_s.tolist()]
    assert beats_table(analysis)["time_iso"].tolist() == expected


def test_in_each_period_the_mean_rate_lies_between_the_lowest_and_the_highest():
    made = make_analysis(3 * HOUR_S, start=datetime(2001, 1, 1, 21, 30))
    score = made.quality.score.copy()
    score[0, 300:] = 0.3
    score[0, 700:710] = 1.0
    time_s = made.beats.time_s.copy()
    time_s[4000:6000] = np.linspace(time_s[4000], time_s[4000] + 2000 * 0.35, 2000)
    moved = replace(made.predicted, time_s=time_s, rr_s=np.diff(time_s, prepend=np.nan))
    analysis = with_rules(replace(made, predicted=moved, quality=replace(made.quality, score=score)), made.rules)
    assert analysis.burden.rate_min is not None
    for line in [*hour_lines(analysis), *day_and_night(analysis)]:
        low, mean, high = line.rates_bpm
        assert np.isfinite(mean)
        assert np.isnan(low) or low <= mean <= high
    assert hour_lines(analysis)[-1].rates_bpm[1] == analysis.burden.rate_mean_bpm


def test_a_mean_rate_without_clear_signal_is_of_all_rr_and_says_so():
    made = make_analysis(600.0)
    noisy = replace(made, quality=replace(made.quality, score=np.full_like(made.quality.score, 0.3)))
    for analysis, value, words in ((made, 75.0, "signal of quality 0.6"), (noisy, 75.0, "all counted RR, as too few")):
        mean = {one.key: one for one in measures(with_rules(analysis, made.rules))}["heart_rate_mean"]
        assert mean.value == pytest.approx(value)
        assert words in mean.of
    record, burden = noisy.record, with_rules(noisy, made.rules).burden
    assert rate_card(record, burden) == ("Mean heart rate", "75 bpm", "of all RR: too few lie in clear signal")


def test_the_percentage_of_v_is_the_pvc_burden_without_idioventricular_rhythm():
    made = make_analysis(2 * HOUR_S)
    slow = with_events(replace(made, events=()), make_event("idioventricular", 3000.0, 4000.0, n_beats=1250))
    *hours, total = hour_lines(slow)
    assert total.v_pct == pytest.approx(slow.burden.pvc_burden_pct)
    assert sum(line.n_premature_v for line in hours) == slow.burden.v.n_beats < total.n_of("V")
    assert sum(line.v_pct * line.n_beats for line in hours) == pytest.approx(total.v_pct * total.n_beats)
    assert [line.v_pct for line in day_and_night(slow)][2] == pytest.approx(slow.burden.pvc_burden_pct)
    assert hours_table(slow)["V %"].tolist()[-1] == round(slow.burden.pvc_burden_pct, 1)


def analysable_each_second(analysis):
    """Whether each second of a recording is analysable and not in ventricular fibrillation."""
    analysable = np.repeat(analysis.quality.usable, round(analysis.quality.block_s))
    analysable = analysable[: round(analysis.record.duration_s)].copy()
    for event in analysis.events:
        if event.kind == "vf":
            analysable[round(event.start_s) : round(event.end_s)] = False
    return analysable


def found_and_marked():
    """Ten hours with noise and ventricular fibrillation across a full hour, found and marked by a reader."""
    base = make_analysis(10 * HOUR_S, start=datetime(2001, 1, 1, 20, 15, 30), unusable=[*range(100, 110), 355, 1000])
    spans = [(3500.0, 3700.0), (9860.0, 9880.0), (20_000.0, 20_300.0)]
    found = with_events(base, *(make_event("vf", *span) for span in spans))
    return found, with_edits(base, [RhythmEdit(tuple(Stretch(*span) for span in spans), "vf")])


@pytest.mark.parametrize("analysis", found_and_marked(), ids=["found", "marked"])
def test_fibrillation_of_the_ventricles_is_in_no_denominator_of_any_table(analysis):
    analysable, burden = analysable_each_second(analysis), analysis.burden
    n_s = int(analysable.sum())
    assert burden.analysable_s == pytest.approx(n_s)
    by_hour = [part.sum() for part in np.split(analysable, range(3600, 36_000, 3600))]
    assert burden.hourly.analysable_s == pytest.approx(by_hour)
    lines = hour_lines(analysis)
    spans = [*clock_hours(analysis), (0.0, 36_000.0)]
    expected = [analysable[round(first_s) : round(last_s)].sum() for first_s, last_s in spans]
    assert [line.analysable_s for line in lines] == pytest.approx(expected)
    day, night, total = day_and_night(analysis)
    assert day.analysable_s + night.analysable_s == pytest.approx(total.analysable_s) == pytest.approx(n_s)
    found = {measure.key: measure.value for measure in measures(analysis)}
    assert found["analysable_time"] == pytest.approx(n_s)
    assert found["artefact_share"] == pytest.approx(100 - n_s / 360)
    for letter in "vs":
        assert found[f"{letter}_per_hour"] == pytest.approx(3600 * found[f"{letter}_total"] / n_s)
