"""Where two readings of the same record differ: an analysis and the reference, or two analyses."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..labels import CLASSES, UNLABELLED, class_codes
from ..schema import Analysis, Beats, Float64, Record, Text
from .ec57 import MATCH_WINDOW_S, SAME_TIME_S, match_beats

NO_BEAT = "-"


class Disagreements(NamedTuple):
    """Where the reference and the analysis differ; ``-`` stands for no beat."""

    time_s: Float64
    found: Text
    reference: Text


class Differences(NamedTuple):
    """Where two readings of a record differ; ``-`` stands for no beat."""

    time_s: Float64
    one: Text
    other: Text


def disagreements(analysis: Analysis) -> Disagreements:
    """Extra beats, marks that were not found, and classes that differ; in readable stretches only."""
    time_s, label = reference_beats(analysis.record)
    if analysis.record.reference is None:
        return Disagreements(time_s, label, label)
    differ = _unlike(analysis.beats.time_s, analysis.beats.label, time_s, label)
    kept = analysis.quality.usable_at(differ.time_s) if len(differ.time_s) else np.zeros(0, dtype=bool)
    return Disagreements(differ.time_s[kept], differ.one[kept], differ.other[kept])


def compare_beats(one: Beats, other: Beats) -> Differences:
    """Beats that only one reading has, and beats that both have with different classes.

    Left out are beats that the one reading cannot read, and those that the other has but cannot read.
    """
    differ = _unlike(one.time_s, one.label, other.time_s, other.label)
    unread = np.sort(np.concatenate((one.time_s[~one.usable], other.time_s[~other.usable])))
    kept = labels_at(differ.time_s, unread, np.full(len(unread), "?")) == NO_BEAT
    return Differences(differ.time_s[kept], differ.one[kept], differ.other[kept])


def reference_beats(record: Record) -> tuple[Float64, Text]:
    """Times and classes of the beats that the record's own annotations mark; none where it has no annotations."""
    marks = record.reference
    if marks is None:
        return np.zeros(0), np.zeros(0, "<U1")
    code = class_codes(marks.symbol)
    is_beat = code != UNLABELLED
    return np.asarray(marks.time_s[is_beat]), np.array(CLASSES)[code[is_beat]]


def labels_at(time_s: Float64, beat_time_s: Float64, label: Text) -> Text:
    """Label of the beat nearest to each moment; ``-`` where none lies within the match window.

    Parameters
    ----------
    time_s
        Moments, shape (n,), in any order.
    beat_time_s, label
        Beats, shape (m,), ascending.

    """
    if not len(beat_time_s):
        return np.full(len(time_s), NO_BEAT)
    after = np.searchsorted(beat_time_s, time_s).clip(0, len(beat_time_s) - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.where(np.abs(time_s - beat_time_s[before]) <= np.abs(beat_time_s[after] - time_s), before, after)
    near = np.abs(beat_time_s[nearest] - time_s) <= MATCH_WINDOW_S + SAME_TIME_S
    return np.where(near, label[nearest], NO_BEAT)


def _unlike(one_s: Float64, one: Text, other_s: Float64, other: Text) -> Differences:
    """Match two trains of labelled beats as EC57 does; what differs, in the order of time."""
    j, i = match_beats(other_s, one_s)
    alone, unmet = np.setdiff1d(np.arange(len(one_s)), i), np.setdiff1d(np.arange(len(other_s)), j)
    differ = one[i] != other[j]
    when = np.concatenate((one_s[i][differ], other_s[unmet], one_s[alone]))
    first = np.concatenate((one[i][differ], np.full(len(unmet), NO_BEAT), one[alone]))
    second = np.concatenate((other[j][differ], other[unmet], np.full(len(alone), NO_BEAT)))
    order = np.argsort(when, kind="stable")
    return Differences(when[order], first[order].astype("<U1"), second[order].astype("<U1"))
