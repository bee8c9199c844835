"""Letters of names and texts are printed as they are written."""

from dataclasses import replace

import pytest
from support.pdf import words

from ecg_core.notes import Notes, Patient, ReportStrip, Signature
from ecg_core.report import fonts
from ecg_core.report.fonts import BOLD, PLAIN, font_for, printable
from ecg_core.report.pdf import report_pdf


def test_names_in_latin_greek_and_cyrillic_letters_are_printed_as_they_are_written(demo_analysis):
    name = "Łukasz Żółć, Ağaoğlu, Παπαδόπουλος, Иванов, Müller"
    signature = Signature(1, name, "", "Read.", "2026-01-05T10:11:12")
    notes = Notes(Patient(name=name), strips=(ReportStrip(5.0, name),), signatures=(signature,), is_signed=True)
    analysis = replace(demo_analysis, record=replace(demo_analysis.record, record_id=name))
    content = report_pdf(analysis, notes)
    pages = words(content)
    assert f"Patient {name}" in pages[0]
    assert f"signed by {name}, 2026" in pages[0]  # in bold
    assert all(page.startswith(f"{name}, simulated record") for page in pages)
    assert sum(f" {name} " in page for page in pages[1:]) >= 1  # the caption of the strip
    assert report_pdf(analysis, notes) == content
    plain = report_pdf(
        demo_analysis,
        replace(notes, patient=Patient(name="Anna Somebody"), strips=(ReportStrip(5.0, "Seen"),), signatures=()),
    )
    assert len(content) < len(plain) + 100_000  # only the letters that are used are embedded


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("Łódź", "Łódź"), ("Müller", "Müller"), ("Mu\u0308ller", "Müller"), ("心", "?"), ("a\u202eb", "a_b"),
        ("אב", "??"),  # a line is not drawn from right to left
    ],
)  # fmt: skip
def test_letters_that_no_font_has_become_question_marks(text, printed):
    assert printable(text) == printed


def test_letters_lose_their_marks_where_the_embedded_font_is_missing(monkeypatch):
    monkeypatch.setattr(fonts, "_embeddable", frozenset)
    assert [printable(text) for text in ("Łódź", "Ağaoğlu", "Иванов")] == ["Lódz", "Agaoglu", "??????"]


def test_a_text_has_the_printers_own_font_unless_it_needs_another():
    assert [font_for("Müller – 1 mV", font) for font in (PLAIN, BOLD)] == ["Helvetica", "Helvetica-Bold"]
    assert [font_for("Żółć", font) for font in (PLAIN, BOLD)] == ["DejaVuSans", "DejaVuSans-Bold"]
