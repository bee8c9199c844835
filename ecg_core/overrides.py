"""What lies between a file and its record: what a person states in its place, and which channels are not read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FileState = tuple[int, int, int]  # of a file: its size, the time of its last change in ns, and its number on the disk


@dataclass(frozen=True)
class LeftOut:
    """A channel of a file that is not read as a lead."""

    name: str
    reason: str  # such as "in mmHg, no unit of an ECG"


@dataclass(frozen=True)
class RecordOverrides:
    """Sampling rate and unit that a person gives for a file that does not state them."""

    fs_hz: float | None = None
    per_mv: float | None = None  # file values per millivolt: 1 for mV, 1000 for uV, or the gain of raw counts

    @property
    def text(self) -> str:
        """The overrides in words; empty where there are none."""
        unit = {None: "", 1.0: "values in mV", 1000.0: "values in uV", 0.001: "values in V"}
        return self._with_rate(unit.get(self.per_mv, f"{self.per_mv or 0:g} counts per mV"))

    @property
    def key(self) -> str:
        """The overrides as a fixed text, for hashes and for JSON: results refer to it, so it is never reworded."""
        return self._with_rate("" if self.per_mv is None else f"{self.per_mv:g} a mV")

    def _with_rate(self, unit: str) -> str:
        rate = "" if self.fs_hz is None else f"{self.fs_hz:g} Hz"
        return " and ".join(part for part in (rate, unit) if part)


NO_OVERRIDES: Final = RecordOverrides()


def hash_of(files: Iterable[Path], overrides: RecordOverrides) -> str:
    """SHA-256 of the overrides and of all files by name: the identity of a recording."""
    digest = hashlib.sha256(overrides.key.encode())
    for path in sorted(files):
        digest.update(path.name.encode(errors="surrogatepass"))  # a name of undecodable bytes
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
