"""Who may import whom, read from the source text; docs/architecture.md draws it."""

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from support.documents import steps_of_an_analysis

ROOT = Path(__file__).parents[1]
CORE = ROOT / "ecg_core"
# The rooms of the core from the ground up: a room imports what lies on lower floors, and nothing beside or above it.
FLOORS = (
    {"text"},
    {"labels", "errors", "probabilities"},
    {"rules", "learning", "edits", "overrides", "certainty"},
    {"schema", "notes"},
    {"clock", "files", "parallel"},
    {"signals"},
    {"records"},
    {"classifier", "rhythm", "morphology"},
    {"measuring"},
    {"pipeline"},
    {"report", "evaluation"},
    {"figures", "training", "studies"},
    {"live", "batch", "adaptation"},
    {"cli"},
    {"__main__"},
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in CORE.rglob("*.py")
}
SCRIPTS = [ROOT / "app.py", ROOT / "dashboard.py", *(ROOT / "pages").rglob("*.py")]
PAGES = [ROOT / "dashboard.py", *(ROOT / "pages").glob("*.py")]
PLAIN_NAMES = {("ecg_core", "NOTICE"), ("ecg_core", "__version__")}  # of the package itself, that any room may import
MOST_LINES, MOST_FUNCTION_LINES, MOST_ROOMS = 450, 70, 31
MOST_IMPORTS = 182  # of these 18 of adaptation, which leads from recordings over fits and evaluations to a kept model


@cache
def imports(name, path):
    """Full names of the modules that a file imports, wherever the import stands."""
    return tuple(_imports(name, path))


def _imports(name, path):
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            inner = [f"{module}.{alias.name}" for alias in node.names if (module, alias.name) not in PLAIN_NAMES]
            yield from [name for name in inner if name in MODULES] or ([module] if inner else [])


def outside(path):
    """Packages from elsewhere that a file imports."""
    return {module.split(".")[0] for module in imports("x", path)}


def room_of(name):
    """The room of a module: the first name below the package; none for the package itself."""
    return name.split(".")[1] if "." in name else ""


def users(package):
    """Rooms of the core that import a package from elsewhere."""
    return {room_of(name) for name, path in MODULES.items() if package in outside(path)}


@pytest.mark.parametrize("name", sorted(set(MODULES) - {"ecg_core"}))
def test_a_module_imports_only_what_lies_below_its_room(name):
    own = room_of(name)
    for module in imports(name, MODULES[name]):
        if module.startswith("ecg_core.") and room_of(module) != own:
            assert FLOOR[room_of(module)] < FLOOR[own], f"{name} imports {module}"


def test_no_modules_import_each_other_in_a_circle():
    graph = {
        name: {module for module in imports(name, path) if module in MODULES and module != name}
        for name, path in MODULES.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_no_room_imports_the_public_api_of_the_package():
    for name, path in MODULES.items():
        assert "ecg_core" not in set(imports(name, path)), name


def test_the_house_is_small_enough_to_be_seen_whole():
    pairs = {
        (room_of(name), room_of(module))
        for name, path in MODULES.items()
        for module in imports(name, path)
        if module in MODULES and room_of(module) != room_of(name)
    }
    assert len(FLOOR) <= MOST_ROOMS
    assert len(pairs) <= MOST_IMPORTS


def test_every_room_has_its_floor():
    assert {room_of(name) for name in MODULES} - {""} == set(FLOOR)


def test_the_core_knows_no_streamlit_and_none_of_what_uses_it():
    for name, path in MODULES.items():
        assert not outside(path) & {"streamlit", "pages", "models", "benchmarks", "launch", "app", "dashboard"}, name


def test_only_records_know_file_formats():
    assert users("wfdb") == {"records"}


def test_only_studies_know_the_database():
    assert users("sqlalchemy") == users("alembic") == {"studies"}


def test_only_classifier_and_training_know_what_runs_the_network():
    assert users("torch") <= {"classifier", "training"}
    assert users("onnxruntime") <= {"classifier", "training"}
    assert users("onnx") <= {"training"}


def test_only_its_own_source_knows_the_lab_streaming_layer():
    assert {name for name, path in MODULES.items() if "pylsl" in outside(path)} == {"ecg_core.live.lsl"}


def test_only_figures_know_plotly():
    assert users("plotly") <= {"figures"}


def test_only_the_command_line_knows_argparse():
    assert users("argparse") <= {"cli"}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_the_dashboard_knows_no_torch_no_file_format_and_no_plotting(path):
    assert not outside(path) & {"torch", "wfdb", "plotly"}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_file_of_a_study_is_handed_out_by_the_button_that_the_audit_trail_follows(path):
    uses = "download_button" in path.read_text(encoding="utf-8")
    assert not uses or path.stem in ("downloads", "own_models", "study_actions")  # a model; a study, which is noted


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_imports_no_other_page(path):
    assert not any(module.startswith("pages.") and not module.startswith("pages._ui") for module in imports("x", path))


def test_no_script_changes_the_import_path():
    for folder in ("ecg_core", "pages", "models", "benchmarks", "demo_data"):
        for path in (ROOT / folder).rglob("*.py"):
            assert "sys.path" not in path.read_text(encoding="utf-8"), path


def test_no_test_module_imports_another():
    for path in (ROOT / "tests").rglob("*.py"):
        found = {module for module in outside(path) if module.startswith("test_") or module == "conftest"}
        assert not found, path.name


def test_the_pipeline_reads_as_one_page():
    assert len((CORE / "pipeline.py").read_text(encoding="utf-8").splitlines()) <= 200
    body = steps_of_an_analysis()
    steps = ("choose_leads(", "clean_leads(", "encode(", "detect(", "describe(", "classify_candidates(", "measure(")
    places = [body.index(step) for step in steps]
    assert places == sorted(places)


def test_no_function_is_longer_than_a_screen():
    for folder in ("ecg_core", "pages", "models", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef):
                    assert node.end_lineno - node.lineno < MOST_FUNCTION_LINES, f"{path.name}: {node.name}"


def test_no_file_is_longer_than_a_reader_can_hold():
    for folder in ("ecg_core", "pages", "models", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES, path
