"""How wide the page is, and how many seconds of ECG paper in true millimetres fit on it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from math import ceil, floor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

if TYPE_CHECKING:  # plotly and the file formats take a second
    from ecg_core.figures import Scale

HERE = Path(__file__).resolve().parent
KEY: Final = "page_width"
FIRST_PX = 736.0  # until the width is known: the main column of a window of 1000 px with an open sidebar
LEAST_BOXES = 5  # large boxes of paper that are drawn at least, however narrow the page is


@functools.cache
def _component() -> Callable[..., Any]:
    js = (HERE / "page_width.js").read_text(encoding="utf-8")
    component: Callable[..., Any] = st.components.v2.component(KEY, html="<span></span>", js=js)
    return component


def observe_width() -> None:
    """Let the browser report the width of the main column; the page is drawn again when it has changed."""
    with st.container(key="width"):
        _component()(key=KEY, data={"known_px": st.session_state.get("page_px")}, on_px_change=_remember)


def _remember() -> None:
    said = st.session_state.get(KEY, {}).get("px")
    if said is not None:  # else it is a late message of a page that is gone
        st.session_state["page_px"] = float(said)


def page_px() -> float:
    """Width of the main column in CSS pixels."""
    return float(st.session_state.get("page_px", FIRST_PX))


def paper_seconds(scale: Scale, n_margin_px: float, *, fraction: float = 1.0) -> float:
    """Seconds of paper that fit on the page, in whole large boxes.

    Parameters
    ----------
    scale
        Speed and gain of the paper.
    n_margin_px
        Pixels of the width that are not paper.
    fraction
        Of the main column, for a strip that stands beside something else.

    """
    box_px = scale.large_box_s * scale.px_per_s
    n_boxes = floor((fraction * page_px() - n_margin_px) / box_px + 1e-6)
    return max(n_boxes, LEAST_BOXES) * scale.large_box_s


def strip_rows(length_s: float, scale: Scale, n_margin_px: float) -> tuple[int, float]:
    """Number of rows of a strip, and seconds of each, which fit on the page; what does not fill a row is left out."""
    fits_s = paper_seconds(scale, n_margin_px)
    n_rows = max(1, round(length_s / fits_s))
    row_s = ceil(length_s / n_rows / scale.large_box_s - 1e-6) * scale.large_box_s
    return n_rows, min(row_s, fits_s)
