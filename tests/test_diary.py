"""The rhythm at each diary entry."""

import math
from dataclasses import replace

import numpy as np
import pytest
from support.analyses import make_analysis, make_event, with_events

from ecg_core.notes import DiaryEntry
from ecg_core.report.diary import AFTER_S, BEFORE_S, symptom_rows, symptom_table


def rows_at(analysis, *times_s, symptom="Palpitations"):
    return symptom_rows(analysis, [DiaryEntry(time_s, symptom) for time_s in times_s])


def test_the_ectopic_beats_of_the_window_are_counted_and_its_rate_is_the_mean_one():
    analysis = make_analysis(600.0)
    (row,) = rows_at(analysis, 300.0)
    inside = abs(analysis.beats.time_s - 300.0) <= 30.0
    n_v, n_s = (int((analysis.beats.label[inside] == label).sum()) for label in "VS")
    assert f"{n_v} V, {n_s} S" in row.rhythm
    assert row.rate_bpm == pytest.approx(60 / 0.8)
    assert "heart rate 75 bpm" in row.rhythm


def test_a_danger_comes_first_and_decides_the_finding():
    analysis = with_events(
        make_analysis(600.0), make_event("pause", 299.0, 301.5), make_event("vt_sustained", 290.0, 330.0)
    )
    (row,) = rows_at(analysis, 300.0)
    assert row.rhythm.startswith("Ventricular tachycardia, sustained, 40.0 s; Pause, 2.5 s; ")
    assert row.finding == "Ventricular tachycardia, sustained"


@pytest.mark.parametrize(("start_s", "seen"), [(300 + AFTER_S - 1, True), (300 + AFTER_S + 1, False)])
def test_an_event_counts_where_it_overlaps_the_window(start_s, seen):
    analysis = with_events(make_analysis(600.0), make_event("pause", start_s, start_s + 2.5))
    assert ("Pause" in rows_at(analysis, 300.0)[0].rhythm) == seen


def test_what_was_not_analysable_is_said_and_no_rhythm_is_made_up():
    blocks = range(24, 36)  # 240 s to 360 s
    analysis = make_analysis(600.0, unusable=blocks)
    whole, part = rows_at(analysis, 300.0, 360.0)
    assert (whole.rhythm, whole.finding) == ("Not analysable; 1 min of 1 min not analysable", "Not analysable")
    assert math.isnan(whole.rate_bpm)
    assert "30 s of 1 min not analysable" in part.rhythm


@pytest.mark.parametrize(
    ("lost_s", "kind", "finding", "rhythm"),
    [
        (5, "not_analysable", "No arrhythmia found", "; 5 s of 1 min not analysable"),
        (20, "not_analysable", "Partly analysable, no arrhythmia found", "; 20 s of 1 min not analysable"),
        (59, "not_analysable", "Not analysable", "Not analysable; 59 s of 1 min not analysable"),
        (59, "no_signal", "Not analysable", "; 59 s of 1 min not analysable, 59 s of it without any signal"),
    ],
)
def test_a_few_beats_in_a_window_that_was_lost_are_no_calm_rhythm(lost_s, kind, finding, rhythm):
    made = make_analysis(600.0)
    lost = (made.beats.time_s >= 271.0) & (made.beats.time_s < 271.0 + lost_s)
    beats = replace(made.beats, label=np.full(len(made.beats), "N"), usable=~lost)
    analysis = with_events(replace(made, beats=beats, events=()), make_event(kind, 271.0, 271.0 + lost_s))
    (row,) = rows_at(analysis, 300.0)
    assert row.finding == finding
    assert row.rhythm.endswith(rhythm)
    table = symptom_table([row])
    assert (table.findings, table.count) == ((finding,), ((1,),))


def test_an_arrhythmia_in_what_is_left_of_a_window_is_its_finding():
    noise = make_event("not_analysable", 275.0, 330.0)
    analysis = with_events(replace(make_analysis(600.0), events=()), noise, make_event("pause", 271.0, 274.2))
    (row,) = rows_at(analysis, 300.0)
    assert row.finding == "Pause"
    assert "55 s of 1 min not analysable" in row.rhythm


def test_an_entry_outside_the_recording_has_no_rhythm():
    assert [row.rhythm for row in rows_at(make_analysis(600.0), -5.0, 601.0)] == ["Outside the recording"] * 2


def test_symptoms_are_counted_against_the_most_serious_finding():
    analysis = with_events(make_analysis(1200.0), make_event("af", 0.0, 400.0), make_event("pause", 299.0, 302.0))
    rows = rows_at(analysis, 100.0, 300.0, 900.0) + rows_at(analysis, 120.0, symptom="Dizziness")
    table = symptom_table(rows)
    assert table.symptoms == ("Palpitations", "Dizziness")
    assert set(table.findings) >= {"Pause", "Atrial fibrillation"}
    assert sum(map(sum, table.count)) == len(rows)
    assert table.count[0][table.findings.index("Pause")] == 1
    assert table.count[1][table.findings.index("Atrial fibrillation")] == 1


def test_the_window_reaches_as_far_as_it_says():
    (row,) = rows_at(make_analysis(600.0, unusable=range(60)[30 + 3 :]), 300.0)
    assert BEFORE_S == AFTER_S
    assert "not analysable" not in row.rhythm
