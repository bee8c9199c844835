"""Export a model for serving: its network in 8-bit integers beside the weights, and the hash of both in the spec.

    ECG_DATABASES=... python -m models.export [WEIGHTS ...]

The range of each activation is learned from strips of records that the model was trained on, evenly over all of them,
as they are and with nstdb's noise of the same power; nothing else is fitted, and no weight changes. The file is the
same each time that it is made.
"""

from __future__ import annotations

from pathlib import Path

from ecg_core.adaptation.source import read_noise
from ecg_core.classifier.spec import find_models, read_spec
from ecg_core.records import read_record
from ecg_core.training.export import calibration_strips, export_model
from models.command import parse, parser_of, print_line
from models.databases import FOLDER, NSTDB


def main() -> None:
    """Export the models that are named, or all that are shipped."""
    parser = parser_of(__doc__)
    parser.add_argument("paths", nargs="*", type=Path, default=find_models(FOLDER), metavar="WEIGHTS")
    options = parse(parser)
    for path in options.paths:
        print_line(f"{path.stem}: {export(path, options.databases)} written")


def export(path: Path, databases: Path) -> str:
    """Write the file of a model in 8-bit integers and name it in the spec; returns its name."""
    spec = read_spec(path)
    records = [read_record(_path_of(name, databases)) for name in spec.trained_on]
    return export_model(path, calibration_strips(records, spec, read_noise(databases / NSTDB))).name


def _path_of(name: str, databases: Path) -> Path:
    """The record that the spec calls DATABASE/RECORD."""
    database, record = name.split("/")
    return next((databases / database).glob(f"*/{record}.hea")).with_suffix("")


if __name__ == "__main__":
    main()
