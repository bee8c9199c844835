"""Templates of beats as small cards, in numbers that a browser draws: 24 cards take a quarter of a megabyte."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..labels import CLASSES
from ..morphology.templates import RR_EDGES_S, UNUSABLE, Shape, Template
from ..morphology.waveforms import OFFSET_S, STEP_S
from ..report.measures import percent_text
from ..schema import Float32, Float64

MAX_LINES = 90  # drawn of a card, in all its leads together
OUTLIERS_PCT = 0.5  # percentage of the samples that may lie outside the cards, at either end
MIN_SPAN_MV = 1.0
SPARE = 0.06  # of the span, left free above and below
N_LEVELS: Final = 255  # a sample is one byte
BAR_LEVELS = 100  # of the highest bar


def template_cards(templates: Sequence[Template], lead_names: tuple[str, ...]) -> dict[str, Any]:
    """Cards of templates, all on the same scale of mV in each lead, as template_cards.js takes them.

    Samples are bytes in base64: card by card, beat by beat, lead by lead, from ``low_mv`` to ``high_mv``.
    """
    clear = [template for template in templates if template.name != UNUSABLE] or templates  # noise sets no scale
    n_lines = max(1, MAX_LINES // max(1, len(lead_names)))
    drawn = [_evenly(template.shape.overlaid_mv, n_lines) for template in templates]
    low_mv, high_mv = _span_mv([template.shape for template in clear], len(lead_names))
    return {
        "leads": list(lead_names), "points": len(OFFSET_S), "first_s": float(OFFSET_S[0]), "step_s": STEP_S,
        "low_mv": low_mv.tolist(), "high_mv": high_mv.tolist(),
        "rr_s": [float(RR_EDGES_S[0]), float(RR_EDGES_S[-1])],
        "cards": [
            _card(template) | {
                "lines": _encoded(lines, low_mv, high_mv),
                "mean": _encoded(template.shape.mean_mv[None], low_mv, high_mv) if len(lines) else "",
            }
            for template, lines in zip(templates, drawn, strict=True)
        ],
    }  # fmt: skip


def _card(template: Template) -> dict[str, Any]:
    """What a card says, in words and numbers."""
    n = len(template.index)
    others = [f"{count:,} {label}" for label, count in zip(CLASSES, template.count.tolist(), strict=True) if count]
    of_class = f"{percent_text(100 * template.share_of_class, 1)} of {template.label}"
    bars = np.rint(BAR_LEVELS * template.rr_count / max(1, int(template.rr_count.max(initial=0)))).astype(int)
    return {
        "name": template.name, "label": template.label, "hidden": template.is_hidden,
        "was": template.made_label if template.made_label not in ("", template.label) else "",
        "n": n, "doubt": round(template.doubt, 1), "rr": bars.tolist(),
        "share": percent_text(100 * template.share_of_all, 1),
        "of_class": of_class if template.share_of_class else "not counted",
        "mixed": ", ".join(others) if len(others) > 1 else "",
    }  # fmt: skip


def _evenly(lines: Float32, n_most: int) -> Float32:
    return lines[np.unique(np.linspace(0, len(lines) - 1, n_most).astype(int))] if len(lines) else lines


def _span_mv(shapes: Sequence[Shape], n_leads: int) -> tuple[Float64, Float64]:
    """Lowest and highest mV of each lead, shapes (n_leads,); single outliers may lie outside, the means do not."""
    lines = [np.zeros((1, n_leads, len(OFFSET_S)), dtype=np.float32), *(shape.overlaid_mv for shape in shapes)]
    low, high = np.percentile(np.concatenate(lines), [OUTLIERS_PCT, 100 - OUTLIERS_PCT], axis=(0, 2))
    means = [shape.mean_mv for shape in shapes if len(shape.overlaid_mv)]
    if means:
        low, high = np.minimum(low, np.min(means, axis=(0, 2))), np.maximum(high, np.max(means, axis=(0, 2)))
    spare = np.maximum(SPARE * (high - low), (MIN_SPAN_MV - (high - low)) / 2)
    return np.asarray(low - spare), np.asarray(high + spare)


def _encoded(lines: Float32, low_mv: Float64, high_mv: Float64) -> str:
    """Waveforms, shape (n, n_leads, n_points), as base64 of a byte each."""
    level = N_LEVELS * (lines - low_mv[:, None]) / (high_mv - low_mv)[:, None]
    levels: NDArray[np.uint8] = np.rint(np.clip(level, 0, N_LEVELS)).astype(np.uint8)
    return base64.b64encode(levels.tobytes()).decode()
