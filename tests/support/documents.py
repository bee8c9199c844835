"""Tests and files that the documents name, and those that exist."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEST = re.compile(r"`(?:tests/)?(?:stress/)?(test_\w+\.py(?:::test_\w+)?)`")
QUOTED = re.compile(r"`([^`]+)`")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def document(name):
    """Text of a document, by its path from the project's folder."""
    return (ROOT / name).read_text(encoding="utf-8")


def steps_of_an_analysis():
    """The source of ``analyse``, with that of ``read_features`` where it is called."""
    text = document("ecg_core/pipeline.py")
    names = ("analyse", "read_features")
    analyse, reading = (text.partition(f"\ndef {name}(")[2].partition("\ndef ")[0] for name in names)
    return analyse.replace("= read_features(", reading, 1)


@cache
def existing_tests():
    """Names of the test files, and of each test as ``file::test``."""
    names = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        names.add(path.name)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                names.add(f"{path.name}::{node.name}")
    return names


def named_tests(text):
    """Tests that a text names in backticks."""
    return set(TEST.findall(text))


def quoted(text):
    """What stands in single backticks, outside of fenced blocks."""
    return QUOTED.findall(FENCE.sub("", text))


def code_blocks(text, language):
    """Contents of the fenced blocks of a language."""
    return [content for name, content in FENCE.findall(text) if name == language]
