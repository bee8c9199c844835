"""Random damage for each reader: bytes that are changed, cut out or inserted end in our own errors or in a record.

    ECG_FUZZ=5000 python -m pytest tests/test_fuzz.py

tries so many damaged files per reader, different ones each time; without it a few, always the same.
"""

import os
import time
from functools import cache

import numpy as np
import pytest
import wfdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import broken_files as files
from support import made_carts, made_mfer, made_phones, made_scp
from support.made_files import FS_HZ, csv_text, ishne, signal
from support.records import write_record

from ecg_core.errors import EcgError
from ecg_core.records import read_annotations
from ecg_core.records.inspect import inspect_text

EXAMPLES = int(os.environ.get("ECG_FUZZ", "30"))
FIRST = 700  # bytes in which most headers lie


def wfdb_part(suffix):
    """One file of a WFDB record."""

    def write(path):
        folder = path.parent / "whole"
        folder.mkdir()
        write_record(folder, "x", signal(2, 2000), FS_HZ, lead_names=("II", "V1"))
        sample = np.arange(10, 1900, 100)
        wfdb.wrann("x", "atr", sample, symbol=["N"] * len(sample), aux_note=["(N"] * len(sample), write_dir=str(folder))
        path.write_bytes((folder / f"x{suffix}").read_bytes())

    return files.made_by(write, suffix)


PARTS = {suffix: wfdb_part(suffix) for suffix in (".hea", ".dat", ".atr")}
FRAMES = f"x 3 {FS_HZ // 2} 900 8:04:00\nx.dat 16x2 200/mV 16 0 0 0 0 II\nx.dat 16:2+4 9/NU\nx.dat 16x1 200\n"
SEGMENTS = f"y/3 2 {FS_HZ} 4100\nx 2000\n~ 100\nx 2000\n"


def compressed(path):
    wfdb.wrsamp("x", FS_HZ, ["mV"], ["II"], d_signal=(200 * signal(1, 2000)).T.astype(int), fmt=["516"],
                adc_gain=[200], baseline=[0], write_dir=str(path.parent))  # fmt: skip
    path.write_bytes((path.parent / "x.dat").read_bytes())


WHOLE = {
    "wfdb header": (PARTS[".hea"], "x.hea"),
    "wfdb header of frames": (FRAMES.encode, "x.hea"),
    "wfdb header of segments": (SEGMENTS.encode, "y.hea"),
    "wfdb signal, compressed": (files.made_by(compressed, ".dat"), "x.dat"),
    "wfdb signal": (PARTS[".dat"], "x.dat"),
    "wfdb annotations": (PARTS[".atr"], "x.atr"),
    "edf": (files.edf, "x.edf"),
    "edf+": (files.edf_plus, "x.edf"),
    "edf+d": (lambda: files.edf_plus().replace(b"EDF+C", b"EDF+D", 1), "x.edf"),
    "bdf": (files.bdf, "x.bdf"),
    "ishne": (lambda: ishne(signal(2, 2000)), "x.ecg"),
    "dicom": (files.dicom, "x.dcm"),
    "csv": (lambda: csv_text(signal(2, 2000)).encode(), "x.csv"),
    "table of a strap": (files.strap, "x.txt"),
    "table with notes": (files.noted, "x.txt"),
    "watch": (files.watch, "x.csv"),
    "parquet": (files.columns, "x.parquet"),
    "mat": (files.plain, "x.mat"),
    "mat, compressed": (files.packed, "x.mat"),
    "mat 4": (files.old, "x.mat"),
    "join": (files.LIST.encode, "x.join"),
    "a joined piece": (lambda: files.later(ishne(signal(2, 2000)), 27), "b.ecg"),
    "zip": (files.bytes_of(files.zipped(files.RECORD), ".bin"), "x.zip"),
    "tar.gz": (files.bytes_of(files.tarred(files.RECORD), ".bin"), "x.tar.gz"),
    **made_carts.WHOLE,
    **made_scp.WHOLE,
    **made_mfer.WHOLE,
    **made_phones.WHOLE,
}


@cache
def whole(name):
    """The bytes of an undamaged file."""
    return WHOLE[name][0]()


@cache
def part(suffix):
    """The bytes of a file of the undamaged WFDB record."""
    return PARTS[suffix]()


@st.composite
def damage(draw, content):
    """The bytes of a file after a few accidents, most of them near its beginning or its end."""
    broken = bytearray(content)
    near = st.one_of(st.integers(0, FIRST), st.integers(0, len(content)), st.integers(len(content) - 300, len(content)))
    for kind in draw(
        st.lists(st.sampled_from(["turn", "turn", "write", "cut", "insert", "end"]), min_size=1, max_size=6)
    ):
        place = draw(near) % max(len(broken), 1)
        if kind == "turn" and broken:
            broken[place] = draw(st.integers(0, 255))
        elif kind == "write":
            extreme = draw(
                st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\xff\xff\xff\x7f", b"-1  ", b"nan ", b"9999", b"1e99"])
            )
            broken[place : place + 4] = extreme
        elif kind == "cut":
            del broken[place : place + draw(st.integers(1, 40))]
        elif kind == "insert":
            broken[place:place] = draw(st.binary(min_size=1, max_size=40))
        elif draw(st.booleans()):
            del broken[place:]
    return bytes(broken)


@pytest.mark.parametrize("name", WHOLE)
@settings(
    max_examples=EXAMPLES,
    derandomize="ECG_FUZZ" not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_damage_ends_in_a_record_or_in_an_error_of_our_own(tmp_path, name, data):
    file_name = WHOLE[name][1]
    if name.startswith("wfdb"):
        for suffix in PARTS:
            (tmp_path / f"x{suffix}").write_bytes(part(suffix))
    if "compressed" in name and "wfdb" in name:
        (tmp_path / "x.hea").write_text(f"x 1 {FS_HZ}\nx.dat 516 200/mV\n")
    path = tmp_path / file_name
    path.write_bytes(data.draw(damage(whole(name))))
    if "join" in name:
        path = files.beside_pieces(path)
    began = time.perf_counter()
    try:
        files.open_whole(path)
    except EcgError as error:
        assert str(error)
    try:
        if name == "wfdb annotations":
            read_annotations(path, FS_HZ)
        inspect_text(path)
    except EcgError as error:
        assert str(error)
    assert time.perf_counter() - began < 2 * files.LONGEST_S
