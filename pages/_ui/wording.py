"""Numbers and counts as the pages write them."""

import math

NONE = "–"  # stands for a value that there is not


def number(value: float, decimals: int = 0, unit: str = "") -> str:
    """A number with its unit, or a dash where it is not finite."""
    return f"{value:,.{decimals}f}{unit}" if math.isfinite(value) else NONE


def plural(n: int, noun: str) -> str:
    """A count of things."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
