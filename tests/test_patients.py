"""What files state of patient and recorder, and the event marks in them."""

import edfio
import numpy as np
import pytest
import wfdb
from support.made_files import FS_HZ, START, dicom_group, ishne, signal, write_dicom, write_edf
from support.records import DEMO, in_memory, write_record

from ecg_core.notes import FROM_FILE, Patient
from ecg_core.records import read_diary, read_patient, read_record
from ecg_core.records.inspect import inspect_text


def edf_with(path, *, patient=None, recording=None, annotations=()):
    signals = [
        edfio.EdfSignal(row, FS_HZ, label="ECG II", physical_dimension="mV", physical_range=(-4, 4))
        for row in signal(1)
    ]
    edfio.Edf(
        signals, patient=patient or edfio.Patient(), recording=recording or edfio.Recording(startdate=START.date()),
        starttime=START.time(), annotations=annotations,
    ).write(path)  # fmt: skip
    return path


def with_comments(folder, *comments, name="x"):
    write_record(folder, name, signal(1, 20 * 360))
    with (folder / f"{name}.hea").open("a", encoding="utf-8") as stream:
        stream.writelines(f"#{comment}\n" for comment in comments)
    return folder / name


def test_the_parts_of_an_edf_header_are_read(tmp_path):
    patient = edfio.Patient(code="MCH-0234567", sex="F", birthdate=START.date(), name="Haagse_Harry")
    recording = edfio.Recording(startdate=START.date(), equipment_code="Holter_7")
    found = read_patient(edf_with(tmp_path / "x.edf", patient=patient, recording=recording))
    assert found == Patient(
        name="Haagse Harry", patient_id="MCH-0234567", birth_date="2001-02-03", sex="female", recorder="Holter 7"
    )


def test_an_edf_header_that_knows_nothing_gives_nothing(tmp_path):
    assert read_patient(edf_with(tmp_path / "x.edf")).is_empty


def test_the_free_text_of_a_plain_edf_header_is_the_identification(tmp_path):
    path = write_edf(tmp_path / "x.edf", signal(1))
    content = bytearray(path.read_bytes())
    content[8:88] = b"Smith, 1950".ljust(80)
    path.write_bytes(content)
    assert read_patient(path) == Patient(patient_id="Smith, 1950")


def test_the_fields_of_an_ishne_header_are_read(tmp_path):
    content = bytearray(ishne(signal()))
    content[68:108] = b"Lastname".ljust(40, b"\0")
    content[108:128] = b"4711".ljust(20, b"\0")
    content[128:130] = (2).to_bytes(2, "little")
    content[232:272] = b"Recorder 3".ljust(40, b"\0")
    path = tmp_path / "x.ecg"
    path.write_bytes(content)
    assert read_patient(path) == Patient(
        name="Firstname Lastname", patient_id="4711", birth_date="1950-01-01", sex="female", recorder="Recorder 3"
    )


def test_the_attributes_of_a_dicom_file_are_read(tmp_path):
    group = dicom_group(np.ones((2, 2500), dtype=np.int16))
    path = write_dicom(
        tmp_path / "x.dcm", [group], PatientID="12", PatientBirthDate="19500203", PatientSex="M",
        ReferringPhysicianName="Doe^Jane^^Dr.", Manufacturer="Maker", ManufacturerModelName="M1",
        ReasonForTheRequestedProcedure="Syncope",
    )  # fmt: skip
    assert read_patient(path) == Patient(
        name="Known Somebody", patient_id="12", birth_date="1950-02-03", sex="male", indication="Syncope",
        referring_physician="Dr. Jane Doe", recorder="Maker M1",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("comments", "wanted"),
    [
        (("Age: 69  Sex: M", "Medications: Digoxin, Quinidine"), Patient(sex="male", medication="Digoxin, Quinidine")),
        ((" 69 M 1085 1629 x1", " Aldomet, Inderal"), Patient(sex="male", medication="Aldomet, Inderal")),
        ((" 69 M 1085 1629 x1", " None"), Patient(sex="male")),
        (
            ("<age>: 65 <sex>: F <diagnoses> Coronary artery disease, arterial hypertension", " patient 1"),
            Patient(patient_id="1", sex="female", indication="Coronary artery disease, arterial hypertension"),
        ),
        (("<diagnoses>:", "Rhythm: Sinus rhythm."), Patient()),
        (("Recorder type: ELA MEDICAL model 2448", "Date of birth: 1951-08-02"), Patient(
            recorder="ELA MEDICAL model 2448", birth_date="1951-08-02")),
        (("Indication: syncope", "Patient name: Müller"), Patient(indication="syncope", name="Müller")),
        (("Date of birth: last century", "The sexual history is unknown"), Patient()),
    ],
)  # fmt: skip
def test_the_comments_of_a_wfdb_header_are_read(tmp_path, comments, wanted):
    assert read_patient(with_comments(tmp_path, *comments)) == wanted


def test_the_demo_record_is_of_nobody():
    assert read_patient(DEMO).is_empty


@pytest.mark.parametrize("seed", range(20))
def test_damaged_headers_give_empty_fields_and_no_error(tmp_path, seed):
    random = np.random.default_rng(seed)
    group = dicom_group(np.ones((2, 2500), dtype=np.int16))
    files = {
        "x.edf": edf_with(tmp_path / "a.edf").read_bytes(),
        "x.ecg": ishne(signal()),
        "x.dcm": write_dicom(tmp_path / "a.dcm", [group]).read_bytes(),
        "x.hea": with_comments(tmp_path, "Age: 69  Sex: M", name="y").with_suffix(".hea").read_bytes(),
    }
    for name, whole in files.items():
        content = bytearray(whole[: int(random.integers(1, len(whole)))])
        for place in random.integers(0, min(len(content), 600), 30):
            content[place] = random.integers(0, 256)
        (tmp_path / name).write_bytes(content)
        found = read_patient(tmp_path / name)
        assert all(text.isprintable() for text in vars(found).values())


def test_a_file_that_does_not_exist_gives_nothing(tmp_path):
    assert read_patient(tmp_path / "absent.edf").is_empty


def test_event_marks_of_edf_become_diary_entries_and_beats_do_not(tmp_path):
    texts = [edfio.EdfAnnotation(at, None, "N") for at in np.arange(0.5, 19, 0.8)]
    texts += [edfio.EdfAnnotation(12.25, None, "Palpitations"), edfio.EdfAnnotation(3, None, "Event button")]
    texts += [edfio.EdfAnnotation(1, 30, "Sleep stage W"), edfio.EdfAnnotation(400, None, "after the end")]
    diary = read_diary(read_record(edf_with(tmp_path / "x.edf", annotations=texts)))
    assert [(entry.time_s, entry.symptom, entry.source) for entry in diary] == [
        (3.0, "Event button", FROM_FILE), (12.25, "Palpitations", FROM_FILE)
    ]  # fmt: skip


def test_a_text_that_comes_all_the_time_is_no_event_mark(tmp_path):
    texts = [edfio.EdfAnnotation(at, None, "breath") for at in np.arange(0, 20, 0.05)]
    texts += [edfio.EdfAnnotation(3, None, "Dizziness")]
    diary = read_diary(read_record(edf_with(tmp_path / "x.edf", annotations=texts)))
    assert [entry.symptom for entry in diary] == ["Dizziness"]


@pytest.mark.parametrize("annotator", ["atr", "evt"])
def test_notes_beside_a_wfdb_record_become_diary_entries_and_commentary_does_not(tmp_path, annotator):
    path = write_record(tmp_path, "x", signal(1, 20 * 360))
    wfdb.wrann(
        "x", annotator, np.array([360, 720, 1080, 1440]), ["N", '"', '"', '"'], write_dir=str(tmp_path),
        aux_note=["", "Palpitations", "MISSB", "TS"],
    )  # fmt: skip
    (tmp_path / "x.log").write_text("no annotations")
    (entry,) = read_diary(read_record(path))
    assert (entry.time_s, entry.symptom, entry.source) == (2.0, "Palpitations", FROM_FILE)


def test_marks_outside_the_recording_are_counted_and_the_others_are_in_the_diary(tmp_path):
    path = write_record(tmp_path, "x", signal(1, 20 * 360))
    wfdb.wrann(
        "x", "mrk", np.array([360, 720, 7205, 9000]), ['"'] * 4, write_dir=str(tmp_path),
        aux_note=["Palpitations", "Dizzy", "end", "TS"],
    )  # fmt: skip
    assert [entry.symptom for entry in read_diary(read_record(path))] == ["Palpitations", "Dizzy"]
    text, _ = inspect_text(path)
    assert "1 event mark of the file lies outside the recording" in text


def test_a_damaged_annotation_file_gives_no_entry_and_no_error(tmp_path):
    path = write_record(tmp_path, "x", signal(1, 20 * 360))
    (tmp_path / "x.evt").write_bytes(bytes(np.random.default_rng(1).integers(0, 256, 4000, dtype=np.uint8)) + b"\0\0")
    assert all(entry.symptom.isprintable() for entry in read_diary(read_record(path)))


def test_a_record_in_memory_has_no_diary():
    assert read_diary(in_memory(signal(1), FS_HZ)) == ()
