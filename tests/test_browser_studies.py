"""Studies that last, in a real browser: after a reload, in a second window, after the server was killed."""

import pytest
from support.browser import NEEDS_BROWSER, READY_S, browser, free_port, go, server_on  # noqa: F401  # a fixture
from support.studies import write_half_minutes

pytestmark = NEEDS_BROWSER
WAIT_MS = 1000 * READY_S
SETTLED_MS = 1500  # the address follows a label


@pytest.fixture
def environment(tmp_path):
    """Of a dashboard that keeps its studies in a folder of this test."""
    return {"ECG_EPHEMERAL": "0", "ECG_STUDIES": str(tmp_path / "studies"), "ECG_READER": "Anna"}


@pytest.fixture
def folder(tmp_path, excerpt):
    return write_half_minutes(tmp_path / "holter", ["morning", "evening"], excerpt)


def choose_folder(tab, url, folder):
    """Go to the page Studies, and name a folder."""
    tab.goto(f"{url}/studies")
    field = tab.get_by_placeholder("for example /data/holter")
    field.wait_for(timeout=WAIT_MS)
    field.fill(str(folder))
    field.press("Enter")
    tab.get_by_text("2 records").wait_for(timeout=WAIT_MS)


def label_a_beat(tab, url, folder):
    """Open a recording, analyse it and label a beat in Review; returns the address then."""
    choose_folder(tab, url, folder)
    tab.get_by_role("button", name="Open this one").click()
    tab.get_by_text("Analysis of evening").wait_for(timeout=WAIT_MS)
    tab.get_by_role("button", name="Analyse", exact=True).click()
    tab.get_by_text("Analysed: lead").wait_for(timeout=WAIT_MS)
    go(tab, "Review", "Full disclosure")
    tab.locator(".st-key-strip0 .js-plotly-plot").first.wait_for(timeout=WAIT_MS)
    tab.keyboard.press("3")
    tab.get_by_text("1 beat labelled by you").wait_for(timeout=WAIT_MS)
    tab.wait_for_timeout(SETTLED_MS)
    assert "study=" in tab.url
    assert "t=" in tab.url
    return tab.url


def assert_as_it_was(tab, address):
    """The label and the place are shown again."""
    tab.get_by_text("1 beat labelled by you").wait_for(timeout=WAIT_MS)
    tab.wait_for_timeout(SETTLED_MS)
    assert tab.url == address


def test_a_labelled_study_is_as_it_was_after_a_reload_and_after_the_server_was_killed(
    browser, environment, folder  # noqa: F811
):  # fmt: skip
    port, tab = free_port(), browser.new_context().new_page()
    with server_on(port, **environment) as (url, server):
        address = label_a_beat(tab, url, folder)
        tab.reload()
        assert_as_it_was(tab, address)
        server.kill()
        server.wait()
    with server_on(port, **environment):
        tab.goto(address)
        assert_as_it_was(tab, address)
        go(tab, "Studies", "Add recordings")
        tab.get_by_text("Studies (1)").wait_for(timeout=WAIT_MS)
        tab.get_by_text("Analysed: lead").wait_for(timeout=WAIT_MS)
    tab.context.close()


def test_a_second_window_reads_along_and_takes_over(browser, environment, folder):  # noqa: F811
    first, second = (browser.new_context().new_page() for _ in range(2))
    with server_on(free_port(), **environment) as (url, _server):
        address = label_a_beat(first, url, folder)
        second.goto(address)
        second.get_by_text("You read along").wait_for(timeout=WAIT_MS)
        second.get_by_text("1 beat labelled by you").wait_for(timeout=WAIT_MS)
        assert second.locator(".st-key-class-V button").first.is_disabled()
        second.get_by_role("button", name="Take over").click()
        second.get_by_text("You read along").wait_for(state="hidden", timeout=WAIT_MS)
        second.wait_for_timeout(SETTLED_MS)
        second.keyboard.press("ArrowRight")  # to another beat
        second.wait_for_timeout(SETTLED_MS)
        second.keyboard.press("1")
        second.get_by_text("2 beats labelled by you").wait_for(timeout=WAIT_MS)
        go(first, "Overview", "Analysable time")
        first.get_by_text("You read along").wait_for(timeout=WAIT_MS)
        go(first, "Review", "Full disclosure")
        first.get_by_text("2 beats labelled by you").wait_for(timeout=WAIT_MS)
    for tab in (first, second):
        tab.context.close()


def test_a_folder_becomes_a_queue_that_ends_with_its_findings_in_the_list(browser, environment, folder):  # noqa: F811
    tab = browser.new_context().new_page()
    with server_on(free_port(), **environment) as (url, _server):
        choose_folder(tab, url, folder)
        tab.get_by_role("button", name="Add all and analyse").click()
        tab.get_by_text("Studies (2)").wait_for(timeout=WAIT_MS)
        tab.get_by_text("Queue (").wait_for(state="hidden", timeout=WAIT_MS)
        tab.wait_for_timeout(SETTLED_MS)
        grid = tab.locator("[data-testid=stDataFrame] canvas").first.bounding_box()
        tab.mouse.click(grid["x"] + 15, grid["y"] + 52)  # the box before the first row
        tab.get_by_text("1 study selected").wait_for(timeout=WAIT_MS)
        tab.wait_for_timeout(SETTLED_MS)
        tab.keyboard.press("o")
        tab.get_by_text("Analysable time").wait_for(timeout=WAIT_MS)
    tab.context.close()
