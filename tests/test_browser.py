"""The dashboard in a real browser, as a reader walks through it with the demo record."""

import io
import re
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pandas as pd
import pypdfium2
import pytest
from support.browser import NEEDS_BROWSER, READY_S, ROOT, address, browser, clean_tab, go, open_files  # noqa: F401  # fixtures among them

from ecg_core.figures import Scale
from pages._ui.strip_gestures import HTML

pytestmark = NEEDS_BROWSER
PAPER_PX_PER_S = 25 * 96 / 25.4


@pytest.fixture(scope="module")
def page(browser, address):  # noqa: F811
    with clean_tab(browser, address) as tab:
        yield tab


def address_time_s(page):
    return float(parse_qs(urlsplit(page.url).query).get("t", ["nan"])[0])


def test_reader_walks_through_all_pages(page):
    go(page, "Studies", "Add recordings")
    go(page, "Patient", "Diary")
    go(page, "Review", "Full disclosure")
    go(page, "Beats", "Names stay as they are")
    go(page, "Report", "Strips chosen by the reader")
    go(page, "Compare", "Where they differ")
    go(page, "Audit trail", "Verified")
    go(page, "About", "Performance of the model")
    go(page, "Overview", "Analysable time")
    assert page.get_by_text("Simulated record").first.is_visible()
    assert page.get_by_text("not cleared for use as a primary diagnostic tool").is_visible()


def test_keys_step_through_the_beats_and_a_link_reopens_the_view(page, address):  # noqa: F811
    go(page, "Review", "Full disclosure")
    seen = []
    for _ in range(3):
        before = page.url
        page.keyboard.press("n")
        page.wait_for_function("before => location.href !== before", arg=before, timeout=10_000)
        page.wait_for_timeout(700)
        seen.append(address_time_s(page))
    assert seen == sorted(seen)
    assert len(set(seen)) == 3
    page.goto(page.url)
    page.get_by_text("Full disclosure").wait_for(timeout=1000 * READY_S)
    assert address_time_s(page) == seen[-1]


def test_keys_label_beats_and_the_model_learns_from_them_against_its_own_advice(page):
    go(page, "Review", "Full disclosure")
    page.keyboard.press("a")
    for n_labelled, key in enumerate("123", 1):
        page.wait_for_timeout(1000)
        at = page.url
        page.keyboard.press(key)
        page.get_by_text(f"{n_labelled} beat{'s' if n_labelled > 1 else ''} labelled by you").wait_for()
        page.wait_for_function("at => location.href !== at", arg=at, timeout=10_000)
    page.wait_for_timeout(1000)
    page.keyboard.press("u")
    page.get_by_text("2 beats labelled by you").wait_for()
    page.wait_for_timeout(1000)
    page.keyboard.press("l")
    page.get_by_text("Held back: the labels are too few").wait_for(timeout=1000 * READY_S)
    page.wait_for_timeout(1000)
    page.get_by_role("button", name="Accept anyway").click()
    page.get_by_role("button", name="Accept against this advice").click()
    page.get_by_text("2 of them used for fine-tuning").wait_for(timeout=1000 * READY_S)
    for left in ("none of them used for fine-tuning yet", "1 beat labelled by you", "A wrong class?"):
        page.wait_for_timeout(1000)
        page.keyboard.press("u")
        page.get_by_text(left).wait_for()


@pytest.mark.parametrize(
    ("width_px", "zoom", "leads", "gain", "speed"),
    [(1000, 1, 12, 5, 50), (1280, 1.5, 3, 20, 12.5), (1920, 1, 1, 10, 25)],
)
def test_strips_measure_true_millimetres_in_every_window(browser, address, width_px, zoom, leads, gain, speed):  # noqa: F811
    from benchmarks.millimetres import measure_strip, window

    with window(browser, width_px, zoom) as tab:
        tab.goto(f"{address}/review?leads={leads}&gain={gain}&speed={speed}&t=300")
        measured = measure_strip(tab, "strip0", Scale(speed, gain))
    assert measured["deviation_pct"] < 1
    assert measured["leads"] == leads
    assert not measured["sideways"]


# Streamlit keeps the strip before, hidden, until the page is drawn.
SHOWN = "[...document.querySelectorAll('.st-key-strip0 .js-plotly-plot')].find(plot => plot.offsetWidth)"


# How often the page changes in a second.
CHANGES = """() => new Promise(done => {
    let n = 0;
    const observer = new MutationObserver(records => n += records.length);
    observer.observe(document.body, { childList: true, subtree: true });
    setTimeout(() => { observer.disconnect(); done(n); }, 3000);
})"""


def strip_span_s(page):
    return page.evaluate(f"{SHOWN}._fullLayout.xaxis.range")


def await_span(page, before):
    """The span of the strip once it differs from that before."""
    shown = f"{SHOWN}?._fullLayout?.xaxis?.range?.join()"
    page.wait_for_function(f"before => {shown} && {shown} !== before", arg=",".join(map(str, before)), timeout=10_000)
    return strip_span_s(page)


def test_the_strip_is_moved_measured_and_edited_by_mouse_and_by_keys(page):
    go(page, "Review", "Full disclosure")
    page.keyboard.press("Home")
    page.wait_for_timeout(1500)
    page.locator("[class*=st-key-what] input").click()
    page.get_by_role("option").nth(1).click()  # the focus was in the selectbox
    page.wait_for_timeout(1000)
    first = strip_span_s(page)
    page.keyboard.press("ArrowRight")
    paged = await_span(page, first)
    assert paged[0] == pytest.approx(first[1])
    box = page.evaluate(f"{SHOWN}.getBoundingClientRect().toJSON()")
    x, y = box["x"] + 400, box["y"] + 80
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 2 * PAPER_PX_PER_S, y, steps=4)
    page.mouse.up()
    dragged = await_span(page, paged)
    assert dragged[0] - paged[0] == pytest.approx(2.0, abs=0.1)
    page.keyboard.press("m")
    page.mouse.click(x, y)
    page.mouse.click(x + PAPER_PX_PER_S, y + 10 * 96 / 25.4)
    page.get_by_text("1000 ms, 60 bpm, 1.00 mV").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("e")
    page.keyboard.press("Enter")  # at the cursor, in the middle of the strip
    for _ in range(5):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Enter")
    page.get_by_text("in 1.0 s").wait_for(timeout=10_000)
    assert page.locator("svg.gestures > *").count() > 0
    # What is drawn over the strip is not drawn again and again; a busy machine may still draw the page's last change.
    assert any(page.evaluate(CHANGES) == 0 for _ in range(7))
    page.keyboard.press("0")
    page.get_by_text("in 1.0 s").wait_for(state="hidden", timeout=10_000)
    page.wait_for_timeout(500)
    page.keyboard.press("u")
    page.locator(".st-key-label_bar button:has-text('Redo'):enabled").first.wait_for(timeout=10_000)
    page.keyboard.press("g")
    page.keyboard.type("08:20:30")
    page.keyboard.press("Enter")
    page.wait_for_function("() => location.href.includes('t=1230')", timeout=10_000)
    page.wait_for_timeout(1500)
    before, labelled = strip_span_s(page), page.get_by_text("labelled by you").count()
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()
    for key in ("2", "Delete", "ArrowRight", "n"):  # they are not for the page behind
        page.keyboard.press(key)
    page.wait_for_timeout(1500)
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="hidden")
    assert strip_span_s(page) == before
    assert page.get_by_text("labelled by you").count() == labelled


def test_click_on_the_overview_leads_to_that_address_time_s(page):
    go(page, "Overview", "Analysable time")
    chart = page.locator(".st-key-trend .js-plotly-plot")
    box = chart.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 80)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.52, box["y"] + 80, steps=5)
    page.mouse.up()
    page.get_by_text("Full disclosure").wait_for(timeout=20_000)
    assert 800 < address_time_s(page) < 1000


def test_downloaded_table_can_be_read_back(page):
    open_files(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="demo_beats.csv").click()
    table = pd.read_csv(io.BytesIO(Path(download.value.path()).read_bytes()))
    assert download.value.suggested_filename == "demo_beats.csv"
    assert len(table) > 2000
    assert table["time_s"].is_monotonic_increasing


def test_downloaded_report_holds_what_the_page_shows(page):
    open_files(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="demo_report.pdf").click()
    document = pypdfium2.PdfDocument(Path(download.value.path()).read_bytes())
    text = document[0].get_textpage().get_text_range()
    assert len(document) > 4
    document.close()
    assert "PVC burden" in text
    burden = page.locator("dt", has_text="PVC burden").first.evaluate("e => e.nextElementSibling.textContent")
    assert burden in text


def test_a_template_is_chosen_and_labelled_by_key_and_undone(page):
    go(page, "Beats", "those with the most doubt first")
    page.locator(".card").first.wait_for(timeout=60_000)
    page.keyboard.press("ArrowRight")
    name = page.locator(".card.selected b").inner_text()
    page.keyboard.press("5")
    card = page.locator(".card", has=page.get_by_text(name, exact=True))
    card.get_by_text(f"now Q, was {name[0]}").wait_for(timeout=20_000)
    page.keyboard.press("u")
    card.get_by_text(f"now Q, was {name[0]}").wait_for(state="detached", timeout=20_000)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("g")
    page.get_by_text("0 of").first.wait_for(timeout=20_000)  # reviewed, in the gallery


def test_a_box_in_the_lorenz_plot_lists_beats_that_lead_to_review(page):
    go(page, "Beats", "those with the most doubt first")
    page.get_by_text("Probability and RR").click()
    chart = page.locator(".st-key-lorenz .js-plotly-plot")
    chart.wait_for()
    chart.scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    box_all(page, chart.bounding_box())
    listed = page.get_by_role("dialog")
    listed.get_by_text("Choose a row to see it in Review").wait_for(timeout=20_000)
    page.wait_for_timeout(1000)
    grid = listed.locator("canvas").first.bounding_box()
    page.mouse.click(grid["x"] + 12, grid["y"] + 60)  # the box before the first row
    page.get_by_text("Full disclosure").wait_for(timeout=20_000)
    assert address_time_s(page) > 0


# Distance of a shaded beat from the beat before it in px, the RR on the strip in ms, and the height of the pulse in px.
STRIP_SIZES = """strip => {
    const letters = [...strip.querySelectorAll('.letter')], middle = (box) => (box.left + box.right) / 2;
    const at = letters.findIndex((letter) => letter.getAttribute('font-weight') === '700');
    const [before, beat] = [letters[at - 1], letters[at]].map((letter) => middle(letter.getBoundingClientRect()));
    const pulse = strip.querySelector('.pulse');
    return { rr_px: beat - before, rr_ms: Number(strip.textContent.match(/RR (\\d+) ms/)[1]),
        pulse_px: pulse.getBBox().height * pulse.getScreenCTM().d }; }"""


def test_the_gallery_is_gone_through_by_key_and_its_strips_have_the_papers_scale(page):
    go(page, "Gallery", "reviewed")
    kinds = page.locator("[data-testid=stMain]").get_by_role("combobox").first
    kinds.click()
    kinds.fill("Ventricular ectopic beats")
    page.get_by_role("option").first.click()
    page.get_by_role("listbox", name="Ventricular ectopic beats", exact=True).wait_for()
    page.get_by_text("1 to 12; 0 of ").wait_for()
    page.wait_for_timeout(500)
    sizes = page.locator(".strip").nth(5).evaluate(STRIP_SIZES)
    assert sizes["rr_px"] == pytest.approx(PAPER_PX_PER_S * sizes["rr_ms"] / 1000, rel=0.01)
    assert sizes["pulse_px"] == pytest.approx(PAPER_PX_PER_S * 10 / 25, rel=0.01)
    n = int(page.locator(".place").inner_text().split(" of ")[1].split()[0])
    page.keyboard.press("a")
    page.get_by_text(f"1 to 12; 1 of {n} reviewed").wait_for()
    page.wait_for_timeout(300)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("n")
    page.get_by_text(f"1 of {n - 1} reviewed").wait_for()
    assert page.locator(".strip.current").get_attribute("data-item") == "2"
    page.wait_for_timeout(300)
    page.keyboard.press("PageDown")
    page.get_by_text("13 to 24; 1 of ").wait_for()
    for n_reviewed in (1, 0):
        page.wait_for_timeout(300)
        page.keyboard.press("u")
        page.get_by_text(f"{n_reviewed} of {n} reviewed").wait_for()


def hold(page, key):
    """Hold a key for two seconds, in which the keyboard repeats it."""
    for _ in range(8):
        page.keyboard.down(key)
        page.wait_for_timeout(250)
    page.keyboard.up(key)


@pytest.fixture
def new_page(browser, address):  # noqa: F811
    """A tab of its own: what another test chose to see stays in that one's."""
    with clean_tab(browser, address) as tab:
        yield tab


def test_a_key_that_is_held_edits_once(new_page):
    page = new_page
    go(page, "Review", "Full disclosure")
    page.keyboard.press("a")
    page.wait_for_timeout(1000)
    hold(page, "3")
    page.wait_for_timeout(1000)
    assert page.get_by_text("1 beat labelled by you").is_visible()  # not also the queried beats after it
    go(page, "Beats", "those with the most doubt first")
    page.locator(".card").first.wait_for(timeout=60_000)
    n_cards = page.locator(".card").count()
    page.keyboard.press("ArrowRight")
    hold(page, "s")
    page.wait_for_timeout(1000)
    assert page.locator(".card").count() == n_cards + 1
    go(page, "Gallery", "reviewed")
    n_reviewed = reviewed(page)
    hold(page, "a")
    page.wait_for_timeout(1000)
    assert reviewed(page) == n_reviewed + 1
    for _ in range(3):  # the label, the split and the verdict
        page.wait_for_timeout(1000)
        page.keyboard.press("u")
    page.locator("button[name=undo]:disabled").wait_for()


def reviewed(page):
    """How many findings of the gallery are reviewed, as it says."""
    return int(re.search(r"; ([\d,]+) of", page.locator(".place").inner_text())[1])


def box_all(page, box):
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.1 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.8 * box["height"], steps=8)
    page.mouse.up()


def test_second_model_analyses_beside_the_first(page):
    go(page, "Compare", "Where they differ")
    page.get_by_role("button", name="Analyse with").click()
    page.get_by_text("general vs adapted").wait_for(timeout=1000 * READY_S)
    page.wait_for_timeout(1000)
    page.get_by_text("adapted vs reference").click()
    page.get_by_text("1 of ").wait_for(timeout=20_000)
    page.wait_for_timeout(1000)
    page.get_by_role("button", name="Next").click()
    page.get_by_text("2 of ").wait_for(timeout=20_000)
    assert page.get_by_text("model general").is_visible()


def test_a_real_record_is_uploaded_analysed_and_reviewed(page, databases):
    go(page, "Studies", "Add recordings")
    folder = databases / "mitdb" / "1.0.0"
    files = [str(folder / f"208.{ending}") for ending in ("hea", "dat", "atr")]
    page.locator('input[type="file"]').set_input_files(files)
    page.get_by_text("Analysis of 208").first.wait_for(timeout=20_000)
    page.get_by_role("button", name="Analyse", exact=True).click()
    page.get_by_text("Analysed: lead").wait_for(timeout=1000 * READY_S)
    page.wait_for_timeout(1000)
    go(page, "Overview", "Overview of 208")
    go(page, "Review", "Full disclosure")
    before = page.url
    page.keyboard.press("n")
    page.wait_for_function("before => location.href !== before", arg=before, timeout=10_000)
    assert "record=208" in page.url
    open_files(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="208_burden.csv").click()
    table = pd.read_csv(io.BytesIO(Path(download.value.path()).read_bytes())).set_index("measure")
    assert 25 < float(table.loc["pvc_burden", "value"]) < 40
    assert set(table["record"]) == {208}


def test_two_readers_do_not_see_each_others_records(page, browser, address):  # noqa: F811
    other = browser.new_context().new_page()
    other.goto(f"{address}/studies")
    other.get_by_text("Add recordings").first.wait_for(timeout=1000 * READY_S)
    assert other.get_by_text("208").count() == 0
    other.context.close()


def test_a_link_with_a_hostile_name_shows_it_letter_by_letter(browser, address):  # noqa: F811
    parts = (
        "www.evil.com",
        "http://evil.com/x",
        "a@evil.com",
        ":smile:",
        ":material/home:",
        ":red[x]",
        "$x$",
        "<b>x</b>",
    )
    tab = browser.new_context().new_page()
    tab.goto(f"{address}/overview?{urlencode({'record': ' '.join(parts)})}")
    sentence = tab.get_by_text("This link leads to the record")
    sentence.wait_for(timeout=1000 * READY_S)
    assert " ".join(parts) in sentence.inner_text().replace("\u2060", "")
    assert sentence.locator("a, b, img, .katex, [role=img]").count() == 0
    tab.context.close()


def test_every_answer_forbids_frames_and_content_from_elsewhere_and_no_other_name_is_answered(address):  # noqa: F811
    with urllib.request.urlopen(f"{address}/review") as answer:  # noqa: S310
        headers = answer.headers
    policy = headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "script-src 'self' blob: 'sha256-" in policy
    assert "unsafe-eval" not in policy
    assert (headers["X-Frame-Options"], headers["X-Content-Type-Options"]) == ("DENY", "nosniff")
    assert headers["Referrer-Policy"] == "no-referrer"
    elsewhere = urllib.request.Request(address, headers={"Host": "evil.example"})  # noqa: S310
    programs = urllib.request.Request(f"{address}/_stcore/agent/interact", data=b"{}")  # noqa: S310
    for request, status in ((elsewhere, 400), (programs, 403)):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)  # noqa: S310
        refused.value.close()
        assert refused.value.code == status


def test_calipers_and_commands_of_one_study_are_not_carried_into_the_next(browser):  # noqa: F811
    tab = browser.new_page()
    tab.set_content(f"<div id=root>{HTML}</div>")
    code = (ROOT / "pages" / "_ui" / "strip_gestures.js").read_text(encoding="utf-8")
    tab.add_script_tag(content=code.replace("export default function", "window.draw = function"))
    left, sent = tab.evaluate("""() => {
        let sent = [];
        const parentElement = document.getElementById("root");
        const show = (study) => window.draw({ parentElement, setTriggerValue: (name, value) => { sent = value; },
            data: { study, keys: {}, handled: 0, chosen: null, measured: [], scroll: 0 } });
        show("one");
        const strips = parentElement.strips;
        strips.send("label", "V"); // Python has not carried it out
        strips.setMode("calipers");
        strips.points = [{ time: 1, mv: 0 }, { time: 2, mv: 0 }];
        show("one");
        const left = [strips.points.length];
        show("two");
        left.push(strips.points.length);
        strips.send("beat", 1);
        return [left, sent.map((command) => command[1])];
    }""")
    assert left == [2, 0]
    assert sent == ["beat"]
    tab.close()
