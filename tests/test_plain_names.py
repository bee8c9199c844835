"""Whatever a name holds, pages show it letter by letter: nothing of it is a link, a tag, a formula or an emoji."""

import re
from dataclasses import replace
from html import escape

import pytest
from streamlit.testing.v1 import AppTest
from support.analyses import make_analysis
from support.pages import html_of, markdown_of, page, workspace_on, workspace_with

from ecg_core.edits import Label, LabelEdit
from ecg_core.notes import DiaryEntry, Patient, ReportStrip
from ecg_core.studies.study_notes import set_diary, set_narrative, set_patient, set_report_strips
from ecg_core.text import plain_markdown

# Each with one way in which Streamlit's Markdown changes a text, many of them in spite of a backslash.
PARTS = (
    "www.evil.com", "http://evil.com/x", "a@evil.com", ":red[x]", "$x$", ":smile:", ":material/home:", "<b>x</b>",
    "**b**", "![p](x.png)", "`c`", "~~s~~", "# h", "| t |",
)  # fmt: skip
HOSTILE = " ".join(PARTS)
MARKED = re.compile(rf"(?<!\\)({'|'.join(map(re.escape, PARTS))})")
PAGES = ("studies", "patient", "overview", "review", "gallery", "beats", "report", "compare", "live", "audit", "about")


@pytest.fixture(scope="module")
def analysis(demo):
    """Made beats, of a recording, a lead and a model with hostile names."""
    made = make_analysis(demo.duration_s)
    record = replace(demo, record_id=HOSTILE, lead_names=(HOSTILE, *demo.lead_names[1:]), comments=(HOSTILE,))
    return replace(made, record=record, lead_names=(HOSTILE,), model=replace(made.model, name=HOSTILE))


@pytest.fixture
def workspace(analysis, tmp_path):
    """A window of a reader with a hostile name, who has written much of the kind."""
    workspace = workspace_with(analysis, workspace_on(tmp_path, reader=HOSTILE))
    sha256 = workspace.current
    workspace.save(set_patient, sha256, Patient(name=HOSTILE, patient_id=HOSTILE, indication=HOSTILE))
    workspace.save(set_diary, sha256, (DiaryEntry(300.0, "Other", HOSTILE),))
    workspace.save(set_narrative, sha256, HOSTILE)
    workspace.save(set_report_strips, sha256, (ReportStrip(300.0, HOSTILE),))
    workspace.add_edit(sha256, LabelEdit((Label(float(analysis.beats.time_s[50]), "V"),)))
    return workspace


def changed(at):
    """What a page would show otherwise than it is written."""
    return {(kind, text) for kind, text in markdown_of(at) if MARKED.search(text)}


@pytest.mark.parametrize("name", PAGES)
def test_every_page_shows_a_hostile_name_letter_by_letter(workspace, name):
    at = page(name, workspace)
    assert not at.exception
    assert not changed(at)
    assert not [html for html in html_of(at) if "<b>x</b>" in html]
    shown = " ".join([*(text for _, text in markdown_of(at)), *html_of(at)])
    assert plain_markdown(HOSTILE) in shown or escape(HOSTILE) in shown


@pytest.mark.parametrize("name", ["overview", "review", "gallery", "beats"])
def test_no_part_of_an_address_is_taken_for_more_than_text(workspace, name):
    query = dict.fromkeys(("record", "study", "t", "lead", "leads", "gain", "speed", "what", "item"), HOSTILE)
    at = page(name, workspace, **query)
    assert not at.exception
    assert not changed(at)


def test_a_link_to_a_record_that_is_not_there_shows_its_name_letter_by_letter():
    at = page("overview", record=HOSTILE)
    assert not changed(at)
    assert f"**{plain_markdown(HOSTILE)}**" in " ".join(text for _, text in markdown_of(at))


@pytest.mark.parametrize("part", PARTS)
def test_a_hostile_part_is_taken_apart_and_reads_the_same(part):
    plain = plain_markdown(part)
    assert not MARKED.search(plain)
    assert plain.replace("\\", "").replace("\u2060", "") == part


def test_the_walk_finds_what_is_not_made_plain():
    def script(text):
        import streamlit as st

        st.markdown(text)
        st.button("x", help=text)
        with st.popover(text):
            st.caption(text)
        for tab in st.tabs([text, "y"]):
            tab.radio("z", ["a"], captions=[text])
        st.text(text)

    found = changed(AppTest.from_function(script, args=(HOSTILE,), default_timeout=30).run())
    assert len(found) >= 5
