"""XML of ECG carts: every sample as it was written, and no document that names other files or grows without end."""

import subprocess
import sys
import tracemalloc
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from support import made_carts as carts
from support.made_files import whole

from ecg_core.errors import RecordError
from ecg_core.notes import Patient
from ecg_core.records import read_record, records_in, xml_text
from ecg_core.records.inspect import inspect_text
from ecg_core.records.patients import read_patient
from ecg_core.records.xml_text import numbers_of

ROOT = Path(__file__).parents[1]
ROWS = dict(zip(carts.TWELVE, carts.counts(), strict=True))


def opened(folder, content, name="x.xml"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_record(path)


def in_counts(record, per_mv=200):
    return whole(record) * per_mv


def test_aecg_holds_each_sample_that_was_written(tmp_path):
    record = opened(tmp_path, carts.aecg(carts.aecg_series(ROWS)))
    assert record.lead_names == carts.TWELVE
    assert (record.fs_hz, record.start, record.age_years) == (500, carts.START, 51)
    np.testing.assert_array_equal(np.rint(in_counts(record)), np.stack(list(ROWS.values())))
    np.testing.assert_allclose(in_counts(record), np.stack(list(ROWS.values())), atol=1e-4)


@pytest.mark.parametrize("step", ['value="0.004" unit="s"', 'value="4" unit="ms"', 'value="4000" unit="us"'])
@pytest.mark.parametrize("kind", ["TIME_ABSOLUTE", "TIME_RELATIVE"])
def test_aecg_states_its_rate_by_the_time_between_two_samples(tmp_path, step, kind):
    record = opened(tmp_path, carts.aecg(carts.aecg_series(ROWS, step=step, kind=kind)))
    assert (record.fs_hz, record.start) == (250, carts.START)


def test_aecg_scale_origin_and_unit_are_applied(tmp_path):
    series = carts.aecg_series(ROWS, scale="0.01", origin="-1.5", unit="mV")
    expected = np.stack(list(ROWS.values())) * 0.01 - 1.5
    np.testing.assert_allclose(whole(opened(tmp_path, carts.aecg(series))), expected, atol=1e-5)


def test_aecg_reads_the_rhythm_and_names_what_it_leaves_out(tmp_path):
    beat = carts.aecg_series({"II": ROWS["II"][:600]}, code="REPRESENTATIVE_BEAT")
    more = carts.aecg_sequence("VENDOR_PULSE", ROWS["II"]) + carts.aecg_sequence(
        "MDC_ECG_LEAD_X", ROWS["II"], unit="mm[Hg]"
    )
    record = opened(tmp_path, carts.aecg(beat, carts.aecg_series(ROWS, more=more)))
    assert record.lead_names == carts.TWELVE
    assert {channel.name for channel in record.left_out} == {"REPRESENTATIVE_BEAT", "VENDOR_PULSE", "X"}


def test_aecg_reads_the_longest_rhythm_whatever_another_series_lacks(tmp_path):
    short = carts.aecg_series({"II": ROWS["II"][:3000]}, step='value="" unit="s"')
    other = carts.aecg_series({"II": ROWS["II"][:2600]})
    empty = carts.aecg_sequence("MDC_ECG_LEAD_V7", [])
    record = opened(tmp_path, carts.aecg(short, carts.aecg_series(ROWS, more=empty), other))
    assert record.n_samples == carts.N
    assert [(channel.name, channel.reason.partition(";")[0]) for channel in record.left_out] == [
        ("V7", "no samples"), ("RHYTHM", "states no rate"), ("RHYTHM", "5.2 s from 2001-02-03 04:05:06"),
    ]  # fmt: skip


def test_aecg_beats_are_the_reference(tmp_path):
    beats = (
        carts.aecg_beat("MDC_ECG_BEAT_NORMAL", 0.3)
        + carts.aecg_beat("MDC_ECG_BEAT_V_P_C", 1.05, end_s=1.15)
        + carts.aecg_beat("MDC_ECG_BEAT_SOMETHING", 1.9)
        + carts.aecg_beat("MDC_ECG_BEAT_NORMAL", 2.0, end_s=2.8)  # a whole beat: where in it the QRS is, is not stated
    )
    series = carts.aecg_series(ROWS).replace("</series>", f"<annotationSet>{beats}</annotationSet></series>")
    reference = opened(tmp_path, carts.aecg(series)).reference
    assert reference.symbol.tolist() == ["N", "V", "Q"]
    np.testing.assert_allclose(reference.time_s, [0.3, 1.1, 1.9])


def test_aecg_beats_of_other_series_and_of_averaged_beats_are_not_of_the_rhythm(tmp_path):
    def with_beat(series, time_s):
        return series.replace(
            "</series>", f"<annotationSet>{carts.aecg_beat('NORMAL', time_s)}</annotationSet></series>"
        )

    averaged = with_beat(carts.aecg_series({"II": ROWS["II"][:600]}, code="REPRESENTATIVE_BEAT"), 0.2)
    derived = averaged.removeprefix("<component>").removesuffix("</component>").replace("series>", "derivedSeries>")
    rhythm = with_beat(carts.aecg_series(ROWS), 0.3)
    rhythm = rhythm.replace("</series>", f"<derivation>{derived}</derivation></series>")
    short = with_beat(carts.aecg_series({"II": ROWS["II"][:3000]}), 0.4)
    reference = opened(tmp_path, carts.aecg(short, rhythm, averaged)).reference
    np.testing.assert_allclose(reference.time_s, [0.3])


def test_aecg_relative_times_count_from_that_of_the_first_sample(tmp_path):
    series = carts.aecg_series(ROWS, kind="TIME_RELATIVE").replace('<head value="0"/>', '<head value="10" unit="s"/>')
    beats = carts.aecg_beat("NORMAL", 10.3) + carts.aecg_beat("NORMAL", 11.05, end_s=11.15)
    series = series.replace("</series>", f"<annotationSet>{beats}</annotationSet></series>")
    np.testing.assert_allclose(opened(tmp_path, carts.aecg(series)).reference.time_s, [0.3, 1.1])


def test_aecg_states_the_patient(tmp_path):
    (tmp_path / "x.xml").write_bytes(carts.whole_aecg())
    expected = Patient("Erika Muster", "P7", "1950-01-02", "female", recorder="Maker Cart 1")
    assert read_patient(tmp_path / "x.xml") == expected


def test_aecg_without_waveform_or_without_rate_says_so(tmp_path):
    with pytest.raises(RecordError, match="HL7 annotated ECG without a waveform"):
        opened(
            tmp_path, '<!-- annotated ECG -->\n<AnnotatedECG xmlns="urn:hl7-org:v3"><id root="1.2.3"/></AnnotatedECG>'
        )
    with pytest.raises(RecordError, match="no time between two samples"):
        opened(tmp_path, carts.aecg(carts.aecg_series(ROWS, step='value="" unit="s"')))
    with pytest.raises(RecordError, match="no time between two samples"):
        opened(tmp_path, carts.aecg(carts.aecg_series(ROWS, step='value="2" unit="furlong"')))
    with pytest.raises(RecordError, match="no time between two samples"):
        opened(tmp_path, carts.aecg(carts.aecg_series(ROWS, step='value="0.002"')))


PROLOGS = {
    "none": ("", "utf-8"),
    "a comment": ("<!-- <RestingECG> -->\n<!-- x -->", "utf-8"),
    "a long comment": (f"<!-- {'x' * 5000} -->", "utf-8"),
    "a byte order mark": ('<?xml version="1.0"?>', "utf-8-sig"),
    "utf-16": ('<?xml version="1.0" encoding="utf-16"?>', "utf-16"),
    "utf-16 that became utf-8": ('<?xml version="1.0" encoding="utf-16"?>', "utf-8"),
    "latin-1": ('<?xml version="1.0" encoding="ISO-8859-1"?>', "latin-1"),
    "latin-1 that states nothing": ("", "latin-1"),
    "windows-1252": ('<?xml version="1.0" encoding="windows-1252"?>', "cp1252"),
    "a document type": ('<?xml version="1.0"?><!DOCTYPE AnnotatedECG SYSTEM "aecg.dtd">', "utf-8"),
}


@pytest.mark.parametrize("name", PROLOGS)
def test_xml_is_known_by_its_root_whatever_comes_before(tmp_path, name):
    prolog, encoding = PROLOGS[name]
    record = opened(tmp_path, carts.aecg(carts.aecg_series(ROWS), prolog=prolog, name="Jörg").encode(encoding))
    assert record.n_samples == carts.N
    assert read_patient(tmp_path / "x.xml").name == "Jörg Muster"


@pytest.mark.parametrize("prolog", [carts.ENTITIES, carts.OUTSIDE])
def test_entities_are_refused_before_they_are_read(tmp_path, prolog):
    text = carts.aecg(carts.aecg_series(ROWS), prolog=prolog.format(root="AnnotatedECG"), name="&b;")
    with pytest.raises(RecordError, match="declares the entity a"):
        opened(tmp_path, text)


def test_a_document_is_read_within_limits(tmp_path, monkeypatch):
    deep = "<AnnotatedECG>" + "<a>" * 10_000 + "</a>" * 10_000 + "</AnnotatedECG>"
    with pytest.raises(RecordError, match="nests more than 200"):
        opened(tmp_path, deep)
    monkeypatch.setattr(xml_text, "MAX_BYTES", 1 << 20)
    with pytest.raises(RecordError, match="too long an XML document: expected at most 1 MB, got 2 MB"):
        opened(tmp_path, carts.aecg(" " * (2 << 20)))


def test_truncated_xml_names_the_line(tmp_path):
    with pytest.raises(RecordError, match=r"line \d+: is not well-formed XML"):
        opened(tmp_path, carts.whole_aecg()[:-300])


def test_no_reader_of_carts_loads_for_another_format():
    program = (
        "import sys; from ecg_core.records import read_record; read_record('demo_data/demo'); "
        "print([name for name in sys.modules if name.startswith('ecg_core.records.') and name.endswith("
        "('aecg_files', 'muse_files', 'scp_files', 'sierra_files', 'mortara_files', 'mfer_files', 'xml_text'))])"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_xml_that_is_no_ecg_is_named_and_is_no_record_of_a_folder(tmp_path):
    opened(tmp_path, carts.whole_aecg(), "a.xml")
    (tmp_path / "b.xml").write_text('<?xml version="1.0"?><settings/>')
    (tmp_path / "c.xml").write_text("<html><body/></html>")
    assert [path.name for path in records_in(tmp_path)] == ["a.xml"]
    for name, kind in (("b.xml", "XML document of another kind"), ("c.xml", "HTML document")):
        text, fine = inspect_text(tmp_path / name)
        assert not fine
        assert f"is not a recording but an {kind}" in text


def test_numbers_of_another_length_than_stated_are_a_doubt(tmp_path):
    short = {**ROWS, "V3": ROWS["V3"][:4000]}
    record = opened(tmp_path, carts.aecg(carts.aecg_series(short)))
    assert record.doubts == ("lead V3 ends after 8.0 s, others after 10.0 s",)
    assert np.isnan(whole(record)[8, 4000:]).all()
    assert np.isfinite(whole(record)[7]).all()


def test_a_start_is_the_clock_of_the_recording(tmp_path):
    series = carts.aecg_series(ROWS).replace("20010203040506.000", "20010203040506.250+0100")
    assert opened(tmp_path, carts.aecg(series)).start == datetime(2001, 2, 3, 4, 5, 6, 250_000)


def twelve(eight):
    """Twelve leads of eight stored ones, in counts."""
    one, two = (eight[name].astype(float) for name in ("I", "II"))
    sums = {"III": two - one, "aVR": -(one + two) / 2, "aVL": one - two / 2, "aVF": two - one / 2}
    return np.stack([sums[name] if name in sums else eight[name] for name in carts.TWELVE])


def test_muse_holds_each_sample_and_the_limb_leads_that_are_sums(tmp_path):
    record = opened(tmp_path, carts.whole_muse())
    assert record.lead_names == carts.TWELVE
    assert (record.fs_hz, record.start, record.age_years, record.doubts) == (500, carts.START, 51, ())
    assert [channel.name for channel in record.left_out] == ["Median"]
    np.testing.assert_allclose(in_counts(record), twelve(carts.eight()), atol=1e-4)
    piece = record.source.read(1000, 1200, (4, 0)) * 200
    np.testing.assert_allclose(piece, twelve(carts.eight())[[4, 0], 1000:1200], atol=1e-4)


def test_muse_rate_scale_and_unit_are_those_that_it_states(tmp_path):
    rows = carts.eight()
    record = opened(tmp_path, carts.muse(carts.muse_waveform(rows, base="25", exponent="1", scale="4.88")))
    assert record.fs_hz == 250
    np.testing.assert_allclose(whole(record)[1], rows["II"] * 4.88e-3, rtol=1e-5)
    unknown = opened(tmp_path, carts.muse(carts.muse_waveform(rows, unit="")))
    assert not any(unknown.calibrated)
    with pytest.raises(RecordError, match="state no sampling rate"):
        opened(tmp_path, carts.muse(carts.muse_waveform(rows, base="")))


def test_muse_of_other_leads_than_the_usual_eight_has_those_alone(tmp_path):
    rows = {name: row for name, row in carts.eight().items() if name in ("I", "II", "V5")}
    assert opened(tmp_path, carts.muse(carts.muse_waveform(rows))).lead_names == ("I", "II", "V5")


def test_muse_that_holds_fewer_samples_than_it_states_says_so(tmp_path):
    rows = carts.eight()
    data = carts.muse(carts.muse_waveform(rows, stated=6000))
    record = opened(tmp_path, data)
    assert record.doubts == ("lead I has 5,000 samples, the file states 6,000; the other leads likewise",)


def test_muse_without_a_rhythm_or_with_damaged_base64_says_so(tmp_path):
    rows = carts.eight()
    with pytest.raises(RecordError, match=r"without a rhythm \(its waveforms: Median\)"):
        opened(tmp_path, carts.muse(carts.muse_waveform(rows, kind="Median")))
    whole_file = carts.whole_muse()
    place = whole_file.rindex(b"<WaveFormData>") + 40
    with pytest.raises(RecordError, match="the base64 of lead V6 is damaged"):
        opened(tmp_path, whole_file[:place] + b"!" + whole_file[place + 1 :])
    text = carts.base64_of(rows["V2"])
    odd = text[:-4]  # the last byte is lost
    with pytest.raises(RecordError, match="expected two bytes for each sample"):
        opened(tmp_path, carts.muse(carts.muse_waveform(rows)).replace(text.encode(), odd.encode()))


def test_muse_states_the_patient_and_a_clock_without_a_date(tmp_path):
    record = opened(tmp_path, carts.muse(carts.muse_waveform(carts.eight()), day="31-31-2001"))
    assert (record.start, record.start_clock) == (None, carts.START.time())
    expected = Patient("Jörg Muster", "P7", "1950-01-02", "male", referring_physician="Ref", recorder="MAC")
    assert read_patient(tmp_path / "x.xml") == expected


@pytest.mark.parametrize("version", ["1.03", "1.04"])
@pytest.mark.parametrize("compression", ["XLI", "Uncompressed"])
def test_philips_holds_each_sample_that_was_written(tmp_path, version, compression):
    record = opened(tmp_path, carts.sierra(carts.counts(), version=version, compression=compression))
    assert record.lead_names == carts.TWELVE
    assert (record.fs_hz, record.start, record.age_years, record.doubts) == (500, carts.START, 51, ())
    np.testing.assert_allclose(in_counts(record), carts.counts(), atol=1e-4)


def test_philips_holds_samples_of_all_sixteen_bits(tmp_path):
    rows = np.where(np.arange(carts.N) // 50 % 2, 30_000, -30_000) * np.ones((12, 1), dtype=int)
    rows[2:6] = np.array([[0], [-17], [5], [9]])
    np.testing.assert_allclose(in_counts(opened(tmp_path, carts.sierra(rows))), rows, rtol=1e-6, atol=1e-3)


def test_philips_names_the_averaged_beats_and_states_the_patient(tmp_path):
    record = opened(
        tmp_path, carts.sierra(carts.counts(), more='<repbeats><repbeat leadname="I">AAAA</repbeat></repbeats>')
    )
    assert [channel.name for channel in record.left_out] == ["representative beats"]
    expected = Patient("Erika Müster", "P7", "1950-01-02", "female", recorder="Cart")
    assert read_patient(tmp_path / "x.xml") == expected


def test_philips_that_is_cut_or_compressed_otherwise_says_so(tmp_path):
    with pytest.raises(RecordError, match="expected the compressed waveforms of 12 leads, got 6"):
        opened(tmp_path, carts.sierra(carts.counts()[:6], numberofleads="12"))
    with pytest.raises(RecordError, match="expected 6,000 samples for each of 12 leads, got 60,000 together"):
        opened(tmp_path, carts.sierra(carts.counts(), compression="Uncompressed", durationperchannel="12000"))
    longer = opened(tmp_path, carts.sierra(carts.counts(), durationperchannel="12000"))
    assert longer.doubts == ("lead I has 5,000 samples, the file states 6,000; the other leads likewise",)
    with pytest.raises(RecordError, match=r"expected Base64 with compression XLI or none, got .* compression ZIP"):
        opened(tmp_path, carts.sierra(carts.counts(), compression="ZIP"))
    with pytest.raises(RecordError, match="states no sampling rate or no duration"):
        opened(tmp_path, carts.sierra(carts.counts(), durationperchannel=""))


def test_mortara_holds_each_sample_that_was_written(tmp_path):
    record = opened(tmp_path, carts.whole_mortara())
    assert record.lead_names == carts.TWELVE
    assert (record.fs_hz, record.start, record.age_years, record.doubts) == (500, carts.START, 51, ())
    assert [channel.name for channel in record.left_out] == ["typical cycle"]
    np.testing.assert_allclose(in_counts(record), carts.counts(), atol=1e-4)
    assert read_patient(tmp_path / "x.xml") == Patient(
        "Erika Muster", "P7", "1950-01-02", "female", recorder="Mortara ELI"
    )


def test_mortara_channels_have_a_rate_and_a_length_of_their_own(tmp_path):
    one, two = carts.counts(2)
    slow = carts.mortara_channel("II", two[::2], rate="250", DURATION="10000")  # ms
    record = opened(tmp_path, carts.mortara(slow, carts.mortara_channel("I", one)))
    assert (record.fs_hz, record.n_samples, record.lead_names, record.doubts) == (500, carts.N, ("I", "II"), ())
    signal = in_counts(record)
    np.testing.assert_allclose(signal[0], one, atol=1e-4)
    np.testing.assert_allclose(signal[1, 100:-100:2], two[100:-100:2], atol=1e-3)


def test_mortara_says_what_it_does_not_read(tmp_path):
    one, two = carts.counts(2)
    odd = carts.mortara_channel("II", two, BITS="24")
    record = opened(tmp_path, carts.mortara(carts.mortara_channel("I", one, OFFSET="3", DURATION="6000"), odd))
    assert record.left_out[0].reason == "BITS 24; 16-bit signed base64 is read"
    assert record.doubts[0].startswith("lead I states an offset")
    assert record.doubts[1] == "lead I has 5,000 samples, the file states 6,000"
    with pytest.raises(RecordError, match="without a channel that is read"):
        opened(tmp_path, carts.mortara())
    with pytest.raises(RecordError, match="lead I states no sampling rate"):
        opened(tmp_path, carts.mortara(carts.mortara_channel("I", one, rate="")))


def test_another_document_called_ecg_is_no_record(tmp_path):
    (tmp_path / "x.xml").write_text("<ECG><Lead>1 2 3</Lead></ECG>")
    assert records_in(tmp_path) == []


@pytest.mark.parametrize(
    "text", ["1 -2 3", " 7\n8\t9\r\n", "1.5 -2e3 4", "+5 6", "1 nan 2", "1_000 2", "99999999999 1", "12", "1\x0b2\x0c3"]
)
def test_digits_are_the_numbers_that_their_words_are(text):
    found = numbers_of(Path("x.xml"), text, what="the digits")
    np.testing.assert_array_equal(found, np.array(text.split(), dtype=float))


@pytest.mark.parametrize("text", ["1 two 3", "1,5 2", '"1" 2', "1;2", "\u0661x", "0x10"])
def test_digits_that_are_none_are_refused(text):
    with pytest.raises(RecordError, match=r"x\.xml: the digits are damaged"):
        numbers_of(Path("x.xml"), text, what="the digits")


def test_a_day_of_digits_is_read_without_a_list_of_its_words():
    text = "-123 " * 1_000_000
    tracemalloc.start()
    try:
        numbers_of(Path("x.xml"), text, what="the digits")
        assert tracemalloc.get_traced_memory()[1] < 8 * len(text)  # a list of words takes eleven times the text
    finally:
        tracemalloc.stop()
