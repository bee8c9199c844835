"""The Markdown tables by patients: in how many a report is right, who is worst off, and the general model's folds."""

from __future__ import annotations

from typing import Any

from ecg_core.evaluation.patients import CRITERIA
from models.tables import NOT_MEASURED, Metrics, fixed, measured_sets, percent


def patients_table(metrics: Metrics) -> str:
    """In how many patients of each test set what is right, on detected beats."""
    if not any("patients" in row for measured in metrics.values() for row in measured.values()):
        return NOT_MEASURED
    titles = (
        "right for the patient", *CRITERIA.values(), "V F1, gross/median", "S F1, gross/median",
        "false V an hour, gross/median", "false S an hour, gross/median",
    )  # fmt: skip
    lines = ["| test set | model | " + " | ".join(titles) + " |", "|" + "---|" * (len(titles) + 2)]
    for title, model, measured in measured_sets(metrics):
        found = measured.get("patients")
        cells = _patients_cells(found) if found else ["not measured", *["–"] * (len(titles) - 1)]
        lines.append(f"| {title} | {model} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def general_tables(measured: dict[str, Any]) -> str:
    """The general model in patients that the network of their fold does not know: beats, then fibrillation."""
    titles = (
        "database", "patients", "V F1", "S F1", "false V an hour, gross/median", "false S an hour, gross/median",
        "PVC burden within 1 point", "SVE burden within 1 point", "right for the patient",
    )  # fmt: skip
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    for name, row in measured["beats"].items():
        found = row["patients"]
        n, gross = found["judged"], row["gross"]
        rates = ["/".join(fixed(found[f"false_{c}_per_hour"][part]) for part in ("gross", "median")) for c in "vs"]
        shares = [f"{k} of {n}" for k in (*(found["within"][f"{c}_burden"] for c in ("pvc", "sve")), found["right"])]
        lines.append(
            f"| {name} | {n} | {percent(gross['v_f1'])} | {percent(gross['s_f1'])} | "
            + " | ".join([*rates, *shares])
            + " |"
        )
    lines += ["", "| fibrillation, by duration | Se | +P | false minutes | hours |", "|---|---|---|---|---|"]
    for name, row in measured["fibrillation"].items():
        cells = [
            percent(row["duration_se"]),
            percent(row["duration_ppv"]),
            fixed(row["false_minutes"]),
            fixed(row["hours"]),
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _patients_cells(found: dict[str, Any]) -> list[str]:
    """Shares of patients as "n of m", then gross figures and medians."""
    counts = [found["right"], *(found["within"][name] for name in CRITERIA)]
    cells = [f"{n} of {found['judged']}" for n in counts]
    for name in ("v_f1", "s_f1"):
        row = found[name]
        cells.append(f"{percent(row['gross'])}/{percent(row['median'])} ({row['patients']})")
    for name in ("false_v_per_hour", "false_s_per_hour"):
        cells.append("/".join(fixed(found[name][part]) for part in ("gross", "median")))
    return cells


def worst_table(metrics: Metrics, key: str) -> str:
    """The patients of a test set that are worst off, worst first, on detected beats."""
    titles = (
        "model", "patient", "largest error / limit", "PVC burden (reference), %", "SVE burden (reference), %",
        "false V", "false S", "hours",
    )  # fmt: skip
    rows = []
    for model, measured in metrics.items():
        for row in measured[key].get("patients", {}).get("worst", ()):
            burdens = [
                f"{fixed(row[f'{name}_burden_pct'])} ({fixed(row[f'reference_{name}_burden_pct'])})"
                for name in ("pvc", "sve")
            ]
            cells = [row["name"], fixed(row["largest_excess"]), *burdens, str(row["false_v"]), str(row["false_s"])]
            rows.append(f"| {model} | " + " | ".join([*cells, fixed(row["scored_h"])]) + " |")
    if not rows:
        return NOT_MEASURED
    return "\n".join(["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles), *rows])
