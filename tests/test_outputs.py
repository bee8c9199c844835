"""Terminal, narrative, PDF, JSON, CSV, spreadsheet and FHIR say the same, and the truth, where little is known."""

import numpy as np
import pytest
from support.outputs import Outputs, measured, waveform_of

from ecg_core.edits import RhythmEdit, Stretch, StretchEdit
from ecg_core.measuring import with_edits
from ecg_core.report.dangers import REJECTED_NAMES
from ecg_core.report.measures import YES_NO, measures

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
