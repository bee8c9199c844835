"""The README is short, its links lead somewhere, and its Python runs as it stands."""

import os
import subprocess
import sys

import pytest
from support.documents import LINK, ROOT, code_blocks, document

LARGEST_BYTES = 7_000  # read in two minutes; everything longer belongs in docs/
README = document("README.md")


def test_the_readme_is_short():
    assert (ROOT / "README.md").stat().st_size <= LARGEST_BYTES


@pytest.mark.parametrize("target", sorted({link for link in LINK.findall(README) if "://" not in link}))
def test_every_link_and_picture_exists(target):
    assert (ROOT / target).exists()


def test_the_python_of_the_readme_runs_and_writes_its_files(tmp_path):
    (code,) = code_blocks(README, "python")
    assert len(code.splitlines()) <= 12
    (tmp_path / "demo_data").symlink_to(ROOT / "demo_data")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120,
        check=True,
    )  # fmt: skip
    assert "PVC burden" in done.stdout
    assert {path.name for path in (tmp_path / "results").iterdir()} >= {"demo_report.pdf", "demo_beats.csv", "demo.ai"}
