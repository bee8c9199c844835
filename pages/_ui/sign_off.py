"""Signing the report: who signs what, the lock, and what follows: downloads, changes since, addendum, new version."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import streamlit as st

from ecg_core.errors import ChangeRefusedError, StoreError
from ecg_core.report.dangers import dangers, unread_text
from ecg_core.report.export import file_name
from ecg_core.report.measures import format_edits
from ecg_core.rules import SENSITIVITIES
from ecg_core.schema import Analysis
from ecg_core.studies.signing import (
    StoredSignature,
    add_addendum,
    begin_new_version,
    changes_since,
    sign,
    signatures_of,
    signed_file,
)
from ecg_core.studies.wording import local_time, sentence_of
from ecg_core.text import plain_lines, plain_markdown

from .downloads import draw_download
from .frame import guarded
from .view import QUERIED, cached_disagreements, stations, study_key
from .wording import plural
from .workspace import current_workspace

STATEMENT: Final = "I have reviewed this recording and agree with the report."
UNDER_ANALYSIS: Final = "An analysis of this study runs or waits; it can be signed when that has ended."
SIGNING: Final = "Signing: the whole recording is read, and the report is written. A long recording takes a while."
NARRATIVE_IS_OLDER: Final = (
    "Labels, rules, leads, model or program were changed after the narrative was edited, and it does not follow: does "
    "it still hold?"
)
OF_ANOTHER_PROGRAM: Final = (
    "Another version of this program made the signed report. What is shown was analysed again and may differ from it: "
    "files of it read as not signed. The signed files, above, are as they were."
)
ROLES: Final = ("Cardiologist", "Physician", "ECG technician", "Nurse")
VERSION: Final = "sign_version"  # key in the session's state of the version that is about to be signed
MAX_LETTERS: Final = 2000
FIELD_PX = 52  # height of the statement at first
MOST_CHANGES: Final = 12  # are listed here; the page Audit trail has all
NAMES: Final = {"pdf": "PDF", "json": "JSON"}


def draw_sign_off(analysis: Analysis) -> None:
    """Draw the signatures of a study, and what can be done next: sign, or add to what is signed."""
    workspace, sha256 = current_workspace(), analysis.record.sha256
    signatures = signatures_of(workspace.store, sha256)
    st.header("Sign-off", anchor=False)
    for stored in signatures:
        _draw_signature(analysis, stored)
    if workspace.is_signed(sha256):
        _draw_locked(analysis, signatures)
        return
    if signatures:
        _draw_changes(analysis, signatures)
    _draw_form(analysis)


def form_key(name: str) -> str:
    """Key of a field of what is signed next in the study that is shown; each signature has its own fields."""
    workspace = current_workspace()
    n_signed = len(workspace.notes(workspace.current).signatures)
    return study_key(f"{name} {n_signed}", workspace.current)


def _draw_form(analysis: Analysis) -> None:
    """Draw who signs what, and the button that signs."""
    workspace, sha256 = current_workspace(), analysis.record.sha256
    disabled = not workspace.holds(sha256)
    who, role, statement = st.columns([2, 2, 5])
    known = workspace.editor.reader
    who.text_input("Reader", known, key=form_key(f"sign_reader {known}"), max_chars=80, disabled=disabled)
    role.selectbox(
        "Role", ROLES, None, key=form_key("sign_role"), accept_new_options=True, placeholder="choose or type",
        disabled=disabled,
    )  # fmt: skip
    statement.text_area(
        "Statement", STATEMENT, key=form_key("sign_statement"), max_chars=MAX_LETTERS, height=FIELD_PX,
        disabled=disabled,
    )  # fmt: skip
    button, patient = st.columns([2, 7], vertical_alignment="center")
    patient.checkbox("Name the patient in the signed report", key=form_key("sign_patient"), disabled=disabled)
    busy = _is_analysed_now(sha256)
    if busy:
        st.caption(UNDER_ANALYSIS)
    wanted = button.button(
        "Sign and lock", type="primary", icon=":material/draw:", disabled=disabled or busy, key="sign_open",
        width="stretch", on_click=_note_version, args=(sha256,),
    )  # fmt: skip
    if wanted:
        _confirm(analysis, st.session_state[VERSION])


def _note_version(sha256: str) -> None:
    """Keep the version of a study that this window showed until now; the page reads what came since only after this."""
    st.session_state[VERSION] = current_workspace().study(sha256).version


def _is_analysed_now(sha256: str) -> bool:
    """Whether an analysis of a study runs or waits."""
    return any(job.key.record_sha256 == sha256 for job in current_workspace().queue.jobs)


@st.dialog("Sign and lock the report")
def _confirm(analysis: Analysis, version: int) -> None:
    """Ask once more in a dialog."""
    draw_confirmation(analysis, version)


def draw_confirmation(analysis: Analysis, version: int) -> None:
    """Draw what is signed and what is open, and the button that signs the version of the study that was shown."""
    reader, role, statement = _typed()
    for sentence in _what_is_signed(analysis):
        st.markdown(f"- {plain_markdown(sentence)}")
    for sentence in _what_is_open(analysis):
        st.warning(plain_markdown(sentence), icon=":material/warning:")
    named = "is named" if st.session_state.get(form_key("sign_patient")) else "is not named"
    st.markdown(f"- The patient {named} in the signed files")
    st.markdown(f"> {plain_lines(statement)}")
    st.markdown(f"**{plain_markdown(reader)}**, {plain_markdown(role) or 'no role'}")
    st.caption("The PDF and the JSON are kept with their hashes. From then on the study is locked.")
    agreed = st.button("Sign and lock", type="primary", icon=":material/draw:", width="stretch", key="sign_now")
    if agreed and current_workspace().is_signed(analysis.record.sha256):  # clicked again while it was being signed
        st.rerun()
    if agreed:
        with st.spinner(SIGNING):
            is_signed = guarded(_sign)(analysis, version, reader, role, statement)
        if is_signed:
            st.rerun()


def _typed() -> tuple[str, str, str]:
    """Reader, role and statement as they stand in the form."""
    known = current_workspace().editor.reader
    reader = str(st.session_state.get(form_key(f"sign_reader {known}"), known)).strip()
    role = str(st.session_state.get(form_key("sign_role")) or "").strip()
    return reader, role, str(st.session_state.get(form_key("sign_statement"), STATEMENT)).strip()


def _sign(analysis: Analysis, version: int, reader: str, role: str, statement: str) -> bool:
    workspace = current_workspace()
    if workspace.unsaved:
        raise StoreError("Some changes are not saved yet: nothing was signed.")
    if _is_analysed_now(analysis.record.sha256):
        raise ChangeRefusedError(f"Nothing was signed. {UNDER_ANALYSIS}")
    editor = workspace.editor._replace(reader=reader)
    sign(
        workspace.store, analysis.record.sha256, analysis, version=version, role=role, statement=statement,
        editor=editor, with_patient=bool(st.session_state.get(form_key("sign_patient"))),
    )  # fmt: skip
    workspace.refresh()
    return True


def _what_is_signed(analysis: Analysis) -> list[str]:
    record, burden = analysis.record, analysis.burden
    mode = SENSITIVITIES[analysis.rules.sensitivity].lower()
    return [
        f"Record {record.record_id}, lead {', '.join(analysis.lead_names)}, {plural(burden.n_beats, 'beat')}, "
        f"{burden.analysable_pct:.1f} % analysable",
        f"Edits: {format_edits(analysis) or 'none'}",
        f"Model {analysis.model.name}, {mode}; {plural(len(analysis.rules.changed()), 'rule')} changed",
        *(danger.text for danger in dangers(analysis)),
    ]


def _what_is_open(analysis: Analysis) -> list[str]:
    """What a reader may want to do before signing."""
    queried = stations(analysis, cached_disagreements(analysis)).get(QUERIED, ())
    found = [f"{unread}."] if (unread := unread_text(analysis)) else []
    found += [f"{plural(len(queried), 'queried beat')} not labelled."] if len(queried) else []
    if dangers(analysis):
        found.append("The recording holds dangers: have you seen each of them in Review?")
    if current_workspace().notes(analysis.record.sha256).is_narrative_older:
        found.append(NARRATIVE_IS_OLDER)
    return found


def _draw_signature(analysis: Analysis, stored: StoredSignature) -> None:
    """Draw who signed what and when, with the signed files."""
    one = stored.signature
    moment = f"{datetime.fromisoformat(one.signed_at).astimezone():%Y-%m-%d %H:%M}"
    who = f"**{plain_markdown(one.reader)}**{f', {plain_markdown(one.role)}' if one.role else ''}, {moment}"
    with st.container(border=True):
        if one.addendum:
            st.markdown(f":material/note_add: **Addendum to version {one.version}** by {who}")
            st.markdown(plain_lines(one.addendum))
            return
        text, *buttons = st.columns([4, *[1] * len(stored.files)], vertical_alignment="center")
        text.markdown(f":material/verified: **Version {one.version}** signed by {who}  \n{plain_lines(one.statement)}")
        for kind, column in zip(stored.files, buttons, strict=True):
            with column:
                guarded(_draw_download)(analysis, stored, kind)
        st.caption(f"Signature `{stored.sha256[:16]}`, record `{stored.hashes.get('signal', '')[:16]}`")


def _draw_download(analysis: Analysis, stored: StoredSignature, kind: str) -> None:
    sha256 = analysis.record.sha256
    content = signed_file(current_workspace().store, sha256, stored, kind)
    draw_download(
        file_name(analysis, f"_{stored.files[kind]}"), lambda: content, sha256, with_patient=stored.with_patient,
        label=NAMES[kind], width="stretch", key=f"signed {stored.signature.version} {kind}",
    )  # fmt: skip


def _draw_locked(analysis: Analysis, signatures: Sequence[StoredSignature]) -> None:
    """Draw what can still be done with a signed study."""
    workspace, sha256 = current_workspace(), analysis.record.sha256
    disabled = not workspace.holds(sha256)
    if not workspace.notes(sha256).is_signed:
        st.warning(OF_ANOTHER_PROGRAM, icon=":material/difference:")
    _draw_changes(analysis, signatures)
    with st.container(horizontal=True):
        with st.popover("Write an addendum", icon=":material/note_add:", disabled=disabled, width="content"):
            st.text_area("Addendum", key=form_key("addendum"), max_chars=MAX_LETTERS)
            st.selectbox(
                "Role", ROLES, None, key=form_key("addendum_role"), accept_new_options=True,
                placeholder="choose or type",
            )  # fmt: skip
            st.button(
                "Sign the addendum", type="primary", on_click=guarded(_add_addendum), args=(sha256,),
                key="addendum_sign",
            )  # fmt: skip
        st.button(
            "Begin a new version", icon=":material/lock_open:", disabled=disabled, on_click=guarded(_begin),
            args=(sha256,), help="The study can be changed again; the signed files stay",
        )  # fmt: skip


def _add_addendum(sha256: str) -> None:
    workspace = current_workspace()
    role = str(st.session_state.get(form_key("addendum_role")) or "").strip()
    add_addendum(workspace.store, sha256, st.session_state[form_key("addendum")], role=role, editor=workspace.editor)
    workspace.refresh()


def _begin(sha256: str) -> None:
    workspace = current_workspace()
    begin_new_version(workspace.store, sha256, workspace.editor)
    workspace.refresh()


def _draw_changes(analysis: Analysis, signatures: Sequence[StoredSignature]) -> None:
    """Draw what changed since the last version was signed."""
    version = signatures[-1].signature.version
    changed = changes_since(current_workspace().store, analysis.record.sha256, version)
    if not changed:
        st.caption(f"Nothing changed since version {version} was signed.")
        return
    with st.expander(f"What changed since version {version} ({len(changed)})"):
        for entry in changed[-MOST_CHANGES:]:
            st.markdown(f"{local_time(entry)}, {plain_markdown(entry.reader)}: {plain_markdown(sentence_of(entry))}")
        if len(changed) > MOST_CHANGES:
            st.caption("The latest ones; the page Audit trail has all.")
