"""The whole way of the data: a record and a model in, an analysis out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from .classifier.active_learning import select_queries
from .classifier.chunks import (
    Chunk,
    ChunkFeatures,
    Progress,
    chunk_rhythm,
    describe,
    detect,
    quality_of,
    read_chunks,
    waveform_of,
)
from .classifier.classification import NOISE_ROUNDS, Predictions, classify, drop_noise
from .classifier.encoder import encode
from .classifier.features import attention_offsets_s
from .classifier.leads import AUTO, choose_leads, other_leads
from .classifier.model import Model
from .classifier.replacement import of_speaking_leads, replaced_leads, with_replacements
from .classifier.second_stage import reclassified
from .classifier.standstill import still_frames, without_still
from .edits import Edit, digest_of
from .labels import NO_BEAT, UNLABELLED, most_probable
from .measuring import measure, operating_point
from .parallel import release_memory
from .rhythm.editing import inserted_times, learnable_codes
from .rhythm.intervals import analysable_rr
from .rhythm.labelling import label_codes, refuse_foreign
from .rhythm.p_waves import p_correlation, repeating_fraction
from .rhythm.qrs_shape import beat_waveforms
from .rules import RhythmRules
from .schema import Analysis, Annotations, Attention, Beats, Bool, Float64, Index, Record
from .signals.filters import clean_leads, normalised


def analyse(
    record: Record,
    model: Model,
    rules: RhythmRules | None = None,
    *,
    lead: str = AUTO,
    beats_at_s: Float64 | None = None,
    patient_labels: Annotations | None = None,
    edits: Sequence[Edit] = (),
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
    patient_labels, edits
        Beats of this patient whose class is known, by annotations or by a reader's edits: they keep it, and the model
        is fine-tuned to them, with a check. Other changes of the edits are made by ``with_edits``.
    progress, fitting
        Called with seconds done and the record's length, and with the fine-tuning's fraction; may raise ``Cancelled``.

    Examples
    --------
    >>> from ecg_core import analyse, load_model, read_record
    >>> analyse(read_record("demo_data/demo"), load_model(), lead="II").burden.n_beats > 2000
    True

    """
    rules, leads = rules or RhythmRules(), choose_leads(record, model, lead)
    point, inserted_s = operating_point(model.spec, len(leads), rules), inserted_times(edits)
    features = read_features(
        record, model, leads, others=other_leads(record, leads, lead), beats_at_s=beats_at_s, inserted_s=inserted_s,
        progress=progress,
    )  # fmt: skip
    quality = quality_of(features, record.duration_s)
    rounds = NOISE_ROUNDS if beats_at_s is None else 0
    kept, rr_s, predictions = classify_candidates(model, features, rounds=rounds, inserted_s=inserted_s)
    usable, weight, learning = quality.usable_at(features.time_s[kept]), features.lead_weight[kept], None
    refuse_foreign(patient_labels, features.time_s[kept])
    known = label_codes(patient_labels, features.time_s[kept])
    known = learnable_codes(features.time_s[kept], known, usable, quality, edits, duration_s=record.duration_s)
    if (known != UNLABELLED).any():
        from .classifier.cross_validation import learn  # noqa: PLC0415, as torch takes a second

        learned, learning = learn(model, features.token, rr_s, weight, known, rows=kept, report=fitting)
        predictions = replace(learned, af=predictions.af)  # labels of beats teach nothing of the rhythm
    first = predicted_beats(features, kept, rr_s, predictions, usable)
    predicted = reclassified(model, first, features, kept, is_fitted=learning is not None)
    labels = np.where(known == NO_BEAT, UNLABELLED, known)
    waveform, calibration = waveform_of(features, record.duration_s), model.spec.calibration_of(len(leads))
    beats, events, burden = measure(
        record, predicted, quality, waveform, rules, labels=labels, calibration=calibration, point=point
    )
    unlabelled, labelled = beats.usable & (labels == UNLABELLED), np.flatnonzero(labels != UNLABELLED)
    return Analysis(
        record=record, lead_names=tuple(record.lead_names[i] for i in features.leads), model=model.spec, rules=rules,
        quality=quality, predicted=predicted, beats=beats, waveform=waveform, events=events, burden=burden,
        attention=Attention(features.attention[kept], attention_offsets_s(model.spec)),
        queried=select_queries(features.token, features.lead_weight, kept, predicted.probability, unlabelled),
        labelled=labelled, learning=learning, fitted_sha256=digest_of(edits), edits_sha256=digest_of(edits),
        replaced=replaced_leads(record, features, len(leads)),
    )  # fmt: skip


def read_features(
    record: Record,
    model: Model,
    leads: tuple[int, ...],
    *,
    others: tuple[int, ...] = (),
    beats_at_s: Float64 | None = None,
    inserted_s: Float64 | None = None,
    progress: Progress = lambda done_s, total_s: None,
) -> ChunkFeatures:
    """Read the signal of a whole record: candidates for beats, what describes them, and how well it can be analysed.

    Where none of the ``leads`` can be analysed, one of the ``others`` is read as well; see ``with_replacements``.
    """

    def features_of(chunk: Chunk, read: tuple[int, ...]) -> ChunkFeatures:
        clean = clean_leads(record.source.read(chunk.first, chunk.last, read), record.fs_hz)
        signal = normalised(clean)
        encoded = encode(model, signal)
        still = still_frames(model, encoded, clean)
        rhythm = chunk_rhythm(model, encoded, clean, still, chunk)
        moving = without_still(encoded, still)
        detections = detect(
            model, moving, clean.valid, chunk, n_usual=len(leads), known_s=beats_at_s, inserted_s=inserted_s
        )
        speaking, lead = of_speaking_leads(signal, detections, chunk, len(leads))
        waveforms = beat_waveforms(speaking, detections.position, lead)
        return describe(model, encoded, detections, *waveforms, rhythm, leads=read)

    chosen = partial(with_replacements, record, model, leads=leads, others=others, features_of=features_of)
    return read_chunks(record, len(leads), chosen, progress, searched=beats_at_s is None)


def classify_candidates(
    model: Model, features: ChunkFeatures, *, rounds: int, inserted_s: Float64 | None = None
) -> tuple[Index, Float64, Predictions]:
    """Which candidates are beats and not noise, their RR, and their predictions; all read as one sequence."""
    weight = features.lead_weight
    certain = np.isin(features.time_s, () if inserted_s is None else inserted_s)

    def classify_kept(kept: Index, needed: Bool) -> tuple[Float64, Predictions]:
        dropped_s = np.delete(features.time_s, kept)
        rr_s = analysable_rr(features.time_s[kept], features.lost_s, dropped_s)
        return rr_s, classify(model, features.token, rr_s, weight[kept], rows=kept, needed=needed)

    classified = drop_noise(len(certain), classify_kept, rounds=rounds, certain=certain)
    release_memory()
    return classified


def predicted_beats(
    features: ChunkFeatures, kept: Index, rr_s: Float64, predictions: Predictions, usable: Bool
) -> Beats:
    """The beats as the network classifies them, before any rule and any reader's label."""
    label = most_probable(predictions.probability, usable)
    same_qrs, segments = features.qrs_correlation[kept], features.before_qrs[kept]
    beats = Beats(
        features.time_s[kept], label, predictions.probability, rr_s, usable, qrs_correlation=same_qrs,
        af_probability=predictions.af,
    )  # fmt: skip
    return replace(beats, p_repeats=repeating_fraction(segments, beats), p_correlation=p_correlation(segments))
