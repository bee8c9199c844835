"""The whole way of the data: a record and a model in, an analysis out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .classifier.active_learning import select_queries
from .classifier.chunks import Chunk, ChunkFeatures, Progress, chunk_rhythm, describe, detect, read_chunks, waveform_of
from .classifier.classification import NOISE_ROUNDS, Predictions, classify, drop_noise
from .classifier.cross_validation import learn
from .classifier.encoder import encode
from .classifier.features import attention_offsets_s
from .classifier.leads import AUTO, choose_leads
from .classifier.model import Model
from .classifier.standstill import still_frames, without_still
from .labels import CLASSES, UNLABELLED, Codes
from .parallel import release_memory
from .rhythm.burden import measure_burden
from .rhythm.danger import find_dangers, mask_fibrillation, tachyarrhythmias, with_separable_beats
from .rhythm.decisions import settle_labels
from .rhythm.events import find_rhythms
from .rhythm.intervals import analysable_rr
from .rhythm.labelling import label_codes, set_labels
from .rhythm.p_waves import p_correlation, repeating_fraction
from .rhythm.qrs_shape import beat_waveforms
from .rhythm.uncertainty import calibrate_probabilities
from .rules import RhythmRules
from .schema import (
    Analysis,
    Annotations,
    Attention,
    Beats,
    Bool,
    Burden,
    Calibration,
    Float64,
    Index,
    Quality,
    Record,
    RhythmEvent,
    Waveform,
)
from .signals.filters import clean_leads, normalised
from .signals.quality import BLOCK_S, analysable


def analyse(
    record: Record,
    model: Model,
    rules: RhythmRules | None = None,
    *,
    lead: str = AUTO,
    beats_at_s: Float64 | None = None,
    patient_labels: Annotations | None = None,
    progress: Progress = lambda done_s, total_s: None,
    fitting: Callable[[float], None] = lambda fraction: None,
) -> Analysis:
    """Find and classify the beats of a record and measure its burden.

    Parameters
    ----------
    lead
        A lead's name, ``all``, ``first`` or ``auto``; see ``choose_leads``. The predictions of several are fused.
    beats_at_s
        Known beats in seconds, ascending, to be classified instead of searched.
    patient_labels
        Beats of this patient whose class is known: they keep it, and the model is fine-tuned to them, with a check.
    progress, fitting
        Called with seconds done and the record's length, and with the fine-tuning's fraction; may raise ``Cancelled``.

    Examples
    --------
    >>> from ecg_core import analyse, load_model, read_record
    >>> analyse(read_record("demo_data/demo"), load_model(), lead="II").burden.n_beats > 2000
    True

    """
    rules, leads = rules or RhythmRules(), choose_leads(record, model, lead)

    def features_of(chunk: Chunk) -> ChunkFeatures:
        clean = clean_leads(record.source.read(chunk.first, chunk.last, leads), record.fs_hz)
        signal = normalised(clean)
        encoded = encode(model, signal)
        still = still_frames(model, encoded, clean)
        rhythm = chunk_rhythm(model, encoded, clean, still, chunk)
        detections = detect(model, without_still(encoded, still), clean.valid, chunk, known_s=beats_at_s)
        return describe(model, encoded, detections, *beat_waveforms(signal, detections.position), rhythm)

    features = read_chunks(record, len(leads), features_of, progress, searched=beats_at_s is None)
    quality = Quality(BLOCK_S, features.score, analysable(features.score))
    kept, rr_s, predictions = classify_candidates(model, features, rounds=NOISE_ROUNDS if beats_at_s is None else 0)
    labels = label_codes(patient_labels, features.time_s[kept])
    learning, weight = None, features.lead_weight[kept]
    if patient_labels is not None:
        predictions, learning = learn(model, features.token, rr_s, weight, labels, rows=kept, report=fitting)
    predicted = predicted_beats(features, kept, rr_s, predictions, quality.usable_at(features.time_s[kept]))
    waveform = waveform_of(features, record.duration_s)
    calibration = model.spec.calibration_of(len(leads))
    beats, events, burden = measure(record, predicted, quality, waveform, rules, labels=labels, calibration=calibration)
    unlabelled, labelled = beats.usable & (labels == UNLABELLED), np.flatnonzero(labels != UNLABELLED)
    return Analysis(
        record=record,
        lead_names=tuple(record.lead_names[i] for i in leads),
        model=model.spec,
        rules=rules,
        quality=quality,
        predicted=predicted,
        beats=beats,
        attention=Attention(features.attention[kept], attention_offsets_s(model.spec)),
        waveform=waveform,
        events=events,
        burden=burden,
        queried=select_queries(features.token, features.lead_weight, kept, predicted.probability, unlabelled),
        labelled=labelled,
        learning=learning,
    )


def classify_candidates(model: Model, features: ChunkFeatures, *, rounds: int) -> tuple[Index, Float64, Predictions]:
    """Which candidates are beats and not noise, their RR, and their predictions; all read as one sequence."""
    weight = features.lead_weight

    def classify_kept(kept: Index, needed: Bool) -> tuple[Float64, Predictions]:
        dropped_s = np.delete(features.time_s, kept)
        rr_s = analysable_rr(features.time_s[kept], features.lost_s, dropped_s)
        return rr_s, classify(model, features.token, rr_s, weight[kept], rows=kept, needed=needed)

    classified = drop_noise(len(features.time_s), classify_kept, rounds=rounds)
    release_memory()
    return classified


def predicted_beats(
    features: ChunkFeatures, kept: Index, rr_s: Float64, predictions: Predictions, usable: Bool
) -> Beats:
    """The beats as the network classifies them, before any rule and any reader's label."""
    label = np.where(usable, np.array(CLASSES)[predictions.probability.argmax(axis=1)], "Q")
    same_qrs, segments = features.qrs_correlation[kept], features.before_qrs[kept]
    beats = Beats(features.time_s[kept], label, predictions.probability, rr_s, usable, qrs_correlation=same_qrs)
    return replace(beats, p_repeats=repeating_fraction(segments, beats), p_correlation=p_correlation(segments))


def measure(
    record: Record, predicted: Beats, quality: Quality, waveform: Waveform, rules: RhythmRules,
    *, labels: Codes, calibration: Calibration | None,
) -> tuple[Beats, tuple[RhythmEvent, ...], Burden]:  # fmt: skip
    """The predicted beats as they are counted by these rules, with calibrated probabilities, their events and burden.

    A reader's labels are certain: the class of each beat that has one, UNLABELLED for the others, shape (n_beats,).
    """
    found = with_separable_beats(tachyarrhythmias(waveform, rules), predicted)
    masked = mask_fibrillation(predicted, found)
    settled, episodes = settle_labels(masked, rules, labels=labels, age_years=record.age_years)
    beats = set_labels(calibrate_probabilities(settled, calibration), labels)
    dangers = find_dangers(beats, found, waveform, quality, duration_s=record.duration_s, rules=rules)
    events = find_rhythms(beats, rules, episodes=episodes, dangers=dangers)
    burden = measure_burden(
        beats, events, quality=quality, duration_s=record.duration_s, rules=rules, age_years=record.age_years,
        calibration=calibration,
    )  # fmt: skip
    return beats, events, burden


def with_rules(analysis: Analysis, rules: RhythmRules) -> Analysis:
    """The same predictions measured by other rules: no signal is read again.

    >>> from ecg_core import load_model, read_record
    >>> analysis = analyse(read_record("demo_data/demo"), load_model(), lead="II")
    >>> analysis.burden.pauses.n, with_rules(analysis, RhythmRules(pause_s=1.5)).burden.pauses.n
    (1, 2)

    """
    return _measured(replace(analysis, rules=rules), analysis.label_codes)


def with_labels(analysis: Analysis, labels: Annotations) -> Analysis:
    """The same analysis with some beats labelled by a reader: no signal is read again.

    >>> from ecg_core import load_model, read_record
    >>> record = read_record("demo_data/demo")
    >>> len(with_labels(analyse(record, load_model(), lead="II"), record.reference).labelled) > 2000
    True

    """
    new = label_codes(labels, analysis.beats.time_s)
    return _measured(analysis, np.where(new == UNLABELLED, analysis.label_codes, new))


def _measured(analysis: Analysis, labels: Codes) -> Analysis:
    beats, events, burden = measure(
        analysis.record, analysis.predicted, analysis.quality, analysis.waveform, analysis.rules,
        labels=labels, calibration=analysis.model.calibration_of(len(analysis.lead_names)),
    )  # fmt: skip
    labelled = np.flatnonzero(labels != UNLABELLED)
    return replace(analysis, beats=beats, events=events, burden=burden, labelled=labelled)
