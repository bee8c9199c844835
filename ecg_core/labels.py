"""Beat classes of ANSI/AAMI EC57: the WFDB symbols of each class, its name and its colour."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]  # a class as an index into CLASSES, or UNLABELLED

CLASSES: Final = ("N", "S", "V", "F", "Q")
NO_BEAT: Final = len(CLASSES)  # the network's sixth output: a candidate that is noise; never the label of a beat
OUTPUT_NAMES: Final = (*CLASSES, "no beat")  # of what a label can say
NOT_A_BEAT: Final = "|"  # WFDB: an isolated artefact that looks like a QRS; of a beat that a reader deleted
MATCH_WINDOW_S: Final = 0.150  # EC57: annotations further apart than this belong to different beats
SAME_BEAT_S: Final = 0.05  # a beat that a reader inserts nearer than this to another one is that one
UNLABELLED: Final = -100  # a beat of unknown class; the value that torch's cross_entropy ignores

# ANSI/AAMI EC57 with n and B among the normal beats (the list of de Chazal 2004 leaves both out);
# r, an R-on-T premature ventricular beat, is ventricular.
AAMI_OF_SYMBOL: Final[dict[str, str]] = {
    **dict.fromkeys("NLRejnB", "N"),
    **dict.fromkeys("AaJS", "S"),
    **dict.fromkeys("VEr", "V"),
    "F": "F",
    **dict.fromkeys("/fQ?", "Q"),
}

# The WFDB symbol of each class in the annotation files that are written.
SYMBOL_OF_CLASS: Final = {"N": "N", "S": "S", "V": "V", "F": "F", "Q": "Q"}

NAME: Final = {
    "N": "Normal",
    "S": "Supraventricular ectopic",
    "V": "Ventricular ectopic",
    "F": "Fusion",
    "Q": "Unclassifiable",
}

# From Okabe & Ito's palette: distinct for colour-blind readers, on white and on dark grey.
COLOUR: Final = {"N": "#7A8B99", "S": "#0072B2", "V": "#D55E00", "F": "#CC79A7", "Q": "#E0A800"}

# The same hues for letters, which need a contrast of 4.5:1 (WCAG 2.2, 1.4.3) to the page behind them.
COLOUR_ON_LIGHT: Final = {"N": "#5A6A77", "S": "#0069A6", "V": "#B84A00", "F": "#A8487F", "Q": "#8A6700"}
COLOUR_ON_DARK: Final = {"N": "#9DB0BF", "S": "#56B4E9", "V": "#F28A3C", "F": "#E39AC4", "Q": "#E0B400"}


def most_probable(score: NDArray[np.floating[Any]], usable: NDArray[np.bool_]) -> NDArray[np.str_]:
    """The class with the highest score of each beat, Q where it is not usable; (n, n_classes) and (n,) -> (n,)."""
    return np.where(usable, np.array(CLASSES)[score.argmax(axis=1)], "Q")


def class_codes(symbol: NDArray[np.str_]) -> Codes:
    """Class of each WFDB symbol, shape (n,); UNLABELLED where the symbol is no beat."""
    code_of = {name: CLASSES.index(label) for name, label in AAMI_OF_SYMBOL.items()}
    return np.array([code_of.get(name, UNLABELLED) for name in symbol.tolist()], dtype=np.int64)


def nearest(known_s: NDArray[np.float64], time_s: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Position of the known time nearest to each time, and its distance, both (n,); ``known_s`` ascends, one at least.

    Of two that are equally near, the earlier one is taken.
    """
    after = np.searchsorted(known_s, time_s)
    neighbours = np.clip([after - 1, after], 0, len(known_s) - 1)
    distance_s = np.abs(known_s[neighbours] - time_s)
    return neighbours[distance_s.argmin(axis=0), np.arange(len(time_s))], np.asarray(distance_s.min(axis=0))
