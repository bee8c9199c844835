"""Tables on paper: on the screen a table scrolls inside, printed it is a plain one with all its rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import pandas as pd
import streamlit as st

from .wording import NONE, plural

MOST_PRINTED: Final = 300  # rows: about six pages; the files hold all
SCREEN_ONLY: Final = "screen_only"  # what the keys of containers begin with that are not printed


def printed(table: pd.DataFrame) -> None:
    """Draw a table for the printer alone; the one for the screen stands in a container whose key is ``SCREEN_ONLY``."""
    cells = table[:MOST_PRINTED].map(_cell)
    html = cells.to_html(index=False, border=0, classes="ecg-printed")
    left = len(table) - MOST_PRINTED
    more = f'<p class="ecg-printed">and {plural(left, "more row")}: the files hold all</p>' if left > 0 else ""
    st.html(html + more)


def _cell(value: Any) -> str:
    """Text of a cell: numbers with one decimal at most, times to the minute."""
    if pd.isna(value):
        return NONE
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return f"{round(value, 1):,}".removesuffix(".0") if isinstance(value, float | int) else str(value)
