"""The report as PDF: summary, trends and hours, strips in true millimetres, definitions, and the rules in force."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple

import numpy as np

from .. import NOTICE, __version__
from ..clock import clock_text, duration_text
from ..records import read_strip
from ..schema import Analysis
from .canvas import (
    BOLD,
    BOTTOM_MM,
    DANGER,
    DANGER_FILL,
    FAINT,
    LEFT_MM,
    RIGHT_MM,
    TEXT,
    TOP_MM,
    WIDTH_MM,
    Sheet,
    Stretch,
    draw_strip,
    make_pdf,
)
from .dangers import SHORT_NAMES, UNJUDGED, dangers, not_analysable_text, remarks
from .measures import COLUMNS, GROUPS, HourLine, Measure, format_labels, hour_lines, measures
from .strip_selection import STRIP_S, Strip, choose_strips, clearest_lead
from .trends import draw_trends

COLUMN_MM, COLUMN_GAP_MM = 80.0, 5.0  # three columns of measures
ROW_MM = 3.7  # height of a measure; less where dangers leave less room
HEADING_ROWS, GAP_ROWS = 1.1, 0.5  # heights of a group's heading and of the space below it, in rows
PATTERNS: Final = ("bigeminy", "trigeminy")
DANGER_LINE_MM, REMARK_LINE_MM = 4.4, 3.5
SIGNATURE_MM = 17.0
DEFINITION_GAP_MM = 0.8  # between two definitions
CARD_MM = 15.0  # height of the four figures that are read first
STRIP_MM, STRIPS_A_PAGE = 45.0, 3  # height of a strip: 4.5 mV at 10 mm/mV
TITLE_LINE_MM, TITLE_LINES = 3.4, 3  # height and greatest number of the lines of titles above a strip
HOURS_FIRST_PAGE, HOURS_A_PAGE = 25, 42  # rows of the hourly table
ON_CARDS: Final = frozenset({"analysable_time", "pvc_burden", "sve_burden", "af_burden"})
HOUR_HEAD: Final = (
    "From", "Analysable, min", "Beats", "N", "S", "V", "F", "Q", "V, %", "HR min", "mean", "max, bpm",
    "V runs", "S runs", "Pauses", "AF, min",
)  # fmt: skip


def report_pdf(analysis: Analysis) -> bytes:
    """The whole report as PDF, A4 landscape, to be printed at 100 %."""
    strips = choose_strips(analysis)
    hours = [HOUR_HEAD, *(_hour_row(line) for line in hour_lines(analysis))]
    pages: list[Callable[[Sheet], None]] = [
        partial(_summary_page, analysis=analysis),
        partial(_trend_page, analysis=analysis, rows=hours[: HOURS_FIRST_PAGE + 1], total=hours[-1]),
    ]
    for first in range(HOURS_FIRST_PAGE + 1, len(hours) - 1, HOURS_A_PAGE):
        rows = [HOUR_HEAD, *hours[first : min(first + HOURS_A_PAGE, len(hours) - 1)]]
        pages.append(partial(_hours_page, analysis=analysis, rows=rows))
    for first in range(0, len(strips), STRIPS_A_PAGE):
        pages.append(partial(_strip_page, analysis=analysis, strips=strips[first : first + STRIPS_A_PAGE]))
    pages += [partial(_definitions_page, analysis=analysis), partial(_rules_page, analysis=analysis)]
    return make_pdf(f"ECG report {analysis.record.record_id}", pages, partial(_footer, analysis=analysis))


def _heading(sheet: Sheet, analysis: Analysis, what: str) -> None:
    record = analysis.record
    simulated = ", simulated record" if record.is_simulated else ""
    sheet.text(LEFT_MM, TOP_MM + 4, f"{record.record_id}{simulated} – {what}", size=14, font=BOLD, fit_mm=150)
    start = f"{record.start:%Y-%m-%d %H:%M:%S}" if record.start else "start unknown; times are elapsed times"
    length = duration_text(record.duration_s)
    sheet.text(RIGHT_MM, TOP_MM + 2, f"{start}, {length}", size=8, align="right")
    age = f", age {record.age_years}" if record.age_years is not None else ""
    overrides = f" ({record.overrides.text} entered by hand)" if record.overrides.text else ""
    leads = f"lead {', '.join(analysis.lead_names)} of {len(record.lead_names)}"
    signal = f"{leads}, {record.fs_hz:g} Hz{overrides}{age}"
    sheet.text(RIGHT_MM, TOP_MM + 6, signal, size=8, colour=FAINT, align="right", fit_mm=110)


def _footer(sheet: Sheet, number: int, total: int, *, analysis: Analysis) -> None:
    sheet.line(LEFT_MM, BOTTOM_MM + 1, RIGHT_MM, BOTTOM_MM + 1)
    sheet.text(LEFT_MM, BOTTOM_MM + 4.5, NOTICE, size=6.5, colour=FAINT)
    made = f"version {__version__}, model {analysis.model.name} {analysis.model.sha256[:12]}, page {number} of {total}"
    sheet.text(RIGHT_MM, BOTTOM_MM + 4.5, made, size=6.5, colour=FAINT, align="right")


def _summary_page(sheet: Sheet, *, analysis: Analysis) -> None:
    _heading(sheet, analysis, "ECG arrhythmia report")
    found = {measure.key: measure for measure in measures(analysis)}
    top = _danger_box(sheet, TOP_MM + 9.5, analysis)
    _cards(sheet, top, found, analysis)
    top += CARD_MM + 5.5
    columns = [{group: list(_rows(found, group)) for group in groups} for groups in COLUMNS]
    room_mm = BOTTOM_MM - SIGNATURE_MM - 2 - top
    row_mm = min(ROW_MM, room_mm / max(_height_rows(column) for column in columns))
    for number, column in enumerate(columns):
        x, y = LEFT_MM + number * (COLUMN_MM + COLUMN_GAP_MM), top
        for group, rows in column.items():
            sheet.text(x, y, GROUPS[group], size=8.5, font=BOLD)
            y += HEADING_ROWS * row_mm
            for row in rows:
                _draw_row(sheet, x, y, row, analysis)
                y += row_mm
            y += GAP_ROWS * row_mm
    _signature(sheet)


def _danger_box(sheet: Sheet, y: float, analysis: Analysis) -> float:
    """What was found to be of danger, in a red box, and below it what was not judged; returns where the next begins."""
    found = dangers(analysis)
    if found:
        height = DANGER_LINE_MM * len(found) + 1.6
        sheet.box(LEFT_MM, y, WIDTH_MM, height, fill=DANGER_FILL)
        sheet.box(LEFT_MM, y, WIDTH_MM, height, colour=DANGER, width_mm=0.5)
        for number, danger in enumerate(found, 1):
            line = y + DANGER_LINE_MM * number - 0.4
            sheet.text(LEFT_MM + 2, line, danger.text, size=9.5, font=BOLD, colour=DANGER, fit_mm=WIDTH_MM - 4)
        y += height + 0.6
    for text in remarks(analysis):
        y += REMARK_LINE_MM
        sheet.text(LEFT_MM, y, f"{text}.", size=8, fit_mm=WIDTH_MM)
    return y + 2.5


class Row(NamedTuple):
    """A line of a group: a measure, or several that belong together."""

    name: str
    text: str
    at_s: float | None = None
    why: str = ""  # the reason where there is no value


def _rows(found: dict[str, Measure], group: str) -> Iterator[Row]:
    """The measures of a group that are not on the cards; those of one pattern, or of one count, share a row."""
    letter = group if group in ("v", "s") else ""
    at = [key for key in found if letter and key.startswith(f"{letter}_at_")]
    patterns = {f"{letter}_{name}": (f"{letter}_{name}_beats", f"{letter}_{name}_time") for name in PATTERNS}
    joined = {*at[1:], *(key for keys in patterns.values() for key in keys)}
    for key, measure in found.items():
        if measure.group != group or key in ON_CARDS or key in joined:
            continue
        if at and key == at[0]:
            limits = " / ".join(name.removeprefix(f"{letter}_at_") for name in at)
            counts = " / ".join(f"{found[name].value or 0:,.0f}" for name in at)
            yield Row(f"{letter.upper()}, probability {limits}", counts)
        elif key in patterns and measure.value:
            yield Row(measure.name, ", ".join(part.text for part in (measure, *(found[k] for k in patterns[key]))))
        else:
            yield Row(measure.name, measure.text, measure.at_s, measure.why if measure.value is None else "")


def _height_rows(column: dict[str, list[Row]]) -> float:
    """Height of a column of groups, in rows."""
    return sum(HEADING_ROWS + len(rows) + GAP_ROWS for rows in column.values()) - GAP_ROWS


def _cards(sheet: Sheet, y: float, found: dict[str, Measure], analysis: Analysis) -> None:
    """The figures that are read first: how much was analysable, and the three burdens."""
    burden = analysis.burden
    lost = not_analysable_text(analysis)
    episodes = f"{found['af_episodes'].text}, {found['af_time'].text}"
    cards = [
        ("Analysable time", duration_text(burden.analysable_s), lost),
        ("PVC burden", _percent(found["pvc_burden"]), _interval_text(found, "pvc_burden") + _with_fusion(found)),
        ("SVE burden", _percent(found["sve_burden"]), _interval_text(found, "sve_burden")),
        ("AF burden in this recording", _percent(found["af_burden"]), episodes),
    ]
    width = (WIDTH_MM - 3 * 3) / 4
    for number, (name, value, note) in enumerate(cards):
        x = LEFT_MM + number * (width + 3)
        sheet.box(x, y, width, CARD_MM)
        sheet.text(x + 2, y + 4, name, size=7.5, colour=FAINT)
        sheet.text(x + 2, y + 9.5, value, size=13, font=BOLD, fit_mm=width - 4)
        sheet.text(x + 2, y + 13.4, note, size=7, colour=FAINT, fit_mm=width - 4)


def _percent(measure: Measure) -> str:
    return measure.text if measure.value is not None else f"not measurable: {measure.why}"


def _interval_text(found: dict[str, Measure], key: str) -> str:
    low, high = found[f"{key}_low"], found[f"{key}_high"]
    if low.value is None or high.value is None:
        return ""
    return f"95 % interval {low.value:.2f} to {high.value:.2f} %"


def _with_fusion(found: dict[str, Measure]) -> str:
    """The burden with fusion beats, where there are any."""
    return f"; V + F {found['pvc_burden_with_fusion'].text}" if found["beats_F"].value else ""


def _draw_row(sheet: Sheet, x: float, y: float, row: Row, analysis: Analysis) -> None:
    sheet.text(x, y, row.name, size=7, colour=FAINT if row.why else TEXT, fit_mm=46)
    if row.why:
        sheet.text(x + COLUMN_MM, y, row.why, size=6.5, colour=FAINT, align="right", fit_mm=34)
        return
    moment = "" if row.at_s is None else f"{clock_text(analysis.record, row.at_s)}  "
    sheet.text(x + COLUMN_MM, y, moment + row.text, size=7, align="right")


def _signature(sheet: Sheet) -> None:
    y = BOTTOM_MM - SIGNATURE_MM - 1
    sheet.box(LEFT_MM, y, WIDTH_MM - 85, SIGNATURE_MM)
    sheet.text(LEFT_MM + 2, y + 4, "Impression", size=7.5, colour=FAINT)
    sheet.box(RIGHT_MM - 80, y, 80, SIGNATURE_MM)
    sheet.text(RIGHT_MM - 78, y + 4, "Reviewed by, date, signature", size=7.5, colour=FAINT)


def _trend_page(sheet: Sheet, *, analysis: Analysis, rows: Sequence[Sequence[str]], total: Sequence[str]) -> None:
    _heading(sheet, analysis, "trends and hours")
    draw_trends(sheet, TOP_MM + 14, analysis)
    if rows[-1] is not total:
        rows = [*rows, total] if len(rows) <= HOURS_FIRST_PAGE else [*rows[:HOURS_FIRST_PAGE], rows[-1], total]
    sheet.table(TOP_MM + 78, _hour_columns(), rows, size=6.5, row_mm=3.9)


def _hours_page(sheet: Sheet, *, analysis: Analysis, rows: Sequence[Sequence[str]]) -> None:
    _heading(sheet, analysis, "hours, continued")
    sheet.table(TOP_MM + 14, _hour_columns(), rows, size=6.5, row_mm=3.9)


def _hour_columns() -> list[tuple[float, str]]:
    width = (WIDTH_MM - 20) / (len(HOUR_HEAD) - 1)
    return [(LEFT_MM, "left"), *((LEFT_MM + 20 + width * number, "right") for number in range(1, len(HOUR_HEAD)))]


def _hour_row(line: HourLine) -> tuple[str, ...]:
    return (
        line.name,
        f"{line.analysable_s / 60:.1f}",
        f"{line.n_beats:,}",
        *(f"{line.n_of(label):,}" for label in "NSVFQ"),
        f"{line.v_pct:.1f}" if line.n_beats else "–",
        *(f"{rate:.0f}" if np.isfinite(rate) else "–" for rate in line.rates_bpm),
        *(f"{n:,}" for n in (*line.runs, line.n_pauses)),
        f"{line.af_s / 60:.1f}",
    )


def _strip_page(sheet: Sheet, *, analysis: Analysis, strips: Sequence[Strip]) -> None:
    _heading(sheet, analysis, "strips")
    record, marked = analysis.record, _marked(analysis)
    for number, strip in enumerate(strips):
        y = TOP_MM + 18 + number * (STRIP_MM + 11)
        name = clearest_lead(analysis, strip.start_s)
        lead = read_strip(record, name, start_s=strip.start_s, length_s=STRIP_S)
        gain = draw_strip(
            sheet, lead, beats=analysis.beats, x=LEFT_MM, y=y, width=WIDTH_MM, height=STRIP_MM, marked=marked
        )
        for above, line in enumerate(reversed(_title_lines(strip.titles))):
            sheet.text(LEFT_MM, y - 1.5 - above * TITLE_LINE_MM, line, size=8, font=BOLD, fit_mm=160)
        calibrated = record.calibrated[record.lead_names.index(name)]
        uncalibrated = "" if calibrated else ", 200 counts per mV assumed"
        scale = f"{clock_text(record, strip.start_s, decimals=1)}  lead {name}  25 mm/s  {gain:g} mm/mV{uncalibrated}"
        sheet.text(RIGHT_MM, y - 1.5, scale, size=8, align="right", fit_mm=88)


def _marked(analysis: Analysis) -> list[Stretch]:
    """Dangers, and stretches that could not be judged, as the strips mark them."""
    return [
        Stretch(event.start_s, event.end_s, SHORT_NAMES[event.kind], FAINT if event.kind in UNJUDGED else DANGER)
        for event in analysis.events
        if event.kind in SHORT_NAMES
    ]


def _title_lines(titles: Sequence[str]) -> list[str]:
    """The titles of a strip, two on a line, or more where the lines do not suffice."""
    on_line = max(2, -(-len(titles) // TITLE_LINES))
    return [";  ".join(titles[first : first + on_line]) for first in range(0, len(titles), on_line)]


def _definitions_page(sheet: Sheet, *, analysis: Analysis) -> None:
    """The denominator or definition of each figure of the summary, and why some are missing."""
    _heading(sheet, analysis, "definitions")
    defined = [measure for measure in measures(analysis) if measure.of or measure.value is None]
    half = -(-len(defined) // 2)
    for column, some in enumerate((defined[:half], defined[half:])):
        x, y = LEFT_MM + column * (WIDTH_MM + COLUMN_GAP_MM) / 2, TOP_MM + 14
        for measure in some:
            sheet.text(x, y, measure.name, size=6.5, fit_mm=38)
            why = f"not measurable: {measure.why}" if measure.value is None else ""
            text = "; ".join(part for part in (measure.of, why) if part)
            y = sheet.paragraph(x + 40, y, 82, text, size=6.5, colour=FAINT) + DEFINITION_GAP_MM


def _rules_page(sheet: Sheet, *, analysis: Analysis) -> None:
    _heading(sheet, analysis, "rules and provenance")
    y = TOP_MM + 16
    changed = {rule.key for rule in analysis.rules.changed()}
    rows = [("Rule", "Value", "Source")]
    for rule in analysis.rules.rows():
        mark = " (changed by the reader)" if rule.key in changed else ""
        rows.append((rule.says + mark, f"{rule.value:g} {rule.unit}".strip(), rule.source))
    y = sheet.table(y, [(LEFT_MM, "left"), (LEFT_MM + 130, "right"), (LEFT_MM + 135, "left")], rows, row_mm=4.3)
    record, model = analysis.record, analysis.model
    facts = (
        "Beats are classified by ANSI/AAMI EC57 as N, S, V, F or Q (N includes bundle branch block and escape beats). "
        "The PVC and SVE burdens are percentages of the analysable beats, the AF burden is a percentage of the "
        "analysable time. Beats in signal that is not analysable are not counted. The interval of a burden is "
        "as wide as the errors in other patients ask for. Probabilities are calibrated on these patients; network and "
        "rules favour ectopic labels, so that a label can have a probability below one half.",
        *([f"Labels: {format_labels(analysis)}."] if len(analysis.labelled) else []),
        f"Program version {__version__}. Model {model.name}, SHA-256 {model.sha256}.",
        f"Record {record.record_id}, SHA-256 {record.sha256}. The comments of its header, which may name a "
        "patient, are left out.",
        NOTICE,
    )
    y += 3
    for fact in facts:
        y = sheet.paragraph(LEFT_MM, y, WIDTH_MM, fact, size=7.5) + 1.2
