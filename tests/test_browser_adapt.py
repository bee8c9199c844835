"""The page Adapt in a real browser, on recordings of svdb: looked at, begun, cancelled and discarded."""

import pytest
from support.browser import NEEDS_BROWSER, READY_S, browser, free_port, server_on  # noqa: F401  # a fixture

pytestmark = NEEDS_BROWSER
WAIT_MS = 1000 * READY_S
PATIENTS = ("801", "802", "804", "805", "807", "808")


@pytest.fixture
def folder(tmp_path, databases):
    """Recordings of six patients."""
    place = tmp_path / "our recorder"
    place.mkdir()
    for name in PATIENTS:
        for suffix in (".hea", ".dat", ".atr"):
            (place / f"{name}{suffix}").symlink_to(databases / "svdb" / "1.0.0" / f"{name}{suffix}")
    return place


@pytest.fixture
def environment(tmp_path):
    """Of a dashboard that keeps everything in folders of this test."""
    places = {name: str(tmp_path / name.lower()) for name in ("ECG_STUDIES", "ECG_MODELS", "ECG_ADAPTATIONS")}
    return {"ECG_EPHEMERAL": "0", "ECG_READER": "Anna", **places}


def test_recordings_are_looked_at_and_an_adaptation_is_begun_cancelled_and_discarded(
    browser, environment, folder, tmp_path  # noqa: F811
):  # fmt: skip
    tab = browser.new_context(viewport={"width": 1280, "height": 720}).new_page()
    with server_on(free_port(), **environment) as (url, _server):
        tab.goto(f"{url}/adapt")
        field = tab.get_by_placeholder("for example /data/our recorder")
        field.wait_for(timeout=WAIT_MS)
        field.fill(str(folder))
        field.press("Enter")
        tab.locator(".st-key-look_folder button:enabled").first.click(timeout=WAIT_MS)
        tab.get_by_text("4 patients to learn from, 2 held out, 0 left out").wait_for(timeout=WAIT_MS)
        tab.get_by_text("measured on 2 patients that it does not learn from").wait_for(timeout=WAIT_MS)
        tab.locator(".st-key-begin_adaptation button:enabled").first.click(timeout=WAIT_MS)
        card = tab.locator(".st-key-adaptation-adapted-our-recorder")
        card.get_by_text("learns all labels of 4 patients, 2 patients held out").wait_for(timeout=WAIT_MS)
        # While the page waits, this is gone; the browser removes it when the script has ended.
        tab.get_by_text("What is learned").first.wait_for(state="detached", timeout=WAIT_MS)
        card.get_by_role("button", name="Cancel").first.click(timeout=WAIT_MS)
        card.get_by_text("The adaptation was cancelled").wait_for(timeout=2 * WAIT_MS)
        card.get_by_role("button", name="Discard").first.click()
        tab.get_by_role("button", name="Discard it").first.click(timeout=WAIT_MS)
        card.wait_for(state="detached", timeout=WAIT_MS)
        assert list((tmp_path / "ecg_adaptations").iterdir()) == []
    tab.context.close()
