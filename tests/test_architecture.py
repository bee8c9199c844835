"""Who may import whom, read from the source text."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Modules of the core by their place in it, such as "pipeline" or "figures/strip"
CORE = {
    path.relative_to(ROOT / "ecg_core").with_suffix("").as_posix(): path for path in (ROOT / "ecg_core").rglob("*.py")
}
PAGES = [ROOT / "app.py", *(ROOT / "pages").glob("*.py")]
NOUNS = {"schema", "labels", "rules", "errors", "text"}  # what every step may know

# A step knows the nouns, and of the other steps only these, each for a reason.
STEPS = {
    "records/folder": set(),
    "records/kinds": set(),
    "records/samples": set(),
    "records/annotation_files": set(),
    "records/archives": {"folder", "limits"},
    "records/stated": {"samples"},
    "records/dicom_files": {"limits", "samples"},
    "records/__init__": {
        "annotation_files",
        "archives",
        "dicom_files",
        "edf_files",
        "folder",
        "ishne_files",
        "kinds",
        "mat_files",
        "samples",
        "stated",
        "table_files",
        "wfdb_files",
    },
    "records/wfdb_files": {"annotation_files", "folder", "limits", "unfinished"},
    "records/unfinished": set(),
    "records/edf_files": {"annotation_files", "limits"},
    "records/ishne_files": {"limits", "samples"},
    "records/mat_files": {"limits", "samples", "stated"},
    "records/parquet_files": {"limits"},
    "records/table_files": {"limits", "parquet_files", "samples", "stated"},
    "live/stream": {"records.limits"},  # what rates there are
    "live/leads": {"records", "stream"},
    "live/placing": {"stream"},
    "live/replay": {"stream"},
    "live/lsl": {"leads", "placing", "records", "records.limits", "stream"},
    "live/line_format": {"leads", "placing", "records", "records.limits", "stream"},
    "live/lines": {"line_format", "stream"},
    "live/sources": {"lines", "lsl", "records", "replay", "stream"},  # which of them a text names
    "live/recording": {"records", "stream"},
    "signals": set(),
    "threads": set(),
    "windows": set(),
    "detection": set(),
    "network": {"windows"},  # how many frames the attention sees
    "inference": {"network", "specs", "threads", "windows"},  # serves the network as it was trained
    "intervals": set(),
    "asking": {"intervals"},
    "fibrillation": {"intervals"},
    "rhythm": {"fibrillation", "intervals"},
    "variability": {"intervals"},
    "trust": set(),
    "burden": {"intervals", "rhythm", "trust", "variability"},  # counts what the rhythm is made of
}


def imports(path):
    """(module, names) of every import of a file, wherever it stands; those of the own package begin with a dot."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or ""), tuple(alias.name for alias in node.names)


def outside(path):
    """Packages from elsewhere that a file imports."""
    return {module.split(".")[0] for module, _ in imports(path) if not module.startswith(".")}


def inside(path):
    """Modules of ``ecg_core`` that a file of it imports."""
    return {module.lstrip(".") for module, _ in imports(path) if module.startswith(".")} - {""}


def users(package):
    return {name.split("/")[0] for name, path in CORE.items() if package in outside(path)}


def test_the_core_knows_no_streamlit_and_none_of_what_uses_it():
    for path in CORE.values():
        assert not outside(path) & {"streamlit", "pages", "models", "launch", "app"}, path.name


def test_only_records_and_export_know_file_formats():
    assert users("wfdb") <= {"records", "export", "conversion"}


def test_only_the_network_and_what_serves_or_trains_it_know_torch():
    assert users("torch") <= {"network", "inference", "personal", "threads", "training"}


def test_only_its_own_source_knows_the_lab_streaming_layer():
    assert {name for name, path in CORE.items() if "pylsl" in outside(path)} == {"live/lsl"}


def test_only_figures_know_plotly():
    assert users("plotly") <= {"figures"}


@pytest.mark.parametrize("name", STEPS)
def test_a_step_of_the_pipeline_knows_only_the_nouns_and_its_stated_exceptions(name):
    assert inside(CORE[name]) - NOUNS <= STEPS[name]


def test_nouns_know_no_step():
    for name in NOUNS:
        assert inside(CORE[name]) <= NOUNS


@pytest.mark.parametrize("path", [path for path in PAGES if path.is_file()], ids=lambda path: path.stem)
def test_pages_know_no_torch_no_file_format_and_no_plotting(path):
    assert not outside(path) & {"torch", "wfdb", "plotly"}


def test_nothing_imports_from_a_module_that_does_not_exist():
    for path in CORE.values():
        known = {part for name in CORE for part in (*name.split("/"), name.replace("/", "."))}
        assert inside(path) <= known, path.name
