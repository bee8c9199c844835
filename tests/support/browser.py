"""The dashboard in a real browser: a server of its own, Chromium, and the way to a page."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ecg_core.classifier.spec import DEFAULT_MODEL

ROOT = Path(__file__).parents[2]
CHROMIUM = next((path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(path).is_file()), "")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
# Notes every link of the menu in the sidebar, however short it is there.
NOTE_MENU = """window.menu = new Set(); new MutationObserver(() => {
  for (const link of document.querySelectorAll("[data-testid=stSidebarNavLink]")) window.menu.add(link.pathname);
}).observe(document, { subtree: true, childList: true });"""
N_PAGES = 12  # in the menu
READY_S = 60  # generous: the machine may be busy

NEEDS_BROWSER = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed"),
    pytest.mark.skipif(not DEFAULT_MODEL.is_file(), reason="no model is installed"),
]


def free_port():
    """A port that no program listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def served(**environment):
    """Run a dashboard of its own; yields its address."""
    with server_on(free_port(), **environment) as (url, _server):
        yield url


@contextmanager
def server_on(port, **environment):
    """Run a dashboard of its own on a port; yields its address and its process."""
    command = [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}", "--server.headless=true"]
    with subprocess.Popen(  # noqa: S603
        command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        url = f"http://localhost:{port}"
        for _ in range(10 * READY_S):
            try:
                urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).close()  # noqa: S310
                break
            except OSError:
                time.sleep(0.1)
        try:
            yield url, server
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def address():
    """A dashboard opened on the demo."""
    with served(ECG_DEMO="1") as url:
        yield url


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@contextmanager
def clean_tab(browser, address):
    """A tab of the size of a small screen, on the analysed demo; afterwards the console must hold no error."""
    context = browser.new_context(viewport={"width": 1280, "height": 720}, accept_downloads=True)
    tab = context.new_page()
    complaints, hosts = [], set()
    tab.on("console", lambda message: complaints.append(complaint(message)))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    tab.add_init_script(NOTE_MENU)
    tab.goto(address)
    tab.get_by_text("Analysable time").wait_for(timeout=1000 * READY_S)
    seen_in_menu = tab.evaluate("[...window.menu]")
    yield tab
    context.close()
    assert len(seen_in_menu) == N_PAGES, "Streamlit's own menu of file names was seen"
    assert [text for text in complaints if text] == []
    assert hosts - {""} == {urlsplit(address).netloc}


def complaint(message):
    """An error on the console, or nothing; Streamlit itself looks for its server below a page's address first."""
    path = urlsplit(message.location.get("url", "")).path
    looks_for_server = "/_stcore/" in path and not path.startswith("/_stcore/")
    return message.text if message.type == "error" and not looks_for_server else ""


def go(page, name, sign):
    """Go to a page by its link, until the text ``sign`` shows; it must not scroll sideways."""
    from playwright.sync_api import TimeoutError as TooLate

    shown = page.get_by_text(sign).first
    for _ in range(3):  # a click that falls into a rerun of the page is lost
        page.get_by_role("link", name=name).first.click()
        try:
            shown.wait_for(timeout=10_000)
            break
        except TooLate:
            continue
    shown.wait_for(timeout=10_000)  # a browser that parses plotly for the first time answers nothing for a while
    page.wait_for_timeout(500)
    too_wide = page.evaluate("(e => e.scrollWidth > e.clientWidth)(document.querySelector('[data-testid=stMain]'))")
    assert not too_wide, f"{name} scrolls sideways"


def open_files(page):
    """Open the list of files on the page Report; a page that is still drawn may close it again."""
    go(page, "Report", "Strips chosen by the reader")
    last = page.get_by_text("Each file is created when you click it")
    for _ in range(5):
        page.get_by_text("Other files", exact=True).click()
        page.wait_for_timeout(1500)
        if last.is_visible():
            break
    assert last.is_visible()
