"""The tables of an analysis as columns: beats, labels, events, measures and hours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..clock import iso_text
from ..labels import CLASSES, NOT_A_BEAT
from ..rhythm.events import KIND_NAMES
from ..schema import Analysis, Float64, Record
from ..signals.filters import to_sample
from .columns import Table
from .measures import GROUPS, measures
from .operating import point_of, sensitivity_text


def beats_table(analysis: Analysis) -> Table:
    """One row per beat, in the record's own time base."""
    beats, record = analysis.beats, analysis.record
    return {
        "sample": to_sample(beats.time_s, record.fs_hz, record.n_samples),
        "time_s": beats.time_s.round(4),
        "label": beats.label,
        **{f"probability_{name}": beats.probability[:, i].round(4) for i, name in enumerate(CLASSES)},
        "rr_s": beats.rr_s.round(4),
        "usable": beats.usable.astype(np.uint8),
        "time_iso": _iso_column(record, beats.time_s),
        "told": np.isin(np.arange(len(beats)), analysis.labelled).astype(np.uint8),
    }


def labels_table(analysis: Analysis) -> Table:
    """One row per beat that a reader labelled, inserted or deleted, with the record it belongs to.

    A deleted one has the label NOT_A_BEAT.
    """
    record, beats, deleted_s = analysis.record, analysis.beats, np.array(analysis.changes.deleted_s, dtype=np.float64)
    time_s = np.concatenate((beats.time_s[analysis.labelled], deleted_s))
    label = [*beats.label[analysis.labelled].tolist(), *[NOT_A_BEAT] * len(deleted_s)]
    shown_s, sample = time_s.round(4), to_sample(time_s, record.fs_hz, record.n_samples)
    order = np.argsort(shown_s, kind="stable")
    return {
        "sample": sample[order],
        "time_s": shown_s[order],
        "label": [label[row] for row in order.tolist()],
        "record": [record.record_id] * len(order),
        "record_sha256": [record.sha256] * len(order),
    }


def events_table(analysis: Analysis) -> Table:
    """One row per event."""
    events, record = analysis.events, analysis.record
    return {
        "kind": [event.kind for event in events],
        "name": [KIND_NAMES[event.kind] for event in events],
        "start_s": np.round([event.start_s for event in events], 3),
        "end_s": np.round([event.end_s for event in events], 3),
        "n_beats": [event.n_beats for event in events],
        "rate_bpm": np.round([event.rate_bpm for event in events], 1),
        "duration_s": np.round([event.duration_s for event in events], 3),
        "start_iso": [iso_text(record, event.start_s) for event in events],
        "record": [record.record_id] * len(events),
        "at_least": [int(event.at_least) for event in events],
    }


def burden_table(analysis: Analysis) -> Table:
    """One row per measure, each with its unit and denominator; then one for each rule in force and the sensitivity."""
    record, every, rules = analysis.record, measures(analysis), _rules_in_force(analysis)
    measured = {
        "measure": [measure.key for measure in every],
        "value": [plain_number(measure.value) for measure in every],
        "unit": [measure.unit for measure in every],
        "denominator": [measure.of for measure in every],
        "name": [f"{GROUPS[measure.group]}: {measure.name}" for measure in every],
        "at_s": [plain_number(measure.at_s) for measure in every],
        "at_iso": [iso_text(record, measure.at_s) for measure in every],
        "reason_if_empty": [measure.why for measure in every],
    }
    n_rules = len(rules["measure"])
    return {
        **{name: [*cells, *rules.get(name, [""] * n_rules)] for name, cells in measured.items()},
        "record": [record.record_id] * (len(every) + n_rules),
        "at_least": [*(int(measure.at_least) for measure in every), *[0] * n_rules],
    }


def _rules_in_force(analysis: Analysis) -> dict[str, list[str]]:
    """One row per rule, and one for each offset of the sensitivity, with its figures in place of a source."""
    rules, point = analysis.rules.rows(), point_of(analysis)
    offsets = {"v": point.v_offset if point else 0.0, "s": point.s_offset if point else 0.0}
    says = f"Sensitivity ({analysis.rules.sensitivity}): added to the logarithm of the probability of"
    return {
        "measure": [f"rule_{rule.key}" for rule in rules] + [f"sensitivity_{label}_offset" for label in offsets],
        "value": [plain_number(value) for value in (*(rule.value for rule in rules), *offsets.values())],
        "unit": [rule.unit for rule in rules] + ["nats"] * len(offsets),
        "denominator": [rule.source for rule in rules] + [sensitivity_text(analysis)] * len(offsets),
        "name": [f"Rule: {rule.says}" for rule in rules] + [f"{says} {label.upper()}" for label in offsets],
    }


def plain_number(value: float | None) -> str:
    """A number with four decimals at most and no thousands separator; empty where there is none."""
    return "" if value is None else f"{value:.4f}".rstrip("0").rstrip(".")


def hourly_table(analysis: Analysis) -> Table:
    """One row per hour."""
    hourly, record = analysis.burden.hourly, analysis.record
    return {
        "hour": np.arange(1, len(hourly.start_s) + 1),
        "start_s": hourly.start_s,
        "analysable_s": hourly.analysable_s.round(3),
        "beats": hourly.count.sum(axis=1),
        **{f"beats_{label}": hourly.count[:, i] for i, label in enumerate(CLASSES)},
        "rate_min_bpm": hourly.rate_min_bpm.round(1),
        "rate_mean_bpm": hourly.rate_mean_bpm.round(1),
        "rate_max_bpm": hourly.rate_max_bpm.round(1),
        "v_runs": hourly.n_runs[:, 0],
        "s_runs": hourly.n_runs[:, 1],
        "pauses": hourly.n_pauses,
        "af_s": hourly.af_s.round(3),
        "start_iso": [iso_text(record, start_s) for start_s in hourly.start_s.tolist()],
        "record": [record.record_id] * len(hourly.start_s),
    }


def _iso_column(record: Record, time_s: Float64) -> NDArray[np.str_]:
    """``iso_text`` of many moments."""
    if record.start is None:
        return np.full(len(time_s), "", dtype=np.str_)
    moment = np.datetime64(record.start, "us") + np.rint(1e6 * time_s).astype("timedelta64[us]")
    return np.datetime_as_string((moment + np.timedelta64(500, "us")).astype("datetime64[ms]"))
