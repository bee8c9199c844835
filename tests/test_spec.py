"""The models that are installed."""

import json
import subprocess
import sys
from dataclasses import asdict, fields, replace

import pytest

from ecg_core.classifier.model import load_model, save_spec
from ecg_core.classifier.spec import DEFAULT_MODEL, NOT_DECIDING, find_models, model_digest, models_folder, read_spec
from ecg_core.errors import ModelError
from ecg_core.schema import ModelSpec


def test_the_default_model_comes_first(tmp_path):
    for name in ("another", DEFAULT_MODEL.stem, "zebra"):
        (tmp_path / f"{name}.pt").touch()
    assert [path.stem for path in find_models(tmp_path)] == [DEFAULT_MODEL.stem, "another", "zebra"]


def test_every_shipped_model_has_a_spec_of_its_own_name():
    assert [read_spec(path).name for path in find_models()] == [path.stem for path in find_models()]


def test_models_lie_inside_an_installed_package_and_beside_the_package_of_a_checkout(tmp_path):
    package = tmp_path / "ecg_core"
    package.mkdir()
    assert models_folder(package) == tmp_path / "models"
    (package / "models").mkdir()
    assert models_folder(package) == package / "models"


def test_a_missing_spec_is_named(tmp_path):
    (tmp_path / "m.pt").touch()
    with pytest.raises(ModelError, match=r"m\.json: this file does not exist"):
        read_spec(tmp_path / "m.pt")


def test_specs_are_read_without_torch():
    code = (
        "import sys; from ecg_core.classifier.spec import *; read_spec(DEFAULT_MODEL); sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603


def test_a_spec_without_calibration_loads_and_one_with_it_comes_back_as_it_was_saved(tmp_path):
    path = tmp_path / "m.pt"
    path.touch()
    old = replace(read_spec(DEFAULT_MODEL), calibration=())
    stored = {key: value for key, value in asdict(old).items() if key != "calibration"}
    path.with_suffix(".json").write_text(json.dumps(stored))
    assert read_spec(path) == old
    assert read_spec(path).calibration_of(1) is None
    save_spec(path, read_spec(DEFAULT_MODEL))
    assert read_spec(path) == read_spec(DEFAULT_MODEL)


def another(value):
    """Another value of the same kind."""
    match value:
        case bool():
            return not value
        case str():
            return f"{value}x"
        case tuple():
            return (*value, *value[-1:]) if value else ("x",)
        case None:
            return ()
        case int() | float():
            return value + 1
    return None


@pytest.mark.parametrize("name", [field.name for field in fields(ModelSpec)])
def test_the_digest_of_a_model_is_another_where_anything_that_decides_its_results_is(name):
    spec = read_spec(DEFAULT_MODEL)
    other = replace(spec, **{name: another(getattr(spec, name))})
    assert other != spec
    assert (model_digest(other) == model_digest(spec)) == (name in NOT_DECIDING)


def test_the_digest_tells_one_number_within_a_field_and_the_engine(model):
    spec = read_spec(DEFAULT_MODEL)
    moved = replace(spec.calibration[0], **{fields(spec.calibration[0])[0].name: 0.123})
    assert model_digest(replace(spec, calibration=(moved, *spec.calibration[1:]))) != model_digest(spec)
    assert model_digest(load_model(DEFAULT_MODEL).spec) == model_digest(spec)
    assert model_digest(load_model(DEFAULT_MODEL, engine="torch").spec) != model_digest(spec)
