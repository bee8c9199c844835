"""Keys, gestures and calipers of the strips of Review, which the browser handles; see strip_gestures.js."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import streamlit as st

from .keys import INTERVALS, bound_keys, shown_key

HERE = Path(__file__).resolve().parent
KEY: Final = "gestures"
MODES: Final = (("move", "Move", ""), ("range", "Range", "E"), ("calipers", "Calipers", "M"), ("insert", "Insert", "I"))
HTML: Final = (
    '<div class="bar"><span class="modes" role="radiogroup" aria-label="What the mouse does on the strip">'
    + "".join(
        f'<button name="{name}" role="radio" aria-checked="false">{label} <kbd>{key}</kbd></button>'
        for name, label, key in MODES
    )
    + '</span><output class="readout"></output><span class="keep" hidden><button name="march">March out <kbd>K</kbd>'
    + '</button><span class="as">Keep as</span>'
    + "".join(
        f'<button name="keep" value="{interval}" title="{shown_key(key)}">{interval}</button>'
        for interval, key in INTERVALS.items()
    )
    + "</span></div>"
)
CSS: Final = """.bar { display: flex; gap: 0.5rem; align-items: center; height: 2.2rem; font-family: var(--st-font);
  color: var(--st-text-color); font-size: 0.875rem; white-space: nowrap; overflow: hidden; }
.modes { display: inline-flex; } .keep { display: inline-flex; gap: 0.25rem; align-items: center; }
.keep[hidden] { display: none; }
button { font: inherit; padding: 0.25rem 0.7rem; cursor: pointer; color: inherit; border-radius: 0.375rem;
  background: var(--st-background-color); border: 1px solid var(--st-border-color); }
.modes button { border-radius: 0; margin-left: -1px; }
.modes button:first-child { border-radius: 0.375rem 0 0 0.375rem; }
.modes button:last-child { border-radius: 0 0.375rem 0.375rem 0; }
button:hover { border-color: var(--st-primary-color); }
button[aria-checked="true"], button[aria-pressed="true"] { border-color: var(--st-primary-color); z-index: 1;
  color: var(--st-primary-color); background: color-mix(in srgb, var(--st-primary-color) 12%, transparent); }
kbd { font: inherit; opacity: 0.6; } .as { opacity: 0.75; }
.readout { font-variant-numeric: tabular-nums; overflow: hidden; text-overflow: ellipsis; }"""


@functools.cache
def _component() -> Callable[..., Any]:
    js = (HERE / "strip_gestures.js").read_text(encoding="utf-8")
    component: Callable[..., Any] = st.components.v2.component("strip_gestures", html=HTML, css=CSS, js=js)
    return component


def strip_gestures(
    *,
    study: str,
    handled: int,
    chosen_s: tuple[float, float] | None,
    measured: list[tuple[float, float, str]],
    scroll: int,
    on_commands: Callable[[], None],
) -> None:
    """Draw the modes and the readout of the calipers, and let the keys and gestures of the page's strips work.

    Parameters
    ----------
    study
        Which study is shown: what was measured in another one is not for it.
    handled
        Number of the last command that was carried out; the browser sends the later ones until they are.
    chosen_s
        The range that is chosen.
    measured
        Start, end and text of each measurement that the reader keeps.
    scroll
        When it changes, the page scrolls to the strip.
    on_commands
        Called when the reader did something; see ``sent_commands``.

    """
    data = {
        "study": study, "keys": bound_keys(), "handled": handled, "chosen": chosen_s, "measured": measured,
        "scroll": scroll,
    }  # fmt: skip
    _component()(key=KEY, data=data, width="stretch", on_commands_change=on_commands)


def sent_commands() -> list[list[Any]]:
    """The number, name and arguments of each command that the browser sent last; for callbacks."""
    return list(st.session_state.get(KEY, {}).get("commands") or ())
