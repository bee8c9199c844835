"""What every result begins with: fibrillation, asystole and sustained VT, and what could not or was not looked at.

Pages, PDF, tables, JSON and terminal take their words from here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ..clock import clock_text, duration_text
from ..rhythm.burden import analysable_spans
from ..rhythm.danger import Span, has_all_beats, without
from ..rhythm.events import DANGERS, KIND_NAMES, TACHYCARDIAS
from ..schema import Analysis, RhythmEvent
from ..text import plural

NOT_ANALYSED: Final = ("AV block", "QT", "ST", "pacing")  # what the program does not look at
NOT_ANALYSED_TEXT: Final = f"Not analysed: {', '.join(NOT_ANALYSED)} (pacing was not looked for)"
NO_SIGN: Final = "no sign of VF, VT or asystole"
NOTHING: Final = "no signal is analysable"
UNJUDGED: Final = {
    "not_analysable": "could not be analysed",
    "artefact": "marked as artefact by a reader",
    "no_signal": "without any signal",
}
DANGER_NAMES: Final = {
    "vf": "VF", "vf_suspected": "suspected VF", "asystole": "asystole", "vt_sustained": "sustained VT",
}  # fmt: skip
REJECTED_NAMES: Final = DANGER_NAMES | {"vt": "non-sustained VT"}
MUCH_PCT: Final = 20.0  # of a recording; where so much is not analysable, that nothing was found is no finding
MINUTE_S = 60.0
SHOWN_PCT = 0.05  # less would be printed as 0.0 %
NOTHING_PCT = 1e-6  # what remains of a difference that is zero


@dataclass(frozen=True)
class Danger:
    """All episodes of one kind of danger."""

    kind: str  # one of DANGERS
    events: tuple[RhythmEvent, ...]  # at least one, in the order of time
    text: str  # kind, number, total and longest length, and times, for readers

    @property
    def longest(self) -> RhythmEvent:
        """The longest episode; of several, the first."""
        return max(self.events, key=lambda event: event.duration_s)

    @property
    def total_s(self) -> float:
        """Length of all episodes together."""
        return sum(event.duration_s for event in self.events)

    @property
    def at_least(self) -> bool:
        """Whether an episode may have lasted longer than could be seen."""
        return any(event.at_least for event in self.events)


def dangers(analysis: Analysis) -> tuple[Danger, ...]:
    """The kinds of danger that were found, the most serious first; empty where there is none."""
    found = []
    for kind in DANGERS:
        events = tuple(event for event in analysis.events if event.kind == kind)
        if events:
            found.append(Danger(kind, events, _danger_text(analysis, kind, events)))
    return tuple(found)


def worklist_text(analysis: Analysis) -> str:
    """What a line of a worklist says of a recording: its first danger, else that much of it, or all, is unjudged."""
    return found[0].text if (found := dangers(analysis)) else unread_text(analysis)


def unread_text(analysis: Analysis) -> str:
    """That all of a recording is not analysable, or much; empty where less is."""
    if nothing_judged(analysis):
        return _calm_text(analysis)
    lost = lost_pct(analysis)
    return f"{_lost_text(lost)} not analysable: nothing can be found there" if lost >= MUCH_PCT else ""


def remarks(analysis: Analysis) -> tuple[str, ...]:
    """Sentences to follow the dangers: that there is none, what could not be analysed, and what was not looked at."""
    calm = () if dangers(analysis) else (_calm_text(analysis),)
    return (*calm, *unjudged_texts(analysis), NOT_ANALYSED_TEXT)


def remarks_below(analysis: Analysis) -> tuple[str, ...]:
    """The ``remarks`` without the first one where that nothing was judged stands in red above them."""
    return remarks(analysis)[1:] if nothing_judged(analysis) else remarks(analysis)


def unjudged_texts(analysis: Analysis) -> tuple[str, ...]:
    """What could not be judged, with its length and where the longest stretch of it lies."""
    texts = []
    for kind, says in UNJUDGED.items():
        events = [event for event in analysis.events if event.kind == kind]
        if events:
            longest = max(events, key=lambda event: event.duration_s)
            at = clock_text(analysis.record, longest.start_s)
            several = f"{plural(len(events), 'stretch')}, longest {length_text(longest)} " if events[1:] else ""
            length = duration_text(sum(event.duration_s for event in events))
            known = f"; {text}" if (text := known_text(analysis, kind)) else ""
            texts.append(f"{length} {says}{known} ({several}at {at})")
    return tuple(texts)


def known_text(analysis: Analysis, kind: str) -> str:
    """What is known of the stretches of a kind that could not be judged; empty for nothing."""
    if kind == "not_analysable" and not nothing_judged(analysis):
        return f"{NO_SIGN} there"
    if kind == "artefact":
        kinds = {event.kind for event in analysis.rejected}
        names = " and ".join(name for kind, name in REJECTED_NAMES.items() if kind in kinds)
        return f"the program had found {names} there" if names else "not judged"
    return ""


def nothing_judged(analysis: Analysis) -> bool:
    """Whether no signal is analysable and no danger was found all the same: that nothing was found says nothing."""
    return not analysis.burden.analysable_s and not dangers(analysis)


def unjudged_stretches(analysis: Analysis) -> dict[str, list[tuple[float, float]]]:
    """Start and end of each stretch that could not be judged, seconds, by its kind."""
    return {kind: [(e.start_s, e.end_s) for e in analysis.events if e.kind == kind] for kind in UNJUDGED}


def findings(analysis: Analysis) -> list[RhythmEvent]:
    """The events that were found; stretches that could not be judged are none."""
    return [event for event in analysis.events if event.kind not in UNJUDGED]


def length_text(event: RhythmEvent, *, decimals: int = 1) -> str:
    """Length of an event; with >= before it where it may have lasted longer than could be seen."""
    return at_least_text(event.at_least) + seconds_text(event.duration_s, decimals=decimals)


def run_text(run: RhythmEvent, *, rate: str = ", {:.0f} bpm") -> str:
    """Beats and rate of a run; its length where they cannot all be separated."""
    at_rate = rate.format(run.rate_bpm) if math.isfinite(run.rate_bpm) else ""
    if has_all_beats(run):
        return f"{plural(run.n_beats, 'beat')}{at_rate}"
    known = f"{plural(run.n_beats, 'beat')} separable" if run.n_beats else "beats not separable"
    return f"{length_text(run)} ({known}){at_rate}"


def seconds_text(seconds: float, *, decimals: int = 1) -> str:
    """A length in seconds, or in minutes and hours from one minute on."""
    return f"{seconds:.{decimals}f} s" if seconds < MINUTE_S else duration_text(seconds)


def at_least_text(at_least: bool) -> str:
    """What stands before a length that is a lower limit."""
    return ">= " if at_least else ""


def not_analysable_text(analysis: Analysis) -> str:
    """Percentage of the recording that is not analysable, and apart from it the percentage in danger."""
    in_danger_pct = danger_pct(analysis)
    danger = f", {in_danger_pct:.1f} % in VF, VT or asystole" if in_danger_pct else ""
    return f"{_lost_text(lost_pct(analysis))} not analysable{danger}"


def danger_pct(analysis: Analysis) -> float:
    """Percentage of the recording in VF, VT or asystole, certain or suspected; 0 where it would be printed as 0.0 %.

    It is that of the episodes, whether or not there are beats to be counted in them: with a sustained tachycardia of
    separable beats, it and the analysable percentage overlap. A tachycardia that is not sustained counts where the
    waveform alone shows it.
    """
    percent = _percent_of(analysis, _in_danger(analysis))
    return percent if percent >= SHOWN_PCT else 0.0


def lost_pct(analysis: Analysis) -> float:
    """Percentage of the recording that is neither analysable nor in VF, VT or asystole."""
    return 100 - _percent_of(analysis, [*_analysable(analysis), *_in_danger(analysis)])


def _analysable(analysis: Analysis) -> list[Span]:
    return analysable_spans(analysis.events, analysis.quality, duration_s=analysis.record.duration_s)


def _in_danger(analysis: Analysis) -> list[Span]:
    """Stretches in danger, in any order, which may overlap."""
    analysable, spans = _analysable(analysis), []
    for event in analysis.events:
        if event.kind in DANGERS:
            spans.append((event.start_s, event.end_s))
        elif event.kind in TACHYCARDIAS["V"]:
            spans += without((event.start_s, event.end_s), analysable)
    return spans


def _percent_of(analysis: Analysis, spans: Iterable[Span]) -> float:
    """Percentage of the recording that lies in one of the stretches."""
    duration_s = analysis.record.duration_s
    if not duration_s:
        return 0.0
    outside_s = sum(end_s - start_s for start_s, end_s in without((0.0, duration_s), spans))
    return 100 * (1 - outside_s / duration_s)


def _lost_text(lost_pct: float) -> str:
    return "below 0.1 %" if NOTHING_PCT < lost_pct < SHOWN_PCT else f"{lost_pct:.1f} %"


def _danger_text(analysis: Analysis, kind: str, events: tuple[RhythmEvent, ...]) -> str:
    longest = max(events, key=lambda event: event.duration_s)
    has_rate = kind != "asystole" and math.isfinite(longest.rate_bpm)  # that of its one RR is none
    rate = f", {longest.rate_bpm:.0f} bpm" if has_rate else ""
    at = clock_text(analysis.record, longest.start_s)
    if len(events) == 1:
        return f"{KIND_NAMES[kind]}: {length_text(longest)} at {at}{rate}"
    total_s, at_least = sum(event.duration_s for event in events), any(event.at_least for event in events)
    total = at_least_text(at_least) + seconds_text(total_s)
    first = "" if longest is events[0] else f"; first at {clock_text(analysis.record, events[0].start_s)}"
    return (
        f"{KIND_NAMES[kind]}: {plural(len(events), 'episode')}, {total} in total; longest {length_text(longest)} "
        f"at {at}{rate}{first}"
    )


def _calm_text(analysis: Analysis) -> str:
    analysable_s = analysis.burden.analysable_s
    if not analysable_s:
        return f"{NOTHING.capitalize()}: ventricular fibrillation, asystole and sustained VT cannot be excluded"
    return (
        "No ventricular fibrillation, asystole or sustained VT found in the analysable signal "
        f"({duration_text(analysable_s)})"
    )
