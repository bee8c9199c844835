"""Many records: planned, analysed one by one or side by side, each complete by itself, with one table at the end.

``plan`` finds the records and names their folders, ``work`` analyses one of them, ``workers`` distributes them among
processes or a Dask cluster, ``study`` writes the table. Only ``work`` loads the network, in the process that needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ..errors import ClusterError, OutputError
from ..files import note_unfinished, sweep
from .plan import Outcome, Settings, Studies, Task, check_place, is_many, plan, skipped_folders
from .study import write_study
from .tables import FAILURES, STUDY
from .workers import Outcomes, Show, run_local, run_on_dask

__all__ = [
    "FAILURES",
    "STUDY",
    "Outcome",
    "Settings",
    "Studies",
    "Study",
    "analyse_many",
    "is_many",
    "plan",
    "skipped_folders",
]


@dataclass(frozen=True)
class Study:
    """Outcomes of many records, in the order of the plan, and the tables written of them."""

    outcomes: tuple[Outcome, ...]
    written: tuple[Path, ...]

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """Records that could not be analysed."""
        return tuple(outcome for outcome in self.outcomes if outcome.problem)

    @property
    def n_kept(self) -> int:
        """Number of records that an earlier run had finished."""
        return sum(outcome.kept for outcome in self.outcomes)


def analyse_many(
    arguments: Sequence[Path],
    settings: Settings,
    out: Path,
    *,
    jobs: int = 1,
    dask: str = "",
    show: Show = lambda done, total, in_progress: None,
) -> Study:
    """Analyse records into a folder each, and write one table of all.

    A record that was finished with the same settings is not analysed again; one that fails does not stop the others.

    Parameters
    ----------
    arguments
        Records, folders of records, or patterns.
    jobs
        Records at a time, each in a process of its own where there are several.
    dask
        Address of a scheduler that does the work instead of this computer; its workers must see the same folders.
    show
        Called with the number of records done, the number of all, and the names of those being analysed.

    Raises
    ------
    RecordError
        A folder or pattern holds no record.
    OutputError
        The results cannot be written, which is found before the first record is analysed where the folder holds
        anything else; finished records stay.
    ClusterError
        Dask is not installed, or its scheduler cannot be reached.

    """
    tasks = plan(arguments, out)
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out}: is a file, expected a folder.", settings=("out",))
    for task in tasks:  # before the first of them takes hours
        check_place(task)
    sweep(out)
    note = note_unfinished(out, STUDY) if (out / STUDY).exists() else None  # it is not that of the folders meanwhile
    outcomes: dict[Task, Outcome] = {}
    try:
        with closing(_run(tasks, settings, jobs, dask, show)) as run:
            for outcome in run:
                outcomes[outcome.task] = outcome
    except ClusterError:
        if note and not outcomes:  # nothing was begun
            note.unlink(missing_ok=True)
        raise
    ordered = tuple(outcomes[task] for task in tasks)
    return Study(ordered, write_study(ordered, out))


def _run(tasks: Sequence[Task], settings: Settings, jobs: int, dask: str, show: Show) -> Outcomes:
    if dask:
        return run_on_dask(tasks, settings, address=dask, show=show)
    return run_local(tasks, settings, jobs=jobs, show=show)
