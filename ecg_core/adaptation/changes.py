"""Beats that a model classifies otherwise than another one: what changed for better and for worse."""

from __future__ import annotations

from typing import Final

import numpy as np

from ..evaluation.evaluate import RecordEvaluation
from ..evaluation.matching import match_beats
from ..labels import CLASSES, UNLABELLED, class_codes
from ..schema import Float64, Record, Text
from .material import Recording

MOST_EACH: Final = 6  # of a recording, for better and for worse


def changed_beats(
    recording: Recording, record: Record, before: RecordEvaluation, after: RecordEvaluation
) -> list[dict[str, object]]:
    """Some reference beats, evenly over the recording, whose class became right or wrong, as plain JSON values."""
    if record.reference is None:
        return []
    code = class_codes(record.reference.symbol)
    time_s = record.reference.time_s[code != UNLABELLED]
    true = np.array(CLASSES)[code[code != UNLABELLED]]
    old, new = (_labels_at(time_s, part.found_s, part.found_label) for part in (before, after))
    chosen = [
        (beat, is_better)
        for is_better, changed in ((True, (old != true) & (new == true)), (False, (old == true) & (new != true)))
        for beat in _evenly(np.flatnonzero(changed))
    ]
    return [
        {
            "recording": recording.name, "path": recording.path, "study": recording.study,
            "time_s": round(float(time_s[beat]), 3), "reference": str(true[beat]), "before": str(old[beat]),
            "after": str(new[beat]), "better": is_better,
        }
        for beat, is_better in chosen
    ]  # fmt: skip


def _labels_at(marks_s: Float64, found_s: Float64, label: Text) -> Text:
    """The found class of each mark; "missed" where no beat was found."""
    mark, beat = match_beats(marks_s, found_s)
    result = np.full(len(marks_s), "missed")
    result[mark] = label[beat]
    return result


def _evenly(beats: np.ndarray) -> list[int]:
    if len(beats) <= MOST_EACH:
        return [int(beat) for beat in beats]
    return [int(beats[i]) for i in np.linspace(0, len(beats) - 1, MOST_EACH).round().astype(int)]
