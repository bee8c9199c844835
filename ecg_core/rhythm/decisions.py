"""What rhythm makes of the network's labels: each beat was classified on its own, here they are read together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..edits import Mark
from ..labels import UNLABELLED, Codes
from ..rules import OperatingPoint, RhythmRules
from ..schema import Beats
from .basic_rhythm import settle_basic_rhythm
from .fibrillation import af_episodes, suppress_s_in_af
from .labelling import at_operating_point, set_labels
from .marks import mark_episodes
from .supraventricular import settle_supraventricular


def settle_labels(
    predicted: Beats,
    rules: RhythmRules,
    *,
    labels: Codes | None = None,
    point: OperatingPoint | None = None,
    marks: Sequence[Mark] = (),
    age_years: int | None = None,
    begins_in_tachycardia: bool = False,
) -> tuple[Beats, list[slice]]:
    """The beats as they are counted by these rules, and the episodes of atrial fibrillation as slices of them.

    Wide beats that are the basic rhythm become N; then fibrillation is found and S inside it suppressed; outside it S
    stays where it is premature or part of a tachycardia. A reader's labels always stay. Fibrillation is found among the
    classes as the network gives them: it does not depend on how readily beats are called V or S.

    Parameters
    ----------
    labels
        Class of each beat that a reader labelled, UNLABELLED for the others, shape (n_beats,); None for no reader.
    point
        The operating point by which beats are called V or S; None for the network's own.
    marks
        Stretches that a reader marked as one rhythm.
    age_years, begins_in_tachycardia
        See ``settle_supraventricular``.

    """
    labels = np.full(len(predicted), UNLABELLED) if labels is None else labels
    beats = _basic_rhythm(predicted, rules, labels)
    episodes = mark_episodes(af_episodes(beats, rules), beats, marks)
    if (at_point := at_operating_point(predicted, point)) is not predicted:
        beats = _basic_rhythm(at_point, rules, labels)
    beats = settle_supraventricular(
        suppress_s_in_af(beats, episodes),
        episodes,
        rules,
        age_years=age_years,
        begins_in_tachycardia=begins_in_tachycardia,
    )
    return set_labels(beats, labels), episodes


def _basic_rhythm(beats: Beats, rules: RhythmRules, labels: Codes) -> Beats:
    """The beats with a reader's labels, and N where wide beats are the basic rhythm."""
    return set_labels(settle_basic_rhythm(set_labels(beats, labels), rules), labels)
