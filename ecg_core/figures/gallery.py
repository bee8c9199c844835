"""The small calibrated strips of a gallery, as values that a browser draws in true millimetres."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from ..clock import clock_text
from ..labels import CLASSES, NAME
from ..records import lead_index, read_strip
from ..report.dangers import length_text
from ..report.strip_selection import readable_lead
from ..rhythm.events import DANGERS, KIND_NAMES
from ..rhythm.reviewing import BEATS, ReviewItems
from ..schema import Analysis, Bool, Lead, Text
from ..text import plural
from .decimation import decimate
from .lanes import UNCOUNTED
from .paper import STANDARD, Scale
from .samples import DRAWN_HZ, encoded
from .theme import beats_within, centre

WIDEST_MM: Final = 165.0  # of a strip: two columns need more than this beside each other, else there is a third
LEAD_IN_MM: Final = 15.0  # before an event that does not fit on its strip, which shows its first seconds
SHORT: Final = {  # what the names of kinds are called where there is little room
    "vf": "VF", "vf_suspected": "VF suspected", "asystole": "Asystole", "vt": "NSVT", "vt_sustained": "VT sustained",
    "v_couplet": "V couplet", "v_run": "V run", "idioventricular": "IVR", "v_bigeminy": "V bigeminy",
    "v_trigeminy": "V trigeminy", "s_couplet": "S couplet", "s_run": "S run", "svt": "SVT",
    "svt_sustained": "SVT sustained", "s_bigeminy": "S bigeminy", "s_trigeminy": "S trigeminy", "af": "AF",
    "af_pause": "Pause in AF", "paced": "Paced",
}  # fmt: skip


@dataclass(frozen=True)
class GalleryStrip:
    """One strip, of which a browser shows as many seconds as fit: its middle, or the first ones of a long event."""

    item: int  # its place among all that the gallery goes through
    start_s: float  # of the samples
    length_s: float
    fs_hz: float
    samples: str  # see ``samples.encoded``; from the baseline
    beats: tuple[tuple[float, str, str], ...]  # time, letter and class of each
    extent: tuple[float, float]  # of the event; of a beat, twice its time
    danger: bool
    title: str
    clock: str
    length: str  # of the event; empty for a beat
    reviewed: bool
    label: str  # all that is on it, for those who do not see it


@dataclass(frozen=True, eq=False)
class GallerySource:
    """What a gallery goes through, and in which lead and on which scale."""

    analysis: Analysis
    items: ReviewItems
    title: str
    reviewed: Bool  # (n_items,)
    lead: str  # where it is not analysable, a strip shows the clearest one of those that were analysed, and names it
    scale: Scale = STANDARD
    before: Text | None = None  # (n_beats,), classes before a change, which are shown where they differ

    def strips(self, first: int, last: int) -> tuple[GalleryStrip, ...]:
        """Read the strips of the items from one place up to, but not including, another."""
        return tuple(self._strip(item) for item in range(first, min(last, len(self.items))))

    def _strip(self, item: int) -> GalleryStrip:
        analysis, event = self.analysis, self.items.event(item)
        start_s, end_s = _span(event.start_s, event.end_s, self.scale)
        name = readable_lead(analysis, self.lead, event.start_s, min(event.end_s, end_s))
        lead = read_strip(analysis.record, name, start_s=start_s, length_s=end_s - start_s)
        signal_mv = lead.signal_mv - centre(lead.signal_mv)
        points, step = decimate(signal_mv, max(1, math.ceil(DRAWN_HZ * len(signal_mv) / lead.fs_hz)))
        clock = clock_text(analysis.record, event.start_s, decimals=1)
        length = "" if self.items.kind == BEATS else length_text(event)
        title, beats = f"{self._title(item)}{self._other_lead_text(name)}", self._beats(lead)
        return GalleryStrip(
            item, lead.start_s, len(signal_mv) / lead.fs_hz, lead.fs_hz / step, encoded(points),
            beats, (event.start_s, event.end_s), event.kind in DANGERS, title, clock, length,
            bool(self.reviewed[item]), self._label(item, title, clock, length),
        )  # fmt: skip

    def caption(self, item: int) -> str:
        """What a strip shows, for a report."""
        event, title = self.items.event(item), self._title(item)
        return title if self.items.kind == BEATS else f"{title}, {length_text(event)}"

    def _other_lead_text(self, name: str) -> str:
        """Which lead a strip shows where it is not the chosen one; empty where it is."""
        if name == self.lead:
            return ""
        record = self.analysis.record
        return f", in lead {name}{'' if record.calibrated[lead_index(record, name)] else ', gain not known'}"

    def _title(self, item: int) -> str:
        """What a strip shows, in few words."""
        if self.items.kind == BEATS:
            return self._beat_title(int(self.items.beat[item]))
        event = self.items.event(item)
        beats = f", {plural(event.n_beats, 'beat')}" if event.n_beats else ""
        rate = f", {event.rate_bpm:.0f} bpm" if math.isfinite(event.rate_bpm) else ""
        return f"{SHORT.get(event.kind, KIND_NAMES[event.kind])}{beats}{rate}"

    def _beat_title(self, beat: int) -> str:
        beats = self.analysis.beats
        label, rr_s = str(beats.label[beat]), float(beats.rr_s[beat])
        changed = self._letter(beat)
        name = NAME[label] if changed == label else changed
        rr = f", RR {1000 * rr_s:.0f} ms" if math.isfinite(rr_s) else ""
        return f"{name}{rr}, p {beats.probability[beat, CLASSES.index(label)]:.2f}"

    def _beats(self, lead: Lead) -> tuple[tuple[float, str, str], ...]:
        beats = self.analysis.beats
        inside = beats_within(beats, lead.start_s, lead.start_s + len(lead.signal_mv) / lead.fs_hz)
        return tuple(
            (round(float(beats.time_s[beat]), 3), self._letter(beat), str(beats.label[beat]))
            for beat in range(inside.start, inside.stop)
        )

    def _letter(self, beat: int) -> str:
        """The class of a beat; with the one before a change, where it differs."""
        beats = self.analysis.beats
        after = str(beats.label[beat]) if beats.usable[beat] else UNCOUNTED
        before = after if self.before is None else str(self.before[beat])
        return after if before == after else f"{before or 'new'} → {after}"

    def _label(self, item: int, title: str, clock: str, length: str) -> str:
        start_s, end_s = float(self.items.start_s[item]), float(self.items.end_s[item])
        inside = beats_within(self.analysis.beats, start_s, end_s + 1e-6)
        letters = [self._letter(beat) for beat in range(inside.start, min(inside.stop, inside.start + 12))]
        more = " and more" if inside.stop - inside.start > len(letters) else ""
        classes = f", beats {' '.join(letters)}{more}" if len(letters) > 1 else ""
        state = ", reviewed" if self.reviewed[item] else ""
        return f"{title}{f', {length}' if length else ''}, at {clock}{classes}{state}"


def gallery_data(source: GallerySource, first: int, last: int) -> list[dict[str, Any]]:
    """The strips of a page as JSON."""
    return [vars(strip) for strip in source.strips(first, last)]


def _span(start_s: float, end_s: float, scale: Scale) -> tuple[float, float]:
    """The seconds that a strip of any width can show of an event: those around its middle, and its first ones."""
    widest_s, lead_in_s = WIDEST_MM / scale.mm_per_s, LEAD_IN_MM / scale.mm_per_s
    if end_s - start_s >= widest_s:
        return start_s - lead_in_s, start_s - lead_in_s + widest_s
    middle_s = (start_s + end_s) / 2
    first_s, last_s = middle_s - widest_s / 2, middle_s + widest_s / 2
    return min(first_s, start_s - lead_in_s), max(last_s, start_s - lead_in_s + widest_s)
