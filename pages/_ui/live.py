"""The live session of a reader: how it begins and ends, and the data of its moving strip."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import streamlit as st

import ecg_core as ecg
from ecg_core.classifier.spec import DEFAULT_MODEL
from ecg_core.clock import elapsed_text
from ecg_core.errors import LiveError
from ecg_core.figures import Theme
from ecg_core.figures.samples import STEP_MV, drawn_part, encoded
from ecg_core.labels import COLOUR, NAME
from ecg_core.rhythm.events import DANGERS
from ecg_core.rules import RhythmRules
from ecg_core.schema import Record

from .actions import DEMO, LIVE, ROOT, open_record
from .workspace import Workspace, current_workspace

if TYPE_CHECKING:  # what monitors a stream loads when one begins
    from ecg_core.live.recent import LiveView, LogEntry
    from ecg_core.live.session import LiveSession
    from ecg_core.live.stream import Alarm, Source, Stream

HERE = Path(__file__).resolve().parent
POLL_S = 0.25  # the strip gets new data at this interval
OVERLAP_S = 6.0  # repeated by each update, so that one that the browser misses leaves no hole
DANGER_STYLE: Final = "background-color: #B3261E; color: #FFFFFF"  # 6.5:1, in a light and a dark theme
ALARM_STYLE: Final = "background-color: #E0A800; color: #14202A"  # 8:1
CALM_STYLE: Final = "border: 1px solid color-mix(in srgb, currentColor 18%, transparent)"
# Streamlit fades what is drawn again; an alarm stays as it is.
STATUS_HTML: Final = """<style>[data-stale="true"]:has([role="status"]) {{ opacity: 1 !important; }}</style>
  <div role="status" style="{style}; border-radius: 0.375rem; padding: 0 0.8rem;
  height: 2.45rem; line-height: 2.4rem; white-space: nowrap; overflow: hidden; text-overflow: ellipsis;
  font-variant-numeric: tabular-nums"><b style="font-size: 1.1rem">{head}</b>&ensp;{rest}</div>"""
HTML: Final = """<div class="live" tabindex="0"><div class="bar">
<button name="pause" title="Space">Pause</button><button name="back" title="Left arrow">Back</button>
<button name="forward" title="Right arrow" disabled>Forward</button><button name="mark" title="M">Mark</button>
<span class="readout"></span><span class="keys">Keys: Space pauses, arrow keys scroll, M sets a mark</span></div>
<canvas aria-label="The last seconds of the stream, with the class of each beat above it"></canvas></div>"""
CSS: Final = """.live { outline: none; } .live:focus-visible canvas { outline: 2px solid var(--st-primary-color); }
canvas { width: 100%; height: 340px; display: block; border-radius: 4px; }
.bar { display: flex; gap: 0.4rem; align-items: center; margin-bottom: 0.4rem; font-family: var(--st-font); }
button { font: inherit; font-size: 0.9rem; padding: 0.3rem 0.9rem; border-radius: 0.375rem; cursor: pointer;
  color: var(--st-text-color); background: var(--st-background-color); border: 1px solid var(--st-border-color); }
button:hover { border-color: var(--st-primary-color); } button:disabled { opacity: 0.4; cursor: default; }
.readout { margin-left: 0.6rem; font-variant-numeric: tabular-nums; color: var(--st-text-color); }
.keys { margin-left: auto; font-size: 0.8rem; opacity: 0.7; color: var(--st-text-color); }"""


NO_SPACE: Final = "<style>.st-key-live_strip { display: none }</style>"  # the feed would leave a gap on the page


@functools.cache
def trace_component() -> Callable[..., Any]:
    """The moving strip, which the browser draws frame by frame; sent once, its data come by ``feed_component``."""
    js = (HERE / "live_trace.js").read_text(encoding="utf-8")
    component: Callable[..., Any] = st.components.v2.component("live_trace", html=HTML, css=CSS, js=js)
    return component


@functools.cache
def feed_component() -> Callable[..., Any]:
    """What brings new data to the moving strip and marks from it; nothing is seen of it."""
    js = (HERE / "live_feed.js").read_text(encoding="utf-8")
    component: Callable[..., Any] = st.components.v2.component("live_feed", js=js)
    return component


def begin(source: str, *, record: Record | None, speed: float, horizon_s: float, lead: str, keep: bool) -> None:
    """Begin a live session on a record or on the source with this name; it replaces a running one."""
    from ecg_core.live.session import LiveSession  # noqa: PLC0415  # loads the network

    def opened(closed: threading.Event) -> Source:
        from ecg_core.live.replay import Replay  # noqa: PLC0415
        from ecg_core.live.sources import open_source  # noqa: PLC0415

        return Replay(record, speed=speed) if record else open_source(source, closed=closed)

    workspace = current_workspace()
    is_kept = keep and not workspace.desk.is_ephemeral
    folder = ROOT / "data" / LIVE / f"{datetime.now():%Y-%m-%d}" if is_kept else None
    live = LiveSession(opened, DEFAULT_MODEL, RhythmRules(), horizon_s=horizon_s, lead=lead, folder=folder)
    workspace.watch(live)
    workspace.live_speed = speed


def stop() -> None:
    """End the live session."""
    workspace = current_workspace()
    if workspace.live is not None:
        workspace.live.stop()


def leave() -> None:
    """Close a live session that has ended."""
    current_workspace().watch(None)


def open_recording(path: Path) -> None:
    """Open the recording of a live session as a record, and close the session."""
    if open_record(path) is not None:
        leave()


def demo_record() -> Record:
    """The bundled record, whether it is open or not."""
    return ecg.read_record(DEMO)


def strip_data(workspace: Workspace, view: LiveView, stream: Stream, lead: int, theme: Theme) -> dict[str, Any]:
    """The latest part of one lead, as live_trace.js takes it."""
    samples_mv, first, drawn_hz = drawn_part(view.signal_mv[lead], view.first, stream.fs_hz)
    weights = np.rint(100 * view.attention.weight.astype(np.float32)).astype(int).tolist()
    scale = "25 mm/s, 10 mm/mV" if stream.calibrated else "25 mm/s, gain not known"
    return {
        "id": f"{id(workspace.live)} {lead}", "state": view.state, "speed": workspace.live_speed, "kept": view.kept_s,
        "fs": drawn_hz, "first": first, "step_mv": STEP_MV, "samples": encoded(samples_mv),
        "end": view.end_s, "until": view.until_s,
        "beats": [
            [round(time_s, 3), label, usable, weight]
            for time_s, label, usable, weight in zip(
                view.beats.time_s.tolist(), view.beats.label.tolist(), view.beats.usable.tolist(), weights, strict=True
            )
        ],
        "offset_s": float(view.attention.offset_s[0]), "offset_step_s": view.attention.step_s,
        "marks": [[mark.start_s, mark.text] for mark in view.marks],
        "colours": dict(COLOUR), "theme": asdict(theme), "scale": scale,
    }  # fmt: skip


def status_html(view: LiveView) -> str:
    """The most serious alarm that goes on and the others, in one line that is red for what endangers life."""
    if view.vitals is None or view.has_ended:
        return ""
    active = view.vitals.active
    if not active:
        if not view.vitals.usable:  # said before it has lasted long enough for an alarm
            return STATUS_HTML.format(style=ALARM_STYLE, head="Signal not analysable", rest="")
        is_unknown = view.vitals.rate_bpm is None and not view.vitals.learning
        rest = "heart rate not measurable" if is_unknown else ""
        return STATUS_HTML.format(style=CALM_STYLE, head="No alarm", rest=rest)
    style = DANGER_STYLE if active[0].kind in DANGERS else ALARM_STYLE
    others = "".join(f" &ensp;|&ensp; {_alarm_text(alarm, view.end_s)}" for alarm in active[1:])
    since = _since_text(active[0], view.end_s)
    return STATUS_HTML.format(style=style, head=f"ALARM: {escape(_alarm_name(active[0]))}", rest=since + others)


def _alarm_name(alarm: Alarm) -> str:
    from ecg_core.live.alarm_lines import KINDS  # noqa: PLC0415  # loads wfdb

    return KINDS[alarm.kind]


def _alarm_text(alarm: Alarm, end_s: float) -> str:
    return f"{escape(_alarm_name(alarm))} {_since_text(alarm, end_s)}"


def _since_text(alarm: Alarm, end_s: float) -> str:
    """When an alarm began and for how long it has gone on, which the time of a silent stream does not show."""
    duration = f", {end_s - alarm.start_s:.0f} s" if end_s > alarm.start_s else ""
    return f"since {elapsed_text(alarm.start_s)}{duration}"


def vital_cards(view: LiveView) -> list[tuple[str, str, str]]:
    """Label, value and note of each running count."""
    vitals = view.vitals
    if vitals is None or view.stream is None:
        return []
    off = [name for name, is_off in zip(view.stream.lead_names, vitals.lead_off, strict=False) if is_off]
    note = "learning the normal beat" if vitals.learning else f"{sum(view.count.values()):,} beats"
    note = note if vitals.learning or vitals.rate_bpm is not None else "not measurable"
    return [
        ("Heart rate", "–" if vitals.rate_bpm is None else f"{vitals.rate_bpm:.0f} bpm", note),
        ("V, last minute", f"{vitals.v_minute}", f"last hour {vitals.v_hour:,}"),
        ("S, last minute", f"{vitals.s_minute}", f"last hour {vitals.s_hour:,}"),
        ("Time", elapsed_text(view.end_s), f"processing takes {1000 * view.lag_s:.0f} ms"),
        ("Rhythm", vitals.rhythm, f"leads off: {', '.join(off)}" if off else "no lead off"),
    ]


def log_rows(view: LiveView) -> dict[str, list[str]]:
    """Columns of the list of events, the latest first."""
    rows = [(elapsed_text(entry.start_s), *_log_cells(entry, view)) for entry in reversed(view.log)]
    columns = zip(*rows, strict=True) if rows else ((), (), ())
    return dict(zip(("Time", "Event", "Duration"), map(list, columns), strict=True))


def log_styles(view: LiveView) -> list[str]:
    """Style of each row of the list of events: red for what endangers life."""
    return [DANGER_STYLE if entry.kind in DANGERS else "" for entry in reversed(view.log)]


def _log_cells(entry: LogEntry, view: LiveView) -> tuple[str, str]:
    """Name and duration of an event."""
    if entry.is_mark:
        return f"Mark {entry.text}".strip(), ""
    if not entry.is_alarm:
        return entry.text, ""
    if entry.duration_s is None:
        return entry.text, "until the end" if view.has_ended else "ongoing"
    return entry.text, f"{entry.duration_s:.1f} s"


def counts_text(view: LiveView) -> str:
    """Duration of the session, and the number of beats of each class."""
    found = [f"{view.count[label]:,} {name.lower()}" for label, name in NAME.items() if view.count.get(label)]
    return f"{elapsed_text(view.end_s)} monitored; " + (", ".join(found) if found else "no beats")


def set_mark(live: LiveSession, press: Sequence[float], last_ms: float | None) -> float:
    """Set the next mark; not for the same press again. A press is a time of the stream, and that of the clock in ms."""
    time_s, pressed_ms = press
    if pressed_ms != last_ms:
        number = live.view(0).n_marks + 1
        live.mark(float(time_s), f"{number}", pressed=datetime.fromtimestamp(pressed_ms / 1000))
    return pressed_ms


def recording_text() -> str:
    """How long a recording can become, and what happens then."""
    from ecg_core.live.recording import BOUND  # noqa: PLC0415  # loads wfdb

    return f"A recording holds at most {BOUND}; then it ends, and the monitoring goes on."


def lsl_streams() -> list[str]:
    """Names of the streams that the Lab Streaming Layer offers now."""
    from ecg_core.live.lsl import stream_names  # noqa: PLC0415  # loads wfdb

    return stream_names()


def source_text(kind: str, name: str) -> str:
    """The text that names a source.

    Raises
    ------
    LiveError
        The name is empty.

    """
    if not name.strip():
        raise LiveError("Enter a stream name or a port number.")
    return f"{kind}:{name.strip()}"
