"""Plain WFDB records give what the wfdb library gives, which is the oracle here; what is not plain is left to it."""

import numpy as np
import pytest
import wfdb
from hypothesis import given
from hypothesis import strategies as st
from support.records import DEMO

from ecg_core.records.wfdb_plain import SYMBOLS, plain_annotations, plain_header, plain_signal

FIELDS = (
    "n_sig", "fs", "sig_len", "base_time", "base_date", "comments", "file_name", "fmt", "byte_offset",
    "samps_per_frame", "skew", "adc_gain", "baseline", "sig_name",
)  # fmt: skip
N_BYTES = 600  # of a signal file here
spaces = st.sampled_from([" ", "  ", "\t"])
names = st.sampled_from(["x.dat", "x-1.mat", "x", "~x.dat", "x.dat.old"])
forms = st.sampled_from(["16", "212", "61", "80", "24", "8", "16x2", "16:3", "16+24", "212+3"])
gains = st.sampled_from(
    ["200", "0", "-5", "200.5/mV", "200(10)/mV", "200(-3)/uV", "1e3", "200/", "200()", "200(1)", "mV"]
)
times = st.sampled_from(
    ["", "12:00:00", "1:2:3.5", "12:30", "25:00:00", "12:00:00 01/02/1990", "12:00:00 1/2/90", "12:00:00 31/02/1990"]
)
leads = st.sampled_from(["", "II", "lead II", "V1 # not a comment", "II\x0bx"])


@st.composite
def headers(draw):
    """The text of a header that is plain, or nearly so."""
    gap, n = draw(spaces), draw(st.integers(1, 3))
    rate = draw(st.sampled_from(["360", "257.5", "360.", "360/10", "-360", ""]))
    first = gap.join(["x", str(draw(st.sampled_from([n, n, n, n + 1]))), rate, "100", draw(times)]).rstrip()
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
def test_a_plain_header_says_what_the_library_says(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("hea") / "x.hea"
    path.write_bytes(text.encode())
    header = plain_header(path)
    if header is not None:
        expected = wfdb.rdheader(str(path.with_suffix("")))
        assert {name: getattr(header, name) for name in FIELDS} == {name: getattr(expected, name) for name in FIELDS}


@pytest.mark.parametrize("form", ["16", "61", "80", "212"])
@given(data=st.data())
def test_any_samples_of_a_plain_signal_file_are_those_of_the_library(tmp_path_factory, form, data):
    folder, n_leads = tmp_path_factory.mktemp("dat"), data.draw(st.integers(1, 3))
    n = N_BYTES // 2 // n_leads
    gains = data.draw(st.lists(st.sampled_from(["200/mV", "0", "333.3(7)/mV"]), min_size=n_leads, max_size=n_leads))
    lines = [f"x.dat {form} {gain} 12 5 0 0 0 I{lead}" for lead, gain in enumerate(gains)]
    (folder / "x.hea").write_text("\n".join([f"x {n_leads} 360 {n}", *lines]), encoding="ascii")
    content = np.random.default_rng(data.draw(st.integers(0, 9))).integers(0, 256, N_BYTES).astype(np.uint8)
    content[:48] = np.frombuffer(b"\x00\x80\x80\x00\x08\x80" * 8, dtype=np.uint8)  # samples that were not recorded
    (folder / "x.dat").write_bytes(content.tobytes())
    start = data.draw(st.integers(0, n - 1))
    stop, channels = data.draw(st.integers(start + 1, n)), data.draw(st.permutations(range(n_leads)))
    channels = [*channels][: data.draw(st.integers(1, n_leads))]
    signal = plain_signal(folder / "x", plain_header(folder / "x.hea"))
    expected = wfdb.rdrecord(str(folder / "x"), sampfrom=start, sampto=stop, channels=channels, return_res=32)
    np.testing.assert_array_equal(signal.read(start, stop, channels), expected.p_signal)


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
    header = plain_header(DEMO.with_suffix(".hea"))
    assert plain_signal(DEMO, header) is not None
    assert plain_annotations(DEMO.with_suffix(".atr")) is not None


@pytest.mark.databases
def test_a_record_of_each_database_is_read_as_the_library_reads_it(databases):
    checked = 0
    for folder in sorted(path for path in databases.iterdir() if path.is_dir()):
        header_path = next(iter(sorted(folder.rglob("*.hea"))), None)
        header = header_path and plain_header(header_path)
        signal = header and plain_signal(header_path.with_suffix(""), header)
        if signal is None or not signal.path.is_file():
            continue
        stem, stop = header_path.with_suffix(""), min(header.sig_len, 10_000)
        expected = wfdb.rdrecord(str(stem), sampto=stop, return_res=32).p_signal
        np.testing.assert_array_equal(signal.read(0, stop, [*range(header.n_sig)]), expected)
        if stem.with_suffix(".atr").is_file():
            assert_same_annotations(stem.with_suffix(".atr"))
        checked += 1
    assert checked
