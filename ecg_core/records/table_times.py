"""Times of the rows of a table: their rate, and the gaps between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..clock import elapsed_text
from ..errors import RecordError
from ..schema import Float32, Float64, FrozenArrays, Index, SignalSource
from ..text import plural

MAX_JITTER_S = 0.0011  # times are often rounded to milliseconds
GAP_STEPS = 1.5  # a longer step is a gap, if samples are missing in it by the rate
MAX_GAPS = 0.01  # per row: more of them are another rate
MAX_GAP_S = 86_400.0  # a longer one separates two recordings
N_NAMED = 3  # gaps that are named one by one
TYPICAL = 1 << 17  # steps of which the median is taken
CHUNK = 1 << 20  # rows compared at a time
SIMPLE_DIGITS = (0, 1, 3, 6)  # to which a rate is rounded, if its times allow it
NO_MORE = 1.25  # times the spread of the times about an exact rate, by which a simpler one may differ
ROUNDING_S = 2e-6  # of times in the tables that this program writes
RARE = 0.1  # of the rows, that have the time of the row before by mistake
BATCH_SLACK, MIN_BATCH_SLACK = 0.1, 2.0  # of its size, or rows up to half of it, by which a batch may differ

Where = Callable[[int], str]  # name of a row, such as "line 7"


@dataclass(frozen=True, eq=False)
class Timing(FrozenArrays):
    """Where the rows of a table lie among the samples of a record."""

    fs_hz: float
    first: Index  # (n_pieces,), row with which each piece without a gap begins
    place: Index  # (n_pieces,), its sample
    n_rows: int
    before_s: float = 0.0  # from the first time to the first sample, where several rows have the same time

    @property
    def n_samples(self) -> int:
        """Samples of the record, with those that are missing."""
        return int(self.place[-1] + self.n_rows - self.first[-1])

    @property
    def doubts(self) -> tuple[str, ...]:
        """A sentence that names the gaps; none where there are none."""
        end = self.place[:-1] + np.diff(self.first)
        missing_s = (self.place[1:] - end) / self.fs_hz
        at = [elapsed_text(float(place) / self.fs_hz) for place in end]
        if not len(missing_s):
            return ()
        if len(missing_s) <= N_NAMED:
            return (
                f"missing by its times: {', '.join(f'{s:.3g} s at {t}' for s, t in zip(missing_s, at, strict=True))}",
            )
        longest = int(missing_s.argmax())
        return (
            f"missing by its times: {missing_s.sum():.3g} s in {plural(len(missing_s), 'gap')}, the longest "
            f"{missing_s[longest]:.3g} s at {at[longest]}",
        )


@dataclass(frozen=True, eq=False)
class GappedSource:
    """A source whose pieces lie apart; what is between them is missing."""

    inner: SignalSource
    timing: Timing

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """See ``SignalSource``."""
        signal = np.full((len(leads), stop - start), np.nan, dtype=np.float32)
        first, place = self.timing.first, self.timing.place
        ends = [*first[1:].tolist(), self.timing.n_rows]
        for piece in range(max(int(np.searchsorted(place, start, "right")) - 1, 0), int(np.searchsorted(place, stop))):
            shift = int(place[piece] - first[piece])
            begin, end = max(start - shift, int(first[piece])), min(stop - shift, ends[piece])
            if begin < end:
                signal[:, begin + shift - start : end + shift - start] = self.inner.read(begin, end, leads)
        return signal


def even_timing(fs_hz: float, n_rows: int) -> Timing:
    """The timing of rows that follow each other at a rate."""
    zero = np.zeros(1, dtype=np.int64)
    return Timing(fs_hz, zero, zero, n_rows)


def timing_of(name: str, time_s: Float64, where: Where) -> Timing:
    """Rate and gaps by the time of each row, shape (n_rows,).

    Raises
    ------
    RecordError
        The times do not rise, are of no single rate, or leap by more than a day.

    """
    step = np.diff(time_s)
    if len(step) < 2 or not step.min() >= 0 or not step.max() > 0 or not np.isfinite(time_s[[0, -1]]).all():
        wrong = np.flatnonzero(~(step >= 0))
        at = f" (before {where(int(wrong[0]) + 1)})" if len(wrong) else ""
        raise RecordError(
            f"its times do not rise from line to line{at}", where=name, advice="Sort the lines, and leave no time out."
        )
    usual = _typical(step)
    if step.min() == 0:
        usual = _typical(step[step > 0])
        is_rounded = np.mean(step == 0) > RARE  # or several rows have the time of their packet
        if is_rounded and usual > MAX_JITTER_S:
            return _timing_of_batches(name, time_s, step, where)
        if not is_rounded:
            row = where(int(step.argmin()) + 1)
            raise RecordError(
                f"{row} has the same time as the one before", where=name, advice="Write the time of each row."
            )
    begins = np.flatnonzero(step > GAP_STEPS * usual) + 1
    if len(begins) > max(1, len(step)) / 2:
        raise _uneven(name, step, usual, where)
    first = np.concatenate([[0], begins]).astype(np.int64)
    within_s = (time_s[-1] - time_s[0] - step[begins - 1].sum()) / (len(step) - len(begins))
    place = first + _missing_before(time_s, first, within_s)
    if len(begins):
        within_s = _slope_s(time_s, first, place)
        place = first + _missing_before(time_s, first, within_s)
    first, place = _merged(first, place)
    _check_gaps(name, time_s, first, where)
    fs_hz, spread_s = _simplest_rate(time_s, first, place, 1 / within_s)
    if len(first) - 1 > MAX_GAPS * len(time_s) or spread_s > 2 * max(0.5 / fs_hz, MAX_JITTER_S):
        raise _uneven(name, step, usual, where)
    return Timing(fs_hz, first, place, len(time_s))


def _typical(values: Float64) -> float:
    return float(np.median(values[:: max(1, len(values) // TYPICAL)]))


def _missing_before(time_s: Float64, first: Index, step_s: float) -> Index:
    """Samples missing before each piece, by the mean of its times."""
    if len(first) == 1:
        return np.zeros(1, dtype=np.int64)
    n = np.diff(first, append=len(time_s))
    mean_s = np.add.reduceat(time_s - time_s[0], first) / n
    late = mean_s / step_s - (first + (n - 1) / 2)
    return np.maximum.accumulate(np.rint(late - late[0]).astype(np.int64))


def _slope_s(time_s: Float64, first: Index, place: Index) -> float:
    """Step of the straight line through the times of all samples."""
    sample = np.arange(len(time_s)) + np.repeat(place - first, np.diff(first, append=len(time_s)))
    centred = sample - sample.mean()
    return float((centred @ (time_s - time_s.mean())) / (centred @ centred))


def _merged(first: Index, place: Index) -> tuple[Index, Index]:
    """The pieces, those between which nothing is missing as one."""
    kept = np.diff(place - first, prepend=-1) > 0
    return first[kept], place[kept]


def _check_gaps(name: str, time_s: Float64, first: Index, where: Where) -> None:
    for row in first[1:].tolist():
        gap_s = time_s[row] - time_s[row - 1]
        if gap_s > MAX_GAP_S:
            raise RecordError(
                f"its times leap by {gap_s:,.0f} s before {where(row)}, more than a day",
                where=name,
                advice="Cut it there into two recordings, or correct the time.",
            )


def _spread(time_s: Float64, first: Index, place: Index, fs_hz: float) -> float:
    """Greatest less smallest deviation of the times of a piece from those of a rate, in seconds, in the worst one."""
    spread = 0.0
    for begin, end, sample in zip(first.tolist(), [*first[1:].tolist(), len(time_s)], place.tolist(), strict=True):
        low, high = np.inf, -np.inf
        for chunk in range(begin, end, CHUNK):
            stop = min(chunk + CHUNK, end)
            away = np.arange(sample + chunk - begin, sample + stop - begin, dtype=np.float64)
            away /= -fs_hz
            away += time_s[chunk:stop]
            low, high = min(low, float(away.min())), max(high, float(away.max()))
        spread = max(spread, high - low)
    return spread


def _simplest_rate(time_s: Float64, first: Index, place: Index, exact_hz: float) -> tuple[float, float]:
    """The rate with the fewest decimals by which the times deviate no more than by the exact one, and their spread."""
    whole_hz = float(round(exact_hz))
    if whole_hz and (spread := _spread(time_s, first, place, whole_hz)) <= ROUNDING_S:
        return whole_hz, spread
    exact_s = _spread(time_s, first, place, exact_hz)
    most_s = NO_MORE * exact_s + ROUNDING_S
    for digits in SIMPLE_DIGITS:
        rounded = round(exact_hz, digits)
        drift_s = abs(1 / rounded - 1 / exact_hz) * len(time_s) if rounded else np.inf
        if drift_s < 2 * most_s and (spread := _spread(time_s, first, place, rounded)) <= most_s:
            return float(rounded), spread
    return exact_hz, exact_s


def _uneven(name: str, step: Float64, usual_s: float, where: Where) -> RecordError:
    """The error for times of more than one rate."""
    odd = np.flatnonzero(np.abs(step - usual_s) > np.minimum(0.5 * usual_s, MAX_JITTER_S + 0.02 * usual_s))
    row = int(odd[0]) + 1 if len(odd) else int(np.abs(step - usual_s).argmax()) + 1
    others = f" and in {plural(len(odd) - 1, 'other place')}" if len(odd) > 1 else ""
    return RecordError(
        f"times are not evenly spaced: {usual_s:.6g} s from line to line, but {step[row - 1]:.6g} s before "
        f"{where(row)}{others}",
        where=name,
        advice="If its rate changes there, cut it into two recordings, or resample it to one rate.",
    )


def _timing_of_batches(name: str, time_s: Float64, step: Float64, where: Where) -> Timing:
    """The timing where several rows have the same time: those of a second, or of a packet of the sensor."""
    group = np.concatenate([[0], np.flatnonzero(step) + 1]).astype(np.int64)
    size, length_s = np.diff(group), np.diff(time_s[group])
    inner, inner_s = size[1:], length_s[1:]  # the first one may be cut
    if len(inner) < 2:
        raise _uneven(name, step, float(_typical(step)), where)
    usual, usual_s = float(np.median(inner)), float(np.median(inner_s))
    slack = max(min(MIN_BATCH_SLACK, usual / 2), BATCH_SLACK * usual)
    whole = (inner_s <= GAP_STEPS * usual_s) & (np.abs(inner - usual) <= slack)
    step_s = inner_s[whole].sum() / max(inner[whole].sum(), 1)
    if not step_s > 0 or whole.mean() < 1 / 2 or size[0] > usual + slack or len(time_s) - group[-1] > usual + slack:
        raise _uneven_batches(name, int(np.abs(size - usual).argmax()), group, size, usual, where)
    place = group.copy()
    for number in range(2, len(group)):
        late = (time_s[group[number]] - time_s[group[1]]) / step_s - (place[number - 1] + size[number - 1] - group[1])
        if late < -slack:
            raise _uneven_batches(name, number - 1, group, size, usual, where)
        place[number] = place[number - 1] + size[number - 1] + (round(late) if late > slack else 0)
    fs_hz = 1 / step_s
    first, place = _merged(group, place)
    _check_gaps(name, time_s, first, where)
    if len(first) - 1 > MAX_GAPS * len(time_s):
        raise _uneven_batches(name, int(np.abs(size - usual).argmax()), group, size, usual, where)
    rounded = [round(fs_hz, digits) for digits in SIMPLE_DIGITS]
    fs_hz = next((rate for rate in rounded if abs(rate / fs_hz - 1) * len(time_s) < slack), fs_hz)
    return Timing(fs_hz, first, place, len(time_s), float(length_s[0] - size[0] / fs_hz))


def _uneven_batches(name: str, number: int, group: Index, size: Index, usual: float, where: Where) -> RecordError:
    return RecordError(
        f"{plural(int(size[number]), 'row')} from {where(int(group[number]))} on have the same time, elsewhere "
        f"{usual:.0f}; their number per second is not even",
        where=name,
        advice="Write the time of each row.",
    )
