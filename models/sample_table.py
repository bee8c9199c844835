"""The table of public sample files, of what ``python -m benchmarks.sample_files`` found."""

from __future__ import annotations

from typing import Any, Final

WORDS: Final = {"equal": "equal", "opened": "**differs**", "refused": "refused"}


def sample_table(results: dict[str, Any]) -> str:
    """Counts by library, then each file with what became of it."""
    head = "| library | equal | differs | refused |\n|---|---|---|---|"
    counts = [
        f"| {name} | {' | '.join(str(count.get(result, 0)) for result in WORDS)} |"
        for name, count in sorted(results["count"].items())
    ]
    parts = ["\n".join([head, *counts])]
    for name in sorted(results["count"]):
        rows = [row for row in results["files"] if row["library"] == name]
        lines = [f"| `{_short(row['file'])}` | {WORDS[row['result']]} | {_cell(row['text'])} |" for row in rows]
        parts.append("\n".join([f"## {name}", "", "| file | result | what |", "|---|---|---|", *lines]))
    return "\n\n".join(parts)


def _short(path: str) -> str:
    """The last two parts of a path, which are enough to find it."""
    return "/".join(path.split("/")[-2:])


def _cell(text: str) -> str:
    return text.replace("|", "/")
