"""Analyses of one record by several models, compared with each other and with the reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ecg_core.clock import clock_text
from ecg_core.evaluation.comparison import (
    ABSENT,
    Differences,
    Disagreements,
    compare_beats,
    disagreements,
    labels_at,
    reference_beats,
)
from ecg_core.evaluation.ec57 import CONFUSION_COLUMNS, CONFUSION_ROWS, Score, statistics
from ecg_core.evaluation.matching import AF_RHYTHMS, overlap_s, rhythm_spans
from ecg_core.figures import MARGIN_PX, STANDARD, Theme, strip_figure, strip_text
from ecg_core.labels import CLASSES
from ecg_core.report.strip_selection import readable_lead
from ecg_core.schema import Analysis, Annotations, Record

from . import engine
from .page_width import paper_seconds
from .view import cached, nearest_beat, strip, strip_start_s
from .wording import NONE, number, percent, plural

REFERENCE = "reference"
STRIP_S = 10.0  # at most
STRIP_FRACTION, GAP_PX = 3 / 5, 28  # of the page for the strip beside the list, and pixels between the two
NAME_PX = 18  # wider margin, for the names of the models beside the lanes of their classes
EC57_ROWS = {
    "QRS Se / +P": ("qrs_se", "qrs_ppv"),
    "V Se / +P": ("v_se", "v_ppv"),
    "V F1": ("v_f1",),
    "S Se / +P": ("s_se", "s_ppv"),
    "S F1": ("s_f1",),
    "F Se / +P": ("f_se", "f_ppv"),
    "Accuracy": ("accuracy",),
    "Accuracy if every beat were N": ("always_n_accuracy",),
}


@dataclass(frozen=True, eq=False)
class Pair:
    """An analysis, and another one or the reference to compare it with."""

    one: Analysis
    other: Analysis | None  # None: the reference
    differences: Differences

    @property
    def other_name(self) -> str:
        """Name of the other model, or of the reference."""
        return REFERENCE if self.other is None else self.other.model.name

    @property
    def name(self) -> str:
        """Both names, and how often they differ."""
        return f"{self.one.model.name} vs {self.other_name}: {plural(len(self.differences.time_s), 'difference')}"


@dataclass(frozen=True, eq=False)
class Comparison:
    """Scores and differences of some analyses."""

    analyses: tuple[Analysis, ...]
    scores: tuple[Score, ...]  # none where the record has no reference
    pairs: tuple[Pair, ...]


def compare(analyses: Sequence[Analysis]) -> Comparison:
    """Compare analyses of one record; computed once for each choice of them."""
    return cached("comparison", tuple(analyses), lambda: _compare(tuple(analyses)))


def _compare(analyses: tuple[Analysis, ...]) -> Comparison:
    pairs = []
    if len(analyses) == 2:
        one, other = analyses
        pairs.append(Pair(one, other, compare_beats(one.beats, other.beats)))
    if analyses[0].record.reference is None:
        return Comparison(analyses, (), tuple(pairs))
    for analysis in analyses:
        found = disagreements(analysis)
        pairs.append(Pair(analysis, None, Differences(found.time_s, found.found, found.reference)))
    return Comparison(analyses, tuple(map(engine.score, analyses)), tuple(pairs))


def scores_table(comparison: Comparison) -> pd.DataFrame:
    """EC57 statistics in per cent, a column for each model."""
    columns = {}
    for analysis, score in zip(comparison.analyses, comparison.scores, strict=True):
        value = statistics(score)
        columns[analysis.model.name] = [
            " / ".join(number(100 * value[key], 1) for key in keys) for keys in EC57_ROWS.values()
        ]
    return pd.DataFrame({"EC57, %": list(EC57_ROWS), **columns})


def confusion_table(score: Score) -> pd.DataFrame:
    """The confusion matrix of EC57: a row for each class of the reference, a column for each by the model."""
    table = pd.DataFrame(score.matrix, columns=list(CONFUSION_COLUMNS))
    table.insert(0, "Reference", list(CONFUSION_ROWS))
    return table


def burden_table(comparison: Comparison) -> pd.DataFrame:
    """Burden and counts, a column for each model, and one for the reference where there is one."""
    columns = {}
    for analysis in comparison.analyses:
        burden = analysis.burden
        n_s, n_v = (int(burden.count[CLASSES.index(label)]) for label in "SV")
        burdens_pct = (burden.pvc_burden_pct, burden.sve_burden_pct, burden.af_burden_pct)
        columns[analysis.model.name] = [
            *(percent(value) for value in burdens_pct), *(f"{n:,}" for n in (n_v, n_s, burden.n_beats)),
            percent(burden.analysable_pct),
        ]  # fmt: skip
    record = comparison.analyses[0].record
    if record.reference is not None:
        columns[REFERENCE] = _reference_column(record, record.reference)
    rows = ["PVC burden", "SVE burden", "AF burden", "V beats", "S beats", "All beats", "Analysable time"]
    return pd.DataFrame({"Burden": rows, **columns})


def _reference_column(record: Record, reference: Annotations) -> list[str]:
    label = reference_beats(record)[1]
    n_v, n_s, n = int((label == "V").sum()), int((label == "S").sum()), len(label)
    burdens = [number(100 * count / n, 1, " %") if n else NONE for count in (n_v, n_s)]
    spans = rhythm_spans(reference, AF_RHYTHMS, record.duration_s)
    whole = [(0.0, record.duration_s)]
    af = NONE if spans is None else number(100 * overlap_s(spans, whole) / record.duration_s, 1, " %")
    return [*burdens, af, f"{n_v:,}", f"{n_s:,}", f"{n:,}", NONE]


def kinds(differences: Differences) -> dict[str, tuple[str, str]]:
    """Kinds of differences, the most frequent first: the two classes by the name of the kind."""
    pairs = list(zip(differences.one.tolist(), differences.other.tolist(), strict=True))
    return {
        f"{format_label(one)} / {format_label(other)} ({count:,})": (one, other)
        for (one, other), count in Counter(pairs).most_common()
    }


def format_label(label: str) -> str:
    """A class in words where there is no beat."""
    return "no beat" if label == ABSENT else label


def of_kind(differences: Differences, kind: tuple[str, str] | None) -> Differences:
    """The differences of one kind; all where no kind is given."""
    if kind is None:
        return differences
    same = (differences.one == kind[0]) & (differences.other == kind[1])
    return Differences(differences.time_s[same], differences.one[same], differences.other[same])


def differences_table(pair: Pair, differences: Differences) -> pd.DataFrame:
    """One row for each difference; for two models with the class by the reference."""
    record = pair.one.record
    columns: dict[str, Any] = {
        "Time": [clock_text(record, time_s, decimals=2) for time_s in differences.time_s.tolist()],
        pair.one.model.name: list(map(format_label, differences.one.tolist())),
        pair.other_name: list(map(format_label, differences.other.tolist())),
    }
    if pair.other is not None and record.reference is not None:
        columns[REFERENCE] = list(map(format_label, labels_at(differences.time_s, *reference_beats(record)).tolist()))
    return pd.DataFrame(columns)


def difference_strip(pair: Pair, time_s: float, *, theme: Theme) -> tuple[Any, str]:
    """The signal around a difference, with the classes by the one above it and those by the other below it; in words.

    Returns
    -------
    The figure, and the text that stands for it.

    """
    analysis, other = pair.one, pair.other
    record = analysis.record
    length_s = min(STRIP_S, paper_seconds(STANDARD, MARGIN_PX + NAME_PX + GAP_PX, fraction=STRIP_FRACTION))
    start_s = strip_start_s(record, time_s, length_s)
    lead_name = readable_lead(analysis, analysis.lead_names[0], time_s, time_s)
    piece = strip(record, lead_name, start_s=start_s, length_s=length_s)
    if other is not None:  # drawn where the reference usually is
        marks = Annotations(other.beats.time_s, other.beats.label, np.full(len(other.beats), ""))
        analysis = replace(analysis, record=replace(record, reference=marks))
    differ = Disagreements(pair.differences.time_s, pair.differences.one, pair.differences.other)
    beat = nearest_beat(analysis, time_s)
    figure = strip_figure(analysis, (piece,), length_s=length_s, selected=beat, differ=differ, theme=theme)
    names = [analysis.model.name, "ref." if other is None else pair.other_name]
    figure.update_layout(yaxis2={"ticktext": names[:1]}, yaxis3={"ticktext": names[1:]})
    figure.update_layout(margin={"l": figure.layout.margin.l + NAME_PX}, width=figure.layout.width + NAME_PX)
    return figure, strip_text(pair.one, (start_s, start_s + length_s), [lead_name])
