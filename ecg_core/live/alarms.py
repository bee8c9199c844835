"""Alarms of a live stream that begin and end, and the running counts."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from ..classifier.classification import take_rows
from ..classifier.features import DISORDER, rr_features
from ..rhythm.events import KIND_NAMES, find_rhythms, unusual_rates
from ..rhythm.intervals import counts_for_rate, rate_windows
from ..rules import RhythmRules
from ..schema import Beats, RhythmEvent
from ..signals.filters import FLAT_S
from .alarm_lines import (
    ASYSTOLE,
    KINDS,
    LEADS_OFF,
    LINE_OF,
    LINES,
    MOST_SERIOUS_FIRST,
    NO_SIGNAL,
    NOT_ANALYSABLE,
    PAUSE,
    AlarmLine,
)
from .detector import JITTER_S, SETTLED_S, WindowDetections
from .fibrillation import FibrillationWatch
from .standstill import StandstillWatch
from .stream import Alarm, Stream, Vitals

PATTERNS: Final = ("v_bigeminy", "v_trigeminy", "s_bigeminy", "s_trigeminy")
# An alarm of a rhythm is over when beats go on without it for longer than this; short interruptions of AF, and of a
# rate near a limit, are common.
HOLD_S: Final = {"V": 0.0, "S": 0.0, "af": 30.0, "rate": 30.0}
MIN_NOISE_S = 10.0  # shorter noise raises no alarm ...
MIN_CLEAR_S = 5.0  # ... and a shorter clear stretch ends none
RHYTHM_BEATS = 30  # the rhythm is regular or irregular over so many beats
PATTERN_BEATS = 3  # a pattern is current if it reaches one of so many latest beats
LEARNED_BEATS = 30  # fewer do not show what is normal for a patient
UNUSABLE_STRETCHES = 30  # that are kept: a tachycardia that more of them break is none
MINUTE_S, HOUR_S = 60.0, 3600.0
STALE_S = 10.0  # an older rate or rhythm is not shown


class AlarmTracker:
    """Follows the beats of one stream: which alarms are active, and how many ectopic beats there were."""

    def __init__(self, stream: Stream, rules: RhythmRules, leads: tuple[int, ...]) -> None:
        self.rules, self._leads, self._n_leads = rules, leads, len(stream.lead_names)
        self._lines = {name: AlarmLine(name) for name in LINES}
        self._reached_s = dict.fromkeys(HOLD_S, -np.inf)  # by line: the end of the last event so far
        self._fibrillation = FibrillationWatch()
        self._unusable = deque[RhythmEvent](maxlen=UNUSABLE_STRETCHES)  # the latest that are not analysable
        self._watch = StandstillWatch()
        self._standstill = False  # whether nothing like a beat was found for as long as an asystole
        self._known_s = 0.0  # the last moment at which it was known whether the heart beats
        self._ectopic_s: dict[str, deque[float]] = {"V": deque(), "S": deque()}
        self._n_beats, self._decided_s = 0, 0.0
        self._noise_s: float | None = None  # since then the signal is not analysable ...
        self._clear_s: float | None = None  # ... or it is again
        self._pattern, self._regular = "", True
        self._last = Vitals(0.0, None, 0, 0, 0, 0, "", usable=False, lead_off=(False,) * self._n_leads, learning=True)
        self._rate_bpm: float | None = None

    def step(
        self,
        tail: Beats,
        n_new: int,
        *,
        episodes: Sequence[slice],
        until_s: float,
        end_s: float,
        dropped_s: float,
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
        dropped_s
            The last candidate that was dropped as noise.

        """
        alarms: list[Alarm] = []
        self._keep_unusable(until_s, detections)
        if n_new:
            self._n_beats += n_new
            for label, times in self._ectopic_s.items():
                times.extend(tail.time_s[-n_new:][tail.label[-n_new:] == label].tolist())
            alarms += self._step_rhythms(tail, episodes, end_s)
        alarms += self._end_rhythms(tail, until_s, end_s)
        alarms += self._step_fibrillation(detections.vf, end_s)
        watched_s = max(until_s, end_s - SETTLED_S)
        found_s = max(dropped_s, float(tail.time_s[-1]) if len(tail) else -np.inf)
        candidate_s = float(detections.time_s.max(initial=found_s))
        self._watch.step(found_s=candidate_s, lost_s=detections.lost_s, until_s=until_s, watched_s=watched_s)
        alarms += self._end_pause(tail, n_new, end_s, dropped_s, detections)
        self._standstill = False
        if len(tail) and not detections.off.all() and not self._fibrillation.is_suspected:
            lost_s = float(detections.lost_s[detections.lost_s < until_s].max(initial=-np.inf))
            alarms += self._begin_pause(tail, until_s, end_s, max(dropped_s, lost_s, self._watch.hidden_s))
            alarms += self._step_asystole(end_s)
        self._keep_known(candidate_s, watched_s, detections)
        alarms += self._step_leads(detections, until_s, end_s)
        self._last = self._vitals(tail, until_s, detections)
        return tuple(alarms), self._last

    def lose_signal(self, end_s: float) -> tuple[tuple[Alarm, ...], Vitals]:
        """Take that nothing arrives any more: until it does, no lead can be off, and the rate is not known."""
        self._noise_s = self._clear_s = None
        alarms = self._lines["leads"].begin(NO_SIGNAL, end_s, end_s)
        rhythm = self._rhythm(recent=False)
        return tuple(alarms), replace(self._last, rate_bpm=None, rhythm=rhythm, usable=False, active=self.active)

    def regain_signal(self, again_s: float, end_s: float, lasted_s: float) -> tuple[Alarm, ...]:
        """Announce, if the signal was lost for ``lasted_s`` by the clock, that it is there again since ``again_s``."""
        line = self._lines["leads"]
        is_lost = line.active is not None and line.active.kind == NO_SIGNAL
        return tuple(replace(over, lasted_s=lasted_s) for over in line.end(again_s, end_s)) if is_lost else ()

    @property
    def active(self) -> tuple[Alarm, ...]:
        """The alarms that go on, the most serious one first."""
        alarms = [line.active for line in self._lines.values() if line.active]
        return tuple(sorted(alarms, key=lambda alarm: MOST_SERIOUS_FIRST.index(alarm.kind)))

    def _step_rhythms(self, tail: Beats, episodes: Sequence[slice], end_s: float) -> list[Alarm]:
        """Announce runs, tachycardias and episodes that begin, or become more serious, with the new beats."""
        known = _known_rr(tail, self.rules)
        events = [
            event for event in find_rhythms(tail, self.rules, episodes=episodes, others=self._unusable)
            if event.kind not in LINES["rate"]
        ]  # fmt: skip
        events += sorted(unusual_rates(known, self.rules), key=lambda event: (event.start_s, event.kind))
        self._describe_rhythm(tail, known, events)
        return self._step_events(events, float(tail.time_s[-1]), end_s)

    def _keep_unusable(self, until_s: float, detections: WindowDetections) -> None:
        """Keep from when to when the decided signal was not analysable, across which a tachycardia goes on."""
        from_s, self._decided_s = self._decided_s, until_s
        if detections.usable or until_s <= from_s:
            return
        if self._unusable and self._unusable[-1].end_s == from_s:
            from_s = self._unusable.pop().start_s
        self._unusable.append(RhythmEvent("not_analysable", from_s, until_s, 0, float("nan")))

    def _step_events(self, events: Sequence[RhythmEvent], last_s: float, end_s: float) -> list[Alarm]:
        alarms: list[Alarm] = []
        for event in events:
            line = LINE_OF.get(event.kind, "")
            if line in HOLD_S and event.end_s > self._reached_s[line]:  # earlier ones were announced when they were new
                alarms += self._step_event(event, self._lines[line], last_s, end_s)
                self._reached_s[line] = event.end_s
        return alarms

    def _step_event(self, event: RhythmEvent, line: AlarmLine, last_s: float, end_s: float) -> list[Alarm]:
        """Announce an event that is new, or has grown to its present end."""
        reached_s, hold_s = self._reached_s[line.name], HOLD_S[line.name]
        if line.active is not None and event.start_s <= reached_s + hold_s:
            return line.begin(event.kind, event.start_s, end_s)
        if event.start_s < line.over_s and (event.end_s <= line.seen_s or last_s - event.end_s > hold_s):
            return []  # part of what is over, as it is seen with later beats
        return [*line.end(reached_s, end_s), *line.begin(event.kind, event.start_s, end_s)]

    def _describe_rhythm(self, tail: Beats, known: Beats, events: Sequence[RhythmEvent]) -> None:
        """Keep the rate and the rhythm at the last beat."""
        last_s, recent_s = tail.time_s[-1], tail.time_s[-min(PATTERN_BEATS, len(tail))]
        patterns = [event.kind for event in events if event.kind in PATTERNS and event.end_s >= recent_s]
        self._pattern = KIND_NAMES[patterns[-1]] if patterns else ""
        _, bpm = rate_windows(known, self.rules)
        self._rate_bpm = float(bpm[-1]) if len(bpm) and last_s - known.time_s[-1] < STALE_S else None
        self._regular = bool(rr_features(tail.rr_s[-RHYTHM_BEATS:], ends="symmetric")[-1, DISORDER] < 0)

    def _end_rhythms(self, tail: Beats, until_s: float, end_s: float) -> list[Alarm]:
        """Announce the end of runs and episodes to which the latest beats do not belong, or that no beat follows."""
        alarms: list[Alarm] = []
        last_s = float(tail.time_s[-1]) if len(tail) else -np.inf
        for name, hold_s in HOLD_S.items():
            reached_s = self._reached_s[name]
            if last_s - reached_s > hold_s or until_s - reached_s > max(hold_s, STALE_S):
                alarms += self._end_rhythm(name, last_s, end_s)
        return alarms

    def _end_rhythm(self, name: str, last_s: float, end_s: float) -> list[Alarm]:
        """Announce the end of the active rhythm of a line, and keep which beats it was judged by."""
        line = self._lines[name]
        if line.active is not None:
            line.seen_s = last_s
        return line.end(self._reached_s[name], end_s)

    def _step_fibrillation(self, probability: float, end_s: float) -> list[Alarm]:
        """Announce ventricular fibrillation, or that it is suspected; or the end of it."""
        watch, line = self._fibrillation, self._lines["vf"]
        watch.step(probability, end_s - SETTLED_S)
        if watch.kind:
            return line.begin(watch.kind, watch.start_s, end_s)
        return [] if watch.over_s is None else line.end(watch.over_s, end_s)

    def _end_pause(
        self, tail: Beats, n_new: int, end_s: float, dropped_s: float, detections: WindowDetections
    ) -> list[Alarm]:
        """Announce that a beat ended a pause or asystole, or that nothing is known of it any more."""
        line = self._lines["pause"]
        if line.active is None:
            return []
        after = slice(len(tail) - n_new, None)
        ends = (tail.time_s[after] > line.active.start_s + JITTER_S) & (
            tail.usable[after] | (line.active.kind == PAUSE)
        )
        if ends.any():
            return line.end(float(tail.time_s[after][ends][0]), end_s)
        if detections.off.all():
            return line.end(end_s - FLAT_S, end_s)
        if self._fibrillation.is_suspected and self._lines["vf"].active is not None:
            return line.end(self._fibrillation.start_s, end_s)
        hidden_s = max(dropped_s, self._watch.hidden_s)
        if line.active.kind == PAUSE and hidden_s > line.active.start_s + JITTER_S:
            return line.end(hidden_s, end_s)
        return []

    def _begin_pause(self, tail: Beats, until_s: float, end_s: float, hidden_s: float) -> list[Alarm]:
        """Announce that no beat comes for as long as a pause, in signal that is analysable throughout."""
        if not tail.usable[-1] or hidden_s > tail.time_s[-1]:
            return []
        last_s = float(tail.time_s[-1])
        return self._lines["pause"].begin(PAUSE, last_s, end_s) if until_s - last_s >= self.rules.pause_s else []

    def _step_asystole(self, end_s: float) -> list[Alarm]:
        """Announce that nothing like a beat was found for so long in a signal that is there; waits for no label."""
        self._standstill = self._watch.clear_s >= self.rules.asystole_s
        return self._lines["pause"].begin(ASYSTOLE, self._watch.since_s, end_s) if self._standstill else []

    def _keep_known(self, candidate_s: float, watched_s: float, detections: WindowDetections) -> None:
        """Keep until when it was known whether the heart beats: where another alarm says that it is not, until now.

        A suspicion too short for an alarm says nothing, and would hide for ever that nothing is known.
        """
        is_said = self._standstill or detections.off.all() or self._lines["vf"].active
        self._known_s = max(self._known_s, watched_s if is_said else candidate_s)

    def _step_leads(self, detections: WindowDetections, until_s: float, end_s: float) -> list[Alarm]:
        """Announce that no lead gives a signal, or none that shows for too long what the heart does; or the end."""
        line = self._lines["leads"]
        if line.active is not None and line.active.kind == NO_SIGNAL:
            return []
        if detections.off.all():
            self._noise_s = None
            return line.begin(LEADS_OFF, end_s - FLAT_S, end_s)
        alarms = line.end(end_s, end_s) if line.active is not None and line.active.kind == LEADS_OFF else []
        if self._lines["vf"].active is not None or self._standstill:
            self._noise_s = None
            return alarms + line.end(until_s, end_s)
        is_judged = until_s - self._known_s < MIN_NOISE_S
        if detections.usable and is_judged:
            self._noise_s, self._clear_s = None, until_s if self._clear_s is None else self._clear_s
            return alarms + (line.end(self._clear_s, end_s) if until_s - self._clear_s >= MIN_CLEAR_S else [])
        since_s = until_s if is_judged else self._known_s
        self._noise_s, self._clear_s = min(since_s, since_s if self._noise_s is None else self._noise_s), None
        if until_s - self._noise_s < MIN_NOISE_S:
            return alarms
        asystole = self._lines["pause"].end(self._noise_s, end_s)  # what goes on is not known
        return [*alarms, *asystole, *line.begin(NOT_ANALYSABLE, self._noise_s, end_s)]

    def _vitals(self, tail: Beats, until_s: float, detections: WindowDetections) -> Vitals:
        for times in self._ectopic_s.values():
            while times and times[0] <= until_s - HOUR_S:
                times.popleft()
        off = {lead for lead, is_off in zip(self._leads, detections.off.tolist(), strict=True) if is_off}
        minute = {label: sum(at > until_s - MINUTE_S for at in times) for label, times in self._ectopic_s.items()}
        pulseless = any(alarm.kind in (ASYSTOLE, *LINES["vf"]) for alarm in self.active)
        recent = len(tail) > 0 and until_s - tail.time_s[-1] < STALE_S and not pulseless
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
            active=self.active,
            learning=self._n_beats < LEARNED_BEATS,
        )

    def _rhythm(self, *, recent: bool) -> str:
        """The current rhythm in words: the most serious alarm, or else what the latest beats show."""
        if self.active:
            return KINDS[self.active[0].kind]
        if not recent:
            return "Not known"
        return self._pattern or ("Regular rhythm" if self._regular else "Irregular rhythm")


def _known_rr(tail: Beats, rules: RhythmRules) -> Beats:
    """The beats whose RR counts for the heart rate, since the last time that there was none for STALE_S.

    Unlike in a recording, they need not follow each other: a stream that loses a packet every few seconds has no eight
    RR in a row, and a rate that is given late is worth more than none.
    """
    known = np.flatnonzero(counts_for_rate(tail, rules))
    breaks = np.flatnonzero(np.diff(tail.time_s[known]) >= STALE_S)
    known = known[breaks[-1] + 1 :] if len(breaks) else known
    before = known[:1] - 1  # the beat at which the first of these RR begins
    return take_rows(tail, np.concatenate((before[before >= 0], known)))
