"""WFDB records give what the wfdb library gives, which is the oracle here."""

import numpy as np
import pytest
import wfdb
from hypothesis import given, settings
from hypothesis import strategies as st
from support.records import DEMO

from ecg_core.errors import RecordError
from ecg_core.records import read_record
from ecg_core.records.wfdb_annotations import SYMBOLS, plain_annotations
from ecg_core.records.wfdb_header import read_header
from ecg_core.records.wfdb_samples import GROUPS

N_BYTES = 12_000  # of a signal file here
spaces = st.sampled_from([" ", "  ", "\t"])
names = st.sampled_from(["x.dat", "x-1.mat", "x"])
forms = st.sampled_from(["16", "212", "61", "80", "24", "8", "16x2", "16:3", "16+24", "212+3", "16x2:1+7"])
gains = st.sampled_from(["200", "0", "200.5/mV", "200(10)/mV", "200(-3)/uV", "1e3", "200(1)"])
times = st.sampled_from(["", "12:00:00", "1:2:3.5", "12:00:00 01/02/1990", "1:02:03.25 1/2/2190"])
leads = st.sampled_from(["", "II", "lead II", "V1 # not a comment"])


@st.composite
def headers(draw):
    """The text of a header as the specification has it."""
    gap, n = draw(spaces), draw(st.integers(1, 3))
    rate = draw(st.sampled_from(["360", "257.5", "360.", "360/10", "360/10(2)"]))
    first = gap.join(["x", str(n), rate, "100", draw(times)]).rstrip()
    name, form = draw(names), draw(forms)
    signals = [
        gap.join(
            [name, form, draw(gains), "12", draw(st.sampled_from(["0", "1024", "-5"])), "1", "-2", "0", draw(leads)]
        )
        for _ in range(n)
    ]
    comments = draw(st.lists(st.sampled_from(["# 69 M", "#", "  # Age: 5  ", ""]), max_size=2))
    return draw(st.sampled_from(["\n", "\r\n"])).join([*comments, first, *signals, *comments])


@given(headers())
def test_a_header_says_what_the_library_says(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("hea") / "x"
    path.with_suffix(".hea").write_bytes(text.encode())
    header, expected = read_header(path), wfdb.rdheader(str(path))
    assert (header.n_signals, header.fs_hz, header.n_frames) == (expected.n_sig, expected.fs, expected.sig_len)
    assert [*header.comments] == expected.comments
    assert (header.start.start or header.start.clock) == (
        expected.base_datetime if expected.base_date else expected.base_time
    )
    found = [
        (s.file_name, s.form, s.per_frame, s.skew, s.offset, s.gain, s.baseline, s.unit or "mV", s.name or None)
        for s in header.signals
    ]
    assert found == [
        (file, form, per_frame or 1, skew or 0, offset or 0, gain, baseline, unit, name)
        for file, form, per_frame, skew, offset, gain, baseline, unit, name in zip(
            expected.file_name, expected.fmt, expected.samps_per_frame, expected.skew, expected.byte_offset,
            expected.adc_gain, expected.baseline, expected.units, expected.sig_name, strict=True,
        )
    ]  # fmt: skip


PLAIN = [form for form, group in GROUPS.items() if group]


@pytest.mark.parametrize("form", PLAIN)
@settings(max_examples=15)
@given(data=st.data())
def test_any_samples_of_a_signal_file_are_those_of_the_library(tmp_path_factory, form, data):
    """Frames, skew and bytes before the first sample; the library reads the whole, we read a stretch."""
    folder, n_leads = tmp_path_factory.mktemp("dat"), data.draw(st.integers(1, 3))
    per_frame = data.draw(st.sampled_from([1, 1, 2]))
    skew = data.draw(st.sampled_from(["", "", ":2"])) if per_frame == 1 and form != "8" else ""  # where it fails itself
    offset = data.draw(st.sampled_from(["", "+12"]))
    gain = data.draw(st.sampled_from(["200/mV", "0", "333.3(7)/mV"]))
    more = [f"x{per_frame}" if per_frame > 1 else "", *[skew] * (n_leads > 1)]
    lines = [f"x.dat {form}{more[0]}{more[-1] if lead and skew else ''}{offset} {gain} 12 5 3 0 0 L{lead}"
             for lead in range(n_leads)]  # fmt: skip
    samples, n_bytes = GROUPS[form]
    n = N_BYTES // n_bytes * samples // (n_leads * per_frame)
    (folder / "x.hea").write_text("\n".join([f"x {n_leads} 100 {n}", *lines]) + "\n", encoding="ascii")
    content = np.random.default_rng(data.draw(st.integers(0, 9))).integers(0, 256, N_BYTES + 12).astype(np.uint8)
    content[:48] = np.frombuffer(b"\x00\x80\x80\x00\x08\x80" * 8, dtype=np.uint8)  # samples that were not recorded
    if form == "311":
        content[3::4] &= 0x3F  # the library takes the two bits that are not used for part of a sample
    (folder / "x.dat").write_bytes(content.tobytes() if offset else content[:N_BYTES].tobytes())
    record = read_record(folder / "x")
    total = record.n_samples
    start = data.draw(st.integers(0, total - 1))
    stop, chosen = data.draw(st.integers(start + 1, total)), data.draw(st.permutations(range(n_leads)))
    found = record.source.read(start, stop, tuple(chosen))
    rows = np.stack(wfdb.rdrecord(str(folder / "x"), smooth_frames=False, return_res=32).e_p_signal)
    np.testing.assert_allclose(found, rows[list(chosen), start:stop], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("form", ["508", "516", "524"])
def test_compressed_samples_are_those_of_the_library_also_where_they_are_constant(tmp_path, form):
    stored = np.stack([np.random.default_rng(0).integers(-90, 90, 200_000), np.full(200_000, 7)])
    wfdb.wrsamp(
        "x", 360, ["mV"] * 2, ["I", "II"], d_signal=stored.T, fmt=[form] * 2, adc_gain=[200] * 2, baseline=[0] * 2,
        write_dir=str(tmp_path),
    )  # fmt: skip
    record, expected = read_record(tmp_path / "x"), wfdb.rdrecord(str(tmp_path / "x"), return_res=32).p_signal.T
    np.testing.assert_array_equal(record.source.read(0, 200_000, (0, 1)), expected)
    np.testing.assert_array_equal(record.source.read(123_456, 199_999, (1, 0)), expected[::-1, 123_456:199_999])


@pytest.mark.parametrize("rows", [np.zeros((1, 2_000_000), int), np.full((2, 2_000_000), -5)], ids=["flat", "constant"])
def test_a_compressed_record_of_nothing_but_constants_is_read(tmp_path, rows):
    n = len(rows)
    wfdb.wrsamp(
        "x", 360, ["mV"] * n, ["I", "II"][:n], d_signal=rows.T, fmt=["516"] * n, adc_gain=[200] * n, baseline=[0] * n,
        write_dir=str(tmp_path),
    )  # fmt: skip
    record = read_record(tmp_path / "x")
    assert record.doubts == ()
    np.testing.assert_allclose(record.source.read(1_999_000, 2_000_000, (0,))[0], rows[0, 0] / 200, atol=1e-7)


marks = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 1023, 1024, 2**31, 2**33]),
        st.sampled_from([symbol for symbol in SYMBOLS.values() if symbol != " "]),
        st.sampled_from(["", "(AFIB", "xy", "## time resolution: 7", "x" * 255]),
        st.integers(0, 3),
        st.integers(0, 127),
    ),
    min_size=1,
)


@given(marks, st.sampled_from([None, 360, 257.5]))
def test_plain_annotations_are_those_of_the_library(tmp_path_factory, marks, fs_hz):
    steps, symbol, notes, channels, numbers = zip(*marks, strict=True)
    path = tmp_path_factory.mktemp("ann") / "x.atr"
    wfdb.wrann(
        "x", "atr", np.cumsum(steps), symbol=[*symbol], aux_note=[*notes], chan=np.array(channels),
        num=np.array(numbers), fs=fs_hz, write_dir=str(path.parent),
    )  # fmt: skip
    assert_same_annotations(path)


@given(st.binary(max_size=40))
def test_junk_is_left_to_the_library_or_read_as_it_reads_it(tmp_path_factory, junk):
    path = tmp_path_factory.mktemp("ann") / "x.atr"
    path.write_bytes(junk)
    assert_same_annotations(path)


def assert_same_annotations(path):
    found = plain_annotations(path)
    if found is not None:
        sample, symbol, note, rate = found
        expected = wfdb.rdann(str(path.with_suffix("")), path.suffix[1:])
        np.testing.assert_array_equal(sample, expected.sample)
        assert (symbol, note) == (expected.symbol, expected.aux_note)
        assert rate in (None, expected.fs)  # None: the library looks into a header beside it


def test_the_demo_is_plain():
    assert plain_annotations(DEMO.with_suffix(".atr")) is not None


@pytest.mark.databases
def test_a_record_of_each_database_is_read_as_the_library_reads_it(databases):
    checked = 0
    for folder in sorted(path for path in databases.iterdir() if path.is_dir()):
        path = next(iter(sorted(folder.rglob("*.hea"))), None)
        try:
            record = path and read_record(path)
        except RecordError:  # its signal file was not fetched
            continue
        if record is None:
            continue
        stop = min(record.n_samples, 10_000)
        expected = wfdb.rdrecord(str(path.with_suffix("")), sampto=stop, return_res=32).p_signal.T
        found = record.source.read(0, stop, tuple(range(len(record.lead_names))))
        np.testing.assert_array_equal(found, expected)
        if path.with_suffix(".atr").is_file():
            assert_same_annotations(path.with_suffix(".atr"))
        checked += 1
    assert checked
