"""Time and peak memory of ``analyze`` for one hour to two weeks, and for one to twelve leads.

    python -m benchmarks.scaling [--json FILE]

Each cell is one command from a cold start, with all its files; the records repeat the simulated demo. The longest one
takes 7 GB on the disk, and its analysis 6 GB of memory.
"""

from __future__ import annotations

import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Final

from benchmarks.analyze import run
from benchmarks.command import options_of, publish
from benchmarks.tiling import tile_demo
from ecg_core.parallel import n_cores

HOURS: Final = {"1 h": 1, "6 h": 6, "24 h": 24, "7 days": 168, "14 days": 336}
LEADS: Final = {1: ("II",), 2: ("II", "V1"), 3: ("II", "V1", "V5"), 12: None}


def main() -> None:
    """Write each record, analyse it, delete it, print."""
    options = options_of(__doc__, real=False, json=Path)
    cells = []
    for (length, hours), (n_leads, leads) in product(HOURS.items(), LEADS.items()):
        with tempfile.TemporaryDirectory() as at:
            out = Path(at) / "out"
            record = tile_demo(Path(at), hours=hours, leads=leads)
            command = [sys.executable, "-m", "ecg_core", "analyze", str(record), "--lead", "all", "--out", str(out)]
            found = run(command, out)
        cells.append({"length": length, "leads": n_leads, "whole_s": found.whole_s, "memory_mb": found.memory_mb})
        print(f"{length}, leads {n_leads}: {found.whole_s:.1f} s, {found.memory_mb:.0f} MB", flush=True)
        publish({"cores": n_cores(), "cells": cells}, options.json)


if __name__ == "__main__":
    main()
