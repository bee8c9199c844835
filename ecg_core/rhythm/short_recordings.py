"""Atrial fibrillation in recordings that are too short for an episode: a verdict on the whole recording.

An episode lasts 30 s by definition (ESC 2020, doi:10.1093/eurheartj/ehaa612), about as long as all that a hand-held
recorder gives (PhysioNet/CinC Challenge 2017, doi:10.22489/CinC.2017.065-469). So a recording of up to SHORT_S is
judged as one piece, as a reader judges it, and where it does not suffice for that, the reason is stated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from ..certainty import AF, NO_AF, NOT_KNOWN, AfVerdict
from ..edits import MARKED_NAMES, Mark
from ..rules import RhythmRules
from ..schema import Beats, Float32, Index
from ..text import plural
from .fibrillation import cosen
from .intervals import counts_for_rate, follows_previous, nn_intervals

SHORT_S: Final = 61.0  # the longest recording judged as a whole: a minute, and what a recorder adds to it
MIN_ANALYSABLE_S: Final = 8.0  # less is shorter than the shortest recording of the Challenge 2017
MIN_CLEAR_SHARE: Final = 0.5  # of the recording; with less, most of what is read of it could be noise
MIN_RR: Final = 8  # fewer RR do not show whether a rhythm is irregular
MIN_NN: Final = 12  # for the entropy: the shortest series of Lake & Moorman 2011, doi:10.1152/ajpheart.00561.2010
# Limits of the probability of AF over the recording: at most the first is "no AF", at least the second is "AF". Chosen
# on the Challenge 2017 by networks that do not know the patients: with one limit, F1 is highest from .35 to .4.
LIMITS: Final = (0.3, 0.4)
# Without a network's probability, the same of the entropy above what the rules ask for.
ENTROPY_LIMITS: Final = (-0.15, 0.15)
MARKED_SHARE: Final = 0.5  # of the recording that a reader marked as one rhythm: more is the reader's verdict
FURTHEST: Final = 1e-4  # from 0 and 1: one beat whose probability is nearer to them does not outweigh all others


def af_verdict(
    beats: Beats,
    *,
    duration_s: float,
    analysable_s: float,
    rules: RhythmRules,
    clear_s: float | None = None,
    episodes_s: float = 0.0,
    marks: Sequence[Mark] = (),
) -> AfVerdict | None:
    """Whether a recording of up to SHORT_S is atrial fibrillation; None for a longer one.

    Parameters
    ----------
    beats
        As they are counted; where they have a probability of AF by the network, that decides, else their RR and what
        repeats before the QRS.
    clear_s
        Time of the quality in which few beats are false or missed (``intervals.CLEAR_SCORE``); by default all that is
        analysable.
    episodes_s
        Total length of the episodes of AF that were found; one as long as the rules ask for is AF.
    marks
        Stretches that a reader marked as one rhythm; on most of the recording, the mark is the verdict.

    """
    if duration_s > SHORT_S:
        return None
    if (marked := _marked(marks, duration_s)) is not None:
        return marked
    clear_s = analysable_s if clear_s is None else clear_s
    if clear_s < MIN_CLEAR_SHARE * duration_s:
        return AfVerdict(NOT_KNOWN, f"too noisy, {clear_s:.0f} of {duration_s:.0f} s clear enough", None)
    if problem := _too_short(beats, analysable_s=analysable_s, rules=rules):
        return AfVerdict(NOT_KNOWN, f"too short, {problem} needed", None)
    if episodes_s >= rules.af_min_s:
        return AfVerdict(AF, f"an episode of at least {rules.af_min_s:g} s was found", None)
    probability = _network_probability(beats)
    return _by_network(probability) if len(probability) else _by_rr(beats, rules)


def _marked(marks: Sequence[Mark], duration_s: float) -> AfVerdict | None:
    """The verdict of a reader who marked most of the recording as one rhythm."""
    for rhythm, name in MARKED_NAMES.items():
        marked_s = sum(mark.end_s - mark.start_s for mark in marks if mark.rhythm == rhythm)
        if marked_s > MARKED_SHARE * duration_s:
            return AfVerdict(AF if rhythm == "af" else NO_AF, f"a reader marked it as {name.lower()}", None)
    return None


def _too_short(beats: Beats, *, analysable_s: float, rules: RhythmRules) -> str:
    """What is analysable, and how much would be needed; empty where it is enough."""
    if analysable_s < MIN_ANALYSABLE_S:
        return f"{analysable_s:.0f} s analysable, at least {MIN_ANALYSABLE_S:.0f} s"
    n_rr = np.count_nonzero(follows_previous(beats) & counts_for_rate(beats, rules))
    if n_rr < MIN_RR:
        return f"{n_rr} analysable RR, at least {MIN_RR}"
    return ""


def _network_probability(beats: Beats) -> Float32:
    """Probability of AF at each usable beat by the network; empty where it gave none."""
    probability: Float32 | None = getattr(beats, "af_probability", None)
    if probability is None:
        return np.zeros(0, dtype=np.float32)
    return probability[beats.usable & np.isfinite(probability)]


def _by_network(probability: Float32) -> AfVerdict:
    """The verdict by the mean of the beats' log odds of AF."""
    inside = np.clip(probability.astype(np.float64), FURTHEST, 1 - FURTHEST)
    mean = float(1 / (1 + np.exp(-np.mean(np.log(inside / (1 - inside))))))
    answer = _answer(mean, LIMITS)
    between = f"between the limits {LIMITS[0]:g} and {LIMITS[1]:g}" if answer == NOT_KNOWN else ""
    by = f"by the network over {plural(len(probability), 'beat')}"
    return AfVerdict(answer, f"probability {mean:.2f}, {between or by}", mean)


def _by_rr(beats: Beats, rules: RhythmRules) -> AfVerdict:
    """The verdict by the irregularity of the RR between normal beats, and by what repeats before the QRS."""
    nn = nn_intervals(beats, rules)
    if len(nn) < MIN_NN:
        return AfVerdict(NOT_KNOWN, f"too short, {len(nn)} RR between normal beats, at least {MIN_NN} needed", None)
    entropy, needed = float(cosen(beats.rr_s[nn][None])[0]), _entropy_needed(beats, nn, rules)
    answer = _answer(entropy - needed, ENTROPY_LIMITS)
    why_not = "P waves repeat" if entropy > rules.af_entropy else "RR not irregular as in AF"
    says = {
        AF: "irregular RR without clear P waves",
        NO_AF: why_not,
        NOT_KNOWN: "between regular RR with P waves and irregular RR without",
    }
    return AfVerdict(answer, says[answer], None)


def _entropy_needed(beats: Beats, nn: Index, rules: RhythmRules) -> float:
    """The entropy from which on the rules call the RR irregular, the higher the more repeats before the QRS."""
    repeats = 0.0 if beats.p_repeats is None else float(np.nan_to_num(beats.p_repeats[nn]).mean())
    return rules.af_entropy + rules.af_entropy_p * repeats


def _answer(value: float, limits: tuple[float, float]) -> str:
    low, high = limits
    return NO_AF if value <= low else AF if value >= high else NOT_KNOWN
