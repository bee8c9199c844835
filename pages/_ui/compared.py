"""Readings of one record beside each other and against its reference, as the Compare page shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ecg_core.clock import clock_text
from ecg_core.evaluation.comparison import (
    Differences,
    Disagreements,
    compare_beats,
    disagreements,
    labels_at,
    reference_beats,
)
from ecg_core.evaluation.ec57 import AF_RHYTHMS, Score, overlap_s, rhythm_spans, statistics
from ecg_core.figures import Theme, strip_figure
from ecg_core.labels import CLASSES
from ecg_core.schema import Analysis, Annotations, Record

from .tables import NONE, number
from .view import kept, nearest_beat, strip, strip_start_s

REFERENCE = "reference"
STRIP_S = 5.0  # at 25 mm/s beside a list
NAME_PX = 18  # wider margin, for the names of the models beside the lanes of their classes
EC57_ROWS = {
    "QRS Se / +P": ("qrs_se", "qrs_ppv"),
    "V Se / +P": ("v_se", "v_ppv"),
    "V F1": ("v_f1",),
    "S Se / +P": ("s_se", "s_ppv"),
    "S F1": ("s_f1",),
    "Accuracy": ("accuracy",),
    "Accuracy of always N": ("always_n_accuracy",),
}


class Pair(NamedTuple):
    """A reading and what it is held against: another reading, or the record's reference."""

    one: Analysis
    other: Analysis | None  # None: the reference
    differ: Differences

    @property
    def other_name(self) -> str:
        """What it is held against."""
        return REFERENCE if self.other is None else self.other.model.name

    @property
    def name(self) -> str:
        """Both, and how often they differ."""
        return f"{self.one.model.name} against {self.other_name} ({len(self.differ.time_s):,})"


class Comparison(NamedTuple):
    """All that is compared of some readings."""

    readings: tuple[Analysis, ...]
    scores: tuple[Score, ...]  # none where the record has no reference
    pairs: tuple[Pair, ...]


def compare(readings: Sequence[Analysis]) -> Comparison:
    """Compare readings of one record; computed once for each choice of them."""
    return kept("comparison", tuple(readings), lambda: _compare(tuple(readings)))


def _compare(readings: tuple[Analysis, ...]) -> Comparison:
    from .engine import scored  # noqa: PLC0415, as torch takes a second: here it is loaded already

    has_reference = readings[0].record.reference is not None
    pairs = [Pair(*readings, compare_beats(*(reading.beats for reading in readings)))] if len(readings) == 2 else []
    if has_reference:
        pairs += [Pair(reading, None, Differences(*disagreements(reading))) for reading in readings]
    return Comparison(readings, tuple(map(scored, readings)) if has_reference else (), tuple(pairs))


def scores_shown(comparison: Comparison) -> pd.DataFrame:
    """EC57 statistics in per cent, a column a model."""
    columns = {}
    for reading, score in zip(comparison.readings, comparison.scores, strict=True):
        value = statistics(score)
        columns[reading.model.name] = [
            " / ".join(number(100 * value[key], 1) for key in keys) for keys in EC57_ROWS.values()
        ]
    return pd.DataFrame({"EC57, %": list(EC57_ROWS), **columns})


def burdens_shown(comparison: Comparison) -> pd.DataFrame:
    """Burden and counts, a column a model, and one for the reference where there is one."""
    columns = {}
    for reading in comparison.readings:
        burden = reading.burden
        n_s, n_v = (int(burden.count[CLASSES.index(label)]) for label in "SV")
        shares = (burden.pvc_burden_pct, burden.sve_burden_pct, burden.af_burden_pct)
        columns[reading.model.name] = [
            *(number(share, 1, " %") for share in shares), *(f"{n:,}" for n in (n_v, n_s, burden.n_beats)),
            number(burden.analysable_pct, 1, " %"),
        ]  # fmt: skip
    record = comparison.readings[0].record
    if record.reference is not None:
        columns[REFERENCE] = _reference_column(record, record.reference)
    rows = ["PVC burden", "SVE burden", "AF burden", "V beats", "S beats", "All beats", "Readable time"]
    return pd.DataFrame({"Burden": rows, **columns})


def _reference_column(record: Record, marks: Annotations) -> list[str]:
    label = reference_beats(record)[1]
    n_v, n_s, n = int((label == "V").sum()), int((label == "S").sum()), len(label)
    share = [number(100 * count / n, 1, " %") if n else NONE for count in (n_v, n_s)]
    spans = rhythm_spans(marks, AF_RHYTHMS, record.duration_s)
    whole = [(0.0, record.duration_s)]
    af = NONE if spans is None else number(100 * overlap_s(spans, whole) / record.duration_s, 1, " %")
    return [*share, af, f"{n_v:,}", f"{n_s:,}", f"{n:,}", NONE]


def kinds(differ: Differences) -> dict[str, tuple[str, str]]:
    """How classes differ, the most frequent way first: what it is called, and the two classes."""
    ways = pd.Series(list(zip(differ.one.tolist(), differ.other.tolist(), strict=True)), dtype=object).value_counts()
    return {
        f"{format_label(one)} / {format_label(other)} ({count:,})": (one, other) for (one, other), count in ways.items()
    }


def format_label(label: str) -> str:
    """A class, or that there is no beat."""
    return "no beat" if label == "-" else label


def only(differ: Differences, way: tuple[str, str] | None) -> Differences:
    """The differences of one kind; all where no kind is named."""
    if way is None:
        return differ
    own = (differ.one == way[0]) & (differ.other == way[1])
    return Differences(differ.time_s[own], differ.one[own], differ.other[own])


def differences_shown(pair: Pair, differ: Differences) -> pd.DataFrame:
    """One row a difference; beside two models stands what the reference says."""
    record = pair.one.record
    columns: dict[str, Any] = {
        "Time": [clock_text(record, time_s, decimals=2) for time_s in differ.time_s.tolist()],
        pair.one.model.name: list(map(format_label, differ.one.tolist())),
        pair.other_name: list(map(format_label, differ.other.tolist())),
    }
    if pair.other is not None and record.reference is not None:
        columns[REFERENCE] = list(map(format_label, labels_at(differ.time_s, *reference_beats(record)).tolist()))
    return pd.DataFrame(columns)


def difference_strip(pair: Pair, time_s: float, lead_name: str, *, theme: Theme) -> Any:
    """The signal around a difference: above it the classes of the one reading, below it those of the other."""
    analysis, beats = pair.one, pair.other.beats if pair.other else None
    record = analysis.record
    start_s = strip_start_s(record, time_s, STRIP_S)
    piece = strip(record, lead_name, start_s=start_s, length_s=STRIP_S)
    if beats is not None:  # the other reading takes the lane of the reference
        marks = Annotations(beats.time_s, beats.label, np.full(len(beats), ""))
        analysis = replace(analysis, record=replace(record, reference=marks))
    differ = Disagreements(*pair.differ)
    beat = nearest_beat(analysis, time_s)
    figure = strip_figure(analysis, (piece,), length_s=STRIP_S, selected=beat, differ=differ, theme=theme)
    names = [analysis.model.name, "ref." if beats is None else pair.other_name]
    figure.update_layout(yaxis2={"ticktext": names[:1]}, yaxis3={"ticktext": names[1:]})
    figure.update_layout(margin={"l": figure.layout.margin.l + NAME_PX}, width=figure.layout.width + NAME_PX)
    return figure
