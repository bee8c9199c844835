"""The strips of the PDF report, section by section, and twelve leads at once where a record has them."""

from __future__ import annotations

from typing import Final

from reportlab.platypus import Flowable, KeepTogether

from ..clock import clock_text
from ..notes import Notes
from ..records import read_strip
from ..schema import Analysis
from .canvas import DANGER, FAINT, LEFT_MM, MM_PER_S, WIDTH_MM, Sheet, Stretch, draw_columns, draw_strip, fitting_gain
from .dangers import SHORT_NAMES, UNJUDGED
from .document import GROUP, HEADING, NOTE, SMALL_RIGHT, STRONG, Drawing, gap, page_of, paragraph, table
from .strip_selection import STRIP_S, Strip, strip_leads, strip_sections, twelve_leads
