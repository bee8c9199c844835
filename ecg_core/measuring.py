"""What an analysis counts, measured from its beats; measured again by other rules or after a reader's edits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .certainty import Calibration
from .edits import NO_CHANGES, Changes, Edit, counting, digest_of
from .errors import ModelError
from .labels import UNLABELLED, Codes
from .rhythm.burden import measure_burden
from .rhythm.danger import (
    Tachyarrhythmia,
    find_dangers,
    mask_fibrillation,
    tachyarrhythmias,
    with_open_edges,
    with_separable_beats,
)
from .rhythm.decisions import settle_labels
from .rhythm.editing import apply_edits, rejected_dangers
from .rhythm.events import find_rhythms
from .rhythm.labelling import label_codes, set_labels
from .rhythm.marks import mark_tachyarrhythmias, marked_events
from .rhythm.uncertainty import calibrate_probabilities
from .rules import BALANCED, SENSITIVITIES, OperatingPoint, RhythmRules
from .schema import (
    Analysis,
    Annotations,
    Beats,
    Burden,
    ModelSpec,
    Quality,
    Record,
    RhythmEvent,
    Waveform,
)  # fmt: skip


def operating_point(spec: ModelSpec, n_leads: int, rules: RhythmRules) -> OperatingPoint | None:
    """The operating point that the rules choose; None where a model that states none is to be balanced, as it is.

    Raises
    ------
    ModelError
        The model states no operating point for this sensitivity.

    """
    point = spec.operating_points_of(n_leads).get(rules.sensitivity)
    if point is None and rules.sensitivity != BALANCED:
        raise ModelError(
            f"{spec.name}: this model can only be balanced; it states no operating point for "
            f"{SENSITIVITIES[rules.sensitivity].lower()} that was measured on patients it has not seen.",
            settings=("model",),
        )
    return point


def measure(
    record: Record, predicted: Beats, quality: Quality, waveform: Waveform, rules: RhythmRules,
    *, labels: Codes, calibration: Calibration | None, point: OperatingPoint | None = None,
    changes: Changes = NO_CHANGES,
) -> tuple[Beats, tuple[RhythmEvent, ...], Burden]:  # fmt: skip
    """The predicted beats as they are counted by these rules, with calibrated probabilities, their events and burden.

    A reader's labels are certain: the class of each beat that has one, UNLABELLED for the others, shape (n_beats,). So
    are the rhythms and the artefact of ``changes``.
    """
    settled, episodes, found = settle(record, predicted, waveform, rules, labels=labels, point=point, changes=changes)
    beats = set_labels(calibrate_probabilities(settled, calibration), labels)
    dangers = find_dangers(
        beats, found, waveform, quality, duration_s=record.duration_s, rules=rules, artefact=changes.artefact
    )
    others = [*dangers, *marked_events(beats, changes.marks)]
    found_rhythms = find_rhythms(beats, rules, episodes=episodes, others=others, marks=changes.marks)
    events = tuple(with_open_edges(found_rhythms, beats))
    burden = measure_burden(
        beats, events, quality=quality, duration_s=record.duration_s, rules=rules, age_years=record.age_years,
        calibration=calibration, marks=changes.marks,
    )  # fmt: skip
    return beats, events, burden


def settle(
    record: Record, predicted: Beats, waveform: Waveform, rules: RhythmRules,
    *, labels: Codes, point: OperatingPoint | None, changes: Changes = NO_CHANGES,
) -> tuple[Beats, list[slice], list[Tachyarrhythmia]]:  # fmt: skip
    """The beats with the classes they are counted by, the episodes of fibrillation, and what the waveform shows.

    Of these, the operating point decides the classes alone. The probabilities are the network's.
    """
    found = mark_tachyarrhythmias(with_separable_beats(tachyarrhythmias(waveform, rules), predicted), changes)
    masked = mask_fibrillation(predicted, found)
    settled, episodes = settle_labels(
        masked, rules, labels=labels, point=point, marks=changes.marks, age_years=record.age_years
    )
    return settled, episodes, found


def with_rules(analysis: Analysis, rules: RhythmRules) -> Analysis:
    """The same predictions measured by other rules: no signal is read again.

    >>> from ecg_core import analyse, load_model, read_record
    >>> analysis = analyse(read_record("demo_data/demo"), load_model(), lead="II")
    >>> analysis.burden.pauses.n, with_rules(analysis, RhythmRules(pause_s=1.5)).burden.pauses.n
    (1, 2)

    """
    return _measured(replace(analysis, rules=rules), analysis.label_codes)


def with_labels(analysis: Analysis, labels: Annotations) -> Analysis:
    """The same analysis with some beats labelled by a reader: no signal is read again.

    >>> from ecg_core import analyse, load_model, read_record
    >>> record = read_record("demo_data/demo")
    >>> len(with_labels(analyse(record, load_model(), lead="II"), record.reference).labelled) > 2000
    True

    """
    new = label_codes(labels, analysis.beats.time_s)
    return _measured(analysis, np.where(new == UNLABELLED, analysis.label_codes, new))


def with_edits(analysis: Analysis, edits: Sequence[Edit]) -> Analysis:
    """An analysis, as the program made it, with a reader's edits: no signal is read again.

    >>> from ecg_core import DeleteEdit, analyse, load_model, read_record
    >>> analysis = analyse(read_record("demo_data/demo"), load_model(), lead="II")
    >>> first_s = float(analysis.beats.time_s[0])
    >>> analysis.burden.n_beats - with_edits(analysis, [DeleteEdit((first_s,))]).burden.n_beats
    1

    """
    if not counting(edits):
        return replace(analysis, edits_sha256=digest_of(edits))
    edited, labels = apply_edits(analysis, edits)
    rejected = rejected_dangers(analysis, edited.changes)
    return replace(_measured(edited, labels), edits_sha256=digest_of(edits), rejected=rejected)


def _measured(analysis: Analysis, labels: Codes) -> Analysis:
    spec, n_leads = analysis.model, len(analysis.usual_leads)
    beats, events, burden = measure(
        analysis.record, analysis.predicted, analysis.quality, analysis.waveform, analysis.rules, labels=labels,
        calibration=spec.calibration_of(n_leads), point=operating_point(spec, n_leads, analysis.rules),
        changes=analysis.changes,
    )  # fmt: skip
    labelled = np.flatnonzero(labels != UNLABELLED)
    return replace(analysis, beats=beats, events=events, burden=burden, labelled=labelled)
