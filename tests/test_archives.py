"""Archives: one record is read from them, and they write to no other folder."""

import errno
import gc
import io
import tarfile
import zipfile

import numpy as np
import pytest
from support.records import write_record

from ecg_core.errors import RecordError
from ecg_core.records import archives, folder, read_record

SIGNAL = np.sin(np.arange(5000) / 20)[None]


@pytest.fixture
def files(tmp_path):
    path = write_record(tmp_path, "x", SIGNAL, 250, lead_names=("II",))
    return {f"x{ending}": path.with_suffix(ending).read_bytes() for ending in (".hea", ".dat")}


def zipped(path, contents, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content, **options)
    return path


def tarred(path, contents):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize(("pack", "name"), [(zipped, "a.zip"), (tarred, "a.tar.gz"), (zipped, "a.bin")])
@pytest.mark.parametrize("folder", ["", "some/folder/"])
def test_a_record_is_read_from_an_archive(tmp_path, files, pack, name, folder):
    record = read_record(pack(tmp_path / name, {f"{folder}{file}": content for file, content in files.items()}))
    assert (record.record_id, record.lead_names, record.n_samples) == ("x", ("II",), 5000)
    np.testing.assert_allclose(record.source.read(0, 5000, (0,)), SIGNAL, atol=0.003)


def test_what_was_unpacked_is_removed_with_the_record(tmp_path, files):
    record = read_record(zipped(tmp_path / "a.zip", files))
    place = record.source.folder.path
    assert place.is_dir()
    del record
    gc.collect()
    assert not place.exists()


def test_what_was_refused_leaves_nothing(tmp_path, files, monkeypatch):
    monkeypatch.setattr(folder.tempfile, "tempdir", str(tmp_path / "temp"))
    (tmp_path / "temp").mkdir()
    with pytest.raises(RecordError):
        read_record(zipped(tmp_path / "a.zip", {**files, "../x.hea": b"mine"}))
    gc.collect()
    assert list((tmp_path / "temp").iterdir()) == []


@pytest.mark.parametrize("name", ["../x.hea", "/etc/x.hea", "a/../../x.hea", "..\\x.hea", "C:x.hea"])
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_names_that_point_outside_are_refused(tmp_path, files, pack, name):
    path = pack(tmp_path / "a.zip", {**files, name: b"mine"})
    with pytest.raises(RecordError, match="names a place outside"):
        read_record(path)
    assert not (tmp_path.parent / "x.hea").exists()


def test_a_bomb_is_not_unpacked(tmp_path, files):
    path = zipped(tmp_path / "bomb.zip", {**files, "zeros.dat": bytes(300 << 20)})
    with pytest.raises(RecordError, match="unpacks to far more than a record needs"):
        read_record(path)


def test_an_archive_in_an_archive_is_refused(tmp_path, files):
    inner = zipped(tmp_path / "inner.zip", files).read_bytes()
    with pytest.raises(RecordError, match=r"holds another archive \(inner\.zip\)"):
        read_record(zipped(tmp_path / "outer.zip", {"inner.zip": inner}))


def test_too_many_files_are_refused(tmp_path, files, monkeypatch):
    monkeypatch.setattr(archives, "MAX_FILES", 5)
    with pytest.raises(RecordError, match="holds more than 5 files"):
        read_record(zipped(tmp_path / "a.zip", {**files, **{f"{i}.txt": b"" for i in range(9)}}))


def test_several_records_are_listed_by_name(tmp_path, files):
    both = {**files, **{name.replace("x", "y"): content.replace(b"x", b"y", 2) for name, content in files.items()}}
    with pytest.raises(RecordError, match=r"expected one record in the archive, got 2 \(x, y\)"):
        read_record(zipped(tmp_path / "a.zip", both))


@pytest.mark.parametrize("contents", [{}, {"notes.txt": b"nothing"}])
def test_an_archive_without_a_record_says_so(tmp_path, contents):
    with pytest.raises(RecordError, match="expected one record in the archive, got 0"):
        read_record(zipped(tmp_path / "a.zip", {**contents, "more.md": b"text"}))


def test_a_damaged_archive_is_a_sentence(tmp_path, files):
    for pack, name in ((zipped, "a.zip"), (tarred, "a.tar.gz")):
        content = pack(tmp_path / name, files).read_bytes()
        for length in (10, len(content) // 3, len(content) // 2):
            (tmp_path / name).write_bytes(content[:length])
            with pytest.raises(RecordError):
                read_record(tmp_path / name)


def test_links_and_what_a_mac_adds_are_left_out(tmp_path, files):
    path = tarred(tmp_path / "a.tar.gz", {**files, "._x.hea": b"mac", "__MACOSX/x.hea": b"mac"})
    assert read_record(path).record_id == "x"
    with tarfile.open(tmp_path / "link.tar.gz", "w:gz") as archive:
        link = tarfile.TarInfo("x.dat")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        info = tarfile.TarInfo("x.hea")
        info.size = len(files["x.hea"])
        archive.addfile(info, io.BytesIO(files["x.hea"]))
    with pytest.raises(RecordError, match=r"x\.dat"):
        read_record(tmp_path / "link.tar.gz")


@pytest.mark.parametrize("step", ["mkdtemp", "write"])
def test_a_full_temporary_folder_is_named_and_not_the_archive(tmp_path, files, monkeypatch, step):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = zipped(tmp_path / "a.zip", files)
    monkeypatch.setattr(folder.tempfile, "tempdir", str(tmp_path))
    if step == "mkdtemp":
        monkeypatch.setattr(folder.tempfile, "mkdtemp", full)
    else:
        monkeypatch.setattr(archives, "_write", full)
    with pytest.raises(RecordError) as refused:
        read_record(path)
    assert "cannot be written there (No space left on device). Make room" in str(refused.value)
    assert str(refused.value).startswith(f"{tmp_path}: ")


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_name_that_no_disk_takes_is_said(tmp_path, files, pack):
    path = pack(tmp_path / "a.zip", {**files, f"{'n' * 300}.csv": b"x"})
    with pytest.raises(RecordError, match=r"a file in it has a name of 304 letters \(nnn"):
        read_record(path)
