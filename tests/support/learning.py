"""What a check of learning may find, and an analysis with queried beats to be labelled; no network runs."""

from dataclasses import replace

import numpy as np

from ecg_core.learning import LearningCheck
from ecg_core.measuring import with_rules
from support.analyses import make_analysis

HELPS = LearningCheck(
    n_labels=20,
    held_out=(10, 6, 4, 0, 0, 0),
    said_before=(14, 5, 1, 0, 0, 0),
    right_before=(8, 2, 1, 0, 0, 0),
    right_after=(10, 5, 4, 0, 0, 0),
    others_before=(970, 20, 10, 0, 0, 0),
    others_after=(950, 30, 20, 0, 0, 0),
    n_changed=30,
    fold_agreement=0.9,
)


def with_queries(record):
    """Made-up beats on a record, of which five are queried."""
    made = replace(make_analysis(record.duration_s), record=record)
    normal = np.flatnonzero(made.beats.usable & (made.beats.label == "N"))
    made = with_rules(made, made.rules)  # its S are not premature: they would become N with the first label
    return replace(made, queried=normal[[300, 20, 100, 200, 50]])


def press(at, name):
    """Press a button of a page by its label or key; it must be there, work, and end without an error."""
    found = [item for item in at.button if name in (item.label, item.key)]
    assert len(found) == 1
    assert not found[0].disabled
    found[0].click().run()
    assert not at.exception
    assert not at.error
