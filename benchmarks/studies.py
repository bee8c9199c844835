"""How long the store of studies takes: the worklist, saving a label, opening a stored day, exporting and importing it.

    ECG_DATABASES=... python -m benchmarks.studies [--database svdb/1.0.0] [--studies 10000] [--url ""] [--json FILE]

Medians and the slowest of some runs are printed. ``--url`` names a PostgreSQL database, which should be empty.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from benchmarks.command import options_of, publish
from benchmarks.tiling import tile
from ecg_core.classifier.model import load_model
from ecg_core.classifier.spec import model_digest
from ecg_core.edits import Label, LabelEdit
from ecg_core.measuring import with_edits
from ecg_core.notes import Patient
from ecg_core.pipeline import analyse
from ecg_core.records import read_record
from ecg_core.schema import Analysis, Record
from ecg_core.studies import audit
from ecg_core.studies.analyses import (
    AnalysisKey,
    load_analysis,
    load_shown,
    load_stored,
    save_analysis,
    save_shown,
    set_shown,
)
from ecg_core.studies.bundle import export_study, import_study
from ecg_core.studies.edits import add_edit, edits_of, undo_edit
from ecg_core.studies.recordings import open_recording
from ecg_core.studies.store import Store, open_store
from ecg_core.studies.study import Editor, add_study, find_studies, get_study
from ecg_core.studies.study_notes import set_narrative, set_patient
from ecg_core.studies.tables import StudyRow

READER = Editor("benchmark", "benchmark")
N_LABELS, N_OPENED = 200, 5
N_BEATS_OF_AN_EDIT = 25_000


def seconds(step: Callable[[], object], runs: int) -> dict[str, float]:
    """Median and longest time of a step."""
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    return {"median_s": round(statistics.median(times), 4), "slowest_s": round(max(times), 4)}


def fill(store: Store, record: Record, n_studies: int) -> None:
    """Copy the study of a record under other hashes, with patient data and a narrative of a usual length."""
    add_study(store, record, READER)
    set_patient(store, record.sha256, Patient(name="Somebody Known", indication="palpitations " * 5), READER)
    set_narrative(store, record.sha256, "Sinus rhythm throughout. " * 60, READER)
    with store.writing() as session:
        row = session.get_one(StudyRow, record.sha256)
        values = {column.name: getattr(row, column.name) for column in StudyRow.__table__.columns}
        copies = [
            {**values, "record_sha256": f"{number:064x}", "record_id": f"record {number}"}
            for number in range(n_studies)
        ]
        session.execute(insert(StudyRow), copies)


def saving(store: Store, analysis: Analysis) -> dict[str, dict[str, float]]:
    """Time to save labels one by one, before and after edits of many beats, of which one stays."""
    time_s = analysis.beats.time_s.tolist()
    many = LabelEdit(tuple(Label(one, "V") for one in time_s[:N_BEATS_OF_AN_EDIT]))
    sha256, beats = analysis.record.sha256, iter(time_s)
    single = lambda: add_edit(store, sha256, LabelEdit((Label(next(beats), "V"),)), READER)  # noqa: E731
    return {
        "label": seconds(single, N_LABELS),
        "edit_of_25000_beats": seconds(lambda: add_edit(store, sha256, many, READER), N_OPENED),
        "undo": seconds(lambda: undo_edit(store, sha256, READER), N_OPENED - 1),
        "label_after_those": seconds(single, N_LABELS),
    }


def opened(store: Store, key: AnalysisKey) -> Analysis:
    """A stored day from its hash until its analysis with all labels is in memory."""
    study = get_study(store, key.record_sha256)
    assert study is not None  # noqa: S101  # it was added before
    base = load_stored(store, key.digest, open_recording(store, study))
    assert base is not None  # noqa: S101  # it was stored before
    found = load_shown(store, key, edits_of(store, key.record_sha256), base)
    assert found is not None  # noqa: S101
    return found


def day(store: Store, record: Record, folder: Path) -> dict[str, Any]:
    """Analyse a day, then time saving, opening, exporting and importing it."""
    add_study(store, record, READER)
    began = time.perf_counter()
    analysis = analyse(record, load_model())
    results: dict[str, Any] = {"beats": len(analysis.beats), "analysis_s": round(time.perf_counter() - began, 2)}
    key = AnalysisKey(record.sha256, "auto", model_digest(analysis.model), analysis.rules)
    results["save_analysis"] = seconds(lambda: save_analysis(store, key, analysis), N_OPENED)
    set_shown(store, key, analysis, READER)
    results |= saving(store, analysis)
    edits = edits_of(store, record.sha256)
    shown = with_edits(analysis, edits)
    results["save_shown"] = seconds(lambda: save_shown(store, key, edits, shown), N_OPENED)
    results["load_analysis_alone"] = seconds(lambda: load_analysis(store, key, record), N_OPENED)
    results["measuring_again_instead"] = seconds(lambda: with_edits(analysis, edits), N_OPENED)
    results["open_stored_day"] = seconds(lambda: opened(store, key), N_OPENED)
    results["verify"] = seconds(lambda: audit.verify(store, record.sha256), N_OPENED)
    packed = folder / "study.zip"
    results["export"] = seconds(lambda: export_study(store, record.sha256, packed, READER, with_patient=False), runs=1)
    other = open_store(folder / "other", url="")
    results["import"] = seconds(lambda: import_study(other, packed, READER), runs=1)
    results["zip_mb"] = round(packed.stat().st_size / 1e6, 1)
    other.close()
    return results


def main() -> None:
    """Fill a store, tile a day, time."""
    options = options_of(__doc__, database="svdb/1.0.0", studies=10_000, url="", json=Path)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = open_store(folder / "store", url=options.url)
        tiled = folder / "tiled"
        tiled.mkdir()
        record = read_record(tile(options.databases / options.database, tiled))
        results = day(store, record, folder)
        short = folder / "short"
        short.mkdir()
        fill(store, read_record(tile(options.databases / options.database, short, hours=1)), options.studies)
        results["studies"] = options.studies
        results["worklist"] = seconds(lambda: find_studies(store), N_OPENED)
        results["worklist_searched"] = seconds(lambda: find_studies(store, search="known"), N_OPENED)
        results["worklist_of_100"] = seconds(lambda: find_studies(store, limit=100), N_OPENED)
        results["open_store"] = seconds(lambda: open_store(folder / "store", url=options.url).close(), N_OPENED)
        store.close()
    publish(results, options.json)


if __name__ == "__main__":
    main()
