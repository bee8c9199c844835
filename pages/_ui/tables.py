"""Core results as the small tables and facts that the pages show."""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from importlib import metadata

import numpy as np
import pandas as pd

from ecg_core import __version__
from ecg_core.clock import clock_text, duration_text
from ecg_core.evaluation.comparison import Disagreements
from ecg_core.labels import NAME
from ecg_core.morphology.measurements import qrs_width_s, template_correlation
from ecg_core.report.measures import GROUPS, HourLine, hour_lines, measures
from ecg_core.rhythm.events import KIND_NAMES
from ecg_core.rhythm.intervals import local_rr_s
from ecg_core.rules import RhythmRules, rules_from
from ecg_core.schema import Analysis, Burden, Index, Record, RhythmEvent

NONE = "–"
MOST_ROWS = 1000  # of a list: nobody reads more of them one by one
WEIGHTIEST_FIRST = (
    "vt_sustained", "vt", "af_pause", "pause", "af", "svt_sustained", "svt", "v_run", "v_bigeminy", "v_trigeminy",
    "v_couplet", "s_run", "bradycardia", "tachycardia", "s_bigeminy", "s_trigeminy", "s_couplet", "long_rr",
)  # fmt: skip


def number(value: float, decimals: int = 0, unit: str = "") -> str:
    """A number with its unit, or a dash where there is none."""
    return f"{value:,.{decimals}f}{unit}" if math.isfinite(value) else NONE


def plural(n: int, noun: str) -> str:
    """A count of things."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def rate_card(record: Record, burden: Burden) -> tuple[str, str, str]:
    """Lowest, mean and highest heart rate, and the clock time of the extremes."""
    low, high = burden.rate_min, burden.rate_max
    if low is None or high is None:
        return "Heart rate", NONE, "too few beats for a rate"
    times = f"min at {clock_text(record, low.time_s)}, max at {clock_text(record, high.time_s)}"
    return "Heart rate, min / mean / max", f"{low.bpm:.0f} / {burden.rate_mean_bpm:.0f} / {high.bpm:.0f} bpm", times


def by_weight(events: Sequence[RhythmEvent]) -> list[RhythmEvent]:
    """Events with the weightier kinds first; within a kind the longer, then the earlier first."""
    rank = {kind: place for place, kind in enumerate(WEIGHTIEST_FIRST)}
    return sorted(events, key=lambda event: (rank[event.kind], -event.n_beats, -event.duration_s, event.start_s))


def events_shown(analysis: Analysis, events: Sequence[RhythmEvent]) -> pd.DataFrame:
    """Events as a table, in their order."""
    return pd.DataFrame(
        {
            "Time": [clock_text(analysis.record, event.start_s) for event in events],
            "Finding": [KIND_NAMES[event.kind] for event in events],
            "Beats": [event.n_beats for event in events],
            "s": np.round([event.end_s - event.start_s for event in events], 1),
            "bpm": np.round([event.rate_bpm for event in events], 0),
        }
    )


def beats_shown(analysis: Analysis, index: Index) -> pd.DataFrame:
    """Some beats in the order of their time."""
    beats = analysis.beats
    rr_ms = np.round(1000 * np.append(beats.rr_s, np.nan), 0)
    return pd.DataFrame(
        {
            "Time": [clock_text(analysis.record, time_s, decimals=2) for time_s in beats.time_s[index].tolist()],
            "Class": [f"{label}, {NAME[label].lower()}" for label in beats.label[index].tolist()],
            "Confidence": np.round(beats.confidence[index].astype(np.float64), 2),
            "RR before, ms": rr_ms[index],
            "RR after, ms": rr_ms[index + 1],
        }
    )


def hours_shown(analysis: Analysis) -> pd.DataFrame:
    """One row an hour, and the total."""
    return pd.DataFrame([_hour_row(line) for line in hour_lines(analysis)])


def _hour_row(line: HourLine) -> dict[str, object]:
    return {
        "From": line.name,
        "Readable": f"{line.analysable_s / 60:.1f} min",
        "Beats": line.n_beats,
        "V": line.n_of("V"),
        "V, %": round(line.v_pct, 1) if line.n_beats else None,
        "S": line.n_of("S"),
        "Runs V / S": " / ".join(map(str, line.runs)),
        "Pauses": line.n_pauses,
        "AF, min": round(line.af_s / 60, 1),
        "Rate, bpm": " / ".join(number(rate) for rate in line.rates_bpm),
    }


def beat_facts(analysis: Analysis, beat: int, differ: Disagreements) -> list[tuple[str, str]]:
    """What is known of one beat, measured and judged."""
    beats, quality = analysis.beats, analysis.quality
    time_s, rr_s = float(beats.time_s[beat]), float(beats.rr_s[beat])
    next_rr_s = float(beats.rr_s[beat + 1]) if beat + 1 < len(beats) else float("nan")
    usual_s = local_rr_s(beats, beat)
    block = min(int(time_s / quality.block_s), quality.score.shape[1] - 1)
    label, lead = str(beats.label[beat]), analysis.lead_names[0]
    by_reader = ", as labelled by you" if beat in analysis.labelled else ""
    width_s, like = qrs_width_s(analysis, beat, lead), template_correlation(analysis, beat, lead)
    return [
        ("Time", clock_text(analysis.record, time_s, decimals=2)),
        (
            "Class",
            f"{label}, {NAME[label].lower()}{by_reader}"
            if beats.usable[beat]
            else "not judged: unreadable signal, not counted",
        ),
        ("RR before", number(1000 * rr_s, 0, " ms")),
        ("RR after", number(1000 * next_rr_s, 0, " ms")),
        ("Prematurity", _prematurity(rr_s, usual_s)),
        ("QRS width", f"about {1000 * width_s:.0f} ms in lead {lead}" if math.isfinite(width_s) else "not measurable"),
        (
            "Likeness to usual",
            f"{like:.2f} (correlation with the normal beats around)" if math.isfinite(like) else "too few normal beats",
        ),
        (
            "Signal quality",
            f"{float(quality.score[:, block].max()):.2f} of 1",
        ),
        ("Reference", _reference(analysis, time_s, differ)),
    ]


def _prematurity(rr_s: float, usual_s: float) -> str:
    if not (math.isfinite(rr_s) and math.isfinite(usual_s)):
        return NONE
    early_pct = 100 * (1 - rr_s / usual_s)
    way = "early" if early_pct > 0 else "late"
    return f"{abs(early_pct):.0f} % {way} against the normal beats around ({1000 * usual_s:.0f} ms)"


def _reference(analysis: Analysis, time_s: float, differ: Disagreements) -> str:
    if analysis.record.reference is None:
        return "this record has none"
    near = np.flatnonzero(np.abs(differ.time_s - time_s) < 0.15)
    if not len(near):
        return "agrees"
    said = str(differ.reference[near[0]])
    return "has no beat here" if said == "-" else f"says {said}"


def rules_shown(rules: RhythmRules) -> pd.DataFrame:
    """The rules that an analysis is measured by, to be edited."""
    rows = [(rule.says, float(rule.value), rule.unit, rule.source) for rule in rules.rows()]
    return pd.DataFrame(rows, columns=["Rule", "Value", "Unit", "Source"])


def edited_rules(rules: RhythmRules, edits: dict[int, dict[str, float | None]]) -> RhythmRules:
    """Rules with the edits that were made to the table of ``rules_shown``, by row; an emptied cell is the default."""
    keys, default = [rule.key for rule in rules.rows()], RhythmRules()
    values = {rule.key: f"{rule.value:g}" for rule in rules.rows()}
    for row, edit in edits.items():
        value = edit.get("Value")
        values[keys[row]] = f"{getattr(default, keys[row]) if value is None else value:g}"
    return rules_from(values)


def measures_shown(analysis: Analysis) -> dict[str, list[tuple[str, str]]]:
    """Names and values of each group of a report, with the clock time that a value belongs to."""
    rows: dict[str, list[tuple[str, str]]] = {group: [] for group in GROUPS}
    for measure in measures(analysis):
        moment = "" if measure.at_s is None else f"{clock_text(analysis.record, measure.at_s)}, "
        value = f"{moment}{measure.text}" if measure.value is not None else measure.why
        rows[measure.group].append((measure.name, value))
    return rows


def record_facts(record: Record) -> list[tuple[str, str]]:
    """What the header says."""
    missing_metadata = [name for name, stated in zip(record.lead_names, record.calibrated, strict=True) if not stated]
    return [
        ("Leads", ", ".join(record.lead_names)),
        ("Sampling rate", f"{record.fs_hz:g} Hz"),
        *([("RecordOverrides by hand", record.overrides.text)] if record.overrides.text else []),
        ("Length", f"{duration_text(record.duration_s)} ({record.n_samples:,} samples)"),
        ("Start", f"{record.start:%Y-%m-%d %H:%M:%S}" if record.start else "not stated: times count from the start"),
        (
            "Amplitude",
            "calibrated" if not missing_metadata else f"uncalibrated in {', '.join(missing_metadata)}: mV are a guess",
        ),
        ("Reference", _marks(record)),
        ("Comments", " · ".join(record.comments) or "none"),
    ]


def _marks(record: Record) -> str:
    return "none" if record.reference is None else f"{len(record.reference.time_s):,} annotations"


def versions() -> list[tuple[str, str]]:
    """Versions of this program and of what it stands on."""
    libraries = ("torch", "streamlit", "numpy", "scipy", "wfdb", "plotly", "pandas")
    return [
        ("ECG workstation", __version__),
        ("Python", platform.python_version()),
        *((name, metadata.version(name)) for name in libraries),
    ]
