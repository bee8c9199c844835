"""A recording too short for an episode of fibrillation has one verdict, and says where there can be none."""

import json
from dataclasses import replace

import numpy as np
import pytest
from support.strategies import all_analysable, make_beats, quality_of

from ecg_core.certainty import AF, NO_AF, NOT_KNOWN, AfVerdict
from ecg_core.edits import Mark
from ecg_core.rhythm.burden import measure_burden
from ecg_core.rhythm.short_recordings import LIMITS, MIN_NN, MIN_RR, SHORT_S, af_verdict
from ecg_core.rules import RhythmRules
from ecg_core.schema import Burden, Quality
from ecg_core.studies.frozen import TREE, read_frozen, write_frozen
from models.challenge import challenge_table, f1_of_af, scores, verdict_rows

RULES = RhythmRules()
REGULAR = make_beats([80 + (i % 3) for i in range(36)], "N" * 36)
IRREGULAR = make_beats(np.random.default_rng(3).integers(45, 130, 36), "N" * 36)


def verdict(beats, *, duration_s=30.0, analysable_s=None, **more):
    analysable_s = duration_s if analysable_s is None else analysable_s
    return af_verdict(beats, duration_s=duration_s, analysable_s=analysable_s, rules=RULES, **more)


def by_network(probability, beats=REGULAR):
    """The beats with a probability of AF by the network at each."""
    beats = replace(beats)
    object.__setattr__(beats, "af_probability", np.broadcast_to(np.float32(probability), len(beats)))
    return beats


def test_irregular_beats_without_p_waves_are_af_and_regular_ones_are_not():
    assert verdict(IRREGULAR).answer == AF
    assert verdict(REGULAR).answer == NO_AF


def test_where_p_waves_repeat_irregular_beats_are_not_af():
    repeating = replace(IRREGULAR, p_repeats=np.full(36, 0.8, dtype=np.float32))
    assert verdict(repeating) == AfVerdict(NO_AF, "P waves repeat", None)


def test_a_longer_recording_has_no_verdict():
    assert verdict(IRREGULAR, duration_s=SHORT_S) is not None
    assert verdict(IRREGULAR, duration_s=SHORT_S + 0.1) is None


@pytest.mark.parametrize(
    ("beats", "more", "reason"),
    [
        (IRREGULAR, {"clear_s": 14.0}, "too noisy, 14 of 30 s clear enough"),
        (IRREGULAR, {"analysable_s": 10.0}, "too noisy, 10 of 30 s clear enough"),
        (IRREGULAR, {"duration_s": 7.0}, "too short, 7 s analysable, at least 8 s needed"),
        (REGULAR, {"beats": MIN_RR}, f"too short, {MIN_RR - 1} analysable RR, at least {MIN_RR} needed"),
        (REGULAR, {"beats": MIN_NN}, f"too short, {MIN_NN - 1} RR between normal beats, at least {MIN_NN} needed"),
    ],
)
def test_where_it_cannot_be_said_the_reason_is_stated(beats, more, reason):
    if n := more.pop("beats", 0):
        beats = make_beats([80] * n, "N" * n)
    assert verdict(beats, **more) == AfVerdict(NOT_KNOWN, reason, None)


@pytest.mark.parametrize(("probability", "answer"), [(0.02, NO_AF), (0.35, NOT_KNOWN), (0.97, AF)])
def test_the_network_decides_where_it_gives_a_probability(probability, answer):
    found = verdict(by_network(probability))
    assert found.answer == answer
    assert found.probability == pytest.approx(probability, rel=1e-3)
    if answer == NOT_KNOWN:
        assert f"between the limits {LIMITS[0]:g} and {LIMITS[1]:g}" in found.reason


def test_the_odds_of_usable_beats_are_averaged_and_those_of_others_are_not():
    half = np.where(np.arange(36) < 18, 0.9, 0.1)
    assert verdict(by_network(half)).probability == pytest.approx(0.5, abs=1e-3)
    usable = np.arange(36) < 18
    assert verdict(by_network(half, replace(REGULAR, usable=usable))).answer == AF


def test_a_beat_without_a_probability_is_left_out():
    known = np.where(np.arange(36) < 18, 0.9, np.nan)
    assert verdict(by_network(known)).probability == pytest.approx(0.9, abs=1e-3)
    assert verdict(by_network(np.nan)).probability is None


@pytest.mark.parametrize(("rhythm", "beats", "answer"), [("sinus", IRREGULAR, NO_AF), ("af", REGULAR, AF)])
def test_what_a_reader_marked_over_most_of_the_recording_is_the_verdict(rhythm, beats, answer):
    found = verdict(beats, marks=[Mark(0.0, 20.0, rhythm)])
    assert found.answer == answer
    assert "a reader marked it" in found.reason
    assert verdict(beats, marks=[Mark(0.0, 14.0, rhythm)]) == verdict(beats)


def test_an_episode_in_the_recording_is_af():
    assert verdict(REGULAR, duration_s=60.0, episodes_s=30.0).answer == AF
    assert verdict(REGULAR, duration_s=60.0, episodes_s=29.0).answer == NO_AF


def test_the_burden_holds_the_verdict_and_half_of_the_recording_has_to_be_clear():
    clear = measure_burden(IRREGULAR, [], quality=all_analysable(30.0), duration_s=30.0, rules=RULES)
    assert clear.af_verdict.answer == AF
    assert np.isnan(clear.af_burden_pct)  # no episode, which lasts 30 s, can be in it
    doubtful = Quality(10.0, np.array([[0.3, 0.3, 0.9]], dtype=np.float32), np.ones(3, dtype=bool))
    noisy = measure_burden(IRREGULAR, [], quality=doubtful, duration_s=30.0, rules=RULES)
    assert noisy.af_verdict == AfVerdict(NOT_KNOWN, "too noisy, 10 of 30 s clear enough", None)
    lost = measure_burden(IRREGULAR, [], quality=quality_of([False] * 3), duration_s=30.0, rules=RULES)
    assert lost.af_verdict.answer == NOT_KNOWN


def test_rules_flow_into_the_verdict():
    strict = replace(RULES, af_entropy=1.0)
    found = af_verdict(IRREGULAR, duration_s=30.0, analysable_s=30.0, rules=strict)
    assert found.answer == NO_AF


def test_a_burden_that_an_earlier_version_stored_still_loads(tmp_path):
    burden = measure_burden(IRREGULAR, [], quality=all_analysable(30.0), duration_s=30.0, rules=RULES)
    write_frozen(tmp_path / "new.npz", burden)
    again = read_frozen(tmp_path / "new.npz", Burden)
    assert (again.af_verdict, again.s_doubt) == (burden.af_verdict, burden.s_doubt)
    write_frozen(tmp_path / "old.npz", burden, without=("af_verdict", "s_doubt"))
    with np.load(tmp_path / "old.npz") as stored:
        assert "af_verdict" not in json.loads(stored[TREE].tobytes())
    old = read_frozen(tmp_path / "old.npz", Burden)
    assert (old.af_verdict, old.s_doubt) == (None, None)


# Against the Challenge 2017


def row(name, reference, answer):
    return {"record": name, "reference": reference, "answer": answer, "reason": "", "probability": None}


ROWS = [
    row("a", "A", AF), row("b", "A", AF), row("c", "A", NOT_KNOWN), row("d", "N", NO_AF), row("e", "O", AF),
    row("f", "~", AF), row("g", "~", NOT_KNOWN),
]  # fmt: skip


def test_f1_is_that_of_the_challenge_and_what_cannot_be_said_is_not_af():
    assert f1_of_af(ROWS) == {"recordings": 7, "tp": 2, "fp": 2, "fn": 1, "f1": round(4 / 7, 4)}
    assert f1_of_af([row("a", "N", NO_AF)])["f1"] is None


def test_noisy_recordings_and_those_without_a_verdict_are_listed_apart():
    found = scores(ROWS)
    assert found["readable"] == {"recordings": 5, "tp": 2, "fp": 1, "fn": 1, "f1": round(4 / 6, 4)}
    assert found["not_known"] == ["c", "g"]
    assert found["answers"]["A"] == {AF: 2, NO_AF: 0, NOT_KNOWN: 1}
    assert "| made | 0.667 (5) | 0.571 (7) | 2 / 0 / 1 | 0 / 1 / 0 |" in challenge_table({"made": found})


def test_any_function_that_analyses_a_record_can_be_scored(tmp_path, monkeypatch, make_analysis):
    folder = tmp_path / "challenge-2017" / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "REFERENCE.csv").write_text("A1,A\nA2,N\nA3,~\n", encoding="utf-8")
    for name in ("A1", "A2"):
        (folder / f"{name}.hea").touch()
    monkeypatch.setattr("models.challenge.read_record", lambda path: path.name)
    beats = {"A1": IRREGULAR, "A2": REGULAR}
    rows = list(verdict_rows(tmp_path, lambda name: make_analysis(beats[name], duration_s=30.0)))
    assert [(one["record"], one["reference"], one["answer"]) for one in rows] == [("A1", "A", AF), ("A2", "N", NO_AF)]
