"""The files of an analysis: tables, JSON, annotations and the PDF, each written by a function in WRITERS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from errno import EISDIR
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from .. import NOTICE, __version__
from ..clock import iso_text
from ..errors import OutputError
from ..files import atomic_files, place_mends, reason_of
from ..labels import CLASSES, OUTPUT_NAMES
from ..notes import NO_NOTES, Notes, Patient
from ..rhythm.events import KIND_NAMES
from ..schema import Analysis, Record
from ..text import format_quoted
from .annotations import ANNOTATOR, annotation_bytes
from .columns import Table, csv_bytes, json_columns, json_text, rows_of
from .dangers import NOT_ANALYSED, Danger, dangers, unjudged_stretches
from .diary import symptom_rows
from .encapsulated_pdf import encapsulated_pdf
from .fhir import fhir_bundle
from .measures import measures
from .narrative import narrative_of
from .operating import sensitivity_content
from .pdf import report_pdf
from .periods import PeriodLine, day_and_night
from .spreadsheet import spreadsheet
from .statements import verdict_content
from .tables import beats_table, burden_table, events_table, hourly_table

JSON_VERSION = 2  # raised when a name of the JSON document changes its meaning or goes away


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
            "origin": model.origin,
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
        "replaced_leads": [asdict(one) for one in analysis.replaced],
        "rules": [rule._asdict() for rule in analysis.rules.rows()],
        "sensitivity": sensitivity_content(analysis),
        "dangers": [_danger(danger, record) for danger in dangers(analysis)],
        "not_analysed": list(NOT_ANALYSED),
        **verdict_content(analysis),
        "unjudged_s": unjudged_stretches(analysis),
        "rejected": [asdict(event) | {"rate_bpm": plain_float(event.rate_bpm)} for event in analysis.rejected],
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
        "narrative_older": notes.is_narrative_older,
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


PDF: Final = "_report.pdf"
WRITERS: Final[dict[str, Writer]] = {
    PDF: report_pdf,
    "_burden.csv": _csv(burden_table),
    "_hourly.csv": _csv(hourly_table),
    "_events.csv": _csv(events_table),
    "_beats.csv": _csv(beats_table),
    "_report.json": report_json,
    f".{ANNOTATOR}": lambda analysis, notes=NO_NOTES: annotation_bytes(analysis),
}


# What a hospital's systems take in, made where it is asked for: the suffix of each form, and its writer.
ALSO: Final = {"xlsx": "_report.xlsx", "fhir": "_fhir.json", "dicom": "_report.dcm"}
WITH_PDF: Final = {"_fhir.json": fhir_bundle, "_report.dcm": encapsulated_pdf}  # that hold the PDF as well
MORE_WRITERS: Final[dict[str, Writer]] = {"_report.xlsx": spreadsheet, **WITH_PDF}


def check_also(also: Sequence[str]) -> None:
    """Raise an OutputError where a form is none of ALSO."""
    for form in also:
        if form not in ALSO:
            raise OutputError(
                f'"{format_quoted(form)}": a report cannot be written as this; choose among {", ".join(ALSO)}.',
                settings=("also",),
            )


def _writers(also: Sequence[str]) -> dict[str, Writer]:
    """The writers of the files that are always made, then those of further forms, by their suffixes."""
    check_also(also)
    return WRITERS | {suffix: MORE_WRITERS[suffix] for form, suffix in ALSO.items() if form in also}


def _contents(analysis: Analysis, notes: Notes, writers: dict[str, Writer]) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file, the PDF first; it is made once, whatever else holds it."""
    pdf = report_pdf(analysis, notes)
    for suffix, writer in writers.items():
        if suffix in WITH_PDF:
            content = WITH_PDF[suffix](analysis, notes, pdf=pdf)
        else:
            content = pdf if suffix == PDF else writer(analysis, notes)
        yield file_name(analysis, suffix), content


def file_name(analysis: Analysis, suffix: str) -> str:
    """Name of an exported file."""
    return f"{analysis.record.record_id}{suffix}"


def without_patient(notes: Notes) -> Notes:
    """The notes without patient data, as files hold them unless these are asked for."""
    return replace(notes, patient=Patient())


def file_contents(
    analysis: Analysis, notes: Notes = NO_NOTES, *, with_patient: bool = False, also: Sequence[str] = ()
) -> dict[str, bytes]:
    """Every format, by the name of its file, with those of ALSO that are asked for."""
    notes = notes if with_patient else without_patient(notes)
    return dict(_contents(analysis, notes, _writers(also)))


def write_files(
    analysis: Analysis, folder: Path, notes: Notes = NO_NOTES, *, with_patient: bool = False, also: Sequence[str] = ()
) -> list[Path]:
    """Write every format into a folder, which is made where it is missing: all files, or none.

    Patient data are left out unless ``with_patient``.

    Parameters
    ----------
    also
        Forms of ALSO to write as well, such as ``["xlsx", "fhir"]``.

    Returns
    -------
    The paths of the files.

    Raises
    ------
    OutputError
        A form is unknown, or the folder cannot be made or written to, or holds a folder with the name of a file.

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
    writers = _writers(also)
    paths = [folder / file_name(analysis, suffix) for suffix in writers]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in paths:
            if path.is_dir():  # checked before any file is replaced
                raise IsADirectoryError(EISDIR, f"{path.name} is a folder")
        with atomic_files(folder, analysis.record.record_id) as hidden:
            for name, content in _contents(analysis, notes, writers):
                (hidden / name).write_bytes(content)
    except OSError as error:
        raise OutputError(
            f"{folder}: the results cannot be written there ({reason_of(error)}); no file was left half written.",
            settings=("out",) * place_mends(error),
        ) from error
    return paths
