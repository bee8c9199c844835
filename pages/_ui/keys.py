"""The keys of Review: what each one does, in one table that the browser, the page and the sheet of keys share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from ecg_core.edits import MARKED_NAMES
from ecg_core.labels import CLASSES, NAME
from ecg_core.studies.study import MEASURED

IN_BROWSER: Final = "browser"  # commands that strip_gestures.js carries out itself
INTERVALS: Final = dict(zip(MEASURED, ("Shift+r", "Shift+p", "Shift+q", "Shift+t"), strict=True))


@dataclass(frozen=True)
class Key:
    """What some keys do: the command with its arguments, as strip_gestures.js sends it."""

    group: str
    keys: tuple[str, ...]  # as strip_gestures.js names them
    says: str
    command: tuple[str | float, ...] = ()  # empty where a button of the page has the key itself

    @property
    def shown(self) -> str:
        """The keys as a reader knows them."""
        return " or ".join(map(shown_key, self.keys))


SHOWN_AS: Final = {
    "ArrowLeft": "Left", "ArrowRight": "Right", "Escape": "Esc", ",": "comma", ".": "full stop", "+": "plus",
    "-": "minus", "?": "question mark",
}  # fmt: skip


def shown_key(key: str) -> str:
    """A key as a reader knows it: "Shift+Left" for "Shift+ArrowLeft"."""
    shift = "Shift+" if key.startswith("Shift+") else ""
    name = key.removeprefix(shift)
    return shift + SHOWN_AS.get(name, name.upper() if len(name) == 1 else name)


MOVE, EDIT, MARK, MEASURE, MORE = "Move", "Edit", "Choose a range", "Measure", "More"
KEYS: Final = (
    Key(MOVE, ("ArrowLeft",), "one strip back", ("page", -1)),
    Key(MOVE, ("ArrowRight",), "one strip forward", ("page", 1)),
    Key(MOVE, ("Shift+ArrowLeft", ","), "the beat before", ("beat", -1)),
    Key(MOVE, ("Shift+ArrowRight", "."), "the next beat", ("beat", 1)),
    Key(MOVE, ("p",), "the one before of what is stepped through", ("stop", -1)),
    Key(MOVE, ("n",), "the next of what is stepped through", ("stop", 1)),
    Key(MOVE, ("Home",), "the start of the recording", ("start",)),
    Key(MOVE, ("End",), "the end of the recording", ("end",)),
    Key(MOVE, ("g",), "go to a time: type it, then Enter", (IN_BROWSER, "goto")),
    Key(MOVE, ("+",), "closer: fewer seconds or a faster paper", ("zoom", 1)),
    Key(MOVE, ("-",), "further away", ("zoom", -1)),
    *(
        Key(EDIT, (str(number),), f"label the beat, or all beats of the range: {NAME[label].lower()}", ("label", label))
        for number, label in enumerate(CLASSES, 1)
    ),
    Key(EDIT, ("Delete", "0"), "not a beat: delete it, or all beats of the range", ("delete",)),
    Key(EDIT, ("i",), "insert a beat: click it, or move the cursor and press Enter", (IN_BROWSER, "insert")),
    Key(EDIT, ("u",), "undo", ("undo",)),
    Key(EDIT, ("Shift+u", "y"), "redo", ("redo",)),
    Key(MARK, ("e",), "choose a range: drag, or press Enter at its start and at its end", (IN_BROWSER, "range")),
    Key(MARK, ("x",), "the range is artefact", ("mark", "artefact")),
    Key(MARK, ("z",), "the range is analysable", ("mark", "analysable")),
    *(
        Key(MARK, (f"Shift+{number}",), f"the range is {name[0].lower()}{name[1:]}", ("rhythm", rhythm))
        for number, (rhythm, name) in enumerate(MARKED_NAMES.items(), 1)
    ),
    Key(MEASURE, ("m",), "calipers: click, or press Enter, at the start and at the end", (IN_BROWSER, "calipers")),
    Key(MEASURE, ("k",), "march out the interval between the calipers", (IN_BROWSER, "march")),
    *(
        Key(MEASURE, (key,), f"keep what the calipers measure as {interval}", (IN_BROWSER, "keep", interval))
        for interval, key in INTERVALS.items()
    ),
    Key(MORE, ("Escape",), "clear calipers, range and cursor", (IN_BROWSER, "clear")),
    Key(MORE, ("a",), "step through the queried beats"),
    Key(MORE, ("t",), "the strip to the report"),
    Key(MORE, ("l",), "learn from my labels"),
    Key(MORE, ("o",), "check the attention by occlusion"),
    Key(MORE, ("?",), "this sheet", ("sheet",)),
)
GESTURES: Final = (
    ("Click on the strip", "choose the beat"),
    ("Drag", "move the strip"),
    ("Wheel", "closer and further away"),
    ("Shift+drag", "choose a range; Shift+click makes it longer, on another strip too"),
    ("Left, Right in a mode", "move its cursor by 20 ms, with Shift by 200 ms"),
)


def bound_keys() -> dict[str, list[Any]]:
    """The command of each key, as strip_gestures.js takes them."""
    return {name: list(key.command) for key in KEYS if key.command for name in key.keys}


def keys_table(group: str) -> pd.DataFrame:
    """The keys of a group with what they do."""
    rows = [(key.shown, key.says) for key in KEYS if key.group == group]
    return pd.DataFrame(rows, columns=["Key", group])
