"""A folder that lives as long as the record whose files were put into it."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path


class Folder:
    """A folder for what was unpacked or renamed; removed when nobody holds it any more, or at the program's end."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="ecg-record-"))
        self.remove = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
