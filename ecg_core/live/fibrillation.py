"""Whether the last seconds of a stream show ventricular fibrillation, also where no beats can be told apart."""

from __future__ import annotations

from ..rhythm.danger import CERTAIN, SUSPECTED
from ..schema import Float32
from ..signals.filters import FS_HZ
from .alarm_lines import VF, VF_SUSPECTED

SEEN_S = 4.0  # of signal that one judgement rests on
SEEN_SAMPLES = int(SEEN_S * FS_HZ)
# The probability rises when about half of what is seen fibrillates. With another two seconds the rhythm has lasted the
# four seconds of its definition, and with the second that has not settled it is announced six to eight after its onset.
LATE_S = SEEN_S / 2
RAISE_S = 2.0
OVER_S = 3.0  # so long without suspicion ends it: coarse waves become fine for a second or two


def vf_probability(signal_mv: Float32, *, amplitude_mv: Float32, score: Float32) -> float:
    """Probability of ventricular fibrillation or flutter in the lead that shows it most clearly, 0 .. 1.

    Nothing is judged yet: always 0.

    Parameters
    ----------
    signal_mv
        The last SEEN_S of the clean leads that hold a signal, (n_leads, SEEN_SAMPLES), at 125 Hz.
    amplitude_mv
        Usual amplitude of each lead, (n_leads,).
    score
        Quality of each lead over the last ten seconds, (n_leads,), 0 .. 1: how clearly beats stand out.

    """
    return 0.0


class FibrillationWatch:
    """Follows the probability of fibrillation: since when it is suspected, and since when it is certain."""

    def __init__(self) -> None:
        self._suspected_s: float | None = None  # since then suspected without a break, ...
        self._certain_s: float | None = None  # ... and certain
        self._clear_s: float | None = None  # since then not suspected
        self._seen_s = 0.0

    def step(self, probability: float, seen_s: float) -> None:
        """Take the probability in the seconds before ``seen_s``."""
        self._suspected_s = _since(self._suspected_s, seen_s, holds=probability >= SUSPECTED)
        self._certain_s = _since(self._certain_s, seen_s, holds=probability >= CERTAIN)
        self._clear_s = _since(self._clear_s, seen_s, holds=probability < SUSPECTED)
        self._seen_s = seen_s

    @property
    def is_suspected(self) -> bool:
        """Whether the last seconds may be fibrillation, however short."""
        return self._suspected_s is not None

    @property
    def kind(self) -> str:
        """The alarm that the last seconds call for; empty for none."""
        if self._certain_s is not None and self._seen_s - self._certain_s >= RAISE_S:
            return VF
        if self._suspected_s is not None and self._seen_s - self._suspected_s >= RAISE_S:
            return VF_SUSPECTED
        return ""

    @property
    def start_s(self) -> float:
        """When what is suspected now began, seconds."""
        return (self._seen_s if self._suspected_s is None else self._suspected_s) - LATE_S

    @property
    def over_s(self) -> float | None:
        """When fibrillation ended, if it is over."""
        if self._clear_s is None or self._seen_s - self._clear_s < OVER_S:
            return None
        return self._clear_s - LATE_S


def _since(before_s: float | None, now_s: float, *, holds: bool) -> float | None:
    """Since when something holds without a break; None where it does not."""
    return (now_s if before_s is None else before_s) if holds else None
