"""What a watcher must know now: alarms that begin and end, and the running counts."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Final

import numpy as np

from ..classifier.features import DISORDER, rr_features
from ..rhythm.events import KIND_NAMES, find_rhythms
from ..rhythm.intervals import rate_windows
from ..rules import RhythmRules
from ..schema import Beats, RhythmEvent
from ..signals.filters import FLAT_S
from .detector import WindowDetections
from .stream import Alarm, Stream, Vitals

# Alarms by what they are about, the gravest first; of one line, what comes later is graver than what comes before.
LINES: Final = {
    "V": ("v_run", "vt", "vt_sustained"),
    "pause": ("pause",),
    "leads": ("unreadable", "leads_off"),
    "af": ("af",),
    "S": ("svt", "svt_sustained"),
    "rate": ("bradycardia", "tachycardia"),
}
KINDS: Final = {
    "leads_off": "Leads off",
    "unreadable": "Signal cannot be read",
    **{kind: KIND_NAMES[kind] for line in LINES.values() for kind in line if kind in KIND_NAMES},
}
PATTERNS: Final = ("v_bigeminy", "v_trigeminy", "s_bigeminy", "s_trigeminy")
LINE_OF: Final = {kind: line for line, kinds in LINES.items() for kind in kinds}
HOLD_S: Final = {"V": 0.0, "S": 0.0, "af": 30.0, "rate": 0.0}  # a line's episode is over when beats go on for longer
RHYTHM_LINES: Final = HOLD_S.keys()
UNREADABLE_S = 10.0  # noise shorter than this is no alarm
RHYTHM_BEATS = 30  # order or disorder is that of so many
LEARNED_BEATS = 30  # fewer do not tell what is normal for a patient
MINUTE_S, HOUR_S = 60.0, 3600.0
STALE_S = 10.0  # a rate older than this is none


class AlarmTracker:
    """Follows the beats of one stream: which alarms go on, and what was counted."""

    def __init__(self, stream: Stream, rules: RhythmRules, leads: tuple[int, ...]) -> None:
        self.rules, self._watched, self._n_leads = rules, leads, len(stream.lead_names)
        self._open: dict[str, Alarm] = {}  # by line
        self._reached_s: dict[str, float] = {}  # by line: how far the last episode has come
        self._ectopic_s: dict[str, deque[float]] = {"V": deque(), "S": deque()}
        self._n_beats = 0
        self._unreadable_s: float | None = None  # since when
        self._pattern, self._regular = "", True
        self._rate_bpm: float | None = None

    def step(
        self, tail: Beats, n_new: int, *, until_s: float, end_s: float, hidden_s: float, detections: WindowDetections
    ) -> tuple[tuple[Alarm, ...], Vitals]:
        """Take what was decided.

        Parameters
        ----------
        tail, n_new
            The latest beats, and how many of them are new.
        until_s, end_s
            The end of what is decided, and of the signal.
        hidden_s
            The last decided moment at which a beat may hide.

        """
        said: list[Alarm] = []
        if n_new:
            self._n_beats += n_new
            for label, times in self._ectopic_s.items():
                times.extend(tail.time_s[-n_new:][tail.label[-n_new:] == label].tolist())
            said += self._follow(tail, end_s)
        said += self._fade(tail, until_s, end_s)
        said += self._pauses(tail, n_new, until_s, end_s, hidden_s)
        said += self._leads(detections, until_s, end_s)
        return tuple(said), self._vitals(tail, until_s, detections)

    def _begin(self, kind: str, start_s: float, end_s: float) -> list[Alarm]:
        """Say an alarm; a lesser one of its line becomes it."""
        line = LINE_OF[kind]
        said = self._over(line, end_s, end_s) if line in self._open else []
        self._open[line] = Alarm(kind, start_s, end_s)
        return [*said, self._open[line]]

    def _over(self, line: str, stop_s: float, end_s: float) -> list[Alarm]:
        """Say that what goes on in a line ended at ``stop_s``."""
        known = self._open.pop(line, None)
        return [replace(known, said_s=end_s, end_s=stop_s)] if known else []

    def _follow(self, tail: Beats, end_s: float) -> list[Alarm]:
        """Runs, tachycardias and episodes that begin or go on with the new beats."""
        said: list[Alarm] = []
        events = find_rhythms(tail, self.rules)
        for event in events:
            line = LINE_OF.get(event.kind, "")
            if line not in RHYTHM_LINES:  # a pause is told while it lasts
                continue
            reached_s = self._reached_s.get(line, -np.inf)
            known = self._open.get(line)
            goes_on = known is not None and event.start_s <= reached_s
            graver = known is not None and LINES[line].index(event.kind) > LINES[line].index(known.kind)
            if (goes_on and graver) or (not goes_on and event.end_s > reached_s):
                said += self._begin(event.kind, event.start_s, end_s)
            self._reached_s[line] = max(reached_s, event.end_s)
        self._notice(tail, events)
        return said

    def _notice(self, tail: Beats, events: tuple[RhythmEvent, ...]) -> None:
        """Rate and rhythm at the last beat."""
        last_s, before_s = tail.time_s[-1], tail.time_s[-min(3, len(tail))]
        patterns = [event.kind for event in events if event.kind in PATTERNS and event.end_s >= before_s]
        self._pattern = KIND_NAMES[patterns[-1]] if patterns else ""
        last, bpm = rate_windows(tail, self.rules)
        self._rate_bpm = float(bpm[-1]) if len(last) and tail.time_s[last[-1]] == last_s else None
        self._regular = bool(rr_features(tail.rr_s[-RHYTHM_BEATS:], edge="reflect")[-1, DISORDER] < 0)

    def _fade(self, tail: Beats, until_s: float, end_s: float) -> list[Alarm]:
        """Runs and episodes that the latest beats no longer belong to, or that no beat follows."""
        said: list[Alarm] = []
        last_s = float(tail.time_s[-1]) if len(tail) else -np.inf
        for line in RHYTHM_LINES & self._open.keys():
            reached_s = self._reached_s[line]
            if last_s - reached_s > HOLD_S[line] or until_s - reached_s > max(HOLD_S[line], STALE_S):
                said += self._over(line, reached_s, end_s)
        return said

    def _pauses(self, tail: Beats, n_new: int, until_s: float, end_s: float, hidden_s: float) -> list[Alarm]:
        """No beat for as long as a pause, in signal that could be read all the while."""
        if not len(tail):
            return []
        said: list[Alarm] = []
        if n_new:
            said += self._over("pause", float(tail.time_s[-n_new]), end_s)
        last_s = float(tail.time_s[-1])
        if hidden_s > last_s:
            return said + self._over("pause", hidden_s, end_s)
        if "pause" not in self._open and tail.usable[-1] and until_s - last_s >= self.rules.pause_s:
            said += self._begin("pause", last_s, end_s)
        return said

    def _leads(self, detections: WindowDetections, until_s: float, end_s: float) -> list[Alarm]:
        """Nothing that can be read: no lead at all, or noise for long."""
        if detections.off.all():
            known = self._open.get("leads")
            return [] if known and known.kind == "leads_off" else self._begin("leads_off", end_s - FLAT_S, end_s)
        if detections.usable:
            self._unreadable_s = None
            return self._over("leads", until_s, end_s)
        self._unreadable_s = until_s if self._unreadable_s is None else self._unreadable_s
        if until_s - self._unreadable_s < UNREADABLE_S:
            return []
        known = self._open.get("leads")
        return [] if known and known.kind == "unreadable" else self._begin("unreadable", self._unreadable_s, end_s)

    def _vitals(self, tail: Beats, until_s: float, detections: WindowDetections) -> Vitals:
        for times in self._ectopic_s.values():
            while times and times[0] <= until_s - HOUR_S:
                times.popleft()
        off = {lead for lead, gone in zip(self._watched, detections.off.tolist(), strict=True) if gone}
        minute = {label: sum(at > until_s - MINUTE_S for at in times) for label, times in self._ectopic_s.items()}
        fresh = len(tail) > 0 and until_s - tail.time_s[-1] < STALE_S
        return Vitals(
            time_s=until_s,
            rate_bpm=self._rate_bpm if fresh else None,
            v_minute=minute["V"],
            v_hour=len(self._ectopic_s["V"]),
            s_minute=minute["S"],
            s_hour=len(self._ectopic_s["S"]),
            rhythm=self._rhythm(fresh),
            usable=detections.usable,
            lead_off=tuple(number in off for number in range(self._n_leads)),
            learning=self._n_beats < LEARNED_BEATS,
        )

    def _rhythm(self, fresh: bool) -> str:
        """What goes on, the gravest first."""
        for line in LINES:
            if line in self._open:
                return KINDS[self._open[line].kind]
        if not fresh:
            return "Not known"
        return self._pattern or ("Regular rhythm" if self._regular else "Irregular rhythm")
