"""Buttons that hand out a file of a study: the audit trail notes who took which."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from ecg_core.text import plain_markdown

from .workspace import current_workspace


def draw_download(
    name: str,
    make: Callable[[], bytes],
    record_sha256: str,
    *,
    with_patient: bool = False,
    label: str = "",
    **button: Any,
) -> None:
    """Draw a button for a file, which is made when it is clicked, and noted then.

    Parameters
    ----------
    name
        Of the file, and of the button where that has no ``label``.
    make
        The content, from what the page shows.
    with_patient
        Whether patient data are in it.
    **button
        As of ``st.download_button``.

    """
    workspace = current_workspace()

    def made() -> bytes:
        content = make()
        workspace.note_export(record_sha256, name, with_patient=with_patient)
        return content

    st.download_button(
        label or plain_markdown(name), made, name, icon=":material/download:", on_click="ignore", **button
    )
