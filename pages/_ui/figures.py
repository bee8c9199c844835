"""How the pages draw figures."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal

import streamlit as st

from ecg_core.figures import DARK, LIGHT, Theme
from ecg_core.labels import CLASSES, NAME

from .workspace import current_workspace


def theme() -> Theme:
    """Neutral colours for figures, by the theme of the page."""
    return DARK if st.context.theme.type == "dark" else LIGHT


def show(
    figure: Any,
    key: str,
    *,
    alt: str,
    on_select: Literal["ignore", "rerun"] | Callable[[], object] = "ignore",
    width: Literal["stretch", "content"] = "stretch",
) -> None:
    """Draw a figure as it is, without plotly's tool bar.

    Streamlit keeps the callback of every figure that a session ever drew, and with a closure all that it refers to, a
    whole analysis. So Streamlit gets a callback that knows only a key; the workspace holds the last one of each key.
    """
    callback: Literal["ignore", "rerun"] | Callable[[], None]
    if callable(on_select):
        current_workspace().on_select[key] = on_select
        callback = functools.partial(_select, key)
    else:
        callback = on_select
    config = {"displayModeBar": False}
    st.plotly_chart(figure, key=key, theme=None, config=config, alt=alt, on_select=callback, width=width)


def _select(key: str) -> None:
    """Call back when something is selected in a figure; its record may have been closed since."""
    callback = current_workspace().on_select.get(key)
    if callback is not None:
        callback()


def legend() -> None:
    """Draw the classes of beats with their colours."""
    swatch, colours = '<span style="color:{colour};font-weight:700">{label}</span>&nbsp;{name}', theme().letter
    entries = [swatch.format(colour=colours[label], label=label, name=NAME[label].lower()) for label in CLASSES]
    st.html(f'<div style="font-size:0.8rem">{" &ensp; ".join(entries)}</div>')
