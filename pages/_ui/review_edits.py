"""The edits that the controls of Review make, and the words for them; nothing is drawn here."""

from __future__ import annotations

from typing import Final

import numpy as np

from ecg_core.clock import duration_text
from ecg_core.edits import DeleteEdit, InsertEdit, Label, LabelEdit, RhythmEdit, Stretch, StretchEdit
from ecg_core.labels import CLASSES, MATCH_WINDOW_S
from ecg_core.morphology.r_peak import snap_to_r_peak
from ecg_core.schema import Analysis, Index

Span = tuple[float, float]  # of a range that the reader chose, in seconds from the start of the record
ARTEFACT, ANALYSABLE = "artefact", "analysable"
INSERTED: Final = "N"  # the class of an inserted beat until it is labelled
MINUTE_S: Final = 60.0


def beats_within(analysis: Analysis, span_s: Span) -> Index:
    """Positions of the beats of a range."""
    first, last = np.searchsorted(analysis.beats.time_s, span_s)
    return np.arange(first, last)


def range_text(analysis: Analysis, span_s: Span) -> str:
    """The length of a range and how many beats of each class it has."""
    inside = beats_within(analysis, span_s)
    usable, label = analysis.beats.usable[inside], analysis.beats.label[inside]
    counts = [f"{name} {n:,}" for name in CLASSES if (n := int((usable & (label == name)).sum()))]
    if n_uncounted := int((~usable).sum()):
        counts.append(f"not counted {n_uncounted:,}")
    length_s = span_s[1] - span_s[0]
    length = f"{length_s:.1f} s" if length_s < MINUTE_S else duration_text(length_s)
    return f"{', '.join(counts) or 'no beats'} in {length}"


def label_edit(analysis: Analysis, index: Index, label: str) -> LabelEdit:
    """Beats get a class."""
    return LabelEdit(tuple(Label(time_s, label) for time_s in analysis.beats.time_s[index].tolist()))


def delete_edit(analysis: Analysis, index: Index) -> DeleteEdit:
    """Beats are none."""
    return DeleteEdit(tuple(analysis.beats.time_s[index].tolist()))


def mark_edit(span_s: Span, mark: str) -> StretchEdit:
    """A range is artefact, or analysable."""
    return StretchEdit((Stretch(*span_s),), analysable=mark == ANALYSABLE)


def rhythm_edit(span_s: Span, rhythm: str) -> RhythmEdit:
    """A range is of one rhythm."""
    return RhythmEdit((Stretch(*span_s),), rhythm)


def insert_edit(analysis: Analysis, lead_name: str, time_s: float) -> InsertEdit | float:
    """A beat at the R peak beside a time; where there is a beat already, its time instead."""
    peak_s = snap_to_r_peak(analysis.record, lead_name, time_s)
    near_s = analysis.beats.time_s[np.abs(analysis.beats.time_s - peak_s) <= MATCH_WINDOW_S]
    if len(near_s):
        return float(near_s[np.abs(near_s - peak_s).argmin()])
    return InsertEdit((Label(peak_s, INSERTED),))
