"""The gallery without a browser: what its strips hold, and how verdicts move through its pages."""

import base64
import json
from dataclasses import replace

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from support.analyses import make_analysis, make_event, with_events
from support.pages import TIMEOUT_S, app_test, controls, page, text_of, workspace_on, workspace_with
from support.records import in_memory

from ecg_core.figures import Scale
from ecg_core.figures.gallery import WIDEST_MM, GallerySource, gallery_data
from ecg_core.figures.samples import MISSING, STEP_MV, encoded
from ecg_core.labels import CLASSES
from ecg_core.measuring import with_rules
from ecg_core.records import read_strip
from ecg_core.rhythm.reviewing import beat_items, review_items
from ecg_core.studies.study_notes import set_report_strips
from pages._ui import gallery
from pages._ui.gallery import Place
from pages._ui.gallery_verdicts import OPENED, kind_key, verdict_groups


@pytest.fixture(scope="module")
def analysis(demo):
    """Made-up beats on the demo record: fifteen V couplets, and single V and S."""
    made = replace(make_analysis(demo.duration_s), record=demo)
    return with_ventricular_beats(made, [beat for first in range(20, 620, 40) for beat in (first, first + 1)])


def with_ventricular_beats(analysis, beats, **rules):
    """The analysis with some more beats that the network found to be V, measured by these rules."""
    label, probability = analysis.predicted.label.copy(), analysis.predicted.probability.copy()
    label[beats], probability[beats] = "V", np.where(np.array(CLASSES) == "V", 0.84, 0.04)
    predicted = replace(analysis.predicted, label=label, probability=probability)
    return with_rules(replace(analysis, predicted=predicted, beats=predicted), replace(analysis.rules, **rules))


def source_of(analysis, items, **given):
    return GallerySource(analysis, items, "made", np.zeros(len(items), dtype=bool), "II", **given)


# -- strips -----------------------------------------------------------------------------------------------------------


def test_a_strip_holds_the_samples_of_the_record_around_its_event(analysis, demo):
    strip = source_of(analysis, review_items(analysis, "v_couplet")).strips(0, 1)[0]
    values = np.frombuffer(base64.b64decode(strip.samples), "<i2") * STEP_MV
    read = read_strip(demo, "II", start_s=strip.start_s, length_s=strip.length_s).signal_mv
    assert strip.fs_hz == demo.fs_hz
    assert values == pytest.approx(read - np.median(read), abs=STEP_MV)
    assert strip.start_s < strip.extent[0] < strip.extent[1] < strip.start_s + strip.length_s


def test_a_spike_of_one_sample_is_on_its_strip_at_any_rate(analysis):
    """A pacemaker's spike lasts half a millisecond to two."""
    for fs_hz in (250.0, 500.0, 1000.0, 2000.0):
        signal_mv = np.zeros(round(60 * fs_hz))
        spike = round(30 * fs_hz) + 1
        signal_mv[spike] = 3.0
        record = in_memory(signal_mv, fs_hz)
        made = replace(analysis, record=record)
        strip = source_of(made, beat_items(made, np.array([37]))).strips(0, 1)[0]
        values = np.frombuffer(base64.b64decode(strip.samples), "<i2") * STEP_MV
        assert values.max() == pytest.approx(3.0), fs_hz
        assert strip.start_s + values.argmax() / strip.fs_hz == pytest.approx(spike / fs_hz, abs=0.004)
        assert len(values) / strip.fs_hz == pytest.approx(strip.length_s, abs=0.01)


def test_a_strip_is_drawn_in_the_lead_that_the_finding_rests_on(analysis):
    """Where the chosen lead could not be analysed, another one was: its strip says so."""
    score = np.stack([analysis.quality.score[0], 0.8 * analysis.quality.score[0]])
    score[0, 5:] = 0
    made = replace(analysis, lead_names=("II", "V1"), quality=replace(analysis.quality, score=score))
    source = source_of(made, review_items(made, "v_couplet"))
    early, late = source.strips(0, 3)[0::2]
    for strip, lead in ((early, "II"), (late, "V1")):
        values = np.frombuffer(base64.b64decode(strip.samples), "<i2") * STEP_MV
        read = read_strip(made.record, lead, start_s=strip.start_s, length_s=strip.length_s).signal_mv
        assert values == pytest.approx(read - np.median(read), abs=STEP_MV)
    assert "lead" not in early.title
    assert late.title.endswith("in lead V1")
    assert "lead" not in source.caption(2)  # the report chooses its leads itself
    chosen = replace(source, lead=made.record.lead_names[3])  # which was not analysed: the reader wants to see it
    assert "lead" not in chosen.strips(2, 3)[0].title


def test_a_strip_names_its_event_its_beats_its_time_and_its_length(analysis):
    strip = source_of(analysis, review_items(analysis, "v_couplet")).strips(0, 1)[0]
    assert strip.title.startswith("V couplet, 2 beats")
    assert strip.length == "0.8 s"
    first_s, last_s = strip.extent[0] - 0.001, strip.extent[1] + 0.001  # times of beats are rounded
    assert [label for at_s, _letter, label in strip.beats if first_s <= at_s <= last_s] == ["V", "V"]
    for part in (strip.title, strip.length, strip.clock, "beats V V"):
        assert part in strip.label


def test_any_width_up_to_the_widest_can_be_shown_of_short_and_of_long_events(analysis):
    long = with_events(analysis, make_event("af", 600.0, 1200.0, n_beats=700))
    for scale in (Scale(12.5, 10), Scale(25, 10), Scale(50, 10)):
        widest_s = WIDEST_MM / scale.mm_per_s
        first = source_of(long, review_items(long, "af"), scale=scale).strips(0, 1)[0]
        assert first.start_s < 600.0 <= first.start_s + widest_s <= first.start_s + first.length_s + 0.01
        middle = source_of(long, review_items(long, "v_couplet"), scale=scale).strips(5, 6)[0]
        centre_s = sum(middle.extent) / 2
        assert middle.start_s <= centre_s - widest_s / 2 + 0.01
        assert middle.start_s + middle.length_s >= centre_s + widest_s / 2 - 0.01


def test_a_change_of_class_is_written_above_the_beat(analysis):
    before = analysis.beats.label.copy()
    before[20] = "N"
    strip = source_of(analysis, beat_items(analysis, np.array([20])), before=before).strips(0, 1)[0]
    assert "N → V" in [letter for _time, letter, _label in strip.beats]
    assert strip.title.startswith("N → V")
    assert "N → V" in strip.label


def test_samples_that_were_not_recorded_stay_gaps():
    counts = np.frombuffer(base64.b64decode(encoded(np.array([0.5, np.nan], dtype=np.float32))), "<i2")
    assert counts.tolist() == [250, MISSING]


def test_a_page_of_24_strips_is_smaller_than_a_megabyte(analysis):
    data = gallery_data(source_of(analysis, review_items(analysis, "V")), 0, 24)
    assert len(data) == 24
    assert len(json.dumps(data)) < 1_000_000


# -- places -----------------------------------------------------------------------------------------------------------


def test_after_a_verdict_the_next_item_that_is_not_part_of_it_is_chosen(analysis):
    items, place = review_items(analysis, "v_couplet"), Place()
    place.leave(items, np.array([2, 3]))
    left = items.only(np.delete(np.arange(len(items)), [2, 3]))
    place.settle(left)
    assert left.start_s[place.item] == items.start_s[4]


def test_an_accepted_item_that_stays_is_left_for_the_next_one(analysis):
    items, place = review_items(analysis, "v_couplet"), Place(item=3)
    place.leave(items, np.array([3]))
    place.settle(items)
    assert place.item == 4


def test_after_a_verdict_on_the_last_item_the_last_one_left_is_chosen(analysis):
    items, place = review_items(analysis, "v_couplet"), Place()
    last = len(items) - 1
    place.leave(items, np.array([last]))
    place.settle(items.only(np.arange(last)))
    assert place.item == last - 1


# -- the page ---------------------------------------------------------------------------------------------------------


class Browser:
    """Stands for the component: keeps what is drawn, and says what a browser would."""

    def __init__(self, monkeypatch):
        monkeypatch.setattr(gallery, "gallery_component", lambda: self.draw)

    def draw(self, *, key, data, **callbacks):
        self.data = data
        st.button("say", key="say", on_click=callbacks["on_act_change"])

    def say(self, at, **said):
        name, value = next(iter(said.items()))
        at.session_state["gallery"] = {name: {"turn": self.data["turn"], **value}}
        at.button(key="say").click()
        return at.run()

    def act(self, at, name, *items):
        return self.say(at, act={"name": name, "items": list(items)})


def kinds(at):
    """The choice of what is gone through."""
    return next(box for box in at.selectbox if box.label == "Findings")


@pytest.fixture
def browser(monkeypatch):
    return Browser(monkeypatch)


@pytest.fixture
def opened(analysis, browser):
    workspace = workspace_with(analysis)
    return page("gallery", workspace), workspace


def test_the_page_shows_the_most_serious_kind_first_in_pages_of_twelve(opened, browser):
    at, _workspace = opened
    assert not at.exception
    assert kinds(at).options[0] == "Ventricular couplet (15)"
    assert (browser.data["n"], len(browser.data["strips"])) == (15, 12)
    assert browser.data["note"] == "0 of 15 reviewed"
    assert browser.data["scale_text"] == "Lead II, 25 mm/s, 10 mm/mV"


def test_the_next_page_shows_the_rest(opened, browser):
    at, _workspace = opened
    browser.say(at, page={"item": 12})
    assert [strip["item"] for strip in browser.data["strips"]] == [12, 13, 14]
    assert browser.data["chosen"] == 12


def test_rejected_couplets_vanish_in_one_edit_and_undo_brings_them_back(opened, browser):
    at, workspace = opened
    sha256 = workspace.current
    browser.act(at, "N", 2, 3)
    assert browser.data["n"] == 13
    assert len(workspace.edits_of(sha256)) == 1
    assert browser.data["chosen"] == 2
    browser.act(at, "undo", 2)
    assert browser.data["n"] == 15
    assert browser.data["chosen"] == 2
    browser.act(at, "redo", 5)
    assert browser.data["n"] == 13


@pytest.mark.parametrize("action", ["artefact", "delete", "S", "N"])
def test_every_verdict_that_rejects_a_couplet_takes_it_from_the_list(opened, browser, action):
    at, _workspace = opened
    browser.act(at, action, 4)
    assert (browser.data["n"], browser.data["chosen"]) == (14, 4)


@pytest.mark.parametrize("rhythm", ["sinus", "svt", "vf", "paced"])  # beats in AF keep their class
def test_a_run_that_is_marked_as_another_rhythm_is_a_tachycardia_no_longer(analysis, browser, rhythm):
    workspace = workspace_with(with_ventricular_beats(analysis, np.arange(101, 140), vt_bpm=70.0))
    at = page("gallery", workspace)
    assert kinds(at).value in ("vt", "vt_sustained")
    browser.act(at, rhythm, 0)
    assert not {"vt", "vt_sustained"} & {event.kind for event in workspace.analysis(workspace.current).events}
    assert kinds(at).value.startswith("vt")  # the next key is no verdict on something else
    assert browser.data["strips"] == []


def test_accepted_events_are_ticked_and_nothing_else_changes(opened, browser):
    at, workspace = opened
    before = workspace.analysis(workspace.current)
    browser.act(at, "accept", 1)
    assert [strip["reviewed"] for strip in browser.data["strips"][:3]] == [False, True, False]
    assert (browser.data["note"], browser.data["chosen"]) == ("1 of 15 reviewed", 2)
    assert workspace.analysis(workspace.current).events == before.events


def test_what_the_browser_says_about_an_earlier_page_is_not_taken(opened, browser):
    at, workspace = opened
    browser.say(at, act={"name": "N", "items": [0], "turn": browser.data["turn"] - 1})
    assert workspace.edits_of(workspace.current) == ()
    assert browser.data["n"] == 15


def test_accepted_beats_are_ticked_and_left_out_by_the_filter(opened, browser):
    at, _workspace = opened
    kinds(at).set_value("V").run()
    n = browser.data["n"]
    browser.act(at, "accept", 0, 1)
    assert [strip["reviewed"] for strip in browser.data["strips"][:3]] == [True, True, False]
    assert browser.data["note"] == f"2 of {n:,} reviewed"
    assert browser.data["chosen"] == 2
    at.toggle(key="gallery_new").set_value(True).run()
    assert browser.data["n"] == n - 2


def test_the_kind_stays_where_a_busy_browser_sends_its_earlier_count(opened, browser):
    at, _workspace = opened
    kinds(at).set_value("V").run()
    sent, n = controls(at), browser.data["n"]  # with "Ventricular ectopic beats (30)"
    browser.act(at, "N", 0)
    at._run(sent)
    assert kinds(at).value == "V"
    assert browser.data["n"] == n - 1


def test_several_strips_go_to_the_report_with_what_they_show(opened, browser):
    at, workspace = opened
    browser.act(at, "report", 0, 5)
    strips = workspace.notes(workspace.current).strips
    assert len(strips) == 2
    assert strips[0].caption.startswith("V couplet, 2 beats")
    assert "2 strips in the report" in browser.data["note"]


def test_a_strip_that_is_in_the_report_keeps_the_caption_of_its_reader(opened, browser):
    at, workspace = opened
    browser.act(at, "report", 0)
    (strip,) = workspace.notes(workspace.current).strips
    workspace.save(set_report_strips, workspace.current, (replace(strip, caption="dizzy here"),))
    at.run()
    browser.act(at, "report", 0, 1)
    captions = [strip.caption for strip in workspace.notes(workspace.current).strips]
    assert (len(captions), captions[0]) == (2, "dizzy here")


def test_a_study_that_another_window_holds_takes_no_verdict(analysis, browser, tmp_path):
    first = workspace_with(analysis, workspace_on(tmp_path))
    reading = workspace_with(analysis, workspace_on(tmp_path, "Ben"))
    assert not reading.may_edit(reading.current)
    at = page("gallery", reading)
    assert "Another window holds this study" in browser.data["locked"]
    browser.act(at, "N", 0)
    assert "Another window holds this study" in text_of(at)
    assert first.edits_of(first.current) == ()


def open_some_beats():
    """A page that opens three beats in the gallery."""
    import streamlit as st

    from pages._ui.gallery_verdicts import choose_for_gallery

    analysis, beats, before = st.session_state["some"]
    choose_for_gallery(analysis, beats, "Template V1", before=before)


def gallery_opened_with(workspace, analysis, beats, before=None):
    """The page Gallery, to which another page led."""
    opening = AppTest.from_function(open_some_beats, default_timeout=TIMEOUT_S)
    opening.session_state["workspace"], opening.session_state["some"] = workspace, (analysis, beats, before)
    opening.run()
    at = app_test("pages/gallery.py")
    at.session_state["workspace"] = workspace
    for key in (OPENED, kind_key(analysis.record)):
        at.session_state[key] = opening.session_state[key]
    return at.run()


def test_beats_that_another_page_opened_are_gone_through_in_its_order(analysis, browser):
    beats, before = np.array([100, 30, 64]), analysis.beats.label.copy()
    before[64] = "N"
    at = gallery_opened_with(workspace_with(analysis), analysis, beats, before)
    assert kinds(at).options[0] == "Template V1 (3)"
    assert [strip["extent"][0] for strip in browser.data["strips"]] == analysis.beats.time_s[beats].tolist()
    assert browser.data["strips"][2]["title"].startswith("N → V")


def test_beats_that_are_opened_later_take_the_place_of_those_before(analysis, browser):
    workspace = workspace_with(analysis)
    gallery_opened_with(workspace, analysis, np.array([30, 64]))
    beats = np.array([100, 101, 102])
    at = gallery_opened_with(workspace, analysis, beats)
    assert kinds(at).options[0] == "Template V1 (3)"
    assert [strip["extent"][0] for strip in browser.data["strips"]] == analysis.beats.time_s[beats].tolist()
    browser.act(at, "S", 0, 1, 2)
    assert [label.time_s for label in workspace.edits_of(workspace.current)[0].labels] == analysis.beats.time_s[
        beats
    ].tolist()


def draw_two_analyses():
    """A page that shows what changed between two analyses."""
    import streamlit as st

    from pages._ui.gallery import draw_changes

    draw_changes("gallery", *st.session_state["two"])


def test_the_beats_that_change_are_shown_with_their_class_before_and_no_verdict(analysis, browser):
    at = AppTest.from_function(draw_two_analyses, default_timeout=TIMEOUT_S)
    at.session_state["workspace"] = workspace_with(analysis)
    at.session_state["two"] = (analysis, with_ventricular_beats(analysis, [12, 13]))
    at.run()
    assert not at.exception
    assert {strip["title"][:5] for strip in browser.data["strips"]} == {"N → V"}
    assert browser.data["actions"] == []


@pytest.mark.parametrize("kind", ["beats", "vt", "af", "pause", "not_analysable"])
def test_no_two_buttons_have_the_same_key(kind):
    groups = verdict_groups(kind, can_undo=True, can_redo=True)
    keys = [key for group in groups for action in group.actions for key in (action.key, action.also) if key]
    assert len(keys) == len(set(keys))
    assert not set(keys) & set("PRC")  # taken by the page of strips and by Streamlit
