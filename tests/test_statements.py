"""What the program is not sure of stands where a reader looks first, in the same words everywhere."""

import json
from dataclasses import replace

import numpy as np
import pytest
from support.analyses import make_analysis as made_analysis
from support.analyses import make_event, with_events
from support.pages import app_test, button, html_of, page, text_of, workspace_with
from support.pdf import words

from ecg_core.batch.study import TEXTS, study_row, study_table
from ecg_core.certainty import AF, NO_AF, NOT_KNOWN, AfVerdict, ReplacedLead, SDoubt
from ecg_core.cli.analyze import summary
from ecg_core.overrides import LeftOut
from ecg_core.report.export import report_json
from ecg_core.report.measures import measures
from ecg_core.report.narrative import draft_narrative
from ecg_core.report.pdf import report_pdf
from ecg_core.report.statements import doubtful_beats, leads_text, statements
from ecg_core.schema import Quality
from ecg_core.text import plain_markdown
from pages._ui.gallery_verdicts import OPENED_KIND, kind_key
from pages._ui.statements import GALLERY_TITLE

NOISY = AfVerdict(NOT_KNOWN, "too noisy, 10 of 30 s clear enough", None)
DOUBT = SDoubt(0.9, ("2.4 % of all beats may or may not be S", "sinus arrhythmia or other irregular RR"))
SURE = SDoubt(0.1, ())


class SilentSource:
    """A source of samples without a wave."""

    def read(self, start, stop, leads):
        return np.zeros((len(leads), stop - start), dtype=np.float32)


def with_certainty(*, verdict, doubt=SURE, duration_s=30.0):
    """An analysis with this verdict and this doubt."""
    analysis = made_analysis(duration_s)
    return replace(analysis, burden=replace(analysis.burden, af_verdict=verdict, s_doubt=doubt))


def texts_of(analysis):
    return [statement.text for statement in statements(analysis)]


def with_quality(score, *, leads, replaced=()):
    """An analysis of these leads with this quality, shape (n_leads, n_blocks)."""
    score = np.asarray(score, dtype=np.float32)
    analysis = made_analysis(10.0 * score.shape[1])
    quality = Quality(10.0, score, score.max(axis=0) > 0)
    return replace(analysis, lead_names=leads, quality=quality, replaced=tuple(replaced))


def first_page(analysis):
    return words(report_pdf(replace(analysis, record=replace(analysis.record, source=SilentSource()))))[0]


@pytest.mark.parametrize(
    ("verdict", "text"),
    [
        (
            AfVerdict(AF, "probability 0.93, by the network over 33 beats", 0.93),
            "Verdict on the whole recording (30 s): AF (probability 0.93, by the network over 33 beats); the AF burden "
            "counts only episodes of 30 s or longer",
        ),
        (
            AfVerdict(NO_AF, "P waves repeat", None),
            "Verdict on the whole recording (30 s): no AF (P waves repeat)",
        ),
        (
            NOISY,
            "Whether the whole recording (30 s) is AF cannot be said: too noisy, 10 of 30 s clear enough",
        ),
    ],
)
def test_a_verdict_is_stated_with_what_it_rests_on(verdict, text):
    (statement,) = statements(with_certainty(verdict=verdict))
    assert statement.text == text
    assert statement.is_warning == (verdict.answer == NOT_KNOWN)


def test_an_uncertain_count_of_s_is_stated_with_its_reasons():
    (statement,) = statements(with_certainty(verdict=None, doubt=DOUBT, duration_s=1800.0))
    assert statement.is_warning
    assert statement.text == (
        "SVE uncertain in this recording: 2.4 % of all beats may or may not be S, sinus arrhythmia or "
        "other irregular RR; look at the S beats in the gallery before the count is used"
    )


def test_nothing_is_stated_of_a_long_recording_whose_count_is_certain():
    assert statements(with_certainty(verdict=None, duration_s=1800.0)) == ()


def test_the_statements_stand_first_in_every_result():
    analysis = with_certainty(verdict=NOISY, doubt=DOUBT)
    content, printed, narrative = json.loads(report_json(analysis)), summary(analysis), draft_narrative(analysis)
    in_pdf = first_page(analysis)
    assert content["statements"] == texts_of(analysis)
    assert content["af_verdict"] == {"answer": NOT_KNOWN, "reason": NOISY.reason, "probability": None}
    assert content["sve_doubt"] == {"score": 0.9, "uncertain": True, "reasons": list(DOUBT.reasons)}
    for text in texts_of(analysis):
        assert printed.index(text) < printed.index("Analysable")
        assert f"{text}." in narrative
        assert f"{text}." in in_pdf


@pytest.mark.parametrize(("answer", "value"), [(AF, None), (NOT_KNOWN, None), (NO_AF, 0.0)])
def test_af_as_a_verdict_never_has_a_burden_of_zero(answer, value):
    analysis = with_certainty(verdict=AfVerdict(answer, "P", 0.9))
    measured = {measure.key: measure for measure in measures(analysis)}
    assert (measured["af_burden"].value, measured["af_time"].value) == (value, value)
    assert ("no episode of 30 s" in measured["af_burden"].why) == (value is None)
    row = study_row("short", analysis)
    assert row["af_burden"] == value
    name = {AF: "AF", NO_AF: "no AF", NOT_KNOWN: "not known"}[answer]
    assert f"Verdict on AF {name} no episode of 30 s or longer" in first_page(analysis)
    at = page("overview", workspace_with(analysis))
    assert f"<span>Verdict on AF</span><b>{name}</b><span>no episode of 30 s or longer</span>" in "".join(html_of(at))


def test_the_table_of_a_study_has_both_in_numbers_and_in_words():
    noisy, af = with_certainty(verdict=NOISY, doubt=DOUBT), with_certainty(verdict=AfVerdict(AF, "P", 0.9))
    rows = [
        study_row("short", noisy),
        study_row("af", af),
        study_row("long", with_certainty(verdict=None, duration_s=1800.0)),
    ]
    table = study_table(rows).set_index("folder")
    assert table["af_verdict"].isna().tolist() == [True, False, True]
    assert table.loc["af", "af_verdict"] == 1
    assert table["sve_uncertain"].tolist() == [1, 0, 0]
    ran = "single precision by PyTorch"
    assert table[list(TEXTS)].to_numpy().tolist() == [
        [f"cannot be said: {NOISY.reason}", "; ".join(DOUBT.reasons), ran, "", ". ".join(texts_of(noisy))],
        ["AF: P", "", ran, "", texts_of(af)[0]], ["", "", ran, "", ""],
    ]  # fmt: skip


def test_beats_in_tachycardia_that_are_no_v_are_said_beside_the_burden():
    made = made_analysis(120.0)
    tachycardia = make_event("vt_sustained", 40.0, 80.0)
    n = int(((made.beats.time_s > 40.0) & (made.beats.time_s < 80.0)).sum())
    of_class = {
        label: replace(made, beats=replace(made.beats, label=np.full(len(made.beats), label))) for label in "NV"
    }
    said = f"{n} beats in ventricular tachycardia, which the waveform shows, could not be labelled V one by one"
    for analysis, is_said in (
        (of_class["N"], False),
        (with_events(of_class["N"], tachycardia), True),
        (with_events(of_class["N"], make_event("vf_suspected", 40.0, 80.0)), True),
        (with_events(of_class["V"], tachycardia), False),
        (with_events(of_class["N"], make_event("vt", 40.0, 41.0)), False),
    ):
        assert any(text.startswith(said) for text in texts_of(analysis)) == is_said


def test_a_measure_without_an_answer_states_why():
    found = {measure.key: measure for measure in measures(with_certainty(verdict=NOISY))}
    assert (found["af_verdict"].value, found["af_verdict"].why) == (None, f"{NOT_KNOWN}: {NOISY.reason}")
    longer = {measure.key: measure for measure in measures(with_certainty(verdict=None, duration_s=1800.0))}
    assert longer["af_verdict"].why == "the recording is longer than a minute"


@pytest.mark.parametrize("name", ["overview", "report"])
def test_pages_warn_only_where_the_program_is_not_sure(name):
    analysis = with_certainty(verdict=AfVerdict(NO_AF, "P waves repeat", None))
    at = page(name, workspace_with(analysis))
    assert not at.exception
    assert not at.warning
    assert plain_markdown(texts_of(analysis)[0]) in text_of(at)
    at = page(name, workspace_with(with_certainty(verdict=NOISY, doubt=DOUBT)))
    assert [warning.value for warning in at.warning] == [
        f"{plain_markdown(text)}." for text in texts_of(with_certainty(verdict=NOISY, doubt=DOUBT))
    ]


def test_the_doubtful_s_beats_are_a_click_away():
    analysis = with_certainty(verdict=None, doubt=DOUBT, duration_s=1800.0)
    at = app_test("dashboard.py")
    at.session_state["workspace"] = workspace_with(analysis)
    at.run().switch_page("pages/overview.py").run()
    button(at, "Gallery").click().run()
    assert not at.exception
    assert at.session_state[kind_key(analysis.record)] == OPENED_KIND
    assert any(GALLERY_TITLE in str(option) for box in at.selectbox for option in box.options)


def test_the_least_certain_s_beats_come_first_and_those_labelled_are_left_out():
    analysis = made_analysis()
    beats = analysis.beats
    s_beats = np.flatnonzero(beats.label == "S")
    probability = beats.probability.copy()
    probability[s_beats[3]] = [0.45, 0.55, 0, 0, 0]
    unsure = replace(analysis, beats=replace(beats, probability=probability), labelled=s_beats[:2])
    found = doubtful_beats(unsure)
    assert found[0] == s_beats[3]
    assert sorted(found) == s_beats[2:].tolist()


def test_the_statements_follow_what_is_measured_again():
    analysis = made_analysis(30.0)
    assert with_events(analysis).burden.af_verdict is not None
    assert with_events(made_analysis(120.0)).burden.af_verdict is None


def test_what_the_file_leaves_in_doubt_stands_before_the_verdict_everywhere():
    analysis = with_certainty(verdict=NOISY)
    channels = (*(LeftOut(f"A{n}", "its label names no ECG lead") for n in range(1, 9)), LeftOut("ABP", "in mmHg"))
    record = replace(analysis.record, doubts=("the header states 60 s, the file holds 59 s",), left_out=channels)
    analysis = replace(analysis, record=record)
    doubt, left_out, _ = texts_of(analysis)
    assert doubt == "Doubt about the file: the header states 60 s, the file holds 59 s"
    assert left_out == (
        "Channels that were not read: A1, A2, A3, A4, A5, A6 and 2 more (its label names no ECG lead); ABP (in mmHg)"
    )
    at = page("overview", workspace_with(analysis))
    assert f"{plain_markdown(doubt)}." in [warning.value for warning in at.warning]
    assert any(plain_markdown(left_out) in line.value for line in at.markdown)
    content = json.loads(report_json(analysis))["record"]
    assert content["doubts"] == list(record.doubts)
    assert content["left_out"][-1] == {"name": "ABP", "reason": "in mmHg"}
    assert doubt in summary(analysis)


# --------------------------------------------------------------------------------------------------------- failed leads


def test_which_lead_was_analysed_where_another_one_failed_stands_everywhere():
    replaced = [ReplacedLead("V5", 100.0, 3000.0, no_signal=True), ReplacedLead("V1", 3200.0, 3260.0, no_signal=False)]
    analysis = with_quality(np.ones((3, 360)), leads=("II", "V1", "V5"), replaced=replaced)
    expected = (
        "Lead II; from 08:01:40 to 08:50:00 lead V5, as II held no signal; from 08:53:20 to 08:54:20 lead V1, "
        "as II could not be analysed"
    )
    assert analysis.usual_leads == ("II",)
    assert texts_of(analysis)[0] == expected
    assert expected in json.loads(report_json(analysis))["statements"]
    assert json.loads(report_json(analysis))["replaced_leads"][0] == {
        "lead": "V5", "start_s": 100.0, "end_s": 3000.0, "no_signal": True,
    }  # fmt: skip
    assert expected in summary(analysis)
    assert "lead V5, as II held no signal" in first_page(analysis)


def test_of_many_stretches_the_longest_are_named_and_the_others_are_counted():
    replaced = [ReplacedLead("V5", 1000.0 * i, 1000.0 * i + 60 * (i + 1), no_signal=True) for i in range(5)]
    text = leads_text(with_quality(np.ones((2, 600)), leads=("II", "V5"), replaced=replaced))
    assert text.count("lead V5") == 3
    assert "from 08:33:20 to 08:36:20" in text
    assert text.endswith("; likewise in 2 other stretches, 3 min")


def test_one_of_several_leads_that_came_off_is_named_and_a_short_loss_is_not():
    score = np.ones((2, 60))
    score[0, 10:20] = score[1, 40:44] = 0
    assert leads_text(with_quality(score, leads=("II", "V1"))) == (
        "Leads II, V1; from 08:01:40 to 08:03:20 without lead II, which held no signal"
    )
    assert leads_text(with_quality(np.ones((2, 60)), leads=("II", "V1"))) == ""
