"""Records on disk: every format and layout that is read, and a sentence for every one that cannot be."""

import numpy as np
import pytest
import wfdb
from hypothesis import given, settings
from hypothesis import strategies as st
from support.records import DEMO, GAIN, write_record

from ecg_core.errors import LeadError, RecordError
from ecg_core.records import find_records, lead_index, read_annotations, read_record, read_strip, wfdb_samples

FS_HZ = 360
N = 4000  # samples of a test record: 11 s
HUGE = 99_999_999_999


def counts(n_leads=3, n=N, size=500, seed=0):
    return np.random.default_rng(seed).integers(-size, size, (n_leads, n))


def whole(record):
    return record.source.read(0, record.n_samples, tuple(range(len(record.lead_names))))


def header(folder, name, text, *, dat=None):
    """A header as written, beside a signal file of N samples of two leads in format 16 by default."""
    text = text.encode() if isinstance(text, str) else text
    (folder / f"{name}.hea").write_bytes(text)
    if dat is not False:
        (folder / f"{name}.dat").write_bytes(counts(2).T.astype("<i2").tobytes() if dat is None else dat)
    return folder / name


def lines(name, *, form="16", gain="200/mV", leads=("I", "II")):
    return "".join(f"{name}.dat {form} {gain} 12 0 0 0 0 {lead}\n" for lead in leads)


def packed_212(values):
    first, second = (values.ravel() & 0xFFF).reshape(-1, 2).T
    columns = first & 0xFF, (first >> 8) | ((second >> 8) << 4), second & 0xFF
    return np.stack(columns, axis=1).astype(np.uint8).tobytes()


def packed_310(values):
    a, b, c = (np.resize(values.ravel(), -(-values.size // 3) * 3) & 0x3FF).reshape(-1, 3).T
    return np.stack([(a << 1) | ((c & 0x1F) << 11), (b << 1) | ((c >> 5) << 11)], axis=1).astype("<u2").tobytes()


def packed_311(values):
    a, b, c = (np.resize(values.ravel(), -(-values.size // 3) * 3) & 0x3FF).reshape(-1, 3).T
    return (a | (b << 10) | (c << 20)).astype("<u4").tobytes()


PACKED = {  # the bytes of frames, by the tables of WFDB's signal(5)
    "16": (500, lambda x: x.astype("<i2").tobytes()),
    "24": (500_000, lambda x: x.astype("<i4").tobytes()),
    "32": (500_000, lambda x: x.astype("<i4").tobytes()),
    "61": (500, lambda x: x.astype(">i2").tobytes()),
    "80": (120, lambda x: (x + 128).astype(np.uint8).tobytes()),
    "160": (500, lambda x: (x + 32_768).astype("<u2").tobytes()),
    "212": (2000, packed_212),
    "310": (500, packed_310),
    "311": (500, packed_311),
}


def packed(form, values):
    content = PACKED[form][1](values)
    if form == "24":  # three of the four bytes
        return np.frombuffer(content, np.uint8).reshape(-1, 4)[:, :3].tobytes()
    return content


@pytest.mark.parametrize("form", PACKED)
def test_each_format_gives_the_voltages_that_were_stored(tmp_path, form):
    stored = counts(2, size=PACKED[form][0])
    path = header(tmp_path, "x", f"x 2 360 {N}\n{lines('x', form=form)}", dat=packed(form, stored.T))
    np.testing.assert_allclose(whole(read_record(path)), stored / GAIN, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("form", PACKED)
def test_pieces_equal_the_whole(tmp_path, form):
    stored = counts(2, size=PACKED[form][0])
    record = read_record(
        header(tmp_path, "x", f"x 2 360 {N}\n{lines('x', form=form)}", dat=packed(form, stored.T)),
    )
    pieces = [record.source.read(a, min(a + 997, N), (0, 1)) for a in range(0, N, 997)]
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), whole(record))
    np.testing.assert_array_equal(record.source.read(1233, 2345, (1, 0)), whole(record)[::-1, 1233:2345])


@pytest.mark.parametrize("length", [f" {N}", ""], ids=["stated", "not stated"])
def test_differences_of_format_8_are_summed_from_the_beginning_of_the_file(tmp_path, length):
    steps = counts(2, size=40)
    text = f"x 2 360{length}\n{lines('x', form='8').replace('12 0 0', '12 0 7')}"
    record = read_record(header(tmp_path, "x", text, dat=steps.T.astype(np.int8).tobytes()))
    np.testing.assert_allclose(whole(record), (7 + steps.cumsum(axis=1)) / GAIN, atol=1e-5)
    np.testing.assert_array_equal(record.source.read(1001, 2000, (1, 0)), whole(record)[::-1, 1001:2000])


@pytest.mark.parametrize("n", [N, N - N % 32, N - N % 32 + 1])
def test_a_stretch_of_differences_begins_at_a_level_that_was_found_once(tmp_path, monkeypatch, n):
    monkeypatch.setattr(wfdb_samples, "BLOCK", 64)
    steps = counts(2, n=n, size=40)
    path = header(tmp_path, "x", f"x 2 360 {n}\n{lines('x', form='8')}", dat=steps.T.astype(np.int8).tobytes())
    record, expected = read_record(path), steps.cumsum(axis=1) / GAIN
    for start, stop in ((n - 77, n), (0, 5), (31, 33), (64, 128), (n - 1, n)):
        np.testing.assert_allclose(record.source.read(start, stop, (0, 1)), expected[:, start:stop], atol=1e-5)


@pytest.mark.parametrize("form", ["508", "516", "524"])
def test_compressed_records_are_read(tmp_path, form):
    stored = counts(2, size=100)
    wfdb.wrsamp(
        "x", 360, ["mV"] * 2, ["I", "II"], d_signal=stored.T, fmt=[form] * 2, adc_gain=[GAIN] * 2, baseline=[0] * 2,
        write_dir=str(tmp_path),
    )  # fmt: skip
    record = read_record(tmp_path / "x")
    np.testing.assert_allclose(whole(record), stored / GAIN, atol=1e-6)
    np.testing.assert_allclose(record.source.read(1000, 1500, (1,)), stored[1:, 1000:1500] / GAIN, atol=1e-6)


def test_missing_samples_are_nan(tmp_path):
    signal = counts() / GAIN
    signal[1, 100:300] = np.nan
    np.testing.assert_allclose(whole(read_record(write_record(tmp_path, "x", signal))), signal, atol=1e-6)


@pytest.mark.parametrize("suffix", ["", ".hea", ".dat", ".atr"])
def test_a_record_is_found_with_and_without_extension(suffix):
    record = read_record(f"{DEMO}{suffix}")
    assert record.record_id == "demo"
    assert record.duration_s == 1800.0


@pytest.mark.parametrize("suffix", ["", ".hea"])
def test_a_name_may_hold_dots(tmp_path, suffix):
    path = header(tmp_path, "holter.2024.01", f"holter 2 360 {N}\n{lines('x')}", dat=False)
    header(tmp_path, "x", "unused")
    wfdb.wrann("x", "atr", np.array([1000]), symbol=["N"], write_dir=str(tmp_path))
    (tmp_path / "x.atr").rename(tmp_path / "holter.2024.01.atr")
    record = read_record(f"{path}{suffix}")
    assert record.record_id == "holter.2024.01"
    assert record.reference.time_s.tolist() == [1000 / 360]


def test_leads_of_one_name_get_distinct_names(tmp_path):
    names = ("ECG", "ECG", "ECG (2)", "ecg", "II")
    record = read_record(write_record(tmp_path, "x", counts(5) / GAIN, lead_names=names))
    assert len({name.casefold() for name in record.lead_names}) == 5
    assert record.lead_names[0] == "ECG"
    for i, name in enumerate(record.lead_names):
        assert lead_index(record, name) == i
        np.testing.assert_allclose(whole(record)[i], counts(5)[i] / GAIN, atol=1e-6)


def test_leads_without_names_get_numbers(tmp_path):
    record = read_record(header(tmp_path, "x", f"x 2 360 {N}\nx.dat 16\nx.dat 16\n"))
    assert record.lead_names == ("lead 1", "lead 2")


@pytest.mark.parametrize(
    ("gain", "stated"), [("200/mV", True), ("200(10)/mV", True), ("0", False), ("0(0)/mV", False), ("1e2/mV", True)]
)
def test_a_header_without_a_gain_is_known_as_uncalibrated(tmp_path, gain, stated):
    record = read_record(header(tmp_path, "x", f"x 2 360 {N}\n{lines('x', gain=gain)}"))
    assert record.calibrated == (stated, stated)


def test_an_absent_gain_is_uncalibrated_and_read_at_200_a_millivolt(tmp_path):
    record = read_record(header(tmp_path, "x", f"x 2 360 {N}\nx.dat 16\nx.dat 16 100\n"))
    assert record.calibrated == (False, True)
    np.testing.assert_allclose(whole(record), counts(2) / [[200], [100]], atol=1e-6)


@pytest.mark.parametrize(
    ("gain", "encoding"),
    [
        *((gain, "utf-8") for gain in ("200/mV", "0.2/uV", "0.2/UV", "200000/V", "200", "200(0)", "0.0002/nV")),
        ("0.2/\u00b5V", "utf-8"),
        ("0.2/\u00b5V", "latin-1"),
        ("0.2/\u03bcV", "utf-8"),  # the Greek letter, which looks the same and is not in Latin-1
    ],
)
def test_every_unit_of_voltage_comes_out_in_millivolt(tmp_path, gain, encoding):
    text = f"x 2 360 {N}\n{lines('x', gain=gain)}".encode(encoding)
    expected = counts(2) / GAIN
    np.testing.assert_allclose(whole(read_record(header(tmp_path, "x", text))), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_comments_in_any_encoding_are_no_obstacle(tmp_path, encoding):
    text = f"x 2 360 {N}\n{lines('x')}# Größe 1,80 m\n".encode(encoding)
    assert read_record(header(tmp_path, "x", text)).lead_names == ("I", "II")


def test_comments_and_blank_lines_may_stand_anywhere(tmp_path):
    text = f"# first\nx 2 360 {N}\n\n# between\n{lines('x', gain='0')}\n# last\n"
    assert read_record(header(tmp_path, "x", text)).calibrated == (False, False)


def test_a_rate_may_have_a_counter_and_decimals(tmp_path):
    text = f"x 2 249.89/360(10) {N} 10:20:30 01/02/2020\n{lines('x')}"
    record = read_record(header(tmp_path, "x", text))
    assert record.fs_hz == 249.89
    assert record.start.isoformat() == "2020-02-01T10:20:30"


# Segments


def segments(folder, name, parts, *, n_leads=2, total=None, layout=()):
    """A multi-segment record: (segment's name, its leads or None for a gap, length)."""
    first, samples = 0, {}
    rows = [f"{name}_layout 0"] if layout else []
    for number, (part, leads, n) in enumerate(parts):
        rows.append(f"{part} {n}")
        if leads:
            signal = counts(len(leads), n, seed=number) / GAIN
            write_record(folder, part, signal, FS_HZ, lead_names=leads)
            samples |= {(lead, first): row for lead, row in zip(leads, signal, strict=True)}
        first += n
    if layout:
        lead_lines = "".join(f"~ 0 200/mV 16 0 0 0 0 {lead}\n" for lead in layout)
        (folder / f"{name}_layout.hea").write_text(f"{name}_layout {len(layout)} {FS_HZ} 0\n{lead_lines}")
    text = "\n".join([f"{name}/{len(rows)} {len(layout) or n_leads} {FS_HZ} {total or first}", *rows])
    (folder / f"{name}.hea").write_text(text + "\n")
    return folder / name, samples, first


LAYOUTS = {
    "fixed": ([("a", ("I", "II"), 2000), ("b", ("I", "II"), 3000)], ()),
    "fixed with a gap": ([("a", ("I", "II"), 2000), ("~", None, 1000), ("b", ("I", "II"), 3000)], ()),
    "gap first": ([("~", None, 1000), ("a", ("I", "II"), 3000)], ()),
    "gap last": ([("a", ("I", "II"), 3000), ("~", None, 1000)], ()),
    "variable": ([("a", ("II", "V1"), 2000), ("~", None, 1000), ("b", ("I", "II"), 3000)], ("I", "II", "V1")),
}


@pytest.mark.parametrize("kind", LAYOUTS)
def test_segments_lie_where_they_belong_and_gaps_are_nan(tmp_path, kind):
    parts, layout = LAYOUTS[kind]
    path, samples, n = segments(tmp_path, "multi", parts, layout=layout)
    record = read_record(path)
    expected = np.full((len(record.lead_names), n), np.nan)
    for (lead, first), signal in samples.items():
        expected[record.lead_names.index(lead), first : first + len(signal)] = signal
    assert record.lead_names == (layout or ("I", "II"))
    np.testing.assert_allclose(whole(record), expected, atol=1e-6)


@pytest.mark.parametrize("kind", LAYOUTS)
@settings(max_examples=25)
@given(data=st.data())
def test_any_piece_of_a_record_in_segments_equals_the_whole(tmp_path_factory, kind, data):
    parts, layout = LAYOUTS[kind]
    path, _, n = segments(tmp_path_factory.mktemp("multi"), "multi", parts, layout=layout)
    record = read_record(path)
    start, stop = sorted(data.draw(st.tuples(st.integers(0, n - 1), st.integers(1, n))))
    leads = tuple(data.draw(st.permutations(range(len(record.lead_names)))))
    np.testing.assert_array_equal(record.source.read(start, stop, leads), whole(record)[list(leads), start:stop])


def test_segments_may_differ_in_unit_and_gain(tmp_path):
    path, samples, _ = segments(tmp_path, "multi", LAYOUTS["fixed"][0])
    text = (tmp_path / "b.hea").read_text()
    (tmp_path / "b.hea").write_text(text.replace("200/mV", "0.2/uV"))
    np.testing.assert_allclose(whole(read_record(path))[0, 2000:], samples["I", 2000], atol=1e-5)


def test_segments_are_no_records_of_their_own(tmp_path):
    segments(tmp_path, "multi", LAYOUTS["variable"][0], layout=LAYOUTS["variable"][1])
    write_record(tmp_path, "single.1", counts() / GAIN)
    assert [path.name for path in find_records(tmp_path)] == ["multi", "single.1"]


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda folder: (folder / "b.hea").unlink(), "b.hea"),
        (lambda folder: (folder / "b.dat").unlink(), "b.dat"),
        (lambda folder: (folder / "b.dat").write_bytes(b"123"), "truncated"),
        (lambda folder: rewrite(folder / "multi.hea", "b 3000", f"b {HUGE}"), "do not belong together"),
        (lambda folder: rewrite(folder / "multi.hea", "5000", str(HUGE)), f"{HUGE:,}"),
        (lambda folder: rewrite(folder / "multi.hea", "a 2000", "multi 2000"), "segments of its own"),
        (lambda folder: rewrite(folder / "b.hea", "360", "250"), "250 Hz"),
        (lambda folder: rewrite(folder / "multi.hea", "a 2000", "../a 2000"), "multi.hea"),
    ],
)
def test_a_damaged_record_in_segments_is_refused_with_a_sentence(tmp_path, change, wanted):
    path, *_ = segments(tmp_path, "multi", LAYOUTS["fixed"][0])
    change(tmp_path)
    with pytest.raises(RecordError, match=wanted):
        read_record(path)


def rewrite(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


# Identity


@pytest.mark.parametrize("name", ["multi.hea", "multi_layout.hea", "multi.atr", "a.hea", "a.dat", "b.hea", "b.dat"])
def test_the_hash_changes_with_any_byte_of_any_file(tmp_path, name):
    path, *_ = segments(tmp_path, "multi", LAYOUTS["variable"][0], layout=LAYOUTS["variable"][1])
    wfdb.wrann("multi", "atr", np.array([100, 2000]), symbol=["N", "V"], write_dir=str(tmp_path))
    before = read_record(path).sha256
    assert read_record(path).sha256 == before
    content = bytearray((tmp_path / name).read_bytes())
    content += b"\n" if name.endswith(".hea") else b""
    if name.endswith(".dat"):
        content[len(content) // 2] ^= 1
    if name.endswith(".atr"):
        content[1] ^= 0b1100  # another symbol
    (tmp_path / name).write_bytes(bytes(content))
    assert read_record(path).sha256 != before


# Annotations


def test_annotations_keep_their_time_symbol_and_note(tmp_path):
    sample, symbol = np.array([0, 10, 10, 5000, 70_000, 3_000_000]), list("N+VSF/")
    wfdb.wrann("x", "atr", sample, symbol=symbol, aux_note=["", "(AFIB", "", "", "", ""], write_dir=str(tmp_path))
    found = read_annotations(tmp_path / "x.atr", 360.0)
    np.testing.assert_allclose(found.time_s, sample / 360)
    assert found.symbol.tolist() == symbol
    assert found.aux.tolist() == ["", "(AFIB", "", "", "", ""]


def written_annotations(path, *annotations):
    """An annotation file of (WFDB's code, samples since the one before), by the tables of WFDB's annot(5)."""
    skip = 59
    words = [
        word for code, step in annotations for word in (skip << 10, (step >> 16) & 0xFFFF, step & 0xFFFF, code << 10)
    ]
    path.write_bytes(np.array([*words, 0], dtype="<u2").tobytes())
    return path


def test_annotations_out_of_order_are_sorted(tmp_path):
    found = read_annotations(written_annotations(tmp_path / "x.atr", (1, 720), (5, -360), (8, 1800)), 360.0)
    assert found.time_s.tolist() == [1.0, 2.0, 6.0]
    assert found.symbol.tolist() == ["V", "N", "A"]


def test_annotations_before_the_start_are_refused(tmp_path):
    with pytest.raises(RecordError, match=r"x\.atr: .*got 1 before the record's start"):
        read_annotations(written_annotations(tmp_path / "x.atr", (1, 720), (5, -1000)), 360.0)


def test_an_annotation_one_sample_past_the_end_is_kept(tmp_path):
    path = write_record(tmp_path, "x", counts() / GAIN)
    wfdb.wrann("x", "atr", np.array([100, N]), symbol=["N", "N"], write_dir=str(tmp_path))
    assert read_record(path).reference.time_s.tolist() == [100 / 360, N / 360]


def test_a_record_without_annotations_has_no_reference(tmp_path):
    assert read_record(write_record(tmp_path, "x", counts() / GAIN)).reference is None


@given(st.binary(max_size=300))
def test_junk_for_annotations_gives_sorted_annotations_or_a_sentence(tmp_path_factory, junk):
    path = tmp_path_factory.mktemp("junk") / "x.atr"
    path.write_bytes(junk)
    try:
        found = read_annotations(path, 360.0)
    except RecordError as error:
        assert "x.atr" in str(error)
    else:
        assert (np.diff(found.time_s) >= 0).all()
        assert (found.time_s >= 0).all()


# Strips


def test_a_strip_is_cut_at_the_ends_of_the_record(demo):
    early = read_strip(demo, "ii", start_s=-5, length_s=10)
    assert (early.start_s, len(early.signal_mv)) == (0.0, 5 * 257)
    late = read_strip(demo, "V6", start_s=1795, length_s=10)
    assert len(late.signal_mv) == 5 * 257
    assert len(read_strip(demo, "V6", start_s=1800, length_s=10).signal_mv) == 0
    np.testing.assert_array_equal(late.signal_mv, demo.source.read(1795 * 257, 1800 * 257, (11,))[0])


def test_an_unknown_lead_is_refused_and_the_known_ones_are_named(demo):
    with pytest.raises(LeadError, match=r'"V9" is not in record demo; it has I, II, III'):
        lead_index(demo, "V9")


# What cannot be read

BAD_HEADERS = {
    "a rate of 0": ("x 2 0 4000\n" + lines("x"), "0 Hz"),
    "a negative rate": ("x 2 -360 4000\n" + lines("x"), '"-360"'),
    "a rate of 1e9": ("x 2 1000000000 4000\n" + lines("x"), r"1e\+09 Hz"),
    "a rate in words": ("x 2 fast 4000\n" + lines("x"), '"fast"'),
    "a rate with an exponent": ("x 2 3.6e2 4000\n" + lines("x"), '"3.6e2"'),
    "a negative length": ("x 2 360 -4000\n" + lines("x"), "no length"),
    "3 s": ("x 2 360 1080\n" + lines("x"), "3.0 s"),
    "more samples than there are": (f"x 2 360 {HUGE}\n" + lines("x"), f"{HUGE:,} samples, 3,215 days"),
    "a signal of another record": ("x 2 360 4001\n" + lines("x", form="16x900"), "4,001 samples"),
    "no leads": ("x 0 360 4000\n", "no signals"),
    "more leads than lines": ("x 3 360 4000\n" + lines("x"), "expected 3 leads, as its first line states, got 2"),
    "fewer leads than lines": ("x 1 360 4000\n" + lines("x"), "expected 1 lead, as its first line states, got 2"),
    "an unknown format": ("x 2 360 4000\n" + lines("x", form="999"), "got 999"),
    "a path to a parent folder": ("x 2 360 4000\n" + lines("../x"), "x.hea"),
    "an absolute path": ("x 2 360 4000\n" + lines("/etc/passwd"), "x.hea"),
    "a path of Windows": ("x 2 360 4000\n" + lines("..\\x"), "x.hea"),
    "a signal file that was renamed": ("x 2 360 4000\n" + lines("y"), "y.dat, which is not beside it"),
    "prose": ("Dear colleague,\nplease find enclosed\n", "line 1: expected that of a WFDB header"),
    "nothing": (b"", "line 1: expected that of a WFDB header"),
    "comments": (b"# a\n# b\n", "line 1: expected that of a WFDB header"),
    "zeros": (b"\0" * 100, "line 1: expected that of a WFDB header"),
    "binary junk": (np.random.default_rng(1).bytes(5000), "line 1: expected that of a WFDB header"),
}


@pytest.mark.parametrize("kind", BAD_HEADERS)
def test_a_header_that_promises_the_impossible_is_refused_with_a_sentence(tmp_path, kind):
    text, wanted = BAD_HEADERS[kind]
    with pytest.raises(RecordError, match=wanted) as error:
        read_record(header(tmp_path, "x", text))
    assert "x.hea" in str(error.value)
    assert str(error.value).endswith(".")


@given(st.binary(max_size=200))
def test_any_bytes_for_a_header_are_refused_or_read(tmp_path_factory, junk):
    try:
        record = read_record(header(tmp_path_factory.mktemp("junk"), "x", junk))
    except RecordError:
        return
    assert np.isfinite(record.fs_hz)


@given(st.text("x 0123456789./-+()mVu~\n", max_size=80))
@settings(max_examples=300)
def test_any_line_that_looks_like_a_header_is_refused_or_read(tmp_path_factory, text):
    try:
        record = read_record(header(tmp_path_factory.mktemp("junk"), "x", text))
        whole(record)
    except RecordError:
        return


def test_an_empty_signal_file_is_refused(tmp_path):
    with pytest.raises(RecordError, match="got 0 bytes"):
        read_record(header(tmp_path, "x", f"x 2 360 {N}\n{lines('x')}", dat=b""))


def test_a_missing_signal_file_is_refused(tmp_path):
    with pytest.raises(RecordError, match=r"x\.dat, which is not beside it"):
        read_record(header(tmp_path, "x", f"x 2 360 {N}\n{lines('x')}", dat=False))


def test_a_compressed_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(RecordError, match=r"x\.dat: .* expected a signal compressed as FLAC \(format 516\)"):
        read_record(header(tmp_path, "x", f"x 2 360 4000\n{lines('x', form='516')}"))


def test_a_file_that_shrinks_after_it_was_opened_is_refused_when_it_is_read(tmp_path):
    path = write_record(tmp_path, "x", counts() / GAIN)
    record = read_record(path)
    (tmp_path / "x.dat").write_bytes(b"12")
    with pytest.raises(RecordError, match=r"x\.dat: was changed since it was opened; .* expected 24,000 bytes, got 2"):
        whole(record)


def test_a_path_that_does_not_exist_is_refused_and_its_neighbours_are_named(tmp_path):
    write_record(tmp_path, "neighbour", counts() / GAIN)
    with pytest.raises(RecordError, match=r"nobody.hea.*does not exist.*neighbour"):
        read_record(tmp_path / "nobody")
    with pytest.raises(RecordError, match="no records in that folder"):
        read_record(tmp_path / "nowhere" / "nobody")


@pytest.mark.parametrize("path", [".", "", "/"])
def test_a_folder_is_no_record(path):
    with pytest.raises(RecordError, match="got a folder"):
        read_record(path)


def test_a_folder_without_records_is_refused(tmp_path):
    with pytest.raises(RecordError, match="no recording was found in this folder"):
        find_records(tmp_path)


def test_no_sample_is_read_when_a_record_is_opened(tmp_path, monkeypatch):
    path = write_record(tmp_path, "x", counts() / GAIN)
    monkeypatch.setattr(wfdb, "rdrecord", lambda *a, **k: pytest.fail("samples were read"))
    assert read_record(path).n_samples == N
