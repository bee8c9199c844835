"""Every promise of docs/promises.md is checked by a test or a benchmark that exists."""

import re

import pytest
from support.documents import ROOT, document, existing_tests, named_tests, quoted

HEADING = "| Promise | Checked by |"


def promises():
    """Rows of the table: the promise, and what checks it."""
    table = document("docs/promises.md").partition(HEADING)[2].partition("\n\n")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return [tuple(row) for row in rows]


def test_the_promises_stand_in_one_table_of_two_columns():
    assert len(promises()) >= 30
    assert all(len(row) == 2 for row in promises())


@pytest.mark.parametrize("row", promises(), ids=lambda row: row[0][:40])
def test_every_promise_is_checked_by_something_that_exists(row):
    promise, checks = row
    tests = named_tests(checks)
    benchmarks = {name for name in quoted(checks) if not re.match(r"test_\w+\.py", name)}
    assert promise.strip()
    assert tests or benchmarks
    assert tests <= existing_tests(), tests - existing_tests()
    for name in benchmarks:
        assert (ROOT / name).is_file(), name
