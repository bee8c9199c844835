"""Stores of studies for tests: SQLite and a real PostgreSQL server, and small studies in them."""

import itertools
from dataclasses import replace

import numpy as np

from ecg_core.edits import Label, LabelEdit
from ecg_core.records import read_record
from ecg_core.studies.store import Store
from ecg_core.studies.study import Editor, add_study
from support.records import write_record

READER = Editor("Dr A", "window 1")
OTHER = Editor("Dr B", "window 2")
SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"
_numbers = itertools.count()


def write_small(folder, name="small"):
    """Path of a record of six seconds whose samples no other record has."""
    folder.mkdir(parents=True, exist_ok=True)
    signal = np.sin(np.arange(6 * 360) / 25 + next(_numbers))
    return write_record(folder, name, signal, 360)


def add_small(store: Store, folder, name="small", editor=READER):
    """A study of a small record."""
    return add_study(store, read_record(write_small(folder, name)), editor)


def edit(number, label="V"):
    """An edit of one beat, known by its number."""
    return LabelEdit((Label(float(number), label),))


def with_record(analysis, record):
    """An analysis as if of a record on the disk."""
    return replace(analysis, record=record)
