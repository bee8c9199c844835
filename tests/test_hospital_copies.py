"""Copies as DICOM, ISHNE, aECG and EDF+ hold the record and its beats, as decoders that are not ours read them."""

import re
import struct
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import datetime

import numpy as np
import pydicom
import pytest
import wfdb
from pydicom.sr.codedict import codes as codes_of_dicom
from support.made_files import ishne, whole
from support.records import in_memory, write_record

from ecg_core.cli.main import main
from ecg_core.errors import MissingMetadataError, OutputError, RecordError
from ecg_core.overrides import RecordOverrides
from ecg_core.records import read_record
from ecg_core.records.convert import convert
from ecg_core.records.mdc import BEATS as BEAT_CODES
from ecg_core.records.mdc import LEADS, TWELVE
from ecg_core.report.export import write_files
from ecg_core.schema import Annotations

FS_HZ, N = 500.0, 5000
STANDARD = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
START = datetime(2001, 5, 4, 3, 2, 1, 250_000)
BEATS = [(0.1, "N", ""), (0.9, "+", "(AFIB"), (1.0, "V", ""), (1.802, "S", ""), (2.7, "F", ""), (9.5, "Q", "")]


def signal_of(n_leads, n=N):
    return np.stack([(1 + lead) * np.sin(np.arange(n) / (20 + 3 * lead)) for lead in range(n_leads)])


def annotations(rows=BEATS):
    time_s, symbol, aux = zip(*rows, strict=True)
    return Annotations(np.array(time_s), np.array(symbol), np.array(aux))


def record_of(names, *, fs_hz=FS_HZ, n=N, **more):
    made = in_memory(signal_of(len(names), n), fs_hz, lead_names=names)
    return replace(made, **{"record_id": "x", "start": START, "reference": annotations(), **more})


# DICOM


@pytest.mark.parametrize(
    ("names", "fs_hz", "n", "kind"),
    [
        (STANDARD, 1000.0, 10_000, "12-lead ECG Waveform Storage"),
        (("II", "V1"), 500.0, 5000, "General ECG Waveform Storage"),
        ((*STANDARD, "V7", "V8"), 500.0, 5000, "General ECG Waveform Storage"),
        (STANDARD, 500.0, 16_385, "Ambulatory ECG Waveform Storage"),
        (("II", "MLIII"), 125.0, 5000, "Ambulatory ECG Waveform Storage"),
    ],
)
def test_pydicom_reads_the_signal_of_a_dicom_copy_in_the_kind_that_the_standard_has_for_it(
    tmp_path, names, fs_hz, n, kind
):
    record = record_of(names, fs_hz=fs_hz, n=n)
    path = convert(record, "dicom", tmp_path)
    made = pydicom.dcmread(path)
    assert made.SOPClassUID.name == kind
    read = made.waveform_array(0).T / 1000  # pydicom applies sensitivity and baseline: microvolts
    np.testing.assert_allclose(read, signal_of(len(names), n), atol=0.00051)
    np.testing.assert_allclose(whole(read_record(path)), read, atol=1e-5)
    assert read_record(path).lead_names == names
    (group,) = made.WaveformSequence
    assert float(group.SamplingFrequency) == fs_hz
    assert made.AcquisitionDateTime == "20010504030201.250000"
    assert (made.PatientName, made.PatientID) == ("", "")


def test_leads_have_the_codes_of_the_standard(tmp_path):
    (group,) = pydicom.dcmread(convert(record_of((*STANDARD, "MLII")), "dicom", tmp_path)).WaveformSequence
    codes = [channel.ChannelSourceSequence[0] for channel in group.ChannelDefinitionSequence]
    known = codes_of_dicom.cid3001
    for name, code in zip(STANDARD[:3], codes, strict=False):
        assert (code.CodeValue, code.CodingSchemeDesignator) == (getattr(known, f"Lead{name}").value, "MDC")
    assert (codes[5].CodeValue, codes[5].CodeMeaning) == (known.AvfAugmentedVoltageFoot.value, "Lead aVF")
    assert (codes[-1].CodeValue, codes[-1].CodingSchemeDesignator) == ("MLII", "99ECGLEAD")
    assert set(STANDARD) == TWELVE


def test_codes_of_leads_and_beats_are_those_of_pydicoms_dictionary():
    for known, ours in ((codes_of_dicom.cid3001, LEADS), (codes_of_dicom.cid3335, BEAT_CODES)):
        meaning_of = {getattr(known, name).value: getattr(known, name).meaning for name in known.dir()}
        for name, code in ours.items():
            if name in ("B", "/"):  # the standard gives these numbers to spikes of a defibrillator as well
                continue
            shown = meaning_of[code.value]
            assert code.meaning == shown or shown.endswith(code.meaning) or shown.startswith(f"{name}, "), name


def test_beats_and_rhythms_are_annotations_of_the_dicom_copy(tmp_path):
    made = pydicom.dcmread(convert(record_of(("II", "V1")), "dicom", tmp_path))
    found = {}
    for item in made.WaveformAnnotationSequence:
        text = item.get("UnformattedTextValue") or item.ConceptNameCodeSequence[0].CodeMeaning
        places = item.ReferencedSamplePositions
        found[text] = [places] if isinstance(places, int) else list(places)
        assert list(item.ReferencedWaveformChannels) == [1, 0]
    assert found == {
        "Normal beat (sinus beat, normal conduction)": [51],
        "Ventricular premature contraction beat": [501],
        "Supraventricular premature contraction": [902],
        "Fusion of ventricular and normal beat": [1351],
        "Unclassifiable beat": [4751],
        "(AFIB": [451],
    }


def test_a_day_of_beats_fits_into_the_values_of_dicom(tmp_path):
    n = 40_000
    many = annotations([(0.5 + i * 0.5, "N", "") for i in range(n)])
    record = record_of(("II",), fs_hz=100.0, n=2_001_000, reference=many)
    items = pydicom.dcmread(convert(record, "dicom", tmp_path)).WaveformAnnotationSequence
    places = [place for item in items for place in item.ReferencedSamplePositions]
    assert places == [51 + 50 * i for i in range(n)]


def test_a_lead_without_gain_stays_so_in_dicom_and_ishne(tmp_path):
    record = record_of(("II", "V1"), calibrated=(True, False))
    back = read_record(convert(record, "ishne", tmp_path))
    assert back.calibrated == (True, False)
    np.testing.assert_allclose(whole(back)[1], signal_of(2)[1], atol=0.5 / 200 + 1e-6)
    path = convert(record, "dicom", tmp_path)
    assert [channel.name for channel in read_record(path).left_out] == ["V1"]
    back = read_record(path, RecordOverrides(per_mv=200))
    assert back.lead_names == ("II", "V1")
    np.testing.assert_allclose(whole(back)[1], signal_of(2)[1], atol=0.5 / 200 + 1e-6)


@pytest.mark.parametrize("kind", ["edf", "csv", "parquet"])
def test_a_lead_without_gain_has_no_unit_in_edf_and_tables(tmp_path, kind):
    path = convert(record_of(("II", "V1"), calibrated=(True, False)), kind, tmp_path)
    assert read_record(path).lead_names == ("II",)
    back = read_record(path, RecordOverrides(per_mv=400))  # twice the counts that were assumed
    assert back.lead_names == ("II", "V1")
    np.testing.assert_allclose(whole(back)[0], signal_of(2)[0], atol=0.001)
    np.testing.assert_allclose(whole(back)[1], signal_of(2)[1] / 2, atol=0.001)
    path = convert(record_of(("II",), calibrated=(False,)), kind, tmp_path / "alone")
    with pytest.raises(MissingMetadataError, match="the unit"):
        read_record(path)


def test_what_dicom_has_no_ecg_for_is_refused(tmp_path):
    names = tuple(f"E{number}" for number in range(13))
    with pytest.raises(OutputError, match="DICOM has no ECG of 13 leads, 20,000 samples each, at 500 Hz"):
        convert(record_of(names, n=20_000), "dicom", tmp_path)
    with pytest.raises(OutputError, match="at 2000 Hz"):
        convert(record_of(("II",), fs_hz=2000.0, n=20_000), "dicom", tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_same_copy_is_the_same_object(tmp_path):
    one, two = (convert(record_of(("II",)), "dicom", tmp_path / name).read_bytes() for name in "ab")
    assert one == two


# ISHNE


def crc_ccitt(content):
    """CRC-CCITT bit by bit: polynomial 0x1021 from 0xFFFF."""
    crc = 0xFFFF
    for byte in content:
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1021) & 0xFFFF if crc & 0x8000 else crc << 1
    return crc


def ishne_of(path):
    """Header fields and the block behind the header, by the paper's table and not by our reader."""
    content = path.read_bytes()
    n_free, n_samples, free_at, ecg_at = struct.unpack_from("<4i", content, 10)
    assert (free_at, ecg_at) == (522, 522 + n_free)
    assert struct.unpack_from("<H", content, 8)[0] == crc_ccitt(content[10:ecg_at])
    (n_leads,) = struct.unpack_from("<h", content, 156)
    (rate,) = struct.unpack_from("<h", content, 272)
    specs = struct.unpack_from("<12h", content, 158)[:n_leads]
    steps_nv = struct.unpack_from("<12h", content, 206)[:n_leads]
    return content[:8], n_samples, rate, specs, steps_nv, content[522:ecg_at], content[ecg_at:]


def beats_of(block):
    (place,) = struct.unpack_from("<I", block)
    found = []
    for letter, internal, step in struct.iter_unpack("<ccH", block[4:]):
        place += step
        if letter != b"!":
            found.append((place, letter.decode(), internal.decode()))
    return found


def test_the_ishne_copy_has_header_checksum_and_samples_by_the_standard(tmp_path):
    path = convert(record_of(("II", "V1", "MLII")), "ishne", tmp_path)
    magic, n_samples, rate, specs, steps_nv, free, block = ishne_of(path)
    assert (path.name, magic, n_samples, rate, specs) == ("x.ecg", b"ISHNE1.0", N, 500, (6, 11, 0))
    assert b"II, V1, MLII" in free
    counts = np.frombuffer(block, "<i2").reshape(-1, 3)
    np.testing.assert_allclose(counts.T * np.array(steps_nv)[:, None] / 1e6, signal_of(3), atol=0.00051)
    content = path.read_bytes()
    assert struct.unpack_from("<3h", content, 138) == (4, 5, 2001)
    assert struct.unpack_from("<3h", content, 150) == (3, 2, 1)
    assert content[28:128] == bytes(100)  # nobody's name


def test_missing_samples_have_the_number_that_ishne_has_for_them(tmp_path):
    signal = signal_of(1)
    signal[0, 100:200] = np.nan
    record = replace(in_memory(signal, FS_HZ, lead_names=("II",)), record_id="x")
    counts = np.frombuffer(ishne_of(convert(record, "ishne", tmp_path))[-1], "<i2")
    assert np.flatnonzero(counts == -32_768).tolist() == list(range(100, 200))


def test_beats_lie_beside_the_ishne_copy(tmp_path):
    convert(record_of(("II",)), "ishne", tmp_path)
    magic, *_, block = ishne_of(tmp_path / "x.ann")
    assert magic == b"ANN  1.0"
    assert beats_of(block) == [
        (50, "N", "N"), (500, "V", "V"), (901, "S", "S"), (1350, "F", "F"), (4750, "U", "Q"),
    ]  # fmt: skip


@pytest.mark.parametrize("gap", [65_534, 65_535, 65_536, 131_070, 131_071, 300_000])
def test_an_interval_of_any_length_is_kept_in_ishne(tmp_path, gap):
    places = [10, 10 + gap, 20 + gap]
    marks = annotations([(place / FS_HZ, "N", "") for place in places])
    convert(record_of(("II",), n=400_000, reference=marks), "ishne", tmp_path)
    assert [place for place, *_ in beats_of(ishne_of(tmp_path / "x.ann")[-1])] == places


def test_what_ishne_cannot_hold_is_refused(tmp_path):
    with pytest.raises(OutputError, match=r"ISHNE holds up to 12 leads at a whole number of Hz.* at 128.5 Hz"):
        convert(record_of(("II",), fs_hz=128.5), "ishne", tmp_path)
    with pytest.raises(OutputError, match="has 13 leads"):
        convert(record_of(tuple(f"E{number}" for number in range(13))), "ishne", tmp_path)


# aECG

V3 = "{urn:hl7-org:v3}"


def aecg_of(path):
    """Times of the samples, leads in mV by their names, and annotations, by xml.etree."""
    series = ET.parse(path).getroot().find(f"{V3}component/{V3}series")  # noqa: S314  # written by us
    leads, start, step_s = {}, None, None
    for sequence in series.iter(f"{V3}sequence"):
        code, value = sequence.find(f"{V3}code").get("code"), sequence.find(f"{V3}value")
        if code.startswith("TIME_"):
            start, step_s = value.find(f"{V3}head").get("value"), float(value.find(f"{V3}increment").get("value"))
        else:
            scale = value.find(f"{V3}scale")
            assert scale.get("unit") == "uV"
            digits = np.array(value.find(f"{V3}digits").text.split(), dtype=float)
            leads[code] = digits * float(scale.get("value")) / 1000
    marks = []
    for mark in series.iter(f"{V3}annotation"):
        value = mark.find(f"{V3}value")
        low = mark.find(f".//{V3}boundary/{V3}value/{V3}low").get("value")
        marks.append((low, value.get("code") or value.text))
    return start, step_s, leads, marks


def test_the_aecg_copy_holds_leads_times_and_beats(tmp_path):
    path = convert(record_of(("II", "aVF", "<odd> & lead")), "aecg", tmp_path)
    start, step_s, leads, marks = aecg_of(path)
    assert (path.name, start, step_s) == ("x.xml", "20010504030201.250000", 0.002)
    assert list(leads) == ["MDC_ECG_LEAD_II", "MDC_ECG_LEAD_aVF", "<odd> & lead"]
    np.testing.assert_allclose(np.stack(list(leads.values())), signal_of(3), atol=0.00051)
    assert marks == [
        ("20010504030201.350000", "MDC_ECG_BEAT_NORMAL"),
        ("20010504030202.150000", "(AFIB"),
        ("20010504030202.250000", "MDC_ECG_BEAT_V_P_C"),
        ("20010504030203.052000", "MDC_ECG_BEAT_SV_P_C"),
        ("20010504030203.950000", "MDC_ECG_BEAT_V_P_C_FUSION"),
        ("20010504030210.750000", "MDC_ECG_BEAT_UNKNOWN"),
    ]


def test_an_aecg_copy_without_a_start_counts_from_zero_and_names_nobody(tmp_path):
    path = convert(record_of(("II",), record_id="Known", comments=("Name: Known",)), "aecg", tmp_path, anonymise=True)
    start, _, _, marks = aecg_of(path)
    assert (start, marks[0]) == ("0", ("0.100000", "MDC_ECG_BEAT_NORMAL"))
    text = path.read_text()
    assert "Known" not in text
    assert "200105" not in text


def test_what_aecg_cannot_say_is_refused(tmp_path):
    signal = signal_of(1)
    signal[0, 5] = np.nan
    with pytest.raises(OutputError, match="aECG cannot represent missing samples; choose wfdb, dicom, ishne"):
        convert(in_memory(signal, FS_HZ, lead_names=("II",)), "aecg", tmp_path)
    with pytest.raises(OutputError, match="no gain is known for V1, and aECG cannot say so"):
        convert(record_of(("II", "V1"), calibrated=(True, False)), "aecg", tmp_path)


# EDF+ with what an analysis found

ANNOTATION = re.compile(rb"\+(\d+(?:\.\d+)?)(?:\x15(\d+(?:\.\d+)?))?\x14([^\x14\x00]+)\x14\x00")


def edf_annotations(path):
    """Onset, duration and text of each annotation in the bytes of EDF+."""
    return [
        (float(onset), float(duration) if duration else None, text.decode())
        for onset, duration, text in ANNOTATION.findall(path.read_bytes())
    ]


def test_beats_and_events_of_an_analysis_are_annotations_of_the_edf_copy(demo_analysis, demo, tmp_path):
    write_files(demo_analysis, tmp_path)
    path = convert(demo, "edf", tmp_path, annotations=tmp_path / "demo.ai", events=tmp_path / "demo_events.csv")
    found = edf_annotations(path)
    beats = [(onset, text) for onset, duration, text in found if duration is None and text in "NSVFQ"]
    assert [text for _, text in beats] == demo_analysis.beats.label.tolist()
    np.testing.assert_allclose([onset for onset, _ in beats], demo_analysis.beats.time_s, atol=0.5 / demo.fs_hz + 1e-6)
    for kind, code in (("af", "(AFIB"), ("vt", "(VT"), ("pause", "(PAUSE"), ("asystole", "(ASYS")):
        wanted = [(event.start_s, event.duration_s) for event in demo_analysis.events if event.kind == kind]
        shown = sorted((onset, length) for onset, length, text in found if text == code and length is not None)
        np.testing.assert_allclose(shown, wanted or np.zeros((0,)), atol=0.0011)
    assert {event.kind for event in demo_analysis.events} >= {"af", "pause"}


def test_events_in_an_edf_copy_are_taken_neither_for_beats_nor_for_changes_of_rhythm(demo_analysis, demo, tmp_path):
    write_files(demo_analysis, tmp_path)
    both = [
        read_record(convert(demo, "edf", tmp_path / name, annotations=tmp_path / "demo.ai", **more)).reference
        for name, more in (("with", {"events": tmp_path / "demo_events.csv"}), ("without", {}))
    ]
    beats = [one.time_s[np.isin(one.symbol, list("NSVFQ"))] for one in both]
    np.testing.assert_array_equal(*beats)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "this table of events cannot be read"),
        ("a,b\n1,2\n", "expected a table of events with the columns kind, start_s and end_s"),
        ("kind,start_s,end_s\naf,5,soon\n", "expected a table of events"),
        ("kind,start_s,end_s\naf,5,1\n", "expected events that begin at 0 s or later"),
        ("kind,start_s,end_s\naf,500,501\n", r"expected events within 10\.0 s, got the last one until 501\.0 s"),
        ("kind,start_s,end_s\naf,5,10.5\n", r"expected events within 10\.0 s, got the last one until 10\.5 s"),
        ("kind,start_s,end_s,record\naf,5,6,other\n", r"these events are of another record.*expected x, got other"),
    ],
)
def test_events_that_are_none_are_refused(tmp_path, content, message):
    path = tmp_path / "x_events.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(RecordError, match=message):
        convert(record_of(("II",)), "edf", tmp_path / "out", events=path)


def test_labels_of_another_record_are_in_no_copy(tmp_path):
    (tmp_path / "x.ecg").write_bytes(ishne(signal_of(2)))
    record, table = read_record(tmp_path / "x.ecg"), tmp_path / "x_labels.csv"
    table.write_text(f"sample,time_s,label,record,record_sha256\n100,0.4,V,x,{record.sha256}\n")
    convert(record, "csv", tmp_path / "out", annotations=table)
    table.write_text("sample,time_s,label,record,record_sha256\n100,0.4,V,other," + "ab" * 32 + "\n")
    with pytest.raises(RecordError, match="these labels are of another record; none of them is used"):
        convert(record, "wfdb", tmp_path / "out", annotations=table)


def test_events_go_into_edf_alone(tmp_path):
    with pytest.raises(OutputError, match="events are written into edf alone, not into ishne"):
        convert(record_of(("II",)), "ishne", tmp_path, events=tmp_path / "x_events.csv")


# What is there stays


@pytest.fixture
def stored(tmp_path):
    path = write_record(tmp_path, "x", signal_of(1), 500, lead_names=("II",))
    wfdb.wrann("x", "atr", np.array([5, 777]), symbol=["N", "V"], fs=500, write_dir=str(tmp_path))
    return path


def contents_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_copy_never_replaces_the_files_of_its_own_record(tmp_path, stored, capsys):
    before = contents_of(tmp_path)
    for more in ([], ["--overwrite"]):
        assert main(["convert", str(stored), "--out", str(tmp_path), *more]) == 2
        shown = capsys.readouterr().err
        assert "x.hea: is a file of what is converted, which is never replaced" in shown
        assert "--overwrite" not in shown
    assert contents_of(tmp_path) == before


def test_a_copy_replaces_another_file_only_where_asked_to(tmp_path, stored, capsys):
    (tmp_path / "x.ann").write_bytes(b"mine")  # the second of the files of the copy
    options = ["convert", str(stored), "--to", "ishne", "--out", str(tmp_path)]
    assert main(options) == 2
    assert re.search(
        r"x\.ann: exists and is another file than the copy; .*Replace it with --overwrite", capsys.readouterr().err
    )
    assert (tmp_path / "x.ann").read_bytes() == b"mine"
    assert not (tmp_path / "x.ecg").exists()
    assert main([*options, "--overwrite"]) == 0
    assert (tmp_path / "x.ann").read_bytes().startswith(b"ANN  1.0")
    assert main(options) == 0  # the same copy again replaces nothing
    (tmp_path / "x.ecg").write_bytes(b"mine")
    assert main(options) == 2
    assert (tmp_path / "x.ecg").read_bytes() == b"mine"


def test_annotations_that_are_written_along_are_never_replaced(tmp_path, stored):
    table = tmp_path / "x_beats.csv"
    table.write_text("time_s,label\n0.1,N\n")
    with pytest.raises(OutputError, match=r"x_beats\.csv: is a file of what is converted"):
        convert(read_record(stored), "csv", tmp_path, annotations=table, overwrite=True)
    assert table.read_text() == "time_s,label\n0.1,N\n"


def test_the_record_of_a_file_in_the_form_of_the_copy_stays(tmp_path):
    path = convert(record_of(("II",)), "dicom", tmp_path)
    before = path.read_bytes()
    with pytest.raises(OutputError, match="which is never replaced"):
        convert(read_record(path), "dicom", tmp_path, overwrite=True)
    assert path.read_bytes() == before
