"""Beats that a model classifies otherwise than another one: what changed for better and for worse."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from ..evaluation.evaluate import RecordEvaluation
from ..evaluation.matching import match_beats
from ..labels import CLASSES, UNLABELLED, class_codes
from ..schema import Float64, Record, Text
from .material import Recording

MOST_EACH: Final = 6  # of a recording, for better and for worse


class ChangedBeats(NamedTuple):
    """Reference beats of a recording whose class became right or wrong."""

    n_better: int = 0
    n_worse: int = 0
    shown: tuple[dict[str, object], ...] = ()  # some of each, evenly over the recording, as plain JSON values


def changed_beats(
    recording: Recording, record: Record, before: RecordEvaluation, after: RecordEvaluation
) -> ChangedBeats:
    """How many beats became right or wrong, and some of them."""
    if record.reference is None:
        return ChangedBeats()
    code = class_codes(record.reference.symbol)
    time_s = record.reference.time_s[code != UNLABELLED]
    true = np.array(CLASSES)[code[code != UNLABELLED]]
    old, new = (_labels_at(time_s, part.found_s, part.found_label) for part in (before, after))
    better, worse = (np.flatnonzero(found) for found in ((old != true) & (new == true), (old == true) & (new != true)))
    chosen = [(beat, is_better) for is_better, beats in ((True, better), (False, worse)) for beat in _evenly(beats)]
    shown = tuple(
        {
            "recording": recording.name, "path": recording.path, "study": recording.study,
            "time_s": round(float(time_s[beat]), 3), "reference": str(true[beat]), "before": str(old[beat]),
            "after": str(new[beat]), "better": is_better,
        }
        for beat, is_better in chosen
    )  # fmt: skip
    return ChangedBeats(len(better), len(worse), shown)


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
