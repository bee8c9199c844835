"""Records made ready for training: the signal as inference has it, with the beats to learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter1d

from ..classifier.features import DISORDER, rr_features
from ..errors import RecordError
from ..labels import UNLABELLED, Codes, class_codes
from ..schema import Bool, Float32, Float64, Record
from ..signals.filters import FS_HZ, clean_leads, normalised
from .waveforms import SUPRAVENTRICULAR

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


def prepare_record(record: Record, name: str, *, beats: tuple[Float64, Codes] | None = None) -> TrainingRecord:
    """Read a whole record and clean it as inference does.

    Parameters
    ----------
    beats
        Positions in samples at 125 Hz, and classes; by default those of the reference annotations.

    """
    raw = record.source.read(0, record.n_samples, tuple(range(len(record.lead_names))))
    clean = clean_leads(raw, record.fs_hz)
    position, code = beats or reference_beats(record)
    return TrainingRecord(name, normalised(clean), clean.valid, position, without_doubtful(position, code))


def reference_beats(record: Record) -> tuple[Float64, Codes]:
    """Positions in samples at 125 Hz, and classes, of the beats of the reference annotations."""
    if record.reference is None:
        raise RecordError(
            f"{record.record_id}: there is no reference annotation file ({record.record_id}.atr) beside it, so nothing "
            "can be learned from its beats; add it, or leave this record out."
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
