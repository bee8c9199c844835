"""Pieces of a recording open as one record: every sample at its time, the gaps between them missing."""

import zipfile
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
import wfdb
from support.made_files import FS_HZ, START, N, csv_text, ishne, signal, whole, write_edf

from ecg_core.cli.main import main
from ecg_core.errors import EcgError, OutputError, RecordError
from ecg_core.overrides import LeftOut, RecordOverrides
from ecg_core.records import find_records, join_records, kind_of, read_diary, read_patient, read_record, write_join
from ecg_core.records.convert import convert
from ecg_core.records.inspect import inspect_text
from ecg_core.schema import Annotations
from ecg_core.studies.store import open_store
from ecg_core.studies.study import Editor, add_study, get_study

LENGTH_S = N / FS_HZ


def piece(folder, name, start_s, rows=None):
    """An ISHNE file of 20 s that begins so many seconds after START."""
    content = bytearray(ishne(signal() if rows is None else rows))
    moment = START + timedelta(seconds=start_s)
    for offset, values in ((138, (moment.day, moment.month, moment.year)), (144, (0, 0, 0))):
        content[offset : offset + 6] = np.array(values, dtype="<i2").tobytes()
    content[150:156] = np.array((moment.hour, moment.minute, moment.second), dtype="<i2").tobytes()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


def pieces(folder, *starts_s):
    """Opened pieces rec01, rec02, ..., each of another amplitude."""
    return [
        read_record(piece(folder, f"rec{number:02d}.ecg", start_s, signal() / number))
        for number, start_s in enumerate(starts_s, 1)
    ]


# Time


def test_every_sample_is_at_its_time_and_the_gaps_are_missing(tmp_path):
    found = pieces(tmp_path, 0, 27, 47)
    joined = join_records([found[2], found[0], found[1]])
    assert (joined.record_id, joined.start, joined.n_samples) == ("rec01-03", START, 67 * FS_HZ)
    samples = whole(joined)
    for record, start_s in zip(found, (0, 27, 47), strict=True):
        first = start_s * FS_HZ
        np.testing.assert_array_equal(samples[:, first : first + N], whole(record))
    assert np.isnan(samples[:, N : 27 * FS_HZ]).all()
    assert np.isnan(samples).sum() == 2 * 7 * FS_HZ


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 10), (N - 3, N + 3), (N + 5, N + 9), (0, 47 * FS_HZ), (27 * FS_HZ, 27 * FS_HZ)]
)
def test_any_stretch_and_any_leads_read_as_in_the_whole(tmp_path, start, stop):
    joined = join_records(pieces(tmp_path, 0, 27))
    np.testing.assert_array_equal(joined.source.read(start, stop, (1, 0)), whole(joined)[::-1, start:stop])


def test_only_the_pieces_in_question_are_read(tmp_path):
    joined = join_records(pieces(tmp_path, 0, 27))
    (tmp_path / "rec01.ecg").unlink()
    assert np.isfinite(joined.source.read(27 * FS_HZ, 28 * FS_HZ, (0,))).all()


def test_starts_in_whole_seconds_make_no_overlap(tmp_path):
    """Pieces of 20.4 s whose starts are rounded down follow each other without a gap and without a lost sample."""
    rows = np.tile(signal(), 2)[:, : round(20.4 * FS_HZ)]
    found = [read_record(piece(tmp_path, f"r{n}.ecg", int(20.4 * n), (n + 1) * rows / 9)) for n in range(6)]
    joined = join_records(found)
    samples = whole(joined)
    assert joined.n_samples == 6 * rows.shape[1]
    np.testing.assert_array_equal(samples, np.concatenate([whole(record) for record in found], axis=1))


def test_overlaps_that_add_up_to_more_than_a_second_are_a_doubt(tmp_path):
    joined = join_records(pieces(tmp_path, *range(0, 190, 19)))
    assert joined.n_samples == 10 * N
    begin = START + timedelta(seconds=9 * 19)
    assert joined.doubts == (
        f"its pieces overlap by their starts: rec10 is placed 9 s later than the {begin} that it states",
    )
    assert join_records(pieces(tmp_path, 0, 19)).doubts == ()


@pytest.mark.parametrize("starts_s", [(0, 18), (0, 0)])
def test_an_overlap_is_refused_with_both_names_and_times(tmp_path, starts_s):
    with pytest.raises(RecordError) as error:
        join_records(pieces(tmp_path, *starts_s))
    end, begin = START + timedelta(seconds=LENGTH_S), START + timedelta(seconds=starts_s[1])
    for part in (f"rec01 ends at {end}", f"rec02 begins at {begin}", f"overlap by {20 - starts_s[1]} s"):
        assert part in str(error.value)


def test_the_same_piece_twice_is_refused(tmp_path):
    found = pieces(tmp_path, 0, 27)
    with pytest.raises(RecordError, match="overlap by 20 s"):
        join_records([*found, found[0]])


def test_a_gap_is_at_most_a_day(tmp_path):
    assert join_records(pieces(tmp_path, 0, 86_400 + 20)).duration_s == 86_440
    with pytest.raises(RecordError, match="expected at most 24 h 0 min, got 24 h 1 min"):
        join_records(pieces(tmp_path, 0, 86_400 + 80))


# What belongs together


def refused(records, sentence):
    with pytest.raises(RecordError, match=sentence) as error:
        join_records(records)
    assert str(error.value).endswith(".")


def test_pieces_that_differ_are_refused(tmp_path):
    one, two = pieces(tmp_path, 0, 27)
    refused([one], "recordings, got 1")
    refused([one, replace(two, lead_names=("I", "V1"))], "rec01 and rec02 differ in leads")
    refused([one, replace(two, fs_hz=251.0)], r"differ in sampling rate \(250 Hz; 251 Hz\)")
    refused([one, replace(two, start=None)], "rec02: states no start")
    refused([one, replace(two, overrides=RecordOverrides(per_mv=200.0))], "differ in rate or unit given by hand")


def test_a_table_has_no_start_and_no_place_among_others(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text(csv_text(signal()))
    refused([read_record(tmp_path / f"{name}.csv") for name in "ab"], "a: states no start")


def test_each_piece_keeps_its_own_gain_and_a_lead_is_calibrated_where_it_always_is(tmp_path):
    for number, gain in enumerate(("100/mV", "0"), 1):
        counts = np.rint(signal(1) * 100).astype("<i2")
        (tmp_path / f"w{number}.dat").write_bytes(counts.tobytes())
        line = f"w{number}.dat 16 {gain} 16 0 0 0 0 II"
        (tmp_path / f"w{number}.hea").write_text(f"w{number} 1 250 {N} 04:0{number}:00 03/02/2001\n{line}\n")
    joined = join_records([read_record(tmp_path / f"w{number}") for number in (1, 2)])
    samples = whole(joined)[0]
    assert joined.calibrated == (False,)
    np.testing.assert_allclose(samples[:N], signal(1)[0], atol=0.006)
    np.testing.assert_allclose(samples[-N:], signal(1)[0] / 2, atol=0.006)  # 200 counts per mV are assumed


def test_annotations_move_with_their_piece_and_are_left_out_where_one_piece_has_none(tmp_path):
    one, two = pieces(tmp_path, 0, 27)
    marks = Annotations(np.array([1.0, 2.5]), np.array(["N", "V"]), np.array(["", ""]))
    joined = join_records([replace(one, reference=marks), replace(two, reference=marks)])
    assert joined.reference.time_s.tolist() == [1.0, 2.5, 28.0, 29.5]
    assert joined.reference.symbol.tolist() == ["N", "V", "N", "V"]
    assert join_records([replace(one, reference=marks), two]).reference is None


def test_a_copy_has_the_annotations_of_all_pieces(tmp_path):
    for number in (1, 2):
        name = f"w{number}"
        (tmp_path / f"{name}.dat").write_bytes(np.rint(signal(1) * 200).astype("<i2").tobytes())
        line = f"{name}.dat 16 200/mV 16 0 0 0 0 II"
        (tmp_path / f"{name}.hea").write_text(f"{name} 1 250 {N} 04:0{number}:00 03/02/2001\n{line}\n")
        wfdb.wrann(name, "atr", np.array([250, 500]), symbol=["N", "V"], write_dir=str(tmp_path))
    joined = read_record(write_join([read_record(tmp_path / f"w{number}") for number in (1, 2)], tmp_path))
    copy = read_record(convert(joined, "wfdb", tmp_path / "copy"))
    np.testing.assert_allclose(copy.reference.time_s, [1, 2, 61, 62])


@pytest.mark.parametrize(
    ("names", "joined"),
    [
        (["rec01", "rec02", "rec04"], "rec01-04"),
        (["A", "B", "C", "D"], "A + 3"),
        (["x", "x"], "x + 1"),
        (["9", "10"], "9-10"),
        (["a1", "b2"], "a1 + 1"),
    ],
)
def test_the_name_is_made_of_those_of_the_pieces(tmp_path, names, joined):
    found = pieces(tmp_path, *(20 * number for number in range(len(names))))
    named = [replace(record, record_id=name) for record, name in zip(found, names, strict=True)]
    assert join_records(named).record_id == joined


# Hash


def test_the_hash_depends_on_every_piece_and_not_on_where_the_files_are(tmp_path):
    """Two pieces of one file name in different folders, whose names sort otherwise after they were moved."""
    hashes = set()
    for first, second in (("a", "b"), ("z", "b")):
        paths = [piece(tmp_path / first, "x.ecg", 0), piece(tmp_path / second, "x.ecg", 27, signal() / 2)]
        hashes.add(join_records([read_record(path) for path in paths[::-1]]).sha256)
    assert len(hashes) == 1
    changed = [tmp_path / "a" / "x.ecg", piece(tmp_path / "b", "x.ecg", 27, signal() / 3)]
    assert join_records([read_record(path) for path in changed]).sha256 not in hashes


def test_the_hash_is_that_of_no_piece_and_is_the_same_from_the_list(tmp_path):
    found = pieces(tmp_path, 0, 27)
    joined = join_records(found)
    assert joined.sha256 not in {record.sha256 for record in found}
    for folder in (tmp_path, tmp_path / "elsewhere"):
        assert read_record(write_join(found, folder, name="any")).sha256 == joined.sha256


# The list


def test_a_list_opens_as_one_record_and_its_pieces_stay_where_they_are(tmp_path):
    found = pieces(tmp_path / "a b", 0, 27)
    path = write_join(found, tmp_path / "lists")
    assert path.name == "rec01-02.join"
    assert path.read_text(encoding="utf-8").splitlines() == ["ECG-JOIN 1", *(str(record.path) for record in found)]
    record = read_record(path)
    assert (record.record_id, record.n_samples, kind_of(path)) == ("rec01-02", 47 * FS_HZ, "joined recording")
    assert set(record.files) == {path, *(record.path for record in found)}
    text, can_be_analysed = inspect_text(path)
    assert can_be_analysed
    assert "Firstname" in text


def test_pieces_beside_the_list_move_with_it(tmp_path):
    found = pieces(tmp_path / "old", 0, 27)
    path = write_join(found, tmp_path / "old")
    assert path.read_text().splitlines() == ["ECG-JOIN 1", "rec01.ecg", "rec02.ecg"]
    (tmp_path / "old").rename(tmp_path / "new")
    assert read_record(tmp_path / "new" / path.name).n_samples == 47 * FS_HZ


def test_a_piece_that_is_missing_is_named(tmp_path):
    found = pieces(tmp_path / "a", 0, 27)
    path = write_join(found, tmp_path)
    found[1].path.unlink()
    with pytest.raises(RecordError) as error:
        read_record(path)
    assert str(error.value) == "rec01-02.join: its piece a/rec02.ecg is missing. Put it back, or join the pieces again."


def test_pieces_that_came_with_a_list_are_found_beside_it(tmp_path):
    found = pieces(tmp_path / "a", 0, 27)
    sha256 = join_records(found).sha256
    path = write_join(found, tmp_path / "lists")
    for record in found:
        record.path.rename(path.parent / record.path.name)
    assert read_record(path).sha256 == sha256


def test_a_list_is_no_piece_of_another(tmp_path):
    found = pieces(tmp_path, 0, 27, 47)
    first = read_record(write_join(found[:2], tmp_path))
    with pytest.raises(RecordError, match="is itself joined"):
        write_join([first, found[2]], tmp_path)
    (tmp_path / "x.join").write_text("ECG-JOIN 1\nx.join\nx.join\n")
    with pytest.raises(RecordError, match=r"x.join: its piece x.join is itself joined"):
        read_record(tmp_path / "x.join")


def test_what_was_not_opened_from_a_file_cannot_be_listed(tmp_path):
    one, two = pieces(tmp_path, 0, 27)
    with pytest.raises(RecordError, match="rec02: no list can name what was opened from no file"):
        write_join([one, replace(two, path=None)], tmp_path)


def test_a_folder_that_cannot_be_written_to_ends_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="the list of the pieces cannot be written there"):
        write_join(pieces(tmp_path, 0, 27), tmp_path / "file")


def test_no_other_file_can_name_files_of_this_computer(tmp_path):
    """Neither an upload under another name nor an archive opens as a list of paths."""
    path = write_join(pieces(tmp_path, 0, 27), tmp_path)
    for name in ("x.txt", "x.csv", "x.edf", "x"):
        (tmp_path / name).write_bytes(path.read_bytes())
        with pytest.raises(EcgError):
            read_record(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.write(path, "x.join")
    with pytest.raises(RecordError, match="expected one record in the archive, got 0"):
        read_record(tmp_path / "x.zip")
    assert kind_of(tmp_path / "x") == "list of the pieces of a recording"
    assert path not in find_records(tmp_path)


def test_patient_and_event_marks_of_all_pieces_are_those_of_the_record(tmp_path):
    for number in (1, 2):
        name = f"w{number}"
        (tmp_path / f"{name}.dat").write_bytes(np.rint(signal(1) * 200).astype("<i2").tobytes())
        line = f"{name}.dat 16 200/mV 16 0 0 0 0 II"
        (tmp_path / f"{name}.hea").write_text(f"{name} 1 250 {N} 04:0{number}:00 03/02/2001\n{line}\n")
        note = {"symbol": ["N", '"'], "aux_note": ["", "palpitations"]}
        wfdb.wrann(name, "atr", np.array([250, 500]), write_dir=str(tmp_path), **note)
    record = read_record(write_join([read_record(tmp_path / f"w{number}") for number in (1, 2)], tmp_path))
    assert [(entry.time_s, entry.symptom) for entry in read_diary(record)] == [
        (2, "palpitations"),
        (62, "palpitations"),
    ]
    record = read_record(write_join(pieces(tmp_path / "ishne", 0, 27), tmp_path))
    assert read_patient(record.files[0]).name.startswith("Firstname")


# The store


def test_a_joined_record_opens_again_from_the_store(tmp_path):
    store = open_store(tmp_path / "studies", url="")
    record = read_record(write_join(pieces(tmp_path, 0, 27), tmp_path / "lists"))
    study = add_study(store, record, Editor("A. Reader", "test"))
    found = get_study(store, record.sha256)
    assert found.path == study.path == tmp_path / "lists" / "rec01-02.join"
    assert read_record(found.path, found.overrides).sha256 == record.sha256
    store.close()


def test_pieces_without_a_list_are_no_study(tmp_path):
    store = open_store(tmp_path / "studies", url="")
    with pytest.raises(EcgError, match="its pieces were joined, but not written as one recording"):
        add_study(store, join_records(pieces(tmp_path, 0, 27)), Editor("A. Reader", "test"))
    store.close()


# The command


def test_the_command_joins_files_of_a_recorder(tmp_path, capsys):
    paths = []
    for number, minute in enumerate((5, 6), 1):
        path = write_edf(tmp_path / f"e{number}.edf", signal())
        content = path.read_bytes()
        path.write_bytes(content[:176] + f"04.0{minute}.06".encode() + content[184:])
        paths.append(str(path))
    assert main(["join", *paths[::-1], "--to", str(tmp_path / "night.join")]) == 0
    assert "2 pieces, 1 min 20 s, of which 40 s are missing" in capsys.readouterr().out
    record = read_record(tmp_path / "night.join")
    assert (record.record_id, record.start) == ("night", datetime(2001, 2, 3, 4, 5, 6))
    assert main(["join", paths[0], paths[0], "--to", str(tmp_path / "twice.join")]) == 2
    assert "e1 ends at 2001-02-03 04:05:26, e1 begins at 2001-02-03 04:05:06" in capsys.readouterr().err
    assert not (tmp_path / "twice.join").exists()


def test_analyze_joins_what_follows_each_other_and_analyses_it_as_one(tmp_path, capsys):
    paths = [str(piece(tmp_path, f"rec{number}.ecg", start_s)) for number, start_s in ((1, 0), (2, 50))]
    out = tmp_path / "out"
    assert main(["analyze", *paths, "--join", "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert "2 pieces joined, 1 min 10 s, of which 30 s are missing between them" in printed.err
    assert {path.name for path in out.iterdir()} >= {"rec1-2.join", "rec1-2_burden.csv", "rec1-2_report.pdf"}
    assert read_record(out / "rec1-2.join").duration_s == 70
    early = str(piece(tmp_path, "rec3.ecg", 15))
    assert main(["analyze", paths[0], early, "--join", "--out", str(tmp_path / "twice")]) == 2
    assert "overlap by 5 s" in capsys.readouterr().err
    assert not (tmp_path / "twice").exists()


def test_doubts_of_a_piece_are_those_of_the_record_under_its_name(tmp_path):
    one, two = pieces(tmp_path, 0, 20)
    joined = join_records([replace(one, doubts=("short",)), replace(two, left_out=(LeftOut("ABP", "in mmHg"),))])
    assert joined.doubts == ("rec01: short",)
    assert joined.left_out == (LeftOut("ABP", "in mmHg"),)
