"""Whether the last seconds of a stream show ventricular fibrillation, also where no beats can be separated."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from ..classifier.waveform import CONTEXT_STEPS, STEP, WIDTH, WINDOW_S, WaveformMeasures, measure_waveform
from ..classifier.waveform_head import RHYTHMS, load_head, rhythm_probability, usual_size
from ..rhythm.danger import CERTAIN, POSSIBLE, VF_SHARE
from ..schema import Float32
from ..signals.filters import CleanLeads
from .alarm_lines import VF, VF_SUSPECTED

SEEN_S = WINDOW_S  # of signal that one judgement rests on
USUAL_STEPS = 600  # the usual amplitude is that of so many of the latest seconds with clear beats
# The probability rises when about half of what is seen fibrillates. With another two seconds the rhythm has lasted the
# four seconds of its definition, and with the second that has not settled it is announced six to eight after its onset.
LATE_S = SEEN_S / 2
RAISE_S = 2.0
OVER_S = 3.0  # so long without suspicion ends it: coarse waves become fine for a second or two


@dataclass(frozen=True)
class _Second:
    """One measured second."""

    measure: Float32 | None  # (n_leads, n_measures); None where the beats of a lead are clear
    size: Float32  # (n_leads, 2)


class StreamWaveform:
    """Measures the waveform of a stream each second, as that of a record is, from the past alone."""

    def __init__(self, n_leads: int, stride: int) -> None:
        self._stride = stride
        self._heat = np.zeros((n_leads, 0), dtype=np.float32)  # beat probability of the latest settled frames ...
        self._next_frame = 0  # ... up to this one, counted from the start of the stream
        self._next_step = 0
        self._latest: deque[Float32] = deque(maxlen=2 * CONTEXT_STEPS + 1)  # measures since beats were clear
        self._sizes: deque[Float32] = deque(maxlen=USUAL_STEPS)
        self._probability = 0.0

    def forget(self) -> None:
        """Begin again after a gap; the usual amplitude stays."""
        self._heat = self._heat[:, :0]
        self._latest.clear()
        self._probability = 0.0

    def step(self, clean: CleanLeads, beat_heatmap: Float32, *, origin: int, first_frame: int, settled: int) -> float:
        """Take a window; return the probability of ventricular fibrillation in its last settled seconds, 0 .. 1.

        Parameters
        ----------
        clean
            The window, whose first sample is sample ``origin`` of the stream at 125 Hz.
        beat_heatmap, first_frame
            Beat probability of the frames from ``first_frame`` of the stream on, (n_leads, n_frames).
        settled
            The sample of the stream before which the signal does not change any more.

        """
        self._take(beat_heatmap, first_frame, settled // self._stride)
        if settled // STEP >= self._next_step and self._heat.shape[1] * self._stride >= WIDTH:
            self._next_step = settled // STEP + 1
            self._judge(self._measure(clean, origin, settled))
        return self._probability

    def _take(self, beat_heatmap: Float32, first_frame: int, settled_frame: int) -> None:
        """Keep the frames that are settled and new."""
        new = beat_heatmap[:, max(0, self._next_frame - first_frame) : max(0, settled_frame - first_frame)]
        if first_frame > self._next_frame:
            self._heat = self._heat[:, :0]
        self._heat = np.concatenate((self._heat, new), axis=1)[:, -(2 * WIDTH // self._stride) :]
        self._next_frame = max(self._next_frame, settled_frame)

    def _measure(self, clean: CleanLeads, origin: int, settled: int) -> _Second:
        """Measure the last settled WINDOW_S."""
        begin = (settled - WIDTH) // self._stride * self._stride
        part = slice(begin - origin, begin - origin + WIDTH + self._stride)
        seen = CleanLeads(clean.signal_mv[:, part], clean.valid[:, part])
        n_frames = WIDTH // self._stride
        last = self._heat.shape[1] - (self._next_frame - begin // self._stride - n_frames)
        heat = self._heat[:, max(0, last - n_frames) : last]
        found = measure_waveform(seen, heat, stride=self._stride, first=WIDTH // 2 - STEP // 2, n_steps=1)
        return _Second(found.measure[0] if len(found.step) else None, found.size[0])

    def _judge(self, second: _Second) -> None:
        if second.measure is None:
            self._latest.clear()
            self._sizes.append(second.size)
            self._probability = 0.0
            return
        self._latest.append(second.measure)
        n, n_leads = len(self._latest), len(second.measure)
        measures = WaveformMeasures(
            step=np.arange(n),
            measure=np.stack(self._latest),
            clear=np.zeros(n, dtype=bool),
            size=np.stack(self._sizes) if self._sizes else np.zeros((0, n_leads, 2), dtype=np.float32),
        )
        found = rhythm_probability(load_head(), measures, usual_size(measures))[-1]
        vf, vt = float(found[RHYTHMS.index("vf")]), float(found[RHYTHMS.index("vt")])
        # A tachycardia in which no beats stand out is no more certain here than suspected fibrillation.
        self._probability = vf + vt if vf >= VF_SHARE * (vf + vt) else min(vf + vt, (POSSIBLE + CERTAIN) / 2)


class FibrillationWatch:
    """Follows the probability of fibrillation: since when it is suspected, and since when it is certain."""

    def __init__(self) -> None:
        self._suspected_s: float | None = None  # since then suspected without a break, ...
        self._certain_s: float | None = None  # ... and certain
        self._clear_s: float | None = None  # since then not suspected
        self._seen_s = 0.0

    def step(self, probability: float, seen_s: float) -> None:
        """Take the probability in the seconds before ``seen_s``."""
        self._suspected_s = _since(self._suspected_s, seen_s, holds=probability >= POSSIBLE)
        self._certain_s = _since(self._certain_s, seen_s, holds=probability >= CERTAIN)
        self._clear_s = _since(self._clear_s, seen_s, holds=probability < POSSIBLE)
        self._seen_s = seen_s

    @property
    def is_suspected(self) -> bool:
        """Whether the last seconds may be fibrillation, however short."""
        return self._suspected_s is not None

    @property
    def kind(self) -> str:
        """The alarm that the last seconds call for; empty for none."""
        if self._certain_s is not None and self._seen_s - self._certain_s >= RAISE_S:
            return VF
        if self._suspected_s is not None and self._seen_s - self._suspected_s >= RAISE_S:
            return VF_SUSPECTED
        return ""

    @property
    def start_s(self) -> float:
        """When what is suspected now began, seconds."""
        return (self._seen_s if self._suspected_s is None else self._suspected_s) - LATE_S

    @property
    def over_s(self) -> float | None:
        """When fibrillation ended, if it is over."""
        if self._clear_s is None or self._seen_s - self._clear_s < OVER_S:
            return None
        return self._clear_s - LATE_S


def _since(before_s: float | None, now_s: float, *, holds: bool) -> float | None:
    """Since when something holds without a break; None where it does not."""
    return (now_s if before_s is None else before_s) if holds else None
