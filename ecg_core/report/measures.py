"""The measures of a report in the order of reading, each with its unit and denominator, or the reason for no value."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ..clock import duration_text
from ..edits import MARKED_NAMES, Stretch
from ..labels import CLASSES, NAME
from ..rhythm.burden import HOUR_S, summarise_episodes
from ..rhythm.danger import has_all_beats
from ..rhythm.domain_shift import DOUBTFUL, LEAST_BEATS, domain_shift
from ..rhythm.doubt import UNCERTAIN_FROM, is_uncertain
from ..rhythm.hrv import MIN_INTERVALS
from ..rhythm.intervals import CLEAR_SCORE, follows_previous
from ..rhythm.uncertainty import COVERED, DAY_S, LEAST_OF_DAY, USUAL_PER_DAY
from ..rules import RhythmRules
from ..schema import Analysis, Ectopy, Episodes, RhythmEvent
from ..text import plural
from .dangers import DANGER_NAMES, NOTHING, UNJUDGED, at_least_text, dangers, known_text, run_text
from .statements import IN_TABLE

GROUPS: Final = {
    "danger": "VF, asystole, sustained VT",
    "recording": "Recording",
    "rate": "Heart rate",
    "v": "Ventricular ectopy",
    "s": "Supraventricular ectopy",
    "af": "Atrial fibrillation",
    "pauses": "Pauses and unusual rates",
    "hrv": "Heart rate variability",
}
# Groups of each column of a page; what is of danger stands above them.
COLUMNS: Final = (("recording", "rate", "af", "pauses"), ("v",), ("s", "hrv"))
YES_NO: Final = "1 = yes"
MINUTE_S = 60.0
UNJUDGED_TIMES: Final = tuple(f"{kind}_time" for kind in UNJUDGED)
SHORT_S = 10.0  # a shorter length has a decimal
# Analysable time from which on ectopy is called high or excessive: these are limits of recordings of a day or two, and
# in a few minutes they are passed by one or two beats.
VERDICT_MIN_S: Final = HOUR_S
TOO_LITTLE: Final = f"less than {VERDICT_MIN_S / HOUR_S:g} h of analysable signal"
PLURALS: Final = ("beats", "couplets", "runs", "episodes", "pauses")
BURDEN: Final = {"v": ("pvc_burden", "PVC burden"), "s": ("sve_burden", "SVE burden")}


@dataclass(frozen=True)
class Measure:
    """One line of a report."""

    group: str  # one of GROUPS
    key: str  # stable, for programs
    name: str
    value: float | None  # None where it could not be measured
    unit: str = ""
    of: str = ""  # its denominator, or how it is measured
    at_s: float | None = None  # the moment it belongs to
    why: str = ""  # the reason where there is no value
    decimals: int = 0
    at_least: bool = False  # the value is a lower limit: an edge lies in signal that is not analysable

    @property
    def text(self) -> str:
        """The value with its unit, for readers; a dash where there is none, minutes from one minute on."""
        if self.value is None:
            return "–"
        if self.unit == YES_NO:
            return "yes" if self.value else "no"
        if self.unit == "s" and self.value >= MINUTE_S:
            return at_least_text(self.at_least) + duration_text(self.value)
        if self.unit == "%":
            return at_least_text(self.at_least) + percent_text(self.value, self.decimals)
        number = f"{at_least_text(self.at_least)}{self.value:,.{self.decimals}f}"
        unit = self.unit.replace("ms2", "ms²")
        if number == "1" and unit in PLURALS:
            unit = unit[:-1]
        return f"{number} {unit}".strip()


def percent_text(value: float, decimals: int) -> str:
    """A percentage; what is there and would be printed as zero is below the smallest number that is printed."""
    smallest = 10.0**-decimals
    if 0 < value < smallest / 2:
        return f"below {smallest:g} %"
    return f"{value:,.{decimals}f} %"


def format_edits(analysis: Analysis) -> str:
    """What a reader changed: labels, beats deleted and inserted, stretches and rhythms marked; empty for nothing."""
    changes = analysis.changes
    parts = [_format_labels(analysis)] if len(analysis.labelled) else []
    for times_s, done in ((changes.deleted_s, "deleted"), (changes.inserted_s, "inserted")):
        parts += [f"{len(times_s):,} {'beat' if len(times_s) == 1 else 'beats'} {done}"] if times_s else []
    marked = [("artefact", stretch) for stretch in changes.artefact]
    marked += [("analysable", stretch) for stretch in changes.analysable]
    marked += [(MARKED_NAMES[mark.rhythm].lower(), Stretch(*mark[:2])) for mark in changes.marks]
    for name in dict.fromkeys(name for name, _ in marked):
        total_s = sum(stretch.end_s - stretch.start_s for other, stretch in marked if other == name)
        length = duration_text(total_s) if total_s >= SHORT_S else f"{total_s:.1f} s"
        parts.append(f"{length} marked as {name}")
    return "; ".join(parts)


def _format_labels(analysis: Analysis) -> str:
    """How many beats a reader labelled, and how many of these labels the model was fine-tuned to."""
    n, n_fitted = len(analysis.labelled), analysis.n_fitted
    them, of_them = ("it", "it") if n == 1 else ("them", f"{n_fitted:,} of them")
    of_them = f"{plural(n_fitted, 'beat')}, deleted ones among them" if analysis.changes.deleted_s else of_them
    fitted = f"fine-tuned to {of_them}" if n_fitted else f"not fine-tuned to {them}"
    return f"{plural(n, 'beat')} labelled by a reader, model {fitted}"


def measures(analysis: Analysis) -> tuple[Measure, ...]:
    """Everything that was measured; a value that is not finite becomes None, with the reason.

    Examples
    --------
    >>> from ecg_core import analyse, load_model, read_record
    >>> analysis = analyse(read_record("demo_data/demo"), load_model(), lead="II")
    >>> {measure.key: measure.text for measure in measures(analysis)}["duration"]
    '30 min'

    """
    every = [
        *_dangers(analysis),
        *_recording(analysis),
        *_rate(analysis),
        *_ectopy(analysis, analysis.burden.v),
        *_ectopy(analysis, analysis.burden.s),
        *_doubt(analysis),
        *_atrial_fibrillation(analysis),
        *_pauses(analysis),
        *_variability(analysis),
        *_idioventricular(analysis),
    ]
    return tuple(_checked(measure, analysis) for measure in every)


def _checked(measure: Measure, analysis: Analysis) -> Measure:
    """The measure with a finite value and no reason, or with no value and a reason.

    That nothing was found where no signal is analysable is no finding: such a zero is no value.
    """
    is_finding = measure.group != "recording" and measure.key not in UNJUDGED_TIMES
    if not analysis.burden.analysable_s and not measure.value and is_finding:
        return replace(measure, value=None, why=NOTHING)
    if measure.value is not None and np.isfinite(measure.value):
        return replace(measure, why="")
    if measure.group == "danger":
        return replace(measure, value=None)  # measured without beats
    if not len(analysis.beats):
        return replace(measure, value=None, why="no beat was found")
    if not analysis.burden.n_beats:
        return replace(measure, value=None, why="no analysable beat")
    return replace(measure, value=None, why=measure.why or "no data")


def _dangers(analysis: Analysis) -> Iterator[Measure]:
    """What a report begins with, and the time that was looked at without being analysable."""
    burden, rules, group = analysis.burden, analysis.rules, "danger"
    found = float(bool(dangers(analysis)))
    yield Measure(group, "danger_found", "VF, asystole or sustained VT", found, YES_NO, "certain or suspected")
    vf_how = f"fibrillation or flutter of at least {rules.vf_min_s:g} s"
    sustained = summarise_episodes(analysis.events, "vt_sustained")
    for key, episodes, how in (
        ("vf", burden.vf, vf_how),
        ("vf_suspected", burden.vf_suspected, vf_how),
        ("asystole", burden.asystoles, f"no beat for at least {rules.asystole_s:g} s"),
        ("vt_sustained", sustained, f"longer than {rules.sustained_s:g} s"),
    ):
        name = DANGER_NAMES[key]
        at_least = any(event.at_least for event in analysis.events if event.kind == key)
        yield Measure(group, f"{key}_episodes", f"Episodes of {name}", episodes.n, "episodes", how)
        yield Measure(group, f"{key}_time", f"Time in {name}", episodes.total_s, "s", decimals=1, at_least=at_least)
        yield from _peak(group, f"{key}_longest", f"Longest {name}", episodes.longest, "duration_s", "s", "no episode")
    for kind, name, how in (
        ("not_analysable", "Time not analysable", known_text(analysis, "not_analysable")),
        ("no_signal", "Time without signal", "all analysed leads flat or missing"),
        ("artefact", "Time marked as artefact", f"by a reader; {known_text(analysis, 'artefact')}"),
    ):
        total_s = summarise_episodes(analysis.events, kind).total_s
        yield Measure(group, f"{kind}_time", name, total_s, "s", how, decimals=1)


def _recording(analysis: Analysis) -> Iterator[Measure]:
    burden = analysis.burden
    group = "recording"
    yield Measure(group, "analysable_time", "Analysable time", burden.analysable_s, "s", "without VF", decimals=1)
    yield Measure(
        group, "artefact_share", "Without analysable beats", 100 - burden.analysable_pct, "%", "duration", decimals=2
    )
    yield Measure(group, "duration", "Duration", burden.duration_s, "s", decimals=1)
    yield Measure(group, "analysable_beats", "Analysable beats", burden.n_beats, "beats")
    n_unusable = burden.n_unusable_beats
    yield Measure(group, "beats_in_unusable_signal", "Beats not analysable", n_unusable, "beats", "not counted")
    for label, n in zip(CLASSES, burden.count.tolist(), strict=True):
        yield Measure(group, f"beats_{label}", NAME[label], n, "beats", _beats(analysis))
    yield Measure(group, "beats_told", "Labelled by a reader", len(analysis.labelled), "beats", _beats(analysis))
    yield from _domain_shift(analysis)


def _domain_shift(analysis: Analysis) -> Iterator[Measure]:
    """How far the recording lies from what the model knows."""
    shift, group, how = domain_shift(analysis), "recording", f"beats with no class of probability {DOUBTFUL:g} or more"
    share, limit = (100 * shift.doubtful_share, shift.limit) if shift else (None, None)
    few = f"fewer than {LEAST_BEATS} analysable beats"
    yield Measure(group, "doubtful_beats", "Beats of doubtful class", share, "%", how, why=few, decimals=2)
    unlike = float(shift.is_unlike) if shift and limit is not None else None
    how = "more doubtful beats than in 99 of 100 training recordings"
    why = "the training recordings of the model were not measured" if shift else few
    yield Measure(group, "unlike_training", "Unlike the training recordings", unlike, YES_NO, how, why=why)


def _rate(analysis: Analysis) -> Iterator[Measure]:
    burden, group = analysis.burden, "rate"
    how = f"moving average of {analysis.rules.rate_average_beats} RR, in signal of quality {CLEAR_SCORE:g} or better"
    for key, name, rate in (("min", "Lowest", burden.rate_min), ("max", "Highest", burden.rate_max)):
        yield Measure(
            group, f"heart_rate_{key}", f"{name} heart rate", rate.bpm if rate else None, "bpm", how,
            rate.time_s if rate else None, "too few consecutive RR in clear signal", 1,
        )  # fmt: skip
    mean, no_rr = burden.rate_mean_bpm, "no RR in analysable signal"
    how = how if burden.rate_min else "all counted RR, as too few consecutive ones lie in clear signal"
    yield Measure(group, "heart_rate_mean", "Mean heart rate", mean, "bpm", how, why=no_rr, decimals=1)


def _ectopy(analysis: Analysis, ectopy: Ectopy) -> Iterator[Measure]:
    letter, label, group = ectopy.label.lower(), ectopy.label, ectopy.label.lower()
    key, name = BURDEN[letter]
    beats = _beats(analysis)
    yield Measure(group, key, name, ectopy.burden_pct, "%", beats, decimals=2)
    if label == "V":
        both_pct = analysis.burden.v_and_f_pct
        yield Measure(
            group, "pvc_burden_with_fusion", "PVC burden with fusion (V + F)", both_pct, "%", beats, decimals=2
        )
    how = f"holds the burden of {100 * COVERED:.0f} % of new patients, by the spread between those of the calibration"
    none = "the model was not calibrated"
    for edge, limit, value in zip(("low", "high"), ("lower", "upper"), ectopy.interval_pct, strict=True):
        yield Measure(group, f"{key}_{edge}", f"{name}, {limit} 95 % limit", value, "%", how, why=none, decimals=2)
    if label == "V":
        points, least_h = analysis.burden.pvc_error_points, LEAST_OF_DAY * DAY_S / HOUR_S
        how = "compared with two weeks of recording (Krumerman 2024)"
        short = f"measured for recordings from 24 h on, at least {least_h:g} h of them analysable"
        high_pct, is_long = analysis.rules.pvc_burden_high_pct, analysis.burden.analysable_s >= VERDICT_MIN_S
        is_high = float(ectopy.burden_pct > high_pct) if is_long and ectopy.burden_pct >= 0 else None
        yield Measure(
            group, "pvc_burden_is_high", "High PVC burden", is_high, YES_NO, f"above {high_pct:g} %", why=TOO_LITTLE
        )
        yield Measure(
            group, "pvc_burden_error", "PVC burden, expected error", points, "points", how, why=short, decimals=1
        )
    yield Measure(group, f"{letter}_total", f"{label} beats", ectopy.n_beats, "beats", beats)
    yield Measure(
        group, f"{letter}_per_hour", f"{label} per hour", ectopy.per_hour, "/h", "analysable time", decimals=1
    )
    name, how = f"Most {label} in an hour from the start", "hours of the recording, which are not those of the clock"
    yield Measure(group, f"{letter}_most_in_an_hour", name, ectopy.most_in_an_hour, "beats", how)
    yield Measure(
        group, f"{letter}_usual_per_day", f"{label} per day, healthy 97.5th percentile", ectopy.usual_per_day, "/day",
        "healthy people of this age (Hashimoto 2023)", why=_no_usual(label, analysis.record.age_years),
    )  # fmt: skip
    yield from _complexity(analysis.rules, ectopy)
    for threshold, n in ectopy.at_thresholds:
        title = f"{label}, probability {threshold:g} or more"
        how = f"beats with a calibrated probability of {label} of at least {threshold:g}"
        yield Measure(group, f"{letter}_at_{threshold:g}", title, n, "beats", how)
    if label == "S":
        yield _excess(analysis, ectopy)


def _no_usual(label: str, age_years: int | None) -> str:
    """Why it is not known how many ectopic beats a day are usual."""
    first, *_, last = USUAL_PER_DAY[label]
    return "age unknown" if age_years is None else f"known for ages of {first[0]} to {last[1]} only"


def _complexity(rules: RhythmRules, ectopy: Ectopy) -> Iterator[Measure]:
    letter = group = ectopy.label.lower()
    runs = ectopy.runs
    yield Measure(group, f"{letter}_singles", "Isolated beats", ectopy.singles, "beats")
    yield Measure(group, f"{letter}_couplets", "Couplets", ectopy.couplets, "couplets")
    how = f"at least {rules.run_min_beats} consecutive beats" + (", F among V counted" if letter == "v" else "")
    yield Measure(group, f"{letter}_runs", "Runs", runs.n, "runs", how)
    yield Measure(group, f"{letter}_triplets", "Triplets", ectopy.triplets, "runs", "runs of three beats")
    how = f"runs faster than {rules.vt_bpm:g} bpm"
    yield Measure(group, f"{letter}_tachycardias", "Tachycardias", ectopy.tachycardias.n, "runs", how)
    yield from _longest_run(letter, runs)
    why = "rate not measurable" if runs.n else "no run"
    yield from _peak(group, f"{letter}_fastest_run", "Fastest run", runs.fastest, "rate_bpm", "bpm", why)
    for name, episodes in (("bigeminy", ectopy.bigeminy), ("trigeminy", ectopy.trigeminy)):
        yield Measure(group, f"{letter}_{name}", name.capitalize(), episodes.n, "episodes")
        yield Measure(group, f"{letter}_{name}_beats", f"Beats in {name}", episodes.n_beats, "beats")
        yield Measure(group, f"{letter}_{name}_time", f"Time in {name}", episodes.total_s, "s", decimals=1)


def _longest_run(letter: str, runs: Episodes) -> Iterator[Measure]:
    """The longest run by beats; where they cannot all be separated, by its length, which is V's own measure."""
    longest = runs.most_beats
    name, key = "Longest run", f"{letter}_longest_run"
    if longest and not has_all_beats(longest):
        yield Measure(letter, key, name, None, "beats", at_s=longest.start_s, why=run_text(longest, rate=""))
    else:
        yield from _peak(letter, key, name, longest, "n_beats", "beats", "no run")
    if letter == "v":
        yield from _peak(letter, f"{key}_time", "Longest run, time", runs.longest, "duration_s", "s", "no run")


def _peak(
    group: str, key: str, name: str, event: RhythmEvent | None, what: str, unit: str, why: str
) -> Iterator[Measure]:
    value = None if event is None else float(getattr(event, what))
    at_s = None if event is None else event.start_s
    at_least = event is not None and event.at_least and what == "duration_s"
    yield Measure(group, key, name, value, unit, "", at_s, why, 0 if what == "n_beats" else 1, at_least)


def _excess(analysis: Analysis, ectopy: Ectopy) -> Measure:
    """Whether S is excessive: proven by a run in any recording, by the number an hour in one of VERDICT_MIN_S only."""
    rules, burden, longest = analysis.rules, analysis.burden, ectopy.runs.most_beats
    by_run = longest is not None and longest.n_beats >= rules.excess_s_run
    is_known = by_run or (burden.n_beats > 0 and burden.analysable_s >= VERDICT_MIN_S)
    much = float(by_run or ectopy.per_hour >= rules.excess_s_per_hour) if is_known else None
    how = f"at least {rules.excess_s_per_hour:g} S/h, or a run of at least {rules.excess_s_run} beats (Binici 2010)"
    return Measure("s", "s_excessive", "Excessive supraventricular ectopy", much, YES_NO, how, why=TOO_LITTLE)


def _doubt(analysis: Analysis) -> Iterator[Measure]:
    doubt, group, how = analysis.burden.s_doubt, "s", f"doubt about the S count of at least {UNCERTAIN_FROM:g}"
    score, old = (doubt.score if doubt else None), "measured by an earlier version"
    uncertain = float(is_uncertain(doubt)) if doubt else None
    yield Measure(group, "sve_doubt", "Doubt about the S count", score, "", "0 to 1", why=old, decimals=2)
    yield Measure(group, "sve_uncertain", "S count uncertain", uncertain, YES_NO, how, why=old)


def _atrial_fibrillation(analysis: Analysis) -> Iterator[Measure]:
    burden, group, af = analysis.burden, "af", analysis.burden.af
    how = "analysable time of this recording"
    is_open = bool(burden.analysable_s) and math.isnan(burden.af_burden_pct)
    total_s = None if is_open else af.total_s
    why = f"no episode of {analysis.rules.af_min_s:g} s or longer; see AF over the whole recording" if is_open else ""
    yield Measure(group, "af_burden", "AF burden", burden.af_burden_pct, "%", how, why=why, decimals=2)
    yield Measure(group, "af_episodes", "Episodes", af.n, "episodes")
    yield Measure(group, "af_time", "Time in AF", total_s, "s", "analysable time", why=why, decimals=1)
    yield from _peak(group, "af_longest", "Longest episode", af.longest, "duration_s", "s", "no episode")
    why = "rate not measurable" if af.n else "no episode"
    yield Measure(group, "af_rate", "Mean heart rate in AF", af.rate_bpm, "bpm", why=why, decimals=1)
    verdict, how, longer = (
        burden.af_verdict,
        "of a recording of up to a minute",
        "the recording is longer than a minute",
    )
    answer, why = (IN_TABLE[verdict.answer], f"{verdict.answer}: {verdict.reason}") if verdict else (None, longer)
    yield Measure(group, "af_verdict", "AF over the whole recording", answer, YES_NO, how, why=why)
    why = "not by the probability of a network" if verdict else longer
    probability = verdict.probability if verdict else None
    yield Measure(
        group, "af_verdict_probability", "Probability of AF over the whole recording", probability, "", how, why=why,
        decimals=2,
    )  # fmt: skip


def _pauses(analysis: Analysis) -> Iterator[Measure]:
    burden, rules, group = analysis.burden, analysis.rules, "pauses"
    how = f"RR of at least {rules.pause_s:g} s; those of {rules.af_pause_s:g} s or more in AF are counted apart"
    yield Measure(group, "pauses", "Pauses", burden.pauses.n, "pauses", how)
    longest = longest_rr(analysis)
    yield Measure(
        group, "longest_rr", "Longest RR", longest.duration_s if longest else None, "s", "",
        longest.start_s if longest else None, "no RR in analysable signal", 2,
        bool(longest and longest.at_least),
    )  # fmt: skip
    how = f"RR of at least {rules.af_pause_s:g} s in AF"
    yield Measure(group, "af_pauses", "Pauses in AF", burden.af_pauses.n, "pauses", how)
    how = f"RR of at least {rules.long_rr_s:g} s, shorter than a pause"
    yield Measure(group, "long_rr", "Long RR", burden.long_rr.n, "RR", how)
    for key, name, episodes, limit in (
        ("bradycardia", "Bradycardia", burden.slow, f"below {rules.slow_bpm:g} bpm"),
        ("tachycardia", "Tachycardia", burden.fast, f"above {rules.fast_bpm:g} bpm"),
    ):
        how = f"{limit} for at least {rules.rate_min_s:g} s"
        yield Measure(group, f"{key}_episodes", name, episodes.n, "episodes", how)
        yield Measure(group, f"{key}_time", f"Time in {key}", episodes.total_s, "s", decimals=1)


def longest_rr(analysis: Analysis) -> RhythmEvent | None:
    """The longest RR, be it a pause or not; None where no beat follows another in analysable signal."""
    burden, beats = analysis.burden, analysis.beats
    of_kinds = (burden.pauses, burden.af_pauses, burden.asystoles, burden.long_rr)
    every = [episodes.longest for episodes in of_kinds if episodes.longest]
    if every:
        return max(every, key=lambda event: event.duration_s)
    ends = np.flatnonzero(follows_previous(beats))
    if not len(ends):
        return None
    last = int(ends[beats.rr_s[ends].argmax()])
    start_s, end_s = float(beats.time_s[last - 1]), float(beats.time_s[last])
    return RhythmEvent("long_rr", start_s, end_s, 2, 60.0 / (end_s - start_s))


def _variability(analysis: Analysis) -> Iterator[Measure]:
    hrv, group = analysis.burden.variability, "hrv"
    rules = analysis.rules
    how = f"RR of {rules.rate_min_rr_s:g} to {rules.rate_max_rr_s:g} s between normal beats, outside AF, VT and VF"
    segment_s = rules.segment_s
    covered = f"{segment_s:g}-s segments with at least 80 % NN coverage"
    few, none = f"fewer than {MIN_INTERVALS} NN intervals", f"too few {segment_s:g}-s segments covered"
    apart = few if hrv.n_intervals < MIN_INTERVALS else "no NN interval follows another"
    yield Measure(group, "nn_intervals", "NN intervals", hrv.n_intervals, "RR", how)
    yield Measure(group, "nn_coverage", "NN coverage", hrv.coverage_pct, "%", "analysable time", decimals=1)
    yield Measure(group, "sdnn", "SDNN", hrv.sdnn_ms, "ms", how, why=few, decimals=1)
    yield Measure(group, "sdann", "SDANN", hrv.sdann_ms, "ms", covered, why=none, decimals=1)
    yield Measure(group, "rmssd", "RMSSD", hrv.rmssd_ms, "ms", how, why=apart, decimals=1)
    yield Measure(group, "pnn50", "pNN50", hrv.pnn50_pct, "%", how, why=apart, decimals=1)
    yield Measure(group, "lf", "LF power", hrv.lf_ms2, "ms2", covered, why=none)
    yield Measure(group, "hf", "HF power", hrv.hf_ms2, "ms2", covered, why=none)
    yield Measure(group, "lf_hf", "LF/HF", hrv.lf_hf, "", covered, why=none, decimals=2)


def _idioventricular(analysis: Analysis) -> Iterator[Measure]:
    episodes, group = analysis.burden.idioventricular, "v"
    how = f"V in a row, {analysis.rules.vt_bpm:g} bpm or slower, {analysis.rules.idioventricular_min_s:g} s or longer"
    yield Measure(group, "idioventricular_episodes", "Idioventricular rhythm", episodes.n, "episodes", how)
    how = "in no count of V and not in the PVC burden"
    yield Measure(group, "idioventricular_beats", "Idioventricular beats", episodes.n_beats, "beats", how)
    yield Measure(group, "idioventricular_time", "Time in idioventricular rhythm", episodes.total_s, "s", decimals=1)


def _beats(analysis: Analysis) -> str:
    n = analysis.burden.n_beats
    return f"{n} analysable {'beat' if n == 1 else 'beats'}"
