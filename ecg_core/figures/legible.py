"""Colours in which text can be read on a page: the class colours, darker or lighter until the contrast suffices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ..labels import COLOUR
from .theme import DARK, Theme

MIN_CONTRAST: Final = 4.5  # WCAG 2.2, success criterion 1.4.3, of text of normal size
BACKGROUND: Final = {"light": "#FFFFFF", "dark": "#10181F"}  # of the page
MARGIN: Final = 0.3  # above the least contrast, as text is smoothed at its edges
STEPS: Final = 50  # from a colour to black or to white

Rgb = tuple[float, float, float]


def class_text_colours(theme: Theme) -> dict[str, str]:
    """The colour of the letter of each class on the page, at a contrast of 4.5 at least."""
    is_dark = theme == DARK
    background = BACKGROUND["dark" if is_dark else "light"]
    return {label: _legible(colour, background, towards=1.0 if is_dark else 0.0) for label, colour in COLOUR.items()}


def contrast(colour: str, background: str) -> float:
    """Contrast of two colours by WCAG 2.2, from 1 to 21."""
    low, high = sorted((_luminance(_rgb(colour)), _luminance(_rgb(background))))
    return (high + 0.05) / (low + 0.05)


def _legible(colour: str, background: str, *, towards: float) -> str:
    """The colour nearest to this one, mixed with black or with white, whose contrast suffices."""
    mixed = (_mixed(colour, step / STEPS, towards) for step in range(STEPS + 1))
    return next(one for one in mixed if contrast(one, background) >= MIN_CONTRAST + MARGIN)


def _mixed(colour: str, share: float, towards: float) -> str:
    return _hex((1 - share) * part + share * towards for part in _rgb(colour))


def _rgb(colour: str) -> Rgb:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def _hex(rgb: Iterable[float]) -> str:
    return "#" + "".join(f"{round(255 * part):02X}" for part in rgb)


def _luminance(rgb: Rgb) -> float:
    """Relative luminance by WCAG 2.2."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
