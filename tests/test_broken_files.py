"""Every broken file ends in an error of our own, soon, and without much memory; unusual but sound files are read."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support.broken_files import BROKEN, LONGEST_S, open_whole
from support.made_files import N, csv_text, ishne, signal, whole, write_edf

from ecg_core.errors import EcgError
from ecg_core.records import read_record

ROOT = Path(__file__).parents[1]
MOST_MB = 500


def made(name, folder):
    try:
        return BROKEN[name](folder)
    except (OSError, AttributeError, NotImplementedError):
        pytest.skip("this system cannot make such a file")


def test_there_are_cases_of_every_kind():
    assert len(BROKEN) >= 60


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_in_a_sentence_and_soon(tmp_path, name):
    path = made(name, tmp_path)
    began = time.perf_counter()
    with pytest.raises(EcgError) as error:
        open_whole(path)
    assert time.perf_counter() - began < LONGEST_S
    sentence = str(error.value)
    assert sentence.endswith("."), sentence
    assert "Traceback" not in sentence
    assert path.name.partition(".")[0] in sentence, sentence
    assert len(sentence) < 600, sentence


def test_claims_of_gigabytes_are_not_believed(tmp_path):
    """One process opens all of them, and the peak of its memory hardly rises."""
    pytest.importorskip("resource")
    paths = []
    for number, make in enumerate(BROKEN.values()):
        (tmp_path / str(number)).mkdir()
        paths.append(str(make(tmp_path / str(number))))
    code = (
        "import resource, sys\n"
        "sys.path[:0] = ['tests', '.']\n"
        "from pathlib import Path\n"
        "from support.broken_files import open_whole\n"
        "from ecg_core.errors import EcgError\n"
        "import pydicom, pyarrow.parquet, scipy.io, pandas, wfdb\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for path in sys.argv[1:]:\n"
        "    try: open_whole(Path(path))\n"
        "    except EcgError: pass\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)\n"
    )
    command = [sys.executable, "-c", code, *paths]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    assert float(done.stdout) < MOST_MB


# Unusual, and sound

HEADER = "Müller 2 250 5000\nMüller.dat 16 200/mV 16 0 0 0 0 Brüst\nMüller.dat 16 200/mV 16 0 0 0 0 V1\n"


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_wfdb_record_may_have_letters_of_any_script(tmp_path, encoding):
    (tmp_path / "Müller.dat").write_bytes(np.rint(signal() * 200).T.astype("<i2").tobytes())
    (tmp_path / "Müller.hea").write_bytes(HEADER.encode(encoding))
    record = read_record(tmp_path / "Müller.hea")
    assert (record.record_id, record.lead_names) == ("Müller", ("Brüst", "V1"))
    np.testing.assert_allclose(whole(record), signal(), atol=0.003)
    assert {path.name for path in record.files} == {"Müller.hea", "Müller.dat"}


def test_files_may_have_letters_of_any_script(tmp_path):
    write_edf(tmp_path / "Jürgen Ø (2).edf", signal())
    (tmp_path / "心電図.ecg").write_bytes(ishne(signal()))
    (tmp_path / "кардиограмма.csv").write_text(csv_text(signal(), "time_s,Отведение II_mv,V1_mv"), encoding="utf-8")
    for path in tmp_path.iterdir():
        record = read_record(path)
        assert (record.record_id, record.n_samples) == (path.stem, N)
    assert read_record(tmp_path / "кардиограмма.csv").lead_names == ("Отведение II", "V1")


def test_missing_values_are_gaps_in_a_table(tmp_path):
    lines = csv_text(signal()).splitlines()
    lines[10] = lines[10].split(",")[0] + ",nan,"
    (tmp_path / "x.csv").write_text("\n".join(lines))
    assert np.isnan(whole(read_record(tmp_path / "x.csv"))[:, 9]).all()


def test_an_edf_whose_recorder_was_switched_off_is_read(tmp_path):
    """-1 stands for a number of data records that was never written; the last one may be incomplete."""
    content = write_edf(tmp_path / "x.edf", signal()).read_bytes()
    (tmp_path / "x.edf").write_bytes((content[:236] + b"-1      " + content[244:])[:-100])
    assert read_record(tmp_path / "x.edf").n_samples == N - 250
