"""Stored analyses: nothing is analysed twice for the same signal, leads, model, fitted labels and program."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from sqlalchemy import select

from .. import __version__
from ..classifier.spec import MODELS
from ..errors import StoreError
from ..files import atomic_file
from ..report.dangers import dangers
from ..rules import RhythmRules, rules_from
from ..schema import Analysis, Record
from . import audit
from .edits import LabelEdit
from .frozen import read_frozen, write_frozen
from .store import FREE_THE_PLACE, Store, now
from .study import ANALYSED, NEW, Editor, changing, get_study
from .tables import AnalysisRow

FOLDER: Final = "analyses"
CODE: Final = Path(__file__).resolve().parents[1]
RESULT_ROOMS: Final = ("signals", "records", "classifier", "rhythm")  # whose code decides what an analysis holds
RESULT_FILES: Final = ("pipeline.py", "schema.py", "rules.py", "labels.py")


class AnalysisKey(NamedTuple):
    """What an analysis depends on, besides the program; two that share it are the same."""

    record_sha256: str
    lead: str
    model_sha256: str
    rules: RhythmRules
    fitted_labels: tuple[LabelEdit, ...] = ()  # by which the model was fine-tuned to the patient

    @property
    def digest(self) -> str:
        """Name of the stored analysis: the key but for its rules, which are applied again, and the program's code."""
        parts = [self.record_sha256, self.lead, self.model_sha256, self.fitted_labels, code_version()]
        return hashlib.sha256(audit.canonical(parts).encode()).hexdigest()


@cache
def code_version() -> str:
    """The program's version, and a hash of the code and of the numbers beside the weights that decide a result."""
    paths = [path for room in RESULT_ROOMS for path in (CODE / room).rglob("*.py")]
    paths += [CODE / name for name in RESULT_FILES]
    paths += [path for pattern in ("*.json", "*.npz") for path in MODELS.glob(pattern) if ".metrics" not in path.name]
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.name.encode() + path.read_bytes())
    return f"{__version__}+{digest.hexdigest()[:12]}"


def rules_as_stored(rules: RhythmRules) -> dict[str, float]:
    """The rules that differ from the default ones."""
    return {rule.key: rule.value for rule in rules.changed()}


def stored_rules(stored: Mapping[str, float]) -> RhythmRules:
    """The rules that ``rules_as_stored`` kept."""
    return rules_from({name: repr(value) for name, value in stored.items()})


def save_analysis(store: Store, key: AnalysisKey, analysis: Analysis) -> None:
    """Store an analysis, whole or not at all.

    Raises
    ------
    StoreError
        There is no room, or the folder cannot be written to.

    """
    path = store.subfolder(FOLDER) / f"{key.digest}.npz"
    try:
        with atomic_file(path) as part:
            write_frozen(part, analysis, without=("record",))
    except OSError as error:
        raise StoreError(f"{path.parent}: the analysis cannot be kept ({error.strerror}). {FREE_THE_PLACE}") from error
    with store.writing() as session:
        session.merge(
            AnalysisRow(
                digest=key.digest,
                record_sha256=key.record_sha256,
                lead=key.lead,
                model_name=analysis.model.name,
                model_sha256=key.model_sha256,
                n_fitted_edits=len(key.fitted_labels),
                code_version=code_version(),
                made_at=now(),
            )
        )


def load_analysis(store: Store, key: AnalysisKey, record: Record) -> Analysis | None:
    """The stored analysis of a record; None where there is none by this program, or where it is damaged."""
    analysis = load_stored(store, key.digest, record)
    if analysis is None or analysis.rules == key.rules:
        return analysis
    from ..pipeline import with_rules  # noqa: PLC0415, as it loads torch

    return with_rules(analysis, key.rules)


def load_stored(store: Store, digest: str, record: Record) -> Analysis | None:
    """The stored analysis of this digest, by the rules that it was made with; None as in ``load_analysis``."""
    path = store.folder / FOLDER / f"{digest}.npz"
    if not path.is_file():
        return None
    try:
        return read_frozen(path, Analysis, record=record)
    except StoreError:
        return None  # it is made again


def stored_analyses(store: Store, record_sha256: str) -> list[AnalysisRow]:
    """What is stored of a record, the newest first; also what earlier versions of the program made."""
    query = select(AnalysisRow).where(AnalysisRow.record_sha256 == record_sha256).order_by(AnalysisRow.made_at.desc())
    with store.reading() as session:
        return list(session.scalars(query))


def set_shown(store: Store, key: AnalysisKey, analysis: Analysis, editor: Editor) -> None:
    """Note which analysis of a study is shown, and what it found, for the worklist; ``analysis`` has all labels."""
    study = get_study(store, key.record_sha256)
    shown, found = _shown(key, analysis), _found(analysis)
    if study is not None and all(getattr(study, name) == value for name, value in {**shown, **found}.items()):
        return
    with changing(store, key.record_sha256, editor) as (session, row):
        is_another = any(getattr(row, name) != value for name, value in shown.items())
        for name, value in {**shown, **found}.items():
            setattr(row, name, value)
        row.state = ANALYSED if row.state == NEW else row.state
        if is_another:
            audit.append(session, key.record_sha256, editor.reader, "analysis shown", **shown, code=code_version())


def _shown(key: AnalysisKey, analysis: Analysis) -> dict[str, Any]:
    return {
        "lead": key.lead,
        "model_name": analysis.model.name,
        "model_sha256": key.model_sha256,
        "rules": rules_as_stored(key.rules),
        "n_fitted_edits": len(key.fitted_labels),
    }


def _found(analysis: Analysis) -> dict[str, Any]:
    burden, found = analysis.burden, dangers(analysis)
    return {
        "n_beats": burden.n_beats,
        "pvc_pct": _number(burden.pvc_burden_pct),
        "sve_pct": _number(burden.sve_burden_pct),
        "af_pct": _number(burden.af_burden_pct),
        "danger": found[0].text if found else "",
    }


def _number(value: float) -> float | None:
    return value if value == value else None  # noqa: PLR0124  # NaN, where there are no beats
