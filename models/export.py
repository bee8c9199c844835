"""Export a model for serving: its network in 8-bit integers beside the weights, and the hash of both in the spec.

    ECG_DATABASES=... python -m models.export [WEIGHTS ...]

The range of each activation is learned from strips of records that the model was trained on, evenly over all of them,
as they are and with nstdb's noise of the same power; nothing else is fitted, and no weight changes. The file is the
same each time that it is made.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ecg_core.classifier.features import evenly
from ecg_core.classifier.int8_engine import WEIGHTS
from ecg_core.classifier.model import int8_path, load_model, save_spec, sha256_of
from ecg_core.classifier.spec import find_models
from ecg_core.files import atomic_file
from ecg_core.records import read_record
from ecg_core.schema import Float32, ModelSpec, Record
from ecg_core.signals.filters import FS_HZ, SCALE_RANGE, clean_leads, normalised
from ecg_core.training.export import export_int8
from models.command import parse, parser_of, print_line
from models.databases import FOLDER, NSTDB, load_noise

N_RECORDS = 32  # evenly over those that it was trained on, less those that are shorter than a strip
STRIP_S = 60.0
STRIPS_EACH = 4  # evenly over a record, from its leads in turn


def main() -> None:
    """Export the models that are named, or all that are shipped."""
    parser = parser_of(__doc__)
    parser.add_argument("paths", nargs="*", type=Path, default=find_models(FOLDER), metavar="WEIGHTS")
    options = parse(parser)
    for path in options.paths:
        print_line(f"{path.stem}: {export(path, options.databases)} written")


def export(path: Path, databases: Path) -> str:
    """Write the file of a model in 8-bit integers and name it in the spec; returns its name."""
    model = load_model(path, engine="torch")
    arrays = export_int8(model.network, model.spec, training_strips(model.spec, databases))
    with atomic_file(int8_path(path)) as part, part.open("wb") as file:
        np.savez(file, allow_pickle=False, **{WEIGHTS: np.array(model.spec.sha256)}, **arrays)
    save_spec(path, replace(model.spec, int8_sha256=sha256_of(int8_path(path))))
    return int8_path(path).name


def training_strips(spec: ModelSpec, databases: Path) -> Float32:
    """Normalised strips of records that a model was trained on, shape (n_strips, n)."""
    length = round(STRIP_S * spec.fs_hz / spec.stride) * spec.stride
    records = [read_record(_path_of(name, databases)) for name in spec.trained_on]
    long_enough = [record for record in records if record.duration_s * FS_HZ >= length]
    some = [long_enough[number] for number in evenly(np.arange(len(long_enough)), N_RECORDS).tolist()]
    clean = np.concatenate([_strips_of(record, length, lead=number) for number, record in enumerate(some)])
    return np.concatenate([clean, _with_noise(clean, load_noise(databases / NSTDB))])


def _with_noise(strips: Float32, noise: Float32) -> Float32:
    """Strips with noise of their power; in noise, activations are larger than beats alone make them."""
    rng = np.random.default_rng(0)
    made = []
    for number, strip in enumerate(strips):
        channel = noise[number % len(noise)]
        first = int(rng.integers(len(channel) - len(strip)))
        added = channel[first : first + len(strip)]
        made.append(np.clip(strip + added * strip.std() / added.std(), -SCALE_RANGE, SCALE_RANGE))
    return np.stack(made).astype(np.float32)


def _path_of(name: str, databases: Path) -> Path:
    """The record that the spec calls DATABASE/RECORD."""
    database, record = name.split("/")
    return next((databases / database).glob(f"*/{record}.hea")).with_suffix("")


def _strips_of(record: Record, length: int, *, lead: int) -> Float32:
    """Strips of a lead of a record, counted round, shape (STRIPS_EACH, length)."""
    leads = (lead % len(record.lead_names),)
    signal = normalised(clean_leads(record.source.read(0, record.n_samples, leads), record.fs_hz))[0]
    starts = np.linspace(0, len(signal) - length, STRIPS_EACH).astype(int)
    return np.stack([signal[start : start + length] for start in starts])


if __name__ == "__main__":
    main()
