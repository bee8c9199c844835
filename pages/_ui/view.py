"""The time in a record that a reader looks at, and ways to move; it is in the address, so that a link reopens it."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from typing import Final, TypeVar

import numpy as np
import streamlit as st

from ecg_core.classifier.spec import model_digest
from ecg_core.evaluation.comparison import Disagreements, disagreements
from ecg_core.labels import CLASSES
from ecg_core.morphology.filtered import read_filtered_strip
from ecg_core.records import read_strip
from ecg_core.records.inspect import doubts
from ecg_core.rhythm.events import DANGERS, KIND_NAMES
from ecg_core.schema import Analysis, Float64, Lead, Record

from . import engine
from .frame import ADDRESS_DIGITS, address_time_s
from .installed_models import model_path
from .workspace import current_workspace

T = TypeVar("T")

PAGE_S = 600.0  # a page of minutes
EDGE_S = 0.7  # a beat nearer to the end of the strip than this moves the strip
SMALL_BOX_S = 0.04  # at 25 mm/s
SAME_S = 0.01  # an address has hundredths of a second
UNCERTAIN = 0.6  # a beat whose class is less probable than this is worth reviewing
KEY_DIGITS = 12  # of a study's hash in the key of a widget
ECTOPIC_FIRST = "VSFQ"
QUERIED = "Queried beats"
N_CHOSEN = "n_chosen"  # how often the program itself has chosen what is stepped through
SHOWN_TIME = "shown_time"  # where the session keeps a study and the time of it to which the reader went
COUNT: Final = re.compile(r" \([\d,]+\)$")  # at the end of an option, see ``counted``
STANDARD_LEADS = ("II", "V1", "V5")  # a Holter's usual three


def current_time_s(record: Record) -> float:
    """The time that is shown: where the reader went last, else from the address, else where this record was left.

    A browser that is still busy sends an old address with the next key; so the session knows where the reader went.
    """
    sha256, time_s = st.session_state.get(SHOWN_TIME, ("", 0.0))
    if sha256 != record.sha256:
        linked_s = address_time_s()
        time_s = current_workspace().studies[record.sha256].time_s if linked_s is None else linked_s
    return min(max(float(time_s), 0.0), record.duration_s)


def follow_address() -> None:
    """Let the address decide which time is shown: a page begins, or its address was changed by hand."""
    st.session_state.pop(SHOWN_TIME, None)


def remember(record: Record, time_s: float) -> None:
    """Keep the time in the study and in the address."""
    current_workspace().remember(record.sha256, t=round(time_s, 2))
    wanted = address(record, time_s)
    if any(st.query_params.get(name) != value for name, value in wanted.items()):
        st.query_params.update(wanted)


def study_key(name: str, sha256: str) -> str:
    """Key of a widget that belongs to one study: what is typed or ticked for it is never shown with another."""
    return f"{name} {sha256[:KEY_DIGITS]}"


def address(record: Record, time_s: float) -> dict[str, str]:
    """Query parameters of a link to a time of a record."""
    return {"study": record.sha256[:ADDRESS_DIGITS], "record": record.record_id, "t": f"{time_s:.2f}"}


def go_to(time_s: float) -> None:
    """Show another time; for callbacks."""
    st.session_state[SHOWN_TIME] = (current_workspace().current, time_s)
    st.query_params["t"] = f"{time_s:.2f}"


def stepping_key() -> str:
    """Key of the control that says what is stepped through, a new one whenever the program chooses that.

    A browser that is still busy sends the old choice with the next key; so it is the choice of no control any more.
    """
    return f"what {st.session_state.get(N_CHOSEN, 0)}"


def stepped_through() -> str:
    """Name of what is stepped through; empty before the first choice."""
    return uncounted(str(st.session_state.get(stepping_key(), "")))


def step_through(name: str) -> None:
    """Choose what is stepped through; for callbacks."""
    st.session_state[N_CHOSEN] = st.session_state.get(N_CHOSEN, 0) + 1
    st.session_state[stepping_key()] = name


def counted(name: str, n: int) -> str:
    """An option of a control: a name, and how many there are of it."""
    return f"{name} ({n:,})"


def uncounted(option: str) -> str:
    """The name in an option of ``counted``.

    A browser that is still busy sends with the next key the option as it was before its number changed.
    """
    return COUNT.sub("", option)


def selected_time_s(key: str) -> float | None:
    """The time that was clicked or boxed in the figure ``key``."""
    selection = st.session_state[key].selection
    if selection.box:
        return float(np.mean(selection.box[0]["x"]))
    if not selection.points:
        return None
    point = selection.points[0]
    exact = point.get("customdata", point["x"])
    return float(exact[0] if isinstance(exact, list) else exact)


def go_to_selected(key: str) -> None:
    """Show the time that was clicked or boxed; for callbacks."""
    time_s = selected_time_s(key)
    if time_s is not None:
        go_to(time_s)


def strip_start_s(record: Record, time_s: float, length_s: float) -> float:
    """Start of the strip: it stays while the time lies well inside, else the time becomes its middle."""
    shown_s, shown_length_s = shown_strip(record)
    if shown_length_s != length_s or not _is_inside(time_s, shown_s, length_s):
        shown_s = time_s - length_s / 2
    start_s = _start_in(record, shown_s, length_s)
    st.session_state["strip"] = (record.sha256, start_s, length_s)
    return start_s


def shown_strip(record: Record) -> tuple[float, float]:
    """Start and length of the strip of this record that was drawn last; of no length where none was."""
    sha256, start_s, length_s = st.session_state.get("strip", ("", 0.0, 0.0))
    return (start_s, length_s) if sha256 == record.sha256 else (0.0, 0.0)


def move_strip(record: Record, by_s: float, *, with_time: bool) -> None:
    """Let the strip begin earlier or later; the time that is shown moves along, or only where the strip leaves it."""
    start_s, length_s = shown_strip(record)
    moved_s = _start_in(record, start_s + by_s, length_s)
    time_s = current_time_s(record)
    if with_time or not _is_inside(time_s, moved_s, length_s):
        time_s += moved_s - start_s
    if not _is_inside(time_s, moved_s, length_s):
        time_s = moved_s + length_s / 2
    st.session_state["strip"] = (record.sha256, moved_s, length_s)
    go_to(time_s)


def _is_inside(time_s: float, start_s: float, length_s: float) -> bool:
    return start_s + EDGE_S <= time_s <= start_s + length_s - EDGE_S


def _start_in(record: Record, start_s: float, length_s: float) -> float:
    """A start within the record, on the grid of small boxes."""
    inside_s = min(max(start_s, 0.0), max(record.duration_s - length_s, 0.0))
    return round(inside_s / SMALL_BOX_S) * SMALL_BOX_S


def nearest_beat(analysis: Analysis, time_s: float, *, within_s: tuple[float, float] | None = None) -> int | None:
    """The beat nearest to a time; None where there are no beats, or where it lies outside ``within_s``."""
    distance_s = np.abs(analysis.beats.time_s - time_s)
    if not len(distance_s):
        return None
    beat = int(distance_s.argmin())
    inside = within_s is None or within_s[0] <= analysis.beats.time_s[beat] < within_s[1]
    return beat if inside else None


def stations(analysis: Analysis, differ: Disagreements) -> dict[str, Float64]:
    """Times to step through, by name, dangers first; ascending, but queried beats with the most informative first."""
    beats = analysis.beats
    events = {
        name: np.array([event.start_s for event in analysis.events if event.kind == kind])
        for kind, name in KIND_NAMES.items()
    }
    found = {KIND_NAMES[kind]: events[KIND_NAMES[kind]] for kind in DANGERS}
    found |= {f"{label} beats": beats.time_s[(beats.label == label) & beats.usable] for label in ECTOPIC_FIRST}
    found |= events
    found["Disagreements with reference"] = differ.time_s
    found[QUERIED] = beats.time_s[analysis.queried[~np.isin(analysis.queried, analysis.labelled)]]
    found["Beats labelled by you"] = beats.time_s[analysis.labelled]
    found[f"Beats with probability < {UNCERTAIN:g}"] = beats.time_s[beats.usable & (beats.confidence < UNCERTAIN)]
    found["Beats that are not counted"] = beats.time_s[~beats.usable]
    found["All beats"] = beats.time_s
    return {name: times for name, times in found.items() if len(times)}


def neighbour(times: Float64, time_s: float, step: int) -> float | None:
    """The next (+1) or the previous (-1) of some times, in their order; None at the end."""
    here = np.flatnonzero(np.abs(times - time_s) <= SAME_S)
    if len(here):
        to = int(here[-1] if step > 0 else here[0]) + step
        return float(times[to]) if 0 <= to < len(times) else None
    if step > 0:
        later = times[times > time_s]
        return float(later[0]) if len(later) else None
    earlier = times[times < time_s]
    return float(earlier[-1]) if len(earlier) else None


def leads_to_draw(record: Record, lead_name: str, how_many: int) -> list[str]:
    """Names of the leads of a strip: the chosen one alone, or first among the usual three, or all in their order."""
    if how_many == 1:
        return [lead_name]
    if how_many >= len(record.lead_names):
        return list(record.lead_names)
    usual = [name for name in STANDARD_LEADS if name in record.lead_names]
    others = [name for name in (*usual, *record.lead_names) if name != lead_name]
    return [lead_name, *dict.fromkeys(others)][:how_many]


@st.cache_resource(scope="session", max_entries=16, show_spinner=False)
def _doubts(record_sha256: str) -> list[str]:
    return doubts(current_workspace().records[record_sha256])


def cached_doubts(record: Record) -> list[str]:
    """What may be wrong with a record; each record is checked once."""
    return _doubts(record.sha256)


@st.cache_resource(scope="session", max_entries=64, show_spinner=False)
def _strip(record_sha256: str, lead_name: str, start_s: float, length_s: float, filtered: bool) -> Lead:
    read = read_filtered_strip if filtered else read_strip
    return read(current_workspace().records[record_sha256], lead_name, start_s=start_s, length_s=length_s)


def strip(record: Record, lead_name: str, *, start_s: float, length_s: float, filtered: bool = False) -> Lead:
    """A stretch of a lead, as recorded or filtered; each is read once."""
    return _strip(record.sha256, lead_name, start_s, length_s, filtered)


def occlusion_text(analysis: Analysis, beat: int) -> str:
    """Result of the occlusion check of a beat; empty where it was not checked."""
    found = st.session_state.get("occlusion", {}).get(_occlusion_key(analysis, beat))
    if found is None:
        return ""
    conclusion = (
        "more than hiding random steps does: the attention points at what matters for this beat"
        if found.supported
        else "no more than hiding random steps does: do not interpret the attention of this beat"
    )
    return (
        f"Probability of {found.label}: **{found.before:.2f}**; with the {found.n_steps} most attended steps "
        f"({1000 * found.hidden_s:.0f} ms) hidden **{found.attended:.2f}**; with as many random steps hidden "
        f"**{found.typical_random:.2f}** (median of {len(found.random)}). Hiding the attended steps changes the "
        f"probability {conclusion}."
    )


def check_by_occlusion(analysis: Analysis, beat: int) -> None:
    """Hide parts of the signal and classify the beat again; the result is kept for this session. For callbacks."""
    results = st.session_state.setdefault("occlusion", {})
    results[_occlusion_key(analysis, beat)] = engine.check_by_occlusion(analysis, model_path(analysis.model), beat)


def _occlusion_key(analysis: Analysis, beat: int) -> tuple[str, str, tuple[str, ...], float]:
    """What a check is of: the beat is known by its time, as edits change its position."""
    time_s = float(analysis.beats.time_s[beat])
    return analysis.record.sha256, model_digest(analysis.model), analysis.lead_names, time_s


def cached(name: str, key: Hashable, make: Callable[[], T]) -> T:
    """The last value of ``name`` where it was made for this key, else a new one; one of each name is kept."""
    cache = current_workspace().cache
    if name not in cache or cache[name][0] != key:
        cache[name] = (key, make())
    value: T = cache[name][1]
    return value


def cached_stations(analysis: Analysis) -> dict[str, Float64]:
    """Times to step through; see ``stations``. Found once for each analysis."""
    return cached("stations", analysis, lambda: stations(analysis, cached_disagreements(analysis)))


def cached_disagreements(analysis: Analysis) -> Disagreements:
    """Where an analysis and the reference of its record differ; computed once for each analysis."""
    return cached("disagreements", analysis, lambda: disagreements(analysis))


def probability_note(analysis: Analysis, beat: int) -> str:
    """Why a beat's class is not its most probable one; empty where it is."""
    label, probability = str(analysis.beats.label[beat]), analysis.beats.probability[beat]
    likeliest = CLASSES[int(probability.argmax())]
    if likeliest == label or not analysis.beats.usable[beat]:
        return ""
    return (
        f"In other patients, beats like this one were more often {likeliest} than {label}. The class stays: ectopic "
        "beats are favoured on purpose, so that few are missed."
    )
