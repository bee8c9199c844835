"""Numbers and counts as the pages write them."""

import math

from ecg_core.report.measures import percent_text
from ecg_core.text import plural

__all__ = ["NONE", "bytes_text", "number", "percent", "plural"]

THOUSAND = 1000
NONE = "–"  # stands for a value that there is not


def number(value: float, decimals: int = 0, unit: str = "") -> str:
    """A number with its unit, or a dash where it is not finite."""
    return f"{value:,.{decimals}f}{unit}" if math.isfinite(value) else NONE


def percent(value: float) -> str:
    """A percentage with one decimal, or a dash where it is not finite; what is there is never printed as zero."""
    return percent_text(value, 1) if math.isfinite(value) else NONE


def bytes_text(n_bytes: int) -> str:
    """A size of files in kB, MB or GB."""
    size = n_bytes / 1e3
    for unit in ("kB", "MB"):
        if size < THOUSAND:
            return f"{size:,.{0 if size >= 10 else 1}f} {unit}"
        size /= THOUSAND
    return f"{size:,.1f} GB"
