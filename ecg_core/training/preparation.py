"""Records made ready for training: the signal as inference has it, with the beats to learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter1d

from ..classifier.features import DISORDER, rr_features
from ..errors import RecordError
from ..evaluation.matching import AF_RHYTHMS, rhythm_spans
from ..labels import UNLABELLED, Codes, class_codes
from ..schema import Bool, Float32, Float64, Record
from ..signals.filters import FS_HZ, clean_leads, normalised
from .waveforms import SUPRAVENTRICULAR

SNAP_S = (-0.04, 0.12)  # marks at the onset of the QRS lie 20 to 80 ms before the R peak
FLANK_S = 0.03  # a QRS rises and falls within this: the deflection of a T wave is far smaller over it
REGULAR_DISORDER = 0.0  # fibrillation is more irregular (``DISORDER``): the median change of its RR exceeds 4.5 %
MIN_RR_S = 0.05  # beats whose positions were scattered may fall on each other
# A beat is not learned as S where RR is more irregular than this (``DISORDER``) ...
DOUBTFUL_DISORDER = 0.5
# ... and S is rarer than this among so many beats around it: a whole run of S is not a slip of the annotators.
DOUBTFUL_FRACTION, DOUBTFUL_BEATS = 0.15, 61


@dataclass(frozen=True, eq=False)
class TrainingRecord:
    """A record ready for training."""

    name: str
    signal: Float32  # (n_leads, n) at 125 Hz, clean, in units of each lead's usual amplitude
    valid: Bool  # (n_leads, n)
    position: Float64  # (n_beats,), in samples at 125 Hz
    code: Codes  # (n_beats,)
    in_af: Codes  # (n_beats,): 1 in atrial fibrillation or flutter, 0 in another rhythm, UNLABELLED where not known
    weight: float = 1.0  # how often it is drawn, beside the others


def prepare_record(
    record: Record,
    name: str,
    *,
    beats: tuple[Float64, Codes] | None = None,
    snapped: bool = False,
    weight: float = 1.0,
) -> TrainingRecord:
    """Read a whole record and clean it as inference does.

    Parameters
    ----------
    beats
        Positions in samples at 125 Hz, and classes; by default those of the reference annotations.
    snapped
        Whether the marks do not lie on the R peaks and are moved to them.
    weight
        See ``TrainingRecord``.

    """
    raw = record.source.read(0, record.n_samples, tuple(range(len(record.lead_names))))
    clean = clean_leads(raw, record.fs_hz)
    signal = normalised(clean)
    position, code = beats or reference_beats(record)
    position = snap_to_r_peaks(signal, position) if snapped else position
    in_af = reference_rhythm(record, position)
    return TrainingRecord(name, signal, clean.valid, position, without_doubtful(position, code), in_af, weight)


def snap_to_r_peaks(signal: Float32, position: Float64) -> Float64:
    """The steepest deflection of all leads within SNAP_S of each mark, of either sign, ascending, shape (n_beats,)."""
    flank = round(FLANK_S * FS_HZ)
    deflection = np.zeros(signal.shape[1])
    deflection[flank:-flank] = np.abs(
        2 * signal[:, flank:-flank] - signal[:, : -2 * flank] - signal[:, 2 * flank :]
    ).sum(0)
    offset = np.arange(round(SNAP_S[0] * FS_HZ), round(SNAP_S[1] * FS_HZ) + 1)
    index = np.clip(np.rint(position).astype(int)[:, None] + offset, 0, signal.shape[1] - 1)
    best = deflection[index].argmax(axis=1)
    return np.sort(index[np.arange(len(index)), best].astype(np.float64))


def reference_rhythm(record: Record, position: Float64) -> Codes:
    """Whether each beat lies in atrial fibrillation, shape (n_beats,): 1, 0, or UNLABELLED where it is not known.

    By the rhythms that the reference names; where it names none, what is regular is no fibrillation.
    """
    spans = None
    if record.reference is not None:
        spans = rhythm_spans(record.reference, AF_RHYTHMS, record.duration_s)
    if spans is None:
        is_regular = rr_features(intervals_s(position))[:, DISORDER] < REGULAR_DISORDER
        return np.where(is_regular, 0, UNLABELLED)
    time_s = position / FS_HZ
    inside = [(time_s >= start_s) & (time_s < stop_s) for start_s, stop_s in spans]
    return np.any(inside, axis=0).astype(np.int64) if inside else np.zeros(len(position), dtype=np.int64)


def reference_beats(record: Record) -> tuple[Float64, Codes]:
    """Positions in samples at 125 Hz, and classes, of the beats of the reference annotations."""
    if record.reference is None:
        raise RecordError(
            f"there is no reference annotation file ({record.record_id}.atr) beside it, so nothing can be learned from "
            "its beats",
            where=record.record_id,
            advice="Add it, or leave this record out.",
        )
    code = class_codes(record.reference.symbol)
    is_beat = code != UNLABELLED
    return record.reference.time_s[is_beat] * FS_HZ, code[is_beat]


def without_doubtful(position: Float64, code: Codes) -> Codes:
    """The classes, but UNLABELLED for rare supraventricular beats in an irregular rhythm.

    In fibrillation no beat is premature; the databases label some of its early beats S and others N.
    """
    disorder = rr_features(intervals_s(position))[:, DISORDER]
    fraction = uniform_filter1d((code == SUPRAVENTRICULAR).astype(np.float64), DOUBTFUL_BEATS)
    doubtful = (code == SUPRAVENTRICULAR) & (disorder > DOUBTFUL_DISORDER) & (fraction < DOUBTFUL_FRACTION)
    return np.where(doubtful, UNLABELLED, code)


def intervals_s(position: Float64) -> Float64:
    """RR to the beat before in seconds, NaN at the first, shape of ``position``."""
    return np.maximum(np.diff(position, prepend=np.nan) / FS_HZ, MIN_RR_S)
