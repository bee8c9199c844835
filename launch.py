"""Make the environment in .venv once, then run a command in it; standard library only.

Any Python from 3.6 on can parse and start this file, so that one which is too old prints a sentence and not a syntax
error. Hence the types in quotes: nothing evaluates them when the program runs.
"""

import argparse
import contextlib
import hashlib
import http.client
import io
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

USAGE = """usage: python3 launch.py COMMAND [options]

  demo [options]   open the dashboard with the bundled demo record, analysed
  app  [options]   open the dashboard without a record
  data [...]       fetch the PhysioNet databases; options go to python -m ecg_core fetch
  test [...]       run the tests; options go to pytest

Options of demo and app: --port N, --no-browser, --reader NAME (who works with the studies), --ephemeral (for a shared
computer: nothing is kept, every window has studies of its own that go with it).

The first run makes an environment in .venv; paths in options are relative to the project's folder."""

ROOT = Path(__file__).resolve().parent
ENV = ROOT / ".venv"
ENV_PYTHON = ENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = ENV / "launch.stamp"  # the Python it was made with, and the digest of what was installed; absent while pip runs
# The files an environment is made from; the last two are the ranges that a person wrote and the lock made from them.
RUN = ("requirements.txt", "requirements.lock")
TEST = ("requirements.txt", "requirements-dev.txt", "requirements-dev.lock")

PYTHON = tuple(sys.version_info[:3])
OLDEST, NEWEST = (3, 11), (3, 14)  # all requirements have wheels for these versions
FIRST_PORT, N_PORTS = 8501, 100  # Streamlit's own first port
# PyPI's torch for Linux carries several gigabytes of CUDA libraries; this index has the build without them.
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
NOT_FOUND = "No matching distribution"  # pip's words for a file that no index has for this system and Python
# pip ends with the same words where an index gave no answer; only its log tells the two apart.
OUTAGE = "No answer from"
ASKED, ANSWERED = re.compile(r"Getting page (\S+)"), re.compile(r"Fetched page (\S+) as ")
UNREACHED = re.compile(r"Could not fetch URL (\S+?)(?: \(.*?\))?: (.*) - skipping")
REFUSED = re.compile(r"(4\d\d) Client Error")  # an answer: the index is there, and this is not in it ...
NO_ANSWER = ("401", "407", "408", "429")  # ... except these: a password is asked for, or the request is to come again
MOST_PROCESSES = 4  # for the tests: each needs more than a gigabyte of memory
PATIENCE_S = 30  # a run that waits this long for the lock's port says who holds it


class LaunchError(Exception):
    """What went wrong and what to do about it, as a sentence for the user."""


def main(argv: "Sequence[str]") -> int:
    """Run the command line ``argv``; return the exit code, 2 where a sentence says what is wrong."""
    try:
        say(python_note(PYTHON))
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a folder's name that the console cannot show
        return dispatch(argv)
    except LaunchError as problem:
        print(problem, file=sys.stderr)
    except OSError as problem:
        print(f"{problem}: the project's folder must be complete, and one that you may write to.", file=sys.stderr)
    except KeyboardInterrupt:
        say("Stopped.")
        return 130
    return 2


def dispatch(argv: "Sequence[str]") -> int:
    """Run the command that ``argv`` starts with; return its exit code."""
    command, rest = (argv[0], [*argv[1:]]) if argv else ("", [])
    if command in ("-h", "--help", "help"):
        say(USAGE)
        return 0
    if command in ("demo", "app"):
        return serve(command, rest)
    if command == "data":
        prepare(RUN)
        return run("ecg_core", ["fetch", *rest])
    if command == "test":
        prepare(TEST)
        return run("pytest", [f"--numprocesses={n_processes(os.cpu_count())}", *rest])
    raise LaunchError(f'"{command}" is not a command.\n\n{USAGE}' if command else USAGE)


def n_processes(n_cores: "int | None") -> int:
    """Return how many processes share the tests: one a core and one more, as some of the tests mostly wait."""
    return min((n_cores or 1) + 1, MOST_PROCESSES)


def say(line: str) -> None:
    """Print a line at once, or nothing for an empty one."""
    if line:
        print(line, flush=True)


def python_note(version: "tuple[int, ...]") -> str:
    """Return a remark on a Python that is too new, empty for a tested one; raise LaunchError for one too old."""
    found, oldest, newest = (".".join(map(str, numbers)) for numbers in (version, OLDEST, NEWEST))
    if version[:2] < OLDEST:
        raise LaunchError(
            f"This is Python {found}, but {oldest} to {newest} is needed: install one from "
            f"https://www.python.org/downloads/ and start it by name, for example: python{newest} launch.py demo"
        )
    if version[:2] > NEWEST:
        return f"Python {found} is newer than the tested ones: if packages cannot be installed, use Python {newest}."
    return ""


def digest(texts: "Sequence[str]") -> str:
    """Return the SHA-256 of requirement files' texts, in hex."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def missing_step(stamp: str, version: str, accepted: "Collection[str]") -> str:
    """Return what the environment needs: "make", "install" or, where its digest is accepted, nothing."""
    made_with, _, installed = stamp.partition(" ")
    if made_with != version:
        return "make"
    return "" if installed in accepted else "install"


def torch_requests(requirements: str, platform: str) -> "list[list[str]]":
    """Return pip's arguments for the pinned torch, each to be tried where the one before it was not found."""
    pin = re.search(r"^torch==[\w.]+", requirements, re.MULTILINE)
    if not pin:
        return []
    if not platform.startswith("linux"):
        return [[pin[0]]]
    cpu = f"{pin[0]}+cpu"
    return [[cpu], [cpu, "--extra-index-url", CPU_INDEX], [pin[0]]]


def last_error(output: str) -> str:
    """Return the last line of ``output`` that reports an error, or else its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or lines or ["no message"])[-1]


def prepare(wanted: "tuple[str, ...]") -> None:
    """Install what the requirement files ``wanted`` name; do nothing where it is installed already."""
    texts = {name: (ROOT / name).read_text(encoding="utf-8") for name in (*RUN, *TEST)}
    accepted = [digest([texts[name] for name in names]) for names in (wanted, TEST)]
    version = ".".join(map(str, PYTHON[:2]))
    with one_at_a_time():
        step = missing_step(read_stamp(), version, accepted)
        if step == "make":
            say("Creating the environment in .venv (once, about 2 minutes) ...")
            make_environment()
        if step:
            STAMP.unlink(missing_ok=True)  # killed from here on, a run leaves no stamp, and the next one installs again
            ranges, lock = wanted[-2:]
            problem = install(ranges, lock, torch_requests(texts["requirements.txt"], sys.platform))
            STAMP.write_text(version if problem else f"{version} {accepted[0]}", encoding="utf-8")
            if problem:
                raise LaunchError(
                    f"The packages could not be installed ({problem}): check the network and the free disk space; "
                    "running the same command again continues."
                )
            say("The environment is ready.")


@contextlib.contextmanager
def one_at_a_time() -> "Iterator[None]":
    """Keep a second run from clearing what the first one makes.

    Holds a loopback port that stands for this folder: unlike a lock file, it is free again when a run is killed.
    """
    port = 20000 + int(digest([str(ROOT)]), 16) % 10000  # below the ports that systems give to outgoing connections
    with socket.socket() as lock:
        if not bound(lock, port):
            say(f"Waiting for another launch.py, which is making the environment (it holds port {port}) ...")
            await_port(lock, port)
        lock.listen(1)  # nobody is answered; but only a port that listens is in the system's tables, with its owner
        yield


def await_port(lock: socket.socket, port: int) -> None:
    """Bind the lock to its port once that is free; after a while, say who holds it."""
    asked_s = time.monotonic()
    named = False
    while not bound(lock, port):
        if not named and time.monotonic() - asked_s >= PATIENCE_S:
            named = True
            say(
                f"Port {port} is still held, by {holder_of(port)}. Where that is a launch.py of this folder, it is at "
                "work, and this run goes on after it. Another program has to be closed: this run goes on at once then."
            )
        time.sleep(0.5)


def holder_of(port: int) -> str:
    """Return which program listens on a port of this computer; where that cannot be seen, the command that shows it."""
    if os.name == "nt":
        return f"a program that this command names by its number (PID): netstat -ano | findstr :{port}"
    if not sys.platform.startswith("linux"):
        return f"a program that this command names: lsof -nP -iTCP:{port}"
    tables = [Path("/proc/net", name) for name in ("tcp", "tcp6")]
    inodes = socket_inodes("".join(table.read_text() for table in tables if table.is_file()), port)
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or belongs to somebody else
            if any(os.readlink(str(file)) in inodes for file in (process / "fd").iterdir()):  # noqa: PTH115  # no method before 3.9
                command = (process / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ").strip()
                return f"process {process.name} ({command})"
    return f"a program of another user (this command, as root, names it: ss -ltnp sport = :{port})"


def socket_inodes(table: str, port: int) -> "set[str]":
    """Return the names, such as socket:[4711], of the sockets with this local port in Linux's table of connections."""
    rows = [line.split() for line in table.splitlines()]
    return {f"socket:[{row[9]}]" for row in rows if len(row) > 9 and row[1].endswith(f":{port:04X}")}


def read_stamp() -> str:
    """Return the stamp of an environment whose Python runs, empty for an incomplete or broken one."""
    try:
        subprocess.run([ENV_PYTHON, "-c", "import pip"], check=True, stderr=subprocess.DEVNULL)
        return STAMP.read_text(encoding="utf-8")
    except (OSError, subprocess.CalledProcessError):
        return ""


def make_environment() -> None:
    """Create an empty environment in .venv, replacing what is there."""
    ENV.mkdir(exist_ok=True)
    code, output = captured(sys.executable, "-m", "venv", "--clear", str(ENV))
    if code and ("ensurepip" in output or "No module named venv" in output):
        raise LaunchError("This Python has no venv module. On Debian and Ubuntu: sudo apt install python3-venv")
    if code:
        raise LaunchError(f"The environment could not be created in {ENV}: {last_error(output)}")


def install(ranges: str, lock: str, torch: "list[list[str]]") -> str:
    """Install the packages of ``lock``, checked by hash, then torch, which no lock holds; return pip's error, if any.

    Only where an index answers that it does not have a locked file, as for a Python newer than the tested ones,
    anything that ``ranges`` allows is installed. An index that does not answer ends the installation.
    """
    say(f"Fetching what {lock} names ...")
    problem = pip(["--require-hashes", "-r", lock])
    incomplete = NOT_FOUND in problem
    if problem and not incomplete:
        return problem
    if incomplete:
        say(f"Not all of {lock} is available ({problem}): installing what {ranges} allows, not checked by hash.")
    problem = install_torch(torch)
    if problem or not incomplete:
        return problem
    say(f"Fetching what {ranges} names ...")
    return pip(["-r", ranges])


def install_torch(requests: "list[list[str]]") -> str:
    """Install the first build of torch that is found; return pip's error, empty on success or without requests.

    An index of PyTorch's that does not answer, as behind a mirror of PyPI alone, counts as one without the build.
    """
    problem = ""
    for request in requests:
        say(f"Fetching {' '.join(request)} ...")
        problem = pip([*request, "--retries=2"])  # an index that does not answer is given up after seconds
        if problem.startswith(f"{OUTAGE} {CPU_INDEX}"):
            say(f"{problem}: PyTorch's build without CUDA is not to be had now.")
        elif NOT_FOUND not in problem:
            break
    return problem


def pip(arguments: "Sequence[str]") -> str:
    """Run pip install quietly; return its error, empty on success."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "pip.log")
        code, output = captured(
            str(ENV_PYTHON), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check",
            f"--log={log}", *arguments,
        )  # fmt: skip
        if not code:
            return ""
        error = last_error(output)
        return (NOT_FOUND in error and log.is_file() and outage(log.read_text(errors="replace"))) or error


def outage(log: str) -> str:
    """Return which index gave no answer, and why, by pip's log; empty where all did."""
    reasons = dict(UNREACHED.findall(log))
    answered = set(ANSWERED.findall(log))
    for address in ASKED.findall(log):
        reason = reasons.get(address, "no reason stated")
        refused = REFUSED.search(reason)
        if address not in answered and (not refused or refused[1] in NO_ANSWER):
            return f"{OUTAGE} {address} ({reason if refused else innermost(reason)})"
    return ""


def innermost(reason: str) -> str:
    """Return the last part of a chain of causes, such as "[Errno 111] Connection refused"."""
    return reason.rpartition(": ")[2].split("')")[0]


def captured(*command: str) -> "tuple[int, str]":
    """Run a command in the project's folder; return its exit code and everything that it printed."""
    done = subprocess.run(
        command, check=False, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    return done.returncode, done.stdout


def run(module: str, arguments: "Sequence[str]") -> int:
    """Run a module of the environment in the project's folder; return its exit code."""
    return subprocess.call([ENV_PYTHON, "-m", module, *arguments], cwd=ROOT)


def bound(sock: socket.socket, port: int) -> bool:
    """Bind a socket to a port of this computer; return whether that was possible."""
    try:
        sock.bind(("127.0.0.1", port))
    except (OSError, OverflowError):
        return False
    return True


def is_free(port: int) -> bool:
    """Return whether a server can listen on the port; tries it the way that Streamlit does."""
    with socket.socket() as probe:
        if os.name != "nt":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return bound(probe, port)


def choose_port(wanted: "int | None", free: "Callable[[int], bool]") -> int:
    """Return the wanted port, or the first free one from 8501 where none is wanted; ``free`` says whether one is."""
    ports = [*range(FIRST_PORT, FIRST_PORT + N_PORTS)] if wanted is None else [wanted]
    for port in ports:
        if free(port):
            return port
    raise LaunchError(
        f"Port {ports[0]} is in use or not allowed: close what uses it, or choose another, for example --port 9000."
    )


def serve(command: str, arguments: "Sequence[str]") -> int:
    """Run the dashboard until it is stopped; return the exit code."""
    parser = argparse.ArgumentParser(prog=f"launch.py {command}")
    parser.add_argument("--port", type=int, help="where to serve; the first free port from 8501 if not given")
    parser.add_argument("--no-browser", action="store_true", help="print the address, open no browser")
    parser.add_argument("--reader", metavar="NAME", help="who works with the studies; the account's name if not given")
    parser.add_argument("--ephemeral", action="store_true", help="keep nothing: studies go with the browser's window")
    options = parser.parse_args(arguments)
    port = choose_port(options.port, is_free)
    if port != (options.port or FIRST_PORT):
        say(f"Port {FIRST_PORT} is in use: using {port}.")
    prepare(RUN)
    environment = server_environment(os.environ, demo=command == "demo", options=options)
    settings = [f"--server.port={port}", "--server.headless=true", "--logger.hideWelcomeMessage=true"]
    streamlit = [str(ENV_PYTHON), "-m", "streamlit", "run", "app.py", *settings]
    with subprocess.Popen(streamlit, cwd=ROOT, env=environment) as server:
        try:
            return attend(server, f"http://localhost:{port}", browser=not options.no_browser)
        except KeyboardInterrupt:
            return 0
        finally:
            server.terminate()


def server_environment(present: "Mapping[str, str]", *, demo: bool, options: argparse.Namespace) -> "dict[str, str]":
    """Return the variables of the server: those of this process, and what the options say."""
    environment = {name: value for name, value in present.items() if name != "ECG_DEMO"}
    if demo:
        environment["ECG_DEMO"] = "1"
    if options.ephemeral:
        environment["ECG_EPHEMERAL"] = "1"
    if options.reader:
        environment["ECG_READER"] = options.reader
    return environment


def attend(server: "subprocess.Popen[bytes]", address: str, *, browser: bool) -> int:
    """Open the browser once the server answers, and wait until the server ends; return its exit code."""
    say("Starting the dashboard ...")
    while not answers(address):
        if server.poll() is not None:
            raise LaunchError(f"The dashboard stopped before it answered (exit code {server.returncode}).")
        time.sleep(0.2)
    say(f"The dashboard is at {address} (Ctrl-C here stops it).")
    if browser:
        webbrowser.open(address)
    return server.wait()


def answers(address: str) -> bool:
    """Return whether the dashboard at the address is ready; connects directly, without any proxy."""
    connection = http.client.HTTPConnection(address.split("//")[1], timeout=1)
    try:
        connection.request("GET", "/_stcore/health")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    for stop in (signal.SIGTERM, signal.SIGINT):  # end as after Ctrl-C, even where a shell had interrupts ignored
        signal.signal(stop, signal.default_int_handler)
    sys.exit(main(sys.argv[1:]))
