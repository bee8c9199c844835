"""Stored analyses: nothing is analysed twice for the same signal, leads, model, fitted labels and program."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from sqlalchemy import select

from .. import __version__
from ..classifier.spec import MODELS
from ..edits import Edit, digest_of
from ..errors import ChangeRefusedError, StoreError
from ..files import atomic_file
from ..report.dangers import worklist_text
from ..rhythm.domain_shift import domain_shift
from ..rhythm.editing import apply_edits
from ..rules import BALANCED, RhythmRules, rules_from
from ..schema import Analysis, Record
from . import audit
from .frozen import read_frozen, write_frozen
from .store import FREE_THE_PLACE, Store, insert_missing, now
from .study import ANALYSED, DELETED, NEW, SIGNED, SIGNED_AND_LOCKED, Editor, changing, get_study
from .study_files import ANALYSES, SHOWN
from .tables import AnalysisRow, StudyRow

NOT_MEASURED: Final = (  # fields of an analysis that are not measured: they stand in the stored one, or come from edits
    "lead_names", "model", "quality", "predicted", "attention", "waveform", "queried", "learning", "fitted_sha256",
    "changes", "edits_sha256", "replaced",
)  # fmt: skip
NAME_DIGITS: Final = 16  # of the hash in a file's name: enough for the edits of one study
CODE: Final = Path(__file__).resolve().parents[1]
RESULT_ROOMS: Final = ("signals", "records", "classifier", "rhythm")  # whose code decides what an analysis holds
RESULT_FILES: Final = ("pipeline.py", "measuring.py", "edits.py", "schema.py", "certainty.py", "rules.py", "labels.py")


class AnalysisKey(NamedTuple):
    """What an analysis depends on, besides the program; two that share it are the same."""

    record_sha256: str
    lead: str
    model_digest: str  # see ``classifier.spec.model_digest``
    rules: RhythmRules
    fitted_labels: tuple[Edit, ...] = ()  # by which the model was fine-tuned to the patient

    @property
    def digest(self) -> str:
        """Name of the stored analysis: the key but for its rules, which are applied again, and the program's code."""
        parts = [self.record_sha256, self.lead, self.model_digest, digest_of(self.fitted_labels), code_version()]
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


def rules_as_stored(rules: RhythmRules) -> dict[str, float | str]:
    """The rules that differ from the default ones; all are numbers but the sensitivity."""
    changed: dict[str, float | str] = {rule.key: rule.value for rule in rules.changed()}
    return changed if rules.sensitivity == BALANCED else changed | {"sensitivity": rules.sensitivity}


def stored_rules(stored: Mapping[str, float | str]) -> RhythmRules:
    """The rules that ``rules_as_stored`` kept."""
    return rules_from({name: value if isinstance(value, str) else repr(value) for name, value in stored.items()})


def save_analysis(store: Store, key: AnalysisKey, analysis: Analysis) -> None:
    """Store an analysis, whole or not at all.

    Raises
    ------
    StoreError
        There is no room, the folder or the database cannot be written to, or the study was deleted meanwhile.

    """
    with ExitStack() as file:
        file.enter_context(_written(store, ANALYSES, f"{key.digest}.npz", analysis, without=("record",)))
        with store.writing() as session:
            if session.get(StudyRow, key.record_sha256) is None:
                raise StoreError(DELETED)
            made = {"code_version": code_version(), "made_at": now(), "n_fitted_edits": len(key.fitted_labels)}
            model = {"model_name": analysis.model.name, "model_sha256": key.model_digest}
            of_record = {"digest": key.digest, "record_sha256": key.record_sha256, "lead": key.lead}
            insert_missing(session, AnalysisRow, of_record | model | made)
            file.close()  # it is in its place before the row says so


def load_analysis(store: Store, key: AnalysisKey, record: Record) -> Analysis | None:
    """The stored analysis of a record; None where there is none by this program, or where it is damaged."""
    analysis = load_stored(store, key.digest, record)
    if analysis is None or analysis.rules == key.rules:
        return analysis
    from ..measuring import with_rules  # noqa: PLC0415

    return with_rules(analysis, key.rules)


def load_stored(store: Store, digest: str, record: Record) -> Analysis | None:
    """The stored analysis of this digest, by the rules that it was made with; None as in ``load_analysis``."""
    return _read(store.folder / ANALYSES / f"{digest}.npz", record=record)


def save_shown(store: Store, key: AnalysisKey, edits: Sequence[Edit], analysis: Analysis) -> None:
    """Store what edits and rules make of a stored analysis, so that opening a study measures nothing again.

    It takes the place of what was stored so of the study before.

    Raises
    ------
    StoreError
        There is no room, or the folder cannot be written to.

    """
    name = _shown_name(key, edits)
    with _written(store, SHOWN, name, analysis, without=("record", *NOT_MEASURED)):
        before = [path for path in (store.folder / SHOWN).glob(f"{key.record_sha256}.*.npz") if path.name != name]
    with suppress(OSError):  # what stays is removed the next time
        for path in before:
            path.unlink()


def load_shown(store: Store, key: AnalysisKey, edits: Sequence[Edit], base: Analysis) -> Analysis | None:
    """What edits and rules make of a stored analysis, ``base``; None where it is to be measured again."""
    path = store.folder / SHOWN / _shown_name(key, edits)
    if not path.is_file():
        return None
    edited = replace(apply_edits(base, edits)[0], edits_sha256=digest_of(edits))
    return _read(path, record=base.record, **{name: getattr(edited, name) for name in NOT_MEASURED})


def _shown_name(key: AnalysisKey, edits: Sequence[Edit]) -> str:
    content = [key.digest, rules_as_stored(key.rules), digest_of(edits)]
    return f"{key.record_sha256}.{audit.content_sha256(content)[:NAME_DIGITS]}.npz"


@contextmanager
def _written(
    store: Store, subfolder: str, name: str, analysis: Analysis, *, without: tuple[str, ...]
) -> Iterator[None]:  # fmt: skip
    """Write an analysis to a file that is there once the block has ended well."""
    folder = store.subfolder(subfolder)
    try:
        with atomic_file(folder / name) as part:
            write_frozen(part, analysis, without=without)
            yield
    except OSError as error:
        raise StoreError(f"{folder}: the analysis cannot be kept ({error.strerror}). {FREE_THE_PLACE}") from error


def _read(path: Path, **given: Any) -> Analysis | None:
    try:
        return read_frozen(path, Analysis, **given) if path.is_file() else None
    except StoreError:
        return None  # it is made again


def stored_analyses(store: Store, record_sha256: str) -> list[AnalysisRow]:
    """What is stored of a record, the newest first; also what earlier versions of the program made."""
    query = select(AnalysisRow).where(AnalysisRow.record_sha256 == record_sha256).order_by(AnalysisRow.made_at.desc())
    with store.reading() as session:
        return list(session.scalars(query))


def set_shown(store: Store, key: AnalysisKey, analysis: Analysis, editor: Editor) -> None:
    """Note which analysis of a study is shown, and what it found, for the worklist; ``analysis`` has all labels.

    Raises
    ------
    ChangeRefusedError
        The study is signed with another analysis, or another window holds it.

    """
    study = get_study(store, key.record_sha256)
    shown, found = _shown(key, analysis), _found(analysis)
    is_another = study is None or any(getattr(study, name) != value for name, value in shown.items())
    if study is not None and study.state == SIGNED:
        if is_another:
            raise ChangeRefusedError(SIGNED_AND_LOCKED)
        return  # the worklist keeps what was signed
    if not is_another and all(getattr(study, name) == value for name, value in found.items()):
        return
    with changing(store, key.record_sha256, editor) as (session, row):
        for name, value in {**shown, **found}.items():
            setattr(row, name, value)
        row.state = ANALYSED if row.state == NEW else row.state
        if is_another:
            learned = {"learning": analysis.learning.sentence} if analysis.learning else {}
            detail = {**shown, **learned, "code": code_version()}
            audit.append(session, key.record_sha256, editor.reader, audit.SHOWN, **detail)


def _shown(key: AnalysisKey, analysis: Analysis) -> dict[str, Any]:
    return {
        "lead": key.lead,
        "model_name": analysis.model.name,
        "model_sha256": key.model_digest,
        "rules": rules_as_stored(key.rules),
        "n_fitted_edits": len(key.fitted_labels),
    }


def _found(analysis: Analysis) -> dict[str, Any]:
    burden, shift = analysis.burden, domain_shift(analysis)
    return {
        "n_beats": burden.n_beats,
        "pvc_pct": _number(burden.pvc_burden_pct),
        "sve_pct": _number(burden.sve_burden_pct),
        "af_pct": _number(burden.af_burden_pct),
        "danger": worklist_text(analysis),
        "unlike_pct": 100 * shift.doubtful_share if shift and shift.is_unlike else None,
    }


def _number(value: float) -> float | None:
    return value if value == value else None  # noqa: PLR0124  # NaN, where there are no beats
