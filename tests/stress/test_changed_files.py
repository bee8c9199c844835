"""Every reader's file shortened, grown, replaced and written over while it is open: the same samples, or a sentence.

Each reader works in a forked child, so that a signal of the system would be seen as what it is.
"""

import os
from functools import partial

import numpy as np
import pytest
from support import broken_files as files
from support import made_carts, made_mfer, made_scp
from support.made_files import FS_HZ, csv_text, ishne, signal, whole
from support.processes import started
from support.records import write_record

from ecg_core.errors import EcgError
from ecg_core.overrides import NO_OVERRIDES, RecordOverrides
from ecg_core.pipeline import analyse
from ecg_core.records import read_record

pytestmark = pytest.mark.skipif(os.name != "posix", reason="forks")

N = 4000  # samples: 16 s


def wfdb_of(form, n_bytes):
    """A record of two leads in a format of WFDB, its samples any bytes; returns the path to open and what changes."""

    def write(folder):
        random = np.random.default_rng(0)
        (folder / "x.dat").write_bytes(random.integers(0, 256, n_bytes, dtype=np.uint8).tobytes())
        lines = "".join(f"x.dat {form} 200/mV 16 0 0 0 0 {lead}\n" for lead in ("II", "V1"))
        (folder / "x.hea").write_text(f"x 2 {FS_HZ} {N}\n{lines}")
        return folder / "x", folder / "x.dat"

    return write


def alone(make, name):
    def write(folder):
        content = make()
        (folder / name).write_bytes(content)
        return folder / name, folder / name

    return write


def joined(folder):
    return files.joined()(folder), folder / "a.ecg"


READERS = {
    "wfdb 16": wfdb_of("16", 4 * N), "wfdb 212": wfdb_of("212", 3 * N), "wfdb 310": wfdb_of("310", 4 * -(-2 * N // 3)),
    "wfdb 311": wfdb_of("311", 4 * -(-2 * N // 3)), "wfdb 24": wfdb_of("24", 6 * N), "wfdb 8": wfdb_of("8", 2 * N),
    "wfdb 80": wfdb_of("80", 2 * N), "edf": alone(files.edf, "x.edf"), "edf+": alone(files.edf_plus, "x.edf"),
    "bdf": alone(files.bdf, "x.bdf"), "ishne": alone(lambda: ishne(signal(2, N)), "x.ecg"), "joined": joined,
    "dicom": alone(files.dicom, "x.dcm"), "csv": alone(lambda: csv_text(signal(2, N)).encode(), "x.csv"),
    "parquet": alone(files.columns, "x.parquet"), "mat": alone(files.plain, "x.mat"),
    "mat, compressed": alone(files.packed, "x.mat"), "mat 4": alone(files.old, "x.mat"),
    "zip": alone(files.bytes_of(files.zipped(files.RECORD), ".bin"), "x.zip"),
    **{f"{name} file": alone(*made) for one in (made_carts, made_scp, made_mfer) for name, made in one.WHOLE.items()},
}  # fmt: skip


def shorten(path, size):
    os.truncate(path, size)


def grow(path):
    with path.open("ab") as stream:
        stream.write(bytes(3000))


def replace(path):
    content = path.read_bytes()
    path.with_name("other").write_bytes(content[: len(content) // 3] + content[len(content) // 4 :])
    path.with_name("other").replace(path)


def write_over(path):
    with path.open("r+b") as stream:
        stream.seek(path.stat().st_size // 2)
        stream.write(bytes(path.stat().st_size - stream.tell()))


def changes_of(path):
    size = path.stat().st_size
    cuts = (0, size // 3, size - 1000 if size > 1000 else 1, size - 1)
    return [*(partial(shorten, size=cut) for cut in cuts), grow, replace, write_over, lambda path: path.unlink()]


def opened(path):
    return read_record(path, RecordOverrides(FS_HZ, 1.0) if path.suffix == ".mat" else NO_OVERRIDES)


def survives(write, folder):
    """Change the file of a reader in every way, before it is read and between two reads."""
    place, changed = write(folder)
    content, expected = changed.read_bytes(), whole(opened(place))
    for change in changes_of(changed):
        for reads_first in (False, True):
            changed.write_bytes(content)
            os.utime(changed, (0, 0))
            record = opened(place)
            leads, middle = tuple(range(len(record.lead_names))), record.n_samples // 2
            if reads_first:
                np.testing.assert_array_equal(record.source.read(0, middle, leads), expected[:, :middle])
            change(changed)
            for start, stop in ((0, middle), (middle, record.n_samples)):
                try:
                    found = record.source.read(start, stop, leads)
                except EcgError as error:
                    assert changed.name.partition(".")[0] in str(error)
                    continue
                np.testing.assert_array_equal(found, expected[:, start:stop])


@pytest.mark.parametrize("name", READERS)
def test_a_file_that_changes_while_it_is_open_gives_the_same_samples_or_a_sentence(tmp_path, name):
    _, status = os.waitpid(started(lambda: survives(READERS[name], tmp_path)), 0)
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.parametrize("change", [partial(shorten, size=7000), grow, replace, write_over])
def test_an_analysis_of_a_file_that_changed_has_the_same_beats_or_ends_in_a_sentence(tmp_path, model, excerpt, change):
    path = write_record(tmp_path, "x", excerpt[None, : 16 * FS_HZ], FS_HZ)
    expected = analyse(read_record(path), model).beats.time_s
    os.utime(path.with_suffix(".dat"), (0, 0))
    record = read_record(path)
    change(path.with_suffix(".dat"))
    try:
        found = analyse(record, model).beats.time_s
    except EcgError as error:
        assert "x.dat" in str(error)
    else:
        np.testing.assert_array_equal(found, expected)
