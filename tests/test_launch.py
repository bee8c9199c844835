"""launch.py and the .bat files, run for real in a copy of the project whose folder has spaces in its name; offline.

The copy has empty requirements and small stand-ins for ``ecg_core`` and ``streamlit``. The .bat files run only where
Wine is installed: elsewhere that test is not defined, and only their text is checked.
"""

import ast
import http.server
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import launch

ROOT = Path(__file__).parents[1]
BAT_FILES = {"Run_Clinical_Demo.bat": "demo", "Setup_Test_Data.bat": "data"}
ECG_CORE = "import sys\nprint('ecg_core', sys.argv[1:])\nsys.exit(7)\n"
STREAMLIT = """
import http.server, os, sys
port = next(int(word.partition("=")[2]) for word in sys.argv if word.startswith("--server.port="))
print(sys.argv[1:3], "ECG_DEMO", os.environ.get("ECG_DEMO"), flush=True)
print({name: os.environ.get(name) for name in ("ECG_EPHEMERAL", "ECG_READER")}, flush=True)
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/_stcore/health" else 404)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", port), Health).serve_forever()
"""


@pytest.fixture(scope="module")
def closed_port():
    """A port that is taken but never answers: what asks there is refused at once."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture(scope="module")
def start(tmp_path_factory, closed_port):
    """Return a function that runs launch.py in the copy, with a package index that refuses to answer."""
    home = tmp_path_factory.mktemp("the project's folder") / "with spaces"
    stand_ins = {
        "requirements.txt": "",
        "requirements-dev.txt": "-r requirements.txt\n",
        "requirements.lock": "",
        "requirements-dev.lock": "",
        "ecg_core/__main__.py": ECG_CORE,
        "streamlit/__main__.py": STREAMLIT,
    }
    for name, text in stand_ins.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    shutil.copy(ROOT / "launch.py", home)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTEST_", "ECG_"))
    }
    environment |= {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": f"http://127.0.0.1:{closed_port}/simple",
        "PIP_RETRIES": "0",
        "ECG_DEMO": "set outside",
        "ECG_READER": "set outside",
    }

    def start(*arguments, wait=True, **variables):
        command = [sys.executable, home / "launch.py", *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "cwd": "/"}
        pipes["env"] = environment | variables
        if not wait:
            return subprocess.Popen(command, **pipes)  # noqa: S603
        done = subprocess.run(command, check=False, timeout=60, **pipes)  # noqa: S603
        assert "Traceback" not in done.stdout
        return done

    start.home = home
    (home / ".venv").mkdir()
    (home / ".venv" / "half-made").touch()  # what a killed run left: an environment without a stamp
    start.first = start("data")
    return start


def test_python_3_6_can_parse_launch_so_that_it_gets_a_sentence():
    ast.parse((ROOT / "launch.py").read_text(encoding="utf-8"), feature_version=(3, 6))


def test_types_that_python_3_6_lacks_are_never_evaluated():
    nodes = [*ast.walk(ast.parse((ROOT / "launch.py").read_text(encoding="utf-8")))]
    arguments = [node.annotation for node in nodes if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation]
    returned = [node.returns for node in nodes if isinstance(node, ast.FunctionDef) and node.returns]
    assert len(arguments) > 20
    assert all(isinstance(annotation, ast.Constant | ast.Name | ast.Attribute) for annotation in arguments + returned)
    assert "__future__" not in {node.module for node in nodes if isinstance(node, ast.ImportFrom)}


def test_a_python_too_old_is_named_and_nothing_is_made(monkeypatch, capsys):
    monkeypatch.setattr(launch, "PYTHON", (3, 10, 14))
    monkeypatch.setattr(launch, "prepare", lambda _: pytest.fail("went on"))
    assert launch.main(["test"]) == 2
    assert "This is Python 3.10.14, but 3.11 to 3.14 is needed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("version", "remark"),
    [((3, 11, 0), ""), ((3, 14, 9), ""), ((3, 15, 0), "Python 3.15.0 is newer than the tested ones")],
)
def test_a_python_is_remarked_on_only_when_newer_than_the_tested_ones(version, remark):
    note = launch.python_note(version)
    assert note.startswith(remark)
    assert bool(note) == bool(remark)


@pytest.mark.parametrize(
    ("stamp", "step"),
    [
        ("", "make"),
        ("3.12 abc", "make"),
        ("3.11", "install"),
        ("3.11 old", "install"),
        ("3.11 abc", ""),
        ("3.11 d", ""),
    ],
)
def test_an_environment_is_made_or_installed_only_where_its_stamp_says_so(stamp, step):
    assert launch.missing_step(stamp, "3.11", ["abc", "d"]) == step


@pytest.mark.parametrize(("n_cores", "n_processes"), [(None, 2), (1, 2), (2, 3), (3, 4), (64, 4)])
def test_the_tests_run_in_a_process_for_each_core_and_one_more(n_cores, n_processes):
    assert launch.n_processes(n_cores) == n_processes


def test_the_number_of_processes_comes_before_what_a_person_asks_for(monkeypatch):
    calls = []
    monkeypatch.setattr(launch, "prepare", lambda _: None)
    monkeypatch.setattr(launch, "run", lambda module, arguments: calls.append((module, arguments)) or 0)
    assert launch.dispatch(["test", "-n", "0", "-x"]) == 0
    assert calls == [("pytest", [f"--numprocesses={launch.n_processes(os.cpu_count())}", "-n", "0", "-x"])]


def test_the_digest_changes_with_each_file_and_with_where_one_ends():
    digests = {launch.digest(texts) for texts in (["ab", "c"], ["a", "bc"], ["abc"], ["ab", "d"])}
    assert len(digests) == 4


def test_linux_asks_its_own_index_for_the_cpu_build_first_and_takes_cuda_last():
    requests = launch.torch_requests("# torch\ntorch==2.13.0  # pinned\nnumpy\n", "linux")
    assert requests == [
        ["torch==2.13.0+cpu"],
        ["torch==2.13.0+cpu", "--extra-index-url", launch.CPU_INDEX],
        ["torch==2.13.0"],
    ]
    assert launch.torch_requests("torch==2.13.0\n", "darwin") == [["torch==2.13.0"]]
    assert launch.torch_requests("numpy\n", "linux") == []


def test_torch_is_pinned_in_the_requirements():
    assert launch.torch_requests((ROOT / "requirements.txt").read_text(encoding="utf-8"), "linux")


@pytest.mark.parametrize(
    ("answers", "requested", "problem"),
    [
        ([""], "a", ""),
        (["ERROR: No matching distribution found for a", ""], "a b", ""),
        (["ERROR: No matching distribution found for a", "ERROR: No space left"], "a b", "ERROR: No space left"),
    ],
)
def test_the_next_build_of_torch_is_tried_only_where_one_was_not_found(monkeypatch, answers, requested, problem):
    pending = [*answers]
    calls = []
    monkeypatch.setattr(launch, "pip", lambda arguments: calls.append(arguments[0]) or pending.pop(0))
    assert launch.install_torch([["a"], ["b"], ["c"]]) == problem
    assert " ".join(calls) == requested


def test_the_last_line_of_an_error_is_shown():
    assert launch.last_error("ERROR: first\nERROR: last\n\nnote: a hint\n") == "ERROR: last"
    assert launch.last_error("something\nelse\n") == "else"
    assert launch.last_error("") == "no message"


def test_the_first_free_port_is_taken_unless_one_is_wanted():
    assert launch.choose_port(None, lambda port: port > 8502) == 8503
    assert launch.choose_port(9000, lambda port: port == 9000) == 9000
    with pytest.raises(launch.LaunchError, match="Port 9000 is in use"):
        launch.choose_port(9000, lambda _: False)
    with pytest.raises(launch.LaunchError, match="Port 8501 is in use"):
        launch.choose_port(None, lambda _: False)


def test_a_folder_that_cannot_be_written_ends_in_one_sentence(monkeypatch, capsys, tmp_path):
    (tmp_path / "file").touch()
    for name in (*launch.RUN, *launch.TEST):
        (tmp_path / name).touch()
    monkeypatch.setattr(launch, "ROOT", tmp_path)
    monkeypatch.setattr(launch, "ENV", tmp_path / "file" / ".venv")
    monkeypatch.setattr(launch, "ENV_PYTHON", tmp_path / "file" / ".venv" / "python")
    assert launch.main(["test"]) == 2
    assert "one that you may write to" in capsys.readouterr().err


def test_for_a_python_without_its_venv_part_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(launch, "ENV", tmp_path / ".venv")
    monkeypatch.setattr(launch, "captured", lambda *_: (1, "... because ensurepip is not\navailable. ..."))
    with pytest.raises(launch.LaunchError, match="sudo apt install python3-venv"):
        launch.make_environment()


def test_a_command_that_does_not_exist_shows_the_usage(start):
    done = start("dmeo")
    assert (done.returncode, start().returncode) == (2, 2)
    assert '"dmeo" is not a command' in done.stdout
    assert "usage: python3 launch.py COMMAND" in done.stdout
    assert "usage: python3 launch.py COMMAND" in start().stdout


def test_a_module_gets_the_arguments_and_its_exit_code_comes_back(start):
    done = start("data", "--to", "a folder", "mitdb")
    assert done.stdout.splitlines() == ["ecg_core ['fetch', '--to', 'a folder', 'mitdb']"]
    assert done.returncode == 7


def test_what_is_installed_is_not_installed_again(start):
    assert "Fetching" in start.first.stdout
    assert start("data").stdout == "ecg_core ['fetch']\n"


@pytest.fixture
def wanting(start):
    """The copy, while it requires a package that nobody has."""
    requirements, lock = start.home / "requirements.txt", start.home / "requirements.lock"
    requirements.write_text("a-package-of-nobody\n")
    lock.write_text(f"a-package-of-nobody==1 --hash=sha256:{'0' * 64}\n")
    yield start
    requirements.write_text("")
    lock.write_text("")


@pytest.fixture
def index(request, monkeypatch):
    """The address of an index that answers every question with one status."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(request.param)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()


def test_an_index_out_of_reach_is_said_as_such_and_no_hash_is_dropped(wanting, closed_port):
    failed = wanting("data")
    assert failed.returncode == 2
    assert f"No answer from http://127.0.0.1:{closed_port}/simple/a-package-of-nobody/" in failed.stdout
    assert "Connection refused" in failed.stdout
    assert "No matching distribution" not in failed.stdout
    assert "not checked by hash" not in failed.stdout
    assert "running the same command again continues" in failed.stdout
    assert wanting("data").stdout == failed.stdout


@pytest.mark.parametrize("index", [404], indirect=True)
def test_packages_that_an_index_does_not_have_are_named_and_the_next_run_continues(start, wanting, index):
    failed = wanting("data", PIP_INDEX_URL=index)
    assert failed.returncode == 2
    assert (
        "No matching distribution found for a-package-of-nobody==1): installing what requirements.txt" in failed.stdout
    )
    assert "No matching distribution found for a-package-of-nobody)" in failed.stdout.splitlines()[-1]
    for name in ("requirements.txt", "requirements.lock"):
        (start.home / name).write_text("")
    again = start("data")
    assert "Creating the environment" not in again.stdout
    assert "The environment is ready." in again.stdout


@pytest.mark.parametrize("index", [401, 503], indirect=True)
def test_an_index_that_asks_for_a_password_or_is_down_drops_no_hash(wanting, index, request):
    failed = wanting("data", PIP_INDEX_URL=index)
    assert f"No answer from {index}/a-package-of-nobody/" in failed.stdout
    assert str(request.node.callspec.params["index"]) in failed.stdout
    assert "not checked by hash" not in failed.stdout


@pytest.mark.parametrize(
    ("log", "problem"),
    [
        ("Getting page http://x/a\nFetched page http://x/a as text/html", ""),
        ("Getting page http://x/a\nCould not fetch URL http://x/a: 404 Client Error: Not Found - skipping", ""),
        (
            "Getting page http://x/a\nCould not fetch URL http://x/a (from -r b): connection error: E('<v>: timed out')"
            " - skipping",
            "No answer from http://x/a (timed out)",
        ),
        ("Getting page http://x/a\nother words", "No answer from http://x/a (no reason stated)"),
    ],
)
def test_only_an_index_that_answered_can_be_without_a_package(log, problem):
    assert launch.outage(log) == problem


def test_where_pytorchs_own_index_is_out_of_reach_the_other_build_is_taken_with_a_notice(monkeypatch, capsys):
    pending = [f"No answer from {launch.CPU_INDEX}/torch/ (timed out)", ""]
    monkeypatch.setattr(launch, "pip", lambda _: pending.pop(0))
    assert launch.install_torch([["a"], ["b"]]) == ""
    assert "(timed out): PyTorch's build without CUDA is not to be had now." in capsys.readouterr().out


def test_an_incomplete_environment_is_made_again(start):
    assert "Creating the environment" in start.first.stdout
    assert start.first.returncode == 7
    assert not (start.home / ".venv" / "half-made").exists()


def test_an_environment_whose_python_is_gone_counts_as_not_made(start, monkeypatch):
    monkeypatch.setattr(launch, "STAMP", start.home / ".venv" / "launch.stamp")
    monkeypatch.setattr(launch, "ENV_PYTHON", start.home / ".venv" / "bin" / "python")
    assert launch.read_stamp()
    monkeypatch.setattr(launch, "ENV_PYTHON", start.home / ".venv" / "bin" / "gone")
    assert launch.read_stamp() == ""


@pytest.mark.parametrize(("command", "flag"), [("demo", "1"), ("app", "None")])
def test_the_dashboard_is_announced_once_it_answers_and_stops_cleanly(start, command, flag):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with start(command, "--no-browser", "--port", port, wait=False) as running:
        lines = []
        while not lines or "The dashboard is at" not in lines[-1]:
            lines.append(running.stdout.readline())
            assert lines[-1], f"ended early: {lines}"
        running.send_signal(signal.SIGINT if command == "demo" else signal.SIGTERM)
        rest = running.stdout.read()
    assert f"['run', 'app.py'] ECG_DEMO {flag}\n" in lines
    assert f"http://localhost:{port} " in lines[-1]
    assert running.returncode == 0
    assert "launch.py" not in rest  # no traceback of its own
    assert launch.is_free(port)


@pytest.mark.parametrize("port", ["taken", "99999"])
def test_a_port_that_is_not_available_is_named(start, port):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1] if port == "taken" else port
        done = start("demo", "--port", port)
    assert done.returncode == 2
    assert done.stdout.startswith(f"Port {port} is in use or not allowed: close what uses it, or choose another")


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        ([], {}),
        (["--ephemeral"], {"ECG_EPHEMERAL": "1"}),
        (["--reader", "A. Reader"], {"ECG_READER": "A. Reader"}),
        (["--ephemeral", "--reader", "A. Reader"], {"ECG_EPHEMERAL": "1", "ECG_READER": "A. Reader"}),
    ],
)
def test_the_server_is_given_reader_and_ephemeral_as_variables(start, arguments, variables):
    """The stand-in prints what it is given; a variable that was set outside stays."""
    with start("app", "--no-browser", *arguments, wait=False) as process:
        lines = [process.stdout.readline() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
    expected = {"ECG_EPHEMERAL": None, "ECG_READER": "set outside", **variables}
    assert f"{expected}\n" in lines, lines


def test_a_dashboard_that_ends_before_it_answers_ends_in_one_sentence(start):
    server = start.home / "streamlit" / "__main__.py"
    server.write_text("import sys\nsys.exit(3)\n")
    try:
        done = start("demo", "--no-browser")
    finally:
        server.write_text(STREAMLIT)
    assert done.returncode == 2
    assert "stopped before it answered (exit code 3)" in done.stdout


def test_a_second_run_waits_while_a_first_one_makes_the_environment(start, monkeypatch):
    monkeypatch.setattr(launch, "ROOT", start.home)
    with launch.one_at_a_time():
        second = start("data", wait=False)
        assert "Waiting for another launch.py" in second.stdout.readline()
    with second:
        assert second.stdout.readline() == "ecg_core ['fetch']\n"


def test_another_program_on_the_port_of_the_lock_is_named_after_a_while(monkeypatch, capsys):
    holds = (
        "import socket, time; taken = socket.create_server(('127.0.0.1', 0));"
        "print(taken.getsockname()[1], flush=True); time.sleep(1)"
    )
    monkeypatch.setattr(launch, "PATIENCE_S", 0)
    with subprocess.Popen([sys.executable, "-c", holds], stdout=subprocess.PIPE, text=True) as other:  # noqa: S603
        port = int(other.stdout.readline())
        with socket.socket() as lock:
            launch.await_port(lock, port)
            assert lock.getsockname()[1] == port
    said = capsys.readouterr().out
    assert said.count(f"Port {port} is still held, by process {other.pid} (") == 1
    assert "import socket" in said
    assert "Another program has to be closed" in said


@pytest.mark.parametrize(("name", "command"), BAT_FILES.items())
def test_a_bat_file_has_windows_line_ends_and_passes_on_arguments_and_exit_code(name, command):
    text = (ROOT / name).read_bytes().decode("ascii")
    assert text.count("\n") == text.count("\r\n") > 0
    assert f"launch.py {command} %*\r\n" in text
    assert text.endswith("exit /b %code%\r\n")


if WINE := shutil.which("wine"):

    @pytest.fixture(scope="module")
    def wine(tmp_path_factory):
        """Return a function that runs a line of cmd.exe in a folder, with one more folder on PATH."""
        prefix = tmp_path_factory.mktemp("wine")
        environment = os.environ | {"WINEPREFIX": str(prefix), "WINEARCH": "win64", "WINEDEBUG": "-all"}

        def wine(line, folder, *, path):
            (folder / "line.bat").write_bytes(f"@{line}\r\n".encode())
            return subprocess.run(  # noqa: S603
                [WINE, "cmd", "/c", "line.bat"],
                check=False,
                cwd=folder,
                env=environment | {"WINEPATH": f"Z:{path}".replace("/", "\\")},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                text=True,
                timeout=120,
            )

        return wine

    @pytest.mark.parametrize(("name", "command"), BAT_FILES.items())
    def test_a_bat_file_finds_python_or_says_that_there_is_none(wine, tmp_path, name, command):
        project, elsewhere = tmp_path / "the project", tmp_path / "elsewhere"
        for folder in (project, elsewhere):
            folder.mkdir()
        shutil.copy(ROOT / name, project)
        line = f'"Z:{project / name}" --to "D:\\my data" 5'.replace("/", "\\")

        done = wine(line, elsewhere, path=elsewhere)
        assert done.returncode == 2
        assert "Python was not found" in done.stdout

        for python, option in {"py": "-3 ", "python": ""}.items():
            for code in (0, 7):
                fake = tmp_path / f"{python} {code}"
                fake.mkdir()
                probe = f'@if "%{2 if option else 1}"=="-c" exit /b 0'
                (fake / f"{python}.bat").write_bytes(f"{probe}\r\n@echo %* in %CD%\r\n@exit /b {code}\r\n".encode())
                done = wine(line, elsewhere, path=fake)
                assert done.returncode == code
                expected = f'{option}launch.py {command} --to "D:\\my data" 5 in Z:{project}'.replace("/", "\\")
                assert done.stdout.splitlines()[0] == expected
                assert ("Press any key" in done.stdout) == bool(code)
