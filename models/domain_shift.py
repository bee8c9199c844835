"""Measure what is unlike the training recordings: ``ECG_DATABASES=... python -m models.domain_shift [NAME]``.

Fits the domain of a model, from its training records alone, into the spec beside the weights, which stay as they are
(``ecg_core.training.domain``). Then asks how well the share of doubtful beats ranks recordings by the model's errors in
them, and writes it into ``NAME.domain_shift.json``. What is measured, and the probability below which a beat is
doubtful, were chosen with ``source`` on svdb without its test records and on DS1 with noise. All else was read once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
from scipy.stats import spearmanr

from ecg_core.certainty import TrainingDomain
from ecg_core.classifier.model import Model, load_model, save_spec
from ecg_core.classifier.spec import DEFAULT_MODEL, read_spec
from ecg_core.evaluation.ec57 import Score
from ecg_core.evaluation.evaluate import score_beats
from ecg_core.evaluation.noise_stress import with_noise
from ecg_core.files import write_json
from ecg_core.pipeline import analyse
from ecg_core.records import read_record
from ecg_core.rhythm.domain_shift import DOUBTFUL, doubtful_share
from ecg_core.schema import ModelSpec, Record
from ecg_core.training.domain import fit_domain
from models import databases as at
from models.command import ROOT, parse, parser_of, print_line
from models.domain_candidates import candidate_scores, fit_distance, tokens_of
from models.simulated import simulated_record

CHOSEN_WITH: Final = "source"
TRAINED_ON: Final = (
    at.MITDB, at.SVDB, at.QTDB, at.LTDB, at.LTAFDB, at.AFTDB, at.AFDB, at.AFPDB, at.LUDB, at.CHALLENGE,
)  # fmt: skip  # databases of training records
NOISE: Final = "em"  # of nstdb, electrode motion
PACED: Final = ("102", "104", "107", "217")
N_SIMULATED: Final = 10
DECIMALS: Final = 4
LEAST: Final = 5  # recordings whose ranks are compared

Records = Callable[[Path], Iterator[Record]]


@dataclass(frozen=True)
class ShiftSet:
    """Recordings that are ranked."""

    title: str
    records: Records
    chosen_on: bool = False  # with CHOSEN_WITH
    known_to: tuple[str, ...] = ()  # models that learned from these recordings


def listed(folder: str, *splits: str) -> Records:
    """The records of some splits of a database, or all."""
    return lambda databases: (
        read_record(databases / folder / name) for name in at.listed_names(databases, folder, splits)
    )


def noisy(snr_db: float) -> Records:
    """The training records of mitdb with noise added in turns."""

    def records(databases: Path) -> Iterator[Record]:
        noise = read_record(databases / at.NSTDB / NOISE)
        return (with_noise(record, noise, snr_db=snr_db) for record in listed(at.MITDB, "mitdb_ds1")(databases))

    return records


SETS: Final = {
    "svdb": ShiftSet(
        "svdb without its test records", listed(at.SVDB, "svdb_adaptation", "svdb_validation"), chosen_on=True,
        known_to=("adapted", "general"),
    ),
    "noise_12db": ShiftSet("mitdb DS1 with noise, 12 dB", noisy(12.0), chosen_on=True),
    "noise_6db": ShiftSet("mitdb DS1 with noise, 6 dB", noisy(6.0), chosen_on=True),
    "noise_0db": ShiftSet("mitdb DS1 with noise, 0 dB", noisy(0.0), chosen_on=True),
    "svdb_test": ShiftSet("svdb test", listed(at.SVDB, "svdb_test")),
    "mitdb_ds2": ShiftSet("mitdb DS2", listed(at.MITDB, "mitdb_ds2")),
    "icentia11k": ShiftSet("icentia11k, one patient", listed(at.ICENTIA)),
    "paced": ShiftSet(
        "mitdb, paced", lambda databases: (read_record(databases / at.MITDB / name) for name in PACED)
    ),
    "demo": ShiftSet("the simulated demo record", lambda databases: iter([read_record(ROOT / "demo_data" / "demo")])),
    "simulated": ShiftSet("simulated forms of beats", lambda databases: map(simulated_record, range(N_SIMULATED))),
}  # fmt: skip


@dataclass(frozen=True)
class Ranked:
    """A recording, how unlike it is and how wrong the model is in it."""

    set: str
    record: str
    doubtful_share: float | None
    wrong_share: float
    macro_f1: float


def wrong_share(score: Score) -> float:
    """Beats that are missed, extra, or of another class than the reference says, of the beats of the reference."""
    n_wrong = int(score.matrix.sum() - np.trace(score.matrix))
    return n_wrong / max(1, int(score.matched.sum() + score.matrix[:-1, -1].sum()))


def training_records(spec: ModelSpec, databases: Path) -> Iterator[Record]:
    """The records that a model learned from."""
    folders = {folder.split("/")[0]: folder for folder in TRAINED_ON}
    for name in spec.trained_on:
        database, record = name.split("/", 1)
        yield read_record(databases / folders[database] / record)


def ranked(key: str, record: Record, model: Model) -> Ranked:
    """Analyse a recording as the program does by default, and score it."""
    analysis = analyse(record, model)
    score = score_beats(record, analysis.beats.time_s, analysis.beats.label)
    return Ranked(key, record.record_id, doubtful_share(analysis.predicted), wrong_share(score), score.macro_f1)


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Spearman's, over at least LEAST recordings."""
    if len(one) < LEAST or len(set(one)) == 1 or len(set(other)) == 1:
        return None
    return round(float(spearmanr(one, other).statistic), DECIMALS)


def summary_of(records: Sequence[Ranked], domain: TrainingDomain) -> dict[str, Any]:
    """Medians, how many recordings are above the limit, and how doubt and errors are correlated over them."""
    share = [(one.doubtful_share, one) for one in records if one.doubtful_share is not None]
    shares, measured = [value for value, _ in share], [one for _, one in share]
    wrong = [one.wrong_share for one in measured]
    is_above = [value > domain.limit for value in shares]
    sides = {
        name: [value for value, above in zip(wrong, is_above, strict=True) if above == side]
        for name, side in (("above", True), ("below", False))
    }
    return {
        "recordings": len(measured),
        "spearman_wrong": rank_correlation(shares, wrong),
        "spearman_macro_f1": rank_correlation(shares, [1 - one.macro_f1 for one in measured]),
        "median_doubtful": round(median(shares), DECIMALS),
        "median_wrong": round(median(wrong), DECIMALS),
        "above_limit": len(sides["above"]),
        **{f"median_wrong_{name}": round(median(some), DECIMALS) if some else None for name, some in sides.items()},
    }


def figures_of(records: Sequence[Ranked], domain: TrainingDomain) -> dict[str, Any]:
    """The figures of each set, of all recordings together, and of the sets by their medians."""
    sets = {key: [one for one in records if one.set == key] for key in SETS}
    by_set = {key: summary_of(some, domain) for key, some in sets.items() if some}
    medians = [[figures[name] for figures in by_set.values()] for name in ("median_doubtful", "median_wrong")]
    return {
        "doubtful_below": DOUBTFUL,
        "domain": asdict(domain),
        "sets": by_set,
        "all": summary_of(records, domain),
        "spearman_of_sets": rank_correlation(*medians),
        "records": [_rounded(asdict(one)) for one in records],
    }


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, DECIMALS) if isinstance(value, float) else value for key, value in row.items()}


def compare_candidates(model: Model, records: Sequence[Ranked], databases: Path) -> dict[str, dict[str, float | None]]:
    """How well each score that was tried ranks the recordings that the choice was made on."""
    distance = fit_distance([tokens_of(record, model) for record in training_records(model.spec, databases)])
    wrong = {(one.set, one.record): one.wrong_share for one in records}
    rows = [
        (key, wrong[key, record.record_id], candidate_scores(tokens_of(record, model), distance))
        for key, some in SETS.items()
        if some.chosen_on
        for record in some.records(databases)
    ]
    found = {}
    for name in rows[0][2]:
        parts = {
            "svdb": [row for row in rows if row[0] == "svdb"],
            "noise": [row for row in rows if row[0] != "svdb"],
            "both": rows,
        }
        found[name] = {
            part: rank_correlation([row[2][name] for row in some], [row[1] for row in some])
            for part, some in parts.items()
        }
    return found


def ranking_table(measured: Mapping[str, Mapping[str, Any]]) -> str:
    """How doubt and errors go together in each set, by model."""
    lines = [
        "| model | recordings | n | Spearman, wrong beats | Spearman, 1 - macro F1 | median doubtful | median wrong "
        "| unlike |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, figures in measured.items():
        rows = [(SETS[key].title, row) for key, row in figures["sets"].items()]
        rows += [("all of these", figures["all"]), ("those read once", read_once(figures))]
        lines += [
            f"| {name} | {title} | {row['recordings']} | {_number(row['spearman_wrong'])} | "
            f"{_number(row['spearman_macro_f1'])} | {100 * row['median_doubtful']:.1f} % | "
            f"{100 * row['median_wrong']:.1f} % | {row['above_limit']} |"
            for title, row in rows
        ]
    return "\n".join(lines)


def read_once(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of the recordings that no choice was made on."""
    rows = [row for row in figures["records"] if not SETS[row["set"]].chosen_on]
    return summary_of([Ranked(**row) for row in rows], TrainingDomain(**figures["domain"]))


def domain_table(measured: Mapping[str, Mapping[str, Any]]) -> str:
    """The limit of each model, and how wrong it is in recordings on either side of it."""
    lines = [
        "| model | training recordings | median doubtful | limit | median wrong above | median wrong below | Spearman "
        "of the sets |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, figures in measured.items():
        domain, both = figures["domain"], figures["all"]
        lines.append(
            f"| {name} | {domain['n_recordings']} | {100 * domain['median']:.1f} % | {100 * domain['limit']:.1f} % | "
            f"{_percent(both['median_wrong_above'])} | {_percent(both['median_wrong_below'])} | "
            f"{_number(figures['spearman_of_sets'])} |"
        )
    return "\n".join(lines)


def candidates_table(figures: Mapping[str, Any]) -> str:
    """What was tried, by how well it ranks the recordings of the choice."""
    lines = ["| score | svdb | noise | both |", "|---|---|---|---|"]
    for name, row in figures["candidates"].items():
        lines.append(f"| {name} | {' | '.join(_number(row[part]) for part in ('svdb', 'noise', 'both'))} |")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def main() -> None:
    """Fit, write the spec, rank, print, save."""
    parser = parser_of(__doc__)
    parser.add_argument("name", nargs="?", default=DEFAULT_MODEL.stem)
    options = parse(parser)
    path, began = at.FOLDER / f"{options.name}.pt", time.monotonic()
    model = load_model(path)
    recipe = f"python -m models.domain_shift {options.name}"
    domain = fit_domain(model, training_records(model.spec, options.databases), recipe=recipe)
    if domain is None:
        raise SystemExit(f"{options.name}: too few training records can be measured")
    save_spec(path, replace(read_spec(path), domain=domain))
    print_line(f"{domain}; {time.monotonic() - began:.0f} s")
    records = []
    for key, some in SETS.items():
        if options.name not in some.known_to:
            records += [ranked(key, record, model) for record in some.records(options.databases)]
            print_line(f"{key}: {time.monotonic() - began:.0f} s")
    figures = figures_of(records, domain)
    if options.name == CHOSEN_WITH:
        figures["candidates"] = compare_candidates(model, records, options.databases)
        print_line(candidates_table(figures))
    print_line(ranking_table({options.name: figures}))
    hashes = {"model_sha256": model.spec.sha256, "int8_sha256": model.spec.int8_sha256}
    write_json(path.with_suffix(".domain_shift.json"), {**hashes, **figures})
    print_line(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
