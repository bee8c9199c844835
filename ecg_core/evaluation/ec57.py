"""Counting a program's beats against reference marks, as ANSI/AAMI EC57:2012 asks and as WFDB's ``bxb`` counts.

Every scored beat is one count in a square matrix, reference class by predicted class, with one more row for the
program's beats that nobody marked and one more column for the marks that the program missed. All statistics are
ratios of sums over that matrix; a ratio without a denominator is NaN and is left out of every average.

Differs from ``bxb`` in three things. ``bxb`` begins to match at the end of the learning period and passes over one
detection in the window after it that has no mark, which counts as extra here. It counts the beats of stretches that are
marked as too noisy separately (X); here they count as missed or extra, as they do in all of its ratios. With its option
for supraventricular statistics it counts the escape beats e, j and n as S, which are N in EC57.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..labels import CLASSES, MATCH_WINDOW_S, NO_BEAT, UNLABELLED, class_codes
from ..schema import Annotations, Float64, Index, Text
from .matching import match_beats, vf_episodes, within

Counts = NDArray[np.int64]

LEARNING_S: Final = 300.0  # EC57: a program may learn for 5 minutes, which are not scored

# NO_BEAT, the number of classes, is the index of the last row and column of the matrix.
CONFUSION_ROWS: Final = (*CLASSES, "extra")  # class in the reference; "extra": a detection where it marks no beat
CONFUSION_COLUMNS: Final = (*CLASSES, "missed")  # class by the program; "missed": it found no beat there

# EC57: a fusion or unclassifiable beat called V, or an unclassifiable beat called S, is no false positive.
FORGIVEN: Final[dict[str, str]] = {"V": "FQ", "S": "Q"}
SCORED_CLASSES: Final = "NSVF"  # Q, the unclassifiable beats, is no finding
MACRO_CLASSES: Final = "NSV"  # F has too few beats, in too few patients, to weigh a third of the rest


@dataclass(frozen=True, eq=False)
class Score:
    """The counts of one record, or the sum of several."""

    record_id: str
    matrix: Counts  # (6, 6): CONFUSION_ROWS by CONFUSION_COLUMNS; the last element is always 0
    scored_s: float = float("nan")  # time that was scored; NaN where the length of the recording is not known

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, dtype=np.int64)
        if matrix.shape != (len(CONFUSION_ROWS), len(CONFUSION_COLUMNS)):
            raise ValueError(f"A confusion matrix has 6 rows and 6 columns, but this one is of shape {matrix.shape}.")
        matrix.flags.writeable = False
        object.__setattr__(self, "matrix", matrix)

    def true_positives(self, label: str) -> int:
        """Beats of the class that were called so."""
        code = CLASSES.index(label)
        return int(self.matrix[code, code])

    def false_negatives(self, label: str) -> int:
        """Beats of the class that were called anything else or missed."""
        return int(self.matrix[CLASSES.index(label)].sum()) - self.true_positives(label)

    def false_positives(self, label: str) -> int:
        """Beats of other classes, and extra detections, that were called so; less those that EC57 forgives."""
        column = self.matrix[:, CLASSES.index(label)]
        forgiven = sum(int(column[CLASSES.index(other)]) for other in FORGIVEN.get(label, ""))
        return int(column.sum()) - forgiven - self.true_positives(label)

    def se(self, label: str) -> float:
        """Sensitivity for one class, 0..1."""
        found = self.true_positives(label)
        return _ratio(found, found + self.false_negatives(label))

    def ppv(self, label: str) -> float:
        """Positive predictivity (+P) for one class, 0..1."""
        found = self.true_positives(label)
        return _ratio(found, found + self.false_positives(label))

    def f1(self, label: str) -> float:
        """F1 for one class, from its counts: 0 and not NaN where all were missed or all that were found are false."""
        found = 2 * self.true_positives(label)
        return _ratio(found, found + self.false_negatives(label) + self.false_positives(label))

    @property
    def matched(self) -> Counts:
        """Beats that were marked and found, shape (5, 5)."""
        return self.matrix[:NO_BEAT, :NO_BEAT]

    @property
    def n_reference(self) -> int:
        """Reference beats that are scored."""
        return int(self.matrix[:NO_BEAT].sum())

    @property
    def qrs_se(self) -> float:
        """Fraction of the reference beats that were found, whatever their class."""
        return _ratio(int(self.matched.sum()), self.n_reference)

    @property
    def qrs_ppv(self) -> float:
        """Fraction of the program's beats that are beats, whatever their class."""
        return _ratio(int(self.matched.sum()), int(self.matrix[:, :NO_BEAT].sum()))

    @property
    def accuracy(self) -> float:
        """Fraction of the matched beats, of all five classes, that got the reference's class."""
        return _ratio(int(np.trace(self.matched)), int(self.matched.sum()))

    @property
    def always_n_accuracy(self) -> float:
        """Accuracy on the same matched beats of a program that calls every beat N."""
        return _ratio(int(self.matched[CLASSES.index("N")].sum()), int(self.matched.sum()))

    @property
    def macro_f1(self) -> float:
        """Mean F1 of N, S and V, over those of them that occur in the reference or among the program's beats."""
        return _mean(self.f1(label) for label in MACRO_CLASSES).value

    def false_per_hour(self, label: str) -> float:
        """False positives of one class an hour of scored time; NaN where that time is not known."""
        return _ratio(self.false_positives(label), self.scored_s / 3600.0)


class Average(NamedTuple):
    """A mean over records, and how many records have a value."""

    value: float
    n_records: int


def score_record(
    reference: Annotations,
    beats_time_s: Float64,
    beats_label: Text,
    *,
    record_id: str = "",
    duration_s: float = float("nan"),
    learning_s: float = LEARNING_S,
    excluded_s: Float64 | None = None,
    window_s: float = MATCH_WINDOW_S,
) -> Score:
    """Count a program's beats against the reference marks of the same record.

    Marks that are no beats are ignored. The whole record is matched; a pair or a missed beat then counts if its mark
    lies at or after the end of the learning period, an extra detection if it lies there itself. Reference beats in an
    episode of ventricular flutter or fibrillation (``[`` to ``]``) are left out before the matching, and detections in
    it that match no mark are not counted. To score the classes alone, pass the times of the reference beats.

    Parameters
    ----------
    reference
        Marks of the record, ascending.
    beats_time_s, beats_label
        The program's beats, shape (n,): seconds, ascending, and one of CLASSES each.
    duration_s, learning_s
        Length of the recording, from which the scored time follows, and of its learning period, 0 to score all.
    excluded_s
        Times of the marks whose class the program was given: they do not count, nor the beats paired with them.

    Returns
    -------
    The counts, and the scored time: the recording less the learning period and the episodes.

    Raises
    ------
    ValueError
        If a label is none of CLASSES, times and labels differ in number, or times do not ascend.

    Examples
    --------
    >>> symbol, none = np.array(["N", "V", "N"]), np.array(["", "", ""])
    >>> marks = Annotations(np.array([1.0, 2.0, 3.0]), symbol, none)
    >>> score = score_record(marks, np.array([1.0, 2.1]), np.array(["N", "V"]), learning_s=0.0)
    >>> score.se("V"), score.false_negatives("N")
    (1.0, 1)

    """
    episodes_s = vf_episodes(reference)
    mark_code = class_codes(reference.symbol)
    scorable = (mark_code != UNLABELLED) & ~within(reference.time_s, episodes_s)
    reference_s, reference_code = reference.time_s[scorable], mark_code[scorable]
    test_code = _codes(beats_time_s, beats_label)
    i, j = match_beats(reference_s, beats_time_s, window_s=window_s)
    predicted = np.full(len(reference_s), NO_BEAT)
    predicted[i] = test_code[j]
    scored = (reference_s >= learning_s) & ~np.isin(reference_s, [] if excluded_s is None else excluded_s)
    extra = (beats_time_s >= learning_s) & ~within(beats_time_s, episodes_s)
    extra[j] = False
    left_out_s = float(np.diff(np.clip(episodes_s, learning_s, duration_s)).sum())
    matrix = _confusion(reference_code[scored], predicted[scored], test_code[extra])
    return Score(record_id, matrix, max(duration_s - learning_s - left_out_s, 0.0))


def _codes(time_s: Float64, label: Text) -> Index:
    """Index of each label in CLASSES, shape (n,); ValueError where times or labels are wrong."""
    if len(time_s) != len(label):
        raise ValueError(f"Each beat needs a time and a label, but there are {len(time_s)} and {len(label)} of them.")
    known, which = np.unique(label, return_inverse=True)
    foreign = [name for name in known.tolist() if name not in CLASSES]
    if foreign:
        raise ValueError(f"Beats are labelled {', '.join(foreign)}, but a label is one of {', '.join(CLASSES)}.")
    return np.array([CLASSES.index(name) for name in known.tolist()], dtype=np.int64)[which]


def _confusion(reference: Index, predicted: Index, extra: Index) -> Counts:
    """The matrix of some reference beats, of their predicted classes or NO_BEAT, and of the extra detections."""
    matrix = np.zeros((len(CONFUSION_ROWS), len(CONFUSION_COLUMNS)), dtype=np.int64)
    np.add.at(matrix, (reference, predicted), 1)
    np.add.at(matrix[NO_BEAT], extra, 1)
    return matrix


def gross(scores: Iterable[Score]) -> Score:
    """Add up the counts and the scored time of records: every beat weighs the same."""
    scores = list(scores)
    size = len(CONFUSION_ROWS), len(CONFUSION_COLUMNS)
    matrix = np.sum([np.zeros(size, dtype=np.int64), *(score.matrix for score in scores)], axis=0)
    return Score("gross", matrix, sum(score.scored_s for score in scores))


def average(scores: Iterable[Score]) -> dict[str, Average]:
    """Average each statistic over the records in which it is defined: every record weighs the same."""
    rows = [statistics(score) for score in scores]
    return {name: _mean(row[name] for row in rows) for name in statistics(gross([]))}


def statistics(score: Score) -> dict[str, float]:
    """All statistics of a score by their lasting names, fractions as 0..1, undefined ones NaN."""
    by_class = {
        f"{label.lower()}_{name}": statistic(label)
        for label in SCORED_CLASSES
        for name, statistic in (("se", score.se), ("ppv", score.ppv), ("f1", score.f1))
    }
    return {
        "qrs_se": score.qrs_se,
        "qrs_ppv": score.qrs_ppv,
        **by_class,
        "accuracy": score.accuracy,
        "always_n_accuracy": score.always_n_accuracy,
        "macro_f1": score.macro_f1,
        "false_v_per_hour": score.false_per_hour("V"),
        "false_s_per_hour": score.false_per_hour("S"),
    }


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _mean(values: Iterable[float]) -> Average:
    defined = [value for value in values if not np.isnan(value)]
    return Average(_ratio(sum(defined), len(defined)), len(defined))
