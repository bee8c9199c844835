"""``ecg COMMAND``: reads the arguments, runs the command, and turns errors into sentences and exit codes.

Nothing heavy loads here: each command imports what it needs when it runs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .. import NOTICE, __version__
from ..errors import EcgError
from ..text import one_line
from . import analyze, audit, convert, evaluate, fetch, inspect, join, monitor, replay, studies
from .options import BAD_INPUT, STOPPED
from .progress import clear_line
from .remedies import with_remedies


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 some records failed, 2 bad input, 130 stopped with Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except EcgError as error:
        return _print_error(with_remedies(str(error), error.settings, options))
    except OSError as error:  # a file that may not be read, a disk that is full
        return _print_error(f"{error.filename or 'a file'}: {error.strerror}; check the file and its folder.")
    except KeyboardInterrupt:
        clear_line()
        print("Stopped: no unfinished file is left, and finished ones are kept.", file=sys.stderr)
        return STOPPED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=_program(), description=NOTICE)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (analyze, convert, join, inspect, evaluate, monitor, replay, fetch, studies, audit):
        command.add_parser(commands)
    return parser


def _program() -> str:
    """How the program was started."""
    return "ecg" if Path(sys.argv[0]).stem == "ecg" else "python -m ecg_core"


def _print_error(sentence: str) -> int:
    clear_line()
    print(one_line(f"Error: {sentence}"), file=sys.stderr)
    return BAD_INPUT
