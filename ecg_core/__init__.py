"""Beats, attention and arrhythmia burden from ECG recordings; for research and retrospective analysis."""

__version__ = "0.1.0"
