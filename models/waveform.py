"""Fit the head of the waveform: ``ECG_DATABASES=... python -m models.waveform``.

The seconds of records with rhythm annotations (cudb, vfdb, mitdb DS1), of others without fibrillation, and of records
with nstdb's noise are measured; the head is fitted five times without a fifth of the patients, scored on these, and
then fitted to all. Writes ``waveform.npz``, ``waveform.json`` and ``waveform.metrics.json``. Test sets are not used.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np

from ecg_core.classifier.encoder import encode
from ecg_core.classifier.model import Model, load_model
from ecg_core.classifier.waveform import STEP_S, WaveformMeasures, measure_waveform
from ecg_core.classifier.waveform_head import (
    HEAD_FILE,
    RHYTHMS,
    WaveformHead,
    head_inputs,
    rhythm_probability,
    usual_size,
)
from ecg_core.evaluation.noise_stress import with_noise
from ecg_core.files import atomic_file, write_json
from ecg_core.labels import CLASSES, class_codes
from ecg_core.records import read_record
from ecg_core.rhythm.danger import stretches, tachyarrhythmias
from ecg_core.rules import RhythmRules
from ecg_core.schema import Bool, Float32, Record, Text, Waveform
from ecg_core.signals.filters import clean_leads, normalised
from ecg_core.training.waveform import HeadRecipe, Seconds, concatenate, fit_head
from models.command import parse, parser_of, print_line
from models.databases import FOLDER, ICENTIA, MITDB, NSTDB, SVDB, read_split

CUDB, VFDB, QTDB, LTDB = "cudb/1.0.0", "vfdb/1.0.0", "qtdb/1.0.0", "ltdb/1.0.0"
AFPDB, AFTDB, CHALLENGE = "afpdb/1.0.0", "aftdb/1.0.0", "challenge-2017/1.0.0"
N_FOLDS = 5
NOISES, SNR_DB = ("em", "ma"), (6.0, 0.0, -6.0)  # of nstdb, in which fibrillation must not be found
MIXED_SNR_DB = (3.0, -3.0, -9.0)  # of the other half of the noise, which training records are mixed with
EPISODE_S, VT_S = 10.0, 30.0  # episodes that are scored one by one
BORDER_STEPS = 1  # beside a change of rhythm, both are allowed
VT_MARK_S = 4.0  # a shorter run of V does not fill a window
MAIN_WEIGHT, OTHER_WEIGHT = 1.0, 0.6  # of the seconds of cudb and vfdb, and of other records

BEATS, VT, VF, NOISE = (1 << i for i in range(len(RHYTHMS)))
# What the annotations of vfdb leave open; "(HGEA" is high-grade ventricular ectopy, "(VER" a ventricular escape rhythm.
ALLOWED: Final = {
    **dict.fromkeys(("(N", "(NSR", "(NOD", "(SBR", "(AFIB", "(BI", "(B", "(SVTA", "(PM"), BEATS),
    **dict.fromkeys(("(VF", "(VFIB", "(VFL"), VF),
    **dict.fromkeys(("(HGEA", "(VER"), BEATS | VT),
    **dict.fromkeys(("(NOISE", "(ASYS"), BEATS | NOISE),
    "(VT": VT,
}  # fmt: skip
IS_VF: Final = ("(VF", "(VFIB", "(VFL")


@dataclass(frozen=True)
class Job:
    """A record to measure, perhaps with noise."""

    database: str
    name: str
    patient: str
    noise: str = ""  # of nstdb
    snr_db: float = 0.0
    mixed: bool = False  # with the half of the noise that is not scored, for training alone
    fitted: bool = True  # False: scored alone


@dataclass(frozen=True, eq=False)
class MeasuredRecord:
    """The measures of a record beside what its annotations say of each second."""

    job: Job
    measures: WaveformMeasures
    usual: Float32
    allowed: Bool  # (n_steps, n_rhythms)
    rhythm: Text  # (n_steps,)


def jobs(databases: Path) -> Iterator[Job]:
    """Every record that is measured: fitted or scored."""
    for database in (CUDB, VFDB, QTDB, LTDB, AFPDB, AFTDB, CHALLENGE):
        for name in (databases / database / "RECORDS").read_text(encoding="utf-8").split():
            yield Job(database, name, patient_of(database, name))
    ds1 = read_split("mitdb_ds1")
    svdb = read_split("svdb_adaptation") + read_split("svdb_validation")
    for database, names in ((MITDB, ds1), (SVDB, svdb)):
        for name in names:
            yield Job(database, name, patient_of(database, name))
    for number, name in enumerate(ds1):
        for noise in NOISES:
            snr_db = MIXED_SNR_DB[(number + NOISES.index(noise)) % len(MIXED_SNR_DB)]
            yield Job(MITDB, name, patient_of(MITDB, name), noise, snr_db, mixed=True)
    for name in NOISES:
        yield Job(NSTDB, name, NSTDB)
    for name in ds1:
        for noise in NOISES:
            for snr_db in SNR_DB:
                yield Job(MITDB, name, patient_of(MITDB, name), noise, snr_db, fitted=False)
    for name in (databases / ICENTIA / "RECORDS").read_text(encoding="utf-8").split():
        yield Job(ICENTIA, name, ICENTIA, fitted=False)


def patient_of(database: str, name: str) -> str:
    """Who a record is of: some patients have several records, also in several databases."""
    folder = database.split("/", maxsplit=1)[0]
    if folder == "ltdb" or name in ("sel14046", "sel14157", "sel14172"):
        return f"ltdb{name.removeprefix('sel').split('_')[0]}"
    return "ltafdb" if folder == "aftdb" else folder + name


def fold_of(patient: str) -> int:
    """The fold in which a patient is left out."""
    return zlib.crc32(patient.encode()) % N_FOLDS


def measure_job(job: Job, model: Model, databases: Path) -> MeasuredRecord:
    """Read, filter, encode and measure a record."""
    record = read_record(databases / job.database / job.name)
    allowed, rhythm = annotated(job, record)
    if job.noise:
        noise = read_record(databases / NSTDB / job.noise)
        record = with_noise(record, noise, snr_db=job.snr_db, training=job.mixed)
    leads = tuple(range(len(record.lead_names)))
    clean = clean_leads(record.source.read(0, record.n_samples, leads), record.fs_hz)
    heatmap = encode(model, normalised(clean)).beat_heatmap
    measures = measure_waveform(clean, heatmap, stride=model.spec.stride, first=0, n_steps=len(rhythm))
    return MeasuredRecord(job, measures, usual_size(measures), allowed, rhythm)


def annotated(job: Job, record: Record) -> tuple[Bool, Text]:
    """What each second may show by the annotations, (n_steps, n_rhythms), and the rhythm that they name."""
    n_steps = int(record.duration_s / STEP_S)
    middle_s = (np.arange(n_steps) + 0.5) * STEP_S
    rhythm = np.full(n_steps, "", dtype="<U8")
    for name, start_s, end_s in rhythm_marks(record):
        rhythm[(middle_s >= start_s) & (middle_s < end_s)] = name
    if job.database == NSTDB:
        code = np.full(n_steps, NOISE)
    elif job.database == VFDB:
        code = np.array([ALLOWED.get(name, 0) for name in rhythm.tolist()])
    elif job.database == CUDB:  # tachycardia is not marked there
        code = np.where(np.isin(rhythm, IS_VF), VF, BEATS | VT | NOISE)
    else:
        code = np.where(np.isin(rhythm, IS_VF), VF, BEATS | NOISE if job.noise else BEATS)
        for start_s, end_s in runs_of_v(record):
            inside = (middle_s >= start_s) & (middle_s < end_s) & (code != VF)
            code[inside] = VT if end_s - start_s >= VT_MARK_S else code[inside] | VT
    wide = code.copy()
    for change in np.flatnonzero(np.diff(code)).tolist():
        beside = slice(max(0, change + 1 - BORDER_STEPS), change + 1 + BORDER_STEPS)
        wide[beside] |= code[change] | code[change + 1]
    return (wide[:, None] & (1 << np.arange(len(RHYTHMS)))) > 0, rhythm


def rhythm_marks(record: Record) -> Iterator[tuple[str, float, float]]:
    """Name, start and end of each annotated rhythm; ``[`` and ``]`` are those of fibrillation."""
    marks = record.reference
    if marks is None:
        return
    name, start_s = "", 0.0
    for time_s, symbol, aux in zip(marks.time_s.tolist(), marks.symbol.tolist(), marks.aux.tolist(), strict=True):
        note = aux.strip("\0 ")
        if symbol in ("[", "]") or (symbol == "+" and note.startswith("(")):
            if name:
                yield name, start_s, time_s
            name, start_s = {"[": "(VF", "]": ""}.get(symbol, note), time_s
    if name:
        yield name, start_s, record.duration_s


def runs_of_v(record: Record) -> Iterator[tuple[float, float]]:
    """Start and end of each run of ventricular beats faster than tachycardia begins, by the annotations."""
    marks = record.reference
    if marks is None:
        return
    code = class_codes(marks.symbol)
    time_s, is_v = marks.time_s[code >= 0], code[code >= 0] == CLASSES.index("V")
    rules = RhythmRules()
    for first, last in stretches(is_v):
        length_s = float(time_s[last - 1] - time_s[first])
        if last - first >= rules.run_min_beats and 60.0 * (last - first - 1) > rules.vt_bpm * length_s:
            yield float(time_s[first]), float(time_s[last - 1])


def seconds_of(record: MeasuredRecord) -> Seconds:
    """The measured seconds of all leads for the fit; a record counts once, however many leads it has."""
    step, inputs = record.measures.step, head_inputs(record.measures, record.usual)
    n, n_leads, n_inputs = inputs.shape
    weight = (MAIN_WEIGHT if record.job.database in (CUDB, VFDB) else OTHER_WEIGHT) / n_leads
    allowed = np.repeat(record.allowed[step], n_leads, axis=0)
    return Seconds(inputs.reshape(-1, n_inputs), allowed, np.full(n * n_leads, weight))


def waveform_of(head: WaveformHead, record: MeasuredRecord) -> Waveform:
    """What the head finds in a record."""
    found = rhythm_probability(head, record.measures, record.usual)
    return Waveform(
        STEP_S, found[:, RHYTHMS.index("vf")], found[:, RHYTHMS.index("vt")], np.zeros((0, 2)), np.zeros((0, 2))
    )


def scored(records: list[MeasuredRecord], heads: dict[int, WaveformHead]) -> dict[str, Any]:
    """Each record by the head that was fitted without its patient: fibrillation found, missed and false."""
    rules, rows = RhythmRules(), []
    false_vf: dict[str, dict[str, float]] = {}
    for record in records:
        job = record.job
        found = tachyarrhythmias(waveform_of(heads[fold_of(job.patient)], record), rules)
        is_found = {kind: np.zeros(len(record.rhythm), dtype=bool) for kind in ("vf", "vf_suspected", "vt")}
        for kind, start_s, end_s in found:
            is_found[kind][int(start_s / STEP_S) : int(end_s / STEP_S)] = True
        is_vf = np.isin(record.rhythm, IS_VF)
        if is_vf.any() or job.database in (CUDB, VFDB):
            if not job.noise:
                rows.append({"record": f"{job.database}/{job.name}", **_row(record.rhythm, is_vf, is_found)})
        elif not job.mixed and job.database != NSTDB:
            key = f"{job.database} {job.noise} {job.snr_db:g} dB" if job.noise else job.database
            entry = false_vf.setdefault(key, {"hours": 0.0, "vf": 0, "vf_suspected": 0, "vt": 0})
            entry["hours"] += len(record.rhythm) * STEP_S / 3600
            for kind, _, _ in found:
                entry[kind] += 1
    return {"records": rows, "total": _total(rows), "false": false_vf}


def _row(rhythm: Text, is_vf: Bool, found: dict[str, Bool]) -> dict[str, int]:
    is_vt, any_vf = rhythm == "(VT", found["vf"] | found["vf_suspected"]
    episodes = [part for part in stretches(is_vf) if part[1] - part[0] >= EPISODE_S / STEP_S]
    long_vt = [part for part in stretches(is_vt) if part[1] - part[0] >= VT_S / STEP_S]
    covered = any_vf | found["vt"]
    return {
        "vf_s": int(is_vf.sum()),
        "found_s": int((is_vf & any_vf).sum()),
        "false_s": int((any_vf & ~is_vf & ~is_vt).sum()),
        "vt_called_vf_s": int((any_vf & is_vt).sum()),
        "vt_s": int(is_vt.sum()),
        "vt_found_s": int((is_vt & covered).sum()),
        "episodes": len(episodes),
        "episodes_found": sum(bool(any_vf[a:b].any()) for a, b in episodes),
        "long_vt": len(long_vt),
        "long_vt_found": sum(bool(covered[a:b].mean() > 0.5) for a, b in long_vt),
    }


def _total(rows: list[dict[str, Any]]) -> dict[str, float]:
    total = {name: sum(row[name] for row in rows) for name in rows[0] if name != "record"}
    found = total["found_s"]
    return {
        **total,
        "se": round(found / total["vf_s"], 4),
        "ppv": round(found / (found + total["false_s"] + total["vt_called_vf_s"]), 4),
        "ppv_of_ventricular": round(found / (found + total["false_s"]), 4),
    }


def save_head(path: Path, head: WaveformHead, spec: dict[str, Any]) -> None:
    """Write the weights, and beside them what they were fitted to with their hash."""
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **{name: np.asarray(value, np.float32) for name, value in vars(head).items()})
    with atomic_file(path) as part:
        part.write_bytes(stream.getvalue())
    write_json(path.with_suffix(".json"), {**spec, "sha256": sha256(stream.getvalue()).hexdigest()})


def main() -> None:
    """Measure, cross-validate, fit, save."""
    options = parse(parser_of(__doc__))
    model, recipe = load_model(), HeadRecipe()
    records = []
    every = list(jobs(options.databases))
    for number, job in enumerate(every, 1):
        records.append(measure_job(job, model, options.databases))
        if number % 50 == 0:
            print_line(f"measured {number} of {len(every)} records")
    fitted = [record for record in records if record.job.fitted]
    heads = {}
    for fold in range(N_FOLDS):
        train = [seconds_of(record) for record in fitted if fold_of(record.job.patient) != fold]
        heads[fold] = fit_head(concatenate(train), recipe)
        print_line(f"fold {fold + 1} of {N_FOLDS} fitted")
    figures = scored(records, heads)
    print_line(str(figures["total"]))
    for name, entry in figures["false"].items():
        print_line(f"{name}: {entry}")
    head = fit_head(concatenate([seconds_of(record) for record in fitted]), recipe)
    spec = {
        "rhythms": RHYTHMS,
        "model": {"name": model.spec.name, "sha256": model.spec.sha256},
        "recipe": {"command": "python -m models.waveform", **asdict(recipe)},
        "fitted_to": sorted({f"{record.job.database}/{record.job.name}" for record in fitted}),
    }
    save_head(HEAD_FILE, head, spec)
    write_json(FOLDER / "waveform.metrics.json", figures)


if __name__ == "__main__":
    main()
