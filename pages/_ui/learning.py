"""What learning from the reader's labels would change: a proposal beside what is shown, to be accepted or discarded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from ecg_core.clock import clock_text
from ecg_core.evaluation.comparison import Differences, compare_beats, labels_at
from ecg_core.labels import CLASSES
from ecg_core.learning import LearningCheck
from ecg_core.schema import Analysis

from . import engine
from .analyses import shows
from .comparison import format_label, kinds, of_kind
from .frame import guarded
from .gallery import draw_changes
from .installed_models import model_path
from .jobs import AnalysisKey, Job
from .labelling import show_fine_tuned
from .tables import MAX_ROWS
from .view import cached, go_to, study_key
from .wording import percent, plural
from .workspace import current_workspace

PROPOSED = "proposed"  # in the view of a study: how many of its edits the proposal learned from; 0 once it is decided
ROWS_PX = 265  # height of the lists


@dataclass(frozen=True, eq=False)
class Proposal:
    """An analysis by a model that learned from the reader's labels, beside the one that is shown."""

    key: AnalysisKey
    before: Analysis
    after: Analysis
    changes: Differences  # at beats that the reader did not label

    @property
    def check(self) -> LearningCheck:
        """What cross-validation on the labels found."""
        return self.after.learning or LearningCheck(0)


def start_learning(analysis: Analysis) -> None:
    """Let the model learn from all labels and propose what that changes; for callbacks."""
    workspace, record = current_workspace(), analysis.record
    edits = workspace.edits_of(record.sha256)
    key = workspace.shown[record.sha256]._replace(fitted_labels=edits)
    workspace.remember(record.sha256, **{PROPOSED: len(edits)})
    if workspace.stored(key) is None:
        workspace.start(Job(key, record, model_path(analysis.model), beside=True))


def learning_job(record_sha256: str) -> Job | None:
    """The job that learns from the labels of a record."""
    job = current_workspace().job_of(record_sha256, beside=True)
    return job if job is not None and job.key.fitted_labels else None


def proposal(analysis: Analysis) -> Proposal | None:
    """What waits for the reader's decision; None where nothing does."""
    workspace, sha256 = current_workspace(), analysis.record.sha256
    n_edits = workspace.study(sha256).view.get(PROPOSED, 0)
    shown = workspace.shown[sha256]
    key = shown._replace(fitted_labels=workspace.edits_of(sha256)[:n_edits])
    base = workspace.stored(key) if n_edits and key != shown else None
    if base is None:
        return None
    edits = workspace.edits_of(sha256)
    after = cached("proposed", (base, edits), lambda: base if shows(key, edits) else engine.edited(base, edits))
    changes = cached("proposed_changes", (analysis, after), lambda: _changes(analysis, after))
    return Proposal(key, analysis, after, changes)


def _changes(before: Analysis, after: Analysis) -> Differences:
    found = compare_beats(before.beats, after.beats)
    labelled_s = before.beats.time_s[before.labelled]
    other = labels_at(found.time_s, labelled_s, np.full(len(labelled_s), "labelled")) != "labelled"
    return Differences(found.time_s[other], found.one[other], found.other[other])


def accept(proposed: Proposal) -> None:
    """Show the proposed analysis from now on, which the audit trail notes; for callbacks."""
    workspace, sha256 = current_workspace(), proposed.key.record_sha256
    base = workspace.stored(proposed.key)
    if base is not None:
        show_fine_tuned(proposed.key, base)
    workspace.remember(sha256, **{PROPOSED: 0})


def discard(record_sha256: str) -> None:
    """Leave everything as it is; the same labels propose the same again, without another analysis. For callbacks."""
    current_workspace().remember(record_sha256, **{PROPOSED: 0})


def draw_proposal(analysis: Analysis) -> None:
    """Draw what learning would change, why it is offered or held back, and the choice between both."""
    proposed = proposal(analysis)
    if proposed is None:
        return
    with st.container(border=True, key="proposal"):
        _draw_verdict(proposed)
        counted, listed = st.columns(2, gap="medium")
        with counted:
            st.dataframe(counts_table(proposed), hide_index=True, height="content")
        with listed:
            _draw_changed_beats(proposed)


def _draw_verdict(proposed: Proposal) -> None:
    """Draw the decision of the check, and the buttons to accept or to discard."""
    check, sha256 = proposed.check, proposed.key.record_sha256
    may_edit = current_workspace().may_edit(sha256)
    n_labels = plural(check.n_labels, "label")
    st.markdown(f"**Proposal: what the model would change after learning from {n_labels}.** Nothing has changed yet.")
    say, icon = (st.warning, ":material/pan_tool:") if check.problem else (st.info, ":material/fact_check:")
    say(check.sentence, icon=icon)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if check.problem:
            with st.popover("Accept anyway", icon=":material/warning:", width="content", disabled=not may_edit):
                st.markdown(f"The check advises against it: {check.problem}.")
                _accept_button(proposed, "Accept against this advice")
        else:
            _accept_button(proposed, "Accept")
        st.button(
            "Discard", icon=":material/close:", on_click=guarded(discard), args=(sha256,), disabled=not may_edit,
            type="primary" if check.problem else "secondary", help="Everything stays as it is, and so do your labels",
        )  # fmt: skip


def _accept_button(proposed: Proposal, name: str) -> None:
    st.button(
        name, icon=":material/check:", on_click=guarded(accept), args=(proposed,),
        type="secondary" if proposed.check.problem else "primary",
        disabled=not current_workspace().may_edit(proposed.key.record_sha256),
        help="The proposed classes are shown and counted from then on; Undo takes it back",
    )  # fmt: skip


def counts_table(proposed: Proposal) -> pd.DataFrame:
    """Beats of each class and burdens, now and as proposed."""
    now, then = proposed.before.burden, proposed.after.burden
    rows = [(label, f"{int(now.count[i]):,}", f"{int(then.count[i]):,}") for i, label in enumerate(CLASSES)]
    rows += [
        (name, percent(getattr(now, field)), percent(getattr(then, field)))
        for name, field in (
            ("PVC burden", "pvc_burden_pct"), ("SVE burden", "sve_burden_pct"), ("AF burden", "af_burden_pct"),
        )
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["", "Now", "Proposed"])


def _draw_changed_beats(proposed: Proposal) -> None:
    """List the beats whose class would change, all or those of one kind; a row leads to its strip."""
    known = kinds(proposed.changes)
    if not known:
        st.markdown("The class of no other beat would change.")
        return
    sha256 = proposed.key.record_sha256
    kind = st.pills(
        f"{plural(len(proposed.changes.time_s), 'beat')} would change, from / to", list(known),
        key=study_key("proposed_kind", sha256),
    )  # fmt: skip
    if st.button("Show them as strips", icon=":material/grid_view:"):
        show_changed_beats(proposed)
    changes = of_kind(proposed.changes, known.get(kind or ""))
    record, key = proposed.before.record, study_key("proposed_beats", sha256)
    table = {
        "Time": [clock_text(record, time_s, decimals=2) for time_s in changes.time_s[:MAX_ROWS].tolist()],
        "Now": list(map(format_label, changes.one[:MAX_ROWS].tolist())),
        "Proposed": list(map(format_label, changes.other[:MAX_ROWS].tolist())),
    }
    st.dataframe(
        pd.DataFrame(table), hide_index=True, height=ROWS_PX, key=key, selection_mode="single-row",
        on_select=partial(_go_to_row, key, changes),
    )  # fmt: skip
    if len(changes.time_s) > MAX_ROWS:
        st.caption(f"The first {MAX_ROWS:,} of {len(changes.time_s):,}.")


@st.dialog("Beats that would change", width="large")
@guarded
def show_changed_beats(proposed: Proposal) -> None:
    """Draw the changed beats as small strips, each with its class now and as proposed."""
    draw_changes("proposed", proposed.before, proposed.after)


def _go_to_row(key: str, changes: Differences) -> None:
    rows = st.session_state[key].selection.rows
    if rows:
        go_to(float(changes.time_s[rows[0]]))
