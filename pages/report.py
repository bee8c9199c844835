"""The report: all measures, the rules that they follow, and the files."""

from functools import partial

import streamlit as st

from ecg_core.report.export import WRITERS, file_name
from ecg_core.report.measures import COLUMNS, GROUPS, format_labels
from ecg_core.rules import RhythmRules
from ecg_core.text import plain_markdown
from pages._ui.actions import change_rules
from pages._ui.dangers import draw_dangers
from pages._ui.frame import current_analysis, facts, guarded, heading
from pages._ui.sign_off import draw_sign_off
from pages._ui.tables import edited_rules, measures_by_group, rules_table

CONTENT = {
    "_report.pdf": (
        "Report",
        "Summary, trends, hours, strips at 25 mm/s and 10 mm/mV, definitions and rules.",
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


@guarded
def apply_edits(key: str) -> None:
    """Measure again by the rules that were edited in the table."""
    change_rules(analysis.record, edited_rules(analysis.rules, st.session_state[key]["edited_rows"]))


analysis = current_analysis()
heading(f"Report of {analysis.record.record_id}", analysis.record)
draw_dangers(analysis)

files, made = st.columns([3, 2], gap="large")
with files:
    for suffix, writer in WRITERS.items():
        name, what = CONTENT.get(suffix, (suffix, ""))
        text, button = st.columns([3, 2], vertical_alignment="center")
        text.markdown(f"**{name}**  \n:small[{what}]")
        button.download_button(
            plain_markdown(file_name(analysis, suffix)), partial(writer, analysis), file_name(analysis, suffix),
            on_click="ignore", icon=":material/download:", width="stretch",
            type="primary" if suffix == "_report.pdf" else "secondary",
        )  # fmt: skip
    st.caption("Each file is created when you click it.")
with made:
    st.header("Settings", anchor=False)
    st.markdown(
        f"Lead **{plain_markdown(', '.join(analysis.lead_names))}**, model **{analysis.model.name}** "
        f"(`{analysis.model.sha256[:12]}`), record `{analysis.record.sha256[:12]}`"
    )
    if len(analysis.labelled):
        st.markdown(f"Labels: {format_labels(analysis)}.")
    changed = analysis.rules.changed()
    if changed:
        st.markdown("Rules changed: " + "; ".join(f"**{rule.says}** {rule.value:g} {rule.unit}" for rule in changed))
        st.button(
            "Back to the default rules", on_click=guarded(change_rules), args=(analysis.record, RhythmRules()),
            icon=":material/undo:",
        )  # fmt: skip
    else:
        st.markdown("Rules: all at their defaults.")

st.header("Summary", anchor=False)
shown = measures_by_group(analysis)
st.markdown(f"**{GROUPS['danger']}**")
found, *lengths = shown["danger"]
facts([*lengths, found], style="figures wide")  # a row for each kind
for column, groups in zip(st.columns(3, gap="large"), COLUMNS, strict=True):
    with column:
        for group in groups:
            st.markdown(f"**{GROUPS[group]}**")
            facts(shown[group], style="figures")

st.header("Rules", anchor=False)
st.caption(
    "Change a value, and everything is measured again at once. The PDF, the burden table and the JSON list the rules."
)
key = f"rules{hash(analysis.rules)}"
st.data_editor(
    rules_table(analysis.rules), key=key, hide_index=True, disabled=["Rule", "Unit", "Source"], width="stretch",
    on_change=apply_edits, args=(key,), height="content",
)  # fmt: skip

draw_sign_off(analysis)
