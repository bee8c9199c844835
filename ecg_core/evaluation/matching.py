"""Which beats of two annotations are the same beat, and how far stretches of rhythm overlap, as ANSI/AAMI EC57 asks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np

from ..labels import MATCH_WINDOW_S
from ..schema import Annotations, Bool, Float64, Index

Spans = Sequence[tuple[float, float]]  # from .. to, seconds

SAME_TIME_S: Final = 1e-6  # far below one sample, far above the rounding of seconds in a recording of weeks
AF_RHYTHMS: Final = ("(AFIB", "(AFL")  # WFDB's codes of fibrillation and flutter, which is reported as fibrillation


def match_beats(reference_s: Float64, test_s: Float64, *, window_s: float = MATCH_WINDOW_S) -> tuple[Index, Index]:
    """Pair reference beats with detected beats, each with one at most, as WFDB's ``bxb`` does.

    Both trains are walked once, from the start. Of the earliest unsettled beat of each, the earlier one is settled:
    it is paired with the other if that lies within the window and if the train of the earlier one does not go on to a
    beat that is as near to the other; else it stays alone. A tie goes to the later beat. Nothing is taken back, so in
    a dense chain (test 0, reference 100, test 150, reference 160 ms) the first two stay alone though they lie within
    the window; the best assignment would pair all four.

    Differs from ``bxb`` in the window only, which is precise to the microsecond and is not a whole number of samples.

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

    Examples
    --------
    >>> reference, test = match_beats(np.array([1.0, 2.0, 3.0]), np.array([1.1, 2.5, 3.0]))
    >>> reference.tolist(), test.tolist()
    ([0, 2], [0, 2])

    """
    _check_ascending("reference", reference_s)
    _check_ascending("test", test_s)
    never = [float("inf")]
    pairs = _walk(reference_s.tolist() + never, test_s.tolist() + never, window_s + SAME_TIME_S)
    table = np.array(pairs, dtype=np.intp).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _walk(reference: list[float], test: list[float], reach_s: float) -> list[tuple[int, int]]:
    """The pairs of ``match_beats``; each train ends with a beat at infinity, which matches none."""
    pairs: list[tuple[int, int]] = []
    n_reference, n_test = len(reference) - 1, len(test) - 1
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
    return pairs


def _check_ascending(name: str, time_s: Float64) -> None:
    if not (np.isfinite(time_s).all() and (np.diff(time_s) >= 0).all()):
        raise ValueError(f"The {name} beats' times must be finite and ascending: sort the beats by time first.")


def vf_episodes(reference: Annotations) -> Float64:
    """Onset and end of each episode of ventricular flutter or fibrillation (``[`` to ``]``), seconds, shape (n, 2).

    An episode without an end mark ends at infinity.
    """
    episodes: list[tuple[float, float]] = []
    onset_s: float | None = None
    brackets = np.isin(reference.symbol, ["[", "]"])
    for time_s, symbol in zip(reference.time_s[brackets].tolist(), reference.symbol[brackets].tolist(), strict=True):
        if symbol == "[" and onset_s is None:
            onset_s = time_s
        elif symbol == "]" and onset_s is not None:
            episodes.append((onset_s, time_s))
            onset_s = None
    if onset_s is not None:
        episodes.append((onset_s, float("inf")))
    return np.array(episodes, dtype=np.float64).reshape(-1, 2)


def within(time_s: Float64, episodes: Float64) -> Bool:
    """Whether each time lies in an episode, its ends included, shape (n,)."""
    inside = np.zeros(len(time_s), dtype=bool)
    for onset_s, end_s in episodes:
        inside |= (onset_s <= time_s) & (time_s <= end_s)
    return inside


def rhythm_spans(reference: Annotations, rhythms: Collection[str], end_s: float) -> Spans | None:
    """Stretches in which the reference names one of ``rhythms``, such as "(AFIB"; None where it names no rhythm."""
    notes = [(float(t), str(aux)) for t, aux in zip(reference.time_s, reference.aux, strict=True) if aux[:1] == "("]
    if not notes:
        return None
    ends = [time_s for time_s, _ in notes[1:]] + [end_s]
    return [(start, end) for (start, name), end in zip(notes, ends, strict=True) if name.strip() in rhythms]


def overlap_s(one: Spans, other: Spans) -> float:
    """Seconds that lie both in one of the first spans and in one of the others; spans of one list do not overlap."""
    pairs = ((max(a, c), min(b, d)) for a, b in one for c, d in other)
    return sum((end - start for start, end in pairs if end > start), start=0.0)
