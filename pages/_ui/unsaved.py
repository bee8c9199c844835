"""Changes that the store could not take yet: kept in their order and tried again, until they are saved or refused."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

from ecg_core.errors import ChangeRefusedError, StoreError

from .wording import plural


class Change(NamedTuple):
    """A change of a study."""

    record_sha256: str
    make: Callable[[], object]


class UnsavedChanges:
    """The unsaved changes of one window; its pages and the thread that keeps it alive both work on them."""

    def __init__(self) -> None:
        self.problem = ""  # why the store took nothing the last time; empty where it did
        self._changes: list[Change] = []
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._changes)

    def make(self, change: Change) -> None:
        """Make a change after those that wait; raises as ``save``."""
        with self._lock:
            self._changes.append(change)
            self.save()

    def save(self) -> None:
        """Make the changes that wait, until one cannot be saved.

        Raises
        ------
        ChangeRefusedError
            A study cannot be changed: all its changes that waited are dropped, and their number is named.

        """
        with self._lock:
            while self._changes:
                change = self._changes[0]
                try:
                    change.make()
                except ChangeRefusedError as error:
                    raise self._drop(change.record_sha256, error) from error
                except StoreError as error:
                    self.problem = str(error)
                    return
                except Exception:  # a fault of this program, which would come again with every page
                    self._changes.pop(0)
                    raise
                self._changes.pop(0)
            self.problem = ""

    def _drop(self, record_sha256: str, error: ChangeRefusedError) -> ChangeRefusedError:
        n = len(self._changes)
        self._changes = [change for change in self._changes if change.record_sha256 != record_sha256]
        n_earlier = n - len(self._changes) - 1
        if not n_earlier:
            return error
        lost = plural(n_earlier, "more change")
        return ChangeRefusedError(f"{error} {lost} of this study that waited to be saved {_are(n_earlier)} lost.")


def _are(n: int) -> str:
    return "is" if n == 1 else "are"
