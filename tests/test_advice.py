"""What an error of reading advises is followed: the file opens, or another reason is given; never the same again."""

import pickle
import re
from dataclasses import replace

import numpy as np
import pytest
from support.broken_files import BROKEN
from support.made_files import FS_HZ, csv_text, signal

from ecg_core.errors import EcgError, MissingMetadataError
from ecg_core.overrides import NO_OVERRIDES, RecordOverrides
from ecg_core.records import read_record

MOST_STEPS = 4
# What a person does who has no other file: nothing more can be tried here.
ENDS = re.compile(
    r"\b(copy|export|download) (it|them|both|the \w+|\w+\.\w+)?\s?(or export it )?again"
    r"|\bcopy or export it again|\bexport (it|the (recording|ECG))|\bchoose (another|a|one)"
    r"|\bopen (the|a|one|it|its|that|those)\b"
    r"|\badd (it|this file|them)|\bcorrect\b|\bcheck\b|\bremove it\b|\bunpack it|\bpack (the|one)|\bmake (it|them)"
    r"|\bsort\b|\bfill\b|\bleave\b|\bjoin\b|\bsave\b|\bwrite headings|\bconvert\b|\bgive it the suffix|\bput\b"
    r"|\banalyse them\b|\bnothing can be\b|\brename\b",
    re.IGNORECASE,
)
GIVEN = (NO_OVERRIDES, RecordOverrides(fs_hz=999.0), RecordOverrides(per_mv=7.0))
GIVE_NONE = re.compile(r"\bgive no (rate|unit)", re.IGNORECASE)


def followed(error, overrides):
    """The overrides that an error asks for; None where it asks for none."""
    wanted = overrides
    if "fs" in error.settings:
        wanted = replace(wanted, fs_hz=250.0)
    if "unit" in error.settings:
        wanted = replace(wanted, per_mv=1.0)
    for name in GIVE_NONE.findall(str(error)):
        wanted = replace(wanted, **{"rate": {"fs_hz": None}, "unit": {"per_mv": None}}[name.lower()])
    return None if wanted == overrides else wanted


def reasons(path, overrides=NO_OVERRIDES):
    """The sentences that are met while each one's advice is followed; empty where the file opens."""
    met = []
    for _ in range(MOST_STEPS):
        try:
            record = read_record(path, overrides)
            record.source.read(0, min(record.n_samples, 1000), tuple(range(len(record.lead_names))))
        except EcgError as error:
            met.append(str(error))
            wanted = followed(error, overrides)
            if wanted is None:
                return met
            overrides = wanted
        else:
            return met
    return met


@pytest.mark.parametrize("name", BROKEN)
def test_the_advice_about_a_broken_file_leads_to_its_end_and_never_in_a_circle(tmp_path, name):
    try:
        path = BROKEN[name](tmp_path)
    except (OSError, AttributeError, NotImplementedError):
        pytest.skip("this system cannot make such a file")
    for overrides in GIVEN:
        met = reasons(path, overrides)
        assert len(met) < MOST_STEPS, (overrides, met)
        assert len(set(met)) == len(met), (overrides, met)
        assert not met or ENDS.search(met[-1]), (overrides, met[-1])


@pytest.mark.parametrize("name", BROKEN)
def test_an_error_of_reading_says_apart_where_it_is_what_is_wrong_and_what_to_do(tmp_path, name):
    try:
        path = BROKEN[name](tmp_path)
    except (OSError, AttributeError, NotImplementedError):
        pytest.skip("this system cannot make such a file")
    try:
        record = read_record(path)
        record.source.read(0, min(record.n_samples, 1000), tuple(range(len(record.lead_names))))
    except EcgError as error:
        assert error.where
        assert error.what or error.expected
        assert error.advice.endswith(".") or error.settings
        assert str(error) == f"{error.problem} {error.advice}".strip()
        assert "; it is" not in error.advice


def test_an_error_keeps_its_parts_between_processes():
    error = MissingMetadataError("has no column of time", where="x.csv", rate=True, unit=False)
    copied = pickle.loads(pickle.dumps(error))  # noqa: S301  # its own bytes
    assert (copied.fields, copied.settings, copied.rate) == (error.fields, ("fs",), True)


def example_headings(sentence):
    """The headings that a sentence gives as an example."""
    return re.search(r'write headings such as "([^"]+)"', sentence)[1]


@pytest.mark.parametrize("headings", ["a,b,c", "1,2,3", "II,V1,V5", "sample,II_mv,V1_mv", "time,II,V1"])
def test_a_table_opens_once_its_headings_are_those_that_the_error_shows(tmp_path, headings):
    path = tmp_path / "x.csv"
    path.write_text(csv_text(signal(), headings=headings))
    with pytest.raises(EcgError) as error:
        read_record(path)
    path.write_text(csv_text(signal(), headings=example_headings(str(error.value))))
    record = read_record(path)
    assert (record.fs_hz, record.lead_names) == (FS_HZ, ("II", "V1"))
    np.testing.assert_allclose(record.source.read(0, 100, (0,))[0], signal()[0, :100], atol=1e-5)
