"""What stands where a reader looks first besides dangers: doubts, leads that failed, a verdict, what is uncertain.

Pages, PDF, narrative, tables and terminal take their words from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ..certainty import AF, AF_ANSWERS, NOT_KNOWN
from ..clock import clock_text, duration_text
from ..labels import CLASSES
from ..rhythm.domain_shift import domain_shift
from ..rhythm.doubt import MAY_BE_S, is_uncertain
from ..rhythm.events import JOINS, TACHYCARDIAS
from ..schema import Analysis, Index, Record
from ..text import plural

VERDICT, SVE_UNCERTAIN = "af_verdict", "sve_uncertain"
FILE_DOUBT, LEFT_OUT, LEADS, UNLIKE_TRAINING = "file_doubt", "left_out", "leads", "unlike_training"
NOT_COUNTED = "not_counted"
MOST_NAMES = 6  # of channels that are left out for one reason
MOST_STRETCHES = 3  # in which a lead failed are named one by one, the longest
LEAST_OFF_S = 60.0  # in which one of several leads held no signal; a shorter stretch changes hardly anything
IN_TABLE: Final = dict(
    zip(AF_ANSWERS, (1.0, 0.0, None), strict=True)
)  # an answer as a number; None where there is none


@dataclass(frozen=True)
class Statement:
    """A sentence for readers, without its full stop."""

    kind: str  # VERDICT, SVE_UNCERTAIN, FILE_DOUBT, LEFT_OUT, LEADS, UNLIKE_TRAINING or NOT_COUNTED
    text: str
    is_warning: bool  # the program is not sure


def statements(analysis: Analysis) -> tuple[Statement, ...]:
    """The statements that a recording needs, in the order in which they are read."""
    verdict, doubt = verdict_text(analysis), doubt_text(analysis)
    record = analysis.record
    found = [Statement(FILE_DOUBT, f"Doubt about the file: {doubt}", is_warning=True) for doubt in record.doubts]
    if record.left_out:
        found.append(Statement(LEFT_OUT, f"Channels that were not read: {left_out_text(record)}", is_warning=False))
    if leads := leads_text(analysis):
        found.append(Statement(LEADS, leads, is_warning=False))
    if not_counted := not_counted_text(analysis):
        found.append(Statement(NOT_COUNTED, not_counted, is_warning=True))
    if unlike := unlike_text(analysis):
        found.append(Statement(UNLIKE_TRAINING, unlike, is_warning=True))
    if verdict and analysis.burden.af_verdict is not None:
        found.append(Statement(VERDICT, verdict, analysis.burden.af_verdict.answer == NOT_KNOWN))
    if doubt:
        found.append(Statement(SVE_UNCERTAIN, doubt, is_warning=True))
    return tuple(found)


def left_out_text(record: Record) -> str:
    """The channels of the file that were not read, by the reason; empty where there are none."""
    names: dict[str, list[str]] = {}
    for channel in record.left_out:
        names.setdefault(channel.reason, []).append(channel.name)
    return "; ".join(f"{_few(several)} ({reason})" for reason, several in names.items())


def _few(names: list[str]) -> str:
    """Names one after the other; of many, the first ones and how many more there are."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def leads_text(analysis: Analysis) -> str:
    """Which leads were analysed where, if it is not the same ones all along; empty where it is."""
    changes, usual = lead_changes(analysis), analysis.usual_leads
    if not changes:
        return ""
    longest = sorted(changes, key=lambda one: one[0] - one[1])[:MOST_STRETCHES]
    texts = [
        f"from {clock_text(analysis.record, start_s)} to {clock_text(analysis.record, end_s)} {text}"
        for start_s, end_s, text in sorted(longest)
    ]
    if others := len(changes) - len(longest):
        lasting = sum(one[1] - one[0] for one in changes) - sum(one[1] - one[0] for one in longest)
        texts.append(f"likewise in {plural(others, 'other stretch')}, {duration_text(lasting)}")
    return f"Lead{'s' if len(usual) > 1 else ''} {', '.join(usual)}; {'; '.join(texts)}"


def lead_changes(analysis: Analysis) -> list[tuple[float, float, str]]:
    """Start and end of each stretch that does not rest on the usual leads, and what it rests on, in words."""
    usual, quality = analysis.usual_leads, analysis.quality
    why = {True: "held no signal", False: "could not be analysed"}
    found = [
        (one.start_s, one.end_s, f"lead {one.lead}, as {' and '.join(usual)} {why[one.no_signal]}")
        for one in analysis.replaced
    ]
    if len(usual) == 1:
        return found
    for lead, score in zip(usual, quality.score, strict=False):
        edges = np.flatnonzero(np.diff((score == 0) & quality.usable, prepend=False, append=False))
        for start_s, end_s in np.minimum(edges.reshape(-1, 2) * quality.block_s, analysis.record.duration_s).tolist():
            if end_s - start_s >= LEAST_OFF_S:
                found.append((start_s, end_s, f"without lead {lead}, which held no signal"))
    return sorted(found)


def not_counted_text(analysis: Analysis) -> str:
    """How many beats in ventricular tachycardia are no V and so in no burden; empty where hardly any are."""
    beats = analysis.beats
    inside = np.zeros(len(beats), dtype=bool)
    for event in analysis.events:
        if event.kind in (*TACHYCARDIAS["V"], "vf_suspected"):
            inside |= (beats.time_s > event.start_s) & (beats.time_s < event.end_s)
    n = int(np.count_nonzero(inside & beats.usable & ~np.isin(beats.label, JOINS["V"])))
    if n < analysis.rules.run_min_beats:
        return ""
    return (
        f"{plural(n, 'beat')} in ventricular tachycardia, which the waveform shows, could not be labelled V one by "
        "one: the PVC burden does not count them"
    )


def unlike_text(analysis: Analysis) -> str:
    """That a recording is unlike those that the model learned from, and what to do; empty where it is not."""
    shift = domain_shift(analysis)
    if shift is None or shift.limit is None or not shift.is_unlike:
        return ""
    return (
        f"Unlike the training recordings: the class of {100 * shift.doubtful_share:.1f} % of the beats is in doubt, "
        f"where hardly any recording that the model learned from exceeds {100 * shift.limit:.1f} %; review a sample of "
        "beats, label the queried beats, or adapt the model to this recorder"
    )


def verdict_text(analysis: Analysis) -> str:
    """Whether a short recording is AF; empty for a longer one."""
    verdict, burden = analysis.burden.af_verdict, analysis.burden
    if verdict is None:
        return ""
    whole = f"the whole recording ({duration_text(burden.duration_s)})"
    if verdict.answer == NOT_KNOWN:
        return f"Whether {whole} is AF cannot be said: {verdict.reason}"
    text = f"Verdict on {whole}: {verdict.answer} ({verdict.reason})"
    if verdict.answer == AF and not burden.af.n:
        return f"{text}; the AF burden counts only episodes of {analysis.rules.af_min_s:g} s or longer"
    return text


def doubt_text(analysis: Analysis) -> str:
    """That the count of S is uncertain, and why; empty where it is not."""
    doubt = analysis.burden.s_doubt
    if doubt is None or not is_uncertain(doubt):
        return ""
    reasons = ", ".join(doubt.reasons) or "S beats may have been missed"
    beats = "the S beats" if analysis.burden.s.n_beats else "the beats that may be S"
    return f"SVE uncertain in this recording: {reasons}; look at {beats} in the gallery before the count is used"


def doubtful_beats(analysis: Analysis) -> Index:
    """The S beats, and those that may be S, which no reader labelled: the least certain first."""
    beats, labelled = analysis.beats, analysis.labelled
    probability = beats.probability[:, CLASSES.index("S")]
    chosen = ((beats.label == "S") | (probability >= MAY_BE_S)) & beats.usable
    chosen[labelled] = False
    index = np.flatnonzero(chosen)
    return np.asarray(index[np.abs(probability[index] - 0.5).argsort(kind="stable")], dtype=np.int64)


def af_card(analysis: Analysis, name: str, *, burden: str, episodes: str) -> tuple[str, str, str]:
    """Name, value and note of the figure on AF that is read first: of a short recording, the verdict.

    Parameters
    ----------
    name
        Of the AF burden, which is the figure of a longer recording.
    burden, episodes
        The AF burden, and number and length of its episodes, in words.

    """
    verdict = analysis.burden.af_verdict
    if verdict is None:
        return name, burden, episodes
    value = "not known" if verdict.answer == NOT_KNOWN else verdict.answer
    if analysis.burden.af.n:
        return "Verdict on AF", value, f"AF burden {burden}, {episodes}"
    return "Verdict on AF", value, f"no episode of {analysis.rules.af_min_s:g} s or longer"


def verdict_cells(analysis: Analysis) -> dict[str, str]:
    """Both statements as columns of a table of recordings; empty where there is nothing to state."""
    verdict, doubt = analysis.burden.af_verdict, analysis.burden.s_doubt
    reasons = "; ".join(doubt.reasons) if doubt is not None and is_uncertain(doubt) else ""
    return {
        "af_verdict_text": f"{verdict.answer}: {verdict.reason}" if verdict else "",
        "sve_uncertain_text": reasons,
    }


def verdict_content(analysis: Analysis) -> dict[str, Any]:
    """What is not certain as it was measured, for programs; None where there is nothing of it."""
    verdict, doubt, shift = analysis.burden.af_verdict, analysis.burden.s_doubt, domain_shift(analysis)
    return {
        "domain_shift": shift
        and {
            "doubtful_share": round(shift.doubtful_share, 4),
            "limit": shift.limit,
            "unlike_training": None if shift.limit is None else shift.is_unlike,
        },
        "af_verdict": verdict
        and {"answer": verdict.answer, "reason": verdict.reason, "probability": verdict.probability},
        "sve_doubt": doubt
        and {"score": round(doubt.score, 4), "uncertain": is_uncertain(doubt), "reasons": list(doubt.reasons)},
        "statements": [statement.text for statement in statements(analysis)],
    }
