"""The types of a live stream, the same for a replayed record, a socket and the Lab Streaming Layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Protocol, TypeAlias

import numpy as np

from ..errors import LiveError
from ..records.limits import MAX_FS_HZ, MAX_LEADS, MIN_FS_HZ
from ..schema import Attention, Beats, Float32, FrozenArrays
from ..text import plural


@dataclass(frozen=True)
class Stream:
    """What is known of a stream before its first sample.

    Raises
    ------
    LiveError
        The sampling rate is not that of an ECG, or the number of leads is not.

    """

    name: str
    fs_hz: float
    lead_names: tuple[str, ...]
    calibrated: bool = True  # whether the sender gives a known unit; otherwise 200 counts are assumed to be 1 mV
    is_simulated: bool = False  # whether the signal comes from no patient
    is_replayed: bool = False  # whether it is a record that is replayed, ...
    start: datetime | None = None  # ... and when this was recorded, where its file states that

    def __post_init__(self) -> None:
        if not MIN_FS_HZ <= self.fs_hz <= MAX_FS_HZ:
            raise LiveError(
                f"{self.name}: its rate is {self.fs_hz:g} Hz, expected {MIN_FS_HZ:g} to {MAX_FS_HZ:g} Hz; correct the "
                "rate that the sender gives."
            )
        if not self.lead_names:
            raise LiveError(f"{self.name}: the stream has no lead; at least one ECG lead is needed.")
        if len(self.lead_names) > MAX_LEADS:
            raise LiveError(
                f"{self.name}: it has {plural(len(self.lead_names), 'lead')}, expected 1 to {MAX_LEADS}; send "
                "those of the ECG alone."
            )


@dataclass(frozen=True, eq=False)
class StreamChunk(FrozenArrays):
    """Consecutive samples as they arrived.

    ``first`` counts samples from the start of the stream, lost ones included: where it jumps ahead there is a gap, and
    samples whose numbers were already received are repeats.
    """

    first: int
    signal_mv: Float32  # (n_leads, n), NaN where nothing was recorded


class Source(Protocol):
    """Where chunks come from. The iteration ends with the stream; ``close`` ends it from another thread."""

    stream: Stream

    def chunks(self) -> Iterator[Item]:
        """Chunks in the order of their arrival, and between them what happened to the stream."""
        ...

    def close(self) -> None:
        """Release the connection; ``chunks`` ends soon after."""
        ...


@dataclass(frozen=True)
class Notice:
    """An event of the stream itself, in a sentence: connection lost, connection back, a lead missing."""

    time_s: float  # from the start of the stream
    text: str
    ahead_s: float = 0.0  # the clock went on by so much from here, and the numbers of the samples did not


@dataclass(frozen=True)
class Silence:
    """No new sample has arrived for so long, by the clock of this machine, though the stream has not ended."""

    silent_s: float


Item: TypeAlias = StreamChunk | Notice | Silence  # what a source yields


@dataclass(frozen=True)
class Alarm:
    """An alarm; announced when it begins, when it becomes a more serious kind, and once more when it is over."""

    kind: str  # one of alarm_lines.KINDS
    start_s: float  # when it began
    announced_s: float  # end of the received signal when it was announced
    end_s: float | None = None  # None while it goes on
    before: str = ""  # the kind that it had until it became more serious now; its start stays
    lasted_s: float | None = None  # of a silence that is over, by the clock of this machine

    @property
    def duration_s(self) -> float | None:
        """How long it lasted; None while it goes on."""
        return None if self.end_s is None else max(self.end_s - self.start_s, self.lasted_s or 0.0)


@dataclass(frozen=True)
class Vitals:
    """Running counts at the end of the decided signal; None where a value is not known."""

    time_s: float
    rate_bpm: float | None
    v_minute: int  # beats of the last minute and hour
    v_hour: int
    s_minute: int
    s_hour: int
    rhythm: str  # the current rhythm, in words
    usable: bool  # whether at least one lead is analysable
    lead_off: tuple[bool, ...]  # for each lead of the stream; always False for leads that are not monitored
    active: tuple[Alarm, ...] = ()  # the alarms that go on, the most serious one first
    learning: bool = False  # whether there were too few beats so far to know the normal beat of this patient


@dataclass(frozen=True, eq=False)
class Update:
    """What the engine decided after a chunk."""

    beats: Beats  # newly decided beats; times from the start of the stream
    attention: Attention
    alarms: tuple[Alarm, ...] = ()
    notices: tuple[Notice, ...] = ()
    vitals: Vitals | None = None


def merge_updates(updates: Sequence[Update]) -> Update:
    """Merge consecutive updates, at least one, into a single update."""
    weights = [update.attention.weight for update in updates]
    return Update(
        beats=_joined([update.beats for update in updates]),
        attention=replace(updates[0].attention, weight=np.concatenate(weights)),
        alarms=tuple(alarm for update in updates for alarm in update.alarms),
        notices=tuple(notice for update in updates for notice in update.notices),
        vitals=updates[-1].vitals,
    )


def _joined(parts: Sequence[Beats]) -> Beats:
    """The beats of all parts; a column that is None in the first is so in all."""
    columns = {item.name: [getattr(part, item.name) for part in parts] for item in fields(Beats)}
    return replace(
        parts[0], **{name: np.concatenate(column) for name, column in columns.items() if column[0] is not None}
    )
