"""Names of the files that a study writes."""

from __future__ import annotations

MARK = "finished.json"  # in a record's folder: what its results were made from
STUDY, PARQUET, FAILURES = "study.csv", "study.parquet", "failures.csv"
