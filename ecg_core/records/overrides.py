"""Sampling rate and unit that a person gives: used where the file leaves them open, refused where the file differs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ..errors import MissingMetadataError, RecordError
from ..overrides import RecordOverrides
from ..schema import Float32, Record, SignalSource
from .units import ASSUMED_PER_MV, WRITTEN_BY_HAND, mv_of_unit

SAME_RATE: Final = 1e-3  # rates that differ by a smaller fraction are equal: tables round their times


@dataclass(frozen=True, eq=False)
class ScaledSource:
    """A source whose leads are multiplied, each by a factor of its own."""

    inner: SignalSource
    factor: tuple[float, ...]  # per lead

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """See ``SignalSource``."""
        factor = np.array([self.factor[lead] for lead in leads], dtype=np.float32)
        return self.inner.read(start, stop, leads) * factor[:, None]


def per_mv_of(unit: str) -> float:
    """Units per millivolt, of a unit as a person writes it: mV, uV, V, or the number of counts per millivolt.

    Raises
    ------
    RecordError
        The text is none of these.

    Examples
    --------
    >>> per_mv_of("uV")
    1000.0
    >>> per_mv_of("200")
    200.0

    """
    mv = mv_of_unit(unit.strip(), WRITTEN_BY_HAND)
    try:
        value = float(unit) if mv is None else 1 / mv
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise RecordError(
            f'"{unit}" is not a unit', expected="mV, uV, V, or a number, the counts per millivolt", settings=("unit",)
        )
    return value


def missing_metadata(name: str, why: str, *, rate: bool, unit: bool, hint: str = "") -> MissingMetadataError:
    """The error for a file that leaves its rate or its unit open.

    Parameters
    ----------
    why
        What was expected and found in the file.
    rate, unit
        Whether it is missing.
    hint
        How the file itself could state it.

    """
    missing = ["the sampling rate in Hz"] * rate + ["the unit (mV, uV, V, or the counts per millivolt)"] * unit
    verb = "is" if len(missing) == 1 else "are"
    what = f"{why}; {' and '.join(missing)} {verb} not stated and never guessed"
    return MissingMetadataError(what, where=name, advice=hint, rate=rate, unit=unit)


def check_rate(name: str, fs_hz: float, overrides: RecordOverrides) -> None:
    """Refuse an override that contradicts the rate that the file states.

    Raises
    ------
    RecordError
        With both rates.

    """
    if overrides.fs_hz is not None and not abs(overrides.fs_hz - fs_hz) <= SAME_RATE * fs_hz:
        raise RecordError(
            f"a rate of {overrides.fs_hz:g} Hz was given, but the file states {fs_hz:g} Hz",
            where=name,
            advice="Give no rate, or correct the file.",
        )


def apply_overrides(record: Record, overrides: RecordOverrides, *, states_rate: bool = True) -> Record:
    """Apply a given unit to the leads whose gain the file does not state, and compare a given rate with the file's.

    Parameters
    ----------
    states_rate
        Whether the file does; else the record was opened at the given one, which is kept as given.

    Raises
    ------
    RecordError
        The file states another rate, or the gain of every lead.

    """
    if states_rate:
        check_rate(record.record_id, record.fs_hz, overrides)
    else:
        record = replace(record, overrides=RecordOverrides(fs_hz=overrides.fs_hz))
    if overrides.per_mv is None:
        return record
    if all(record.calibrated):
        raise RecordError(
            "a unit was given, but the file states the unit of every lead",
            where=record.record_id,
            advice="Give no unit, or correct the file.",
        )
    factor = tuple(1.0 if stated else ASSUMED_PER_MV / overrides.per_mv for stated in record.calibrated)
    return replace(
        record,
        source=ScaledSource(record.source, factor),
        calibrated=(True,) * len(factor),
        overrides=replace(record.overrides, per_mv=overrides.per_mv),
    )
