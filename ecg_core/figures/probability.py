"""The probabilities of one beat."""

from __future__ import annotations

import plotly.graph_objects as go

from ..labels import CLASSES, COLOUR, NAME
from ..schema import Analysis
from .theme import LIGHT, Theme, blank_figure


def probability_figure(analysis: Analysis, beat: int, *, theme: Theme = LIGHT) -> go.Figure:
    """Probability of each class for one beat, as bars."""
    probability = analysis.beats.probability[beat]
    figure = blank_figure(theme, 132, (168, 40, 2, 2))
    figure.add_bar(
        x=probability, y=[f"{NAME[label]} {label}" for label in CLASSES], orientation="h", hoverinfo="skip",
        marker={"color": [COLOUR[label] for label in CLASSES]}, text=[f"{value:.2f}" for value in probability.tolist()],
        textposition="outside", cliponaxis=False, textfont={"color": theme.text},
    )  # fmt: skip
    figure.update_xaxes(range=[0, 1], visible=False)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_layout(bargap=0.35)
    return figure
