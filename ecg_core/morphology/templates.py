"""Waveforms of beats, class by class, and the shapes that come again within a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from ..labels import CLASSES
from ..records import read_strip
from ..schema import Beats, Bool, Float32, Float64, Index, Record, _Columns

BEFORE_S, AFTER_S = 0.35, 0.55  # from before the P wave to the end of the T wave
STEP_S = 0.004  # grid of the waveforms: no coarser than a screen draws them
OFFSET_S: Final = np.arange(-round(BEFORE_S / STEP_S), round(AFTER_S / STEP_S) + 1) * STEP_S

MOST_BEATS = 200  # of a class: enough for its shapes, and a day of them is read in about a second
BURST = 5  # beats that are sampled in a row, as one reading of the file yields them all
READ_S = 60.0  # beats of the same minute are read together

QRS_S = (-0.12, 0.20)  # what shapes are told apart by: the QRS, a wide one too; P and T waves move with the rate
LAGS = 5  # steps that two beats may be moved against each other: a beat's moment is known to about 20 ms
MOST_UNLIKE = 0.15  # shapes are one where the mean correlation between their beats is at least 0.85
MOST_TEMPLATES = 4  # named by number; what is left over is shown together
LEAST_BEATS = 3  # a focus fires more than twice
FEW_BEATS = 2 * LEAST_BEATS  # fewer cannot be two shapes


@dataclass(frozen=True, eq=False)
class Template(_Columns):
    """Beats of one class to be drawn over each other."""

    label: str
    name: str  # such as "shape 1"; empty where it is the whole class
    beat: Index  # (n,), ascending positions in Beats: those that were read
    signal_mv: Float32  # (n, n_points) at OFFSET_S: as recorded, each moved to its own median
    n_beats: int  # of the class or, for one of its shapes, of the sample

    @property
    def mean_mv(self) -> Float32:
        """Mean waveform, shape (n_points,)."""
        return np.asarray(self.signal_mv.mean(axis=0), dtype=np.float32)


def class_templates(record: Record, lead_name: str, beats: Beats) -> tuple[Template, ...]:
    """Waveforms of a sample of each class that occurs among the usable beats, in the order of CLASSES."""
    own = {label: np.flatnonzero((beats.label == label) & beats.usable) for label in CLASSES}
    sampled = {label: sample_evenly(beat) for label, beat in own.items() if len(beat)}
    every = np.sort(np.concatenate([*sampled.values(), np.zeros(0, dtype=np.int64)]))
    signal_mv = cut_beats(record, lead_name, beats.time_s[every])
    whole: Bool = np.asarray(np.isfinite(signal_mv).all(axis=1))
    shapes = []
    for label, beat in sampled.items():
        rows = np.searchsorted(every, beat)
        rows = rows[whole[rows]]
        if len(rows):
            shapes.append(Template(label, "", every[rows], signal_mv[rows], len(own[label])))
    return tuple(shapes)


def sample_evenly(beat: Index, n_most: int = MOST_BEATS) -> Index:
    """At most so many of some beats, in short bursts that are spread evenly over all of them."""
    if len(beat) <= n_most:
        return beat
    start = np.linspace(0, len(beat) - BURST, n_most // BURST).astype(np.int64)
    return np.asarray(beat[(start[:, None] + np.arange(BURST)).ravel()])


def cut_beats(record: Record, lead_name: str, time_s: Float64) -> Float32:
    """Read the signal around each of some moments, and no more of the record than the minutes that hold them.

    Parameters
    ----------
    time_s
        Beat times, shape (n,), seconds, ascending.

    Returns
    -------
    Waveforms at OFFSET_S, shape (n, n_points), mV, each moved to its own median; NaN where nothing was recorded.

    """
    signal_mv = np.full((len(time_s), len(OFFSET_S)), np.nan, dtype=np.float32)
    for rows in np.split(np.arange(len(time_s)), np.flatnonzero(np.diff(time_s // READ_S)) + 1):
        if len(rows):
            moment_s = time_s[rows, None] + OFFSET_S
            start_s, edge_s = float(moment_s[0, 0]), 2 / record.fs_hz
            length_s = float(moment_s[-1, -1]) - start_s + 2 * edge_s
            piece = read_strip(record, lead_name, start_s=start_s - edge_s, length_s=length_s)
            if len(piece.signal_mv):
                known_s = piece.start_s + np.arange(len(piece.signal_mv)) / piece.fs_hz
                signal_mv[rows] = np.interp(moment_s, known_s, piece.signal_mv, left=np.nan, right=np.nan)
    return np.asarray(signal_mv - np.median(signal_mv, axis=1, keepdims=True))


def split_templates(shape: Template) -> tuple[Template, ...]:
    """Split a class into the shapes its beats come in, the most frequent first; a beat belongs to exactly one.

    Average linkage over one minus ``similarity``, cut at MOST_UNLIKE. Shapes of fewer than LEAST_BEATS, and those
    beyond the MOST_TEMPLATES most frequent ones, come last as "other shapes".
    """
    if len(shape.beat) < FEW_BEATS:
        return (_part(shape, "shape 1", np.ones(len(shape.beat), dtype=bool)),)
    unlike = np.clip(1 - similarity(shape.signal_mv), 0, None)
    np.fill_diagonal(unlike, 0)
    group = fcluster(linkage(squareform(unlike), "average"), MOST_UNLIKE, "distance")
    names, count = np.unique(group, return_counts=True)
    frequent = names[np.argsort(-count, kind="stable")][: int((count >= LEAST_BEATS).sum())][:MOST_TEMPLATES]
    parts = [_part(shape, f"shape {number}", group == name) for number, name in enumerate(frequent, 1)]
    left = ~np.isin(group, frequent)
    return (*parts, _part(shape, "other shapes", left)) if left.any() else tuple(parts)


def _part(shape: Template, name: str, own: NDArray[np.bool_]) -> Template:
    return Template(shape.label, name, shape.beat[own], shape.signal_mv[own], int(own.sum()))


def similarity(signal_mv: Float32) -> Float64:
    """Correlation of the QRS of each two waveforms where they fit best, shape (n, n), symmetric; size does not count.

    Parameters
    ----------
    signal_mv
        Waveforms at OFFSET_S, shape (n, n_points).

    """
    first, last = np.searchsorted(OFFSET_S, QRS_S)
    still = _normalised(signal_mv[:, first:last])
    best = np.full((len(still), len(still)), -1.0)
    for lag in range(-LAGS, LAGS + 1):
        best = np.maximum(best, still @ _normalised(signal_mv[:, first + lag : last + lag]).T)
    return np.maximum(best, best.T)


def _normalised(signal_mv: Float32) -> Float64:
    """Each row without its mean, of length one; a flat row stays zero."""
    centred = signal_mv.astype(np.float64) - signal_mv.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(length, 1e-9))
