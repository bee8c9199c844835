"""Whether probabilities and intervals say what is true: said against right, and how many burdens lie inside."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ..labels import CLASSES, UNLABELLED, Codes, class_codes
from ..schema import Analysis, Annotations, Beats, Float64, FrozenArrays

JUDGED: Final = ("N", "S", "V")  # F and Q are too rare
N_BINS: Final = 10  # of probability, of equal width
MIN_BEATS: Final = 200  # of a bin, that its share of right beats is known to a few per cent
DECIMALS = 4


@dataclass(frozen=True)
class BurdenInterval:
    """A burden with its interval and the reference's, in per cent of the beats."""

    label: str
    found_pct: float
    low_pct: float
    high_pct: float
    reference_pct: float  # NaN without reference beats

    @property
    def is_covered(self) -> bool:
        """Whether the reference lies in the interval, to the hundredth that is printed."""
        low, high = round(self.low_pct, 2), round(self.high_pct, 2)
        return bool(low <= round(self.reference_pct, 2) <= high)


@dataclass(frozen=True, eq=False)
class Trust(FrozenArrays):
    """How far what an analysis says of itself is true."""

    said: (
        Float64  # (n_judged, n_bins, 3): beats in each bin of probability, sum of the probabilities, beats of the class
    )
    burdens: tuple[BurdenInterval, ...]  # of V and of S


def measure_trust(analysis: Analysis, marks: Annotations) -> Trust:
    """Compare the probabilities of all analysable beats, and the intervals of the burdens, with the reference."""
    beats = analysis.beats
    known = class_codes(marks.symbol)
    known = known[known != UNLABELLED]
    burdens = tuple(
        BurdenInterval(
            ectopy.label,
            ectopy.burden_pct,
            *ectopy.interval_pct,
            float(100 * np.mean(known == CLASSES.index(ectopy.label))) if len(known) else float("nan"),
        )
        for ectopy in (analysis.burden.v, analysis.burden.s)
    )
    return Trust(said_and_right(beats, marks.codes_at(beats.time_s)), burdens)


def said_and_right(beats: Beats, code: Codes) -> Float64:
    """``Trust.said`` of the usable beats, whose reference classes are ``code``; UNLABELLED is of no class."""
    said = np.zeros((len(JUDGED), N_BINS, 3))
    for row, label in enumerate(JUDGED):
        p = beats.probability[beats.usable, CLASSES.index(label)].astype(np.float64)
        is_class = code[beats.usable] == CLASSES.index(label)
        within = np.minimum((p * N_BINS).astype(np.int64), N_BINS - 1)
        for column, weights in enumerate((np.ones(len(p)), p, is_class)):
            said[row, :, column] = np.bincount(within, weights=weights, minlength=N_BINS)
    return said


def summarise_trust(trusts: Iterable[Trust]) -> dict[str, Any]:
    """Bins of at least MIN_BEATS with what was said and what was right, and the share of burdens covered, by class."""
    trusts = list(trusts)
    total = np.sum([trust.said for trust in trusts], axis=0)
    bins = {
        label: [
            {"beats": int(n), "said": round(p / n, DECIMALS), "right": round(right / n, DECIMALS)}
            for n, p, right in rows.tolist()
            if n >= MIN_BEATS
        ]
        for label, rows in zip(JUDGED, total, strict=True)
    }
    covered = {}
    for label in "VS":
        burdens = [burden for trust in trusts for burden in trust.burdens if burden.label == label]
        judged = [burden for burden in burdens if np.isfinite([burden.low_pct, burden.reference_pct]).all()]
        widths = [burden.high_pct - burden.low_pct for burden in judged]
        covered[label] = {
            "records": len(judged),
            "covered": sum(burden.is_covered for burden in judged),
            "median_width_points": round(float(np.median(widths)), DECIMALS) if widths else None,
        }
    return {"reliability": bins, "coverage": covered}
