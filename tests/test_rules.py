"""Rules that a reader can change, within their bounds."""

import pytest

from ecg_core.errors import RulesError
from ecg_core.rules import RhythmRules, rules_from


def test_every_rule_has_a_sentence_a_source_and_a_default_within_its_bounds():
    rows = RhythmRules().rows()
    assert len({rule.key for rule in rows}) == len(rows) >= 20
    for rule in rows:
        assert rule.says
        assert rule.source
        assert rule.lowest <= rule.value <= rule.highest


@pytest.mark.parametrize("key", [rule.key for rule in RhythmRules().rows()])
def test_a_value_out_of_bounds_is_refused_with_its_bounds(key):
    rule = next(rule for rule in RhythmRules().rows() if rule.key == key)
    for value in (rule.lowest - 1, rule.highest + 1, float("nan")):
        with pytest.raises(RulesError, match=f"{key}: expected {rule.lowest:g} to {rule.highest:g}"):
            RhythmRules(**{key: value})
    assert getattr(RhythmRules(**{key: rule.lowest}), key) == rule.lowest


def test_a_value_that_is_no_number_is_refused():
    with pytest.raises(RulesError, match="pause_s: expected a number, got 'x'"):
        RhythmRules(pause_s="x")


def test_a_rule_that_is_unknown_names_those_that_are_there():
    with pytest.raises(RulesError) as refused:
        rules_from({"pauses": "3"})
    known = str(refused.value).split("the rules are ")[1].rstrip(".").split(", ")
    assert known == [rule.key for rule in RhythmRules().rows()]


def test_rules_can_be_given_as_text():
    rules = rules_from({"pause_s": "2.5", "run_min_beats": "4"})
    assert (rules.pause_s, rules.run_min_beats) == (2.5, 4)
    assert [rule.key for rule in rules.changed()] == ["run_min_beats", "pause_s"]
    assert RhythmRules().changed() == ()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("pauze_s", "2", r'"pauze_s" is not a rule; the rules are run_min_beats, '),
        ("pause_s", "two", r'pause_s: expected a number, got "two" \(rule: A pause is an RR of at least\)\.'),
        ("run_min_beats", "3.5", r'run_min_beats: expected a whole number, got "3\.5"'),
        ("pause_s", "-1", r"pause_s: expected 1\.5 to 10 s, got -1"),
    ],
)
def test_a_wrong_rule_is_a_sentence(name, text, message):
    with pytest.raises(RulesError, match=message):
        rules_from({name: text})


def test_rules_are_hashable_and_equal_by_value():
    assert hash(RhythmRules()) == hash(RhythmRules())
    assert RhythmRules() == rules_from({})
