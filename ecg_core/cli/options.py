"""Options that several commands share, the values made of them, and the exit codes."""

from __future__ import annotations

import argparse
import getpass
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ..classifier.engine import ENGINES
from ..classifier.spec import DEFAULT_MODEL
from ..errors import RulesError, StoreError
from ..rules import BALANCED, SENSITIVITIES, RhythmRules, rules_from
from ..text import one_line

if TYPE_CHECKING:
    from ..overrides import RecordOverrides

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # where a command adds its parser

FAILED, BAD_INPUT, STOPPED = 1, 2, 130  # exit codes; the last one is a shell's for Ctrl-C

UNKNOWN_READER = "unknown reader"  # where the system knows no name either

# what --lead auto does with a record
FEW_LEADS = "up to three leads together; with more than three, the single lead of best quality"


def add_record_argument(parser: argparse.ArgumentParser) -> None:
    """``RECORD``."""
    parser.add_argument("record", type=Path, metavar="RECORD", help="a record of any supported format")


def add_speed_option(parser: argparse.ArgumentParser) -> None:
    """``--speed``, of the replay of a record."""
    help_ = "speed of a record, as a multiple of real time; inf: as fast as possible (1)"
    parser.add_argument("--speed", type=float, default=1.0, metavar="N", help=help_)


def add_override_options(parser: argparse.ArgumentParser) -> None:
    """``--fs`` and ``--unit``, for files that state no rate or no unit."""
    parser.add_argument("--fs", type=float, metavar="HZ", help="the sampling rate, where the file states none")
    parser.add_argument(
        "--unit", metavar="mV|uV|V|NUMBER", help="the unit, or the counts per mV, where the file states none"
    )


def add_model_options(parser: argparse.ArgumentParser, *, auto: str, model: str = DEFAULT_MODEL.stem) -> None:
    """``--lead``, ``--model``, ``--engine``, ``--sensitivity``; ``auto`` and ``model`` explain what is not chosen."""
    help_ = f"leads to analyse (auto: {auto})"
    parser.add_argument("--lead", default="auto", metavar="auto|all|first|NAME", help=help_)
    add_model_option(parser, help_=f"an installed model by its name, or weights ({model})")
    help_ = "what runs the network: 8-bit integers, or PyTorch, the reference (int8 where the model has it)"
    parser.add_argument("--engine", choices=ENGINES, help=help_)
    help_ = "how readily beats are called V or S, by the operating points of the model (balanced)"
    parser.add_argument("--sensitivity", choices=list(SENSITIVITIES), default=BALANCED, help=help_)


def add_model_option(parser: argparse.ArgumentParser, *, help_: str) -> None:
    """``--model``, which ``model_of`` reads."""
    parser.add_argument("--model", metavar="NAME|PATH", help=help_)


def add_rule_option(parser: argparse.ArgumentParser, *, help_: str) -> None:
    """``--rule``; ``--rule help`` prints the rules and exits, like ``--help``."""
    parser.add_argument("--rule", action=_RuleAction, default=[], metavar="NAME=VALUE", help=help_)


class _RuleAction(argparse.Action):
    """Collects each NAME=VALUE."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        if values == "help":
            print(rules_text())
            parser.exit()
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), values])


def rules_text() -> str:
    """Every rule with its default, unit, bounds, meaning and source, two lines each."""
    return "\n".join(
        f"{rule.key}={rule.value:g} {rule.unit}".rstrip()
        + f", {rule.lowest:g} to {rule.highest:g}\n    {rule.says}; source: {rule.source}"
        for rule in RhythmRules().rows()
    )


def add_store_options(parser: argparse.ArgumentParser) -> None:
    """``--reader`` and ``--studies``, of the commands that write into the store."""
    parser.add_argument("--reader", metavar="NAME", help="who does this (ECG_READER, or the account's name)")
    add_studies_option(parser)


def add_studies_option(parser: argparse.ArgumentParser) -> None:
    """``--studies``, of the commands that know the store."""
    help_ = "folder of the studies (ECG_STUDIES, or the user's data folder)"
    parser.add_argument("--studies", type=Path, metavar="FOLDER", help=help_)


def reader_of(options: argparse.Namespace) -> str:
    """Name of the reader: as given, else of the variable ECG_READER, else of the computer's account.

    Raises
    ------
    StoreError
        The given name is blank.

    """
    if options.reader is not None:
        name = one_line(options.reader).strip()
        if not name:
            raise StoreError("--reader: the name is blank; expected that of a person.", settings=("reader",))
        return name
    return one_line(os.environ.get("ECG_READER", "")).strip() or _account_name()


def _account_name() -> str:
    try:
        return one_line(getpass.getuser()).strip() or UNKNOWN_READER
    except (OSError, KeyError, ImportError):  # no variable names the account, and the system does not either
        return UNKNOWN_READER


def rules_of(options: argparse.Namespace) -> RhythmRules:
    """Rules from each ``--rule NAME=VALUE``, with the sensitivity.

    Raises
    ------
    RulesError
        A text is not NAME=VALUE, a name is not a rule, or a value is not one that the rule can have.

    """
    wrong = next((text for text in options.rule if "=" not in text), None)
    if wrong is not None:
        raise RulesError(f"--rule {wrong}: expected NAME=VALUE, for example pause_s=2.5.", settings=("rule",))
    values = dict(text.split("=", 1) for text in options.rule)
    if "sensitivity" in values:
        raise RulesError("--rule sensitivity: this is no number.", settings=("sensitivity",))
    return replace(rules_from(values), sensitivity=options.sensitivity)


def model_of(options: argparse.Namespace) -> Path:
    """The weights that ``--model`` names, or the default model.

    Raises
    ------
    ModelError
        It names no installed model and no file.

    """
    from ..classifier.installed import find_model  # loads platformdirs

    return DEFAULT_MODEL if options.model is None else find_model(options.model)


def overrides_of(options: argparse.Namespace) -> RecordOverrides:
    """Rate and unit that a person gives for files that state none."""
    from ..overrides import RecordOverrides
    from ..records import per_mv_of  # loads every format

    return RecordOverrides(options.fs, None if options.unit is None else per_mv_of(options.unit))


def count(text: str) -> int:
    """A whole number from 1."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def names(text: str) -> list[str]:
    """Names with commas between."""
    return [name.strip() for name in text.split(",") if name.strip()]
