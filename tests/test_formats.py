"""Recordings in other formats than WFDB: read back as they were written, and broken ones refused in a sentence."""

import edfio
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.made_files import FS_HZ, START, N, csv_text, ishne, signal, whole, write_edf

from ecg_core.errors import EcgError, RecordError
from ecg_core.pipeline import analyse
from ecg_core.records import find_records, kind_of, read_record
from ecg_core.records.formats import FORMATS, SHARED_SUFFIXES
from ecg_core.records.units import MV_OF_UNIT, mv_of_unit

# The tables of formats and units


def test_every_suffix_belongs_to_one_format_unless_its_files_are_sniffed_in_a_folder():
    suffixes = [suffix for form in FORMATS for suffix in form.suffixes if suffix not in SHARED_SUFFIXES]
    assert len(suffixes) == len(set(suffixes))
    assert len({form.name for form in FORMATS}) == len(FORMATS)


def test_the_kind_of_a_file_is_named_by_its_bytes(tmp_path):
    made = {
        "EDF": write_edf(tmp_path / "a.edf", signal()).read_bytes(),
        "ISHNE": ishne(signal()),
        "Parquet": b"PAR1",
        "zip archive": b"PK\x03\x04",
        "gzip archive": b"\x1f\x8b\x08",
        "PDF document": b"%PDF-1.7",
        "ISHNE file of another version": b"ISHNE9.9",
        "unknown format": bytes(100),
    }
    for kind, content in made.items():
        (tmp_path / "x").write_bytes(content)
        assert kind_of(tmp_path / "x") == kind
    (tmp_path / "x.csv").write_text(csv_text(signal()))
    assert kind_of(tmp_path / "x.csv") == "table of text"
    assert kind_of(tmp_path / "record") == "WFDB"


@pytest.mark.parametrize("unit", ["mV", "uV", "\u00b5V", "\u03bcV", "V", "nV", "microvolts"])
def test_units_are_known_in_any_case_among_the_given_spellings(unit):
    assert mv_of_unit(unit) == mv_of_unit(unit.upper()) == MV_OF_UNIT[unit.lower()]
    assert mv_of_unit(unit, ("cm",)) is None


# EDF and BDF


@pytest.mark.parametrize("unit", ["mV", "uV"])
def test_edf_is_read_as_it_was_written(tmp_path, unit):
    scale = 1000 if unit == "uV" else 1
    record = read_record(write_edf(tmp_path / "x.edf", signal() * scale, unit=unit))
    assert (record.record_id, record.fs_hz, record.n_samples) == ("x", FS_HZ, N)
    assert record.lead_names == ("II", "V1")
    assert record.start == START
    assert record.calibrated == (True, True)
    np.testing.assert_allclose(whole(record), signal(), atol=8 / 65_535 + 1e-6)
    np.testing.assert_array_equal(record.source.read(777, 1234, (1,))[0], whole(record)[1, 777:1234])


def test_bdf_is_read_as_it_was_written(tmp_path):
    path = write_edf(tmp_path / "x.bdf", signal(), kind=edfio.BdfSignal, writer=edfio.Bdf)
    record = read_record(path)
    np.testing.assert_allclose(whole(record), signal(), atol=1e-5)


def test_only_ecg_is_taken_from_edf(tmp_path):
    signals = [
        edfio.EdfSignal(signal()[0], FS_HZ, label="ECG I", physical_dimension="mV", physical_range=(-4, 4)),
        edfio.EdfSignal(np.zeros(20 * 10), 10, label="SpO2", physical_dimension="%", physical_range=(0, 100)),
        edfio.EdfSignal(np.zeros(20 * FS_HZ), FS_HZ, label="EEG Fpz", physical_dimension="uV", physical_range=(-9, 9)),
    ]
    edfio.Edf(signals).write(tmp_path / "x.edf")
    assert read_record(tmp_path / "x.edf").lead_names == ("I",)


def test_a_format_is_recognised_by_the_bytes_and_not_by_the_suffix(tmp_path):
    path = write_edf(tmp_path / "x.edf", signal()).rename(tmp_path / "x.bin")
    assert read_record(path).n_samples == N
    (tmp_path / "y.csv").write_bytes(ishne(signal()))
    assert read_record(tmp_path / "y.csv").lead_names == ("II", "V1")


def edf_plus(path, *, onsets_s=None, notes=()):
    """EDF+ of one lead whose data records of a second began at the given times."""
    lead = edfio.EdfSignal(signal()[0], FS_HZ, label="ECG II", physical_dimension="mV", physical_range=(-4, 4))
    edfio.Edf([lead], annotations=[edfio.EdfAnnotation(*note) for note in notes or [(0, None, "begin")]]).write(path)
    if onsets_s is not None:
        content = path.read_bytes().replace(b"EDF+C", b"EDF+D", 1)
        for second in range(N // FS_HZ - 1, 0, -1):
            before, after = f"+{second}\x14\x14\0", f"+{onsets_s[second]:g}\x14\x14\0"
            place = content.index(before.encode())
            size = len(before) + 3  # the record ends in zeros
            content = content[:place] + after.encode().ljust(size, b"\0")[:size] + content[place + size :]
        path.write_bytes(content)
    return path


def test_gaps_of_an_interrupted_edf_are_missing_samples_at_their_true_times(tmp_path):
    onsets_s = [*range(7), *range(10, 23)]  # three seconds are missing after the seventh
    record = read_record(edf_plus(tmp_path / "x.edf", onsets_s=onsets_s))
    assert record.n_samples == N + 3 * FS_HZ
    found = whole(record)[0]
    assert np.flatnonzero(np.isnan(found)).tolist() == list(range(7 * FS_HZ, 10 * FS_HZ))
    np.testing.assert_allclose(found[: 7 * FS_HZ], signal()[0, : 7 * FS_HZ], atol=1e-3)
    np.testing.assert_allclose(found[10 * FS_HZ :], signal()[0, 7 * FS_HZ :], atol=1e-3)
    part = record.source.read(6 * FS_HZ + 11, 12 * FS_HZ + 5, (0,))[0]
    np.testing.assert_array_equal(part, found[6 * FS_HZ + 11 : 12 * FS_HZ + 5])


def test_an_edf_that_is_marked_as_interrupted_without_a_gap_is_read_as_one_span(tmp_path):
    record = read_record(edf_plus(tmp_path / "x.edf", onsets_s=list(range(20))))
    np.testing.assert_allclose(whole(record)[0], signal()[0], atol=1e-3)


def test_beats_among_the_annotations_of_edf_are_the_reference(tmp_path):
    notes = [
        (0.5, None, "N"),
        (1.3, 0.1, "PVC"),
        (1.5, None, "(AFIB"),
        (1 + 10 / 9, None, "A"),
        (2.2, None, "Patient is up"),
    ]
    record = read_record(edf_plus(tmp_path / "x.edf", notes=notes))
    assert record.reference.symbol.tolist() == ["N", "V", "+", "A"]
    assert record.reference.aux.tolist() == ["", "", "(AFIB", ""]
    np.testing.assert_allclose(record.reference.time_s, [0.5, 1.3, 1.5, 1 + 10 / 9])


@pytest.mark.parametrize(
    "notes",
    [
        [(1.0, None, "Lights off"), (2.0, None, "Movement")],
        [(0.0, 30.0, "N"), (30.0, 30.0, "R")],  # sleep
        [(0.0, None, "N"), (8.0, None, "R"), (16.0, None, "N")],  # too rare to be beats
        [(1.0, None, "V")],
    ],
    ids=["words", "epochs", "rare", "one"],
)
def test_other_annotations_of_edf_are_not_taken_for_beats(tmp_path, notes):
    assert read_record(edf_plus(tmp_path / "x.edf", notes=notes)).reference is None


def test_an_interrupted_edf_that_states_no_times_is_refused_with_the_reason(tmp_path):
    path = write_edf(tmp_path / "x.edf", signal())
    content = bytearray(path.read_bytes())
    content[192:197] = b"EDF+D"
    path.write_bytes(content)
    with pytest.raises(RecordError, match=r"interrupted recording \(EDF\+D\) .* its clock times would be wrong"):
        read_record(path)


@pytest.mark.parametrize("field", [104, 112, 120, 128, 216])
def test_damaged_ranges_and_lengths_are_found_when_the_file_is_opened(tmp_path, field):
    """Physical and digital ranges, samples a record: edfio itself would trip over them only when they are used."""
    content = bytearray(write_edf(tmp_path / "x.edf", signal()).read_bytes())
    n_signals = int(content[252:256])
    place = 256 + n_signals * field
    content[place : place + 8 * n_signals] = b"????????" * n_signals
    (tmp_path / "x.edf").write_bytes(content)
    with pytest.raises(RecordError, match=r"x\.edf"):
        read_record(tmp_path / "x.edf")


# ISHNE


def test_ishne_is_read_as_it_was_written(tmp_path):
    rows = signal()
    rows[0, 100:200] = np.nan
    (tmp_path / "x.ecg").write_bytes(ishne(rows))
    record = read_record(tmp_path / "x.ecg")
    assert (record.fs_hz, record.n_samples, record.lead_names) == (FS_HZ, N, ("II", "V1"))
    assert (record.start, record.age_years) == (START, 51)
    np.testing.assert_allclose(whole(record), rows, atol=0.0013)
    np.testing.assert_array_equal(record.source.read(777, 1234, (1,))[0], whole(record)[1, 777:1234])


def test_an_ishne_file_without_resolution_is_uncalibrated(tmp_path):
    (tmp_path / "x.ecg").write_bytes(ishne(signal(), resolution=0))
    assert read_record(tmp_path / "x.ecg").calibrated == (False, False)


def test_a_patients_name_is_nowhere_in_the_record(tmp_path):
    (tmp_path / "x.ecg").write_bytes(ishne(signal()))
    assert "Firstname" not in repr(read_record(tmp_path / "x.ecg"))


# Tables


@pytest.mark.parametrize(
    ("headings", "scale"),
    [("time_s,II_mv,V1_mv", 1), ("Time (s),II (mV),V1 [mV]", 1), ("t_s,II_uv,V1_uv", 1000), ("time_s,II V,V1 V", 1e-3)],
)
def test_a_table_is_read_by_what_its_headings_say(tmp_path, headings, scale):
    (tmp_path / "x.csv").write_text(csv_text(signal() * scale, headings))
    record = read_record(tmp_path / "x.csv")
    assert (record.fs_hz, record.lead_names) == (FS_HZ, ("II", "V1"))
    np.testing.assert_allclose(whole(record), signal(), atol=1e-5 / min(scale, 1) + 1e-5)


def test_an_empty_cell_is_a_gap_and_other_separators_are_seen(tmp_path):
    rows = signal()
    rows[1, 50:60] = np.nan
    (tmp_path / "x.tsv").write_text(csv_text(rows, "time_s\tII_mv\tV1_mv", separator="\t"))
    found = whole(read_record(tmp_path / "x.tsv"))
    assert np.isnan(found[1, 50:60]).all()
    assert np.isfinite(found[0]).all()


def test_an_apple_watch_electrocardiogram_is_read(tmp_path):
    lines = [
        "Name,Somebody",
        "Recorded Date,2020-01-01 10:00:00",
        "Sample Rate,512 hertz",
        "Lead,Lead I",
        "Unit,µV",
        "",
    ]
    lines += [f"{1000 * x:.3f}" for x in signal(1, 512 * 30)[0]]
    (tmp_path / "x.csv").write_text("\n".join(lines), encoding="utf-8")
    record = read_record(tmp_path / "x.csv")
    assert (record.fs_hz, record.lead_names) == (512, ("I",))
    np.testing.assert_allclose(whole(record), signal(1, 512 * 30), atol=1e-5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a heading and rows of numbers"),
        ("1,2,3\n4,5,6\n", "expected a column of time and columns of leads, each with its unit; found 1, 2, 3"),
        ("time_s,II\n0,1\n", "each with its unit"),
        ("time,II_mv\n0,1\n", "expected a column of time"),
        (csv_text(signal()).replace("0.004000,", "0.044000,", 1), "do not rise|not evenly spaced"),
        (csv_text(signal()).replace("0.008000,", "x,", 1), 'line 4, column time_s: expected a number, got "x"'),
        (csv_text(signal(), fs_hz=10), "expected 50 to 10000 Hz, got 10 Hz"),
        (csv_text(signal()[:, :500]), r"expected at least 5 s, got 2\.0 s"),
        (csv_text(signal()).replace(",0.00000", ",inf", 1), "infinite|expected a number"),
    ],
)
def test_a_table_that_leaves_something_open_is_refused_with_what_is_missing(tmp_path, text, message):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(RecordError, match=message):
        read_record(tmp_path / "x.csv")


# Broken files


def cut_at(content, places):
    return [content[:place] for place in places]


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """Many broken files: truncated at each boundary, lying headers, wrong bytes."""
    folder = tmp_path_factory.mktemp("broken")
    edf = write_edf(folder / "whole.edf", signal()).read_bytes()
    header_bytes = 256 * 3
    holter, table = ishne(signal()), csv_text(signal()).encode()
    contents = {
        **{f"cut{i}.edf": part for i, part in enumerate(cut_at(edf, (8, 100, 255, 256, 300, header_bytes - 1)))},
        **{f"cut{i}.ecg": part for i, part in enumerate(cut_at(holter, (8, 20, 156, 300, 521, 522, 530)))},
        **{f"cut{i}.csv": part for i, part in enumerate(cut_at(table, (0, 1, 10, 18, 19, 40)))},
        "leads0.ecg": ishne(signal(), n_leads=-1),
        "leads300.ecg": ishne(signal(), n_leads=300),
        "rate0.ecg": ishne(signal(), rate=0),
        "rate-1.ecg": ishne(signal(), rate=-1),
        "offset.ecg": ishne(signal(), offset=99_999_999),
        "negative.ecg": ishne(signal(), offset=-5),
        "signals.edf": edf[:252] + b"9999" + edf[256:],
        "letters.edf": edf[:252] + b"xxxx" + edf[256:],
        "minus.edf": edf[:236] + b"-7      " + edf[244:],
        "huge.edf": edf[:236] + b"99999999" + edf[244:],
        "duration0.edf": edf[:244] + b"0       " + edf[252:],
        "unit.edf": edf.replace(b"mV      ", b"degC    "),
        "zeros.bin": bytes(5000),
        "picture.png": b"\x89PNG\r\n\x1a\n" + bytes(500),
        "archive.zip": b"PK\x03\x04" + bytes(500),
        "latin.csv": "time_s,Lüs_mv\n".encode("latin-1"),
        "binary.csv": bytes(range(256)) * 20,
        "empty.edf": b"",
        "cut.parquet": b"PAR1" + bytes(100),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "whole.edf").unlink()
    return folder


def test_every_broken_file_is_refused_in_a_sentence(broken):
    paths = sorted(broken.iterdir())
    assert len(paths) >= 30
    for path in paths:
        with pytest.raises(RecordError) as error:
            record = read_record(path)
            whole(record)
        assert path.stem in str(error.value), path.name
        assert str(error.value).rstrip().endswith((".", ")")), path.name
        assert "Traceback" not in str(error.value)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    kind=st.sampled_from(["edf", "ecg", "csv"]),
    changes=st.lists(st.tuples(st.integers(0, 900), st.integers(0, 255)), min_size=1, max_size=20),
    length=st.integers(0, 3000),
)
def test_random_damage_never_raises_what_is_not_ours(tmp_path, kind, changes, length):
    source = {"edf": lambda: write_edf(tmp_path / "w.edf", signal()).read_bytes(), "ecg": lambda: ishne(signal()),
              "csv": lambda: csv_text(signal()).encode()}[kind]()  # fmt: skip
    content = bytearray(source[: len(source) - length])
    for place, value in changes:
        content[place % len(content)] = value
    path = tmp_path / f"damaged.{kind}"
    path.write_bytes(content)
    try:
        record = read_record(path)
        record.source.read(0, min(record.n_samples, 10_000), tuple(range(len(record.lead_names))))
    except EcgError:
        pass


# The same heart in every format


def test_the_demo_is_read_alike_in_every_format(tmp_path, demo, model, demo_analysis):
    leads = tuple(demo.lead_names.index(name) for name in ("II", "V1"))
    n = 257 * 300
    rows = demo.source.read(0, n, leads).astype(np.float64)
    signals = [
        edfio.EdfSignal(row, 257, label=f"ECG {name}", physical_dimension="mV", physical_range=(-6, 6))
        for row, name in zip(rows, ("II", "V1"), strict=True)
    ]
    edfio.Edf(signals).write(tmp_path / "demo.edf")
    (tmp_path / "demo.ecg").write_bytes(ishne(rows, rate=257, resolution=1000))
    (tmp_path / "demo.csv").write_text(csv_text(rows, fs_hz=257))
    beats = demo_analysis.beats
    expected = beats.label[beats.time_s < 290]
    for name in ("demo.edf", "demo.ecg", "demo.csv"):
        found = analyse(read_record(tmp_path / name), model, lead="II").beats
        label = found.label[found.time_s < 290]
        assert len(label) == len(expected), name
        assert np.mean(label == expected) > 0.99, name


def test_a_folder_offers_records_of_every_format(tmp_path):
    write_edf(tmp_path / "b.edf", signal())
    (tmp_path / "c.ecg").write_bytes(ishne(signal()))
    (tmp_path / "d.csv").write_text(csv_text(signal()))
    (tmp_path / "notes.txt").write_text("nothing")
    assert [path.name for path in find_records(tmp_path)] == ["b.edf", "c.ecg", "d.csv"]


@pytest.mark.parametrize("name", ["RESP", "Pleth", "EMG chin", "Flow", "SaO2", "ACC X", "Temp", "Snore"])
def test_a_signal_beside_an_ecg_is_left_out_of_every_format_by_the_same_names(tmp_path, name):
    wave = signal()
    write_edf(tmp_path / "x.edf", wave, names=("x1", name))
    (tmp_path / "x.csv").write_text(csv_text(wave, headings=f"time_s,x1 [mV],{name} [mV]"))
    counts = np.rint(wave.T * 200).astype("<i2")
    (tmp_path / "y.dat").write_bytes(counts.tobytes())
    lines = "".join(f"y.dat 16 200/mV 16 0 0 0 0 {label}\n" for label in ("x1", name))
    (tmp_path / "y.hea").write_text(f"y 2 {FS_HZ} {len(counts)}\n{lines}")
    for file in ("x.edf", "x.csv", "y"):
        record = read_record(tmp_path / file)
        assert len(record.lead_names) == 1, (file, record.lead_names)
        assert [name.casefold() in left.name.casefold() for left in record.left_out] == [True], file
