"""Time ``analyze`` on 24 h of one real lead against wfdb's ``xqrs_detect`` on the same signal, in the same run.

    ECG_DATABASES=... python benchmarks/analyze_24h.py [--database svdb/1.0.0] [--runs 3] [--json FILE]

Whole commands from a cold start are timed, each in a process of its own, in turn; medians and their ratio are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import wfdb

ROOT = Path(__file__).resolve().parent.parent
HOURS = 24
XQRS = (
    "import sys, wfdb, wfdb.processing\n"
    "record = wfdb.rdrecord(sys.argv[1])\n"
    "wfdb.processing.xqrs_detect(record.p_signal[:, 0], fs=record.fs, verbose=False)\n"
)


def tile(database: Path, folder: Path) -> Path:
    """Write a 24-h record of one lead: the first leads of the database's records, one after the other."""
    names = (database / "RECORDS").read_text().split()
    names = [name for name in names if (database / f"{name}.dat").is_file()]
    fs_hz = wfdb.rdheader(str(database / names[0])).fs
    needed, parts = int(HOURS * 3600 * fs_hz), []
    while sum(map(len, parts)) < needed:
        parts.append(wfdb.rdrecord(str(database / names[len(parts) % len(names)]), channels=[0]).p_signal[:, 0])
    signal = np.concatenate(parts)[:needed, None]
    wfdb.wrsamp(
        "tiled", fs=fs_hz, units=["mV"], sig_name=["ECG"], p_signal=signal, fmt=["16"], adc_gain=[200.0],
        baseline=[0], write_dir=str(folder),
    )  # fmt: skip
    return folder / "tiled"


def seconds(command: list[str]) -> float:
    """Wall time of one whole command."""
    began = time.perf_counter()
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    """Tile, time in turn, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--databases", type=Path, default=os.environ.get("ECG_DATABASES"))
    parser.add_argument("--database", default="svdb/1.0.0")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.databases is None:
        parser.error("name the folder of the databases with --databases or ECG_DATABASES")
    with tempfile.TemporaryDirectory() as folder:
        record = tile(options.databases / options.database, Path(folder))
        analyze = [sys.executable, "-m", "ecg_core", "analyze", str(record), "--out", f"{folder}/out"]
        xqrs = [sys.executable, "-c", XQRS, str(record)]
        times = [(seconds(analyze), seconds(xqrs)) for _ in range(options.runs)]
    ours, theirs = (statistics.median(column) for column in zip(*times, strict=True))
    result = {
        "what": f"{HOURS} h, one lead, tiled from {options.database}",
        "runs": options.runs,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
        "analyze_s": round(ours, 2),
        "xqrs_detect_s": round(theirs, 2),
        "ratio": round(statistics.median(a / b for a, b in times), 3),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
    }
    print(json.dumps(result, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
