"""Names that others chose do no harm: not to a spreadsheet, a page, the paper or a console."""

import csv
import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest
from support.pages import page, text_of, workspace_with
from support.records import DEMO, in_memory, write_record

from ecg_core.batch.study import study_row, study_table
from ecg_core.cli.main import main
from ecg_core.errors import RecordError, RulesError
from ecg_core.figures import quality_figure, strip_figure
from ecg_core.records import read_record, read_strip
from ecg_core.records.convert import convert
from ecg_core.records.limits import distinct_names
from ecg_core.report.columns import csv_bytes
from ecg_core.report.export import WRITERS
from ecg_core.text import FORMULA, no_formula, one_line, plain_html, plain_markdown

EVIL_CELLS = ["=1+2", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\tx", "\rx", '=HYPERLINK("http://x","y")']
TAG = "<img src=x onerror=alert(1)>"
PICTURE = "![x](http://example.org/x.png)"
MARKDOWN_KINDS = ("title", "header", "markdown", "caption", "info", "warning", "error", "success")
ESCAPE = "a\x1b[2Jb\nError: forged\r\x07\u202egnp"


def cells(content):
    return [cell for row in csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")) for cell in row]


def is_number(cell):
    try:
        float(cell)
    except ValueError:
        return False
    return True


# Spreadsheets


@pytest.mark.parametrize("evil", EVIL_CELLS)
def test_no_cell_of_an_exported_table_is_a_formula(demo_analysis, evil):
    analysis = replace(
        demo_analysis, record=replace(demo_analysis.record, record_id=evil), lead_names=(evil, "II"),
        model=replace(demo_analysis.model, name=evil),
    )  # fmt: skip
    tables = [writer(analysis) for suffix, writer in WRITERS.items() if suffix.endswith(".csv")]
    tables.append(csv_bytes(study_table([study_row(evil, analysis)])))
    tables.append(csv_bytes(pd.DataFrame({evil: [evil], "sentence": [f"{evil}: is wrong"]})))
    for table in tables:
        for cell in cells(table):
            assert not cell.startswith(FORMULA) or is_number(cell), cell
        assert any(cell == f"'{evil}" for cell in cells(table)) or b"record" not in table


@given(st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(10**9), 10**9)))
def test_numbers_stay_numbers(number):
    written = cells(csv_bytes(pd.DataFrame({"x": [number], "text": [f"{number:.4f}"]})))
    assert float(written[2]) == pytest.approx(number)
    assert float(written[3]) == pytest.approx(number, abs=1e-4)


@given(st.text())
def test_what_is_no_formula_is_left_as_it_is(text):
    assert no_formula(text) in (text, f"'{text}")
    assert not no_formula(text).startswith(("=", "+", "@", "\t", "\r"))


def test_a_lead_that_is_named_like_a_formula_is_none_in_a_copy(tmp_path):
    record = replace(in_memory(np.zeros((1, 2000)) + 0.1, 250.0, lead_names=("=1+2",)), record_id="x")
    head = convert(record, "csv", tmp_path).read_text().splitlines()[0]
    assert head == "time_s,'=1+2_mv"


# Consoles and logs


@given(st.text())
def test_one_line_is_one_line_without_control_characters(text):
    line = one_line(text)
    assert len(line) == len(text)
    assert len(line.splitlines()) <= 1
    assert not any(ord(sign) < 32 or 127 <= ord(sign) < 160 for sign in line)
    assert one_line(line) == line


def test_an_error_is_one_line_whatever_file_it_names():
    assert str(RecordError(f"{ESCAPE}: is damaged")) == "a_[2Jb_Error: forged___gnp: is damaged"
    assert str(RulesError("two\nlines \x1b")) == "two_lines _"


def test_names_of_leads_and_records_hold_no_control_characters(tmp_path, excerpt):
    assert distinct_names([ESCAPE, "\x1b", "", None]) == ("a_[2Jb_Error: forged___gnp", "_", "lead 3", "lead 4")
    path = write_record(tmp_path, "x", excerpt[None, :5000], 257)
    for ending in (".hea", ".dat"):
        path.with_suffix(ending).rename(tmp_path / f"x\x1b[2J{ending}")
    header = tmp_path / "x\x1b[2J.hea"
    header.write_text(header.read_text().replace("x.dat", "x\x1b[2J.dat"))
    try:
        record_id = read_record(header).record_id
    except RecordError as error:  # the reader may refuse the name
        record_id = str(error)
    assert "\x1b" not in record_id


@pytest.mark.parametrize("command", ["analyze", "inspect", "convert"])
def test_nothing_that_is_printed_moves_the_cursor(tmp_path, capsys, command):
    (tmp_path / f"x{ESCAPE}.csv").write_text("time_s,II_mv\n0,0\n")
    main([command, str(tmp_path / f"x{ESCAPE}.csv")])
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out + captured.err
    assert "\nError: forged" not in captured.out + captured.err


def test_a_column_with_a_name_of_two_lines_is_a_lead_of_one(tmp_path, capsys):
    rows = "\n".join(f"{k / 100},{np.sin(k / 9):.3f}" for k in range(2000))
    (tmp_path / "x.csv").write_text(f'time_s,"I\x1b[2JI\x07_mv"\n{rows}\n')
    assert main(["inspect", str(tmp_path / "x.csv")]) == 0
    captured = capsys.readouterr().out
    assert "leads: I_[2JI\n" in captured
    assert "\x1b" not in captured


# Pages


def test_markdown_and_html_show_text_as_it_is():
    assert plain_markdown(PICTURE) == "\\!\\[x\\](http\\:\u2060//example.org/x.png)"
    assert plain_markdown("a:red[b] $x$ **c**") == "a\\:\u2060red\\[b\\] \\$x\\$ \\*\\*c\\*\\*"
    assert [plain_markdown(text) for text in ("- a", "1. a", "4.2 s")] == [r"\- a", r"1\. a", "4.2 s"]
    assert plain_markdown("at 08:20:30: AF") == r"at 08\:20\:30\: AF"
    assert plain_markdown("_a_ __b__ demo_report.pdf") == r"\_a\_ \_\_b\_\_ demo_report.pdf"
    assert plain_markdown("record 100, lead II (2)") == "record 100, lead II (2)"
    assert "<" not in plain_html(TAG)


@pytest.fixture
def evil_analysis(demo_analysis):
    """The demo analysed, with names and comments that a page might take for its own."""
    name = f"{TAG}{PICTURE}"
    record = replace(
        demo_analysis.record, record_id=name, lead_names=(name, *demo_analysis.record.lead_names[1:]),
        comments=(name,),
    )  # fmt: skip
    return replace(demo_analysis, record=record, lead_names=(name,))


@pytest.mark.parametrize("name", ["studies", "patient", "overview", "report", "review"])
def test_no_name_or_comment_becomes_a_tag_or_a_picture_of_a_page(evil_analysis, name):
    at = page(name, workspace_with(evil_analysis))
    assert not at.exception
    shown = text_of(at)
    assert "img src" in shown
    assert TAG not in shown
    as_markdown = [element.value for kind in MARKDOWN_KINDS for element in getattr(at, kind)]
    labels = [item.label for item in at.button] + [item.proto.label for item in at.get("download_button")]
    assert as_markdown
    assert not any(PICTURE in text for text in (*as_markdown, *labels))


def test_a_link_cannot_put_a_picture_on_the_page(monkeypatch):
    at = page("overview", record=f"{TAG}{PICTURE}")
    assert not at.exception
    assert "This link leads to the record" in text_of(at)
    assert TAG not in text_of(at)
    assert PICTURE not in text_of(at)


def test_an_error_cannot_put_a_picture_on_the_page(tmp_path):
    def script(place):
        import streamlit as st

        from ecg_core.errors import RecordError
        from pages._ui.frame import show_error

        st.session_state  # noqa: B018
        show_error(RecordError(f"{place}: is damaged"))

    at = AppTest.from_function(script, args=(PICTURE,), default_timeout=30).run()
    assert not at.exception
    assert at.error[0].value == f"{plain_markdown(PICTURE)}\\: is damaged"


def test_no_name_becomes_a_tag_of_a_figure(evil_analysis):
    assert TAG not in quality_figure(evil_analysis).to_json()
    lead = replace(read_strip(read_record(DEMO), "II", start_s=0.0, length_s=10.0), name=TAG)
    assert "<img" not in strip_figure(evil_analysis, (lead,), length_s=10.0).to_json()


def test_the_paper_shows_names_as_they_are(evil_analysis):
    source = evil_analysis.record
    record = replace(source, record_id=TAG, lead_names=(TAG, *source.lead_names[1:]))
    document = pypdfium2.PdfDocument(WRITERS["_report.pdf"](replace(evil_analysis, record=record, lead_names=(TAG,))))
    text = " ".join(page.get_textpage().get_text_range() for page in document)
    document.close()
    assert TAG in text
