"""Time to open a day of three leads at 250 Hz, and to copy it at 125 Hz, from each binary format; and to write each.

    python -m benchmarks.formats_24h [--runs 3] [--json FILE]

The signal is simulated. Opening is ``read_record`` and ten seconds from the middle, without the imports; copying is the
whole command ``convert --rate 125``, writing that of ``convert --to`` from WFDB at its own rate, each in a new
process. Medians are printed and kept.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from scipy.io import savemat

from benchmarks.command import ROOT, publish
from ecg_core.records import read_record
from ecg_core.records.convert import convert
from tests.support.made_files import dicom_group, ishne, write_dicom, write_edf

FS_HZ, HOURS, N_LEADS = 250, 24, 3
N = HOURS * 3600 * FS_HZ
OVERRIDES = ("--fs", str(FS_HZ), "--unit", "400")  # a matrix states neither
WRITTEN = ("wfdb", "edf", "dicom", "ishne", "parquet")
OPEN = (
    "import sys, time\n"
    "from pathlib import Path\n"
    "from ecg_core.records import per_mv_of, read_record\n"
    "from ecg_core.schema import RecordOverrides\n"
    "fs_hz, per_mv = (float(sys.argv[2]), per_mv_of(sys.argv[3])) if len(sys.argv) > 2 else (None, None)\n"
    "import edfio, pydicom, pyarrow.parquet, scipy.io, wfdb\n"
    "began, worked = time.perf_counter(), time.process_time()\n"
    "record = read_record(sys.argv[1], RecordOverrides(fs_hz, per_mv))\n"
    "middle = record.n_samples // 2\n"
    "part = record.source.read(middle, middle + round(10 * record.fs_hz), tuple(range(len(record.lead_names))))\n"
    "print(time.perf_counter() - began, time.process_time() - worked)\n"
    "assert part.any() and record.n_samples / record.fs_hz == 86400\n"
)


def simulated() -> np.ndarray:
    """Three leads in mV, shape (3, n): a beat a second, wandering baseline, noise; as whole counts of 1/400 mV."""
    time_s = np.arange(N) / FS_HZ
    beat = np.exp(-(((time_s % 0.83) - 0.4) ** 2) / 2e-4).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 0.02, N).astype(np.float32)
    wander = (0.1 * np.sin(2 * np.pi * time_s / 4)).astype(np.float32)
    return np.rint(np.stack([beat + noise + wander, 0.7 * beat - noise, 1.2 * beat + wander]) * 400) / 400


def write_bdf(path: Path, rows: np.ndarray) -> None:
    """BDF: the header of a short file with another number of data records, then 24-bit samples."""
    import edfio  # noqa: PLC0415

    write_edf(path, rows[:, :FS_HZ], names=("ECG I", "ECG II", "ECG V1"), kind=edfio.BdfSignal, writer=edfio.Bdf)
    header = bytearray(path.read_bytes()[: 256 * (len(rows) + 1)])
    header[236:244] = str(N // FS_HZ).encode().ljust(8)
    with path.open("wb") as stream:
        stream.write(header)
        for hour in np.array_split(rows, HOURS, axis=1):  # physical range -4 .. 4 mV
            counts = np.rint(hour / 8 * (2**24 - 1) - 0.5).astype("<i4")
            frames = counts.reshape(len(rows), -1, FS_HZ).transpose(1, 0, 2)
            stream.write(np.ascontiguousarray(frames).view(np.uint8).reshape(-1, 4)[:, :3].tobytes())


def write(folder: Path) -> None:
    """The same day in each format."""
    rows = simulated()
    counts = np.rint(rows * 400).astype(np.int16)
    (folder / "day.ecg").write_bytes(ishne(rows, rate=FS_HZ, specs=(5, 6, 11)))
    day = replace(read_record(folder / "day.ecg"), record_id="day", start=None)
    write_bdf(folder / "day.bdf", rows)
    write_dicom(folder / "day.dcm", [dicom_group(counts, fs_hz=FS_HZ, names=("Lead I", "Lead II", "V1"))])
    savemat(folder / "bare.mat", {"val": counts}, do_compression=True)  # beside no header of its name
    for kind in ("wfdb", "edf", "parquet"):
        convert(day, kind, folder)


def paths(folder: Path) -> dict[str, tuple[Path, tuple[str, ...]]]:
    """The day in each format, with the options that it needs; written by another process, as that one grows large."""
    subprocess.run([sys.executable, "-m", "benchmarks.formats_24h", "--write", str(folder)], check=True, cwd=ROOT)
    return {
        "WFDB": (folder / "day.hea", ()),
        "EDF": (folder / "day.edf", ()),
        "BDF": (folder / "day.bdf", ()),
        "ISHNE": (folder / "day.ecg", ()),
        "DICOM": (folder / "day.dcm", ()),
        "MATLAB": (folder / "bare.mat", OVERRIDES),
        "Parquet": (folder / "day.parquet", ()),
    }


def opening(path: Path, options: tuple[str, ...]) -> tuple[float, float]:
    """Seconds until ten seconds from the middle are read, by the clock and of the processor."""
    command = [sys.executable, "-c", OPEN, str(path), *options[1::2]]
    printed = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True).stdout
    took_s, cpu_s = map(float, printed.split())
    return took_s, cpu_s


def copying(path: Path, options: tuple[str, ...], folder: Path) -> tuple[float, float, float]:
    """Seconds by the clock and of the processor, and peak memory in MB, of the command ``convert``."""
    command = [sys.executable, "-m", "ecg_core", "convert", str(path), "--overwrite", "--out", str(folder), *options]
    began = time.perf_counter()
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{path.name}: convert ended with {status}")
    return time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def medians(step: Callable[[], tuple[float, ...]], runs: int) -> list[float]:
    """Median of each figure over several runs."""
    return [round(statistics.median(column), 2) for column in zip(*(step() for _ in range(runs)), strict=True)]


def main() -> None:
    """Write the day in each format, time each, print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--write", type=Path, metavar="DIR", help="only write the day into a folder")
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    if options.write:
        write(options.write)
        return
    rows = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, (path, overrides) in paths(folder).items():
            open_s, open_cpu_s = medians(partial(opening, path, overrides), options.runs)
            copy_s, copy_cpu_s, peak_mb = medians(
                partial(copying, path, ("--rate", "125", *overrides), folder / "out"), options.runs
            )
            rows[kind] = {
                "open_s": open_s, "open_cpu_s": open_cpu_s,
                "copy_s": copy_s, "copy_cpu_s": copy_cpu_s, "copy_peak_mb": round(peak_mb),
            }  # fmt: skip
            print(
                f"{kind:>8}  open {open_s:5.2f} s (processor {open_cpu_s:.2f})   copy at 125 Hz {copy_s:5.1f} s "
                f"(processor {copy_cpu_s:.1f}), {peak_mb:,.0f} MB",
                flush=True,
            )
        written = {
            kind: dict(
                zip(
                    ("write_s", "write_cpu_s", "write_peak_mb"),
                    medians(partial(copying, folder / "day.hea", ("--to", kind), folder / kind), options.runs),
                    strict=True,
                )
            )
            for kind in WRITTEN
        }
    result = {
        "what": f"{HOURS} h, {N_LEADS} leads, {FS_HZ} Hz, simulated",
        "runs": options.runs,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),  # above the number of cores, the clock counts others' work
        "python": platform.python_version(),
        "formats": rows,
        "written": written,
    }
    publish(result, options.json)


if __name__ == "__main__":
    main()
