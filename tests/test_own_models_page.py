"""The reader's own models on the page About, and the model that a new analysis begins with."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from support.kept_models import MEASURED, RECORDER, adapted_files, whole_files
from support.pages import button, page, text_of, workspace_on, workspace_with
from support.studies import write_half_minute

from ecg_core.classifier.installed import default_model_for, find_model, installed_model, installed_models
from ecg_core.classifier.kept import keep, remove, removed_models, rename, set_default
from ecg_core.classifier.model_files import PROOF, SPEC
from ecg_core.classifier.model_zip import export
from ecg_core.classifier.spec import model_digest, spec_of
from ecg_core.errors import ModelError
from ecg_core.records import read_record
from pages._ui import own_models
from pages._ui.installed_models import choose_model, model_path
from pages._ui.installed_models import installed_models as names_and_hashes

pytestmark = pytest.mark.usefixtures("own_models")
ORIGIN = f"adapted from general to the recorder {RECORDER}"


@pytest.fixture
def workspace(tmp_path):
    """A window on a store that is kept."""
    return workspace_on(tmp_path / "studies")


def own_names():
    return [model.name for model in installed_models() if model.is_kept]


def keyed(elements, key):
    return next(one for one in elements if one.key == key)


def test_without_a_model_of_ones_own_the_page_says_where_they_would_be(workspace):
    at = page("about", workspace)
    assert not at.exception
    assert own_models.NO_OWN_MODEL in text_of(at)


def test_a_model_is_shown_with_origin_verdict_and_card(workspace):
    keep(adapted_files(), "mine")
    shown = text_of(page("about", workspace))
    assert f"**mine**, {ORIGIN}" in shown
    assert MEASURED["verdict"] in shown
    assert "**Limits**" in shown
    assert "| held out | 0.95 |" in shown


def test_a_model_is_renamed_removed_and_brought_back_on_the_page(workspace):
    keep(adapted_files(), "mine")
    at = page("about", workspace)
    keyed(at.text_input, "new_name mine").set_value("yours")
    button(at, "Rename it").click().run()
    assert own_names() == ["yours"]
    button(at, "Remove").click().run()
    assert (own_names(), removed_models()) == ([], ("yours",))
    assert "**yours** was removed" in text_of(at)
    button(at, "Undo").click().run()
    assert own_names() == ["yours"]
    assert not at.exception


def test_two_models_that_were_removed_under_one_name_are_both_brought_back(workspace):
    for seed in range(2):
        keep(adapted_files(seed), "ours")
        remove("ours")
    at = page("about", workspace)
    assert "**ours** was removed" in text_of(at)
    assert "**ours** (2) was removed" in text_of(at)
    keyed(at.button, "restore ours.2").click().run()
    assert installed_model("ours").spec == read_spec_of(adapted_files(1), "ours")
    rename("ours", "second")
    keyed(page("about", workspace).button, "restore ours").click().run()
    assert (own_names(), removed_models()) == (["ours", "second"], ())


def read_spec_of(files, name):
    """The spec of files as it is kept under a name."""
    return replace(spec_of(files[SPEC], where=name), name=name, origin=ORIGIN)


def test_a_name_that_cannot_be_had_is_refused_in_a_sentence(workspace):
    keep(adapted_files(), "mine")
    at = page("about", workspace)
    keyed(at.text_input, "new_name mine").set_value("general")
    button(at, "Rename it").click().run()
    assert "a model that is shipped has this name" in text_of(at)
    assert own_names() == ["mine"]


def test_a_model_becomes_the_default_for_a_recorder_and_gives_way_again(workspace):
    keep(adapted_files(), "mine")
    at = page("about", workspace)
    assert keyed(at.selectbox, "recorder mine").value == RECORDER
    button(at, "Make it the default").click().run()
    assert default_model_for(RECORDER).name == "mine"
    assert f"Recordings of **{RECORDER}** are analysed by **mine**" in text_of(at)
    button(at, "Use general").click().run()
    assert default_model_for(RECORDER) is None


def test_no_recorder_of_another_recording_is_proposed_for_a_model_that_states_none(workspace, tmp_path, excerpt):
    path = write_half_minute(tmp_path, "stated", excerpt)
    with Path(f"{path}.hea").open("a") as header:
        header.write("# Recorder: Another\n")
    workspace.add(read_record(path))
    keep({**adapted_files(), PROOF: json.dumps({**MEASURED, "recorder": ""}).encode()}, "mine")
    at = page("about", workspace)
    assert (keyed(at.selectbox, "recorder mine").options, keyed(at.selectbox, "recorder mine").value) == (
        ["Another"], None,
    )  # fmt: skip
    button(at, "Make it the default").click().run()
    assert "No recorder was named" in text_of(at)


def test_a_zip_is_imported_and_an_export_holds_the_model(workspace, tmp_path):
    keep(adapted_files(), "mine")
    export("mine", tmp_path / "mine.zip")
    assert own_models._exported("mine") == (tmp_path / "mine.zip").read_bytes()
    at = page("about", workspace)
    button(at, "Remove").click().run()
    at.file_uploader[0].upload("mine.zip", (tmp_path / "mine.zip").read_bytes(), "application/zip").run()
    assert own_names() == ["mine"]
    assert not at.exception


def test_a_zip_of_something_else_is_refused_in_a_sentence(workspace, tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("../evil", b"x")
    at = page("about", workspace)
    at.file_uploader[0].upload("x.zip", (tmp_path / "x.zip").read_bytes(), "application/zip").run()
    assert "this zip holds no model" in text_of(at)
    assert own_names() == []


def test_a_dashboard_that_keeps_nothing_changes_no_model():
    keep(adapted_files(), "mine")
    at = page("about")
    assert own_models.NOTHING_IS_KEPT in text_of(at)
    assert not {"Rename it", "Remove", "Make it the default"} & {item.label for item in at.button}
    assert not at.file_uploader


def test_a_new_analysis_begins_with_the_default_of_its_recorder(workspace, tmp_path, excerpt):
    path = write_half_minute(tmp_path, "stated", excerpt)
    with Path(f"{path}.hea").open("a") as header:
        header.write(f"# Recorder: {RECORDER}\n")
    keep(whole_files(), "mine")
    set_default("mine", RECORDER)
    workspace.add(read_record(path))
    at = page("studies", workspace)
    assert not at.exception
    assert f"The model mine is the default for the recorder {RECORDER}" in text_of(at)
    assert next(box.value for box in at.selectbox if box.label == "Model") == "mine"


def test_pages_name_the_origin_of_the_model_that_made_an_analysis(demo_analysis):
    mine = replace(demo_analysis, model=replace(demo_analysis.model, name="mine", origin=ORIGIN))
    for name in ("overview", "report"):
        assert f"mine ({ORIGIN})" in text_of(page(name, workspace_with(mine))).replace("\\", "")


def test_an_analysis_finds_the_model_that_made_it_under_its_new_name():
    spec = keep(adapted_files(), "mine").spec
    rename("mine", "yours")
    assert model_path(spec) == find_model("yours")
    assert choose_model(names_and_hashes(), "mine", digest=model_digest(spec)) == "yours"
    assert choose_model(names_and_hashes(), "mine") == "general"
    for changed in ({"sha256": "0" * 64}, {"class_bias": (0.0, 0.0, 1.0, 0.0, 0.0)}):
        with pytest.raises(ModelError, match="no longer installed"):
            model_path(replace(spec, **changed))
