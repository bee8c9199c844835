"""A PostgreSQL server of its own for tests, from the system's package, in a temporary folder and without a network."""

import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))  # where Debian's package puts them
USER = "postgres"  # of the server; also of the system where the tests run as root, whom the server refuses


def program(name):
    """Path of a program of PostgreSQL; None where it is not installed."""
    return next((str(path / name) for path in reversed(BINARIES) if (path / name).is_file()), shutil.which(name))


@contextmanager
def serving():
    """A running server; yields the address of a database by its name."""
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # a socket's path is at most 107 characters long
    as_user = []
    if os.geteuid() == 0:
        known = pwd.getpwnam(USER)
        os.chown(folder, known.pw_uid, known.pw_gid)
        as_user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]

    def run(name, *arguments):
        subprocess.run(  # noqa: S603
            [*as_user, program(name), *arguments], check=True, cwd=folder, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip

    try:
        run("initdb", "--pgdata=data", f"--username={USER}", "--auth=trust", "--no-sync", "--encoding=UTF8")
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
        run("pg_ctl", "--pgdata=data", "--wait", f"--options={options}", "--log=log", "start")
        try:
            yield lambda name: f"postgresql+psycopg://{USER}@/{name}?host={folder}"
        finally:
            run("pg_ctl", "--pgdata=data", "--mode=immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
