"""The lanes of a strip above and below its paper: beat labels with RR, reference annotations, attention."""

from __future__ import annotations

from typing import Final

import numpy as np
import plotly.graph_objects as go

from ..clock import clock_text
from ..evaluation.comparison import ABSENT, Disagreements
from ..labels import NAME
from ..schema import Analysis, Annotations, Float64
from ..text import plain_html
from .paper import Scale
from .theme import HIDDEN, Theme, spaced

Span = tuple[float, float]
LABEL_PX, RR_PX, REFERENCE_PX, NOTES_PX, ATTENTION_PX, CLOCK_PX = 20, 16, 20, 16, 14, 22
LABEL_AT, RR_AT = 0.72, 0.2  # heights in their common lane
STANDOFF_PX = 8  # between the name of a lane and a letter at the edge of the paper
UNCOUNTED = "–"  # the label of a beat in signal that is not analysable
PLAIN: Final = ("N", UNCOUNTED)  # labels that are not bold
LABEL_SIZE, SELECTED_SIZE = 13, 17  # of the font
LETTER_HALF_PX = 6.0  # of the widest label
CLOSE_PX, CLOSE_SIZE, CLOSE_SELECTED_SIZE = 15.0, 9, 12  # beats nearer to each other have smaller labels
RR_TEXT_MIN_MM = 9.0  # a narrower RR has no room for its number between the labels
NOTE_LETTER_PX = 7.0  # width of a letter of a note, at most
AXIS_TEXT: Final = {"y2": "", "y3": "ref.", "y4": "att.", "y5": ""}  # of each lane but the paper
LEGEND_PX = 190.0  # of the attention: its bar, and the words on either side
BAR_PX: Final = (62.0, 122.0)  # the ends of this bar within the legend
LEGEND_STEPS = 60  # colours of the bar
DISTINCT_TOP = 1.05  # times uniform; below it, all of the attention is uniform


def lane_heights_px(paper_px: float, *, has_reference: bool, has_notes: bool, has_attention: bool) -> dict[str, float]:
    """Height of each lane of a strip from the top down, by the name of its axis."""
    lanes: dict[str, float] = {"y2": LABEL_PX + RR_PX, "y": paper_px}
    if has_reference:
        lanes["y3"] = REFERENCE_PX
    if has_notes:
        lanes["y5"] = NOTES_PX
    if has_attention:
        lanes["y4"] = ATTENTION_PX
    return lanes


def place_lanes(
    figure: go.Figure, lanes: dict[str, float], paper_mv: tuple[float, float], paper_px: float, plot_px: tuple[int, int]
) -> None:
    """Stack the lanes without gaps, each as wide as the paper and at its exact height in pixels.

    Parameters
    ----------
    paper_px
        Width of the paper.
    plot_px
        Width and height of the plot inside the margins; plotly rounds them to whole pixels, so that they may be larger.

    """
    width_px, height_px = plot_px
    top_px = 0.0
    for name, lane_px in lanes.items():
        axis = f"yaxis{name[1:]}"
        domain = (max(0.0, 1 - (top_px + lane_px) / height_px), 1 - top_px / height_px)
        figure.update_layout({axis: {"domain": domain, "range": (0, 1), "fixedrange": True, "zeroline": False}})
        top_px += lane_px
        if name != "y":
            text = AXIS_TEXT[name]
            figure.update_layout(
                {
                    axis: {
                        "showgrid": False, "ticks": "", "tickvals": [LABEL_AT if name == "y2" else 0.5],
                        "ticktext": [text], "ticklabelstandoff": STANDOFF_PX,
                    }
                }
            )  # fmt: skip
    across = (0.0, paper_px / width_px)
    figure.update_layout(
        xaxis={"domain": across, "anchor": "free", "position": max(0.0, 1 - top_px / height_px)},
        xaxis2={"domain": across, "matches": "x", "visible": False, "anchor": "y2"},
        yaxis={"range": paper_mv, "tickmode": "linear", "showticklabels": False},
    )


def _kept_whole(time_s: Float64, span_s: Span, scale: Scale) -> Float64:
    """Times at which letters stand, so that one at the edge of the paper is not cut off."""
    half_s = LETTER_HALF_PX / scale.px_per_s
    return np.clip(time_s, span_s[0] + half_s, span_s[1] - half_s)


def add_labels(
    figure: go.Figure, analysis: Analysis, beats: slice, span_s: Span, *, selected: int | None, scale: Scale,
    theme: Theme,
) -> None:  # fmt: skip
    """Write the class of each beat above it, a dash where it is not counted; each can be hovered over and clicked."""
    time_s, usable = analysis.beats.time_s[beats], analysis.beats.usable[beats]
    label = np.where(usable, analysis.beats.label[beats], UNCOUNTED).tolist()
    confidence = analysis.beats.confidence[beats].tolist()
    are_close = len(time_s) > 1 and float(np.diff(time_s).min()) * scale.px_per_s < CLOSE_PX
    usual, large = (CLOSE_SIZE, CLOSE_SELECTED_SIZE) if are_close else (LABEL_SIZE, SELECTED_SIZE)
    is_selected = [selected == beats.start + i for i in range(len(label))]
    is_bold = [name not in PLAIN or chosen for name, chosen in zip(label, is_selected, strict=True)]
    figure.add_scatter(
        x=_kept_whole(time_s, span_s, scale), y=np.full(len(label), LABEL_AT), xaxis="x2", yaxis="y2",
        mode="markers+text",
        text=[f"<b>{name}</b>" if bold else name for name, bold in zip(label, is_bold, strict=True)], customdata=time_s,
        textfont={
            "size": [large if chosen else usual for chosen in is_selected],
            "color": [theme.letter.get(name, theme.faint) for name in label],
        },
        textposition="middle center",
        marker={"size": 22, "opacity": 0}, selected=HIDDEN, unselected=HIDDEN,
        hovertext=[
            f"{clock_text(analysis.record, at_s, decimals=2)}<br>{_meaning(name, p)}"
            for at_s, name, p in zip(time_s.tolist(), label, confidence, strict=True)
        ],
        hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip


def add_mark(figure: go.Figure, at_s: float, text: str, *, theme: Theme) -> None:
    """Write a text above a beat."""
    figure.add_scatter(
        x=[at_s], y=[LABEL_AT], xaxis="x2", yaxis="y2", mode="text", text=[f"<b>{plain_html(text)}</b>"],
        textfont={"size": LABEL_SIZE, "color": theme.text}, hoverinfo="skip", name="mark",
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
        x=time_s[written] - rr_s[written] / 2, y=np.full(int(written.sum()), RR_AT), xaxis="x2", yaxis="y2",
        mode="text",
        text=[f"{1000 * rr:.0f}" for rr in rr_s[written].tolist()], textfont={"size": 11, "color": theme.faint},
        hoverinfo="skip",
    )  # fmt: skip


def notes_within(reference: Annotations | None, span_s: Span) -> list[tuple[float, str]]:
    """Time and text of each note of the reference in a stretch of time."""
    if reference is None:
        return []
    inside = (reference.time_s >= span_s[0]) & (reference.time_s < span_s[1]) & (reference.aux != "")
    return list(zip(reference.time_s[inside].tolist(), map(plain_html, reference.aux[inside].tolist()), strict=True))


def add_reference(figure: go.Figure, reference: Annotations, span_s: Span, *, scale: Scale, theme: Theme) -> None:
    """Write the symbols of the record's annotations below the paper, and their notes below these."""
    inside = (reference.time_s >= span_s[0]) & (reference.time_s < span_s[1])
    symbols = inside & (reference.symbol != "+")  # "+" stands for a note, which is written out
    figure.add_scatter(
        x=_kept_whole(reference.time_s[symbols], span_s, scale), y=np.full(int(symbols.sum()), 0.5), xaxis="x2",
        yaxis="y3", mode="text",
        text=reference.symbol[symbols].tolist(), textfont={"size": 11, "color": theme.faint}, hoverinfo="skip",
        name="reference",
    )  # fmt: skip
    letter_s = NOTE_LETTER_PX / scale.px_per_s
    notes = spaced(notes_within(reference, span_s), letter_s)
    if not notes:
        return
    figure.add_scatter(
        x=[time_s for time_s, _ in notes], y=np.full(len(notes), 0.5), xaxis="x2", yaxis="y5", mode="text",
        text=[text for _, text in notes], textfont={"size": 11, "color": theme.text}, hoverinfo="skip", name="notes",
        textposition=[
            "middle right" if time_s + letter_s * len(text) <= span_s[1] else "middle left" for time_s, text in notes
        ],
    )  # fmt: skip


def add_disagreements(figure: go.Figure, differ: Disagreements, span_s: Span, *, theme: Theme) -> None:
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


def add_attention(
    figure: go.Figure, analysis: Analysis, beat: int, span_s: Span, *, scale: Scale, plot_px: int, theme: Theme
) -> None:
    """Draw the attention for one beat at the network's step, and where there is room in its lane what the colours mean.

    1 is the level of uniform attention.
    """
    attention = analysis.attention
    times_uniform = attention.weight[beat].astype(np.float32) * len(attention.offset_s)
    top = max(1.0, float(times_uniform.max()))
    at_s = float(analysis.beats.time_s[beat])
    figure.add_heatmap(
        z=times_uniform[None], x0=at_s + attention.offset_s[0], dx=attention.step_s,
        y=[0.5], xaxis="x2", yaxis="y4", colorscale="Cividis", zmin=0, zmax=top, name="attention", showscale=False,
        hovertemplate="%{z:.2f} times the uniform level<extra></extra>",
    )  # fmt: skip
    before_s = at_s + float(attention.offset_s[0]) - attention.step_s - span_s[0]
    after_s = span_s[1] - at_s - float(attention.offset_s[-1]) - attention.step_s
    if max(before_s, after_s) * scale.px_per_s >= LEGEND_PX:
        end_px = (span_s[1] - span_s[0]) * scale.px_per_s
        _add_legend(figure, top, end_px - LEGEND_PX if after_s > before_s else 0.0, plot_px, theme)


def _add_legend(figure: go.Figure, top: float, left_px: float, plot_px: int, theme: Theme) -> None:
    """Draw the colours of the attention from 0 to the most of this beat, with a line at the uniform level."""
    start, end = ((left_px + edge) / plot_px for edge in BAR_PX)
    figure.add_heatmap(
        z=np.linspace(0, 1, LEGEND_STEPS, dtype=np.float32)[None], x0=0.5 / LEGEND_STEPS, dx=1 / LEGEND_STEPS, y=[0.5],
        xaxis="x3", yaxis="y4", colorscale="Cividis", zmin=0, zmax=1, showscale=False, hoverinfo="skip", name="legend",
    )  # fmt: skip
    figure.update_layout(xaxis3={"domain": (start, end), "range": (0, 1), "visible": False, "anchor": "y4"})
    last = "uniform" if top < DISTINCT_TOP else f"{top:.1f} x uniform"
    for text, at, anchor, shift in (("attention 0", start, "right", -3), (last, end, "left", 3)):
        figure.add_annotation(
            text=text, xref="paper", x=at, xanchor=anchor, xshift=shift, yref="y4", y=0.5, yanchor="middle",
            showarrow=False, font={"size": 10, "color": theme.faint}, borderpad=0,
        )  # fmt: skip
    figure.add_scatter(
        x=[1 / top] * 2, y=[0, 1], xaxis="x3", yaxis="y4", mode="lines", line={"color": "#FFFFFF", "width": 1.5},
        hoverinfo="skip", name="uniform",
    )  # fmt: skip
