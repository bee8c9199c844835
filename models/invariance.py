"""Measure what changes where a record begins elsewhere: ``ECG_DATABASES=... python -m models.invariance [NAME]``.

Records are cut, shifted, inverted, given hum or a lead of noise, none of which changes a beat, and analysed again with
all leads that ``auto`` chooses. Writes ``NAME.invariance.json``, which ``models.card`` puts into the card.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from ecg_core.classifier.model import load_model
from ecg_core.classifier.spec import DEFAULT_MODEL
from ecg_core.evaluation.invariance import CHANGES, MARGIN_S, Invariance, compare, together
from ecg_core.files import write_json
from ecg_core.pipeline import analyse
from ecg_core.records import read_record
from models.command import parse, parser_of, print_line
from models.databases import AFDB, FOLDER, LTAFDB, MITDB, SVDB

# Sinus rhythm, V in abundance, both with noise, atrial tachycardia, fused V and paroxysms of fibrillation
RECORDS: Final = (
    f"{MITDB}/100", f"{MITDB}/119", f"{MITDB}/200", f"{MITDB}/209", f"{SVDB}/801", f"{LTAFDB}/01",
    f"{AFDB}/04048_869376",
)  # fmt: skip


def main() -> None:
    """Measure each record and change, print and save."""
    parser = parser_of(__doc__)
    parser.add_argument("name", nargs="?", default=DEFAULT_MODEL.stem)
    options = parse(parser)
    model = load_model(FOLDER / f"{options.name}.pt")
    found: dict[str, dict[str, Any]] = {change.name: {} for change in CHANGES}
    for name in RECORDS:
        record = read_record(options.databases / name)
        whole = analyse(record, model)
        for change in CHANGES:
            differ = compare(whole, analyse(change.of(record), model), begins_s=change.begins(record))
            found[change.name][name] = asdict(differ)
            print_line(f"{name}, {change.name}: {differ.changed_pct:.2f} % of {differ.n_beats} beats")
    measured = {"model_sha256": model.spec.sha256, "margin_s": MARGIN_S, "changes": found}
    print_line(invariance_table(measured))
    write_json(FOLDER / f"{options.name}.invariance.json", measured)


def invariance_table(measured: dict[str, Any]) -> str:
    """What each change of the records changes, as a Markdown table."""
    if not measured:
        return "Not measured yet: `python -m models.invariance`."
    lines = [
        "| the records | beats | another class | of these by AF | found in one only | changed | most in a record |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, by_record in measured["changes"].items():
        parts = {record: Invariance(**counts) for record, counts in by_record.items()}
        of = together(parts.values())
        worst = max(parts, key=lambda record: parts[record].changed_pct)
        database, _, number = worst.split("/")
        cells = [name, f"{of.n_beats:,}", of.n_labels, of.n_labels_by_af, of.n_alone, f"{of.changed_pct:.2f} %"]
        lines.append(f"| {' | '.join(map(str, cells))} | {parts[worst].changed_pct:.2f} % ({database} {number}) |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
