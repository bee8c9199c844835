"""What a model's training recordings are like to it, by which a recording is stated as unlike them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np

from ..certainty import TrainingDomain
from ..classifier.model import Model
from ..pipeline import analyse
from ..rhythm.domain_shift import doubtful_share
from ..rhythm.short_recordings import SHORT_S
from ..schema import Record

TYPICAL: Final = 0.99  # share of the training recordings that are not unlike themselves
LEAST_RECORDINGS: Final = 20  # of fewer, their extreme is a matter of chance
DECIMALS: Final = 4


def fit_domain(
    model: Model,
    records: Iterable[Record],
    *,
    recipe: str = "",
    report: Callable[[str], None] = lambda line: None,
) -> TrainingDomain | None:
    """Measure the recordings that a model learned from, for ``ModelSpec.domain``; None where too few can be measured.

    They are analysed as others will be later, by their default leads: the model is best the one that serves, in 8-bit
    integers if it has them. Recordings of up to a minute are left out. ``report`` gets a line about each other one.

    Examples
    --------
    >>> from ecg_core import load_model, read_record
    >>> fit_domain(load_model(), [read_record("demo_data/demo")]) is None
    True

    """
    shares = []
    for record in records:
        if record.duration_s <= SHORT_S:  # it cannot hold beats enough
            continue
        share = doubtful_share(analyse(record, model).predicted)
        report(f"{record.record_id}: " + ("too few beats" if share is None else f"doubtful {share:.4f}"))
        shares += [] if share is None else [share]
    return training_domain(shares, recipe=recipe)


def training_domain(shares: Sequence[float], *, recipe: str = "") -> TrainingDomain | None:
    """The domain by the shares of doubtful beats in the training recordings; None of fewer than LEAST_RECORDINGS.

    The limit is itself the share of one of them, so that of fewer than a hundred none lies above it.
    """
    if len(shares) < LEAST_RECORDINGS:
        return None
    limit = float(np.quantile(shares, TYPICAL, method="higher"))
    rounded_up = float(np.ceil(limit * 10**DECIMALS) / 10**DECIMALS)
    return TrainingDomain(rounded_up, round(float(np.median(shares)), DECIMALS), len(shares), recipe)
