"""Results of the core as the tables and facts of the pages."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from typing import Any, Final

import numpy as np
import pandas as pd
import streamlit as st

from ecg_core import __version__
from ecg_core.clock import clock_text, duration_text, start_text
from ecg_core.evaluation.comparison import ABSENT, Disagreements, labels_at, reference_beats
from ecg_core.labels import NAME
from ecg_core.morphology.measurements import qrs_width_s, template_correlation
from ecg_core.records import ASSUMED_PER_MV
from ecg_core.report.dangers import NOTHING, length_text
from ecg_core.report.measures import GROUPS, measures
from ecg_core.report.periods import PeriodLine, hour_lines
from ecg_core.report.statements import left_out_text
from ecg_core.report.strip_selection import readable_lead
from ecg_core.rhythm.events import KIND_NAMES, MOST_SERIOUS_FIRST, SHORT_NAMES
from ecg_core.rhythm.intervals import local_rr_s
from ecg_core.rules import RhythmRules
from ecg_core.schema import Analysis, Burden, Index, Quality, Record, RhythmEvent

from .wording import NONE, number, plural

NO_FINDING = "No couplet, run, pattern, episode, pause or long RR was found in the analysable part."
EVENT_COLUMNS: Final = {  # all of them are seen beside the hours at 1280 px
    "Beats": st.column_config.NumberColumn(width=50),
    "s": st.column_config.NumberColumn(width=48, help="Length in seconds"),
    "bpm": st.column_config.NumberColumn(width=46, help="Mean heart rate of the finding"),
}
HOUR_COLUMNS: Final = {
    "Min": st.column_config.NumberColumn(width=44, format="%.1f", help="Analysable minutes"),
    "Beats": st.column_config.NumberColumn(width=56, format="localized"),
    "V": st.column_config.NumberColumn(width=48, format="localized", help="Ventricular ectopic beats"),
    "V %": st.column_config.NumberColumn(width=44, format="%.1f", help="Of its beats, as the PVC burden: without IVR"),
    "S": st.column_config.NumberColumn(width=48, format="localized", help="Supraventricular ectopic beats"),
    "Runs V/S": st.column_config.TextColumn(width=64, help="Ventricular and supraventricular runs"),
    "Pauses": st.column_config.NumberColumn(width=54),
    "AF min": st.column_config.NumberColumn(width=54, format="%.1f", help="Minutes in atrial fibrillation"),
    "HR, bpm": st.column_config.TextColumn(width=84, help="Heart rate: lowest / mean / highest"),
}
MAX_ROWS = 1000  # of a list: nobody reads more of them one by one


def rate_card(record: Record, burden: Burden) -> tuple[str, str, str]:
    """Lowest, mean and highest heart rate, and the clock time of the extremes."""
    low, high = burden.rate_min, burden.rate_max
    if low is None or high is None:
        if math.isnan(burden.rate_mean_bpm):
            return "Heart rate", NONE, "too few beats in clear signal"
        return "Mean heart rate", f"{burden.rate_mean_bpm:.0f} bpm", "of all RR: too few lie in clear signal"
    times = f"min at {clock_text(record, low.time_s)}, max at {clock_text(record, high.time_s)}"
    return "Heart rate, min / mean / max", f"{low.bpm:.0f} / {burden.rate_mean_bpm:.0f} / {high.bpm:.0f} bpm", times


def no_finding_text(analysis: Analysis) -> str:
    """That no finding was found; without analysable signal, that none could be."""
    return NO_FINDING if analysis.burden.analysable_s else f"{NOTHING.capitalize()}: nothing can be found in it."


def by_severity(events: Sequence[RhythmEvent]) -> list[RhythmEvent]:
    """Events with the more serious kinds first; within a kind the longer, then the earlier first."""
    rank = {kind: rank for rank, kind in enumerate(MOST_SERIOUS_FIRST)}
    return sorted(events, key=lambda event: (rank[event.kind], -event.n_beats, -event.duration_s, event.start_s))


def events_table(analysis: Analysis, events: Sequence[RhythmEvent]) -> pd.DataFrame:
    """Events as a table, in their order, by their short names; see ``short_names_text``."""
    return pd.DataFrame(
        {
            "Time": [clock_text(analysis.record, event.start_s) for event in events],
            "Finding": [_finding(event) for event in events],
            "Beats": pd.array([event.n_beats or None for event in events], dtype="Int64"),
            "s": np.round([event.end_s - event.start_s for event in events], 1),
            "bpm": np.round([event.rate_bpm for event in events], 0),
        }
    )


def _finding(event: RhythmEvent) -> str:
    """Name of an event; where it may have lasted longer than could be seen, with its length as a lower limit."""
    name = short_name(event.kind)
    return f"{name}, {length_text(event)}" if event.at_least else name


def short_name(kind: str) -> str:
    """Short name of a kind of event at the begin of a cell."""
    return SHORT_NAMES[kind][:1].upper() + SHORT_NAMES[kind][1:]


def short_names_text(events: Sequence[RhythmEvent]) -> str:
    """What the short names of these events stand for, the more serious first; empty where all are plain words."""
    kinds = {event.kind for event in events}
    shown = [kind for kind in MOST_SERIOUS_FIRST if kind in kinds and SHORT_NAMES[kind] != KIND_NAMES[kind].lower()]
    says = {short_name(kind): KIND_NAMES[kind].lower() for kind in shown if SHORT_NAMES[kind][1] != " "}
    for label, word in (("V", "ventricular"), ("S", "supraventricular")):
        if any(SHORT_NAMES[kind].startswith(f"{label} ") for kind in shown):
            says[label] = word
    return "; ".join(f"{short}: {name}" for short, name in says.items())


def beats_table(analysis: Analysis, index: Index) -> pd.DataFrame:
    """Some beats in the order of their time."""
    beats = analysis.beats
    rr_ms = np.round(1000 * np.append(beats.rr_s, np.nan), 0)
    return pd.DataFrame(
        {
            "Time": [clock_text(analysis.record, time_s, decimals=2) for time_s in beats.time_s[index].tolist()],
            "Class": [f"{label}, {NAME[label].lower()}" for label in beats.label[index].tolist()],
            "Probability": np.round(beats.confidence[index].astype(np.float64), 2),
            "RR before, ms": rr_ms[index],
            "RR after, ms": rr_ms[index + 1],
        }
    )


def hours_table(analysis: Analysis) -> pd.DataFrame:
    """One row per hour, and the total."""
    return pd.DataFrame([_hour_row(line) for line in hour_lines(analysis)])


def _hour_row(line: PeriodLine) -> dict[str, object]:
    return {
        "From": line.name,
        "Min": round(line.analysable_s / 60, 1),
        "Beats": line.n_beats,
        "V": line.n_of("V"),
        "V %": round(line.v_pct, 1) if line.n_beats else None,
        "S": line.n_of("S"),
        "Runs V/S": "/".join(map(str, line.runs)),
        "Pauses": line.n_pauses,
        "AF min": round(line.af_s / 60, 1),
        "HR, bpm": "/".join(number(rate) for rate in line.rates_bpm),
    }


def beat_facts(analysis: Analysis, beat: int, differ: Disagreements) -> list[tuple[str, str]]:
    """Measurements of one beat, its class and its reference, as names and values."""
    beats = analysis.beats
    time_s, rr_s = float(beats.time_s[beat]), float(beats.rr_s[beat])
    next_rr_s = float(beats.rr_s[beat + 1]) if beat + 1 < len(beats) else float("nan")
    return [
        ("Time", clock_text(analysis.record, time_s, decimals=2)),
        ("Class", _class(analysis, beat)),
        ("RR before", number(1000 * rr_s, 0, " ms")),
        ("RR after", number(1000 * next_rr_s, 0, " ms")),
        ("Prematurity", _prematurity(rr_s, local_rr_s(beats, beat))),
        *_waveform_facts(analysis, beat),
        ("Signal quality", f"{_best_quality(analysis.quality, time_s):.2f} (0 to 1)"),
        ("Reference", _reference(analysis, beat, differ)),
    ]


def _class(analysis: Analysis, beat: int) -> str:
    if not analysis.beats.usable[beat]:
        return "none: signal not analysable, beat not counted until you label it"
    label = str(analysis.beats.label[beat])
    return f"{label}, {NAME[label].lower()}" + (", labelled by you" if beat in analysis.labelled else "")


def _waveform_facts(analysis: Analysis, beat: int) -> list[tuple[str, str]]:
    time_s = float(analysis.beats.time_s[beat])
    lead = readable_lead(analysis, analysis.lead_names[0], time_s, time_s)
    width_s, correlation = qrs_width_s(analysis, beat, lead), template_correlation(analysis, beat, lead)
    return [
        ("QRS width", f"about {1000 * width_s:.0f} ms in lead {lead}" if math.isfinite(width_s) else "not measurable"),
        (
            "Morphology",
            f"correlation {correlation:.2f} with the normal beats around it in lead {lead}"
            if math.isfinite(correlation)
            else "too few normal beats to compare with",
        ),
    ]


def _best_quality(quality: Quality, time_s: float) -> float:
    """Quality score of the best lead at a time, 0..1."""
    block = min(int(time_s / quality.block_s), quality.score.shape[1] - 1)
    return float(quality.score[:, block].max())


def _prematurity(rr_s: float, normal_s: float) -> str:
    if not (math.isfinite(rr_s) and math.isfinite(normal_s)):
        return NONE
    early_pct = 100 * (1 - rr_s / normal_s)
    direction = "earlier" if early_pct > 0 else "later"
    return f"{abs(early_pct):.0f} % {direction} than the local normal RR ({1000 * normal_s:.0f} ms)"


def _reference(analysis: Analysis, beat: int, differ: Disagreements) -> str:
    """What the reference says of a beat; one that is not counted is not compared, so that it agrees with nothing."""
    if analysis.record.reference is None:
        return "this record has none"
    time_s = analysis.beats.time_s[[beat]]
    here = np.flatnonzero((differ.time_s == time_s) & (differ.found != ABSENT))
    if len(here):
        label = str(differ.reference[here[0]])
    elif analysis.beats.usable[beat]:
        return "agrees"
    else:
        label = str(labels_at(time_s, *reference_beats(analysis.record))[0])
    return "has no beat here" if label == ABSENT else label


def rules_table(rules: RhythmRules, refused: Mapping[str, float]) -> pd.DataFrame:
    """The rules of an analysis, to be edited; what was typed and ``refused``, by rule, stands with what is wrong."""
    rows = [
        {
            "Rule": rule.says,
            "Value": float(refused.get(rule.key, rule.value)),
            "Not applied": rule.problem_of(refused[rule.key]) if rule.key in refused else "",
            "Unit": rule.unit,
            "Allowed": f"{rule.lowest:g} to {rule.highest:g}",
            "Source": rule.source,
        }
        for rule in rules.rows()
    ]
    table = pd.DataFrame(rows)
    return table if refused else table.drop(columns="Not applied")


def edited_rules(
    rules: RhythmRules, edits: Mapping[int, Mapping[str, float | None]]
) -> tuple[RhythmRules, dict[str, float]]:
    """Rules with the edits, by row, to the table of ``rules_table``, and the values that cannot be taken, by rule.

    An emptied cell means the default.
    """
    rows, default = rules.rows(), RhythmRules()
    taken: dict[str, Any] = {}
    refused: dict[str, float] = {}
    for row, edit in edits.items():
        rule, typed = rows[row], edit.get("Value")
        value = float(getattr(default, rule.key) if typed is None else typed)
        if rule.problem_of(value):
            refused[rule.key] = value
        else:
            taken[rule.key] = int(value) if rule.is_whole else value
    return replace(rules, **taken), refused


def measures_by_group(analysis: Analysis) -> dict[str, list[tuple[str, str]]]:
    """Names and values of each group of a report; a value that belongs to a time has it before it."""
    rows: dict[str, list[tuple[str, str]]] = {group: [] for group in GROUPS}
    for measure in measures(analysis):
        time = "" if measure.at_s is None else f"{clock_text(analysis.record, measure.at_s)}, "
        value = f"{time}{measure.text}" if measure.value is not None else f"not measurable: {measure.why}"
        rows[measure.group].append((measure.name, value))
    return rows


def record_facts(record: Record) -> list[tuple[str, str]]:
    """Content of the header, as names and values."""
    uncalibrated = [name for name, known in zip(record.lead_names, record.calibrated, strict=True) if not known]
    return [
        ("Leads", ", ".join(record.lead_names)),
        *([("Left out", left_out_text(record))] if record.left_out else []),
        ("Sampling rate", f"{record.fs_hz:g} Hz"),
        *([("Entered by hand", record.overrides.text)] if record.overrides.text else []),
        ("Length", f"{duration_text(record.duration_s)} ({plural(record.n_samples, 'sample')})"),
        ("Start", start_text(record)),
        (
            "Amplitude",
            f"no gain for {', '.join(uncalibrated)}: {ASSUMED_PER_MV:g} counts per mV assumed"
            if uncalibrated
            else "calibrated",
        ),
        ("Reference", _annotations(record)),
        ("Comments", " · ".join(record.comments) or "none"),
    ]


def _annotations(record: Record) -> str:
    return "none" if record.reference is None else plural(len(record.reference.time_s), "annotation")


def versions() -> list[tuple[str, str]]:
    """Versions of this program and of its main libraries."""
    libraries = ("torch", "streamlit", "numpy", "scipy", "wfdb", "plotly", "pandas")
    return [
        ("ECG workstation", __version__),
        ("Python", platform.python_version()),
        *((name, metadata.version(name)) for name in libraries),
    ]
