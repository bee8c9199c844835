"""A reader's day in the browser: from the worklist to the signature, with all mistakes mended, in few actions."""

import json

import pytest
from support.browser import NEEDS_BROWSER, READY_S, browser, go, served  # noqa: F401  # a fixture among them
from support.reader_day import N_RUN, N_WRONG_S, NOISE_LENGTH_S, NOISE_S, RUN_S, store_day

from ecg_core.edits import DeleteEdit, LabelEdit, StretchEdit
from ecg_core.studies.edits import edits_of
from ecg_core.studies.signing import signed_path
from ecg_core.studies.store import open_store
from ecg_core.studies.study import SIGNED, Editor, get_study

pytestmark = NEEDS_BROWSER
MOST_ACTIONS = 60


class Reader:
    """Counts what a reader does: each click, each key, each text that is typed."""

    def __init__(self, page):
        self.page, self.actions = page, 0

    def click(self, target):
        self.actions += 1
        target.click()

    def click_at(self, x, y):
        self.actions += 1
        self.page.mouse.click(x, y)

    def press(self, key):
        self.actions += 1
        self.page.keyboard.press(key)

    def fill(self, target, text):
        self.actions += 1
        target.fill(text)

    def go(self, name, sign):
        self.actions += 1
        go(self.page, name, sign)


@pytest.fixture
def day(tmp_path):
    """The folder of the studies, the record, and its analysis with the mistakes."""
    folder = tmp_path / "studies"
    store = open_store(folder, url="")
    record, analysis = store_day(store, tmp_path / "recordings", Editor("set-up", "set-up"))
    yield store, record, analysis
    store.close()


def test_false_tachycardias_a_missed_run_and_wrong_beats_are_mended_and_signed(day, browser):  # noqa: F811
    store, record, analysis = day
    assert analysis.burden.v.tachycardias.n == len(NOISE_S)
    assert analysis.burden.s.n_beats == N_WRONG_S
    with served(ECG_EPHEMERAL="0", ECG_STUDIES=str(store.folder)) as url:
        page = browser.new_context(viewport={"width": 1280, "height": 720}).new_page()
        page.goto(f"{url}/studies")
        reader = Reader(page)
        mend(reader, page)
        sign(reader, page)
    study = get_study(store, record.sha256)
    assert study.state == SIGNED
    report = json.loads(signed_path(store, study.record_sha256, "json").read_text())
    runs = [event for event in report["events"] if event["kind"] in ("vt", "vt_sustained", "v_run")]
    assert [(run["n_beats"], round(run["start_s"])) for run in runs] == [(N_RUN, round(RUN_S))]
    values = {measure["key"]: measure["value"] for measure in report["measures"]}
    assert (values["beats_V"], values["beats_S"]) == (N_RUN, 0)
    lost_s = analysis.burden.analysable_s - 60 * values["analysable_min"] if "analysable_min" in values else None
    assert lost_s is None or lost_s == pytest.approx(len(NOISE_S) * NOISE_LENGTH_S, abs=6)
    assert {type(edit) for edit in edits_of(store, record.sha256)} <= {LabelEdit, StretchEdit, DeleteEdit}
    assert reader.actions <= MOST_ACTIONS


def mend(reader, page):
    """Three tachycardias are artefact, all S are N, and the odd ones among the normal beats are V."""
    table = page.locator("[data-testid=stDataFrame] canvas").first
    table.wait_for(timeout=1000 * READY_S)
    page.wait_for_timeout(1000)
    box = table.bounding_box()
    reader.click_at(box["x"] + 16, box["y"] + 52)
    page.get_by_text("1 study selected").wait_for()
    reader.press("o")
    page.get_by_text("Analysable time").wait_for(timeout=1000 * READY_S)
    reader.go("Gallery", "0 of 3 reviewed")
    reader.press("p")
    reader.press("x")
    page.get_by_text("None of these is left").wait_for()
    reader.go("Beats", "Templates")
    label(reader, page, "S1", "1", "now N")
    label(reader, page, "N2", "3", "now V")


def label(reader, page, name, key, then):
    """Select the card of a template and press the key of a class."""
    card = page.locator("[role=option]").filter(has_text=name).first
    card.wait_for()
    reader.click(card)
    reader.press(key)
    page.locator("[role=option]").filter(has_text=name).filter(has_text=then).wait_for()


def sign(reader, page):
    """Type a name and sign the report."""
    reader.go("Report", "Sign-off")
    reader.fill(page.get_by_label("Reader", exact=True), "A. Reader")
    reader.press("Enter")
    page.wait_for_timeout(1500)  # the page is drawn again with the name
    page.screenshot(path="/tmp/try/shots/sign.png")
    reader.click(page.get_by_role("button", name="Sign and lock"))
    page.wait_for_timeout(6000); page.screenshot(path="/tmp/try/shots/sign2.png", full_page=True); print(page.locator("[data-testid=stAlert]").all_inner_texts())
    page.get_by_text("is signed, and the study is locked").wait_for(timeout=10000)
