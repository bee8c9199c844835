"""The table of a study, one row per record; and the list of the records that failed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from .. import __version__
from ..errors import OutputError
from ..files import atomic_file
from ..report.export import csv_bytes, plain_number
from ..report.measures import measures
from ..report.statements import verdict_cells
from ..schema import Analysis
from ..text import one_line
from .plan import Outcome
from .tables import FAILURES, PARQUET, STUDY

FAILURE_COLUMNS: Final = ("record", "sentence")
IDENTITY: Final = (
    "folder", "record", "leads", "record_sha256", "model", "model_sha256", "software_version",
)  # fmt: skip
# Since 0.2.0: at the right, so that earlier columns keep their place; after them two columns of text.
ADDED: Final = ("pvc_burden_with_fusion", "sve_doubt", "sve_uncertain", "af_verdict", "af_verdict_probability")
TEXTS: Final = ("af_verdict_text", "sve_uncertain_text")


def study_row(name: str, analysis: Analysis) -> dict[str, str | float | None]:
    """Row of a record: which one it is, what it was analysed with, every measure, and what is not certain in words."""
    record, model = analysis.record, analysis.model
    identity = (
        name, record.record_id, ", ".join(analysis.lead_names), record.sha256, model.name, model.sha256, __version__,
    )  # fmt: skip
    every = sorted(measures(analysis), key=lambda measure: measure.key in ADDED)
    return {
        **dict(zip(IDENTITY, identity, strict=True)),
        **{measure.key: measure.value for measure in every},
        **verdict_cells(analysis),
    }


def study_table(rows: Sequence[dict[str, str | float | None]]) -> pd.DataFrame:
    """Rows of ``study_row``; measures are numbers, NaN where there is none."""
    table = pd.DataFrame(list(rows), columns=None if rows else list(IDENTITY))
    return table.astype({name: float for name in table if name not in IDENTITY and name not in TEXTS})


def write_study(outcomes: Sequence[Outcome], out: Path) -> tuple[Path, ...]:
    """Write the table of the study, as CSV and as Parquet, and the list of failures where there are any.

    Returns
    -------
    Paths of what was written; each file is complete.

    Raises
    ------
    OutputError
        The folder cannot be written to.

    """
    table = study_table([outcome.row for outcome in outcomes if not outcome.problem])
    failed = [(one_line(str(outcome.task.path)), outcome.problem) for outcome in outcomes if outcome.problem]
    contents = {STUDY: csv_bytes(_as_text(table)), PARQUET: table.to_parquet(index=False)}
    if failed:
        contents[FAILURES] = csv_bytes(pd.DataFrame(failed, columns=list(FAILURE_COLUMNS)))
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            with atomic_file(out / name) as part:
                part.write_bytes(content)
        if not failed:
            (out / FAILURES).unlink(missing_ok=True)  # of an earlier run
    except OSError as error:
        raise OutputError(
            f"{out}: the table of the study cannot be written there ({error.strerror or error}); the results of every "
            "record are there. Make room and run the same command again."
        ) from error
    return tuple(out / name for name in contents)


def _as_text(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its measures as plain decimal numbers, empty where there is none."""
    measured = [str(name) for name in table if name not in IDENTITY and name not in TEXTS]
    return table.assign(**{name: table[name].map(_cell) for name in measured})


def _cell(value: float) -> str:
    return plain_number(None if pd.isna(value) else value)
