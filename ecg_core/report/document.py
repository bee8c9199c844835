"""A document that flows over pages: paragraphs and tables of reportlab, and drawings in true millimetres."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from xml.sax.saxutils import escape

from reportlab import rl_config
from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    FrameBreak,
    NextPageTemplate,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
)

from .canvas import (
    BOTTOM_MM,
    DANGER,
    DANGER_FILL,
    FAINT,
    LEFT_MM,
    LINE,
    PAGE_HEIGHT_MM,
    PAGE_WIDTH_MM,
    RIGHT_MM,
    TEXT,
    TOP_MM,
    WIDTH_MM,
    Sheet,
)
from .fonts import BOLD, PLAIN, font_for, printable

COLUMN_GAP_MM = 6.0
MOST_COLUMNS = 3  # of a page
HEAD_GAP_MM = 3.0  # between the head of a page and its content
SCALE_MM = 100.0  # width of what stands at the right above a strip
HEAD_LEFT_MM = 130.0  # width of the left part of the head

TOP_ALIGNED: Final = ("VALIGN", (0, 0), (-1, -1), "TOP")

Cell = str | Flowable | list[Flowable]


def _style(name: str, size: float, **more: Any) -> ParagraphStyle:
    options: dict[str, Any] = {"fontName": PLAIN, "textColor": HexColor(TEXT), "splitLongWords": 1}
    return ParagraphStyle(name, fontSize=size, leading=1.25 * size, **(options | more))


BODY: Final = _style("body", 9.5, spaceAfter=1.5)
SMALL: Final = _style("small", 7)
SMALL_RIGHT: Final = _style("small right", 7, alignment=TA_RIGHT)
SMALL_HEAD: Final = _style("small head", 7, fontName=BOLD, textColor=HexColor(FAINT))
SMALL_HEAD_RIGHT: Final = _style("small head right", 7, fontName=BOLD, textColor=HexColor(FAINT), alignment=TA_RIGHT)
FAINT_SMALL: Final = _style("faint", 7, textColor=HexColor(FAINT))
NOTE: Final = _style("note", 8, spaceAfter=2)
STRONG: Final = _style("strong", 8, fontName=BOLD)
FIGURE: Final = _style("figure", 13, fontName=BOLD)
TITLE: Final = _style("title", 13, fontName=BOLD, spaceAfter=3)
HEADING: Final = _style("heading", 11, fontName=BOLD, spaceBefore=6, spaceAfter=3, keepWithNext=1)
GROUP: Final = _style("group", 8.5, fontName=BOLD, spaceBefore=4, spaceAfter=1, keepWithNext=1)
ALERT: Final = _style("alert", 10, fontName=BOLD, textColor=HexColor(DANGER))
HEAD: Final = _style("head", 9, fontName=BOLD)
HEAD_RIGHT: Final = _style("head right", 8, alignment=TA_RIGHT, textColor=HexColor(FAINT))


@dataclass(frozen=True)
class Head:
    """What stands above each page, at its left and at its right."""

    left: str
    right: str


class Drawing(Flowable):
    """Something drawn on a sheet; its upper left corner is at LEFT_MM and 0 mm."""

    def __init__(self, height_mm: float, draw: Callable[[Sheet], None], *, width_mm: float = WIDTH_MM) -> None:
        super().__init__()
        self.width, self.height, self._draw = width_mm * mm, height_mm * mm, draw

    def wrap(self, _width: float, _height: float) -> tuple[float, float]:
        """Size in points."""
        return self.width, self.height

    def draw(self) -> None:
        """Draw at the place that the page has for it."""
        self.canv.translate(-LEFT_MM * mm, self.height - PAGE_HEIGHT_MM * mm)
        self._draw(Sheet(self.canv))


class _Paragraph(Paragraph):
    """A paragraph that is broken into lines once for a width; a table asks for its height three times."""

    _size = (0.0, 0.0)

    def wrap(self, width: float, height: float) -> tuple[float, float]:
        """Width and height in points."""
        if not hasattr(self, "blPara") or self._size[0] != width:  # the lines, which a split removes
            self._size = super().wrap(width, height)
        return self._size


def paragraph(text: str, style: ParagraphStyle = BODY) -> Paragraph:
    """A paragraph of plain text."""
    shown = printable(text)
    font = font_for(shown, style.fontName)
    fitting = style if font == style.fontName else _in_font(style, font)
    marked = escape(shown)
    if shown and marked == shown == " ".join(shown.split()):
        return _Paragraph(shown, fitting, frags=[_fragment(fitting).clone(text=shown)])
    return _Paragraph(marked, fitting)


@cache
def _in_font(style: ParagraphStyle, font: str) -> ParagraphStyle:
    return style.clone(f"{style.name}, {font}", fontName=font)


@cache
def _fragment(style: ParagraphStyle) -> Any:
    """What reportlab's parser makes of a text without marks; for each cell of a table again, it takes long."""
    return Paragraph("x", style).frags[0]


def gap(height_mm: float) -> Spacer:
    """Empty space."""
    return Spacer(1, height_mm * mm)


def page_of(columns: int) -> list[Flowable]:
    """Begin a page of so many columns."""
    return [NextPageTemplate(_template_name(columns)), PageBreak()]


def next_column() -> Flowable:
    """Go on in the next column."""
    return FrameBreak()


def column_mm(columns: int) -> float:
    """Width of one of some columns."""
    return (WIDTH_MM - (columns - 1) * COLUMN_GAP_MM) / columns


def table(rows: Sequence[Sequence[Cell]], widths_mm: Sequence[float], *, right: Iterable[int] = (),
          heading: bool = True) -> Table:  # fmt: skip
    """A table of text, whose cells grow with their content; the first row is a heading that each page repeats."""
    right = set(right)
    styles = [SMALL_RIGHT if number in right else SMALL for number in range(len(widths_mm))]
    cells = [
        [paragraph(cell, style) if isinstance(cell, str) else cell for cell, style in zip(row, styles, strict=True)]
        for row in rows
    ]
    look = [
        TOP_ALIGNED, ("TOPPADDING", (0, 0), (-1, -1), 0.6),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 1.2), ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 6), ("LINEBELOW", (0, 0), (-1, -1), 0.3, HexColor(LINE)),
    ]  # fmt: skip
    if heading:
        heads = [SMALL_HEAD_RIGHT if number in right else SMALL_HEAD for number in range(len(widths_mm))]
        cells[0] = [paragraph(str(cell), style) for cell, style in zip(rows[0], heads, strict=True)]
        look.append(("LINEBELOW", (0, 0), (-1, 0), 0.6, HexColor(FAINT)))
    return _table(cells, widths_mm, look, heading=heading)


def titles(left: str, right: str) -> Table:
    """What stands above a drawing: what it shows, and at the right how it is drawn."""
    look = [("VALIGN", (0, 0), (-1, -1), "BOTTOM"), *_no_padding(bottom=1.5)]
    cells = [[paragraph(left, STRONG), paragraph(right, SMALL_RIGHT)]]
    return _table(cells, [WIDTH_MM - SCALE_MM, SCALE_MM], look, heading=False)


def _no_padding(*, bottom: float = 0.0) -> list[Any]:
    sides = {"TOPPADDING": 0.0, "BOTTOMPADDING": bottom, "LEFTPADDING": 0.0, "RIGHTPADDING": 0.0}
    return [(side, (0, 0), (-1, -1), width) for side, width in sides.items()]


def row_of(cells: Sequence[Sequence[Flowable]], width_mm: float) -> Table:
    """Groups of content beside each other, each as wide."""
    look = [TOP_ALIGNED, *_no_padding()]
    return _table([[list(cell) for cell in cells]], [width_mm] * len(cells), look, heading=False)


def boxes(cells: Sequence[Sequence[Flowable]], *, danger: bool = False) -> Table:
    """Framed boxes beside each other, all of one width; red ones for what is of danger."""
    edge, width = (DANGER, 1.4) if danger else (LINE, 0.5)
    look: list[Any] = [("BOX", (number, 0), (number, 0), width, HexColor(edge)) for number in range(len(cells))]
    look += [("TOPPADDING", (0, 0), (-1, -1), 3), ("BOTTOMPADDING", (0, 0), (-1, -1), 4), TOP_ALIGNED]
    if danger:
        look.append(("BACKGROUND", (0, 0), (-1, -1), HexColor(DANGER_FILL)))
    return _table([[list(cell) for cell in cells]], [WIDTH_MM / len(cells)] * len(cells), look, heading=False)


def _table(cells: Any, widths_mm: Sequence[float], look: list[Any], *, heading: bool) -> Table:
    return Table(
        cells, colWidths=[width * mm for width in widths_mm], style=look, repeatRows=int(heading), splitInRow=1,
        hAlign="LEFT",
    )  # fmt: skip


def make_pdf(title: str, story: list[Flowable], *, head: Head, footer: Callable[[Sheet, int, int], None]) -> bytes:
    """A document of this content; the same content always gives the same bytes."""
    rl_config.useA85 = 0  # streams stay bytes, as every reader of PDF takes them: as text they are a quarter longer
    stream = io.BytesIO()
    heads = paragraph(head.left, HEAD), paragraph(head.right, HEAD_RIGHT)
    widths = HEAD_LEFT_MM * mm, (WIDTH_MM - HEAD_LEFT_MM - COLUMN_GAP_MM) * mm
    height = max(part.wrap(width, PAGE_HEIGHT_MM * mm)[1] for part, width in zip(heads, widths, strict=True))

    def draw_head(canvas: Canvas, _document: BaseDocTemplate) -> None:
        top = (PAGE_HEIGHT_MM - TOP_MM) * mm
        for part, width, x in zip(heads, widths, (LEFT_MM * mm, RIGHT_MM * mm - widths[1]), strict=True):
            part.drawOn(canvas, x, top - part.wrap(width, height)[1])
        Sheet(canvas).line(LEFT_MM, TOP_MM + height / mm + 1, RIGHT_MM, TOP_MM + height / mm + 1)

    document = BaseDocTemplate(
        stream, pagesize=(PAGE_WIDTH_MM * mm, PAGE_HEIGHT_MM * mm), invariant=1, pageCompression=1,
        title=printable(title), leftMargin=0, rightMargin=0, topMargin=0, bottomMargin=0,
    )  # fmt: skip
    top_mm = TOP_MM + height / mm + HEAD_GAP_MM
    for columns in range(1, MOST_COLUMNS + 1):
        frames = [_frame(column, columns, top_mm) for column in range(columns)]
        document.addPageTemplates(PageTemplate(_template_name(columns), frames, onPage=draw_head))
    document.build(story, canvasmaker=lambda *args, **options: _NumberedCanvas(*args, footer=footer, **options))
    return stream.getvalue()


def _template_name(columns: int) -> str:
    return f"{columns} columns"


def _frame(column: int, columns: int, top_mm: float) -> Frame:
    width = column_mm(columns)
    x, bottom = LEFT_MM + column * (width + COLUMN_GAP_MM), PAGE_HEIGHT_MM - BOTTOM_MM
    return Frame(
        x * mm, bottom * mm, width * mm, (BOTTOM_MM - top_mm) * mm, leftPadding=0, rightPadding=0, topPadding=0,
        bottomPadding=0,
    )  # fmt: skip


class _NumberedCanvas(Canvas):
    """Keeps the pages until all are made, so that a footer can state how many there are."""

    def __init__(self, *args: Any, footer: Callable[[Sheet, int, int], None], **options: Any) -> None:
        super().__init__(*args, **options)
        self._footer, self._kept = footer, list[dict[str, Any]]()

    def showPage(self) -> None:
        """End a page."""
        self._kept.append(dict(self.__dict__))
        self._startPage()  # type: ignore[attr-defined]

    def save(self) -> None:
        """Write all pages, each with its footer."""
        for number, page in enumerate(self._kept, 1):
            self.__dict__.update(page)
            self._footer(Sheet(self), number, len(self._kept))
            super().showPage()
        super().save()
