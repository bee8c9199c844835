"""The rhythm at each entry of a patient's diary, and symptoms against rhythms."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ..clock import duration_text
from ..notes import DiaryEntry
from ..rhythm.events import DANGERS, KIND_NAMES, MOST_SERIOUS_FIRST
from ..schema import Analysis, RhythmEvent
from .dangers import UNJUDGED, length_text

# A patient presses the button, or looks at the clock, after the symptom began, and times are noted to the half minute.
BEFORE_S: Final = 30.0
AFTER_S: Final = 30.0
COUNTED: Final = "VSF"  # ectopic classes
MIN_RR = 3  # fewer make no heart rate
WITHOUT_LENGTH: Final = ("v_couplet", "s_couplet")  # whose length says nothing
NOT_ANALYSABLE, OUTSIDE = "Not analysable", "Outside the recording"
NO_ARRHYTHMIA, ECTOPIC_BEATS = "No arrhythmia found", "Ectopic beats"
PARTLY_ANALYSABLE = "Partly analysable, no arrhythmia found"
CALM_FINDINGS: Final = (NO_ARRHYTHMIA, PARTLY_ANALYSABLE, NOT_ANALYSABLE)
MOST = 0.5  # a window that lost more than this share of its time is not analysable, whatever beats are left in it ...
PARTLY_LOST_S = 10.0  # ... and one that lost so much is partly analysable: a block of quality, as long as many a VT


@dataclass(frozen=True)
class SymptomRow:
    """A diary entry, and the rhythm around it."""

    entry: DiaryEntry
    rhythm: str  # in words: findings with the most serious first, ectopic beats, heart rate, what was not analysable
    rate_bpm: float  # mean heart rate; NaN where there are too few beats
    finding: str  # the most serious finding alone, by which symptoms are counted


@dataclass(frozen=True)
class SymptomTable:
    """How often each symptom met each rhythm."""

    symptoms: tuple[str, ...]  # the most frequent first
    findings: tuple[str, ...]  # the most serious first
    count: tuple[tuple[int, ...], ...]  # (n_symptoms, n_findings)


def symptom_rows(analysis: Analysis, diary: Sequence[DiaryEntry]) -> list[SymptomRow]:
    """The rhythm from ``BEFORE_S`` before to ``AFTER_S`` after each entry, in the order of the entries."""
    start_s = np.array([event.start_s for event in analysis.events])
    end_s = np.array([event.end_s for event in analysis.events])
    rows = []
    for entry in diary:
        from_s, to_s = entry.time_s - BEFORE_S, entry.time_s + AFTER_S
        near = np.flatnonzero((start_s < to_s) & (end_s > from_s)) if len(start_s) else ()
        rows.append(_row(analysis, entry, [analysis.events[int(place)] for place in near]))
    return rows


def symptom_table(rows: Sequence[SymptomRow]) -> SymptomTable:
    """Symptoms against the most serious finding at each."""
    pairs = Counter((row.entry.symptom, row.finding) for row in rows)
    symptoms = [symptom for symptom, _ in Counter(row.entry.symptom for row in rows).most_common()]
    present = {row.finding for row in rows}
    findings = [finding for finding in _every_finding() if finding in present]
    count = tuple(tuple(pairs[symptom, finding] for finding in findings) for symptom in symptoms)
    return SymptomTable(tuple(symptoms), tuple(findings), count)


def _row(analysis: Analysis, entry: DiaryEntry, events: Sequence[RhythmEvent]) -> SymptomRow:
    if not 0 <= entry.time_s <= analysis.record.duration_s:
        return SymptomRow(entry, OUTSIDE, float("nan"), OUTSIDE)
    beats = analysis.beats
    from_s, to_s = max(0.0, entry.time_s - BEFORE_S), min(analysis.record.duration_s, entry.time_s + AFTER_S)
    first, last = np.searchsorted(beats.time_s, (from_s, to_s))
    label = beats.label[first:last][beats.usable[first:last]]
    rr_s = beats.rr_s[first:last][beats.usable[first:last]]
    rr_s = rr_s[np.isfinite(rr_s)]
    rate_bpm = 60.0 / float(rr_s.mean()) if len(rr_s) >= MIN_RR else float("nan")
    kinds = [kind for kind in MOST_SERIOUS_FIRST if kind not in UNJUDGED and any(e.kind == kind for e in events)]
    ectopic = {name: int((label == name).sum()) for name in COUNTED}
    lost_s = {kind: _length_s(events, kind, from_s, to_s) for kind in UNJUDGED}
    lost_text = _lost_text(lost_s, to_s - from_s)
    if not kinds and not len(label):
        rhythm = "; ".join(part for part in (NOT_ANALYSABLE, lost_text) if part)
        return SymptomRow(entry, rhythm, float("nan"), NOT_ANALYSABLE)
    finding = KIND_NAMES[kinds[0]] if kinds else ECTOPIC_BEATS if any(ectopic.values()) else ""
    calm = "" if finding else _calm_finding(sum(lost_s.values()), to_s - from_s)
    parts = [
        *(_finding_text(kind, [event for event in events if event.kind == kind]) for kind in kinds),
        ", ".join(f"{n} {name}" for name, n in ectopic.items() if n),
        calm,
        f"heart rate {rate_bpm:.0f} bpm" if math.isfinite(rate_bpm) else "",
        lost_text,
    ]
    return SymptomRow(entry, "; ".join(part for part in parts if part), rate_bpm, finding or calm)


def _calm_finding(lost_s: float, window_s: float) -> str:
    """What a window without any arrhythmia shows, by how much of it could not be judged, seconds."""
    if lost_s > MOST * window_s:
        return NOT_ANALYSABLE
    return PARTLY_ANALYSABLE if lost_s >= PARTLY_LOST_S else NO_ARRHYTHMIA


def _length_s(events: Sequence[RhythmEvent], kind: str, from_s: float, to_s: float) -> float:
    """Length of the events of a kind between two times, seconds."""
    of_kind = [event for event in events if event.kind == kind]
    return sum(max(0.0, min(event.end_s, to_s) - max(event.start_s, from_s)) for event in of_kind)


def _lost_text(lost_s: dict[str, float], window_s: float) -> str:
    """How much of a window could not be judged, and how much of that was without signal; empty below a second."""
    total_s, silent_s = sum(lost_s.values()), lost_s["no_signal"]
    if total_s < 1:
        return ""
    text = f"{duration_text(total_s)} of {duration_text(window_s)} not analysable"
    return f"{text}, {duration_text(silent_s)} of it without any signal" if silent_s >= 1 else text


def _finding_text(kind: str, events: Sequence[RhythmEvent]) -> str:
    """Name of a finding, how often it was there, and how long the longest lasted."""
    name = f"{len(events)} x {KIND_NAMES[kind].lower()}" if len(events) > 1 else KIND_NAMES[kind]
    if kind in WITHOUT_LENGTH:
        return name
    longest = max(events, key=lambda event: event.duration_s)
    return f"{name}, {'longest ' if len(events) > 1 else ''}{length_text(longest)}"


def _every_finding() -> tuple[str, ...]:
    """All findings that a row can have, the most serious first."""
    kinds = [*DANGERS, *(kind for kind in MOST_SERIOUS_FIRST if kind not in (*DANGERS, *UNJUDGED))]
    return (*(KIND_NAMES[kind] for kind in kinds), ECTOPIC_BEATS, *CALM_FINDINGS, OUTSIDE)
