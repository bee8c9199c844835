"""Beats, attention and arrhythmia burden from ECG recordings; for research and retrospective analysis."""

__version__ = "0.1.0"

NOTICE = (
    "Research and retrospective analysis only; not cleared for use as a primary diagnostic tool in a clinical setting."
)
