"""What a zip of a study from elsewhere may hold: every value is checked before any of it is stored."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ..edits import EDIT_KINDS, AcceptEdit, edit_of, last_time_of
from ..errors import StoreError
from ..notes import MAX_NARRATIVE_LETTERS, SEXES, Patient
from ..records.archives import MAX_FILES
from ..records.joined import MAX_PIECES
from ..rhythm.events import KIND_NAMES
from ..rules import BALANCED, SENSITIVITIES
from ..text import plural
from .analyses import stored_rules
from .study import MEASURED, MEASUREMENTS, PARTS_OF_A_RECORD, STATES
from .study_files import SIGNED_FILES, is_bare
from .tables import AnalysisRow, AuditRow, Base, DiaryRow, EditRow, SignatureRow, StripRow, StudyRow

FORMAT, VERSION = "ecg-workstation-study", 3  # raised when a column is added or changes its meaning
ADDED: Final[dict[int, dict[str, Any]]] = {  # what earlier versions lack
    1: {"narratives": {}, "notes_key": "", "unlike_pct": None}, 2: {"unlike_pct": None},
}  # fmt: skip
MANIFEST: Final = "manifest.json"
MAX_MANIFEST_BYTES: Final = 256 << 20  # a hundred edits of all beats of two weeks
MAX_MEMBERS: Final = MAX_FILES + MAX_PIECES * len(PARTS_OF_A_RECORD)  # a joined recording, and files of its study
LISTS: Final[dict[str, type[Base]]] = {
    "edits": EditRow, "diary": DiaryRow, "strips": StripRow, "signatures": SignatureRow, "analyses": AnalysisRow,
    "audit": AuditRow,
}  # fmt: skip
LIST_COLUMNS: Final = {"study": ("files", "lead_names"), "edit": ("content",)}  # in other JSON columns stand dicts
NOT_EXPORTED: Final = ("id", "record_sha256")  # numbers of this database, and what the manifest states once
EMPTIED: Final[dict[str, Any]] = {"path": "", "files": []}  # of this computer
N_OF_MEASUREMENT: Final = 3  # its interval, start and end
HASHES_OF_REPORT: Final = {"labels", "model"}  # by which a locked study is verified
HASH_DIGITS: Final = 64
MAX_LETTERS: Final = 10 * MAX_NARRATIVE_LETTERS  # of a text: pages limit what is typed, earlier versions did not
OF_ANY_LENGTH: Final = "detail"  # of an entry of the trail: it may hold the entries of another one
MOST_BEYOND_S: Final = 1.0  # of an edit past the last sample

Values = dict[str, Any]


def read_manifest(path: Path, archive: zipfile.ZipFile) -> Values:
    """The manifest of a zip, of the right form and version; what it states of the study is not checked yet.

    Raises
    ------
    StoreError
        The zip holds no study, or one of another version.

    """
    if MANIFEST not in archive.namelist() or archive.getinfo(MANIFEST).file_size > MAX_MANIFEST_BYTES:
        raise StoreError(f"{path.name}: this zip holds no study; choose the zip that the export of a study wrote.")
    with archive.open(MANIFEST) as stream:
        content = stream.read(MAX_MANIFEST_BYTES)
    manifest = json.loads(content, parse_constant=_refuse_constant, parse_float=_finite)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise StoreError(f"{path.name}: this zip holds no study; choose the zip that the export of a study wrote.")
    if manifest["version"] not in (VERSION, *ADDED):
        raise StoreError(
            f"{path.name}: this study is of format version {manifest['version']!r}, expected {VERSION}; export or "
            "import it by the same version of this program."
        )
    if len(archive.infolist()) > MAX_MEMBERS:
        raise StoreError(f"{path.name}: holds more than {MAX_MEMBERS} files; it is no study.")
    return manifest


def checked_rows(manifest: Values) -> tuple[Values, dict[str, list[Values]]]:
    """The row of the study and the rows that go with it, each value as the rest of the program expects it.

    Raises
    ------
    Exception
        Of any kind, where something is not so.

    """
    study = _checked(StudyRow, ADDED.get(manifest["version"], {}) | manifest["study"]) | EMPTIED
    rows = {name: [_checked(table, one) for one in manifest[name]] for name, table in LISTS.items()}
    _require(
        is_hash(manifest["record_sha256"])
        and is_bare(manifest["opens"])
        and isinstance(manifest["with_patient"], bool)
        and all(is_hash(one["digest"]) for one in rows["analyses"]),
        "a hash or a name is none",
    )
    _check_study(study, n_edits=len(rows["edits"]))
    for edit in rows["edits"]:
        _check_edit(edit, study["duration_s"])
    for signature in rows["signatures"]:
        _check_signature(signature)
    for one in (*rows["diary"], *rows["strips"]):
        _require(one["time_s" if "time_s" in one else "start_s"] >= 0, "a time lies before the recording")
    study["view"] = shared_view(study["view"])
    _require(all(map(_is_measurement, study["view"].get(MEASUREMENTS, ()))), "a measurement is none")
    named = [one["name"] for one in manifest["files"] if one["subfolder"] == SIGNED_FILES]
    stated = {f"{manifest['record_sha256']}/{name}" for one in rows["signatures"] for name in one["files"].values()}
    _require(set(named) <= stated and len(named) == len(set(named)), "it holds signed files that no signature names")
    return study, rows


def shared_view(view: Mapping[str, Any]) -> Values:
    """What of the view of a study goes with it: what was measured, and not how a window was left."""
    return {name: value for name, value in view.items() if name == MEASUREMENTS}


def is_hash(text: object) -> bool:
    """Whether a text has the form of a SHA-256."""
    return isinstance(text, str) and len(text) == HASH_DIGITS and not set(text) - set("0123456789abcdef")


def _checked(table: type[Base], values: Any) -> Values:
    """The values of a row from a zip, each of the type of its column."""
    columns = {column.name: column for column in table.__table__.columns if column.name not in NOT_EXPORTED}
    if not isinstance(values, dict) or values.keys() != columns.keys():
        raise ValueError(f"the columns of {table.__tablename__} are others")
    for name, column in columns.items():
        kind = column.type.python_type
        kind = list if kind is dict and name in LIST_COLUMNS.get(table.__tablename__, ()) else kind
        fits = isinstance(values[name], (int, float) if kind is float else kind)
        fits &= kind is bool or not isinstance(values[name], bool)  # which is an int for Python
        if not fits and not (values[name] is None and column.nullable):
            raise ValueError(f"{table.__tablename__}.{name} is of another type")
        if kind is str and name != OF_ANY_LENGTH:
            _require_length(values[name])
        if name.endswith("_at") and not (name == "undone_at" and values[name] == ""):
            _require(_is_moment(values[name]), f"{table.__tablename__}.{name} is no time")
    return {name: float(value) if _is_float(columns[name], value) else value for name, value in values.items()}


def _is_float(column: Any, value: Any) -> bool:
    return column.type.python_type is float and value is not None


def _check_study(study: Values, *, n_edits: int) -> None:
    Patient(**study["patient"])
    _require(
        _is_text(study["patient"]) and study["patient"].get("sex", "") in SEXES, "the patient data hold what is no text"
    )
    _require(_is_text(study["narratives"]), "a narrative is no text")
    _require(study["state"] in STATES, "the study is of an unknown state")
    _require(all(isinstance(name, str) for name in study["lead_names"]), "the study names no leads")
    _require(study["duration_s"] > 0 and 0 <= study["n_fitted_edits"] <= n_edits, "a number of the study is no such")
    if study["start"]:
        datetime.fromisoformat(study["start"])
    numbers = [value for name, value in study["rules"].items() if name != "sensitivity"]
    _require(all(map(_is_number, numbers)), "a rule of the study is no number")
    _require(
        study["rules"].get("sensitivity", BALANCED) in list(SENSITIVITIES), "the study is of an unknown sensitivity"
    )
    stored_rules(study["rules"])


def _check_edit(edit: Values, duration_s: float) -> None:
    _require(edit["kind"] in EDIT_KINDS and edit["number"] >= 1, "an edit is of an unknown kind")
    found = edit_of(edit["kind"], edit["content"])
    _require(last_time_of(found) <= duration_s + MOST_BEYOND_S, "an edit lies beyond the end of the recording")
    _require(not isinstance(found, AcceptEdit) or found.event in KIND_NAMES, "an accepted event is of an unknown kind")


def _check_signature(signature: Values) -> None:
    files, hashes = signature["files"], signature["hashes"]
    _require(_is_text(files) and all(map(is_bare, files.values())), "a signature names what is no signed file")
    _require(_is_text(hashes) and files.keys() <= hashes.keys(), "a signature lacks a hash of a signed file")
    if not signature["addendum"]:
        _require(hashes.keys() >= HASHES_OF_REPORT, "a signature lacks a hash of what was signed")
    _require(signature["version"] >= 1, "a signature is of no version")


def _is_measurement(one: object) -> bool:
    """Whether a value is an interval that can be measured, with its start and its end in seconds."""
    if not isinstance(one, list) or len(one) != N_OF_MEASUREMENT or not all(map(_is_number, one[1:])):
        return False
    interval, start_s, end_s = one
    return interval in MEASURED and start_s < end_s


def _is_moment(text: str) -> bool:
    """Whether a text is a time as ``store.now`` writes it, so that it sorts among others."""
    return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="microseconds") == text


def _is_text(content: Mapping[str, Any]) -> bool:
    for value in content.values():
        _require_length(value)
    return all(isinstance(value, str) for value in content.values())


def _require_length(value: object) -> None:
    _require(not isinstance(value, str) or len(value) <= MAX_LETTERS, f"a text is longer than {MAX_LETTERS:,} letters")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _require(fits: object, problem: str) -> None:
    if not fits:
        raise ValueError(problem)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number of this size")
    return number


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def check_limits(record_id: str, sizes: Sequence[int], n_manifest_bytes: int, *, max_bytes: int) -> None:
    """Refuse to write a zip that no import would accept.

    Raises
    ------
    StoreError
        It has too many files, or too large ones.

    """
    if len(sizes) >= MAX_MEMBERS:  # the manifest is one more
        raise StoreError(
            f"{record_id}: the study has {plural(len(sizes), 'file')}, expected fewer than {MAX_MEMBERS:,} in one zip; "
            "nothing was written. Copy the folder of the studies instead."
        )
    if sum(sizes) > max_bytes or n_manifest_bytes > MAX_MANIFEST_BYTES:
        takes = (sum(sizes), max_bytes), (n_manifest_bytes, MAX_MANIFEST_BYTES)
        n_bytes, most = max(takes, key=lambda one: one[0] / one[1])
        raise StoreError(
            f"{record_id}: the study takes {n_bytes / 1e6:,.0f} MB, expected at most {most / 1e6:,.0f} MB in one zip; "
            "nothing was written. Copy the folder of the studies instead."
        )
