"""What the tests share: the shipped model, one analysis of the demo record, records in memory and on disk."""

import os
import sys
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # each of several processes, and what it starts, works in one thread
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import settings
from support import postgresql, sharing
from support.analyses import rhythms_of
from support.records import DEMO
from support.stores import POSTGRESQL, SQLITE

from ecg_core.classifier.model import load_model
from ecg_core.parallel import use_threads
from ecg_core.pipeline import analyse
from ecg_core.records import read_record
from ecg_core.rhythm.burden import measure_burden
from ecg_core.rhythm.danger import no_waveform
from ecg_core.rules import RhythmRules
from ecg_core.schema import Analysis, Attention, Quality
from ecg_core.studies.store import open_store

settings.register_profile("patient", deadline=None)  # a busy machine is no failure
settings.load_profile("patient")
os.environ["ECG_EPHEMERAL"] = "1"  # no test may touch the studies of whoever runs it
os.environ.pop("ECG_STUDIES_URL", None)
os.environ["ECG_MODELS"] = os.devnull  # nor their models: a test that keeps some names a folder

STARTED_BY = sys.modules["__main__"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return sharing.scheduling(config, log)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: sharing.rank(item.path.stem))  # stable: within a file, the order stays


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
    use_threads(1)
    return load_model()


@pytest.fixture
def own_models(tmp_path, monkeypatch):
    """A folder for the user's own models, not made yet."""
    monkeypatch.setenv("ECG_MODELS", str(tmp_path / "own"))
    return tmp_path / "own"


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


@pytest.fixture(scope="session")
def postgresql_address():
    """The address of a database on a real server, by its name."""
    if postgresql.program("initdb") is None:
        pytest.skip("PostgreSQL is not installed: there is no server to keep studies on")
    with postgresql.serving() as address:
        yield address


@pytest.fixture
def server_database(postgresql_address, request):
    """The address of a new, empty database on the server."""
    import psycopg

    name = f"studies_{abs(hash(request.node.nodeid))}"
    server = postgresql_address("postgres").replace("+psycopg", "")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
    yield postgresql_address(name)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def store_address(request):
    """The address of an empty database of each kind; an empty one means a file in the folder of the store."""
    return "" if request.param == SQLITE else request.getfixturevalue("server_database")


@pytest.fixture
def store(tmp_path, store_address):
    """An empty store, on each kind of database."""
    opened = open_store(tmp_path / "store", url=store_address)
    yield opened
    opened.close()


@pytest.fixture
def file_store(tmp_path):
    """An empty store on SQLite, for what does not depend on the database."""
    opened = open_store(tmp_path / "store", url="")
    yield opened
    opened.close()
