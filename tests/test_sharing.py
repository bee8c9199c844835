"""The tests are shared by several processes: nothing that is prepared once is prepared twice, and none is left idle."""

from pathlib import Path

from support.sharing import BROWSER, LONG, rank, scope_of

FILES = sorted(path.stem for path in Path(__file__).parent.rglob("test_*.py"))


def test_the_tests_of_a_file_stay_together_and_all_those_in_a_browser():
    assert (
        scope_of("tests/test_app.py::test_a[1]") == scope_of("tests/test_app.py::test_b") != scope_of("tests/x.py::a")
    )
    assert {scope_of(f"tests/{name}.py::test_a") for name in FILES if name.startswith(BROWSER)} == {BROWSER}


def test_the_long_files_exist_and_begin():
    assert all(any(name.startswith(long) for name in FILES) for long in LONG)
    order = sorted(FILES, key=rank)
    assert order[0].startswith(BROWSER)
    assert rank(order[-1]) == len(LONG)
