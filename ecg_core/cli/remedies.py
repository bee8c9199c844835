"""What to do about an error, in the words of the command line: the core names settings, here they become options."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Final

REMEDIES: Final = {
    "lead": "Choose a lead with --lead.",
    "fs": "Give the sampling rate in Hz with --fs.",
    "unit": "Give the unit with --unit: mV, uV, V, or the counts per mV.",
    "name": "Choose another name with --name.",
    "model": "Choose other weights with --model.",
    "sensitivity": "Choose high, balanced or precise with --sensitivity.",
    "rule": "List the rules with --rule help.",
    "own": "Choose the labels of this record with --own, or leave it out.",
    "out": "Choose another folder with --out.",
    "json": "Choose another file with --json.",
    "records": "Choose records with --records.",
    "jobs": "Analyse fewer records at a time with --jobs.",
    "dask": "Choose another scheduler with --dask, or leave the option out.",
    "speed": "Choose the speed with --speed.",
    "horizon": "Choose another horizon with --horizon.",
    "also": "Name the forms with --also.",
    "overwrite": "Replace it with --overwrite.",
    "to": "Set it with --to.",
    "rate": "Resample it with --rate.",
    "study": "Leave --study out to write the files alone.",
    "studies": "Choose another folder of studies with --studies.",
    "reader": "Give it with --reader NAME.",
}
FETCH: Final = "Fetch it: ecg fetch {0} --records all, or on Windows: Setup_Test_Data.bat {0} --records all."
OF_ARGUMENTS: Final = {  # what is given without an option: a database by its name
    "database": FETCH.replace("{0}", "{database}"),
    "sources": FETCH.replace("{0}", "{sources[0]}"),
}


def with_remedies(sentence: str, settings: Iterable[str], options: argparse.Namespace) -> str:
    """Append a remedy for each setting that the running command has, with what was given for it."""
    known, given = REMEDIES | OF_ARGUMENTS, vars(options)
    remedies = [known[setting].format(**given) for setting in settings if setting in known and setting in given]
    if not remedies:
        return sentence
    return " ".join([sentence if sentence.endswith((".", "?", "!")) else f"{sentence}.", *remedies])
