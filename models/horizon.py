"""What the live monitor gains by waiting: ``ECG_DATABASES=... python -m models.horizon``.

Replays the first lead of the test records through the monitor with each horizon, and scores its beats as those of the
analysis of whole records are scored. Writes ``horizon.metrics.json``, which ``models.card`` puts into the docs. A run
that was stopped goes on where it was.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ecg_core.classifier.leads import FIRST
from ecg_core.classifier.model import Model, load_model
from ecg_core.classifier.spec import DEFAULT_MODEL
from ecg_core.evaluation.ec57 import gross, statistics
from ecg_core.evaluation.evaluate import score_beats
from ecg_core.files import write_json
from ecg_core.live.engine import Monitor
from ecg_core.live.stream import Stream, StreamChunk
from ecg_core.parallel import use_threads
from ecg_core.pipeline import analyse
from ecg_core.records import read_record
from ecg_core.schema import Beats, Float64, Record, Text
from models.command import parse, parser_of, print_line, read_json
from models.databases import FOLDER
from models.evaluate import SETS, TestSet, record_names

HORIZONS_S = (0.5, 1.0, 2.0, 5.0)
WHOLE = math.inf  # no monitor: the analysis of the whole record
CHUNK_S = 10.0  # the result does not depend on it
SAME_BEAT_S = 0.05  # the monitor places a beat as the analysis does, to within a few frames
SET_KEYS = ("mitdb_ds2", "svdb_test")
OUT = FOLDER / "horizon.metrics.json"


def monitor_beats(record: Record, model: Model, *, horizon_s: float) -> tuple[Float64, Text]:
    """Times and labels of the beats of a record's first lead, as the monitor finds them."""
    monitor = Monitor(Stream(record.record_id, record.fs_hz, record.lead_names[:1]), model, horizon_s=horizon_s)
    step = round(CHUNK_S * record.fs_hz)
    updates = []
    for first in range(0, record.n_samples, step):
        raw = record.source.read(first, min(first + step, record.n_samples), (0,))
        updates.append(monitor.push(StreamChunk(first, raw)))
    updates.append(monitor.close())
    beats = [update.beats for update in updates]
    return np.concatenate([part.time_s for part in beats]), np.concatenate([part.label for part in beats])


def count_same(time_s: Float64, label: Text, *, whole: Beats) -> int:
    """How many beats of the whole record's analysis are found at the same time with the same label."""
    if not len(time_s) or not len(whole):
        return 0
    after = np.clip(np.searchsorted(time_s, whole.time_s), 1, len(time_s) - 1)
    nearest = np.where(whole.time_s - time_s[after - 1] < time_s[after] - whole.time_s, after - 1, after)
    same = (np.abs(time_s[nearest] - whole.time_s) < SAME_BEAT_S) & (label[nearest] == whole.label)
    return int(same.sum())


def measure_set(test: TestSet, databases: Path, *, model: Model, horizon_s: float) -> dict[str, Any]:
    """Figures of one set at one horizon."""
    scores, same, n_beats = [], 0, 0
    for name in record_names(test, databases):
        record = read_record(databases / test.database / name)
        whole = analyse(record, model, lead=FIRST).beats
        if horizon_s == WHOLE:
            time_s, label = whole.time_s, whole.label
        else:
            time_s, label = monitor_beats(record, model, horizon_s=horizon_s)
        scores.append(score_beats(record, time_s, label))
        same, n_beats = same + count_same(time_s, label, whole=whole), n_beats + len(whole)
        print_line(f"{test.key}, horizon {horizon_s:g} s, {name}: {same / max(n_beats, 1):.2%} as in the whole")
    return {**statistics(gross(scores)), "same_as_whole": round(same / n_beats, 5), "n_beats": n_beats}


def main() -> None:
    """Replay and score; each result is kept at once."""
    parser = parser_of(__doc__)
    parser.add_argument("--horizons", type=lambda text: [float(part) for part in text.split(",")])
    options = parse(parser)
    use_threads(1)  # a second of signal is too little work for two
    model = load_model(DEFAULT_MODEL)
    known = read_json(OUT)
    if known.get("model_sha256") != model.spec.sha256:
        known = {"model": model.spec.name, "model_sha256": model.spec.sha256, "sets": {}}
    for horizon_s in options.horizons or (*HORIZONS_S, WHOLE):
        for test in (test for test in SETS if test.key in SET_KEYS):
            by_horizon = known["sets"].setdefault(test.key, {})
            if f"{horizon_s:g}" not in by_horizon:
                figures = measure_set(test, options.databases, model=model, horizon_s=horizon_s)
                by_horizon[f"{horizon_s:g}"] = figures
                write_json(OUT, known)


if __name__ == "__main__":
    main()
