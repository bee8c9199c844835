"""Channels of a sender and leads of a stream: units, names, and the mapping after a reconnection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import LiveError, OtherSenderError
from ..records.units import ASSUMED_PER_MV, mv_of_unit
from ..schema import Float32
from .stream import Stream, StreamChunk


def printable(name: str) -> str:
    """A name from a sender without characters that a terminal would obey."""
    return "".join(letter for letter in name if letter.isprintable())


@dataclass(frozen=True)
class LeadMapping:
    """How the channels of a sender become the leads of a stream."""

    channels: tuple[int | None, ...]  # for each lead of the stream, its channel; None where the sender has none
    scale_mv: tuple[float, ...]  # millivolts of a unit step, for each channel

    def arrange(self, values: Float32) -> Float32:
        """Values of the channels, shape (n_channels, n), as leads in mV, shape (n_leads, n); NaN where missing."""
        signal = np.full((len(self.channels), values.shape[1]), np.nan, dtype=np.float32)
        for lead, channel in enumerate(self.channels):
            if channel is not None:
                signal[lead] = values[channel] * np.float32(self.scale_mv[channel])
        signal[~np.isfinite(signal)] = np.nan
        return signal


def map_channels(units: tuple[str | None, ...]) -> tuple[LeadMapping, bool]:
    """The mapping of a stream that begins, one lead per channel, and whether all units are known."""
    known = [mv_of_unit((unit or "").strip()) for unit in units]
    scale_mv = tuple(1 / ASSUMED_PER_MV if mv is None else mv for mv in known)
    return LeadMapping(tuple(range(len(units))), scale_mv), None not in known


def channel_values(chunk: StreamChunk, stream: Stream) -> Float32:
    """A chunk as values to send, shape (n_leads, n): mV, or counts where the stream has no known unit."""
    return np.asarray(chunk.signal_mv * np.float32(1 if stream.calibrated else ASSUMED_PER_MV))


def map_reconnected(stream: Stream, offered: Stream, mapping: LeadMapping) -> tuple[LeadMapping, str]:
    """Map the channels of a sender that came back to the leads of its stream, by their names.

    Parameters
    ----------
    stream, offered
        The stream as it began, and as the sender describes it now.
    mapping
        What ``map_channels`` returns for ``offered``.

    Returns
    -------
    The mapping, and a sentence on leads that are missing or new; empty where nothing changed.

    Raises
    ------
    OtherSenderError
        The name is another one, or whether the unit is known: the samples may be those of another patient, and values
        of one recording have one unit.
    LiveError
        The sampling rate has changed.

    """
    if offered.name != stream.name:
        raise OtherSenderError(
            f"A sender named {offered.name} is not {stream.name}, which is monitored here; start a new session for it."
        )
    if offered.fs_hz != stream.fs_hz:
        raise LiveError(
            f"{stream.name} came back with {offered.fs_hz:g} Hz instead of {stream.fs_hz:g} Hz: the stream ends here; "
            "start a new session."
        )
    if offered.calibrated != stream.calibrated:
        how = "without a known unit" if stream.calibrated else "with a unit, which was not known before"
        raise OtherSenderError(f"{stream.name} came back {how}: its values fit no more; start a new session for it.")
    channel_of = {name.casefold(): channel for channel, name in enumerate(offered.lead_names)}
    channels = tuple(channel_of.get(name.casefold()) for name in stream.lead_names)
    missing = [name for name, channel in zip(stream.lead_names, channels, strict=True) if channel is None]
    added = [name for channel, name in enumerate(offered.lead_names) if channel not in channels]
    changes = [f"without {', '.join(missing)}"] if missing else []
    changes += [f"with {', '.join(added)}, which is ignored"] if added else []
    sentence = f"{stream.name} came back {' and '.join(changes)}" if changes else ""
    return LeadMapping(channels, mapping.scale_mv), sentence
