"""The analyses of one window: in memory where they were used, else in the store; with rules and labels as shown."""

from __future__ import annotations

from dataclasses import replace

from ecg_core.schema import Analysis, Record
from ecg_core.studies.analyses import load_shown, load_stored, save_shown
from ecg_core.studies.store import Store

from . import engine
from .jobs import AnalysisKey, LabelEdit, all_labels

Edits = tuple[LabelEdit, ...]


class WindowAnalyses:
    """Analyses by what they were made from."""

    def __init__(self, store: Store) -> None:
        self.by_key: dict[AnalysisKey, Analysis] = {}
        self._store = store
        self._shown: tuple[tuple[AnalysisKey, Edits, Analysis], Analysis] | None = None  # the last one with labels
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

    def labelled(self, key: AnalysisKey, edits: Edits, base: Analysis) -> Analysis:
        """An analysis by the rules of its key, with the labels of edits."""
        if base.rules == key.rules and edits in ((), key.fitted_labels):
            return base
        wanted = (key, edits, base)
        if self._shown is None or self._shown[0] != wanted:
            self._shown = (wanted, self._with_labels(key, edits, base))
        return self._shown[1]

    def _with_labels(self, key: AnalysisKey, edits: Edits, base: Analysis) -> Analysis:
        """What rules and edits make of an analysis: as it was stored, or measured now."""
        found = load_shown(self._store, key, edits, base)
        if found is not None:
            self._kept = (key, edits)
            return found
        if edits in ((), key.fitted_labels):
            return engine.with_rules(base, key.rules)
        return engine.labelled(replace(base, rules=key.rules), all_labels(edits))

    def keep_shown(self) -> None:
        """Store what was shown last, so that the next opening measures nothing; where nothing changed, do nothing."""
        if self._shown is None:
            return
        (key, edits, _base), analysis = self._shown
        if self._kept != (key, edits):
            save_shown(self._store, key, edits, analysis)
            self._kept = (key, edits)

    def forget(self, record_sha256: str) -> None:
        """Drop the analyses of a record from memory."""
        self.by_key = {key: analysis for key, analysis in self.by_key.items() if key.record_sha256 != record_sha256}
        if self._shown is not None and self._shown[0][0].record_sha256 == record_sha256:
            self._shown = None
