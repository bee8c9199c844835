"""The lanes of a strip above and below its paper: beat labels with RR, reference annotations, attention."""

from __future__ import annotations

from typing import Final

import numpy as np
import plotly.graph_objects as go

from ..clock import clock_text
from ..evaluation.comparison import ABSENT, Disagreements
from ..labels import COLOUR, NAME
from ..schema import Analysis, Record
from ..text import plain_html
from .paper import Scale
from .theme import HIDDEN, Theme

LABEL_PX, RR_PX, REFERENCE_PX, ATTENTION_PX, CLOCK_PX = 20, 16, 20, 14, 22
UNCOUNTED = "–"  # the label of a beat in signal that is not analysable
PLAIN: Final = ("N", UNCOUNTED)  # labels that are not bold
LABEL_SIZE, SELECTED_SIZE = 13, 17  # of the font
RR_TEXT_MIN_MM = 9.0  # a narrower RR has no room for its number between the labels
LEGIBLE_TOP = 1.5  # times uniform; below it, the numbers at the top of the colour bar would overlap
AXIS_TEXT: Final = {"y2": "", "y3": "ref.", "y4": "att."}  # of each lane but the paper


def lane_heights_px(paper_px: float, *, has_reference: bool, has_attention: bool) -> dict[str, float]:
    """Height of each lane of a strip from the top down, by the name of its axis."""
    lanes: dict[str, float] = {"y2": LABEL_PX + RR_PX, "y": paper_px}
    if has_reference:
        lanes["y3"] = REFERENCE_PX
    if has_attention:
        lanes["y4"] = ATTENTION_PX
    return lanes


def place_lanes(figure: go.Figure, lanes: dict[str, float], paper_mv: tuple[float, float]) -> None:
    """Stack the lanes without gaps, each at its height in pixels."""
    total, top = sum(lanes.values()), 1.0
    for name, height in lanes.items():
        axis = f"yaxis{name[1:]}"
        domain = (max(0.0, top - height / total), top)
        figure.update_layout({axis: {"domain": domain, "range": (0, 1), "fixedrange": True, "zeroline": False}})
        top = domain[0]
        if name != "y":
            figure.update_layout({axis: {"showgrid": False, "ticks": "", "tickvals": [0.5]}})
    figure.update_layout(
        xaxis={"anchor": "free", "position": 0},
        xaxis2={"matches": "x", "visible": False, "anchor": "y2"},
        yaxis={"range": paper_mv, "tickmode": "linear", "showticklabels": False},
        **{f"yaxis{name[1:]}": {"ticktext": [text]} for name, text in AXIS_TEXT.items()},
    )


def add_labels(figure: go.Figure, analysis: Analysis, beats: slice, *, selected: int | None, theme: Theme) -> None:
    """Write the class of each beat above it, a dash where it is not counted; each can be hovered over and clicked."""
    time_s, usable = analysis.beats.time_s[beats], analysis.beats.usable[beats]
    label = np.where(usable, analysis.beats.label[beats], UNCOUNTED).tolist()
    confidence = analysis.beats.confidence[beats].tolist()
    size = [SELECTED_SIZE if selected == beats.start + i else LABEL_SIZE for i in range(len(label))]
    is_bold = [name not in PLAIN or points == SELECTED_SIZE for name, points in zip(label, size, strict=True)]
    colour = [COLOUR.get(name, theme.faint) for name in label]
    figure.add_scatter(
        x=time_s, y=np.full(len(label), 0.72), xaxis="x2", yaxis="y2", mode="markers+text",
        text=[f"<b>{name}</b>" if bold else name for name, bold in zip(label, is_bold, strict=True)], customdata=time_s,
        textfont={"size": size, "color": colour}, textposition="middle center",
        marker={"size": 22, "opacity": 0}, selected=HIDDEN, unselected=HIDDEN,
        hovertext=[
            f"{clock_text(analysis.record, at_s, decimals=2)}<br>{_meaning(name, p)}"
            for at_s, name, p in zip(time_s.tolist(), label, confidence, strict=True)
        ],
        hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip


def _meaning(label: str, probability: float) -> str:
    if label == UNCOUNTED:
        return "not analysable; counts once you label it"
    return f"{NAME[label]}, probability {probability:.2f}"


def add_rr(figure: go.Figure, analysis: Analysis, beats: slice, *, scale: Scale, theme: Theme) -> None:
    """Write each RR in ms between its two beats, where there is room."""
    time_s, rr_s = analysis.beats.time_s[beats], analysis.beats.rr_s[beats]
    written = np.isfinite(rr_s) & (rr_s * scale.mm_per_s >= RR_TEXT_MIN_MM)
    written[:1] = False  # its middle lies before the strip
    figure.add_scatter(
        x=time_s[written] - rr_s[written] / 2, y=np.full(int(written.sum()), 0.2), xaxis="x2", yaxis="y2", mode="text",
        text=[f"{1000 * rr:.0f}" for rr in rr_s[written].tolist()], textfont={"size": 11, "color": theme.faint},
        hoverinfo="skip",
    )  # fmt: skip


def add_reference(
    figure: go.Figure, record: Record, span_s: tuple[float, float], *, low_mv: float, theme: Theme
) -> None:
    """Write the symbols of the record's annotations below the paper, and their notes on its lower edge."""
    reference = record.reference
    if reference is None:
        return
    inside = (reference.time_s >= span_s[0]) & (reference.time_s < span_s[1])
    symbols = inside & (reference.symbol != "+")  # "+" stands for a note, which is written out
    figure.add_scatter(
        x=reference.time_s[symbols], y=np.full(int(symbols.sum()), 0.5), xaxis="x2", yaxis="y3", mode="text",
        text=reference.symbol[symbols].tolist(), textfont={"size": 11, "color": theme.faint}, hoverinfo="skip",
        name="reference",
    )  # fmt: skip
    notes = inside & (reference.aux != "")
    figure.add_scatter(
        x=reference.time_s[notes], y=np.full(int(notes.sum()), low_mv), mode="text",
        text=[plain_html(note) for note in reference.aux[notes].tolist()],
        textposition="top center", textfont={"size": 11, "color": theme.text}, hoverinfo="skip", name="notes",
    )  # fmt: skip


def add_disagreements(figure: go.Figure, differ: Disagreements, span_s: tuple[float, float], *, theme: Theme) -> None:
    """Draw a box around each annotation that the analysis disagrees with."""
    inside = (differ.time_s >= span_s[0]) & (differ.time_s < span_s[1])
    figure.add_scatter(
        x=differ.time_s[inside], y=np.full(int(inside.sum()), 0.5), xaxis="x2", yaxis="y3", mode="markers",
        name="disagreement",
        marker={"size": 18, "symbol": "square-open", "color": theme.text, "line": {"width": 1.4}},
        hovertext=[
            f"reference {_format_label(reference)}, found {_format_label(found)}"
            for found, reference in zip(differ.found[inside].tolist(), differ.reference[inside].tolist(), strict=True)
        ],
        hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip


def _format_label(label: str) -> str:
    return "no beat" if label == ABSENT else label


def add_attention(figure: go.Figure, analysis: Analysis, beat: int, *, theme: Theme) -> None:
    """Draw the attention for one beat at the network's step; 1 is the level of uniform attention."""
    attention = analysis.attention
    times_uniform = attention.weight[beat].astype(np.float32) * len(attention.offset_s)
    top = max(1.0, float(times_uniform.max()))
    figure.add_heatmap(
        z=times_uniform[None], x0=float(analysis.beats.time_s[beat] + attention.offset_s[0]), dx=attention.step_s,
        y=[0.5], xaxis="x2", yaxis="y4", colorscale="Cividis", zmin=0, zmax=top, name="attention",
        hovertemplate="%{z:.2f} times the uniform level<extra></extra>",
        colorbar={
            "orientation": "h", "thickness": 8, "len": 0.34, "x": 0, "xanchor": "left", "y": 0, "yanchor": "top",
            "yref": "paper", "ypad": CLOCK_PX, "xpad": 0, "outlinewidth": 0, "tickfont": {"size": 10},
            "tickvals": [0, 1, top], "ticktext": ["0", "uniform", f"{top:.1f} x" if top > LEGIBLE_TOP else ""],
        },
    )  # fmt: skip
    figure.add_annotation(
        text="relative attention in this window", xref="paper", yref="paper", x=0.36, y=0, xanchor="left",
        yanchor="top", yshift=-(CLOCK_PX - 4), showarrow=False, font={"size": 11, "color": theme.faint},
    )  # fmt: skip
