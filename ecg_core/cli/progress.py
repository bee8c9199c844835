"""One line of progress on the error stream, where that is a terminal; nothing anywhere else."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Sequence

from ..text import one_line, plural

TO_LINE_START = "\r\x1b[K"  # moves the cursor back and clears the line


def record_progress(name: str) -> Callable[[float, float], None]:
    """Progress of one record: show the percentage of its seconds, and the time left."""
    began_s = time.monotonic()

    def show(done_s: float, total_s: float) -> None:
        if done_s > 0:
            show_line(f"{name}: {100 * done_s / total_s:3.0f} %{_time_left(began_s, done_s / total_s)}")

    return show


def study_progress() -> Callable[[int, int, Sequence[str]], None]:
    """Progress of many records: show how many are done, the time left, and the names of those being analysed."""
    began_s = time.monotonic()

    def show(done: int, total: int, in_progress: Sequence[str]) -> None:
        names = f"; now {', '.join(in_progress)}" if in_progress else ""
        show_line(f"{done} of {plural(total, 'record')}{_time_left(began_s, done / total)}{names}")

    return show


def show_evaluation(name: str, done: int, total: int) -> None:
    """Show which record of a database is scored."""
    show_line(f"{name}: record {done + 1} of {total}")


def show_line(text: str) -> None:
    """Replace the line of progress."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 1
        print(f"{TO_LINE_START}{one_line(text)[:width]}", end="", flush=True, file=sys.stderr)


def clear_line() -> None:
    """Make room for what is printed next."""
    show_line("")


def _time_left(began_s: float, fraction_done: float) -> str:
    return f", {(time.monotonic() - began_s) * (1 / fraction_done - 1):.0f} s left" if fraction_done else ""
