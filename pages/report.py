"""The report: summary, narrative and signature first, then the files, strips, all measures and the rules."""

from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ecg_core.notes import Notes
from ecg_core.report.export import MORE_WRITERS, WRITERS, file_name, without_patient
from ecg_core.report.facts import model_text
from ecg_core.report.measures import COLUMNS, GROUPS, format_edits
from ecg_core.rules import RhythmRules
from ecg_core.schema import Analysis
from ecg_core.text import plain_markdown
from pages._ui.actions import change_rules
from pages._ui.dangers import draw_dangers
from pages._ui.downloads import draw_download
from pages._ui.frame import current_analysis, facts, guarded, heading
from pages._ui.narrative import draw_narrative
from pages._ui.report_strips import draw_report_strips
from pages._ui.sensitivity import draw_sensitivity
from pages._ui.sign_off import draw_sign_off
from pages._ui.summary import draw_summary
from pages._ui.tables import edited_rules, measures_by_group, rules_table
from pages._ui.view import study_key
from pages._ui.wording import plural
from pages._ui.workspace import current_workspace

PDF = "_report.pdf"
EVERY = WRITERS | MORE_WRITERS
CONTENT = {  # of the other files, in the order in which they are offered
    "_report.xlsx": (
        "Spreadsheet",
        "Summary, hours, findings and beats as the sheets of one workbook.",
    ),
    "_burden.csv": ("Burden", "One row for each measure, with its unit and its denominator."),
    "_hourly.csv": ("Hours", "One row for each hour: analysable time, beats by class, heart rate, runs, pauses, AF."),
    "_events.csv": (
        "Findings",
        "One row for each couplet, run, pattern, episode, pause or stretch not analysable.",
    ),
    "_beats.csv": ("Beats", "One row for each beat: sample, time, class, probabilities, RR, analysable or not."),
    "_report.json": ("Everything", "All results in one document for programs."),
    "_fhir.json": ("FHIR R4", "Report with its PDF, and each measure with its unit, for a hospital's record system."),
    "_report.dcm": ("DICOM", "The PDF as a DICOM object, for an archive of images."),
    ".ai": ("WFDB annotations", "Beats, rhythm changes and VF as an annotation file for WFDB tools."),
}


@guarded
def apply_edits(key: str) -> None:
    """Measure again by the rules that were edited in the table; what cannot be taken stays as it was typed."""
    edits = st.session_state[key]["edited_rows"]
    rules, refused = edited_rules(analysis.rules, edits)
    edited = {analysis.rules.rows()[row].key for row in edits}
    kept = {name: value for name, value in refused_values().items() if name not in edited}
    st.session_state[refused_key()] = kept | refused
    if rules != analysis.rules:
        change_rules(analysis.record, rules)


@guarded
def reset_rules() -> None:
    """Measure again by the default rules, with the same sensitivity; for callbacks."""
    st.session_state.pop(refused_key(), None)
    change_rules(analysis.record, RhythmRules(sensitivity=analysis.rules.sensitivity))


def refused_key() -> str:
    """Key of the values that were typed for rules of the study that is shown and could not be taken."""
    return study_key("refused_rules", analysis.record.sha256)


def refused_values() -> dict[str, float]:
    """Values that were typed for rules and could not be taken, by rule."""
    return dict(st.session_state.get(refused_key(), {}))


def draw_files(analysis: Analysis, notes: Notes) -> None:
    """Draw a button for the report, and those for the other files; patient data are in them where asked for."""
    asked, report = st.columns([3, 1], vertical_alignment="center")
    with_patient = asked.checkbox(
        "With patient data", key=study_key("with_patient", analysis.record.sha256), disabled=notes.patient.is_empty,
        help="Name, birth date and what else the page Patient holds; without it, the files hold none of it",
    )  # fmt: skip
    given = notes if with_patient else without_patient(notes)

    def offer(place: DeltaGenerator, suffix: str) -> None:
        with place:
            draw_download(
                file_name(analysis, suffix), partial(EVERY[suffix], analysis, given), analysis.record.sha256,
                with_patient=with_patient, type="primary" if suffix == PDF else "secondary", width="stretch",
            )  # fmt: skip

    offer(report, PDF)
    with st.expander("Other files", icon=":material/folder_zip:"):
        for suffix, (name, what) in CONTENT.items():
            text, button = st.columns([3, 2], vertical_alignment="center")
            text.markdown(f"**{name}**  \n:small[{what}]")
            offer(button, suffix)
        st.caption("Each file is created when you click it.")


def draw_measures(analysis: Analysis) -> None:
    """Draw all measures by group."""
    shown = measures_by_group(analysis)
    st.markdown(f"**{GROUPS['danger']}**")
    found, *lengths = shown["danger"]
    facts([*lengths, found], style="figures wide")  # a row for each kind
    for column, groups in zip(st.columns(3, gap="large"), COLUMNS, strict=True):
        with column:
            for group in groups:
                st.markdown(f"**{GROUPS[group]}**")
                facts(shown[group], style="figures")


def draw_settings(analysis: Analysis) -> None:
    """Draw what the report was made from, and the rules as a table that can be edited."""
    model = plain_markdown(model_text(analysis.model))
    st.markdown(
        f"Lead **{plain_markdown(', '.join(analysis.lead_names))}**, model **{model}** "
        f"(`{analysis.model.sha256[:12]}`, in {analysis.model.engine}), record `{analysis.record.sha256[:12]}`"
    )
    if edited := format_edits(analysis):
        st.markdown(f"Edits: {edited}.")
    draw_sensitivity(analysis)
    changed, fixed = analysis.rules.changed(), not current_workspace().may_edit(analysis.record.sha256)
    refused = refused_values()
    if changed:
        st.markdown("Rules changed: " + "; ".join(f"**{rule.says}** {rule.value:g} {rule.unit}" for rule in changed))
        st.button(
            "Back to the default rules", on_click=reset_rules, icon=":material/undo:", disabled=fixed,
        )  # fmt: skip
    else:
        st.markdown("Rules: all at their defaults.")
    if refused:
        st.error(
            f"{plural(len(refused), 'value')} not applied: the table says beside each what is expected. The other "
            "values apply.",
            icon=":material/error:",
        )
    st.caption(
        "Change a value, and everything is measured again at once. The PDF, the burden table and the JSON list the "
        "rules."
    )
    key = study_key(f"rules {hash((analysis.rules, tuple(refused.items())))}", analysis.record.sha256)
    st.data_editor(
        rules_table(analysis.rules, refused), key=key, hide_index=True, width="stretch",
        disabled=fixed or ["Rule", "Not applied", "Unit", "Allowed", "Source"], on_change=apply_edits, args=(key,),
        height="content",
    )  # fmt: skip


analysis = current_analysis()
notes = current_workspace().notes(analysis.record.sha256)
heading(f"Report of {analysis.record.record_id}", analysis.record)
draw_dangers(analysis)
draw_summary(analysis)
draw_narrative(analysis)
draw_sign_off(analysis)
draw_files(analysis, notes)
draw_report_strips(analysis)
st.header("Measures", anchor=False)
draw_measures(analysis)
st.header("Rules", anchor=False)
draw_settings(analysis)
