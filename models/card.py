"""Write the measured figures into the README, the model card and the docs: ``python -m models.card``.

The figures come from ``<name>.metrics.json`` and the other JSON files beside the weights, the speed from
``benchmarks/``; none is typed by hand.
"""

from __future__ import annotations

import re
from pathlib import Path

from ecg_core.classifier.spec import DEFAULT_MODEL
from models.budgets import PATH as ADAPTATION
from models.budgets import adaptation_table
from models.challenge import METRICS as CHALLENGE
from models.challenge import challenge_table
from models.command import ROOT, read_json
from models.databases import FOLDER
from models.domain_shift import CHOSEN_WITH, candidates_table, domain_table, ranking_table
from models.doubt import doubt_table
from models.engines import engines_table
from models.invariance import invariance_table
from models.patient_tables import general_tables, patients_table, worst_table
from models.sample_table import sample_table
from models.tables import (
    FIRST_SCREEN,
    MODELS,
    WORST_SETS,
    alarms_table,
    budgets_table,
    coverage_table,
    cross_validation_table,
    dangers_table,
    fibrillation_table,
    figures_table,
    horizon_table,
    intervals_table,
    live_lines,
    operating_points_table,
    quality_table,
    records_table,
    reliability_table,
    scaling_table,
    seeds_table,
    speed_lines,
    waveform_lines,
    waveform_table,
)


def fill(text: str, block: str, content: str) -> str:
    """Replace what is between the two comments of a block."""
    pattern = re.compile(rf"(<!-- {block} -->\n).*?(<!-- /{block} -->)", re.DOTALL)
    filled, n = pattern.subn(lambda match: f"{match[1]}{content}\n{match[2]}", text)
    if n != 1:
        raise ValueError(f"expected one block <!-- {block} -->, found {n}")
    return filled


def rendered() -> dict[Path, str]:
    """The README, the model card and the docs, by their paths, with the figures as they are measured."""
    metrics = {name: read_json(FOLDER / f"{name}.metrics.json") for name in MODELS}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    readme = fill(readme, "figures", figures_table(metrics, keys=FIRST_SCREEN))
    commands = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    commands = fill(commands, "speed", speed_lines(read_json(ROOT / "benchmarks" / "analyze.json")))
    commands = fill(commands, "scaling", scaling_table(read_json(ROOT / "benchmarks" / "scaling.json")))
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    card = fill(card, "patients", patients_table(metrics))
    card = fill(card, "general", general_tables(read_json(FOLDER / "general.cross_validation.json")))
    for key in WORST_SETS:
        card = fill(card, f"worst-{key}", worst_table(metrics, key))
    card = fill(card, "detected", figures_table(metrics))
    card = fill(card, "reference", figures_table(metrics, way="reference_beats"))
    card = fill(card, "average", figures_table(metrics, pooling="average"))
    card = fill(card, "intervals", intervals_table(metrics))
    calibrated = {name: read_json(FOLDER / f"{name}.calibration.json") for name in MODELS}
    card = fill(card, "cross-validation", cross_validation_table(calibrated))
    card = fill(card, "operating-points", operating_points_table())
    card = fill(card, "coverage", coverage_table(metrics))
    card = fill(card, "reliability", reliability_table(metrics))
    card = fill(card, "doubt", doubt_table(read_json(DEFAULT_MODEL.with_suffix(".doubt.json"))))
    shifts = {name: read_json(FOLDER / f"{name}.domain_shift.json") for name in MODELS}
    card = fill(card, "domain", domain_table(shifts))
    card = fill(card, "domain-shift", ranking_table(shifts))
    card = fill(card, "domain-candidates", candidates_table(shifts[CHOSEN_WITH]))
    card = fill(card, "engines", engines_table(read_json(DEFAULT_MODEL.with_suffix(".engines.json"))))
    card = fill(card, "invariance", invariance_table(read_json(DEFAULT_MODEL.with_suffix(".invariance.json"))))
    card = fill(card, "adaptation", adaptation_table(read_json(ADAPTATION)))
    card = fill(card, "quality", quality_table(read_json(DEFAULT_MODEL.with_suffix(".quality.json"))))
    card = fill(card, "budgets", budgets_table())
    card = fill(card, "fibrillation", fibrillation_table(metrics, "mitdb_ds2"))
    card = fill(card, "challenge", challenge_table(read_json(CHALLENGE)))
    card = fill(card, "seeds", seeds_table(metrics, read_json(FOLDER / "seeds.metrics.json")["figures"]))
    waveform = read_json(FOLDER / "waveform.metrics.json")
    card = fill(card, "waveform", waveform_table(waveform))
    card = fill(card, "waveform-false", waveform_lines(waveform))
    card = fill(card, "dangers", dangers_table(read_json(DEFAULT_MODEL.with_suffix(".dangers.json"))))
    live = (ROOT / "docs" / "live.md").read_text(encoding="utf-8")
    live = fill(live, "horizon", horizon_table(read_json(FOLDER / "horizon.metrics.json")))
    live = fill(live, "alarms", alarms_table(read_json(FOLDER / "alarms.metrics.json")))
    live = fill(live, "speed", live_lines(read_json(ROOT / "benchmarks" / "live.json")))
    samples = (ROOT / "docs" / "sample-files.md").read_text(encoding="utf-8")
    samples = fill(samples, "sample-files", sample_table(read_json(ROOT / "benchmarks" / "sample_files.json")))
    for key in ("mitdb_ds2", "svdb_test"):
        card = fill(card, key, records_table(metrics, key))
    return {
        ROOT / "README.md": readme,
        FOLDER / "README.md": card,
        ROOT / "docs" / "commands.md": commands,
        ROOT / "docs" / "live.md": live,
        ROOT / "docs" / "sample-files.md": samples,
    }


def main() -> None:
    """Write them."""
    for path, text in rendered().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
