"""What pages offer of a study that may not be changed, or not now: signed, read along, analysed, without a model."""

import threading
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest
from support.analyses import make_analysis
from support.pages import TIMEOUT_S, button, page, text_of, workspace_with
from support.records import DEMO

from ecg_core.errors import ModelError
from ecg_core.studies import signing
from ecg_core.studies.holding import hold
from ecg_core.studies.queue import queue, set_queue_state
from ecg_core.studies.signing import sign, signatures_of
from pages._ui import actions, engine, study_work
from pages._ui.installed_models import NO_MODEL, choose_model
from pages._ui.jobs import Job
from pages._ui.sign_off import UNDER_ANALYSIS

IS_GONE = "The model {} is no longer installed; general analyses its recordings instead."


@pytest.fixture
def workspace(demo, monkeypatch):
    """A window with an analysis by other rules than the default ones, whose reports are stand-ins."""
    monkeypatch.setattr(signing, "WRITERS", {"pdf": lambda *_: b"%PDF made", "json": lambda *_: b"{}"})
    made = make_analysis(demo.duration_s)
    return workspace_with(
        replace(made, record=demo, model=replace(made.model, sha256="f" * 64), rules=replace(made.rules, pause_s=2.5))
    )


def sign_it(workspace, sha256):
    analysis, version = workspace.analysis(sha256), workspace.study(sha256).version
    sign(
        workspace.store, sha256, analysis, version=version, role="", statement="Seen.", editor=workspace.editor
    )  # fmt: skip


def hold_it(workspace, sha256):
    hold(workspace.store, sha256, session="another window", reader="Somebody", take_over=True)


@pytest.fixture
def beside(workspace, demo, monkeypatch):
    """An analysis by another model beside the one that is shown, which waits until the test has ended."""
    event = threading.Event()
    monkeypatch.setattr(engine, "run", lambda *_, **__: event.wait(TIMEOUT_S) and make_analysis(demo.duration_s))
    shown = workspace.shown[demo.sha256]
    job = Job(shown._replace(model_digest="1" * 64), demo, DEMO, beside=True)
    workspace.start(job)
    yield job
    event.set()
    job.wait(TIMEOUT_S)


def rules_table(at):
    return next(frame for frame in at.dataframe if "rules " in frame.proto.id)


@pytest.mark.parametrize("lock", [sign_it, hold_it])
def test_a_study_that_may_not_be_changed_is_not_analysed_again_nor_its_rules_edited(workspace, demo, lock):
    assert not button(page("studies", workspace), "Analyse").disabled
    report = page("report", workspace)
    assert not button(report, "Back to the default rules").disabled
    assert not rules_table(report).proto.disabled
    lock(workspace, demo.sha256)
    assert button(page("studies", workspace), "Analyse").disabled
    report = page("report", workspace)
    assert button(report, "Back to the default rules").disabled
    assert rules_table(report).proto.disabled


def confirmation():
    """The content of the dialog, as a script."""
    from pages._ui.sign_off import draw_confirmation
    from pages._ui.workspace import current_workspace

    workspace = current_workspace()
    sha256 = workspace.current
    draw_confirmation(workspace.analysis(sha256), workspace.study(sha256).version)


def test_a_report_is_not_signed_while_its_study_is_analysed(workspace, demo, beside):
    at = page("report", workspace)
    assert at.button(key="sign_open").disabled
    assert UNDER_ANALYSIS in text_of(at)
    dialog = AppTest.from_function(confirmation)  # which was open before the analysis began
    dialog.session_state["workspace"] = workspace
    dialog.run().button(key="sign_now").click().run()
    assert UNDER_ANALYSIS in dialog.error[0].value
    assert signatures_of(workspace.store, demo.sha256) == ()


def test_a_report_can_be_signed_where_no_analysis_runs(workspace):
    at = page("report", workspace)
    assert not at.button(key="sign_open").disabled
    assert UNDER_ANALYSIS not in text_of(at)


def test_a_model_that_is_not_installed_gives_way_to_the_default_one():
    installed = {"adapted": "0" * 64, "base": "1" * 64}
    assert choose_model(installed, "base") == "base"
    assert choose_model(installed, "gone") == choose_model(installed) == "adapted"


def test_an_analysis_by_another_model_than_the_one_that_is_gone_is_announced(workspace, demo, monkeypatch):
    monkeypatch.setattr(actions, "current_workspace", lambda: workspace)
    monkeypatch.setattr(workspace, "start", lambda job: None)
    actions.start_analysis(demo, model="general", lead="V1")
    assert workspace.notice == ""
    actions.start_analysis(demo, model="mine", lead="V1")
    assert workspace.notice == IS_GONE.format("mine")


def test_a_study_that_is_put_into_the_queue_says_so_too_unless_its_model_was_only_renamed(workspace, demo, monkeypatch):
    monkeypatch.setattr(actions, "current_workspace", lambda: workspace)
    monkeypatch.setattr(workspace, "start", lambda job: None)
    study, digest = workspace.study(demo.sha256), actions.installed_models()["general"]
    monkeypatch.setattr(study_work, "load_analysis", lambda *_arguments: None)
    study_work.analyse_unopened(workspace, replace(study, model_name="mine", model_sha256=digest), demo)
    assert workspace.notice == ""
    monkeypatch.setattr(study_work, "load_analysis", lambda *_arguments: object())  # one is stored: none is made
    study_work.analyse_unopened(workspace, replace(study, model_name="mine", model_sha256="0" * 64), demo)
    assert workspace.notice == ""
    monkeypatch.setattr(study_work, "load_analysis", lambda *_arguments: None)
    for name in ("mine", "yours", "mine"):
        study_work.analyse_unopened(workspace, replace(study, model_name=name, model_sha256="0" * 64), demo)
    assert workspace.notice == " ".join(IS_GONE.format(name) for name in ("mine", "yours"))


def test_without_a_model_every_way_to_analyse_says_so(workspace, demo, beside, monkeypatch):
    workspace.queue.cancel(beside)
    set_queue_state(workspace.store, beside.queued_id, "cancelled")
    (stopped,) = queue(workspace.store)
    for module in (actions, study_work):
        monkeypatch.setattr(module, "installed_models", dict)
    monkeypatch.setattr(actions, "current_workspace", lambda: workspace)
    ways = (
        lambda: actions.start_analysis(demo),
        lambda: actions.resume(stopped),
        lambda: study_work.analyse_unopened(workspace, workspace.study(demo.sha256), demo),
    )
    for way in ways:
        with pytest.raises(ModelError, match="No model is installed") as raised:
            way()
        assert str(raised.value) == NO_MODEL
