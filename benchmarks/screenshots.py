"""The pictures of the README, of the simulated demo record: ``python -m benchmarks.screenshots [--out FOLDER]``.

Needs Chromium, and pdftoppm of Poppler for the pages of the report.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from benchmarks.command import ROOT, options_of
from benchmarks.dashboard_24h import CHROMIUM, PAGES, serve
from ecg_core import analyse, load_model, read_record
from ecg_core.report.pdf import report_pdf

SIZE: Final = {"width": 1280, "height": 860}
DRAWN_MS: Final = 4000  # that a page is given to draw its figures, once its last text stands there
PDF_PAGES: Final = (1, 6)  # with the narrative, and with strips
PDF_DPI, GAP_PX = 94, 20
GAP_COLOUR: Final = "#c4cbd2"


def photograph(page: Page, name: str, link: str, folder: Path) -> None:
    """A picture of the page of the dashboard that a link leads to."""
    page.get_by_text(link).first.click()
    page.get_by_text(PAGES[name]).first.wait_for(timeout=60_000)
    page.wait_for_timeout(DRAWN_MS)
    page.screenshot(path=folder / f"{name.lower()}.png")


def photograph_report(folder: Path) -> None:
    """Two pages of the PDF report side by side."""
    with tempfile.TemporaryDirectory() as at:
        pdf = Path(at) / "report.pdf"
        pdf.write_bytes(report_pdf(analyse(read_record(ROOT / "demo_data" / "demo"), load_model())))
        pages = []
        for number in PDF_PAGES:
            part = Path(at) / f"page{number}"
            wanted = ["-f", str(number), "-l", str(number), "-r", str(PDF_DPI), "-png", "-singlefile"]
            subprocess.run(["pdftoppm", *wanted, str(pdf), str(part)], check=True)
            pages.append(Image.open(part.with_suffix(".png")).convert("RGB"))
    width, height = pages[0].size
    both = Image.new("RGB", (2 * width + GAP_PX, height), GAP_COLOUR)
    for place, one in enumerate(pages):
        both.paste(one, (place * (width + GAP_PX), 0))
    both.quantize(64).save(folder / "report_pdf.png", optimize=True)


def main() -> None:
    """Start a dashboard with the demo, take the pictures."""
    options = options_of(__doc__, real=False, out=ROOT / "docs" / "screenshots")
    server, url = serve(demo=True)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport=SIZE, color_scheme="light")
            page.goto(url)
            photograph(page, "Overview", "Overview", options.out)
            photograph(page, "Review", "Longest V run", options.out)
    finally:
        server.terminate()
        server.wait()
    photograph_report(options.out)


if __name__ == "__main__":
    main()
