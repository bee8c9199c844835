"""What the keys and gestures of Review do: the browser sends commands, and each is carried out once, in their order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import streamlit as st

from ecg_core.clock import clock_text, place_of
from ecg_core.edits import Edit
from ecg_core.errors import EcgError
from ecg_core.labels import CLASSES
from ecg_core.schema import Analysis, Index, Record, RhythmEvent

from .frame import guarded
from .kept_measurements import Measurement, keep_measurement
from .keys import INTERVALS
from .labelling import redo, set_labels_and_advance, undo
from .messages import error_message
from .review_edits import (
    Span,
    beats_within,
    delete_edit,
    insert_edit,
    label_edit,
    mark_edit,
    rhythm_edit,
)
from .strip_gestures import sent_commands
from .strip_layout import zoom
from .view import (
    cached_stations,
    current_time_s,
    go_to,
    move_strip,
    nearest_beat,
    neighbour,
    shown_strip,
    stepped_through,
)
from .workspace import current_workspace

HANDLED: Final = "handled_command"  # number of the last command that was carried out
CHOSEN, FINDING = "chosen_range", "shaded_finding"  # each a study and a span of it
MESSAGE: Final = "labels_message"  # a sentence for below the strip
SHEET, SCROLL = "show_keys", "scroll_to_strip"
NO_RANGE: Final = "Choose a range first: press E, or drag over the strip with Shift."
BEYOND_END: Final = "The recording has ended before this place: no beat was inserted."


def perform_sent(sha256: str) -> None:
    """Carry out what the browser sent and what was not yet carried out; for callbacks."""
    perform(sha256, sent_commands())


def perform(sha256: str, commands: list[list[Any]]) -> None:
    """Carry out numbered commands, but those that already were."""
    for number, name, *arguments in commands:
        if number > st.session_state.get(HANDLED, 0):
            st.session_state[HANDLED] = number
            guarded(COMMANDS[name])(current_workspace().records[sha256], *arguments)


def handled_command() -> int:
    """Number of the last command that was carried out."""
    return int(st.session_state.get(HANDLED, 0))


def chosen_range(record: Record) -> Span | None:
    """The range that the reader chose, where it is one of this record."""
    return _span_of(CHOSEN, record)


def shaded_finding(record: Record) -> Span | None:
    """The extent of the finding that was chosen last, where it is one of this record."""
    return _span_of(FINDING, record)


def _span_of(key: str, record: Record) -> Span | None:
    sha256, span_s = st.session_state.get(key, ("", None))
    return span_s if sha256 == record.sha256 else None


def choose_range(record: Record, *edges_s: float) -> None:
    """Choose a range, or none."""
    inside = tuple(sorted(min(max(float(edge_s), 0.0), record.duration_s) for edge_s in edges_s))
    st.session_state[CHOSEN] = (record.sha256, inside if inside else None)


def show_finding(record: Record, event: RhythmEvent) -> None:
    """Show the begin of a finding and shade its extent; the page scrolls to the strip. For callbacks."""
    st.session_state[FINDING] = (record.sha256, (event.start_s, event.end_s))
    st.session_state[SCROLL] = st.session_state.get(SCROLL, 0) + 1
    step_to(record, event.start_s)


def show_row(key: str, record: Record, events: list[RhythmEvent]) -> None:
    """Show the event that was chosen in the table ``key``; for callbacks."""
    rows = st.session_state[key].selection.rows
    if rows:
        show_finding(record, events[rows[0]])


# -- moving ----------------------------------------------------------------------------------------------------------


def step_to(record: Record, time_s: float | None) -> None:
    """Show a time; what is done next is done to the beat there, and no longer to a range. For callbacks."""
    if time_s is not None:
        choose_range(record)
        go_to(time_s)


def turn_page(record: Record, pages: float) -> None:
    """Show the strip before or after, page by page; for callbacks."""
    move_strip(record, pages * shown_strip(record)[1], with_time=True)


def step(record: Record, by: float) -> None:
    """Go to the next or the previous of what is stepped through; for callbacks."""
    analysis = _analysis(record)
    places = cached_stations(analysis)
    times_s = places.get(stepped_through(), analysis.beats.time_s)
    to_s = neighbour(times_s, current_time_s(record), int(by))
    event = next((one for one in analysis.events if to_s is not None and one.start_s == to_s), None)
    st.session_state[FINDING] = (record.sha256, (event.start_s, event.end_s) if event else None)
    step_to(record, to_s)


def go_to_typed(record: Record) -> None:
    """Go to the time that was typed into the field Go to; for callbacks."""
    typed = st.session_state["goto"]
    if not typed.strip():
        return
    try:
        step_to(record, place_of(record, typed, here_s=current_time_s(record)))
        st.session_state["goto"] = ""
    except EcgError as error:
        st.session_state[MESSAGE] = error_message(error)


def _to_neighbouring_beat(record: Record, by: float) -> None:
    beats_s = _analysis(record).beats.time_s
    beat = nearest_beat(_analysis(record), current_time_s(record))
    if beat is not None and 0 <= beat + int(by) < len(beats_s):
        step_to(record, float(beats_s[beat + int(by)]))


def _zoom(record: Record, by: float, time_s: float | None = None) -> None:
    start_s, length_s = shown_strip(record)
    new_length_s = zoom(int(by))
    at_s = current_time_s(record) if time_s is None else time_s
    if length_s and new_length_s != length_s:  # what lies below the mouse stays there
        new_start_s = at_s - (at_s - start_s) / length_s * new_length_s
        st.session_state["strip"] = (record.sha256, new_start_s, new_length_s)
        move_strip(record, 0.0, with_time=False)


def _pan(record: Record, by_s: float) -> None:
    move_strip(record, by_s, with_time=False)


def _choose_beat_at(record: Record, time_s: float) -> None:
    beat = nearest_beat(_analysis(record), time_s)
    step_to(record, time_s if beat is None else float(_analysis(record).beats.time_s[beat]))


# -- editing ---------------------------------------------------------------------------------------------------------


def label_chosen(record: Record, label: str) -> None:
    """Label the beats of the range, or the beat that is shown; for callbacks."""
    analysis, index = _analysis(record), _chosen_beats(record)
    if chosen_range(record):
        if len(index):
            _edit(record, label_edit(analysis, index, label))
    elif len(index):
        set_labels_and_advance(analysis, int(index[0]), label, cached_stations(analysis))


def delete_chosen(record: Record) -> None:
    """Delete the beats of the range, or the beat that is shown; for callbacks."""
    if len(index := _chosen_beats(record)):
        _edit(record, delete_edit(_analysis(record), index))


def mark_chosen(record: Record, mark: str) -> None:
    """Mark the range as artefact or as analysable; for callbacks."""
    if (span_s := chosen_range(record)) is None:
        st.session_state[MESSAGE] = NO_RANGE
    else:
        _edit(record, mark_edit(span_s, mark))


def mark_rhythm(record: Record, rhythm: str) -> None:
    """Mark the range as a rhythm; for callbacks."""
    if (span_s := chosen_range(record)) is None:
        st.session_state[MESSAGE] = NO_RANGE
    else:
        _edit(record, rhythm_edit(span_s, rhythm))


def insert_beat(record: Record, time_s: float) -> None:
    """Insert a beat at the R peak beside a time, and show it; for callbacks."""
    if not 0 <= time_s < record.duration_s:  # the paper of a strip may go on
        st.session_state[MESSAGE] = BEYOND_END
        return
    lead = st.session_state.get("lead") or _analysis(record).lead_names[0]
    edit = insert_edit(_analysis(record), lead, time_s)
    if isinstance(edit, float):
        st.session_state[MESSAGE] = f"There is a beat already at {clock_text(record, edit, decimals=2)}: it is shown."
        step_to(record, edit)
    else:
        _edit(record, edit)
        step_to(record, edit.beats[0].time_s)


def _edit(record: Record, edit: Edit) -> None:
    """Make an edit; the range that it was made to is then chosen no longer."""
    current_workspace().add_edit(record.sha256, edit)
    choose_range(record)


def _chosen_beats(record: Record) -> Index:
    """The beats of the range, else the beat that is shown."""
    analysis, span_s = _analysis(record), chosen_range(record)
    if span_s is not None:
        return beats_within(analysis, span_s)
    start_s, length_s = shown_strip(record)
    beat = nearest_beat(analysis, current_time_s(record), within_s=(start_s, start_s + length_s))
    return np.array([] if beat is None else [beat], dtype=np.int64)


def _keep(record: Record, interval: str, start_s: float, end_s: float) -> None:
    if interval in INTERVALS and end_s > start_s and current_workspace().may_edit(record.sha256):
        keep_measurement(record.sha256, Measurement(interval, round(start_s, 4), round(end_s, 4)))


def show_sheet(_record: Record | None = None) -> None:
    """Ask for the sheet of keys; for callbacks."""
    st.session_state[SHEET] = True


def sheet_is_asked_for() -> bool:
    """Whether the sheet of keys is to be shown in this run."""
    return bool(st.session_state.pop(SHEET, False))


def _analysis(record: Record) -> Analysis:
    return current_workspace().analysis(record.sha256)


def _label(record: Record, label: str) -> None:
    if label in CLASSES:
        label_chosen(record, label)


COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "page": turn_page,
    "beat": _to_neighbouring_beat,
    "stop": step,
    "start": lambda record: step_to(record, 0.0),
    "end": lambda record: step_to(record, record.duration_s),
    "zoom": _zoom,
    "pan": _pan,
    "at": _choose_beat_at,
    "label": _label,
    "delete": delete_chosen,
    "insert": insert_beat,
    "range": choose_range,
    "mark": mark_chosen,
    "rhythm": mark_rhythm,
    "undo": lambda record: undo(_analysis(record)),
    "redo": lambda record: redo(_analysis(record)),
    "keep": _keep,
    "sheet": show_sheet,
}
