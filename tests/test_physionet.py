"""Fetching from a server on this machine that misbehaves on demand, and copies at 125 Hz."""

import gc
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import wfdb
from support.records import write_record

from ecg_core.cli.main import main
from ecg_core.errors import DownloadError
from ecg_core.evaluation.matching import match_beats
from ecg_core.pipeline import analyse
from ecg_core.records import physionet, read_record
from ecg_core.records.convert import write_at_125_hz
from ecg_core.records.physionet import BASE_URL, DATABASES, FOLDER, USUAL, fetch

RECORDS = ("a", "b", "c")

# requests leaves a connection that broke off to the garbage collector, which is called here, not in the next test
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class Server(ThreadingHTTPServer):
    """Serves the files of a dictionary by their path; ``trouble`` maps a path to what it does instead, in turn."""

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.trouble, self.requested = files, {}, []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def handle_error(self, request, client_address):
        """A client that left is no news."""


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.server.requested.append(self.path)
        self.answer(with_body=True)

    def answer(self, *, with_body):
        content = self.server.files.get(self.path)
        troubles = self.server.trouble.get(self.path, []) if with_body else []
        trouble = troubles.pop(0) if troubles else None
        if trouble == "slow":
            threading.Event().wait(1.0)  # not sleep, which is stubbed
        if content is None or isinstance(trouble, int):
            self.send_error(trouble or 404)
            return
        if trouble == "wrong":
            content = content[:-1] + bytes([content[-1] ^ 1])
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_body:
            self.wfile.write(content[: len(content) // 2] if trouble == "half" else content)


@pytest.fixture(scope="module")
def original(tmp_path_factory, excerpt_of_demo):
    """Three records at 128 Hz with annotations, on disk."""
    folder = tmp_path_factory.mktemp("original")
    for name in RECORDS:
        write_record(folder, name, excerpt_of_demo, 128, lead_names=("II", "V1"))
        wfdb.wrann(name, "atr", np.array([10, 300, 301]), symbol=["N", "V", "+"], aux_note=["", "", "(AFIB"],
                   fs=128, write_dir=str(folder))  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def excerpt_of_demo():
    rng = np.random.default_rng(0)
    beat = np.exp(-0.5 * ((np.arange(102) - 40) / 3) ** 2)
    lead = np.tile(beat, 40) + 0.01 * rng.normal(size=40 * 102)
    return np.stack([lead, -0.4 * lead])


@pytest.fixture
def server(original, monkeypatch):
    monkeypatch.setattr(physionet.pooch.core.time, "sleep", lambda seconds: None)
    place = "/nsrdb/1.0.0/"
    files = {place + path.name: path.read_bytes() for path in sorted(original.iterdir())}
    sums = [f"{hashlib.sha256(content).hexdigest()}  {Path(name).name}" for name, content in files.items()]
    files[place + "SHA256SUMS.txt"] = "\n".join(sums).encode()
    server = Server(files)
    yield server
    server.shutdown()
    server.server_close()
    gc.collect()


def names(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def get(server, folder, **options):
    lines = []
    copies = fetch(["nsrdb"], folder=folder, base_url=server.url, report=lines.append, **options)
    return copies, lines


def test_chosen_records_are_fetched_checked_and_copied_at_125_hz(server, tmp_path, original):
    copies, lines = get(server, tmp_path, records="a,c")
    assert copies == [tmp_path / "nsrdb-125hz" / "1.0.0" / name for name in "ac"]
    place = tmp_path / "nsrdb" / "1.0.0"
    assert names(place) == ["SHA256SUMS.txt", "a.atr", "a.dat", "a.hea", "c.atr", "c.dat", "c.hea"]
    assert (place / "a.dat").read_bytes() == (original / "a.dat").read_bytes()
    assert "6 files" in lines[0]
    assert all(read_record(copy).fs_hz == 125 for copy in copies)


@pytest.mark.parametrize(("records", "expected"), [("", 2), ("1", 1), ("all", 3), ("b", 1), ("99", 3)])
def test_records_are_chosen_by_number_by_name_or_all(server, tmp_path, records, expected):
    assert len(get(server, tmp_path, records=records)[0]) == expected


def test_what_is_complete_is_not_fetched_again(server, tmp_path):
    get(server, tmp_path, records="a")
    server.requested.clear()
    _, lines = get(server, tmp_path, records="a")
    assert server.requested == []
    assert "nothing to fetch" in lines[0]
    assert "0 records copied" in lines[1]


def test_a_damaged_file_is_fetched_again(server, tmp_path, original):
    get(server, tmp_path, records="a")
    (tmp_path / "nsrdb" / "1.0.0" / "a.dat").write_bytes(b"damaged")
    get(server, tmp_path, records="a")
    assert server.requested.count("/nsrdb/1.0.0/a.dat") == 2
    assert (tmp_path / "nsrdb" / "1.0.0" / "a.dat").read_bytes() == (original / "a.dat").read_bytes()


@pytest.mark.parametrize("trouble", [[503], [503, 503], ["wrong"], ["half"], ["half", 503, "wrong"]])
def test_passing_trouble_is_overcome(server, tmp_path, trouble, original):
    server.trouble["/nsrdb/1.0.0/a.dat"] = trouble
    get(server, tmp_path, records="a")
    assert (tmp_path / "nsrdb" / "1.0.0" / "a.dat").read_bytes() == (original / "a.dat").read_bytes()


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        ([503] * 9, "the server answered 503"),
        ([404] * 9, "the server answered 404"),
        (["wrong"] * 9, r"a\.dat.* does not have the published SHA-256, 4 times"),
        (["half"] * 9, "cannot be reached, or the connection was lost|does not have the published SHA-256"),
        (["slow"] * 9, "no answer within"),
    ],
)
def test_lasting_trouble_is_a_sentence_and_the_next_run_completes(server, tmp_path, monkeypatch, trouble, message):
    monkeypatch.setattr(physionet, "TIMEOUT_S", 0.2 if "slow" in trouble else 5.0)
    server.trouble["/nsrdb/1.0.0/a.dat"] = trouble
    with pytest.raises(DownloadError, match=message) as error:
        get(server, tmp_path, records="a", jobs=1)
    assert "start the same download again" in str(error.value)
    place = tmp_path / "nsrdb" / "1.0.0"
    assert "a.dat" not in names(place)
    assert not list(place.glob("tmp*"))
    server.trouble.clear()
    copies, _ = get(server, tmp_path, records="a")
    assert read_record(copies[0]).fs_hz == 125


def test_no_network_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(physionet.pooch.core.time, "sleep", lambda seconds: None)
    with pytest.raises(DownloadError, match="cannot be reached, or the connection was lost; check the network"):
        fetch(["nsrdb"], folder=tmp_path, base_url="http://127.0.0.1:9/")


def test_a_full_disk_is_a_sentence_and_leaves_no_half_file(server, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(physionet.pooch.core.shutil, "move", full)
    with pytest.raises(DownloadError, match="No space left on device"):
        get(server, tmp_path, records="a")
    assert names(tmp_path) == []
    monkeypatch.undo()
    assert get(server, tmp_path, records="a")[0]


def test_a_download_that_was_killed_leaves_nothing_for_good(server, tmp_path):
    place = tmp_path / "nsrdb" / "1.0.0"
    copies = tmp_path / "nsrdb-125hz" / "1.0.0"
    (copies / ".part-abc").mkdir(parents=True)
    place.mkdir(parents=True)
    (place / "tmpabcd1234").write_bytes(b"half")
    get(server, tmp_path, records="a")
    assert not (place / "tmpabcd1234").exists()
    assert not (copies / ".part-abc").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nodb"], '"nodb" is not a known database; choose among nsrdb, svdb'),
        (["nsrdb", "--records", "x"], "nsrdb has no record x; it has a, b, c"),
        (["nsrdb", "--records", "0"], "0 records: expected a number from 1"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_exists(server, tmp_path, capsys, arguments, message):
    assert main(["fetch", *arguments, "--to", str(tmp_path), "--base-url", server.url]) == 2
    assert message in capsys.readouterr().err


def test_the_command_says_where_the_records_are(server, tmp_path, capsys):
    assert main(["fetch", "nsrdb", "--records", "a", "--to", str(tmp_path), "--base-url", server.url.rstrip("/")]) == 0
    assert str(tmp_path) in capsys.readouterr().out


def test_the_help_of_the_command_states_the_databases_and_the_defaults(capsys):
    with pytest.raises(SystemExit):
        main(["fetch", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert f"of {', '.join([*USUAL, *(name for name in DATABASES if name not in USUAL)])} (the first three)" in shown
    assert len(USUAL) == 3
    assert f"folder of the databases ({FOLDER})" in shown
    assert BASE_URL.startswith("https://physionet.org/")


def test_every_database_has_a_version_and_some_records():
    for database in DATABASES.values():
        assert database.records
        assert database.version.count(".") == 2


# Copies at 125 Hz


@pytest.mark.parametrize("fs_hz", [128, 257, 360, 1000])
def test_annotations_keep_their_time_to_half_a_sample(tmp_path, fs_hz):
    n = 20 * 60 * fs_hz
    record = write_record(tmp_path, "x", np.zeros(n) + np.sin(np.arange(n) / 9), fs_hz, lead_names=("II",))
    sample = np.sort(np.random.default_rng(0).choice(n, 500, replace=False))
    wfdb.wrann("x", "atr", sample, symbol=["N"] * 500, fs=fs_hz, write_dir=str(tmp_path))
    (tmp_path / "out").mkdir()
    copy = wfdb.rdann(str(write_at_125_hz(read_record(record), tmp_path / "out", origin="test")), "atr")
    assert copy.fs == 125
    np.testing.assert_array_less(np.abs(copy.sample / 125 - sample / fs_hz), 0.5 / 125 + 1e-9)


@pytest.mark.parametrize(("hz", "kept"), [(10, True), (40, True), (70, False), (100, False)])
def test_tones_above_the_new_nyquist_frequency_are_60_db_down(tmp_path, hz, kept):
    tone = 20 * np.sin(2 * np.pi * hz * np.arange(360 * 60) / 360)  # mV: far above the steps of the file
    record = read_record(write_record(tmp_path, "x", tone, 360, lead_names=("II",)))
    (tmp_path / "out").mkdir()
    copy = read_record(write_at_125_hz(record, tmp_path / "out", origin="test"))
    inner = copy.source.read(500, copy.n_samples - 500, (0,))
    amplitude = float(np.sqrt(2) * inner.std()) / 20
    if kept:
        assert amplitude == pytest.approx(1, abs=0.01)
    else:
        assert amplitude < 1e-3


def test_a_copy_keeps_names_origin_start_gaps_and_what_is_uncalibrated(tmp_path):
    signal = np.stack([np.sin(np.arange(36_000) / 20), np.cos(np.arange(36_000) / 20)])
    signal[0, 10_000:12_000] = np.nan
    path = write_record(tmp_path, "x", signal, 360, lead_names=("MLII", "odd lead"))
    header = path.with_suffix(".hea")
    lines = header.read_text().splitlines()
    lines[2] = lines[2].replace("200/mV", "0")
    header.write_text("\n".join([f"{lines[0]} 12:30:00 01/02/1969", *lines[1:], "# a comment"]) + "\n")
    record = read_record(path)
    (tmp_path / "out").mkdir()
    copy = read_record(write_at_125_hz(record, tmp_path / "out", origin="somewhere"))
    assert copy.lead_names == ("MLII", "odd lead")
    assert copy.calibrated == (True, False)
    assert copy.start == record.start is not None
    assert copy.comments[0] == "a comment"
    np.testing.assert_allclose(
        copy.source.read(0, 3000, (1,))[0][100:], np.cos(np.arange(100, 3000) / 125 * 360 / 20), atol=0.02
    )
    assert "Origin: somewhere, record x" in copy.comments
    gap = np.flatnonzero(np.isnan(copy.source.read(0, copy.n_samples, (0,))[0])) / 125
    assert (gap[0], gap[-1]) == pytest.approx((10_000 / 360, 12_000 / 360), abs=0.02)
    known = copy.source.read(0, 3000, (0,))[0]
    np.testing.assert_allclose(known[100:], np.sin(np.arange(100, 3000) / 125 * 360 / 20), atol=0.005)


def test_beats_of_the_copy_are_those_of_the_original_within_20_ms(tmp_path, demo, model, demo_analysis):
    copy = read_record(write_at_125_hz(demo, tmp_path, origin="the demo"))
    found = analyse(copy, model, lead="II").beats
    usable = demo_analysis.beats.usable
    original_s = demo_analysis.beats.time_s[usable]
    i, j = match_beats(original_s, found.time_s, window_s=0.02)
    assert len(i) >= 0.999 * len(original_s)
    assert np.abs(original_s[i] - found.time_s[j]).max() <= 0.02


@pytest.mark.databases
def test_real_records_are_fetched_from_physionets_own_layout(databases, tmp_path):
    files = {}
    for path in (databases / "svdb" / "1.0.0").iterdir():
        files[f"/svdb/1.0.0/{path.name}"] = path.read_bytes()
    server = Server(files)
    try:
        (copy,) = fetch(["svdb"], records="1", folder=tmp_path, base_url=server.url, report=lambda line: None)
    finally:
        server.shutdown()
        server.server_close()
    original = read_record(tmp_path / "svdb" / "1.0.0" / copy.name)
    assert len(read_record(copy).reference.time_s) == len(original.reference.time_s)


def test_a_checksum_file_that_names_a_place_outside_gets_nothing_written_there(server, tmp_path):
    place = "/nsrdb/1.0.0/"
    outside = b"x"
    server.files[f"{place}../../a.dat"] = server.files["/a.dat"] = outside
    server.files[f"{place}SHA256SUMS.txt"] += f"\n{hashlib.sha256(outside).hexdigest()}  ../../a.dat".encode()
    get(server, tmp_path / "data", records="a")
    assert "a.dat" not in [path.name for path in (tmp_path / "data").iterdir()]
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"nsrdb", "nsrdb-125hz"}
