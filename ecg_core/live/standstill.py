"""Whether a stream has held nothing like a beat for as long as an asystole, though parts of its signal are lost."""

from __future__ import annotations

import numpy as np

from ..schema import Float64

SEEN_S = 0.3  # a QRS with its surroundings: a beat cannot be seen in less signal than this between two losses
# A lost stretch up to this long hides one beat at most, and what is seen around it shows whether there are others; from
# a longer one on it is not known what the heart does.
HIDING_S = 0.5
WATCHED_S = 60.0  # lost moments are kept for so long


class StandstillWatch:
    """Counts the seconds of signal that is there since the last thing that may be a beat.

    Attributes
    ----------
    hidden_s
        The end of the last lost stretch that may hide several beats; -inf if there was none since the last beat.
    since_s
        That end, or the last thing that may be a beat, whichever was later.
    clear_s
        Seconds of signal since then in which a beat would be seen.

    """

    def __init__(self) -> None:
        self._lost_s: Float64 = np.zeros(0)  # moments without an analysable lead, ascending
        self._decided_s = 0.0  # those before are decided
        self.hidden_s = -np.inf
        self.since_s = self.clear_s = 0.0

    def step(self, *, found_s: float, lost_s: Float64, until_s: float, watched_s: float) -> None:
        """Take what was found at a hop.

        Parameters
        ----------
        found_s
            The last thing that may be a beat, seconds; -inf if there was none.
        lost_s
            Moments without an analysable lead since the hop before, shape (n,), ascending.
        until_s, watched_s
            The end of the decided signal, and of the signal that has settled.

        """
        decided = self._lost_s[(self._lost_s < self._decided_s) & (self._lost_s >= watched_s - WATCHED_S)]
        self._lost_s, self._decided_s = np.union1d(decided, lost_s[lost_s < watched_s]), until_s
        lost_s = self._lost_s[self._lost_s > found_s]
        first = np.diff(lost_s, prepend=-np.inf) >= SEEN_S  # of each stretch in which no beat can be seen
        begin_s, end_s = lost_s[first], lost_s[np.append(first[1:], True)[: len(first)]]
        self.hidden_s = float(end_s[end_s - begin_s > HIDING_S].max(initial=-np.inf))
        self.since_s = max(found_s, self.hidden_s, watched_s - WATCHED_S, 0.0)
        hidden = begin_s > self.since_s
        self.clear_s = watched_s - self.since_s - float((end_s - begin_s)[hidden].sum())
