"""What the detector's certainty says of its errors: ``ECG_DATABASES=... python models/quality.py [NAME]``.

On validation records, clean and with nstdb's noise: the missed and extra beats in ten-second blocks, by the certainty
of the block. ``CLEAR``, ``DOUBTFUL`` and ``UNUSABLE_SCORE`` of the pipeline stand on it. Writes ``NAME.quality.json``,
which ``card.py`` puts into the model card.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from train import MITDB, NSTDB, SVDB, read_split

from ecg_core.classifier.detection import pick_beats
from ecg_core.classifier.encoder import encode
from ecg_core.classifier.model import Model, load_model
from ecg_core.classifier.spec import DEFAULT_MODEL
from ecg_core.evaluation.matching import match_beats
from ecg_core.evaluation.noise_stress import with_noise
from ecg_core.labels import UNLABELLED, class_codes
from ecg_core.records import read_record
from ecg_core.schema import Float64, Record
from ecg_core.signals.filters import FS_HZ, clean_leads, normalised
from ecg_core.signals.quality import BLOCK_S, certainty

NOISES = (("em", 12.0), ("em", 6.0), ("em", 0.0), ("em", -6.0), ("ma", 0.0))
EDGES = (0.0, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)


def records(databases: Path) -> Iterator[Record]:
    """The validation records: mitdb's clean and with each noise, svdb's as they are."""
    noise = {name: read_record(databases / NSTDB / name) for name, _ in NOISES}
    for name in read_split("mitdb_ds1_validation"):
        record = read_record(databases / MITDB / name)
        yield record
        for noise_name, snr_db in NOISES:
            yield with_noise(record, noise[noise_name], snr_db=snr_db)
    for name in read_split("svdb_validation"):
        yield read_record(databases / SVDB / name)


def blocks(record: Record, model: Model) -> Float64:
    """Certainty, reference beats and wrong beats of each block of each lead, shape (n, 3)."""
    stride = model.spec.stride
    code = class_codes(record.reference.symbol)
    reference_s = record.reference.time_s[code != UNLABELLED]
    clean = clean_leads(record.source.read(0, record.n_samples, tuple(range(len(record.lead_names)))), record.fs_hz)
    rows = []
    for heat in encode(model, normalised(clean)).heat:
        certain = certainty(heat, np.arange(len(heat)) * stride // int(BLOCK_S * FS_HZ))
        frame = pick_beats(heat, threshold=model.spec.detection_threshold, frame_s=stride / FS_HZ)
        found_s = frame * stride / FS_HZ
        i, j = match_beats(reference_s, found_s)
        wrong_s = np.concatenate([np.delete(reference_s, i), np.delete(found_s, j)])
        edges = np.arange(len(certain) + 1) * BLOCK_S
        counted = [np.histogram(time_s, edges)[0] for time_s in (reference_s, wrong_s)]
        rows.append(np.stack([certain, *counted], axis=1))
    return np.concatenate(rows)


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", default=DEFAULT_MODEL.stem)
    parser.add_argument("--databases", type=Path, default=os.environ.get("ECG_DATABASES"))
    options = parser.parse_args()
    if options.databases is None:
        parser.error("name the folder of the databases with --databases or ECG_DATABASES")
    model = load_model(HERE / f"{options.name}.pt")
    certain, beats, wrong = np.concatenate([blocks(record, model) for record in records(options.databases)]).T
    table = []
    for low, high in pairwise(EDGES):
        inside = (certain >= low) & (certain < high if high < EDGES[-1] else certain <= high)
        share = wrong[inside].sum() / max(1.0, beats[inside].sum())
        table.append({"from": low, "to": high, "blocks": int(inside.sum()), "wrong_per_beat": round(float(share), 4)})
        print(table[-1])
    result = {"model_sha256": model.spec.sha256, "certainty": table}
    (HERE / f"{options.name}.quality.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
