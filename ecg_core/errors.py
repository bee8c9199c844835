"""The exceptions that a user can meet.

An error says what is wrong, where, what was expected, what was found, and what to do. How to mend it may depend on
where it is shown: an error names the ``settings`` that would help, and the command line words them as its options, the
browser as its controls.
"""

from __future__ import annotations

from copy import copy
from typing import Final, Self

from .text import one_line

FIELDS: Final = ("where", "position", "what", "expected", "got", "advice")  # of an error, in the order of its sentences


class EcgError(Exception):
    """Base of every error that the user's input can cause; the command line prints it and exits with 2.

    Its text is made of its fields, of which each but one may be empty; each is on one line, whatever the names of files
    in it hold.

    Parameters
    ----------
    what
        What is wrong.
    where
        The file, folder or record.
    position
        Line, column or byte in it.
    expected, got
        What should be there, and what is.
    advice
        What to do, in sentences.
    settings
        Names of the settings that would mend it, such as ``lead`` or ``out``: the command line knows each as an option.

    Examples
    --------
    >>> print(EcgError("is damaged", where="a.csv", position="line 9", expected="2 cells", got="1", advice="Mend it."))
    a.csv: line 9: is damaged: expected 2 cells, got 1. Mend it.

    """

    def __init__(
        self,
        what: str = "",
        *,
        where: object = "",
        position: str = "",
        expected: str = "",
        got: str = "",
        advice: str = "",
        settings: tuple[str, ...] = (),
    ) -> None:
        super().__init__(what)
        self.what, self.where, self.position = one_line(what), one_line(str(where)), one_line(position)
        self.expected, self.got, self.advice = one_line(expected), one_line(got), one_line(advice)
        self.settings = settings

    @property
    def problem(self) -> str:
        """The text without the advice."""
        compared = [f"{name} {text}" for name, text in (("expected", self.expected), ("got", self.got)) if text]
        parts = [part for part in (self.where, self.position, self.what, ", ".join(compared)) if part]
        text = ": ".join(parts)
        return text if (text == self.what and not self.advice) or text.endswith(".") else f"{text}."

    @property
    def fields(self) -> dict[str, str]:
        """Its fields by their names, for a file or another program."""
        return {name: getattr(self, name) for name in FIELDS}

    def inside(self, where: object) -> Self:
        """The same error of a file that lies inside another one, such as an archive."""
        outer = copy(self)
        outer.where = ": ".join(filter(None, (one_line(str(where)), self.where)))
        return outer

    def __str__(self) -> str:
        """What is wrong, and what to do."""
        return f"{self.problem} {self.advice}".strip()


class RecordError(EcgError):
    """A record cannot be read: a missing, truncated, renamed or inconsistent file."""


class MissingMetadataError(RecordError):
    """A file states no rate, or no unit of its numbers: neither is guessed; it must be given by hand."""

    def __init__(
        self, what: str = "", *, rate: bool = False, unit: bool = False, where: object = "", advice: str = ""
    ) -> None:
        super().__init__(what, where=where, advice=advice, settings=("fs",) * rate + ("unit",) * unit)
        self.rate, self.unit = rate, unit  # whether each is missing


class LeadError(EcgError):
    """The record does not have the chosen lead, or the lead holds no signal."""


class ModelError(EcgError):
    """Weights or their spec are missing, foreign or altered."""


class AdaptationError(EcgError):
    """A model cannot be adapted to these recordings, or the adapted one cannot be kept."""


class RulesError(EcgError):
    """A rule is unknown, or its value is outside its bounds."""


class DownloadError(EcgError):
    """A database cannot be fetched; files that are complete are kept."""


class OutputError(EcgError):
    """A result cannot be written to the chosen folder or file."""


class LiveError(EcgError):
    """A live stream cannot be found, identified or parsed, or cannot continue."""


class OtherSenderError(LiveError):
    """What a sender describes is not the stream that is monitored: another name, or no known unit any more."""


class ClusterError(EcgError):
    """The scheduler of a cluster cannot be reached."""


class StoreError(EcgError):
    """The store of studies cannot be opened, read or written."""


class ChangeRefusedError(StoreError):
    """A study cannot be changed as it is now: trying again does not help."""


class StudyHeldError(ChangeRefusedError):
    """Another reader, or another window, works on the study: it cannot be changed from here."""


class RecordMovedError(StoreError):
    """The recording of a study is no longer where it was; ``place`` is where."""

    def __init__(self, message: str, *, place: str) -> None:
        super().__init__(message)
        self.place = place


class Cancelled(EcgError):
    """The user stopped the work; nothing was written."""
