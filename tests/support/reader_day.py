"""A day of ECG with mistakes that a reader has to find, analysed by hand: no network runs."""

from pathlib import Path

import numpy as np

from ecg_core.classifier.spec import DEFAULT_MODEL, model_digest, read_spec
from ecg_core.labels import CLASSES
from ecg_core.measuring import measure
from ecg_core.records import read_record
from ecg_core.rhythm.danger import no_waveform
from ecg_core.rules import RhythmRules
from ecg_core.schema import Analysis, Attention, Beats, Quality
from ecg_core.studies.analyses import AnalysisKey, save_analysis, set_shown
from ecg_core.studies.study_notes import add_recording

from .records import GAIN

FS_HZ, DAY_S = 128, 86_400.0
RR_S = 0.8
NOISE_S = (18_000.0, 39_600.0, 61_200.0)  # where noise was taken for ventricular tachycardia
NOISE_LENGTH_S, NOISE_RR_S = 5.0, 0.4
RUN_S, RUN_RR_S, N_RUN = 28_800.0, 0.45, 6  # a ventricular run that was taken for normal beats
N_WRONG_S, WRONG_S_RR_S = 200, 0.55  # early sinus beats that were taken for supraventricular ones


def write_day(folder: Path):
    """Write a day of one lead; returns its path, and time and class of each beat as the program would find them."""
    rng = np.random.default_rng(1)
    time_s, label, shape = _beats(rng)
    offset = np.arange(-50, 90)
    waves = {"N": _narrow(offset / FS_HZ), "V": _wide(offset / FS_HZ), "": np.zeros(len(offset))}
    signal = rng.normal(0, 0.01, int(DAY_S * FS_HZ))
    for name, wave in waves.items():
        position = np.rint(time_s[shape == name] * FS_HZ).astype(int)
        index = position[:, None] + offset
        inside = (index >= 0) & (index < len(signal))
        np.add.at(signal, index[inside], np.broadcast_to(wave, index.shape)[inside])
    for start_s in NOISE_S:
        span = slice(int(start_s * FS_HZ), int((start_s + NOISE_LENGTH_S) * FS_HZ))
        signal[span] = np.cumsum(rng.normal(0, 0.25, span.stop - span.start)) * 0.2 + rng.normal(
            0, 0.3, span.stop - span.start
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "day.dat").write_bytes(np.rint(signal * GAIN).astype("<i2").tobytes())
    header = f"day 1 {FS_HZ} {len(signal)} 08:00:00 01/01/2001\nday.dat 16 {GAIN}/mV 16 0 0 0 0 II\n"
    (folder / "day.hea").write_text(header, encoding="ascii")
    return folder / "day", time_s, label


def _beats(rng):
    """Time, class as found, and true shape of each beat, where noise has none."""
    time_s = np.arange(0.5, DAY_S - 1, RR_S) + rng.normal(0, 0.01, len(np.arange(0.5, DAY_S - 1, RR_S)))
    early = 400 + 500 * np.arange(N_WRONG_S)
    time_s[early] = time_s[early - 1] + WRONG_S_RR_S
    label, shape = np.full(len(time_s), "N"), np.full(len(time_s), "N")
    label[early] = "S"
    kept = np.ones(len(time_s), dtype=bool)
    added = []
    for start_s in NOISE_S:
        kept &= (time_s < start_s - 0.4) | (time_s > start_s + NOISE_LENGTH_S + 0.4)
        added += [(at_s, "V", "") for at_s in np.arange(start_s + 0.3, start_s + NOISE_LENGTH_S - 0.2, NOISE_RR_S)]
    kept &= (time_s < RUN_S - 0.4) | (time_s > RUN_S + N_RUN * RUN_RR_S + 0.4)
    added += [(RUN_S + i * RUN_RR_S, "N", "V") for i in range(N_RUN)]
    columns = zip(*added, strict=True)
    parts = [
        np.concatenate((old[kept], np.array(new))) for old, new in zip((time_s, label, shape), columns, strict=True)
    ]
    order = np.argsort(parts[0].astype(float))
    return parts[0].astype(float)[order], parts[1][order], parts[2][order]


def _narrow(time_s):
    """P, QRS and T of a normal beat."""
    return _bump(time_s, -0.16, 0.022, 0.12) + _bump(time_s, 0, 0.014, 1.0) + _bump(time_s, 0.28, 0.045, 0.25)


def _wide(time_s):
    """QRS and T of a ventricular beat."""
    return _bump(time_s, 0, 0.045, 1.5) - _bump(time_s, 0.3, 0.06, 0.4)


def _bump(time_s, at_s, width_s, height_mv):
    return height_mv * np.exp(-(((time_s - at_s) / width_s) ** 2) / 2)


def store_day(store, folder, editor):
    """Add the day to a store, with the analysis of all its beats; returns both."""
    path, time_s, label = write_day(folder)
    record, spec, rules = read_record(path), read_spec(DEFAULT_MODEL), RhythmRules()
    probability = np.full((len(time_s), len(CLASSES)), 0.02, dtype=np.float32)
    probability[np.arange(len(time_s)), [CLASSES.index(name) for name in label]] = 0.92
    usable = np.ones(len(time_s), dtype=bool)
    predicted = Beats(time_s, label, probability, np.diff(time_s, prepend=np.nan), usable)
    n_blocks = int(DAY_S / 10)
    quality = Quality(10.0, np.ones((1, n_blocks), np.float32), np.ones(n_blocks, dtype=bool))
    steps = np.linspace(-0.5, 0.5, 33).astype(np.float32)
    waveform, labels = no_waveform(DAY_S), np.full(len(time_s), -100)
    beats, events, burden = measure(record, predicted, quality, waveform, rules, labels=labels, calibration=None)
    analysis = Analysis(
        record=record, lead_names=("II",), model=spec, rules=rules, quality=quality, predicted=predicted, beats=beats,
        attention=Attention(np.full((len(time_s), 33), 1 / 33, np.float16), steps), waveform=waveform, events=events,
        burden=burden,
    )  # fmt: skip
    add_recording(store, record, editor)
    key = AnalysisKey(record.sha256, "auto", model_digest(spec), rules)
    save_analysis(store, key, analysis)
    set_shown(store, key, analysis, editor)
    return record, analysis
