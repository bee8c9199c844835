"""The live watch of a session: how it begins and ends, and what the moving strip is fed with."""

from __future__ import annotations

import base64
import functools
import threading
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from ecg_core.classifier.spec import DEFAULT_MODEL
from ecg_core.clock import elapsed_text
from ecg_core.errors import LiveError
from ecg_core.labels import COLOUR, NAME
from ecg_core.rules import RhythmRules
from ecg_core.schema import Record

from .session import DEMO, ROOT, Workspace, current_workspace, open_record

if TYPE_CHECKING:
    from ecg_core.live.session import LiveView, LogEntry
    from ecg_core.live.stream import Source, Stream

HERE = Path(__file__).resolve().parent
POLL_S = 0.25  # how often the strip is fed
OVERLAP_S = 6.0  # of what it has already: an update that the browser misses leaves no hole
DRAWN_HZ = 250.0  # more than a screen can show
STEP_MV = 0.002  # of the 16 bits a sample: 65 mV at the most
MISSING = -32768
HTML = """<div class="live" tabindex="0"><div class="bar">
<button name="pause" title="Space">Pause</button><button name="back" title="Left arrow">Back</button>
<button name="forward" title="Right arrow" disabled>Forward</button><button name="mark" title="M">Mark</button>
<span class="readout"></span><span class="keys">Keys: space pauses, arrows look back, M sets a mark</span></div>
<canvas aria-label="The last seconds of the stream, with a letter for each beat"></canvas></div>"""
CSS = """.live { outline: none; } .live:focus-visible canvas { outline: 2px solid var(--st-primary-color); }
canvas { width: 100%; height: 340px; display: block; border-radius: 4px; }
.bar { display: flex; gap: 0.4rem; align-items: center; margin-bottom: 0.4rem; font-family: var(--st-font); }
button { font: inherit; font-size: 0.9rem; padding: 0.3rem 0.9rem; border-radius: 0.375rem; cursor: pointer;
  color: var(--st-text-color); background: var(--st-background-color); border: 1px solid var(--st-border-color); }
button:hover { border-color: var(--st-primary-color); } button:disabled { opacity: 0.4; cursor: default; }
.readout { margin-left: 0.6rem; font-variant-numeric: tabular-nums; color: var(--st-text-color); }
.keys { margin-left: auto; font-size: 0.8rem; opacity: 0.7; color: var(--st-text-color); }"""


@functools.cache
def trace_component() -> Callable[..., Any]:
    """The moving strip; drawn in the browser, frame by frame."""
    js = (HERE / "live_trace.js").read_text(encoding="utf-8")
    return st.components.v2.component("live_trace", html=HTML, css=CSS, js=js)


def begin(source: str, *, record: Record | None, speed: float, horizon_s: float, lead: str, keep: bool) -> None:
    """Begin to watch a source; one that is watched already is stopped."""
    from ecg_core.live.session import LiveSession  # noqa: PLC0415, as torch takes a second

    def opened(closed: threading.Event) -> Source:
        from ecg_core.live.replay import Replay  # noqa: PLC0415
        from ecg_core.live.sources import open_source  # noqa: PLC0415

        return Replay(record, speed=speed) if record else open_source(source, closed=closed)

    folder = ROOT / "data" / "live" / f"{datetime.now():%Y-%m-%d}" if keep else None
    live = LiveSession(opened, DEFAULT_MODEL, RhythmRules(), horizon_s=horizon_s, lead=lead, folder=folder)
    workspace = current_workspace()
    workspace.watch(live)
    workspace.live_speed = speed


def stop() -> None:
    """End the watch."""
    workspace = current_workspace()
    if workspace.live is not None:
        workspace.live.stop()


def leave() -> None:
    """Forget a watch that has ended."""
    current_workspace().watch(None)


def open_kept(path: Path) -> None:
    """Open what was recorded as a record."""
    if open_record(path) is not None:
        leave()


def demo_record() -> Record:
    """The bundled record, whether it is open or not."""
    from ecg_core.records import read_record  # noqa: PLC0415, as wfdb takes half a second

    return read_record(DEMO)


def strip_data(workspace: Workspace, view: LiveView, stream: Stream, lead: int, theme: Any) -> dict[str, Any]:
    """What the strip needs to go on, of one lead."""
    from ecg_core.live.session import KEPT_S  # noqa: PLC0415, as torch takes a second: here it is loaded already

    every = max(1, round(stream.fs_hz / DRAWN_HZ))
    skip = -view.first % every
    signal = view.signal_mv[lead, skip::every]
    counts = np.clip(np.rint(np.nan_to_num(signal) / STEP_MV), -32767, 32767)
    counts = np.where(np.isfinite(signal), counts, MISSING).astype("<i2")
    weights = np.rint(100 * view.attention.weight.astype(np.float32)).astype(int).tolist()
    scale = "25 mm/s, 10 mm/mV" if stream.calibrated else "25 mm/s, no gain stated"
    return {
        "id": f"{id(workspace.live)} {lead}", "state": view.state, "speed": workspace.live_speed, "kept": KEPT_S,
        "fs": stream.fs_hz / every, "first": (view.first + skip) // every, "step_mv": STEP_MV,
        "samples": base64.b64encode(counts.tobytes()).decode(), "end": view.end_s, "until": view.until_s,
        "beats": [
            [round(time_s, 3), label, usable, weight]
            for time_s, label, usable, weight in zip(
                view.beats.time_s.tolist(), view.beats.label.tolist(), view.beats.usable.tolist(), weights, strict=True
            )
        ],
        "offset_s": float(view.attention.offset_s[0]), "offset_step_s": view.attention.step_s,
        "marks": [[said.start_s, said.text] for said in view.marks],
        "colours": dict(COLOUR), "theme": asdict(theme), "scale": scale,
    }  # fmt: skip


def vital_cards(view: LiveView) -> list[tuple[str, str, str]]:
    """Label, value and note of what is counted."""
    vitals = view.vitals
    if vitals is None or view.stream is None:
        return []
    off = [name for name, gone in zip(view.stream.lead_names, vitals.lead_off, strict=False) if gone]
    note = "learning the normal beat" if vitals.learning else f"{sum(view.count.values()):,} beats"
    return [
        ("Heart rate", "–" if vitals.rate_bpm is None else f"{vitals.rate_bpm:.0f} bpm", note),
        ("V, last minute", f"{vitals.v_minute}", f"last hour {vitals.v_hour:,}"),
        ("S, last minute", f"{vitals.s_minute}", f"last hour {vitals.s_hour:,}"),
        ("Time", elapsed_text(view.end_s), f"labels in {1000 * view.lag_s:.0f} ms"),
        ("Rhythm", vitals.rhythm, f"off: {', '.join(off)}" if off else "all leads are on"),
    ]


def log_rows(view: LiveView) -> dict[str, list[str]]:
    """Columns of the list of what happened, the latest first."""
    rows = [(elapsed_text(said.start_s), *_said(said)) for said in reversed(view.log)]
    columns = zip(*rows, strict=True) if rows else ((), (), ())
    return dict(zip(("Time", "What", "How long"), map(list, columns), strict=True))


def _said(said: LogEntry) -> tuple[str, str]:
    from ecg_core.live.alarms import KINDS  # noqa: PLC0415, as torch takes a second: here it is loaded already
    from ecg_core.live.session import MARK  # noqa: PLC0415

    if said.kind in KINDS:
        lasted = "goes on" if said.end_s is None else f"{said.end_s - said.start_s:.1f} s"
        return KINDS[said.kind], lasted
    return (f"Mark {said.text}".strip(), "") if said.kind == MARK else (said.text, "")


def counts_text(view: LiveView) -> str:
    """How many beats of which class were found."""
    found = [f"{view.count[label]:,} {name.lower()}" for label, name in NAME.items() if view.count.get(label)]
    return f"{elapsed_text(view.end_s)} watched; " + (", ".join(found) if found else "no beats")


def lsl_streams() -> list[str]:
    """Names of the streams that the Lab Streaming Layer has now."""
    from ecg_core.live.lsl import stream_names  # noqa: PLC0415

    return stream_names()


def checked_source(kind: str, name: str) -> str:
    """The text that names a source.

    Raises
    ------
    LiveError
        Nothing was named.

    """
    if not name.strip():
        raise LiveError("No stream is named; write its name, or the number of the port.")
    return f"{kind}:{name.strip()}"
