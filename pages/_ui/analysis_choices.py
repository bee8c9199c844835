"""How the study that is open is analysed: leads and model, what was found last, and the quality of the signal."""

from __future__ import annotations

from typing import Final

import streamlit as st

from ecg_core.figures import quality_figure
from ecg_core.report.dangers import dangers
from ecg_core.schema import Record
from ecg_core.text import plain_markdown

from .actions import start_analysis
from .figures import show, theme
from .frame import SIMULATED, guarded
from .installed_models import NO_MODEL, choose_model, installed_models, recorder_with_default
from .view import study_key
from .wording import plural
from .workspace import Workspace

LEAD_CHOICES: Final = {"auto": "Automatic", "all": "All leads together"}


def draw_analysis(workspace: Workspace, record: Record) -> None:
    """Draw the choices for a new analysis, and what the present one found."""
    simulated = f" :orange-badge[{SIMULATED}]" if record.is_simulated else ""
    with st.expander(f"Analysis of {plain_markdown(record.record_id)}{simulated}", expanded=True):
        _draw_choices(workspace, record)
        if workspace.has_analysis(record.sha256):
            _draw_found(workspace, record)
        st.button(
            "Close this study", on_click=guarded(workspace.close), args=(record.sha256,), type="tertiary",
            help="It stays in the list, as it is now",
        )  # fmt: skip


def _draw_choices(workspace: Workspace, record: Record) -> None:
    leads, models_at, button = st.columns([3, 2, 2], vertical_alignment="bottom")
    lead = leads.selectbox(
        "Leads to analyse", [*LEAD_CHOICES, *record.lead_names],
        format_func=lambda name: LEAD_CHOICES.get(name, name),
        key=study_key("leads", record.sha256),
        help="Automatic: up to three leads together; with more than three, the single lead of best quality.",
    )  # fmt: skip
    models = installed_models()
    recorder = recorder_with_default(record)
    usual = choose_model(models, recorder=recorder) if models else ""
    at = list(models).index(usual) if models else 0
    model = models_at.selectbox("Model", list(models), at, key=study_key("model", record.sha256)) if models else ""
    fixed = workspace.job_of(record.sha256) is not None or not workspace.may_edit(record.sha256)
    button.button(
        "Analyse", type="primary", disabled=fixed or not models, on_click=guarded(start_analysis), args=(record,),
        kwargs={"lead": lead, "model": model}, width="stretch",
    )  # fmt: skip
    if not models:
        st.warning(plain_markdown(NO_MODEL))
    elif recorder:
        st.caption(plain_markdown(f"The model {usual} is the default for the recorder {recorder}."))


def _draw_found(workspace: Workspace, record: Record) -> None:
    done = workspace.analysis(record.sha256)
    text, button = st.columns([5, 2], vertical_alignment="center")
    if workspace.job_of(record.sha256) is None:
        leads = plain_markdown(", ".join(done.lead_names))
        text.success(f"Analysed: lead {leads}, {plural(done.burden.n_beats, 'beat')}.")
    if button.button("Go to the overview", width="stretch"):
        st.switch_page("pages/overview.py")
    for danger in dangers(done):
        st.error(plain_markdown(danger.text), icon=":material/emergency_home:")
    st.markdown("**Signal quality** of the analysed leads over time")
    show(quality_figure(done, theme=theme()), "quality", alt="Signal quality of each analysed lead over time")
