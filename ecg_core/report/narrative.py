"""The narrative of a report, drafted from its measures in plain sentences that a reader can edit.

It states what was measured and what was not looked at, draws no conclusion from it, and advises nothing. The rhythm
is never called sinus rhythm: P waves are not classified.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from ..clock import clock_of, clock_text, duration_text
from ..labels import CLASSES
from ..notes import Notes
from ..rhythm.burden import fastest_run, longest_run
from ..rules import BALANCED
from ..schema import Analysis, Ectopy, Episodes, RhythmEvent
from ..text import plural
from .dangers import NOT_ANALYSED, NOTHING_PCT, SHOWN_PCT, danger_pct, dangers, run_text, seconds_text, unjudged_texts
from .measures import format_edits, longest_rr, percent_text
from .operating import chosen_sensitivity, sensitivity_text
from .statements import doubt_text, verdict_text

FEW_PCT = 1.0  # a smaller percentage is printed with two decimals instead of one
CALM: Final = (
    "No ventricular fibrillation, asystole or sustained ventricular tachycardia found in the analysable signal."
)
NOTHING: Final = (
    "No signal is analysable: ventricular fibrillation, asystole and ventricular tachycardia cannot be excluded."
)
OLDER: Final = "written before the last change of labels, rules, leads, model or program"


def narrative_heading(notes: Notes) -> str:
    """What stands above the narrative: whose it is, and whether it may contradict the figures."""
    if not notes.narrative:
        return "Narrative, drafted from the measures"
    return f"Narrative ({OLDER})" if notes.is_narrative_older else "Narrative"


def narrative_of(analysis: Analysis, notes: Notes) -> str:
    """The narrative that a reader keeps, or else the drafted one."""
    return notes.narrative or draft_narrative(analysis)


def draft_narrative(analysis: Analysis) -> str:
    """A narrative in one paragraph a line: recording, danger, VT, pauses, AF, SVT, patterns, rates, what is missing.

    Examples
    --------
    >>> from ecg_core import analyse, load_model, read_record
    >>> analysis = analyse(read_record("demo_data/demo"), load_model(), lead="II")
    >>> draft_narrative(analysis).splitlines()[0]
    'Simulated recording of 30 min, 98.3 % of it analysable; 2,230 beats.'

    """
    paragraphs = [_recording(analysis), *(f"{text}." for text in chosen_sensitivity(analysis)), _danger(analysis)]
    if analysis.burden.n_beats:
        paragraphs += [
            _tachycardia(analysis),
            _pauses(analysis),
            _fibrillation(analysis),
            _supraventricular(analysis),
            *_patterns(analysis),
            _rates(analysis),
        ]
        if analysis.rules.sensitivity == BALANCED:  # another one stands at the beginning
            paragraphs.append(f"{sensitivity_text(analysis)}.")
    elif brief := _brief_tachycardia(analysis):
        paragraphs.append(brief)
    return "\n".join([*filter(None, paragraphs), *_missing(analysis)])


def _recording(analysis: Analysis) -> str:
    burden, record = analysis.burden, analysis.record
    simulated = "Simulated recording" if record.is_simulated else "Recording"
    in_danger_pct = danger_pct(analysis)
    danger = f", {in_danger_pct:.1f} % in VF, VT or asystole" if in_danger_pct else ""
    text = (
        f"{simulated} of {duration_text(record.duration_s)}, {_share(burden.analysable_pct)} of it analysable{danger}"
    )
    counted = f"{text}; {plural(burden.n_beats, 'beat')}." if burden.n_beats else f"{text}; no beat was counted."
    clock = "" if clock_of(record) else " Times are counted from the start of the recording."
    return counted + clock


def _share(percent: float) -> str:
    """A share of a recording, in words where it is all, none, or would be printed as such."""
    rest = 100 - percent
    for value, whole, nearly in ((rest, "all", "more than 99.9 %"), (percent, "none", "less than 0.1 %")):
        if value < SHOWN_PCT:
            return whole if value < NOTHING_PCT else nearly
    return f"{percent:.1f} %"


def _danger(analysis: Analysis) -> str:
    found = dangers(analysis)
    if found:
        return " ".join(f"{danger.text}." for danger in found).replace(">= ", "at least ")
    return CALM if analysis.burden.analysable_s else NOTHING


def _tachycardia(analysis: Analysis) -> str:
    """Ventricular tachycardia that is not sustained, and slower runs of V."""
    ectopy, rules = analysis.burden.v, analysis.rules
    slow = [event for event in analysis.events if event.kind == "v_run"]
    sentences = []
    if brief := _brief_tachycardia(analysis):
        sentences.append(brief)
    elif not ectopy.tachycardias.n:
        sentences.append("No ventricular tachycardia found.")
    if slow:
        runs = plural(len(slow), "ventricular run")
        sentences.append(f"{runs} at {rules.vt_bpm:g}/min or slower, {_extremes(analysis, slow)}.")
    sentences += _idioventricular(analysis, analysis.burden.idioventricular)
    return " ".join(sentences)


def _brief_tachycardia(analysis: Analysis) -> str:
    """Ventricular tachycardia that is not sustained, of which the waveform may show all; empty for none."""
    runs = [event for event in analysis.events if event.kind == "vt"]
    if not runs:
        return ""
    return f"Non-sustained ventricular tachycardia: {plural(len(runs), 'run')}, {_extremes(analysis, runs)}."


def _idioventricular(analysis: Analysis, episodes: Episodes) -> Iterator[str]:
    if episodes.n and episodes.longest:
        total = " in total" if episodes.n > 1 else ""
        counted = f"{plural(episodes.n, 'episode')} of {plural(episodes.n_beats, 'beat')}{total}"
        at = _at(analysis, episodes.longest.start_s)
        length = f"{'the longest ' if episodes.n > 1 else ''}{seconds_text(episodes.longest.duration_s)}"
        yield f"Idioventricular rhythm: {counted}, {length} {at}; its beats are not in the PVC burden."


def _extremes(analysis: Analysis, runs: list[RhythmEvent]) -> str:
    """The longest run, and the fastest one where it is another."""
    longest, fastest = longest_run(runs), fastest_run(runs)
    if len(runs) == 1:
        return _run(analysis, longest)
    if longest is fastest:
        return f"the longest and fastest {_run(analysis, longest)}"
    if fastest is None:
        return f"the longest {_run(analysis, longest)}, their rates not measurable"
    return f"the longest {_run(analysis, longest)}, the fastest {_run(analysis, fastest)}"


def _run(analysis: Analysis, run: RhythmEvent) -> str:
    return f"{run_text(run, rate=' at {:.0f}/min')} {_at(analysis, run.start_s)}"


def _pauses(analysis: Analysis) -> str:
    burden, rules = analysis.burden, analysis.rules
    longest = longest_rr(analysis)
    if longest is None:
        return "No RR interval could be measured."
    at_least = "at least " if longest.at_least else ""
    rr = f"{at_least}{longest.duration_s:.2f} s {_at(analysis, longest.start_s)}"
    counted = []
    if burden.pauses.n:
        counted.append(f"{plural(burden.pauses.n, 'pause')} of {rules.pause_s:g} s or longer")
    if burden.af_pauses.n:
        in_af = plural(burden.af_pauses.n, "pause")
        counted.append(f"{in_af} of {rules.af_pause_s:g} s or longer in atrial fibrillation")
    if not counted:
        return f"No pause of {rules.pause_s:g} s or longer; longest RR {rr}."
    return f"{' and '.join(counted)}; longest RR {rr}."


def _fibrillation(analysis: Analysis) -> str:
    """The verdict on a short recording, and the episodes; of a short one without an episode, the verdict alone."""
    verdict = verdict_text(analysis)
    parts = [f"{verdict}."] if verdict else []
    if analysis.burden.af.n or not verdict:
        parts.append(_episodes(analysis))
    return " ".join(parts)


def _episodes(analysis: Analysis) -> str:
    burden, af = analysis.burden, analysis.burden.af
    if not af.longest:
        least = f"{analysis.rules.af_min_s:g} s or longer"
        if burden.analysable_s < analysis.rules.af_min_s:
            return f"Atrial fibrillation of {least} cannot be found in so little analysable signal."
        return f"No atrial fibrillation of {least} found."
    measured = f"AF burden {_percent(burden.af_burden_pct)} of the analysable time"
    if np.isfinite(af.rate_bpm):
        measured += f", mean heart rate in AF {af.rate_bpm:.0f}/min"
    at = _at(analysis, af.longest.start_s)
    longest = seconds_text(af.longest.duration_s)
    if af.n == 1:
        return f"Atrial fibrillation: 1 episode of {longest} {at}; {measured}."
    counted = f"{plural(af.n, 'episode')}, {seconds_text(af.total_s)} of analysable time in total"
    return f"Atrial fibrillation: {counted}, the longest {longest} {at}; {measured}."


def _supraventricular(analysis: Analysis) -> str:
    ectopy = analysis.burden.s
    fast = [event for event in analysis.events if event.kind in ("svt", "svt_sustained")]
    slow = [event for event in analysis.events if event.kind == "s_run"]
    tachycardia = "No supraventricular tachycardia found."
    if fast:
        sustained = _sustained(sum(event.kind == "svt_sustained" for event in fast), len(fast))
        runs = plural(len(fast), "run")
        tachycardia = f"Supraventricular tachycardia: {runs}, {sustained}, {_extremes(analysis, fast)}."
    in_af = " (not counted in atrial fibrillation)" if analysis.burden.af.n else ""
    text = f"Supraventricular ectopy{in_af}: {_ectopy(ectopy, 'SVE burden')}"
    slower = f", {plural(len(slow), 'run')} at {analysis.rules.vt_bpm:g}/min or slower" if slow else ""
    doubt = f" {words}." if (words := doubt_text(analysis)) else ""
    return f"{tachycardia} {text}{slower}.{doubt}"


def _sustained(n_sustained: int, n: int) -> str:
    """How many of some tachycardias are sustained."""
    if n == 1:
        return "sustained" if n_sustained else "not sustained"
    return f"{n_sustained:,} of them sustained" if n_sustained else "none of them sustained"


def _patterns(analysis: Analysis) -> Iterator[str]:
    """Ventricular ectopy with its patterns, and those of supraventricular ectopy."""
    ectopy = analysis.burden.v
    n_fusion = int(analysis.burden.count[CLASSES.index("F")])
    fusion = f", {plural(n_fusion, 'fusion beat')}" if n_fusion else ""
    yield f"Ventricular ectopy: {_ectopy(ectopy, 'PVC burden')}{fusion}."
    found = [
        f"{kind} {name} ({plural(episodes.n, 'episode')}, {seconds_text(episodes.total_s)})"
        for kind, one in (("ventricular", ectopy), ("supraventricular", analysis.burden.s))
        for name, episodes in (("bigeminy", one.bigeminy), ("trigeminy", one.trigeminy))
        if episodes.n
    ]
    if found:
        yield f"Patterns: {', '.join(found)}."


def _ectopy(ectopy: Ectopy, name: str) -> str:
    """Beats, burden with its interval, and couplets."""
    low, high = ectopy.interval_pct
    interval = f" (95 % interval {_lower(low)} to {_percent(high)})" if np.isfinite([low, high]).all() else ""
    if not ectopy.n_beats:
        return f"no ectopic beat found, {name} 0 %{interval}"
    couplets = plural(ectopy.couplets, "couplet") if ectopy.couplets else "no couplet"
    counted = plural(ectopy.n_beats, "beat")
    return f"{counted}, {name} {_percent(ectopy.burden_pct)}{interval}, {couplets}"


def _rates(analysis: Analysis) -> str:
    burden = analysis.burden
    if not np.isfinite(burden.rate_mean_bpm):
        return "No heart rate could be measured."
    of_beats = " of the analysable beats" if danger_pct(analysis) else ""  # fibrillation has no beats to count
    text = f"Mean heart rate{of_beats} {burden.rate_mean_bpm:.0f}/min"
    if burden.rate_min and burden.rate_max:
        low, high = burden.rate_min, burden.rate_max
        text += (
            f" (lowest {low.bpm:.0f} {_at(analysis, low.time_s)}, highest {high.bpm:.0f} {_at(analysis, high.time_s)})"
        )
    else:
        text += ", over all RR, as too few consecutive ones lie in clear signal"
    return f"{text}."


def _missing(analysis: Analysis) -> Iterator[str]:
    """What could not be judged, what was not looked at, and what a reader labelled."""
    unjudged = "".join(f"{text}. " for text in unjudged_texts(analysis)).replace(">= ", "at least ")
    *first, last = NOT_ANALYSED
    yield f"{unjudged}Not analysed: {', '.join(first)} and {last}; P waves were not classified."
    if edited := format_edits(analysis):
        yield f"{edited[:1].upper()}{edited[1:]}."


def _at(analysis: Analysis, time_s: float) -> str:
    """The moment, as "at 03:12:05" or "on day 2 at 03:12:05"."""
    day, _, clock = clock_text(analysis.record, time_s).rpartition(" ")
    return f"on {day} at {clock}" if day else f"at {clock}"


def _percent(value: float) -> str:
    return percent_text(value, _decimals(value)) if value else "0 %"


def _lower(value: float) -> str:
    """The lower limit of an interval, whose unit follows its upper one."""
    return f"{value:.{_decimals(value)}f}" if round(value, 2) else "0"


def _decimals(value: float) -> int:
    return 1 if value >= FEW_PCT else 2
