"""The former address of the page Studies: links to it still lead there."""

import streamlit as st

st.switch_page("pages/studies.py", query_params=st.query_params.to_dict())
