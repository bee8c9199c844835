"""Work in a forked process, which can be killed, and the files that it leaves."""

import os
import warnings
from pathlib import Path


def started(work):
    """Process number of a child that does the work."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other tests' threads: the child is killed or ends soon
        child = os.fork()
    if child == 0:
        code = 99
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
