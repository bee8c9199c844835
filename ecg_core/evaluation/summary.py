"""An evaluation as plain JSON values, with intervals of its figures, and as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from ..rules import SENSITIVITIES
from ..text import one_line, plural
from .ec57 import CONFUSION_COLUMNS, CONFUSION_ROWS, LEARNING_S, Score, average, gross, statistics
from .evaluate import AfDuration, Evaluation
from .patients import CRITERIA, EctopyCount, PatientScore, PatientSummary, summarise_patients
from .reliability import BurdenInterval, summarise_trust

HEADLINE: Final = ("qrs_se", "qrs_ppv", "v_se", "v_ppv", "v_f1", "s_se", "s_ppv", "s_f1", "accuracy", "macro_f1")
DECIMALS = 5
LEAST_SCORED = 0.5  # of a recording; figures of less say little of it
N_RESAMPLED = 1000  # times the records are drawn with replacement for an interval of a gross figure
INTERVAL_PERCENTILES = (2.5, 97.5)
FIGURE_TITLES: Final = {
    "v_f1": "V F1, %", "s_f1": "S F1, %", "false_v_per_hour": "false V an hour", "false_s_per_hour": "false S an hour",
}  # fmt: skip


def summarise(evaluation: Evaluation) -> dict[str, Any]:
    """Everything that was measured, as plain JSON values; undefined figures are null."""
    return {
        "database": evaluation.database,
        "lead": evaluation.lead,
        "model": evaluation.model.name,
        "model_sha256": evaluation.model.sha256,
        "engine": evaluation.model.engine,
        "sensitivity": evaluation.sensitivity,
        "rules": f"ANSI/AAMI EC57; match window 150 ms; first {LEARNING_S:.0f} s of a record not scored",
        "detected_beats": _both_ways(evaluation.detected()),
        "reference_beats": _both_ways(evaluation.reference()),
        "patients": _patients(summarise_patients(evaluation.patients())),
        "trust": summarise_trust(record.trust for record in evaluation.records),
        "fibrillation": _af_total([record.af for record in evaluation.records]),
        "records": [
            {
                "record": record.detected.record_id,
                "patient": record.patient,
                "leads": list(record.lead_names),
                "detected_beats": _rounded(statistics(record.detected)),
                "reference_beats": _rounded(statistics(record.reference)),
                "confusion": record.detected.matrix.tolist(),
                **_burdens(record.ectopy, record.reference_ectopy),
                "duration_s": _number(record.duration_s),
                "scored_s": _number(record.detected.scored_s),
                "scored_beats": record.detected.n_reference,
                "unusable_s": _number(record.unusable_s),
                "burdens": [_burden(burden) for burden in record.trust.burdens],
                "fibrillation": None if record.af is None else _rounded(asdict(record.af)),
            }
            for record in evaluation.records
        ],
    }


def _burdens(found: EctopyCount, reference: EctopyCount) -> dict[str, float | None]:
    """Both burdens, as found and as in the reference."""
    return {
        "pvc_burden_pct": _number(found.pvc_burden_pct),
        "reference_pvc_burden_pct": _number(reference.pvc_burden_pct),
        "sve_burden_pct": _number(found.sve_burden_pct),
        "reference_sve_burden_pct": _number(reference.sve_burden_pct),
    }


def _patients(summary: PatientSummary) -> dict[str, Any]:
    """In how many patients what is right, and who is worst off."""
    return {
        "judged": summary.n_judged,
        "not_judged": summary.n_not_judged,
        "right": summary.n_right,
        "within": summary.n_within,
        **{
            name: {"gross": _number(figure.gross), "median": _number(figure.median), "patients": figure.n_patients}
            for name, figure in summary.figures.items()
        },
        "worst": [_patient(patient) for patient in summary.worst],
    }


def _patient(patient: PatientScore) -> dict[str, Any]:
    """One patient's figures; the largest error over its limit is null where no burden was found."""
    return {
        "name": patient.name,
        "patient": patient.patient,
        "records": list(patient.records),
        "largest_excess": _number(patient.largest_excess),
        **_burdens(patient.ectopy, patient.reference_ectopy),
        "false_v": patient.score.false_positives("V"),
        "false_s": patient.score.false_positives("S"),
        "scored_h": _number(patient.scored_h),
        "v_f1": _number(patient.f1("V")),
        "s_f1": _number(patient.f1("S")),
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
    model = f"model {evaluation.model.name} in {evaluation.model.engine}, {mode}"
    lines = [f"{evaluation.database}, lead {evaluation.lead}, {model}; EC57, % unless noted"]
    lines += _hardly_scored(evaluation)
    for title, scores in (("DETECTED BEATS", evaluation.detected()), ("REFERENCE BEATS", evaluation.reference())):
        total = gross(scores)
        rows = [(score.record_id, statistics(score), _scored_text(score)) for score in scores]
        rows += [("gross", statistics(total), _scored_text(total))]
        rows += [("average", {name: mean.value for name, mean in average(scores).items()}, "")]
        columns = " ".join(f"{name:>8}" for name in (*HEADLINE, "hours", "beats"))
        lines += ["", title, f"{'record':>10} {columns}"]
        lines += [
            f"{name:>10} {' '.join(_percent(row[key]) for key in HEADLINE)} {scored}".rstrip()
            for name, row, scored in rows
        ]
        lines += [
            "",
            f"accuracy of labelling every beat N: {_percent(total.always_n_accuracy).strip()}",
            *_confusion_text(total),
        ]
    lines += ["", *_patients_text(summarise_patients(evaluation.patients())), ""]
    trust = summarise_trust(record.trust for record in evaluation.records)
    for label, row in trust["coverage"].items():
        lines.append(f"{label} burden inside its interval: {row['covered']} of {row['records']} records")
    for label, bins in trust["reliability"].items():
        pairs = ", ".join(f"{row['said']:.2f} > {row['right']:.2f}" for row in bins)
        lines.append(f"reliability of {label}, mean probability > share that are {label}: {pairs or '-'}")
    return "\n".join(lines)


def _hardly_scored(evaluation: Evaluation) -> list[str]:
    """A warning of the records of which less than half is scored, by their scored minutes."""
    few = [one for one in evaluation.records if one.detected.scored_s < LEAST_SCORED * one.duration_s]
    if not few:
        return []
    minutes = ", ".join(
        f"{one_line(one.detected.record_id)} {one.detected.scored_s / 60:.1f} of {one.duration_s / 60:.1f} min"
        for one in few
    )
    why = f"not the first {LEARNING_S / 60:.0f} minutes, nor fibrillation of the ventricles"
    return ["", f"WARNING: less than half of {plural(len(few), 'record')} is scored ({why}): {minutes}"]


def _scored_text(score: Score) -> str:
    """Hours and reference beats that are scored."""
    return f"{_fixed(score.scored_s / 3600)} {score.n_reference:>8}"


def _patients_text(summary: PatientSummary) -> list[str]:
    """In how many patients what is right, and the worst by name."""
    rows = [(title, summary.n_within[name]) for name, title in CRITERIA.items()]
    rows.append(("all four: right for the patient", summary.n_right))
    lines = ["PATIENTS", *(f"{title:>32} {n:>4} of {summary.n_judged}" for title, n in rows)]
    if summary.n_not_judged:
        lines.append(f"not judged, without reference beats: {plural(summary.n_not_judged, 'patient')}")
    lines += ["", f"{'':>16} {'gross':>8} {'median':>8} {'patients':>8}"]
    for name, title in FIGURE_TITLES.items():
        scale = 100 if name.endswith("f1") else 1
        total, middle, n = summary.figures[name]
        lines.append(f"{title:>16} {_fixed(scale * total)} {_fixed(scale * middle)} {n:>8}")
    columns = ("x limit", "PVC %", "true %", "SVE %", "true %", "false V", "false S", "hours")
    lines += ["", "worst first, by the largest of a patient's four errors, each divided by its limit"]
    lines += [f"{'patient':>20} " + " ".join(f"{column:>8}" for column in columns)]
    return lines + [_patient_text(patient) for patient in summary.worst]


def _patient_text(patient: PatientScore) -> str:
    found, true = patient.ectopy, patient.reference_ectopy
    burdens = (found.pvc_burden_pct, true.pvc_burden_pct, found.sve_burden_pct, true.sve_burden_pct)
    cells = [_fixed(value) for value in (patient.largest_excess, *burdens)]
    cells += [f"{patient.score.false_positives(label):>8}" for label in "VS"]
    return f"{one_line(patient.name):>20} " + " ".join([*cells, _fixed(patient.scored_h)])


def _confusion_text(score: Score) -> list[str]:
    lines = [f"{'reference':>10} " + " ".join(f"{name:>8}" for name in CONFUSION_COLUMNS)]
    for name, row in zip(CONFUSION_ROWS, score.matrix, strict=True):
        lines.append(f"{name:>10} " + " ".join(f"{n:>8}" for n in row))
    return lines


def _percent(value: float) -> str:
    return _fixed(100 * value)


def _fixed(value: float) -> str:
    return f"{'-':>8}" if np.isnan(value) else f"{value:8.2f}"
