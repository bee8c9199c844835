"""The sensitivity that an analysis was made with, in one line with its figures, as every report prints it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ..rules import BALANCED, SENSITIVITIES, OperatingPoint
from ..schema import Analysis


def point_of(analysis: Analysis) -> OperatingPoint | None:
    """Its operating point; None where the model states none, which can only be balanced."""
    return analysis.model.operating_points_of(len(analysis.usual_leads)).get(analysis.rules.sensitivity)


def sensitivity_text(analysis: Analysis) -> str:
    """The mode with its figures."""
    point = point_of(analysis)
    mode = SENSITIVITIES[analysis.rules.sensitivity]
    return point.text if point else f"{mode}: model {analysis.model.name} states no figures for it"


def chosen_sensitivity(analysis: Analysis) -> tuple[str, ...]:
    """The mode with its figures, where a reader chose another one than balanced."""
    return () if analysis.rules.sensitivity == BALANCED else (sensitivity_text(analysis),)


def sensitivity_content(analysis: Analysis) -> dict[str, Any]:
    """The mode with its figures, for programs; the figures are null where the model states none."""
    point = point_of(analysis)
    return {
        "mode": analysis.rules.sensitivity,
        "text": sensitivity_text(analysis),
        "operating_point": asdict(point) if point else None,
    }
