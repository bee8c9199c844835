"""An evaluation as plain JSON values, with intervals of its figures, and as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from ..rules import SENSITIVITIES
from ..schema import Float64
from ..text import plural
from .ec57 import CONFUSION_COLUMNS, CONFUSION_ROWS, LEARNING_S, Score, average, gross, statistics
from .evaluate import AfDuration, Evaluation
from .reliability import BurdenInterval, summarise_trust

HEADLINE: Final = ("qrs_se", "qrs_ppv", "v_se", "v_ppv", "v_f1", "s_se", "s_ppv", "s_f1", "accuracy", "macro_f1")
DECIMALS = 5
N_RESAMPLED = 1000  # times the records are drawn with replacement for an interval of a gross figure
INTERVAL_PERCENTILES = (2.5, 97.5)


def summarise(evaluation: Evaluation) -> dict[str, Any]:
    """Everything that was measured, as plain JSON values; undefined figures are null."""
    return {
        "database": evaluation.database,
        "lead": evaluation.lead,
        "model": evaluation.model_name,
        "model_sha256": evaluation.model_sha256,
        "sensitivity": evaluation.sensitivity,
        "rules": f"ANSI/AAMI EC57; match window 150 ms; first {LEARNING_S:.0f} s of a record not scored",
        "detected_beats": _both_ways(evaluation.detected()),
        "reference_beats": _both_ways(evaluation.reference()),
        "trust": summarise_trust(record.trust for record in evaluation.records),
        "fibrillation": _af_total([record.af for record in evaluation.records]),
        "records": [
            {
                "record": record.detected.record_id,
                "leads": list(record.lead_names),
                "detected_beats": _rounded(statistics(record.detected)),
                "reference_beats": _rounded(statistics(record.reference)),
                "confusion": record.detected.matrix.tolist(),
                "pvc_burden_pct": _number(record.pvc_burden_pct),
                "reference_pvc_burden_pct": _number(record.reference_pvc_burden_pct),
                "unusable_s": _number(record.unusable_s),
                "burdens": [_burden(burden) for burden in record.trust.burdens],
                "fibrillation": None if record.af is None else _rounded(asdict(record.af)),
            }
            for record in evaluation.records
        ],
    }


def _burden(burden: BurdenInterval) -> dict[str, Any]:
    """A burden with its interval and the reference's."""
    numbers = _rounded({key: value for key, value in asdict(burden).items() if key != "label"})
    return {"label": burden.label, **numbers, "covered": burden.is_covered}


def _both_ways(scores: Sequence[Score]) -> dict[str, Any]:
    """Gross and average figures of some scores."""
    total = gross(scores)
    return {
        "gross": _rounded(statistics(total)),
        "interval_95": intervals(scores),
        "average": _rounded({name: mean.value for name, mean in average(scores).items()}),
        "average_over_records": {name: mean.n_records for name, mean in average(scores).items()},
        "confusion": {
            "rows_reference": list(CONFUSION_ROWS),
            "columns_program": list(CONFUSION_COLUMNS),
            "counts": total.matrix.tolist(),
        },
    }


def intervals(scores: Sequence[Score]) -> dict[str, list[float | None]]:
    """95 % interval of each gross headline figure, for other patients of the same kind.

    A bootstrap over records, as the beats of one patient are not independent of each other.
    """
    rng = np.random.default_rng(0)
    drawn = [gross([scores[i] for i in rng.integers(len(scores), size=len(scores))]) for _ in range(N_RESAMPLED)]
    rows = [statistics(total) for total in drawn]
    result: dict[str, list[float | None]] = {}
    for name in HEADLINE:
        values = np.array([row[name] for row in rows])
        known = values[np.isfinite(values)]
        edges = np.percentile(known, INTERVAL_PERCENTILES).tolist() if len(known) else [np.nan, np.nan]
        result[name] = [_number(edge) for edge in edges]
    return result


def _af_total(records: Sequence[AfDuration | None]) -> dict[str, float | None] | None:
    """Sensitivity and positive predictivity by duration over all records whose reference names rhythms."""
    known = [asdict(record) for record in records if record is not None]
    if not known:
        return None
    total = AfDuration(**{name: sum(record[name] for record in known) for name in known[0]})
    return {
        "duration_se": _number(total.both_s / total.reference_s) if total.reference_s else None,
        "duration_ppv": _number(total.both_s / total.found_s) if total.found_s else None,
        **_rounded(asdict(total)),
    }


def _rounded(row: dict[str, float]) -> dict[str, float | None]:
    return {name: _number(value) for name, value in row.items()}


def _number(value: float) -> float | None:
    return round(float(value), DECIMALS) if np.isfinite(value) else None


def report_text(evaluation: Evaluation) -> str:
    """The evaluation as a person reads it in a terminal."""
    mode = SENSITIVITIES[evaluation.sensitivity].lower()
    model = f"model {evaluation.model_name}, {mode}"
    lines = [f"{evaluation.database}, lead {evaluation.lead}, {model}; EC57, % unless noted"]
    for title, scores in (("DETECTED BEATS", evaluation.detected()), ("REFERENCE BEATS", evaluation.reference())):
        rows = [(score.record_id, statistics(score)) for score in scores]
        rows += [("gross", statistics(gross(scores)))]
        rows += [("average", {name: mean.value for name, mean in average(scores).items()})]
        lines += ["", title, f"{'record':>10} " + " ".join(f"{name:>8}" for name in HEADLINE)]
        lines += [f"{name:>10} " + " ".join(_percent(row[key]) for key in HEADLINE) for name, row in rows]
        total = gross(scores)
        lines += [
            "",
            f"accuracy of labelling every beat N: {100 * total.always_n_accuracy:.2f}",
            *_confusion_text(total),
        ]
    error = np.abs(burden_errors(evaluation))
    lines += ["", f"PVC burden within 1 point of the reference: {np.sum(error <= 1)} of {plural(len(error), 'record')}"]
    trust = summarise_trust(record.trust for record in evaluation.records)
    for label, row in trust["coverage"].items():
        lines.append(f"{label} burden inside its interval: {row['covered']} of {row['records']} records")
    for label, bins in trust["reliability"].items():
        lines.append(f"{label} said > right: " + ", ".join(f"{row['said']:.2f} > {row['right']:.2f}" for row in bins))
    return "\n".join(lines)


def burden_errors(evaluation: Evaluation) -> Float64:
    """PVC burden minus the reference's, in points, shape (n_records,)."""
    return np.array([record.pvc_burden_pct - record.reference_pvc_burden_pct for record in evaluation.records])


def _confusion_text(score: Score) -> list[str]:
    lines = [f"{'reference':>10} " + " ".join(f"{name:>8}" for name in CONFUSION_COLUMNS)]
    for name, row in zip(CONFUSION_ROWS, score.matrix, strict=True):
        lines.append(f"{name:>10} " + " ".join(f"{n:>8}" for n in row))
    return lines


def _percent(value: float) -> str:
    return f"{'-':>8}" if np.isnan(value) else f"{100 * value:8.2f}"
