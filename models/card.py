"""Write the measured figures into the model card and the README: ``python models/card.py``.

The figures come from ``<name>.metrics.json``, the speed from ``benchmarks/results.json``; none is typed by hand.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TITLES = {
    "mitdb_ds2": "mitdb DS2, first lead",
    "mitdb_ds2_without_202": "mitdb DS2 without 202",
    "mitdb_ds2_without_232": "mitdb DS2 without 232",
    "mitdb_ds2_all_leads": "mitdb DS2, both leads fused",
    "svdb_test": "svdb test, first lead, no svdb in training",
    "svdb_test_all_leads": "svdb test, both leads fused, no svdb in training",
}
WAYS = {"detected_beats": "detected beats", "reference_beats": "reference beats"}
COLUMNS = {
    "QRS Se/+P": ("qrs_se", "qrs_ppv"),
    "V Se/+P": ("v_se", "v_ppv"),
    "V F1": ("v_f1",),
    "S Se/+P": ("s_se", "s_ppv"),
    "S F1": ("s_f1",),
    "accuracy": ("accuracy",),
    "always N": ("always_n_accuracy",),
    "macro F1": ("macro_f1",),
}


def figures_table(metrics: dict[str, Any], *, ways: tuple[str, ...] = tuple(WAYS), pooling: str = "gross") -> str:
    """Markdown table of the figures of each test set, in per cent."""
    lines = ["| test set | scored on | " + " | ".join(COLUMNS) + " |", "|" + "---|" * (len(COLUMNS) + 2)]
    for key, title in TITLES.items():
        for way in ways:
            row = metrics[key][way][pooling]
            cells = ["/".join(_percent(row[name]) for name in names) for names in COLUMNS.values()]
            lines.append(f"| {title} | {WAYS[way]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def records_table(metrics: dict[str, Any], key: str) -> str:
    """Markdown table of each record of a test set, on detected beats, with its PVC burden and the reference's."""
    lines = ["| record | QRS Se/+P | V Se/+P | S Se/+P | PVC burden, % | reference, % |", "|---|---|---|---|---|---|"]
    for record in metrics[key]["records"]:
        row = record["detected_beats"]
        cells = [f"{_percent(row[f'{beat}_se'])}/{_percent(row[f'{beat}_ppv'])}" for beat in ("qrs", "v", "s")]
        cells += [f"{record[burden]:.2f}" for burden in ("pvc_burden_pct", "reference_pvc_burden_pct")]
        lines.append(f"| {record['record']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def speed_line(results: dict[str, Any]) -> str:
    """One sentence on the speed of the whole command."""
    return (
        f"`analyze` of {results['what']}: {results['analyze_s']:.1f} s from file to all results on "
        f"{results['cores']} cores, {results['ratio']:.2f} x the time that wfdb's `xqrs_detect` alone takes "
        f"({results['xqrs_detect_s']:.1f} s); peak memory of either {results['peak_memory_mb']} MB "
        f"(runs: {results['runs']}, medians; `benchmarks/analyze_24h.py`)."
    )


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f}"


def fill(text: str, block: str, content: str) -> str:
    """Replace what stands between a block's marks."""
    pattern = re.compile(rf"(<!-- {block} -->\n).*?(<!-- /{block} -->)", re.DOTALL)
    filled, n = pattern.subn(lambda match: f"{match[1]}{content}\n{match[2]}", text)
    if n != 1:
        raise ValueError(f"expected one block <!-- {block} -->, found {n}")
    return filled


def rendered() -> dict[Path, str]:
    """The README and the model card with today's figures."""
    metrics = json.loads((HERE / "source.metrics.json").read_text(encoding="utf-8"))
    speed = json.loads((ROOT / "benchmarks" / "results.json").read_text(encoding="utf-8"))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    readme = fill(readme, "figures", figures_table(metrics, ways=("detected_beats",)))
    readme = fill(readme, "speed", speed_line(speed))
    card = (HERE / "README.md").read_text(encoding="utf-8")
    card = fill(card, "gross", figures_table(metrics))
    card = fill(card, "average", figures_table(metrics, pooling="average"))
    for key in ("mitdb_ds2", "svdb_test"):
        card = fill(card, key, records_table(metrics, key))
    return {ROOT / "README.md": readme, HERE / "README.md": card}


if __name__ == "__main__":
    for path, text in rendered().items():
        path.write_text(text, encoding="utf-8")
