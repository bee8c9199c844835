"""Recordings on disk: the only place that knows file formats. A file's format is recognised by its first bytes.

Each format has a module; ``formats`` lists them all.
"""

from .annotation_files import RHYTHM, RHYTHM_SYMBOL, read_annotations, read_labels_of
from .formats import SINGLE_FILES, is_result, kind_of, records_in
from .joined import join_records, write_join
from .overrides import per_mv_of
from .patients import main_file, read_diary, read_marks, read_patient, recorder_of
from .reading import find_records, lead_index, position_of, read_record, read_strip
from .units import ASSUMED_PER_MV

__all__ = [
    "ASSUMED_PER_MV",
    "RHYTHM",
    "RHYTHM_SYMBOL",
    "SINGLE_FILES",
    "find_records",
    "is_result",
    "join_records",
    "kind_of",
    "lead_index",
    "main_file",
    "per_mv_of",
    "position_of",
    "read_annotations",
    "read_diary",
    "read_labels_of",
    "read_marks",
    "read_patient",
    "read_record",
    "read_strip",
    "recorder_of",
    "records_in",
    "write_join",
]
