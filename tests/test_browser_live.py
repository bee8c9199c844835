"""The page Live in a real browser: the demo is replayed, labels appear, and the strip obeys its controls."""

import base64
from contextlib import suppress

import pytest
from support.browser import NEEDS_BROWSER, READY_S, address, browser, clean_tab, go  # noqa: F401  # fixtures among them

pytestmark = NEEDS_BROWSER

CANVAS_STATE = """() => { const find = (root) => { for (const element of root.querySelectorAll('*')) {
    if (element.tagName === 'CANVAS') return element;
    const found = element.shadowRoot && find(element.shadowRoot); if (found) return found; } };
    const canvas = find(document); return canvas && {...canvas.dataset, at: performance.now()}; }"""


SCRIPT = b"A moving ECG strip at 25 mm/s"


def content_of(event):
    """The bytes of a message from the server."""
    response = event["response"]
    return base64.b64decode(response["payloadData"]) if response["opcode"] == 2 else response["payloadData"].encode()


@pytest.fixture
def tab(browser, address):  # noqa: F811
    with clean_tab(browser, address) as tab:
        yield tab


def test_the_demo_is_watched_paused_marked_and_stopped(tab):
    from playwright.sync_api import TimeoutError as TooLate

    came, network = [], tab.context.new_cdp_session(tab)
    network.on("Network.webSocketFrameReceived", lambda event: came.append(content_of(event)))
    go(tab, "Live", "Horizon")
    network.send("Network.enable")
    tab.get_by_text("20 x").click()
    start, canvas = tab.get_by_role("button", name="Start"), tab.locator("canvas")
    start.click()
    tab.wait_for_timeout(5000)
    if start.is_visible() and not canvas.is_visible():  # a click that falls into a rerun of the page is lost
        with suppress(TooLate):  # gone meanwhile
            start.click(timeout=5000)
    canvas.wait_for(timeout=1000 * READY_S)
    tab.wait_for_function(f"() => (({CANVAS_STATE})()?.beats ?? 0) > 20", timeout=1000 * READY_S)
    before, n_before = tab.evaluate(CANVAS_STATE), len(came)
    tab.wait_for_timeout(2000)
    after = tab.evaluate(CANVAS_STATE)
    seconds = (after["at"] - before["at"]) / 1000
    updates = came[n_before:]
    assert len(updates) > 5
    assert not any(SCRIPT in frame for frame in updates)  # it came once, with the page
    assert any(SCRIPT in frame for frame in came[:n_before])
    assert (int(after["frames"]) - int(before["frames"])) / seconds >= 10
    tab.locator("canvas").click()
    tab.keyboard.press("Space")
    tab.get_by_role("button", name="Resume").wait_for()
    tab.keyboard.press("ArrowLeft")
    tab.get_by_text("s behind live").wait_for()
    tab.keyboard.press("m")
    tab.wait_for_function(f"() => ({CANVAS_STATE})()?.marks === '1'", timeout=1000 * READY_S)
    tab.get_by_test_id("stBaseButton-secondary").filter(has_text="Stop").click()  # not Streamlit's own
    tab.get_by_text("The stream has ended").wait_for(timeout=1000 * READY_S)
    assert int(tab.evaluate(CANVAS_STATE)["beats"]) > 20
    tab.get_by_role("button", name="Close").click()
    tab.get_by_text("Horizon").wait_for()
