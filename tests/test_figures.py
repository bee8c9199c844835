"""Figures are drawn to the scale of ECG paper, lose no peak and stay small."""

import functools
import itertools
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from support.analyses import FS_HZ, TWELVE, make_analysis, make_event, with_events

from ecg_core.evaluation.comparison import disagreements
from ecg_core.figures import (
    DARK,
    LIGHT,
    Scale,
    confidence_bars,
    confidence_figure,
    decimate,
    disclosure_figure,
    lorenz_figure,
    probability_figure,
    quality_figure,
    rr_bars,
    rr_figure,
    strip_figure,
    strip_text,
    trend_figure,
)
from ecg_core.figures.theme import spaced
from ecg_core.labels import COLOUR
from ecg_core.rhythm.burden import measure_burden
from ecg_core.rhythm.intervals import follows_previous, local_rr_s
from ecg_core.rules import RhythmRules
from ecg_core.schema import Annotations, Beats, Lead

ROOT = Path(__file__).parents[1]


def make_lead(name="II", *, start_s=100.0, length_s=10.0):
    """Noise with a spike of 1 mV at each beat."""
    time_s = start_s + np.arange(round(length_s * FS_HZ)) / FS_HZ
    noise = np.random.default_rng(1).normal(0, 0.02, len(time_s))
    spike = np.abs((time_s - 0.4 + 0.4) % 0.8 - 0.4) < 0.01
    return Lead(name, (noise + spike).astype(np.float32), FS_HZ, start_s)


def named(figure, name):
    return next(trace for trace in figure.data if trace.name == name)


@given(
    arrays(np.float32, st.integers(1, 4000), elements=st.floats(-5, 5, width=32)),
    st.integers(1, 300),
)
@settings(deadline=None, max_examples=60)
def test_decimation_keeps_the_extremes_of_every_column(signal, n_columns):
    points, step = decimate(signal, n_columns)
    width = -(-len(signal) // n_columns)
    if width <= 2:
        assert points is signal
        return
    assert len(points) <= 2 * n_columns
    assert step * 2 == width
    for column, pair in enumerate(points.reshape(-1, 2)):
        piece = signal[column * width : (column + 1) * width]
        assert {pair.min(), pair.max()} == {piece.min(), piece.max()}


@given(st.lists(st.integers(0, 19_999), min_size=1, max_size=30, unique=True), st.integers(200, 2000))
@settings(deadline=None, max_examples=40)
def test_decimation_keeps_every_r_peak_near_its_place(peaks, n_columns):
    signal = np.zeros(20_000, dtype=np.float32)
    signal[peaks] = 1.0
    points, step = decimate(signal, n_columns)
    drawn = np.flatnonzero(points == 1.0) * step
    assert all(np.abs(drawn - peak).min() <= 2 * step for peak in peaks)


def test_decimation_survives_gaps():
    signal = np.sin(np.arange(10_000) / 50).astype(np.float32)
    signal[2000:3000] = np.nan
    signal[5000] = np.nan
    points, step = decimate(signal, 500)
    at = (np.arange(len(points)) * step).astype(int)
    assert np.isnan(points[(at >= 2000) & (at < 2980)]).all()
    assert np.isfinite(points[at >= 3020]).all()


@pytest.mark.parametrize("n_leads", [1, 3, 6, 12])
@pytest.mark.parametrize("gain", [5, 10, 20])
@pytest.mark.parametrize("speed", [12.5, 25, 50])
@pytest.mark.parametrize("lanes", [{}, {"selected": 130}, {"selected": 130, "show_attention": False}])
def test_strip_measures_true_millimetres_with_any_leads_gain_speed_and_lanes(n_leads, gain, speed, lanes):
    leads = tuple(make_lead(name, length_s=7.2) for name in TWELVE[:n_leads])
    figure = strip_figure(annotated(), leads, length_s=7.2, scale=Scale(speed, gain), **lanes)
    layout, margin = figure.layout, figure.layout.margin
    width_px, height_px = layout.width - margin.l - margin.r, layout.height - margin.t - margin.b
    assert {width_px, height_px} == {int(width_px), int(height_px)}  # plotly rounds them
    assert np.ptp(layout.xaxis.domain) * width_px / 7.2 == pytest.approx(speed * 96 / 25.4)
    assert np.ptp(layout.yaxis.domain) * height_px / np.ptp(layout.yaxis.range) == pytest.approx(gain * 96 / 25.4)
    assert not margin.autoexpand
    boxes = np.array(layout.yaxis.range) / (5 / gain)
    assert np.allclose(boxes, np.round(boxes))


@functools.cache
def annotated():
    """An analysis with a reference that has a note."""
    plain = make_analysis()
    note = np.where(np.arange(len(plain.beats)) == 130, "(AFIB", "")
    return make_analysis(reference=Annotations(plain.beats.time_s, plain.beats.label, note))


def test_lanes_lie_side_by_side_without_overlapping():
    figure = strip_figure(annotated(), (make_lead(),), length_s=10.0, selected=130)
    domains = sorted(figure.layout[axis].domain for axis in ("yaxis", "yaxis2", "yaxis3", "yaxis4", "yaxis5"))
    assert all(one[1] <= next_one[0] + 1e-9 for one, next_one in itertools.pairwise(domains))
    assert domains[0][0] == pytest.approx(figure.layout.xaxis.position)


def test_each_lead_has_a_pulse_of_one_millivolt_on_its_baseline():
    leads = tuple(make_lead(name) for name in TWELVE)
    pulses = [s for s in strip_figure(make_analysis(), leads, length_s=10.0).layout.shapes if s.name == "1 mV"]
    assert len(pulses) == 12
    for i, pulse in enumerate(pulses):
        assert f",{-2.0 * i} " in pulse.path and f"V {1 - 2.0 * i} " in pulse.path


def test_a_finding_is_shaded_where_it_reaches_and_its_ends_are_marked():
    figure = strip_figure(make_analysis(), (make_lead(),), length_s=10.0, shaded=(103.0, 300.0))
    shades = [(s.x0, s.x1) for s in figure.layout.shapes if s.fillcolor == LIGHT.shaded]
    assert shades == [(103.0, 110.0)]
    assert [s.x0 for s in figure.layout.shapes if s.line.color == LIGHT.shaded_edge] == [103.0]
    outside = strip_figure(make_analysis(), (make_lead(),), length_s=10.0, shaded=(200.0, 300.0))
    assert not any(s.fillcolor == LIGHT.shaded for s in outside.layout.shapes)


def test_reference_and_attention_can_be_left_out():
    figure = strip_figure(annotated(), (make_lead(),), length_s=10.0, selected=130, show_reference=False)
    assert "reference" not in {trace.name for trace in figure.data}
    plain = strip_figure(annotated(), (make_lead(),), length_s=10.0, selected=130, show_attention=False)
    assert not any(trace.type == "heatmap" for trace in plain.data)
    assert plain.layout.height < strip_figure(annotated(), (make_lead(),), length_s=10.0, selected=130).layout.height


def test_texts_that_would_cover_each_other_are_joined_and_none_is_lost():
    assert spaced([(1.0, "(AFIB"), (1.2, "(N"), (3.0, "(VT")], 0.1) == [(1.0, "(AFIB, (N"), (3.0, "(VT")]


def test_strip_in_words_names_leads_time_beats_findings_and_rate():
    analysis = make_analysis()
    text = strip_text(analysis, (100.0, 110.0), ["II", "V1"])
    beats = (analysis.beats.time_s >= 100) & (analysis.beats.time_s < 110)
    counts = {label: int((analysis.beats.label[beats] == label).sum()) for label in "NSV"}
    assert text == (
        f"Leads II, V1, 10 s from 08:01:40: {beats.sum()} beats, N {counts['N']}, S {counts['S']}, V {counts['V']}; "
        "rate 75 bpm"
    )
    event = make_event("v_couplet", 103.0, 104.0)
    assert "; ventricular couplet; " in strip_text(with_events(analysis, event), (100.0, 110.0), ["II"])


def test_strip_in_words_states_what_is_not_counted():
    text = strip_text(make_analysis(unusable=(30,)), (300.0, 310.0), ["II"])
    assert "12 beats, not counted 12; not analysable" in text


def test_paper_has_boxes_of_40_ms_and_a_tenth_of_a_millivolt():
    figure = strip_figure(make_analysis(), (make_lead(),), length_s=10.0)
    assert figure.layout.xaxis.minor.dtick == 0.04
    assert np.allclose(np.diff(figure.layout.xaxis.tickvals), 0.2)
    assert figure.layout.yaxis.dtick == 0.5
    assert figure.layout.yaxis.minor.dtick == 0.1
    quick = strip_figure(make_analysis(), (make_lead(),), length_s=5.0, scale=Scale(mm_per_s=50))
    assert quick.layout.xaxis.minor.dtick == 0.02
    assert quick.layout.width == figure.layout.width
    at_five = strip_figure(make_analysis(), (make_lead(),), length_s=10.0, scale=Scale(mm_per_mv=5))
    assert at_five.layout.yaxis.dtick == 1.0


def test_signal_is_drawn_as_recorded_and_in_single_precision():
    lead = make_lead()
    figure = strip_figure(make_analysis(), (lead,), length_s=10.0)
    drawn = named(figure, "II")
    assert drawn.y.dtype == np.float32
    assert drawn.x is None
    assert (drawn.x0, drawn.dx) == (lead.start_s, 1 / FS_HZ)
    assert np.allclose(np.diff(drawn.y), np.diff(lead.signal_mv), atol=1e-6)


@pytest.mark.parametrize("n_leads", [1, 3, 12])
def test_strip_is_one_figure_of_less_than_a_megabyte(n_leads):
    leads = tuple(make_lead(name) for name in TWELVE[:n_leads])
    figure = strip_figure(make_analysis(), leads, length_s=10.0, selected=130)
    assert len(figure.to_json()) < 1_000_000
    offsets = [float(np.median(named(figure, lead.name).y)) for lead in leads]
    assert np.all(np.diff(offsets) < -1)


def test_twelve_leads_at_a_thousand_hertz_stay_below_a_megabyte():
    signal = np.random.default_rng(0).normal(0, 0.1, 10_000).astype(np.float32)
    leads = tuple(Lead(name, signal, 1000.0, 100.0) for name in TWELVE)
    slow = Scale(mm_per_s=12.5)
    assert len(strip_figure(make_analysis(), leads, length_s=30.0, selected=130, scale=slow).to_json()) < 1_000_000
    long = tuple(replace(lead, signal_mv=np.tile(signal, 3)) for lead in leads)
    assert len(strip_figure(make_analysis(), long, length_s=30.0, selected=130, scale=slow).to_json()) < 1_000_000


def test_trend_has_no_lane_for_a_class_without_beats():
    analysis = make_analysis()
    full = trend_figure(analysis)
    beats = replace(analysis.beats, label=np.where(analysis.beats.label == "S", "N", analysis.beats.label))
    figure = trend_figure(replace(analysis, beats=beats))
    texts = {note.text for note in figure.layout.annotations}
    assert "V per minute" in texts and "S per minute" not in texts
    assert figure.layout.height < full.layout.height


def test_labels_have_the_colours_of_their_classes():
    figure = strip_figure(make_analysis(), (make_lead(),), length_s=10.0)
    labels = next(trace for trace in figure.data if trace.mode == "markers+text")
    for text, colour in zip(labels.text, labels.textfont.color, strict=True):
        assert colour == LIGHT.letter[text.strip("</b>")]


def luminance(colour):
    """Relative luminance by WCAG 2.2."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return np.dot(linear, (0.2126, 0.7152, 0.0722))


@pytest.mark.parametrize(("theme", "name"), [(LIGHT, "light"), (DARK, "dark")])
def test_letters_of_all_classes_have_a_contrast_of_at_least_4_5_to_the_page(theme, name):
    pages = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"][name]
    for colour in (*theme.letter.values(), theme.faint):
        for behind in (pages["backgroundColor"], pages["secondaryBackgroundColor"]):
            dark, light = sorted((luminance(colour), luminance(behind)))
            assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_attention_has_the_networks_step_with_the_uniform_level_marked():
    analysis = make_analysis()
    figure = strip_figure(analysis, (make_lead(),), length_s=10.0, selected=130)
    heatmap = next(trace for trace in figure.data if trace.type == "heatmap")
    assert heatmap.dx == pytest.approx(0.032, abs=1e-6)
    assert heatmap.x0 == pytest.approx(analysis.beats.time_s[130] - 0.512)
    assert np.allclose(heatmap.z, 1.0, atol=1e-2)
    assert {"attention 0", "uniform"} <= {note.text for note in figure.layout.annotations}
    assert named(figure, "uniform").x == pytest.approx((1.0, 1.0), abs=1e-3)
    elsewhere = strip_figure(analysis, (make_lead(),), length_s=10.0, selected=10)
    assert not any(trace.type == "heatmap" for trace in elsewhere.data)


def test_disagreements_with_the_reference_are_marked():
    plain = make_analysis()
    time_s, symbol = plain.beats.time_s.copy(), plain.beats.label.copy().astype("<U1")
    symbol[130] = "V" if symbol[130] == "N" else "N"
    keep = np.arange(len(time_s)) != 132
    reference = Annotations(time_s[keep], symbol[keep], np.full(keep.sum(), ""))
    analysis = make_analysis(reference=reference)
    differ = disagreements(analysis)
    assert differ.time_s == pytest.approx(time_s[[130, 132]])
    assert differ.reference.tolist() == [symbol[130], "-"]
    figure = strip_figure(analysis, (make_lead(),), length_s=10.0, differ=differ)
    assert named(figure, "disagreement").x == pytest.approx(time_s[[130, 132]])


def test_agreement_marks_nothing():
    plain = make_analysis()
    reference = Annotations(plain.beats.time_s, plain.beats.label, np.full(len(plain.beats), ""))
    assert len(disagreements(make_analysis(reference=reference)).time_s) == 0
    assert len(disagreements(plain).time_s) == 0


def test_missed_mark_is_a_disagreement():
    plain = make_analysis()
    time_s = np.insert(plain.beats.time_s, 50, plain.beats.time_s[50] - 0.4)
    reference = Annotations(time_s, np.insert(plain.beats.label, 50, "V"), np.full(len(time_s), ""))
    differ = disagreements(make_analysis(reference=reference))
    assert (differ.found.tolist(), differ.reference.tolist()) == (["-"], ["V"])


def test_trend_counts_every_ectopic_beat_and_hatches_what_is_not_analysable():
    analysis = make_analysis(unusable=(30, 31))
    figure = trend_figure(analysis)
    bars = [trace for trace in figure.data if trace.type == "bar"]
    assert [int(trace.y.sum()) for trace in bars] == [analysis.burden.count[2], analysis.burden.count[1]]
    hatched = named(figure, "not analysable")
    assert (min(hatched.x), max(hatched.x)) == (300.0, 320.0)
    assert analysis.quality.unusable_stretches(1800.0) == [(300.0, 320.0)]


def test_trend_shows_a_rate_that_is_known_alone():
    """Every other minute of a day is not analysable: no line leads from one known rate to the next."""
    minutes = [block for block in range(8640) if block // 6 % 2]
    figure = trend_figure(make_analysis(86_400.0, unusable=minutes))
    line, band = (named(figure, name) for name in ("heart rate", "rates"))
    for trace in (line, band):
        x, y = np.asarray(trace.x, dtype=float), np.asarray(trace.y, dtype=float)
        drawn = np.isfinite(y[1:]) & np.isfinite(y[:-1]) & (np.diff(x) > 0)
        assert np.diff(x)[drawn].sum() == pytest.approx(43_200, rel=0.01)


def test_trend_of_a_day_is_counted_by_the_hour_and_stays_small():
    figure = trend_figure(make_analysis(86_400.0))
    bars = [trace for trace in figure.data if trace.type == "bar"]
    assert [len(trace.y) for trace in bars] == [24, 24]
    assert len(figure.to_json()) < 500_000


def test_page_of_minutes_has_a_row_a_minute_and_colours_ectopic_beats():
    analysis = make_analysis(unusable=(12,))
    lead = make_lead(start_s=0.0, length_s=600.0)
    figure = disclosure_figure(analysis, lead, marked_s=(55.0, 65.0))
    assert len(figure.layout.yaxis.tickvals) == 10
    colours = {trace.line.color for trace in figure.data if trace.mode == "lines"}
    assert colours == {LIGHT.trace, COLOUR["V"], COLOUR["S"]}
    assert len(figure.to_json()) < 1_000_000
    marked = [shape for shape in figure.layout.shapes if shape.fillcolor == LIGHT.marked]
    assert [(shape.x0, shape.x1) for shape in marked] == [(55.0, 60.0), (0.0, 5.0)]


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_backgrounds_are_transparent_and_every_axis_has_a_unit(theme):
    analysis, lead = make_analysis(), make_lead()
    figures = [
        trend_figure(analysis, theme=theme),
        strip_figure(analysis, (lead,), length_s=10.0, theme=theme),
        disclosure_figure(analysis, make_lead(start_s=0, length_s=60.0), theme=theme),
        probability_figure(analysis, 5, theme=theme),
    ]
    for figure in figures:
        assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"
    assert "heart rate, bpm" in {note.text for note in figures[0].layout.annotations}
    assert "25 mm/s, 10 mm/mV" in {note.text for note in figures[1].layout.annotations}


def test_flat_and_missing_leads_are_drawn():
    flat = Lead("II", np.zeros(2500, dtype=np.float32), FS_HZ, 100.0)
    missing = Lead("II", np.full(2500, np.nan, dtype=np.float32), FS_HZ, 100.0)
    for lead in (flat, missing):
        low, high = strip_figure(make_analysis(), (lead,), length_s=10.0).layout.yaxis.range
        assert high - low >= 2
        disclosure_figure(make_analysis(), replace(lead, start_s=0.0))


def test_record_without_beats_is_drawn():
    analysis = make_analysis()
    none = Beats(np.zeros(0), np.zeros(0, "<U1"), np.zeros((0, 5), np.float32), np.zeros(0), np.zeros(0, bool))
    burden = measure_burden(none, (), quality=analysis.quality, duration_s=1800.0, rules=RhythmRules())
    empty = replace(analysis, beats=none, events=(), burden=burden)
    trend_figure(empty)
    strip_figure(empty, (make_lead(),), length_s=10.0)
    disclosure_figure(empty, make_lead(start_s=0.0, length_s=60.0))


def test_local_rr_is_that_of_the_normal_beats_even_inside_a_run():
    beats = make_analysis().beats
    label, rr_s = beats.label.copy(), beats.rr_s.copy()
    label[100:110], rr_s[100:110] = "V", 0.4
    run = replace(beats, label=label, rr_s=rr_s)
    assert local_rr_s(run, 105) == pytest.approx(0.8)
    assert local_rr_s(run, 0) == pytest.approx(0.8)
    assert np.isnan(local_rr_s(replace(beats, label=np.full(len(beats), "V")), 50))


def test_quality_shows_the_worst_block_of_each_column():
    analysis = make_analysis(40_000.0, unusable=(100, 101))
    score = np.ones((2, 4000), dtype=np.float32)
    score[1, 1234] = 0.1
    analysis = replace(analysis, lead_names=("II", "V1"), quality=replace(analysis.quality, score=score))
    heatmap = quality_figure(analysis).data[0]
    assert heatmap.z.shape[0] == 2
    assert heatmap.z.shape[1] <= 1500
    assert heatmap.z.min() == np.float32(0.1)
    column = int(heatmap.z[1].argmin())
    assert abs(heatmap.x0 + column * heatmap.dx - 12_345) <= heatmap.dx
    assert len(quality_figure(analysis).to_json()) < 1_000_000


@pytest.mark.parametrize(("draw", "bars"), [(confidence_figure, confidence_bars), (rr_figure, rr_bars)])
def test_bars_count_each_beat_that_they_list_and_no_unusable_one(draw, bars):
    beats = make_analysis(unusable=(10, 11)).beats
    figure, bar = draw(beats), bars(beats)
    assert np.all(bar[~beats.usable] == -1)
    for trace in figure.data:
        for n, (label, number) in zip(trace.y.tolist(), trace.customdata, strict=True):
            assert n == int(((bar == number) & (beats.label == label)).sum())
            assert trace.marker.color == COLOUR[label]
    assert sum(int(trace.y.sum()) for trace in figure.data) == int((bar >= 0).sum())
    known = beats.usable if draw is confidence_figure else follows_previous(beats)
    assert int((bar >= 0).sum()) == int(known.sum())


def test_rr_beyond_the_axis_is_counted_at_its_ends():
    beats = make_analysis().beats
    rr_s = beats.rr_s.copy()
    rr_s[10], rr_s[11] = 0.05, 7.0
    bar = rr_bars(replace(beats, rr_s=rr_s))
    assert (bar[10], bar[11]) == (0, bar.max())


def test_lorenz_points_are_the_rr_before_and_after_the_beat_they_carry():
    beats = make_analysis(86_400.0, unusable=(5,)).beats
    rr_s = beats.rr_s + np.random.default_rng(0).normal(0, 0.05, len(beats))
    beats = replace(beats, rr_s=rr_s)
    figure = lorenz_figure(beats)
    clouds = [trace for trace in figure.data if trace.mode == "markers"]
    assert [trace.marker.color for trace in clouds] == [COLOUR[label] for label in "NSV"]
    for trace in clouds:
        assert len(trace.x) <= 1000
        at = trace.customdata
        assert np.allclose(trace.x, 1000 * rr_s[at], atol=0.01)
        assert np.allclose(trace.y, 1000 * rr_s[at + 1], atol=0.01)
        assert beats.usable[at].all() and beats.usable[at + 1].all() and beats.usable[at - 1].all()
    assert len(figure.to_json()) < 300_000


def test_figures_of_no_beats_are_drawn():
    none = Beats(np.zeros(0), np.zeros(0, "<U1"), np.zeros((0, 5), np.float32), np.zeros(0), np.zeros(0, bool))
    for draw in (confidence_figure, rr_figure, lorenz_figure):
        assert draw(none).layout.height > 0
