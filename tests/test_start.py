"""The program starts at once: what is heavy loads when there is work for it, and where the work is done."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.records import DEMO, write_record

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "scipy", "pandas", "wfdb", "plotly", "reportlab", "streamlit", "pooch", "requests", "distributed"}


def loaded(script, *arguments):
    """Packages and modules that are loaded after a script, in a Python of its own."""
    program = f"{script}\nimport sys\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stderr.split())


COMMAND = """
import runpy, sys
try: runpy.run_module("ecg_core", run_name="__main__", alter_sys=True)
except SystemExit as stop: assert not stop.code, stop.code
"""


def test_the_package_itself_loads_nothing_heavy_and_not_even_numpy():
    assert not loaded("import ecg_core") & {*HEAVY, "numpy"}


@pytest.mark.parametrize(
    "arguments",
    [
        "--help",
        "--version",
        "analyze --help",
        "convert --help",
        "inspect --help",
        "evaluate --help",
        "monitor --help",
        "replay --help",
        "fetch --help",
    ],
)
def test_help_and_version_load_nothing_heavy(arguments):
    assert not loaded(COMMAND, *arguments.split()) & HEAVY


FORMATS = {"pandas", "wfdb", "pyarrow", "pydicom", "edfio", "matplotlib"}  # what only some formats need
SIGNALS = {"torch", "onnx", "scipy.signal", "scipy.interpolate", "scipy.ndimage", "scipy.stats"}
REPORT = {"reportlab", "plotly"}
STORE = {"sqlalchemy", "alembic"}


@pytest.mark.parametrize(
    ("command", "absent"),
    [
        ("inspect {demo}", FORMATS | SIGNALS | REPORT | STORE),
        ("join {first} {second} --to {out}/whole.join", FORMATS | SIGNALS | REPORT | STORE),
        ("studies --studies {out}/store", FORMATS | SIGNALS | REPORT),
        ("convert {first} --to csv --out {out}", {"wfdb", "pydicom", "edfio", "torch"} | REPORT | STORE),
        ("convert {first} --to edf --out {out}", {"pandas", "wfdb", "pydicom", "torch"} | REPORT | STORE),
        ("convert {first} --out {out}", {"pydicom", "edfio", "torch"} | REPORT | STORE),
        ("monitor {first} --speed inf --quiet", FORMATS | SIGNALS | REPORT | STORE),
        ("analyze {first} --out {out}", FORMATS | STORE | {"torch", "onnx", "scipy", "plotly"}),
    ],
)
def test_a_command_loads_only_what_its_record_needs(tmp_path, command, absent):
    rng = np.random.default_rng(0)
    for name, clock in (("first", "10:00:00"), ("second", "10:00:20")):
        path = write_record(tmp_path, name, rng.normal(0, 0.1, (1, 20 * 360)), lead_names=("II",))
        header = path.with_suffix(".hea")
        first, *signals = header.read_text(encoding="ascii").splitlines()
        header.write_text("\n".join([f"{first} {clock} 01/02/2020", *signals]), encoding="ascii")
    places = {"demo": DEMO, "first": tmp_path / "first", "second": tmp_path / "second", "out": tmp_path / "out"}
    (tmp_path / "out").mkdir()
    assert not loaded(COMMAND, *(part.format(**places) for part in command.split())) & absent


def test_a_bad_rule_is_reported_before_anything_that_reads_signals_is_loaded():
    script = "from argparse import Namespace\nfrom ecg_core.cli.options import rules_of\n"
    script += "from ecg_core.errors import RulesError\n"
    script += "try: rules_of(Namespace(rule=['pause_s=two']))\nexcept RulesError: pass"
    assert not loaded(script) & HEAVY


def test_many_records_are_planned_and_listed_without_the_network():
    assert not loaded("import ecg_core.batch") & {"torch", "streamlit", "distributed"}


def test_what_needs_no_network_loads_none():
    modules = "records.inspect, records.convert, records.physionet, report.export, classifier.spec, figures"
    script = "\n".join(f"import ecg_core.{module}\nassert 'torch' not in sys.modules" for module in modules.split(", "))
    assert not loaded(f"import sys\n{script}") & {"torch", "streamlit"}
