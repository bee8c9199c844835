"""The page Report, and the strips that Review sends to it."""

from dataclasses import replace

import pytest
from support.analyses import make_event, with_events
from support.pages import address_time_s, app_test, button, controls, html_of, page, workspace_with

from ecg_core.notes import MAX_NARRATIVE_LETTERS, Patient, ReportStrip
from ecg_core.report.narrative import draft_narrative
from ecg_core.report.strip_selection import STRIP_S, choose_strips
from ecg_core.studies.holding import hold
from ecg_core.studies.study_notes import notes_of, set_narrative, set_patient, set_report_strips
from pages._ui.narrative import AT_MOST, DRAFTED
from pages._ui.view import study_key


@pytest.fixture
def workspace(demo_analysis):
    return workspace_with(demo_analysis)


@pytest.fixture
def sha256(demo_analysis):
    return demo_analysis.record.sha256


def kept(workspace, sha256):
    """What the store itself has."""
    return notes_of(workspace.store, sha256)


def moved_by(at, label):
    """The buttons of this name, one for each strip."""
    return [item for item in at.button if item.key and item.key.startswith(f"{label} ")]


def test_the_strip_of_review_goes_to_the_report_with_its_caption(workspace, sha256):
    at = page("review", workspace, t="870")
    at.text_input(key=study_key("report_caption", sha256)).set_value("A run of V").run()
    button(at, "To report").click().run()
    assert not at.exception
    ((strip,), shown_s) = (kept(workspace, sha256).strips, 870.0)
    assert strip.caption == "A run of V"
    assert strip.start_s <= shown_s <= strip.start_s + STRIP_S
    assert at.text_input(key=study_key("report_caption", sha256)).value == ""


@pytest.mark.parametrize("seconds", [6, 10, 30])
def test_the_report_has_the_ten_seconds_in_the_middle_of_the_strip(workspace, sha256, seconds):
    at = page("review", workspace, t="600", sec=str(seconds))
    button(at, "To report").click().run()
    (strip,) = kept(workspace, sha256).strips
    assert strip.start_s == pytest.approx(595.0, abs=0.2)


@pytest.mark.parametrize(("label", "left"), [("Remove", ["second", "third"]), ("Down", ["second", "third", "first"])])
def test_a_second_click_in_a_busy_browser_is_about_the_same_strip(workspace, sha256, label, left):
    strips = tuple(
        ReportStrip(start_s, name) for start_s, name in ((100.0, "first"), (200.0, "second"), (300.0, "third"))
    )
    workspace.save(set_report_strips, sha256, strips)
    at = page("report", workspace)
    first = moved_by(at, label)[0]
    for _ in range(2):
        sent = controls(at)
        sent.widgets.add(id=first.id, trigger_value=True)
        at._run(sent)
    assert [strip.caption for strip in kept(workspace, sha256).strips] == left


def test_a_strip_that_is_in_the_report_is_not_added_twice(workspace, sha256):
    at = page("review", workspace, t="870")
    for _ in range(2):
        button(at, "To report").click().run()
    assert len(kept(workspace, sha256).strips) == 1


def test_the_strip_button_has_a_key_of_its_own(workspace):
    at = page("review", workspace)
    keys = [item.proto.shortcut.lower() for item in at.button if item.proto.shortcut]
    assert button(at, "To report").proto.shortcut.lower() == "t"
    assert len(keys) == len(set(keys))
    assert not {"c", "r"} & set(keys)  # Streamlit's own


def test_the_report_begins_with_dangers_summary_narrative_and_signature(demo_analysis):
    grave = with_events(demo_analysis, make_event("vf", 600.0, 640.0))
    at = page("report", workspace_with(grave))
    assert not at.exception
    assert "Ventricular fibrillation" in at.error[0].value
    assert any("PVC burden" in html and "AF burden" in html for html in html_of(at))
    assert at.text_area[0].value == draft_narrative(grave)
    heads = [header.value for header in at.header]
    assert heads[:4] == ["Narrative", "Sign-off", "Strips chosen by the reader (0)", "Measures"]
    listed = next(frame.value for frame in at.dataframe if "Strip" in frame.value)
    assert len(listed) == len(choose_strips(grave))
    assert listed["Section"][0].startswith("Ventricular fibrillation")


def test_the_narrative_is_kept_as_it_was_edited_until_it_is_drafted_again(workspace, sha256, demo_analysis):
    at = page("report", workspace)
    at.text_area[0].set_value("Normal but for one run.").run()
    assert kept(workspace, sha256).narrative == "Normal but for one run."
    assert page("report", workspace).text_area[0].value == "Normal but for one run."
    button(at, "Draft again").click().run()
    assert kept(workspace, sha256).narrative == ""
    assert at.text_area[0].value == draft_narrative(demo_analysis)


@pytest.mark.parametrize("typed", ["", "drafted"])
def test_a_narrative_that_is_emptied_or_as_drafted_is_the_drafted_one(workspace, sha256, demo_analysis, typed):
    workspace.save(set_narrative, sha256, "Mine")
    at = page("report", workspace)
    at.text_area[0].set_value(draft_narrative(demo_analysis) if typed else "").run()
    assert kept(workspace, sha256).narrative == ""
    assert at.text_area[0].value == draft_narrative(demo_analysis)


def test_the_length_of_a_narrative_is_limited_and_what_is_stored_is_never_cut(workspace, sha256):
    at = page("report", workspace)
    assert f"{DRAFTED} {AT_MOST}" in [caption.value for caption in at.caption]
    assert at.text_area[0].max_chars == MAX_NARRATIVE_LETTERS
    long = "b" * 2 * MAX_NARRATIVE_LETTERS  # of an earlier version, or from elsewhere
    workspace.save(set_narrative, sha256, long)
    at = page("report", workspace)
    assert at.text_area[0].value == long
    at.text_area[0].set_value(long[1:]).run()
    assert kept(workspace, sha256).narrative == long[1:]


def test_chosen_strips_are_captioned_ordered_and_removed(workspace, sha256):
    first, second = ReportStrip(100.0, "first"), ReportStrip(50.0, "second")
    workspace.save(set_report_strips, sha256, (first, second))
    at = page("report", workspace)
    moved_by(at, "Down")[0].click().run()
    assert kept(workspace, sha256).strips == (second, first)
    next(item for item in at.text_input if item.value == "first").set_value("the first").run()
    assert kept(workspace, sha256).strips == (second, replace(first, caption="the first"))
    moved_by(at, "Up")[1].click().run()
    moved_by(at, "Remove")[1].click().run()
    assert kept(workspace, sha256).strips == (replace(first, caption="the first"),)
    assert not at.exception
    assert moved_by(at, "Up")[0].disabled
    assert moved_by(at, "Down")[0].disabled


def test_a_window_that_reads_along_changes_nothing(workspace, sha256):
    workspace.save(set_report_strips, sha256, (ReportStrip(100.0, "x"),))
    hold(workspace.store, sha256, session="another window", reader="Somebody", take_over=True)
    report, review = page("report", workspace), page("review", workspace)
    assert report.text_area[0].disabled
    assert all(item.disabled for label in ("Up", "Down", "Remove") for item in moved_by(report, label))
    assert button(review, "To report").disabled


def test_patient_data_are_offered_only_where_there_are_any(workspace, sha256):
    assert page("report", workspace).checkbox(key=study_key("with_patient", sha256)).disabled
    workspace.save(set_patient, sha256, Patient(name="Somebody Known"))
    box = page("report", workspace).checkbox(key=study_key("with_patient", sha256))
    assert not box.disabled
    assert not box.value


@pytest.mark.parametrize("name", ["overview", "report"])
def test_the_longest_run_is_a_link_to_its_strip(demo_analysis, name):
    at = app_test("dashboard.py")
    at.session_state["workspace"] = workspace_with(demo_analysis)
    at.run()
    at.switch_page(f"pages/{name}.py").run()
    longest = demo_analysis.burden.v.runs.most_beats
    link = at.button(key="to v_longest_run")
    assert link.label == f"Longest V run: {longest.n_beats} beats"
    link.click().run()
    assert not at.exception
    assert at.title[0].value.startswith("Review of")
    assert address_time_s(at) == pytest.approx(longest.start_s, abs=0.01)


def test_a_printed_overview_has_every_finding(demo_analysis):
    printed = next(
        html for html in html_of(page("overview", workspace_with(demo_analysis))) if "<th>Finding</th>" in html
    )
    assert printed.count("<tr>") + printed.count("<tr ") == len(demo_analysis.events) + 1
