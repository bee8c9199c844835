"""The dashboard: its pages, and where it begins; ``app.py`` serves it."""

import os

import streamlit as st

from pages._ui.frame import guarded

st.set_page_config(page_title="ECG workstation", page_icon="🫀", layout="wide")

st.set_option("client.showSidebarNavigation", True)  # config.toml hides the menu that is not ours
demo = os.environ.get("ECG_DEMO") == "1"


def start() -> None:
    """The bare address; a page of its own, as Streamlit leaves the default page no address besides this one."""
    st.switch_page("pages/overview.py" if demo else "pages/studies.py", query_params=st.query_params.to_dict())


page = st.navigation(
    [
        st.Page(start, title="Start", default=True, visibility="hidden"),
        st.Page("pages/studies.py", title="Studies", icon=":material/folder_open:", url_path="studies"),
        st.Page("pages/overview.py", title="Overview", icon=":material/monitoring:", url_path="overview"),
        st.Page("pages/patient.py", title="Patient", icon=":material/person:", url_path="patient"),
        st.Page("pages/review.py", title="Review", icon=":material/ecg:", url_path="review"),
        st.Page("pages/gallery.py", title="Gallery", icon=":material/grid_view:", url_path="gallery"),
        st.Page("pages/beats.py", title="Beats", icon=":material/stacked_line_chart:", url_path="beats"),
        st.Page("pages/report.py", title="Report", icon=":material/description:", url_path="report"),
        st.Page("pages/compare.py", title="Compare", icon=":material/compare:", url_path="compare"),
        st.Page("pages/adapt.py", title="Adapt", icon=":material/tune:", url_path="adapt"),
        st.Page("pages/live.py", title="Live", icon=":material/sensors:", url_path="live"),
        st.Page("pages/audit.py", title="Audit trail", icon=":material/history:", url_path="audit"),
        st.Page("pages/about.py", title="About", icon=":material/info:", url_path="about"),
        st.Page("pages/record.py", title="Record", url_path="record", visibility="hidden"),
    ]
)
guarded(page.run)()
