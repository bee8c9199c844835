"""The table of a study, one row per record; and the list of the records that failed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .. import __version__
from ..errors import FIELDS, OutputError
from ..files import atomic_files, remove_with
from ..report.columns import csv_bytes
from ..report.measures import measures
from ..report.statements import statements, verdict_cells
from ..report.tables import plain_number
from ..schema import Analysis
from ..text import one_line
from .plan import Outcome
from .tables import FAILURES, PARQUET, STUDY

if TYPE_CHECKING:
    import pandas as pd

FAILURE_COLUMNS: Final = ("record", "sentence", *FIELDS)
IDENTITY: Final = (
    "folder", "record", "leads", "record_sha256", "model", "model_sha256", "software_version",
)  # fmt: skip
# Since 0.2.0: at the right, so that earlier columns keep their place; after them columns of text.
ADDED: Final = (
    "pvc_burden_with_fusion", "sve_doubt", "sve_uncertain", "af_verdict", "af_verdict_probability", "doubtful_beats",
    "unlike_training", "artefact_time", "v_longest_run_time",
)  # fmt: skip
TEXTS: Final = ("af_verdict_text", "sve_uncertain_text", "engine", "model_origin", "statements")


def study_row(name: str, analysis: Analysis) -> dict[str, str | float | None]:
    """Row of a record: which one it is, what it was analysed with, every measure, and what is not certain in words."""
    record, model = analysis.record, analysis.model
    identity = (
        name, record.record_id, ", ".join(analysis.lead_names), record.sha256, model.name, model.sha256, __version__,
    )  # fmt: skip
    place = {key: number for number, key in enumerate(ADDED, 1)}
    every = sorted(measures(analysis), key=lambda measure: place.get(measure.key, 0))
    return {
        **dict(zip(IDENTITY, identity, strict=True)),
        **{measure.key: measure.value for measure in every},
        **verdict_cells(analysis),
        "engine": model.engine,
        "model_origin": model.origin,
        "statements": ". ".join(statement.text for statement in statements(analysis)),
    }


def study_table(rows: Sequence[dict[str, str | float | None]]) -> pd.DataFrame:
    """Rows of ``study_row``; measures are numbers, NaN where there is none."""
    import pandas as pd  # noqa: PLC0415  # a quarter of a second, for a table at the end of the work

    table = pd.DataFrame(list(rows), columns=None if rows else list(IDENTITY))
    return table.astype({name: float for name in table if name not in IDENTITY and name not in TEXTS})


def write_study(outcomes: Sequence[Outcome], out: Path) -> tuple[Path, ...]:
    """Write the table of the study, as CSV and as Parquet, and the list of failures where there are any.

    Returns
    -------
    Paths of what was written; all of it is there, or what was there before, or a note that says it is not complete.

    Raises
    ------
    OutputError
        The folder cannot be written to.

    """
    table = study_table([outcome.row for outcome in outcomes if not outcome.problem])
    failed = [
        (one_line(str(outcome.task.path)), outcome.problem, *(outcome.fields.get(name, "") for name in FIELDS))
        for outcome in outcomes if outcome.problem
    ]  # fmt: skip
    contents = {STUDY: csv_bytes(_as_text(table)), PARQUET: table.to_parquet(index=False)}
    if failed:
        contents[FAILURES] = csv_bytes(dict(zip(FAILURE_COLUMNS, zip(*failed, strict=True), strict=True)))
    try:
        out.mkdir(parents=True, exist_ok=True)
        with atomic_files(out, STUDY) as hidden:
            for name, content in contents.items():
                (hidden / name).write_bytes(content)
            if not failed:
                remove_with(hidden, FAILURES)  # of an earlier run
    except OSError as error:
        raise OutputError(
            f"{out}: the table of the study cannot be written there ({error.strerror or error}); the results of every "
            "record are there. Make room and run the same command again."
        ) from error
    return tuple(out / name for name in contents)


def _as_text(table: pd.DataFrame) -> dict[str, list[Any]]:
    """The table with its measures as plain decimal numbers, empty where there is none."""
    return {str(name): [_cell(value) for value in table[name].tolist()] for name in table}


def _cell(value: Any) -> Any:
    return plain_number(None if math.isnan(value) else value) if isinstance(value, float) else value
