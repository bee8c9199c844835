"""Detection at the end of a stream: candidates for beats, and how analysable each lead is."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from ..classifier.detection import fuse_heatmaps, pick_beats
from ..classifier.encoder import Encoded, encode_end
from ..classifier.model import Model
from ..labels import MATCH_WINDOW_S
from ..schema import Bool, Float32, Float64, FrozenArrays
from ..signals.filters import FLAT_S, FS_HZ, SCALE_BLOCK_S, SCALE_BLOCKS, CleanLeads, clean_leads, peak_to_peak, scaled
from ..signals.quality import BLOCK_S, UNUSABLE_SCORE, certainty, lead_quality, lead_weights
from .window import Window

FILTER_S = 6.0  # the baseline filter has settled so long after the beginning of the window
RECEPTIVE_S = 2.1  # reach of the trunk of the network to either side, rounded up
SETTLED_S = 1.0  # the newest second still changes while later samples pass the filters
JITTER_S = 0.1  # and so does the place of a candidate, by less than this


@dataclass(frozen=True, eq=False)
class WindowDetections(FrozenArrays):
    """What is detected in the window at a hop; candidates ascend, and none was decided before."""

    time_s: Float64  # (n,)
    lead_weight: Float32  # (n, n_leads), summing to one
    lost_s: Float64  # moments without an analysable lead: the last decided one, and those in the window since
    score: Float32  # (n_leads,), quality over the last ten seconds
    off: Bool  # (n_leads,): no signal for two seconds
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
    encoded: Encoded


class StreamDetector:
    """Analyses the window like a chunk of a recording, but with amplitude and quality of the past alone."""

    def __init__(self, model: Model, leads: tuple[int, ...], *, horizon_s: float) -> None:
        self.model, self.leads = model, leads
        self.analysed_s = horizon_s + JITTER_S + model.spec.attention_half_s + RECEPTIVE_S
        frame_s = model.spec.stride / FS_HZ
        self._block_frames = round(BLOCK_S / frame_s)
        self._heights: list[deque[float]] = [deque(maxlen=SCALE_BLOCKS) for _ in leads]  # peak-to-peak of each second
        self._next_height = 0  # the first second that is not measured yet
        # Of the last block, as it was when decided:
        self._beat_heatmap = np.zeros((len(leads), 0), dtype=np.float32)
        self._valid = np.zeros((len(leads), 0), dtype=bool)
        self._lost_s = -1.0

    def detect(self, window: Window, *, from_s: float, until_s: float, after_s: float) -> WindowDetections:
        """Detect candidates for beats in the window.

        Parameters
        ----------
        from_s, until_s
            The interval that is decided now.
        after_s
            The last candidate that was decided before.

        """
        raw = window.samples[list(self.leads)]
        if np.isnan(raw).all():
            return self._detect_nothing(until_s)
        clean = clean_leads(raw, window.rate_hz)
        frames = self._encode(window, clean)
        spec, heatmap = self.model.spec, frames.encoded.beat_heatmap
        self._remember(frames, (frames.time_s >= from_s) & (frames.time_s < until_s))
        settled = (frames.time_s >= until_s) & (frames.time_s < window.end_s - SETTLED_S)
        score = self._lead_scores(heatmap[:, settled], frames.valid[:, settled])
        weight = frames.valid * score[:, None]
        frame = pick_beats(
            fuse_heatmaps(heatmap, weight), threshold=spec.detection_threshold, frame_s=spec.stride / FS_HZ
        )
        time_s = (frames.first + frame * spec.stride) / window.out_hz
        new = time_s >= max(from_s - JITTER_S, after_s + MATCH_WINDOW_S)
        lost = np.asarray(~(weight > UNUSABLE_SCORE).any(axis=0))
        return WindowDetections(
            time_s=time_s[new],
            lead_weight=lead_weights(weight[:, np.minimum(frame[new].astype(int), weight.shape[1] - 1)].T),
            lost_s=self._lost_times(frames.time_s, lost, from_s, until_s),
            score=score,
            off=np.asarray(~clean.valid[:, -int(FLAT_S * FS_HZ) :].any(axis=1)),
            position=frame[new] * spec.stride,
            signal=frames.signal,
            encoded=frames.encoded,
        )

    def _detect_nothing(self, until_s: float) -> WindowDetections:
        """The window holds no samples; the quality before the gap says nothing about the signal after it."""
        n_leads = len(self.leads)
        self._lost_s = until_s
        self._beat_heatmap, self._valid = self._beat_heatmap[:, :0], self._valid[:, :0]
        nothing = np.zeros(0)
        return WindowDetections(
            time_s=nothing,
            lead_weight=np.zeros((0, n_leads), dtype=np.float32),
            lost_s=np.array([until_s]),
            score=np.zeros(n_leads, dtype=np.float32),
            off=np.ones(n_leads, dtype=bool),
            position=nothing,
            signal=np.zeros((n_leads, 0), dtype=np.float32),
            encoded=None,
        )

    def _encode(self, window: Window, clean: CleanLeads) -> _Frames:
        """Run the trunk over the end of the window, on the frames that it would have if it ran from the start."""
        stride, first = self.model.spec.stride, window.first_out
        self._measure_heights(clean, first)
        cut = max(0, clean.signal_mv.shape[1] - int(self.analysed_s * FS_HZ))
        cut += -(first + cut) % stride
        signal = self._normalised(clean)[:, cut:]
        encoded = encode_end(self.model, signal)
        time_s = (first + cut + np.arange(encoded.beat_heatmap.shape[1]) * stride) / window.out_hz
        return _Frames(signal, first + cut, time_s, clean.valid[:, cut::stride], encoded)

    def _measure_heights(self, clean: CleanLeads, first: int) -> None:
        """Measure the peak-to-peak amplitude of each second that has settled; a second without signal is ignored."""
        second = int(SCALE_BLOCK_S * FS_HZ)
        settled = first + clean.signal_mv.shape[1] - int(SETTLED_S * FS_HZ)
        for number in range(max(self._next_height, -(-first // second)), settled // second):
            part = slice(number * second - first, (number + 1) * second - first)
            for heights, lead, valid in zip(self._heights, clean.signal_mv, clean.valid, strict=True):
                height = float(np.ptp(np.where(valid[part], lead[part], 0)))
                if height > 0:
                    heights.append(height)
            self._next_height = number + 1

    def _normalised(self, clean: CleanLeads) -> Float32:
        """Each lead in units of its usual amplitude; before any second has settled, of that in the window."""
        leads = []
        for heights, lead, valid in zip(self._heights, clean.signal_mv, clean.valid, strict=True):
            known = heights or peak_to_peak(np.where(valid, lead, 0), int(SCALE_BLOCK_S * FS_HZ))
            leads.append(scaled(lead, valid, float(np.median(known)) or 1.0))
        return np.stack(leads)

    def _remember(self, frames: _Frames, decided: Bool) -> None:
        """Keep the frames that are decided now, up to a block of them."""
        heatmap = np.concatenate((self._beat_heatmap, frames.encoded.beat_heatmap[:, decided]), axis=1)
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
        self._lost_s = float(lost_s[lost_s < until_s][-1])
        return lost_s
