"""Events of an analysis (``NAME_events.csv``), to be written with a copy of the record they were found in."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from ..errors import RecordError
from ..schema import Annotations
from ..text import format_quoted, no_formula

# WFDB's code of each kind of event; of several at one beat, the last one here is written.
RHYTHM_CODES: Final = {
    "paced": "(P", "s_bigeminy": "(AB", "v_trigeminy": "(T", "v_bigeminy": "(B", "af": "(AFIB", "svt": "(SVTA",
    "svt_sustained": "(SVTA", "v_run": "(IVR", "idioventricular": "(IVR", "vt": "(VT", "vt_sustained": "(VT",
    "asystole": "(ASYS", "vf": "(VFL",
}  # fmt: skip
# Those and codes of our own in their form, for what WFDB has none; couplets and rates follow from the beats.
EVENT_CODES: Final = RHYTHM_CODES | {
    "vf_suspected": "(VFSUS", "pause": "(PAUSE", "af_pause": "(PAUSE", "not_analysable": "(NOISE",
    "artefact": "(NOISE", "no_signal": "(NOSIG",
}  # fmt: skip


class Event(NamedTuple):
    """Something that takes time, under a code such as (AFIB."""

    start_s: float
    duration_s: float
    code: str


@dataclass(frozen=True, eq=False)
class EventfulAnnotations(Annotations):
    """Annotations with the events of the analysis that they come from."""

    events: tuple[Event, ...] = ()


def read_events(path: Path, record_id: str) -> tuple[Event, ...]:
    """The events of a record that have a code, by a table ``NAME_events.csv``, in the order of their starts.

    Raises
    ------
    RecordError
        The file is missing, no such table, or states that it is of another record.

    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            table = [*csv.DictReader(stream)]
        rows = [(row["kind"], float(row["start_s"]), float(row["end_s"])) for row in table]
    except OSError as error:
        raise RecordError(
            f"this table of events cannot be read ({error.strerror or error})", where=path, advice="Check its path."
        ) from error
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise RecordError(
            f"cannot be read ({format_quoted(error)})",
            where=path.name,
            expected="a table of events with the columns kind, start_s and end_s",
            advice="Take the NAME_events.csv of an analysis.",
        ) from error
    others = {row["record"] for row in table if row.get("record")} - {record_id, no_formula(record_id)}
    if others:
        raise RecordError(
            "these events are of another record; none of them is used",
            where=path.name,
            expected=record_id,
            got=format_quoted(min(others)),
            advice="Choose the events of this record, or analyse it again if it was renamed.",
        )
    if not all(math.isfinite(end_s) and 0 <= start_s <= end_s for _, start_s, end_s in rows):
        raise RecordError(
            "the times of its events are damaged",
            where=path.name,
            expected="events that begin at 0 s or later and end after they begin",
            advice="Take the NAME_events.csv of an analysis.",
        )
    return tuple(sorted(Event(a, round(b - a, 6), EVENT_CODES[kind]) for kind, a, b in rows if kind in EVENT_CODES))
