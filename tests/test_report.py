"""The PDF report: its words, and its millimetres on the rendered page."""

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import paragraph
from support.analyses import make_analysis as made_analysis
from support.analyses import make_event, with_events
from support.pdf import opened, words
from support.records import in_memory
from support.strategies import make_beats

from ecg_core import NOTICE
from ecg_core.notes import FROM_FILE, DiaryEntry, Notes, Patient, ReportStrip, Signature
from ecg_core.report.canvas import LEFT_MM, PAGE_HEIGHT_MM, PAGE_WIDTH_MM, WIDTH_MM, Sheet, draw_columns, draw_strip
from ecg_core.report.dangers import findings
from ecg_core.report.document import Drawing, Head, make_pdf
from ecg_core.report.facts import UNSIGNED
from ecg_core.report.measures import measures
from ecg_core.report.narrative import draft_narrative
from ecg_core.report.pdf import report_pdf
from ecg_core.report.pdf_tables import MOST_OF_A_KIND
from ecg_core.report.periods import NO_CLOCK, day_and_night, hour_lines
from ecg_core.report.strip_selection import (
    CHOSEN,
    MOST_EPISODES,
    SAME_STRIP_S,
    SECTIONS,
    STRIP_S,
    choose_strips,
    strip_leads,
    strip_sections,
    twelve_leads,
)
from ecg_core.report.trends import draw_trends
from ecg_core.rhythm.events import KIND_NAMES
from ecg_core.rules import RhythmRules
from ecg_core.schema import Lead, Quality

DPI = 600
PX_PER_MM = DPI / 25.4


def dark(content):
    """Where the first page is as dark as the trace is drawn, shape (height, width)."""
    with opened(content) as document:
        page = document[0]
        pixels = page.render(scale=DPI / 72).to_numpy()[..., :3].astype(int)
        page.close()
    return pixels.sum(axis=2) < 240


def square_wave(fs_hz=500, *, height_mv=1.0):
    """A millivolt up for 200 ms, once a second."""
    time_s = np.arange(int(STRIP_S * fs_hz)) / fs_hz
    return Lead("II", np.where(time_s % 1.0 < 0.2, height_mv, 0.0).astype(np.float32), fs_hz)


def on_paper(draw):
    """A document with one drawing, and its grid 20 mm below the upper margin."""
    return make_pdf("strip", [Drawing(60.0, draw)], head=Head("", ""), footer=lambda sheet, number, total: None)


def strip_of(*leads, height=45.0, gains=None):
    def draw(sheet):
        gain = draw_strip(sheet, leads, beats=make_beats([], ""), x=LEFT_MM, y=10.0, width=250.0, height=height)
        if gains is not None:
            gains.append(gain)

    return on_paper(draw)


def test_the_page_is_a4():
    with opened(strip_of(square_wave())) as document:
        size = document.get_page_size(0)
    assert np.array(size) * 25.4 / 72 == pytest.approx([PAGE_WIDTH_MM, PAGE_HEIGHT_MM], abs=0.01)


def test_a_second_is_25_mm_and_a_millivolt_10_mm_on_the_rendered_page():
    trace = dark(strip_of(square_wave()))[:, int((LEFT_MM + 0.5) * PX_PER_MM) :]
    tall = trace.sum(axis=0) > 8 * PX_PER_MM  # columns in which the trace goes straight up or down
    edges = np.flatnonzero(tall[1:] & ~tall[:-1])
    ups = edges[1::2]  # the first edge seen is the fall of the first pulse
    assert len(ups) == 9
    np.testing.assert_allclose(np.diff(ups) / PX_PER_MM, 25.0, rtol=0.01)
    assert np.diff(edges)[1] / PX_PER_MM == pytest.approx(5.0, abs=0.1)  # 200 ms
    rows = np.flatnonzero(trace[:, ups[0] : ups[0] + 3].any(axis=1))
    line_mm = 0.25
    assert (rows[-1] - rows[0] + 1) / PX_PER_MM - line_mm == pytest.approx(10.0, rel=0.01)


def test_the_calibration_pulse_is_as_high_as_a_millivolt_of_the_trace():
    image = dark(strip_of(square_wave()))
    pulse = image[:, : int((LEFT_MM - 1.0) * PX_PER_MM)]
    rows = np.flatnonzero(pulse.any(axis=1))
    assert (rows[-1] - rows[0] + 1) / PX_PER_MM - 0.25 == pytest.approx(10.0, rel=0.01)


def test_the_boxes_of_the_paper_are_of_5_mm():
    with opened(strip_of(Lead("II", np.full(5000, np.nan, dtype=np.float32), 500.0))) as document:
        page = document[0]
        pixels = page.render(scale=DPI / 72).to_numpy()[..., :3].astype(int)
        page.close()
    row = pixels[int(38.5 * PX_PER_MM), int((LEFT_MM - 0.5) * PX_PER_MM) :]
    red = row[:, 2] - row[:, 0]
    line = np.abs(red) > 40
    starts = np.flatnonzero(line[1:] & ~line[:-1])
    assert np.median(np.diff(starts)) / PX_PER_MM == pytest.approx(5.0, rel=0.01)


@pytest.mark.parametrize(("height_mv", "gain"), [(1.0, 10.0), (3.0, 10.0), (6.0, 5.0), (12.0, 2.5), (0.0, 10.0)])
def test_the_gain_is_the_largest_at_which_the_trace_fits(height_mv, gain):
    gains = []
    strip_of(square_wave(height_mv=height_mv), gains=gains)
    assert gains == [gain]


def test_leads_of_a_strip_have_one_gain_and_a_pulse_each():
    gains = []
    image = dark(strip_of(square_wave(), square_wave(height_mv=3.0), gains=gains))
    assert gains == [5.0]
    pulse = np.flatnonzero(image[:, : int((LEFT_MM - 1.0) * PX_PER_MM)].any(axis=1)) / PX_PER_MM
    (cut,) = np.flatnonzero(np.diff(pulse) > 1.0)
    for rows in (pulse[: cut + 1], pulse[cut + 1 :]):
        assert rows[-1] - rows[0] + 1 / PX_PER_MM - 0.25 == pytest.approx(5.0, rel=0.02)


def test_a_second_of_twelve_leads_is_25_mm_too():
    rows = [[square_wave()] for _ in range(2)]
    image = dark(on_paper(lambda sheet: draw_columns(sheet, rows, x=LEFT_MM, y=10.0, width=250.0, row_mm=25.0)))
    tall = image[:, int((LEFT_MM + 0.5) * PX_PER_MM) :].sum(axis=0) > 8 * PX_PER_MM
    ups = np.flatnonzero(tall[1:] & ~tall[:-1])[1::2]
    assert len(ups) == 9
    np.testing.assert_allclose(np.diff(ups) / PX_PER_MM, 25.0, rtol=0.01)


def test_the_report_holds_its_main_figures_and_where_they_come_from(demo_analysis):
    pages = words(report_pdf(demo_analysis))
    summary = pages[0]
    assert "simulated record" in summary
    for measure in measures(demo_analysis):
        if measure.key in ("pvc_burden", "sve_burden", "af_burden"):
            assert measure.text in summary
        if measure.key in ("v_couplets", "longest_rr", "sdnn"):
            assert measure.text in pages[1]
    assert UNSIGNED in summary
    assert "signature" in summary
    assert any("lead II, 25 mm/s, 10 mm/mV" in page for page in pages)
    last = pages[-1]
    assert demo_analysis.model.sha256 in last
    assert demo_analysis.record.sha256 in last
    for rule in demo_analysis.rules.rows():
        assert rule.says in last
    for number, page in enumerate(pages, 1):
        assert NOTICE in page
        assert f"page {number} of {len(pages)}" in page


def test_a_rule_that_was_changed_is_marked(demo_analysis):
    changed = replace(demo_analysis, rules=RhythmRules(pause_s=2.5))
    last = words(report_pdf(changed))[-1]
    assert "A pause is an RR of at least (changed by the reader) 2.5 s" in last
    assert last.count("changed by the reader") == 1


def test_the_same_analysis_gives_the_same_bytes(demo_analysis):
    assert report_pdf(demo_analysis) == report_pdf(demo_analysis)


@pytest.mark.parametrize("hours", [1, 24, 25, 26, 100, 336])
def test_every_hour_is_in_the_table_once_and_the_total_at_its_end(make_analysis, hours):
    analysis = make_analysis(make_beats([100] * 30, "N" * 30), duration_s=3600.0 * hours)
    analysis = replace(analysis, record=replace(analysis.record, start=None, n_samples=257 * 3600 * hours))
    pages = words(report_pdf(analysis))
    for hour in range(hours):
        row = f" {hour:02d}:00-{hour + 1:02d}:00 60.0 "
        assert sum(page.count(row) for page in pages) == 1, row
    assert sum(page.count("Total ") for page in pages) == 1
    assert any(NO_CLOCK in page for page in pages)


def test_a_name_in_any_script_breaks_nothing(demo_analysis):
    analysis = replace(demo_analysis, record=replace(demo_analysis.record, record_id="心電図-Żółć-" * 20))
    assert report_pdf(analysis).startswith(b"%PDF")


# The strips that a report chooses


def test_the_strips_of_the_demo_show_its_extremes_and_each_kind_of_event(demo_analysis):
    strips = choose_strips(demo_analysis)
    titles = [title for strip in strips for title in strip.titles]
    for begin in ("Highest", "Lowest", "Longest RR", "Longest ventricular run", "S with the lowest probability"):
        assert any(title.startswith(begin) for title in titles), begin
    for kind in {event.kind for event in findings(demo_analysis)}:
        name = KIND_NAMES[kind]
        assert any(title.startswith((name, f"First: {name.lower()}")) for title in titles), kind
    starts = np.sort([strip.start_s for strip in strips])
    assert np.diff(starts).min() >= SAME_STRIP_S
    assert starts[0] >= 0
    assert starts[-1] <= demo_analysis.record.duration_s - STRIP_S


def test_the_longest_pause_lies_in_the_middle_of_its_strip(demo_analysis):
    (strip,) = [s for s in choose_strips(demo_analysis) if any(t.startswith("Longest RR") for t in s.titles)]
    pause = demo_analysis.burden.pauses.longest
    assert (pause.start_s + pause.end_s) / 2 == pytest.approx(strip.start_s + STRIP_S / 2, abs=0.01)


def test_the_strip_of_the_longest_run_shows_the_one_with_the_most_beats(make_analysis):
    rr = [80] * 4 + [40] * 6 + [80] * 25 + [100] * 4 + [80] * 4
    made = make_analysis(make_beats(rr, "NNNN" + 6 * "V" + 25 * "N" + 4 * "V" + "NNNN"))
    (strip,) = [s for s in choose_strips(made) if any(t == "Longest ventricular run, 6 beats" for t in s.titles)]
    most = made.burden.v.runs.most_beats
    assert strip.start_s <= most.start_s < most.end_s <= strip.start_s + STRIP_S
    value = {measure.key: (measure.value, measure.at_s) for measure in measures(made)}
    assert value["v_longest_run"] == (6, most.start_s)


def test_fusion_beats_are_on_the_card_of_the_pvc_burden(make_analysis):
    beats = make_beats([80] * 40, "NNNVFNNNNN" * 4)
    summary, every = words(report_pdf(make_analysis(beats)))[:2]
    assert "; V + F 20.00 %" in summary
    assert "V + F)" in every
    without = words(report_pdf(make_analysis(make_beats([80] * 40, "NNNVNNNNNN" * 4))))[0]
    assert "; V + F" not in without


def test_a_short_recording_has_strips_that_begin_at_its_start(make_analysis):
    made = make_analysis(make_beats([80] * 3, "NVN"), duration_s=3.0)
    record = replace(in_memory(np.zeros(750), 250.0), start=None)
    strips = choose_strips(replace(made, record=record))
    assert {strip.start_s for strip in strips} == {0.0}


def test_strips_follow_the_order_of_a_report_and_those_of_the_reader_come_first(demo_analysis):
    grave = with_events(demo_analysis, make_event("vf", 700.0, 712.0))
    notes = Notes(strips=(ReportStrip(1200.0, "Look at the P waves"), ReportStrip(5.0)))
    sections = strip_sections(grave, notes)
    names = [section.name for section in sections]
    assert names[0] == CHOSEN
    assert names[1:] == [name for name in SECTIONS if name in names]
    assert names[1].startswith("Ventricular fibrillation")
    assert [(strip.start_s, strip.titles) for strip in sections[0].strips] == [
        (1200.0, ("Look at the P waves",)), (5.0, ()),
    ]  # fmt: skip
    pages = words(report_pdf(grave, notes))
    at = [next(i for i, page in enumerate(pages) if f"Strips: {name[0].lower()}{name[1:]}" in page) for name in names]
    assert at == sorted(at)
    assert any("Look at the P waves 08:20:00.0, lead II" in page for page in pages)


def test_a_strip_of_the_reader_past_the_end_of_the_record_shows_its_last_ten_seconds(demo_analysis):
    (chosen, *_) = strip_sections(demo_analysis, Notes(strips=(ReportStrip(1e6),)))
    assert chosen.strips[0].start_s == demo_analysis.record.duration_s - STRIP_S


@pytest.mark.parametrize("kind", ["vt", "pause", "af", "af_pause", "asystole"])
def test_every_episode_has_a_strip_up_to_a_limit_that_is_printed(demo_analysis, kind):
    def with_episodes(n):
        episodes = [make_event(kind, 20.0 + 40 * i, 25.0 + 40 * i, n_beats=8, rate_bpm=120.0) for i in range(n)]
        return with_events(replace(demo_analysis, events=()), *episodes)

    def shown(analysis):
        titles = [title for strip in choose_strips(analysis) for title in strip.titles]
        return sum(title.startswith(f"{KIND_NAMES[kind]} ") for title in titles)

    few, many = with_episodes(MOST_EPISODES), with_episodes(MOST_EPISODES + 8)
    assert (shown(few), shown(many)) == (MOST_EPISODES, MOST_EPISODES)
    limit = f"{KIND_NAMES[kind]}: {MOST_EPISODES} of {MOST_EPISODES + 8} episodes shown"
    assert any(limit in page for page in words(report_pdf(many)))
    assert not any(section.remarks for section in strip_sections(few))


def test_the_longest_of_many_episodes_has_a_strip(demo_analysis):
    episodes = [make_event("vf", 20.0 + 40 * i, 25.0 + 40 * i) for i in range(20)]
    longest = make_event("vf", 1000.0, 1030.0)
    titles = [t for strip in choose_strips(with_events(demo_analysis, *episodes, longest)) for t in strip.titles]
    assert f"{KIND_NAMES['vf']} 21 of 21, 30.0 s, the longest" in titles


def test_a_strip_shows_all_analysed_leads_up_to_three_and_the_clearest_of_more(demo_analysis):
    def leads_of(scores):
        score = np.repeat(np.array(scores, dtype=np.float32)[:, None], 180, axis=1)
        quality = Quality(10.0, score, np.ones(180, dtype=bool))
        names = demo_analysis.record.lead_names[: len(scores)]
        return strip_leads(replace(demo_analysis, lead_names=names, quality=quality), 100.0)

    assert leads_of([0.9]) == ("I",)
    assert leads_of([0.5, 0.9, 0.8]) == ("I", "II", "III")
    assert leads_of([0.9, 0.1, 0.7, 0.8]) == ("I", "III", "AVR")


def test_twelve_leads_are_shown_where_the_record_has_them(demo_analysis):
    assert len(twelve_leads(demo_analysis)) == 12
    assert any("Twelve leads, 2.5 s each" in page for page in words(report_pdf(demo_analysis)))
    made = in_memory(np.zeros(250 * 60), 250.0)
    few = replace(demo_analysis, record=made, lead_names=made.lead_names)
    assert twelve_leads(few) == ()
    assert not any("Twelve leads" in page for page in words(report_pdf(few)))


# What people wrote


PATIENT = Patient("Anna Somebody", "4711", "1950-03-01", "female", "Syncope", "Bisoprolol", "Dr. A", "Dr. B", "R5")


def test_patient_data_are_on_the_first_page_where_the_notes_have_them(demo_analysis):
    first = words(report_pdf(demo_analysis, Notes(patient=PATIENT)))[0]
    for value in ("Anna Somebody", "4711", "1950-03-01", "female", "Syncope", "Bisoprolol", "Dr. A", "Dr. B", "R5"):
        assert value in first
    assert "Medication" not in words(report_pdf(demo_analysis))[0]


def test_the_narrative_is_the_readers_or_else_the_drafted_one(demo_analysis):
    drafted = words(report_pdf(demo_analysis))[0]
    for line in draft_narrative(demo_analysis).splitlines():
        assert line in drafted
    edited = words(report_pdf(demo_analysis, Notes(narrative="Nothing of note.\nSee below.")))[0]
    assert "Nothing of note. See below." in edited
    assert "PVC burden 6.9 %" not in edited


def test_who_signed_and_when_is_on_the_first_page_with_addenda(demo_analysis):
    signed = Signature(1, "Dr. B", "cardiologist", "I read it.", "2026-01-05T10:11:12.000000+00:00")
    later = replace(signed, reader="Dr. C", statement="", signed_at="2026-01-06T09:00:00", addendum="See page 3.")
    first = words(report_pdf(demo_analysis, Notes(signatures=(signed, later), is_signed=True)))[0]
    assert "Version 1, signed by Dr. B, cardiologist, 2026-01-05 10:11 UTC I read it." in first
    assert "Addendum by Dr. C, cardiologist, 2026-01-06 09:00 UTC See page 3." in first
    assert ", signed, page 1 of " in first
    assert UNSIGNED not in first


def test_what_was_changed_after_a_signature_says_that_nobody_signed_it(demo_analysis):
    signed = Signature(1, "Dr. B", "cardiologist", "I read it.", "2026-01-05T10:11:12.000000+00:00")
    later = replace(signed, reader="Dr. C", signed_at="2026-01-06T09:00:00", addendum="See page 3.")
    pages = words(report_pdf(demo_analysis, Notes(signatures=(signed, later), is_signed=False)))
    since = "Preliminary: changed since version 1, signed by Dr. B, cardiologist on 2026-01-05 10:11 UTC Reader, date"
    assert since in pages[0]
    assert "I read it." not in pages[0]
    assert all(", not signed, page " in page and ", signed, page " not in page for page in pages)


def test_symptoms_stand_beside_the_rhythm_that_was_there(demo_analysis):
    diary = (DiaryEntry(1000.0, "Dizziness", "in the garden", FROM_FILE), DiaryEntry(30.0, "Palpitations"))
    pages = words(report_pdf(demo_analysis, Notes(diary=diary)))
    (page,) = [page for page in pages if "Diary: symptoms and rhythms" in page]
    assert "08:16:40 Dizziness (event mark) in the garden Atrial fibrillation" in page
    assert "08:00:30 Palpitations No arrhythmia found" in page


def test_text_of_any_length_is_printed_to_its_last_word(demo_analysis):
    long = " ".join(f"word{number}" for number in range(3000))
    patient = replace(PATIENT, indication=long)
    signature = Signature(1, "Dr. B", "", long, "2026-01-05T10:11:12")
    notes = Notes(patient, (DiaryEntry(30.0, long),), long, (ReportStrip(5.0, long[:2000]),), (signature,), True)
    text = " ".join(words(report_pdf(demo_analysis, notes)))
    for number in (0, 1500, 2999):
        assert text.count(f"word{number} ") >= 4


def test_the_time_that_a_narrative_takes_grows_with_its_length_and_not_its_square(demo_analysis, monkeypatch):
    measured = []

    def counted(text, *args):
        measured.append(text)
        return string_width(text, *args)

    def n_measured(n_words):
        measured.clear()
        report_pdf(demo_analysis, Notes(narrative="word " * n_words))
        return len(measured)

    string_width = paragraph.stringWidth
    monkeypatch.setattr(paragraph, "stringWidth", counted)
    assert n_measured(16_000) < 2.5 * n_measured(8_000)


def test_no_text_is_cut_with_dots(demo_analysis):
    record = replace(demo_analysis.record, record_id="a-long-name-of-a-record-" * 8)
    for page in words(report_pdf(replace(demo_analysis, record=record), Notes(patient=PATIENT))):
        assert "…" not in page


# Tables


def test_findings_are_listed_by_kind_up_to_a_limit_that_is_printed(demo_analysis):
    couplets = [make_event("v_couplet", 20.0 + 10 * i, 20.4 + 10 * i, n_beats=2) for i in range(30)]
    vf = [make_event("vf", 400.0 + 10 * i, 405.0 + 10 * i) for i in range(30)]
    pages = words(report_pdf(with_events(replace(demo_analysis, events=()), *vf, *couplets)))
    listed = " ".join(page for page in pages if "Finding At Length Beats bpm" in page)
    assert listed.count("Ventricular couplet 08:") == MOST_OF_A_KIND
    assert f"ventricular couplet {MOST_OF_A_KIND} of 30" in listed
    assert listed.count(f"{KIND_NAMES['vf']} 08:") == len(vf)  # all of what is of danger


def test_hours_are_those_of_the_clock_and_their_sums_the_total(demo_analysis):
    start = demo_analysis.record.start.replace(hour=22, minute=50)
    late = replace(demo_analysis, record=replace(demo_analysis.record, start=start))
    *hours, total = hour_lines(late)
    assert [line.name for line in hours] == ["22:50-23:00", "23:00-23:20"]
    assert sum(line.n_beats for line in hours) == total.n_beats == late.burden.n_beats
    assert sum(line.analysable_s for line in hours) == pytest.approx(late.burden.analysable_s)
    assert sum(line.af_s for line in hours) == pytest.approx(late.burden.af.total_s)
    assert sum(line.n_pauses for line in hours) == late.burden.pauses.n + late.burden.af_pauses.n
    day, night, every = day_and_night(late)
    assert (day.by_class, night.by_class) == (hours[0].by_class, hours[1].by_class)
    assert (day.name, night.name) == ("Day, 06:00-23:00", "Night, 23:00-06:00")
    assert every == total
    assert "Night, 23:00-06:00" in " ".join(words(report_pdf(late)))


def test_day_and_night_are_not_made_up_where_the_start_is_unknown(demo_analysis):
    assert day_and_night(replace(demo_analysis, record=replace(demo_analysis.record, start=None))) == []


class Drawn(Sheet):
    """A sheet that keeps the curves and the texts that are drawn on it."""

    def __init__(self):
        super().__init__(Canvas(io.BytesIO()))
        self.curves, self.texts = [], []

    def curve(self, x, y, **_look):
        self.curves.append((x, y))

    def text(self, x, y, text, **_look):
        self.texts.append(text)


@pytest.mark.parametrize(
    ("duration_s", "part"), [(15.0, "2.1 s"), (30.0, "2.0 s"), (300.0, "2.0 s"), (86_400.0, "3 min")]
)
def test_the_trends_of_a_recording_of_any_length_show_its_heart_rate(duration_s, part):
    drawn = Drawn()
    draw_trends(drawn, 0.0, made_analysis(duration_s))
    assert {f"V in {part}", f"S in {part}"} <= set(drawn.texts)
    for x, y in drawn.curves:
        known = np.isfinite(y)
        joined = known[1:] & known[:-1]
        assert np.diff(x)[joined].sum() > 0.4 * WIDTH_MM  # the first rate is known after eight RR, of fifteen seconds
        assert np.diff(x).min() >= 0


def test_morphologies_of_v_are_counted(demo_analysis):
    text = " ".join(words(report_pdf(demo_analysis)))
    counts = [int(n) for n in re.findall(r"orpholog(?:y \d|ies): (\d+) of 153", text)]
    assert len(counts) > 1
    assert sum(counts) == demo_analysis.burden.v.n_beats == 153


def test_the_longest_rr_is_measured_below_two_seconds_too(make_analysis):
    analysis = make_analysis(make_beats([80, 80, 150, 80, 80], "NNNNN"))
    value = {measure.key: measure for measure in measures(analysis)}["longest_rr"]
    assert value.text == "1.50 s"
    assert value.at_s == pytest.approx(analysis.beats.time_s[1])
    assert any("Longest RR, 1.50 s" in strip.titles for strip in choose_strips(analysis))


def test_what_was_not_analysed_is_said(demo_analysis):
    text = " ".join(words(report_pdf(demo_analysis)))
    assert "What was not analysed" in text
    assert "Leads that were not analysed: I, III" in text
    assert "30 s could not be analysed" in text
