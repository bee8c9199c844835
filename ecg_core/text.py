"""Text from outside, such as names of files and leads, made safe for the place where it is shown."""

from __future__ import annotations

import re
import unicodedata
from html import escape
from typing import Final

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet reads a cell that begins so as a formula ...
NUMBER: Final = re.compile(r"-?\d+(\.\d+)?")  # ... unless it is a number in the format of the exported tables
MAX_QUOTED_CHARACTERS = 120  # of a message of another library: enough to recognise it
# Unicode categories that move a cursor, end a line or reverse the direction of text.
CONTROL_CATEGORIES: Final = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs"})
# Characters with a meaning in Markdown; an underscore inside a word has none.
MARKDOWN: Final = re.compile(r"([\\`*\[\]<>~$:&!|#]|(?<![^\W_])_|_(?![^\W_]))")
# At its beginning: a list, or a line that makes a heading of what stands before it.
BLOCK: Final = re.compile(r"^(\d{1,9}(?=[.)](?:\s|$))|(?=[-+=]))(.)")
# Pages look for addresses (www.x.org, http:, a@b.org), emoji and icons (:smile:) in the finished text, when escapes are
# gone: only a character between keeps them from it. Not in a time of day, which is no emoji.
FOUND_LATER: Final = re.compile(r"(?<=\bwww)(?=\.)|(?<=:)(?!\s|$|\d\d(?!\w))|(?<=@)(?=\S)", re.IGNORECASE)
WORD_JOINER: Final = "\u2060"  # has no width, and allows no end of a line


def plural(n: float, noun: str) -> str:
    """A whole number of things: 1 beat, 1,000 beats, 2 studies.

    Examples
    --------
    >>> plural(1, "beat"), plural(2, "study")
    ('1 beat', '2 studies')

    """
    if n == 1:
        return f"1 {noun}"
    stem = re.sub(r"([^aeiou])y$", r"\1ie", noun) if noun.endswith("y") else re.sub(r"ch$", "che", noun)
    return f"{n:,.0f} {stem}s"


def one_line(text: str) -> str:
    """The text with an underscore for each character that would move a cursor, begin a line or hide the rest."""
    return "".join("_" if unicodedata.category(letter) in CONTROL_CATEGORIES else letter for letter in text)


def format_quoted(message: object) -> str:
    """Text from a file or another library as part of a sentence: printable, on one line and not long."""
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in str(message)).split())
    return text if len(text) <= MAX_QUOTED_CHARACTERS else f"{text[:MAX_QUOTED_CHARACTERS]} ..."


def no_formula(cell: str) -> str:
    """The text of a table's cell, with an apostrophe before what a spreadsheet would read as a formula."""
    return f"'{cell}" if cell.startswith(FORMULA) and not NUMBER.fullmatch(cell) else cell


def plain_markdown(text: str) -> str:
    """Text escaped for Markdown, so that it makes no link, picture, emphasis, formula, emoji or icon."""
    line = FOUND_LATER.sub(WORD_JOINER, one_line(text).strip())
    return BLOCK.sub(r"\1\\\2", MARKDOWN.sub(r"\\\1", line))


def plain_lines(text: str) -> str:
    r"""Text of several lines escaped for Markdown, each on a line of its own.

    Examples
    --------
    >>> plain_lines("Seen.\n\n*Well*")
    'Seen.  \n\\*Well\\*'

    """
    return "  \n".join(filter(None, map(plain_markdown, text.splitlines())))


def plain_html(text: str) -> str:
    """Text escaped for HTML."""
    return escape(one_line(text))
