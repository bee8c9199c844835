"""The analyses of one window: in memory where they were used, else in the store; with rules and labels as shown."""

from __future__ import annotations

from dataclasses import replace

from ecg_core.edits import Edit, counting, digest_of
from ecg_core.rhythm.editing import changes_beats
from ecg_core.schema import Analysis, Record
from ecg_core.studies.analyses import AnalysisKey, load_shown, load_stored, save_shown, set_shown
from ecg_core.studies.edits import edits_of
from ecg_core.studies.store import Store
from ecg_core.studies.study import Editor

from . import engine

Edits = tuple[Edit, ...]

N_SHOWN = 4  # kept with their edits, so that undo and redo measure nothing


class WindowAnalyses:
    """Analyses by what they were made from."""

    def __init__(self, store: Store) -> None:
        self.by_key: dict[AnalysisKey, Analysis] = {}
        self._store = store
        self._shown: list[tuple[tuple[AnalysisKey, Edits, Analysis], Analysis]] = []  # with edits, the last one first
        self._kept: tuple[AnalysisKey, Edits] | None = None  # what is stored as it is shown

    def base(self, key: AnalysisKey, record: Record) -> Analysis | None:
        """An analysis by the rules of its key or, where it was not measured by these, by others."""
        if key in self.by_key:
            return self.by_key[key]
        same = (other for other in self.by_key if other._replace(rules=key.rules) == key)
        if (other := next(same, None)) is not None:
            return self.by_key[other]
        found = load_stored(self._store, key.digest, record)
        if found is not None:
            self.by_key[key._replace(rules=found.rules)] = found
        return found

    def measured(self, key: AnalysisKey, record: Record) -> Analysis | None:
        """An analysis by the rules of its key; None where it was not made yet."""
        base = self.base(key, record)
        if base is None or base.rules == key.rules:
            return base
        return self.by_key.setdefault(key, engine.with_rules(base, key.rules))

    def edited(self, key: AnalysisKey, edits: Edits, base: Analysis) -> Analysis:
        """An analysis by the rules of its key, with edits."""
        if base.rules == key.rules and shows(key, edits):
            return base
        wanted = (key, edits, base)
        known = [one for one in self._shown if one[0] == wanted]
        found = known[0] if known else (wanted, self._with_edits(key, edits, base))
        self._shown = [found, *(one for one in self._shown if one is not found)][:N_SHOWN]
        return found[1]

    def _with_edits(self, key: AnalysisKey, edits: Edits, base: Analysis) -> Analysis:
        """What rules and edits make of an analysis: as it was stored, or measured now."""
        found = load_shown(self._store, key, edits, base)
        if found is not None:
            self._kept = (key, edits)
            return found
        for (other_key, other_edits, other_base), analysis in self._shown:  # one that counts the same
            if (other_key, other_base) == (key, base) and counting(other_edits) == counting(edits):
                return replace(analysis, edits_sha256=digest_of(edits))
        if not counting(edits) or shows(key, edits):
            base = base if base.rules == key.rules else engine.with_rules(base, key.rules)
            return replace(base, edits_sha256=digest_of(edits))
        return engine.edited(replace(base, rules=key.rules), edits)

    def keep_shown(self) -> None:
        """Store what was shown last, so that the next opening measures nothing; where nothing changed, do nothing."""
        if not self._shown:
            return
        (key, edits, _base), analysis = self._shown[0]
        if self._kept != (key, edits):
            save_shown(self._store, key, edits, analysis)
            self._kept = (key, edits)

    def forget(self, record_sha256: str) -> None:
        """Drop the analyses of a record from memory."""
        self.by_key = {key: analysis for key, analysis in self.by_key.items() if key.record_sha256 != record_sha256}
        self._shown = [one for one in self._shown if one[0][0].record_sha256 != record_sha256]


def shows(key: AnalysisKey, edits: Edits) -> bool:
    """Whether an analysis shows edits as it was made: there are none, or it was fine-tuned to these labels."""
    return not edits or (edits == key.fitted_labels and not changes_beats(edits))


def set_shown_with_edits(store: Store, key: AnalysisKey, base: Analysis, editor: Editor) -> None:
    """Note that a study shows an analysis, and what it found with all edits of the study, for the worklist.

    Raises
    ------
    ChangeRefusedError
        See ``set_shown``.

    """
    edits = edits_of(store, key.record_sha256)
    set_shown(store, key, base if shows(key, edits) else engine.edited(base, edits), editor)
