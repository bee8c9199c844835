"""What waiting is worth: ``ECG_DATABASES=... python models/horizon.py``.

Replays the test records, first lead, through the live monitor with each horizon and scores its beats as those of the
analysis of the whole record are scored. Writes ``horizon.metrics.json``, which ``card.py`` puts into the docs; goes on
where it left off when it was stopped.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from evaluate import SETS, TestSet, records_of

from ecg_core.classifier.leads import FIRST
from ecg_core.classifier.model import Model, load_model
from ecg_core.classifier.spec import DEFAULT_MODEL
from ecg_core.evaluation.ec57 import gross, statistics
from ecg_core.evaluation.evaluate import score_beats
from ecg_core.live.engine import Monitor
from ecg_core.live.stream import Stream, StreamChunk
from ecg_core.pipeline import analyse
from ecg_core.records import read_record
from ecg_core.schema import Beats, Float64, Record, Text

HORIZONS_S = (0.5, 1.0, 2.0, 5.0)
WHOLE = math.inf  # no monitor: the analysis of the whole record
CHUNK_S = 10.0  # the result does not depend on it
SAME_S = 0.05
OUT = HERE / "horizon.metrics.json"


def watched(record: Record, model: Model, horizon_s: float) -> tuple[Float64, Text]:
    """Times and labels of the beats of a record's first lead, as they come out of the monitor."""
    monitor = Monitor(Stream(record.record_id, record.fs_hz, record.lead_names[:1]), model, horizon_s=horizon_s)
    step = round(CHUNK_S * record.fs_hz)
    updates = []
    for first in range(0, record.n_samples, step):
        raw = record.source.read(first, min(first + step, record.n_samples), (0,))
        updates.append(monitor.push(StreamChunk(first, raw)))
    updates.append(monitor.close())
    beats = [update.beats for update in updates]
    return np.concatenate([part.time_s for part in beats]), np.concatenate([part.label for part in beats])


def agreement(time_s: Float64, label: Text, whole: Beats) -> tuple[int, int]:
    """How many beats of the whole record's analysis have the same place and label, and how many there are."""
    if not len(time_s) or not len(whole):
        return 0, len(whole)
    after = np.clip(np.searchsorted(time_s, whole.time_s), 1, len(time_s) - 1)
    nearest = np.where(whole.time_s - time_s[after - 1] < time_s[after] - whole.time_s, after - 1, after)
    same = (np.abs(time_s[nearest] - whole.time_s) < SAME_S) & (label[nearest] == whole.label)
    return int(same.sum()), len(whole)


def measured(test: TestSet, databases: Path, model: Model, horizon_s: float) -> dict[str, Any]:
    """Figures of one set at one horizon."""
    scores, same, n_beats = [], 0, 0
    for name in records_of(test, databases):
        record = read_record(databases / test.database / name)
        whole = analyse(record, model, lead=FIRST).beats
        time_s, label = (whole.time_s, whole.label) if horizon_s == WHOLE else watched(record, model, horizon_s)
        scores.append(score_beats(record, time_s, label))
        agreed = agreement(time_s, label, whole)
        same, n_beats = same + agreed[0], n_beats + agreed[1]
        print(f"{test.key}, horizon {horizon_s:g} s, {name}: {same / max(n_beats, 1):.2%} as in the whole", flush=True)
    return {**statistics(gross(scores)), "same_as_whole": round(same / n_beats, 5), "n_beats": n_beats}


def main() -> None:
    """Replay, score, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--databases", type=Path, default=os.environ.get("ECG_DATABASES"))
    parser.add_argument("--horizons", type=lambda text: [float(part) for part in text.split(",")])
    options = parser.parse_args()
    if options.databases is None:
        parser.error("name the folder of the databases with --databases or ECG_DATABASES")
    torch.set_num_threads(1)  # a second is too little work for two
    model = load_model(DEFAULT_MODEL)
    known: dict[str, Any] = json.loads(OUT.read_text(encoding="utf-8")) if OUT.is_file() else {}
    if known.get("model_sha256") != model.spec.sha256:
        known = {"model": model.spec.name, "model_sha256": model.spec.sha256, "sets": {}}
    for horizon_s in options.horizons or (*HORIZONS_S, WHOLE):
        for test in SETS:
            row = known["sets"].setdefault(test.key, {}) if test.key in ("mitdb_ds2", "svdb_test") else None
            if row is not None and f"{horizon_s:g}" not in row:
                row[f"{horizon_s:g}"] = measured(test, options.databases, model, horizon_s)
                OUT.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
