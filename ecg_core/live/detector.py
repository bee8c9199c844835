"""Detection at the end of a stream: candidates for beats, and how analysable each lead is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..classifier.detection import fuse_heatmaps, pick_beats
from ..classifier.encoder import HALO_FRAMES, Encoded, encode_end
from ..classifier.model import Model
from ..labels import MATCH_WINDOW_S
from ..schema import Bool, Float32, Float64, FrozenArrays
from ..signals.filters import FLAT_S, FS_HZ, CleanLeads, clean_leads, scaled
from ..signals.quality import BLOCK_S, UNUSABLE_SCORE, certainty, lead_quality, lead_weights
from .amplitude import UsualAmplitude, is_quiet, window_amplitude
from .fibrillation import StreamWaveform
from .window import Window

FILTER_S = 6.0  # the baseline filter has settled so long after the beginning of the window
RECEPTIVE_S = 2.1  # reach of the trunk of the network to either side, rounded up
SETTLED_S = 1.0  # the newest second still changes while later samples pass the filters
CLEARLY = 0.8  # certainty of the detector at which a new amplitude is believed: noise reaches .6, clear beats .9
JITTER_S = 0.1  # and so does the place of a candidate, by less than this


@dataclass(frozen=True, eq=False)
class WindowDetections(FrozenArrays):
    """What is detected in the window at a hop; candidates ascend, and none was decided before."""

    time_s: Float64  # (n,)
    lead_weight: Float32  # (n, n_leads), summing to one
    lost_s: Float64  # moments without an analysable lead: the last decided one, and those in the window since
    score: Float32  # (n_leads,), quality over the last ten seconds
    off: Bool  # (n_leads,): no signal for two seconds
    vf: float  # probability of ventricular fibrillation in the last settled seconds; see ``fibrillation``
    position: Float64  # (n,), in samples of ``signal``
    signal: Float32  # (n_leads, n_samples), as the network receives it
    encoded: Encoded | None  # None where the window holds no samples

    @property
    def usable(self) -> bool:
        """Whether at least one lead is analysable."""
        return bool((self.score > UNUSABLE_SCORE).any())


@dataclass(frozen=True, eq=False)
class _Frames(FrozenArrays):
    """The end of the window on the time grid of the network."""

    signal: Float32  # (n_leads, n_samples), normalised
    first: int  # index of its first sample in the stream at 125 Hz
    time_s: Float64  # (n_frames,)
    valid: Bool  # (n_leads, n_frames)
    quiet: Bool  # (n_frames,): the leads are there, but too quiet for a beat
    beat_heatmap: Float32  # (n_leads, n_frames), zero where it is quiet
    encoded: Encoded


class StreamDetector:
    """Analyses the window like a chunk of a recording, but with amplitude and quality of the past alone."""

    def __init__(self, model: Model, leads: tuple[int, ...], *, horizon_s: float) -> None:
        self.model, self.leads = model, leads
        # What is settled now was analysed before, with the frames since then: no second is left out of the waveform.
        self.analysed_s = max(horizon_s, SETTLED_S) + JITTER_S + model.spec.attention_half_s + RECEPTIVE_S
        frame_s = model.spec.stride / FS_HZ
        self._block_frames = round(BLOCK_S / frame_s)
        self._amplitude = UsualAmplitude(len(leads))
        self._waveform = StreamWaveform(len(leads), model.spec.stride)
        # Of the last block, as it was when decided:
        self._beat_heatmap = np.zeros((len(leads), 0), dtype=np.float32)
        self._valid = np.zeros((len(leads), 0), dtype=bool)
        self._lost_s = -1.0

    def detect(
        self, window: Window, *, from_s: float, until_s: float, after_s: float, beats_s: Float64
    ) -> WindowDetections:
        """Detect candidates for beats in the window.

        Parameters
        ----------
        from_s, until_s
            The interval that is decided now.
        after_s
            The last candidate that was decided before.
        beats_s
            Times of the latest analysable beats, which show the usual amplitude.

        """
        raw = window.samples[list(self.leads)]
        if np.isnan(raw).all():
            return self._detect_nothing(until_s)
        clean = clean_leads(raw, window.rate_hz)
        until = int((from_s - JITTER_S) * FS_HZ)
        self._amplitude.measure(clean, first=window.first_out, until=until, beats_s=beats_s)
        frames = self._encode(window, clean)
        spec, heatmap = self.model.spec, frames.beat_heatmap
        self._remember(frames, (frames.time_s >= from_s) & (frames.time_s < until_s))
        settled = (frames.time_s >= until_s) & (frames.time_s < window.end_s - SETTLED_S)
        score = self._lead_scores(heatmap[:, settled], frames.valid[:, settled])
        weight = frames.valid * score[:, None]
        frame = pick_beats(
            fuse_heatmaps(heatmap, weight), threshold=spec.detection_threshold, frame_s=spec.stride / FS_HZ
        )
        time_s = (frames.first + frame * spec.stride) / window.out_hz
        new = time_s >= max(from_s - JITTER_S, after_s + MATCH_WINDOW_S)
        lost = np.asarray(~(weight > UNUSABLE_SCORE).any(axis=0)) & ~frames.quiet
        off = np.asarray(~clean.valid[:, -int(FLAT_S * FS_HZ) :].any(axis=1))
        return WindowDetections(
            time_s=time_s[new],
            lead_weight=lead_weights(weight[:, np.minimum(frame[new].astype(int), weight.shape[1] - 1)].T),
            lost_s=self._lost_times(frames.time_s, lost, from_s, until_s),
            score=score,
            off=off,
            vf=self._vf(window, clean, frames),
            position=frame[new] * spec.stride,
            signal=frames.signal,
            encoded=frames.encoded,
        )

    def _detect_nothing(self, until_s: float) -> WindowDetections:
        """The window holds no samples; the quality before the gap says nothing about the signal after it."""
        n_leads = len(self.leads)
        self._lost_s = until_s
        self._waveform.forget()
        self._beat_heatmap, self._valid = self._beat_heatmap[:, :0], self._valid[:, :0]
        nothing = np.zeros(0)
        return WindowDetections(
            time_s=nothing,
            lead_weight=np.zeros((0, n_leads), dtype=np.float32),
            lost_s=np.array([until_s]),
            score=np.zeros(n_leads, dtype=np.float32),
            off=np.ones(n_leads, dtype=bool),
            vf=0.0,
            position=nothing,
            signal=np.zeros((n_leads, 0), dtype=np.float32),
            encoded=None,
        )

    def _vf(self, window: Window, clean: CleanLeads, frames: _Frames) -> float:
        """Probability of ventricular fibrillation in the last seconds that have settled."""
        stride = self.model.spec.stride
        first_frame = frames.first // stride + HALO_FRAMES
        return self._waveform.step(
            clean,
            frames.encoded.beat_heatmap[:, HALO_FRAMES:],
            origin=window.first_out,
            first_frame=first_frame,
            settled=window.first_out + clean.signal_mv.shape[1] - int(SETTLED_S * FS_HZ),
        )

    def _encode(self, window: Window, clean: CleanLeads) -> _Frames:
        """Run the trunk over the end of the window, at the usual amplitude or at one that shows beats again."""
        if self._amplitude.is_doubtful:
            frames = self._encode_at(window, clean, window_amplitude(clean))
            if _is_clear(frames):
                self._amplitude.forget()
                return frames
        return self._encode_at(window, clean, self._amplitude.of_leads(clean))

    def _encode_at(self, window: Window, clean: CleanLeads, amplitude_mv: Float32) -> _Frames:
        """Run the trunk over the end of the window, on the frames that it would have if it ran from the start."""
        stride, first = self.model.spec.stride, window.first_out
        cut = max(0, clean.signal_mv.shape[1] - int(self.analysed_s * FS_HZ))
        cut += -(first + cut) % stride
        leads = zip(clean.signal_mv, clean.valid, amplitude_mv.tolist(), strict=True)
        signal = np.stack([scaled(lead, valid, amplitude) for lead, valid, amplitude in leads])
        encoded = encode_end(self.model, signal[:, cut:])
        quiet = is_quiet(clean, amplitude_mv)[cut::stride] & self._amplitude.is_known
        time_s = (first + cut + np.arange(encoded.beat_heatmap.shape[1]) * stride) / window.out_hz
        heatmap = np.where(quiet, np.float32(0), encoded.beat_heatmap)
        return _Frames(signal[:, cut:], first + cut, time_s, clean.valid[:, cut::stride], quiet, heatmap, encoded)

    def _remember(self, frames: _Frames, decided: Bool) -> None:
        """Keep the frames that are decided now, up to a block of them."""
        heatmap = np.concatenate((self._beat_heatmap, frames.beat_heatmap[:, decided]), axis=1)
        self._beat_heatmap = heatmap[:, -self._block_frames :]
        self._valid = np.concatenate((self._valid, frames.valid[:, decided]), axis=1)[:, -self._block_frames :]

    def _lead_scores(self, heatmap: Float32, valid: Bool) -> Float32:
        """Quality of each lead over the last ten seconds: the frames kept, and these that are not decided yet."""
        heatmap = np.concatenate((self._beat_heatmap, heatmap), axis=1)[:, -self._block_frames :]
        valid = np.concatenate((self._valid, valid), axis=1)[:, -self._block_frames :]
        if not heatmap.shape[1]:
            return np.ones(len(self.leads), dtype=np.float32)
        block = np.zeros(heatmap.shape[1], dtype=np.int64)
        certain = np.concatenate([certainty(row, block) for row in heatmap])
        return lead_quality(valid.mean(axis=1), certain)

    def _lost_times(self, time_s: Float64, lost: Bool, from_s: float, until_s: float) -> Float64:
        """Moments without an analysable lead: the last decided one, and those from ``from_s`` on."""
        lost_s = np.concatenate(([self._lost_s], time_s[lost & (time_s >= from_s)]))
        self._lost_s = float(lost_s[lost_s < until_s].max(initial=-1.0))  # of a stream that begins with a gap, none
        return lost_s


def _is_clear(frames: _Frames) -> bool:
    """Whether beats stand out clearly in one of the leads, in signal that has settled."""
    heatmap = frames.encoded.beat_heatmap[:, frames.time_s < frames.time_s[-1] - SETTLED_S]
    block = np.zeros(heatmap.shape[1], dtype=np.int64)
    return any(len(row) > 0 and row.max() > CLEARLY and certainty(row, block)[0] > CLEARLY for row in heatmap)
