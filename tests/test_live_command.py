"""The commands monitor and replay: what they print and record, and that every end is a clean one."""

import csv
import io
import os
import signal
import subprocess
import sys
import threading
import time
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.records import DEMO, in_memory, write_record
from support.stand_ins import Engine, ListSource

from ecg_core import NOTICE
from ecg_core.cli.main import main
from ecg_core.live import console
from ecg_core.live.console import ConsoleReporter, alarm_line, beat_lines
from ecg_core.live.drive import drive
from ecg_core.live.line_format import LineReader
from ecg_core.live.recent import NO_UPDATE
from ecg_core.live.recording import BOUND, Recording
from ecg_core.live.replay import Replay
from ecg_core.live.stream import Alarm, Notice, Stream, StreamChunk
from ecg_core.records import read_record
from ecg_core.schema import Beats

ROOT = Path(__file__).parents[1]
KINDS = {"v_run": "Ventricular run"}
FS_HZ = 250.0
STREAM = Stream("belt", FS_HZ, ("I",))
# The command without the network: an engine stands in for it.
SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, "tests")
from support.stand_ins import Engine
from ecg_core.live import console
from ecg_core.live.drive import drive
source = console.open_source(sys.argv[1], speed=float(sys.argv[3]))
with console._ended_by_signals(source), console._reader_may_leave():
    recording, reporter = console.Recording(Path(sys.argv[2]), source.stream), console.ConsoleReporter({})
    drive(source, Engine(source.stream.fs_hz), [recording, reporter])
    reporter.print_summary(source.stream, recording)
"""


def chunk(first, n=250, value=1.0):
    return StreamChunk(first, np.full((1, n), value, dtype=np.float32))


def monitored(*items, quiet=False, recording=None):
    out, engine, source = io.StringIO(), Engine(FS_HZ), ListSource(STREAM, *items)
    reporter = ConsoleReporter(KINDS, quiet=quiet, out=out)
    drive(source, engine, [recording, reporter] if recording else [reporter])
    reporter.print_summary(source.stream, recording)
    assert source.closed
    assert engine.closed
    return out.getvalue().splitlines(), engine


# What is printed


def test_a_beat_is_a_line_with_time_class_probability_rr_and_rate():
    probability = np.array([[0.0, 0, 0.875, 0.125, 0], [1, 0, 0, 0, 0]], dtype=np.float32)
    beats = Beats(
        np.array([3661.5, 3662.25]),
        np.array(["V", "N"]),
        probability,
        np.array([np.nan, 0.75]),
        np.array([True, False]),
    )
    assert list(beat_lines(beats, None)) == [
        "01:01:01.50  V  0.88  RR     - s     -/min",
        "01:01:02.25  N  1.00  RR 0.750 s     -/min  not analysable",
    ]
    assert next(beat_lines(beats, 71.6)).endswith("  72/min")


def test_an_alarm_stands_out_when_it_begins_and_when_it_is_over():
    assert (
        alarm_line(Alarm("v_run", 60.0, 61.5), KINDS) == "00:01:01.50  *** ALARM *** Ventricular run, since 00:01:00.0"
    )
    over = alarm_line(Alarm("v_run", 60.0, 65.0, 63.5), KINDS)
    assert over == "00:01:05.00  *** over  *** Ventricular run, 3.5 s"


def test_an_alarm_that_becomes_more_serious_says_what_it_was_and_counts_once():
    kinds = {"pause": "Pause", "asystole": "Asystole"}
    worse = Alarm("asystole", 60.0, 65.0, before="pause")
    assert alarm_line(worse, kinds) == "00:01:05.00  *** ALARM *** Asystole, since 00:01:00.0, before: Pause"
    out = io.StringIO()
    reporter = ConsoleReporter(kinds, out=out)
    reporter.write_update(replace(NO_UPDATE, alarms=(Alarm("pause", 60.0, 64.8), worse)))
    reporter.print_summary(STREAM, None)
    assert out.getvalue().splitlines()[-1].endswith("alarms 1")


def test_beats_alarms_and_notices_are_printed_and_summed_up(capsys):
    lines, engine = monitored(chunk(0, 500), Notice(2.0, "belt is silent"), chunk(500, 125))
    assert [line.split()[0] for line in lines[:-1]] == ["00:00:00.00", "00:00:01.00", "00:00:01.00", "00:00:02.00"]
    assert (
        lines[-1] == "belt: 00:00:02 monitored, 00:00:02 of it analysable, 3 beats: N 0, S 0, V 3, F 0, Q 0; alarms 1"
    )
    assert capsys.readouterr().err == "00:00:02.0  ! belt is silent\n"
    assert len(engine.chunks) == 2


def test_quiet_prints_alarms_alone():
    lines, _ = monitored(chunk(0, 2500), quiet=True)
    assert len(lines) == 4
    assert all("***" in line for line in lines[:-1])


@pytest.mark.parametrize("value", [np.nan, 0.0, 1e6])
def test_missing_constant_and_saturated_chunks_reach_the_engine_as_they_are(value):
    _, engine = monitored(chunk(0, value=value))
    assert np.array_equal(engine.chunks[0].signal_mv, chunk(0, value=value).signal_mv, equal_nan=True)


def test_chunks_that_come_late_or_twice_reach_the_engine_and_are_recorded_once(tmp_path):
    items = [chunk(0, 1000, 1.0), chunk(1000, 1000, 2.0), chunk(500, 750, 9.0), chunk(3000, 250, 4.0)]
    recording = Recording(tmp_path, STREAM)
    _, engine = monitored(*items, recording=recording)
    assert [c.first for c in engine.chunks] == [0, 1000, 500, 3000]
    record = read_record(tmp_path / "belt")
    got = record.source.read(0, record.n_samples, (0,))[0]
    wanted = np.repeat([1, 2, np.nan, 4], [1000, 1000, 1000, 250])
    assert np.array_equal(got, wanted.astype(np.float32), equal_nan=True)


def test_whatever_ends_the_stream_what_was_received_is_decided_and_recorded(tmp_path):
    recording, engine = Recording(tmp_path, STREAM), Engine(FS_HZ)
    source = ListSource(STREAM, chunk(0, 1400), RuntimeError("a cable was pulled"))
    with pytest.raises(RuntimeError, match="a cable was pulled"):
        drive(source, engine, [recording, ConsoleReporter(KINDS, out=io.StringIO())])
    assert "1400" in (tmp_path / "belt.hea").read_text()
    assert len((tmp_path / "belt_beats.csv").read_text().splitlines()) == 1 + 6


# A program that is ended


@pytest.fixture
def record(tmp_path):
    signal = np.random.default_rng(0).normal(0, 1, (2, 60_000)).astype(np.float32)
    return write_record(tmp_path, "r", signal, 250, lead_names=("I", "II"))


def started(record, out, *, speed=20):
    """A monitor in another process, some seconds of signal after its start, and the lines that it printed."""
    arguments = [sys.executable, "-c", SCRIPT, str(record), str(out), str(speed)]
    process = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603
    lines = [process.stdout.readline() for _ in range(16)]
    return process, lines


def check_recording(out, record, n_printed):
    """The recording is the beginning of the record, at least up to the last beat that was printed."""
    recorded, original = read_record(out / "r"), read_record(record)
    assert recorded.n_samples / FS_HZ >= n_printed - 1
    got = recorded.source.read(0, recorded.n_samples, (0, 1))
    assert np.abs(got - original.source.read(0, recorded.n_samples, (0, 1))).max() < 0.00051
    with (out / "r_beats.csv").open(newline="") as file:
        beats = list(csv.DictReader(file))
    assert n_printed - 1 <= len(beats)
    assert [float(beat["time_s"]) for beat in beats] == list(range(len(beats)))
    assert all(None not in beat.values() for beat in beats)


def test_a_monitor_that_is_killed_leaves_a_record_up_to_the_last_second(tmp_path, record):
    process, lines = started(record, tmp_path / "out")
    process.kill()
    process.communicate(timeout=30)
    n_printed = sum("***" not in line for line in lines)
    assert n_printed >= 10
    check_recording(tmp_path / "out", record, n_printed)


@pytest.mark.skipif(os.name != "posix", reason="no other process can press Ctrl-C there")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_finishes_the_files_and_sums_up(tmp_path, record, how):
    process, lines = started(record, tmp_path / "out")
    process.send_signal(how)
    rest, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert rest.splitlines()[-1].startswith("r: 00:00:")
    assert f"recorded as {tmp_path / 'out' / 'r'}" in rest
    check_recording(tmp_path / "out", record, sum("***" not in line for line in lines))
    assert read_record(tmp_path / "out" / "r").doubts == ()


@pytest.mark.skipif(os.name != "posix", reason="pipes end otherwise there")
def test_a_reader_that_closes_the_pipe_is_no_error(tmp_path, record):
    process, _ = started(record, tmp_path / "out", speed=np.inf)
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=30) == 0
    assert read_record(tmp_path / "out" / "r").n_samples


class Cut(io.StringIO):
    """An output whose reader leaves, or whose disk is full, after some lines."""

    def __init__(self, error):
        super().__init__()
        self.error, self.n = error, 0

    def flush(self):
        self.n += 1
        if self.n > 2:
            raise self.error


@pytest.mark.parametrize("error", [BrokenPipeError(32, "Broken pipe"), OSError(28, "No space left on device")])
def test_a_recording_goes_on_where_its_output_cannot_be_written(tmp_path, capsys, error):
    recording = Recording(tmp_path, STREAM)
    source = ListSource(STREAM, *(chunk(250 * n) for n in range(20)))
    reporter = ConsoleReporter(KINDS, out=Cut(error), goes_on=True)
    drive(source, Engine(FS_HZ), [recording, reporter])
    reporter.print_summary(STREAM, recording)
    assert read_record(tmp_path / "belt").n_samples == 5000
    said = f"Beats and alarms cannot be printed any more ({error.strerror}); the recording goes on.\n"
    assert capsys.readouterr().err == said


# The command line


@pytest.fixture
def options(monkeypatch, model):
    """The options that the command hands to the engine, for which another stands in."""
    options = {}

    def start(stream, model, rules, **others):
        options.update(stream=stream, model=model, rules=rules, **others)
        return Engine(stream.fs_hz)

    for name, content in (("engine", {"Monitor": start}), ("alarm_lines", {"KINDS": KINDS})):
        module = types.ModuleType(f"ecg_core.live.{name}")
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return options


def test_monitor_hands_its_options_on_and_records(tmp_path, capsys, record, options):
    arguments = [
        "--horizon",
        "4",
        "--lead",
        "II",
        "--rule",
        "pause_s=2",
        "--speed",
        "inf",
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(["monitor", str(record), *arguments]) == 0
    printed = capsys.readouterr()
    assert (options["horizon_s"], options["lead"], options["rules"].pause_s) == (4.0, "II", 2.0)
    assert options["stream"] == Stream("r", FS_HZ, ("I", "II"), is_replayed=True)
    assert NOTICE in printed.err
    assert f"at most {BOUND}; then the recording ends, and the monitoring goes on" in printed.err
    assert "r: 00:04:00 monitored, 00:04:00 of it analysable, 241 beats" in printed.out
    assert read_record(tmp_path / "out" / "r").n_samples == 60_000


def test_the_bound_of_a_recording_is_said_beforehand(capsys):
    with pytest.raises(SystemExit):
        main(["monitor", "--help"])
    assert f"at most {BOUND}, then only monitor" in " ".join(capsys.readouterr().out.split())


def test_monitor_records_nothing_without_a_folder(tmp_path, monkeypatch, record, options):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert main(["monitor", str(record), "--speed", "inf", "--quiet"]) == 0
    assert sorted(tmp_path.iterdir()) == before
    assert main(["monitor", str(record), "--speed", "inf", "--no-record", "--out", "out"]) == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["r_alarms.csv", "r_beats.csv"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nobody"], "does not exist"),
        (["tcp:"], "expected tcp:PORT with a number"),
        ([str(DEMO), "--speed", "-1"], "expected a number above 0"),
        (["lsl:belt", "--token", "abc"], "a token is expected of a sender to tcp:PORT alone"),
        ([str(DEMO), "--rule", "pauze_s=2"], '"pauze_s" is not a rule'),
        ([str(DEMO), "--out", str(DEMO) + ".hea"], "the recording cannot be written there"),
    ],
)
def test_a_wrong_monitor_is_one_sentence(capsys, options, arguments, reason):
    assert main(["monitor", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert reason in printed.err.splitlines()[-1]


def test_a_record_is_printed_as_lines_that_can_be_read_back(tmp_path, record, capsysbinary):
    assert main(["replay", str(record), "--to", "-", "--speed", "inf"]) == 0
    reader = LineReader()
    chunks = list(reader.feed(capsysbinary.readouterr().out, 0.0)) + list(reader.end(0.0))
    assert reader.stream == Stream("r", FS_HZ, ("I", "II"))
    original = read_record(record)
    got = np.concatenate([c.signal_mv for c in chunks], axis=1)
    assert np.allclose(got, original.source.read(0, original.n_samples, (0, 1)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["replay", str(DEMO), "--to", "elsewhere"], "expected lsl:NAME, tcp:PORT, or -"),
        (["replay", str(DEMO), "--to", "tcp:x"], "expected tcp:PORT with a number"),
        (["replay", str(DEMO), "--to", "-", "--speed", "0"], "expected a number above 0"),
        (["replay", "nobody", "--to", "-"], "does not exist"),
        (["replay", str(DEMO), "--to", "-", "--token", "abc"], "takes no token, tcp:PORT alone does"),
    ],
)
def test_a_wrong_replay_is_one_sentence(capsys, arguments, reason):
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert reason in printed.err.splitlines()[-1]


def test_the_first_signal_ends_the_source_and_the_handlers_come_back():
    source = Replay(in_memory(np.zeros((1, 100_000)), 250.0))
    before = signal.getsignal(signal.SIGINT)
    with console._ended_by_signals(source):
        threading.Timer(0.1, signal.raise_signal, [signal.SIGINT]).start()
        began_s = time.monotonic()
        assert len(list(source.chunks())) < 20
        assert time.monotonic() - began_s < 5
        assert signal.getsignal(signal.SIGINT) is before  # a second one ends the program
    assert signal.getsignal(signal.SIGINT) is before
