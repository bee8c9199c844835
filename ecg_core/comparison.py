"""Where two readings of the same record differ: an analysis and the reference, or two analyses."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .labels import CLASSES, UNLABELLED, class_codes
from .schema import Analysis, Float64, Text
from .scoring import match_beats


class Disagreements(NamedTuple):
    """Where the reference and the analysis differ; ``-`` stands for no beat."""

    time_s: Float64
    found: Text
    reference: Text


def disagreements(analysis: Analysis) -> Disagreements:
    """Extra beats, marks that were not found, and classes that differ; in readable stretches only."""
    marks = analysis.record.reference
    if marks is None:
        return Disagreements(np.zeros(0), np.zeros(0, "<U1"), np.zeros(0, "<U1"))
    code = class_codes(marks.symbol)
    time_s = np.asarray(marks.time_s[code != UNLABELLED])
    label = np.array(CLASSES)[code[code != UNLABELLED]]
    beats = analysis.beats
    i, j = match_beats(time_s, beats.time_s)
    missed = np.setdiff1d(np.arange(len(time_s)), i)
    extra = np.setdiff1d(np.arange(len(beats)), j)
    differ = label[i] != beats.label[j]
    when = np.concatenate((beats.time_s[j][differ], time_s[missed], beats.time_s[extra]))
    found = np.concatenate((beats.label[j][differ], np.full(len(missed), "-"), beats.label[extra]))
    reference = np.concatenate((label[i][differ], label[missed], np.full(len(extra), "-")))
    kept = analysis.quality.usable_at(when) if len(when) else np.zeros(0, dtype=bool)
    order = np.argsort(when[kept], kind="stable")
    return Disagreements(when[kept][order], found[kept][order].astype("<U1"), reference[kept][order].astype("<U1"))
