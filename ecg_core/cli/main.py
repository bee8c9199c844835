"""``ecg COMMAND``: reads the arguments, runs the command, and turns errors into sentences and exit codes.

Nothing heavy loads here: each command imports what it needs when it runs.
"""

from __future__ import annotations

import argparse
import gc
import io
import os
import sys
import traceback
from datetime import datetime
from pathlib import Path
from typing import Final, NoReturn

from .. import NOTICE, __version__
from ..errors import EcgError
from ..files import APP_NAME, reason_of, sweep_temporary
from ..text import format_quoted, one_line
from . import adapt, analyze, audit, convert, evaluate, fetch, inspect, join, models, monitor, replay, studies
from .options import BAD_INPUT, STOPPED
from .progress import clear_line
from .remedies import with_remedies

LOG_NAME: Final = "errors.log"


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 some records failed, 2 bad input, 130 stopped with Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):  # names in any script, on a terminal that knows few letters
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        options = _parse(arguments)
        sweep_temporary()  # what an earlier run unpacked, and was killed before it could remove it
        code = int(options.run(options))
        sys.stdout.flush()
        return code
    except EcgError as error:
        return _print_error(with_remedies(str(error), error.settings, options))
    except BrokenPipeError:  # what reads the output, such as head, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a file that may not be read, a disk that is full
        return _print_error(f"{error.filename or 'a file'}: {reason_of(error)}; check the file and its folder.")
    except KeyboardInterrupt:
        clear_line()
        print("Stopped: no unfinished file is left, and finished ones are kept.", file=sys.stderr)
        return STOPPED
    except Exception as error:  # a fault of this program
        return _print_error(
            f"the program failed by a fault of its own ({type(error).__name__}: {format_quoted(error)}); no unfinished "
            f"file is left. {_log_traceback()}"
        )


def run() -> NoReturn:
    """Run the command of this process and end it."""
    code = main()
    gc.freeze()  # the process ends: nobody looks through all that is left for what can be freed
    sys.exit(code)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options; what ``--help`` and the like print before they end the program is flushed here, not at its end.

    Raises
    ------
    BrokenPipeError
        What reads the output has read enough.

    """
    try:
        return _parser().parse_args(arguments)
    finally:
        sys.stdout.flush()


def _log_traceback() -> str:
    """Append the traceback of the error that is handled to a file, and say where it is."""
    import platformdirs

    folder = platformdirs.user_log_path(APP_NAME, appauthor=False)
    path = folder / LOG_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8", errors="replace") as log:
            log.write(f"{datetime.now().astimezone().isoformat(timespec='seconds')} {__version__}\n")
            log.write(f"{traceback.format_exc()}\n")
    except OSError as error:
        return f"Its traceback could not be written to {path} ({error.strerror or error})."
    return f"Its traceback is in {path}; report it with the command."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=_program(), description=NOTICE)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (adapt, analyze, convert, join, inspect, evaluate, monitor, replay, fetch, studies, audit, models):
        command.add_parser(commands)
    return parser


def _program() -> str:
    """How the program was started."""
    return "ecg" if Path(sys.argv[0]).stem == "ecg" else "python -m ecg_core"


def _print_error(sentence: str) -> int:
    clear_line()
    print(one_line(f"Error: {sentence}"), file=sys.stderr)
    return BAD_INPUT
