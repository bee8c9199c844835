"""What recorders store beside an ECG: the names of such signals, whatever the format."""

from __future__ import annotations

import re
from typing import Final

NAMES: Final = (  # words in a name, and what a signal of this name is
    (r"resp|respir\w*|rsp|breath\w*|airflow|flow|nasal|thor|abdo|imp|impedance", "respiration"),
    (r"abp|art|cvp|pap|pcwp|icp|lap|rap|bp|nibp|pressure|uap|fap", "a pressure"),
    (r"pleth\w*|ppg|pulse|ir|red", "a pulse wave"),
    (r"spo2|so2|sao2|oxygen|saturation", "oxygen saturation"),
    (r"co2|etco2", "carbon dioxide"),
    (r"eeg", "an EEG"),
    (r"eog", "an EOG"),
    (r"emg", "an EMG"),
    (r"erg", "an electroretinogram"),
    (r"meg|mcg", "a magnetic field"),
    (r"pcg|phono\w*|snore|sound|mic", "a sound"),
    (r"acc|acc[xyz]|accel\w*|gyro?\w*|mag|magn\w*|scg|position|motion|steps|activity", "movement"),
    (r"gsr|eda", "skin conductance"),
    (r"temp|temperatur\w*|therm", "a temperature"),
    (r"hr|pr|rr", "a rate"),
    (r"markers?|events?|trigger|annotations|light|battery|status", "a marker"),
)
PATTERNS: Final = tuple((re.compile(rf"(?<![a-z])({words})\d*(?![a-z])"), what) for words, what in NAMES)


def other_signal(name: str) -> str:
    """What a signal is whose name is not that of an ECG; empty where the name does not tell.

    Examples
    --------
    >>> [other_signal(name) for name in ("ACC_x", "Resp2", "V1")]
    ['movement', 'respiration', '']

    """
    plain = re.sub(r"[\W_]+", " ", name.casefold())
    return next((what for pattern, what in PATTERNS if pattern.search(plain)), "")
