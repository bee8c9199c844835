"""What the README promises is held by a test or a benchmark that exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TEST = re.compile(r"`(?:tests/)?(test_\w+\.py(?:::test_\w+)?)`")


def existing_tests():
    """Names of the files of tests, and of each test as ``file::test``."""
    names = set()
    for path in (ROOT / "tests").glob("test_*.py"):
        names.add(path.name)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                names.add(f"{path.name}::{node.name}")
    return names


def named_tests(text):
    return set(TEST.findall(text))


def promises():
    """Rows of the table of promises: the promise, and by what it is held."""
    table = README.partition("| Promise | Held by |")[2].partition("\n\n")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return [tuple(row) for row in rows]


def test_the_promises_stand_in_one_table():
    assert len(promises()) >= 15
    assert all(len(row) == 2 for row in promises())


@pytest.mark.parametrize("row", promises(), ids=lambda row: row[0][:40])
def test_every_promise_is_held_by_something_that_exists(row):
    promise, held_by = row
    tests = named_tests(held_by)
    others = {name for name in re.findall(r"`([^`]+)`", held_by) if not TEST.fullmatch(f"`{name}`")}
    assert promise.strip()
    assert tests or others
    assert tests <= existing_tests(), tests - existing_tests()
    for name in others:
        assert (ROOT / name).is_file(), name
