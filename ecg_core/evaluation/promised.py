"""The figures that this project promises for a published database, beside which measured ones are shown.

They are aims and were not measured by this program: the signals of INCART were not at hand where its models were made.
"""

from __future__ import annotations

from typing import Final

# By database, and by the lasting names of the statistics of EC57, as 0..1. They hold after adaptation to the database,
# on the records of its test split, whose patients were not learned from, for the beats that the program detects, gross
# over all beats.
PROMISED: Final[dict[str, dict[str, float]]] = {
    "incartdb": {
        "accuracy": 0.955,  # of the matched beats of all five classes, those that got the reference's class
        "v_se": 0.96,  # recall: of the reference's V, those that were called V
        "v_ppv": 0.94,  # precision: of the beats that were called V, those that are V
    },
}
