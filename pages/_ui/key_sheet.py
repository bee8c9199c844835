"""The sheet of all keys and gestures of Review."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from .keys import EDIT, GESTURES, MARK, MEASURE, MORE, MOVE, keys_table


@st.dialog("Keys", width="large")
def key_sheet() -> None:
    """Show what each key and each gesture does."""
    left, right = st.columns(2, gap="medium")
    with left:
        for group in (MOVE, MEASURE, MORE):
            _table(keys_table(group))
    with right:
        for group in (EDIT, MARK):
            _table(keys_table(group))
        _table(pd.DataFrame(GESTURES, columns=["Mouse", "On the strip"]))


def _table(table: pd.DataFrame) -> None:
    st.table(table.set_index(table.columns[0]), border="horizontal", width="stretch")
