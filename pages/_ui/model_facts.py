"""Origin and measured performance of the installed models, as the pages show them."""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd

from ecg_core.classifier.spec import MODELS, read_spec
from ecg_core.evaluation.patients import CRITERIA
from ecg_core.evaluation.test_sets import TEST_SETS
from ecg_core.schema import ModelSpec, Record
from ecg_core.text import plain_markdown

from .installed_models import installed_models, weights_of
from .view import cached
from .wording import plural

COLUMNS = {
    "QRS": ("qrs_se", "qrs_ppv"),
    "V": ("v_se", "v_ppv"),
    "V F1": ("v_f1",),
    "S": ("s_se", "s_ppv"),
    "S F1": ("s_f1",),
    "Accuracy": ("accuracy",),
    "Always N": ("always_n_accuracy",),
    "Macro F1": ("macro_f1",),
}
SCORED_ON = {"detected_beats": "detected", "reference_beats": "reference"}  # beats
RIGHT_FOR = "Right for"
RIGHT_MEANS = f"{RIGHT_FOR}: the patients in whom all four hold, {', '.join(CRITERIA.values())}."
FEW_RECORDS = 12
HEADLINES = ("mitdb_ds2", "mitdb_ds2_without_232", "mitdb_ds2_all_leads", "svdb_test", "svdb_test_all_leads")


def specs() -> list[ModelSpec]:
    """Specs of the installed models, the default model first."""
    return [read_spec(weights_of(name)) for name in installed_models()]


def spec_facts(spec: ModelSpec) -> list[tuple[str, str]]:
    """Origin of a model, as names and values."""
    return [
        ("Trained on", _records(spec.trained_on)),
        ("Validated on", _records(spec.validated_on)),
        ("Input", f"{spec.fs_hz:g} Hz; attention of {spec.attention_half_s:g} s to either side of a beat"),
        ("Classes", ", ".join(spec.classes)),
        ("Seed", str(spec.seed)),
        ("Recipe", spec.recipe),
        ("SHA-256", spec.sha256),
        ("Network", f"runs in {spec.engine}"),
    ]


def training_sentence(spec: ModelSpec) -> str:
    """What a model was trained on, in one sentence."""
    databases = pd.Series([name.split("/")[0] for name in spec.trained_on], dtype=str).value_counts()
    parts = [f"{plural(count, 'record')} of {plain_markdown(str(database))}" for database, count in databases.items()]
    origin = " and ".join(parts) or "records that its spec does not state"
    return f"**{plain_markdown(spec.name)}** was trained on {origin}."


def overlap_sentence(spec: ModelSpec, record: Record) -> str:
    """Whether a model was trained or validated on this record, or on one of its name; empty where on neither."""
    if spec.learned_sha256 and _content_sha256(record) in spec.learned_sha256:  # which are named by numbers alone
        return f"{spec.name} was trained on this recording: its figures here do not hold for new patients."
    for how, names in (("trained", spec.trained_on), ("validated", spec.validated_on)):
        found = [name for name in names if name.rpartition("/")[2] == record.record_id]
        if not found:
            continue
        folders = set() if record.path is None else set(record.path.parts)
        own = [name for name in found if name.split("/")[0] in folders]
        what = f"this patient ({own[0]})" if own else f"a record of this name ({', '.join(found)})"
        return f"{spec.name} was {how} on {what}: its figures here do not hold for new patients."
    return ""


def _content_sha256(record: Record) -> str:
    from ecg_core.adaptation.material import content_sha256  # noqa: PLC0415  # loads what asks a server

    return cached("content_sha256", record.sha256, lambda: content_sha256(record))


def _records(names: tuple[str, ...]) -> str:
    if len(names) <= FEW_RECORDS:
        return ", ".join(names) or "not stated"
    databases = pd.Series([name.split("/")[0] for name in names]).value_counts()
    return ", ".join(f"{plural(count, 'record')} of {database}" for database, count in databases.items())


def performance(spec: ModelSpec) -> pd.DataFrame:
    """Measured performance of a model, a row for each test set and way of scoring; empty where none was measured."""
    path = MODELS / f"{spec.name}.metrics.json"
    if not path.is_file():
        return pd.DataFrame()
    metrics: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    rows = []
    for test_set, content in metrics.items():
        if not isinstance(content, dict) or content.get("model_sha256", spec.sha256) != spec.sha256:
            continue
        for kind, title in SCORED_ON.items():
            row = content.get(kind, {}).get("gross", {})
            cells = {name: " / ".join(_percent(row.get(key)) for key in keys) for name, keys in COLUMNS.items()}
            right = _patients_right(content) if kind == "detected_beats" else "–"
            known = {"Test set": TEST_SETS.get(test_set, test_set), "Beats": title, RIGHT_FOR: right}
            rows.append({**known, **cells})
    return pd.DataFrame(rows)


def _patients_right(content: dict[str, Any]) -> str:
    """In how many patients of a test set the report is right."""
    found = content.get("patients")
    return f"{found['right']} of {found['judged']}" if found else "not measured"


def headlines(spec: ModelSpec) -> pd.DataFrame:
    """Performance on whole recordings of new patients, as the program is used; empty where none was measured."""
    table = performance(spec)
    if table.empty:
        return table
    order = [TEST_SETS[test_set] for test_set in HEADLINES]
    found = table[(table["Beats"] == SCORED_ON["detected_beats"]) & table["Test set"].isin(order)]
    return found.drop(columns="Beats").sort_values("Test set", key=lambda names: names.map(order.index))


def _percent(value: float | None) -> str:
    return f"{100 * value:.1f}" if value is not None and math.isfinite(value) else "–"
