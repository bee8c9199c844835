"""Work in a forked process, which can be killed, and the files that it leaves."""

import gc
import os
import warnings
from pathlib import Path

# Code that a child begins with: signals end it, though whoever started the tests may have them ignored, as nohup does.
ENDED_BY_SIGNALS = """
import signal
for name in ("SIGHUP", "SIGQUIT", "SIGTERM"):
    signal.signal(getattr(signal, name), signal.SIG_DFL)
"""
END_S = 60.0  # in which a child ends that was asked to


def started(work):
    """Process number of a child that does the work."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other tests' threads: the child is killed or ends soon
        child = os.fork()
    if child == 0:
        code = 99
        gc.freeze()  # what the tests hold is theirs: looked through in a child, all of it would be copied
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            code = work() or 0
        finally:
            os._exit(code)
    return child


def everything(folder):
    """Paths of all files and folders below a folder, even while it changes."""
    return {
        Path(place, name).relative_to(folder).as_posix()
        for place, inner, names in os.walk(folder)
        for name in (*inner, *names)
    }
