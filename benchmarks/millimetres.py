"""Whether strips measure true millimetres in the rendered page: 25 mm/s are 94.5 px in a second, within 1 %.

    python -m benchmarks.millimetres [--json FILE]

Needs Chromium. The demo record is drawn in Review with each number of leads, gain, speed and attention on and off, in
Compare and in Live, in windows of three widths and at a zoom of 100 and of 150 %. Measured are the drawn signals and
calibration pulses, as the browser placed them on the screen. The largest deviations are printed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.command import ROOT, options_of, publish
from benchmarks.dashboard_24h import CHROMIUM, serve
from ecg_core import read_record
from ecg_core.figures import PX_PER_MM, STANDARD, Scale
from ecg_core.records import read_strip

WINDOWS: Final = (1000, 1280, 1920)
ZOOMS: Final = (1.0, 1.5)
HEIGHT_PX = 1080
LEADS, GAINS, SPEEDS, ATTENTION = (1, 3, 6, 12), (5, 10, 20), (12.5, 25, 50), (True, False)
READY_MS = 90_000
SETTLING_MS = 500
AT_REST: Final = """(plot) => document.querySelector('[data-test-script-state=notRunning]')
  && document.querySelectorAll(plot).length === 1"""
FIRST_SECONDS = 12  # of the stream, before the moving strip is measured
LIVE_LEAD = "II"

# How much a second and a millivolt measure of everything drawn on a strip: of each signal, and of each pulse. Signals
# of less than 40 px are not measured along mV: plotly leaves out points that are off a line by a tenth of a pixel.
MEASURE: Final = """(gd, scale) => {
  const size = (path) => {
    const box = path.getBBox(), ctm = path.getScreenCTM();
    return [box.width * ctm.a, box.height * ctm.d];
  };
  const leads = [...gd.querySelectorAll('.xy .trace.scatter')].filter((g) => g.__data__[0].trace.mode === 'lines');
  const signals = leads.map((g) => {
    const trace = g.__data__[0].trace, known = g.__data__.map((point) => point.y).filter(Number.isFinite);
    const [width, height] = size(g.querySelector('.js-line'));
    const extent = known.reduce(([low, high], y) => [Math.min(low, y), Math.max(high, y)], [Infinity, -Infinity]);
    return [width / ((trace._length - 1) * trace.dx), height / (extent[1] - extent[0]), height];
  });
  const shapes = gd._fullLayout.shapes.map((shape, i) => [shape, i]).filter(([shape]) => shape.name === '1 mV');
  const pulses = shapes.map(([, i]) => size(gd.querySelector(`.shapelayer path[data-index="${i}"]`))[1]);
  const axes = gd._fullLayout, range = axes.xaxis.range, page = document.querySelector('[data-testid=stMain]');
  return {
    px_per_s: signals.map((signal) => signal[0]),
    px_per_mv: [...signals.filter((signal) => signal[2] >= 40).map((signal) => signal[1]), ...pulses],
    axis_px_per_s: axes.xaxis._length / (range[1] - range[0]), seconds: range[1] - range[0], leads: leads.length,
    attention: axes.yaxis4 !== undefined, sideways: page.scrollWidth > page.clientWidth,
  };
}"""
# Keeps the longest line that was drawn on a canvas since the last one was taken, in pixels of the screen.
KEEP_LINES: Final = """(() => {
  const canvas = CanvasRenderingContext2D.prototype, { beginPath, moveTo, lineTo, stroke } = canvas;
  let points = [];
  canvas.beginPath = function () { points = []; return beginPath.call(this); };
  const keep = (context, x, y) => {
    const box = context.canvas.getBoundingClientRect(), at = context.getTransform().transformPoint({ x, y });
    points.push([(at.x * box.width) / context.canvas.width, (at.y * box.height) / context.canvas.height]);
  };
  canvas.moveTo = function (x, y) { keep(this, x, y); return moveTo.call(this, x, y); };
  canvas.lineTo = function (x, y) { keep(this, x, y); return lineTo.call(this, x, y); };
  canvas.stroke = function (...path) {
    const isTrace = this.lineJoin === 'round'; // boxes are drawn in lines too
    if (isTrace && points.length > (window.longestLine ?? []).length) window.longestLine = points;
    return stroke.apply(this, path);
  };
})()"""


def deviation_pct(measured: dict[str, Any], scale: Scale) -> float:
    """The largest deviation of a strip from its scale, in per cent."""
    across = [value / scale.px_per_s for value in (*measured["px_per_s"], measured["axis_px_per_s"])]
    along = [value / scale.px_per_mv for value in measured["px_per_mv"]]
    return float(100 * max(abs(ratio - 1) for ratio in (*across, *along)))


@contextmanager
def window(browser: Browser, width_px: int, zoom: float) -> Iterator[Page]:
    """A window of a width in pixels of the screen, zoomed."""
    size = {"width": round(width_px / zoom), "height": round(HEIGHT_PX / zoom)}
    context = browser.new_context(viewport=size, device_scale_factor=zoom)  # type: ignore[arg-type]
    page = context.new_page()
    page.add_init_script(KEEP_LINES)
    yield page
    context.close()


def measure_strip(page: Page, key: str, scale: Scale) -> dict[str, Any]:
    """What a strip measures once the page has settled, with its deviation."""
    chart = page.locator(f".st-key-{key} .js-plotly-plot")
    chart.first.wait_for(timeout=READY_MS)
    for _ in range(2):  # the width of the page may have been reported meanwhile, and the strip be drawn again
        page.wait_for_timeout(SETTLING_MS)
        page.wait_for_function(AT_REST, arg=f".st-key-{key} .js-plotly-plot", timeout=READY_MS)
    measured: dict[str, Any] = chart.evaluate(MEASURE)
    measured["deviation_pct"] = deviation_pct(measured, scale)
    return measured


def measure_review(page: Page, url: str) -> list[dict[str, Any]]:
    """Each strip of Review, chosen by its controls."""
    page.goto(f"{url}/review?t=1")  # a beat of the first row
    results = [measure_strip(page, "strip0", STANDARD)]
    page.get_by_role("button", name="Display").click()
    for attention, leads, gain, speed in product(ATTENTION, LEADS, GAINS, SPEEDS):
        switch = page.locator(".st-key-attention")
        if switch.locator("input").is_checked() != attention:
            switch.locator("label").click()
        for key, value in (("leads", leads), ("gain", gain), ("speed", speed)):
            page.locator(f".st-key-{key}").get_by_text(f"{value:g}", exact=True).click()
        results.append(measure_strip(page, "strip0", Scale(speed, gain)))
        drawn = (results[-1]["leads"], results[-1]["attention"])
        if drawn != (leads, attention):
            raise SystemExit(f"{leads} leads with attention {attention} were chosen, drawn were {drawn}")
    return results


def measure_compare(page: Page, url: str) -> dict[str, Any]:
    """The strip of the first difference in Compare."""
    page.goto(f"{url}/compare")
    return measure_strip(page, "difference_strip", STANDARD)


def measure_live(page: Page, url: str) -> dict[str, Any]:
    """The moving strip: its drawn line fitted to the samples of the record."""
    page.goto(f"{url}/live")
    page.get_by_text("5 x", exact=True).click(timeout=READY_MS)
    page.get_by_role("button", name="Start").click()
    page.locator("canvas").wait_for(timeout=READY_MS)
    page.wait_for_timeout(1000 * FIRST_SECONDS)
    page.evaluate("() => { window.longestLine = []; }")
    page.wait_for_timeout(500)
    x, y = np.array(page.evaluate("() => window.longestLine")).T
    record = read_record(ROOT / "demo_data" / "demo")
    signal = read_strip(record, LIVE_LEAD, start_s=0.0, length_s=10.0 * FIRST_SECONDS).signal_mv.astype(np.float64)
    px_per_s, px_per_mv = float(np.polyfit(np.arange(len(x)), x, 1)[0] * record.fs_hz), fitted_slope(-y, signal)
    deviation = 100 * max(abs(px_per_s / STANDARD.px_per_s - 1), abs(px_per_mv / STANDARD.px_per_mv - 1))
    return {"deviation_pct": deviation, "seconds": float(np.ptp(x)) / px_per_s, "sideways": False, "leads": 1}


def fitted_slope(line: np.ndarray[Any, Any], signal: np.ndarray[Any, Any]) -> float:
    """Height of a drawn line for each mV of the stretch of a signal that it follows best."""
    windows = np.lib.stride_tricks.sliding_window_view(signal, len(line))
    centred = line - line.mean()
    spread = windows.std(axis=1) * len(line)
    correlation = windows @ centred / np.where(spread > 0, spread * centred.std(), np.inf)
    return float(np.polyfit(windows[correlation.argmax()], line, 1)[0])


def in_short(strips: list[dict[str, Any]]) -> dict[str, Any]:
    """How many strips were measured, their largest deviation, and how many seconds they show."""
    return {
        "strips": len(strips), "worst_deviation_pct": round(max(strip["deviation_pct"] for strip in strips), 4),
        "leads": sorted({strip["leads"] for strip in strips}),
        "with_attention": sum(strip.get("attention", False) for strip in strips),
        "seconds": sorted({round(strip["seconds"], 2) for strip in strips}),
        "scrolling_sideways": sum(strip["sideways"] for strip in strips),
    }  # fmt: skip


def measure_all(url: str) -> dict[str, Any]:
    """Each page in each window at each zoom."""
    found: dict[str, Any] = {}
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for width_px, zoom in product(WINDOWS, ZOOMS):
            with window(browser, width_px, zoom) as page:
                found[f"window of {width_px} px at {zoom:.0%}"] = {
                    "review": in_short(measure_review(page, url)),
                    "compare": in_short([measure_compare(page, url)]),
                    "live": in_short([measure_live(page, url)]),
                }
        browser.close()
    worst = max(part["worst_deviation_pct"] for parts in found.values() for part in parts.values())
    return {"px_per_mm": round(PX_PER_MM, 4), "worst_deviation_pct": worst, **found}


def main() -> None:
    """Serve the demo, measure."""
    options = options_of(__doc__, real=False, json=Path)
    if CHROMIUM is None:
        raise SystemExit("no Chromium is installed")
    server, url = serve(demo=True)
    try:
        results = measure_all(url)
    finally:
        server.terminate()
    publish(results, options.json)


if __name__ == "__main__":
    main()
