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
    def changed(self) -> float:
        """The part of the other beats whose class changes, 0..1."""
        return self.n_changed / self.n_others if self.n_others else 0.0

    @property
    def problem(self) -> str:
        """Why the model should not learn from these labels, as a clause; empty where it should."""
        if not self.held_out:
            return "the labels are too few or too close together to be checked against each other"
        n, before, after = map(sum, (self.held_out, self.right_before, self.right_after))
        if after < before:
            return f"of {n} held-out labels the model agrees with {after}, before with {before}"
        if self.changed > MOST_CHANGED:
            return f"{100 * self.changed:.0f} % of the other beats would change, more than {100 * MOST_CHANGED:.0f} %"
        if self.fold_agreement < LEAST_FOLD_AGREEMENT:
            return (
                f"which beats change depends on which labels it learns from: models that learned from parts of them "
                f"agree on {100 * self.fold_agreement:.0f} % of these changes"
            )
        return ""

    @property
    def sentence(self) -> str:
        """The decision with its figures."""
        if not self.held_out:
            return f"Held back: {self.problem}."
        n, before, after = map(sum, (self.held_out, self.right_before, self.right_after))
        by_class = ", ".join(
            f"{name} {b} to {a} of {of}"
            for name, of, b, a in zip(OUTPUT_NAMES, self.held_out, self.right_before, self.right_after, strict=True)
            if of
        )
        figures = (
            f"Agreement with {n} held-out labels: {before} before, {after} after ({by_class}). "
            f"{100 * self.changed:.1f} % of the other beats change; models that learned from parts of the labels agree "
            f"on {100 * self.fold_agreement:.0f} % of these changes."
        )
        return f"Held back: {self.problem}. {figures}" if self.problem else figures
