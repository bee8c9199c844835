"""What adaptation brings by how much is labelled: ``ECG_DATABASES=... python -m models.budgets [--on test]``.

svdb is the recorder, ``source`` the model that does not know it. So many of svdb's 38 patients outside its test set are
drawn, and an adaptation to them is run as a user runs it (``ecg_core.adaptation``), with its proof on the others of the
38, or with ``--on test`` on the test set. Writes ``adaptation.metrics.json``: a row for each draw, with the figures
before and after on held-out patients and on the source, and how long it took.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from ecg_core.adaptation.choosing import choose
from ecg_core.adaptation.material import Labels
from ecg_core.adaptation.proof import LEAST_GAIN
from ecg_core.adaptation.running import run
from ecg_core.adaptation.source import split_names
from ecg_core.adaptation.split import Side
from ecg_core.adaptation.task import DONE, Task, create
from ecg_core.classifier.leads import ALL
from ecg_core.classifier.spec import read_spec
from ecg_core.files import write_json
from models.command import parse, parser_of, print_line, read_json
from models.databases import FOLDER

PATH = FOLDER / "adaptation.metrics.json"
MODEL = FOLDER / "source.pt"
DATABASE = "svdb"
OTHERS, TEST = "others", "test"  # whom the proof is on


@dataclass(frozen=True)
class Draw:
    """Patients that are drawn, and which of their labels are used."""

    n_patients: int
    labels: Labels
    seed: int = 0

    @property
    def key(self) -> str:
        """As it is kept."""
        return f"{self.n_patients} patients, labels {self.labels}, draw {self.seed}"


DRAWS = (Draw(10, Labels.ALL), Draw(5, Labels.ALL), Draw(10, Labels.SOME), Draw(10, Labels.NONE))


def measure(draw: Draw, *, on: str, folder: Path) -> dict[str, Any]:
    """Run an adaptation and return the row of its proof."""
    chosen = choose([DATABASE])
    material = sorted({one.patient for one in chosen.survey.recordings if one.name not in split_names("svdb_test")})
    drawn = set(np.random.default_rng(draw.seed).permutation(material)[: draw.n_patients].tolist())

    def side_of(patient: str) -> Side:
        if patient in drawn:
            return Side.LEARN
        return Side.HOLD_OUT if (patient in material) == (on == OTHERS) else Side.LEAVE_OUT

    task = Task(
        name=f"budget-{on}-{draw.n_patients}-{draw.labels}-{draw.seed}", model=str(MODEL),
        model_sha256=read_spec(MODEL).sha256, recordings=chosen.survey.recordings,
        sides={one.patient: side_of(one.patient) for one in chosen.survey.recordings}, labels=draw.labels, lead=ALL,
        seed=draw.seed,
    )  # fmt: skip
    began = time.monotonic()
    adaptation = create(task, folder=folder)
    state = run(adaptation, show=lambda state: print_line(f"{draw.key}: {100 * state.fraction:.0f} %, {state.stage}"))
    if state.state != DONE:
        raise SystemExit(state.problem)
    proof = adaptation.proof
    return {
        "on": on,
        "patients": sorted(drawn),
        "minutes": round((time.monotonic() - began) / 60, 1),
        **{name: proof[name] for name in ("before", "after", "change")},
    }


def adaptation_table(kept: dict[str, Any]) -> str:
    """Figures before and after of each draw, and what the draws of a kind have in common, as tables of Markdown."""
    lines = [
        "| learned from | held out | V F1 | S F1 | false V an hour | source: V F1 | source: S F1 |",
        "|---|---|---|---|---|---|---|",
    ]
    for key, row in kept.get("rows", {}).items():
        held_out, source = zip(row["before"], row["after"], strict=True)
        cells = [
            key.rpartition(", on ")[0],
            f"{held_out[0]['patients']} of the {'test set' if row['on'] == TEST else 'others'}",
            *(_before_after(held_out, name) for name in ("v_f1", "s_f1")),
            " to ".join(f"{part['false_v_per_hour']:.1f}" for part in held_out),
            *(_before_after(source, name) for name in ("v_f1", "s_f1")),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", *_kinds(kept.get("rows", {}))])


def _kinds(rows: dict[str, Any]) -> Iterator[str]:
    """Mean and range of the gains of each kind of draw on held-out patients, as a table of Markdown."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for key, row in rows.items():
        kinds.setdefault(f"{key.partition(', draw ')[0]}, on {key.rpartition(', on ')[2]}", []).append(row)
    fall = f"V and S fall, by more than {LEAST_GAIN} on average"
    yield f"| learned from | draws | V F1, mean (range) | S F1, mean (range) | {fall} |"
    yield "|---|---|---|---|---|"
    for kind, some in kinds.items():
        gains = {name: [_gain(row["before"][0], row["after"][0], name) for row in some] for name in ("v_f1", "s_f1")}
        means = [mean(pair) for pair in zip(*gains.values(), strict=True)]
        cells = [f"{mean(of):+.3f} ({min(of):+.3f} to {max(of):+.3f})" for of in gains.values()]
        n_worse = sum(value < -LEAST_GAIN for value in means)
        yield f"| {' | '.join([kind, str(len(some)), *cells, f'{n_worse} of {len(some)}'])} |"


def _gain(before: dict[str, Any], after: dict[str, Any], name: str) -> float:
    return float(after[name] - before[name])


def _before_after(parts: Sequence[dict[str, Any]], name: str) -> str:
    before, after = parts
    return f"{before[name]:.3f} to {after[name]:.3f} ({_gain(before, after, name):+.3f})"


def main() -> None:
    """Measure each draw, print and save; a row that is there is not measured again."""
    parser = parser_of(__doc__)
    parser.add_argument("--on", choices=(OTHERS, TEST), default=OTHERS, help="whom the proof is on")
    parser.add_argument("--draws", type=int, default=0, metavar="N", help="instead: N draws of 10 patients")
    parser.add_argument("--labels", type=Labels, choices=tuple(Labels), default=Labels.NONE, help="of these draws")
    options = parse(parser)
    draws = tuple(Draw(10, options.labels, seed) for seed in range(options.draws)) or DRAWS
    model = read_spec(MODEL).sha256
    kept = read_json(PATH)
    rows = kept.get("rows", {}) if kept.get("model_sha256") == model else {}
    with tempfile.TemporaryDirectory() as folder:
        for draw in draws:
            key = f"{draw.key}, on {options.on}"
            if key not in rows:
                rows[key] = measure(draw, on=options.on, folder=Path(folder))
                write_json(PATH, {"model": "source", "model_sha256": model, "database": DATABASE, "rows": rows})
    print_line(adaptation_table(read_json(PATH)))


if __name__ == "__main__":
    main()
