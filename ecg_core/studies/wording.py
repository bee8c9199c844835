"""The audit trail in plain words, and as a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from ..clock import elapsed_text
from ..edits import MARKED_NAMES
from ..rhythm.events import KIND_NAMES
from ..text import one_line, plural
from .audit import AuditEntry, canonical, others_of

Detail = Mapping[str, Any]
FIELD_NAMES: Final = {
    "name": "name", "patient_id": "patient number", "birth_date": "date of birth", "sex": "sex",
    "indication": "indication", "medication": "medication", "referring_physician": "referring physician",
    "reading_physician": "reading physician", "recorder": "recorder",
}  # fmt: skip
COLUMNS: Final = ("number", "time_local", "time_utc", "reader", "action", "what", "detail", "hash")
MAX_VALUE_LETTERS: Final = 80  # of a detail in a sentence; the column ``detail`` has all of it


def sentence_of(entry: AuditEntry) -> str:
    """What was done, in a sentence; of an action that is not known here, its name and what it states."""
    words = SENTENCES.get(entry.action)
    try:
        if words is not None:
            reads = f" It reads: {one_line(' '.join(entry.text.split()))}" if entry.text else ""
            return f"{words(entry.detail)}{reads}"
    except (KeyError, TypeError, ValueError, AttributeError):  # an entry of another version, or a damaged one
        pass
    stated = "; ".join(f"{name.replace('_', ' ')}: {_shortened(value)}" for name, value in entry.detail.items())
    return f"{entry.action[:1].upper()}{entry.action[1:]}{f' ({stated})' if stated else ''}."


def local_time(entry: AuditEntry) -> str:
    """When an entry was made, by the clock of this computer; empty where its time is damaged."""
    try:
        return f"{datetime.fromisoformat(entry.made_at).astimezone():%Y-%m-%d %H:%M:%S}"
    except ValueError:
        return ""


def trail_table(entries: Sequence[AuditEntry]) -> dict[str, list[Any]]:
    """One row per entry, with the columns COLUMNS."""
    rows = [
        (
            one.number, local_time(one), one.made_at, one.reader, one.action, sentence_of(one), canonical(one.detail),
            one.hash,
        )
        for one in entries
    ]  # fmt: skip
    return {name: [row[place] for row in rows] for place, name in enumerate(COLUMNS)}


def _labelled(detail: Detail) -> str:
    return _with_classes(detail, one="Labelled the beat", many="Labelled beats")


def _deleted(detail: Detail) -> str:
    if "time_s" in detail:
        return f"Deleted the beat at {elapsed_text(detail['time_s'], decimals=2)}."
    return f"Deleted {detail['n_beats']:,} beats."


def _inserted(detail: Detail) -> str:
    return _with_classes(detail, one="Inserted a beat", many="Inserted beats")


def _with_classes(detail: Detail, *, one: str, many: str) -> str:
    """What was done to one beat, or to how many of each class."""
    if "label" in detail:
        return f"{one} at {elapsed_text(detail['time_s'], decimals=2)} as {detail['label']}."
    counts = ", ".join(f"{n:,} as {label}" for label, n in sorted(detail["beats"].items()))
    return f"{many}: {counts}."


def _quality(detail: Detail) -> str:
    return "analysable" if detail["analysable"] else "artefact"


def _extent(detail: Detail) -> str:
    if "start_s" in detail:
        start, end = (elapsed_text(detail[name], decimals=1) for name in ("start_s", "end_s"))
        return f"{start} to {end}"
    return f"{detail['stretches']:,} stretches ({detail['total_s']:g} s)"


def _shown(detail: Detail) -> str:
    stated = sorted(detail["rules"].items())
    rules = ", ".join(f"{name} = {value if isinstance(value, str) else f'{value:g}'}" for name, value in stated)
    n = detail["n_fitted_edits"]
    learned = f" {detail['learning']}" if "learning" in detail else ""
    fitted = f", fine-tuned to {n} {'edit' if n == 1 else 'edits'}" if n else ""
    return (
        f"Showed the analysis of lead {detail['lead']} by model {detail['model_name']}{fitted}; "
        f"rules: {rules or 'all at their defaults'}.{learned}"
    )


def _from_file(detail: Detail) -> str:
    fields, n = _fields(detail), detail["diary_entries"]
    diary = f"{n} diary {'entry' if n == 1 else 'entries'}" if n else ""
    taken = "; ".join(part for part in (fields, diary) if part) or "nothing"
    outside = detail.get("marks_outside", 0)
    left_out = f" Left out, as outside the recording: {plural(outside, 'event mark')}." if outside else ""
    return f"Taken from the file: {taken}.{left_out}"


def _fields(detail: Detail) -> str:
    return ", ".join(FIELD_NAMES.get(name, name) for name in detail["fields"])


def _narrative(detail: Detail) -> str:
    stated = detail["narrative_keyed_sha256"] if "narrative_keyed_sha256" in detail else detail["narrative"]
    if detail.get("confirmed"):
        return "Confirmed the narrative for the figures as they were then."
    return "Changed the narrative." if stated else "Went back to the drafted narrative."


def _entries(detail: Detail) -> str:
    return f"{detail['entries']} {'entry' if detail['entries'] == 1 else 'entries'}"


def _imported(detail: Detail) -> str:
    left_out = ", ".join(detail.get("left_out", ()))
    parts = [f"Imported the study, whose trail had {_entries(detail)}"]
    parts += [f"left out of the export: {left_out}"] if left_out else []
    others = others_of(AuditEntry(0, "", "", "", dict(detail), ""))
    parts += ["entries that were not in the trail here:"] if others else []
    sentences = " ".join(
        f"{one.made_at[:16].replace('T', ' ')} UTC, {one.reader}: {sentence_of(one)}" for one in others
    )
    return f"{'; '.join(parts)} {sentences}" if others else f"{'; '.join(parts)}."


def _shortened(value: Any) -> str:
    text = value if isinstance(value, str) else canonical(value)
    return text if len(text) <= MAX_VALUE_LETTERS else f"{text[:MAX_VALUE_LETTERS]} ..."


SENTENCES: Final[Mapping[str, Callable[[Detail], str]]] = {
    "opened": lambda detail: f"Opened the recording {detail['record']} for the first time.",
    "file found again": lambda detail: f"Opened the recording {detail['record']} from another place.",
    "labelled": _labelled,
    "beats deleted": _deleted,
    "beats inserted": _inserted,
    "stretches marked": lambda detail: f"Marked {_extent(detail)} as {_quality(detail)}.",
    "rhythm marked": lambda detail: f"Marked {_extent(detail)} as {MARKED_NAMES[detail['rhythm']].lower()}.",
    "events accepted": lambda detail: f"Accepted {KIND_NAMES[detail['event']].lower()}: {_extent(detail)}.",
    "templates changed": lambda detail: f"Templates {', '.join(detail['templates'])}: {detail['change']}.",
    "redone": lambda detail: f"Redid edit {detail['edit']}.",
    "undone": lambda detail: f"Undid edit {detail['edit']}.",
    "analysis shown": _shown,
    "patient data changed": lambda detail: f"Changed patient data: {_fields(detail)}.",
    "taken from the file": _from_file,
    "narrative changed": _narrative,
    "diary changed": lambda detail: f"Changed the diary, which has {_entries(detail)}.",
    "strips for the report changed": lambda detail: f"Chose strips for the report: {detail['entries']}.",
    "files exported": lambda detail: f"Exported {', '.join(detail['files'])}{_with_patient(detail)}.",
    "exported": lambda detail: f"Exported the study as one file{_with_patient(detail)}.",
    "export failed": lambda _detail: "The export of the study failed.",
    "imported": _imported,
    "study imported": lambda detail: f"Imported the study of {detail['record']}.",
    "archived": lambda _detail: "Moved the study into the archive.",
    "taken from the archive": lambda _detail: "Took the study from the archive.",
    "deleted": lambda _detail: "Deleted the study.",
    "study deleted": lambda detail: f"Deleted the study of {detail['record']}.",
    "signed": lambda detail: f"Signed version {detail['version']} of the report{_as_role(detail)}.",
    "addendum written": lambda detail: f"Wrote an addendum to version {detail['version']}{_as_role(detail)}.",
    "new version begun": lambda detail: f"Began version {detail['version']} of the report.",
}


def _with_patient(detail: Detail) -> str:
    return ", with patient data" if detail["with_patient"] else ", without patient data"


def _as_role(detail: Detail) -> str:
    return f" as {detail['role']}" if detail["role"] else ""
