"""What a failure of the database means, in a sentence."""

from __future__ import annotations

from typing import Final

from sqlalchemy.exc import DBAPIError

from ..errors import StoreError

SENTENCES: Final = (  # part of the database's message, and what it means for the reader
    ("disk is full", "the disk is full: what was changed last is not saved. Make room on it."),
    ("readonly", "it is write-protected: nothing can be saved. Give write access to the file and its folder."),
    ("read-only", "it is write-protected: nothing can be saved. Give write access to the file and its folder."),
    ("locked", "another program holds it, and did not release it in time. Close that program, and try again."),
    ("malformed", "the database is damaged. Put a copy of it back, or move it away."),
    ("not a database", "this file is no database, or is damaged. Put a copy of it back, or move it away."),
    ("unable to open", "the database cannot be opened. Check its folder, and the access to it."),
    ("disk i/o", "the disk reports an error. Check the disk, and copy the folder to another one."),
    ("connection", "the database server cannot be reached. Check the address in ECG_STUDIES_URL, and the network."),
)


def store_problem(place: str, error: DBAPIError) -> StoreError:
    """The error of a database, worded for the reader."""
    message = str(error.orig).strip()
    meaning = next((sentence for part, sentence in SENTENCES if part in message.casefold()), "")
    return StoreError(f"{place}: {meaning or f'the database refused ({message}).'}")
