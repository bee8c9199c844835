"""Counts, percentages and rates against a plain and slow implementation of the definitions."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.analyses import rhythms_of
from support.strategies import all_analysable, beat_columns, make_beats, quality_of

from ecg_core.labels import CLASSES
from ecg_core.rhythm.burden import count_classes, measure_burden
from ecg_core.rhythm.intervals import CLEAR_SCORE, heart_rate, kept_median, rate_trend, running_median
from ecg_core.rules import RhythmRules
from ecg_core.schema import Quality

RULES = RhythmRules()


def burden_of(beats, duration_s=None):
    duration_s = duration_s or max(10.0, float(beats.time_s[-1]) + 1 if len(beats) else 10.0)
    quality = all_analysable(duration_s)
    return measure_burden(beats, rhythms_of(beats, RULES), quality=quality, duration_s=duration_s, rules=RULES)


def rate_oracle(beats):
    """Every window of 8 RR that all count, as (time of its last beat, bpm)."""
    rr_s = np.where(beats.usable, np.round(beats.rr_s, 6), np.nan)
    around = [rr_s[max(0, i - 4) : i + 4] for i in range(len(beats))]
    slow = [np.isfinite(some).sum() >= 4 and np.nanmedian(some) > 2.0 for some in around]
    counts = [rr >= 0.2 and (rr <= 3.0 or is_slow) for rr, is_slow in zip(rr_s, slow, strict=True)]
    windows = [range(i - 7, i + 1) for i in range(7, len(beats))]
    return [(beats.time_s[w[-1]], 60 / np.mean(beats.rr_s[w])) for w in map(list, windows) if all(counts[i] for i in w)]


@given(beat_columns(), st.integers(0, 100))
@settings(max_examples=200)
def test_counts_and_percentages_are_over_the_analysable_beats(columns, later):
    rr_ticks, labels, usable, broken = columns
    beats = make_beats([rr + 100 * later for rr in rr_ticks], labels, usable=usable, broken=broken)
    burden = burden_of(beats)
    counted = [label for label, good in zip(labels, usable, strict=True) if good]
    assert burden.count.tolist() == [counted.count(label) for label in CLASSES]
    assert burden.n_beats == len(counted)
    assert burden.n_unusable_beats == len(labels) - len(counted)
    if counted:
        inside = [e for e in rhythms_of(beats, RULES) if e.kind == "idioventricular"]
        slow = np.any([(beats.time_s >= e.start_s) & (beats.time_s <= e.end_s) for e in inside], axis=0)
        n_premature = np.sum((beats.label == "V") & beats.usable & ~slow)
        assert burden.pvc_burden_pct == pytest.approx(100 * n_premature / len(counted))
        assert burden.sve_burden_pct == pytest.approx(100 * counted.count("S") / len(counted))
    else:
        assert np.isnan(burden.pvc_burden_pct)
        assert np.isnan(burden.sve_burden_pct)


@given(beat_columns(), st.integers(0, 100))
@settings(max_examples=200)
def test_hours_add_up_to_the_whole(columns, later):
    rr_ticks, labels, usable, broken = columns
    beats = make_beats([rr + 100 * later for rr in rr_ticks], labels, usable=usable, broken=broken)
    burden = burden_of(beats)
    hourly = burden.hourly
    assert hourly.count.sum(axis=0).tolist() == burden.count.tolist()
    assert hourly.analysable_s.sum() == pytest.approx(burden.analysable_s)
    assert len(hourly.start_s) == max(1, np.ceil(burden.duration_s / 3600))
    for hour, row in enumerate(hourly.count):
        inside = (beats.time_s >= 3600 * hour) & (beats.time_s < 3600 * (hour + 1)) & beats.usable
        assert row.sum() == inside.sum()


@given(beat_columns())
@settings(max_examples=200)
def test_the_rate_is_a_moving_average_of_eight_rr_that_all_count(columns):
    rr_ticks, labels, usable, broken = columns
    beats = make_beats(rr_ticks, labels, usable=usable, broken=broken)
    time_s, bpm = heart_rate(beats, RULES, quality=all_analysable(10.0))
    expected = rate_oracle(beats)
    np.testing.assert_allclose(time_s, [t for t, _ in expected])
    np.testing.assert_allclose(bpm, [rate for _, rate in expected])
    burden = burden_of(beats)
    if expected:
        assert burden.rate_min.bpm == pytest.approx(min(rate for _, rate in expected))
        assert burden.rate_max.bpm == pytest.approx(max(rate for _, rate in expected))
        assert np.nanmin(burden.hourly.rate_min_bpm) == burden.rate_min.bpm
        assert np.nanmax(burden.hourly.rate_max_bpm) == burden.rate_max.bpm
    else:
        assert burden.rate_min is burden.rate_max is None


def test_burden_is_beats_over_beats():
    burden = burden_of(make_beats([80] * 10, "NNVNNNVNNS"))
    assert burden.pvc_burden_pct == pytest.approx(20.0)
    assert burden.sve_burden_pct == pytest.approx(10.0)


def test_fusion_beats_are_counted_beside_the_burden_and_not_in_it():
    burden = burden_of(make_beats([80] * 10, "NNVNNFNFNN"))
    assert burden.pvc_burden_pct == pytest.approx(10.0)
    assert burden.v_and_f_pct == pytest.approx(30.0)


def test_a_single_v_beside_a_fusion_beat_is_a_couplet_and_not_isolated():
    burden = burden_of(make_beats([80] * 10, "NNVFNNVNFN"))
    assert (burden.v.n_beats, burden.v.singles, burden.v.couplets) == (2, 1, 1)


def test_v_n_v_is_no_triplet_whatever_is_between_them():
    for between in "NSQ":
        burden = burden_of(make_beats([80] * 5, f"NV{between}VN"))
        assert (burden.v.singles, burden.v.couplets, burden.v.triplets, burden.v.runs.n) == (2, 0, 0, 0)
    lost = make_beats([80] * 5, "NVVVN", usable=[True, True, False, True, True])
    assert burden_of(lost).v.triplets == 0


@pytest.mark.parametrize(("label", "letter"), [("V", "v"), ("S", "s")])
def test_the_longest_run_is_by_beats_where_beats_are_counted_and_by_seconds_where_seconds_are(label, letter):
    rr = [80] * 3 + [40] * 6 + [80] * 3 + [100] * 4 + [80] * 2
    labels = "NNN" + 6 * label + "NNN" + 4 * label + "NN"
    runs = getattr(burden_of(make_beats(rr, labels)), letter).runs
    assert (runs.most_beats.n_beats, runs.most_beats.duration_s) == (6, pytest.approx(2.0))
    assert (runs.longest.n_beats, runs.longest.duration_s) == (4, pytest.approx(3.0))


def test_unusable_beats_are_in_no_percentage():
    beats = make_beats([80] * 4, "NVVV", usable=[True, True, False, False])
    assert burden_of(beats).pvc_burden_pct == pytest.approx(50.0)
    assert burden_of(beats).n_unusable_beats == 2


def test_mean_minimum_and_maximum_of_a_steady_rate_are_equal():
    burden = burden_of(make_beats([75] * 100, "N" * 100))
    assert (burden.rate_min.bpm, burden.rate_mean_bpm, burden.rate_max.bpm) == pytest.approx((80.0, 80.0, 80.0))


@given(beat_columns(), st.lists(st.sampled_from([0.3, 0.59, 0.6, 1.0]), min_size=40, max_size=40), st.integers(0, 100))
@settings(max_examples=200)
def test_the_mean_rate_lies_between_the_lowest_and_the_highest(columns, scores, later):
    rr_ticks, labels, usable, broken = columns
    beats = make_beats([rr + 2 * later for rr in rr_ticks], labels, usable=usable, broken=broken)
    duration_s = 1.0 + (float(beats.time_s[-1]) if len(beats) else 0.0)
    score = np.array([scores[: int(np.ceil(duration_s / 10))]], dtype=np.float32)
    quality = Quality(10.0, score, np.ones(score.shape[1], dtype=bool))
    burden = measure_burden(beats, (), quality=quality, duration_s=duration_s, rules=RULES)
    if burden.rate_min and burden.rate_max:
        assert burden.rate_min.bpm <= burden.rate_mean_bpm <= burden.rate_max.bpm
    low, mean, high = (getattr(burden.hourly, f"rate_{name}_bpm") for name in ("min", "mean", "max"))
    there = np.isfinite(low)
    assert (low[there] <= mean[there]).all()
    assert (mean[there] <= high[there]).all()


def test_noise_that_is_taken_for_beats_does_not_raise_the_mean_rate():
    rr = [80] * 150 + [35] * 300
    beats = make_beats(rr, "N" * len(rr))
    scores = np.ones((1, 23), dtype=np.float32)
    scores[0, 12:] = 0.3
    burden = measure_burden(
        beats, (), quality=Quality(10.0, scores, np.ones(23, dtype=bool)), duration_s=226.0, rules=RULES
    )
    assert (burden.rate_min.bpm, burden.rate_mean_bpm, burden.rate_max.bpm) == pytest.approx((75.0, 75.0, 75.0))
    assert burden.hourly.rate_mean_bpm == pytest.approx([75.0])


def test_the_mean_rate_of_clear_signal_is_its_beats_over_its_time():
    rng = np.random.default_rng(0)
    rr = rng.integers(60, 110, 4000)
    burden = burden_of(make_beats(rr, "N" * len(rr)))
    assert burden.rate_mean_bpm == pytest.approx(6000 / rr[1:].mean(), abs=0.1)


def test_pauses_and_false_intervals_are_left_out_of_the_rate():
    rr = [80] * 30
    rr[10], rr[20] = 400, 10
    burden = burden_of(make_beats(rr, "N" * 30))
    assert (burden.rate_min.bpm, burden.rate_max.bpm) == pytest.approx((75.0, 75.0))


@pytest.mark.parametrize("slow_rr", [[320] * 190, [280, 330] * 95, [100, 400] * 95, [250, 460, 350] * 63])
def test_the_slowest_rhythm_has_a_rate_however_slow_it_is(slow_rr):
    beats = make_beats([80] * 200 + slow_rr + [80] * 200, "N" * (400 + len(slow_rr)))
    burden, slowest = burden_of(beats), 6000 / np.mean(slow_rr)
    assert burden.rate_min.bpm == pytest.approx(slowest, rel=0.1)
    assert burden.hourly.rate_min_bpm[0] == burden.rate_min.bpm
    assert burden.rate_mean_bpm == pytest.approx(60 * len(beats) / beats.time_s[-1], rel=0.15)
    assert burden.slow.total_s == pytest.approx(sum(slow_rr) / 100, rel=0.05)


def test_pauses_among_faster_beats_are_no_rate():
    beats = make_beats([80] * 50 + [350] + [80] * 3 + [320, 400] + [80] * 50, "N" * 106)
    assert burden_of(beats).rate_min.bpm == pytest.approx(75.0)


def noisy_minute(score):
    """Two minutes at 75 bpm, in whose middle a block of noise gives beats at 150 bpm and misses others."""
    rr = [80] * 75 + [40] * 25 + [80] * 75
    beats = make_beats(rr, "N" * len(rr))
    scores = np.ones((1, 13), dtype=np.float32)
    scores[0, 6] = score
    return beats, Quality(10.0, scores, scores[0] > 0)


@pytest.mark.parametrize(("score", "highest"), [(CLEAR_SCORE, 150.0), (CLEAR_SCORE - 0.01, 75.0), (0.25, 75.0)])
def test_the_extremes_of_the_rate_come_from_clear_signal(score, highest):
    beats, quality = noisy_minute(score)
    burden = measure_burden(beats, (), quality=quality, duration_s=130.0, rules=RULES)
    assert burden.rate_max.bpm == pytest.approx(highest)
    assert np.nanmax(burden.hourly.rate_max_bpm) == burden.rate_max.bpm
    _, _, high = rate_trend(beats, RULES, quality=quality, bin_s=10.0, n_bins=13)
    assert np.nanmax(high) == burden.rate_max.bpm


def test_one_clear_lead_suffices_for_a_rate():
    beats, one = noisy_minute(0.3)
    both = Quality(10.0, np.concatenate((one.score, np.ones_like(one.score))), one.usable)
    time_s, _ = heart_rate(beats, RULES, quality=both)
    assert len(time_s) == len(beats) - RULES.rate_average_beats


@pytest.mark.parametrize(("chance", "highest"), [(0.5, 75.0), (0.09, 100.0)])
def test_beats_that_may_be_none_make_no_extreme_of_the_rate(chance, highest):
    rr = [80] * 40 + [40] * 4 + [80] * 40
    beats = make_beats(rr, "N" * len(rr))
    doubtful = [40, 41, 42, 43]  # 4 x 0.09 is less than 5 % of 8
    probability = beats.probability.copy()
    probability[doubtful, CLASSES.index("N")] -= np.float32(chance)
    probability[doubtful, CLASSES.index("Q")] += np.float32(chance)
    burden = burden_of(replace(beats, probability=probability))
    assert burden.rate_max.bpm == pytest.approx(highest)


def test_paced_beats_have_a_rate():
    burden = burden_of(make_beats([80] * 30, "Q" * 30))
    assert (burden.rate_min.bpm, burden.rate_max.bpm) == pytest.approx((75.0, 75.0))


def test_without_clear_signal_there_is_no_lowest_or_highest_rate_but_a_mean():
    scores = np.full((1, 3), 0.4, dtype=np.float32)
    quality = Quality(10.0, scores, scores[0] > 0)
    burden = measure_burden(make_beats([80] * 30, "N" * 30), (), quality=quality, duration_s=30.0, rules=RULES)
    assert (burden.rate_min, burden.rate_max, burden.rate_mean_bpm) == (None, None, pytest.approx(75.0))


def test_analysable_time_is_that_of_the_usable_blocks_and_ends_with_the_recording():
    beats = make_beats([80] * 10, "N" * 10)
    burden = measure_burden(beats, (), quality=quality_of([True, False, True]), duration_s=25.0, rules=RULES)
    assert burden.analysable_s == pytest.approx(15.0)
    assert burden.analysable_pct == pytest.approx(60.0)


def test_lost_signal_of_any_length_is_not_analysable_and_counts_once():
    beats, lost_s = make_beats([80] * 10, "N" * 10), np.array([[2.0, 2.3], [9.0, 12.0]])
    quality = replace(quality_of([True, False, True]), lost_s=lost_s)
    assert measure_burden(beats, (), quality=quality, duration_s=25.0, rules=RULES).analysable_s == pytest.approx(13.7)


def test_a_beat_on_the_hour_belongs_to_the_hour_that_begins():
    burden = burden_of(make_beats([360_000, 80], "NV"), duration_s=7200.0)
    assert burden.hourly.count.tolist() == [[0] * 5, [1, 0, 1, 0, 0]]


def test_a_mark_past_the_end_belongs_to_the_last_hour():
    assert burden_of(make_beats([360_000], "N"), duration_s=3600.0).hourly.count[:, 0].tolist() == [1]


@pytest.mark.parametrize("labels", ["", "N"])
def test_without_intervals_there_is_no_rate_and_no_error(labels):
    burden = burden_of(make_beats([80] * len(labels), labels))
    assert burden.rate_min is None
    assert burden.rate_max is None
    assert np.isnan(burden.rate_mean_bpm)
    assert np.isnan(burden.hourly.rate_mean_bpm).all()
    assert burden.n_beats == len(labels)


def test_without_beats_there_is_no_percentage():
    burden = burden_of(make_beats([], ""))
    assert np.isnan(burden.pvc_burden_pct)
    assert count_classes(make_beats([], "")).tolist() == [0] * 5


@given(st.lists(st.one_of(st.floats(0.2, 3.0), st.just(float("nan"))), max_size=40), st.integers(1, 12), st.booleans())
def test_a_running_median_is_that_of_the_known_values_before_each_one(values, width, itself):
    offset = int(itself) - width
    values = np.array(values)
    found = running_median(values, width, offset=offset, at_least=2)
    for i in range(len(values)):
        before = values[max(0, i + itself - width) : i + itself]
        before = before[np.isfinite(before)]
        np.testing.assert_allclose(found[i], np.median(before) if len(before) >= 2 else np.nan)


def test_a_median_is_kept_for_the_same_intervals_only_and_cannot_be_changed():
    rr_s = np.array([0.8, 0.9, np.nan, 0.7, 1.1])
    first = kept_median(rr_s, 3, offset=-3, at_least=1)
    assert kept_median(rr_s.copy(), 3, offset=-3, at_least=1) is first
    rr_s[0] = 1.0
    np.testing.assert_array_equal(
        kept_median(rr_s, 3, offset=-3, at_least=1), running_median(rr_s, 3, offset=-3, at_least=1)
    )
    assert kept_median(rr_s, 3, offset=-3, at_least=1)[1] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        first[1] = 0.5
