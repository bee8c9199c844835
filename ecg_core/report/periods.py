"""Beats, rates and rhythms of parts of a recording: its hours by the clock, its day and its night."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np

from ..clock import clock_of, clock_text, moment_of
from ..labels import CLASSES
from ..rhythm.burden import HOUR_S, analysable_spans, seconds_until, time_in, without_idioventricular
from ..rhythm.events import RUNS
from ..rhythm.intervals import counts_for_rate, heart_rate, mean_rate
from ..schema import Analysis, Beats, Bool, Float64, Index

Span = tuple[float, float]  # start and end, seconds
NIGHT: Final = (23, 6)  # from 23:00 to 06:00: hours in which most adults sleep; a diary may say otherwise
PAUSES: Final = ("pause", "af_pause")
NO_CLOCK: Final = "Day and night cannot be separated: the start of the recording is not known."


class PeriodLine(NamedTuple):
    """What was found in a part of a recording, such as an hour, the nights, or all of it."""

    name: str
    analysable_s: float
    by_class: tuple[int, ...]  # beats in the order of CLASSES
    n_premature_v: int  # V outside idioventricular rhythms, of which the PVC burden is made
    rates_bpm: tuple[float, float, float]  # lowest, mean, highest; NaN where there is none
    runs: tuple[int, int]  # of V and of S
    n_pauses: int
    af_s: float

    @property
    def n_beats(self) -> int:
        """Analysable beats of all classes."""
        return sum(self.by_class)

    def n_of(self, label: str) -> int:
        """Beats of a class."""
        return self.by_class[CLASSES.index(label)]

    @property
    def v_pct(self) -> float:
        """V outside idioventricular rhythms as a percentage of all beats, as the PVC burden; NaN without beats."""
        return 100 * self.n_premature_v / self.n_beats if self.n_beats else float("nan")


def hour_lines(analysis: Analysis) -> list[PeriodLine]:
    """One line per hour, by the clock where the start of the recording is known, and the total."""
    counted = _Counted(analysis)
    lines = [counted.line(_span_name(analysis, span), [span]) for span in clock_hours(analysis)]
    return [*lines, counted.total]


def day_and_night(analysis: Analysis) -> list[PeriodLine]:
    """What was found by day, by night (NIGHT) and in total; empty where the start of the recording is not known."""
    if clock_of(analysis.record) is None:
        return []
    day: list[Span] = []
    night: list[Span] = []
    for span in clock_hours(analysis):
        (night if _is_night(analysis, span[0]) else day).append(span)
    counted, (first, last) = _Counted(analysis), NIGHT
    return [
        counted.line(f"Day, {last:02d}:00-{first:02d}:00", day),
        counted.line(f"Night, {first:02d}:00-{last:02d}:00", night),
        counted.total,
    ]


def clock_hours(analysis: Analysis) -> list[Span]:
    """The hours of a recording: from one full hour of the clock to the next, or counted from an unknown start."""
    record = analysis.record
    before_s = 0.0  # the full hour of the clock at or before the start
    if (clock := clock_of(record)) is not None:
        before_s = (clock.replace(minute=0, second=0, microsecond=0) - clock).total_seconds()
    n_hours = max(1, int(np.ceil((record.duration_s - before_s) / HOUR_S)))
    edges_s = before_s + HOUR_S * np.arange(n_hours + 1)
    edges_s = np.clip(edges_s, 0.0, record.duration_s)
    return list(zip(edges_s[:-1].tolist(), edges_s[1:].tolist(), strict=True))


def _is_night(analysis: Analysis, time_s: float) -> bool:
    moment = moment_of(analysis.record, time_s)
    first, last = NIGHT
    return moment is not None and (moment.hour >= first or moment.hour < last)


def _span_name(analysis: Analysis, span: Span) -> str:
    """A span as 08:00-09:00, with the day from the second one on; within a minute with seconds, and decimals in one."""
    decimals = 0 if span[1] - span[0] >= 1 else 2
    first, last = (clock_text(analysis.record, time_s, decimals=decimals) for time_s in span)
    if first[:-3] != last[:-3]:
        first, last = first[:-3], last[:-3]
    return f"{first}-{last.rpartition(' ')[2]}"


@dataclass(frozen=True, eq=False)
class _Counted:
    """What the lines of a table are counted from."""

    analysis: Analysis

    @cached_property
    def total(self) -> PeriodLine:
        """The line of the whole recording, with the rates that its measures state."""
        burden = self.analysis.burden
        low, high = (rate.bpm if rate else float("nan") for rate in (burden.rate_min, burden.rate_max))
        whole = self.line("Total", [(0.0, np.inf)])
        return whole._replace(rates_bpm=(low, burden.rate_mean_bpm, high))

    @cached_property
    def _rates(self) -> tuple[Float64, Float64]:
        return heart_rate(self.analysis.beats, self.analysis.rules, quality=self.analysis.quality)

    @cached_property
    def _counts_for_rate(self) -> Bool:
        return counts_for_rate(self.analysis.beats, self.analysis.rules)

    @cached_property
    def _premature(self) -> Beats:
        return without_idioventricular(self.analysis.beats, self.analysis.events)

    @cached_property
    def _begins_s(self) -> dict[str, Float64]:
        """Starts of the runs of V, of those of S, and of the pauses."""
        kinds = {"V": RUNS["V"], "S": RUNS["S"], "pauses": PAUSES}
        return {
            name: np.array([event.start_s for event in self.analysis.events if event.kind in some])
            for name, some in kinds.items()
        }

    def line(self, name: str, spans: Sequence[Span]) -> PeriodLine:
        """Count what lies in some spans; an event counts where it begins, what lies after the end in the last span."""
        spans = [(start_s, self._open_end(end_s)) for start_s, end_s in spans]
        beats, (rate_s, bpm) = self.analysis.beats, self._rates
        inside = _positions(beats.time_s, spans)
        counted, rr_s = inside[beats.usable[inside]], beats.rr_s[inside[self._counts_for_rate[inside]]]
        label, premature = beats.label[counted], self._premature.label[counted]
        bpm = bpm[_positions(rate_s, spans)]
        n_begin = {of: len(_positions(begin_s, spans)) for of, begin_s in self._begins_s.items()}
        return PeriodLine(
            name=name,
            analysable_s=self._analysable_s(spans),
            by_class=tuple(int(np.count_nonzero(label == of_class)) for of_class in CLASSES),
            n_premature_v=int(np.count_nonzero(premature == "V")),
            rates_bpm=(
                float(bpm.min()) if len(bpm) else np.nan,
                mean_rate(bpm, rr_s),
                float(bpm.max()) if len(bpm) else np.nan,
            ),
            runs=(n_begin["V"], n_begin["S"]),
            n_pauses=n_begin["pauses"],
            af_s=self._af_s(spans),
        )

    def _af_s(self, spans: Sequence[Span]) -> float:
        """Analysable seconds of some spans in atrial fibrillation."""
        episodes = [event for event in self.analysis.events if event.kind == "af"]
        return float(sum(time_in(episodes, self._analysable, np.array(span)).sum() for span in spans))

    def _open_end(self, end_s: float) -> float:
        return np.inf if end_s >= self.analysis.record.duration_s else end_s

    @cached_property
    def _analysable(self) -> list[Span]:
        analysis = self.analysis
        return analysable_spans(analysis.events, analysis.quality, duration_s=analysis.record.duration_s)

    def _analysable_s(self, spans: Sequence[Span]) -> float:
        """Analysable seconds of some spans."""
        edges_s = np.array(spans, dtype=np.float64).reshape(-1, 2)
        return float(np.diff(seconds_until(self._analysable, edges_s), axis=1).sum())


def _positions(time_s: Float64, spans: Sequence[Span]) -> Index:
    """Positions of the times, ascending ones, that lie in one of the spans."""
    edges = [np.searchsorted(time_s, span) for span in spans]
    return np.concatenate([np.zeros(0, np.int64), *(np.arange(first, last) for first, last in edges)])
