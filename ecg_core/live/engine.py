"""The network on a stream: each beat is judged a fixed while after it, from all that came until then.

A beat gets the label that the analysis of the recording so far would give it. So the label does not depend on how the
stream was cut into chunks, and comes the closer to that of the whole recording the longer one waits. Differs from the
analysis of a recording in that the amplitude, the quality and the patient's normal beat are those of the past.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from ..classifier.classification import Predictions, classify_latest, drop_noise, references
from ..classifier.encoder import Encoded, describe_beats
from ..classifier.features import CONTEXT_BEATS, HABIT_BEATS, REFERENCE_BEATS, frame_offsets
from ..classifier.leads import ALL, AUTO, FIRST
from ..classifier.model import Model
from ..errors import LiveError
from ..labels import CLASSES
from ..records import position_of
from ..rhythm.fibrillation import suppress_s_in_af
from ..rhythm.intervals import analysable_rr
from ..rhythm.p_waves import AT_ONCE, before_qrs, repeating
from ..rules import RhythmRules
from ..schema import Attention, Beats, Float32, Float64, Index, _Columns
from ..signals.filters import FS_HZ
from .alarms import AlarmTracker
from .detector import FILTER_S, StreamDetector, WindowDetections
from .stream import Chunk, Notice, Stream, Update, merge_updates
from .window import HOP_S, Window

HORIZONS_S = (0.25, 60.0)  # less does not hold a QRS and its filter, more is no live view
MOST_BEATS = REFERENCE_BEATS  # the patient's normal beat is learned from the last hour
TAIL_BEATS = max(10 * AT_ONCE, HABIT_BEATS)  # rhythm and usual RR are told from so many
LEARN_SHARE, LEARN_MOST = 1 / 16, 32  # it is learned updated when a sixteenth more beats came, or so many

NO_PREDICTIONS = Predictions(np.zeros((0, len(CLASSES)), dtype=np.float32), np.zeros(0, dtype=np.float32))


@dataclass(frozen=True, eq=False)
class Candidates(_Columns):
    """What was seen of candidates for beats."""

    token: Float32  # (n, n_leads, token_size)
    attention: Float32  # (n, n_steps), the leads fused
    before_qrs: Float32  # (n, n_leads, n_steps)


@dataclass(frozen=True, eq=False)
class DecidedBeat:
    """A beat that is decided, with what later ones are judged by."""

    time_s: float
    rr_s: float
    token: Float32  # (n_leads, token_size)
    lead_weight: Float32  # (n_leads,)
    before_qrs: Float32  # (n_leads, n_steps)
    probability: Float32  # (n_classes,)
    usable: bool


class Monitor:
    """Judges the beats of one stream; all that it keeps is bounded."""

    def __init__(
        self,
        stream: Stream,
        model: Model,
        rules: RhythmRules | None = None,
        *,
        horizon_s: float = 2.0,
        lead: str = AUTO,
    ) -> None:
        """Begin to watch.

        Parameters
        ----------
        horizon_s
            No beat waits longer for its label than this, but for the time that the work takes.
        lead
            A lead's name, ``first``, or ``auto`` and ``all``: all leads, each counted as well as it can be read.

        Raises
        ------
        LiveError, LeadError
            The horizon is out of range; the stream has no such lead.

        """
        if not HORIZONS_S[0] <= horizon_s <= HORIZONS_S[1]:
            raise LiveError(f"horizon: expected {HORIZONS_S[0]:g} to {HORIZONS_S[1]:g} s, got {horizon_s:g}.")
        self.stream, self.model, self.horizon_s = stream, model, horizon_s
        self.rules = rules or RhythmRules()
        leads = leads_of(stream, lead)
        self._detector = StreamDetector(model, leads, horizon_s=horizon_s)
        self._window = Window(stream, length_s=self._detector.seen_s + FILTER_S)
        self._alarm_tracker = AlarmTracker(stream, self.rules, leads)
        self._beats: deque[DecidedBeat] = deque(maxlen=MOST_BEATS)
        self._until_s = 0.0  # all before it is decided
        self._found_s = self._dropped_s = -np.inf  # the last candidate, and the last that was noise
        self._tail = _columns([], self.rules)
        offset_s = (frame_offsets(model.spec) * model.spec.stride / FS_HZ).astype(np.float32)
        self._no_attention = Attention(np.zeros((0, len(offset_s)), dtype=np.float16), offset_s)
        self._nothing = Update(self._tail, self._no_attention)
        self._reference: Float32 | None = None
        self._until_learning = 0  # beats until the patient's normal beat is learned updated

    def push(self, chunk: Chunk) -> Update:
        """Take a chunk of any length; what is decided by it.

        Raises
        ------
        LiveError
            The chunk has other leads than the stream, or lies a day and more ahead.

        """
        missed, repeated = self._window.n_missed, self._window.n_repeated
        updates = [self._hop(at_end=False) for _ in self._window.hops(chunk)]
        said = self._said(self._window.n_missed - missed, self._window.n_repeated - repeated)
        return replace(merge_updates([self._nothing, *updates]), notices=said)

    def close(self) -> Update:
        """Decide what is left when the stream has ended."""
        self._window.rest()
        return self._hop(at_end=True)

    def _hop(self, *, at_end: bool) -> Update:
        """Look at the window and decide what is old enough."""
        end_s = self._window.end_s
        until_s = end_s if at_end else max(self._until_s, end_s - self.horizon_s + HOP_S)
        detections = self._detector.look(self._window, from_s=self._until_s, until_s=until_s, after_s=self._found_s)
        n_due = int(np.searchsorted(detections.time_s, until_s))
        attention = (
            self._decide(detections, self._describe(detections, detections.encoded), n_due)
            if n_due and detections.encoded
            else self._no_attention
        )
        self._until_s = until_s
        n_new = len(attention.weight)
        alarms, vitals = self._alarm_tracker.step(
            self._tail, n_new, until_s=until_s, end_s=end_s, detections=detections,
            hidden_s=max(float(detections.lost_s[detections.lost_s < until_s].max(initial=-np.inf)), self._dropped_s),
        )  # fmt: skip
        return Update(_last(self._tail, n_new), attention, alarms, (), vitals)

    def _decide(self, detections: WindowDetections, seen: Candidates, n_due: int) -> Attention:
        """Judge the candidates and keep those of the first ``n_due`` that are beats; where the network looked."""
        kept, rr_s, predictions = drop_noise(
            len(detections.time_s), lambda kept, _: self._classify(detections, seen, kept)
        )
        decided = kept[kept < n_due]
        for at, i in enumerate(decided.tolist()):
            time_s, rr, probability = float(detections.time_s[i]), float(rr_s[at]), predictions.probability[at]
            self._beats.append(
                DecidedBeat(
                    time_s,
                    rr,
                    seen.token[i],
                    detections.lead_weight[i],
                    seen.before_qrs[i],
                    probability,
                    detections.usable,
                )
            )
        self._until_learning -= len(decided)
        self._found_s = float(detections.time_s[n_due - 1])
        dropped = np.setdiff1d(np.arange(n_due), kept)
        self._dropped_s = float(detections.time_s[dropped].max(initial=self._dropped_s))
        self._tail = _columns(list(self._beats)[-TAIL_BEATS:], self.rules)
        return Attention(seen.attention[decided].astype(np.float16), self._no_attention.offset_s)

    def _describe(self, detections: WindowDetections, seen: Encoded) -> Candidates:
        described = describe_beats(self.model, seen, detections.position)
        attention = np.einsum("nl,nlk->nk", detections.lead_weight, described.attention)
        return Candidates(described.token, attention, before_qrs(detections.signal, detections.position))

    def _classify(self, detections: WindowDetections, seen: Candidates, kept: Index) -> tuple[Float64, Predictions]:
        """RR and predictions of the candidates that are kept, read as the end of the sequence of beats so far."""
        past = list(self._beats)
        own_rr_s = self._intervals(detections, kept)
        if not len(kept):
            return own_rr_s, NO_PREDICTIONS
        if self._reference is None or self._until_learning <= 0:
            known = np.stack([beat.token for beat in past] + list(seen.token[kept]))
            self._reference = references(self.model, known, np.array([*(beat.rr_s for beat in past), *own_rr_s]))
            self._until_learning = min(LEARN_MOST, int(LEARN_SHARE * len(past)))
        context = past[-CONTEXT_BEATS:]
        predictions = classify_latest(
            self.model,
            np.stack([beat.token for beat in context] + list(seen.token[kept])),
            np.array([*(beat.rr_s for beat in past[-HABIT_BEATS:]), *own_rr_s]),
            np.stack([beat.lead_weight for beat in context] + list(detections.lead_weight[kept])),
            self._reference,
        )
        own = slice(len(context), None)
        return own_rr_s, Predictions(predictions.probability[own], predictions.noise[own])

    def _intervals(self, detections: WindowDetections, kept: Index) -> Float64:
        """RR of the candidates that are kept; NaN where something in between could not be read or may hide a beat."""
        time_s = np.concatenate(([self._beats[-1].time_s if self._beats else np.nan], detections.time_s[kept]))
        dropped_s = np.concatenate(([self._dropped_s], np.delete(detections.time_s, kept)))
        return analysable_rr(time_s, detections.lost_s, dropped_s)[1:]

    def _said(self, n_missed: int, n_repeated: int) -> tuple[Notice, ...]:
        """What has to be said of gaps and repeats that a chunk showed."""
        end_s, fs_hz = self._window.received / self.stream.fs_hz, self.stream.fs_hz
        said = []
        if n_missed:
            said.append(Notice(end_s, f"{n_missed} samples ({n_missed / fs_hz:.2f} s) did not come: a gap."))
        if n_repeated:
            said.append(Notice(end_s, f"{n_repeated} samples came out of order or twice and were left out."))
        return tuple(said)


def leads_of(stream: Stream, lead: str) -> tuple[int, ...]:
    """Positions of the leads to watch; see ``Monitor``."""
    if lead in (AUTO, ALL):
        return tuple(range(len(stream.lead_names)))
    if lead == FIRST:
        return (0,)
    return (position_of(lead, stream.lead_names, where=f"stream {stream.name}"),)


def _columns(judged: Sequence[DecidedBeat], rules: RhythmRules) -> Beats:
    """Beats as columns; N for S in atrial fibrillation, see ``fibrillation.suppress_s_in_af``."""
    probability = np.array([beat.probability for beat in judged], dtype=np.float32).reshape(-1, len(CLASSES))
    usable = np.array([beat.usable for beat in judged], dtype=bool)
    beats = Beats(
        np.array([beat.time_s for beat in judged]),
        np.where(usable, np.array(CLASSES)[probability.argmax(axis=1)], "Q"),
        probability,
        np.array([beat.rr_s for beat in judged]),
        usable,
    )
    p_repeats = np.full(len(judged), np.nan, dtype=np.float32)
    if judged:
        p_repeats = repeating(np.stack([beat.before_qrs for beat in judged]), beats)
    return suppress_s_in_af(replace(beats, p_repeats=p_repeats), rules)


def _last(beats: Beats, n: int) -> Beats:
    """The last ``n`` beats."""
    return Beats(*(getattr(beats, item.name)[len(beats) - n :] for item in fields(Beats)))
