"""The files of an analysis: tables, JSON, annotations and the PDF, each written by a function in WRITERS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from errno import EISDIR
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from .. import NOTICE, __version__
from ..clock import iso_text
from ..errors import OutputError
from ..files import atomic_files
from ..labels import CLASSES, NOT_A_BEAT, OUTPUT_NAMES
from ..notes import NO_NOTES, Notes, Patient
from ..rhythm.events import KIND_NAMES
from ..schema import Analysis, Float64, Record
from ..signals.filters import to_sample
from .annotations import ANNOTATOR, annotation_bytes
from .columns import Table, csv_bytes, json_columns, json_text, rows_of
from .dangers import NOT_ANALYSED, Danger, dangers, unjudged_stretches
from .diary import symptom_rows
from .measures import GROUPS, measures
from .narrative import narrative_of
from .operating import point_of, sensitivity_content, sensitivity_text
from .pdf import report_pdf
from .periods import PeriodLine, day_and_night
from .statements import verdict_content

JSON_VERSION = 2  # raised when a name of the JSON document changes its meaning or goes away


def beats_table(analysis: Analysis) -> Table:
    """One row per beat, in the record's own time base."""
    beats, record = analysis.beats, analysis.record
    return {
        "sample": to_sample(beats.time_s, record.fs_hz, record.n_samples),
        "time_s": beats.time_s.round(4),
        "label": beats.label,
        **{f"probability_{name}": beats.probability[:, i].round(4) for i, name in enumerate(CLASSES)},
        "rr_s": beats.rr_s.round(4),
        "usable": beats.usable.astype(int),
        "time_iso": _iso_column(record, beats.time_s),
        "told": np.isin(np.arange(len(beats)), analysis.labelled).astype(np.int64),
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
    start = np.datetime64(record.start, "ms")
    return np.datetime_as_string(start + np.rint(1000 * time_s).astype("timedelta64[ms]"))


def report_json(analysis: Analysis, notes: Notes = NO_NOTES) -> bytes:
    """The content of all tables, with record, model, version, rules and notes, as one JSON document."""
    record, model = analysis.record, analysis.model
    tables = {"events": events_table, "hourly": hourly_table}
    content = {
        "schema": "ecg-workstation-report",
        "schema_version": JSON_VERSION,
        "notice": NOTICE,
        "software_version": __version__,
        "model": {
            "name": model.name,
            "sha256": model.sha256,
            "int8_sha256": model.int8_sha256 or None,
            "fitted_to_own_beats": analysis.n_fitted,
        },
        "learning": _learning(analysis),
        "record": {
            "id": record.record_id,
            "sha256": record.sha256,
            "start": iso_text(record, 0.0),
            "start_clock": record.start_clock.isoformat() if record.start_clock else "",
            "duration_s": record.duration_s,
            "fs_hz": record.fs_hz,
            "stated": record.overrides.key,
            "leads": list(record.lead_names),
            "left_out": [asdict(channel) for channel in record.left_out],
            "doubts": list(record.doubts),
            "age_years": record.age_years,
            "simulated": record.is_simulated,
        },
        "analysed_leads": list(analysis.lead_names),
        "rules": [rule._asdict() for rule in analysis.rules.rows()],
        "sensitivity": sensitivity_content(analysis),
        "dangers": [_danger(danger, record) for danger in dangers(analysis)],
        "not_analysed": list(NOT_ANALYSED),
        **verdict_content(analysis),
        "unjudged_s": unjudged_stretches(analysis),
        "measures": [asdict(measure) for measure in measures(analysis)],
        **{name: rows_of(table(analysis)) for name, table in tables.items()},
        "edits": asdict(analysis.changes),
        "unusable_s": analysis.quality.unusable_stretches(record.duration_s),
        "day_and_night": [_period(line) for line in day_and_night(analysis)],
        **_notes(analysis, notes),
    }
    table = beats_table(analysis)
    beats = {name: column for name, column in table.items() if name not in ("told", "time_iso")}
    beats["labelled"] = table["told"]
    return b'%s,"beats":%s}' % (json_text(content)[:-1].encode(), json_columns(beats))


def _learning(analysis: Analysis) -> dict[str, Any] | None:
    """What cross-validation on the reader's labels found, for programs; None where the model did not learn."""
    check = analysis.learning
    if check is None:
        return None
    return {"classes": OUTPUT_NAMES, **asdict(check), "problem": check.problem, "decision": check.sentence}


def _notes(analysis: Analysis, notes: Notes) -> dict[str, Any]:
    """What people wrote, for programs; ``patient`` only where there are such data."""
    patient = {} if notes.patient.is_empty else {"patient": asdict(notes.patient)}
    rows = symptom_rows(analysis, notes.diary)
    return {
        "narrative": narrative_of(analysis, notes),
        "narrative_drafted": not notes.narrative,
        "diary": [{**asdict(row.entry), "rhythm": row.rhythm, "rate_bpm": plain_float(row.rate_bpm)} for row in rows],
        "strips": [asdict(strip) for strip in notes.strips],
        "signatures": [asdict(signature) for signature in notes.signatures],
        "signed": notes.is_signed,
        **patient,
    }


def _period(line: PeriodLine) -> dict[str, Any]:
    """Day, night or total for programs."""
    rates = dict(zip(("rate_min_bpm", "rate_mean_bpm", "rate_max_bpm"), map(plain_float, line.rates_bpm), strict=True))
    return {
        "name": line.name,
        "analysable_s": round(line.analysable_s, 3),
        "beats": line.n_beats,
        **{f"beats_{label}": n for label, n in zip(CLASSES, line.by_class, strict=True)},
        **rates,
        "v_runs": line.runs[0],
        "s_runs": line.runs[1],
        "pauses": line.n_pauses,
        "af_s": round(line.af_s, 3),
    }


def plain_float(value: float) -> float | None:
    """A number with one decimal; None where there is none."""
    return round(value, 1) if np.isfinite(value) else None


def _danger(danger: Danger, record: Record) -> dict[str, Any]:
    """A kind of danger for programs; its episodes are among the events."""
    return {
        "kind": danger.kind,
        "name": KIND_NAMES[danger.kind],
        "text": danger.text,
        "episodes": len(danger.events),
        "total_s": round(danger.total_s, 3),
        "longest_s": round(danger.longest.duration_s, 3),
        "at_least": danger.at_least,
        "first_at_s": round(danger.events[0].start_s, 3),
        "first_at_iso": iso_text(record, danger.events[0].start_s),
        "longest_at_s": round(danger.longest.start_s, 3),
        "longest_at_iso": iso_text(record, danger.longest.start_s),
    }


class Writer(Protocol):
    """Makes the content of one file; patient data are in it where the notes have them."""

    def __call__(self, analysis: Analysis, notes: Notes = NO_NOTES) -> bytes:
        """The bytes of the file."""
        ...


def _csv(table: Callable[[Analysis], Table]) -> Writer:
    return lambda analysis, notes=NO_NOTES: csv_bytes(table(analysis))


WRITERS: Final[dict[str, Writer]] = {
    "_report.pdf": report_pdf,
    "_burden.csv": _csv(burden_table),
    "_hourly.csv": _csv(hourly_table),
    "_events.csv": _csv(events_table),
    "_beats.csv": _csv(beats_table),
    "_report.json": report_json,
    f".{ANNOTATOR}": lambda analysis, notes=NO_NOTES: annotation_bytes(analysis),
}


def file_name(analysis: Analysis, suffix: str) -> str:
    """Name of an exported file."""
    return f"{analysis.record.record_id}{suffix}"


def without_patient(notes: Notes) -> Notes:
    """The notes without patient data, as files hold them unless these are asked for."""
    return replace(notes, patient=Patient())


def file_contents(analysis: Analysis, notes: Notes = NO_NOTES, *, with_patient: bool = False) -> dict[str, bytes]:
    """Every format, by the name of its file."""
    notes = notes if with_patient else without_patient(notes)
    return {file_name(analysis, suffix): writer(analysis, notes) for suffix, writer in WRITERS.items()}


def write_files(analysis: Analysis, folder: Path, notes: Notes = NO_NOTES, *, with_patient: bool = False) -> list[Path]:
    """Write every format into a folder, which is made where it is missing: all files, or none.

    Patient data are left out unless ``with_patient``.

    Returns
    -------
    The paths of the files.

    Raises
    ------
    OutputError
        The folder cannot be made or written to, or holds a folder with the name of a file.

    Examples
    --------
    >>> import tempfile
    >>> from ecg_core import analyse, load_model, read_record
    >>> analysis = analyse(read_record("demo_data/demo"), load_model(), lead="II")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in write_files(analysis, Path(folder))][:2]
    ['demo_report.pdf', 'demo_burden.csv']

    """
    notes = notes if with_patient else without_patient(notes)
    paths = [folder / file_name(analysis, suffix) for suffix in WRITERS]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in paths:
            if path.is_dir():  # checked before any file is replaced
                raise IsADirectoryError(EISDIR, f"{path.name} is a folder")
        with atomic_files(folder, analysis.record.record_id) as hidden:
            for path, writer in zip(paths, WRITERS.values(), strict=True):
                (hidden / path.name).write_bytes(writer(analysis, notes))
    except OSError as error:
        raise OutputError(
            f"{folder}: the results cannot be written there ({error.strerror or error}); nothing was left behind.",
            settings=("out",),
        ) from error
    return paths
