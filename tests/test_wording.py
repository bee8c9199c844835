"""How sentences are worded: counts agree with their nouns, and no page shows an option of the command line."""

import ast
import re
from pathlib import Path

import pytest

from ecg_core.errors import LeadError
from ecg_core.text import plural
from pages._ui.messages import HINTS, error_message

ROOT = Path(__file__).parents[1]
SOURCES = [path for folder in ("ecg_core", "pages") for path in (ROOT / folder).rglob("*.py")]
COUNTS = re.compile(r"len\(|\.sum\(|\.total\(|(^|[._])n(_\w+)?$")  # what gives the number of something
NOUNS = re.compile(r"(\*\*)? (more |other |queried |analysable )?(\w+(?<!s)s|entries|studies|pieces)\b")
NO_PLURALS = {"as", "is", "was", "has", "this", "its", "does", "times", "less", "samples_hz"}
OPTION = re.compile(r"(?<![\w(-])--[a-z]+")


def texts_of(path):
    """Text constants of a source file, without docstrings, each with its line."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.lineno, node.value


def fixed_plurals(path):
    """Counts in f-strings that are followed by a noun in the plural, whatever the count is."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.JoinedStr):
            continue
        for value, after in zip(node.values, node.values[1:], strict=False):
            if not (isinstance(value, ast.FormattedValue) and isinstance(after, ast.Constant)):
                continue
            counted, noun = ast.unparse(value.value), NOUNS.match(str(after.value))
            if COUNTS.search(counted) and noun and noun[3] not in NO_PLURALS:
                yield f"{path.relative_to(ROOT)}:{node.lineno}: {counted}{noun[0]}"


@pytest.mark.parametrize(
    ("n", "noun", "text"),
    [
        (0, "lead", "0 leads"), (1, "lead", "1 lead"), (1, "study", "1 study"), (2, "study", "2 studies"),
        (1000, "entry", "1,000 entries"), (3, "stretch", "3 stretches"), (2.0, "byte", "2 bytes"), (4, "day", "4 days"),
    ],
)  # fmt: skip
def test_a_count_agrees_with_its_noun(n, noun, text):
    assert plural(n, noun) == text


def test_no_count_is_followed_by_a_noun_that_is_always_plural():
    assert [place for path in SOURCES if "figures" not in path.parts for place in fixed_plurals(path)] == []


def test_only_the_command_line_names_its_options():
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in SOURCES
        if "cli" not in path.relative_to(ROOT).parts
        for line, text in texts_of(path)
        if OPTION.search(text)
    ]
    assert found == []


def test_an_error_names_the_control_that_mends_it():
    assert error_message(LeadError("There is no lead X.", settings=("lead",))).endswith(HINTS["lead"])
