"""What to do about an error, in the words of the command line: the core names settings, here they become options."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Final

REMEDIES: Final = {
    "lead": "Choose a lead with --lead.",
    "fs": "State the sampling rate with --fs HZ.",
    "unit": "State the unit with --unit: mV, uV, V, or the counts of a mV.",
    "model": "Name other weights with --model.",
    "own": "Name other labels with --own.",
    "rule": "List the rules with --rule help.",
    "out": "Name another folder with --out.",
    "json": "Name another file with --json.",
    "records": "Choose records with --records.",
    "jobs": "Analyse fewer records at a time with --jobs.",
    "dask": "Name another scheduler with --dask, or leave it out.",
    "speed": "Choose the speed with --speed.",
    "horizon": "Choose the delay with --horizon.",
    "to": "Set it with --to.",
}


def with_remedies(sentence: str, settings: Iterable[str], options: argparse.Namespace) -> str:
    """Append a remedy for each setting that the running command has as an option."""
    remedies = [REMEDIES[setting] for setting in settings if setting in REMEDIES and hasattr(options, setting)]
    if not remedies:
        return sentence
    return " ".join([sentence if sentence.endswith((".", "?", "!")) else f"{sentence}.", *remedies])
