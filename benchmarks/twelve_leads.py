"""Time and peak memory of ``analyze --lead all`` on 24 h of 12 leads.

    python benchmarks/twelve_leads.py [--json FILE]

The simulated demo record, repeated and taken for one of 250 Hz, is written in format 16: 518 MB on disk.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import wfdb

ROOT = Path(__file__).resolve().parent.parent
HOURS, FS_HZ = 24, 250


def write_day(folder: Path) -> Path:
    """The demo record's samples over and over, piece by piece."""
    demo = wfdb.rdrecord(str(ROOT / "demo_data" / "demo"), physical=False)
    samples = demo.d_signal.astype("<i2")
    n_samples = HOURS * 3600 * FS_HZ
    with (folder / "day.dat").open("wb") as stream:
        for first in range(0, n_samples, len(samples)):
            stream.write(samples[: n_samples - first].tobytes())
    leads = zip(demo.adc_gain, demo.baseline, demo.sig_name, strict=True)
    lines = [f"day {demo.n_sig} {FS_HZ} {n_samples}"]
    lines += [f"day.dat 16 {gain:g}({baseline})/mV 16 0 0 0 0 {name}" for gain, baseline, name in leads]
    (folder / "day.hea").write_text("\n".join(lines) + "\n", encoding="ascii")
    return folder / "day"


def main() -> None:
    """Write, analyse, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        record = write_day(Path(folder))
        size_mb = record.with_suffix(".dat").stat().st_size / 1e6
        command = [sys.executable, "-m", "ecg_core", "analyze", str(record), "--lead", "all", "--out", f"{folder}/out"]
        began = time.perf_counter()
        subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - began
    result = {
        "what": f"{HOURS} h, 12 leads, {FS_HZ} Hz, the simulated demo record repeated, all leads",
        "on_disk_mb": round(size_mb),
        "analyze_s": round(seconds, 1),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
    }
    print(json.dumps(result, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
