"""Terminal, narrative, PDF, JSON, CSV, spreadsheet and FHIR say the same, and the truth, where little is known."""

import numpy as np
import pytest
from support.outputs import Outputs, measured

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
