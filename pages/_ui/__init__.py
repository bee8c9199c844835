"""The only code that knows both streamlit and ecg_core."""
