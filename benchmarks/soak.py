"""Stability of the dashboard: memory over hundreds of analyses, and ten readers at once who must not see each other.

    python -m benchmarks.soak [--analyses 200] [--readers 10] [--json FILE]

Needs Chromium and Linux. One server is started, as ``python launch.py app`` does it. First readers come one after the
other, each with a separate browser: they upload records that are new to the server, analyse each, open it in Review,
download its report, and close it; after ``VISIT`` records the next reader comes. Then all leave. Then ten readers come
at once, each with another record, and every file of the page Report is compared byte by byte with that of an analysis
of the same record in this process. Records are excerpts of the simulated demo record, faster or slower.
"""

from __future__ import annotations

import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wfdb
from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import TimeoutError as TooLate

from benchmarks.command import ROOT, options_of, publish
from benchmarks.dashboard_24h import CHROMIUM, serve
from ecg_core.classifier.model import load_model
from ecg_core.pipeline import analyse
from ecg_core.records import read_record
from ecg_core.report.export import file_contents
from ecg_core.schema import Analysis

WARM_UP, EVERY, VISIT = 20, 10, 20  # analyses: before the first level, between two measurements, of one reader
SHORT_S, LONG_S, STEP_S = 300.0, 1700.0, 7.0  # of the demo: short and long excerpts, and the step from one to the next
SLOPE_OVER = 150  # analyses, the last ones
FORGOTTEN_S = 120.0  # streamlit keeps a session so long after its reader left
SETTLED_S = 60.0
WAIT_MS = 120_000


@dataclass(frozen=True)
class Cut:
    """An excerpt of the demo as a record, and its analysis in this process."""

    name: str
    files: tuple[Path, ...]
    analysis: Analysis


def cut(folder: Path, name: str, *, first_s: float, length_s: float, pace: float, lead: str = "auto") -> Cut:
    """Write an excerpt of the demo record, faster by the factor ``pace``, and analyse it."""
    demo = wfdb.rdrecord(str(ROOT / "demo_data" / "demo"), physical=False)
    first = round(first_s * demo.fs)
    samples = demo.d_signal[first : first + round(length_s * demo.fs)].astype("<i2")
    (folder / f"{name}.dat").write_bytes(samples.tobytes())
    lines = [f"{name} {demo.n_sig} {demo.fs * pace:.3f} {len(samples)}"]
    leads = zip(demo.adc_gain, demo.baseline, demo.sig_name, strict=True)
    lines += [f"{name}.dat 16 {gain:g}({baseline})/mV 16 0 0 0 0 {lead}" for gain, baseline, lead in leads]
    lines.append("# Simulated record: an excerpt of the demo record")
    (folder / f"{name}.hea").write_text("\n".join(lines) + "\n", encoding="ascii")
    files = (folder / f"{name}.hea", folder / f"{name}.dat")
    return Cut(name, files, analyse(read_record(folder / name), load_model(), lead=lead))


def go(page: Page, name: str, expected: str) -> None:
    """Go to a page; a click during a rerun of the page before is lost, so it is repeated."""
    shown = page.get_by_text(expected).first
    for _ in range(6):
        page.get_by_role("link", name=name).first.click()
        try:
            shown.wait_for(timeout=WAIT_MS / 6)
        except TooLate:
            continue
        page.wait_for_timeout(300)
        return
    raise TooLate(f"The page {name} was not shown.")


def open_files(page: Page) -> None:
    """Open the list of files on the page Report; a page that is still drawn may close it again."""
    go(page, "Report", "Strips chosen by the reader")
    last = page.get_by_text("Each file is created when you click it")
    for _ in range(6):
        page.get_by_text("Files", exact=True).click()
        page.wait_for_timeout(1500)
        if last.is_visible():
            return
    raise TooLate("The list of files was not shown.")


def upload(page: Page, cut: Cut) -> None:
    """Upload the files of a record, which opens it."""
    page.locator('input[type="file"]').set_input_files([str(path) for path in cut.files])
    page.get_by_text(f"Analysis of {cut.name}").wait_for(timeout=WAIT_MS)


def await_analysis(page: Page, cut: Cut) -> bool:
    """Wait for the analysis; return whether the page shows the expected leads and number of beats."""
    shown = page.get_by_text("Analysed: lead").first
    shown.wait_for(timeout=WAIT_MS)
    analysis = cut.analysis
    return shown.inner_text() == f"Analysed: lead {', '.join(analysis.lead_names)}, {analysis.burden.n_beats:,} beats."


def visit(page: Page, cut: Cut) -> bool:
    """Upload, analyse, review and close a record; return whether its figures were right."""
    upload(page, cut)
    page.get_by_role("button", name="Analyse", exact=True).click()
    right = await_analysis(page, cut)
    go(page, "Review", "Full disclosure")
    page.locator(".st-key-strip0 .js-plotly-plot").first.wait_for(timeout=WAIT_MS)
    open_files(page)
    right &= downloaded(page, f"{cut.name}_report.json") == file_contents(cut.analysis)[f"{cut.name}_report.json"]
    go(page, "Studies", "Add recordings")
    page.get_by_role("button", name="Close this study").click()
    page.get_by_text(f"Analysis of {cut.name}").wait_for(state="hidden", timeout=WAIT_MS)
    return right


def downloaded(page: Page, name: str) -> bytes:
    """Content of a file of the page Report."""
    with page.expect_download(timeout=WAIT_MS) as download:
        page.get_by_role("button", name=name).click()
    return Path(download.value.path()).read_bytes()


@dataclass(frozen=True)
class Server:
    """A running dashboard: its address, its process, and the folder of its temporary files."""

    url: str
    pid: int
    temporary: Path

    @property
    def memory_mb(self) -> float:
        """Resident memory."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    @property
    def peak_mb(self) -> float:
        """Peak of the resident memory so far."""
        lines = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:"))

    @property
    def n_folders(self) -> int:
        """How many folders of sessions, and of archives that they unpacked, there are."""
        return len(list(self.temporary.glob("ecg-*")))


@contextmanager
def start_server(temporary: Path) -> Iterator[Server]:
    """A dashboard that runs until the block ends."""
    os.environ["TMPDIR"] = str(temporary)
    process, url = serve()
    try:
        yield Server(url, process.pid, temporary)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def new_reader(browser: Browser, server: Server) -> Iterator[Page]:
    """The page Studies in a separate browser."""
    context = browser.new_context(viewport={"width": 1280, "height": 720}, accept_downloads=True)
    page = context.new_page()
    page.goto(f"{server.url}/studies")
    page.locator('input[type="file"]').wait_for(state="attached", timeout=WAIT_MS)
    yield page
    context.close()


def one_after_the_other(browser: Browser, server: Server, folder: Path, n_analyses: int) -> dict[str, Any]:
    """Memory over many analyses, each of another record."""
    memory_mb, n_wrong = [], 0
    for start in range(0, n_analyses, VISIT):
        with new_reader(browser, server) as page:
            for number in range(start, min(start + VISIT, n_analyses)):
                pace = 0.8 + 0.5 * number / n_analyses
                cut_ = cut(folder, f"many{number}", first_s=number % 200 * STEP_S, length_s=SHORT_S, pace=pace)
                n_wrong += not visit(page, cut_)
                if (number + 1) % EVERY == 0:
                    memory_mb.append(round(server.memory_mb))
                    print(f"{number + 1} analyses, {memory_mb[-1]} MB, {server.n_folders} folders", flush=True)
    time.sleep(FORGOTTEN_S + SETTLED_S)
    late = [(EVERY * (i + 1), mb) for i, mb in enumerate(memory_mb) if EVERY * (i + 1) >= n_analyses - SLOPE_OVER]
    return {
        "analyses": n_analyses,
        "wrong_figures": n_wrong,
        "after_warm_up_mb": memory_mb[WARM_UP // EVERY - 1],
        "every_10_mb": memory_mb,
        "slope_mb_per_100": round(100 * statistics.linear_regression(*zip(*late, strict=True)).slope, 1),
        "all_left_mb": round(server.memory_mb),
        "peak_mb": round(server.peak_mb),
        "folders_left": server.n_folders,
    }


def all_at_once(browser: Browser, server: Server, folder: Path, n_readers: int) -> dict[str, Any]:
    """Differences between what readers get and what they should get."""
    cuts = [
        cut(folder, f"reader{number}", first_s=number * STEP_S, length_s=LONG_S, pace=0.8 + 0.06 * number, lead="all")
        for number in range(n_readers)
    ]
    with ExitStack() as stack:
        pages = [stack.enter_context(new_reader(browser, server)) for _ in cuts]
        for page, expected in zip(pages, cuts, strict=True):
            upload(page, expected)
            page.get_by_role("combobox", name="Leads to analyse").click()
            page.get_by_role("option", name="All leads together").click()
        for page in pages:
            page.get_by_role("button", name="Analyse", exact=True).click()
        at_work = sum(page.get_by_role("button", name="Cancel").is_visible() for page in pages)
        wrong = [
            f"{expected.name}: page"
            for page, expected in zip(pages, cuts, strict=True)
            if not await_analysis(page, expected)
        ]
        n_files = 0
        for page, expected in zip(pages, cuts, strict=True):
            open_files(page)
            others = [other.name for other in cuts if other is not expected]
            text = page.locator("body").inner_text()
            wrong += [f"{expected.name}: shows {name}" for name in others if re.search(rf"\b{name}\b", text)]
            wrong += [f"{expected.name}: is not named"] * (f"Report of {expected.name}" not in text)
            for name, content in file_contents(expected.analysis).items():
                n_files += 1
                wrong += [f"{expected.name}: {name}"] * (downloaded(page, name) != content)
    time.sleep(FORGOTTEN_S + SETTLED_S)
    return {
        "readers": n_readers,
        "at_work_together": at_work,
        "beats": [expected.analysis.burden.n_beats for expected in cuts],
        "files_compared": n_files,
        "mismatches": wrong,
        "folders_left": server.n_folders,
        "all_left_mb": round(server.memory_mb),
    }


def main() -> None:
    """Serve, read, compare, print."""
    options = options_of(__doc__, real=False, analyses=200, readers=10, json=Path)
    if CHROMIUM is None or sys.platform != "linux":
        raise SystemExit("this needs Linux, and Chromium installed")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        temporary = Path(folder) / "temporary"
        temporary.mkdir()
        server = stack.enter_context(start_server(temporary))
        driver = stack.enter_context(sync_playwright())
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        results = {
            "one_after_the_other": one_after_the_other(browser, server, Path(folder), options.analyses),
            "all_at_once": all_at_once(browser, server, Path(folder), options.readers),
        }
        browser.close()
    publish(results, options.json)


if __name__ == "__main__":
    main()
