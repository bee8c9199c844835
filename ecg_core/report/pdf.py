"""The report as PDF: summary, measures, trends and hours, findings, strips in true millimetres, definitions, rules."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import Final, NamedTuple

from reportlab.lib.styles import ParagraphStyle
from reportlab.platypus import Flowable, KeepTogether

from .. import NOTICE, __version__
from ..clock import clock_of, clock_text, duration_text, start_text
from ..notes import NO_NOTES, Notes, Patient
from ..rhythm.doubt import is_uncertain
from ..schema import Analysis
from .canvas import BOTTOM_MM, FAINT, LEFT_MM, RIGHT_MM, WIDTH_MM, Sheet
from .dangers import dangers, not_analysable_text, nothing_judged, remarks_below, unread_text
from .document import (
    ALERT,
    BODY,
    FAINT_SMALL,
    FIGURE,
    GROUP,
    HEADING,
    NOTE,
    SMALL,
    STRONG,
    TITLE,
    Cell,
    Head,
    boxes,
    column_mm,
    gap,
    make_pdf,
    next_column,
    page_of,
    paragraph,
    table,
)
from .facts import PATIENT_FIELDS, provenance, recording_facts, signer_text, unsigned_text, utc_text
from .measures import COLUMNS, GROUPS, Measure, measures
from .narrative import narrative_heading, narrative_of
from .operating import chosen_sensitivity
from .pdf_strips import strip_flowables
from .pdf_tables import (
    diary_flowables,
    event_flowables,
    hour_flowables,
    morphology_flowables,
    trend_flowables,
    unanalysed_flowables,
)
from .statements import af_card, statements

PATTERNS: Final = ("bigeminy", "trigeminy")
ON_CARDS: Final = frozenset({"analysable_time", "pvc_burden", "sve_burden", "af_burden"})
LONGEST_PARAGRAPH: Final = 5000  # letters, a page; what is left of a paragraph is broken into lines again on each page
NAME_MM, DEFINITION_MM = 38.0, 40.0  # width of the name of a measure beside its value, and beside its definition


def report_pdf(analysis: Analysis, notes: Notes = NO_NOTES) -> bytes:
    """The whole report as PDF, A4 landscape, to be printed at 100 %; patient data are those of the notes."""
    story = [
        *_summary(analysis, notes),
        *_measures(analysis),
        *page_of(1),
        *unanalysed_flowables(analysis),
        *trend_flowables(analysis),
        *morphology_flowables(analysis),
        *hour_flowables(analysis),
        *diary_flowables(analysis, notes),
        *event_flowables(analysis),
        *strip_flowables(analysis, notes),
        *_definitions(analysis),
        *_rules(analysis),
    ]

    def footer(sheet: Sheet, number: int, total: int) -> None:
        _footer(sheet, number, total, analysis=analysis, notes=notes)

    return make_pdf(f"ECG report {analysis.record.record_id}", story, head=_head(analysis), footer=footer)


def _head(analysis: Analysis) -> Head:
    """What names the recording on each page."""
    record = analysis.record
    simulated = ", simulated record" if record.is_simulated else ""
    start = start_text(record) if clock_of(record) else f"start {start_text(record)}"
    return Head(f"{record.record_id}{simulated}", f"{start}, {duration_text(record.duration_s)}")


def _footer(sheet: Sheet, number: int, total: int, *, analysis: Analysis, notes: Notes) -> None:
    sheet.line(LEFT_MM, BOTTOM_MM + 1, RIGHT_MM, BOTTOM_MM + 1)
    sheet.text(LEFT_MM, BOTTOM_MM + 4.5, NOTICE, size=6.5, colour=FAINT)
    made = f"version {__version__}, model {analysis.model.name} {analysis.model.sha256[:12]}"
    state = "signed" if notes.is_signed else "not signed"
    page = f"{made}, {state}, page {number} of {total}"
    sheet.text(RIGHT_MM, BOTTOM_MM + 4.5, page, size=6.5, colour=FAINT, align="right")


# The first page


def _summary(analysis: Analysis, notes: Notes) -> list[Flowable]:
    """Patient and recording, dangers, narrative, the figures that are read first, signatures."""
    found = {measure.key: measure for measure in measures(analysis)}
    return [
        paragraph("ECG arrhythmia report", TITLE),
        _whom_and_what(analysis, notes.patient),
        gap(2),
        *_danger_box(analysis),
        *[paragraph(f"{text}.", STRONG) for text in chosen_sensitivity(analysis)],
        paragraph(" ".join(f"{text}." for text in remarks_below(analysis)), NOTE),
        *[paragraph(f"{statement.text}.", STRONG) for statement in statements(analysis)],
        gap(1),
        _cards(found, analysis),
        paragraph(narrative_heading(notes), HEADING),
        *_paragraphs(narrative_of(analysis, notes)),
        *_signatures(notes),
    ]


def _paragraphs(text: str, style: ParagraphStyle = BODY) -> list[Flowable]:
    """A paragraph for each line; one that fills pages comes in parts."""
    return [paragraph(part, style) for line in text.splitlines() for part in wrap(line, LONGEST_PARAGRAPH)]


def _whom_and_what(analysis: Analysis, patient: Patient) -> Flowable:
    """The patient, where there are such data, beside the recording."""
    stated = [(name, getattr(patient, field)) for field, name in PATIENT_FIELDS.items()]
    known: list[tuple[str, Cell]] = [(name, _paragraphs(value, SMALL)) for name, value in stated if value.strip()]
    recording: list[tuple[str, Cell]] = list(recording_facts(analysis))
    if not known:
        half = -(-len(recording) // 2)
        known, recording = recording[:half], recording[half:]
    rows: list[tuple[Cell, ...]] = []
    for number in range(max(len(known), len(recording))):
        pairs = [some[number] if number < len(some) else ("", "") for some in (known, recording)]
        rows.append(tuple(cell for name, value in pairs for cell in (paragraph(name, FAINT_SMALL), value)))
    return table(rows, [30, 95, 25, 100], heading=False)


def _danger_box(analysis: Analysis) -> list[Flowable]:
    """What was found to be of danger, or that nothing could be, in a red box."""
    texts = [danger.text for danger in dangers(analysis)]
    texts += [unread_text(analysis)] if nothing_judged(analysis) else []
    return [boxes([[paragraph(text, ALERT) for text in texts]], danger=True), gap(2)] if texts else []


def _cards(found: dict[str, Measure], analysis: Analysis) -> Flowable:
    """The figures that are read first: how much was analysable, and the three burdens."""
    is_known = found["af_episodes"].value is not None
    episodes = f"{found['af_episodes'].text}, {found['af_time'].text}" if is_known else ""
    uncertain = ", uncertain" if is_uncertain(analysis.burden.s_doubt) else ""
    cards = [
        ("Analysable time", duration_text(analysis.burden.analysable_s), not_analysable_text(analysis)),
        ("PVC burden", _percent(found["pvc_burden"]), _interval_text(found, "pvc_burden") + _with_fusion(found)),
        ("SVE burden" + uncertain, _percent(found["sve_burden"]), _interval_text(found, "sve_burden")),
        af_card(analysis, "AF burden in this recording", burden=_percent(found["af_burden"]), episodes=episodes),
    ]
    return boxes(
        [
            [paragraph(name, FAINT_SMALL), paragraph(value, FIGURE), paragraph(note, FAINT_SMALL)]
            for name, value, note in cards
        ]
    )


def _percent(measure: Measure) -> str:
    return measure.text if measure.value is not None else f"not measurable: {measure.why}"


def _interval_text(found: dict[str, Measure], key: str) -> str:
    low, high = found[f"{key}_low"], found[f"{key}_high"]
    if low.value is None or high.value is None:
        return ""
    return f"95 % interval {low.value:.2f} to {high.text}"


def _with_fusion(found: dict[str, Measure]) -> str:
    """The burden with fusion beats, where there are any."""
    return f"; V + F {found['pvc_burden_with_fusion'].text}" if found["beats_F"].value else ""


def _signatures(notes: Notes) -> list[Flowable]:
    """Who signed what and when, each addendum after its version; or that nobody signed what is shown."""
    if not notes.is_signed:
        words = [paragraph(unsigned_text(notes), STRONG), gap(1), paragraph("Reader, date and signature:", SMALL)]
        return [gap(2), KeepTogether([boxes([[*words, gap(9)]])])]
    lines: list[Flowable] = []
    for one in notes.signatures:
        what = "Addendum" if one.addendum else f"Version {one.version}, signed"
        lines.append(paragraph(f"{what} by {signer_text(one)}, {utc_text(one.signed_at)}", STRONG))
        lines += [*_paragraphs(one.addendum, NOTE), *_paragraphs(one.statement, NOTE)]
    return [paragraph("Signatures", HEADING), boxes([lines])]


# Measures, definitions and rules


class Row(NamedTuple):
    """A line of a group: a measure, or several that belong together."""

    name: str
    text: str
    at_s: float | None = None
    why: str = ""  # the reason where there is no value


def _measures(analysis: Analysis) -> list[Flowable]:
    """All measures in three columns."""
    found = {measure.key: measure for measure in measures(analysis)}
    story: list[Flowable] = []
    for number, groups in enumerate(COLUMNS):
        story += [next_column()] if number else page_of(len(COLUMNS))
        for group in groups:
            rows = [_measure_cells(row, analysis) for row in _rows(found, group)]
            story += [
                paragraph(GROUPS[group], GROUP),
                table(rows, [NAME_MM, column_mm(len(COLUMNS)) - NAME_MM], right=[1], heading=False),
            ]
    return story


def _measure_cells(row: Row, analysis: Analysis) -> tuple[Cell, Cell]:
    if row.why:
        return paragraph(row.name, FAINT_SMALL), row.why
    return row.name, f"{_moment_text(analysis, row.at_s)}{row.text}"


def _moment_text(analysis: Analysis, time_s: float | None) -> str:
    return "" if time_s is None else f"{clock_text(analysis.record, time_s)}, "


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
            yield Row(f"{letter.upper()}, probability {limits}", counts, why=measure.why)
        elif key in patterns and measure.value:
            yield Row(measure.name, ", ".join(part.text for part in (measure, *(found[k] for k in patterns[key]))))
        else:
            yield Row(measure.name, measure.text, measure.at_s, measure.why if measure.value is None else "")


def _definitions(analysis: Analysis) -> list[Flowable]:
    """The denominator or definition of each measure, and why some are missing."""
    rows: list[tuple[Cell, ...]] = []
    for measure in measures(analysis):
        why = f"not measurable: {measure.why}" if measure.value is None and measure.why else ""
        text = "; ".join(part for part in (measure.of, why) if part)
        if text:
            rows.append((measure.name, paragraph(text, FAINT_SMALL)))
    widths = [DEFINITION_MM, column_mm(2) - DEFINITION_MM]
    return [*page_of(2), paragraph("Definitions", HEADING), table(rows, widths, heading=False)]


def _rules(analysis: Analysis) -> list[Flowable]:
    """The rules in force, and what the report was made from."""
    changed = {rule.key for rule in analysis.rules.changed()}
    rows: list[tuple[Cell, ...]] = [("Rule", "Value", "Source")]
    for rule in analysis.rules.rows():
        mark = " (changed by the reader)" if rule.key in changed else ""
        rows.append((rule.says + mark, f"{rule.value:g} {rule.unit}".strip(), rule.source))
    facts = (
        "Beats are classified by ANSI/AAMI EC57 as N, S, V, F or Q (N includes bundle branch block and escape beats). "
        "The PVC and SVE burdens are percentages of the analysable beats, the AF burden is a percentage of the "
        "analysable time. Beats in signal that is not analysable are not counted. The interval of a burden is "
        "as wide as the errors in other patients ask for. Probabilities are calibrated on these patients; network and "
        "rules favour ectopic labels, so that a label can have a probability below one half.",
        *provenance(analysis),
    )
    return [
        *page_of(1),
        paragraph("Rules and provenance", HEADING),
        table(rows, [125, 30, WIDTH_MM - 155], right=[1]),
        gap(2),
        *[paragraph(fact, NOTE) for fact in facts],
    ]
