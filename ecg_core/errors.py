"""The exceptions that a user can meet.

A message says what is wrong, where, what was expected and what was found. How to mend it depends on where it is shown:
an error names the ``settings`` that would help, and the command line words them as its options, the browser as its
controls.
"""

from .text import one_line


class EcgError(Exception):
    """Base of every error that the user's input can cause; the command line prints it and exits with 2.

    Parameters
    ----------
    message
        What is wrong, where, expected, got.
    settings
        Names of the settings that would mend it, such as ``lead`` or ``out``: the command line knows each as an option.

    """

    def __init__(self, message: str = "", *, settings: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.settings = settings

    def __str__(self) -> str:
        """One line, whatever the names of files in it hold."""
        return one_line(super().__str__())


class RecordError(EcgError):
    """A record cannot be read: a missing, truncated, renamed or inconsistent file."""


class MissingMetadataError(RecordError):
    """A file states no rate, or no unit of its numbers: neither is guessed; it must be given by hand."""

    def __init__(self, message: str, *, rate: bool, unit: bool) -> None:
        super().__init__(message, settings=("fs",) * rate + ("unit",) * unit)
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
