"""Results of the core as the tables and facts of the pages."""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from importlib import metadata
from typing import Final

import numpy as np
import pandas as pd

from ecg_core import __version__
from ecg_core.clock import clock_text, duration_text
from ecg_core.evaluation.comparison import ABSENT, Disagreements
from ecg_core.labels import MATCH_WINDOW_S, NAME
from ecg_core.morphology.measurements import qrs_width_s, template_correlation
from ecg_core.records import ASSUMED_PER_MV
from ecg_core.report.dangers import length_text
from ecg_core.report.measures import GROUPS, measures
from ecg_core.report.periods import PeriodLine, hour_lines
from ecg_core.rhythm.events import MOST_SERIOUS_FIRST
from ecg_core.rhythm.intervals import local_rr_s
from ecg_core.rules import RhythmRules, rules_from
from ecg_core.schema import Analysis, Burden, Index, Quality, Record, RhythmEvent

from .wording import NONE, number

SHORT_NAMES: Final = {  # of the kinds of event in a table; the report has the full names
    "vf": "VF", "vf_suspected": "VF suspected", "asystole": "Asystole", "v_couplet": "V couplet", "v_run": "V run",
    "idioventricular": "Idioventricular", "vt": "NSVT", "vt_sustained": "VT sustained", "v_bigeminy": "V bigeminy",
    "v_trigeminy": "V trigeminy", "s_couplet": "SV couplet", "s_run": "SV run", "svt": "SVT",
    "svt_sustained": "SVT sustained", "s_bigeminy": "SV bigeminy", "s_trigeminy": "SV trigeminy", "af": "AF",
    "pause": "Pause", "af_pause": "Pause in AF", "long_rr": "Long RR", "bradycardia": "Bradycardia",
    "tachycardia": "Tachycardia", "not_analysable": "Not analysable", "no_signal": "No signal",
}  # fmt: skip
NO_FINDING = "No couplet, run, pattern, episode, pause or long RR was found in the analysable part."
MAX_ROWS = 1000  # of a list: nobody reads more of them one by one


def rate_card(record: Record, burden: Burden) -> tuple[str, str, str]:
    """Lowest, mean and highest heart rate, and the clock time of the extremes."""
    low, high = burden.rate_min, burden.rate_max
    if low is None or high is None:
        return "Heart rate", NONE, "too few beats in clear signal"
    times = f"min at {clock_text(record, low.time_s)}, max at {clock_text(record, high.time_s)}"
    return "Heart rate, min / mean / max", f"{low.bpm:.0f} / {burden.rate_mean_bpm:.0f} / {high.bpm:.0f} bpm", times


def by_severity(events: Sequence[RhythmEvent]) -> list[RhythmEvent]:
    """Events with the more serious kinds first; within a kind the longer, then the earlier first."""
    rank = {kind: rank for rank, kind in enumerate(MOST_SERIOUS_FIRST)}
    return sorted(events, key=lambda event: (rank[event.kind], -event.n_beats, -event.duration_s, event.start_s))


def events_table(analysis: Analysis, events: Sequence[RhythmEvent]) -> pd.DataFrame:
    """Events as a table, in their order."""
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
    name = SHORT_NAMES[event.kind]
    return f"{name}, {length_text(event)}" if event.at_least else name


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
        "Analysable": f"{line.analysable_s / 60:.1f} min",
        "Beats": line.n_beats,
        "V": line.n_of("V"),
        "V, %": round(line.v_pct, 1) if line.n_beats else None,
        "S": line.n_of("S"),
        "Runs V / S": " / ".join(map(str, line.runs)),
        "Pauses": line.n_pauses,
        "AF, min": round(line.af_s / 60, 1),
        "HR min / mean / max, bpm": " / ".join(number(rate) for rate in line.rates_bpm),
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
        ("Reference", _reference(analysis, time_s, differ)),
    ]


def _class(analysis: Analysis, beat: int) -> str:
    if not analysis.beats.usable[beat]:
        return "none: signal not analysable, beat not counted until you label it"
    label = str(analysis.beats.label[beat])
    return f"{label}, {NAME[label].lower()}" + (", labelled by you" if beat in analysis.labelled else "")


def _waveform_facts(analysis: Analysis, beat: int) -> list[tuple[str, str]]:
    lead = analysis.lead_names[0]
    width_s, correlation = qrs_width_s(analysis, beat, lead), template_correlation(analysis, beat, lead)
    return [
        ("QRS width", f"about {1000 * width_s:.0f} ms in lead {lead}" if math.isfinite(width_s) else "not measurable"),
        (
            "Morphology",
            f"correlation {correlation:.2f} with the normal beats around it"
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


def _reference(analysis: Analysis, time_s: float, differ: Disagreements) -> str:
    if analysis.record.reference is None:
        return "this record has none"
    near = np.flatnonzero(np.abs(differ.time_s - time_s) <= MATCH_WINDOW_S)
    if not len(near):
        return "agrees"
    label = str(differ.reference[near[0]])
    return "has no beat here" if label == ABSENT else label


def rules_table(rules: RhythmRules) -> pd.DataFrame:
    """The rules of an analysis, to be edited."""
    rows = [(rule.says, float(rule.value), rule.unit, rule.source) for rule in rules.rows()]
    return pd.DataFrame(rows, columns=["Rule", "Value", "Unit", "Source"])


def edited_rules(rules: RhythmRules, edits: dict[int, dict[str, float | None]]) -> RhythmRules:
    """Rules with the edits, by row, to the table of ``rules_table``; an emptied cell means the default."""
    keys, default = [rule.key for rule in rules.rows()], RhythmRules()
    values = {rule.key: f"{rule.value:g}" for rule in rules.rows()}
    for row, edit in edits.items():
        value = edit.get("Value")
        values[keys[row]] = f"{getattr(default, keys[row]) if value is None else value:g}"
    return rules_from(values)


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
        ("Sampling rate", f"{record.fs_hz:g} Hz"),
        *([("Entered by hand", record.overrides.text)] if record.overrides.text else []),
        ("Length", f"{duration_text(record.duration_s)} ({record.n_samples:,} samples)"),
        (
            "Start",
            f"{record.start:%Y-%m-%d %H:%M:%S}" if record.start else "unknown; times are elapsed times",
        ),
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
    return "none" if record.reference is None else f"{len(record.reference.time_s):,} annotations"


def versions() -> list[tuple[str, str]]:
    """Versions of this program and of its main libraries."""
    libraries = ("torch", "streamlit", "numpy", "scipy", "wfdb", "plotly", "pandas")
    return [
        ("ECG workstation", __version__),
        ("Python", platform.python_version()),
        *((name, metadata.version(name)) for name in libraries),
    ]
