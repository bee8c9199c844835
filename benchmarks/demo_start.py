"""How long it takes from the start of the dashboard to its first page, and to the analysed demo record.

    python -m benchmarks.demo_start [--runs 5] [--json FILE]

Needs Chromium. Each run starts a server of its own. The first page can be used when its heading stands in the browser;
the demo is analysed when its hours stand there. Medians are printed.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from benchmarks.command import options_of, publish
from benchmarks.dashboard_24h import CHROMIUM, PAGES, serve


def start(browser: Browser) -> tuple[float, float]:
    """Seconds to the first page, and to the analysed demo."""
    began = time.perf_counter()
    server, url = serve(demo=True)
    try:
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.goto(url)
        page.get_by_role("link", name="Overview").first.wait_for(timeout=60_000)
        first_s = time.perf_counter() - began
        page.get_by_text(PAGES["Overview"]).first.wait_for(timeout=60_000)
        return first_s, time.perf_counter() - began
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    """Start again and again, print the medians."""
    options = options_of(__doc__, real=False, runs=5, json=Path)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        found = [start(browser) for _ in range(options.runs)]
    first_s, analysed_s = (round(statistics.median(times), 2) for times in zip(*found, strict=True))
    publish({"runs": options.runs, "first_page_s": first_s, "analysed_s": analysed_s}, options.json)


if __name__ == "__main__":
    main()
