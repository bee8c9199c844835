"""The reader's own models on the page About: their cards, and what can be done with them."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Final

import streamlit as st

from ecg_core.classifier import kept
from ecg_core.classifier.installed import InstalledModel, default_models, installed_models
from ecg_core.classifier.model_zip import MAX_ZIP_BYTES, export, import_
from ecg_core.classifier.spec import DEFAULT_MODEL
from ecg_core.text import plain_markdown

from .frame import guarded
from .uploads import Upload
from .workspace import Workspace, current_workspace

NO_OWN_MODEL: Final = (
    "There is none yet: the weights that the program has are those that are shipped. A model that was adapted to your "
    "recorder is kept here, and so is one that was exported on another computer."
)
NOTHING_IS_KEPT: Final = "This dashboard keeps nothing, so no model can be added, changed or removed here."


def draw_own_models() -> None:
    """Draw each model of the reader's own, those that were removed, the defaults, and the way to import one."""
    workspace = current_workspace()
    own = [model for model in installed_models() if model.is_kept]
    fixed = workspace.desk.is_ephemeral
    if not own:
        st.caption(NO_OWN_MODEL)
    for model in own:
        _draw_model(workspace, model, fixed=fixed)
    if fixed:
        st.caption(NOTHING_IS_KEPT)
        return
    for place in kept.removed_models():
        text, button = st.columns([6, 1], vertical_alignment="center")
        name, _, number = place.partition(".")
        which = f" ({number})" if number else ""
        text.markdown(f"**{name}**{which} was removed. It can be brought back until the program starts again.")
        button.button(
            "Undo", key=f"restore {place}", icon=":material/undo:", width="stretch", on_click=guarded(_restore),
            args=(place,),
        )  # fmt: skip
    _draw_defaults()
    key = f"model_upload {st.session_state.get('models_imported', 0)}"  # a new uploader once one was taken
    st.file_uploader(
        "Import a model, from the zip that an export wrote", type="zip", key=key, on_change=guarded(_import_upload),
        args=(key,), max_upload_size=MAX_ZIP_BYTES >> 20,
    )  # fmt: skip


def _draw_model(workspace: Workspace, model: InstalledModel, *, fixed: bool) -> None:
    """Draw one model: what it is, and buttons."""
    with st.container(border=True):
        verdict = f"  \n{plain_markdown(model.verdict)}" if model.verdict else ""
        st.markdown(f"**{model.name}**, {plain_markdown(model.spec.origin)}{verdict}")
        with st.container(horizontal=True):
            st.download_button(
                "Export", partial(_exported, model.name), f"{model.name}.zip", mime="application/zip",
                on_click="ignore", icon=":material/download:", key=f"export {model.name}",
                help="One zip for another computer, without recordings and without names of patients",
            )  # fmt: skip
            if not fixed:
                _draw_changes(workspace, model)
        with st.expander("Card", icon=":material/description:"):
            st.markdown(_below_name(model.card))


def _draw_changes(workspace: Workspace, model: InstalledModel) -> None:
    name = model.name
    with st.popover("Rename", icon=":material/edit:"):
        st.text_input("New name", name, max_chars=40, key=f"new_name {name}", help="Letters, digits, - and _")
        st.button("Rename it", key=f"rename {name}", type="primary", on_click=guarded(_rename), args=(name,))
    with st.popover("Default for a recorder", icon=":material/star:"):
        recorders = _recorders(workspace, model)
        st.selectbox(
            "Recorder", recorders, index=0 if model.recorder else None, key=f"recorder {name}", accept_new_options=True,
            placeholder="as its recordings state it", help="Its new recordings are analysed by this model",
        )  # fmt: skip
        st.button(
            "Make it the default", key=f"default {name}", type="primary", on_click=guarded(_default), args=(name,)
        )
    st.button(
        "Remove", key=f"remove {name}", icon=":material/delete:", on_click=guarded(_remove), args=(name,),
        help="Studies that it analysed stay as they are",
    )  # fmt: skip


def _draw_defaults() -> None:
    """Draw which model is the default for which recorder, where there is one."""
    for recorder, model in default_models().items():
        text, button = st.columns([6, 1], vertical_alignment="center")
        text.markdown(f"Recordings of **{plain_markdown(recorder)}** are analysed by **{model.name}**.")
        button.button(
            "Use general", key=f"no_default {recorder}", width="stretch", on_click=guarded(kept.set_default),
            args=(DEFAULT_MODEL.stem, recorder), help=f"The model {DEFAULT_MODEL.stem} again, as for other recorders",
        )  # fmt: skip


def _recorders(workspace: Workspace, model: InstalledModel) -> list[str]:
    """Recorders to choose from: the one that the model was adapted to, and those of the open studies."""
    from ecg_core.records import recorder_of  # noqa: PLC0415, as wfdb takes half a second

    found = [model.recorder, *(recorder_of(record) for record in workspace.records.values())]
    return list(dict.fromkeys(recorder for recorder in found if recorder))


def _exported(name: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="ecg-export-") as folder:
        path = Path(folder) / f"{name}.zip"
        export(name, path)
        return path.read_bytes()


def _import_upload(key: str) -> None:
    upload: Upload | None = st.session_state[key]
    if upload is None:
        return
    with tempfile.TemporaryDirectory(prefix="ecg-import-") as folder:
        path = Path(folder) / "model.zip"
        path.write_bytes(upload.getbuffer())
        import_(path)
    st.session_state["models_imported"] = st.session_state.get("models_imported", 0) + 1


def _remove(name: str) -> None:
    kept.remove(name)


def _restore(place: str) -> None:
    kept.restore(place)


def _rename(name: str) -> None:
    kept.rename(name, st.session_state[f"new_name {name}"].strip())


def _default(name: str) -> None:
    kept.set_default(name, st.session_state[f"recorder {name}"] or "")


def _below_name(card: str) -> str:
    """A card below the name and the verdict of its model, its headings no larger than those of the page."""
    lines = card[card.index("## ") :].splitlines()
    return "\n".join(f"**{line.lstrip('# ')}**" if line.startswith("##") else line for line in lines)
