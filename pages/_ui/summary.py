"""The summary that Overview and Report begin with: burdens and rates, and the extremes as links to their strips."""

from __future__ import annotations

from typing import Final

import streamlit as st

from ecg_core.clock import clock_text, duration_text
from ecg_core.report.dangers import NOTHING, lost_pct, not_analysable_text, nothing_judged
from ecg_core.report.measures import Measure, format_edits, measures
from ecg_core.report.statements import af_card
from ecg_core.rhythm.doubt import is_uncertain
from ecg_core.schema import Analysis
from ecg_core.text import plain_markdown

from .frame import cards
from .statements import draw_statements
from .tables import rate_card
from .view import address
from .wording import percent, plural

MOST_LOST_PCT = 50.0  # above this, counts do not represent the recording; what is in VF is not lost
LINKED: Final = {
    "v_longest_run": "Longest V run", "v_fastest_run": "Fastest V run", "s_longest_run": "Longest S run",
    "s_fastest_run": "Fastest S run", "longest_rr": "Longest RR", "af_longest": "Longest AF",
    "heart_rate_max": "Highest rate", "heart_rate_min": "Lowest rate",
}  # fmt: skip  # measures whose places are a click away


def draw_summary(analysis: Analysis) -> None:
    """Draw what is not certain, burdens and rates with their denominators, and the extremes as ways to their strips."""
    burden = analysis.burden
    if lost_pct(analysis) > MOST_LOST_PCT and not nothing_judged(analysis):
        leads = plain_markdown(", ".join(analysis.lead_names))
        has_others = len(analysis.record.lead_names) > len(analysis.lead_names)
        st.warning(
            f"Only {burden.analysable_pct:.0f} % of this recording is analysable in lead {leads}: the counts below "
            f"cover only that part.{' Try another lead on the page Studies.' if has_others else ''}",
            icon=":material/signal_disconnected:",
        )
    draw_statements(analysis)
    cards([*_burden_cards(analysis), rate_card(analysis.record, burden)])
    _draw_extremes(analysis)
    if edited := format_edits(analysis):
        st.caption(f"Edits: {edited}.")


def _burden_cards(analysis: Analysis) -> list[tuple[str, str, str]]:
    burden = analysis.burden
    count = dict(zip(analysis.model.classes, burden.count.tolist(), strict=True))
    of_beats = f"of {plural(burden.n_beats, 'beat')}"
    with_fusion = f"; V + F {percent(burden.v_and_f_pct)}" if count["F"] else ""
    slow = burden.idioventricular
    apart = f"; {slow.n_beats:,} V in idioventricular rhythm not counted" if slow.n else ""
    af = f"{plural(burden.af.n, 'episode')}, {duration_text(burden.af.total_s)}" if burden.analysable_s else NOTHING
    uncertain = ", uncertain" if is_uncertain(burden.s_doubt) else ""
    return [
        ("Analysable time", duration_text(burden.analysable_s), not_analysable_text(analysis)),
        ("PVC burden", percent(burden.pvc_burden_pct), f"{burden.v.n_beats:,} V {of_beats}{with_fusion}{apart}"),
        (f"SVE burden{uncertain}", percent(burden.sve_burden_pct), f"{count['S']:,} S {of_beats}"),
        af_card(analysis, "AF burden", burden=percent(burden.af_burden_pct), episodes=af),
    ]


def _short(measure: Measure) -> str:
    """Value of a measure without the decimals of a rate."""
    return f"{measure.value:.0f} bpm" if measure.unit == "bpm" and measure.value is not None else measure.text


def _draw_extremes(analysis: Analysis) -> None:
    """Draw a link to the place of each extreme that there is."""
    found = {measure.key: measure for measure in measures(analysis)}
    with st.container(key="extremes", horizontal=True, vertical_alignment="center"):
        for key, name in LINKED.items():
            measure = found[key]
            if key == "v_longest_run" and measure.value is None:
                measure = found["v_longest_run_time"]  # its beats cannot all be separated
            if measure.value is None or measure.at_s is None:
                continue
            where = f"{clock_text(analysis.record, measure.at_s)}: shows its strip in Review"
            if st.button(f"{name}: {_short(measure)}", key=f"to {key}", help=where, type="tertiary"):
                st.switch_page("pages/review.py", query_params=address(analysis.record, measure.at_s))
