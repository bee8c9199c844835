"""Text that others wrote, such as names of files and leads, made harmless for the place where it is shown."""

from __future__ import annotations

import re
import unicodedata
from html import escape
from typing import Final

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for the beginning of a formula ...
NUMBER: Final = re.compile(r"-?\d+(\.\d+)?")  # ... unless it is a number as they are written here
MOST_LETTERS = 120  # of what another library says
UNSEEN: Final = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs"})  # moves a cursor, ends a line, or turns the order of reading
# What Markdown takes for a sign of its own; an underscore inside of a word is none.
MARKDOWN: Final = re.compile(r"([\\`*\[\]<>~$:&!|#]|(?<![^\W_])_|_(?![^\W_]))")


def one_line(text: str) -> str:
    """Text without what would move the cursor of a console, begin a new line or hide the rest."""
    return "".join("_" if unicodedata.category(sign) in UNSEEN else sign for sign in text)


def format_quoted(words: object) -> str:
    """What a file or another library says, as part of a sentence: printable, on one line and not long."""
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in str(words)).split())
    return text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]} ..."


def no_formula(cell: str) -> str:
    """The text of a table's cell; what a spreadsheet would take for a formula has an apostrophe before it."""
    return f"'{cell}" if cell.startswith(FORMULA) and not NUMBER.fullmatch(cell) else cell


def plain_markdown(text: str) -> str:
    """Text that shows as it is where Markdown is read: no link, no picture from elsewhere, no emphasis."""
    return MARKDOWN.sub(r"\\\1", one_line(text))


def plain_html(text: str) -> str:
    """Text that shows as it is where HTML is read."""
    return escape(one_line(text))
