"""Who did what to a study, and when; and whether anything was changed behind the program."""

import pandas as pd
import streamlit as st

from ecg_core.report.columns import csv_bytes
from ecg_core.studies.audit import trail, verify
from ecg_core.studies.signing import verify_recording, verify_signature
from ecg_core.studies.wording import trail_table
from ecg_core.text import plain_markdown
from pages._ui.downloads import draw_download
from pages._ui.frame import current_record, heading
from pages._ui.printed import SCREEN_ONLY, printed
from pages._ui.view import cached
from pages._ui.wording import plural
from pages._ui.workspace import current_workspace

ALL = "all readers"
UTC_LETTERS, DIGITS = len("2026-01-01T00:00:00"), 12  # of times and hashes on the page; the CSV has all
SHOWN = {
    "number": "No.", "time_local": "Time here", "time_utc": "Time, UTC", "reader": "Reader", "what": "What was done",
    "detail": "Detail", "hash": "Hash",
}  # fmt: skip


COLUMNS = {  # all columns fit at 1280 pixels; a click on a cell shows the whole of it
    "No.": st.column_config.NumberColumn(width=44),
    "Time here": st.column_config.TextColumn(width=136),
    "Time, UTC": st.column_config.TextColumn(width=136),
    "Reader": st.column_config.TextColumn(width=80),
    "What was done": st.column_config.TextColumn(width=370),
    "Detail": st.column_config.TextColumn(width=120),
    "Hash": st.column_config.TextColumn(width=110),
}


def verify_again() -> None:
    """Read signed files and recording again; for callbacks."""
    st.session_state["verified_again"] += 1


record = current_record()
workspace = current_workspace()
store = workspace.store
heading(f"Audit trail of {record.record_id}", record)

entries = trail(store, record.sha256)
again = st.session_state.setdefault("verified_again", 0)
other_problems = cached(  # the whole recording is read
    "verified", (record.sha256, workspace.study(record.sha256).version, again),
    lambda: (*verify_signature(store, record.sha256), *verify_recording(store, record.sha256)),
)  # fmt: skip
problems = (*verify(store, record.sha256), *other_problems)
verdict, button = st.columns([6, 1], vertical_alignment="center")
with verdict:
    for problem in problems:
        st.error(plain_markdown(problem), icon=":material/gpp_bad:")
    if not problems:
        st.success(
            f"Verified: {plural(len(entries), 'entry')}, each as it was written, and so are the recording and what was "
            "signed.",
            icon=":material/verified_user:",
        )
button.button("Verify again", on_click=verify_again, width="stretch")

search, who, download = st.columns([4, 2, 2], vertical_alignment="bottom")
wanted = search.text_input("Filter", placeholder="a word of what was done", key="audit_filter").casefold()
reader = who.selectbox("Reader", [ALL, *sorted({entry.reader for entry in entries})], key="audit_reader")
with download:
    draw_download(
        f"{record.record_id}_audit.csv", lambda: csv_bytes(trail_table(trail(store, record.sha256))), record.sha256,
        label="Whole trail as CSV", width="stretch",
    )  # fmt: skip

table = pd.DataFrame(trail_table(entries))
matches = table["what"].str.casefold().str.contains(wanted, regex=False)
if reader != ALL:
    matches &= table["reader"] == reader
short = table.assign(
    time_utc=table["time_utc"].str[:UTC_LETTERS].str.replace("T", " "), hash=table["hash"].str[:DIGITS]
)
shown = short.loc[matches, list(SHOWN)].rename(columns=SHOWN).iloc[::-1]
with st.container(key=f"{SCREEN_ONLY}_trail"):
    st.dataframe(
        shown, hide_index=True, height="content" if len(shown) <= 12 else 460, column_config=COLUMNS,
    )  # fmt: skip
printed(shown)
st.caption(
    f"{plural(len(shown), 'row')}, the latest first. Each entry holds the hash of the one before it. Names are typed, "
    "and no password proves them: the trail shows that nothing was changed since, and not who typed a name."
)
