"""Supraventricular ectopy or sinus acceleration: S is premature, and a tachycardia begins within a few beats.

The network compares each beat with the RR of the last minutes, so that it calls the beats of an exercise premature, and
those of a tachycardia that has become the usual rhythm normal. Sinus rhythm accelerates over tens of beats; what
begins within a few, or with another P wave, is supraventricular (ESC 2019, doi:10.1093/eurheartj/ehz467; the onset
criterion of implanted defibrillators compares the RR before and after in the same way).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..rules import RhythmRules
from ..schema import Beats, Bool, Float64
from .intervals import follows_previous, kept_median, running_median, unbroken_runs, window_median
from .labelling import moved

USUAL_RR = 10  # the usual RR is the median over so many before a beat ...
ONSET_RR = 3  # ... and the RR after an onset that over so many
FEW_RR = 3  # a premature beat is compared with the RR of other beats than S, if there are so many of them
SUDDEN = 0.1  # a tachycardia begins with an RR that is shorter than the one before by at least this fraction
STEADY_RR = 8  # a beat labelled N belongs to a tachycardia if its RR is near the median of so many in it ...
STEADY_FRACTION = 0.2  # ... by this fraction
RETURN_S = 15.0  # a tachycardia that is back so soon is the same: its RR is compared with that before the first onset
UNNOTICED_BEATS = 30  # so many beats that begin and end abruptly are a tachycardia though no label says so
OTHER_BEATS = 2  # V or unclassifiable beats in a row that do not end a tachycardia
MINUTE_S = 60.0


@dataclass(frozen=True)
class _Tachycardia:
    """Its first and last beat, and the RR that was usual before it."""

    first: int
    last: int
    usual_s: float


class _Series:
    """The beats as the decisions need them, in arrays of shape (n,)."""

    def __init__(self, beats: Beats, in_af: Bool, rules: RhythmRules, fastest_bpm: float) -> None:
        self.rules, self.time_s, self.rr_s = rules, beats.time_s, beats.rr_s
        without_pauses_s = np.where(beats.rr_s < rules.pause_s, beats.rr_s, np.nan)  # beside a pause no beat is early
        self.usual_s = usual_rr(without_pauses_s)
        expected_s = _median_where(beats.label != "S", without_pauses_s, otherwise_s=self.usual_s)  # also in bigeminy
        self.follows = follows_previous(beats)
        self.is_s = (beats.label == "S") & beats.usable & ~in_af
        self.belongs = np.isin(beats.label, ("N", "S")) & beats.usable & ~in_af  # to a tachycardia, if there is one
        nearly, is_fast = 1 - rules.s_premature_share, beats.rr_s < MINUTE_S / fastest_bpm
        late = (beats.rr_s > nearly * expected_s) & ~is_fast
        self.early: Bool = ~late  # where the RR or the usual RR is not known, the label stays
        as_before = (beats.rr_s > nearly * np.roll(beats.rr_s, 1)) & ~is_fast
        self.sudden: Bool = ~late & ~as_before
        p = np.full(len(beats), np.nan) if beats.p_correlation is None else beats.p_correlation
        self.other_p: Bool = p < rules.s_p_correlation

    def onset_rr_s(self, first: int) -> float:
        """RR of a run of at least three beats after its first beat."""
        return _median(self.rr_s[first + 1 : first + 1 + ONSET_RR])

    def begins_suddenly(self, first: int) -> bool:
        """Whether the RR of a first beat is itself a step from the one before, or the one before is not known."""
        if first == 0 or not self.follows[first]:
            return True
        return not self.rr_s[first] > (1 - SUDDEN) * self.rr_s[first - 1]

    def is_abrupt(self, rr_s: float, usual_s: float) -> bool:
        """Whether an RR is as much shorter than the usual one as an onset needs."""
        return rr_s <= (1 - self.rules.svt_onset_share) * usual_s

    def is_steady(self, beat: int, around: slice) -> bool:
        """Whether the RR of a beat is fast, and near those around it."""
        rr_s, median_s = self.rr_s[beat], _median(self.rr_s[around])
        return bool(rr_s < MINUTE_S / self.rules.vt_bpm and abs(rr_s - median_s) <= STEADY_FRACTION * median_s)


def settle_supraventricular(
    beats: Beats,
    episodes: Sequence[slice],
    rules: RhythmRules,
    *,
    age_years: int | None = None,
    begins_in_tachycardia: bool = False,
) -> Beats:
    """The beats with class S where they are premature or belong to a tachycardia, and class N instead of S elsewhere.

    Parameters
    ----------
    episodes
        Atrial fibrillation as slices of the beats, in which nothing is changed.
    age_years
        Of the patient; lowers the rate from which a rhythm cannot be sinus rhythm.
    begins_in_tachycardia
        Whether the first beats are known to belong to a supraventricular tachycardia, whose onset lies before them.

    """
    in_af = np.zeros(len(beats), dtype=bool)
    for episode in episodes:
        in_af[episode] = True
    series = _Series(beats, in_af, rules, fastest_sinus_bpm(rules, age_years))
    is_s = _supraventricular(series, begins_in_tachycardia=begins_in_tachycardia) | _unnoticed(series)
    return moved(moved(beats, series.is_s & ~is_s, "S", "N"), is_s & ~series.is_s, "N", "S")


def fastest_sinus_bpm(rules: RhythmRules, age_years: int | None) -> float:
    """The highest rate of sinus rhythm: the rule's, or what the age makes of it where that is less.

    Tanaka 2001, doi:10.1016/S0735-1097(00)01054-8: 208 - 0.7 age, with a standard deviation of 10, of which two are
    added.
    """
    return rules.sinus_max_bpm if age_years is None else min(rules.sinus_max_bpm, 228.0 - 0.7 * age_years)


def usual_rr(rr_s: Float64) -> Float64:
    """Median of the USUAL_RR intervals before each beat that are known, shape (n,); NaN where there is none."""
    return kept_median(rr_s, USUAL_RR, offset=-USUAL_RR, at_least=1)


def _median_where(counted: Bool, rr_s: Float64, *, otherwise_s: Float64) -> Float64:
    """The usual RR of those that are counted, where at least FEW_RR of them are, and another elsewhere, shape (n,)."""
    usual_s = running_median(np.where(counted, rr_s, np.nan), USUAL_RR, offset=-USUAL_RR, at_least=FEW_RR)
    return np.where(np.isfinite(usual_s), usual_s, otherwise_s)


def _median(rr_s: Float64) -> float:
    """Median of a few RR, NaN if one of them is: that of ``np.median``, which is far slower for so few."""
    values = rr_s.tolist()
    return math.nan if math.isnan(sum(values)) else statistics.median(values)


def _supraventricular(series: _Series, *, begins_in_tachycardia: bool) -> Bool:
    """Which beats outside fibrillation are S, by the labels and the tachycardias to which they belong, shape (n,)."""
    found: Bool = series.is_s & series.early
    latest = _Tachycardia(-1, -1, np.nan)
    if begins_in_tachycardia and len(found) > ONSET_RR:
        latest = _Tachycardia(0, _last_beat(series, 0, 0, series.onset_rr_s(0), np.inf), np.nan)
        found[: latest.last + 1] |= series.belongs[: latest.last + 1]
    begin, end = unbroken_runs(series.is_s, series.follows)
    is_run = end - begin >= series.rules.run_min_beats
    for start, stop in zip(begin[is_run].tolist(), end[is_run].tolist(), strict=True):
        first: int | None = max(start, latest.last + 1)
        while first is not None and stop - first >= series.rules.run_min_beats:
            rest = slice(first, stop)
            tachycardia = _tachycardia(series, rest, latest)
            if tachycardia is not None:
                inside = slice(tachycardia.first, tachycardia.last + 1)
                found[inside] |= series.belongs[inside]
                latest, first = tachycardia, tachycardia.last + 1
            elif series.other_p[first]:
                found[rest], first = True, None
            else:
                found[rest] = series.sudden[rest]
                later = np.flatnonzero(series.early[first + 1 : stop])
                first = first + 1 + int(later[0]) if len(later) else None
    return found


def _tachycardia(series: _Series, run: slice, latest: _Tachycardia) -> _Tachycardia | None:
    """The tachycardia to which a run of S belongs; None where it is sinus acceleration."""
    rr_s = series.onset_rr_s(run.start)
    is_recent = latest.last >= 0 and series.time_s[run.start] - series.time_s[latest.last] <= RETURN_S
    for usual_s in ([latest.usual_s] if is_recent else []) + [float(series.usual_s[run.start])]:
        if series.is_abrupt(rr_s, usual_s) and series.begins_suddenly(run.start):
            return _Tachycardia(run.start, _last_beat(series, run.start, run.stop, rr_s, usual_s), usual_s)
    if not rr_s < MINUTE_S / series.rules.vt_bpm:
        return None
    first = _first_steady(series, run.start, after=latest.last)
    usual_s = float(series.usual_s[first])
    if series.follows[first]:
        if not series.is_abrupt(series.onset_rr_s(first), usual_s):
            return None
        return _Tachycardia(first, _last_beat(series, first, run.stop, rr_s, usual_s), usual_s)
    last = _last_beat(series, first, run.stop, rr_s, np.inf)  # its onset was not recorded
    return _Tachycardia(first, last, np.nan) if _ends_abruptly(series, last) else None


def _ends_abruptly(series: _Series, last: int) -> bool:
    """Whether the RR after a tachycardia are as much longer as an onset would make them shorter."""
    after_s = series.rr_s[last + 2 : last + 2 + USUAL_RR]  # the first one after its last beat may be a pause
    return len(after_s) == USUAL_RR and series.is_abrupt(float(series.rr_s[last]), _median(after_s))


def _unnoticed(series: _Series) -> Bool:
    """Beats of long tachycardias that begin and end abruptly, whatever their labels, shape (n,).

    Where a tachycardia fills most of a record, the network takes it for the patient's normal rhythm.
    """
    found = np.zeros(len(series.rr_s), dtype=bool)
    if len(found) <= ONSET_RR:
        return found
    fast_s, abrupt_s = MINUTE_S / series.rules.vt_bpm, (1 - series.rules.svt_onset_share) * series.usual_s
    ahead_s = kept_median(series.rr_s, ONSET_RR, offset=1, at_least=ONSET_RR)
    begins = np.flatnonzero(series.belongs & series.follows & (ahead_s < fast_s) & (ahead_s <= abrupt_s))
    longer_s = window_median(series.rr_s, begins + 1, UNNOTICED_BEATS, at_least=ONSET_RR)  # not of bigeminy, short runs
    begins = begins[(longer_s < fast_s) & (longer_s <= abrupt_s[begins])]
    last = -1
    for first in begins.tolist():
        if first <= last:
            continue
        rr_s, usual_s = series.onset_rr_s(first), float(series.usual_s[first])
        end = _last_beat(series, first, first, rr_s, usual_s)
        if end - first >= UNNOTICED_BEATS and _ends_abruptly(series, end):
            last = end
            inside = slice(first if series.is_abrupt(float(series.rr_s[first]), usual_s) else first + 1, end + 1)
            found[inside] = series.belongs[inside]
    return found


def _first_steady(series: _Series, beat: int, *, after: int) -> int:
    """The first beat of the steady fast rhythm that a beat belongs to."""
    while (
        beat - 1 > after
        and series.follows[beat]
        and series.belongs[beat - 1]
        and series.is_steady(beat - 1, slice(beat, beat + STEADY_RR))
    ):
        beat -= 1
    return beat


def _last_beat(series: _Series, first: int, stop: int, rr_s: float, usual_s: float) -> int:
    """The last beat of a tachycardia; its run of S, which stops at ``stop``, may be shorter or longer than it."""
    limit_s = (1 - series.rules.svt_onset_share / 2) * usual_s
    is_fast = rr_s < MINUTE_S / series.rules.vt_bpm
    last, beat = first, first + 1
    while beat < len(series.rr_s) and series.follows[beat] and beat - last <= OTHER_BEATS + 1:
        is_over = series.rr_s[beat] > limit_s and _median(series.rr_s[beat : beat + ONSET_RR]) > limit_s
        if is_over or (beat >= stop and not is_fast):
            break
        if series.belongs[beat]:
            recent = slice(max(first + 1, beat - STEADY_RR), max(beat, first + 2))
            if not series.is_s[beat] and not (series.rr_s[beat] <= limit_s and series.is_steady(beat, recent)):
                break
            last = beat
        beat += 1
    return last
