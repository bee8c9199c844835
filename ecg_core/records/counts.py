"""Leads as whole numbers of 16 bits, for the forms of copies that hold such."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..schema import Float32, Record
from .units import ASSUMED_PER_MV

UV_PER_MV = 1000.0
LIMIT = 32_000  # counts that a step is chosen for
MISSING = -32_768  # the count of a sample that was not recorded


class Counts(NamedTuple):
    """Samples of a record as they are written."""

    samples: NDArray[np.int16]  # (n, n_leads), MISSING where nothing was recorded
    step_uv: tuple[float | None, ...]  # microvolts of a count, per lead; None where the record states no gain


def counts_of(record: Record, rows: Callable[[int], Float32], *, whole_nv: bool = False) -> Counts:
    """All leads in steps of a microvolt, or coarser where 16 bits would not hold the signal.

    One lead at a time is in memory as floats. A lead without a stated gain is written as the counts that it was read
    from.

    Parameters
    ----------
    whole_nv
        Whether a step has to be a whole number of nanovolts.

    """
    columns, steps = [], list[float | None]()
    for lead, stated in enumerate(record.calibrated):
        row = rows(lead)
        step_uv = max(1.0, UV_PER_MV * float(np.nanmax(np.abs(row), initial=0.0)) / LIMIT)
        step_uv = float(np.ceil(step_uv * 1000) / 1000) if whole_nv else float(f"{step_uv:.6g}")
        per_mv = UV_PER_MV / step_uv if stated else ASSUMED_PER_MV
        counts = np.clip(np.rint(np.nan_to_num(row) * np.float32(per_mv)), 1 - 32_768, 32_767)
        columns.append(np.where(np.isnan(row), MISSING, counts).astype("<i2"))
        steps.append(step_uv if stated else None)
    return Counts(np.stack(columns, axis=1), tuple(steps))
