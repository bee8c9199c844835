"""WFDB records whose header states no length, such as interrupted recordings: the size of the signal file gives it.

WFDB allows such headers, but the wfdb library reads these records only as a whole. Their samples are therefore decoded
here, for the formats that store each sample in whole bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..schema import Float32

BYTES_OF_FORMAT: Final = {"16": 2, "24": 3, "32": 4}


@dataclass(frozen=True)
class UnfinishedSource:
    """Samples of one signal file in which the leads alternate sample by sample."""

    path: Path
    skip: int  # bytes before the first sample
    n_bytes: int  # per sample
    mv: tuple[float, ...]  # per count, of each lead
    zero: tuple[int, ...]  # the count that is 0 mV, of each lead

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """See ``SignalSource``."""
        n_leads, columns = len(self.mv), list(leads)
        frame_bytes = n_leads * self.n_bytes
        raw = np.fromfile(self.path, np.uint8, (stop - start) * frame_bytes, offset=self.skip + start * frame_bytes)
        high = np.zeros((stop - start, len(leads), 4), dtype=np.uint8)  # in the high bytes, so that the sign is right
        high[:, :, 4 - self.n_bytes :] = raw.reshape(stop - start, n_leads, self.n_bytes)[:, columns]
        count = high.view("<i4")[:, :, 0] >> 8 * (4 - self.n_bytes)
        signal = (count - np.array(self.zero)[columns]) * np.array(self.mv)[columns]
        signal[count == -(1 << 8 * self.n_bytes - 1)] = np.nan  # WFDB marks missing samples by the lowest count
        return np.asarray(signal.T, dtype=np.float32)


def length_by_size(stem: Path, header: Any) -> int:
    """Samples of a record whose header states no length; 0 where the size of its signal file does not give it."""
    n_bytes = BYTES_OF_FORMAT.get(header.fmt[0]) if getattr(header, "fmt", None) else None
    if not n_bytes or {*header.file_name} != {Path(header.file_name[0]).name} or {*header.fmt} != {header.fmt[0]}:
        return 0
    path = stem.parent / header.file_name[0]
    if {*header.samps_per_frame} != {1} or any(header.skew) or not path.is_file():
        return 0
    return int((path.stat().st_size - (header.byte_offset[0] or 0)) // (n_bytes * header.n_sig))


def unfinished_source(stem: Path, header: Any, unit_mv: tuple[float, ...]) -> UnfinishedSource:
    """The samples of a record whose length ``length_by_size`` found."""
    mv = tuple(unit / gain for unit, gain in zip(unit_mv, header.adc_gain, strict=True))
    path, n_bytes = stem.parent / header.file_name[0], BYTES_OF_FORMAT[header.fmt[0]]
    return UnfinishedSource(path, header.byte_offset[0] or 0, n_bytes, mv, tuple(header.baseline))
