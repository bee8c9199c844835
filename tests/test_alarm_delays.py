"""Delays of alarms against the marks of a record: what is an episode, what is in time, what is wrong."""

from dataclasses import replace

import numpy as np
from support.records import in_memory

from ecg_core.live.stream import Alarm
from ecg_core.schema import Annotations
from models.alarms import marked_episodes, score_record, summarise
from models.tables import alarms_table


def marks(*rows):
    time_s, symbol, aux = zip(*rows, strict=True)
    return Annotations(np.array(time_s, dtype=float), np.array(symbol), np.array(aux))


FLUTTER = marks((0, "+", "(N"), (60, "+", "(VFL"), (70, "+", "(VFIB"), (100, "+", "(ASYS"), (110, "+", "(N"))


def test_marks_that_follow_each_other_are_one_episode():
    assert marked_episodes(FLUTTER, "vf", end_s=200) == [(60, 100)]
    assert marked_episodes(FLUTTER, "asystole", end_s=200) == [(100, 110)]


def test_brackets_and_an_episode_up_to_the_end():
    bracketed = marks((5, "N", ""), (10, "+", "(VF"), (10, "[", ""), (12, "V", ""), (30, "]", ""), (50, "[", ""))
    assert marked_episodes(bracketed, "vf", end_s=80) == [(10, 30), (50, 80)]


def scored(*alarms):
    record = replace(in_memory(np.zeros((1, 200 * 125)), 125.0), reference=FLUTTER)
    return score_record(record, list(alarms))


def test_the_delay_counts_from_the_onset_to_the_first_announcement():
    figures = scored(
        Alarm("vf_suspected", 61.0, 67.5),
        Alarm("vf", 61.0, 69.0, before="vf_suspected"),
        Alarm("vf", 61.0, 103.0, 99.0),
    )
    assert figures["vf"] == {"delay_s": [7.5], "wrong_s": []}
    assert figures["asystole"] == {"delay_s": [None], "wrong_s": []}


def test_an_alarm_far_from_all_marks_is_wrong():
    figures = scored(Alarm("asystole", 20.0, 25.0), Alarm("asystole", 20.0, 31.0, 30.0), Alarm("asystole", 99.0, 104.5))
    assert figures["asystole"] == {"delay_s": [4.5], "wrong_s": [20.0]}
    total = summarise({"x": figures, "y": figures})
    assert total["asystole"] == {"episodes": 2, "raised": 2, "in_time": 2, "median_delay_s": 4.5, "wrong": 2}
    assert total["vf"]["median_delay_s"] is None


def test_the_table_has_a_row_for_each_alarm_and_says_what_was_not_measured():
    row = summarise({"x": scored(Alarm("asystole", 99.0, 104.5))})
    table = alarms_table({"sets": {"danger": row, "normal": row}})
    assert table.count("| asystole, 4 s or longer | 1 | 1 | 1 | 4.5 s | 0.00 |") == 2
    assert "models.alarms" in alarms_table({})


def test_an_asystole_alarm_where_no_beat_is_annotated_for_four_seconds_is_not_wrong():
    beats = marks(*((time_s, "N", "") for time_s in (*range(0, 21), *range(26, 60), *range(62, 100))))
    record = replace(in_memory(np.zeros((1, 200 * 125)), 125.0), reference=beats)
    raised = [Alarm("asystole", 20.0, 25.0), Alarm("asystole", 59.0, 64.0)]
    assert score_record(record, raised[:1])["asystole"]["wrong_s"] == []
    ended = [replace(raised[0], end_s=26.0), replace(raised[1], end_s=62.0)]
    assert score_record(record, ended)["asystole"]["wrong_s"] == [59.0]
