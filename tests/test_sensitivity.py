"""High sensitivity, balanced, high precision: a choice among a model's operating points, printed everywhere."""

import json
from dataclasses import asdict, replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from support.analyses import make_analysis
from support.pages import page, text_of, workspace_with
from support.records import DEMO

from ecg_core.classifier.model import save_spec, uncalibrated
from ecg_core.classifier.spec import DEFAULT_MODEL, find_models, read_spec
from ecg_core.classifier.weights import torch_model
from ecg_core.cli.main import main
from ecg_core.edits import Label, LabelEdit
from ecg_core.errors import ModelError, RulesError
from ecg_core.evaluation.ec57 import Score
from ecg_core.labels import CLASSES
from ecg_core.live.engine import Monitor
from ecg_core.live.stream import Stream
from ecg_core.measuring import with_edits, with_rules
from ecg_core.pipeline import analyse
from ecg_core.report.export import report_json
from ecg_core.report.narrative import draft_narrative
from ecg_core.report.operating import sensitivity_text
from ecg_core.report.tables import burden_table
from ecg_core.rhythm.labelling import at_operating_point
from ecg_core.rhythm.uncertainty import calibrate_probabilities
from ecg_core.rules import SENSITIVITIES, OperatingPoint, RhythmRules, rules_from
from ecg_core.studies.analyses import rules_as_stored, stored_rules
from ecg_core.studies.audit import trail
from ecg_core.studies.wording import sentence_of
from ecg_core.text import plain_markdown
from models.operating_points import LEAST_SE, Offsets, choose_offsets, shortfall

FIGURES = {
    "v_se": 0.9, "v_ppv": 0.8, "s_se": 0.7, "s_ppv": 0.6, "false_v_per_hour": 12.3, "false_s_per_hour": 4.56,
    "n_patients": 9, "measured_on": ("made",), "recipe": "python -m models.operating_points made",
}  # fmt: skip
POINTS = tuple(
    OperatingPoint(mode, v, s, **FIGURES, v_aim=aim, s_aim=aim)
    for mode, v, s, aim in (("high", 4.0, 4.0, 0.95), ("balanced", 0.0, 0.0, 0.0), ("precise", -3.0, -3.0, 0.5))
)


@pytest.fixture(scope="module")
def analysis(demo_analysis):
    """The analysis of the demo record by a model with operating points."""
    return replace(demo_analysis, model=replace(demo_analysis.model, operating_points=(POINTS, POINTS)))


@pytest.fixture(scope="module")
def high(analysis):
    return with_rules(analysis, RhythmRules(sensitivity="high"))


@pytest.fixture(scope="module")
def precise(analysis):
    return with_rules(analysis, RhythmRules(sensitivity="precise"))


def count(beats, labels="VS"):
    """How many beats have one of these labels."""
    return int(np.isin(beats.label, list(labels)).sum())


def test_balanced_is_bit_for_bit_what_the_network_and_the_rules_say(analysis, demo_analysis):
    balanced = with_rules(with_rules(analysis, RhythmRules(sensitivity="high")), RhythmRules())
    assert at_operating_point(analysis.predicted, POINTS[1]) is analysis.predicted
    for name in ("label", "probability", "rr_s", "usable"):
        np.testing.assert_array_equal(getattr(balanced.beats, name), getattr(demo_analysis.beats, name))
    assert balanced.events == demo_analysis.events
    assert balanced.burden.v == demo_analysis.burden.v


def test_a_sensitive_mode_has_no_fewer_candidates_and_a_precise_one_no_more(analysis):
    beats = analysis.predicted
    sensitive, sparing = (at_operating_point(beats, point) for point in (POINTS[0], POINTS[2]))
    ectopic = np.isin(beats.label, ["V", "S"])
    assert np.isin(sensitive.label, ["V", "S"])[ectopic].all()
    assert count(sensitive) > count(beats) > count(sparing)
    assert (sensitive.label[~beats.usable] == "Q").all()
    assert np.shares_memory(sensitive.probability, beats.probability)


def test_no_signal_is_read_again_and_the_network_keeps_its_word(analysis, high, precise):
    for other in (high, precise):
        assert other.predicted is analysis.predicted
        assert other.attention is analysis.attention
        assert other.queried is analysis.queried
    assert count(high.beats) >= count(analysis.beats) >= count(precise.beats)
    assert count(high.beats) > count(precise.beats)


def test_fibrillation_does_not_depend_on_the_mode(analysis, high, precise):
    assert analysis.burden.af.n
    for other in (high, precise):
        assert other.burden.af == analysis.burden.af
        assert other.burden.vf == analysis.burden.vf


def test_probabilities_stay_calibrated_ones(high):
    calibration = high.model.calibration_of(len(high.lead_names))
    became_s = (high.beats.label == "S") & (at_operating_point(high.predicted, POINTS[0]).label == "S")
    became_s &= high.predicted.label != "S"
    assert became_s.any()
    calibrated = calibrate_probabilities(high.predicted, calibration).probability
    np.testing.assert_array_equal(high.beats.probability[became_s], calibrated[became_s])


def test_a_readers_labels_win_over_any_sensitivity(analysis):
    became_s = with_rules(analysis, RhythmRules(sensitivity="high")).beats
    changed = np.flatnonzero((analysis.beats.label == "N") & np.isin(became_s.label, ["V", "S"]))[:5]
    assert len(changed)
    edit = LabelEdit(tuple(Label(float(analysis.beats.time_s[beat]), "N") for beat in changed))
    for mode in SENSITIVITIES:
        edited = with_edits(replace(analysis, rules=RhythmRules(sensitivity=mode)), [edit])
        assert (edited.beats.label[changed] == "N").all()
        assert (edited.beats.probability[changed, CLASSES.index("N")] == 1).all()


def test_analysing_by_a_mode_is_the_same_as_choosing_it_afterwards(analysis, demo, model):
    of_points = torch_model(analysis.model, model.network)
    made = analyse(demo, of_points, RhythmRules(sensitivity="high"), lead="II")
    chosen = with_rules(analyse(demo, of_points, lead="II"), made.rules)
    assert made.beats.label.tolist() == chosen.beats.label.tolist()
    assert made.events == chosen.events


# The choice as a rule


def test_the_mode_is_a_rule_that_is_no_number():
    rules = rules_from({"sensitivity": "high", "pause_s": "2.5"})
    assert (rules.sensitivity, rules.pause_s) == ("high", 2.5)
    assert [rule.key for rule in rules.changed()] == ["pause_s"]
    assert "sensitivity" not in {rule.key for rule in rules.rows()}
    assert RhythmRules() == RhythmRules(sensitivity="balanced") != rules
    assert RhythmRules(**asdict(rules)) == rules
    with pytest.raises(RulesError, match='sensitivity: expected high or balanced or precise, got "low"'):
        rules_from({"sensitivity": "low"})


@pytest.mark.parametrize("mode", SENSITIVITIES)
def test_the_mode_comes_back_from_the_store_and_old_studies_are_balanced(mode):
    rules = RhythmRules(sensitivity=mode, pause_s=2.5)
    assert stored_rules(json.loads(json.dumps(rules_as_stored(rules)))) == rules
    assert rules_as_stored(RhythmRules()) == {}
    assert stored_rules({"pause_s": 2.5}).sensitivity == "balanced"


# The points of a model


def test_points_come_back_from_the_spec_as_they_were_saved(tmp_path):
    spec = replace(read_spec(DEFAULT_MODEL), operating_points=(POINTS[:2], POINTS))
    (tmp_path / "m.pt").touch()
    save_spec(tmp_path / "m.pt", spec)
    assert read_spec(tmp_path / "m.pt") == spec
    assert set(spec.operating_points_of(1)) == {"high", "balanced"}
    assert spec.operating_points_of(2) == spec.operating_points_of(3) == {point.sensitivity: point for point in POINTS}
    assert hash(spec)


def test_weights_that_are_fitted_again_lose_the_points_of_the_old_ones(analysis, model):
    assert uncalibrated(torch_model(analysis.model, model.network)).spec.operating_points == ()


@pytest.mark.parametrize("mode", ["high", "precise"])
def test_a_model_without_points_refuses_the_mode_in_a_sentence(demo_analysis, demo, model, mode):
    bare, rules = replace(demo_analysis.model, operating_points=()), RhythmRules(sensitivity=mode)
    for work in (
        lambda: with_rules(replace(demo_analysis, model=bare), rules),
        lambda: analyse(demo, torch_model(bare, model.network), rules, lead="II"),
        lambda: Monitor(Stream("made", 250.0, ("II",)), torch_model(bare, model.network), rules),
    ):
        with pytest.raises(ModelError, match=f"this model can only be balanced; .* {SENSITIVITIES[mode].lower()}"):
            work()


@pytest.mark.parametrize("path", find_models(), ids=lambda path: path.stem)
def test_every_shipped_model_states_all_modes_with_figures_and_never_an_aim_as_reached(path):
    spec = read_spec(path)
    measured = json.loads(path.with_suffix(".operating_points.json").read_text(encoding="utf-8"))
    assert measured["model_sha256"] == spec.sha256
    for n_leads, lead in ((1, "first"), (2, "all")):
        points = spec.operating_points_of(n_leads)
        assert list(points) == list(SENSITIVITIES)
        assert (points["balanced"].v_offset, points["balanced"].s_offset) == (0, 0)
        assert points["high"].v_se + points["high"].s_se > points["balanced"].v_se + points["balanced"].s_se
        assert points["precise"].v_ppv + points["precise"].s_ppv > points["balanced"].v_ppv + points["balanced"].s_ppv
        for mode, point in points.items():
            figures = measured[lead][mode]["cross_validated"]
            assert {name: getattr(point, name) for name in figures} == figures
            assert ("is reached" in point.aim_text) == (bool(point.v_aim) and not point.missed)


# What is printed


def test_the_words_are_made_of_the_numbers():
    high, balanced, precise = POINTS
    assert high.text == (
        "High sensitivity: finds 90.0 % of V and 70.0 % of S in patients it has not seen, with 12 false V and "
        "4.6 false S an hour; 80.0 % of its V and 60.0 % of its S are right"
    )
    assert high.aim_text == "The aim, 95.0 % of V and 95.0 % of S found, is not reached for V and S"
    assert precise.aim_text == "The aim, 50.0 % of V and 50.0 % of S right, is reached"
    assert (balanced.name, balanced.aim_text) == ("Balanced", "")


def test_every_result_prints_the_mode_and_another_than_balanced_comes_first(analysis, high):
    for made, point in ((analysis, POINTS[1]), (high, POINTS[0])):
        assert sensitivity_text(made) == point.text
        assert f"{point.text}." in draft_narrative(made).splitlines()
        content = json.loads(report_json(made))["sensitivity"]
        assert (content["mode"], content["operating_point"]["v_offset"]) == (point.sensitivity, point.v_offset)
        rows = pd.DataFrame(burden_table(made)).set_index("measure")
        assert float(rows.loc["sensitivity_v_offset", "value"]) == point.v_offset
        assert rows.loc["sensitivity_s_offset", "denominator"] == point.text
    assert draft_narrative(high).splitlines()[1] == f"{POINTS[0].text}."


def test_a_model_without_points_states_no_figures():
    assert sensitivity_text(make_analysis(60.0)) == "Balanced: model made states no figures for it"


# The command line


def test_the_command_line_takes_the_mode_and_prints_it(tmp_path, capsys):
    assert main(["analyze", str(DEMO), "--lead", "II", "--out", str(tmp_path), "--sensitivity", "high"]) == 0
    assert "\n  High sensitivity: finds " in capsys.readouterr().out
    written = json.loads((tmp_path / "demo_report.json").read_text(encoding="utf-8"))
    assert written["sensitivity"]["mode"] == "high"
    assert main(["analyze", str(DEMO), "--out", str(tmp_path), "--rule", "sensitivity=high"]) == 2
    assert "Choose high, balanced or precise with --sensitivity." in capsys.readouterr().err


@pytest.mark.parametrize("command", ["analyze", "evaluate", "monitor"])
def test_an_unknown_mode_is_refused(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, str(DEMO), "--sensitivity", "low"])
    assert stop.value.code == 2
    assert "invalid choice: 'low'" in capsys.readouterr().err


# The control


@pytest.mark.parametrize("name", ["report", "review"])
def test_the_control_measures_again_says_so_first_and_is_in_the_history(analysis, name):
    workspace, sha256 = workspace_with(analysis), analysis.record.sha256
    at = page(name, workspace)
    for point in POINTS:
        assert point.text in text_of(at)
    (control,) = [item for item in at.segmented_control if item.label == "Sensitivity"]
    control.set_value("high").run()
    shown = workspace.analysis(sha256)
    assert shown.rules.sensitivity == "high"
    assert count(shown.beats) > count(analysis.beats)
    assert "sensitivity = high" in sentence_of(trail(workspace.store, sha256)[-1])
    report = page("report", workspace)
    assert report.info[0].value == plain_markdown(f"{POINTS[0].text}.")
    (control,) = [item for item in report.segmented_control if item.label == "Sensitivity"]
    control.set_value("balanced").run()
    assert workspace.analysis(sha256).beats.label.tolist() == analysis.beats.label.tolist()


def test_without_operating_points_the_control_says_why_it_cannot_be_used(demo_analysis):
    bare = replace(demo_analysis, model=replace(demo_analysis.model, operating_points=()))
    at = page("report", workspace_with(bare))
    (control,) = [item for item in at.segmented_control if item.label == "Sensitivity"]
    assert control.disabled
    assert "can only be balanced: it states no operating points" in text_of(at)


# How the offsets are chosen


def made_score(offsets, *, most=1.0):
    """A score of a thousand V and S each: a nat finds 50 more of its class, up to a share, with more false ones."""
    matrix = np.zeros((6, 6), dtype=np.int64)
    n, s, v = (CLASSES.index(label) for label in "NSV")
    for of_class, added in ((v, offsets.v), (s, offsets.s)):
        found = int(1000 * min(most, max(0.0, 0.8 + 0.05 * added)))
        matrix[of_class, [of_class, n]] = found, 1000 - found
        matrix[n, of_class] = int(200 * 1.5**added)
    return Score("made", matrix, 3600.0)


def test_the_smallest_offsets_that_reach_the_aims_are_chosen():
    offsets = choose_offsets("high", made_score)
    assert offsets == (4.0, 3.0)
    assert shortfall("high", made_score(offsets)) == 0
    assert choose_offsets("precise", made_score).v < 0


def test_an_aim_out_of_reach_gives_the_nearest_point_within_its_bounds():
    offsets = choose_offsets("high", partial(made_score, most=0.9))
    assert offsets == (2.0, 2.0)
    precise = made_score(choose_offsets("precise", made_score))
    assert min(precise.se("V"), precise.se("S")) >= LEAST_SE
    assert choose_offsets("high", lambda offsets: made_score(Offsets(-offsets.v, -offsets.s))) == (0.0, 0.0)
