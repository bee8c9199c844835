"""The table of a study: a row a record; and the list of those that failed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd

from .. import __version__
from ..errors import OutputError
from ..records import RESULTS
from ..report.export import csv_bytes, plain_number, write_whole
from ..report.measures import measures
from ..schema import Analysis
from ..text import one_line

if TYPE_CHECKING:
    from .plan import Outcome

MARK = "finished.json"
STUDY, PARQUET, FAILURES = "study.csv", "study.parquet", "failures.csv"
OWN_TABLES: Final = (*RESULTS, STUDY, PARQUET, FAILURES)
FAILURE_COLUMNS: Final = ("record", "sentence")
IDENTITY: Final = (
    "folder", "record", "leads", "record_sha256", "model", "model_sha256", "software_version",
)  # fmt: skip


def study_row(name: str, analysis: Analysis) -> dict[str, str | float | None]:
    """What the study says of a record: what it is, what it was read with, and every measure."""
    record, model = analysis.record, analysis.model
    identity = (
        name, record.record_id, ", ".join(analysis.lead_names), record.sha256, model.name, model.sha256, __version__,
    )  # fmt: skip
    return {
        **dict(zip(IDENTITY, identity, strict=True)),
        **{measure.key: measure.value for measure in measures(analysis)},
    }


def study_table(rows: Sequence[dict[str, str | float | None]]) -> pd.DataFrame:
    """Rows of ``study_row``; measures are numbers, NaN where there is none."""
    table = pd.DataFrame(list(rows), columns=None if rows else list(IDENTITY))
    return table.astype({name: float for name in table if name not in IDENTITY})


def write_study(outcomes: Sequence[Outcome], out: Path) -> tuple[Path, ...]:
    """Write the table of what was analysed, and that of what failed where something did; each whole or not at all.

    Raises
    ------
    OutputError
        The folder cannot be written to.

    """
    table = study_table([outcome.row for outcome in outcomes if not outcome.problem])
    measured = [str(name) for name in table if name not in IDENTITY]
    told = table.assign(**{name: table[name].map(_cell) for name in measured})
    failed = [(one_line(str(outcome.task.path)), outcome.problem) for outcome in outcomes if outcome.problem]
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / STUDY, csv_bytes(told))
        write_whole(out / PARQUET, table.to_parquet(index=False))
        if not failed:
            (out / FAILURES).unlink(missing_ok=True)  # of an earlier run
            return out / STUDY, out / PARQUET
        write_whole(out / FAILURES, csv_bytes(pd.DataFrame(failed, columns=list(FAILURE_COLUMNS))))
    except OSError as error:
        raise OutputError(
            f"{out}: the table of the study cannot be written there ({error.strerror or error}); the results of every "
            "record are there. Make room and run the same command again."
        ) from error
    return out / STUDY, out / PARQUET, out / FAILURES


def _cell(value: float) -> str:
    return plain_number(None if pd.isna(value) else value)
