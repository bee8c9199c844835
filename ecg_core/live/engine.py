"""The network on a live stream: each beat is decided a fixed horizon after it, from the signal received until then.

A beat gets the label that an analysis of the recording so far would give it. So the labels do not depend on how the
stream was cut into chunks, and the longer the horizon, the closer they come to those of the whole recording. Differs
from the analysis of a recording in that amplitude, quality and the normal beat of the patient are those of the past.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..classifier.classification import Predictions, classify_latest, drop_noise, no_predictions, references, take_rows
from ..classifier.encoder import Encoded, describe_beats
from ..classifier.features import CONTEXT_BEATS, HABIT_BEATS, REFERENCE_BEATS, frame_offsets
from ..classifier.leads import ALL, AUTO, FIRST
from ..classifier.model import Model
from ..errors import LiveError
from ..labels import CLASSES, most_probable
from ..measuring import operating_point
from ..records import position_of
from ..rhythm.decisions import settle_labels
from ..rhythm.intervals import analysable_rr
from ..rhythm.p_waves import AVERAGED_BEATS, before_qrs, p_correlation, repeating_fraction
from ..rhythm.qrs_shape import around_qrs, qrs_correlation
from ..rhythm.uncertainty import calibrate_probabilities
from ..rules import OperatingPoint, RhythmRules
from ..schema import Attention, Beats, Float32, Float64, FrozenArrays, Index
from ..signals.filters import FS_HZ
from ..text import plural
from .alarms import AlarmTracker
from .detector import FILTER_S, StreamDetector, WindowDetections
from .stream import Notice, Stream, StreamChunk, Update, Vitals, merge_updates
from .window import HOP_S, Window

MIN_HORIZON_S, MAX_HORIZON_S = 0.25, 60.0  # a QRS and its filter need the former; longer is not live
MAX_BEATS = REFERENCE_BEATS  # the normal beat of the patient is learned from about the last hour
TAIL_BEATS = max(10 * AVERAGED_BEATS, HABIT_BEATS)  # rhythm, P waves and usual RR are measured over so many
LEARN_FRACTION, LEARN_MAX_BEATS = (
    1 / 16,
    32,
)  # more beats after which the normal beat is learned again

FIRST_BEATS = 3  # so many beats labelled S show that a tachycardia began before them


@dataclass(frozen=True, eq=False)
class Candidates(FrozenArrays):
    """What the network makes of candidates for beats."""

    token: Float32  # (n, n_leads, token_size)
    attention: Float32  # (n, n_steps), weighted over the leads
    before_qrs: Float32  # (n, n_leads, n_steps)
    qrs: Float32  # (n, n_leads, n_steps)


@dataclass(frozen=True, eq=False)
class DecidedBeat:
    """A decided beat, with what the classification of later beats needs of it."""

    time_s: float
    rr_s: float
    token: Float32  # (n_leads, token_size)
    lead_weight: Float32  # (n_leads,)
    before_qrs: Float32  # (n_leads, n_steps)
    qrs: Float32  # (n_leads, n_steps)
    probability: Float32  # (n_classes,)
    usable: bool
    af_probability: float | None  # None if the network gives none


class Monitor:
    """Detects and classifies the beats of one stream; the memory that it takes is bounded.

    Parameters
    ----------
    horizon_s
        Seconds of signal after a beat that its label waits for.
    lead
        The name of a lead, ``first``, or ``auto`` and ``all``: all leads, each weighted by its quality.

    Raises
    ------
    LiveError, LeadError, ModelError
        The horizon is out of range; the stream has no such lead; the model has no such sensitivity.

    """

    def __init__(
        self,
        stream: Stream,
        model: Model,
        rules: RhythmRules | None = None,
        *,
        horizon_s: float = 2.0,
        lead: str = AUTO,
    ) -> None:
        if not MIN_HORIZON_S <= horizon_s <= MAX_HORIZON_S:
            raise LiveError(
                f"The horizon is {horizon_s:g} s, expected {MIN_HORIZON_S:g} to {MAX_HORIZON_S:g} s.",
                settings=("horizon",),
            )
        self.stream, self.model, self.horizon_s = stream, model, horizon_s
        self.rules = rules or RhythmRules()
        leads = monitored_leads(stream, lead)
        self._calibration = model.spec.calibration_of(len(leads))
        self._point = operating_point(model.spec, len(leads), self.rules)
        self._detector = StreamDetector(model, leads, horizon_s=horizon_s)
        self._window = Window(stream, length_s=self._detector.analysed_s + FILTER_S)
        self._alarm_tracker = AlarmTracker(stream, self.rules, leads)
        self._beats: deque[DecidedBeat] = deque(maxlen=MAX_BEATS)
        self._n_leads, self._lead_off = len(leads), (False,) * len(stream.lead_names)
        self._silent_since_s = 0.0  # by the clock of this machine
        self._until_s = 0.0  # the end of the decided signal
        self._decided_s = -np.inf  # the last candidate that was decided ...
        self._dropped_s = -np.inf  # ... and the last one that was dropped as noise
        self._finds_af = model.spec.finds_af
        # The last TAIL_BEATS, and fibrillation among them:
        self._tail, self._episodes = _tail_of([], self.rules, self._point, finds_af=self._finds_af)
        offset_s = (frame_offsets(model.spec) * model.spec.stride / FS_HZ).astype(np.float32)
        self._no_attention = Attention(np.zeros((0, len(offset_s)), dtype=np.float16), offset_s)
        self._no_update = Update(self._tail, self._no_attention)
        self._reference: Float32 | None = None
        self._until_learning = 0  # beats until the normal beat of the patient is learned again

    def push(self, chunk: StreamChunk) -> Update:
        """Take a chunk of any length; return what is decided now.

        Raises
        ------
        LiveError
            The chunk has other leads than the stream, or begins months ahead of it.

        """
        missed, repeated, received = self._window.n_missed, self._window.n_repeated, self._window.received
        updates = [self._hop(at_end=False) for _ in self._window.hops(chunk)]
        notices = self._notices(self._window.n_missed - missed, self._window.n_repeated - repeated)
        update = merge_updates([self._no_update, *updates])
        update = replace(update, notices=(*notices, *self._lead_notices(update.vitals)))
        return self._with_signal(update, chunk.first) if self._window.received > received else update

    def _with_signal(self, update: Update, first: int) -> Update:
        """An update by new samples, with the end of a silence before them."""
        fs_hz = self.stream.fs_hz
        lasted_s = time.monotonic() - self._silent_since_s
        over = self._alarm_tracker.regain_signal(first / fs_hz, self._window.received / fs_hz, lasted_s)
        vitals = update.vitals and replace(update.vitals, active=self._alarm_tracker.active)
        return replace(update, alarms=(*update.alarms, *over), vitals=vitals) if over else update

    def lose_signal(self, silent_s: float = 0.0) -> Update:
        """Raise that there has been no signal for so long; the next chunk with new samples ends that."""
        self._silent_since_s = time.monotonic() - silent_s
        alarms, vitals = self._alarm_tracker.lose_signal(self._window.received / self.stream.fs_hz)
        return replace(self._no_update, alarms=alarms, vitals=vitals)

    def close(self) -> Update:
        """Decide the rest when the stream has ended."""
        self._window.finish()
        return self._hop(at_end=True)

    def _hop(self, *, at_end: bool) -> Update:
        """Analyse the window and decide the candidates that the horizon has passed."""
        end_s = self._window.end_s
        until_s = end_s if at_end else max(self._until_s, end_s - self.horizon_s + HOP_S)
        detections = self._detector.detect(
            self._window, from_s=self._until_s, until_s=until_s, after_s=self._decided_s,
            beats_s=self._tail.time_s[self._tail.usable],
        )  # fmt: skip
        n_due = int(np.searchsorted(detections.time_s, until_s))
        attention = (
            self._decide(detections, self._describe(detections, detections.encoded), n_due)
            if n_due and detections.encoded
            else self._no_attention
        )
        self._until_s = until_s
        n_new = len(attention.weight)
        alarms, vitals = self._alarm_tracker.step(
            self._tail, n_new, episodes=self._episodes, until_s=until_s, end_s=end_s, detections=detections,
            dropped_s=self._dropped_s,
        )  # fmt: skip
        latest = take_rows(self._tail, slice(len(self._tail) - n_new, None))
        new = calibrate_probabilities(latest, self._calibration)
        return Update(new, attention, alarms, (), vitals)

    def _decide(self, detections: WindowDetections, candidates: Candidates, n_due: int) -> Attention:
        """Classify the candidates, keep those of the first ``n_due`` that are beats, and return their attention."""
        kept, rr_s, predictions = drop_noise(
            len(detections.time_s), lambda kept, _: self._classify(detections, candidates, kept)
        )
        decided = kept[kept < n_due]
        self._beats += [
            DecidedBeat(
                float(detections.time_s[i]), float(rr_s[row]), candidates.token[i], detections.lead_weight[i],
                candidates.before_qrs[i], candidates.qrs[i], predictions.probability[row], detections.usable,
                None if predictions.af is None else float(predictions.af[row]),
            )
            for row, i in enumerate(decided.tolist())
        ]  # fmt: skip
        self._until_learning -= len(decided)
        self._decided_s = float(detections.time_s[n_due - 1])
        dropped = np.setdiff1d(np.arange(n_due), kept)
        self._dropped_s = float(detections.time_s[dropped].max(initial=self._dropped_s))
        latest = list(self._beats)[-TAIL_BEATS:]
        self._tail, self._episodes = _tail_of(
            latest, self.rules, self._point, finds_af=self._finds_af, before=self._tail
        )
        return Attention(candidates.attention[decided].astype(np.float16), self._no_attention.offset_s)

    def _describe(self, detections: WindowDetections, encoded: Encoded) -> Candidates:
        described = describe_beats(self.model, encoded, detections.position)
        attention = np.einsum("nl,nlk->nk", detections.lead_weight, described.attention)
        signal, position = detections.signal, detections.position
        return Candidates(described.token, attention, before_qrs(signal, position), around_qrs(signal, position))

    def _classify(
        self, detections: WindowDetections, candidates: Candidates, kept: Index
    ) -> tuple[Float64, Predictions]:
        """RR and predictions of the candidates that are kept, read as the end of the sequence of beats so far."""
        past = list(self._beats)
        rr_s = self._intervals(detections, kept)
        if not len(kept):
            return rr_s, no_predictions(self.model.spec)
        token = list(candidates.token[kept])
        if self._reference is None or self._until_learning <= 0:
            known = np.stack([beat.token for beat in past] + token)
            self._reference = references(self.model, known, np.array([*(beat.rr_s for beat in past), *rr_s]))
            self._until_learning = min(LEARN_MAX_BEATS, int(LEARN_FRACTION * len(past)))
        context = past[-CONTEXT_BEATS:]
        predictions = classify_latest(
            self.model,
            np.stack([beat.token for beat in context] + token),
            np.array([*(beat.rr_s for beat in past[-HABIT_BEATS:]), *rr_s]),
            np.stack([beat.lead_weight for beat in context] + list(detections.lead_weight[kept])),
            self._reference,
        )
        return rr_s, take_rows(predictions, slice(len(context), None))

    def _intervals(self, detections: WindowDetections, kept: Index) -> Float64:
        """RR of the candidates that are kept; NaN where the signal in between is not analysable or may hide a beat."""
        time_s = np.concatenate(([self._beats[-1].time_s if self._beats else np.nan], detections.time_s[kept]))
        dropped_s = np.concatenate(([self._dropped_s], np.delete(detections.time_s, kept)))
        return analysable_rr(time_s, detections.lost_s, dropped_s)[1:]

    def _lead_notices(self, vitals: Vitals | None) -> list[Notice]:
        """Notices of leads that go off or come back while another one goes on; of all of them, there is an alarm."""
        if vitals is None or sum(vitals.lead_off) == self._n_leads:
            return []
        before, self._lead_off = self._lead_off, vitals.lead_off
        changed = zip(self.stream.lead_names, before, vitals.lead_off, strict=True)
        text = {True: "is off: it is flat or missing", False: "is back"}
        return [Notice(vitals.time_s, f"Lead {name} {text[now]}.") for name, was, now in changed if was != now]

    def _notices(self, n_missed: int, n_repeated: int) -> tuple[Notice, ...]:
        """Notices of the gaps and repeats of a chunk."""
        end_s, fs_hz = self._window.received / self.stream.fs_hz, self.stream.fs_hz
        notices = []
        if n_missed:
            missed = f"{plural(n_missed, 'sample')} ({n_missed / fs_hz:.2f} s)"
            notices.append(Notice(end_s, f"Gap: {missed} are missing."))
        if n_repeated:
            notices.append(Notice(end_s, f"Ignored: {plural(n_repeated, 'sample')}, twice or out of order."))
        return tuple(notices)


def monitored_leads(stream: Stream, lead: str) -> tuple[int, ...]:
    """Positions in the stream of the leads to analyse; see ``Monitor``."""
    if lead in (AUTO, ALL):
        return tuple(range(len(stream.lead_names)))
    if lead == FIRST:
        return (0,)
    return (position_of(lead, stream.lead_names, where=f"stream {stream.name}"),)


def _tail_of(
    decided: Sequence[DecidedBeat],
    rules: RhythmRules,
    point: OperatingPoint | None,
    *,
    finds_af: bool,
    before: Beats | None = None,
) -> tuple[Beats, list[slice]]:
    """Decided beats as columns, with the labels that rhythm leaves them, and the episodes of atrial fibrillation."""
    probability = np.array([beat.probability for beat in decided], dtype=np.float32).reshape(-1, len(CLASSES))
    usable = np.array([beat.usable for beat in decided], dtype=bool)
    beats = Beats(
        np.array([beat.time_s for beat in decided]),
        most_probable(probability, usable),
        probability,
        np.array([beat.rr_s for beat in decided]),
        usable,
    )
    unknown = np.full(len(decided), np.nan, dtype=np.float32)
    af = np.array([beat.af_probability for beat in decided], dtype=np.float32) if finds_af else None
    beats = replace(beats, p_repeats=unknown, p_correlation=unknown, qrs_correlation=unknown, af_probability=af)
    if decided:
        segments = np.stack([beat.before_qrs for beat in decided])
        beats = replace(
            beats,
            p_repeats=repeating_fraction(segments, beats),
            p_correlation=p_correlation(segments),
            qrs_correlation=qrs_correlation(np.stack([beat.qrs for beat in decided])),
        )
    return settle_labels(beats, rules, point=point, begins_in_tachycardia=_begins_in_tachycardia(beats, before))


def _begins_in_tachycardia(beats: Beats, before: Beats | None) -> bool:
    """Whether the first beats, by their labels at the step before, are a run of S whose onset has been forgotten."""
    if before is None or len(beats) < FIRST_BEATS or not len(before) or beats.time_s[0] == before.time_s[0]:
        return False
    at = np.searchsorted(before.time_s, beats.time_s[0])
    return bool(at + FIRST_BEATS <= len(before) and (before.label[at : at + FIRST_BEATS] == "S").all())
