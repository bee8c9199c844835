"""A temporary folder that lives as long as the record whose files it holds."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path


class Folder:
    """A temporary folder for unpacked or renamed files; removed with the last reference to it, or at exit."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="ecg-record-"))
        self.remove = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
