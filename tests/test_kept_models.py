"""The user's own models: kept whole or not at all, under names of their own, and taken from nobody unchecked."""

import errno
import io
import json
import os
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from support.kept_models import MEASURED, RECORDER, adapted_files, whole_files
from support.processes import everything, started

from ecg_core.classifier import model_zip
from ecg_core.classifier.installed import (
    default_model_for,
    default_weights,
    find_model,
    installed_model,
    installed_models,
)
from ecg_core.classifier.kept import keep, remove, removed_models, rename, restore, set_default, tidy
from ecg_core.classifier.model import load_model
from ecg_core.classifier.model_card import card_of
from ecg_core.classifier.model_files import INT8, NOT_STATED, PROOF, SPEC, WEIGHTS, checked_spec, digest_of, files_of
from ecg_core.classifier.model_zip import MANIFEST, export, import_
from ecg_core.classifier.spec import DEFAULT_MODEL, find_models, read_spec, spec_bytes
from ecg_core.classifier.unnamed import without_names
from ecg_core.errors import ModelError

posix = pytest.mark.skipif(os.name != "posix", reason="forks")
pytestmark = pytest.mark.usefixtures("own_models")

SPEC_OF_FILES = json.loads(adapted_files()[SPEC])


def own_names():
    return [model.name for model in installed_models() if model.is_kept]


def with_spec(**values):
    """The files with other values in their spec, which names the weights as before."""
    return {**adapted_files(), SPEC: json.dumps({**SPEC_OF_FILES, **values}).encode()}


# Keeping


def test_a_model_that_is_kept_is_chosen_by_its_name_and_states_it(own_models):
    model = keep(adapted_files(), "seer-light")
    assert [one.name for one in installed_models()] == [*(path.stem for path in find_models()), "seer-light"]
    assert load_model(find_model("seer-light")).spec.name == read_spec(model.weights).name == "seer-light"
    assert model.spec.origin == f"adapted from general to the recorder {RECORDER}"
    assert model.verdict == MEASURED["verdict"]
    held = {path.name for path in (own_models / "seer-light").iterdir()}
    assert held == {f"seer-light{suffix}" for suffix in (".pt", ".json", ".proof.json", ".card.md")}


def test_every_shipped_model_passes_the_checks_of_a_model_from_elsewhere():
    for path in find_models():
        assert checked_spec(files_of(path), where="shipped") == read_spec(path)


def test_the_network_in_8_bit_integers_is_kept_with_its_weights():
    files = files_of(DEFAULT_MODEL)
    weights = whole_files()[WEIGHTS]
    spec = replace(read_spec(DEFAULT_MODEL), sha256=digest_of(weights))
    keep({**files, WEIGHTS: weights, SPEC: spec_bytes(spec)}, "mine")
    assert digest_of(files_of(find_model("mine"))[INT8]) == read_spec(find_model("mine")).int8_sha256


@pytest.mark.parametrize("name", ["general", "GENERAL", "mine", "Mine"])
def test_a_name_that_is_taken_is_refused_in_any_case(own_models, name):
    keep(adapted_files(), "mine")
    before = everything(own_models)
    with pytest.raises(ModelError, match="has this name"):
        keep(adapted_files(1), name)
    assert everything(own_models) == before


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a\\b", "C:x", ".hidden", "-x", "a b", "ö", "con", "x" * 41, "a.pt", "a\n"]
)
def test_a_name_that_is_no_plain_word_is_refused(own_models, name):
    with pytest.raises(ModelError, match="cannot be the name of a model"):
        keep(adapted_files(), name)
    assert not own_models.exists()


def test_weights_with_another_spec_are_another_model_and_its_default_is_its_own():
    keep(adapted_files(), "one")
    other = keep(adapted_files(class_bias=(0.0, 0.0, 1.0, 0.0, 0.0)), "two")
    set_default("two", RECORDER)
    assert other.spec.sha256 == installed_model("one").spec.sha256
    assert default_model_for(RECORDER).name == "two"
    tidy()
    assert own_names() == ["one", "two"]


def test_a_model_is_installed_under_one_name_alone():
    keep(adapted_files(), "one")
    with pytest.raises(ModelError, match="installed already, as one"):
        keep(adapted_files(), "two")
    with pytest.raises(ModelError, match="installed already, as general"):
        keep(files_of(DEFAULT_MODEL), "two")


def test_a_path_is_taken_as_it_is_and_an_unknown_name_lists_the_known_ones(tmp_path):
    keep(adapted_files(), "mine")
    assert find_model(tmp_path / "x.pt") == tmp_path / "x.pt"
    with pytest.raises(ModelError, match=r"expected one of general, .*, mine, or the path"):
        find_model("nothing")


def test_no_file_says_where_recordings_lie_on_this_computer():
    rows = [{"recording": "a", "path": "/patients/Beeblebrox.edf", "study": "1a2b"}]
    keep({**adapted_files(), PROOF: json.dumps({**MEASURED, "changed": rows}).encode()}, "mine")
    files = files_of(find_model("mine"))
    assert not [suffix for suffix, content in files.items() if b"Beeblebrox" in content or b"1a2b" in content]
    assert json.loads(files[PROOF])["changed"] == [{"recording": "recording 1"}]


def listed(recording, patient, database=""):
    """A recording in the tables of a proof."""
    return {"recording": recording, "database": database, "patient": patient}


NAMED = {  # tables in the order of a proof; of a patient with one recording, what was found stands by its name
    **MEASURED,
    "held_out_patients": [{"patient": "dent-ecg", "hours": 1}, {"patient": "Ford Prefect (2 records)", "hours": 2}],
    "learned_from": [listed("trillian", "McMillan, T."), listed("801", "801", "svdb"), listed("zaphod", "Beeblebrox")],
    "held_out_recordings": [
        listed("dent-ecg", "Arthur Dent"), listed("prefect-1", "Ford Prefect"), listed("prefect-2", "Ford Prefect"),
    ],
    "changed_beats": [{"recording": "prefect-2", "path": "/ward/prefect.edf", "study": "1a2b", "time_s": 3.0}],
}  # fmt: skip
NAMES = (
    b"dent", b"Dent", b"refect", b"rillian", b"Beeblebrox", b"aphod", b"McMillan", b"ward", b"1a2b",
)  # fmt: skip
LEARNED = ("mitdb/101", "mine/trillian", "svdb/801", "mine/zaphod")


def test_no_file_of_a_model_that_is_kept_or_exported_names_a_patient(own_models, tmp_path):
    keep({**adapted_files(trained_on=LEARNED), PROOF: json.dumps(NAMED).encode()}, "mine")
    export("mine", tmp_path / "mine.zip")
    named = [*own_models.glob("mine/*.*"), tmp_path / "mine.zip"]
    contents = [*(path.read_bytes() for path in named), *members_of(tmp_path / "mine.zip").values()]
    assert len(contents) == 4 + 1 + 5
    assert not [name for content in contents for name in NAMES if name in content]
    spec = installed_model("mine").spec
    assert spec.trained_on == ("mitdb/101", "mine/recording 1", "svdb/801", "mine/recording 2")


def test_a_patient_has_the_same_number_in_all_tables_and_recordings_of_public_databases_keep_their_names():
    proof = keep({**adapted_files(), PROOF: json.dumps(NAMED).encode()}, "mine").proof
    assert [row["patient"] for row in proof["held_out_patients"]] == ["patient 4", "patient 5"]
    assert proof["learned_from"] == [
        listed("recording 1", "patient 1"), listed("801", "patient 2", "svdb"), listed("recording 2", "patient 3"),
    ]  # fmt: skip
    assert proof["held_out_recordings"] == [
        listed("recording 3", "patient 4"), listed("recording 4", "patient 5"), listed("recording 5", "patient 5"),
    ]  # fmt: skip
    assert proof["changed_beats"] == [{"recording": "recording 5", "time_s": 3.0}]
    assert without_names(proof) == proof


def test_a_model_that_was_kept_or_exported_with_names_is_taken_on_without_them(own_models, tmp_path):
    keep({**adapted_files(), PROOF: json.dumps(NAMED).encode()}, "mine")
    (own_models / "mine" / f"mine{PROOF}").write_text(json.dumps(NAMED))  # as an earlier version kept it
    export("mine", tmp_path / "mine.zip")
    members = members_of(tmp_path / "mine.zip")
    assert not [name for content in members.values() for name in NAMES if name in content]
    spec = json.dumps({**json.loads(members["mine.json"]), "trained_on": LEARNED}).encode()
    named = resealed(members, **{"mine.json": spec, f"mine{PROOF}": json.dumps(NAMED).encode()})
    remove("mine")
    import_(zipped(tmp_path / "named.zip", named.items()))
    contents = [path.read_bytes() for path in own_models.glob("mine/*.*")]
    assert len(contents) == 4
    assert not [name for content in contents for name in NAMES if name in content]


@pytest.mark.parametrize(
    "row",
    [
        listed("Beeblebrox", "x", "svdb"),  # no record of it
        listed("801", "x", "our ward"),
        listed("801", "x"),
        {"recording": 42, "patient": 4711},
    ],
)
def test_what_calls_itself_public_and_is_not_is_numbered(row):
    assert without_names({"learned_from": [row]})["learned_from"][0] == {
        **row, "recording": "recording 1", "patient": "patient 1",
    }  # fmt: skip


def test_recordings_of_one_name_give_no_patient_the_number_of_another():
    rows = [listed("ecg", "Arthur Dent"), listed("ecg", "Ford Prefect")]
    made = without_names({"held_out_recordings": rows, "held_out_patients": [{"patient": "ecg"}, {"patient": "ecg"}]})
    assert [row["patient"] for row in made["held_out_recordings"]] == ["patient 1", "patient 2"]
    assert {row["patient"] for row in made["held_out_patients"]} == {"patient 3"}
    assert without_names(made) == made


def test_the_origin_is_that_of_the_proof_where_a_model_was_adapted_again():
    first = keep(adapted_files(), "mine").spec
    proof = json.dumps({"from_model": "mine", "recorder": "Another"}).encode()
    again = {**adapted_files(1), SPEC: spec_bytes(replace(first, sha256=digest_of(adapted_files(1)[WEIGHTS])))}
    assert keep({**again, PROOF: proof}, "again").spec.origin == "adapted from mine to the recorder Another"
    assert keep({SPEC: adapted_files(2)[SPEC], WEIGHTS: adapted_files(2)[WEIGHTS]}, "bare").spec.origin == NOT_STATED


# What may be kept

PACKED = io.BytesIO()
with zipfile.ZipFile(PACKED, "w", zipfile.ZIP_DEFLATED) as packed:
    packed.writestr("archive/data.pkl", b"0" * 10_000)


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({**adapted_files(), WEIGHTS: adapted_files(1)[WEIGHTS]}, "SHA-256 of its weights"),
        ({**adapted_files(), INT8: b"x"}, "do not agree"),
        (with_spec(int8_sha256="0" * 64), "do not agree"),
        ({**with_spec(int8_sha256="0" * 64), INT8: b"x"}, "SHA-256 of its network in 8-bit integers"),
        ({SPEC: adapted_files()[SPEC]}, "expected weights"),
        ({WEIGHTS: adapted_files()[WEIGHTS]}, "expected weights"),
        ({**adapted_files(), ".exe": b"x"}, "files that no model has"),
        ({**adapted_files(), PROOF: b"[1]"}, "no JSON object"),
        ({**adapted_files(), PROOF: b"{"}, "is no JSON"),
        ({**adapted_files(), PROOF: b'{"a":' * 900 + b"1" + b"}" * 900}, "is no JSON"),
        ({**adapted_files(), PROOF: b'{"a":' * 99_000 + b"1" + b"}" * 99_000}, "is no JSON"),
        ({**adapted_files(), SPEC: b"{}"}, "expected the spec of a model"),
        ({**adapted_files(), SPEC: b"\xff"}, "expected the spec of a model"),
        ({**adapted_files(), SPEC: b"[" * 99_000}, "expected the spec of a model"),
        ({**with_spec(sha256=digest_of(b"no weights")), WEIGHTS: b"no weights"}, "is damaged"),
        ({**with_spec(sha256=digest_of(PACKED.getvalue())), WEIGHTS: PACKED.getvalue()}, "is packed"),
    ],
)
def test_files_that_do_not_fit_each_other_are_refused_and_leave_nothing(own_models, files, problem):
    with pytest.raises(ModelError, match=problem):
        keep(files, "mine")
    assert not own_models.exists()


@pytest.mark.parametrize(
    "values",
    [
        {"name": 1}, {"name": "\x1b[2J"}, {"recipe": "x" * 3000}, {"fs_hz": "fast"}, {"fs_hz": float("nan")},
        {"fs_hz": 1e9}, {"stride": 0}, {"stride": True}, {"channels": [10**9]}, {"channels": []},
        {"channels": [4] * 99},
        {"hidden_size": 10**7}, {"classes": ["N"]}, {"class_bias": [0.0]}, {"class_bias": ["x"] * 5},
        {"trees": [10**8]}, {"trained_on": [1]}, {"attention_half_s": 1e6}, {"finds_af": 1},
    ],
    ids=str,
)  # fmt: skip
def test_a_spec_with_values_that_no_model_has_is_refused(own_models, values):
    with pytest.raises(ModelError, match="values that no model has"):
        keep(with_spec(**values), "mine")
    assert not own_models.exists()


def test_a_graph_that_names_another_file_is_refused():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("frames.npy", b"... location /etc/passwd")
    files = with_spec(int8_sha256=digest_of(stream.getvalue()))
    with pytest.raises(ModelError, match="names another file"):
        keep({**files, INT8: stream.getvalue()}, "mine")


class Hostile:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_no_code_in_weights_runs_when_they_are_kept_shown_and_loaded(tmp_path):
    stream = io.BytesIO()
    torch.save({"weight": Hostile(tmp_path / "ran")}, stream)
    model = keep({**with_spec(sha256=digest_of(stream.getvalue())), WEIGHTS: stream.getvalue()}, "mine")
    assert model.card
    with pytest.raises(ModelError, match="expected weights of this network"):
        load_model(model.weights)
    assert not (tmp_path / "ran").exists()


# Renaming, removing, and bringing back


def test_a_renamed_model_states_its_new_name_everywhere_and_its_hashes_hold():
    keep(adapted_files(), "old")
    before = files_of(find_model("old"))
    model = rename("old", "new")
    assert own_names() == ["new"]
    assert load_model(model.weights).spec.name == "new"
    assert model.card == (model.weights.parent / "new.card.md").read_text(encoding="utf-8")
    assert model.card.startswith("# Model new\n")
    after = files_of(model.weights)
    assert {suffix for suffix in after if after[suffix] != before[suffix]} == {SPEC, ".card.md"}
    assert replace(model.spec, name="old") == replace(read_spec(model.weights), name="old")


def test_shipped_models_keep_their_names_and_stay():
    for work in (lambda: rename("general", "x"), lambda: remove("general")):
        with pytest.raises(ModelError, match="shipped with the program"):
            work()
    keep(adapted_files(), "mine")
    with pytest.raises(ModelError, match="a model that is shipped has this name"):
        rename("mine", "adapted")
    assert own_names() == ["mine"]


def test_a_removed_model_comes_back_as_it_was_until_the_next_start(own_models):
    keep(adapted_files(), "mine")
    set_default("mine", RECORDER)
    before = files_of(find_model("mine"))
    remove("mine")
    assert (own_names(), removed_models()) == ([], ("mine",))
    assert default_model_for(RECORDER) is None
    restore("mine")
    assert files_of(find_model("mine")) == before
    assert default_model_for(RECORDER).name == "mine"
    remove("mine")
    tidy()
    assert removed_models() == ()
    with pytest.raises(ModelError, match="no model of this name was removed"):
        restore("mine")


def test_a_model_does_not_come_back_where_its_name_or_its_weights_are_taken():
    keep(adapted_files(), "mine")
    remove("mine")
    keep(adapted_files(1), "mine")
    with pytest.raises(ModelError, match="has this name"):
        restore("mine")
    assert remove("mine") == "mine.2"
    keep(adapted_files(1), "other")
    with pytest.raises(ModelError, match="installed already, as other"):
        restore("mine.2")
    with pytest.raises(ModelError, match=r"mine\.3: no model of this name was removed.* expected mine, mine\.2"):
        restore("mine.3")


def weights_of(*files):
    return [one[WEIGHTS] for one in files]


def all_brought_back():
    """The weights of all models of one's own, once all that were removed are brought back, each under a free name."""
    for place in removed_models():
        restored = restore(place)
        rename(restored.name, f"back-{place.replace('.', '-')}")
    return sorted(files_of(find_model(name))[WEIGHTS] for name in own_names())


def test_no_removed_model_is_lost_before_the_next_start():
    first, second, third = (adapted_files(seed) for seed in range(3))
    keep(first, "ours")
    assert remove("ours") == "ours"
    keep(second, "ours")
    rename("ours", "other")  # its old folder goes, and none of that name that was removed
    keep(third, "ours")
    assert remove("ours") == "ours.2"
    assert removed_models() == ("ours", "ours.2")
    assert all_brought_back() == sorted(weights_of(first, second, third))
    assert removed_models() == ()
    remove("other")
    tidy()
    assert removed_models() == ()


def test_what_a_killed_rename_left_is_no_removed_model(monkeypatch):
    keep(adapted_files(), "ours")
    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", lambda *_arguments, **_more: None)
        rename("ours", "other")
        rename("other", "ours")
        rename("ours", "other")
    assert (own_names(), removed_models()) == (["other"], ())


# A kill, and a full disk


def killed_at(step, work):
    """Do work in a child that is gone before its step of that number; whether it got so far."""

    def until_killed():
        left = [step]

        def counted(function):
            def checked(*arguments, **options):
                if not left[0]:
                    os._exit(7)
                left[0] -= 1
                return function(*arguments, **options)

            return checked

        for name in ("write_bytes", "write_text", "rename", "replace", "mkdir", "unlink", "rmdir"):
            setattr(Path, name, counted(getattr(Path, name)))
        work()

    _, status = os.waitpid(started(until_killed), 0)
    return os.waitstatus_to_exitcode(status) == 7


@posix
def test_a_kill_in_the_middle_of_keeping_leaves_a_whole_model_or_none(own_models):
    for step in range(50):
        if not killed_at(step, lambda: keep(adapted_files(), "mine")):
            break
        for name in own_names():  # killed after all was done
            assert load_model(find_model(name)).spec.name == name
            remove(name)
        tidy()
        assert not own_models.exists() or everything(own_models) == set()
    assert step >= 5
    assert load_model(find_model("mine")).spec.name == "mine"


@posix
def test_a_kill_in_the_middle_of_renaming_loses_no_model(own_models):
    keep(adapted_files(), "old")
    set_default("old", RECORDER)
    for step in range(50):
        if not killed_at(step, lambda: rename("old", "new")):
            break
        assert own_names() in (["old"], ["new"], ["new", "old"])
        tidy()
        (name,) = own_names()
        assert load_model(find_model(name)).spec.name == name
        assert default_model_for(RECORDER).name == name
        if name == "new":
            rename("new", "old")
            tidy()
    assert step >= 6
    assert own_names() == ["new"]


@posix
def test_a_kill_in_the_middle_of_removing_leaves_the_model_in_one_of_both_places():
    keep(adapted_files(), "mine")
    for step in range(10):
        if not killed_at(step, lambda: remove("mine")):
            break
        assert (own_names(), removed_models()) in ((["mine"], ()), ([], ("mine",)))
    assert (own_names(), removed_models()) == ([], ("mine",))


@pytest.mark.parametrize("room_for", range(4))
def test_a_full_disk_leaves_what_was_there_and_says_so_in_a_sentence(own_models, monkeypatch, room_for):
    keep(adapted_files(1), "first")
    before = everything(own_models)
    left = [room_for]
    write_bytes = Path.write_bytes

    def cramped(path, content):
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        left[0] -= 1
        return write_bytes(path, content)

    monkeypatch.setattr(Path, "write_bytes", cramped)
    for work in (lambda: keep(adapted_files(), "mine"), lambda: rename("first", "second")):
        left[0] = room_for
        with pytest.raises(ModelError, match=r"No space left on device.*they are as they were") as raised:
            work()
        assert "\n" not in str(raised.value)
        assert everything(own_models) == before


def test_a_folder_that_cannot_be_made_ends_in_a_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ECG_MODELS", str(tmp_path / "file" / "own"))
    with pytest.raises(ModelError, match="ECG_MODELS names another folder"):
        keep(adapted_files(), "mine")


# Zips


@pytest.fixture
def exported(tmp_path):
    """The zip of a model that is no longer installed."""
    keep(adapted_files(), "mine")
    export("mine", tmp_path / "mine.zip")
    remove("mine")
    tidy()
    return tmp_path / "mine.zip"


def members_of(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def resealed(members, **replaced):
    """Members with others in place of some, whose hashes the manifest states."""
    members = {**members, **replaced}
    manifest = json.loads(members[MANIFEST])
    manifest["files"] = [
        {"name": name, "sha256": digest_of(content)} for name, content in members.items() if name != MANIFEST
    ]
    return {**members, MANIFEST: json.dumps(manifest).encode()}


def test_a_model_comes_back_from_its_zip_as_it_was(exported, tmp_path):
    model = import_(exported)
    assert load_model(model.weights).spec == model.spec
    export("mine", tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == exported.read_bytes()
    stated = {one["name"]: one["sha256"] for one in json.loads(members_of(exported)[MANIFEST])["files"]}
    assert stated == {f"mine{suffix}": digest_of(content) for suffix, content in files_of(model.weights).items()}


def test_a_model_is_imported_under_another_name_where_its_own_is_taken(exported):
    keep(adapted_files(1), "mine")
    with pytest.raises(ModelError, match="has this name"):
        import_(exported)
    assert import_(exported, "yours").spec.name == "yours"


def test_a_shipped_model_is_exported_with_its_network_in_8_bit_integers_and_its_card(tmp_path):
    export("general", tmp_path / "general.zip")
    assert set(members_of(tmp_path / "general.zip")) == {
        MANIFEST, "general.pt", "general.json", "general.int8.npz", "general.card.md",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "mine/../evil", "evil.pt", "C:\\evil", "mine.pt/evil"])
def test_a_zip_that_names_a_place_outside_or_another_file_writes_nothing(exported, tmp_path, name):
    hostile = zipped(tmp_path / "h.zip", [*members_of(exported).items(), (name, b"evil")])
    before = everything(tmp_path)
    with pytest.raises(ModelError, match="a file that no model has"):
        import_(hostile)
    named = zipped(tmp_path / "h.zip", resealed(members_of(exported), **{name: b"evil"}).items())
    with pytest.raises(ModelError, match="a file that no model has"):
        import_(named)
    assert everything(tmp_path) == before


def hostile_zips(members):
    """Name, members and problem of zips that are not what they state."""
    manifest = json.loads(members[MANIFEST])
    other = adapted_files(1)

    def of(**values):
        return {**members, MANIFEST: json.dumps({**manifest, **values}).encode()}

    without = {name: content for name, content in members.items() if name != "mine.proof.json"}
    yield "changed", {**members, "mine.pt": other[WEIGHTS]}.items(), "mine.pt was changed"
    yield "resealed", resealed(members, **{"mine.pt": other[WEIGHTS]}).items(), "SHA-256 of its weights"
    yield "file missing", without.items(), "names other files"
    yield "no manifest", [one for one in members.items() if one[0] != MANIFEST], "holds no model"
    yield "another format", of(format="ecg-workstation-study").items(), "holds no model"
    yield "another version", of(version=99).items(), "format version 99"
    yield "a path for a name", of(name="../mine").items(), "cannot be the name"
    yield "a number for a list", of(files=5).items(), "damaged or was altered"
    yield "no JSON", {**members, MANIFEST: b"{"}.items(), "damaged or was altered"
    yield "a long manifest", {**members, MANIFEST: b" " * (1 << 17)}.items(), "holds no model"
    yield "no spec", resealed(without, **{"mine.json": b"[]"}).items(), "expected the spec"


@pytest.mark.parametrize("number", range(11))
def test_a_zip_that_is_not_what_it_states_is_refused_and_installs_nothing(exported, own_models, tmp_path, number):
    found = list(hostile_zips(members_of(exported)))
    assert len(found) == 11
    _, members, problem = found[number]
    with pytest.raises(ModelError, match=problem) as raised:
        import_(zipped(tmp_path / "h.zip", members))
    assert "\n" not in str(raised.value)
    assert everything(own_models) == set()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_zip_with_two_files_of_one_name_is_refused(exported, tmp_path):
    members = [*members_of(exported).items(), ("mine.pt", b"other")]
    with pytest.raises(ModelError, match="two files of one name"):
        import_(zipped(tmp_path / "h.zip", members))


def test_a_zip_that_unpacks_to_far_more_is_refused_before_it_fills_the_memory(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(model_zip, "MAX_BYTES", 1 << 20)
    bomb = resealed(members_of(exported), **{"mine.pt": bytes(50 << 20)})
    path = zipped(tmp_path / "h.zip", bomb.items())
    assert path.stat().st_size < 1 << 20
    with pytest.raises(ModelError, match="unpacks to more than"):
        import_(path)


@pytest.mark.parametrize("end", [0, 10, 1000, -30])
def test_a_damaged_or_missing_zip_ends_in_a_sentence(exported, tmp_path, end):
    (tmp_path / "h.zip").write_bytes(exported.read_bytes()[:end])
    with pytest.raises(ModelError, match="damaged or was altered"):
        import_(tmp_path / "h.zip")
    with pytest.raises(ModelError, match="cannot be read"):
        import_(tmp_path / "none.zip")


def test_an_export_that_cannot_be_written_leaves_nothing(tmp_path):
    keep(adapted_files(), "mine")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "none" / "x.zip", tmp_path / "folder"):
        with pytest.raises(ModelError, match="cannot be written there"):
            export("mine", path)
    assert list((tmp_path / "folder").iterdir()) == []


# Defaults


def test_the_default_of_a_recorder_follows_its_model_under_any_name_and_no_other_takes_its_place():
    assert default_weights(RECORDER) == DEFAULT_MODEL
    keep(adapted_files(), "mine")
    set_default("mine", f" {RECORDER.upper()} ")
    assert default_weights(RECORDER) == find_model("mine")
    assert default_model_for(RECORDER.replace(" ", "   ")).name == "mine"
    assert default_model_for("another") is default_model_for("") is None
    rename("mine", "yours")
    assert default_model_for(RECORDER).name == "yours"
    remove("yours")
    keep(adapted_files(1), "yours")
    assert default_weights(RECORDER) == DEFAULT_MODEL
    set_default("yours", RECORDER)
    set_default("general", RECORDER)
    assert default_model_for(RECORDER) is None


@pytest.mark.parametrize("recorder", ["", "  ", "a\x1b[2J"])
def test_a_recorder_without_a_name_has_no_default(recorder):
    with pytest.raises(ModelError, match="No recorder was named"):
        set_default("adapted", recorder)


@pytest.mark.parametrize("content", ["", "[1]", "{", '{"x": 1}', '{"Made Recorder": null}'])
def test_a_damaged_table_of_defaults_is_none(own_models, content):
    keep(adapted_files(), "mine")
    (own_models / "recorders.json").write_text(content)
    assert default_weights(RECORDER) == DEFAULT_MODEL
    set_default("mine", RECORDER)
    assert default_weights(RECORDER) == find_model("mine")


def test_a_model_whose_spec_is_damaged_is_left_out_and_the_others_stay(own_models):
    keep(adapted_files(), "mine")
    keep(adapted_files(1), "other")
    (own_models / "mine" / "mine.json").write_text("{")
    assert own_names() == ["other"]
    with pytest.raises(ModelError, match="no model of this name"):
        installed_model("mine")


# The card


def test_a_card_states_limits_origin_measurements_and_licence():
    card = card_of(read_spec(DEFAULT_MODEL), {**MEASURED, "seed": 3, "per_patient": {"a": {"V": 1}, "b": {"V": 2}}})
    headings = [line for line in card.splitlines() if line.startswith("#")]
    assert headings == [
        "# Model general", "## Limits", "## Origin", "## What was measured", "### Before", "### After",
        "### Per patient", "## Licence",
    ]  # fmt: skip
    for line in (
        "**Better in 4 of 5 patients.**",
        "- Recorder: Made Recorder",
        "| held out | 0.95 |",
        "| b | 2 |",
        "- Seed: 3",
    ):
        assert line in card.splitlines()
    assert "It learned from mitdb, svdb" in card
    assert "not cleared for use" in card


@pytest.mark.parametrize(
    "proof", [{}, {"before": [], "after": None}, {"before": "text"}, {"verdict": ["x"]}, {"after": [1, [2]]}]
)
def test_a_card_is_made_of_any_json_object(proof):
    assert card_of(read_spec(DEFAULT_MODEL), proof).endswith("to decide.\n")


def test_a_card_says_how_many_rows_of_a_long_table_it_leaves_to_the_proof():
    card = card_of(read_spec(DEFAULT_MODEL), {"changed_beats": [{"time_s": time_s} for time_s in range(1000)]})
    assert "The first 40 of 1,000 rows" in card
    assert "| 39 |" in card
    assert "| 40 |" not in card


def test_nothing_in_a_card_from_elsewhere_becomes_a_link_a_picture_or_a_heading():
    hostile = "![x](http://evil/p.png)\n# Big <script>|`"
    proof = {"verdict": hostile, "recorder": hostile, hostile: 1, "before": [{hostile: hostile}], "t": {hostile: {}}}
    card = card_of(replace(read_spec(DEFAULT_MODEL), trained_on=(f"{hostile}/1",)), proof)
    assert "![x]" not in card
    assert "<script" not in card.replace("\\<script", "")
    assert not [line for line in card.splitlines() if line.startswith("# Big")]


def test_the_spec_of_a_shipped_model_states_no_origin():
    assert all(asdict(read_spec(path))["origin"] == "" for path in find_models())
