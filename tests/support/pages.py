"""Pages run without a browser: a workspace as it is set up, and what a reader sees and clicks."""

from functools import cache
from pathlib import Path

from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from ecg_core.classifier.spec import model_digest
from ecg_core.studies.store import open_store
from ecg_core.studies.study import Editor
from pages._ui.jobs import AnalysisKey, AnalysisQueue
from pages._ui.stores import Desk
from pages._ui.workspace import Workspace

ROOT = Path(__file__).parents[2]
PURPOSE = "not cleared for use as a primary diagnostic tool"
TIMEOUT_S = 30
# A server looks for components in all installed packages when it starts; every AppTest would do so, which takes longer
# than a page.
manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)


def workspace_with(analysis, workspace=None):
    """A workspace, or the one given, in which an analysis is shown."""
    workspace = workspace or Workspace()
    workspace.add(analysis.record)
    key = AnalysisKey(analysis.record.sha256, "auto", model_digest(analysis.model), analysis.rules)
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


def controls(at):
    """What a browser that shows a page sends of its controls with the next click."""
    return at._tree.get_widget_states()


def press_late(at, sent, name):
    """Press a button, by its label or key, in a browser that is still busy: it sends its controls as they were."""
    button = next(button for button in at.button if name in (button.label, button.key))
    sent.widgets.add(id=button.id, trigger_value=True)
    at._run(sent)
    assert not at.exception


def text_of(at):
    """Everything that a reader sees, as one string."""
    kinds = ("title", "header", "markdown", "caption", "info", "warning", "error", "success")
    shown = [element.value for kind in kinds for element in getattr(at, kind)]
    return "\n".join([*shown, *html_of(at)])


def html_of(at):
    """What a page draws as HTML: cards, facts, legends."""
    return [element.proto.body for element in at.get("html")]


def drawn(block):
    """What a page draws, from top to bottom, blocks such as popovers and tabs before what they hold."""
    for child in block.children.values():
        yield child
        if hasattr(child, "children"):
            yield from drawn(child)


# What Streamlit draws as Markdown: by the names of the fields, except of elements that draw text or HTML as it is.
MARKDOWN_FIELDS = {"body", "label", "help", "text", "caption", "captions", "title", "tooltip", "content", "message"}
NO_MARKDOWN = {"html", "text", "arrow_data_frame", "plotly_chart", "component", "bidi_component", "code"}


def markdown_of(at):
    """All that a page hands to Streamlit as Markdown, wherever it is drawn, and as (kind, text)."""
    for node in drawn(at._tree):
        proto = getattr(node, "proto", None)
        if proto is not None and node.type not in NO_MARKDOWN:
            yield from ((node.type, text) for text in _markdown_in(proto))


def _markdown_in(proto):
    for field, value in proto.ListFields():
        if field.type == field.TYPE_MESSAGE:
            inner = value if field.is_repeated else [value]
            for message in inner:
                yield from _markdown_in(message) if hasattr(message, "ListFields") else ()
        elif field.type == field.TYPE_STRING and field.name in MARKDOWN_FIELDS:
            yield from value if field.is_repeated else [value]


def button(at, label):
    """The button of this label."""
    return next(item for item in at.button if item.label == label)


def address_time_s(at):
    """The time in the address, which is a list before and a text after a page has written it."""
    value = at.query_params["t"]
    return float(value if isinstance(value, str) else value[0])
