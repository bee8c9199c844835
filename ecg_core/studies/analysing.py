"""Analysing into the store, for commands: what is stored is used again, a reader's edits stay, nobody is overtaken."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ..classifier.chunks import Progress
from ..classifier.model import load_model
from ..classifier.spec import model_digest, read_spec
from ..edits import Label, LabelEdit
from ..errors import ChangeRefusedError, StoreError, StudyHeldError
from ..labels import CLASSES, UNLABELLED, class_codes
from ..measuring import with_edits
from ..pipeline import analyse
from ..rhythm.editing import changes_beats
from ..rules import RhythmRules
from ..schema import Analysis, Annotations, Record
from .analyses import (
    AnalysisKey,
    load_analysis,
    load_shown,
    rules_as_stored,
    save_analysis,
    set_shown,
    stored_analyses,
    stored_rules,
)
from .edits import add_edit, edits_of
from .holding import hold, keep_holding, release
from .store import Store
from .study import SIGNED, Editor, Study, get_study
from .study_files import ANALYSES
from .study_notes import add_recording

REPORT_S: Final = 5.0  # between two reports that the command still holds the study; see ``holding.LOST_AFTER``


@dataclass(frozen=True)
class Wanted:
    """How a record is to be analysed."""

    model: Path
    lead: str
    rules: RhythmRules


@contextmanager
def held_study(store: Store, record: Record, editor: Editor) -> Iterator[Study]:
    """The study of a record, added where it is new, and held until the block ends.

    Raises
    ------
    StudyHeldError
        Somebody else holds it.
    StoreError
        The store cannot be read or written.

    """
    study = add_recording(store, record, editor)
    holder = hold(store, record.sha256, session=editor.session, reader=editor.reader)
    if holder.session != editor.session:
        raise StudyHeldError(
            f"{record.record_id}: its study is open for changes by {holder.reader or 'another reader'} since "
            f"{holder.since[:16].replace('T', ' ')} UTC; nothing was changed. Close it there, and try again.",
            settings=("study",),
        )
    ended = threading.Event()
    reports = threading.Thread(target=_report, args=(store, editor, ended), daemon=True)
    reports.start()
    try:
        yield get_study(store, record.sha256) or study  # as it is now that nobody else changes it
    finally:
        ended.set()
        reports.join()
        release(store, editor.session)


def _report(store: Store, editor: Editor, ended: threading.Event) -> None:
    while not ended.wait(REPORT_S):
        with suppress(StoreError):  # the change itself meets the problem, and says so
            keep_holding(store, {editor.session})


def analyse_held(
    store: Store,
    record: Record,
    study: Study,
    wanted: Wanted,
    editor: Editor,
    *,
    patient_labels: Annotations | None = None,
    learn_anyway: bool = False,
    progress: Progress = lambda done_s, total_s: None,
    fitting: Callable[[float], None] = lambda fraction: None,
) -> Analysis:
    """The analysis of a record with all its reader's labels, which becomes what its study shows.

    It belongs into the block of ``held_study``. A stored analysis of the same signal, leads, model, fitted labels and
    program is used again. The model is fine-tuned to ``patient_labels``, which become an edit of the study, together
    with all edits before, unless the check on held-out labels advises against it and not ``learn_anyway``; without
    them, to the edits that it was fine-tuned to before.

    Raises
    ------
    StoreError
        The study is signed and shows another analysis, or the store cannot be read or written.
    EcgError
        See ``analyse``.

    """
    edits = edits_of(store, record.sha256)
    own = _edit_of(patient_labels)
    is_new = own is not None and own not in edits
    n_fitted = study.n_fitted_edits if own is None else len(edits) + is_new
    edits = (*edits, own) if own is not None and is_new else edits
    key = AnalysisKey(record.sha256, wanted.lead, model_digest(read_spec(wanted.model)), wanted.rules, edits[:n_fitted])
    _refuse_signed(store, study, key, is_new=is_new)

    def analysed(key: AnalysisKey) -> Analysis:
        found = load_analysis(store, key, record)
        if found is None:
            found = analyse(
                record, load_model(wanted.model), wanted.rules, lead=wanted.lead,
                edits=key.fitted_labels, progress=progress, fitting=fitting,
            )  # fmt: skip
            save_analysis(store, key, found)
        return found

    analysis = analysed(key)
    check = analysis.learning if own and not learn_anyway else None
    if check is not None and check.problem:  # what it learned stays stored: a reader may accept it
        key = key._replace(fitted_labels=edits[: study.n_fitted_edits])
        analysis = analysed(key)
        analysis = replace(analysis, learning=replace(check, held_back_to=analysis.n_fitted))
    if own is not None and is_new:
        add_edit(store, record.sha256, own, editor)
    if edits != key.fitted_labels or changes_beats(edits):
        analysis = with_edits(analysis, edits)
    set_shown(store, key, analysis, editor)
    return analysis


def shown_analysis(store: Store, study: Study, record: Record) -> Analysis:
    """What a study shows: its stored analysis with all edits of its reader.

    Raises
    ------
    StoreError
        The analysis is not there, or was made by another version of the program.

    """
    edits = edits_of(store, study.record_sha256)
    rules, fitted = stored_rules(study.rules), edits[: study.n_fitted_edits]
    key = AnalysisKey(study.record_sha256, study.lead, study.model_sha256, rules, fitted)
    analysis = load_analysis(store, key, record)
    if analysis is None:
        raise StoreError(f"{study.record_id}: its analysis is not in the store; open the study and analyse it again.")
    if edits == fitted and not changes_beats(edits):
        return analysis
    return load_shown(store, key, edits, analysis) or with_edits(analysis, edits)


def shows(study: Study, key: AnalysisKey) -> bool:
    """Whether a study shows the analysis of this key."""
    rules = rules_as_stored(key.rules)
    shown = (study.lead, study.model_sha256, study.rules, study.n_fitted_edits)
    return shown == (key.lead, key.model_digest, rules, len(key.fitted_labels))


def is_stored(store: Store, key: AnalysisKey) -> bool:
    """Whether an analysis need not be made again."""
    return _was_made(store, key) and (store.folder / ANALYSES / f"{key.digest}.npz").is_file()


def _was_made(store: Store, key: AnalysisKey) -> bool:
    """Whether this version of the program made an analysis, which it would make again as it was."""
    return key.digest in {row.digest for row in stored_analyses(store, key.record_sha256)}


def _refuse_signed(store: Store, study: Study, key: AnalysisKey, *, is_new: bool) -> None:
    if study.state != SIGNED:
        return
    if is_new or not shows(study, key):
        reason = "with another analysis or other labels"
    elif not _was_made(store, key):
        reason = "with the analysis of another version of this program, which this one may not repeat"
    else:
        return
    raise ChangeRefusedError(
        f"{study.record_id}: its study is signed, {reason}; nothing was changed. Begin a new version of its report "
        "first.",
        settings=("study",),
    )


def _edit_of(labels: Annotations | None) -> LabelEdit | None:
    """The beats among annotations, as an edit; None where there are none."""
    if labels is None:
        return None
    codes = class_codes(labels.symbol)
    known = codes != UNLABELLED
    pairs = zip(labels.time_s[known].tolist(), codes[known].tolist(), strict=True)
    found = tuple(Label(time_s, CLASSES[code]) for time_s, code in pairs)
    return LabelEdit(found) if found else None
