"""The report: dangers, narrative, strips and all measures as they will be printed, the rules, and the files."""

from functools import partial

import streamlit as st

from ecg_core.clock import clock_text
from ecg_core.notes import Notes
from ecg_core.report.export import WRITERS, file_name, without_patient
from ecg_core.report.measures import COLUMNS, GROUPS, format_edits, measures
from ecg_core.rules import RhythmRules
from ecg_core.schema import Analysis
from ecg_core.text import plain_markdown
from pages._ui.actions import change_rules
from pages._ui.dangers import draw_dangers
from pages._ui.frame import current_analysis, facts, guarded, heading
from pages._ui.narrative import draw_narrative
from pages._ui.report_strips import draw_report_strips
from pages._ui.sign_off import draw_sign_off
from pages._ui.tables import edited_rules, measures_by_group, rules_table
from pages._ui.view import address, study_key
from pages._ui.workspace import current_workspace

CONTENT = {
    "_report.pdf": (
        "Report",
        "Narrative, measures, trends, hours, findings, strips at 25 mm/s and 10 mm/mV, definitions and rules.",
    ),
    "_burden.csv": ("Burden", "One row for each measure, with its unit and its denominator."),
    "_hourly.csv": ("Hours", "One row for each hour: analysable time, beats by class, heart rate, runs, pauses, AF."),
    "_events.csv": (
        "Findings",
        "One row for each couplet, run, pattern, episode, pause or stretch not analysable.",
    ),
    "_beats.csv": ("Beats", "One row for each beat: sample, time, class, probabilities, RR, analysable or not."),
    "_report.json": ("Everything", "All results in one document for programs."),
    ".ai": ("WFDB annotations", "Beats, rhythm changes and VF as an annotation file for WFDB tools."),
}
LINKED = {
    "v_longest_run": "Longest V run", "v_fastest_run": "Fastest V run", "longest_rr": "Longest RR",
    "af_longest": "Longest AF", "s_longest_run": "Longest S run", "s_fastest_run": "Fastest S run",
    "heart_rate_max": "Highest rate", "heart_rate_min": "Lowest rate",
}  # fmt: skip  # measures whose places are a click away


@guarded
def apply_edits(key: str) -> None:
    """Measure again by the rules that were edited in the table."""
    change_rules(analysis.record, edited_rules(analysis.rules, st.session_state[key]["edited_rows"]))


def draw_files(analysis: Analysis, notes: Notes) -> None:
    """Draw a button for each file; patient data are in it where they are asked for."""
    with_patient = st.checkbox(
        "With patient data", key=study_key("with_patient", analysis.record.sha256), disabled=notes.patient.is_empty,
        help="Name, birth date and what else the page Patient holds; without it, the files hold none of it",
    )  # fmt: skip
    given = notes if with_patient else without_patient(notes)
    workspace = current_workspace()

    def made(suffix: str) -> bytes:
        content = WRITERS[suffix](analysis, given)
        name = file_name(analysis, suffix)
        workspace.note_export(analysis.record.sha256, name, with_patient=with_patient)
        return content

    for suffix in WRITERS:
        name, what = CONTENT.get(suffix, (suffix, ""))
        text, button = st.columns([3, 2], vertical_alignment="center")
        text.markdown(f"**{name}**  \n:small[{what}]")
        button.download_button(
            plain_markdown(file_name(analysis, suffix)), partial(made, suffix), file_name(analysis, suffix),
            on_click="ignore", icon=":material/download:", width="stretch",
            type="primary" if suffix == "_report.pdf" else "secondary",
        )  # fmt: skip
    st.caption("Each file is created when you click it.")


def draw_measures(analysis: Analysis) -> None:
    """Draw all measures by group, and ways to the places of the extreme ones in Review."""
    shown = measures_by_group(analysis)
    st.markdown(f"**{GROUPS['danger']}**")
    found, *lengths = shown["danger"]
    facts([*lengths, found], style="figures wide")  # a row for each kind
    for column, groups in zip(st.columns(3, gap="large"), COLUMNS, strict=True):
        with column:
            for group in groups:
                st.markdown(f"**{GROUPS[group]}**")
                facts(shown[group], style="figures")
    at_s = {measure.key: measure.at_s for measure in measures(analysis)}
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("Show in Review:", width="content")
        for key, name in LINKED.items():
            time_s = at_s[key]
            if time_s is not None and st.button(name, key=f"to {key}", help=clock_text(analysis.record, time_s)):
                st.switch_page("pages/review.py", query_params=address(analysis.record, time_s))


def draw_settings(analysis: Analysis) -> None:
    """Draw what the report was made from, and the rules as a table that can be edited."""
    st.markdown(
        f"Lead **{plain_markdown(', '.join(analysis.lead_names))}**, model **{analysis.model.name}** "
        f"(`{analysis.model.sha256[:12]}`), record `{analysis.record.sha256[:12]}`"
    )
    if edited := format_edits(analysis):
        st.markdown(f"Edits: {edited}.")
    changed, fixed = analysis.rules.changed(), not current_workspace().may_edit(analysis.record.sha256)
    if changed:
        st.markdown("Rules changed: " + "; ".join(f"**{rule.says}** {rule.value:g} {rule.unit}" for rule in changed))
        st.button(
            "Back to the default rules", on_click=guarded(change_rules), args=(analysis.record, RhythmRules()),
            icon=":material/undo:", disabled=fixed,
        )  # fmt: skip
    else:
        st.markdown("Rules: all at their defaults.")
    st.caption(
        "Change a value, and everything is measured again at once. The PDF, the burden table and the JSON list the "
        "rules."
    )
    key = study_key(f"rules {hash(analysis.rules)}", analysis.record.sha256)
    st.data_editor(
        rules_table(analysis.rules), key=key, hide_index=True, width="stretch",
        disabled=fixed or ["Rule", "Unit", "Source"], on_change=apply_edits, args=(key,), height="content",
    )  # fmt: skip


analysis = current_analysis()
notes = current_workspace().notes(analysis.record.sha256)
heading(f"Report of {analysis.record.record_id}", analysis.record)
draw_dangers(analysis)
draw_narrative(analysis)
draw_report_strips(analysis)
draw_sign_off(analysis)
st.header("Measures", anchor=False)
draw_measures(analysis)
st.header("Rules", anchor=False)
draw_settings(analysis)
with st.expander("Files", icon=":material/download:"):
    draw_files(analysis, notes)
