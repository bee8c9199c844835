"""Thirty analyses in one process, each of another length and rate: its memory comes back."""

import subprocess
import sys

import pytest
from support.documents import ROOT

MOST = 1.10  # of the memory after the first ones
WORK = """
import gc, os, sys, tempfile
from pathlib import Path
import numpy as np
from ecg_core.classifier.model import load_model
from ecg_core.parallel import release_memory, use_threads
from ecg_core.pipeline import analyse
from ecg_core.records import read_record
from ecg_core.report.export import file_contents
from tests.support.records import DEMO, write_record
use_threads(1)
model, demo = load_model(), read_record(DEMO)
rows = demo.source.read(0, 120 * 257, (1, 7))
levels = []
for number in range(36):
    with tempfile.TemporaryDirectory() as folder:
        length = 257 * (20 + number * 7 % 40)
        path = write_record(Path(folder), "x", rows[:, number * 100 : number * 100 + length], 250 + number)
        file_contents(analyse(read_record(path), model, lead="all"))
    gc.collect()
    release_memory()
    levels.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
print(levels[5], max(levels[-3:]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_memory_is_back_after_thirty_analyses():
    done = subprocess.run([sys.executable, "-c", WORK], check=True, cwd=ROOT, capture_output=True, text=True)  # noqa: S603
    before, after = map(int, done.stdout.split())
    assert after < MOST * before, f"{before / 1e6:.0f} MB after six analyses, {after / 1e6:.0f} MB after thirty more"
