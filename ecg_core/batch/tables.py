"""Names of the files that a study writes."""

from __future__ import annotations

from typing import Final

from ..records import RESULTS

MARK = "finished.json"  # in a record's folder: what its results were made from
STUDY, PARQUET, FAILURES = "study.csv", "study.parquet", "failures.csv"
RESULT_TABLES: Final = (*RESULTS, STUDY, PARQUET, FAILURES)  # written by this program, so no recordings
