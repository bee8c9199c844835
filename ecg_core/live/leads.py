"""Units and leads of a stream: what a sender's numbers are in mV, and which lead is which when it comes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from ..errors import LiveError
from ..records import ASSUMED_PER_MV
from ..schema import Float32
from .stream import Chunk, Stream

MV_OF_UNIT: Final = {  # by name, or by the power of ten that pylsl allows for one
    **dict.fromkeys(("mv", "millivolt", "millivolts", "-3"), 1.0),
    **dict.fromkeys(("uv", "\u00b5v", "\u03bcv", "microvolt", "microvolts", "-6"), 1e-3),
    **dict.fromkeys(("v", "volt", "volts"), 1e3),
    **dict.fromkeys(("nv", "nanovolt", "nanovolts"), 1e-6),
}


def mv_of_unit(unit: str | None) -> float | None:
    """Millivolts of a unit, written in any case; None where it is none that is known."""
    return MV_OF_UNIT.get((unit or "").strip().casefold())


def printable(name: str) -> str:
    """A name as a sender gives it, without what a terminal would take for a command."""
    return "".join(sign for sign in name if sign.isprintable())


@dataclass(frozen=True)
class Leads:
    """How the numbers that a sender gives become the rows of a stream."""

    rows: tuple[int | None, ...]  # for each lead of the stream, which number of the sender it is; None if it is missing
    scale_mv: tuple[float, ...]  # of each of the sender's numbers

    def arrange(self, values: Float32) -> Float32:
        """Numbers of the sender, shape (n_numbers, n), as the stream's leads in mV; NaN where a lead is missing."""
        signal = np.full((len(self.rows), values.shape[1]), np.nan, dtype=np.float32)
        for lead, row in enumerate(self.rows):
            if row is not None:
                signal[lead] = values[row] * np.float32(self.scale_mv[row])
        signal[~np.isfinite(signal)] = np.nan
        return signal


def first_leads(units: tuple[str | None, ...]) -> tuple[Leads, bool]:
    """The leads of a stream that begins, and whether all their units are known."""
    known = [mv_of_unit(unit) for unit in units]
    scale_mv = tuple(1 / ASSUMED_PER_MV if mv is None else mv for mv in known)
    return Leads(tuple(range(len(units))), scale_mv), None not in known


def as_sent(chunk: Chunk, stream: Stream) -> Float32:
    """Numbers that ``first_leads`` takes back to the same mV: mV, or counts where the stream has no known unit."""
    return np.asarray(chunk.signal_mv * np.float32(1 if stream.calibrated else ASSUMED_PER_MV))


def leads_again(begun: Stream, offered: Stream, leads: Leads) -> tuple[Leads, str]:
    """The leads of a stream that comes back, by their names, and in words what has changed, empty for nothing.

    Parameters
    ----------
    leads
        As ``first_leads`` has them for the stream that is offered.

    Raises
    ------
    LiveError
        The rate is another one.

    """
    if offered.fs_hz != begun.fs_hz:
        raise LiveError(
            f"{begun.name} came back with {offered.fs_hz:g} Hz instead of {begun.fs_hz:g} Hz: the stream ends here; "
            "begin a new recording."
        )
    at = {name.casefold(): row for row, name in enumerate(offered.lead_names)}
    rows = tuple(at.get(name.casefold()) for name in begun.lead_names)
    missing = [name for name, row in zip(begun.lead_names, rows, strict=True) if row is None]
    more = [name for row, name in enumerate(offered.lead_names) if row not in rows]
    said = [f"without {', '.join(missing)}"] if missing else []
    said += [f"with {', '.join(more)}, which is left out"] if more else []
    return Leads(rows, leads.scale_mv), f"{begun.name} came back {' and '.join(said)}" if said else ""
