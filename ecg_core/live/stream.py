"""What a live stream is made of: the same nouns for a replayed record, a socket and the Lab Streaming Layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Protocol

import numpy as np

from ..errors import LiveError
from ..records.limits import MAX_FS_HZ, MIN_FS_HZ
from ..schema import Attention, Beats, Float32, _Columns


@dataclass(frozen=True)
class Stream:
    """What is known of a stream before its first sample.

    Raises
    ------
    LiveError
        It has a rate that no ECG has, or no lead.

    """

    name: str
    fs_hz: float
    lead_names: tuple[str, ...]
    calibrated: bool = True  # whether its samples are known to be mV; else 200 counts are taken for one
    is_simulated: bool = False  # whether no patient was recorded

    def __post_init__(self) -> None:
        if not MIN_FS_HZ <= self.fs_hz <= MAX_FS_HZ:
            raise LiveError(
                f"{self.name}: its rate is {self.fs_hz:g} Hz, expected {MIN_FS_HZ:g} to {MAX_FS_HZ:g} Hz; correct what "
                "the sender states."
            )
        if not self.lead_names:
            raise LiveError(f"{self.name}: the stream has no lead; at least one ECG lead is needed.")


@dataclass(frozen=True, eq=False)
class Chunk(_Columns):
    """Some samples in a row, as they came.

    ``first`` counts samples from the start of the stream, lost ones too: a jump in it is a gap, and what was already
    there comes a second time.
    """

    first: int
    signal_mv: Float32  # (n_leads, n), NaN where nothing was recorded


class Source(Protocol):
    """Where chunks come from. It ends when the stream ends; ``close`` ends it from another thread."""

    stream: Stream

    def chunks(self) -> Iterator[Chunk | Notice]:
        """Chunks in the order in which they come, and what has to be said of the stream in between."""
        ...

    def close(self) -> None:
        """Let go of the connection; ``chunks`` ends soon."""
        ...


@dataclass(frozen=True)
class Notice:
    """Something that happened to the stream, in a sentence: lost, found again, a lead less."""

    time_s: float  # from the start of the stream
    text: str


@dataclass(frozen=True)
class Alarm:
    """Something that a watcher must know now. Said when it begins, and once more when it is over."""

    kind: str  # one of alarms.KINDS
    start_s: float  # when it began
    said_s: float  # the end of the signal when it was said
    end_s: float | None = None  # None while it goes on


@dataclass(frozen=True)
class Vitals:
    """Running counts at the end of what was decided; None where it is not known."""

    time_s: float
    rate_bpm: float | None
    v_minute: int  # beats of the last minute and hour
    v_hour: int
    s_minute: int
    s_hour: int
    rhythm: str  # what is going on, in words
    usable: bool  # whether a lead can be read
    lead_off: tuple[bool, ...]  # for each lead of the stream; one that is not watched is never said to be off
    learning: bool = False  # whether too few beats were seen to know this patient's normal one


@dataclass(frozen=True, eq=False)
class Update:
    """What a chunk brought."""

    beats: Beats  # those that are decided now; times from the start of the stream
    attention: Attention
    alarms: tuple[Alarm, ...] = ()
    notices: tuple[Notice, ...] = ()
    vitals: Vitals | None = None


def merge_updates(updates: Sequence[Update]) -> Update:
    """Updates in a row, at least one, as a single one."""
    beats = [update.beats for update in updates]
    weights = [update.attention.weight for update in updates]
    return Update(
        beats=Beats(*(np.concatenate([getattr(part, item.name) for part in beats]) for item in fields(Beats))),
        attention=replace(updates[0].attention, weight=np.concatenate(weights)),
        alarms=tuple(alarm for update in updates for alarm in update.alarms),
        notices=tuple(notice for update in updates for notice in update.notices),
        vitals=updates[-1].vitals,
    )
