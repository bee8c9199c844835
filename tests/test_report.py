"""The PDF report: its words, and its millimetres on the rendered page."""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pypdfium2
import pytest
from support.records import in_memory
from support.strategies import make_beats

from ecg_core import NOTICE
from ecg_core.report.canvas import LEFT_MM, PAGE_HEIGHT_MM, PAGE_WIDTH_MM, draw_strip, make_pdf
from ecg_core.report.dangers import findings
from ecg_core.report.measures import measures
from ecg_core.report.pdf import report_pdf
from ecg_core.report.strip_selection import SAME_STRIP_S, STRIP_S, choose_strips
from ecg_core.rules import RhythmRules
from ecg_core.schema import Lead

DPI = 600
PX_PER_MM = DPI / 25.4


@contextmanager
def opened(content):
    document = pypdfium2.PdfDocument(content)
    try:
        yield document
    finally:
        document.close()


def words(content):
    """The text of each page, lines and spaces made one."""
    with opened(content) as document:
        texts = []
        for page in document:
            reader = page.get_textpage()
            texts.append(" ".join(reader.get_text_range().split()))
            reader.close()
            page.close()
        return texts


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


def on_paper(sheet, lead, height=45.0):
    return draw_strip(sheet, lead, beats=make_beats([], ""), x=LEFT_MM, y=30.0, width=250.0, height=height)


def strip_of(lead, height=45.0):
    return make_pdf(
        "strip",
        [lambda sheet: on_paper(sheet, lead, height=height) and None],
        lambda sheet, number, total: None,
    )


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
    row = pixels[int(32.5 * PX_PER_MM), int((LEFT_MM - 0.5) * PX_PER_MM) :]
    red = row[:, 2] - row[:, 0]
    line = np.abs(red) > 40
    starts = np.flatnonzero(line[1:] & ~line[:-1])
    assert np.median(np.diff(starts)) / PX_PER_MM == pytest.approx(5.0, rel=0.01)


@pytest.mark.parametrize(("height_mv", "gain"), [(1.0, 10.0), (3.0, 5.0), (6.0, 2.5), (0.0, 10.0)])
def test_the_gain_is_the_largest_at_which_the_trace_fits(height_mv, gain):
    gains = []
    make_pdf(
        "strip",
        [lambda sheet: gains.append(on_paper(sheet, square_wave(height_mv=height_mv)))],
        lambda sheet, number, total: None,
    )
    assert gains == [gain]


def test_the_report_holds_its_main_figures_and_where_they_come_from(demo_analysis):
    pages = words(report_pdf(demo_analysis))
    summary = pages[0]
    assert "simulated record" in summary
    for measure in measures(demo_analysis):
        if measure.key in ("pvc_burden", "sve_burden", "af_burden", "v_couplets", "longest_rr", "sdnn"):
            assert measure.text in summary
    assert "Impression" in summary
    assert "signature" in summary
    assert any("25 mm/s 10 mm/mV" in page and "lead II" in page for page in pages)
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
        row = f" {hour:02d}:00 60.0 "
        assert sum(page.count(row) for page in pages) == 1, row
    assert sum(page.count("Total ") for page in pages) == 1


def test_a_name_in_any_script_breaks_nothing(demo_analysis):
    analysis = replace(demo_analysis, record=replace(demo_analysis.record, record_id="心電図-Żółć-" * 20))
    assert report_pdf(analysis).startswith(b"%PDF")


# The strips that a report chooses


def test_the_strips_of_the_demo_show_its_extremes_and_each_kind_of_event(demo_analysis):
    strips = choose_strips(demo_analysis)
    titles = [title for strip in strips for title in strip.titles]
    for begin in ("Highest", "Lowest", "Longest RR", "Longest ventricular run", "S with the lowest probability"):
        assert any(title.startswith(begin) for title in titles), begin
    kinds = {event.kind for event in findings(demo_analysis)}
    assert sum(title.startswith("First: ") for title in titles) == len(kinds)
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
    summary = words(report_pdf(make_analysis(beats)))[0]
    assert "; V + F 20.00 %" in summary
    assert "V + F)" in summary
    without = words(report_pdf(make_analysis(make_beats([80] * 40, "NNNVNNNNNN" * 4))))[0]
    assert "; V + F" not in without


def test_a_short_recording_has_strips_that_begin_at_its_start(make_analysis):
    made = make_analysis(make_beats([80] * 3, "NVN"), duration_s=3.0)
    record = replace(in_memory(np.zeros(750), 250.0), start=None)
    strips = choose_strips(replace(made, record=record))
    assert {strip.start_s for strip in strips} == {0.0}
