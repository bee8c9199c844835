"""Judging a program's beats against reference marks, as ANSI/AAMI EC57:2012 asks and as WFDB's ``bxb`` counts.

Every judged beat is one count in a square matrix, reference class by called class, with one more row for the
program's beats that nobody marked and one more column for the marks that the program missed. All statistics are
ratios of sums over that matrix; a ratio without a denominator is NaN and is left out of every average.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..labels import AAMI_OF_SYMBOL, CLASSES
from ..schema import Annotations, Bool, Float64, Text

Counts = NDArray[np.int64]
Indices = NDArray[np.intp]
Spans = Sequence[tuple[float, float]]  # from .. to, seconds

MATCH_WINDOW_S: Final = 0.150  # EC57: a detection further than 150 ms from the mark is another beat
LEARNING_S: Final = 300.0  # EC57: a program may learn for 5 minutes, which are not scored
SAME_TIME_S: Final = 1e-6  # far below one sample, far above the rounding of seconds in a recording of weeks

NO_BEAT: Final = len(CLASSES)  # index of the last row and column of the matrix
CONFUSION_ROWS: Final = (*CLASSES, "extra")  # what the reference says; "extra": a detection where it marks no beat
CONFUSION_COLUMNS: Final = (*CLASSES, "missed")  # what the program says; "missed": it found no beat there

# EC57: a fusion or unclassifiable beat called V, or an unclassifiable beat called S, is not held against the program.
FORGIVEN: Final[dict[str, str]] = {"V": "FQ", "S": "Q"}
AF_RHYTHMS: Final = ("(AFIB", "(AFL")  # WFDB's codes of fibrillation and flutter, which is reported as fibrillation
JUDGED_CLASSES: Final = "NSVF"  # Q, the unclassifiable beats, is no finding
MACRO_CLASSES: Final = "NSV"  # F has too few beats, in too few patients, to weigh a third of the rest


@dataclass(frozen=True, eq=False)
class Score:
    """The counts of one record, or of several added up."""

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
        own = CLASSES.index(label)
        return int(self.matrix[own, own])

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
    def qrs_se(self) -> float:
        """Share of the reference beats that were found, whatever they were called."""
        return _ratio(int(self.matched.sum()), int(self.matrix[:NO_BEAT].sum()))

    @property
    def qrs_ppv(self) -> float:
        """Share of the program's beats that are beats, whatever they were called."""
        return _ratio(int(self.matched.sum()), int(self.matrix[:, :NO_BEAT].sum()))

    @property
    def accuracy(self) -> float:
        """Share of the matched beats, of all five classes, that got their own class."""
        return _ratio(int(np.trace(self.matched)), int(self.matched.sum()))

    @property
    def always_n_accuracy(self) -> float:
        """Accuracy on the same matched beats of a program that calls every beat N."""
        return _ratio(int(self.matched[CLASSES.index("N")].sum()), int(self.matched.sum()))

    @property
    def macro_f1(self) -> float:
        """Mean F1 of N, S and V, over those of them that occur in the reference or the answer."""
        return _mean(self.f1(label) for label in MACRO_CLASSES).value

    @property
    def false_v_per_hour(self) -> float:
        """False positives of V an hour of scored time; NaN where that time is not known."""
        return _ratio(self.false_positives("V"), self.scored_s / 3600.0)


class Average(NamedTuple):
    """A mean over records, and how many of them it stands on."""

    value: float
    n_records: int


def match_beats(reference_s: Float64, test_s: Float64, *, window_s: float = MATCH_WINDOW_S) -> tuple[Indices, Indices]:
    """Pair reference beats with detected beats, each with one at most, as WFDB's ``bxb`` does.

    Both trains are walked once, from the start. Of the earliest unsettled beat of each, the earlier one is settled:
    it is paired with the other if that lies within the window and if the train of the earlier one does not go on to a
    beat that is as near to the other; else it stays alone. A tie goes to the later beat. Nothing is taken back, so in
    a dense chain (test 0, reference 100, test 150, reference 160 ms) the first two stay alone though they lie within
    the window; the best assignment would pair all four.

    Differs from ``bxb`` in the window only, which is held to the microsecond and is not a whole number of samples.

    Parameters
    ----------
    reference_s, test_s
        Beat times, shapes (n,) and (m,), seconds, ascending; equal times are allowed.
    window_s
        Largest distance of a pair, itself included.

    Returns
    -------
    Indices into ``reference_s`` and into ``test_s``, of one length, both strictly ascending.

    Raises
    ------
    ValueError
        If the times of a train are not finite and ascending.

    References
    ----------
    ANSI/AAMI EC57:2012; G. B. Moody, ``bxb`` of the WFDB software package.

    """
    _check_ascending("reference", reference_s)
    _check_ascending("test", test_s)
    never = [float("inf")]
    reference, test = reference_s.tolist() + never, test_s.tolist() + never
    n_reference, n_test, reach_s = len(reference_s), len(test_s), window_s + SAME_TIME_S
    pairs: list[tuple[int, int]] = []
    i = j = 0
    while i < n_reference and j < n_test:
        lag_s = test[j] - reference[i]
        if lag_s < -SAME_TIME_S:  # the detection is first: is the next one as near to the mark?
            if -lag_s <= reach_s and abs(test[j + 1] - reference[i]) + lag_s > SAME_TIME_S:
                pairs.append((i, j))
                i += 1
            j += 1
        else:  # the mark is first: is the next one as near to the detection?
            if lag_s <= reach_s and abs(test[j] - reference[i + 1]) - lag_s > SAME_TIME_S:
                pairs.append((i, j))
                j += 1
            i += 1
    table = np.array(pairs, dtype=np.intp).reshape(-1, 2)
    return table[:, 0], table[:, 1]


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
    it that are left alone are not counted. To judge the classes alone, pass the reference beats' own times.

    Differs from ``bxb`` in three things. ``bxb`` begins to match at the end of the learning period and passes over
    one detection in the window after it that has no mark, which counts as extra here. It keeps the beats of stretches
    that are marked as unreadable apart (X); here they count as missed or extra, as they do in all of its ratios. With
    supraventricular statistics asked for it counts the escape beats e, j and n as S, which are N in EC57.

    Parameters
    ----------
    reference
        Marks of the record, ascending.
    beats_time_s, beats_label
        The program's beats, shape (n,): seconds, ascending, and one of CLASSES each.
    record_id
        Name that the score carries.
    duration_s
        Length of the recording, from which the scored time follows.
    learning_s
        Length of the learning period; 0 scores the whole record.
    excluded_s
        Times of the marks that the program was told, shape (n,): they do not count, nor what they are paired with.
    window_s
        Largest distance of a pair.

    Returns
    -------
    The counts, and the scored time: the recording less the learning period and the episodes.

    Raises
    ------
    ValueError
        If a label is none of CLASSES, times and labels differ in number, or times do not ascend.

    """
    episodes = _fibrillation(reference)
    mark_class = _class_index(reference.symbol, AAMI_OF_SYMBOL)
    judged = (mark_class != NO_BEAT) & ~_within(reference.time_s, episodes)
    reference_s, reference_class = reference.time_s[judged], mark_class[judged]
    test_class = _class_index(beats_label, dict(zip(CLASSES, CLASSES, strict=True)))
    _check_beats(beats_time_s, beats_label, test_class)

    i, j = match_beats(reference_s, beats_time_s, window_s=window_s)
    called = np.full(len(reference_s), NO_BEAT)
    called[i] = test_class[j]
    extra = (beats_time_s >= learning_s) & ~_within(beats_time_s, episodes)
    extra[j] = False

    matrix = np.zeros((len(CONFUSION_ROWS), len(CONFUSION_COLUMNS)), dtype=np.int64)
    scored = (reference_s >= learning_s) & ~np.isin(reference_s, [] if excluded_s is None else excluded_s)
    np.add.at(matrix, (reference_class[scored], called[scored]), 1)
    np.add.at(matrix[NO_BEAT], test_class[extra], 1)
    left_out_s = float(np.diff(np.clip(episodes, learning_s, duration_s)).sum())
    return Score(record_id, matrix, max(duration_s - learning_s - left_out_s, 0.0))


def gross(scores: Iterable[Score]) -> Score:
    """Add up the counts and the scored time of records: every beat weighs the same."""
    scores = list(scores)
    size = len(CONFUSION_ROWS), len(CONFUSION_COLUMNS)
    matrix = np.sum([np.zeros(size, dtype=np.int64), *(score.matrix for score in scores)], axis=0)
    return Score("gross", matrix, sum(score.scored_s for score in scores))


def average(scores: Iterable[Score]) -> dict[str, Average]:
    """Average each measure over the records in which it is defined: every record weighs the same."""
    rows = [statistics(score) for score in scores]
    return {name: _mean(row[name] for row in rows) for name in statistics(gross([]))}


def statistics(score: Score) -> dict[str, float]:
    """All statistics of a score by their lasting names; shares as 0..1, undefined ones NaN."""
    by_class = {
        f"{label.lower()}_{name}": measure(label)
        for label in JUDGED_CLASSES
        for name, measure in (("se", score.se), ("ppv", score.ppv), ("f1", score.f1))
    }
    return {
        "qrs_se": score.qrs_se,
        "qrs_ppv": score.qrs_ppv,
        **by_class,
        "accuracy": score.accuracy,
        "always_n_accuracy": score.always_n_accuracy,
        "macro_f1": score.macro_f1,
        "false_v_per_hour": score.false_v_per_hour,
    }


def rhythm_spans(reference: Annotations, rhythms: Collection[str], end_s: float) -> Spans | None:
    """From when to when the reference names one of some rhythms, such as "(AFIB"; None where it names no rhythm."""
    notes = [(float(t), str(aux)) for t, aux in zip(reference.time_s, reference.aux, strict=True) if aux[:1] == "("]
    if not notes:
        return None
    ends = [time_s for time_s, _ in notes[1:]] + [end_s]
    return [(start, end) for (start, name), end in zip(notes, ends, strict=True) if name.strip() in rhythms]


def overlap_s(one: Spans, other: Spans) -> float:
    """Seconds that lie in a span of either side; spans of one side do not overlap each other."""
    pairs = ((max(a, c), min(b, d)) for a, b in one for c, d in other)
    return sum((end - start for start, end in pairs if end > start), start=0.0)


def _fibrillation(reference: Annotations) -> Float64:
    """Onset and end of each episode of flutter or fibrillation, shape (n, 2); one that is never closed ends at inf."""
    episodes: list[tuple[float, float]] = []
    onset: float | None = None
    brackets = np.isin(reference.symbol, ["[", "]"])
    for time_s, symbol in zip(reference.time_s[brackets].tolist(), reference.symbol[brackets].tolist(), strict=True):
        if symbol == "[" and onset is None:
            onset = time_s
        elif symbol == "]" and onset is not None:
            episodes.append((onset, time_s))
            onset = None
    if onset is not None:
        episodes.append((onset, float("inf")))
    return np.array(episodes, dtype=np.float64).reshape(-1, 2)


def _within(time_s: Float64, episodes: Float64) -> Bool:
    """Whether each time lies in an episode, its ends included."""
    inside = np.zeros(len(time_s), dtype=bool)
    for onset, end in episodes:
        inside |= (onset <= time_s) & (time_s <= end)
    return inside


def _class_index(symbol: Text, class_of: Mapping[str, str]) -> Indices:
    """Place of each symbol's class in CLASSES; NO_BEAT for a symbol that has none."""
    known, which = np.unique(symbol, return_inverse=True)
    index = [CLASSES.index(class_of[name]) if name in class_of else NO_BEAT for name in known.tolist()]
    return np.array(index, dtype=np.intp)[which]


def _check_ascending(name: str, time_s: Float64) -> None:
    if not (np.isfinite(time_s).all() and (np.diff(time_s) >= 0).all()):
        raise ValueError(f"The {name} beats' times must be finite and ascending: sort the beats by time first.")


def _check_beats(time_s: Float64, label: Text, index: Indices) -> None:
    if len(time_s) != len(label):
        raise ValueError(f"Each beat needs a time and a label, but there are {len(time_s)} and {len(label)} of them.")
    foreign = sorted(set(label[index == NO_BEAT].tolist()))
    if foreign:
        raise ValueError(f"Beats are labelled {', '.join(foreign)}, but a label is one of {', '.join(CLASSES)}.")


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _mean(values: Iterable[float]) -> Average:
    defined = [value for value in values if not np.isnan(value)]
    return Average(_ratio(sum(defined), len(defined)), len(defined))
