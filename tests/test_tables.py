"""Tables of text as recorders, spreadsheets and other programs write them: each value at its time, or a reason."""

import json

import numpy as np
import pandas as pd
import pytest
from support.made_files import FS_HZ, N, csv_text, signal, whole

from ecg_core.errors import MissingMetadataError, RecordError
from ecg_core.overrides import NO_OVERRIDES, LeftOut, RecordOverrides
from ecg_core.records import find_records, kind_of, read_record

TIME_S = np.arange(N) / FS_HZ
ECG = signal(1)[0]


def opened(folder, content, overrides=NO_OVERRIDES, *, name="x.csv"):
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_record(folder / name, overrides)


def columns(*cells, separator=",", before="", end="\n"):
    """Lines of a table below what stands before it."""
    return before + "".join(separator.join(row) + end for row in zip(*cells, strict=True))


def times(form="{:.3f}", time_s=TIME_S):
    return [form.format(t) for t in time_s]


def numbers(rows=ECG, *, decimal="."):
    return [f"{x:.4f}".replace(".", decimal) for x in rows]


def clock_times(form="%H:%M:%S.%f", start="2024-03-02 23:59:50", time_s=TIME_S):
    return pd.to_datetime(np.round(time_s * 1e6).astype(np.int64), unit="us", origin=start).strftime(form)


def assert_is(record, expected=ECG, *, fs_hz=FS_HZ, atol=1e-4):
    assert record.fs_hz == fs_hz
    np.testing.assert_allclose(whole(record)[0], expected, atol=atol)


# What stands before a table


COMMENTED = [
    "# a note\n# Time, II\ntime_s,II_mv\n",
    "%Sample Rate = 250 Hz\n% a note, of two parts\n\ntime_s,II_mv\n",
    "; a note\ntime_s,II_mv\n\n",
    "A title of the recording\n\n\ntime_s,II_mv\n",
    "sep=,\ntime_s,II_mv\n",
    "\ufefftime_s,II_mv\n",
    "Patient;unknown\nRecorder: a recorder\ntime_s,II_mv\n",
    "# time_s,II_mv\n",
]


@pytest.mark.parametrize("before", COMMENTED)
def test_lines_before_a_table_are_no_part_of_it(tmp_path, before):
    record = opened(tmp_path, columns(times(), numbers(), before=before))
    assert record.lead_names == ("II",)
    assert_is(record)


def test_excel_states_its_separator_in_the_first_line(tmp_path):
    assert_is(opened(tmp_path, columns(times(), numbers(), separator=";", before="sep=;\nTime (s);ECG (mV)\n")))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "latin-1"])
def test_the_micro_sign_is_known_in_every_encoding(tmp_path, encoding):
    text = columns(times(), numbers(1000 * ECG), separator="\t", before="Zeit [s]\tII [µV]\n", end="\r\n")
    record = opened(tmp_path, text.encode(encoding), name="x.txt")
    assert record.lead_names == ("II",)
    assert_is(record)


def test_rate_and_unit_are_taken_from_the_lines_before_a_table(tmp_path):
    before = "# Simple Text Format\n# Sampling Rate (Hz):= 250.00\n# Resolution:= 12\n# Labels:= ECG\n"
    with pytest.raises(MissingMetadataError, match=r"the unit .* is not stated") as error:
        opened(tmp_path, columns(numbers(200 * ECG), before=before), name="x.txt")
    assert (error.value.rate, error.value.unit) == (False, True)
    assert_is(opened(tmp_path, columns(numbers(200 * ECG), before=before), RecordOverrides(per_mv=200.0), name="x.txt"))
    assert_is(opened(tmp_path, columns(numbers(1000 * ECG), before=before + "# Unit: uV\n"), name="x.txt"))
    with pytest.raises(RecordError, match="a rate of 500 Hz was given, but the file states 250 Hz"):
        opened(tmp_path, columns(numbers(), before=before), RecordOverrides(500.0, 1.0), name="x.txt")
    with pytest.raises(RecordError, match="a unit of 1 per mV was given, but"):
        opened(tmp_path, columns(numbers(), before=before + "# Unit: uV\n"), RecordOverrides(per_mv=1.0), name="x.txt")


@pytest.mark.parametrize("note", ["Samples: 500", "Number of samples = 500", "Heart rate: 70", "Sampling interval: 4"])
def test_no_other_number_is_taken_for_the_rate(tmp_path, note):
    with pytest.raises(MissingMetadataError) as error:
        opened(tmp_path, columns(numbers(), before=f"# {note}\nII_mv\n"))
    assert error.value.rate


def open_signals(sensors=("ECG", "EDA")):
    device = {
        "sensor": list(sensors), "device name": "00:07:80:00:00:00", "column": ["nSeq", "I1", "O1", "A1", "A2"],
        "time": "10:31:54.500", "date": "2024-3-2", "sampling rate": 250, "label": ["A1", "A2"],
        "resolution": [4, 1, 1, 10, 10],
    }  # fmt: skip
    before = f"# OpenSignals Text File Format\n# {json.dumps({'00:07:80:00:00:00': device})}\n# EndOfHeader\n"
    counts = [f"{512 + 100 * x:.0f}" for x in ECG]
    other = ["0"] * N
    return columns(
        [str(i % 16) for i in range(N)], other, other, counts, other, separator="\t", before=before, end="\t\n"
    )


def test_opensignals_states_rate_start_and_sensors_and_its_counts_need_a_unit(tmp_path):
    with pytest.raises(MissingMetadataError, match="Its leads are counts of 10 bits") as error:
        opened(tmp_path, open_signals(), name="x.txt")
    assert (error.value.rate, error.value.unit) == (False, True)
    record = opened(tmp_path, open_signals(), RecordOverrides(per_mv=100.0), name="x.txt")
    assert (record.lead_names, str(record.start)) == (("A1",), "2024-03-02 10:31:54.500000")
    assert [channel.name for channel in record.left_out] == ["nSeq", "I1", "O1", "A2"]
    assert_is(record, 5.12 + ECG, atol=0.006)


@pytest.mark.parametrize(
    "before",
    [
        "Interval=\t0.004 s\nChannelTitle=\tECG\n", "4 msec/sample\n", "# Sampling interval: 4 ms\n",
        "'sample interval','MLII'\n'0.004 sec','mV'\n", "Sample rate,250.000000\nUnit,mV\n\n", "# fs = 0.25 kHz\n",
    ],
)  # fmt: skip
def test_the_rate_is_also_stated_as_an_interval(tmp_path, before):
    cells = [numbers()] if "sample interval" not in before else [[str(i) for i in range(N)], numbers()]
    has_unit = "mV" in before
    text = columns(*cells, before=before)
    assert_is(opened(tmp_path, text, NO_OVERRIDES if has_unit else RecordOverrides(per_mv=1.0)))


def test_openbci_states_its_rate_and_its_times_waver(tmp_path):
    """Packets arrive late; the board's own rate counts, and every channel that is no lead is named."""
    before = "%OpenBCI Raw EXG Data\n%Number of channels = 1\n%Sample Rate = 250 Hz\n%Board = OpenBCI_GUI$BoardCyton\n"
    heading = "Sample Index, EXG Channel 0, Accel Channel 0, Timestamp, Timestamp (Formatted)\n"
    ends = np.cumsum(np.random.default_rng(1).integers(2, 20, N))  # of packets of any size
    late_s = (ends[np.searchsorted(ends, np.arange(N), side="right")] - ends[0]) / FS_HZ
    cells = (
        [f"{i % 256}.0" for i in range(N)],
        numbers(1000 * ECG),
        ["0.02"] * N,
        times("{:.4f}", late_s + 1_709_423_990),
    )
    formatted = [stamp[:-3] for stamp in clock_times("%Y-%m-%d %H:%M:%S.%f", time_s=late_s)]
    record = opened(
        tmp_path, columns(*cells, formatted, separator=", ", before=before + heading), RecordOverrides(per_mv=1000.0),
        name="x.txt",
    )  # fmt: skip
    assert record.lead_names == ("EXG Channel 0",)
    assert record.left_out == (LeftOut("Sample Index", "counts the rows"), LeftOut("Accel Channel 0", "movement"))
    assert record.doubts == ("its times are not evenly spaced; it is read at the 250 Hz that the file states",)
    assert str(record.start) == "2024-03-02 23:59:50"
    assert_is(record)


def test_headings_between_spaces_may_hold_spaces(tmp_path):
    before = "   Elapsed time      MLII\n   hh:mm:ss.mmm      (mV)\n"
    record = opened(tmp_path, columns([f"     0:{t:06.3f}" for t in TIME_S], numbers(), separator="   ", before=before))
    assert record.lead_names == ("MLII",)
    assert_is(record)


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
def test_lines_end_as_on_any_computer(tmp_path, end):
    assert_is(opened(tmp_path, columns(times(), numbers(), before=f"time_s,II_mv{end}", end=end)))


def test_a_list_of_samples_in_a_cell_is_named(tmp_path):
    with pytest.raises(RecordError, match=r"holds a list of samples in one cell\. Write each of them into a row"):
        opened(tmp_path, 'start,duration,signal\n2024-03-02T10:00:00,30,"[' + ",".join(["12"] * 9000) + ']"\n')


def test_a_comment_between_the_rows_is_no_row(tmp_path):
    lines = columns(times(), numbers(), before="time_s,II_mv\n").splitlines()
    lines[100:100] = ["# the patient stood up, and sat down", ""]
    assert_is(opened(tmp_path, "\n".join(lines)))


# Units, quotes, separators, decimals


@pytest.mark.parametrize(
    ("pattern", "cells", "clock"),
    [
        ("hh:mm:ss.mmm", [f"'0:{t:06.3f}'" for t in TIME_S], None),
        ("mm:ss.mmm", [f"'{t:09.6f}'".replace("'", "'00:", 1) for t in TIME_S], None),
        ("sec", times("{:.3f}"), None),
        ("[hh:mm:ss.mmm dd/mm/yyyy]", [f"'[{t}]'" for t in clock_times("%H:%M:%S.%f %d/%m/%Y")], "2024-03-02 23:59:50"),
    ],
)
def test_a_row_of_units_below_the_headings_belongs_to_them(tmp_path, pattern, cells, clock):
    before = f"'Elapsed time','MLII','V5'\n'{pattern}','mV','uV'\n"
    record = opened(tmp_path, columns(cells, numbers(), numbers(500 * ECG), before=before))
    assert (record.lead_names, record.left_out) == (("MLII", "V5"), ())
    assert_is(record)
    np.testing.assert_allclose(whole(record)[1], ECG / 2, atol=1e-4)
    assert str(record.start) == str(clock)


@pytest.mark.parametrize(
    ("separator", "decimal", "quote"),
    [
        (";", ",", ""), ("\t", ",", ""), (",", ".", '"'), (",", ",", '"'), (";", ".", ""), ("\t", ".", ""),
        ("|", ".", ""), ("  ", ".", ""), (" ", ",", ""), (", ", ".", ""),
    ],
)  # fmt: skip
def test_separators_and_decimal_marks_are_seen_in_the_rows(tmp_path, separator, decimal, quote):
    cells = [[quote + cell.replace(".", decimal) + quote for cell in column] for column in (times(), numbers())]
    assert_is(opened(tmp_path, columns(*cells, separator=separator, before=separator.join(["time_s", "II_mv"]) + "\n")))


def test_one_column_with_decimal_commas_is_one_column(tmp_path):
    assert_is(opened(tmp_path, columns(numbers(decimal=","), before="II_mv\n"), RecordOverrides(fs_hz=FS_HZ)))


def test_decimals_with_leading_zeros_make_one_column_without_headings(tmp_path):
    cells = [f"{x:.4f}".replace(".", ",") for x in ECG]
    assert_is(opened(tmp_path, columns(cells), RecordOverrides(FS_HZ, 1.0)))
    record = opened(tmp_path, columns(["3", "-4"] * 2500, ["12", "7"] * 2500), RecordOverrides(FS_HZ, 1.0))
    assert record.lead_names == ("lead 1", "lead 2")


def test_decimal_commas_between_commas_are_refused_with_the_line(tmp_path):
    text = columns(times("{:.3f}"), numbers(), before="time_s,II_mv\n").replace(".", ",")
    with pytest.raises(
        RecordError, match=r"line 2: is not as wide as line 1: expected 2 cells, got 4\. .* separate .* by semicolons"
    ):
        opened(tmp_path, text)


@pytest.mark.parametrize(("separator", "mark"), [(";", "."), (";", ","), ("\t", ",")])
def test_numbers_grouped_by_thousands_are_refused(tmp_path, separator, mark):
    cells = [f"{round(2000 * x):,}".replace(",", mark) for x in ECG]
    with pytest.raises(RecordError, match="grouped by thousands"):
        opened(
            tmp_path,
            columns([f"{4 * i}" for i in range(N)], cells, separator=separator, before=f"t_ms{separator}II_uv\n"),
        )


@pytest.mark.parametrize("word", ["", "NaN", "NA", "-", "null", " "])
def test_words_for_nothing_are_missing_samples(tmp_path, word):
    cells = numbers()
    cells[100:200] = [word] * 100
    found = whole(opened(tmp_path, columns(times(), cells, before="time_s,II_mv\n")))[0]
    assert np.flatnonzero(np.isnan(found)).tolist() == list(range(100, 200))


def test_scientific_notation_and_a_spike_are_kept(tmp_path):
    rows = ECG.copy()
    rows[300] = 1e6
    record = opened(tmp_path, columns(times("{:.6e}"), [f"{x:.6E}" for x in rows], before="time_s,II_mv\n"))
    assert_is(record, rows)


@pytest.mark.parametrize("has_time", [True, False])
def test_a_separator_at_the_end_of_each_line_shifts_no_column(tmp_path, has_time):
    first, name = (times(), "time_s") if has_time else ([str(i) for i in range(N)], "sample")
    text = columns(first, numbers(), numbers(ECG / 2), before=f"{name},II_mv,V1_mv\n", end=",\n")
    if not has_time:
        with pytest.raises(MissingMetadataError, match="; the sampling rate in Hz is not stated"):
            opened(tmp_path, text)
    record = opened(tmp_path, text, RecordOverrides(None if has_time else FS_HZ))
    assert record.lead_names == ("II", "V1")
    assert record.left_out == (() if has_time else (LeftOut("sample", "counts the rows"),))
    assert_is(record)
    np.testing.assert_allclose(whole(record)[1], ECG / 2, atol=1e-4)


def test_a_column_without_a_heading_of_its_own_shifts_no_heading(tmp_path):
    with pytest.raises(RecordError, match="line 2: is not as wide as line 1: expected 2 cells, got 3"):
        opened(tmp_path, columns([f'"{i + 1}"' for i in range(N)], times(), numbers(), before='"time_s","II_mv"\n'))


# What columns mean


def test_a_lead_without_a_unit_beside_others_is_named_and_read_with_the_unit(tmp_path):
    text = columns(times(), numbers(), numbers(2 * ECG), before="time_s,II_mv,V1\n")
    record = opened(tmp_path, text)
    assert record.lead_names == ("II",)
    assert record.left_out == (LeftOut("V1", "no unit; open it with its unit to read it too"),)
    record = opened(tmp_path, text, RecordOverrides(per_mv=1000.0))
    assert (record.lead_names, record.overrides.per_mv) == (("II", "V1"), 1000.0)
    assert_is(record)
    np.testing.assert_allclose(whole(record)[1], ECG / 500, atol=1e-4)


def test_every_column_that_is_no_lead_is_named_with_its_reason(tmp_path):
    names = {
        "": "counts the rows", "HR": "a heart rate", "RR_ms": "in ms, no unit of an ECG",
        "acc_x [mg]": "in mg, no unit of an ECG",
        "ACC_Y": "movement", "Temperature": "a temperature", "ABP (mmHg)": "in mmHg, no unit of an ECG",
        "signal quality": "a quality", "event": "marks of events", "EMG [mV]": "an EMG",
        "note": "holds text",
    }  # fmt: skip
    cells = [[str(i) for i in range(N)], *[["5"] * N] * 9, ["word"] * N]
    text = columns(times(), numbers(), *cells, before=",".join(["time_s", "II_mv", *names]) + "\n")
    record = opened(tmp_path, text)
    assert record.lead_names == ("II",)
    assert record.left_out == tuple(LeftOut(name or "column 3", reason) for name, reason in names.items())


def test_a_lead_that_begins_late_is_a_lead_and_a_late_note_is_none(tmp_path):
    late = [*[""] * 2000, *numbers()[2000:]]
    notes = [*[""] * 3000, "the patient stood up", *[""] * (N - 3001)]
    text = columns(times(), late, late, notes, before="time_s,II_mv,V1,remark\n")
    record = opened(tmp_path, text, RecordOverrides(per_mv=1.0))
    assert record.lead_names == ("II", "V1")
    assert record.left_out == (LeftOut("remark", "holds text"),)
    assert np.isnan(whole(record)[:, :2000]).all()
    np.testing.assert_allclose(whole(record)[1, 2000:], ECG[2000:], atol=1e-4)


@pytest.mark.parametrize(
    ("heading", "name", "mv"),
    [("ECG/mV", "ECG", 1), ("ecg [uV]", "ecg", 1e-3), ("Lead I (µV)", "Lead I", 1e-3), ("mV", "lead 1", 1),
     ("aVR (millivolts)", "aVR", 1),
     ("ECG_bp_mv", "ECG_bp", 1), ("ECG_min", None, None), ("V", None, None), ("V1", None, None),
     ("ECG (raw)", None, None)],
)  # fmt: skip
def test_a_unit_is_read_from_a_heading_or_asked_for(tmp_path, heading, name, mv):
    text = columns(times(), numbers(), before=f"time_s,{heading}\n")
    if name is None:
        with pytest.raises(MissingMetadataError, match="the unit"):
            opened(tmp_path, text)
    else:
        record = opened(tmp_path, text)
        assert record.lead_names == (name,)
        assert_is(record, mv * ECG)


# Times


@pytest.mark.parametrize(
    ("heading", "unit_s"),
    [
        ("time [ns]", 1e-9), ("timestamp [us]", 1e-6), ("t_ms", 1e-3), ("Zeit (s)", 1), ("Elapsed time (min)", 60),
        ("ms", 1e-3),
    ],
)  # fmt: skip
def test_times_are_read_in_each_unit(tmp_path, heading, unit_s):
    first = 12_345_678_900 if unit_s < 1e-6 else 40
    cells = [f"{first + round(t / unit_s, 9):.9f}".rstrip("0") for t in TIME_S]
    assert_is(opened(tmp_path, columns(cells, numbers(), before=f"{heading},II_mv\n")))


@pytest.mark.parametrize(
    ("form", "start", "clock"),
    [
        ("%Y-%m-%dT%H:%M:%S.%f", "2024-03-02 23:59:50", None),
        ("%Y-%m-%d %H:%M:%S.%fZ", "2024-03-02 23:59:50", None),
        ("%Y-%m-%dT%H:%M:%S.%f+01:00", "2024-03-02 23:59:50", None),
        ("%d.%m.%Y %H:%M:%S.%f", "2024-03-02 23:59:50", None),
        ("%m/%d/%Y %I:%M:%S.%f %p", None, "23:59:50"),
        ("%H:%M:%S.%f", None, "23:59:50"),
    ],
)
def test_the_start_is_the_first_time_by_the_clock_also_across_midnight(tmp_path, form, start, clock):
    record = opened(tmp_path, columns(clock_times(form), numbers(), before="time,II_mv\n"))
    assert_is(record)
    assert str(record.start) == str(start)
    assert str(record.start_clock) == str(clock)


def test_hours_of_half_a_day_are_read_behind_a_date_of_iso(tmp_path):
    record = opened(tmp_path, columns(clock_times("%Y-%m-%d %I:%M:%S.%f %p"), numbers(), before="time,II_mv\n"))
    assert_is(record)
    assert str(record.start) == "2024-03-02 23:59:50"


FORMS = ["%d.%m.%Y %H:%M:%S.%f", "%d/%m/%Y %H:%M:%S.%f", "%m/%d/%Y %I:%M:%S.%f %p", "%Y-%m-%d %H:%M:%S.%f"]


@pytest.mark.parametrize("form", FORMS)
def test_a_gap_of_more_than_a_day_loses_no_day(tmp_path, form):
    late_s = np.where(TIME_S < 5, TIME_S, TIME_S + 49 * 3600)
    with pytest.raises(RecordError, match=r"its times leap by 176,400 s before line .*, more than a day"):
        opened(tmp_path, columns(clock_times(form, time_s=late_s), numbers(), before="time,II_mv\n"))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("day", ["%Y-%m-%d", "%d.%m.%Y", "2024-03-02"], ids=["iso", "point", "of the start alone"])
def test_a_column_of_dates_belongs_to_the_times_beside_it(tmp_path, day, suffix):
    table = pd.DataFrame({"Date": clock_times(day), "Time": clock_times("%H:%M:%S.%f"), "II_mv": ECG})
    path = tmp_path / f"x.{suffix}"
    table.to_csv(path, index=False) if suffix == "csv" else table.to_parquet(path, index=False)
    record = read_record(path)
    assert_is(record)
    assert (str(record.start), record.left_out) == ("2024-03-02 23:59:50", ())


@pytest.mark.parametrize("heading", ["Date,time_s,II_mv", "Date,elapsed time,II_mv"])
def test_a_column_of_dates_without_times_of_day_is_named_as_left_out(tmp_path, heading):
    elapsed = times() if "time_s" in heading else clock_times(start="2024-01-01")
    record = opened(tmp_path, columns(clock_times("%Y-%m-%d"), elapsed, numbers(), before=f"{heading}\n"))
    assert_is(record)
    assert [channel.name for channel in record.left_out] == ["Date"]


@pytest.mark.parametrize("heading", ["ECG V", "Lead V", "lead_V", "CH1 V", "V"])
def test_the_lead_v_is_not_read_in_volts(tmp_path, heading):
    text = columns(times(), numbers(), before=f"time_s,{heading}\n")
    with pytest.raises(MissingMetadataError, match="the unit"):
        opened(tmp_path, text)
    record = read_record(tmp_path / "x.csv", RecordOverrides(per_mv=1.0))
    assert_is(record)
    assert record.lead_names == (heading,)
    record = opened(tmp_path, columns(times(), numbers(), numbers(), before=f"time_s,II_mv,{heading}\n"))
    assert (record.lead_names, [channel.name for channel in record.left_out]) == (("II",), [heading])


@pytest.mark.parametrize("heading", ["ECG (V)", "V [V]", "II/V", "II / V", "II_volts"])
def test_volts_are_in_brackets_behind_a_stroke_or_written_out(tmp_path, heading):
    volts = [f"{x / 1000:.7f}" for x in ECG]
    assert_is(opened(tmp_path, columns(times(), volts, before=f"time_s,{heading}\n")))


def polar(fs_hz=130, *, lost=(20, 35), seconds=60):
    """A chest strap's table, some seconds lost."""
    t = np.arange(fs_hz * seconds) / fs_hz
    rows = np.sin(np.arange(len(t)) / 20)
    kept = (t < lost[0]) | (t >= lost[1])
    stamps = clock_times("%Y-%m-%dT%H:%M:%S.%f", time_s=t[kept])
    cells = (
        [stamp[:-3] for stamp in stamps],
        [f"{760_000_000_000_000_000 + round(1e9 * x)}" for x in t[kept]],
        times("{:.3f}", 1000 * t[kept]),
        [f"{1000 * x:.0f}" for x in rows[kept]],
    )
    heading = "Phone timestamp;sensor timestamp [ns];timestamp [ms];ecg [uV]\n"
    return columns(*cells, separator=";", before=heading), np.where(kept, rows, np.nan)


def test_a_gap_in_the_times_is_missing_at_its_true_time(tmp_path):
    text, expected = polar()
    record = opened(tmp_path, text, name="x.txt")
    assert (record.lead_names, record.left_out, str(record.start)) == (("ecg",), (), "2024-03-02 23:59:50")
    assert record.doubts == ("missing by its times: 15 s at 00:00:20",)
    assert_is(record, expected, fs_hz=130, atol=1e-3)
    part = record.source.read(2500, 4600, (0,))[0]
    np.testing.assert_array_equal(part, whole(record)[0, 2500:4600])


@pytest.mark.parametrize("form", ["{:.3f}", "{:.4f}", "{:.6f}"])
@pytest.mark.parametrize("fs_hz", [125, 128, 130, 257, 360, 500, 511.5])
def test_rounded_times_and_lost_samples_keep_rate_and_place(tmp_path, form, fs_hz):
    t = np.arange(8000) / fs_hz
    rows = np.sin(np.arange(8000) / 20)
    kept = np.ones(8000, dtype=bool)
    kept[[700, 2000, 2001, 5000]] = False
    kept[6000:6500] = False
    record = opened(tmp_path, columns(times(form, t[kept]), numbers(rows[kept]), before="time_s,II_mv\n"))
    assert_is(record, np.where(kept, rows, np.nan), fs_hz=fs_hz)


def test_times_rounded_to_more_than_a_step_keep_the_rate(tmp_path):
    t = np.arange(20_000) / 2000
    rows = np.sin(np.arange(20_000) / 20)
    assert_is(
        opened(tmp_path, columns(times("{:.0f}", 1000 * t), numbers(rows), before="t_ms,II_mv\n")), rows, fs_hz=2000
    )


def test_a_clock_that_drifts_is_followed_to_the_end(tmp_path):
    fs_hz = 250.003
    t = np.arange(200_000) / fs_hz
    record = opened(tmp_path, columns(times("{:.6f}", t), ["0.1", "0.2"] * 100_000, before="time_s,II_mv\n"))
    assert abs(record.duration_s - 200_000 / fs_hz) < 0.5 / fs_hz


def test_the_sum_of_small_steps_is_checked_against_the_whole(tmp_path):
    """A rate that changes half-way is never read at the mean of both."""
    for steps_ms in ([1] * 20_000 + [2] * 10_000, [2] * 10_000 + [1] * 20_000):
        t = np.cumsum([0, *steps_ms]) / 1000
        with pytest.raises(
            RecordError, match=r"not evenly spaced: 0\.00. s .* but 0\.00. s before line \d+ and in [\d,]+ o"
        ):
            opened(tmp_path, columns(times("{:.3f}", t), ["0", *["0.1", "0.2"] * 15_000], before="time_s,II_mv\n"))
    t = np.concatenate([np.arange(9000) / 250, 36 + np.arange(9000) / 255])
    with pytest.raises(RecordError, match="not evenly spaced"):
        opened(tmp_path, columns(times("{:.6f}", t), ["0.1", "0.2"] * 9000, before="time_s,II_mv\n"))


def test_times_that_fall_are_refused_with_the_line(tmp_path):
    t = TIME_S.copy()
    t[1000] = 1.0
    with pytest.raises(RecordError, match=r"do not rise from line to line \(before line 1002\)"):
        opened(tmp_path, columns(times("{:.3f}", t), numbers(), before="time_s,II_mv\n"))


@pytest.mark.parametrize(("batch_s", "first"), [(1.0, 0), (1.0, 90), (0.292, 0)])
def test_rows_that_share_a_time_are_spread_over_it(tmp_path, batch_s, first):
    index = np.arange(N) + first
    size = round(batch_s * FS_HZ)
    stamps = index // size * batch_s
    record = opened(
        tmp_path, columns(clock_times(start="2024-03-02 10:00:00", time_s=stamps), numbers(), before="time,II_mv\n")
    )
    assert_is(record)
    assert str(record.start_clock)[:11] == f"10:00:0{first / FS_HZ:.2f}"[:11] or first == 0


def test_a_lost_batch_is_missing(tmp_path):
    stamps = np.arange(N) // 73 * 0.292
    kept = (stamps < 5) | (stamps > 8)
    text = columns(times("{:.3f}", stamps[kept]), numbers(ECG[kept]), before="time_s,II_mv\n")
    assert_is(opened(tmp_path, text), np.where(kept, ECG, np.nan))


def test_times_without_a_unit_get_it_from_the_rate(tmp_path):
    """Movesense: its times are in milliseconds, which the file does not say; a gap stays a gap."""
    kept = (TIME_S < 5) | (TIME_S > 8)
    text = columns(times("{:.0f}", 1000 * TIME_S[kept] + 77), numbers(1000 * ECG[kept]), before="timestamp,sample\n")
    with pytest.raises(MissingMetadataError) as error:
        opened(tmp_path, text)
    assert (error.value.rate, error.value.unit) == (True, True)
    record = opened(tmp_path, text, RecordOverrides(FS_HZ, 1000.0))
    assert record.lead_names == ("sample",)
    assert_is(record, np.where(kept, ECG, np.nan))


@pytest.mark.parametrize("zone", ["Z", " UTC", "+00:00", "+01:00", ""])
def test_times_that_are_stated_in_utc_are_a_doubt_about_the_start(tmp_path, zone):
    stamps = [f"{stamp}{zone}" for stamp in clock_times("%Y-%m-%dT%H:%M:%S.%f")]
    record = opened(tmp_path, columns(stamps, numbers(), before="time,II_mv\n"))
    assert str(record.start) == "2024-03-02 23:59:50"
    doubt = ("its times are stated in UTC, so its start is in UTC and not in local time",)
    assert record.doubts == (() if zone in ("+01:00", "") else doubt)


def test_times_since_1970_state_the_start_in_utc(tmp_path):
    cells = [f"{1709423990000 + round(1000 * t)}" for t in TIME_S]
    record = opened(tmp_path, columns(cells, numbers(), before="timestamp [ms],II_mv\n"))
    assert str(record.start) == "2024-03-02 23:59:50"
    assert record.doubts == ("its times count from 1970, so its start is in UTC and not in local time",)


# Watches


WATCHES = {
    "English": "Name\nDate of Birth,\"Jan 1, 1970\"\nRecorded Date,2024-03-02 23:59:50 +0100\n"
    'Classification,Sinus Rhythm\nSymptoms,\nSoftware Version,1.90\nDevice,"Watch6,7"\nSample Rate,511.562 hertz\n\n\n'
    "Lead,Lead I\nUnit,µV\n\n",
    "German": "Name,Elisabeth II\nGeburtsdatum,\"01.01.1970\"\nAufgezeichnet,2024-03-02 23:59:50 +0100\n"
    "Klassifizierung,Sinusrhythmus\nSoftwareversion,1.90\nGerät,\"Watch6,7\"\nMessrate,511,562 Hertz\n\n"
    "Ableitung,Ableitung I\nEinheit,µV\n\n",
    "French": "Nom,X\nDate d’enregistrement,2024-03-02 23:59:50 +0100\nFréquence d’échantillonnage,511,562 hertz\n\n"
    "Dérivation,Dérivation I\nUnité,µV\n\n",
    "Spanish": "Nombre;X\nFecha de registro;2024-03-02 23:59:50 +0100\nFrecuencia de muestreo;511,562 hercios\n\n"
    "Derivación;Derivación I\nUnidad;µV\n\n",
    "Japanese": "名前,X\n記録日,2024-03-02 23:59:50 +0900\nサンプルレート,511.562ヘルツ\n\n誘導,第I誘導\n単位,µV\n\n",
}  # fmt: skip


@pytest.mark.parametrize("language", WATCHES)
@pytest.mark.parametrize("decimal", [".", ","])
def test_the_electrocardiogram_of_a_watch_is_read_in_its_language(tmp_path, language, decimal):
    record = opened(tmp_path, columns([x.replace(".", decimal) for x in numbers(1000 * ECG)], before=WATCHES[language]))
    assert (record.lead_names, record.n_samples, str(record.start)) == (("I",), N, "2024-03-02 23:59:50")
    assert_is(record, fs_hz=511.562)


def test_a_line_of_a_watch_that_is_no_number_is_named(tmp_path):
    text = columns([*numbers()[:99], "x", *numbers()[100:]], before=WATCHES["English"])
    with pytest.raises(RecordError, match='line 113: expected one number, got "x"'):
        opened(tmp_path, text)


# Errors, folders, other files


def test_a_wrong_cell_is_named_by_its_line_in_an_editor_and_its_heading(tmp_path):
    cells = numbers()
    cells[2000] = "high"
    lines = columns(times(), cells, before="# a note\n\ntime_s,II_mv\n").splitlines()
    lines[50:50] = ["", ""]
    with pytest.raises(RecordError, match=f'line {2000 + 4 + 2}, column II_mv: expected a number, got "high"'):
        opened(tmp_path, "\n".join(lines))


def test_a_wrong_cell_in_the_first_row_makes_it_no_heading(tmp_path):
    with pytest.raises(RecordError, match='line 2, column II_mv: expected a number, got "high"'):
        opened(tmp_path, columns(times(), ["high", *numbers()[1:]], before="time_s,II_mv\n"))


def test_a_line_with_more_cells_than_the_others_is_named(tmp_path):
    text = columns(times(), numbers(), before="time_s,II_mv\n").replace("\n4.000,", "\n4.000,0,")
    with pytest.raises(RecordError, match="line 1002: expected 2 cells, got 3"):
        opened(tmp_path, text)


def test_a_quotation_mark_that_stays_open_swallows_no_rows(tmp_path):
    cells = numbers()
    cells[1000] += '"'
    assert_is(opened(tmp_path, columns(times(), cells, before='time_s,"II_mv\n')))
    notes = ['"x' if i in (500, 900) else "x" for i in range(N)]
    with pytest.raises(RecordError, match="line 502, column 3: a quotation mark begins a text that ends lines below"):
        opened(tmp_path, columns(times(), numbers(), notes, before="time_s,II_mv,note\n"))


def test_headings_may_be_numbers_of_channels(tmp_path):
    record = opened(
        tmp_path, columns(times(), numbers(), numbers(), before="time_s,1,2\n"), RecordOverrides(per_mv=1.0)
    )
    assert record.lead_names == ("1", "2")
    assert_is(record)


def test_a_table_without_headings_whose_first_column_is_time_keeps_its_gaps(tmp_path):
    kept = (TIME_S < 5) | (TIME_S > 8)
    record = opened(tmp_path, columns(times("{:.3f}", TIME_S[kept]), numbers(ECG[kept])), RecordOverrides(FS_HZ, 1.0))
    assert record.lead_names == ("lead 1",)
    assert_is(record, np.where(kept, ECG, np.nan))


@pytest.mark.parametrize("text", ["time_s,II_mv\n", "", "\n\n", "# note\n", "time_s\n1\n2\n3\n"])
def test_headings_alone_are_no_recording(tmp_path, text):
    with pytest.raises(RecordError, match=r"is not a table: expected a heading|expected a column of a lead"):
        opened(tmp_path, text)


def test_a_last_line_that_is_cut_is_left_out_and_named(tmp_path):
    record = opened(tmp_path, columns(times(), numbers(), before="time_s,II_mv\n") + "20.0")
    assert record.doubts == ("its last line is cut and left out",)
    assert_is(record)


def test_a_folder_offers_texts_only_if_they_are_tables_of_a_recording(tmp_path):
    (tmp_path / "a.txt").write_text(polar()[0])
    (tmp_path / "b.asc").write_text(csv_text(signal()))
    (tmp_path / "README.txt").write_text("The recordings of a study\n\n1 first\n2 second\n3 third\n")
    (tmp_path / "rr.txt").write_text("812\n810\n799\n" * 100)
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "page.txt").write_text("<html><body>1,2</body></html>")
    assert [path.name for path in find_records(tmp_path)] == ["a.txt", "b.asc"]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'<?xml version="1.0"?>\n<a/>', "XML document of another kind"),
        (b"\xef\xbb\xbf  <a/>", "XML document of another kind"),
        ("<a/>".encode("utf-16"), "XML document of another kind"),
        (b"<!DOCTYPE html><p>", "HTML document"),
        (b'{"Samples": [1, 2]}', "JSON document"),
        (b'[{"Samples": [1, 2]}]', "JSON document"),
    ],
)
def test_texts_of_other_kinds_are_named_without_a_declaration(tmp_path, content, kind):
    for name in ("x.xml", "x.txt", "x"):
        (tmp_path / name).write_bytes(content)
        assert kind_of(tmp_path / name) == kind
        with pytest.raises(RecordError, match=f"is not a recording but an? {kind}; "):
            read_record(tmp_path / name)


# Parquet


@pytest.mark.parametrize("kind", ["duration", "text", "zone"])
def test_times_of_each_kind_are_read_from_parquet(tmp_path, kind):
    stamps = pd.to_datetime(np.round(TIME_S * 1e6).astype(np.int64), unit="us", origin="2024-03-02 23:59:50")
    column = {
        "duration": pd.to_timedelta(TIME_S, unit="s"),
        "text": stamps.strftime("%H:%M:%S.%f"),
        "zone": stamps.tz_localize("UTC"),
    }[kind]  # fmt: skip
    pd.DataFrame({"time": column, "II_mv": ECG}).to_parquet(tmp_path / "x.parquet", index=False)
    assert_is(read_record(tmp_path / "x.parquet"))


def test_times_by_the_clock_and_gaps_are_read_from_parquet(tmp_path):
    kept = (TIME_S < 5) | (TIME_S > 8)
    stamps = pd.to_datetime(np.round(TIME_S[kept] * 1e6).astype(np.int64), unit="us", origin="2024-03-02 23:59:50")
    table = pd.DataFrame({"time": stamps, "II_mv": ECG[kept], "V1": ECG[kept], "note": "word"})
    table.to_parquet(tmp_path / "x.parquet", index=False)
    record = read_record(tmp_path / "x.parquet")
    assert (record.lead_names, str(record.start)) == (("II",), "2024-03-02 23:59:50")
    assert [channel.name for channel in record.left_out] == ["V1", "note"]
    assert_is(record, np.where(kept, ECG, np.nan))


def test_headings_among_the_comments_are_named_without_the_word_before_them(tmp_path):
    notes = "# Sampling Rate (Hz):= 250.0\n# Units:= Volts\n# Labels:= PCG\tECG\n"
    (tmp_path / "x.txt").write_text(notes + "".join(f"{x:.6f}\t{x / 1000:.6f}\n" for x in ECG))
    record = read_record(tmp_path / "x.txt")
    assert record.lead_names == ("ECG",)
    assert [channel.name for channel in record.left_out] == ["PCG"]
    np.testing.assert_allclose(record.source.read(0, 100, (0,))[0], ECG[:100], atol=1e-3)
