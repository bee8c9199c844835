"""Several readers at once in real browsers: each sees only their own record, and nothing is left behind."""

import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from support.browser import NEEDS_BROWSER, READY_S, browser, open_files, served  # noqa: F401  # a fixture among them
from support.records import write_record

from ecg_core.pipeline import analyse
from ecg_core.records import read_record
from ecg_core.report.export import file_contents

pytestmark = NEEDS_BROWSER
FS_HZ = 257
CUT_S = 60
TEMP_VARIABLES = ["TMPDIR", "TEMP", "TMP"]  # name the folder of temporary files, by operating system
WAIT_MS = 1000 * READY_S


@pytest.fixture
def three_analyses(tmp_path, excerpt, model):
    """Analyses of three records with different heart rates."""
    found = []
    for number, pace in enumerate((0.8, 1.0, 1.3)):
        cut = excerpt[number * CUT_S * FS_HZ : (number + 1) * CUT_S * FS_HZ]
        found.append(analyse(read_record(write_record(tmp_path, f"reader{number}", cut, round(FS_HZ * pace))), model))
    return found


def upload_and_analyse(page, analysis):
    from playwright.sync_api import TimeoutError as TooLate

    page.locator('input[type="file"]').set_input_files([str(path) for path in analysis.record.files])
    page.get_by_text(f"Analysis of {analysis.record.record_id}").wait_for(timeout=WAIT_MS)
    begun = page.get_by_role("button", name="Cancel").or_(page.get_by_text("Analysed: lead")).first
    for _ in range(4):  # a click that falls into a rerun of the page is lost
        page.get_by_role("button", name="Analyse", exact=True).click()
        with suppress(TooLate):
            begun.wait_for(timeout=WAIT_MS / 4)
            break


def downloaded(page, name):
    with page.expect_download(timeout=WAIT_MS) as download:
        page.get_by_role("button", name=name).click()
    return Path(download.value.path()).read_bytes()


def test_readers_at_once_get_their_three_analyses_files_and_leave_nothing(browser, three_analyses, tmp_path):  # noqa: F811
    place = tmp_path / "temporary"
    place.mkdir()
    names = {analysis.record.record_id for analysis in three_analyses}
    environment = dict.fromkeys(TEMP_VARIABLES, str(place)) | {"STREAMLIT_SERVER_DISCONNECTED_SESSION_TTL": "3"}
    with served(**environment) as url:
        with ExitStack() as left:
            pages = []
            for _ in three_analyses:
                context = browser.new_context(accept_downloads=True)
                left.callback(context.close)
                pages.append(context.new_page())
                pages[-1].goto(f"{url}/studies")
            for page, analysis in zip(pages, three_analyses, strict=True):
                upload_and_analyse(page, analysis)
            for page, analysis in zip(pages, three_analyses, strict=True):
                message = page.get_by_text("Analysed: lead").first
                message.wait_for(timeout=WAIT_MS)
                assert message.inner_text() == f"Analysed: lead I, {analysis.burden.n_beats} beats."
                open_files(page)
                text = page.locator("body").inner_text()
                assert {name for name in names if name in text} == {analysis.record.record_id}
                for name, content in file_contents(analysis).items():
                    assert downloaded(page, name) == content, name
            assert len(list(place.glob("ecg-*"))) == len(three_analyses)
        for _ in range(10 * READY_S):
            if not list(place.glob("ecg-*")):
                break
            time.sleep(0.1)
        assert list(place.iterdir()) == []
