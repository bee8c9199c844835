"""Whether a model should learn from a reader's labels: what cross-validation on them found, and the decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .labels import CLASSES

OUTPUT_NAMES: Final = (*CLASSES, "no beat")  # of what a label can say

MOST_CHANGED: Final = 0.20
LEAST_FOLD_AGREEMENT: Final = 0.60


@dataclass(frozen=True)
class LearningCheck:
    """What learning from the labelled beats of a patient does to held-out labels and to other beats.

    Counts by class are in the order of OUTPUT_NAMES.
    """

    n_labels: int
    held_out: tuple[int, ...] = ()  # labels that were held out and classified, by class; none where that is impossible
    right_before: tuple[int, ...] = ()  # of these, classified as the reader did by the model as it was
    right_after: tuple[int, ...] = ()  # and by the model that learned from the other labels
    n_others: int = 0  # beats without a label that were classified too, all over the record
    n_changed: int = 0  # of these, whose class changes
    fold_agreement: float = 1.0  # how often the models of the folds agree with the final one on these, 0..1

    @property
    def n_held_out(self) -> int:
        """How many labels were held out and classified."""
        return sum(self.held_out)

    @property
    def changed(self) -> float:
        """The part of the other beats whose class changes, 0..1."""
        return self.n_changed / self.n_others if self.n_others else 0.0

    @property
    def problem(self) -> str:
        """Why the model should not learn from these labels, as a sentence; empty where it should."""
        if not self.held_out:
            return (
                f"{self.n_labels} labels lie too close together to be checked against each other; expected labels in "
                "at least three stretches of about a minute."
            )
        if sum(self.right_after) < sum(self.right_before):
            return f"held-out labels agree less often: {sum(self.right_before)} of {self.n_held_out} before, {sum(self.right_after)} after."
        return ""
