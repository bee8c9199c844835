"""Electrocardiograms that web services of watches hand out as JSON: Fitbit, Google Health and Withings.

Fitbit (Web API, "Get ECG Log List") and Google Health (``electrocardiogram``) state the rate and how many counts are a
millivolt: the signal is lead I. Withings (API, "Heart v2 - Get") states the rate, in microvolts, and names no lead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..errors import RecordError
from ..notes import Patient
from ..overrides import NO_OVERRIDES, RecordOverrides
from ..schema import Float64, Record
from ..text import format_quoted, plural
from .limits import read_whole
from .overrides import missing_metadata
from .stored_leads import About, StoredLead, open_leads
from .xml_text import number_of

MAX_BYTES: Final = 16 << 20  # a reading of half a minute takes 50 kB
MV_PER_UV = 1e-3
AGAIN: Final = "Export it again."


@dataclass(frozen=True)
class Service:
    """How a service names what a reading holds; names within names are parted by a point."""

    samples: str
    rate: str
    lead: str
    per_mv: str = ""  # empty where samples are in microvolts
    start: str = ""
    offset: str = ""  # of the clock, in seconds
    length: str = ""
    recorder: str = ""


SERVICES: Final = (
    Service(
        "waveformSamples", "samplingFrequencyHz", "I", "scalingFactor", "startTime",
        length="numberOfWaveformSamples", recorder="deviceName",
    ),
    Service(
        "waveformSamples", "samplingFrequencyHertz", "I", "millivoltsScalingFactor", "interval.startTime",
        "interval.startUtcOffset", recorder="medicalDeviceInfo.deviceModel",
    ),
    Service("signal", "sampling_frequency", "ECG"),
)  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """An electrocardiogram of a document."""

    service: Service
    fields: dict[str, Any]

    def text(self, name: str) -> str:
        """A field as text; empty where it is not stated."""
        value: Any = self.fields
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return "" if value is None or isinstance(value, list | dict) else str(value)


def read_json(path: Path, overrides: RecordOverrides = NO_OVERRIDES) -> Record:
    """Open the one reading of a document.

    Raises
    ------
    RecordError
        It is damaged, or holds several readings, or none.
    MissingMetadataError
        It states no rate, and none is given.

    """
    reading = _reading(path)
    stated = number_of(reading.text(reading.service.rate))
    fs_hz = overrides.fs_hz if stated is None else stated
    if fs_hz is None:
        raise missing_metadata(path.name, f"has no {reading.service.rate}", rate=True, unit=False)
    per_mv = number_of(reading.text(reading.service.per_mv)) if reading.service.per_mv else 1 / MV_PER_UV
    length = number_of(reading.text(reading.service.length))
    lead = StoredLead(
        reading.service.lead,
        _samples(path, reading),
        fs_hz,
        1 / per_mv if per_mv and per_mv > 0 else None,
        stated=None if length is None else round(length),
    )
    start, doubts = _start(reading)
    return open_leads(path, [lead], About(start=start, doubts=doubts, states_rate=stated is not None), overrides)


def _reading(path: Path) -> Reading:
    content = read_whole(
        path, MAX_BYTES, what="is too long a JSON document", advice="Save one reading in a file of its own."
    )
    try:
        document = json.loads(content)
        readings = list(_readings(document))
    except (ValueError, RecursionError) as error:
        raise RecordError(
            f"begins as JSON of a watch but cannot be decoded ({format_quoted(error)})", where=path.name, advice=AGAIN
        ) from error
    if len(readings) != 1:
        raise RecordError(
            where=path.name,
            expected="one reading of an ECG",
            got=plural(len(readings), "reading"),
            advice="Save one in a file of its own." if readings else AGAIN,
        )
    return readings[0]


def _readings(value: Any) -> Iterator[Reading]:
    """Readings anywhere in a document."""
    if isinstance(value, dict):
        service = next((one for one in SERVICES if {one.samples, one.rate} <= set(value)), None) or next(
            (one for one in SERVICES if one.per_mv in value and one.samples in value), None
        )
        if service:
            yield Reading(service, value)
            return
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _readings(inner)


def _samples(path: Path, reading: Reading) -> Float64:
    found = reading.fields[reading.service.samples]
    is_numbers = isinstance(found, list) and all(type(number) in (int, float) for number in found)
    try:
        if is_numbers and found:
            return np.array(found, dtype=np.float64)
    except OverflowError:
        pass
    raise RecordError(
        "its samples are damaged",
        where=path.name,
        expected=f"a list of numbers as {reading.service.samples}",
        got=format_quoted(found),
        advice=AGAIN,
    )


def _start(reading: Reading) -> tuple[datetime | None, tuple[str, ...]]:
    """The start by the clock of the watch, and a doubt where it is in UTC and the distance to it is not stated."""
    try:
        stated = datetime.fromisoformat(reading.text(reading.service.start))
    except ValueError:
        return None, ()
    start = stated.replace(tzinfo=None)
    offset = re.fullmatch(r"(-?\d{1,5})s", reading.text(reading.service.offset))
    if offset:
        return start + timedelta(seconds=int(offset[1])), ()
    is_utc = stated.tzinfo is not None and not stated.utcoffset()
    return start, ("its start is stated in UTC, and not in local time",) * is_utc


def patient_of(path: Path) -> Patient:
    """The recorder; no field is read about the patient."""
    reading = _reading(path)
    return Patient(recorder=format_quoted(reading.text(reading.service.recorder)))
