"""Lines of alarms: one alarm of a line is active at a time, it is over once, and the next begins after it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from ..rhythm.events import KIND_NAMES
from .stream import Alarm

VF, VF_SUSPECTED, ASYSTOLE, PAUSE = "vf", "vf_suspected", "asystole", "pause"
NO_SIGNAL, LEADS_OFF, NOT_ANALYSABLE = "no_signal", "leads_off", "unreadable"  # the first: the sender is silent
# The kinds of each line, which become more serious from left to right.
LINES: Final = {
    "vf": (VF_SUSPECTED, VF),
    "pause": (PAUSE, ASYSTOLE),
    "V": ("idioventricular", "v_run", "vt", "vt_sustained"),
    "leads": (NOT_ANALYSABLE, LEADS_OFF, NO_SIGNAL),
    "af": ("af",),
    "S": ("svt", "svt_sustained"),
    "rate": ("bradycardia", "tachycardia"),
}
LINE_OF: Final = {kind: line for line, kinds in LINES.items() for kind in kinds}
# Lines of which a kind is a worse form of the one before it; in the others it is something else that begins again.
GROWING_LINES: Final = ("vf", "pause", "V", "S")
# Of several active alarms the first of these is shown as the current rhythm.
MOST_SERIOUS_FIRST: Final = (
    VF, ASYSTOLE, "vt_sustained", VF_SUSPECTED, NO_SIGNAL, LEADS_OFF, "vt", PAUSE, "v_run", "idioventricular",
    NOT_ANALYSABLE, "svt_sustained", "svt", "af", "bradycardia", "tachycardia",
)  # fmt: skip
KINDS: Final = {
    NO_SIGNAL: "No signal",
    LEADS_OFF: "Leads off",
    NOT_ANALYSABLE: "Signal not analysable",
    **{kind: KIND_NAMES[kind] for kind in MOST_SERIOUS_FIRST if kind in KIND_NAMES},
}


@dataclass
class AlarmLine:
    """The active alarm of one line, and where the last one of it was over."""

    name: str
    active: Alarm | None = None
    over_s: float = float("-inf")
    seen_s: float = float("-inf")  # the last beat that was known when it was over

    def begin(self, kind: str, start_s: float, end_s: float) -> list[Alarm]:
        """Announce an alarm at ``end_s``; nothing, if the active one is this or, in a line that grows, a worse one.

        A worse form keeps the start of the alarm that it replaces. Nothing begins before the last alarm was over.
        """
        kinds = LINES[self.name]
        if self.active is None:
            self.active = Alarm(kind, max(start_s, self.over_s), end_s)
            return [self.active]
        if self.active.kind == kind:
            return []
        if self.name not in GROWING_LINES:
            return [*self.end(start_s, end_s), *self.begin(kind, start_s, end_s)]
        if kinds.index(kind) < kinds.index(self.active.kind):
            return []
        self.active = replace(self.active, kind=kind, announced_s=end_s, before=self.active.kind)
        return [self.active]

    def end(self, stop_s: float, end_s: float) -> list[Alarm]:
        """Announce at ``end_s`` that the active alarm, if there is one, was over at ``stop_s``."""
        if self.active is None:
            return []
        stop_s = max(stop_s, self.active.start_s)
        over = replace(self.active, announced_s=end_s, end_s=stop_s, before="")
        self.active, self.over_s = None, stop_s
        return [over]
