"""Pages run without a browser: a workspace as it is set up, and what a reader sees and clicks."""

from pathlib import Path

from streamlit.testing.v1 import AppTest

from ecg_core.studies.store import open_store
from ecg_core.studies.study import Editor
from pages._ui.jobs import AnalysisKey, AnalysisQueue
from pages._ui.stores import Desk
from pages._ui.workspace import Workspace

ROOT = Path(__file__).parents[2]
PURPOSE = "not cleared for use as a primary diagnostic tool"
TIMEOUT_S = 30


def workspace_with(analysis, workspace=None):
    """A workspace, or the one given, in which an analysis is shown."""
    workspace = workspace or Workspace()
    workspace.add(analysis.record)
    key = AnalysisKey(analysis.record.sha256, "auto", analysis.model.sha256, analysis.rules)
    workspace.show(key, analysis)
    return workspace


def workspace_on(folder, reader="Anna"):
    """A window of a reader on the store in a folder, which other windows share."""
    store = open_store(folder, url="")
    return Workspace(Desk(AnalysisQueue(store)), editor=Editor(reader, f"window of {reader}"))


def app_test(path):
    """A script of the dashboard, not yet run."""
    return AppTest.from_file(str(ROOT / path), default_timeout=TIMEOUT_S)


def page(name, workspace=None, **query):
    """A page after its first run, in a workspace and with the query parameters of a link."""
    at = app_test(f"pages/{name}.py")
    at.session_state["workspace"] = workspace or Workspace()
    for key, value in query.items():
        at.query_params[key] = value
    return at.run()


def text_of(at):
    """Everything that a reader sees, as one string."""
    kinds = ("title", "header", "markdown", "caption", "info", "warning", "error", "success")
    shown = [element.value for kind in kinds for element in getattr(at, kind)]
    return "\n".join([*shown, *html_of(at)])


def html_of(at):
    """What a page draws as HTML: cards, facts, legends."""
    return [element.proto.body for element in at.get("html")]


def button(at, label):
    """The button of this label."""
    return next(item for item in at.button if item.label == label)


def address_time_s(at):
    """The time in the address, which is a list before and a text after a page has written it."""
    value = at.query_params["t"]
    return float(value if isinstance(value, str) else value[0])
