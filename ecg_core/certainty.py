"""What a result says of its own certainty and of what it rests on, as frozen dataclasses; ``report`` words it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

AF: Final = "AF"
NO_AF: Final = "no AF"
NOT_KNOWN: Final = "cannot be said"
AF_ANSWERS: Final = (AF, NO_AF, NOT_KNOWN)


@dataclass(frozen=True)
class AfVerdict:
    """Whether a short recording as a whole is atrial fibrillation; see ``rhythm.short_recordings``."""

    answer: str  # one of AF_ANSWERS
    reason: str  # what the answer rests on, or why there is none
    probability: float | None  # of AF over the whole recording, by the network; None where it gave none


@dataclass(frozen=True)
class ReplacedLead:
    """A stretch in which another lead was analysed, as the usual ones could not be; see ``classifier.replacement``."""

    lead: str  # the other one
    start_s: float
    end_s: float
    no_signal: bool  # of the usual leads: all were flat or missing, and not only too noisy


@dataclass(frozen=True)
class SDoubt:
    """How uncertain the count of S is in a recording; see ``rhythm.doubt``."""

    score: float  # 0 .. 1
    reasons: tuple[str, ...]  # in plain words, the weightiest first


@dataclass(frozen=True)
class TrainingDomain:
    """How often a model doubts the class of a beat in the recordings that it learned from; kept in its spec."""

    limit: float  # share of doubtful beats; one of these recordings in a hundred has more
    median: float
    n_recordings: int  # long enough to be measured
    recipe: str  # the command that fitted it


@dataclass(frozen=True)
class DomainShift:
    """How far a recording lies from what a model knows; see ``rhythm.domain_shift``."""

    doubtful_share: float  # of the analysable beats, 0 .. 1
    limit: float | None  # see ``TrainingDomain``; None for a model whose training recordings were not measured

    @property
    def is_unlike(self) -> bool:
        """Whether the recording is stated as unlike the training recordings."""
        return self.limit is not None and self.doubtful_share > self.limit


@dataclass(frozen=True)
class Calibration:
    """What a model's probabilities mean in patients that it was not trained on; see ``rhythm.uncertainty``."""

    slope: tuple[float, ...]  # of each class, by which the logarithm of its probability is multiplied ...
    offset: tuple[float, ...]  # ... and what is added to it
    v_spread: tuple[float, float]  # between patients, of the share of V: floor, and factor of the doubt
    s_spread: tuple[float, float]  # the same of S
    n_patients: int  # whom these numbers were fitted to
    fitted_on: tuple[str, ...]  # databases of these patients
    recipe: str  # the command that fitted it
