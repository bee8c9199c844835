"""How unlike its training recordings a recording is to a model: in how many of its beats the class is doubtful.

Where a recorder, a lead or a patient shows a model what it did not learn, its likeliest class is less probable
(Hendrycks 2017, doi:10.48550/arXiv.1610.02136), and the mean over a recording follows its errors (Guillory 2021,
doi:10.48550/arXiv.2107.03315). Of what was tried, which the model card lists, the share of beats below one probability
ranks unknown recordings best by their errors; the distance of the network's tokens from those of the training does not
come near. What a model is wrong about without doubt is not seen by it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from ..certainty import DomainShift
from ..schema import Analysis, Beats

DOUBTFUL: Final = 0.9  # a beat whose likeliest class is less probable is doubtful; .6 to .99 were tried
LEAST_BEATS: Final = 200  # analysable ones, three minutes: of fewer, a share says little


def domain_shift(analysis: Analysis) -> DomainShift | None:
    """How far a recording lies from what its model knows; None where it has too few analysable beats.

    Measured from the beats as the model classifies them, fine-tuned or not, before rules and reader labels.
    """
    share = doubtful_share(analysis.predicted)
    if share is None:
        return None
    domain = analysis.model.domain
    return DomainShift(share, domain.limit if domain else None)


def doubtful_share(predicted: Beats) -> float | None:
    """Share of the analysable beats whose class is doubtful; None of too few beats.

    Parameters
    ----------
    predicted
        Beats with the probabilities of the model, not calibrated.

    """
    probability = predicted.probability[predicted.usable]
    if len(probability) < LEAST_BEATS:
        return None
    return float(np.mean(probability.max(axis=1) < np.float32(DOUBTFUL)))
