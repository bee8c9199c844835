"""Which channels of an EDF or BDF file are read as ECG leads, and why the others are not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ..errors import RecordError
from ..overrides import LeftOut, RecordOverrides
from ..text import format_quoted, plural
from .edf_header import Channel, Header
from .limits import MAX_FS_HZ, MIN_FS_HZ, check_leads, check_length
from .other_signals import other_signal
from .overrides import missing_metadata

ECG_LABEL: Final = re.compile(
    r"(.*(?<![A-Z])(ECG|EKG).*|(lead[ _-]*)?(I{1,3}|AV[RLF]|V\d|MLII|MV\d|[XYZ])?[ _-]*\d*)", re.IGNORECASE
)
FIRST_WORD: Final = re.compile(r"[^\W_]*")  # of a label, which is the type of signal in EDF+
OTHER_UNITS: Final = frozenset({  # of what is measured beside an ECG; a unit that is not known may be one of voltage
    "%", "degc", "°c", "c", "degf", "°f", "f", "k", "mmhg", "cmh2o", "kpa", "pa", "bpm", "1/min", "/min", "rpm", "lpm",
    "l/min", "l/s", "ml/s", "l", "ml", "g", "mg", "m/s2", "m/s^2", "ohm", "kohm", "hz", "db", "s", "sec", "ms", "min",
    "deg", "a", "ma", "ua", "boolean", "bool",
})  # fmt: skip


@dataclass(frozen=True)
class ChosenChannels:
    """The channels of a file, those that are read and those that are not."""

    ecg: tuple[Channel, ...]
    left_out: tuple[LeftOut, ...]


def _is_other(label: str) -> bool:
    """Whether a label begins with the name of another signal than ECG."""
    first = FIRST_WORD.match(label.strip())
    return bool(first and other_signal(first[0]))


def choose_channels(name: str, header: Header, overrides: RecordOverrides) -> ChosenChannels:
    """The ECG leads of a file: channels whose label names an ECG, or else all that may be one.

    A channel that states no unit is a lead where a unit is given, and where none has a unit it has to be given.

    Raises
    ------
    RecordError
        No channel can be an ECG lead, or there are too many, or none has a rate of an ECG.
    MissingMetadataError
        None of the ECG leads states a unit, and none is given.

    """
    filled = [channel for channel in header.channels if channel.n_per_record and not channel.is_annotation]
    possible = [
        channel
        for channel in filled
        if (channel.is_voltage or channel.unit.lower() not in OTHER_UNITS) and not _is_other(channel.label)
    ]
    pool = [channel for channel in possible if ECG_LABEL.fullmatch(channel.label)]
    if not pool:
        pool = [channel for channel in possible if channel.is_voltage] or possible
    is_given = overrides.per_mv is not None
    ecg = [channel for channel in pool if not channel.fault and (channel.is_voltage or is_given)]
    if not ecg:
        raise _no_lead(name, header, pool)
    fs_hz = {channel: channel.n_per_record / header.record_s for channel in ecg}
    read = [channel for channel in ecg if MIN_FS_HZ <= fs_hz[channel] <= MAX_FS_HZ]
    if not read:
        check_length(name, max(fs_hz.values()), 0)  # says so
    check_leads(name, len(read))
    left_out = [
        LeftOut(channel.label or f"signal {number}", _reason(channel, header, pool, is_given=is_given))
        for number, channel in enumerate(header.channels, 1)
        if not channel.is_annotation and channel not in read
    ]
    return ChosenChannels(tuple(read), tuple(left_out))


def _no_lead(name: str, header: Header, pool: list[Channel]) -> RecordError:
    """The error for a file without an ECG lead that can be read as it is."""
    sound = [channel for channel in pool if not channel.fault]
    if sound:
        first = sound[0]
        unit = f"is in {format_quoted(first.unit)}, no unit of voltage" if first.unit else "has no unit"
        label = format_quoted(first.label) or "without a name"
        return missing_metadata(name, f"its signal {label} {unit}", rate=False, unit=True)
    if pool:
        first = pool[0]
        return RecordError(
            f"its signal {format_quoted(first.label)} cannot be scaled: {format_quoted(first.fault)}",
            where=name,
            advice="Export it again.",
        )
    signals = [channel for channel in header.channels if not channel.is_annotation]
    if any(channel.is_voltage for channel in signals):
        labels = format_quoted(", ".join(channel.label for channel in signals))
        return RecordError(
            f"none of its signals is an ECG by its label ({labels})",
            where=name,
            advice="Correct the label of one that is an ECG.",
        )
    found = ", ".join(dict.fromkeys(channel.unit or "none" for channel in signals))
    return RecordError(
        f"none of its {plural(len(signals), 'signal')} is an ECG by its unit",
        where=name,
        expected="mV, uV or V",
        got=format_quoted(found),
        advice="Export the ECG with its unit.",
    )


def _reason(channel: Channel, header: Header, pool: list[Channel], *, is_given: bool) -> str:
    """Why a channel is not read."""
    fs_hz = channel.n_per_record / header.record_s
    if not channel.n_per_record:
        return "holds no samples"
    if channel in pool:
        if channel.fault:
            return format_quoted(channel.fault)
        if not channel.is_voltage and not is_given:
            return f"{_unit_text(channel)}; it is read where one is given"
        return f"at {fs_hz:g} Hz, an ECG has {MIN_FS_HZ:g} to {MAX_FS_HZ:g} Hz"
    if channel.is_voltage:
        return "its label names no ECG lead"
    return f"in {format_quoted(channel.unit)}, no unit of an ECG" if channel.unit else "states no unit"


def _unit_text(channel: Channel) -> str:
    return f"in {format_quoted(channel.unit)}, which is no unit of voltage" if channel.unit else "states no unit"
