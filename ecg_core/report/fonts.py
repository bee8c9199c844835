"""The fonts of the PDF: the printer's own, and an embedded one for texts with letters that these lack."""

from __future__ import annotations

import unicodedata
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Final

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFError, TTFont

from ..text import one_line

PLAIN, BOLD = "Helvetica", "Helvetica-Bold"
# DejaVu Sans has the Latin, Greek and Cyrillic letters; matplotlib, which wfdb needs, brings it as files.
EMBEDDED: Final = {PLAIN: "DejaVuSans", BOLD: "DejaVuSans-Bold"}
FONT_FOLDER: Final = ("mpl-data", "fonts", "ttf")  # within matplotlib
RIGHT_TO_LEFT: Final = frozenset({"R", "AL", "AN"})  # bidirectional classes: a line is drawn from left to right only
PLAIN_LETTERS: Final = dict(zip("łŁđĐıħĦ", "lLdDihH", strict=True))  # whose mark is no character of its own
_REGISTERING = Lock()  # a font that is registered again while a document uses it would be another one


def printable(text: str) -> str:
    """Text in the characters of the fonts; others lose their marks, or become question marks."""
    composed = unicodedata.normalize("NFC", one_line(text))
    return composed if _is_built_in(composed) else "".join(map(_printable_letter, composed))


def font_for(text: str, font: str) -> str:
    """The font for a printable text: PLAIN or BOLD, or the embedded one instead where the text needs it."""
    return font if _is_built_in(text) else EMBEDDED[font]


def _printable_letter(letter: str) -> str:
    for form in (letter, PLAIN_LETTERS.get(letter, ""), unicodedata.normalize("NFKD", letter)[:1]):
        if form and (_is_built_in(form) or _is_embeddable(form)):
            return form
    return "?"


def _is_built_in(text: str) -> bool:
    """Whether the printer's own fonts have all letters."""
    try:
        text.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True


def _is_embeddable(letter: str) -> bool:
    return ord(letter) in _embeddable() and unicodedata.bidirectional(letter) not in RIGHT_TO_LEFT


def _embeddable() -> frozenset[int]:
    """The code points of the embedded fonts; none where their files are missing."""
    with _REGISTERING:
        return _register()


@cache
def _register() -> frozenset[int]:
    """Make the embedded fonts known to reportlab; matplotlib itself is not imported."""
    package = find_spec("matplotlib")
    if package is None or not package.submodule_search_locations:
        return frozenset()
    folder = Path(package.submodule_search_locations[0], *FONT_FOLDER)
    try:
        fonts = [TTFont(name, str(folder / f"{name}.ttf")) for name in EMBEDDED.values()]
    except TTFError:
        return frozenset()
    for font in fonts:
        pdfmetrics.registerFont(font)
    return frozenset.intersection(*(frozenset(font.face.charToGlyph) for font in fonts))
