"""Intervals that a reader measured with the calipers and keeps with the strip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ecg_core.morphology.qtc import qtc_bazett, qtc_fridericia
from ecg_core.rhythm.intervals import follows_previous
from ecg_core.schema import Analysis
from ecg_core.studies import study_notes
from ecg_core.studies.study import MEASUREMENTS

from .workspace import current_workspace


class Measurement(NamedTuple):
    """An interval of a kind, such as RR or QT."""

    interval: str
    start_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        """From its start to its end."""
        return self.end_s - self.start_s


def measurements_of(sha256: str) -> list[Measurement]:
    """The measurements that are kept of a study, the earliest first."""
    kept = current_workspace().study(sha256).view.get(MEASUREMENTS, [])
    return sorted({Measurement(*one) for one in kept}, key=lambda one: (one.start_s, one.end_s, one.interval))


def keep_measurement(sha256: str, measurement: Measurement) -> None:
    """Keep a measurement in the study."""
    current_workspace().save(study_notes.keep_measurement, sha256, measurement)


def remove_measurement(sha256: str, measurement: Measurement) -> None:
    """Keep a measurement no longer."""
    current_workspace().save(study_notes.drop_measurement, sha256, measurement)


def within_strip(measurements: Sequence[Measurement], span_s: tuple[float, float]) -> list[Measurement]:
    """The measurements that lie in a strip."""
    return [one for one in measurements if span_s[0] <= one.start_s and one.end_s <= span_s[1]]


def measurement_texts(
    analysis: Analysis, measurements: Sequence[Measurement], span_s: tuple[float, float]
) -> list[str]:
    """Each measurement in words: RR with its rate, QT with both corrections and the RR that they use."""
    return [_text(analysis, one, measurements, span_s) for one in measurements]


def _text(
    analysis: Analysis, one: Measurement, others: Sequence[Measurement], span_s: tuple[float, float]
) -> str:  # fmt: skip
    text = f"{one.interval} {1000 * one.length_s:.0f} ms"
    if one.interval == "RR":
        return f"{text} ({60 / one.length_s:.0f} bpm)"
    if one.interval != "QT":
        return text
    rr_s, source = _rr(analysis, others, span_s)
    if not rr_s > 0:
        return f"{text} (QTc not known: no RR in this strip)"
    bazett, fridericia = 1000 * qtc_bazett(one.length_s, rr_s), 1000 * qtc_fridericia(one.length_s, rr_s)
    corrected = f"QTc {bazett:.0f} ms (Bazett), {fridericia:.0f} ms (Fridericia)"
    return f"{text}, {corrected}, with RR {1000 * rr_s:.0f} ms, {source}"


def _rr(analysis: Analysis, measurements: Sequence[Measurement], span_s: tuple[float, float]) -> tuple[float, str]:
    """The RR that the correction uses: the mean of those measured in the strip, else of counted beats, and which."""
    measured_s = [one.length_s for one in measurements if one.interval == "RR"]
    if measured_s:
        return float(np.mean(measured_s)), "as measured"
    beats = analysis.beats
    before_s = beats.time_s - beats.rr_s
    inside = follows_previous(beats) & (before_s >= span_s[0]) & (beats.time_s < span_s[1])
    return (float(beats.rr_s[inside].mean()), "the mean of the strip") if inside.any() else (float("nan"), "")
