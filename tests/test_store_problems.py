"""A store that is damaged, full, locked, write-protected, foreign or out of reach: one sentence, nothing changed."""

import os
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from support.analyses import make_analysis
from support.processes import started
from support.stores import READER, add_small, edit, with_record

from ecg_core.edits import Label, LabelEdit
from ecg_core.errors import ChangeRefusedError, StoreError
from ecg_core.notes import DiaryEntry, Patient, ReportStrip
from ecg_core.records import read_record
from ecg_core.studies import audit, migrations, store
from ecg_core.studies.analyses import AnalysisKey, load_analysis, save_analysis, save_shown
from ecg_core.studies.edits import add_edit, edits_of
from ecg_core.studies.holding import hold
from ecg_core.studies.migrations import HEAD, REVISIONS, upgrade
from ecg_core.studies.store import DATABASE, VERSION_TABLE, open_store
from ecg_core.studies.study import Editor, find_one, find_studies, get_study, set_archived
from ecg_core.studies.study_notes import notes_of, set_diary, set_narrative, set_patient, set_report_strips
from ecg_core.studies.tables import Base

posix = pytest.mark.skipif(os.name != "posix", reason="users and limits of POSIX")
NOBODY = 65534
NEXT = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "9998", "{head}"


def upgrade():
    op.add_column("study", sa.Column("colour", sa.String(), nullable=False, server_default="red"))
    {more}
"""


def is_one_sentence(error):
    sentence = str(error)
    assert isinstance(error, StoreError)
    assert sentence.endswith((".", ")"))
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    assert "sqlalche.me" not in sentence
    return True


@pytest.fixture
def filled(tmp_path):
    """The folder of a closed store with some studies, and the hashes of these."""
    opened = open_store(tmp_path / "store", url="")
    studies = [add_small(opened, tmp_path / str(number)).record_sha256 for number in range(4)]
    for number in range(12):
        add_edit(opened, studies[0], LabelEdit(tuple(Label(beat / 8, "V") for beat in range(60 + number))), READER)
    set_diary(opened, studies[1], [DiaryEntry(1.0, "dizzy", "x" * 9000)], READER)
    opened.close()
    return opened.folder, studies


def use(folder, studies):
    """Open a store and read all of it."""
    opened = open_store(folder, url="")
    try:
        find_studies(opened)
        for sha256 in studies:
            get_study(opened, sha256)
            edits_of(opened, sha256)
            notes_of(opened, sha256)
            audit.trail(opened, sha256)
            audit.verify(opened, sha256)
        add_edit(opened, studies[0], edit(1), READER)
    finally:
        opened.close()


def test_a_page_of_zeros_anywhere_is_found_in_a_sentence_and_overwrites_nothing(tmp_path, filled):
    folder, studies = filled
    content = (folder / DATABASE).read_bytes()
    page = int.from_bytes(content[16:18], "big")
    n_pages, n_refused = len(content) // page, 0
    assert n_pages > 30
    for number in range(n_pages):
        damaged = content[: number * page] + bytes(page) + content[(number + 1) * page :]
        copy = tmp_path / f"copy {number}"
        copy.mkdir()
        (copy / DATABASE).write_bytes(damaged)
        try:
            open_store(copy, url="").close()
        except StoreError as error:
            n_refused += is_one_sentence(error)
            assert str(copy / DATABASE) in str(error)
            assert (copy / DATABASE).read_bytes() == damaged
            continue
        try:
            use(copy, studies)
        except StoreError as error:  # a page of text alone: its content is not what was stored
            assert is_one_sentence(error)
    assert n_refused > n_pages // 2


@pytest.mark.parametrize(
    "content", [b"no database, but a text\n" * 400, os.urandom(40_000), b"SQLite format 3\0" + bytes(4000)]
)
def test_a_file_that_is_no_database_is_refused_and_stays(tmp_path, content):
    (tmp_path / DATABASE).write_bytes(content)
    with pytest.raises(StoreError, match="damaged") as refused:
        open_store(tmp_path, url="")
    assert is_one_sentence(refused.value)
    assert (tmp_path / DATABASE).read_bytes() == content


def test_the_database_of_another_program_is_refused_and_stays(tmp_path):
    with closing(sqlite3.connect(tmp_path / DATABASE)) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
        other.commit()
    before = (tmp_path / DATABASE).read_bytes()
    with pytest.raises(StoreError, match=r"another program \(recipes\)") as refused:
        open_store(tmp_path, url="")
    assert is_one_sentence(refused.value)
    assert (tmp_path / DATABASE).read_bytes() == before


def test_a_store_of_a_newer_version_is_refused_and_stays(tmp_path, store_address):
    opened = open_store(tmp_path, url=store_address)
    with opened.writing() as session:
        session.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))  # noqa: S608
    opened.close()
    with pytest.raises(StoreError, match=r"newer version of this program .*9999") as refused:
        open_store(tmp_path, url=store_address)
    assert is_one_sentence(refused.value)


def test_a_store_that_another_program_holds_is_refused_after_a_while(filled, monkeypatch):
    folder, studies = filled
    monkeypatch.setattr(store, "BUSY_WAIT_MS", 50)
    opened = open_store(folder, url="")
    with closing(sqlite3.connect(folder / DATABASE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another program holds it") as refused:
            add_edit(opened, studies[0], edit(1), READER)
        assert is_one_sentence(refused.value)
        assert len(edits_of(opened, studies[0])) == 12  # reading goes on
        with pytest.raises(StoreError, match="another program holds it"):
            open_store(folder, url="")
        other.execute("ROLLBACK")
    add_edit(opened, studies[0], edit(1), READER)
    opened.close()


def test_a_server_table_that_another_program_holds_is_refused_after_a_while(tmp_path, server_database, monkeypatch):
    monkeypatch.setattr(store, "BUSY_WAIT_MS", 50)
    opened = open_store(tmp_path / "store", url=server_database)
    sha256 = add_small(opened, tmp_path).record_sha256
    with opened.engine.begin() as other:
        other.execute(text("LOCK TABLE study IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(StoreError, match="another program holds it") as refused:
            add_edit(opened, sha256, edit(1), READER)
    assert is_one_sentence(refused.value)
    add_edit(opened, sha256, edit(1), READER)
    opened.close()


def sentence_of(work, prepare=lambda: None):
    """What a forked process meets; empty where the work is done."""
    reading, writing = os.pipe()

    def child():
        prepare()
        try:
            work()
        except StoreError as error:
            os.write(writing, str(error).encode())

    number = started(child)
    os.close(writing)
    with os.fdopen(reading) as stream:
        sentence = stream.read()
    _, status = os.waitpid(number, 0)
    assert status == 0, sentence
    return sentence


@posix
@pytest.mark.parametrize("protected", ["folder", "file"])
def test_a_write_protected_store_is_refused_in_a_sentence(filled, protected):
    def as_somebody_else():
        if os.geteuid() == 0:  # whom no protection stops
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)

    place = Path(tempfile.mkdtemp(dir="/tmp"))  # where everybody may look
    try:
        shutil.copytree(filled[0], place / "store")
        database = place / "store" / DATABASE
        place.chmod(0o755)
        database.chmod(0o444 if protected == "file" else 0o666)
        (place / "store").chmod(0o777 if protected == "file" else 0o555)
        before = database.read_bytes()
        sentence = sentence_of(lambda: open_store(place / "store", url=""), as_somebody_else)
        assert str(database) in sentence
        assert "access" in sentence
        assert database.read_bytes() == before
    finally:
        (place / "store").chmod(0o755)
        shutil.rmtree(place)


def test_a_folder_that_cannot_be_made_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("mine")
    for place in ("file", "file/inside"):
        with pytest.raises(StoreError, match="cannot be kept there") as refused:
            open_store(tmp_path / place, url="")
        assert is_one_sentence(refused.value)
    assert (tmp_path / "file").read_text() == "mine"


@posix
def test_a_disk_that_runs_full_loses_nothing_that_was_saved(filled):
    folder, studies = filled
    room = (folder / DATABASE).stat().st_size

    def cramped():
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    def fill():
        opened = open_store(folder, url="")
        for number in range(10_000):
            add_edit(opened, studies[2], LabelEdit(tuple(Label(beat / 8, "V") for beat in range(100 + number))), READER)

    sentence = sentence_of(fill, cramped)
    assert "not saved" in sentence
    assert str(folder / DATABASE) in sentence
    opened = open_store(folder, url="")
    assert len(edits_of(opened, studies[0])) == 12
    assert edits_of(opened, studies[2])[0] == LabelEdit(tuple(Label(beat / 8, "V") for beat in range(100)))
    assert [audit.verify(opened, sha256) for sha256 in studies] == [()] * 4
    add_edit(opened, studies[2], edit(1), READER)
    opened.close()


def test_a_full_database_takes_all_of_a_change_or_nothing(filled):
    folder, studies = filled
    opened = open_store(folder, url="")
    with opened.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    with opened.writing() as session:
        session.connection().exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    before = get_study(opened, studies[2])
    with pytest.raises(StoreError, match="the disk is full") as refused:
        add_edit(opened, studies[2], LabelEdit(tuple(Label(beat / 8, "V") for beat in range(9000))), READER)
    assert is_one_sentence(refused.value)
    assert get_study(opened, studies[2]) == before
    assert edits_of(opened, studies[2]) == ()
    assert audit.verify(opened, studies[2]) == ()
    opened.close()


@posix
def test_an_analysis_that_does_not_fit_on_the_disk_is_not_there(tmp_path, file_store):
    study = add_small(file_store, tmp_path)
    analysis = with_record(make_analysis(), read_record(study.path))
    key = AnalysisKey(study.record_sha256, "II", "0" * 64, analysis.rules)

    def cramped():
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    for work in (lambda: save_analysis(file_store, key, analysis), lambda: save_shown(file_store, key, (), analysis)):
        assert "the analysis cannot be kept" in sentence_of(work, cramped)
    assert list(file_store.folder.rglob("*.npz*")) == []
    assert load_analysis(file_store, key, analysis.record) is None
    save_analysis(file_store, key, analysis)
    assert len(load_analysis(file_store, key, analysis.record).beats) == len(analysis.beats)


def test_a_damaged_analysis_is_made_again_and_never_used(tmp_path, file_store):
    study = add_small(file_store, tmp_path)
    analysis = with_record(make_analysis(), read_record(study.path))
    key = AnalysisKey(study.record_sha256, "II", "0" * 64, analysis.rules)
    save_analysis(file_store, key, analysis)
    path = file_store.folder / "analyses" / f"{key.digest}.npz"
    content = path.read_bytes()
    for start in range(0, len(content), len(content) // 40):
        path.write_bytes(content[:start] + bytes(2000) + content[start + 2000 :])
        found = load_analysis(file_store, key, analysis.record)
        assert found is None or len(found.beats) == len(analysis.beats)  # a damaged end mark alone does no harm
    path.write_bytes(content[: len(content) // 2])
    assert load_analysis(file_store, key, analysis.record) is None


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("postgresql+psycopg://me:secret@127.0.0.1:1/studies", "cannot be reached"),
        ("postgresql://me:secret@127.0.0.1:1/studies", "cannot be reached"),
        ("postgresql+psycopg://me:secret@no-such-host.invalid/studies", "cannot be reached"),
        ("postgresql+psycopg://me:secret@/studies?host=/no/such/folder", "cannot be reached"),
        ("mysql://me:secret@127.0.0.1/studies", "SQLite or PostgreSQL"),
        ("studies.sqlite:secret", "expected the address of a database"),
        ("sqlite:////no/such/folder/studies.sqlite", "cannot be opened"),
    ],
)
def test_a_database_that_is_not_there_is_refused_without_its_password(tmp_path, monkeypatch, address, expected):
    monkeypatch.setenv("ECG_STUDIES_URL", address)
    with pytest.raises(StoreError, match=expected) as refused:
        open_store(tmp_path)
    assert is_one_sentence(refused.value)
    assert "secret" not in str(refused.value)


def test_a_server_without_the_database_is_refused_in_a_sentence(tmp_path, postgresql_address):
    with pytest.raises(StoreError, match="no such database") as refused:
        open_store(tmp_path, url=postgresql_address("nowhere"))
    assert is_one_sentence(refused.value)


def test_a_missing_driver_is_named_with_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match="pip install") as refused:
        open_store(tmp_path, url="postgresql+psycopg://me:secret@127.0.0.1/studies")
    assert is_one_sentence(refused.value)
    assert "secret" not in str(refused.value)


def test_a_server_that_goes_away_in_between_ends_in_a_sentence(tmp_path, server_database):
    opened = open_store(tmp_path / "store", url=server_database)
    sha256 = add_small(opened, tmp_path).record_sha256
    with pytest.raises(StoreError) as refused, opened.writing() as session:
        own = session.execute(text("SELECT pg_backend_pid()")).scalar()
        with opened.engine.connect() as other:
            other.execute(text(f"SELECT pg_terminate_backend({own})"))
        session.execute(text("SELECT 1"))
    assert is_one_sentence(refused.value)
    add_edit(opened, sha256, edit(1), READER)
    opened.close()


BROKEN = "half a letter \ud83d"
WITH_A_TEXT = {
    "label": lambda store, sha256, text: add_edit(store, sha256, edit(1), Editor(text, "test")),
    "patient": lambda store, sha256, text: set_patient(store, sha256, Patient(name=text), READER),
    "narrative": lambda store, sha256, text: set_narrative(store, sha256, text, READER),
    "diary": lambda store, sha256, text: set_diary(store, sha256, [DiaryEntry(1.0, text)], READER),
    "note": lambda store, sha256, text: set_diary(store, sha256, [DiaryEntry(1.0, "other", text)], READER),
    "strip": lambda store, sha256, text: set_report_strips(store, sha256, [ReportStrip(1.0, text)], READER),
    "archive": lambda store, sha256, text: set_archived(store, sha256, Editor(text, "test"), archived=True),
    "hold": lambda store, sha256, text: hold(store, sha256, session="test", reader=text),
    "search": lambda store, _sha256, text: find_one(store, text),
}


@pytest.mark.parametrize("name", WITH_A_TEXT)
def test_a_text_that_cannot_be_stored_is_refused_wherever_it_enters(tmp_path, store_address, name):
    opened = open_store(tmp_path / "store", url=store_address)
    sha256 = add_small(opened, tmp_path).record_sha256
    before = get_study(opened, sha256), audit.trail(opened, sha256), notes_of(opened, sha256)
    with pytest.raises(ChangeRefusedError, match="cannot be stored: nothing was changed") as refused:
        WITH_A_TEXT[name](opened, sha256, BROKEN)
    assert is_one_sentence(refused.value)
    assert (get_study(opened, sha256), audit.trail(opened, sha256), notes_of(opened, sha256)) == before
    opened.close()


def test_a_nul_is_kept_or_refused_for_good(tmp_path, store_address):
    """A window tries again what was not saved, but not what was refused."""
    opened = open_store(tmp_path / "store", url=store_address)
    sha256 = add_small(opened, tmp_path).record_sha256
    try:
        set_narrative(opened, sha256, "a\0b", READER)
    except ChangeRefusedError as error:
        assert is_one_sentence(error)
        assert notes_of(opened, sha256).narrative == ""
    else:
        assert notes_of(opened, sha256).narrative == "a\0b"
    assert audit.verify(opened, sha256) == ()
    opened.close()


def test_the_migrations_make_the_tables_that_the_code_knows(tmp_path, store_address):
    opened = open_store(tmp_path, url=store_address)
    with opened.engine.execution_options(writes=True).begin() as connection:
        Base.metadata.drop_all(connection)
        connection.execute(text(f"DROP TABLE {VERSION_TABLE}"))
        upgrade(connection)
    with opened.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        assert connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar() == HEAD  # noqa: S608
    opened.close()
    open_store(tmp_path, url=store_address).close()


def test_a_store_of_the_first_version_opens_and_its_studies_say_nothing_of_the_training(tmp_path, store_address):
    opened = open_store(tmp_path, url=store_address)
    sha256 = add_small(opened, tmp_path).record_sha256
    with opened.engine.execution_options(writes=True).begin() as connection:
        for column in ("unlike_pct", "narratives", "notes_key"):
            connection.execute(text(f"ALTER TABLE study DROP COLUMN {column}"))
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '{REVISIONS[0]}'"))  # noqa: S608
    opened.close()
    again = open_store(tmp_path, url=store_address)
    assert get_study(again, sha256).unlike_pct is None
    assert (tmp_path / "studies.0001.sqlite").exists() == (store_address == "")
    again.close()


@pytest.fixture
def next_version(tmp_path, monkeypatch):
    """Have the program know one migration more; call it with what else that does."""

    def install(more=""):
        scripts = tmp_path / "migrations 100%"
        shutil.copytree(migrations.SCRIPTS, scripts, dirs_exist_ok=True)
        (scripts / "versions" / "9998_next.py").write_text(NEXT.format(head=HEAD, more=more))
        monkeypatch.setattr(migrations, "SCRIPTS", scripts)
        monkeypatch.setattr(store, "REVISIONS", (*REVISIONS, "9998"))
        monkeypatch.setattr(store, "HEAD", "9998")

    return install


def test_a_store_of_this_version_opens_in_the_next_and_a_copy_is_kept(tmp_path, store_address, next_version):
    opened = open_store(tmp_path / "store", url=store_address)
    sha256 = add_small(opened, tmp_path).record_sha256
    add_edit(opened, sha256, edit(1), READER)
    opened.close()
    next_version()
    again = open_store(tmp_path / "store", url=store_address)
    with again.reading() as session:
        assert session.execute(text("SELECT colour FROM study")).scalar() == "red"
    assert edits_of(again, sha256) == (edit(1),)
    assert audit.verify(again, sha256) == ()
    again.close()
    open_store(tmp_path / "store", url=store_address).close()
    copy = tmp_path / "store" / f"studies.{HEAD}.sqlite"
    assert copy.exists() == (store_address == "")
    if copy.exists():
        with closing(sqlite3.connect(copy)) as kept:
            assert kept.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone() == (HEAD,)  # noqa: S608
            assert kept.execute("SELECT count(*) FROM edit").fetchone() == (1,)


def test_a_migration_that_fails_changes_nothing(tmp_path, store_address, next_version, monkeypatch):
    opened = open_store(tmp_path / "store", url=store_address)
    sha256 = add_small(opened, tmp_path).record_sha256
    opened.close()
    next_version("op.execute('UPDATE nowhere SET x = 1')")
    with pytest.raises(StoreError) as refused:
        open_store(tmp_path / "store", url=store_address)
    assert is_one_sentence(refused.value)
    monkeypatch.undo()
    again = open_store(tmp_path / "store", url=store_address)
    assert get_study(again, sha256) is not None
    again.close()


def test_no_migration_begins_where_no_copy_can_be_kept(filled, next_version):
    folder, _ = filled
    (folder / f"studies.{HEAD}.sqlite").mkdir()
    next_version()
    with pytest.raises(StoreError, match="copy") as refused:
        open_store(folder, url="")
    assert is_one_sentence(refused.value)
    with closing(sqlite3.connect(folder / DATABASE)) as kept:
        assert kept.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone() == (HEAD,)  # noqa: S608
