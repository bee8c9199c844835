"""A study is found by what a person types: the path of its record, its name, or the first digits of its hash."""

import os
from dataclasses import replace

import pytest
from support.made_files import FS_HZ, signal, write_edf
from support.records import write_record

from ecg_core.errors import StoreError
from ecg_core.records import read_record
from ecg_core.studies.store import open_store
from ecg_core.studies.study import Editor, add_study, find_one

EDITOR = Editor("A. Reader", "test")


@pytest.fixture
def store(tmp_path):
    opened = open_store(tmp_path / "studies", url="")
    yield opened
    opened.close()


@pytest.fixture
def records(tmp_path, store):
    """A WFDB record, and two EDF files of one name in different folders, all in the store."""
    write_record(tmp_path, "w", signal(1), FS_HZ, lead_names=("II",))
    paths = [tmp_path / "w"]
    for number, folder in enumerate(("one", "two"), 1):
        (tmp_path / folder).mkdir()
        paths.append(write_edf(tmp_path / folder / "same.edf", number * signal()))
    found = [read_record(path) for path in paths]
    for record in found:
        add_study(store, record, EDITOR)
    return found


def found(store, text):
    return find_one(store, str(text)).record_sha256


def test_a_study_is_found_by_any_path_of_its_record(tmp_path, store, records, monkeypatch):
    monkeypatch.chdir(tmp_path / "one")
    for text in (tmp_path / "w", tmp_path / "w.hea", tmp_path / "w.dat", "../w", "../two/../w.hea"):
        assert found(store, text) == records[0].sha256, text
    assert found(store, "same.edf") == records[1].sha256
    assert found(store, f"..{os.sep}two{os.sep}same.edf") == records[2].sha256


def test_a_study_is_found_by_its_name_and_by_the_first_digits_of_its_hash(store, records):
    assert found(store, "w") == records[0].sha256
    for record in records:
        for text in (record.sha256, record.sha256[:6], record.sha256[:9].upper()):
            assert found(store, text) == record.sha256


def test_several_studies_of_one_name_are_listed_with_what_separates_them(tmp_path, store, records):
    with pytest.raises(StoreError) as error:
        find_one(store, "same")
    sentence = str(error.value)
    assert "2 studies fit, expected one" in sentence
    for record in records[1:]:
        assert record.sha256[:8] in sentence
    assert str(tmp_path / "two" / "same.edf") in sentence


@pytest.mark.parametrize("text", ["nothing", "", "%", "abc", "000000000000", "\x00"])
def test_what_fits_no_study_is_refused_in_a_sentence(store, records, text):
    with pytest.raises(StoreError, match="no study has this path, this name"):
        find_one(store, text)


def test_too_few_digits_of_a_hash_name_no_study(store, records):
    with pytest.raises(StoreError, match="at least six digits"):
        find_one(store, records[0].sha256[:5])


def test_a_name_counts_before_the_beginning_of_a_hash(store, records):
    add_study(store, replace(records[2], record_id=records[1].sha256[:6], comments=("other",)), EDITOR)  # known: stays
    write = replace(records[0], record_id=records[1].sha256[:6], overrides=replace(records[0].overrides, per_mv=7.0))
    add_study(store, write, EDITOR)
    assert found(store, records[1].sha256[:6]) == write.sha256
