"""What a failure of the database means, in a sentence."""

from __future__ import annotations

from typing import Final

from sqlalchemy.exc import DataError, DBAPIError, SQLAlchemyError, TimeoutError

from ..errors import ChangeRefusedError, StoreError
from ..text import format_quoted

DAMAGED: Final = "the database is damaged: nothing was written into it. Put a copy of it back, or move it away."
PROTECTED: Final = "it is write-protected: nothing can be saved. Give write access to the file and its folder."
BUSY: Final = "another program holds it, and did not release it in time. Close that program, and try again."
FULL: Final = "the disk is full: what was changed last is not saved. Make room on it."
UNREACHABLE: Final = (
    "the database server cannot be reached. Check that it runs, the network, and the address in ECG_STUDIES_URL."
)
SENTENCES: Final = (  # part of the database's message, and what it means for the reader; the first that fits counts
    ("disk is full", FULL),
    ("no space left", FULL),
    ("readonly", PROTECTED),
    ("read-only", PROTECTED),
    ("lock timeout", BUSY),
    ("deadlock", BUSY),
    ("locked", BUSY),
    ("malformed", DAMAGED),
    ("not a database", "this file is no database, or is damaged. Put a copy of it back, or move it away."),
    ("could not decode", DAMAGED),
    ("unable to open", "the database cannot be opened. Check its folder, and the access to it."),
    ("disk i/o", "the disk reports an error: what was changed last is not saved. Check its room, and the disk."),
    ("authentication", "the database server refused the user or the password. Check the address in ECG_STUDIES_URL."),
    ("permission denied", "the database server gives this user no access. Ask its administrator for it."),
    ("too many clients", "the database server has no free connection. Close other programs, and try again."),
    ("does not exist", "the database server has no such database or user. Check the address in ECG_STUDIES_URL."),
    ("connection", UNREACHABLE),
    ("resolve host", UNREACHABLE),
)


def text_problem(error: UnicodeEncodeError) -> ChangeRefusedError:
    """A text that no database and no file can hold: with half of a pair of surrogates, or a byte that is no letter."""
    letter = ascii(error.object[error.start])[1:-1]
    return ChangeRefusedError(
        f"A text holds the character {letter}, which cannot be stored: nothing was "
        "changed. Enter the text, or name the file, without it."
    )


def require_text(*texts: str) -> None:
    """Refuse texts that cannot be stored, before anything is made of them; see ``text_problem``."""
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise text_problem(error) from error


def store_problem(place: str, error: SQLAlchemyError | ValueError) -> StoreError:
    """The error of a database, or of content in it that cannot be decoded, worded for the reader."""
    if isinstance(error, ValueError):
        return StoreError(f"{place}: {DAMAGED}")
    if isinstance(error, DataError):  # it would be refused again: PostgreSQL takes no NUL
        return ChangeRefusedError(
            f"{place}: a value cannot be stored ({format_quoted(error.orig)}): nothing was changed."
        )
    if isinstance(error, TimeoutError):  # of the pool of connections
        return StoreError(f"{place}: {BUSY}")
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    message = str(cause).strip()
    meaning = next((sentence for part, sentence in SENTENCES if part in message.casefold()), "")
    return StoreError(f"{place}: {meaning or f'the database refused ({format_quoted(cause)}). Try again.'}")
