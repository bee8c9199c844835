"""The tables of the PDF report: trends and hours, day and night, diary, morphologies, findings, what was left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from reportlab.platypus import Flowable, KeepTogether

from ..clock import clock_of, clock_text
from ..morphology.templates import morphologies
from ..morphology.waveforms import STEP_S
from ..notes import FROM_FILE, Notes
from ..rhythm.events import DANGERS, KIND_NAMES, MOST_SERIOUS_FIRST
from ..schema import Analysis, Lead, RhythmEvent
from .canvas import GAINS_MM_PER_MV, LEFT_MM, Sheet, draw_excerpt
from .dangers import NOT_ANALYSED_TEXT, UNJUDGED, length_text, unjudged_texts
from .diary import symptom_rows
from .document import (
    BODY,
    HEADING,
    NOTE,
    SMALL,
    Cell,
    Drawing,
    column_mm,
    gap,
    page_of,
    paragraph,
    row_of,
    table,
)
from .periods import NO_CLOCK, PeriodLine, day_and_night, hour_lines
from .strip_selection import first_and_longest
from .trends import TRENDS_MM, draw_trends

MOST_OF_A_KIND = 12  # findings in the table: the others are in the file of events
PERIOD_HEAD: Final = (
    "", "Analysable, min", "Beats", "N", "S", "V", "F", "Q", "PVC, %", "HR min", "mean", "max, bpm", "V runs", "S runs",
    "Pauses", "AF, min",
)  # fmt: skip
PERIOD_MM: Final = (32.0, 22.0, *[14.0] * (len(PERIOD_HEAD) - 2))
MORPHOLOGIES = 4  # of V that are shown; the remaining beats are shown together
WAVE_WIDTH_MM, WAVE_HEIGHT_MM, WAVE_COLUMN_MM = 25.0, 30.0, 48.0  # the mean beat of a morphology: a second


def trend_flowables(analysis: Analysis) -> list[Flowable]:
    """Trends over the recording, and day against night."""
    periods = day_and_night(analysis)
    by_night = _period_table(periods) if periods else paragraph(NO_CLOCK, NOTE)
    return [
        paragraph("Trends", HEADING),
        Drawing(TRENDS_MM, lambda sheet: draw_trends(sheet, 0.0, analysis)),
        KeepTogether([paragraph("Day and night", HEADING), by_night]),
    ]


def hour_flowables(analysis: Analysis) -> list[Flowable]:
    """A row for each hour, and the total."""
    by_clock = "by the clock" if clock_of(analysis.record) else "from the start of the recording"
    return [paragraph(f"Hours {by_clock}", HEADING), _period_table(hour_lines(analysis))]


def _period_table(lines: list[PeriodLine]) -> Flowable:
    rows = [PERIOD_HEAD, *(_period_row(line) for line in lines)]
    return table(rows, PERIOD_MM, right=range(1, len(PERIOD_HEAD)))


def _period_row(line: PeriodLine) -> tuple[str, ...]:
    return (
        line.name,
        f"{line.analysable_s / 60:,.1f}",
        f"{line.n_beats:,}",
        *(f"{line.n_of(label):,}" for label in "NSVFQ"),
        f"{line.v_pct:.1f}" if line.n_beats else "–",
        *(f"{rate:.0f}" if np.isfinite(rate) else "–" for rate in line.rates_bpm),
        *(f"{n:,}" for n in (*line.runs, line.n_pauses)),
        f"{line.af_s / 60:.1f}",
    )


def diary_flowables(analysis: Analysis, notes: Notes) -> list[Flowable]:
    """Symptoms against rhythms."""
    if not notes.diary:
        return []
    rows: list[tuple[Cell, ...]] = [("Time", "Symptom", "Note", "Rhythm within half a minute", "HR, bpm")]
    for row in symptom_rows(analysis, notes.diary):
        entry = row.entry
        mark = " (event mark)" if entry.source == FROM_FILE else ""
        rate = f"{row.rate_bpm:.0f}" if np.isfinite(row.rate_bpm) else "–"
        rows.append((clock_text(analysis.record, entry.time_s), entry.symptom + mark, entry.note, row.rhythm, rate))
    return [paragraph("Diary: symptoms and rhythms", HEADING), table(rows, [25, 45, 60, 105, 15], right=[4])]


def morphology_flowables(analysis: Analysis) -> list[Flowable]:
    """The waveforms of the V beats with their counts; none where there is no V."""
    beats, lead_name = analysis.beats, analysis.lead_names[0]
    v_s = beats.time_s[(beats.label == "V") & beats.usable]
    if not len(v_s):
        return []
    shapes, rest = morphologies(analysis.record, analysis.lead_names, v_s, max_groups=MORPHOLOGIES)
    named = [(f"Morphology {number}", *shape) for number, shape in enumerate(shapes, 1)]
    named += [("Other morphologies", *rest)] if rest[1] else []
    reach_mv = max(float(np.ptp(shape.mean_mv[0])) for _, shape, _ in named)
    gain = next((gain for gain in GAINS_MM_PER_MV if gain * reach_mv <= WAVE_HEIGHT_MM), GAINS_MM_PER_MV[-1])
    text = f"Mean of each morphology in lead {lead_name}, 25 mm/s, {gain:g} mm/mV; from all {len(v_s):,} V."
    cells = [
        _morphology(name, Lead(lead_name, shape.mean_mv[0], 1 / STEP_S), gain, n, len(v_s)) for name, shape, n in named
    ]
    return [
        KeepTogether([paragraph("PVC morphologies", HEADING), paragraph(text, NOTE), row_of(cells, WAVE_COLUMN_MM)])
    ]


def _morphology(name: str, mean: Lead, gain: float, n: int, n_v: int) -> list[Flowable]:
    """The mean beat of a morphology on paper, and how many beats it has."""

    def draw(sheet: Sheet) -> None:
        draw_excerpt(sheet, mean, gain, x=LEFT_MM, y=0.0, width=WAVE_WIDTH_MM, height=WAVE_HEIGHT_MM)

    share = f"{n:,} of {n_v:,} ({100 * n / n_v:.0f} %)"
    return [Drawing(WAVE_HEIGHT_MM, draw, width_mm=WAVE_WIDTH_MM), gap(1), paragraph(f"{name}: {share}", SMALL)]


def event_flowables(analysis: Analysis) -> list[Flowable]:
    """All dangers, then the findings of each kind with the most serious first, up to a number that is stated."""
    by_kind = {kind: [event for event in analysis.events if event.kind == kind] for kind in MOST_SERIOUS_FIRST}
    found = {kind: events for kind, events in by_kind.items() if events}
    if not found:
        return [paragraph("Findings", HEADING), paragraph("No finding.", NOTE)]
    rows: list[tuple[Cell, ...]] = [("Finding", "At", "Length", "Beats", "bpm")]
    remarks = []
    for kind, events in found.items():
        shown = events if kind in DANGERS else first_and_longest(events, MOST_OF_A_KIND)
        rows += [_event_row(analysis, event) for event in shown]
        if len(shown) < len(events):
            remarks.append(f"{KIND_NAMES[kind].lower()} {len(shown)} of {len(events):,}")
    width = column_mm(2)
    limits = f"Shown are the first of each kind and the longest: {'; '.join(remarks)}." if remarks else ""
    return [
        *page_of(2),
        paragraph("Findings", HEADING),
        *([paragraph(limits, NOTE)] if limits else []),
        table(rows, [width - 72, 26, 22, 12, 12], right=[2, 3, 4]),
    ]


def _event_row(analysis: Analysis, event: RhythmEvent) -> tuple[Cell, ...]:
    rate = f"{event.rate_bpm:.0f}" if np.isfinite(event.rate_bpm) else "–"
    beats = f"{event.n_beats:,}" if event.n_beats else "–"
    decimals = 2 if event.n_beats == 2 else 1
    at = clock_text(analysis.record, event.start_s)
    return KIND_NAMES[event.kind], at, length_text(event, decimals=decimals), beats, rate


def unanalysed_flowables(analysis: Analysis) -> list[Flowable]:
    """What was not analysed: signal, leads, and what the program does not look at."""
    return [
        KeepTogether(
            [
                paragraph("What was not analysed", HEADING),
                *[paragraph(f"{text}.", BODY) for text in _unanalysed(analysis)],
            ]
        )
    ]


def _unanalysed(analysis: Analysis) -> Iterator[str]:
    yield NOT_ANALYSED_TEXT
    yield from unjudged_texts(analysis)
    if not any(event.kind in UNJUDGED for event in analysis.events):
        yield "No stretch of the recording was left out as not analysable"
    others = [name for name in analysis.record.lead_names if name not in analysis.lead_names]
    if others:
        yield f"Leads that were not analysed: {', '.join(others)}"
    if n := analysis.burden.n_unusable_beats:
        yield f"{n:,} {'beat' if n == 1 else 'beats'} in signal that is not analysable, in no count"
