"""What the tests share: the shipped model, one analysis of the demo record, records in memory and on disk."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from support.analyses import rhythms_of
from support.records import DEMO

from ecg_core.classifier.model import load_model
from ecg_core.pipeline import analyse
from ecg_core.records import read_record
from ecg_core.rhythm.burden import measure_burden
from ecg_core.rhythm.danger import no_waveform
from ecg_core.rules import RhythmRules
from ecg_core.schema import Analysis, Attention, Quality

settings.register_profile("patient", deadline=None)  # a busy machine is no failure
settings.load_profile("patient")
os.environ["ECG_EPHEMERAL"] = "1"  # no test may touch the studies of whoever runs it
os.environ.pop("ECG_STUDIES_URL", None)

STARTED_BY = sys.modules["__main__"]


@pytest.fixture(autouse=True)
def _main_module():
    """Streamlit puts the page that it runs in the place of `__main__`, where a spawned process would run it again."""
    sys.modules["__main__"] = STARTED_BY
    yield
    sys.modules["__main__"] = STARTED_BY


@pytest.fixture(scope="session")
def databases():
    """The folder of the real databases."""
    if "ECG_DATABASES" not in os.environ:
        pytest.skip("ECG_DATABASES is not set: the real databases are not at hand")
    return Path(os.environ["ECG_DATABASES"])


@pytest.fixture(scope="session")
def model():
    torch.set_num_threads(1)
    return load_model()


@pytest.fixture(scope="session")
def demo():
    return read_record(DEMO)


@pytest.fixture(scope="session")
def demo_analysis(demo, model):
    return analyse(demo, model)


@pytest.fixture(scope="session")
def excerpt(demo):
    """Ten minutes of lead II with ectopic beats of all kinds: 6:00 to 16:00, shape (n,)."""
    fs_hz = round(demo.fs_hz)
    signal = demo.source.read(360 * fs_hz, 960 * fs_hz, (demo.lead_names.index("II"),))[0]
    signal.flags.writeable = False
    return signal


@pytest.fixture(scope="session")
def make_analysis(demo, model):
    """An analysis of given beats, as if of the demo record; all of it analysable by default."""

    def make(beats, *, duration_s=demo.duration_s, usable=None):
        n_blocks = int(np.ceil(duration_s / 10))
        usable = np.ones(n_blocks, dtype=bool) if usable is None else np.asarray(usable)
        quality = Quality(10.0, usable[None].astype(np.float32), usable)
        rules = RhythmRules()
        events = rhythms_of(beats, rules)
        return Analysis(
            record=demo,
            lead_names=("II",),
            model=model.spec,
            rules=rules,
            quality=quality,
            predicted=beats,
            beats=beats,
            attention=Attention(
                np.full((len(beats), 3), 1 / 3, dtype=np.float16), np.array([-0.1, 0, 0.1], np.float32)
            ),
            waveform=no_waveform(duration_s),
            events=events,
            burden=measure_burden(beats, events, quality=quality, duration_s=duration_s, rules=rules),
        )

    return make
