"""Opening the recording of a study again."""

from __future__ import annotations

from ..schema import Record
from .store import Store
from .study import Study


def open_recording(store: Store, study: Study) -> Record:
    """Open the recording of a study."""
    from ..records import read_record  # noqa: PLC0415, as wfdb takes half a second

    return read_record(study.path, study.overrides)
