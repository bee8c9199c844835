"""The noise stress test: recorded noise is added to a record at a given signal-to-noise ratio, as WFDB's ``nst`` does.

Moody, Muldrow & Mark 1984, A noise stress test for arrhythmia detectors; the noise is that of nstdb.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..errors import RecordError
from ..schema import Annotations, Float32, Float64, Record, SignalSource

CLEAN_S = 300.0  # no noise in the learning period of the scoring ...
TURN_S = 120.0  # ... then two minutes with noise and two without in turns
TEST_FRACTION = 0.5  # of the noise record is added; training uses the rest, so that the noise of the test is new
QRS_HALF_S = 0.05  # a QRS has its peaks within 50 ms of the mark
N_MEASURED = 300  # beats, and seconds of noise, whose amplitude is averaged ...
TRIMMED_FRACTION = 0.05  # ... without the largest and the smallest twentieth


@dataclass(frozen=True)
class NoisySource:
    """A signal source with noise added in turns."""

    clean: SignalSource
    noise: Float32  # (n_leads, n) at the record's rate, with the amplitude that is added; repeated when it ends
    fs_hz: float

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """See ``SignalSource``."""
        sample = np.arange(start, stop)
        since_s = sample / self.fs_hz - CLEAN_S
        noisy = (since_s >= 0) & (np.floor(since_s / TURN_S) % 2 == 0)
        added = self.noise[list(leads)][:, sample % self.noise.shape[1]] * noisy
        return np.asarray(self.clean.read(start, stop, leads) + added, dtype=np.float32)


def with_noise(record: Record, noise: Record, *, snr_db: float, training: bool = False) -> Record:
    """The record with the noise record's channels added to its leads in turns at ``snr_db``.

    The power of a lead is the squared mean peak-to-peak amplitude of its QRS over 8, that of noise its mean square.
    With ``training``, the noise is that of the other part of the noise record.

    Raises
    ------
    RecordError
        The record has no reference annotations to measure the QRS at, or the rates differ.

    """
    if record.reference is None:
        raise RecordError("its QRS cannot be measured without reference annotations (.atr)", where=record.record_id)
    if record.fs_hz != noise.fs_hz:
        raise RecordError(
            where=noise.record_id,
            expected=f"noise at the rate of {record.record_id} ({record.fs_hz:g} Hz)",
            got=f"{noise.fs_hz:g} Hz",
            advice="Resample it first.",
        )
    n_channels = len(noise.lead_names)
    edge = int(TEST_FRACTION * noise.n_samples)
    part = (edge, noise.n_samples) if training else (0, edge)
    channels = noise.source.read(*part, tuple(range(n_channels)))
    scaled = []
    for lead in range(len(record.lead_names)):
        channel = channels[lead % n_channels]
        power = _qrs_height_mv(record, record.reference, lead) ** 2 / 8
        gain = np.sqrt(power / 10 ** (snr_db / 10)) / _noise_rms_mv(channel, noise.fs_hz)
        scaled.append((channel - channel.mean()) * gain)
    source = NoisySource(record.source, np.stack(scaled).astype(np.float32), record.fs_hz)
    return replace(record, record_id=f"{record.record_id}+{noise.record_id}{snr_db:g}dB", source=source)


def _qrs_height_mv(record: Record, reference: Annotations, lead: int) -> float:
    half = round(QRS_HALF_S * record.fs_hz)
    centre = np.rint(reference.time_s[reference.symbol != "+"][:N_MEASURED] * record.fs_hz).astype(int)
    signal = record.source.read(0, min(record.n_samples, int(centre[-1]) + half + 1), (lead,))[0]
    return _trimmed_mean(np.array([np.ptp(signal[max(0, i - half) : i + half + 1]) for i in centre]))


def _noise_rms_mv(channel: Float32, fs_hz: float) -> float:
    width = round(fs_hz)
    seconds = channel[: N_MEASURED * width]
    seconds = seconds[: len(seconds) // width * width].reshape(-1, width)
    return _trimmed_mean(seconds.std(axis=1))


def _trimmed_mean(values: Float64 | Float32) -> float:
    cut = int(TRIMMED_FRACTION * len(values))
    return float(np.sort(values)[cut : len(values) - cut].mean())
