"""How long a reader waits in the browser on an analysed 24-h record: first view of a page, a step, an edit.

    ECG_DATABASES=... python -m benchmarks.dashboard_24h [--database svdb/1.0.0] [--steps 20] [--json FILE]

Needs Chromium. Medians are printed, and the size of the largest message to the browser, which is that of a figure.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from benchmarks.command import ROOT, options_of, publish
from benchmarks.tiling import tile

CHROMIUM = next((path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(path).is_file()), None)
MOST_S = 30.0  # for anything
READING_S = 0.7  # a reader takes at least so long over a strip; the page below it is drawn meanwhile
PAGES = {
    "Gallery": "Arrow keys choose a strip",
    "Beats": "Names stay as they are",
    "Overview": "Hour by hour",
    "Review": "Full disclosure",
    "Report": "Change a value, and everything is measured again",
}


def serve(*, demo: bool = False) -> tuple[subprocess.Popen[bytes], str]:
    """Start a dashboard that keeps nothing, empty or with the demo; returns its process and its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}", "--server.headless=true"]
    environment = {**os.environ, "ECG_EPHEMERAL": "1"}  # the studies of whoever runs it stay as they are
    environment |= {"ECG_DEMO": "1"} if demo else {}
    quiet = subprocess.DEVNULL
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=quiet, stderr=quiet)
    url = f"http://localhost:{port}"
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).close()  # noqa: S310
            break
        except OSError:
            time.sleep(0.1)
    return server, url


def open_record(page: Page, url: str, folder: Path) -> float:
    """Open and analyse the record of a folder; returns the seconds that the analysis took."""
    page.goto(f"{url}/studies")
    field = page.get_by_placeholder("for example /data/holter")
    field.fill(str(folder))
    field.press("Enter")
    page.get_by_role("button", name="Open this one").click()
    page.get_by_text("Analysis of tiled").first.wait_for(timeout=60_000)
    began = time.perf_counter()
    page.get_by_role("button", name="Analyse", exact=True).click()
    page.get_by_text("Analysed: lead").wait_for(timeout=600_000)
    return time.perf_counter() - began


def first_view(page: Page, name: str, last_text: str) -> float:
    """Seconds from the click on a page's name until its last text is shown."""
    began = time.perf_counter()
    page.get_by_role("link", name=name).first.click()
    page.get_by_text(last_text).first.wait_for(timeout=60_000)
    if name == "Review":
        page.locator(".st-key-strip0 .js-plotly-plot").first.wait_for()
    return time.perf_counter() - began


# Streamlit keeps the strip before, hidden, until the page is drawn.
SHOWN = "[...document.querySelectorAll('.st-key-strip0 .js-plotly-plot')].find(plot => plot.offsetWidth)"
SPAN = f"{SHOWN}?._fullLayout?.xaxis?.range?.join()"
LETTERS = f"{SHOWN}?.data.find(trace => trace.mode === 'markers+text')?.text.join()"


def until_changed(page: Page, what: str, act: Callable[[], object]) -> float:
    """Seconds from an action until what the browser shows has changed."""
    before = page.evaluate(what)
    began = time.perf_counter()
    act()
    page.wait_for_function(f"before => {what} && {what} !== before", arg=before, timeout=30_000, polling=10)
    return time.perf_counter() - began


def insert_beat(page: Page) -> None:
    """Insert a beat between the first two of the strip."""
    page.keyboard.press("i")
    x, y = page.evaluate(
        f"""(() => {{ const plot = {SHOWN}, box = plot.getBoundingClientRect(), layout = plot._fullLayout;
        const beats = plot._fullData.find(trace => trace.mode === 'markers+text').x;
        const at = (Number(beats[1]) * 0.45 + Number(beats[2]) * 0.55);
        return [box.x + layout.xaxis._offset + layout.xaxis.d2p(at), box.y + layout.yaxis._offset + 20]; }})()"""
    )
    page.mouse.click(x, y)


def edit_times(page: Page, n: int) -> dict[str, list[float]]:
    """Seconds from the key to the drawn strip of each kind of edit, several times each, all of them undone."""
    times: dict[str, list[float]] = {"relabel": [], "delete": [], "insert": [], "undo": []}
    edits: dict[str, Callable[[], object]] = {
        "relabel": lambda: page.keyboard.press("4"),
        "delete": lambda: page.keyboard.press("Delete"),
        "insert": lambda: insert_beat(page),
    }
    for _ in range(n):
        for name, edit in edits.items():
            times[name].append(until_changed(page, LETTERS, edit))
            page.wait_for_timeout(1000 * READING_S)
            page.keyboard.press("Escape")
            times["undo"].append(until_changed(page, LETTERS, lambda: page.keyboard.press("u")))
            page.wait_for_timeout(1000 * READING_S)
        step_to_next_beat(page)
        page.wait_for_timeout(1000 * READING_S)
    return times


def relabel_template(page: Page, n: int) -> tuple[int, list[float]]:
    """Beats of the largest template, and the seconds from the key until the cards are drawn with all counts."""
    first_view(page, "Beats", "Names stay as they are")
    cards, sizes = page.locator("[role=option]"), []
    cards.first.wait_for(timeout=60_000)
    times = []
    for _ in range(n):
        texts = cards.all_inner_texts()
        sizes = [int(text.split("\n")[1].replace(",", "")) for text in texts]
        cards.nth(sizes.index(max(sizes))).click()
        for key in ("5", "u"):
            before, began = cards.all_inner_texts(), time.perf_counter()
            page.keyboard.press(key)
            while cards.all_inner_texts() == before and time.perf_counter() - began < MOST_S:
                time.sleep(0.01)
            times += [time.perf_counter() - began] if key == "5" else []
            page.wait_for_timeout(1000 * READING_S)
    return max(sizes), times


def step_to_next_beat(page: Page) -> float:
    """Seconds from a key to the next strip."""
    return until_changed(page, SPAN, lambda: page.keyboard.press("ArrowRight"))


def main() -> None:
    """Tile, analyse in the browser, time."""
    options = options_of(__doc__, database="svdb/1.0.0", steps=20, json=Path)
    if CHROMIUM is None:
        raise SystemExit("no Chromium is installed")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        tile(options.databases / options.database, Path(folder))
        server, url = serve()
        try:
            browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport={"width": 1280, "height": 720})
            sizes: list[int] = []
            page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: sizes.append(len(frame))))
            results: dict[str, Any] = {"analysis_s": round(open_record(page, url, Path(folder)), 2)}
            sizes.clear()
            for name, last_text in PAGES.items():
                times = [first_view(page, name, last_text)]
                for _ in range(2):
                    first_view(page, "About", "Performance of the model")
                    times.append(first_view(page, name, last_text))
                results[f"{name.lower()}_s"] = round(statistics.median(times), 2)
            first_view(page, "Review", PAGES["Review"])
            page.wait_for_timeout(2000)
            steps = []
            for _ in range(options.steps):
                steps.append(step_to_next_beat(page))
                page.wait_for_timeout(1000 * READING_S)
            results["step_s"] = round(statistics.median(steps), 3)
            results["slowest_step_s"] = round(max(steps), 3)
            for name, found in edit_times(page, options.steps // 3).items():
                results[f"{name}_s"] = round(statistics.median(found), 3)
                results[f"slowest_{name}_s"] = round(max(found), 3)
            results["template_beats"], found = relabel_template(page, options.steps // 3)
            results["template_s"] = round(statistics.median(found), 3)
            results["largest_message_kb"] = round(max(sizes) / 1000)
            browser.close()
        finally:
            server.terminate()
    publish(results, options.json)


if __name__ == "__main__":
    main()
