"""Atrial fibrillation by the probability that a network gives it: smoothed, by the rules in force, in episodes."""

from dataclasses import replace

import numpy as np
import pytest
from support.af_model import finding_af, without_af
from support.analyses import make_event, rhythms_of
from support.outputs import measured
from support.records import in_memory
from support.strategies import make_beats

from ecg_core.edits import DeleteEdit, InsertEdit, Label
from ecg_core.labels import CLASSES
from ecg_core.measuring import with_edits, with_rules
from ecg_core.pipeline import analyse
from ecg_core.rhythm import fibrillation
from ecg_core.rhythm.burden import measure_burden
from ecg_core.rhythm.fibrillation import (
    AF_BEATS,
    AF_CONTINUES,
    LEAST_PROBABILITY,
    P_WAVES_FROM,
    af_episodes,
    smoothed_probability,
)
from ecg_core.rules import RhythmRules
from ecg_core.schema import Annotations
from ecg_core.studies.frozen import read_frozen, write_frozen

FS_HZ = 257
RULES = RhythmRules()
N, EDGE = 600, AF_BEATS  # beats; an episode begins and ends within so many of the truth


def regular(probability, *, usable=None):
    """A beat each 0.8 s with these probabilities of fibrillation."""
    n = len(probability)
    beats = make_beats([80] * n, "N" * n, usable=usable)
    return replace(beats, af_probability=np.asarray(probability, dtype=np.float32))


def between(first, last, *, inside=0.95, outside=0.02, n=N):
    probability = np.full(n, outside)
    probability[first:last] = inside
    return probability


def episodes(beats, rules=RULES):
    return [(one.start, one.stop) for one in af_episodes(beats, rules)]


# In beats


def test_an_episode_lies_where_the_network_sees_fibrillation_however_regular_the_rr():
    (af,) = [event for event in rhythms_of(regular(between(200, 400)), RULES) if event.kind == "af"]
    assert af.start_s == pytest.approx(0.8 * 200, abs=0.8 * EDGE)
    assert af.end_s == pytest.approx(0.8 * 400, abs=0.8 * EDGE)


def test_irregular_beats_without_p_waves_are_fibrillation_also_where_the_network_sees_none():
    rr = np.rint(36 + np.random.default_rng(0).gamma(3, 12, size=N)).astype(int)
    beats = make_beats(rr, "N" * N)
    assert episodes(beats)
    assert episodes(replace(beats, af_probability=np.full(N, 0.02, dtype=np.float32))) == episodes(beats)


@pytest.mark.parametrize(("repeats", "found"), [(0.05, 1), (P_WAVES_FROM, 1), (0.8, 0)])
def test_p_waves_are_evidence_against_what_the_network_says(repeats, found):
    beats = replace(regular(between(0, N, inside=0.6)), p_repeats=np.full(N, repeats, dtype=np.float32))
    assert len(episodes(beats)) == found


def test_a_network_that_is_sure_enough_finds_fibrillation_in_spite_of_waves_before_the_qrs():
    beats = replace(regular(between(0, N, inside=0.999)), p_repeats=np.full(N, 0.8, dtype=np.float32))
    assert len(episodes(beats)) == 1


def test_fibrillation_is_found_by_the_network_among_ectopic_beats_too():
    beats = replace(regular(between(200, 400)), label=np.where(np.arange(N) % 2, "V", "N"))
    assert len(episodes(beats)) == 1


@pytest.mark.parametrize("left_out", [1, 3, 7])
def test_irregular_beats_are_found_whichever_beat_of_them_a_record_begins_with(left_out):
    rng = np.random.default_rng(3)
    rr = np.rint(80 + np.repeat([1.0, 6.0, 14.0, 4.0, 9.0, 2.0], 60) * rng.normal(size=360))
    whole, part = (
        fibrillation.in_fibrillation(make_beats(some, "N" * len(some)), RULES) for some in (rr, rr[left_out:])
    )
    assert 0 < whole[0].sum() < len(rr) - 60
    for of_whole, of_part in zip(whole, part, strict=True):
        np.testing.assert_array_equal(of_part[RULES.af_intervals :], of_whole[left_out + RULES.af_intervals :])


def test_the_rule_says_from_which_probability_on():
    beats = regular(between(200, 400, inside=0.6))
    assert len(episodes(beats)) == 1
    assert not episodes(beats, replace(RULES, af_probability=0.7))
    assert len(episodes(regular(between(200, 400, inside=0.3)), replace(RULES, af_probability=0.2))) == 1


def test_without_a_network_that_gives_it_the_rule_of_its_probability_changes_nothing():
    by_rr = replace(regular(between(200, 400)), af_probability=None)
    assert episodes(by_rr, replace(RULES, af_probability=0.05)) == episodes(by_rr)


def test_an_episode_goes_on_at_part_of_the_probability_that_begins_one():
    doubtful = AF_CONTINUES * RULES.af_probability + 0.05
    probability = between(200, 300)
    probability[300:400] = doubtful
    ((_, stop),) = episodes(regular(probability))
    assert stop == pytest.approx(400, abs=EDGE)
    assert not episodes(regular(between(200, 400, inside=doubtful)))  # and does not begin there


def test_few_beats_of_fibrillation_are_no_episode_and_few_of_none_do_not_end_one():
    assert not episodes(regular(between(300, 320)))
    probability = between(100, 500)
    probability[300:310] = 0.02
    assert len(episodes(regular(probability))) == 1


def test_a_single_beat_that_is_sure_changes_nothing():
    probability = between(100, 500)
    probability[[50, 300]] = 1.0, 0.0
    assert episodes(regular(probability)) == episodes(regular(between(100, 500)))


def test_fibrillation_goes_on_through_short_lost_signal_and_only_what_was_lost_is_left_out():
    every = between(0, N)
    usable = np.ones(N, dtype=bool)
    usable[300:306] = False
    lost_rr = regular(every, usable=usable)
    rr_s = np.where(np.arange(N) % 30 == 0, np.nan, lost_rr.rr_s)  # a piece lost every 24 s
    (af,) = [event for event in rhythms_of(replace(lost_rr, rr_s=rr_s), RULES) if event.kind == "af"]
    assert (af.start_s, af.end_s, af.n_beats) == (pytest.approx(0.8), pytest.approx(480.0), N - 6)
    assert af.rate_bpm == pytest.approx(75.0)


def test_fibrillation_is_never_longer_than_the_analysable_signal():
    lost = measured(np.arange(0.4, 600, 0.8), "N" * 750, 600.0, unusable=[20, 40])
    events = [make_event("af", 0.4, 599.6, n_beats=720, rate_bpm=75.0)]
    burden = measure_burden(lost.beats, events, quality=lost.quality, duration_s=600.0, rules=RULES)
    assert (burden.analysable_s, burden.af.total_s) == (580.0, pytest.approx(579.2))
    assert burden.hourly.af_s.sum() == pytest.approx(burden.af.total_s)
    assert burden.af_burden_pct < 100


def test_beats_that_are_not_analysable_are_never_in_fibrillation_and_long_lost_signal_ends_an_episode():
    usable = [not 300 <= i < 315 for i in range(N)]
    beats = regular(between(100, 500), usable=usable)
    first, second = episodes(beats)
    assert first[1] <= 300
    assert second[0] >= 315
    for inside in fibrillation.in_fibrillation(beats, RULES):
        assert not inside[~beats.usable].any()


def test_what_the_network_says_of_beats_that_are_not_analysable_does_not_count():
    usable = np.arange(N) % 2 == 0
    probability = np.where(usable, between(200, 400), 0.999).astype(np.float32)
    smoothed = smoothed_probability(probability, usable)
    assert (smoothed[: 200 - EDGE] < 0.05).all()
    assert (smoothed_probability(probability, np.zeros(N, dtype=bool)) == 0.5).all()


@pytest.mark.parametrize("n", [0, 1, 5, 40])
def test_the_probability_is_smoothed_as_the_mean_of_the_logits_around_each_beat(n):
    rng = np.random.default_rng(n)
    probability, usable = rng.random(n).astype(np.float32), rng.random(n) < 0.8
    limited = np.clip(probability.astype(float), LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    logit, half = np.log(limited / (1 - limited)), AF_BEATS // 2
    for i, found in enumerate(smoothed_probability(probability, usable)):
        around = slice(max(0, i - half), i + half + 1)
        known = logit[around][usable[around]]
        assert found == pytest.approx(1 / (1 + np.exp(-known.mean())) if len(known) else 0.5)


def test_no_beats_have_no_episode():
    assert episodes(regular(np.zeros(0))) == []


# In analyses


@pytest.fixture(scope="module")
def two_leads(excerpt):
    lead = excerpt[: 120 * FS_HZ]
    other = 0.5 * lead + 0.05 * np.random.default_rng(0).normal(size=len(lead))
    return in_memory(np.stack([lead, other.astype(np.float32)]), FS_HZ, lead_names=("II", "V1"))


@pytest.fixture(scope="module")
def sure(model):
    """A network that sees fibrillation everywhere."""
    return finding_af(model, raised=8.0)


@pytest.mark.parametrize("lead", ["II", "all"])
def test_a_network_that_finds_fibrillation_gives_each_beat_its_probability(two_leads, model, lead):
    plain, found = (analyse(two_leads, made(model), lead=lead) for made in (without_af, finding_af))
    assert plain.predicted.af_probability is None
    assert plain.beats.af_probability is None
    probability = found.predicted.af_probability
    assert probability.shape == (len(found.beats),)
    assert probability.dtype == np.float32
    assert ((probability > 0) & (probability < 1)).all()
    assert np.ptp(probability) > 0
    np.testing.assert_array_equal(found.beats.af_probability, probability)  # no rule changes it
    for name in ("time_s", "label", "probability", "rr_s", "usable"):
        np.testing.assert_array_equal(getattr(found.predicted, name), getattr(plain.predicted, name), err_msg=name)


@pytest.mark.parametrize(("raised", "everywhere"), [(8.0, True), (-8.0, False)])
def test_the_af_burden_follows_the_network(two_leads, model, raised, everywhere):
    analysis = analyse(two_leads, finding_af(model, raised=raised), lead="all")
    assert (analysis.burden.af_burden_pct > 95) == everywhere
    assert (analysis.burden.af.n == 0) != everywhere
    assert not everywhere or "S" not in analysis.beats.label
    assert with_rules(analysis, RhythmRules(af_probability=0.99)).burden.af.n == 0  # it is not as sure as that


def test_learning_from_labels_of_beats_leaves_the_probability_of_fibrillation(two_leads, sure):
    before = analyse(two_leads, sure, lead="II")
    time_s = before.beats.time_s[10:100:6]
    labels = Annotations(time_s, np.array(["V"] * len(time_s)), np.array([""] * len(time_s)))
    fitted = analyse(two_leads, sure, lead="II", patient_labels=labels)
    assert fitted.learning is not None
    assert not np.array_equal(fitted.predicted.probability, before.predicted.probability)
    np.testing.assert_array_equal(fitted.predicted.af_probability, before.predicted.af_probability)


def test_an_inserted_beat_lies_between_its_neighbours_and_the_others_keep_their_probability(two_leads, sure):
    base = analyse(two_leads, sure, lead="II")
    time_s, known = base.beats.time_s, base.beats.af_probability
    middle = float(time_s[40:42].mean())
    edited = with_edits(base, [DeleteEdit((float(time_s[20]),)), InsertEdit((Label(middle, "V"),))]).beats
    inserted = np.flatnonzero(edited.time_s == middle)
    assert edited.af_probability[inserted] == pytest.approx(known[40:42].mean(), abs=1e-6)
    np.testing.assert_array_equal(np.delete(edited.af_probability, inserted), np.delete(known, 20))


def test_the_probability_is_stored_with_an_analysis(two_leads, sure, model, tmp_path):
    for one in (sure, model):
        beats = analyse(two_leads, one, lead="II").beats
        write_frozen(tmp_path / "beats.npz", beats)
        found = read_frozen(tmp_path / "beats.npz", type(beats)).af_probability
        if beats.af_probability is None:
            assert found is None
        else:
            np.testing.assert_array_equal(found, beats.af_probability)


def test_where_no_beat_is_left_the_columns_are_empty(sure):
    silent = in_memory(np.zeros((1, 20 * FS_HZ), dtype=np.float32), FS_HZ)
    beats = analyse(silent, sure, lead="all").beats
    assert beats.probability.shape == (0, len(CLASSES))
    assert beats.af_probability.shape == (0,)
