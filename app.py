"""The server of the workstation's dashboard: ``streamlit run app.py``, or ``python launch.py demo``."""

import streamlit as st

from pages._ui.protection import guards

app = st.App("dashboard.py", middleware=guards())
