"""What a person states of a file: taken where the file leaves it open, refused where the file says something else."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ..errors import MissingMetadataError, RecordError
from ..schema import Float32, Record, RecordOverrides, SignalSource
from .samples import ASSUMED_PER_MV

PER_MV: Final = {"mV": 1.0, "uV": 1000.0, "V": 0.001}
SAME = 1e-3  # rates that differ by less are one: times are rounded in tables


@dataclass(frozen=True, eq=False)
class ScaledSource:
    """A source whose leads are multiplied, each by a number of its own."""

    inner: SignalSource
    factor: tuple[float, ...]

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """See ``SignalSource``."""
        factor = np.array([self.factor[lead] for lead in leads], dtype=np.float32)
        return self.inner.read(start, stop, leads) * factor[:, None]


def per_mv_of(unit: str) -> float:
    """Counts a millivolt of a unit as a person writes it: mV, uV, V, or the number itself.

    Raises
    ------
    RecordError
        It is none of these.

    """
    known = {name.casefold(): value for name, value in PER_MV.items()}
    try:
        value = known.get(unit.strip().casefold().replace("µ", "u").replace("μ", "u")) or float(unit)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise RecordError(f'"{unit}" is no unit: expected mV, uV, V, or a number, the counts that are a millivolt.')
    return value


def missing_metadata(name: str, why: str, *, rate: bool, unit: bool, hint: str) -> MissingMetadataError:
    """What to say of a file that leaves its rate or its unit open."""
    wanted = [text for text, missing in (("--fs HZ", rate), ("--unit mV, uV, V, or counts a mV", unit)) if missing]
    return MissingMetadataError(
        f"{name}: {why}. Nothing is guessed: state {' and '.join(wanted)}{hint}.", rate=rate, unit=unit
    )


def check_rate(name: str, fs_hz: float, overrides: RecordOverrides) -> None:
    """Refuse a rate that contradicts the file's own.

    Raises
    ------
    RecordError
        With both.

    """
    if overrides.fs_hz is not None and not abs(overrides.fs_hz - fs_hz) <= SAME * fs_hz:
        raise RecordError(
            f"{name}: {overrides.fs_hz:g} Hz were stated, the file itself says {fs_hz:g} Hz; leave --fs out, or correct "
            "the file."
        )


def apply_overrides(record: Record, overrides: RecordOverrides) -> Record:
    """A record of a format that states its rate, and mostly its gains; counts without a gain get the stated one.

    Raises
    ------
    RecordError
        The file says something else, or has no lead whose gain is open.

    """
    check_rate(record.record_id, record.fs_hz, overrides)
    if overrides.per_mv is None:
        return record
    if all(record.calibrated):
        raise RecordError(f"{record.record_id}: the file itself states the unit of every lead; leave --unit out.")
    factor = tuple(1.0 if own else ASSUMED_PER_MV / overrides.per_mv for own in record.calibrated)
    return replace(
        record,
        source=ScaledSource(record.source, factor),
        calibrated=(True,) * len(factor),
        overrides=RecordOverrides(per_mv=overrides.per_mv),
    )
