"""The exceptions that a user can meet: each message is a sentence that says what, where, expected, got, what to do."""

MOST_LETTERS = 120  # of what another library says


def said(words: object) -> str:
    """What a file or another library says, as part of a sentence: printable, on one line and not long."""
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in str(words)).split())
    return text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]} ..."


class EcgError(Exception):
    """Base of every error that the user's input can cause; the command line prints it and exits with 2."""


class RecordError(EcgError):
    """A record cannot be read: a missing, truncated, renamed or lying file."""


class UnstatedError(RecordError):
    """A file states no rate, or no unit of its numbers: nothing of it is guessed, a person has to state it."""

    def __init__(self, message: str, *, rate: bool, unit: bool) -> None:
        super().__init__(message)
        self.rate, self.unit = rate, unit  # what is missing


class LeadError(EcgError):
    """A lead was asked for that the record does not have, or that holds no usable signal."""


class ModelError(EcgError):
    """Weights or their spec are missing, foreign or altered."""


class RulesError(EcgError):
    """A rule is unknown, or its value is none that it can have."""


class DownloadError(EcgError):
    """A database cannot be fetched; what was fetched until then is kept."""


class OutputError(EcgError):
    """A result cannot be written where it was asked for."""


class Cancelled(EcgError):
    """The user stopped the work; nothing was written."""
