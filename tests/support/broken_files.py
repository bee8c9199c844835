"""Broken recordings, one small function each: what a user may have on disk and every reader has to refuse.

``BROKEN`` names each case and holds a function that writes it into a folder and returns the path to open.
"""

import io
import os
import struct
import tarfile
import zipfile
from functools import cache, partial

import edfio
import numpy as np
import pandas as pd
import wfdb
from scipy.io import savemat

from ecg_core.overrides import NO_OVERRIDES, RecordOverrides
from ecg_core.records import read_record
from support.made_files import FS_HZ, N, csv_text, dicom_group, ishne, signal, write_dicom, write_edf
from support.records import write_record

LONGEST_S = 2.0  # until a broken file is refused
HUGE = 10**12
LINE = "x.dat 16 200/mV 16 0 0 0 0 II"


def open_whole(path):
    """Open a record, and read its beginning and its end."""
    record = read_record(path, RecordOverrides(250.0, 1.0) if path.suffix == ".mat" else NO_OVERRIDES)
    leads = tuple(range(len(record.lead_names)))
    for start in (0, max(0, record.n_samples - 1000)):
        record.source.read(start, min(record.n_samples, start + 1000), leads)


def put(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def cut(make, name, length):
    """The first bytes of a whole file; a negative length counts from its end."""

    def write(folder):
        return put(folder, name, make()[:length])

    return write


def patched(make, name, place, content):
    """A whole file with some bytes replaced."""

    def write(folder):
        whole = make()
        return put(folder, name, whole[:place] + content + whole[place + len(content) :])

    return write


def as_it_is(name, content):
    return lambda folder: put(folder, name, content() if callable(content) else content)


def made_by(write, suffix):
    """The bytes of what a function writes into a file, made once."""

    @cache
    def made():
        import tempfile
        from pathlib import Path

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"x{suffix}"
            write(path)
            return path.read_bytes()

    return made


# WFDB


def wfdb_case(text, *, dat=None, name="x"):
    """A header, and a signal file of ten seconds beside it."""

    def write(folder):
        put(folder, "x.dat", signal(1).astype("<i2").tobytes() if dat is None else dat)
        return put(folder, f"{name}.hea", text)

    return write


def wfdb_leads(n):
    lines = "\n".join(f"x.dat 16 200/mV 16 0 0 0 0 L{i}" for i in range(n))
    return wfdb_case(f"x {n} 250 1500\n{lines}\n", dat=bytes(2 * 1500 * n))


def marked(length):
    """A record whose annotation file ends after so many bytes."""

    def write(folder):
        path = write_record(folder, "x", signal(1), FS_HZ, lead_names=("II",))
        sample = np.arange(10, 4000, 250)
        wfdb.wrann(
            "x", "atr", sample, symbol=["+"] * len(sample), aux_note=["(AFIB"] * len(sample), write_dir=str(folder)
        )
        put(folder, "x.atr", (folder / "x.atr").read_bytes()[:length])
        return path

    return write


def in_place_of_the_signal(make):
    """A record whose signal file is something else."""

    def write(folder):
        make(folder / "x.dat")
        return put(folder, "x.hea", f"x 1 250 5000\n{LINE}\n")

    return write


WFDB = {
    "wfdb: an empty header": wfdb_case(""),
    "wfdb: a header of a name alone": wfdb_case("x"),
    "wfdb: a header that ends after the number of leads": wfdb_case("x 1"),
    "wfdb: a header that ends after its rate": wfdb_case("x 1 250"),
    "wfdb: a header that ends before its signals": wfdb_case("x 1 250 5000\n"),
    "wfdb: a header that ends within a signal": wfdb_case("x 1 250 5000\nx.da"),
    "wfdb: a header of another file": wfdb_case(b"\x89PNG\r\n\x1a\n" + bytes(99)),
    "wfdb: no signal file": lambda folder: put(folder, "x.hea", f"x 1 250 5000\n{LINE}\n"),
    "wfdb: an empty signal file": wfdb_case(f"x 1 250 5000\n{LINE}\n", dat=b""),
    "wfdb: a signal file of half a sample": wfdb_case(f"x 1 250 5000\n{LINE}\n", dat=bytes(1)),
    "wfdb: a signal file of four seconds": wfdb_case(f"x 1 250 5000\n{LINE}\n", dat=bytes(2000)),
    "wfdb: a signal file of four seconds and no length": wfdb_case(f"x 1 250\n{LINE}\n", dat=bytes(2000)),
    "wfdb: a compressed signal file that is empty": wfdb_case(
        "x 1 250 5000\nx.dat 516 200/mV 16 0 0 0 0 II\n", dat=b""
    ),
    "wfdb: a gain with a comma": wfdb_case("x 1 250 5000\nx.dat 16 200,5/mV 16 0 0 0 0 II\n"),
    "wfdb: a signal file in two formats": wfdb_case(f"x 2 250 5000\n{LINE}\n{LINE.replace(' 16 200', ' 212 200')}\n"),
    "wfdb: frames of 99999 samples": wfdb_case("x 1 250 5000\nx.dat 16x99999 200/mV 16 0 0 0 0 II\n"),
    "wfdb: no ECG": wfdb_case("x 1 250 5000\nx.dat 16 10/mmHg 16 0 0 0 0 ABP\n"),
    "wfdb: a folder in place of the signal file": in_place_of_the_signal(lambda path: path.mkdir()),
    "wfdb: a link to nothing": in_place_of_the_signal(lambda path: path.symlink_to("nowhere.dat")),
    "wfdb: a link to itself": in_place_of_the_signal(lambda path: path.symlink_to("x.dat")),
    "wfdb: a signal that says it is compressed": wfdb_case("x 1 250 5000\nx.dat 516 200/mV 16 0 0 0 0 II\n"),
    "wfdb: 1e12 samples": wfdb_case(f"x 1 250 {HUGE}\n{LINE}\n"),
    "wfdb: 1e12 compressed samples": wfdb_case(f"x 1 250 {HUGE}\nx.dat 516 200/mV 16 0 0 0 0 II\n"),
    "wfdb: a week of compressed samples in ten seconds": wfdb_case(
        "x 1 250 151200000\nx.dat 516 200/mV 16 0 0 0 0 II\n"
    ),
    "wfdb: rate 0": wfdb_case(f"x 1 0 5000\n{LINE}\n"),
    "wfdb: rate -250": wfdb_case(f"x 1 -250 5000\n{LINE}\n"),
    "wfdb: rate nan": wfdb_case(f"x 1 nan 5000\n{LINE}\n"),
    "wfdb: rate 1e9": wfdb_case(f"x 1 1000000000 5000\n{LINE}\n"),
    "wfdb: 0 leads": wfdb_case("x 0 250 5000\n"),
    "wfdb: 300 leads": wfdb_leads(300),
    "wfdb: an unknown format": wfdb_case("x 1 250 5000\nx.dat 17 200/mV 16 0 0 0 0 II\n"),
    "wfdb: a file in the folder above": wfdb_case(f"x 1 250 5000\n../{LINE}\n"),
    "wfdb: an absolute file": wfdb_case("x 1 250 5000\n/etc/passwd 16 200/mV 16 0 0 0 0 II\n"),
    "wfdb: a file on a drive": wfdb_case(f"x 1 250 5000\nC:{LINE}\n"),
    "wfdb: a file behind a backslash": wfdb_case(f"x 1 250 5000\n..\\{LINE}\n"),
    "wfdb: a segment in the folder above": wfdb_case("x/1 1 250 5000\n../y 5000\n"),
    "wfdb: a segment that is missing": wfdb_case("x/1 1 250 5000\ny 5000\n"),
    "wfdb: a record that is its own segment": wfdb_case("x/1 1 250 5000\nx 5000\n"),
    "wfdb: segments of fewer samples than promised": wfdb_case("x/1 1 250 5000\n~ 4000\n"),
    "wfdb: a gap of 1e12 samples": wfdb_case(f"x/1 1 250 {HUGE}\n~ {HUGE}\n"),
    "wfdb: annotations that end within a note": marked(9),
    "wfdb: annotations of one byte": marked(1),
    "wfdb: a path that does not exist": lambda folder: folder / "nothing.hea",
    "wfdb: a folder": lambda folder: folder,
}

# EDF, EDF+ and BDF. A header of two signals takes 768 bytes.

edf = made_by(lambda path: write_edf(path, signal()), ".edf")
bdf = made_by(lambda path: write_edf(path, signal(), kind=edfio.BdfSignal, writer=edfio.Bdf), ".bdf")


def _with_notes(path, rows=None):
    rows = signal() if rows is None else rows
    kinds = {"label": "ECG II", "physical_dimension": "mV", "physical_range": (-4, 4)}
    notes = [edfio.EdfAnnotation(i * 0.8, None, "N") for i in range(20)]
    edfio.Edf([edfio.EdfSignal(row, FS_HZ, **kinds) for row in rows], annotations=notes).write(path)


edf_plus = made_by(_with_notes, ".edf")


def edf_leads(path):
    write_edf(path, signal(300), names=[f"ECG {i}" for i in range(300)])


def backwards():
    """EDF+D whose second data record begins when the first does."""
    content = edf_plus().replace(b"EDF+C", b"EDF+D", 1)
    return content.replace(b"+1\x14\x14\x00", b"+0\x14\x14\x00", 1)


def years_apart():
    """EDF+D with a gap of years."""
    content = edf_plus().replace(b"EDF+C", b"EDF+D", 1)
    place = content.index(b"+19\x14\x14\x00")
    return content[:place] + b"+999999999\x14\x14\x00".ljust(20, b"\0") + content[place + 20 :]


EDF = {
    **{f"edf: cut after {n} bytes": cut(edf, "x.edf", n) for n in (8, 100, 252, 255, 256, 300, 512, 767, 768, 5000)},
    **{f"bdf: cut after {n} bytes": cut(bdf, "x.bdf", n) for n in (8, 255, 256, 767, 768, 6000)},
    **{f"edf+: cut after {n} bytes": cut(edf_plus, "x.edf", n) for n in (256, 1023, 1024, 3000)},
    "edf: 9999 signals": patched(edf, "x.edf", 252, b"9999"),
    "edf: a number of signals in letters": patched(edf, "x.edf", 252, b"many"),
    "edf: 0 signals": patched(edf, "x.edf", 252, b"0   "),
    "edf: -1 signals": patched(edf, "x.edf", 252, b"-1  "),
    "edf: 300 leads": as_it_is("x.edf", made_by(edf_leads, ".edf")),
    "edf: -7 data records": patched(edf, "x.edf", 236, b"-7      "),
    "edf: 99999999 data records": patched(edf, "x.edf", 236, b"99999999"),
    "edf: data records of 0 s": patched(edf, "x.edf", 244, b"0       "),
    "edf: data records of -1 s": patched(edf, "x.edf", 244, b"-1      "),
    "edf: data records of nan s": patched(edf, "x.edf", 244, b"nan     "),
    "edf: data records of inf s": patched(edf, "x.edf", 244, b"inf     "),
    "edf: rate 1e9": patched(edf, "x.edf", 244, b"0.000000"),
    "edf: rate 2.5e9": patched(edf, "x.edf", 244, b"1e-7    "),
    "edf: a unit of temperature": as_it_is("x.edf", lambda: edf().replace(b"mV      ", b"degC    ")),
    "edf: digital range of nothing": patched(edf, "x.edf", 256 + 2 * 120, b"32767   32767   "),
    "edf: physical range to infinity": patched(edf, "x.edf", 256 + 2 * 112, b"inf     inf     "),
    "edf: physical range to nan": patched(edf, "x.edf", 256 + 2 * 112, b"nan     nan     "),
    "edf: -5 samples in a data record": patched(edf, "x.edf", 256 + 2 * 216, b"-5      "),
    "edf: 99999999 samples in a data record": patched(edf, "x.edf", 256 + 2 * 216, b"99999999"),
    "edf+: interrupted, and no times": patched(edf, "x.edf", 192, b"EDF+D"),
    "edf+: interrupted, and going back in time": as_it_is("x.edf", backwards),
    "edf+: interrupted for years": as_it_is("x.edf", years_apart),
    "edf: empty": as_it_is("x.edf", b""),
}

# ISHNE

rows = signal()
holter = partial(ishne, rows)
ISHNE = {
    **{f"ishne: cut after {n} bytes": cut(holter, "x.ecg", n) for n in (3, 8, 20, 156, 300, 521, 522, 525, 900)},
    "ishne: 0 leads": as_it_is("x.ecg", ishne(rows, n_leads=-0x8000)),
    "ishne: -1 leads": as_it_is("x.ecg", ishne(rows, n_leads=-1)),
    "ishne: 300 leads": as_it_is("x.ecg", ishne(rows, n_leads=300)),
    "ishne: rate 0": as_it_is("x.ecg", ishne(rows, rate=0)),
    "ishne: rate -1": as_it_is("x.ecg", ishne(rows, rate=-1)),
    "ishne: rate 32767": as_it_is("x.ecg", ishne(rows, rate=32767)),
    "ishne: an ECG that begins behind the end": as_it_is("x.ecg", ishne(rows, offset=99_999_999)),
    "ishne: an ECG that begins before the file": as_it_is("x.ecg", ishne(rows, offset=-5)),
    "ishne: another version": as_it_is("x.ecg", b"ISHNE9.9" + ishne(rows)[8:]),
}

# DICOM

COUNTS = np.rint(400 * rows).astype(np.int16)
dicom = made_by(lambda path: write_dicom(path, [dicom_group(COUNTS)]), ".dcm")


def dicom_case(*groups, **fields):
    def write(folder):
        made = [dicom_group(COUNTS) if group is None else group() for group in groups]
        for name, value in fields.items():
            setattr(made[0], name, value)
        return write_dicom(folder / "x.dcm", made)

    return write


def swallowed():
    """The unique identifier of the file's kind states a length that includes all that follows, except the samples."""
    content, tag = dicom(), b"\x08\x00\x16\x00UI"
    place = content.index(tag) + len(tag)
    return content[:place] + struct.pack("<H", 728) + content[place + 2 :]


DICOM = {
    **{f"dicom: cut after {n} bytes": cut(dicom, "x.dcm", n) for n in (132, 136, 140, 300, 400, 600, 1000, 6000, -3)},
    "dicom: no waveform": dicom_case(),
    "dicom: a unit of pressure": dicom_case(partial(dicom_group, COUNTS, unit="mm[Hg]")),
    "dicom: rate 0": dicom_case(partial(dicom_group, COUNTS, fs_hz=0)),
    "dicom: rate -250": dicom_case(partial(dicom_group, COUNTS, fs_hz=-250)),
    "dicom: rate 1e9": dicom_case(partial(dicom_group, COUNTS, fs_hz=1_000_000_000)),
    "dicom: 4e9 samples": dicom_case(None, NumberOfWaveformSamples=4_000_000_000),
    "dicom: 0 leads": dicom_case(None, NumberOfWaveformChannels=0),
    "dicom: 300 leads": dicom_case(
        partial(dicom_group, np.zeros((300, 1500), np.int16), names=[f"L{i}" for i in range(300)])
    ),
    "dicom: more leads than are described": dicom_case(None, NumberOfWaveformChannels=4, NumberOfWaveformSamples=2500),
    "dicom: samples of 13 bits": dicom_case(None, WaveformBitsAllocated=13),
    "dicom: a kind that swallows what follows": as_it_is("x.dcm", swallowed),
    "dicom: a sensitivity of infinity": dicom_case(partial(dicom_group, COUNTS, sensitivity="1e999")),
}

# Tables

table = csv_text(rows)


def parquet(**columns):
    return made_by(lambda path: pd.DataFrame(columns).to_parquet(path, index=False), ".parquet")


times = np.arange(N) / FS_HZ


def strap():
    """A chest strap's table: dates and times, nanoseconds, a gap, decimal commas."""
    rows_of = [f"2024-03-02T23:59:{50 + i / 250:06.3f};{4_000_000 * i};{i % 90},5" for i in range(2000) if i // 9 != 99]
    return "\n".join(["Phone timestamp;timestamp [ns];ecg [uV]", *rows_of]).encode("utf-16")


def noted():
    """A table with comments, a rate in them, units below the headings, times of day, and missing values."""
    head = "# a note\n# Sampling rate: 250 Hz\n'Elapsed time','MLII','note'\n'mm:ss.mmm','mV',''\n"
    return (head + "".join(f"'0:{i / 250:06.3f}',{i % 90},-\n" for i in range(2000))).encode("latin-1")


def watch():
    """The electrocardiogram of a watch."""
    head = "Name\nAufgezeichnet,2024-03-02 23:59:50 +0100\nMessrate,511,562 Hertz\nAbleitung,I\nEinheit,µV\n\n"
    return (head + "".join(f"{i % 90},5\n" for i in range(5000))).encode()


columns = parquet(time_s=times, II_mv=rows[0])
CONSTANT = parquet(time_s=np.zeros(5_000_000), II_mv=np.zeros(5_000_000))

TABLES = {
    "csv: empty": as_it_is("x.csv", ""),
    "csv: a heading alone": as_it_is("x.csv", "time_s,II_mv\n"),
    **{f"csv: cut after {n} bytes": as_it_is("x.csv", table[:n]) for n in (1, 5, 10, 18, 19, 40, 500)},
    "csv: no heading": as_it_is("x.csv", "\n".join(table.splitlines()[1:])),
    "csv: no unit": as_it_is("x.csv", table.replace("II_mv,V1_mv", "II,V1", 1)),
    "csv: no time": as_it_is("x.csv", table.replace("time_s", "time", 1)),
    "csv: times that fall": as_it_is("x.csv", "time_s,II_mv\n" + "".join(f"{-t},0\n" for t in times)),
    "csv: times that leap": as_it_is("x.csv", table.replace("\n10.", "\n11.")),
    "csv: times that are nan": as_it_is("x.csv", "time_s,II_mv\n" + "nan,0\n" * N),
    "csv: rate 1e9": as_it_is("x.csv", "time_s,II_mv\n" + "".join(f"{i}e-9,0\n" for i in range(N))),
    "csv: rate 10": as_it_is("x.csv", csv_text(rows, fs_hz=10)),
    "csv: infinite values": as_it_is("x.csv", table.replace(",0.00000", ",inf", 1)),
    "csv: a word among numbers": as_it_is("x.csv", table.replace(",0.00000", ",high", 1)),
    "csv: a number of 400 digits": as_it_is("x.csv", table.replace(",0.00000", "," + "9" * 400, 1)),
    "csv: 300 leads": as_it_is("x.csv", csv_text(signal(300), "time_s," + ",".join(f"L{i}_mv" for i in range(300)))),
    "csv: not UTF-8": as_it_is("x.csv", "time_s,Lüs_mv\n0,1\n".encode("latin-1")),
    "csv: binary": as_it_is("x.csv", bytes(range(1, 256)) * 20),
    "csv: a quote that never ends": as_it_is("x.csv", 'time_s,"II_mv\n' + "0,1\n" * 100),
    "csv: lines of more and more cells": as_it_is(
        "x.csv", "time_s,II_mv\n" + "".join("1," * i + "\n" for i in range(90))
    ),
    "csv: one line of a megabyte": as_it_is("x.csv", "a" * 1_000_000),
    "csv: zeros": as_it_is("x.csv", bytes(5000)),
    "apple: no number after the heading": as_it_is("x.csv", "Sample Rate,512 hertz\nUnit,µV\n\n1.2.3\n"),
    "apple: no unit": as_it_is("x.csv", "Sample Rate,512 hertz\n\n" + "1.5\n" * 9000),
    "apple: another rate": as_it_is("x.csv", "Rate,512 beats\nUnit,mV\n\n" + "1.5\n" * 9000),
    "csv: a time of a year later": as_it_is("x.csv", table.replace("\n19.9", "\n31536019.9")),
    "csv: a time that is half a million years": as_it_is("x.csv", table.replace("\n19.996", "\n1e13")),
    "csv: all at one time": as_it_is("x.csv", "time_s,II_mv\n" + "1,0\n" * N),
    "csv: a quote that ends in another line": as_it_is(
        "x.csv", "time_s,II_mv,note\n" + "".join(f"{t:.3f},{t},{chr(34) if t in (8, 9) else ''}x\n" for t in times)
    ),
    "csv: another separator half-way": as_it_is(
        "x.csv", table[: len(table) // 2] + table[len(table) // 2 :].replace(",", ";")
    ),
    "csv: more cells half-way": as_it_is("x.csv", table.replace("\n10.", "\n10.0,10.")),
    "csv: headings again half-way": as_it_is("x.csv", table.replace("\n10.000000", "\ntime_s,II_mv,V1_mv\n10.000000")),
    "csv: numbers grouped by thousands": as_it_is("x.csv", table.replace(",0.0", ',"1,0')),
    "apple: rate 1e9": as_it_is("x.csv", "Sample Rate,1000000000 hertz\nUnit,mV\n\n" + "1.5\n" * 9000),
    **{f"parquet: cut after {n} bytes": cut(columns, "x.parquet", n) for n in (4, 100, 5000, -4, -8)},
    "parquet: no time": as_it_is("x.parquet", parquet(II_mv=rows[0])),
    "parquet: no unit": as_it_is("x.parquet", parquet(time_s=times, II=rows[0])),
    "parquet: text": as_it_is("x.parquet", parquet(time_s=times, II_mv=["a"] * N)),
    "parquet: lists": as_it_is("x.parquet", parquet(time_s=times, II_mv=[[1.0]] * N)),
    "parquet: no rows": as_it_is("x.parquet", parquet(time_s=times[:0], II_mv=rows[0][:0])),
    "parquet: millions of rows in a few bytes": as_it_is("x.parquet", CONSTANT),
}

# MATLAB


def mat(variables=None, **options):
    made = {"val": COUNTS} if variables is None else variables
    return made_by(lambda path: savemat(path, made, **options), ".mat")


plain, packed, old = mat(), mat(do_compression=True), mat(format="4")
MAT = {
    **{f"mat: cut after {n} bytes": cut(plain, "x.mat", n) for n in (19, 128, 136, 150, 176, 200, 9000, -1)},
    **{f"mat, compressed: cut after {n} bytes": cut(packed, "x.mat", n) for n in (132, 136, 150, 600, -5)},
    **{f"mat 4: cut after {n} bytes": cut(old, "x.mat", n) for n in (10, 20, 24, 9000, -1)},
    "mat: version 7.3": as_it_is("x.mat", b"MATLAB 7.3 MAT-file, Platform".ljust(512) + b"\x89HDF\r\n\x1a\n"),
    "mat: text alone": as_it_is("x.mat", mat({"name": "nobody"})),
    "mat: a structure": as_it_is("x.mat", mat({"record": {"ecg": COUNTS, "fs": 250}})),
    "mat: several matrices": as_it_is("x.mat", mat({"a": COUNTS, "b": COUNTS})),
    "mat: complex numbers": as_it_is("x.mat", mat({"val": COUNTS * 1j})),
    "mat: 3 dimensions": as_it_is("x.mat", mat({"val": np.zeros((2, 3, 4))})),
    "mat: 300 leads": as_it_is("x.mat", mat({"val": np.zeros((300, 1500), np.int8)})),
    "mat: one number": as_it_is("x.mat", mat({"val": 5.0})),
    "mat: 4e9 columns": patched(plain, "x.mat", 164, struct.pack("<I", 4_000_000_000)),
    "mat 4: 2e9 columns": patched(old, "x.mat", 8, struct.pack("<i", 2_000_000_000)),
    "mat: gigabytes in a few bytes": as_it_is("x.mat", mat({"val": np.zeros((2, 4_000_000))}, do_compression=True)),
}

# Archives


def zipped(contents, **options):
    def write(folder):
        with zipfile.ZipFile(folder / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in contents.items():
                archive.writestr(name, content() if callable(content) else content, **options)
        return folder / "x.zip"

    return write


def tarred(contents, *links):
    def write(folder):
        with tarfile.open(folder / "x.tar.gz", "w:gz") as archive:
            for name, content in contents.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            for name, kind, target in links:
                info = tarfile.TarInfo(name)
                info.type, info.linkname = kind, target
                archive.addfile(info)
        return folder / "x.tar.gz"

    return write


HEADER = f"x 1 250 5000\n{LINE}\n".encode()
RECORD = {"x.hea": HEADER, "x.dat": bytes(10_000)}


def bytes_of(write, name):
    return made_by(lambda path: path.write_bytes(write(path.parent).read_bytes()), name)


def locked(folder):
    """A zip whose files say that they are encrypted."""
    content = bytearray(bytes_of(zipped(RECORD), ".bin")())
    for magic, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(magic)
        while place >= 0:
            content[place + flags] |= 1
            place = content.find(magic, place + 4)
    return put(folder, "x.zip", bytes(content))


OUTSIDE = ("../x.hea", "/etc/x.hea", "a/../../x.hea", "..\\x.hea", "C:\\x.hea", "C:x.hea")
ARCHIVES = {
    **{f"zip: cut after {n} bytes": cut(bytes_of(zipped(RECORD), ".bin"), "x.zip", n) for n in (4, 30, 60, 150, -10)},
    **{f"tar.gz: cut after {n} bytes": cut(bytes_of(tarred(RECORD), ".bin"), "x.tar.gz", n) for n in (2, 10, 60, -40)},
    **{f"zip: a file called {name}": zipped({**RECORD, name: b"x"}) for name in OUTSIDE},
    **{f"tar.gz: a file called {name}": tarred({**RECORD, name: b"x"}) for name in OUTSIDE},
    "zip: a byte is missing before the list of files": lambda folder: put(
        folder, "x.zip", (content := bytes_of(zipped(RECORD), ".bin")())[:50] + content[51:]
    ),
    "zip: empty": zipped({}),
    "zip: a bomb": zipped({**RECORD, "zeros.dat": lambda: bytes(100 << 20)}),
    "zip: an archive in the archive": zipped({"y.zip": b"PK\x03\x04"}),
    "zip: two records": zipped({**RECORD, "y.csv": table}),
    "zip: no record": zipped({"letter.docx": b"x"}),
    "zip: two files of one name": zipped({"a/x.hea": HEADER, "b/x.hea": HEADER}),
    "zip: thousands of files": zipped({f"{i}.dat": b"" for i in range(2000)}),
    "zip: locked": locked,
    "tar.gz: a bomb": tarred({**RECORD, "zeros.dat": bytes(30 << 20)}),
    "tar.gz: a link to a file outside": tarred({"x.hea": HEADER}, ("x.dat", tarfile.SYMTYPE, "/etc/passwd")),
    "tar.gz: a hard link to a file outside": tarred({"x.hea": HEADER}, ("x.dat", tarfile.LNKTYPE, "/etc/passwd")),
    "tar.gz: a device": tarred({"x.hea": HEADER}, ("x.dat", tarfile.CHRTYPE, "")),
    "gz: no tar in it": as_it_is("x.gz", b"\x1f\x8b" + bytes(50)),
}

# Lists of pieces: two files of 20 s, the second from 27 s on


def later(content, seconds):
    """An ISHNE file that begins so many seconds later, within its minute."""
    second = struct.unpack_from("<h", content, 154)[0] + seconds
    return content[:154] + struct.pack("<h", second) + content[156:]


LIST = "ECG-JOIN 1\na.ecg\nb.ecg\n"


def joined(text=LIST, *, seconds=27):
    """A list of two pieces, or any text in its place."""

    def write(folder):
        first = ishne(signal())
        put(folder, "a.ecg", first)
        put(folder, "b.ecg", later(first, seconds))
        return put(folder, "x.join", text)

    return write


def beside_pieces(path):
    """The list of two pieces, where one of the three files is there already; its path."""
    for name, write in (("a.ecg", ishne(signal())), ("b.ecg", later(ishne(signal()), 27)), ("x.join", LIST)):
        if name != path.name:
            put(path.parent, name, write)
    return path.with_name("x.join")


JOINED = {
    "join: an empty file": joined(b""),
    "join: the first line alone": joined("ECG-JOIN 1\n"),
    "join: one piece": joined("ECG-JOIN 1\na.ecg\n"),
    "join: half a first line": joined("ECG-JOIN\na.ecg\nb.ecg\n"),
    "join: another version": joined("ECG-JOIN 2\na.ecg\nb.ecg\n"),
    "join: no text": joined(b"ECG-JOIN 1\n\xff\xfe\n"),
    "join: a piece that is missing": joined("ECG-JOIN 1\na.ecg\nc.ecg\n"),
    "join: a name that no file can have": joined("ECG-JOIN 1\na.ecg\nb\0.ecg\n"),
    "join: a name longer than any": joined("ECG-JOIN 1\na.ecg\n" + 9000 * "b" + "\n"),
    "join: a folder": joined("ECG-JOIN 1\na.ecg\n.\n"),
    "join: itself": joined("ECG-JOIN 1\nx.join\nx.join\n"),
    "join: a file of another kind": joined("ECG-JOIN 1\na.ecg\n/etc/passwd\n"),
    "join: pieces that overlap": joined(seconds=10),
    "join: a piece twice": joined("ECG-JOIN 1\na.ecg\na.ecg\n"),
    "join: a million pieces": joined("ECG-JOIN 1\n" + 1_000_000 * "a.ecg\n"),
}

# What is no recording at all

OTHERS = {
    "png": as_it_is("x.edf", b"\x89PNG\r\n\x1a\n" + bytes(500)),
    "pdf": as_it_is("x.dat", b"%PDF-1.7\n" + bytes(500)),
    "xml": as_it_is("x.xml", b"<?xml version='1.0'?><AnnotatedECG/>"),
    "a program": as_it_is("x.ecg", b"MZ" + bytes(500)),
    "zeros": as_it_is("x.bin", bytes(5000)),
    "empty": as_it_is("x.bin", b""),
    "prose": as_it_is("x.txt", "Dear colleague,\nplease find enclosed\n"),
    "a broken link": lambda folder: (folder / "x.edf").symlink_to("nowhere") or folder / "x.edf",
    "a pipe": lambda folder: os.mkfifo(folder / "x.edf") or folder / "x.edf",
}

BROKEN = {**WFDB, **EDF, **ISHNE, **DICOM, **TABLES, **MAT, **ARCHIVES, **JOINED, **OTHERS}
