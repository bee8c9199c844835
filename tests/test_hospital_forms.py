"""Spreadsheet, FHIR and DICOM PDF hold what the report holds, as libraries of others read them."""

import base64
import io
import json
import re
import zipfile
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import openpyxl
import pydicom
import pypdfium2
import pytest
from fhir.resources.R4B.bundle import Bundle
from support.pdf import words
from support.records import write_record
from support.strategies import make_beats

from ecg_core.cli.main import main
from ecg_core.errors import OutputError
from ecg_core.labels import CLASSES
from ecg_core.notes import Notes, Patient, Signature
from ecg_core.overrides import LeftOut
from ecg_core.report import spreadsheet as spreadsheet_module
from ecg_core.report.encapsulated_pdf import encapsulated_pdf
from ecg_core.report.export import ALSO, MORE_WRITERS, file_contents, write_files
from ecg_core.report.fhir import LOINC, MEASURES, UCUM, fhir_bundle
from ecg_core.report.measures import format_edits, measures
from ecg_core.report.operating import sensitivity_text
from ecg_core.report.pdf import report_pdf
from ecg_core.report.spreadsheet import spreadsheet
from ecg_core.report.tables import beats_table, events_table, hourly_table
from ecg_core.rules import RhythmRules

PATIENT = Patient("Somebody Known", "ID4711", "1950-03-01", "female")
SIGNED = Signature(1, "Dr. B", "cardiologist", "I read it.", "2026-01-05T10:11:12.000000+00:00")
START = datetime(2026, 1, 2, 3, 4, 5, 250_000)


@pytest.fixture(scope="module")
def started(demo_analysis):
    return replace(demo_analysis, record=replace(demo_analysis.record, start=START))


# Spreadsheet


def book_of(content):
    return openpyxl.load_workbook(io.BytesIO(content))


def rows_of(sheet):
    head, *rows = sheet.iter_rows(values_only=True)
    return [dict(zip(head, row, strict=True)) for row in rows]


def texts_of(sheet):
    return [str(cell) for row in sheet.iter_rows(values_only=True) for cell in row if cell is not None]


def test_the_spreadsheet_opens_on_the_summary_and_has_a_sheet_for_each_table(started):
    book = book_of(spreadsheet(started))
    assert book.sheetnames == ["Summary", "Beats by hour", "Events", "Beats"]
    assert book.active.title == "Summary"
    assert [book[name].freeze_panes for name in book.sheetnames[1:]] == ["A2"] * 3


def test_every_row_and_number_of_the_tables_is_in_the_spreadsheet(started):
    book = book_of(spreadsheet(started))
    for name, table in (("Beats", beats_table), ("Events", events_table), ("Beats by hour", hourly_table)):
        rows, wanted = rows_of(book[name]), table(started)
        for column, cells in wanted.items():
            if column.endswith("_iso"):
                shown = [row["date_time"] for row in rows]
                away = [one - datetime.fromisoformat(iso) for one, iso in zip(shown, cells, strict=True)]
                assert max(abs(one) for one in away) <= timedelta(milliseconds=1)
            elif np.asarray(cells).dtype.kind == "U":
                assert [row[column] for row in rows] == list(cells)
            else:
                numbers = np.array([np.nan if row[column] is None else row[column] for row in rows], dtype=float)
                np.testing.assert_allclose(numbers, np.asarray(cells, dtype=float), rtol=1e-6)


def test_the_summary_has_every_measure_with_its_unit_and_the_rules(started):
    sheet = book_of(spreadsheet(started))["Summary"]
    rows = [row for row in sheet.iter_rows(values_only=True) if row[0]]
    for measure in measures(started):
        value = None if measure.value is None else round(measure.value, 4)
        assert (measure.name, value, measure.unit or None) in {row[:3] for row in rows}, measure.key
    texts = " ".join(texts_of(sheet))
    assert all(rule.says in texts for rule in started.rules.rows())
    assert started.model.sha256 in texts
    assert "Not signed: preliminary" in texts


def test_text_of_several_lines_keeps_them_in_pdf_and_spreadsheet(started):
    patient = Patient("Somebody Known", medication="Metoprolol 50 mg\nRamipril\n\nno aspirin")
    addendum = replace(SIGNED, addendum="The pause\nwas artefact.", statement="")
    notes = Notes(patient, signatures=(replace(SIGNED, statement="I agree.\r\nSeen."), addendum), is_signed=True)
    texts = texts_of(book_of(spreadsheet(started, notes))["Summary"])
    assert {"Metoprolol 50 mg", "Ramipril", "no aspirin", "I agree.", "Seen.", "The pause", "was artefact."} <= {*texts}
    first = " ".join(words(report_pdf(started, notes))[:2])
    for text in ("Metoprolol 50 mg Ramipril no aspirin", "I agree. Seen.", "The pause was artefact."):
        assert text in first


def test_dangers_and_statements_stand_before_anything_else(make_analysis):
    analysis = make_analysis(make_beats([80] * 20 + [40] * 90 + [80] * 20, "N" * 20 + "V" * 90 + "N" * 20))
    record = replace(analysis.record, doubts=("the header lies",), left_out=(LeftOut("RESP", "in ohm"),))
    first = texts_of(book_of(spreadsheet(replace(analysis, record=record)))["Summary"])[:4]
    assert first[1].startswith("Ventricular tachycardia, sustained")
    assert "the header lies" in first[2]
    assert "RESP (in ohm)" in first[3]


def test_no_cell_of_the_spreadsheet_is_a_formula_or_a_link(make_analysis):
    analysis = make_analysis(make_beats([80] * 20, "NNVVN" * 4))
    record = replace(analysis.record, record_id="=HYPERLINK(1)", doubts=('=cmd|"/c calc"!A1', "http://example.org"))
    content = spreadsheet(replace(analysis, record=record), Notes(narrative="+1\n@SUM(A1)\nhttps://example.org"))
    book = book_of(content)
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert not [cell for cell in cells if cell.data_type == "f" or cell.hyperlink]
    texts = [cell.value for cell in cells if isinstance(cell.value, str)]
    assert not [text for text in texts if re.match(r"[=+@\t\r]", text)]
    assert "'=HYPERLINK(1)" in texts
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert not [name for name in archive.namelist() if "externalLink" in name or "vba" in name.lower()]


def test_beats_beyond_the_rows_of_a_sheet_go_on_in_another_one(make_analysis, monkeypatch):
    monkeypatch.setattr(spreadsheet_module, "MOST_ROWS", 8)
    analysis = make_analysis(make_beats([80] * 20, "N" * 20))
    book = book_of(spreadsheet(analysis))
    parts = [rows_of(book[name]) for name in ("Beats", "Beats 2", "Beats 3")]
    assert [len(part) for part in parts] == [7, 7, 6]
    assert [row["sample"] for part in parts for row in part] == beats_table(analysis)["sample"].tolist()


def test_a_start_before_the_dates_of_a_spreadsheet_stays_text(started):
    early = replace(started, record=replace(started.record, start=datetime(1885, 1, 1)))
    assert rows_of(book_of(spreadsheet(early))["Beats"])[0]["time_iso"].startswith("1885-01-01T")


# FHIR


def bundle_of(content):
    """The resources by their type, after the library has checked all of them against the definitions of R4B."""
    checked = Bundle.model_validate_json(content)
    assert len(checked.entry) == len(json.loads(content)["entry"])
    found = {}
    for entry in json.loads(content)["entry"]:
        found.setdefault(entry["resource"]["resourceType"], []).append(entry["resource"])
    return found


def references_in(value):
    if isinstance(value, dict):
        yield from ([value["reference"]] if "reference" in value else [])
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from references_in(part)


def test_the_fhir_document_is_valid_r4b_and_refers_to_what_it_holds(started):
    for notes in (Notes(), Notes(PATIENT, signatures=(SIGNED,), is_signed=True)):
        content = fhir_bundle(started, notes)
        bundle_of(content)
        document = json.loads(content)
        names = [entry["fullUrl"] for entry in document["entry"]]
        assert len(set(names)) == len(names)
        assert set(references_in(document)) <= set(names)


def test_each_measure_is_an_observation_in_ucum_or_says_why_it_is_not(started):
    observed = {
        coding["code"]: one
        for one in bundle_of(fhir_bundle(started))["Observation"]
        for coding in one["code"]["coding"]
        if coding["system"] == MEASURES
    }
    for measure in measures(started):
        one = observed[measure.key]
        if measure.value is None:
            assert measure.why in one["dataAbsentReason"].get("text", "")
        elif measure.unit == "1 = yes":
            assert one["valueBoolean"] == bool(measure.value)
        else:
            assert one["valueQuantity"]["value"] == round(measure.value, 4)
            assert one["valueQuantity"]["system"] == UCUM
    rate = observed["heart_rate_mean"]
    assert {"system": LOINC, "code": "8867-4", "display": "Heart rate"} in rate["code"]["coding"]
    assert rate["valueQuantity"]["code"] == "/min"
    assert observed["start_clock"]["valueTime"] == "03:04:05"


def test_the_fhir_report_presents_the_pdf_and_is_final_only_where_it_is_signed(started):
    (report,) = bundle_of(fhir_bundle(started))["DiagnosticReport"]
    (form,) = report["presentedForm"]
    assert base64.b64decode(form["data"]) == report_pdf(started)
    assert report["status"] == "preliminary"
    assert report["effectivePeriod"] == {"start": "2026-01-02", "end": "2026-01-02"}
    assert "issued" not in report
    changed = Notes(signatures=(SIGNED,))
    assert bundle_of(fhir_bundle(started, changed))["DiagnosticReport"][0]["status"] == "preliminary"
    (signed,) = bundle_of(fhir_bundle(started, Notes(signatures=(SIGNED,), is_signed=True)))["DiagnosticReport"]
    assert (signed["status"], signed["issued"]) == ("final", SIGNED.signed_at)
    assert signed["resultsInterpreter"] == [{"display": "Dr. B, cardiologist"}]


def test_the_fhir_conclusion_names_sensitivity_and_edits_whoever_wrote_the_narrative(started):
    analysis = replace(started, rules=RhythmRules(sensitivity="high"), labelled=np.array([3]))
    for notes in (Notes(), Notes(narrative="As I see it.")):
        (report,) = bundle_of(fhir_bundle(analysis, notes, pdf=b""))["DiagnosticReport"]
        assert sensitivity_text(analysis) in report["conclusion"]
        assert format_edits(analysis)[1:] in report["conclusion"]
    (report,) = bundle_of(fhir_bundle(started, Notes(narrative="As I see it."), pdf=b""))["DiagnosticReport"]
    assert "Edits" not in report["conclusion"]


def test_a_simulated_record_is_marked_as_a_test_in_fhir(started):
    entries = json.loads(fhir_bundle(started))["entry"]
    assert {entry["resource"]["meta"]["tag"][0]["code"] for entry in entries} == {"HTEST"}


def test_the_fhir_device_names_version_and_model(started):
    (device,) = bundle_of(fhir_bundle(started))["Device"]
    assert started.model.sha256 in [one["value"] for one in device["version"]]


# DICOM


def test_the_pdf_is_in_the_dicom_object_byte_by_byte(started):
    made = pydicom.dcmread(io.BytesIO(encapsulated_pdf(started)))
    pdf = report_pdf(started)
    assert made.SOPClassUID.name == "Encapsulated PDF Storage"
    assert made.EncapsulatedDocument[: made.EncapsulatedDocumentLength] == pdf
    assert len(made.EncapsulatedDocument) % 2 == 0
    assert (made.MIMETypeOfEncapsulatedDocument, made.BurnedInAnnotation) == ("application/pdf", "NO")
    assert made.AcquisitionDateTime == "20260102030405.250000"
    assert (made.VerificationFlag, made.PatientName, made.PatientID) == ("UNVERIFIED", "", "")


def test_the_dicom_object_names_the_patient_only_where_asked_for(started):
    made = pydicom.dcmread(io.BytesIO(encapsulated_pdf(started, Notes(PATIENT))))
    assert (str(made.PatientName), made.PatientID) == ("Somebody Known", "ID4711")
    assert (made.PatientBirthDate, made.PatientSex, made.BurnedInAnnotation) == ("19500301", "F", "YES")


def test_a_patient_number_that_dicom_would_cut_is_refused(started):
    with pytest.raises(OutputError, match="has 65 letters, DICOM allows 64"):
        encapsulated_pdf(started, Notes(Patient(patient_id="1" * 65)))


# All of them


def printed(content):
    document = pypdfium2.PdfDocument(content)
    text = " ".join(page.get_textpage().get_text_range() for page in document)
    document.close()
    return text


def text_in(suffix, content):
    if suffix.endswith(".xlsx"):
        return " ".join(text for sheet in book_of(content) for text in texts_of(sheet))
    if suffix.endswith(".dcm"):
        made = pydicom.dcmread(io.BytesIO(content))
        return str(made) + printed(made.EncapsulatedDocument)
    document = json.loads(content)
    (form,) = (entry["resource"]["presentedForm"][0] for entry in document["entry"][:1])
    return content.decode() + printed(base64.b64decode(form["data"]))


@pytest.mark.parametrize("suffix", MORE_WRITERS)
def test_patient_data_are_in_a_form_only_where_asked_for(started, suffix):
    notes = Notes(PATIENT)
    name = f"demo{suffix}"
    form = next(form for form, its in ALSO.items() if its == suffix)
    asked = file_contents(started, notes, with_patient=True, also=[form])[name]
    without = file_contents(started, notes, also=[form])[name]
    for value in ("Somebody Known", "ID4711"):
        assert value in text_in(suffix, asked)
        assert value not in text_in(suffix, without)


@pytest.mark.parametrize("suffix", MORE_WRITERS)
def test_the_same_report_is_the_same_bytes(started, suffix):
    assert MORE_WRITERS[suffix](started) == MORE_WRITERS[suffix](started)


@pytest.mark.parametrize("suffix", MORE_WRITERS)
@pytest.mark.parametrize("labels", ["", "N", "NVS" * 20])
def test_an_odd_recording_gives_every_form(make_analysis, suffix, labels):
    analysis = make_analysis(make_beats([80] * len(labels), labels))
    content = MORE_WRITERS[suffix](analysis)
    assert text_in(suffix, content)
    if suffix.endswith(".json"):
        bundle_of(content)
    if suffix.endswith(".xlsx"):
        assert len(rows_of(book_of(content)["Beats"])) == len(labels)


def test_forms_are_written_beside_the_usual_files_where_asked_for(started, tmp_path):
    usual = {path.name for path in write_files(started, tmp_path / "usual")}
    more = {path.name for path in write_files(started, tmp_path / "more", also=["xlsx", "dicom"])}
    assert more - usual == {"demo_report.xlsx", "demo_report.dcm"}
    assert usual < more


def test_an_unknown_form_is_refused_before_anything_is_read(tmp_path, capsys):
    assert main(["analyze", str(tmp_path / "none.hea"), "--also", "xlsx,docx"]) == 2
    assert '"docx": a report cannot be written as this; choose among xlsx, fhir, dicom' in capsys.readouterr().err


def test_probabilities_of_every_class_are_columns_of_the_spreadsheet(started):
    assert {f"probability_{name}" for name in CLASSES} <= set(rows_of(book_of(spreadsheet(started))["Beats"])[0])


def test_forms_that_are_asked_for_later_are_made_for_records_that_are_finished(tmp_path, excerpt, capsys):
    paths = [str(write_record(tmp_path, name, excerpt[:30_000], 257)) for name in ("a", "b")]
    assert main(["analyze", *paths, "--out", str(tmp_path / "out")]) == 0
    assert main(["analyze", *paths, "--out", str(tmp_path / "out"), "--also", "xlsx,fhir"]) == 0
    for name in ("a", "b"):
        assert {f"{name}_report.xlsx", f"{name}_fhir.json"} <= {p.name for p in (tmp_path / "out" / name).iterdir()}
    capsys.readouterr()
    assert main(["analyze", *paths, "--out", str(tmp_path / "out"), "--also", "fhir,xlsx"]) == 0
    assert "2 already done" in capsys.readouterr().out


def test_the_pdf_is_made_once_whatever_forms_hold_it(started, tmp_path, monkeypatch):
    made = []

    def counted(*arguments):
        made.append(report_pdf(*arguments))
        return made[-1]

    for module in ("export", "fhir", "encapsulated_pdf"):
        monkeypatch.setattr(f"ecg_core.report.{module}.report_pdf", counted)
    for make in (
        lambda: write_files(started, tmp_path / "out", also=["xlsx", "fhir", "dicom"]),
        lambda: file_contents(started, also=["fhir", "dicom"]),
    ):
        made.clear()
        make()
        assert len(made) == 1
    (report,) = bundle_of((tmp_path / "out" / f"{started.record.record_id}_fhir.json").read_bytes())["DiagnosticReport"]
    assert base64.b64decode(report["presentedForm"][0]["data"]) == made[0]
