"""What can be seen at the end of a stream: candidates for beats, described, and how well each lead can be read."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from ..classifier.detection import fuse_heatmaps, pick_beats
from ..classifier.encoder import Encoded, encode_end
from ..classifier.model import Model
from ..schema import Bool, Float32, Float64, _Columns
from ..signals.filters import FLAT_S, FS_HZ, SCALE_BLOCK_S, SCALE_BLOCKS, CleanLeads, clean_leads, peak_to_peak, scaled
from ..signals.quality import BLOCK_S, UNUSABLE_SCORE, certainty, lead_quality, lead_weights
from .window import Window

FILTER_S = 6.0  # the baseline filter has settled so long after the window's beginning
RECEPTIVE_S = 2.1  # the trunk sees less to either side
SETTLED_S = 1.0  # the newest second still changes while the filters see more
WOBBLE_S = 0.1  # so does the place of a beat, by less than this
SAME_BEAT_S = 0.15  # EC57's match window


@dataclass(frozen=True, eq=False)
class WindowDetections(_Columns):
    """The window at a hop; candidates for beats ascend, and none was seen before."""

    time_s: Float64  # (n,)
    lead_weight: Float32  # (n, n_leads), summing to one
    lost_s: Float64  # the last decided moment that no lead could be read, and those in the window
    score: Float32  # (n_leads,), quality over the last ten seconds
    off: Bool  # (n_leads,): nothing at all for two seconds
    position: Float64  # (n,), in the samples of ``signal``
    signal: Float32  # (n_leads, n_samples), as the network sees it
    encoded: Encoded | None  # None where nothing came

    @property
    def usable(self) -> bool:
        """Whether a lead can be read."""
        return bool((self.score > UNUSABLE_SCORE).any())


class StreamDetector:
    """Reads the window as the analysis of a recording reads a piece, with the amplitude and the quality of the past."""

    def __init__(self, model: Model, leads: tuple[int, ...], *, horizon_s: float) -> None:
        self.model, self.leads = model, leads
        self.seen_s = horizon_s + WOBBLE_S + model.spec.attention_half_s + RECEPTIVE_S
        frame_s = model.spec.stride / FS_HZ
        self._block_frames = round(BLOCK_S / frame_s)
        self._heights: list[deque[float]] = [deque(maxlen=SCALE_BLOCKS) for _ in leads]  # of each second, see signals
        self._next_height = 0  # the first second that was not measured yet
        self._heat = np.zeros((len(leads), 0), dtype=np.float32)  # of the last block, as it was when decided
        self._valid = np.zeros((len(leads), 0), dtype=bool)
        self._lost_s = -1.0

    def look(self, window: Window, *, from_s: float, until_s: float, after_s: float) -> WindowDetections:
        """See what is in the window.

        Parameters
        ----------
        from_s, until_s
            What is decided now.
        after_s
            Candidates before are known.

        """
        raw = window.samples[list(self.leads)]
        if np.isnan(raw).all():
            return self._blind(until_s)
        spec, clean = self.model.spec, clean_leads(raw, window.rate_hz)
        first = window.first_out  # sample of the grid that the whole stream has at 125 Hz
        self._measure_heights(clean, first)
        cut = max(0, clean.signal_mv.shape[1] - int(self.seen_s * FS_HZ))
        cut += -(first + cut) % spec.stride  # so that frames lie where they would if all were read from the first on
        signal = self._scaled(clean)[:, cut:]
        encoded = encode_end(self.model, signal)
        at_s = (first + cut + np.arange(encoded.beat_heatmap.shape[1]) * spec.stride) / window.out_hz
        valid = clean.valid[:, cut :: spec.stride]
        fresh = (at_s >= from_s) & (at_s < until_s)
        self._heat = np.concatenate((self._heat, encoded.beat_heatmap[:, fresh]), axis=1)[:, -self._block_frames :]
        self._valid = np.concatenate((self._valid, valid[:, fresh]), axis=1)[:, -self._block_frames :]
        settled = (at_s >= until_s) & (at_s < window.end_s - SETTLED_S)
        score = self._judge_quality(encoded.beat_heatmap[:, settled], valid[:, settled])
        weight = valid * score[:, None]
        heat = fuse_heatmaps(encoded.beat_heatmap, weight)
        frame = pick_beats(heat, threshold=spec.detection_threshold, frame_s=spec.stride / FS_HZ)
        time_s = (first + cut + frame * spec.stride) / window.out_hz
        new = time_s >= max(from_s - WOBBLE_S, after_s + SAME_BEAT_S)
        return WindowDetections(
            time_s=time_s[new],
            lead_weight=lead_weights(weight[:, np.minimum(frame[new].astype(int), weight.shape[1] - 1)].T),
            lost_s=self._lost(at_s, np.asarray(~(weight > UNUSABLE_SCORE).any(axis=0)), from_s, until_s),
            score=score,
            off=np.asarray(~clean.valid[:, -int(FLAT_S * FS_HZ) :].any(axis=1)),
            position=frame[new] * spec.stride,
            signal=signal,
            encoded=encoded,
        )

    def _blind(self, until_s: float) -> WindowDetections:
        """Nothing came for as long as the window is; what comes later is judged for itself."""
        n_leads = len(self.leads)
        self._lost_s = until_s
        self._heat, self._valid = self._heat[:, :0], self._valid[:, :0]
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

    def _measure_heights(self, clean: CleanLeads, first: int) -> None:
        """Peak-to-peak of each second that has settled; one that holds nothing says nothing."""
        second = int(SCALE_BLOCK_S * FS_HZ)
        settled = first + clean.signal_mv.shape[1] - int(SETTLED_S * FS_HZ)
        for number in range(max(self._next_height, -(-first // second)), settled // second):
            part = slice(number * second - first, (number + 1) * second - first)
            for heights, lead, valid in zip(self._heights, clean.signal_mv, clean.valid, strict=True):
                height = float(np.ptp(np.where(valid[part], lead[part], 0)))
                if height > 0:
                    heights.append(height)
            self._next_height = number + 1

    def _scaled(self, clean: CleanLeads) -> Float32:
        """The leads in units of their own usual amplitude; before any second has settled, that of what is there."""
        leads = []
        for heights, lead, valid in zip(self._heights, clean.signal_mv, clean.valid, strict=True):
            known = heights or peak_to_peak(np.where(valid, lead, 0), int(SCALE_BLOCK_S * FS_HZ))
            leads.append(scaled(lead, valid, float(np.median(known)) or 1.0))
        return np.stack(leads)

    def _judge_quality(self, heat: Float32, valid: Bool) -> Float32:
        """Quality of each lead over the last ten seconds, to which these frames come that are not decided yet."""
        heat = np.concatenate((self._heat, heat), axis=1)[:, -self._block_frames :]
        valid = np.concatenate((self._valid, valid), axis=1)[:, -self._block_frames :]
        if not heat.shape[1]:
            return np.ones(len(self.leads), dtype=np.float32)
        block = np.zeros(heat.shape[1], dtype=np.int64)
        certain = np.concatenate([certainty(hot, block) for hot in heat])
        return lead_quality(valid.mean(axis=1), certain)

    def _lost(self, at_s: Float64, lost: Bool, from_s: float, until_s: float) -> Float64:
        """Moments that no lead could be read: the last one that was decided, and those from then on."""
        lost_s = np.concatenate(([self._lost_s], at_s[lost & (at_s >= from_s)]))
        self._lost_s = float(lost_s[lost_s < until_s][-1])
        return lost_s
