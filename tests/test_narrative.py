"""The narrative says what was measured in sentences that a cardiologist would write, and nothing else."""

import re
from dataclasses import replace

import numpy as np
import pytest
from support.analyses import make_analysis as made_analysis
from support.analyses import make_event, with_events
from support.strategies import make_beats

from ecg_core.learning import LearningCheck
from ecg_core.notes import NO_NOTES, Notes
from ecg_core.pipeline import analyse
from ecg_core.records import read_record
from ecg_core.report.dangers import NOT_ANALYSED, dangers
from ecg_core.report.measures import measures
from ecg_core.report.narrative import CALM, NOTHING, draft_narrative, narrative_of
from ecg_core.schema import Beats

ADVICE = re.compile(
    r"\b(recommend|should|consider|treat|therapy|medication|anticoag|ablation|implant|refer|advis|urgent)",
    re.IGNORECASE,
)
SINGULAR = re.compile(r"(?<![\d.,])1 (beats|couplets|runs|episodes|pauses)\b")
PLURAL = re.compile(r"\b(?:\d*[02-9]|\d+1)(?<!\.\d) (beat|couplet|run|episode|pause)\b")


def lines_of(analysis):
    return draft_narrative(analysis).splitlines()


def line_with(analysis, words):
    (line,) = [line for line in lines_of(analysis) if words in line]
    return line


@pytest.fixture(scope="module")
def calm():
    return made_analysis()


def no_beats(analysis):
    beats = Beats(np.zeros(0), np.zeros(0, "<U1"), np.zeros((0, 5), np.float32), np.zeros(0), np.zeros(0, bool))
    return with_events(replace(analysis, beats=beats, predicted=beats, events=()))


def test_the_narrative_of_the_demo_holds_its_measures_in_the_order_of_a_report(demo_analysis):
    lines, burden = lines_of(demo_analysis), demo_analysis.burden
    beginnings = (
        "Simulated recording of 30 min, 98.3 % of it analysable", CALM, "Non-sustained ventricular tachycardia: 1 run",
        "1 pause of 3 s or longer; longest RR 3.40 s at 08:22:03", "Atrial fibrillation: 1 episode of 3 min 54 s",
        "Supraventricular tachycardia: 1 run, not sustained", "Ventricular ectopy: 153 beats", "Patterns: ",
        f"Mean heart rate {burden.rate_mean_bpm:.0f}/min (lowest ", "Balanced: ",
    )  # fmt: skip
    assert len(lines) == len(beginnings) + 1
    for line, beginning in zip(lines, beginnings, strict=False):
        assert line.startswith(beginning)
    low, high = burden.v.interval_pct
    assert f"PVC burden {burden.pvc_burden_pct:.1f} % (95 % interval {low:.1f} to {high:.1f} %)" in lines[6]
    (vt,) = (event for event in demo_analysis.events if event.kind == "vt")
    assert f"7 beats at {vt.rate_bpm:.0f}/min at 08:14:29" in lines[2]
    assert f"AF burden {burden.af_burden_pct:.1f} % of the analysable time" in lines[4]


def test_it_says_what_was_not_analysed(demo_analysis):
    last = lines_of(demo_analysis)[-1]
    assert all(what in last for what in NOT_ANALYSED)
    assert "P waves were not classified" in last
    assert "30 s could not be analysed" in last


def test_dangers_come_first_in_the_words_of_the_first_page(calm):
    grave = with_events(
        calm, make_event("vf", 600.0, 698.0), make_event("asystole", 1000.0, 1008.6, at_least=True),
        make_event("vt_sustained", 1200.0, 1240.0, n_beats=110, rate_bpm=165.0),
    )  # fmt: skip
    line = lines_of(grave)[1]
    assert line.startswith("Ventricular fibrillation or flutter: 1 min 38 s at 08:10:00.")
    assert "Asystole: at least 8.6 s at 08:16:40." in line
    assert all(f"{danger.text}.".replace(">= ", "at least ") in line for danger in dangers(grave))
    assert "No ventricular tachycardia" not in draft_narrative(grave)
    assert CALM not in draft_narrative(grave)


@pytest.mark.parametrize(
    ("n", "words"), [(1, "1 run, 5 beats at 142/min at 08:01:40."), (2, "2 runs, the longest and")]
)
def test_runs_are_counted_in_the_singular_and_the_plural(calm, n, words):
    runs = [make_event("vt", 100.0 + 50 * i, 102.0 + 50 * i, n_beats=5, rate_bpm=142.0) for i in range(n)]
    line = line_with(with_events(replace(calm, events=()), *runs), "Non-sustained ventricular tachycardia")
    assert line.startswith(f"Non-sustained ventricular tachycardia: {words}")


def test_the_longest_and_the_fastest_run_are_named_with_their_times(calm):
    runs = (
        make_event("vt", 100.0, 104.0, n_beats=9, rate_bpm=120.0),
        make_event("vt", 200.0, 201.0, n_beats=3, rate_bpm=190.0),
    )  # fmt: skip
    line = line_with(with_events(replace(calm, events=()), *runs), "Non-sustained")
    assert "2 runs, the longest 9 beats at 120/min at 08:01:40, the fastest 3 beats at 190/min at 08:03:20." in line


def test_what_was_not_found_is_said_so(make_analysis):
    text = draft_narrative(make_analysis(make_beats([80] * 60, "N" * 60)))
    for sentence in (
        "No ventricular tachycardia found.", "No pause of 3 s or longer; longest RR 0.80 s",
        "No atrial fibrillation of 30 s or longer found.", "No supraventricular tachycardia found.",
        "Ventricular ectopy: no ectopic beat found, PVC burden 0 %",
    ):  # fmt: skip
        assert sentence in text
    assert "Patterns" not in text


def test_a_record_without_analysable_signal_claims_nothing(make_analysis):
    analysis = make_analysis(make_beats([80] * 3, "NNN", usable=[False] * 3), usable=[False] * 180)
    lines = lines_of(analysis)
    assert lines[0].endswith(", none of it analysable; no beat was counted.")
    assert lines[1] == NOTHING
    assert len(lines) == 3
    assert not any("found" in line for line in lines)


@pytest.mark.parametrize(("n", "burden"), [(0, "0 %"), (3, "below 0.01 %"), (12, "0.01 %"), (1200, "1.0 %")])
def test_a_burden_that_is_there_is_never_printed_as_none(calm, n, burden):
    ectopy = replace(calm.burden.v, n_beats=n, burden_pct=100 * n / 117_000, interval_pct=(0.001, 0.002))
    analysis = replace(calm, burden=replace(calm.burden, v=ectopy))
    assert f"PVC burden {burden} (95 % interval 0 to below 0.01 %)" in draft_narrative(analysis)


def test_a_short_episode_of_af_in_two_weeks_has_a_burden(calm):
    one = with_events(replace(calm, events=()), make_event("af", 100.0, 130.0, n_beats=50))
    fortnight = replace(one, burden=replace(one.burden, analysable_s=14 * 86_400.0))
    assert fortnight.burden.af_burden_pct < 0.005
    assert "AF burden below 0.01 % of the analysable time" in line_with(fortnight, "AF burden")


def test_one_labelled_beat_is_in_the_singular(calm):
    labelled = replace(calm, labelled=np.array([3]))
    assert "1 beat labelled by a reader, model not fine-tuned to it." in draft_narrative(labelled)
    assert "1 beat labelled by a reader, model fine-tuned to it." in draft_narrative(
        replace(labelled, learning=LearningCheck(1))
    )


def test_ectopic_beats_that_af_hides_are_said_not_to_be_counted(calm):
    words = "Supraventricular ectopy (not counted in atrial fibrillation): "
    assert words not in draft_narrative(calm)
    assert words in draft_narrative(with_events(calm, make_event("af", 100.0, 200.0, n_beats=150)))


def test_af_is_not_excluded_where_too_little_can_be_analysed():
    text = draft_narrative(made_analysis(120.0, unusable=range(2, 12)))
    assert "Atrial fibrillation of 30 s or longer cannot be found in so little analysable signal." in text
    assert "No atrial fibrillation" not in text


@pytest.mark.parametrize(
    ("analysable_s", "share"),
    [(1800.0, "all"), (1799.9, "more than 99.9 %"), (900.0, "50.0 %"), (0.1, "less than 0.1 %")],
)
def test_the_analysable_share_is_not_rounded_to_all_or_none(calm, analysable_s, share):
    burden = replace(calm.burden, analysable_s=analysable_s, duration_s=1800.0)
    assert f", {share} of it analysable;" in lines_of(replace(calm, burden=burden))[0]


def test_time_in_vf_is_not_taken_for_noise(calm):
    burden = replace(with_events(calm, make_event("vf", 600.0, 1500.0)).burden, analysable_s=900.0)
    grave = replace(with_events(calm, make_event("vf", 600.0, 1500.0)), burden=burden)
    assert ", 50.0 % of it analysable, 50.0 % in VF, VT or asystole; " in lines_of(grave)[0]
    assert "Mean heart rate of the analysable beats 75/min" in draft_narrative(grave)


def test_a_record_without_beats_has_its_fibrillation_and_no_rates(calm):
    text = draft_narrative(with_events(no_beats(calm), make_event("vf", 600.0, 698.0)))
    assert "no beat was counted" in text
    assert "Ventricular fibrillation or flutter: 1 min 38 s" in text
    assert "heart rate" not in text


def test_a_tachycardia_without_any_beat_that_counts_is_said(calm):
    text = draft_narrative(with_events(no_beats(calm), make_event("vt", 600.0, 620.0)))
    assert "no beat was counted" in text
    assert "Non-sustained ventricular tachycardia: 1 run, 20.0 s (beats not separable) at 08:10:00." in text


def test_a_mean_rate_of_few_beats_in_clear_signal_does_not_call_it_unclear():
    line = line_with(made_analysis(8.0, rr_s=1.2), "Mean heart rate")
    assert line == "Mean heart rate 50/min, over all RR, as too few consecutive ones lie in clear signal."


@pytest.mark.parametrize("n", [1, 2])
def test_fibrillation_whose_rate_is_not_known_has_none(calm, n):
    episodes = [make_event("af", 100.0 + 60 * i, 130.0 + 60 * i) for i in range(n)]
    analysis = with_events(replace(calm, events=()), *episodes)
    assert "nan" not in line_with(analysis, "AF burden")
    (rate,) = [one for one in measures(analysis) if one.key == "af_rate"]
    assert (rate.value, rate.why) == (None, "rate not measurable")


def test_times_are_those_of_the_clock_and_else_are_said_to_be_elapsed(calm):
    elapsed = draft_narrative(replace(calm, record=replace(calm.record, start=None)))
    assert "Times are counted from the start of the recording." in elapsed
    assert "counted from the start" not in draft_narrative(calm)
    late = replace(calm, record=replace(calm.record, start=calm.record.start.replace(hour=23, minute=50)))
    pause = make_event("pause", 1200.0, 1204.0, n_beats=2, rate_bpm=15.0)
    assert "longest RR 4.00 s on day 2 at 00:10:00" in draft_narrative(with_events(late, pause))


EVENTS = {
    "as it is": (),
    "one of each": tuple(
        make_event(kind, 100.0 + 60 * i, 104.0 + 60 * i, n_beats=4, rate_bpm=120.0)
        for i, kind in enumerate(("vt", "v_run", "idioventricular", "svt", "s_run", "af", "pause", "v_bigeminy"))
    ),
    "many": tuple(
        make_event(kind, 100.0 + 10 * i, 104.0 + 10 * i, n_beats=4, rate_bpm=120.0)
        for i, kind in enumerate(("vt", "v_run", "idioventricular", "svt", "s_run", "af", "svt_sustained", "vf") * 12)
    ),
}


@pytest.mark.parametrize("events", EVENTS.values(), ids=EVENTS)
def test_numbers_and_nouns_agree_and_nothing_is_advised_or_invented(calm, events):
    text = draft_narrative(with_events(replace(calm, events=()), *events))
    assert not SINGULAR.search(text)
    assert not PLURAL.search(text)
    assert not ADVICE.search(text)
    assert "sinus" not in text.lower()
    assert "nan" not in text
    assert ">=" not in text
    assert all(line.endswith(".") and ".." not in line for line in text.splitlines())


def test_the_readers_narrative_takes_the_place_of_the_drafted_one(calm):
    assert narrative_of(calm, NO_NOTES) == draft_narrative(calm)
    assert narrative_of(calm, Notes(narrative="Normal.")) == "Normal."


def test_the_narrative_of_a_record_with_vf_begins_with_it(databases, model):
    (header,) = (databases / "cudb").rglob("cu01.hea")
    lines = lines_of(analyse(read_record(header.with_suffix("")), model))
    assert lines[1].startswith("Ventricular fibrillation or flutter: 4 min 5")
    assert "% of it analysable" in lines[0]
