"""A temporary folder that lives as long as the record whose files it holds."""

from __future__ import annotations

import tempfile

from ..errors import RecordError
from ..files import TemporaryFolder


class Folder(TemporaryFolder):
    """A temporary folder for unpacked or renamed files; removed with the last reference to it, or at exit.

    Raises
    ------
    RecordError
        It cannot be made: there is no room for temporary files, or nobody may write there.

    """

    def __init__(self) -> None:
        try:
            super().__init__()
        except OSError as error:
            raise no_room(error) from error


def no_room(error: OSError) -> RecordError:
    """That files cannot be unpacked, and where."""
    return RecordError(
        f"what is unpacked for a moment cannot be written there ({error.strerror or error})",
        where=tempfile.tempdir or "temporary files",
        advice="Make room, or name another folder for temporary files (TMPDIR).",
    )
