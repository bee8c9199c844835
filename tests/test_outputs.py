"""Terminal, narrative, PDF, JSON, CSV, spreadsheet and FHIR say the same, and the truth, where little is known."""

import re
from dataclasses import replace

import numpy as np
import pytest
from support.analyses import make_event
from support.outputs import Outputs, measured, waveform_of

from ecg_core.edits import RhythmEdit, Stretch, StretchEdit
from ecg_core.figures import disclosure_figure, trend_figure
from ecg_core.measuring import with_edits
from ecg_core.report.dangers import REJECTED_NAMES, run_text
from ecg_core.report.export import MORE_WRITERS, WRITERS
from ecg_core.report.measures import YES_NO, measures
from ecg_core.report.strip_selection import choose_strips, strip_sections
from ecg_core.rhythm.burden import fastest_run, longest_run
from ecg_core.rules import RhythmRules
from ecg_core.schema import Lead

READERS = ("terminal", "narrative", "pdf", "xlsx", "fhir")  # what people read
BEAT_S = 0.8


def sinus(start_s, end_s, rr_s=BEAT_S):
    return np.arange(start_s + rr_s / 2, end_s, rr_s)


def of_n(time_s):
    return "N" * len(time_s)


# Nothing is analysable


@pytest.fixture(scope="module", params=["without beats", "with beats"])
def dark(request):
    """A minute of which nothing is analysable."""
    time_s = sinus(0, 60) if request.param == "with beats" else np.zeros(0)
    return measured(time_s, of_n(time_s), 60.0, unusable=range(6))


def test_no_danger_in_no_signal_is_not_the_answer_no(dark):
    outputs = Outputs(dark)
    for key in ("danger_found", "vf_episodes", "asystole_time", "vt_sustained_episodes", "pauses", "s_excessive"):
        assert outputs.measure(key) == "no signal is analysable", key
    for form in READERS:
        assert "cannot be excluded" in outputs.text[form], form
        assert "no sign of VF" not in outputs.text[form], form
        assert "0 of 3 s and more" not in outputs.text[form], form
    assert outputs.measure("not_analysable_time") == 60


def test_where_nothing_is_analysable_no_question_is_answered_no(dark):
    assert [one.key for one in measures(dark) if one.unit == YES_NO and one.value is not None] == []


def test_the_reason_for_no_value_is_the_one_that_holds():
    time_s = sinus(0, 120)
    trigeminy = measured(time_s, ("NNV" * len(time_s))[: len(time_s)], 120.0)
    old = Outputs(replace(trigeminy, record=replace(trigeminy.record, age_years=95)))
    assert old.measure("nn_intervals") == 50
    assert old.measure("rmssd") == old.measure("pnn50") == "no NN interval follows another"
    assert old.measure("v_usual_per_day") == "known for ages of 20 to 89 only"
    young = Outputs(measured(time_s[:20], "N" * 20, 120.0))
    assert young.measure("rmssd") == "fewer than 30 NN intervals"
    assert young.measure("v_usual_per_day") == "age unknown"


def test_counts_by_probability_are_not_printed_as_zero_where_nothing_is_analysable(dark):
    outputs = Outputs(dark)
    assert outputs.measure("v_at_0.5") != 0
    assert "0 / 0 / 0" not in outputs.text["pdf"]


# Artefact that a reader marked


def with_artefact(analysis, start_s, end_s):
    return with_edits(analysis, [StretchEdit((Stretch(start_s, end_s),), analysable=False)])


FOUND = {
    "VF": lambda: measured(
        np.concatenate((sinus(0, 60), sinus(100, 120))), "N" * 100, 120.0, waveform=waveform_of(120, vf_s=[(60, 100)])
    ),
    "sustained VT": lambda: measured(
        np.concatenate((sinus(0, 60), sinus(60, 100, 0.4), sinus(100, 120))), "N" * 75 + "V" * 100 + "N" * 25, 120.0
    ),
    "non-sustained VT": lambda: measured(
        np.concatenate((sinus(0, 60), sinus(80, 120))), "N" * 125, 120.0, unusable=[6, 7],
        waveform=waveform_of(120, vt_s=[(62, 78)]),
    ),
    "asystole": lambda: measured(np.concatenate((sinus(0, 60), sinus(70, 120))), "N" * 137, 120.0),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_artefact_over_a_danger_names_what_the_program_had_found(name):
    found = FOUND[name]()
    assert name in {REJECTED_NAMES.get(event.kind) for event in found.events}
    edited = with_artefact(found, 59.0, 101.0)
    outputs = Outputs(edited)
    for form in READERS:
        assert f"42 s marked as artefact by a reader; the program had found {name} there" in outputs.text[form], form
        assert "could not be analysed" not in outputs.text[form], form
    assert (outputs.measure("artefact_time"), outputs.measure("not_analysable_time")) == (42, 0)
    assert f"the program had found {name} there" in outputs.rows["artefact_time"]["denominator"]
    assert outputs.json["unjudged_s"]["artefact"] == [[59.0, 101.0]]
    assert [REJECTED_NAMES[event["kind"]] for event in outputs.json["rejected"]] == [name]
    assert "Artefact, marked by a reader" in outputs.text["events.csv"]


def test_artefact_over_nothing_is_not_judged_and_taken_back_it_is_gone():
    calm = measured(sinus(0, 120), of_n(sinus(0, 120)), 120.0, unusable=[11])
    outputs = Outputs(with_artefact(calm, 59.0, 101.0))
    for form in READERS:
        assert "42 s marked as artefact by a reader; not judged" in outputs.text[form], form
        assert "10 s could not be analysed; no sign of VF" in outputs.text[form], form
    again = with_edits(
        calm, [StretchEdit((Stretch(59.0, 101.0),), False), StretchEdit((Stretch(59.0, 101.0),), True)]
    )  # fmt: skip
    assert "artefact" not in {event.kind for event in again.events}


def test_fibrillation_that_a_reader_marks_in_artefact_is_judged():
    calm = measured(sinus(0, 120), of_n(sinus(0, 120)), 120.0)
    marked = with_edits(
        calm, [StretchEdit((Stretch(40.0, 100.0),), False), RhythmEdit((Stretch(50.0, 100.0),), "vf")]
    )  # fmt: skip
    assert [(e.start_s, e.end_s) for e in marked.events if e.kind == "artefact"] == [(40.0, 50.0)]
    assert [(e.start_s, e.end_s) for e in marked.events if e.kind == "vf"] == [(50.0, 100.0)]


# Ventricular tachycardia that the waveform alone shows


NUMBERLESS = re.compile(r"\bnan\b|\bNone\b|(?<![\d.,])0 beats at\b", re.IGNORECASE)


def tachycardic(*, beats_of_run=0):
    """Twenty-two seconds of tachycardia without beats, and perhaps a short run of V at 150/min before it."""
    run = np.arange(beats_of_run) * 0.4 + 30.4
    before = sinus(0, 30)
    after = sinus(30.8 + 0.4 * beats_of_run, 60), sinus(82, 120)
    time_s = np.concatenate((before, run, *after))
    label = of_n(before) + "V" * beats_of_run + of_n(np.concatenate(after))
    return measured(time_s, label, 120.0, waveform=waveform_of(120, vt_s=[(60, 82)]))


@pytest.mark.parametrize("beats_of_run", [0, 4])
def test_no_form_prints_a_rate_or_beats_that_are_not_there(beats_of_run):
    analysis = tachycardic(beats_of_run=beats_of_run)
    assert 0 in {event.n_beats for event in analysis.events if event.kind == "vt"}
    assert not {"pause", "asystole"} & {event.kind for event in analysis.events}  # no RR leads across it
    outputs = Outputs(analysis)
    titles = [title for strip in choose_strips(analysis) for title in strip.titles]
    for form, text in {**outputs.text, "strips": "\n".join(titles)}.items():
        if form not in ("json", "fhir"):  # where null and None are values, which are read below
            assert not NUMBERLESS.search(text), (form, NUMBERLESS.search(text))
        assert not re.search(r"\bnan\b", text, re.IGNORECASE), form
    writers = {**WRITERS, **MORE_WRITERS}
    for suffix, writer in writers.items():
        assert writer(analysis), suffix
    for figure in (trend_figure(analysis), minutes_of(analysis)):
        assert not re.search(r"\bnan (bpm|/min)|\b0 beats\b", figure.to_json()), figure


def minutes_of(analysis):
    lead = Lead("I", np.zeros(round(120 * analysis.record.fs_hz), dtype=np.float32), analysis.record.fs_hz, 0.0)
    return disclosure_figure(analysis, lead)


@pytest.mark.parametrize("beats_of_run", [0, 4])
def test_the_longest_run_without_beats_is_named_by_its_length(beats_of_run):
    outputs = Outputs(tachycardic(beats_of_run=beats_of_run))
    for form in ("narrative", "pdf", "xlsx", "fhir"):
        assert "22.0 s (beats not separable)" in outputs.text[form], form
    assert outputs.measure("v_longest_run") == "22.0 s (beats not separable)"
    assert outputs.measure("v_longest_run_time") == 22
    assert outputs.measure("v_fastest_run") == (150 if beats_of_run else "rate not measurable")
    if beats_of_run:
        assert "the fastest 4 beats at 150/min" in outputs.text["narrative"]
    sections = {section.name: section for section in strip_sections(tachycardic(beats_of_run=beats_of_run))}
    titles = [title for strip in sections["Ventricular tachycardia and runs"].strips for title in strip.titles]
    assert "Longest ventricular run, 22.0 s (beats not separable)" in titles
    if beats_of_run:
        assert "Ventricular tachycardia, non-sustained 2 of 2, 22.0 s (beats not separable), the longest" in titles


def test_a_run_of_which_a_part_has_beats_is_named_by_its_length_and_these():
    time_s = np.concatenate((sinus(0, 60), np.arange(60.2, 70, 0.4), sinus(82, 120)))
    part = measured(time_s, "N" * 75 + "V" * 25 + "N" * 47, 120.0, waveform=waveform_of(120, vt_s=[(70, 82)]))
    (run,) = [event for event in part.events if event.kind == "vt"]
    assert run.n_beats == 25
    assert run_text(run) == f"{run.duration_s:.1f} s (25 beats separable), 150 bpm"


def test_runs_whose_beats_are_all_known_are_compared_by_beats():
    slow, quick = make_event("vt", 0, 6, n_beats=12, rate_bpm=110), make_event("vt", 10, 15, n_beats=16, rate_bpm=180)
    shown = make_event("vt", 20, 25.5)
    assert (longest_run([slow, quick]), longest_run([slow, quick, shown])) == (quick, slow)
    assert (fastest_run([shown, slow, quick]), fastest_run([shown])) == (quick, None)


# Asystole and pauses, each by its own rule


@pytest.mark.parametrize("pause_s", [3.0, 5.0, 9.0])
@pytest.mark.parametrize("place", ["at the end", "at the start", "beside lost signal", "between beats"])
def test_asystole_does_not_wait_for_a_pause(pause_s, place):
    rules, silent_s = RhythmRules(pause_s=pause_s), 7.0
    if place == "at the end":
        made = measured(sinus(0, 60), of_n(sinus(0, 60)), 67.0, rules=rules)
    elif place == "at the start":
        made = measured(sinus(silent_s, 67), of_n(sinus(silent_s, 67)), 67.0, rules=rules)
    else:
        time_s = np.concatenate((sinus(0, 53), sinus(60, 120)))
        unusable = [6] if place == "beside lost signal" else []
        made = measured(time_s, of_n(time_s), 120.0, rules=rules, unusable=unusable)
    (asystole,) = [event for event in made.events if event.kind == "asystole"]
    assert asystole.duration_s == pytest.approx(silent_s + BEAT_S, abs=BEAT_S)
    assert asystole.at_least == (place != "between beats")
    outputs = Outputs(made)
    assert outputs.measure("asystole_episodes") == 1
    assert outputs.measure("pauses") == int(asystole.duration_s >= pause_s)
    assert outputs.measure("longest_rr") == pytest.approx(asystole.duration_s, abs=1e-3)
    for form in READERS:
        assert "Asystole: " in outputs.text[form], form


def in_fibrillation(*, pause_s):
    """Minutes of irregular RR, one of which is a pause; the RR of fibrillation are drawn by a fixed seed."""
    rr_s = np.exp(np.random.default_rng(0).normal(np.log(0.8), 0.25, 500))
    rr_s[250] = pause_s
    time_s = np.cumsum(rr_s)
    return measured(time_s, of_n(time_s), float(time_s[-1]) + 0.5)


@pytest.mark.parametrize(("pause_s", "pauses", "in_af"), [(6.0, 0, 1), (4.0, 1, 0)])
def test_pauses_in_fibrillation_are_counted_apart_and_printed_beside_the_others(pause_s, pauses, in_af):
    outputs = Outputs(in_fibrillation(pause_s=pause_s))
    assert (outputs.measure("pauses"), outputs.measure("af_pauses")) == (pauses, in_af)
    line = next(line for line in outputs.text["terminal"].splitlines() if line.startswith("  Pauses"))
    assert line == (
        f"  Pauses        {pauses} of 3 s and more; in AF {in_af} of 5 s and more; longest RR {pause_s:.2f} s"
    )
    for form in ("burden.csv", "json", "xlsx", "fhir"):
        assert "RR of at least 3 s; those of 5 s or more in AF are counted apart" in outputs.text[form], form
    says = "1 pause of 5 s or longer in atrial fibrillation" if in_af else "1 pause of 3 s or longer"
    for form in ("narrative", "pdf", "xlsx", "fhir"):
        assert says in outputs.text[form], form


def test_beats_of_an_idioventricular_rhythm_are_said_not_to_be_in_the_burden():
    rr_s = np.concatenate((np.full(300, 0.8), [1.0], np.full(30, 0.9), [1.1], np.full(300, 0.8)))
    time_s = np.cumsum(rr_s)
    slow = measured(time_s, "N" * 300 + "V" * 31 + "N" * 301, float(time_s[-1]) + 0.4)
    outputs = Outputs(slow)
    lines = [line for line in outputs.text["terminal"].splitlines() if "diovent" in line]
    assert lines == ["  Idioventricular 1 episode, 31 beats, not in the PVC burden"]
    assert [outputs.measure(key) for key in ("beats_V", "v_total", "pvc_burden")] == [31, 0, 0]
    assert [outputs.measure(f"idioventricular_{key}") for key in ("episodes", "beats")] == [1, 31]
    for form in ("narrative", "pdf", "xlsx", "fhir"):
        assert "Idioventricular rhythm: 1 episode of 31 beats" in outputs.text[form], form
    assert "diovent" not in Outputs(tachycardic()).text["terminal"]


def test_artefact_is_marked_in_the_figures_with_what_was_found_there():
    edited = with_artefact(FOUND["sustained VT"](), 59.0, 101.0)
    for figure in (trend_figure(edited), minutes_of(edited)):
        (marked,) = [trace for trace in figure.data if trace.name == "artefact"]
        assert "the program had found sustained VT there" in marked.text
        assert marked.fillpattern.shape == "\\"
