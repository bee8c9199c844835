"""Pieces of one recording, as recorders cut it into files, joined into one record with the gaps between them."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path, PureWindowsPath
from typing import Final

import numpy as np

from ..clock import duration_text
from ..errors import OutputError, RecordError
from ..files import atomic_file, place_mends, reason_of
from ..schema import Annotations, Float32, Record, SignalSource
from ..text import format_quoted, one_line
from .limits import check_length

SUFFIX: Final = ".join"
MAGIC: Final = b"ECG-JOIN"
FIRST_LINE: Final = "ECG-JOIN 1"  # with the version of the form; then the path of a piece on each line
MAX_PIECES: Final = 2_000  # files of half an hour in six weeks
MAX_LIST_BYTES: Final = 4_096 * MAX_PIECES  # no path is longer
MAX_GAP_S: Final = 24 * 3600.0  # a longer one lies between two recordings, of other days or of other patients
MAX_OVERLAP_S: Final = (
    1.0  # recorders state starts in whole seconds: a piece can seem to begin before the last one ends
)
SAME_RATE: Final = 1e-6  # rates that differ by a smaller fraction are equal: less than a beat in a day
CLOCK: Final = "%Y-%m-%d %H:%M:%S"
NUMBERED: Final = re.compile(r"(.*?)(\d+)")
UNSAFE: Final = re.compile(r"[^\w .,()+-]")  # in the name of a file


@dataclass(frozen=True, eq=False)
class JoinedSource:
    """The samples of pieces, each from its place on; missing between them."""

    sources: tuple[SignalSource, ...]
    first: tuple[int, ...]  # of each piece, ascending
    n_samples: tuple[int, ...]

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """See ``SignalSource``."""
        signal = np.full((len(leads), stop - start), np.nan, dtype=np.float32)
        for source, place, n in zip(self.sources, self.first, self.n_samples, strict=True):
            first, last = max(start, place), min(stop, place + n)
            if first < last:
                signal[:, first - start : last - start] = source.read(first - place, last - place, leads)
        return signal


def join_records(records: Sequence[Record]) -> Record:
    """One record of pieces that follow each other, in the order of their starts; missing samples between them.

    A piece begins where its start places it, or, where that lies within ``MAX_OVERLAP_S`` before the end of the last
    one, at that end. Samples stay where they are, and each piece keeps its own gain. There is a reference where every
    piece has one.

    Raises
    ------
    RecordError
        There are fewer than two pieces, one states no start, they differ in leads, rate or in what was given by hand,
        they overlap, or the gap between two is longer than ``MAX_GAP_S``.

    """
    if not 2 <= len(records) <= MAX_PIECES:
        raise RecordError(
            "these cannot be joined",
            expected=f"2 to {MAX_PIECES:,} recordings",
            got=f"{len(records):,}",
            advice="Choose all the pieces of one.",
        )
    starts = [_start_of(record) for record in records]
    order = sorted(range(len(records)), key=lambda number: starts[number])
    pieces, starts = tuple(records[number] for number in order), [starts[number] for number in order]
    for piece in pieces[1:]:
        _check_alike(pieces[0], piece)
    for number, (before, after) in enumerate(pairwise(pieces)):
        _check_place(before, starts[number], after, starts[number + 1])
    first = _places(pieces, starts)
    name, whole, fs_hz = joined_name(pieces), first[-1] + pieces[-1].n_samples, pieces[0].fs_hz
    check_length(name, fs_hz, whole)
    calibrated = np.all([piece.calibrated for piece in pieces], axis=0).tolist()
    return Record(
        record_id=name,
        source=JoinedSource(tuple(piece.source for piece in pieces), first, tuple(piece.n_samples for piece in pieces)),
        fs_hz=fs_hz,
        n_samples=whole,
        lead_names=pieces[0].lead_names,
        calibrated=tuple(calibrated),
        start=starts[0],
        left_out=tuple(dict.fromkeys(channel for piece in pieces for channel in piece.left_out)),
        doubts=(
            *_doubts_of_places(pieces, starts, first),
            *(f"{piece.record_id}: {doubt}" for piece in pieces for doubt in piece.doubts),
        ),
        comments=tuple(dict.fromkeys(comment for piece in pieces for comment in piece.comments)),
        age_years=next((piece.age_years for piece in pieces if piece.age_years is not None), None),
        reference=_reference(pieces, first),
        overrides=pieces[0].overrides,
        files=tuple(dict.fromkeys(path for piece in pieces for path in _files_of(piece))),
        pieces=pieces,
    )


def first_samples(joined: Record) -> tuple[int, ...]:
    """The first sample of each piece of a joined record, counted in it."""
    return _places(joined.pieces, [_start_of(piece) for piece in joined.pieces])


def joined_name(pieces: Sequence[Record]) -> str:
    """Name of a joined record: the first name, and the last number or the number of the others.

    Examples
    --------
    >>> from ecg_core import read_record
    >>> joined_name([read_record("demo_data/demo")] * 4)
    'demo + 3'

    """
    names = [piece.record_id for piece in pieces]
    numbered = [NUMBERED.fullmatch(name) for name in names]
    heads = {found[1] if found else None for found in numbered}
    if len(heads) == 1 and len(set(names)) == len(names) and (last := numbered[-1]):
        return f"{names[0]}-{last[2]}"
    return f"{names[0]} + {len(names) - 1}"


def write_join(records: Sequence[Record], folder: Path, *, name: str = "") -> Path:
    """Write the list of the pieces of a recording, which opens as one record; the pieces stay where they are.

    Parameters
    ----------
    folder
        Made where it is missing. Pieces in it, or in folders in it, are listed by their path in it.
    name
        Of the recording; by default made of the names of the pieces.

    Raises
    ------
    RecordError
        The recordings cannot be joined, or were not opened from a file.
    OutputError
        The folder cannot be written to, or a path cannot stand in a line.

    """
    joined = join_records(records)
    lines = [_line_of(piece, folder) for piece in joined.pieces]
    path = folder / f"{name or UNSAFE.sub('_', joined.record_id)}{SUFFIX}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as part:
            part.write_text("\n".join([FIRST_LINE, *lines]) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"{path}: the list of the pieces cannot be written there ({reason_of(error)}).",
            settings=("to",) * place_mends(error),
        ) from error
    return path


def is_join(path: Path, first: bytes) -> bool:
    """Whether a file lists the pieces of a recording.

    The suffix counts too: an upload or an archive, which never have it, cannot name files of this computer.
    """
    return path.suffix.lower() == SUFFIX and first.startswith(MAGIC)


def read_join(path: Path) -> list[Path]:
    """Paths of the pieces that a file lists.

    Raises
    ------
    RecordError
        It is damaged or of another version, or a piece is missing or is itself joined.

    """
    with path.open("rb") as stream:
        content = stream.read(MAX_LIST_BYTES + 1)
    try:
        lines = [line for line in content.decode("utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise RecordError(
            f"is damaged ({error.reason})", expected="a list of pieces as text in UTF-8", advice=AGAIN
        ) from error
    if lines[0] != FIRST_LINE:
        raise RecordError(
            "is damaged, or was written by a newer version of this program",
            position="line 1",
            expected=f'"{FIRST_LINE}"',
            got=f'"{format_quoted(lines[0])}"',
            advice=AGAIN,
        )
    if len(content) > MAX_LIST_BYTES or len(lines) - 1 > MAX_PIECES:
        raise RecordError("is too long a list", expected=f"at most {MAX_PIECES:,} pieces", advice=AGAIN)
    return [_piece(path.parent, line) for line in lines[1:]]


def list_beside(path: Path) -> None:
    """Have a list from elsewhere name the pieces that lie beside it alone, and no other file of this computer."""
    lines = path.read_text(encoding="utf-8").splitlines()
    names = [PureWindowsPath(line).name for line in lines[1:]]  # which parts at either slash
    path.write_text("\n".join([*lines[:1], *names]) + "\n", encoding="utf-8")


AGAIN: Final = "Join the pieces again."


def _piece(folder: Path, line: str) -> Path:
    """Where a piece is: as listed, or, where the list came from elsewhere with its pieces, beside it."""
    if line.lower().endswith(SUFFIX):
        raise RecordError(f"its piece {format_quoted(line)} is itself joined", advice="Join the recordings in it.")
    for piece in (folder / line, folder / PureWindowsPath(line).name):  # which parts at either slash
        with suppress(OSError, ValueError):  # a name that no file can have
            if piece.is_file() or piece.with_name(f"{piece.name}.hea").is_file():
                return piece
    raise RecordError(f"its piece {format_quoted(line)} is missing", advice="Put it back, or join the pieces again.")


def _line_of(piece: Record, folder: Path) -> str:
    if piece.path is None:
        raise RecordError(
            "no list can name what was opened from no file", where=piece.record_id, advice="Open it from one."
        )
    if piece.pieces:
        raise RecordError("is itself joined", where=piece.record_id, advice="Join the recordings in it.")
    place, base = Path(os.path.abspath(piece.path)), Path(os.path.abspath(folder))  # noqa: PTH100  # links stay
    line = place.relative_to(base).as_posix() if place.is_relative_to(base) else str(place)
    if len(line.splitlines()) != 1 or line != line.strip():
        raise OutputError(f"{one_line(line)}: this path begins or ends with a space, or holds a new line; rename it.")
    return line


def _files_of(piece: Record) -> tuple[Path, ...]:
    return piece.files if piece.archive is None else (piece.archive,)


def _start_of(record: Record) -> datetime:
    if record.start is None:
        raise RecordError(
            "states no start, which would place it among the other pieces",
            where=record.record_id,
            advice="Join recordings that state theirs, such as EDF, ISHNE, DICOM or WFDB.",
        )
    return record.start


def _check_alike(one: Record, other: Record) -> None:
    """Refuse pieces that no recorder would have cut from one recording."""
    differences = {
        "leads": (", ".join(one.lead_names), ", ".join(other.lead_names)),
        "rate or unit given by hand": (one.overrides.text or "none", other.overrides.text or "none"),
    }
    if not math.isclose(one.fs_hz, other.fs_hz, rel_tol=SAME_RATE):
        differences["sampling rate"] = (f"{one.fs_hz:g} Hz", f"{other.fs_hz:g} Hz")
    for what, (first, second) in differences.items():
        if first != second:
            raise RecordError(
                f"{one.record_id} and {other.record_id} differ in {what} ({first}; {second})",
                expected="pieces of one recording",
                advice="Leave one of them out.",
            )


def _check_place(before: Record, start: datetime, after: Record, next_start: datetime) -> None:
    """Refuse a piece that begins long before the last one ends, or long after."""
    end = start + timedelta(seconds=before.duration_s)
    gap_s = (next_start - end).total_seconds()
    times = f"{before.record_id} ends at {end:{CLOCK}}, {after.record_id} begins at {next_start:{CLOCK}}"
    if -gap_s > max(MAX_OVERLAP_S, 1 / before.fs_hz):
        raise RecordError(
            f"they overlap by {duration_text(-gap_s)}",
            where=times,
            expected="pieces that follow each other",
            advice="Leave one of them out, or correct its start.",
        )
    if gap_s > MAX_GAP_S:
        raise RecordError(
            "the gap is too long within one recording",
            where=times,
            expected=f"at most {duration_text(MAX_GAP_S)}",
            got=duration_text(gap_s),
            advice="Analyse them one by one.",
        )


def _places(pieces: Sequence[Record], starts: Sequence[datetime]) -> tuple[int, ...]:
    """First sample of each piece in the joined record."""
    first, end = [], 0
    for piece, start in zip(pieces, starts, strict=True):
        place = round((start - starts[0]).total_seconds() * pieces[0].fs_hz)
        first.append(max(place, end))
        end = first[-1] + piece.n_samples
    return tuple(first)


def _doubts_of_places(pieces: Sequence[Record], starts: Sequence[datetime], first: Sequence[int]) -> list[str]:
    """Pieces that begin long after their start, as all the overlaps before them add up."""
    stated_s = [(start - starts[0]).total_seconds() for start in starts]
    late_s = [place / pieces[0].fs_hz - at_s for place, at_s in zip(first, stated_s, strict=True)]
    worst = max(range(len(pieces)), key=lambda number: late_s[number])
    if late_s[worst] <= MAX_OVERLAP_S:
        return []
    return [
        f"its pieces overlap by their starts: {pieces[worst].record_id} is placed {duration_text(late_s[worst])} later "
        f"than the {starts[worst]:{CLOCK}} that it states"
    ]


def _reference(pieces: Sequence[Record], first: Sequence[int]) -> Annotations | None:
    """Annotations of all pieces; None where one has none: every beat found there would count as false."""
    found = [piece.reference for piece in pieces]
    if any(reference is None for reference in found):
        return None
    known = [reference for reference in found if reference is not None]
    time_s = np.concatenate([one.time_s + place / pieces[0].fs_hz for one, place in zip(known, first, strict=True)])
    order = np.argsort(time_s, kind="stable")
    symbol, aux = (np.concatenate([getattr(one, name) for one in known])[order] for name in ("symbol", "aux"))
    return Annotations(time_s[order], symbol, aux)
