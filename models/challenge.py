"""Verdicts on short recordings against the PhysioNet/CinC Challenge 2017.

``ECG_DATABASES=... python -m models.challenge [NAME]``: each recording is analysed as a clinician's would be, and its
verdict is compared with its reference: N (sinus rhythm), A (AF), O (another rhythm) or ~ (too noisy to be read). As the
challenge counts it (doi:10.22489/CinC.2017.065-469), F1 of AF = 2 TP / (2 TP + FP + FN), AF against all others. A
recording of which the program cannot say it counts as not AF, and is listed apart. Writes ``challenge.metrics.json``,
by model. The general model was fitted to the readable ones: of these each is analysed by the network of a fold that
does not know it.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ecg_core.certainty import AF, AF_ANSWERS, NOT_KNOWN
from ecg_core.classifier.model import load_model
from ecg_core.classifier.spec import DEFAULT_MODEL
from ecg_core.files import write_json
from ecg_core.pipeline import analyse
from ecg_core.records import read_record
from ecg_core.schema import Analysis, Record
from models.command import add_fold_networks, parse, parser_of, print_line, read_json
from models.cross_validate import fold_judges
from models.databases import CHALLENGE, FOLDER

METRICS = FOLDER / "challenge.metrics.json"
CLASSES: Final = {"A": "AF", "N": "sinus rhythm", "O": "other rhythm", "~": "too noisy"}  # of REFERENCE.csv
NOISY: Final = "~"

Analyse = Callable[[Record], Analysis]


def references(databases: Path) -> dict[str, str]:
    """The class of each recording that is there, by its name: a key of CLASSES."""
    with (databases / CHALLENGE / "REFERENCE.csv").open(encoding="utf-8", newline="") as lines:
        known = dict(csv.reader(lines))
    return {name: known[name] for name in known if (databases / CHALLENGE / f"{name}.hea").is_file()}


def verdict_row(name: str, reference: str, analysis: Analysis) -> dict[str, Any]:
    """What was found in a recording, beside its reference."""
    verdict = analysis.burden.af_verdict
    if verdict is None:
        raise ValueError(f"{name}: expected a recording short enough for a verdict, got {analysis.record.duration_s} s")
    return {
        "record": name,
        "reference": reference,
        "answer": verdict.answer,
        "reason": verdict.reason,
        "probability": None if verdict.probability is None else round(verdict.probability, 4),
    }


def verdict_rows(databases: Path, analyse_record: Analyse) -> Iterator[dict[str, Any]]:
    """A row for each recording, by any function that analyses one, such as a model that has not seen it."""
    for name, reference in references(databases).items():
        yield verdict_row(name, reference, analyse_record(read_record(databases / CHALLENGE / name)))


def scores(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """F1 of AF over all recordings and over the readable ones, the answers by reference, and the rows themselves."""
    return {
        "all": f1_of_af(rows),
        "readable": f1_of_af([row for row in rows if row["reference"] != NOISY]),
        "answers": {reference: _answers(rows, reference) for reference in CLASSES},
        "not_known": [row["record"] for row in rows if row["answer"] == NOT_KNOWN],
        "records": [dict(row) for row in rows],
    }


def f1_of_af(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """AF against all other classes; F1 is None where there is neither AF nor a finding of it."""
    pairs = Counter((row["reference"] == "A", row["answer"] == AF) for row in rows)
    tp, fp, fn = pairs[True, True], pairs[False, True], pairs[True, False]
    f1 = round(2 * tp / (2 * tp + fp + fn), 4) if tp + fp + fn else None
    return {"recordings": len(rows), "tp": tp, "fp": fp, "fn": fn, "f1": f1}


def _answers(rows: Sequence[Mapping[str, Any]], reference: str) -> dict[str, int]:
    counted = Counter(row["answer"] for row in rows if row["reference"] == reference)
    return {answer: counted[answer] for answer in AF_ANSWERS}


def challenge_table(metrics: Mapping[str, Any]) -> str:
    """F1 of AF by model, and what it says of the recordings of each reference."""
    counted: dict[str, dict[str, int]] = next((row["answers"] for row in metrics.values()), {})
    head = "".join(f" {name} ({sum(counted.get(key, {}).values())}) |" for key, name in CLASSES.items())
    lines = [f"| model | F1, not too noisy | F1, all |{head}", "|---|---|---|" + "---|" * len(CLASSES)]
    for model, row in metrics.items():
        f1 = " | ".join(_f1_text(row[which]) for which in ("readable", "all"))
        answers = " | ".join(
            " / ".join(str(row["answers"][reference][answer]) for answer in AF_ANSWERS) for reference in CLASSES
        )
        lines.append(f"| {model} | {f1} | {answers} |")
    return "\n".join(lines)


def _f1_text(row: Mapping[str, Any]) -> str:
    """F1 with the number of recordings that it was measured on."""
    f1 = "–" if row["f1"] is None else f"{row['f1']:.3f}"
    return f"{f1} ({row['recordings']})"


def main() -> None:
    """Measure a shipped model, print, save."""
    parser = parser_of(__doc__)
    parser.add_argument("name", nargs="?", default=DEFAULT_MODEL.stem)
    add_fold_networks(parser)
    options = parse(parser)
    model = load_model(FOLDER / f"{options.name}.pt")
    folds = fold_judges(options.name, options.runs)

    def analyse_record(record: Record) -> Analysis:
        return analyse(record, folds.get(f"{CHALLENGE.split('/')[0]}/{record.record_id}", model))

    measured = scores(list(verdict_rows(options.databases, analyse_record)))
    for which in ("all", "readable"):
        print_line(f"{options.name}, {which} recordings: {measured[which]}")
    print_line(f"{options.name}, answers by reference: {measured['answers']}")
    write_json(METRICS, {**read_json(METRICS), options.name: {"model_sha256": model.spec.sha256, **measured}})


if __name__ == "__main__":
    main()
