"""How many wrong beats a reader mends by relabelling ten templates of each record of mitdb and svdb.

    ECG_DATABASES=... python -m benchmarks.templates [--templates 10] [--json FILE]

Each record is analysed by the shipped model and its beats are sorted into templates. Ten of them, the largest or those
with the most doubt, get the class of most of their beats in the reference annotations, as a reader would see it. Wrong
are the analysable beats whose class differs from that of the reference beat at the same time. The 44 records of mitdb
are those without a pacemaker. Thresholds of the templates were chosen on mitdb DS1 and svdb without its test records;
the others are counted by themselves too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command import ROOT, options_of, publish
from ecg_core.classifier.model import Model, load_model
from ecg_core.labels import CLASSES, UNLABELLED, Codes, class_codes
from ecg_core.morphology.templates import Template, describe_templates, make_templates
from ecg_core.pipeline import analyse
from ecg_core.records import read_record
from ecg_core.schema import Annotations, Beats

DATABASES = {"mitdb": "mitdb/1.0.0", "svdb": "svdb/1.0.0"}
UNSEEN = {"mitdb_ds2": ("mitdb", "mitdb_ds2"), "svdb_test": ("svdb", "svdb_test")}  # database and list of records
PACED = ("102", "104", "107", "217")


@dataclass(frozen=True)
class Mended:
    """Wrong beats of a record before and after templates were relabelled."""

    record: str
    beats: int
    templates: int
    wrong: int
    wrong_after_largest: int
    wrong_after_doubt: int
    wrong_after_all: int
    keys_largest: int  # one to go to each template, and one for each that gets another class
    keys_doubt: int


def mended(path: Path, model: Model, n_templates: int) -> Mended:
    """Analyse a record and relabel its templates by its reference."""
    record = read_record(path)
    analysis = analyse(record, model)
    beats, reference = analysis.beats, record.reference
    if reference is None:
        raise SystemExit(f"{path}: this record has no reference annotations; leave it out.")
    truth = reference_codes(reference, beats)
    templates = describe_templates(make_templates(record, analysis.lead_names, beats), beats)
    largest = sorted(templates, key=lambda one: -len(one.index))[:n_templates]
    code = np.array([CLASSES.index(label) for label in beats.label.tolist()])
    return Mended(
        record=path.name, beats=int((truth != UNLABELLED).sum()), templates=len(templates),
        wrong=n_wrong(code, truth),
        wrong_after_largest=n_wrong(relabelled(code, truth, largest)[0], truth),
        wrong_after_doubt=n_wrong(relabelled(code, truth, templates[:n_templates])[0], truth),
        wrong_after_all=n_wrong(relabelled(code, truth, templates)[0], truth),
        keys_largest=len(largest) + relabelled(code, truth, largest)[1],
        keys_doubt=len(templates[:n_templates]) + relabelled(code, truth, templates[:n_templates])[1],
    )  # fmt: skip


def reference_codes(reference: Annotations, beats: Beats) -> Codes:
    """Class of each analysable beat by the reference, UNLABELLED where it has none there, shape (n_beats,)."""
    is_beat = class_codes(reference.symbol) != UNLABELLED
    marks = Annotations(reference.time_s[is_beat], reference.symbol[is_beat], reference.aux[is_beat])
    return np.where(beats.usable, marks.codes_at(beats.time_s), UNLABELLED)


def n_wrong(code: Codes, truth: Codes) -> int:
    """How many beats with a reference have another class than it."""
    return int(((truth != UNLABELLED) & (code != truth)).sum())


def relabelled(code: Codes, truth: Codes, templates: Sequence[Template]) -> tuple[Codes, int]:
    """The classes of all beats once each template has that of most of its beats, and how many templates changed."""
    code, n_changed = code.copy(), 0
    for template in templates:
        known = truth[template.index]
        count = np.bincount(known[known != UNLABELLED], minlength=len(CLASSES))
        if count.any():
            n_changed += bool((code[template.index] != count.argmax()).any())
            code[template.index] = count.argmax()
    return code, n_changed


def summary(records: Sequence[Mended]) -> dict[str, Any]:
    """Sums over records, and the part of the wrong beats that is left."""
    total = {
        name: sum(getattr(one, name) for one in records)
        for name in ("beats", "wrong", "wrong_after_largest", "wrong_after_doubt", "wrong_after_all")
    }
    left = {
        f"left_after_{name}_pct": round(100 * total[f"wrong_after_{name}"] / max(1, total["wrong"]), 1)
        for name in ("largest", "doubt", "all")
    }
    means = {
        f"mean_{name}": round(float(np.mean([getattr(one, name) for one in records])), 1)
        for name in ("templates", "keys_largest", "keys_doubt")
    }
    return {"records": len(records), **total, **left, **means}


def main() -> None:
    """Go through all records and sum up."""
    options = options_of(__doc__, templates=10, json=Path)
    model, found = load_model(), dict[str, list[Mended]]()
    for name, folder in DATABASES.items():
        paths = sorted(path.with_suffix("") for path in (options.databases / folder).glob("*.atr"))
        paths = [path for path in paths if path.name.isdigit() and not (name == "mitdb" and path.name in PACED)]
        found[name] = [mended(path, model, options.templates) for path in paths]
    for group, (name, split) in UNSEEN.items():
        listed = (ROOT / "models" / "splits" / f"{split}.txt").read_text(encoding="utf-8").split()
        found[group] = [one for one in found[name] if one.record in listed]
    results: dict[str, Any] = {"model": model.spec.name, "templates_relabelled": options.templates}
    results |= {group: summary(records) for group, records in found.items()}
    results["per_record"] = {
        f"{name}/{one.record}": [one.wrong, one.wrong_after_largest, one.wrong_after_doubt, one.templates]
        for name in DATABASES for one in found[name]
    }  # fmt: skip
    publish(results, options.json)


if __name__ == "__main__":
    main()
