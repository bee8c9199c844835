"""Alarms of a live stream that begin and end, and the running counts."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
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

# Lines of alarms, the most serious line first; within a line the kinds become more serious from left to right, and only
# one of them is active at a time.
LINES: Final = {
    "V": ("idioventricular", "v_run", "vt", "vt_sustained"),
    "pause": ("pause",),
    "leads": ("unreadable", "leads_off"),
    "af": ("af",),
    "S": ("svt", "svt_sustained"),
    "rate": ("bradycardia", "tachycardia"),
}
NOT_ANALYSABLE, LEADS_OFF = LINES["leads"]
KINDS: Final = {
    LEADS_OFF: "Leads off",
    NOT_ANALYSABLE: "Signal not analysable",
    **{kind: KIND_NAMES[kind] for line in LINES.values() for kind in line if kind in KIND_NAMES},
}
PATTERNS: Final = ("v_bigeminy", "v_trigeminy", "s_bigeminy", "s_trigeminy")
LINE_OF: Final = {kind: line for line, kinds in LINES.items() for kind in kinds}
# An alarm of a rhythm is over when beats go on without it for longer than this; short interruptions of AF are common.
HOLD_S: Final = {"V": 0.0, "S": 0.0, "af": 30.0, "rate": 0.0}
RHYTHM_LINES: Final = HOLD_S.keys()
MIN_NOISE_S = 10.0  # shorter noise raises no alarm
RHYTHM_BEATS = 30  # the rhythm is regular or irregular over so many beats
PATTERN_BEATS = 3  # a pattern is current if it reaches one of so many latest beats
LEARNED_BEATS = 30  # fewer do not show what is normal for a patient
MINUTE_S, HOUR_S = 60.0, 3600.0
STALE_S = 10.0  # an older rate or rhythm is not shown


class AlarmTracker:
    """Follows the beats of one stream: which alarms are active, and how many ectopic beats there were."""

    def __init__(self, stream: Stream, rules: RhythmRules, leads: tuple[int, ...]) -> None:
        self.rules, self._leads, self._n_leads = rules, leads, len(stream.lead_names)
        self._active: dict[str, Alarm] = {}  # by line
        self._reached_s: dict[str, float] = {}  # by line: the end of the last episode so far
        self._ectopic_s: dict[str, deque[float]] = {"V": deque(), "S": deque()}
        self._n_beats = 0
        self._noise_s: float | None = None  # when the signal ceased to be analysable
        self._pattern, self._regular = "", True
        self._rate_bpm: float | None = None

    def step(
        self,
        tail: Beats,
        n_new: int,
        *,
        episodes: Sequence[slice],
        until_s: float,
        end_s: float,
        hidden_s: float,
        detections: WindowDetections,
    ) -> tuple[tuple[Alarm, ...], Vitals]:
        """Take what was decided at a hop.

        Parameters
        ----------
        tail, n_new
            The latest beats, and how many of them are new.
        episodes
            Atrial fibrillation as slices of these beats.
        until_s, end_s
            The end of the decided signal, and of the received signal.
        hidden_s
            The last decided moment at which a beat may have been missed.

        """
        alarms: list[Alarm] = []
        if n_new:
            self._n_beats += n_new
            for label, times in self._ectopic_s.items():
                times.extend(tail.time_s[-n_new:][tail.label[-n_new:] == label].tolist())
            alarms += self._step_rhythms(tail, episodes, end_s)
        alarms += self._end_rhythms(tail, until_s, end_s)
        alarms += self._step_pause(tail, n_new, until_s, end_s, hidden_s)
        alarms += self._step_leads(detections, until_s, end_s)
        return tuple(alarms), self._vitals(tail, until_s, detections)

    def _begin(self, kind: str, start_s: float, end_s: float) -> list[Alarm]:
        """Announce an alarm, which replaces the active one of its line."""
        line = LINE_OF[kind]
        alarms = self._end(line, end_s, end_s)
        self._active[line] = Alarm(kind, start_s, end_s)
        return [*alarms, self._active[line]]

    def _end(self, line: str, stop_s: float, end_s: float) -> list[Alarm]:
        """Announce that the active alarm of a line, if there is one, was over at ``stop_s``."""
        active = self._active.pop(line, None)
        return [replace(active, announced_s=end_s, end_s=stop_s)] if active else []

    def _step_rhythms(self, tail: Beats, episodes: Sequence[slice], end_s: float) -> list[Alarm]:
        """Announce runs, tachycardias and episodes that begin, or become more serious, with the new beats."""
        alarms: list[Alarm] = []
        events = find_rhythms(tail, self.rules, episodes=episodes)
        for event in events:
            line = LINE_OF.get(event.kind, "")
            if line not in RHYTHM_LINES:  # a pause is announced while it lasts, see below
                continue
            reached_s = self._reached_s.get(line, -np.inf)
            active = self._active.get(line)
            goes_on = active is not None and event.start_s <= reached_s
            worse = active is not None and LINES[line].index(event.kind) > LINES[line].index(active.kind)
            if (goes_on and worse) or (not goes_on and event.end_s > reached_s):
                alarms += self._begin(event.kind, event.start_s, end_s)
            self._reached_s[line] = max(reached_s, event.end_s)
        self._describe_rhythm(tail, events)
        return alarms

    def _describe_rhythm(self, tail: Beats, events: tuple[RhythmEvent, ...]) -> None:
        """Keep the rate and the rhythm at the last beat."""
        last_s, recent_s = tail.time_s[-1], tail.time_s[-min(PATTERN_BEATS, len(tail))]
        patterns = [event.kind for event in events if event.kind in PATTERNS and event.end_s >= recent_s]
        self._pattern = KIND_NAMES[patterns[-1]] if patterns else ""
        last, bpm = rate_windows(tail, self.rules)
        self._rate_bpm = float(bpm[-1]) if len(last) and tail.time_s[last[-1]] == last_s else None
        self._regular = bool(rr_features(tail.rr_s[-RHYTHM_BEATS:], edge="reflect")[-1, DISORDER] < 0)

    def _end_rhythms(self, tail: Beats, until_s: float, end_s: float) -> list[Alarm]:
        """Announce the end of runs and episodes to which the latest beats do not belong, or that no beat follows."""
        alarms: list[Alarm] = []
        last_s = float(tail.time_s[-1]) if len(tail) else -np.inf
        for line in RHYTHM_LINES & self._active.keys():
            reached_s = self._reached_s[line]
            if last_s - reached_s > HOLD_S[line] or until_s - reached_s > max(HOLD_S[line], STALE_S):
                alarms += self._end(line, reached_s, end_s)
        return alarms

    def _step_pause(self, tail: Beats, n_new: int, until_s: float, end_s: float, hidden_s: float) -> list[Alarm]:
        """Announce that no beat comes for as long as a pause, in signal that is analysable throughout; or its end."""
        if not len(tail):
            return []
        alarms: list[Alarm] = []
        if n_new:
            alarms += self._end("pause", float(tail.time_s[-n_new]), end_s)
        last_s = float(tail.time_s[-1])
        if hidden_s > last_s:
            return alarms + self._end("pause", hidden_s, end_s)
        if "pause" not in self._active and tail.usable[-1] and until_s - last_s >= self.rules.pause_s:
            alarms += self._begin("pause", last_s, end_s)
        return alarms

    def _step_leads(self, detections: WindowDetections, until_s: float, end_s: float) -> list[Alarm]:
        """Announce that no lead gives a signal, or that noise has lasted too long; or the end of it."""
        if detections.off.all():
            return self._begin_leads(LEADS_OFF, end_s - FLAT_S, end_s)
        if detections.usable:
            self._noise_s = None
            return self._end("leads", until_s, end_s)
        self._noise_s = until_s if self._noise_s is None else self._noise_s
        return self._begin_leads(NOT_ANALYSABLE, self._noise_s, end_s) if until_s - self._noise_s >= MIN_NOISE_S else []

    def _begin_leads(self, kind: str, start_s: float, end_s: float) -> list[Alarm]:
        active = self._active.get("leads")
        return [] if active is not None and active.kind == kind else self._begin(kind, start_s, end_s)

    def _vitals(self, tail: Beats, until_s: float, detections: WindowDetections) -> Vitals:
        for times in self._ectopic_s.values():
            while times and times[0] <= until_s - HOUR_S:
                times.popleft()
        off = {lead for lead, is_off in zip(self._leads, detections.off.tolist(), strict=True) if is_off}
        minute = {label: sum(at > until_s - MINUTE_S for at in times) for label, times in self._ectopic_s.items()}
        recent = len(tail) > 0 and until_s - tail.time_s[-1] < STALE_S
        return Vitals(
            time_s=until_s,
            rate_bpm=self._rate_bpm if recent else None,
            v_minute=minute["V"],
            v_hour=len(self._ectopic_s["V"]),
            s_minute=minute["S"],
            s_hour=len(self._ectopic_s["S"]),
            rhythm=self._rhythm(recent=recent),
            usable=detections.usable,
            lead_off=tuple(lead in off for lead in range(self._n_leads)),
            learning=self._n_beats < LEARNED_BEATS,
        )

    def _rhythm(self, *, recent: bool) -> str:
        """The current rhythm in words: the most serious alarm, or else what the latest beats show."""
        for line in LINES:
            if line in self._active:
                return KINDS[self._active[line].kind]
        if not recent:
            return "Not known"
        return self._pattern or ("Regular rhythm" if self._regular else "Irregular rhythm")
