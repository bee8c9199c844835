"""Many records: planned, analysed side by side, each finished by itself, and one table at the end.

``plan`` says what is to be done, ``work`` does it for one record, ``workers`` says where, ``study`` tells what came of
it. Only ``work`` loads the network, and it is loaded where the work is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from .plan import Outcome, Settings, Task, is_many, plan, sweep
from .study import FAILURES, STUDY, write_study
from .workers import Outcomes, Show, run_local, run_on_dask

__all__ = ["FAILURES", "STUDY", "Outcome", "Settings", "Study", "analyse_many", "is_many"]


@dataclass(frozen=True)
class Study:
    """What came of many records, in the order of the plan."""

    outcomes: tuple[Outcome, ...]
    written: tuple[Path, ...]

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """Records that could not be analysed."""
        return tuple(outcome for outcome in self.outcomes if outcome.problem)

    @property
    def n_kept(self) -> int:
        """Records that an earlier run had finished."""
        return sum(outcome.kept for outcome in self.outcomes)


def analyse_many(
    arguments: Sequence[Path],
    settings: Settings,
    out: Path,
    *,
    jobs: int = 1,
    dask: str = "",
    show: Show = lambda done, total, at_work: None,
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
        Address of a scheduler that is to do the work in place of this computer; it must see the same folders.

    Raises
    ------
    RecordError
        A folder or pattern holds no record.
    OutputError
        The results cannot be written; finished records stay.
    ClusterError
        Dask is not installed, or its scheduler cannot be reached.

    """
    tasks = plan(arguments, out)
    sweep(out)
    outcomes = {}
    with closing(_run(tasks, settings, jobs, dask, show)) as run:
        for outcome in run:
            outcomes[outcome.task] = outcome
    ordered = tuple(outcomes[task] for task in tasks)
    return Study(ordered, write_study(ordered, out))


def _run(tasks: Sequence[Task], settings: Settings, jobs: int, dask: str, show: Show) -> Outcomes:
    if dask:
        return run_on_dask(tasks, settings, dask, show)
    return run_local(tasks, settings, jobs, show)
