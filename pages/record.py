"""Open a recording, see what it is, analyse it."""

from pathlib import Path

import streamlit as st

from ecg_core.figures import quality_figure
from ecg_core.text import plain_markdown
from pages._ui.frame import draw_frame, facts, guarded, heading, show, theme, watch
from pages._ui.session import (
    fetched_records,
    installed_models,
    open_demo,
    open_record,
    open_uploads,
    open_with_overrides,
    records_in,
    start_analysis,
)
from pages._ui.tables import record_facts
from pages._ui.view import seen_doubts

COUNTS = "counts"
UNITS = {"mV": "mV", "uV": "µV", "V": "V", COUNTS: "counts of the recorder"}
LEAD_CHOICES = {"auto": "Automatic", "all": "All leads together"}


@guarded
def choose_from_folder(folder: str) -> None:
    """Offer the records of a folder."""
    records = records_in(Path(folder).expanduser())
    name = st.selectbox(f"{len(records)} records", list(records), filter_mode="contains")
    st.button("Open", on_click=guarded(open_record), args=(records[name],), key="open_from_folder")


@guarded
def ask_for(path: Path, *, rate: bool, unit: bool) -> None:
    """Ask for what a file does not say."""
    missing = " and ".join(["its sampling rate"] * rate + ["the unit of its numbers"] * unit)
    with st.form("stated"):
        st.markdown(f"`{path.name}` does not say {missing}. Nothing is guessed: state it, and the file is opened.")
        left, right, more = st.columns(3)
        fs_hz = left.number_input("Sampling rate in Hz", min_value=1.0, value=None, disabled=not rate)
        choice = right.selectbox("Unit", [*UNITS], index=None, disabled=not unit, format_func=UNITS.get)
        counts = more.number_input("Counts a mV, if these are counts", min_value=0.001, value=None, disabled=not unit)
        if st.form_submit_button("Open with these", type="primary"):
            stated = str(counts) if choice == COUNTS and counts else choice
            if (rate and not fs_hz) or (unit and stated in (None, COUNTS)):
                st.warning(f"State {missing} first.")
            elif open_with_overrides(path, fs_hz=fs_hz, unit=stated):
                st.rerun()
    st.button("Do not open it", on_click=workspace.decline, args=(path,), type="tertiary")


workspace = draw_frame()
record = workspace.records.get(workspace.current)

if record:
    heading(f"Record {record.record_id}", record)
    progress = st.container()
    about, analysis = st.columns([3, 2], gap="large")
    with about:
        facts([*record_facts(record), ("Looked through", "; ".join(guarded(seen_doubts)(record) or ()))])
    with analysis, st.container(border=True):
        lead = st.selectbox(
            "Leads to analyse",
            [*LEAD_CHOICES, *record.lead_names],
            format_func=lambda name: LEAD_CHOICES.get(name, name),
            help="Automatic reads up to three leads together, and of more the most readable one.",
        )
        models = installed_models()
        model = st.selectbox("Model", list(models)) if len(models) > 1 else next(iter(models), "")
        busy = workspace.job is not None
        st.button(
            "Analyse", type="primary", disabled=busy or not models, on_click=guarded(start_analysis), args=(record,),
            kwargs={"lead": lead, "model": model}, width="stretch",
        )  # fmt: skip
        if not models:
            st.warning("No model is installed: `models/` should hold `adapted.pt` and `adapted.json`.")
        if not busy and record.sha256 in workspace.shown:
            done = workspace.analyses[workspace.shown[record.sha256]]
            st.success(f"Analysed: lead {plain_markdown(', '.join(done.lead_names))}, {done.burden.n_beats:,} beats.")
            if st.button("Go to the overview", width="stretch"):
                st.switch_page("pages/overview.py")
    if not workspace.job and record.sha256 in workspace.shown:
        st.markdown("**Signal quality** of the analysed leads over time")
        quality = quality_figure(workspace.analyses[workspace.shown[record.sha256]], theme=theme())
        show(quality, "quality", alt="Signal quality of each analysed lead over time")
    st.button("Close this record", on_click=workspace.close, args=(record.sha256,), type="tertiary")

for path, error in list(workspace.asked.items())[:1]:
    ask_for(path, rate=error.rate, unit=error.unit)

st.header("Open another record" if record else "Open a record", anchor=False)
upload, folder, demo = st.columns(3, border=True)
with upload:
    st.markdown("**Upload** a WFDB record's files together, or EDF, BDF, ISHNE, DICOM, CSV, MATLAB")
    files = st.file_uploader(  # a new one after each record, or it would hold their bytes and open them all again
        "Files of records", accept_multiple_files=True, label_visibility="collapsed", key=f"upload{workspace.n_uploads}"
    )
    chosen = tuple(file.file_id for file in files)
    if files and st.session_state.get("uploaded") != chosen:
        st.session_state["uploaded"] = chosen
        if guarded(open_uploads)(files):
            st.rerun()
with folder:
    st.markdown("**Folder** on this computer, for long records")
    path = st.text_input("Folder", placeholder="for example /data/holter", label_visibility="collapsed")
    if path:
        choose_from_folder(path)
    if fetched := fetched_records():
        name = st.selectbox(
            "Fetched from PhysioNet, or recorded live", list(fetched), index=None, filter_mode="contains"
        )
        if name:
            st.button("Open", on_click=guarded(open_record), args=(fetched[name],), key="open_fetched")
    else:
        st.caption("`Setup_Test_Data.bat`, or `python3 launch.py data`, fetches records from PhysioNet to here.")
with demo:
    st.markdown("**Demo**, a simulated record of 30 minutes")
    st.button("Open the demo record", on_click=guarded(open_demo), width="stretch")

if record and workspace.job:
    with progress:
        watch(workspace.job)
