"""How the detector's errors depend on its certainty: ``ECG_DATABASES=... python -m models.quality [NAME]``.

On validation records, clean and with nstdb's noise: the missed and extra beats in ten-second blocks, by the certainty
of the block. The limits in ``ecg_core.signals.quality`` rest on it. Writes ``NAME.quality.json``, which
``models.card`` puts into the model card.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from ecg_core.classifier.detection import pick_beats
from ecg_core.classifier.encoder import encode
from ecg_core.classifier.model import Model, load_model
from ecg_core.classifier.spec import DEFAULT_MODEL
from ecg_core.evaluation.evaluate import reference_of
from ecg_core.evaluation.matching import match_beats
from ecg_core.evaluation.noise_stress import with_noise
from ecg_core.files import write_json
from ecg_core.labels import UNLABELLED, class_codes
from ecg_core.records import read_record
from ecg_core.schema import Float64, Record
from ecg_core.signals.filters import FS_HZ, clean_leads, normalised
from ecg_core.signals.quality import BLOCK_S, certainty
from models.command import parse, parser_of
from models.databases import FOLDER, MITDB, NSTDB, SVDB, read_split

NOISES = (("em", 12.0), ("em", 6.0), ("em", 0.0), ("em", -6.0), ("ma", 0.0))  # of nstdb, with the ratio in dB
CERTAINTY_EDGES = (0.0, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)


def validation_records(databases: Path) -> Iterator[Record]:
    """The validation records: mitdb's clean and with each noise, svdb's as they are."""
    noise = {name: read_record(databases / NSTDB / name) for name, _ in NOISES}
    for name in read_split("mitdb_ds1_validation"):
        record = read_record(databases / MITDB / name)
        yield record
        for noise_name, snr_db in NOISES:
            yield with_noise(record, noise[noise_name], snr_db=snr_db)
    for name in read_split("svdb_validation"):
        yield read_record(databases / SVDB / name)


def measure_blocks(record: Record, model: Model) -> Float64:
    """Certainty, reference beats and wrong beats of each block of each lead, shape (n, 3)."""
    stride = model.spec.stride
    reference = reference_of(record)
    reference_s = reference.time_s[class_codes(reference.symbol) != UNLABELLED]
    clean = clean_leads(record.source.read(0, record.n_samples, tuple(range(len(record.lead_names)))), record.fs_hz)
    rows = []
    for beat_heatmap in encode(model, normalised(clean)).beat_heatmap:
        block = np.arange(len(beat_heatmap)) * stride // int(BLOCK_S * FS_HZ)
        certain = certainty(beat_heatmap, block)
        frame = pick_beats(beat_heatmap, threshold=model.spec.detection_threshold, frame_s=stride / FS_HZ)
        found_s = frame * stride / FS_HZ
        i, j = match_beats(reference_s, found_s)
        wrong_s = np.concatenate([np.delete(reference_s, i), np.delete(found_s, j)])
        edges_s = np.arange(len(certain) + 1) * BLOCK_S
        counts = [np.histogram(time_s, edges_s)[0] for time_s in (reference_s, wrong_s)]
        rows.append(np.stack([certain, *counts], axis=1))
    return np.concatenate(rows)


def main() -> None:
    """Measure, print, save."""
    parser = parser_of(__doc__)
    parser.add_argument("name", nargs="?", default=DEFAULT_MODEL.stem)
    options = parse(parser)
    model = load_model(FOLDER / f"{options.name}.pt")
    blocks = [measure_blocks(record, model) for record in validation_records(options.databases)]
    certain, beats, wrong = np.concatenate(blocks).T
    table = []
    for low, high in pairwise(CERTAINTY_EDGES):
        inside = (certain >= low) & (certain < high if high < CERTAINTY_EDGES[-1] else certain <= high)
        rate = float(wrong[inside].sum() / max(1.0, beats[inside].sum()))
        table.append({"from": low, "to": high, "blocks": int(inside.sum()), "wrong_per_beat": round(rate, 4)})
        print(table[-1])
    write_json(FOLDER / f"{options.name}.quality.json", {"model_sha256": model.spec.sha256, "certainty": table})


if __name__ == "__main__":
    main()
