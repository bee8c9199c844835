"""What an adaptation brought: figures before and after, patients, reliability, and the beats that changed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd
import streamlit as st

from ecg_core.adaptation.material import open_recording
from ecg_core.adaptation.task import Adaptation
from ecg_core.clock import clock_text
from ecg_core.errors import AdaptationError, EcgError, RecordError
from ecg_core.figures import MARGIN_PX, STANDARD, marked_strip_figure
from ecg_core.labels import NAME
from ecg_core.records import read_strip
from ecg_core.schema import Record
from ecg_core.text import plain_markdown

from .figures import show, theme
from .frame import guarded
from .page_width import paper_seconds
from .view import cached
from .waiting import part
from .wording import NONE, number, plural
from .workspace import current_workspace

FIGURES: Final = {  # per cent, with an interval
    "qrs_se": "QRS Se, %", "qrs_ppv": "QRS +P, %", "v_se": "V Se, %", "v_ppv": "V +P, %", "v_f1": "V F1, %",
    "s_se": "S Se, %", "s_ppv": "S +P, %", "s_f1": "S F1, %", "accuracy": "Accuracy, %",
}  # fmt: skip
RATES: Final = {"false_v_per_hour": "False V an hour", "false_s_per_hour": "False S an hour"}
AF_SHARES: Final = {"af_duration_se": "AF Se by duration, %", "af_duration_ppv": "AF +P by duration, %"}
BURDENS: Final = {"pvc": "PVC burden, %", "sve": "SVE burden, %"}
TOO_FEW: Final = "too few patients"  # for an interval
STRIP_S: Final = 10.0  # at most
STRIP_LEADS: Final = 2  # at most
CONTAINER_PX: Final = 34  # the border and padding of the container that a strip is drawn in
MOST_PATIENTS: Final = 10  # more of them scroll
ROWS_PX: Final = 390
PER_CENT: Final = st.column_config.NumberColumn(format="%.2f")
PATIENT_COLUMNS: Final = {
    **dict.fromkeys(("Reference", "Before", "After"), PER_CENT),
    "Error before": st.column_config.NumberColumn(format="%+.2f", help="Before less reference, points"),
    "Error after": st.column_config.NumberColumn(format="%+.2f", help="After less reference, points"),
}
RELIABILITY_COLUMNS: Final = {
    "Beats": st.column_config.NumberColumn(format="localized"),
    **dict.fromkeys(("Stated, %", "Right, %"), st.column_config.NumberColumn(format="%.1f")),
}
MISSED: Final = "missed"  # the class where no beat was found
READ: Final = (
    "ANSI/AAMI EC57 on detected beats. Se: sensitivity; +P: positive predictivity. Changes are in points of per cent; "
    "the interval holds 95 % of the changes that other draws of these patients would have given."
)


def draw_proof(adaptation: Adaptation) -> None:
    """Draw all that was measured."""
    proof = adaptation.proof
    st.caption(how_it_was_made(proof))
    for place, before in zip(st.columns(2, gap="medium"), proof["before"], strict=False):
        where = before["measured on"]
        with place:
            st.markdown(f"**{_heading(where)}** ({plural(before['patients'], 'patient')})")
            st.dataframe(figures_table(proof, where), hide_index=True, height="content")
    st.caption(READ)
    for place, (kind, name) in zip(st.columns(2, gap="medium"), BURDENS.items(), strict=True):
        with place:
            st.markdown(f"**{name}**, by held-out patient")
            st.dataframe(
                patients_table(proof, kind), hide_index=True, height="content" if _are_few(proof) else ROWS_PX,
                column_config=PATIENT_COLUMNS,
            )  # fmt: skip
    with st.expander("Reliability: how often a class was right, by the probability that was stated"):
        for place, when in zip(st.columns(2, gap="medium"), ("before", "after"), strict=True):
            place.markdown(f"**{when.capitalize()}**")
            place.dataframe(
                reliability_table(proof, when), hide_index=True, height="content", column_config=RELIABILITY_COLUMNS
            )
        st.caption(
            "Beats of held-out patients in bins of probability; of a reliable model, stated and right are equal."
        )
    guarded(_draw_changed)(adaptation, changed_groups(proof))


def _heading(where: str) -> str:
    return "The source, mitdb" if where == "source" else where.capitalize()


def _are_few(proof: Mapping[str, Any]) -> bool:
    return len(proof["held_out_patients"]) <= MOST_PATIENTS


def how_it_was_made(proof: Mapping[str, Any]) -> str:
    """Fits, steps, seed, the model that it went on from and what it learned from, as sentences."""
    learned = f"{plural(proof['patients'], 'patient')} ({proof['hours']:g} h)"
    made = f"steps {proof['steps']:,}, seed {proof['seed']}, from the model {proof['from_model']}"
    measured = f"measured lead: {proof['lead']}"
    if proof["fits"] > 1:
        return plain_markdown(
            f"{plural(proof['fits'], 'fit')}, each without the patients that it was measured on, left out in turn, and "
            f"one to all {learned}, which is the model that can be kept; each of {made}; {measured}."
        )
    return plain_markdown(f"One fit to {learned}, {made}; {measured}.")


def figures_table(proof: Mapping[str, Any], where: str) -> pd.DataFrame:
    """Before, after, change and its interval of each figure, on the held-out patients or on the source."""
    before, after = (next(row for row in proof[when] if row["measured on"] == where) for when in ("before", "after"))
    changes = {row["figure"]: row for row in proof["change"] if row["measured on"] == where}
    rows = [
        (name, _pct(before[key]), _pct(after[key]), _pct(changes[key]["change"], sign="+"), _interval(changes[key]))
        for key, name in FIGURES.items()
    ]
    rows += [
        (name, _plain(before[key]), _plain(after[key]), _plain(_difference(before[key], after[key]), sign="+"), "")
        for key, name in RATES.items()
    ]
    rows += [
        (name, _pct(before[key]), _pct(after[key]), _pct(_difference(before[key], after[key]), sign="+"), "")
        for key, name in AF_SHARES.items()
        if before.get(key) is not None
    ]
    return pd.DataFrame(rows, columns=["", "Before", "After", "Change", "95 % interval"])


def patients_table(proof: Mapping[str, Any], kind: str) -> pd.DataFrame:
    """A burden of each held-out patient: by the reference, before and after, and both errors, in points."""
    rows = []
    for row in proof["held_out_patients"]:
        reference = row[f"reference_{kind}_burden_pct"]
        before, after = (row[f"{kind}_burden_pct_{when}"] for when in ("before", "after"))
        errors = (_difference(reference, before), _difference(reference, after))
        rows.append((row["patient"], reference, before, after, *errors))
    names = ["Patient", "Reference", "Before", "After", "Error before", "Error after"]
    return pd.DataFrame(rows, columns=names)


def reliability_table(proof: Mapping[str, Any], when: str) -> pd.DataFrame:
    """Beats in bins of stated probability, and how many of them were right, by class."""
    rows = [
        (row["class"], row["beats"], 100 * row["said"], 100 * row["right"])
        for row in proof.get("reliability", [])
        if row["when"] == when
    ]
    return pd.DataFrame(rows, columns=["Class", "Beats", "Stated, %", "Right, %"])


def changed_groups(proof: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """The beats that can be seen, those that became right and those that became wrong, by how many there are of all."""
    n_changed = proof.get("number_of_changed_beats", {})  # not in proofs of an earlier version
    found = {}
    for how, is_better in (("for the better", True), ("for the worse", False)):
        beats = [beat for beat in proof.get("changed_beats", []) if beat["better"] == is_better]
        of_all = f" of {n_changed[how]:,}" if how in n_changed else ""
        found[f"{how.capitalize()} ({len(beats):,}{of_all})"] = beats
    return found


def _draw_changed(adaptation: Adaptation, groups: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Draw one of the beats whose class became right or wrong, and the way to the others."""
    st.markdown("**Beats that changed** (some of each held-out recording, evenly over it)")
    name = adaptation.task.name
    with st.container(horizontal=True, vertical_alignment="center"):
        chosen = st.segmented_control(
            "Changed", list(groups), default=next(iter(groups)), key=f"changed {name}", required=True,
            label_visibility="collapsed", on_change=_step_to, args=(name, 0),
        )  # fmt: skip
        beats = groups[chosen]
        at = min(st.session_state.get(_step_key(name), 0), max(0, len(beats) - 1))
        for label, step, icon in (
            ("Previous", at - 1, ":material/skip_previous:"), ("Next", at + 1, ":material/skip_next:"),
        ):  # fmt: skip
            st.button(
                label, key=f"{label} {name}", icon=icon, disabled=not 0 <= step < len(beats), on_click=_step_to,
                args=(name, step),
            )  # fmt: skip
        st.markdown(f"**{at + 1:,} of {len(beats):,}**" if beats else "None.")
    record, problem = None, ""
    try:
        record = _record_of(adaptation, beats[at]) if beats else None
    except EcgError as error:
        problem = current_workspace().uploads.hide(str(error))
    said, drawn = part(shown=bool(problem)), part(shown=record is not None)
    if problem:
        said.error(plain_markdown(problem), icon=":material/error:")
    if record is not None:
        with drawn:
            guarded(_draw_strip)(adaptation, record, beats[at])


def _step_key(name: str) -> str:
    return f"changed_beat {name}"


def _step_to(name: str, step: int) -> None:
    st.session_state[_step_key(name)] = step


def _draw_strip(adaptation: Adaptation, record: Record, beat: Mapping[str, Any]) -> None:
    """Draw the signal around a beat that changed."""
    time_s = float(beat["time_s"])
    st.markdown(
        f"{plain_markdown(record.record_id)}, {clock_text(record, time_s, decimals=1)}: reference "
        f"**{_class_text(beat['reference'])}**, before **{_class_text(beat['before'])}**, after "
        f"**{_class_text(beat['after'])}**."
    )
    length_s = min(STRIP_S, record.duration_s, paper_seconds(STANDARD, MARGIN_PX + CONTAINER_PX))
    start_s = min(max(0.0, time_s - length_s / 2), record.duration_s - length_s)
    leads = tuple(
        read_strip(record, name, start_s=start_s, length_s=length_s) for name in record.lead_names[:STRIP_LEADS]
    )
    text = f"{beat['before']} \N{RIGHTWARDS ARROW} {beat['after']}"
    figure = marked_strip_figure(record, leads, length_s=length_s, at_s=time_s, text=text, theme=theme())
    alt = f"{length_s:.4g} s of {', '.join(lead.name for lead in leads)} around a beat that changed from {text}"
    show(figure, f"changed_strip {adaptation.task.name}", alt=alt, width="content")


def _record_of(adaptation: Adaptation, beat: Mapping[str, Any]) -> Record:
    """The recording of a beat, with its labels; each is opened once.

    Raises
    ------
    EcgError
        It is gone, or was changed since.

    """
    found = (one for one in adaptation.task.recordings if (one.path, one.study) == (beat["path"], beat["study"]))
    recording = next(found, None)
    if recording is None:
        raise AdaptationError(f"{beat['recording']}: this recording is not one of the adaptation.")
    if not recording.study and not _is_there(Path(recording.path)):
        raise RecordError(f"its file is no longer at {recording.path}, so no strip can be drawn", where=recording.name)
    store = current_workspace().store
    return cached(f"recording of {adaptation.task.name}", recording, lambda: open_recording(recording, store))


def _is_there(path: Path) -> bool:
    return path.exists() or path.with_name(f"{path.name}.hea").is_file()


def _class_text(label: str) -> str:
    return label if label == MISSED else f"{label} ({NAME[label].lower()})"


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def _interval(change: Mapping[str, float | None]) -> str:
    if change["low"] is None or change["high"] is None:
        return TOO_FEW if change["change"] is not None else ""
    return f"{_pct(change['low'], sign='+')} to {_pct(change['high'], sign='+')}"


def _pct(value: float | None, *, sign: str = "") -> str:
    return _plain(None if value is None else 100 * value, 2, sign=sign)


def _plain(value: float | None, decimals: int = 1, *, sign: str = "") -> str:
    if value is None or not math.isfinite(value):
        return NONE
    return f"{value:{sign}.{decimals}f}" if sign else number(value, decimals)
