"""Error messages in the words of the browser: what is wrong, and the control that mends it."""

from __future__ import annotations

from typing import Final

from ecg_core.errors import EcgError

UNFORESEEN = "An unexpected error occurred. The details are in the window that this program was started from."
HINTS: Final = {  # by the name of a setting; the other settings cannot be wrong in the browser
    "lead": "Choose another lead on the page Studies.",
    "model": "Choose another model on the page Studies.",
    "fs": "Enter the sampling rate in the form below.",
    "unit": "Enter the unit in the form below.",
}


def error_message(error: EcgError) -> str:
    """What is wrong, and how the reader mends it in the browser."""
    return " ".join(error_parts(error))


def error_parts(error: EcgError) -> list[str]:
    """What is wrong, then how the reader mends it in the browser, where that is known."""
    remedies = [error.advice, *(HINTS[setting] for setting in error.settings if setting in HINTS)]
    return [text for text in (error.problem, " ".join(filter(None, remedies))) if text]
