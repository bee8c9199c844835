"""The form of a new adaptation: its recordings, the sides of the patients, what is learned, and its beginning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ecg_core.adaptation.material import Labels, Survey, survey_studies
from ecg_core.adaptation.split import Side
from ecg_core.adaptation.task import create, start_process
from ecg_core.classifier import installed
from ecg_core.classifier.installed import InstalledModel
from ecg_core.classifier.model_files import MAX_NAME
from ecg_core.edits import lasting_labels
from ecg_core.errors import AdaptationError, RecordError
from ecg_core.files import typed_path
from ecg_core.labels import CLASSES, NAME
from ecg_core.studies.edits import edits_of
from ecg_core.studies.store import Store
from ecg_core.studies.study import ANALYSED, IN_REVIEW, NEW, SIGNED, Study, find_studies
from ecg_core.text import plain_markdown

from .adapting import (
    PATIENT,
    SIDE,
    Draft,
    at_hand,
    edited,
    free_name,
    known_to,
    likeliest_labels,
    plan_of,
    proposed_again,
    require_name,
    split_text,
    table_of,
    task_of,
)
from .fetching import SourceDownload, source_download
from .frame import guarded
from .installed_models import installed_models
from .messages import error_message
from .view import cached
from .waiting import Wait, noted, part
from .wording import plural
from .workspace import Workspace, current_workspace

DRAFT, TABLE_NUMBER = "adaptation_draft", "adaptation_table"  # in the session's state
NAME_KEY, MODEL_KEY, LABELS_KEY = "adaptation_name", "adaptation_model", "adaptation_labels"
STEPS_KEY, SEED_KEY = "adaptation_steps", "adaptation_seed"
PUBLISHED: Final = ("svdb", "incartdb")  # databases that are found by name
MOST_STUDIES: Final = 200  # of each kind, the last edited first
ROWS_SHOWN, ROWS_PX = 10, 352  # of the table; more rows scroll
TITLES: Final = {Labels.ALL: "All labels", Labels.SOME: "A few labels", Labels.NONE: "The signals alone"}
LOOK: Final = "Look at the recordings"
WELCOME: Final = (
    "1. **Recordings** of one recorder, from several patients: a folder, or studies. Labels make the most of them: "
    "reference annotations in the files, or reports that you signed.\n"
    "2. **Sides**: some patients are learned from, the others are held out. Nothing is learned from these, so that "
    "they show what the adaptation is worth.\n"
    "3. **Proof**: the model before and after, on the held-out patients and on the database that it comes from. You "
    "decide by it whether to keep the adapted model."
)
SOURCE_MISSING: Final = (
    "The databases mitdb and nstdb of PhysioNet (about 130 MB) are not on this computer. They are needed so that the "
    "model does not forget what it knows, and to measure whether it did."
)


def draw_source() -> list[Wait]:
    """Offer to fetch what is needed, where it is missing; returns what to wait for."""
    from ecg_core.adaptation.source import find_source  # noqa: PLC0415  # loads what asks a server

    download = source_download()
    runs = download.is_running
    missing = not runs and find_source() is None
    offer, progress = part(shown=missing), part(shown=runs)
    if missing:
        with offer:
            _offer_download(download)
    if not runs:
        return []
    stopping = download.is_stopping
    text, button = progress.columns([6, 1], vertical_alignment="center")
    line = text.empty()
    button.button("Stop", on_click=noted(download.stop), disabled=stopping, width="stretch", key="stop_fetching")

    def wait() -> bool:
        line.info(f"Fetching mitdb and nstdb: {plain_markdown(download.line)}", icon=":material/cloud_download:")
        return download.is_running and download.is_stopping == stopping

    wait()
    return [wait]


def _offer_download(download: SourceDownload) -> None:
    st.warning(SOURCE_MISSING, icon=":material/cloud_download:")
    if download.problem:
        st.error(plain_markdown(download.problem), icon=":material/error:")
    st.button("Fetch them from PhysioNet", icon=":material/download:", on_click=noted(download.start))


def draw_new(workspace: Workspace) -> None:
    """Draw the choice of recordings and, once they were looked at, everything else."""
    folder, studies = st.columns(2, border=True)
    with folder:
        st.markdown("**Folder** on this computer, with recordings of one recorder")
        typed = st.text_input(
            "Folder of a recorder", placeholder="for example /data/our recorder", label_visibility="collapsed",
            key="adaptation_folder",
        )  # fmt: skip
        looks = st.button(LOOK, key="look_folder", icon=":material/search:", disabled=not typed.strip())
        place = part(shown=looks)
        if looks:
            with place:
                guarded(_look_in_folder)(typed.strip().strip('"'), st.empty())
    with studies:
        _draw_studies(workspace)
    draft: Draft | None = st.session_state.get(DRAFT)
    if draft is not None:
        draft = known_to(draft, _chosen_model().spec)
    usable = draft is not None and bool(draft.recordings)
    welcome, notes = part(shown=draft is None), part(shown=draft is not None)
    table, beginning = part(shown=usable), part(shown=usable)
    if draft is None:
        welcome.info(WELCOME)
    else:
        with notes:
            _draw_survey(draft)
    if draft is not None and usable:
        with table:
            _draw_table(draft)
        with beginning:
            _draw_beginning(draft)


def _chosen_model() -> InstalledModel:
    """The model to go on from: the chosen one, else the default."""
    there = installed.installed_models()
    return next((model for model in there if model.name == st.session_state.get(MODEL_KEY)), there[0])


def _draw_studies(workspace: Workspace) -> None:
    st.markdown("**Studies**: of a signed one, every beat counts as labelled; of another, those that you labelled")
    found = _studies(workspace.store)
    names = cached(
        "studies_to_learn", tuple((one.record_sha256, one.version) for one in found.values()),
        lambda: {sha256: _study_text(workspace.store, study) for sha256, study in found.items()},
    )  # fmt: skip
    chosen = st.multiselect(
        "Studies", list(found), format_func=names.__getitem__, label_visibility="collapsed", key="adaptation_studies",
        placeholder="Choose studies" if found else "There is no study yet", disabled=not found,
    )  # fmt: skip
    looks = st.button(LOOK, key="look_studies", icon=":material/search:", disabled=not chosen)
    place = part(shown=looks)
    if looks:
        with place:
            guarded(_look_at_studies)(workspace.store, [found[sha256] for sha256 in chosen], st.empty())


def _studies(store: Store) -> dict[str, Study]:
    """Studies by their SHA-256, the signed ones first, then those with labels."""
    groups = ((SIGNED,), (IN_REVIEW,), (ANALYSED, NEW))
    found = [study for states in groups for study in find_studies(store, states=states, limit=MOST_STUDIES)]
    return {study.record_sha256: study for study in found}


def _study_text(store: Store, study: Study) -> str:
    """Name, patient and labels of a study."""
    name = f"{study.record_id}, {study.patient_name}" if study.patient_name else study.record_id
    if study.state == SIGNED:
        return f"{name} (signed, {plural(study.n_beats or 0, 'beat')})"
    n_labels = len(lasting_labels(edits_of(store, study.record_sha256))) if study.state == IN_REVIEW else 0
    return f"{name} ({plural(n_labels, 'label')})" if n_labels else f"{name} (no labels)"


def _look_in_folder(typed: str, place: DeltaGenerator) -> None:
    """Look at the recordings of a folder, or of a database by its name."""
    from ecg_core.adaptation.choosing import choose  # noqa: PLC0415  # loads what asks a server

    folder = typed_path(typed)
    if not folder.is_dir() and typed not in PUBLISHED:
        raise RecordError("there is no folder of this name", where=typed, expected="a folder with recordings")
    named = typed if typed in PUBLISHED else str(folder)
    chosen = choose([named], model=_chosen_model().weights, progress=_progress(place))
    _take(chosen.survey, chosen.sides, chosen.name)


def _look_at_studies(store: Store, studies: Sequence[Study], place: DeltaGenerator) -> None:
    survey = survey_studies(store, studies, progress=_progress(place))
    sides = dict.fromkeys((one.patient for one in survey.recordings), Side.LEARN)
    draft = known_to(Draft(survey, sides, "adapted-studies"), _chosen_model().spec)
    _take(draft.survey, proposed_again(draft).sides, draft.name, studies=str(store.folder))


def _progress(place: DeltaGenerator) -> Callable[[str, int, int], None]:
    def show(name: str, done: int, total: int) -> None:
        place.progress(done / total, text=f"{plain_markdown(name)}: recording {done + 1} of {total}")

    return show


def _take(survey: Survey, sides: dict[str, Side], name: str, *, studies: str = "") -> None:
    """Show what was found, with a new table and a form as it is proposed."""
    draft = Draft(survey, sides, free_name(name), studies)
    _show(draft)
    st.session_state[NAME_KEY] = draft.name
    st.session_state[LABELS_KEY] = likeliest_labels(draft)
    st.rerun()


def _show(draft: Draft) -> None:
    st.session_state[DRAFT] = draft
    st.session_state[TABLE_NUMBER] = st.session_state.get(TABLE_NUMBER, 0) + 1


def _draw_survey(draft: Draft) -> None:
    """Draw what is doubtful, and what cannot be used."""
    hide = current_workspace().uploads.hide
    doubts, left_out = draft.survey.doubts, draft.survey.left_out
    doubtful, unusable, none = part(shown=bool(doubts)), part(shown=bool(left_out)), part(shown=not draft.recordings)
    if doubts:
        doubtful.warning(plain_markdown(" ".join(doubts)), icon=":material/warning:")
    if left_out:
        lines = "\n".join(f"- {plain_markdown(hide(_named(name, why)))}" for name, why in left_out)
        unusable.warning(f"{plural(len(left_out), 'recording')} cannot be used:\n{lines}", icon=":material/warning:")
    if not draft.recordings:
        none.caption("None of the recordings can be used. Choose others.")


def _named(name: str, why: str) -> str:
    """The reason with the name of the recording before it, where it does not begin with it."""
    return why if why.startswith(name) else f"{name}: {why}"


def _draw_table(draft: Draft) -> None:
    """Draw the recordings; patients and sides can be edited."""
    table, key = table_of(draft), f"adaptation_table {st.session_state[TABLE_NUMBER]}"
    st.caption("Names of patients and sides can be edited. A patient is always on one side, with all recordings.")
    st.data_editor(
        table, hide_index=True, key=key, num_rows="fixed", on_change=noted(_edit), args=(key,),
        disabled=[str(name) for name in table if name not in (PATIENT, SIDE)],
        height="content" if len(table) <= ROWS_SHOWN else ROWS_PX,
        column_config={
            PATIENT: st.column_config.TextColumn(required=True, help="Recordings of one patient need one name"),
            SIDE: st.column_config.SelectboxColumn(
                options=list(map(str, Side)), required=True, help="Of all recordings of this patient"
            ),
            "Hz": st.column_config.NumberColumn(format="%g"),
            "No signal, %": st.column_config.NumberColumn(
                format="%.0f", help="Of some minutes, evenly over the recording, in which no lead holds an ECG"
            ),
            **{
                label: st.column_config.NumberColumn(format="localized", help=f"{NAME[label]}: labelled beats")
                for label in CLASSES
            },
        },
    )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center"):
        counts = {side: len({one.patient for one in draft.on(side)}) for side in Side}
        st.caption(
            f"{plural(counts[Side.LEARN], 'patient')} to learn from, {counts[Side.HOLD_OUT]} held out, "
            f"{counts[Side.LEAVE_OUT]} left out"
        )
        st.button(
            "Propose the sides again", type="tertiary", icon=":material/shuffle:", on_click=noted(_propose),
            help="A third of the labelled patients that the model does not know is held out, from many and from few "
            "ectopic beats",
        )  # fmt: skip
        st.button("Choose other recordings", type="tertiary", icon=":material/close:", on_click=_forget)


def _edit(key: str) -> None:
    _show(edited(st.session_state[DRAFT], st.session_state[key]["edited_rows"]))


def _propose() -> None:
    draft = known_to(st.session_state[DRAFT], _chosen_model().spec)
    _show(proposed_again(draft, seed=st.session_state.get(SEED_KEY, 0)))


def _forget() -> None:
    st.session_state.pop(DRAFT, None)


def _draw_beginning(draft: Draft) -> None:
    """Draw what is learned, from which model, under which name, and the button that begins."""
    labels_column, form = st.columns([5, 4], gap="medium")
    with labels_column:
        hints = at_hand(draft)
        labels = st.radio(
            "What is learned", list(TITLES), format_func=TITLES.__getitem__, captions=[hints[one] for one in TITLES],
            key=LABELS_KEY, persist_state="session",
        )  # fmt: skip
    with form:
        model, name = st.columns(2)
        model.selectbox("Model to go on from", list(installed_models()), key=MODEL_KEY, persist_state="session")
        name.text_input("Name of the new model", key=NAME_KEY, max_chars=MAX_NAME, persist_state="session")
        with st.expander("Details"):
            steps, seed = st.columns(2)
            steps.number_input(
                "Steps of each fit", 0, 10_000, 0, key=STEPS_KEY, help="0: as many as usual, 600; 240 of several fits"
            )
            seed.number_input("Seed", 0, 1_000_000, 0, key=SEED_KEY, help="Of the proposed sides and of the fit")
        plan = plan_of(draft, labels)
        problem = plan.problem or _problem(st.session_state[NAME_KEY].strip())
        says, hinders = part(shown=bool(plan.folds)), part(shown=bool(problem))
        if plan.folds:
            says.caption(split_text(draft, plan))
        if problem:
            hinders.warning(plain_markdown(problem), icon=":material/block:")
        st.button(
            "Begin", type="primary", icon=":material/play_arrow:", disabled=bool(problem), on_click=noted(_begin),
            args=(draft,), key="begin_adaptation",
            help="It runs in a process of its own, also while this page or the program is closed",
        )  # fmt: skip


def _problem(name: str) -> str:
    """Why an adaptation of this name cannot begin, whatever it learns; empty where it can."""
    from ecg_core.adaptation.source import find_source  # noqa: PLC0415  # loads what asks a server

    if find_source() is None:
        return "The databases mitdb and nstdb are missing: fetch them first, above."
    try:
        require_name(name)
    except AdaptationError as error:
        return error_message(error)
    return ""


def _begin(draft: Draft) -> None:
    """Keep the task and start the process that does it; for callbacks."""
    state = st.session_state
    task = task_of(
        draft, name=state[NAME_KEY].strip(), model=state[MODEL_KEY], labels=state[LABELS_KEY], steps=state[STEPS_KEY],
        seed=state[SEED_KEY],
    )  # fmt: skip
    start_process(create(task))
    _forget()
