"""Measurements of one beat without the network: the width of its QRS, and its correlation with the usual beat."""

from __future__ import annotations

import numpy as np

from ..records import read_strip
from ..schema import Analysis, Float64, Lead

TEMPLATE_S = 60.0  # the template is the median of the normal beats within this time on either side
MIN_NORMAL = 5  # of fewer normal beats no template is made
QRS_HALF_S = 0.16  # even a wide QRS lies within this of the beat's time
SMOOTHED_S = 0.012  # slopes are measured over this
MIN_SLOPE = 0.1  # of the steepest slope: anything flatter is not part of the QRS
MAX_FLAT_S = 0.03  # for this long the signal may be flat within a QRS
COMPARED_S = (-0.12, 0.28)  # QRS and ST-T are compared, not the P wave
MAX_SHIFT_S = 0.03  # a beat's time is exact to about this


def qrs_width_s(analysis: Analysis, beat: int, lead_name: str) -> float:
    """Width of the QRS in seconds, from its first to its last steep slope; NaN where it cannot be measured.

    An estimate from one lead: parts of the QRS that are flat in this lead are missed. No substitute for callipers.
    """
    time_s = float(analysis.beats.time_s[beat])
    lead = read_strip(analysis.record, lead_name, start_s=time_s - 2 * QRS_HALF_S, length_s=4 * QRS_HALF_S)
    if len(lead.signal_mv) < 3 or not np.isfinite(lead.signal_mv).all():
        return float("nan")
    slope = _smoothed_slope(lead)
    offset_s = lead.start_s + np.arange(len(slope)) / lead.fs_hz - time_s
    inside = np.flatnonzero(np.abs(offset_s) <= QRS_HALF_S)
    steepest = slope[inside].max(initial=0)
    if steepest == 0:
        return float("nan")
    steep = inside[slope[inside] >= MIN_SLOPE * steepest]
    parts = np.split(steep, np.flatnonzero(np.diff(steep) > MAX_FLAT_S * lead.fs_hz) + 1)
    qrs = max(parts, key=lambda part: float(slope[part].sum()))
    if qrs[0] <= inside[0] or qrs[-1] >= inside[-1]:  # no flat signal separates it from its neighbours
        return float("nan")
    return float((qrs[-1] - qrs[0] + 1) / lead.fs_hz)


def _smoothed_slope(lead: Lead) -> Float64:
    """Absolute slope of a lead smoothed over SMOOTHED_S, shape (n,)."""
    width = max(1, round(SMOOTHED_S * lead.fs_hz))
    return np.asarray(np.abs(np.gradient(np.convolve(lead.signal_mv, np.ones(width) / width, "same"))))


def template_correlation(analysis: Analysis, beat: int, lead_name: str) -> float:
    """Correlation of a beat with the median of the normal beats nearby, -1 .. 1; NaN where they are too few."""
    beats, time_s = analysis.beats, float(analysis.beats.time_s[beat])
    near = np.abs(beats.time_s - time_s) <= TEMPLATE_S
    normal = np.flatnonzero(near & (beats.label == "N") & beats.usable)
    normal = normal[normal != beat]
    if len(normal) < MIN_NORMAL:
        return float("nan")
    lead = read_strip(analysis.record, lead_name, start_s=time_s - TEMPLATE_S - 1, length_s=2 * TEMPLATE_S + 2)
    waveforms = [_waveform(lead, float(beats.time_s[i])) for i in normal.tolist()]
    complete = [waveform for waveform in waveforms if np.isfinite(waveform).all()] or [np.full(2, np.nan)]
    template = np.median(complete, axis=0)
    shifts_s = np.arange(-MAX_SHIFT_S, MAX_SHIFT_S, 1 / lead.fs_hz).tolist()
    correlations = [_correlation(_waveform(lead, time_s + shift_s), template) for shift_s in shifts_s]
    return max((value for value in correlations if np.isfinite(value)), default=float("nan"))


def _waveform(lead: Lead, time_s: float) -> Float64:
    """Signal of a lead over COMPARED_S from a time, shape (n,); NaN beyond the ends of the lead."""
    first = round((time_s + COMPARED_S[0] - lead.start_s) * lead.fs_hz)
    index = first + np.arange(round((COMPARED_S[1] - COMPARED_S[0]) * lead.fs_hz))
    inside = (index >= 0) & (index < len(lead.signal_mv))
    waveform = np.full(len(index), np.nan)
    waveform[inside] = lead.signal_mv[index[inside]]
    return waveform


def _correlation(one: Float64, other: Float64) -> float:
    """Pearson correlation; NaN where a value is missing or a waveform is flat."""
    if len(one) != len(other) or not (np.isfinite(one).all() and np.isfinite(other).all()):
        return float("nan")
    one, other = one - one.mean(), other - other.mean()
    size = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / size if size else float("nan")
