"""Fibrillation, asystole and sustained VT head every result; what could not be judged is said beside them."""

import csv
import io
import json
from argparse import Namespace
from dataclasses import replace

import numpy as np
import pandas as pd
import pypdfium2
import pytest
import wfdb
from support.analyses import FS_HZ, make_analysis, make_event, with_events
from support.pages import address_time_s, app_test, page, text_of, workspace_with
from support.records import DEMO

from ecg_core.batch import Outcome, Study
from ecg_core.batch.plan import Task
from ecg_core.batch.study import IDENTITY, study_row, study_table
from ecg_core.cli.analyze import _print_study, red_of, summary
from ecg_core.figures import DARK, LIGHT, disclosure_figure, strip_figure, trend_figure
from ecg_core.report.annotations import ANNOTATOR, annotation_bytes
from ecg_core.report.dangers import (
    NOT_ANALYSED,
    NOT_ANALYSED_TEXT,
    danger_pct,
    dangers,
    findings,
    lost_pct,
    not_analysable_text,
    remarks,
)
from ecg_core.report.export import WRITERS, report_json
from ecg_core.report.measures import measures
from ecg_core.report.pdf import report_pdf
from ecg_core.report.strip_selection import choose_strips
from ecg_core.report.tables import events_table
from ecg_core.rhythm.events import DANGERS, KIND_NAMES
from ecg_core.schema import Beats, Lead
from pages._ui.tables import NO_FINDING
from pages._ui.tables import events_table as shown_events

VF = make_event("vf", 600.0, 698.0)
EVERY = (
    make_event("vf", 100.0, 110.0), VF, make_event("vf", 800.0, 812.0), make_event("vf", 900.0, 905.0),
    make_event("vf", 950.0, 955.5),
    make_event("asystole", 1000.4, 1008.6, at_least=True),
    make_event("vt_sustained", 1200.0, 1240.0, n_beats=110, rate_bpm=165.0),
    make_event("vf_suspected", 1400.0, 1406.0),
    make_event("not_analysable", 1500.0, 1700.0), make_event("no_signal", 1710.0, 1722.0),
    make_event("pause", 1300.0, 1304.2, n_beats=2, rate_bpm=14.3, at_least=True),
)  # fmt: skip


@pytest.fixture(scope="module")
def calm(demo):
    """Made-up beats on the demo record, all of it analysable."""
    return replace(make_analysis(demo.duration_s), record=demo)


@pytest.fixture(scope="module")
def grave(calm):
    """The same with every kind of danger, stretches that could not be judged, and a pause of at least 4.2 s."""
    return with_events(calm, *EVERY)


def no_beats(analysis):
    beats = Beats(np.zeros(0), np.zeros(0, "<U1"), np.zeros((0, 5), np.float32), np.zeros(0), np.zeros(0, bool))
    return replace(analysis, beats=beats, predicted=beats)


def first_page(analysis):
    return page_texts(analysis)[0]


def page_texts(analysis):
    document = pypdfium2.PdfDocument(report_pdf(analysis))
    texts = [" ".join(sheet.get_textpage().get_text_range().split()) for sheet in document]
    document.close()
    return texts


# The sentences


def test_a_kind_of_danger_is_told_with_number_lengths_and_times(grave):
    assert [danger.text for danger in dangers(grave)] == [
        "Ventricular fibrillation or flutter: 5 episodes, 2 min 10 s in total; longest 1 min 38 s at 08:10:00; "
        "first at 08:01:40",
        "Asystole: >= 8.2 s at 08:16:40",
        "Ventricular tachycardia, sustained: 40.0 s at 08:20:00, 165 bpm",
        "Ventricular fibrillation suspected: 6.0 s at 08:23:20",
    ]
    assert [danger.kind for danger in dangers(grave)] == list(DANGERS)


def test_what_could_not_be_judged_is_said_with_its_length(grave):
    assert remarks(grave) == (
        "3 min 20 s could not be analysed; no sign of VF, VT or asystole there (at 08:25:00)",
        "12 s without any signal (at 08:28:30)",
        NOT_ANALYSED_TEXT,
    )
    assert json.loads(report_json(grave))["unjudged_s"] == {
        "not_analysable": [[1500.0, 1700.0]],
        "artefact": [],
        "no_signal": [[1710.0, 1722.0]],
    }


def test_without_a_danger_a_calm_sentence_says_what_was_looked_for(calm):
    assert not dangers(calm)
    assert remarks(calm)[0] == (
        "No ventricular fibrillation, asystole or sustained VT found in the analysable signal (30 min)"
    )


def test_a_recording_without_analysable_signal_is_not_called_free_of_dangers(demo):
    dark = replace(make_analysis(demo.duration_s, unusable=range(180)), record=demo)
    assert remarks(dark)[0].endswith("cannot be excluded")
    assert "found in the analysable signal" not in " ".join(remarks(dark))


@pytest.mark.parametrize("topic", ["AV block", "QT", "ST", "pacing"])
def test_what_the_program_does_not_look_at_is_said(calm, topic):
    assert topic in NOT_ANALYSED
    assert topic in remarks(calm)[-1]
    assert "pacing was not looked for" in remarks(calm)[-1]


def test_fibrillation_is_not_called_not_analysable(demo):
    noisy = replace(make_analysis(demo.duration_s, unusable=range(60, 78)), record=demo)
    assert not_analysable_text(noisy) == "10.0 % not analysable"
    dangerous = with_events(replace(noisy, events=()), make_event("vf", 600.0, 762.0))
    assert not_analysable_text(dangerous) == "1.0 % not analysable, 9.0 % in VF, VT or asystole"
    assert lost_pct(dangerous) == pytest.approx(1.0)


@pytest.mark.parametrize("unusable", [(), range(61, 66), range(50, 80)])
def test_the_percentage_in_danger_is_that_of_the_episodes_wherever_the_signal_is_called_analysable(demo, unusable):
    noisy = replace(make_analysis(demo.duration_s, unusable=unusable), record=demo)
    grave = with_events(replace(noisy, events=()), VF, make_event("vf", 900.0, 982.0))
    (danger,) = dangers(grave)
    assert (danger.total_s, danger_pct(grave)) == (180.0, pytest.approx(10.0))
    assert "10.0 % in VF, VT or asystole" in not_analysable_text(grave)
    burden = grave.burden
    lost_s = 10 * sum(block < 60 or block >= 70 for block in unusable) + (2 if 69 in unusable else 0)
    assert burden.analysable_s == pytest.approx(demo.duration_s - 180 - lost_s)
    assert burden.analysable_pct + danger_pct(grave) + lost_pct(grave) == pytest.approx(100)


def test_a_few_seconds_of_fibrillation_are_not_called_not_analysable(calm):
    brief = with_events(calm, make_event("vf", 600.0, 600.5))
    assert (danger_pct(brief), not_analysable_text(brief)) == (0.0, "0.0 % not analysable")


def test_a_tachycardia_in_signal_without_beats_is_not_called_not_analysable(demo):
    noisy = replace(make_analysis(demo.duration_s, unusable=range(60, 78)), record=demo)
    brief = with_events(replace(noisy, events=()), make_event("vt", 591.0, 618.0), make_event("vt", 900.0, 909.0))
    assert not dangers(brief)
    assert not_analysable_text(brief) == "9.0 % not analysable, 1.0 % in VF, VT or asystole"


def test_beats_of_a_tachycardia_are_counted_and_its_time_is_analysable(calm):
    grave = with_events(calm, make_event("vt_sustained", 1200.0, 1290.0, n_beats=250, rate_bpm=165.0))
    assert (grave.burden.analysable_pct, danger_pct(grave), lost_pct(grave)) == (100.0, pytest.approx(5.0), 0.0)


# Every result


def elements(block):
    """What a page draws, from top to bottom."""
    for child in block.children.values():
        if hasattr(child, "children"):
            yield from elements(child)
        else:
            yield child


def test_a_danger_comes_before_everything_else_in_every_result(grave):
    texts = [danger.text for danger in dangers(grave)]
    summary_page = first_page(grave)
    for text in (*texts, *remarks(grave)):
        assert summary_page.index(text) < summary_page.index("PVC burden")
    content = json.loads(report_json(grave))
    assert [danger["text"] for danger in content["dangers"]] == texts
    assert content["not_analysed"] == list(NOT_ANALYSED)
    assert list(content).index("dangers") < list(content).index("measures")
    rows = list(csv.DictReader(io.StringIO(WRITERS["_burden.csv"](grave).decode(), newline="")))
    assert [row["measure"] for row in rows[:4]] == ["danger_found", "vf_episodes", "vf_time", "vf_longest"]
    assert [row["value"] for row in rows[:4]] == ["1", "5", "130.5", "98"]
    columns = list(study_table([study_row("made", grave)]))
    assert columns[len(IDENTITY)] == "danger_found"
    printed = summary(grave).splitlines()
    assert [line.strip() for line in printed[1:5]] == texts
    assert [line.strip() for line in printed[5:8]] == list(remarks(grave))


@pytest.mark.parametrize("name", ["overview", "report"])
def test_pages_begin_with_the_dangers_in_red_and_lead_to_them(grave, name):
    at = page(name, workspace_with(grave))
    assert not at.exception
    assert [error.value.replace("\\", "") for error in at.error] == [danger.text for danger in dangers(grave)]
    shown = text_of(at).replace("\\", "")
    for text in remarks(grave):
        assert text in shown
    drawn = list(elements(at.main))
    first_error = next(i for i, element in enumerate(drawn) if element.type == "error")
    assert first_error < min(i for i, element in enumerate(drawn) if "PVC burden" in str(element.proto))
    assert sum(item.label == "Review" for item in at.button) == len(DANGERS)


def test_the_overview_shows_the_worst_place_of_the_most_serious_danger(grave, calm):
    spec = page("overview", workspace_with(grave)).get("plotly_chart")[0].proto.spec
    assert "<b>VF</b>" in json.loads(spec)["layout"]["annotations"][-1]["text"]
    first_s, last_s = json.loads(spec)["layout"]["xaxis"]["range"]
    assert first_s < VF.start_s < last_s
    charts = page("overview", workspace_with(calm)).get("plotly_chart")
    assert len(charts) == 1


def test_pages_of_a_calm_record_show_no_red_line(calm):
    for name in ("overview", "report"):
        at = page(name, workspace_with(calm))
        assert not at.error
        assert remarks(calm)[0] in text_of(at).replace("\\", "")


@pytest.mark.parametrize("name", ["overview", "report"])
def test_pages_of_a_record_without_analysable_signal_show_no_sign_of_calm(demo, calm, name):
    dark = replace(make_analysis(demo.duration_s, unusable=range(180)), record=demo)
    shown = text_of(page(name, workspace_with(dark)))
    assert "cannot be excluded" in shown
    for sign in ("check_circle", "0 episodes", NO_FINDING):
        assert sign not in shown
    assert "check_circle" in text_of(page(name, workspace_with(calm)))
    assert "–, –" not in first_page(dark)


def test_a_danger_leads_to_its_longest_episode_in_review(grave):
    at = app_test("dashboard.py")
    at.session_state["workspace"] = workspace_with(grave)
    at.run()
    at.switch_page("pages/overview.py").run()
    at.button(key="danger vf").click().run()
    assert not at.exception
    assert at.title[0].value.startswith("Review of")
    assert address_time_s(at) == VF.start_s


def test_review_steps_through_dangers_first(grave):
    at = page("review", workspace_with(grave))
    options = [option.rpartition(" (")[0] for option in at.selectbox(key="what 0").options]
    assert options[: len(DANGERS)] == [KIND_NAMES[kind] for kind in DANGERS]
    assert {"Not analysable", "No signal"} <= set(options)


def test_stretches_that_could_not_be_judged_are_no_findings(calm):
    dark = with_events(replace(calm, events=()), make_event("not_analysable", 10.0, 20.0))
    assert findings(dark) == []
    for name in ("overview", "review"):
        at = page(name, workspace_with(dark))
        assert "Findings (0)" in [header.value for header in at.header]
        assert NO_FINDING in text_of(at)
        table = next(frame.value for frame in at.dataframe if "Finding" in frame.value)
        assert table["Finding"].tolist() == ["Not analysable"]


def test_the_first_page_holds_every_danger_before_narrative_and_signature(grave):
    first = first_page(grave)
    places = [first.index(danger.text) for danger in dangers(grave)]
    assert places == sorted(places)
    assert places[-1] < first.index("Narrative") < first.index("Not signed")


def test_strips_of_dangers_come_first_each_episode_and_the_longest_named(grave):
    titles = [title for strip in choose_strips(grave) for title in strip.titles]
    name = KIND_NAMES["vf"]
    numbers = [title for title in titles if title.startswith(name)]
    assert numbers == [
        f"{name} 1 of 5, 10.0 s", f"{name} 2 of 5, 1 min 38 s, the longest", f"{name} 3 of 5, 12.0 s",
        f"{name} 4 of 5, 5.0 s", f"{name} 5 of 5, 5.5 s",
    ]  # fmt: skip
    first_titles = [strip.titles[0] for strip in choose_strips(grave)]
    assert first_titles[: len(numbers)] == numbers
    n_dangers = len(numbers) + 3  # one of each other kind
    assert [title.split(",")[0].split(" ")[0] for title in first_titles[len(numbers) : n_dangers]] == [
        "Asystole", "Ventricular", "Ventricular",
    ]  # fmt: skip
    of_asystole = next(strip.titles for strip in choose_strips(grave) if "Asystole" in strip.titles[0])
    assert "Longest RR, >= 8.20 s" in of_asystole
    assert first_titles[n_dangers] == "Pause, >= 4.20 s"


# A lower limit


def test_a_length_that_is_a_lower_limit_says_so_everywhere(grave):
    pause = pd.DataFrame(events_table(grave)).set_index("kind").loc["pause"]
    assert (pause["duration_s"], pause["at_least"]) == (4.2, 1)
    assert pd.DataFrame(events_table(grave))["at_least"].sum() == 2
    content = json.loads(report_json(grave))
    assert [event["kind"] for event in content["events"] if event["at_least"]] == ["asystole", "pause"]
    longest = next(measure for measure in measures(grave) if measure.key == "longest_rr")
    assert (longest.text, longest.at_least) == (">= 8.20 s", True)  # the asystole
    rows = list(csv.DictReader(io.StringIO(WRITERS["_burden.csv"](grave).decode(), newline="")))
    assert [row["measure"] for row in rows if row["at_least"] == "1"] == [
        "asystole_time", "asystole_longest", "longest_rr",
    ]  # fmt: skip
    assert "longest RR at least 8.20 s" in first_page(grave)
    assert ">= 8.20 s" in page_texts(grave)[1]
    assert any("Longest RR, >= 8.20 s" in text for text in page_texts(grave))
    assert "longest RR >= 8.20 s" in summary(grave)
    assert "Pause, >= 4.2 s" in shown_events(grave, grave.events)["Finding"].tolist()


# The terminal


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_dangers_are_red_on_a_terminal_only(grave, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b" not in summary(grave, red=red_of(io.StringIO()))
    red = summary(grave, red=red_of(Terminal())).splitlines()
    assert all(line.startswith("\x1b[1;31m") and line.endswith("\x1b[0m") for line in red[1:5])
    assert "\x1b" not in "".join([red[0], *red[5:]])
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in summary(grave, red=red_of(Terminal()))


def test_a_study_names_the_records_with_dangers(grave, calm, tmp_path, capsys):
    outcomes = [
        Outcome(Task(tmp_path / name, tmp_path / name), study_row(name, analysis))
        for name, analysis in (("quiet", calm), ("bad", grave))
    ]
    _print_study(Study(tuple(outcomes), ()), Namespace(out=tmp_path, model=None, records=[]))
    printed = capsys.readouterr().out
    assert "VF, asystole or sustained VT, certain or suspected, in 1 of 2 records:" in printed
    assert "  bad: VF 5, 2 min 10 s; asystole 1, 8 s; sustained VT 1, 40 s; VF suspected 1, 6 s" in printed
    assert "quiet" not in printed


def test_a_study_names_the_records_that_could_not_be_analysed(calm, tmp_path, capsys):
    lost_s = {"good": 3.0, "noise": 120.0, "half": 60.0}
    rows = {name: study_row(name, calm) | {"not_analysable_time": s, "duration": 120.0} for name, s in lost_s.items()}
    outcomes = [Outcome(Task(tmp_path / name, tmp_path / name), row) for name, row in rows.items()]
    (tmp_path / "more").mkdir()
    for ending in (".hea", ".dat"):
        (tmp_path / "more" / f"demo{ending}").write_bytes(DEMO.with_suffix(ending).read_bytes())
    _print_study(Study(tuple(outcomes), ()), Namespace(out=tmp_path, model=None, records=[tmp_path]))
    printed = capsys.readouterr().out
    head = "Not analysable for 20 % of the time or more, where nothing can be found, in 2 of 3 records:"
    assert f"{head}\n  noise: 100 %\n  half: 50 %\n" in printed
    assert f"Not looked at: the records of 1 folder inside, {tmp_path / 'more'}; name them as well" in printed
    named = Namespace(out=tmp_path, model=None, records=[tmp_path, tmp_path / "more"])
    _print_study(Study(tuple(outcomes), ()), named)
    assert "Not looked at" not in capsys.readouterr().out


def test_that_no_signal_is_analysable_stands_in_red_and_no_box_offers_a_lead_that_is_not_there():
    blind = make_analysis(60.0, unusable=range(6))
    for name in ("overview", "report"):
        at = page(name, workspace_with(blind))
        (error,) = (one.value for one in at.error)
        assert error.startswith("No signal is analysable")
        assert "Try another lead" not in text_of(at)
    half = make_analysis(60.0, unusable=range(4))
    for names, is_offered in (("II",), False), (("II", "V1"), True):
        part = replace(half, lead_names=("II",), record=replace(half.record, lead_names=names))
        said = text_of(page("overview", workspace_with(part)))
        assert "counts below cover only that part" in said
        assert ("Try another lead" in said) == is_offered


# Annotations for WFDB tools


def read_marks(analysis, folder):
    (folder / f"x.{ANNOTATOR}").write_bytes(annotation_bytes(analysis))
    marks = wfdb.rdann(str(folder / "x"), ANNOTATOR)
    notes = [note.rstrip("\x00") for note in marks.aux_note]
    return [
        (time_s, symbol, note)
        for time_s, symbol, note in zip((marks.sample / marks.fs).tolist(), marks.symbol, notes, strict=True)
    ]


def test_fibrillation_and_asystole_are_marked_at_their_own_times(calm, tmp_path):
    analysis = with_events(calm, VF, make_event("asystole", 1000.4, 1008.4))
    marks = read_marks(analysis, tmp_path)
    times = [time_s for time_s, _, _ in marks]
    assert np.all(np.diff(times) > 0)  # one annotation at a time
    step_s = 3 / calm.record.fs_hz
    found = [(mark[1], mark[2]) for mark in marks if 599.9 <= mark[0] <= 600.1 and mark[1] in "+["]
    assert sorted(found) == [("+", "(VFL"), ("[", "")]
    ends = [mark for mark in marks if mark[1] == "]"]
    assert [time_s for time_s, _, _ in ends] == [pytest.approx(698.0, abs=step_s)]
    after = next(mark for mark in marks if mark[1] == "+" and mark[0] > 697.9)
    assert after[2] != "(VFL"
    asystole = [mark for mark in marks if mark[1] == "+" and 1000.3 <= mark[0] <= 1008.5]
    assert asystole[0][2] == "(ASYS"
    assert [time_s for time_s, _, _ in asystole][:2] == pytest.approx([1000.4, 1008.4], abs=step_s)
    beats = [mark for mark in marks if mark[1] in "NSVFQ"]
    assert len(beats) == len(calm.beats)


def test_a_record_without_beats_has_its_fibrillation_marked(calm, tmp_path):
    empty = with_events(replace(no_beats(calm), events=()), VF, make_event("vf", 700.0, 705.0))
    marks = [(round(time_s), symbol, note) for time_s, symbol, note in read_marks(empty, tmp_path)]
    assert sorted(marks) == sorted(
        [
            (600, "+", "(VFL"), (600, "[", ""), (698, "]", ""), (698, "+", "(NOISE"),
            (700, "+", "(VFL"), (700, "[", ""), (705, "]", ""), (705, "+", "(NOISE"),
        ]
    )  # fmt: skip
    for writer in WRITERS.values():
        assert writer(empty)


# Figures


def make_lead(start_s, length_s):
    return Lead("II", np.zeros(round(length_s * FS_HZ), dtype=np.float32), FS_HZ, start_s)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_dangers_have_a_red_band_and_a_name_in_every_figure(grave, theme):
    figures = {
        "strip": strip_figure(grave, (make_lead(596.0, 10.0),), length_s=10.0, theme=theme),
        "minutes": disclosure_figure(grave, make_lead(600.0, 600.0), theme=theme),
        "trend": trend_figure(grave, theme=theme),
    }
    for name, figure in figures.items():
        bands = [(shape.x0, shape.x1) for shape in figure.layout.shapes if shape.fillcolor == theme.danger_band]
        assert bands, name
        names = {note.text for note in figure.layout.annotations}
        assert "<b>VF</b>" in names, name
    assert [(s.x0, s.x1) for s in figures["strip"].layout.shapes if s.fillcolor == theme.danger_band] == [
        (600.0, 606.0)
    ]
    assert {"<b>asystole</b>", "<b>sustained VT</b>"} <= {note.text for note in figures["trend"].layout.annotations}


def test_dangers_of_the_trend_are_clicked_at_their_own_time(grave):
    targets = next(trace for trace in trend_figure(grave).data if trace.name == "dangers")
    starts = [event.start_s for event in grave.events if event.kind in DANGERS]
    assert set(starts) <= set(targets.customdata)
    assert any("from 08:10:00, 1 min 38 s" in text for text in targets.hovertext)


def test_lost_signal_and_unjudged_signal_differ_in_pattern_and_in_words(grave):
    figures = (
        trend_figure(grave),
        strip_figure(grave, (make_lead(1690.0, 30.0),), length_s=30.0),
        disclosure_figure(grave, make_lead(1500.0, 300.0)),
    )
    for figure in figures:
        unjudged = next(trace for trace in figure.data if trace.name == "not analysable")
        lost = next(trace for trace in figure.data if trace.name == "no signal")
        assert unjudged.fillpattern.shape != lost.fillpattern.shape
        assert "no sign of VF" in unjudged.text
        assert "flat or missing" in lost.text
        assert unjudged.hoveron == lost.hoveron == "fills"


def test_beats_that_are_not_counted_are_no_q_on_the_strip():
    noisy = make_analysis(unusable=(30,))
    figure = strip_figure(noisy, (make_lead(300.0, 10.0),), length_s=10.0)
    labels = next(trace for trace in figure.data if trace.mode == "markers+text")
    assert set(labels.text) == {"–"}
    assert all("counts once you label it" in text for text in labels.hovertext)


def test_trends_of_the_pdf_name_the_dangers(grave):
    trends = next(page for page in page_texts(grave) if "Trends" in page)
    for name in ("VF", "asystole", "sustained VT", "no signal"):
        assert name in trends
