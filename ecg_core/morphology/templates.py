"""Waveforms of beats: a sample of each class, and the templates that recur within a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from ..labels import CLASSES
from ..records import read_strip
from ..schema import Beats, Bool, Float32, Float64, FrozenArrays, Index, Record

BEFORE_S, AFTER_S = 0.35, 0.55  # from before the P wave to the end of the T wave
STEP_S = 0.004  # grid of the waveforms: as fine as a screen draws them
OFFSET_S: Final = np.arange(-round(BEFORE_S / STEP_S), round(AFTER_S / STEP_S) + 1) * STEP_S

MAX_BEATS = 200  # sampled of a class: enough for its templates, and read from a day in about a second
BURST_BEATS = 5  # sampled in a row, since one access to the file reads all of them
READ_S = 60.0  # beats of the same minute are read together

QRS_S = (-0.12, 0.20)  # what is compared: the QRS, even a wide one; P and T waves move with the rate
MAX_LAG_STEPS = 5  # by which two beats may be shifted against each other: a beat's time is exact to about 20 ms
MAX_DISTANCE = 0.15  # of two groups of one template: the mean correlation between their beats is at least 0.85
MAX_TEMPLATES = 4  # that are numbered; the remaining beats are shown together
MIN_BEATS = 3  # of a numbered template: an ectopic focus fires more than twice
MIN_SPLIT_BEATS = 2 * MIN_BEATS  # fewer cannot be two templates
MIN_LENGTH_MV = 1e-9  # keeps a flat waveform from dividing by zero


@dataclass(frozen=True, eq=False)
class Template(FrozenArrays):
    """Beats of one class, or of one template within it, aligned at their time."""

    label: str
    name: str  # such as "template 1"; empty for the whole class
    beat: Index  # (n,), ascending positions in Beats: the sampled beats
    signal_mv: Float32  # (n, n_points) at OFFSET_S: as recorded, less the median of each beat
    n_beats: int  # of the class or, for one of its templates, of the sample

    @property
    def mean_mv(self) -> Float32:
        """Mean waveform, shape (n_points,)."""
        return np.asarray(self.signal_mv.mean(axis=0), dtype=np.float32)


def class_templates(record: Record, lead_name: str, beats: Beats) -> tuple[Template, ...]:
    """Waveforms of a sample of each class that occurs among the usable beats, in the order of CLASSES."""
    of_class = {label: np.flatnonzero((beats.label == label) & beats.usable) for label in CLASSES}
    sampled = {label: sample_evenly(beat) for label, beat in of_class.items() if len(beat)}
    every = np.sort(np.concatenate([*sampled.values(), np.zeros(0, dtype=np.int64)]))
    signal_mv = cut_beats(record, lead_name, beats.time_s[every])
    complete: Bool = np.asarray(np.isfinite(signal_mv).all(axis=1))
    templates = []
    for label, beat in sampled.items():
        rows = np.searchsorted(every, beat)
        rows = rows[complete[rows]]
        if len(rows):
            templates.append(Template(label, "", every[rows], signal_mv[rows], len(of_class[label])))
    return tuple(templates)


def sample_evenly(beat: Index, max_beats: int = MAX_BEATS) -> Index:
    """At most ``max_beats`` of the beats, in short bursts spread evenly over all of them."""
    if len(beat) <= max_beats:
        return beat
    start = np.linspace(0, len(beat) - BURST_BEATS, max_beats // BURST_BEATS).astype(np.int64)
    return np.asarray(beat[(start[:, None] + np.arange(BURST_BEATS)).ravel()])


def cut_beats(record: Record, lead_name: str, time_s: Float64) -> Float32:
    """Read the waveform of each beat, and no more of the record than the minutes with beats in them.

    Parameters
    ----------
    time_s
        Beat times, shape (n,), seconds, ascending.

    Returns
    -------
    Waveforms at OFFSET_S, shape (n, n_points), mV, less the median of each; NaN where nothing was recorded.

    """
    signal_mv = np.full((len(time_s), len(OFFSET_S)), np.nan, dtype=np.float32)
    for rows in np.split(np.arange(len(time_s)), np.flatnonzero(np.diff(time_s // READ_S)) + 1):
        if len(rows):
            grid_s = time_s[rows, None] + OFFSET_S
            start_s, edge_s = float(grid_s[0, 0]), 2 / record.fs_hz
            length_s = float(grid_s[-1, -1]) - start_s + 2 * edge_s
            strip = read_strip(record, lead_name, start_s=start_s - edge_s, length_s=length_s)
            if len(strip.signal_mv):
                sample_s = strip.start_s + np.arange(len(strip.signal_mv)) / strip.fs_hz
                signal_mv[rows] = np.interp(grid_s, sample_s, strip.signal_mv, left=np.nan, right=np.nan)
    return np.asarray(signal_mv - np.median(signal_mv, axis=1, keepdims=True))


def split_templates(whole: Template) -> tuple[Template, ...]:
    """Split the beats of a class into templates, the most frequent first; a beat belongs to exactly one.

    Average linkage over one minus ``qrs_correlation``, cut at MAX_DISTANCE. Beats of templates with fewer than
    MIN_BEATS, and of those beyond the MAX_TEMPLATES most frequent ones, come last as "other templates".
    """
    if len(whole.beat) < MIN_SPLIT_BEATS:
        return (_part(whole, "template 1", np.ones(len(whole.beat), dtype=bool)),)
    distance = np.clip(1 - qrs_correlation(whole.signal_mv), 0, None)
    np.fill_diagonal(distance, 0)
    group = fcluster(linkage(squareform(distance), "average"), MAX_DISTANCE, "distance")
    groups, count = np.unique(group, return_counts=True)
    frequent = groups[np.argsort(-count, kind="stable")][: int((count >= MIN_BEATS).sum())][:MAX_TEMPLATES]
    parts = [_part(whole, f"template {number}", group == of_one) for number, of_one in enumerate(frequent, 1)]
    rest = ~np.isin(group, frequent)
    return (*parts, _part(whole, "other templates", rest)) if rest.any() else tuple(parts)


def _part(whole: Template, name: str, chosen: Bool) -> Template:
    """Some of the beats of a class under a name of their own."""
    return Template(whole.label, name, whole.beat[chosen], whole.signal_mv[chosen], int(chosen.sum()))


def qrs_correlation(signal_mv: Float32) -> Float64:
    """Highest correlation of the QRS of each two waveforms over all lags, shape (n, n), symmetric.

    Parameters
    ----------
    signal_mv
        Waveforms at OFFSET_S, shape (n, n_points).

    """
    first, last = np.searchsorted(OFFSET_S, QRS_S)
    unshifted = _normalised(signal_mv[:, first:last])
    best = np.full((len(unshifted), len(unshifted)), -1.0)
    for lag in range(-MAX_LAG_STEPS, MAX_LAG_STEPS + 1):
        best = np.maximum(best, unshifted @ _normalised(signal_mv[:, first + lag : last + lag]).T)
    return np.asarray(np.maximum(best, best.T))


def _normalised(signal_mv: Float32) -> Float64:
    """Each row without its mean and of length one; a flat row is zero."""
    centred = signal_mv.astype(np.float64) - signal_mv.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(length, MIN_LENGTH_MV))
