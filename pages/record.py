"""Open a recording, check it, and analyse it."""

from pathlib import Path

import streamlit as st

from ecg_core.figures import quality_figure
from ecg_core.records import find_records
from ecg_core.report.dangers import dangers
from ecg_core.schema import Record
from ecg_core.text import plain_markdown
from pages._ui.actions import (
    fetched_records,
    open_demo,
    open_record,
    open_uploads,
    open_with_overrides,
    start_analysis,
)
from pages._ui.figures import show, theme
from pages._ui.frame import draw_frame, facts, guarded, heading, show_progress
from pages._ui.installed_models import installed_models
from pages._ui.tables import record_facts
from pages._ui.view import cached_doubts
from pages._ui.wording import plural

COUNTS = "counts"
UNITS = {"mV": "mV", "uV": "µV", "V": "V", COUNTS: "raw counts"}
LEAD_CHOICES = {"auto": "Automatic", "all": "All leads together"}


@guarded
def open_path(path: Path) -> None:
    """Open a record; for callbacks."""
    open_record(path)


@guarded
def choose_from_folder(folder: str) -> None:
    """Offer the records of a folder."""
    records = {path.name: path for path in find_records(Path(folder).expanduser())}
    name = st.selectbox(plural(len(records), "record"), list(records), filter_mode="contains")
    st.button("Open", on_click=open_path, args=(records[name],), key="open_from_folder")


@guarded
def ask_metadata(path: Path, *, rate: bool, unit: bool) -> None:
    """Ask for the rate or the unit that a file does not state."""
    missing = " and ".join(["its sampling rate"] * rate + ["the unit of its values"] * unit)
    with st.form("metadata"):
        st.markdown(
            f"`{path.name}` does not state {missing}. Enter the missing values to open the file; they "
            "are never guessed."
        )
        left, right, more = st.columns(3)
        fs_hz = left.number_input("Sampling rate in Hz", min_value=1.0, value=None, disabled=not rate)
        choice = right.selectbox("Unit", [*UNITS], index=None, disabled=not unit, format_func=UNITS.__getitem__)
        counts = more.number_input("Counts per mV (raw counts only)", min_value=0.001, value=None, disabled=not unit)
        if st.form_submit_button("Open", type="primary"):
            entered = str(counts) if choice == COUNTS and counts else choice
            if (rate and not fs_hz) or (unit and entered in (None, COUNTS)):
                st.warning(f"Enter {missing} first.")
            elif open_with_overrides(path, fs_hz=fs_hz, unit=entered):
                st.rerun()
    st.button("Cancel", on_click=workspace.decline, args=(path,), type="tertiary")


def draw_analysis_choices(record: Record) -> None:
    """Choose leads and model, and analyse; below, what was analysed last."""
    lead = st.selectbox(
        "Leads to analyse",
        [*LEAD_CHOICES, *record.lead_names],
        format_func=lambda name: LEAD_CHOICES.get(name, name),
        help="Automatic: up to three leads together; with more than three, the single lead of best quality.",
    )
    models = installed_models()
    model = st.selectbox("Model", list(models)) if len(models) > 1 else next(iter(models), "")
    busy = workspace.job_of(record.sha256) is not None
    st.button(
        "Analyse", type="primary", disabled=busy or not models, on_click=guarded(start_analysis), args=(record,),
        kwargs={"lead": lead, "model": model}, width="stretch",
    )  # fmt: skip
    if not models:
        st.warning("No model is installed: `models/` should hold `adapted.pt` and `adapted.json`.")
    if not busy and workspace.has_analysis(record.sha256):
        done = workspace.analysis(record.sha256)
        st.success(f"Analysed: lead {plain_markdown(', '.join(done.lead_names))}, {done.burden.n_beats:,} beats.")
        for danger in dangers(done):
            st.error(plain_markdown(danger.text), icon=":material/emergency_home:")
        if st.button("Go to the overview", width="stretch"):
            st.switch_page("pages/overview.py")


workspace = draw_frame()
record = workspace.records.get(workspace.current)
job = workspace.job_of(workspace.current)

if record:
    heading(f"Record {record.record_id}", record)
    progress = st.container()
    about, analysis = st.columns([3, 2], gap="large")
    with about:
        facts([*record_facts(record), ("Signal check", "; ".join(guarded(cached_doubts)(record) or ()))])
    with analysis, st.container(border=True):
        draw_analysis_choices(record)
    if not job and workspace.has_analysis(record.sha256):
        st.markdown("**Signal quality** of the analysed leads over time")
        quality = quality_figure(workspace.analysis(record.sha256), theme=theme())
        show(quality, "quality", alt="Signal quality of each analysed lead over time")
    st.button("Close this record", on_click=workspace.close, args=(record.sha256,), type="tertiary")

for path, error in list(workspace.awaiting_metadata.items())[:1]:
    ask_metadata(path, rate=error.rate, unit=error.unit)

st.header("Open another record" if record else "Open a record", anchor=False)
upload, folder, demo = st.columns(3, border=True)
with upload:
    st.markdown(
        "**Upload** the files of a WFDB record together, or a file in EDF, EDF+, BDF, ISHNE, DICOM, CSV, TSV, Parquet "
        "or MATLAB format, or a .zip or .tar.gz of one record"
    )
    files = st.file_uploader(  # a new one after each record, or it would hold their bytes and open them all again
        "Files of records",
        accept_multiple_files=True,
        label_visibility="collapsed",
        key=f"upload{workspace.uploads.n_stored}",
    )
    chosen = tuple(file.file_id for file in files)
    if files and st.session_state.get("uploaded") != chosen:
        st.session_state["uploaded"] = chosen
        if guarded(open_uploads)(files):
            st.rerun()
with folder:
    st.markdown("**Folder** on this computer, for long records")
    typed = st.text_input("Folder", placeholder="for example /data/holter", label_visibility="collapsed")
    if typed:
        choose_from_folder(typed)
    if fetched := fetched_records():
        name = st.selectbox(
            "Fetched from PhysioNet, or recorded live", list(fetched), index=None, filter_mode="contains"
        )
        if name:
            st.button("Open", on_click=open_path, args=(fetched[name],), key="open_fetched")
    else:
        st.caption("`Setup_Test_Data.bat`, or `python3 launch.py data`, fetches records from PhysioNet into this list.")
with demo:
    st.markdown("**Demo**, a simulated record of 30 minutes")
    st.button("Open the demo record", on_click=guarded(open_demo), width="stretch")

if job:
    with progress:
        show_progress(job)
