"""The public API: its names load at their first use, and each public function has an example that runs."""

import doctest
import importlib
import inspect
import re
import subprocess
import sys
import tomllib

import pytest
from support.documents import ROOT, code_blocks, document

import ecg_core
from ecg_core.classifier.spec import find_models

HEAVY = {"torch", "numpy", "scipy", "pandas", "wfdb", "plotly", "reportlab", "streamlit"}
FUNCTIONS = sorted(name for name in ecg_core.__all__ if inspect.isfunction(getattr(ecg_core, name)))


def loaded_by(code):
    """Packages that are loaded after some code, in a Python of its own."""
    code += "\nimport sys\nprint(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    return set(done.stdout.split())


def test_the_package_loads_nothing_heavy_until_a_name_is_used():
    assert not loaded_by("import ecg_core; ecg_core.RhythmRules; ecg_core.EcgError; dir(ecg_core)") & HEAVY


def test_reading_a_record_loads_no_network():
    assert "torch" not in loaded_by("from ecg_core import read_record; read_record('demo_data/demo')")


def test_the_api_is_what_a_first_analysis_needs():
    needed = {"read_record", "load_model", "analyse", "with_rules", "with_labels", "write_files", "RhythmRules"}
    assert needed <= set(ecg_core.__all__)
    assert needed <= set(dir(ecg_core))


@pytest.mark.parametrize("name", ecg_core.__all__)
def test_every_public_name_is_the_one_of_its_module_and_is_documented(name):
    value = getattr(ecg_core, name)
    assert value is getattr(importlib.import_module(value.__module__), name)
    assert inspect.getdoc(value)


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        ecg_core.no_such_name  # noqa: B018


@pytest.mark.parametrize("name", ["ecg_core", *FUNCTIONS])
def test_the_examples_run(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    thing = ecg_core if name == "ecg_core" else getattr(ecg_core, name)
    globs = dict(vars(sys.modules[thing.__module__])) if name != "ecg_core" else {}
    (test,) = doctest.DocTestFinder(recurse=False).find(thing, name, globs=globs)
    assert test.examples, f"{name} has no example"
    report = []
    failed, _ = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.append)
    assert not failed, "".join(report)


INNER = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "ecg_core").rglob("*.py"))
    if ">>>" in path.read_text(encoding="utf-8") and path.name != "__init__.py"
]


@pytest.mark.parametrize("name", INNER)
def test_every_example_of_a_module_is_true(name):
    failed, n_examples = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert n_examples
    assert not failed


def test_the_version_stands_in_one_place():
    project = tomllib.loads(document("pyproject.toml"))["project"]
    assert "version" in project["dynamic"]
    assert "version" not in project
    literal = f'"{ecg_core.__version__}"'
    stated = [path for path in (ROOT / "ecg_core").rglob("*.py") if literal in path.read_text(encoding="utf-8")]
    assert stated == [ROOT / "ecg_core" / "__init__.py"]


def test_the_command_of_the_package_exists():
    module, _, function = tomllib.loads(document("pyproject.toml"))["project"]["scripts"]["ecg"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_the_wheel_holds_the_package_and_every_shipped_model():
    wheel = tomllib.loads(document("pyproject.toml"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    models = [f"models/{path.stem}.{ending}" for path in find_models() for ending in ("pt", "json", "int8.npz")]
    models += ["models/waveform.npz", "models/waveform.json", "models/splits"]
    assert wheel["packages"] == ["ecg_core"]
    assert wheel["force-include"] == {name: f"ecg_core/{name}" for name in models}


def test_the_changelog_has_the_version_and_what_is_not_released():
    headings = re.findall(r"^## \[(.+?)\]", document("CHANGELOG.md"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert ecg_core.__version__ in headings
    assert not code_blocks(document("CHANGELOG.md"), "python")
