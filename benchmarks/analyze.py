"""Time and peak memory of whole ``analyze`` commands: half an hour, days of one to twelve leads, a week.

    ECG_DATABASES=... python -m benchmarks.analyze [--runs 5] [--database NAME/VERSION] [--json FILE]

Each command starts cold in a new process; they run in turns, and medians and ratios are printed. The tables are done
when the last CSV is written. The same day is also analysed by the engine torch, and given to wfdb's ``xqrs_detect``,
which finds beats and does not classify them.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.command import ROOT, options_of, publish
from benchmarks.tiling import HOURS, tile, tile_demo
from ecg_core.parallel import n_cores

NOISE, SNR_DB = "nstdb/1.0.0/em", 0.0
WEEK_DAYS = 7
HALF_HOUR = 0.5
HOLTER_LEADS = ("II", "V1", "V5")
XQRS = (
    "import sys, wfdb, wfdb.processing\n"
    "record = wfdb.rdrecord(sys.argv[1])\n"
    "wfdb.processing.xqrs_detect(record.p_signal[:, 0], fs=record.fs, verbose=False)\n"
)


class Run(NamedTuple):
    """Time and memory of one command."""

    whole_s: float
    tables_s: float  # until the last table was written; ``whole_s`` for commands that write none
    memory_mb: float  # peak; never below the memory of this process, which starts it


def run(command: list[str], out: Path) -> Run:
    """Run a command and wait for it."""
    began, began_at = time.perf_counter(), time.time()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    whole_s = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    written = [path.stat().st_mtime - began_at for path in out.glob("*.csv")]
    return Run(whole_s, max(written, default=whole_s), usage.ru_maxrss / 1024)


def medians(runs: list[Run]) -> dict[str, float]:
    """Median of each figure."""
    columns = zip(*runs, strict=True)
    return {name: round(statistics.median(column), 2) for name, column in zip(Run._fields, columns, strict=True)}


def ratio(runs: list[Run], days: list[Run]) -> float:
    """Median time of a command, relative to the day of the same turn."""
    return round(statistics.median(run.whole_s / day.whole_s for run, day in zip(runs, days, strict=True)), 3)


def main() -> None:
    """Write the records, run all commands in turn, print."""
    options = options_of(__doc__, runs=5, database="icentia11k-continuous-ecg/1.0.0", json=Path)
    database, noise = options.databases / options.database, options.databases / NOISE
    with tempfile.TemporaryDirectory() as at:
        names = ("day", "half_hour", "noisy_day", "week", "two_leads", "three_leads", "twelve_leads", "torch")
        folders = {name: Path(at) / name for name in names}
        for folder in folders.values():
            folder.mkdir()
        records = {
            "day": tile(database, folders["day"]),
            "half_hour": tile(database, folders["half_hour"], hours=HALF_HOUR),
            "noisy_day": tile(database, folders["noisy_day"], noise=noise, snr_db=SNR_DB),
            "week": tile(database, folders["week"], hours=WEEK_DAYS * HOURS),
            "two_leads": tile_demo(folders["two_leads"], leads=HOLTER_LEADS[:2]),
            "three_leads": tile_demo(folders["three_leads"], leads=HOLTER_LEADS),
            "twelve_leads": tile_demo(folders["twelve_leads"]),
        }
        records["torch"] = records["day"]
        analyze = [sys.executable, "-m", "ecg_core", "analyze"]
        commands = {name: [*analyze, str(path), "--out", f"{at}/{name}/out"] for name, path in records.items()}
        commands["twelve_leads"] += ["--lead", "all"]
        commands["torch"] += ["--engine", "torch"]
        commands["xqrs_detect"] = [sys.executable, "-c", XQRS, str(records["day"])]
        runs: dict[str, list[Run]] = {name: [] for name in commands}
        for number in range(options.runs):
            for name, command in commands.items():
                runs[name].append(run(command, Path(at) / name / "out"))
                print(f"{number + 1} of {options.runs}: {name} {runs[name][-1].whole_s:.1f} s", flush=True)
            publish(summary(options.database, runs), options.json)  # so far: the benchmark may be stopped


def summary(database: str, runs: dict[str, list[Run]]) -> dict[str, Any]:
    """All figures, and the records and machine that they were measured on."""
    return {
        "what": f"{HOURS} h, one lead, tiled from {database}",
        "half_hour": "half an hour of it",
        "noisy_day": f"the day with the noise of {NOISE} at {SNR_DB:g} dB throughout",
        "week": f"{WEEK_DAYS} such days",
        "two_leads": f"{HOURS} h, two leads of the simulated demo record repeated, analysed together as by default",
        "three_leads": f"{HOURS} h, three leads of the simulated demo record repeated, analysed together as by default",
        "twelve_leads": f"{HOURS} h, twelve leads, the simulated demo record repeated, `--lead all`",
        "torch": "the day by the engine torch",
        "runs": len(runs["day"]),
        "cores": n_cores(),
        "python": platform.python_version(),
        "medians": {name: medians(of_command) for name, of_command in runs.items()},
        "times_a_day": {name: ratio(of_command, runs["day"]) for name, of_command in runs.items()},
    }


if __name__ == "__main__":
    main()
