"""MFER (ISO 22077-1), the waveforms of Japanese electrocardiographs and Holters; their samples stay in the file."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Final

import numpy as np

from ..errors import RecordError
from ..notes import Patient
from ..overrides import NO_OVERRIDES, LeftOut, RecordOverrides
from ..schema import Float32, Record
from ..text import format_quoted, plural
from .mfer_definitions import (
    AGE,
    MAKER,
    NAME,
    NUMBER,
    SEX,
    TIME,
    Channel,
    Frame,
    State,
    read_definitions,
    text_of,
)
from .mixed_rates import LeadsOfRate
from .overrides import missing_metadata
from .samples import stored_numbers
from .stored_leads import About, age_of, open_parts
from .units import ASSUMED_PER_MV

SEXES: Final = {1: "male", 2: "female"}


@dataclass(frozen=True)
class MferSource:
    """Channels with the same block and type, in frames that follow each other."""

    path: Path
    frames: tuple[Frame, ...]
    chosen: tuple[int, ...]  # positions of the channels in a frame

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """See ``SignalSource``."""
        signal = np.full((len(leads), stop - start), np.nan, dtype=np.float32)
        for number in range(bisect_right(self.begins, start) - 1, len(self.frames)):
            before, after = self.begins[number], self.begins[number + 1]
            if before >= stop:
                break
            first, last = max(start, before), min(stop, after)
            if first < last:
                piece = self._piece(self.frames[number], first - before, last - before, leads)
                signal[:, first - start : last - start] = piece
        return signal

    @cached_property
    def begins(self) -> list[int]:
        """First sample of each frame, and the number of samples."""
        blocks = (frame.n_sequences * frame.channels[self.chosen[0]].block for frame in self.frames)
        return [*accumulate(blocks, initial=0)]

    def _piece(self, frame: Frame, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """Samples of a frame, from the sequences that hold them."""
        sizes = [channel.n_bytes for channel in frame.channels]
        block = frame.channels[self.chosen[0]].block
        first, last = start // block, -(-stop // block)
        count = (last - first) * sum(sizes)
        content = stored_numbers(self.path, "u1", count, offset=frame.place + first * sum(sizes))
        rows = []
        for lead in leads:
            number = self.chosen[lead]
            channel, at = frame.channels[number], sum(sizes[:number])
            stored = content.reshape(last - first, -1)[:, at : at + channel.n_bytes]
            counts = (
                np.ascontiguousarray(stored).view(channel.dtype).ravel()[start - first * block : stop - first * block]
            )
            scale = 1 / ASSUMED_PER_MV if channel.mv_per_count is None else channel.mv_per_count
            with np.errstate(over="ignore", invalid="ignore"):  # a number beyond float32 becomes infinite: no sample
                mv = ((counts.astype(np.float64) + channel.offset) * scale).astype(np.float32)
            mv[(counts == channel.null) | ~np.isfinite(mv)] = np.nan
            rows.append(mv)
        return np.stack(rows)


def read_mfer(path: Path, overrides: RecordOverrides = NO_OVERRIDES) -> Record:
    """Open the waveforms of an MFER file; the patient's name and number are not read.

    Raises
    ------
    RecordError
        It holds no waveform of an ECG, is damaged, or is compressed.
    MissingMetadataError
        It states no sampling interval, and the overrides give none.

    """
    state = read_definitions(path)
    frames = [frame for frame in state.frames if any(not channel.reason for channel in frame.channels)]
    if not frames:
        reasons = "; ".join({f"{c.name}: {c.reason}" for frame in state.frames for c in frame.channels}) or "no frame"
        raise RecordError(
            f"is an MFER file without a waveform of an ECG ({format_quoted(reasons)}); an ECG is needed",
            where=path.name,
            advice="Export the ECG.",
        )
    seconds: dict[tuple[Channel, ...], float] = {}
    for frame in frames:
        seconds[frame.channels] = seconds.get(frame.channels, 0.0) + _duration_s(frame)
    layout = max(seconds, key=lambda channels: seconds[channels])
    used = tuple(frame for frame in frames if frame.channels == layout)
    channels = used[0].channels
    states_rate = all(channel.fs_hz is not None for channel in channels if not channel.reason)
    if not states_rate:
        channels = _with_rate(path, channels, overrides)
        used = tuple(replace(frame, channels=channels) for frame in used)
    left_out = [LeftOut(channel.name, channel.reason) for channel in channels if channel.reason]
    others = len(state.frames) - len(used)
    if others:
        left_out.append(LeftOut(plural(others, "frame"), "of other channels or rates than the longest rhythm"))
    start, born = _start(state), _born(state)
    about = About(
        start=start, age_years=_age(state, born, start), left_out=tuple(left_out), doubts=tuple(state.doubts),
        states_rate=states_rate,
    )  # fmt: skip
    parts, names, calibrated = [], [], []
    groups = dict.fromkeys((c.fs_hz or 0.0, c.block) for c in channels if not c.reason)
    for fs_hz, block in groups:
        chosen = tuple(k for k, c in enumerate(channels) if not c.reason and (c.fs_hz, c.block) == (fs_hz, block))
        n_samples = sum(frame.n_sequences for frame in used) * block
        parts.append(LeadsOfRate(MferSource(path, used, chosen), fs_hz, n_samples, len(chosen)))
        names += [channels[k].name for k in chosen]
        calibrated += [channels[k].mv_per_count is not None for k in chosen]
    return open_parts(path, parts, names, calibrated, about=about, overrides=overrides)


def _with_rate(path: Path, channels: tuple[Channel, ...], overrides: RecordOverrides) -> tuple[Channel, ...]:
    """Channels with the rate that was given by hand."""
    if overrides.fs_hz is None:
        raise missing_metadata(
            path.name, "an MFER file without a sampling interval (MWF_IVL)", rate=True, unit=False,
            hint="1000 Hz is what the standard takes where nothing is stated.",
        )  # fmt: skip
    return tuple(replace(channel, fs_hz=channel.fs_hz or overrides.fs_hz) for channel in channels)


def _duration_s(frame: Frame) -> float:
    return max(frame.n_sequences * c.block / (c.fs_hz or 1.0) for c in frame.channels if not c.reason)


def _start(state: State) -> datetime | None:
    value = state.about.get(TIME, b"")
    try:
        month, day, hour, minute, second = value[2:7]
        micro_s = min(1000 * state.number(value[7:9]) + state.number(value[9:11]), 999_999)
        return datetime(state.number(value[:2]), month, day, hour, minute, second, micro_s)
    except ValueError:  # not stated, or in part
        return None


def _born(state: State) -> date | None:
    value = state.about.get(AGE, b"")
    try:
        return date(state.number(value[3:5]), value[5], value[6])
    except (ValueError, IndexError):
        return None


def _age(state: State, born: date | None, start: datetime | None) -> int | None:
    stated = state.about.get(AGE, b"")[:1]
    return stated[0] if stated and stated[0] else age_of(born, start)


def patient_of(path: Path) -> Patient:
    """Patient and recorder, from the definitions of a file."""
    state = read_definitions(path)
    name = [part.strip() for part in text_of(state.about.get(NAME, b"")).split("^")]
    born = _born(state)
    return Patient(
        name=" ".join(filter(None, [*name[2:3], *name[:1]])),  # family^its sound^given^...
        patient_id=text_of(state.about.get(NUMBER, b"")).partition("^")[0],
        birth_date=born.isoformat() if born else "",
        sex=SEXES.get(int.from_bytes(state.about.get(SEX, b"")[:1], "big"), ""),
        recorder=" ".join(text_of(state.about.get(MAKER, b"")).split("^")[:2]).strip(),
    )
