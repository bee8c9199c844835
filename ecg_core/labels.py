"""Beat classes of ANSI/AAMI EC57: from WFDB symbols to classes, and how a class is named and coloured everywhere."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]  # a class as an index into CLASSES, or UNLABELLED

CLASSES: Final = ("N", "S", "V", "F", "Q")
NO_BEAT: Final = len(CLASSES)  # what the network says of a candidate that is noise; never a label of a beat
MATCH_WINDOW_S: Final = 0.150  # EC57: marks further apart than this are of different beats
UNLABELLED: Final = -100  # a beat whose class is not known; what torch's cross_entropy ignores

# ANSI/AAMI EC57 with n and B among the normal beats (the list of de Chazal 2004 leaves both out);
# r, an R-on-T premature ventricular beat, is ventricular.
AAMI_OF_SYMBOL: Final[dict[str, str]] = {
    **dict.fromkeys("NLRejnB", "N"),
    **dict.fromkeys("AaJS", "S"),
    **dict.fromkeys("VEr", "V"),
    "F": "F",
    **dict.fromkeys("/fQ?", "Q"),
}

# The WFDB symbol that stands for a class in an annotation file that we write.
SYMBOL_OF_CLASS: Final = {"N": "N", "S": "S", "V": "V", "F": "F", "Q": "Q"}

NAME: Final = {
    "N": "Normal",
    "S": "Supraventricular ectopic",
    "V": "Ventricular ectopic",
    "F": "Fusion",
    "Q": "Unclassifiable",
}

# Okabe & Ito's palette, which stays apart for colour-blind readers, on white and on dark grey alike.
COLOUR: Final = {"N": "#7A8B99", "S": "#0072B2", "V": "#D55E00", "F": "#CC79A7", "Q": "#E0A800"}


def class_codes(symbol: NDArray[np.str_]) -> Codes:
    """Class of each WFDB symbol, shape (n,); UNLABELLED where the symbol is no beat."""
    code_of = {name: CLASSES.index(label) for name, label in AAMI_OF_SYMBOL.items()}
    return np.array([code_of.get(name, UNLABELLED) for name in symbol.tolist()], dtype=np.int64)
