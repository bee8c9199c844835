"""The locks hold every required package, on every system, with the hashes that pip checks.

They are compared with the ranges from which they were made, and with what the installed packages require.
"""

import hashlib
import os
import re
import sys
import zipfile
from importlib import metadata
from itertools import product
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import launch

ROOT = Path(__file__).parents[1]
RANGES = sorted(ROOT.glob("requirements*.txt"))
LOCKS = [path.with_suffix(".lock") for path in RANGES]
SYSTEMS = {"linux": ("posix", "Linux"), "win32": ("nt", "Windows"), "darwin": ("posix", "Darwin")}
PYTHONS = [f"3.{minor}" for minor in range(launch.OLDEST[1], launch.NEWEST[1] + 1)]
SEPARATE = re.compile(r"torch$|triton$|cuda-|nvidia-")  # torch itself, and the parts of its CUDA build
name_of = pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)


def requirements(path):
    """Requirements of a file and of those that it names, without their hashes; pip's options are left out."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        text = re.sub(r"(^|\s)#.*|\\$", "", line).strip()
        if text.startswith("-r "):
            found += requirements(path.with_name(text[3:]))
        elif text and not text.startswith("--"):
            found.append(Requirement(text))
    return found


def environments():
    """Values of the markers, such as ``sys_platform == "win32"``, on each system and Python."""
    for (platform, (os_name, system)), python in product(SYSTEMS.items(), PYTHONS):
        yield default_environment() | {
            "sys_platform": platform,
            "os_name": os_name,
            "platform_system": system,
            "python_version": python,
            "python_full_version": f"{python}.0",
            "extra": "",
        }


def needed(wanted, environment):
    """Requirements of ``wanted`` that apply in an environment, without those that launch.py installs separately."""
    return [
        requirement
        for requirement in wanted
        if (not requirement.marker or requirement.marker.evaluate(environment))
        and not SEPARATE.match(canonicalize_name(requirement.name))
    ]


def locked(lock, environment):
    """Version of each package that a lock holds for an environment."""
    lines = needed(requirements(lock), environment)
    return {canonicalize_name(line.name): str(line.specifier).removeprefix("==") for line in lines}


def lacking(wanted, versions, environment):
    """Requirements that no locked version meets."""
    return [
        str(requirement)
        for requirement in needed(wanted, environment)
        if not requirement.specifier.contains(versions.get(canonicalize_name(requirement.name), "0"), prereleases=True)
        or canonicalize_name(requirement.name) not in versions
    ]


def test_every_file_of_requirements_has_its_lock():
    assert len(LOCKS) == 4
    assert set(ROOT.glob("requirements*.lock")) == set(LOCKS)


@name_of
def test_every_requirement_is_locked_within_its_range_on_every_system(lock):
    for environment in environments():
        assert not lacking(requirements(lock.with_suffix(".txt")), locked(lock, environment), environment)


@pytest.fixture(scope="module")
def packages():
    """The packages of this environment: name, version and requirements."""
    return [
        (canonicalize_name(package.name), package.version, [Requirement(text) for text in package.requires or []])
        for package in metadata.distributions()
    ]


@name_of
def test_what_locked_packages_need_is_locked_too_on_every_system(lock, packages):
    separate = {line.name for line in requirements(lock.with_suffix(".txt")) if SEPARATE.match(line.name)}
    for environment in environments():
        versions = locked(lock, environment)
        known = [package for package in packages if package[1] == versions.get(package[0]) or package[0] in separate]
        assert len(known) > 1
        for name, _, wanted in known:
            assert not lacking(wanted, versions, environment), (name, environment)


@name_of
def test_every_line_of_a_lock_is_one_version_and_its_hashes(lock):
    text = re.sub(r"^\s*#.*\n", "", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)
    option, *entries = re.split(r"\n(?=\S)", text.strip())
    assert option.strip() == "--only-binary :all:"
    assert len(entries) > 1
    for entry in entries:
        assert re.fullmatch(r"[\w.-]+==[\w.]+( ; [^\\]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+", entry), entry


@name_of
def test_no_lock_holds_torch_or_a_part_of_cuda(lock):
    assert not [str(line) for line in requirements(lock) if SEPARATE.match(line.name)]


def test_the_locks_agree():
    for environment in environments():
        everything, *others = (locked(ROOT / name, environment) for name in (launch.TEST[-1], *(p.name for p in LOCKS)))
        for lock in others:
            assert lock.items() <= everything.items()


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder with two releases of a package, a lock at the first, and a pip that has no other index."""
    for release in ("1.0", "1.1"):
        info = f"lead-{release}.dist-info"
        with zipfile.ZipFile(tmp_path / f"lead-{release}-py3-none-any.whl", "w") as wheel:
            wheel.writestr("lead.py", f"release = '{release}'\n")
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: lead\nVersion: {release}\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
    sha256 = hashlib.sha256((tmp_path / "lead-1.0-py3-none-any.whl").read_bytes()).hexdigest()
    (tmp_path / "its.lock").write_text(f"--only-binary :all:\nlead==1.0 \\\n    --hash=sha256:{sha256}\n")
    (tmp_path / "ranges.txt").write_text("lead>=1\n")
    settings = {"CONFIG_FILE": os.devnull, "NO_INDEX": "1", "FIND_LINKS": tmp_path, "TARGET": tmp_path / "installed"}
    for name, value in settings.items():
        monkeypatch.setenv(f"PIP_{name}", str(value))
    monkeypatch.setattr(launch, "ROOT", tmp_path)
    monkeypatch.setattr(launch, "ENV_PYTHON", sys.executable)
    return tmp_path


def installed(shelf):
    module = shelf / "installed" / "lead.py"
    return module.read_text() if module.is_file() else ""


def test_the_locked_version_is_installed_although_a_newer_one_is_there(shelf):
    assert launch.install("ranges.txt", "its.lock", []) == ""
    assert "1.0" in installed(shelf)


def test_a_file_that_is_not_the_locked_one_is_refused_and_nothing_else_is_taken(shelf):
    with zipfile.ZipFile(shelf / "lead-1.0-py3-none-any.whl", "a") as wheel:
        wheel.writestr("more.py", "")
    assert "DO NOT MATCH THE HASHES" in launch.install("ranges.txt", "its.lock", [])
    assert not installed(shelf)


def test_where_a_locked_file_is_missing_the_range_is_taken_with_a_notice(shelf, capsys):
    (shelf / "lead-1.0-py3-none-any.whl").unlink()
    assert launch.install("ranges.txt", "its.lock", []) == ""
    assert "1.1" in installed(shelf)
    assert "installing what ranges.txt allows, not checked by hash" in capsys.readouterr().out
