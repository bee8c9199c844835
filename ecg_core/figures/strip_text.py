"""What is on a strip, in words: for those who cannot see it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..clock import clock_text
from ..labels import CLASSES
from ..rhythm.events import DANGERS, KIND_NAMES
from ..schema import Analysis
from ..text import one_line
from .theme import beats_within


def strip_text(analysis: Analysis, span_s: tuple[float, float], lead_names: Sequence[str]) -> str:
    """Leads, length and begin of a strip, its beats by class, its findings with dangers first, and its mean rate.

    For example "Lead II, 10 s from 09:12:03: 12 beats, N 10, V 2; ventricular couplet; rate 72 bpm".
    """
    leads = f"Lead{'s' if len(lead_names) > 1 else ''} {', '.join(map(one_line, lead_names))}"
    begin = clock_text(analysis.record, span_s[0])
    parts = [_beats_text(analysis, span_s), *_findings(analysis, span_s), _rate_text(analysis, span_s)]
    return f"{leads}, {span_s[1] - span_s[0]:.4g} s from {begin}: {'; '.join(part for part in parts if part)}"


def _beats_text(analysis: Analysis, span_s: tuple[float, float]) -> str:
    """How many beats there are, of each class, and how many that are not counted."""
    beats = analysis.beats
    inside = beats_within(beats, *span_s)
    usable = beats.usable[inside]
    label = beats.label[inside][usable]
    if not len(usable):
        return "no beat"
    of_class = [f"{name} {n}" for name in CLASSES if (n := int((label == name).sum()))]
    uncounted = [f"not counted {n}"] if (n := int((~usable).sum())) else []
    return ", ".join([f"{len(usable)} beat{'s' if len(usable) > 1 else ''}", *of_class, *uncounted])


def _findings(analysis: Analysis, span_s: tuple[float, float]) -> list[str]:
    """The kinds of findings that reach into a stretch of time, dangers first."""
    found = {event.kind for event in analysis.events if event.start_s < span_s[1] and event.end_s > span_s[0]}
    kinds = sorted(found, key=lambda kind: (kind not in DANGERS, list(KIND_NAMES).index(kind)))
    return [KIND_NAMES[kind][0].lower() + KIND_NAMES[kind][1:] for kind in kinds]


def _rate_text(analysis: Analysis, span_s: tuple[float, float]) -> str:
    """The mean heart rate of the RR that end in a stretch of time; empty where there are none."""
    inside = beats_within(analysis.beats, *span_s)
    rr_s = analysis.beats.rr_s[inside]
    known_s = rr_s[np.isfinite(rr_s) & analysis.beats.usable[inside]]
    return f"rate {60 / float(known_s.mean()):.0f} bpm" if len(known_s) else ""
