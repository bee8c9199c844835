"""Ways to add recordings: uploads, a folder, fetched records, the demo, a study from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import streamlit as st

import ecg_core as ecg
from ecg_core.errors import EcgError, MissingMetadataError
from ecg_core.files import typed_path
from ecg_core.records import find_records
from ecg_core.text import plain_markdown

from .actions import fetched_records, open_demo, open_record, open_uploads, open_with_overrides
from .frame import guarded
from .messages import error_message
from .study_work import analyse_unopened, refuse_where_held
from .wording import plural
from .workspace import Workspace, current_workspace

COUNTS: Final = "counts"
UNITS: Final = {"mV": "mV", "uV": "µV", "V": "V", COUNTS: "raw counts"}


def draw_adding(workspace: Workspace) -> None:
    """Draw the three ways to add recordings, and the form for what a file does not state."""
    for path, error in list(workspace.awaiting_metadata.items())[:1]:
        _ask_metadata(workspace, path, error)
    upload, folder, demo = st.columns([4, 4, 3], border=True)
    with upload:
        _draw_upload(workspace)
    with folder:
        _draw_folder(workspace)
    with demo:
        _draw_fetched()


def _draw_upload(workspace: Workspace) -> None:
    st.markdown(
        "**Upload** the files of a WFDB record together, or a file in EDF, EDF+, BDF, ISHNE, DICOM, SCP-ECG, MFER, "
        "ATC, CSV, TSV, Parquet or MATLAB format, the XML of an electrocardiograph, the JSON of a watch, a .zip or "
        ".tar.gz of one record, or the exported zip of a **study**"
    )
    key = f"upload{workspace.uploads.n_stored}"  # a new uploader each time: one holds its files, and opens them again
    st.file_uploader(
        "Files of records", accept_multiple_files=True, label_visibility="collapsed", key=key,
        on_change=guarded(_open_uploaded), args=(key,),
    )  # fmt: skip


def _open_uploaded(key: str) -> None:
    if files := st.session_state[key]:
        open_uploads(files)


def _draw_folder(workspace: Workspace) -> None:
    st.markdown("**Folder** on this computer, for long records and for many")
    typed = st.text_input("Folder", placeholder="for example /data/holter", label_visibility="collapsed", key="folder")
    if typed.strip():
        guarded(_choose_from_folder)(workspace, typed_path(typed.strip()))


def _choose_from_folder(workspace: Workspace, folder: Path) -> None:
    records = {path.name: path for path in find_records(folder)}
    name = st.selectbox(plural(len(records), "record"), list(records), filter_mode="contains", key="in_folder")
    with st.container(horizontal=True):
        st.button("Open this one", on_click=guarded(_open_path), args=(records[name],))
        if len(records) > 1 and st.button("Add all and analyse", help="All records of the folder, as a queue"):
            _add_all(workspace, list(records.values()))


def _open_path(path: Path) -> None:
    open_record(path)


def _add_all(workspace: Workspace, paths: Sequence[Path]) -> None:
    """Make each record a study and put it into the queue; the ones that cannot be are named afterwards."""
    bar, problems = st.progress(0.0), []
    for number, path in enumerate(paths):
        bar.progress(number / len(paths), text=f"Adding {plain_markdown(path.name)}")
        try:
            record, study = workspace.add_study(ecg.read_record(path))
            refuse_where_held(workspace, study)
            analyse_unopened(workspace, study, record)
        except MissingMetadataError as error:
            workspace.awaiting_metadata[path] = error
        except EcgError as error:
            problems.append(error_message(error))
    workspace.notice = workspace.uploads.hide(" ".join([workspace.notice, *problems]).strip())
    st.rerun()


def _draw_fetched() -> None:
    st.markdown("**Demo**, a simulated record of 30 minutes")
    st.button("Open the demo record", on_click=guarded(open_demo), width="stretch")
    if fetched := fetched_records():
        name = st.selectbox(
            "Fetched from PhysioNet, or recorded live", list(fetched), index=None, filter_mode="contains"
        )
        if name:
            st.button("Open it", on_click=guarded(_open_path), args=(fetched[name],), key="open_fetched")
    else:
        st.caption("`Setup_Test_Data.bat`, or `python3 launch.py data`, fetches records from PhysioNet into this list.")


def _ask_metadata(workspace: Workspace, path: Path, error: MissingMetadataError) -> None:
    """Ask for the rate or the unit that a file does not state; what is entered belongs to this file alone."""
    missing = " and ".join(["its sampling rate"] * error.rate + ["the unit of its values"] * error.unit)
    with st.form("metadata"):
        st.markdown(
            f"**{plain_markdown(path.name)}** does not state {missing}. Enter the missing values to open the file; "
            "they are never guessed."
        )
        left, right, more = st.columns(3)
        left.number_input(
            "Sampling rate in Hz", min_value=1.0, value=None, disabled=not error.rate, key=f"stated_hz {hash(path)}"
        )
        right.selectbox(
            "Unit", [*UNITS], index=None, disabled=not error.unit, format_func=UNITS.__getitem__,
            key=f"stated_unit {hash(path)}",
        )  # fmt: skip
        more.number_input(
            "Counts per mV (raw counts only)", min_value=0.001, value=None, disabled=not error.unit,
            key=f"stated_counts {hash(path)}",
        )  # fmt: skip
        st.form_submit_button("Open the file", type="primary", on_click=guarded(_open_as_stated), args=(path, error))
    st.button("Leave it closed", on_click=workspace.decline, args=(path,), type="tertiary")


def _open_as_stated(path: Path, error: MissingMetadataError) -> None:
    fs_hz, choice = st.session_state[f"stated_hz {hash(path)}"], st.session_state[f"stated_unit {hash(path)}"]
    counts = st.session_state[f"stated_counts {hash(path)}"]
    unit = str(counts) if choice == COUNTS and counts else choice
    if (error.rate and not fs_hz) or (error.unit and unit in (None, COUNTS)):
        missing = " and ".join(["its sampling rate"] * error.rate + ["the unit of its values"] * error.unit)
        current_workspace().notice = f"Enter {missing} first."
    else:
        open_with_overrides(path, fs_hz=fs_hz, unit=unit)


def draw_welcome() -> None:
    """Say what a study is, where there is none yet."""
    st.info(
        "There is no study yet. Each recording that you open becomes a **study**: it keeps the recording's place, its "
        "analysis, your labels, notes and signature, saved as you work, and is found here again tomorrow. Begin below: "
        "upload a file, name a folder, or open the demo record.",
        icon=":material/folder_open:",
    )
