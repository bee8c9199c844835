"""Whether a model should learn from a reader's labels: what cross-validation on them found, and the decision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from .labels import OUTPUT_NAMES

ECTOPIC: Final = ("S", "V", "F")

# Chosen on svdb's 38 records outside the test set; ``python -m benchmarks.learning`` measures what they cost and avert.
LEAST_AGREEMENT: Final = 0.5  # with held-out labels, after learning: labels that contradict each other reach less
MOST_CHANGED: Final = 0.20  # of the other beats: more than a patient's ectopic beats usually are
LEAST_FOLD_AGREEMENT: Final = 0.60  # below, chance decides which beats change
MOST_LOST: Final = 0.5  # of the beats of an ectopic class, where no label is of this class ...
FEW_LOST: Final = 4  # ... unless they are no more than these ...
ENOUGH_AGAINST: Final = 5  # ... or so many labels contradict it: of a class mostly right, all five do in 3 %


@dataclass(frozen=True)
class LearningCheck:
    """What learning from the labelled beats of a patient does to held-out labels and to other beats.

    Counts by class are in the order of OUTPUT_NAMES.
    """

    n_labels: int
    held_out: tuple[int, ...] = ()  # labels that were held out and classified, by class; none where that is impossible
    said_before: tuple[int, ...] = ()  # their classes by the model as it was
    right_before: tuple[int, ...] = ()  # of these, classified as the reader did by the model as it was
    right_after: tuple[int, ...] = ()  # and by the model that learned from the other labels
    others_before: tuple[int, ...] = ()  # beats without a label, all over the record, by their class as it was
    others_after: tuple[int, ...] = ()  # and by the model that learned from all labels
    n_changed: int = 0  # of these, whose class changes
    fold_agreement: float = 1.0  # how often the models of the folds agree with the final one on these, 0..1
    held_back_to: int | None = None  # labels that the model had learned from before, where it was left at that

    @property
    def n_fitted(self) -> int:
        """How many labels the model learned from in the end."""
        return self.n_labels if self.held_back_to is None else self.held_back_to

    @property
    def changed(self) -> float:
        """The part of the other beats whose class changes, 0..1."""
        return self.n_changed / sum(self.others_before) if any(self.others_before) else 0.0

    @property
    def problem(self) -> str:
        """Why the model should not learn from these labels, as a clause; empty where it should."""
        if not self.held_out:
            return "the labels are too few or too close together to be checked against each other"
        return next(self._problems(), "")

    def _problems(self) -> Iterator[str]:
        n, before, after = map(sum, (self.held_out, self.right_before, self.right_after))
        if after < before:
            yield f"the model would agree with {after} of {n} held-out labels, and agrees with {before} as it is"
        if after < LEAST_AGREEMENT * n:
            yield f"the model would agree with no more than {after} of {n} held-out labels: they contradict each other"
        if before == after == n:
            yield f"the model agrees with all {n} held-out labels as it is, so there is nothing to learn from them"
        for label, known, against, old, new in zip(
            OUTPUT_NAMES, self.held_out, self.said_before, self.others_before, self.others_after, strict=True
        ):
            is_lost = label in ECTOPIC and old - new > max(FEW_LOST, MOST_LOST * old)
            if is_lost and not known and against < ENOUGH_AGAINST:
                yield (
                    f"{old - new:,} of {old:,} {label} beats that were looked at would be lost, and too few labels say "
                    f"what {label} is in this patient: label some of them"
                )
        if self.changed > MOST_CHANGED:
            yield f"{100 * self.changed:.0f} % of the other beats would change, more than {100 * MOST_CHANGED:.0f} %"
        if self.fold_agreement < LEAST_FOLD_AGREEMENT:
            yield "which beats change depends on which of the labels the model learns from"

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
            f"Before the rules, {100 * self.changed:.1f} % of the other beats change; models that learned from parts "
            f"of the labels agree on {100 * self.fold_agreement:.0f} % of these changes."
        )
        return f"Held back: {self.problem}. {figures}" if self.problem else figures
