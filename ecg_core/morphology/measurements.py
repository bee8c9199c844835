"""What can be measured of one beat without the network: the width of its QRS, its template_correlation to the usual beat."""

from __future__ import annotations

import numpy as np

from ..records import read_strip
from ..schema import Analysis, Float64, Lead

AROUND_S = 60.0  # the usual beat is the median of the normal ones within so much on either side
QRS_HALF_S = 0.16  # a wide QRS lies within this of its mark
SMOOTHED_S = 0.012  # slopes are measured over this
STEEP = 0.1  # of the steepest slope: what is less steep is no QRS
PAUSE_S = 0.03  # a QRS may be flat for so long within
COMPARED_S = (-0.12, 0.28)  # QRS and ST-T, without the P wave, are compared
SHIFT_S = 0.03  # marks scatter by so much
MIN_NORMAL = 5


def qrs_width_s(analysis: Analysis, beat: int, lead_name: str) -> float:
    """Width of the QRS in seconds, from where its slope begins to be steep to where it ends; NaN where unmeasurable.

    An estimate from one lead: it misses what is flat in it, and is no substitute for callipers.
    """
    time_s = float(analysis.beats.time_s[beat])
    lead = read_strip(analysis.record, lead_name, start_s=time_s - 2 * QRS_HALF_S, length_s=4 * QRS_HALF_S)
    if len(lead.signal_mv) < 3 or not np.isfinite(lead.signal_mv).all():
        return float("nan")
    width = max(1, round(SMOOTHED_S * lead.fs_hz))
    smooth = np.convolve(lead.signal_mv, np.ones(width) / width, "same")
    slope = np.abs(np.gradient(smooth))
    at_s = lead.start_s + np.arange(len(slope)) / lead.fs_hz - time_s
    inside = np.abs(at_s) <= QRS_HALF_S
    steep = np.flatnonzero(inside & (slope >= STEEP * slope[inside].max())) if inside.any() else np.zeros(0, dtype=int)
    if not len(steep) or slope[inside].max() == 0:
        return float("nan")
    parts = np.split(steep, np.flatnonzero(np.diff(steep) > PAUSE_S * lead.fs_hz) + 1)
    qrs = max(parts, key=lambda part: float(slope[part].sum()))
    edge = np.flatnonzero(inside)[[0, -1]]
    if qrs[0] <= edge[0] or qrs[-1] >= edge[1]:  # it runs into its neighbours
        return float("nan")
    return float((qrs[-1] - qrs[0] + 1) / lead.fs_hz)


def template_correlation(analysis: Analysis, beat: int, lead_name: str) -> float:
    """Correlation of a beat with the usual normal beat around it, -1 .. 1; NaN where there are too few normal beats."""
    beats, time_s = analysis.beats, float(analysis.beats.time_s[beat])
    near = np.abs(beats.time_s - time_s) <= AROUND_S
    normal = np.flatnonzero(near & (beats.label == "N") & beats.usable)
    normal = normal[normal != beat]
    if len(normal) < MIN_NORMAL:
        return float("nan")
    lead = read_strip(analysis.record, lead_name, start_s=time_s - AROUND_S - 1, length_s=2 * AROUND_S + 2)
    cut = [_cut(lead, float(beats.time_s[i])) for i in normal.tolist()]
    usual = np.median([piece for piece in cut if np.isfinite(piece).all()] or [np.full(2, np.nan)], axis=0)
    shifts = np.arange(-SHIFT_S, SHIFT_S, 1 / lead.fs_hz).tolist()
    found = [_correlation(_cut(lead, time_s + shift), usual) for shift in shifts]
    known = [value for value in found if np.isfinite(value)]
    return max(known, default=float("nan"))


def _cut(lead: Lead, time_s: float) -> Float64:
    """What is compared of the beat at a moment; NaN where the lead does not hold it."""
    first = round((time_s + COMPARED_S[0] - lead.start_s) * lead.fs_hz)
    index = first + np.arange(round((COMPARED_S[1] - COMPARED_S[0]) * lead.fs_hz))
    inside = (index >= 0) & (index < len(lead.signal_mv))
    piece = np.full(len(index), np.nan)
    piece[inside] = lead.signal_mv[index[inside]]
    return piece


def _correlation(one: Float64, other: Float64) -> float:
    if len(one) != len(other) or not (np.isfinite(one).all() and np.isfinite(other).all()):
        return float("nan")
    one, other = one - one.mean(), other - other.mean()
    size = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / size if size else float("nan")
