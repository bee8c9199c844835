"""Where an analysis of a record differs from the reference or from another analysis, beat by beat."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from ..labels import CLASSES, MATCH_WINDOW_S, UNLABELLED, class_codes
from ..schema import Analysis, Beats, Float64, Record, Text
from .matching import SAME_TIME_S, match_beats

ABSENT: Final = "-"  # in place of a class: there is no beat


class Disagreements(NamedTuple):
    """Where an analysis and the reference differ: a class, or ABSENT, on either side; arrays of one length."""

    time_s: Float64
    found: Text
    reference: Text


class Differences(NamedTuple):
    """Where two analyses of a record differ: a class, or ABSENT, on either side; arrays of one length."""

    time_s: Float64
    one: Text
    other: Text


def disagreements(analysis: Analysis) -> Disagreements:
    """Extra beats, missed beats and beats of another class, in analysable stretches and at beats a reader labelled."""
    time_s, label = reference_beats(analysis.record)
    if analysis.record.reference is None:
        return Disagreements(time_s, label, label)
    differ = _differences(analysis.beats.time_s, analysis.beats.label, time_s, label)
    labelled_s = analysis.beats.time_s[analysis.labelled]
    kept = labels_at(differ.time_s, labelled_s, np.full(len(labelled_s), "?")) != ABSENT
    if len(differ.time_s):
        kept |= analysis.quality.usable_at(differ.time_s)
    return Disagreements(differ.time_s[kept], differ.one[kept], differ.other[kept])


def compare_beats(one: Beats, other: Beats) -> Differences:
    """Beats that only one analysis has, and beats to which both give different classes.

    Beats in signal that either analysis could not analyse are left out.
    """
    differ = _differences(one.time_s, one.label, other.time_s, other.label)
    unusable_s = np.sort(np.concatenate((one.time_s[~one.usable], other.time_s[~other.usable])))
    kept = labels_at(differ.time_s, unusable_s, np.full(len(unusable_s), "?")) == ABSENT
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
    """Label of the beat nearest to each moment, shape (n,); ABSENT where none lies within the match window.

    Parameters
    ----------
    time_s
        Moments, shape (n,), in any order.
    beat_time_s, label
        Beats, shape (m,), ascending.

    """
    if not len(beat_time_s):
        return np.full(len(time_s), ABSENT)
    after = np.searchsorted(beat_time_s, time_s).clip(0, len(beat_time_s) - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.where(np.abs(time_s - beat_time_s[before]) <= np.abs(beat_time_s[after] - time_s), before, after)
    near = np.abs(beat_time_s[nearest] - time_s) <= MATCH_WINDOW_S + SAME_TIME_S
    return np.where(near, label[nearest], ABSENT)


def _differences(one_s: Float64, one: Text, other_s: Float64, other: Text) -> Differences:
    """Match two trains of labelled beats as EC57 does; their differences in the order of time."""
    j, i = match_beats(other_s, one_s)
    only_one, only_other = np.setdiff1d(np.arange(len(one_s)), i), np.setdiff1d(np.arange(len(other_s)), j)
    differ = one[i] != other[j]
    time_s = np.concatenate((one_s[i][differ], other_s[only_other], one_s[only_one]))
    first = np.concatenate((one[i][differ], np.full(len(only_other), ABSENT), one[only_one]))
    second = np.concatenate((other[j][differ], other[only_other], np.full(len(only_one), ABSENT)))
    order = np.argsort(time_s, kind="stable")
    return Differences(time_s[order], first[order].astype("<U1"), second[order].astype("<U1"))
