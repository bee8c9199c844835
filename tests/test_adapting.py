"""Adaptation to a recorder: who is learned from, what the proof says, and what is kept where something goes wrong."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.adapting import evaluation, recording, write_labelled
from support.kept_models import adapted_files
from support.records import in_memory
from support.stores import READER
from support.training import QUICK_PLAN, SMALL_SPEC

from ecg_core.adaptation import agreement, material, running, source, task
from ecg_core.adaptation.changes import changed_beats
from ecg_core.adaptation.choosing import choose
from ecg_core.adaptation.fitting import adapted_spec, learned_record
from ecg_core.adaptation.keeping import keep_adapted, require_free
from ecg_core.adaptation.known import for_model, mark_known
from ecg_core.adaptation.material import (
    Labels,
    Origin,
    Survey,
    identified,
    labelled_record,
    open_recording,
    survey_folder,
    survey_studies,
)
from ecg_core.adaptation.proof import Comparison, Proof, describe_proof
from ecg_core.adaptation.split import MOST_FOLDS, Side, folds_of, propose_sides
from ecg_core.adaptation.task import (
    CANCELLED,
    DONE,
    FAILED,
    INTERRUPTED,
    MODEL,
    RUNNING,
    State,
    Task,
    create,
    find,
    find_all,
)
from ecg_core.classifier import leads
from ecg_core.classifier.installed import installed_model
from ecg_core.classifier.kept import is_taken, keep, rename
from ecg_core.classifier.model import load_model
from ecg_core.classifier.model_card import origin_of
from ecg_core.classifier.model_files import SPEC, WEIGHTS, checked_spec, digest_of, is_name
from ecg_core.classifier.network import BeatNetwork
from ecg_core.classifier.spec import DEFAULT_MODEL, model_digest, read_spec, spec_bytes
from ecg_core.classifier.weights import save_model, torch_model
from ecg_core.cli.main import main
from ecg_core.edits import DeleteEdit, Label, LabelEdit, RhythmEdit, Stretch, StretchEdit
from ecg_core.errors import AdaptationError, RecordError
from ecg_core.evaluation.evaluate import evaluate_record
from ecg_core.labels import UNLABELLED
from ecg_core.notes import Patient
from ecg_core.parallel import use_threads
from ecg_core.pipeline import analyse
from ecg_core.records import read_record
from ecg_core.schema import Annotations
from ecg_core.signals.filters import FS_HZ
from ecg_core.studies.edits import add_edit
from ecg_core.studies.store import open_store
from ecg_core.studies.study import SIGNED, add_study, get_study
from ecg_core.studies.study_notes import set_patient
from ecg_core.training.adaptation import between

SAME = {"V": 0.8, "S": 0.7}


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("ECG_ADAPTATIONS", str(tmp_path / "adaptations"))
    monkeypatch.setenv("ECG_MODELS", str(tmp_path / "models"))
    use_threads(1)


def patients(n, **values):
    return [recording(str(number), n_v=number, **values) for number in range(n)]


def proof(held_out, of_source=SAME, **values):
    return Proof(
        Comparison(evaluation(SAME, **values), evaluation(held_out, **values)),
        Comparison(evaluation(SAME), evaluation(of_source)),
    )


# Who is learned from, and who is held out


@pytest.mark.parametrize("n", [5, 9, 10, 38])
def test_a_third_of_the_labelled_patients_is_held_out_and_both_sides_have_ectopic_beats(n):
    recordings = patients(n)
    sides = propose_sides(recordings)
    (fold,) = folds_of(recordings, sides, Labels.ALL)
    assert len(fold.held_out) == max(2, round(n / 3))
    assert {one.patient for one in fold.held_out}.isdisjoint(one.patient for one in fold.learned)
    assert all(sum(one.n_labels[2] for one in side) for side in (fold.held_out, fold.learned))


@pytest.mark.parametrize("labels", [Labels.SOME, Labels.ALL])
def test_labels_are_not_learned_where_nobody_who_is_learned_from_has_any(labels):
    recordings = patients(8)
    sides = propose_sides(recordings)
    without = [
        replace(one, n_labels=tuple(0 for _ in one.n_labels)) if sides[one.patient] == Side.LEARN else one
        for one in recordings
    ]
    with pytest.raises(AdaptationError, match="no labelled patients to learn from"):
        folds_of(without, sides, labels)
    assert folds_of(without, sides, Labels.NONE)


def test_all_recordings_of_a_patient_are_on_one_side():
    recordings = [replace(one, name=f"{one.name}-{part}") for one in patients(8) for part in "ab"]
    (fold,) = folds_of(recordings, propose_sides(recordings), Labels.ALL)
    assert {one.patient for one in fold.held_out}.isdisjoint(one.patient for one in fold.learned)
    assert len(fold.held_out) % 2 == 0


@pytest.mark.parametrize("n", [2, 3, 4])
def test_of_few_patients_each_is_left_out_in_turn(n):
    recordings = patients(n)
    folds = folds_of(recordings, propose_sides(recordings), Labels.ALL)
    assert [one.patient for fold in folds for one in fold.held_out] == [str(number) for number in range(n)]
    assert all(len(fold.learned) == n - 1 for fold in folds)


def test_of_many_patients_without_anybody_held_out_no_more_fits_are_made_than_can_be_waited_for():
    recordings = patients(11)
    folds = folds_of(recordings, dict.fromkeys(map(str, range(11)), Side.LEARN), Labels.ALL)
    assert len(folds) == MOST_FOLDS
    assert sorted(one.patient for fold in folds for one in fold.held_out) == sorted(map(str, range(11)))


ANN = ("Smith Ann", "SMITH ANN", "smith  ann", "Smith Ann")


@pytest.mark.parametrize("fields", [("patient",), ("patient", "patient_name")])
def test_one_patient_under_several_spellings_is_on_one_side(fields):
    spelt = [replace(recording("x"), **dict.fromkeys(fields, name)) for name in ANN]
    assert {one.patient for one in identified(spelt)} == {"Smith Ann"}
    accents = [replace(recording("x"), patient=name) for name in ("M\u00fcller", "Mu\u0308ller", "M\u00dcLLER")]
    assert len({one.patient for one in identified(accents)}) == 1
    sides = {"Smith Ann": Side.LEARN, "smith  ann": Side.HOLD_OUT}
    with pytest.raises(AdaptationError, match="Smith Ann and smith  ann are one patient on two sides"):
        folds_of([replace(recording("x"), patient=name) for name in sides], sides, Labels.ALL)


def stated(number, name):
    return replace(recording("x"), patient=number or name, patient_id=number, patient_name=name)


def test_the_number_of_a_patient_comes_before_the_name():
    assert [one.patient for one in identified([stated("7", "Ann"), stated("", "ANN"), stated("", "Eva")])] == [
        "7", "7", "Eva",
    ]  # fmt: skip


def test_numbers_and_names_that_contradict_each_other_are_doubted_until_the_sides_mend_it():
    several_names = Survey(identified([stated("7", "Ann"), stated("7", "Anna"), stated("7", "ANN")]))
    assert several_names.doubts == ["Recordings of the patient 7 have several names (Ann; Anna): is it one patient?"]
    several_numbers = Survey(identified([stated("7", "Ann"), stated("8", "ann"), stated("", "Ann")]))
    assert several_numbers.doubts[0].startswith("Recordings of Ann have several numbers (7; 8): they")
    mended = tuple(replace(one, patient="7") for one in several_numbers.recordings)
    assert replace(several_numbers, recordings=mended).doubts == []


def test_a_study_is_of_the_patient_whose_number_it_states(tmp_path):
    with closing(open_store(tmp_path / "studies")) as store:
        studies = []
        for at, patient in enumerate([Patient("Ann", "7"), Patient("ANN", "7"), Patient("Eva", "8"), Patient("eva")]):
            path = write_labelled(tmp_path / "recorder", f"r{at}", 120 + 60 * at, 180 + 60 * at)
            studies.append(add_study(store, read_record(path), READER))
            set_patient(store, studies[-1].record_sha256, patient, READER)
        studies = [get_study(store, study.record_sha256) for study in studies]
        assert [one.patient for one in survey_studies(store, studies).recordings] == ["7", "7", "8", "8"]


def test_labels_that_began_from_another_model_are_doubted():
    signed = replace(recording("x"), origin=Origin.SIGNED, report_model="general", report_model_sha256="a")
    assert "began from the beats of another model (general)" in Survey((signed,), model_sha256="b").doubts[0]
    assert Survey((signed,), model_sha256="a").doubts == Survey((signed,)).doubts == []
    spec = read_spec(DEFAULT_MODEL)
    for own in (model_digest(spec), spec.sha256):  # as studies state it, and as those of version 0.2 do
        assert for_model(Survey((replace(signed, report_model_sha256=own),)), spec).doubts == []
    assert "another model" in for_model(Survey((signed,)), spec).doubts[0]


def test_a_patient_that_the_model_knows_is_never_held_out():
    recordings = [replace(one, known_as="learned by v1" * (one.patient in "012")) for one in patients(8)]
    sides = propose_sides(recordings)
    assert len([side for side in sides.values() if side == Side.HOLD_OUT]) == 2
    assert {sides[patient] for patient in "012"} == {Side.LEARN}
    with pytest.raises(AdaptationError, match=r"1 patient cannot be held out: .* got 1, learned by v1\. Learn from"):
        folds_of(recordings, sides | {"1": Side.HOLD_OUT}, Labels.ALL)
    in_turn = folds_of(recordings, dict.fromkeys(sides, Side.LEARN), Labels.ALL)
    assert {one.patient for fold in in_turn for one in fold.held_out} == set("34567")
    assert "3 of 8 patients were used before (0, learned by v1" in Survey(tuple(recordings)).doubts[0]
    one_left = [replace(one, known_as="learned by v1" * (one.patient != "4")) for one in recordings]
    with pytest.raises(AdaptationError, match="1 patient with a label for every beat, besides those that were used"):
        folds_of(one_left, propose_sides(one_left), Labels.ALL)


@pytest.mark.parametrize(
    ("database", "names", "known"),
    [
        ("ltdb/1.0.0", ["14046_3225600", "14046_1", "14149_1"], [True, True, False]),
        ("mitdb/1.0.0", ["100", "101", "201", "202"], [False, True, True, True]),  # 201 and 202 are one patient
        ("qtdb/1.0.0", ["sel100", "sel14046"], [False, True]),
        ("our recorder", ["101", "100"], [False, False]),
    ],
)
def test_what_a_published_model_learned_is_known_by_database_record_and_patient(database, names, known):
    recordings = [replace(recording("x"), path=f"/data/{database}/{name}", name=name) for name in names]
    found = mark_known(recordings, read_spec(DEFAULT_MODEL))
    assert [bool(one.known_as) for one in found] == known


def test_a_copy_of_a_published_record_is_known_by_its_name_and_rate_and_the_source_is_known_to_every_model():
    copy = replace(recording("x"), path="/data/ours/101", name="101", fs_hz=360.0)
    assert "as mitdb/101" in mark_known([copy], read_spec(DEFAULT_MODEL))[0].known_as
    assert mark_known([copy], SMALL_SPEC)[0].known_as == "rehearsed as mitdb/101"


def test_what_a_model_learned_is_known_by_its_content_wherever_it_lies(tmp_path):
    write_labelled(tmp_path / "here", "one", 120, 180)
    write_labelled(tmp_path / "there", "two", 120, 180)
    write_labelled(tmp_path / "there", "one", 180, 240)
    learned = survey_folder(tmp_path / "here").recordings
    spec = adapted_spec(SMALL_SPEC, "v1", learned, labels=Labels.ALL, plan=QUICK_PLAN)
    later = {one.name: one.known_as for one in mark_known(survey_folder(tmp_path / "there").recordings, spec)}
    assert later == {"two": "learned by v1", "one": ""}
    earlier = replace(spec, learned_sha256=(), trained_on=("v1/one",))  # of an earlier version: the name has to do
    later = {one.name: one.known_as for one in mark_known(survey_folder(tmp_path / "there").recordings, earlier)}
    assert later == {"two": "", "one": "learned by v1 as v1/one"}


def test_one_patient_is_refused_as_nothing_could_be_proven():
    with pytest.raises(AdaptationError, match="1 patient with a label for every beat: expected two or more"):
        folds_of(patients(1), {"0": Side.LEARN}, Labels.ALL)


def test_recordings_without_labels_are_refused_and_the_way_out_is_named():
    recordings = patients(6, origin=Origin.NONE)
    sides = propose_sides(recordings)
    with pytest.raises(AdaptationError, match="no labelled patients to learn from: label beats"):
        folds_of(recordings, sides, Labels.ALL)
    with pytest.raises(AdaptationError, match=r"0 patients with a label for every beat.*Sign the reports"):
        folds_of(recordings, sides, Labels.NONE)


def test_the_signals_of_patients_without_labels_can_be_learned_where_others_prove_it():
    recordings = [*patients(3, origin=Origin.NONE), *(replace(one, patient=f"l{one.patient}") for one in patients(2))]
    sides = dict.fromkeys("012", Side.LEARN) | dict.fromkeys(("l0", "l1"), Side.HOLD_OUT)
    (fold,) = folds_of(recordings, sides, Labels.NONE)
    assert len(fold.learned) == 3
    assert len(fold.held_out) == 2


# What the proof says


def test_a_gain_on_patients_that_were_not_used_is_better_and_may_be_kept():
    found = proof({"V": 0.95, "S": 0.8})
    assert found.outcome == "better"
    assert found.may_keep
    assert found.verdict.startswith("Better: V F1 0.889 -> 0.974, S F1 0.824 -> 0.889 on 6 patients not used; source")


def test_no_gain_is_said_as_plainly():
    found = proof(SAME)
    assert found.outcome == "no better"
    assert found.verdict.startswith("No better: ")


@pytest.mark.parametrize(
    ("after", "of_source", "why"),
    [
        ({"V": 0.6, "S": 0.7}, SAME, "V F1 on held-out patients falls from 0.889 to 0.750"),
        ({"V": 0.95, "S": 0.5}, SAME, "S F1 on held-out patients falls"),
        ({"V": 0.95, "S": 0.9}, {"V": 0.75, "S": 0.7}, "V F1 on the source falls from 0.889 to 0.857: it would forget"),
    ],
)
def test_harm_to_patients_or_to_the_source_cannot_be_kept(after, of_source, why):
    found = proof(after, of_source)
    assert found.outcome == "worse"
    assert not found.may_keep
    assert why in found.verdict


def test_with_too_few_ectopic_beats_nothing_is_claimed_and_nothing_is_kept():
    found = proof({"V": 1.0, "S": 1.0}, n=4)
    assert found.outcome == "not shown"
    assert not found.may_keep
    assert "V not judged (24 beats; false 0.0 -> 0.0 an hour)" in found.verdict


@pytest.mark.parametrize(("false_s", "outcome"), [(0, "better"), (6, "better"), (7, "worse"), (500, "worse")])
def test_false_beats_of_a_class_that_is_too_rare_to_be_judged_still_forbid_a_model(false_s, outcome):
    """In 25 minutes of a patient that are scored, 2 + 10 an hour may be added."""
    after = evaluation({"V": 0.95, "S": 0.8}, n_s=4, false_s=false_s)
    found = Proof(
        Comparison(evaluation(SAME, n_s=4), after), Comparison(evaluation(SAME), evaluation(SAME))
    )  # fmt: skip
    assert (found.outcome, found.may_keep) == (outcome, outcome == "better")
    assert f"S not judged (24 beats; false 0.0 -> {false_s * 2.4:.1f} an hour)" in found.verdict
    assert (f"false S on held-out patients rise from 0.0 to {false_s * 2.4:.1f} an hour" in found.verdict) == (
        outcome == "worse"
    )


def test_recordings_whose_files_state_several_recorders_are_doubted():
    def doubts(*recorders):
        return Survey(tuple(replace(recording(name), recorder=name) for name in recorders)).doubts

    assert doubts("Seer Light", "H12+") == [
        "The files state several recorders (H12+; Seer Light): a model is adapted to one."
    ]
    assert doubts("Seer Light", "seer  light", "") == []


def test_simulated_recordings_are_called_so_before_and_after():
    learned = [replace(one, is_simulated=one.patient == "1") for one in patients(3)]
    assert Survey(tuple(learned)).doubts[0] == "Simulated, and no patients: 1 of 3 recordings."
    found = proof({"V": 0.9, "S": 0.8})
    assert "imulated" not in found.verdict
    assert "Simulated recordings are among them" in replace(found, is_simulated=True).verdict


def test_an_interval_over_too_few_patients_is_not_given():
    def interval(n_patients):
        after = evaluation({"V": 0.9, "S": 0.8}, n_patients=n_patients)
        held_out = Comparison(evaluation(SAME, n_patients=n_patients), after)
        described = describe_proof(Proof(held_out, Comparison(evaluation(SAME), evaluation(SAME))))
        return next(row for row in described["change"] if row["figure"] == "v_f1")

    assert interval(3)["low"] is None
    assert interval(4)["low"] is not None
    assert interval(4)["low"] <= interval(4)["change"] <= interval(4)["high"]


def test_the_proof_is_plain_json():
    described = describe_proof(proof({"V": 0.95, "S": 0.8}))
    assert json.loads(json.dumps(described)) == described
    assert described["held_out_patients"][0]["v_f1_before"] == pytest.approx(0.889, abs=1e-3)


def test_all_beats_that_changed_are_counted_though_some_are_shown():
    time_s = np.arange(1.0, 41.0)
    record = replace(
        in_memory(np.zeros(50), 1.0), reference=Annotations(time_s, np.repeat(["V", "N"], 20), np.full(40, ""))
    )
    (made,) = evaluation(SAME, n_patients=1).records
    before = replace(made, found_s=time_s, found_label=np.full(40, "N"))
    after = replace(made, found_s=time_s, found_label=np.repeat(["V", "S"], [33, 7]))
    changed = changed_beats(recording("x"), record, before, after)
    assert (changed.n_better, changed.n_worse) == (20, 20)
    assert [beat["better"] for beat in changed.shown] == [True] * 6 + [False] * 6


# What is asked for, and where it is kept


def made(name="mine", **values):
    recordings = tuple(patients(6))
    asked = Task(
        name=name, model="general.pt", model_sha256="0" * 64, recordings=recordings,
        sides=propose_sides(recordings), **values,
    )  # fmt: skip
    return create(asked)


def test_a_task_is_read_back_as_it_was_asked_for():
    adaptation = made(labels=Labels.SOME, lead="II", seed=3)
    assert find("mine").task == adaptation.task
    assert [one.task.name for one in find_all()] == ["mine"]


def test_a_task_that_cannot_be_written_leaves_no_folder_that_blocks_its_name(monkeypatch):
    def no_room(*args, **kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(task, "write_json", no_room)
        with pytest.raises(AdaptationError, match=r"cannot be kept there \(No space left on device\)"):
            made()
    assert made().folder.is_dir()


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_one_whose_task_is_missing_or_damaged_can_be_discarded(content, capsys):
    place = task.adaptations_folder() / "broken"
    place.mkdir(parents=True)
    if content is not None:
        (place / task.TASK).write_text(content)
    assert main(["adapt", "--discard", "broken"]) == 0
    assert not place.exists()


def test_a_folder_that_is_no_adaptation_is_not_discarded(tmp_path, capsys):
    (tmp_path / "recordings").mkdir()
    (tmp_path / "recordings" / "100.dat").write_bytes(b"0")
    assert main(["adapt", "--discard", str(tmp_path / "recordings")]) == 2
    assert (tmp_path / "recordings" / "100.dat").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="the system knows no such modes")
def test_names_of_patients_in_a_task_are_for_their_owner_alone():
    folder = made().folder
    assert [stat.S_IMODE(place.stat().st_mode) for place in (folder, folder.parent)] == [0o700] * 2


def test_a_name_is_taken_once():
    made()
    with pytest.raises(AdaptationError, match='"mine" is there already: resume or discard it'):
        made()


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", "-a", "ä", "x" * 41])
def test_a_name_that_is_no_plain_word_is_refused(name):
    with pytest.raises(AdaptationError, match="expected a name of 1 to 40"):
        made(name)


@pytest.mark.parametrize("name", ["source", "adapted", "general"])
def test_an_adaptation_never_takes_the_name_of_a_shipped_model(name):
    with pytest.raises(AdaptationError, match=f'"{name}" is the name of an installed model'):
        require_free(name)


HOLDS = """
import time
from ecg_core.adaptation.task import find
with find("mine").held():
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_that_a_process_works_on_is_neither_resumed_nor_discarded_until_that_process_ends(capsys):
    adaptation = made()
    adaptation.note(State(RUNNING, "Fit", 0.5, 60.0, 1))
    with subprocess.Popen([sys.executable, "-c", HOLDS], stdout=subprocess.PIPE) as process:  # noqa: S603
        assert process.stdout.readline() == b"held\n"
        assert find("mine").state.state == RUNNING
        for refused in (adaptation.discard, lambda: running.run(adaptation), lambda: task.start_process(adaptation)):
            with pytest.raises(AdaptationError, match=r"mine: a process works on this adaptation\. Wait until"):
                refused()
        for option in ("--resume", "--discard"):
            assert main(["adapt", option, "mine"]) == 2
            assert "a process works on this adaptation" in capsys.readouterr().err
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert adaptation.state.state == INTERRUPTED
    assert main(["adapt", "--discard", "mine"]) == 0
    assert not adaptation.folder.exists()


def test_one_whose_process_number_another_program_has_now_is_interrupted():
    adaptation = made()
    adaptation.note(State(RUNNING, "Fit", 0.5, 60.0, os.getpid()))
    assert adaptation.state.state == INTERRUPTED


def test_a_process_that_was_started_has_a_moment_to_begin():
    adaptation = made()
    adaptation.note(State(RUNNING, task.STARTING, process=os.getpid()))
    assert adaptation.state.state == RUNNING
    os.utime(adaptation.folder / task.STATE, (0, 0))
    assert adaptation.state.state == INTERRUPTED


def test_a_damaged_task_hides_no_other_and_is_named():
    made("good")
    made("bad")
    (task.adaptations_folder() / "bad" / task.TASK).write_text("{")
    assert [one.task.name for one in find_all()] == ["good"]
    with pytest.raises(AdaptationError, match="expected the task of an adaptation"):
        find("bad")


def test_nothing_is_kept_without_a_proof():
    adaptation = made()
    with pytest.raises(AdaptationError, match="this adaptation is waiting, expected one that is done"):
        keep_adapted(adaptation)
    adaptation.note(State(DONE, verdict="Worse: V F1 .8 -> .7"))
    (adaptation.folder / task.PROOF).write_text(json.dumps({"may_keep": False, "verdict": "Worse: V F1 .8 -> .7"}))
    with pytest.raises(AdaptationError, match="Worse: V F1"):
        keep_adapted(adaptation)


# The recordings at hand


def test_what_cannot_be_read_is_named_and_mixed_rates_are_doubted(tmp_path):
    folder = tmp_path / "recorder"
    write_labelled(folder, "one", 120, 180)
    write_labelled(folder, "two", 180, 240)
    header = folder / "two.hea"
    header.write_text(header.read_text().replace(" 257 ", " 250 ").replace("two.dat 16", "two.dat 16"))
    (folder / "three.hea").write_text("three 1 250 1000\nmissing.dat 16 200/mV 16 0 0 0 0 II\n")
    survey = survey_folder(folder)
    assert [one.name for one in survey.recordings] == ["one", "two"]
    assert survey.left_out[0][0] == "three"
    assert "missing.dat" in survey.left_out[0][1]
    assert "several sampling rates (250, 257 Hz)" in survey.doubts[0]


def test_a_copy_of_a_recording_is_left_out_as_it_could_be_held_out_while_the_other_is_learned(tmp_path):
    for name, start_s in (("copy", 120), ("one", 120), ("two", 180)):
        write_labelled(tmp_path, name, start_s, start_s + 60)
    (tmp_path / "copy.atr").unlink()
    survey = survey_folder(tmp_path)
    assert [one.name for one in survey.recordings] == ["one", "two"]
    assert survey.left_out == (("copy", "it is a copy of one, which is used"),)
    with closing(open_store(tmp_path / "studies")) as store:
        study = add_study(store, read_record(tmp_path / "one"), READER)
        assert len(survey_studies(store, [study, study]).recordings) == 1


def test_a_file_that_changed_since_it_was_chosen_is_refused(tmp_path):
    write_labelled(tmp_path, "one", 120, 180)
    (chosen,) = survey_folder(tmp_path).recordings
    write_labelled(tmp_path, "one", 120, 170)
    with pytest.raises(RecordError, match="changed since the recordings were chosen: expected 60 s"):
        open_recording(chosen)


def test_labels_that_changed_since_they_were_chosen_are_refused(tmp_path):
    path = write_labelled(tmp_path, "one", 120, 180)
    (chosen,) = survey_folder(tmp_path).recordings
    open_recording(chosen)
    write_labelled(tmp_path, "one", 120, 180, symbol="V")
    with pytest.raises(RecordError, match=r"one: the labels were changed since .*: expected .* N.*, got .* V\)"):
        open_recording(chosen)
    path.with_suffix(".atr").unlink()
    with pytest.raises(RecordError, match="got no labels"):
        open_recording(chosen)


def test_another_signal_of_the_same_length_is_refused(tmp_path):
    write_labelled(tmp_path, "one", 120, 180)
    (chosen,) = survey_folder(tmp_path).recordings
    write_labelled(tmp_path, "one", 180, 240)
    with pytest.raises(RecordError, match="one: the signal was changed since the recordings were chosen"):
        open_recording(chosen)


def test_a_signed_study_that_was_unlocked_meanwhile_is_not_learned_as_if_all_were_labelled(tmp_path):
    """Its few reader labels would count as the labels of all beats."""
    with closing(open_store(tmp_path / "studies")) as store:
        path = write_labelled(tmp_path / "recorder", "one", 120, 180)
        study = add_study(store, read_record(path), READER)
        (found,) = survey_studies(store, [study]).recordings
        signed = replace(found, origin=Origin.SIGNED)
        with pytest.raises(
            RecordError, match=r"expected signed report .*, got reference annotations .* Sign the report"
        ):
            open_recording(signed, store)


def test_a_label_that_its_reader_took_back_is_not_learned(tmp_path):
    """A beat that was deleted, one in artefact, one in what is sinus rhythm, and one that was labelled again."""
    given = (Label(10.0, "V"), Label(20.0, "V"), Label(30.0, "S"), Label(40.0, "V"), Label(50.0, "V"))
    edits = (
        LabelEdit(given), DeleteEdit((10.01,)), StretchEdit((Stretch(19.0, 21.0),), analysable=False),
        RhythmEdit((Stretch(29.0, 31.0),), "sinus"), RhythmEdit((Stretch(39.0, 41.0),), "af"),
        StretchEdit((Stretch(49.0, 51.0),), analysable=False), LabelEdit((Label(50.0, "S"),)),
    )  # fmt: skip
    with closing(open_store(tmp_path / "studies")) as store:
        study = add_study(store, read_record(write_labelled(tmp_path / "recorder", "one", 120, 180)), READER)
        for edit in edits:
            add_edit(store, study.record_sha256, edit, READER)
        record, origin = labelled_record(store, get_study(store, study.record_sha256))
    assert origin == Origin.READER
    assert list(zip(record.reference.time_s, record.reference.symbol, strict=True)) == [
        (30.0, "N"), (40.0, "V"), (50.0, "S"),
    ]  # fmt: skip


def test_what_a_signed_report_did_not_analyse_is_learned_neither_as_a_beat_nor_as_noise(tmp_path, model, monkeypatch):
    with closing(open_store(tmp_path / "studies")) as store:
        record = read_record(write_labelled(tmp_path / "recorder", "one", 120, 180))
        study = replace(add_study(store, record, READER), state=SIGNED)
        analysis = analyse(record, model)
        usable = analysis.beats.usable.copy()
        usable[10:20] = False
        shown = replace(analysis, beats=replace(analysis.beats, usable=usable))
        monkeypatch.setattr(material, "shown_analysis", lambda *asked: shown)
        (chosen,) = survey_studies(store, [study]).recordings
        signed, _ = labelled_record(store, study)
    assert sum(chosen.n_labels) == usable.sum()
    learned = learned_record(chosen, signed, model, Labels.ALL)
    np.testing.assert_allclose(learned.position / FS_HZ, analysis.beats.time_s)
    assert (learned.code[10:20] == UNLABELLED).all()
    assert (np.delete(learned.code, slice(10, 20)) != UNLABELLED).any()


def test_without_the_source_it_says_what_is_needed_and_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("ECG_DATABASES", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AdaptationError, match=r"mitdb and nstdb of PhysioNet .* looked in .*does not forget"):
        source.require_source()


def test_a_patient_that_is_not_there_is_named(tmp_path):
    write_labelled(tmp_path, "one", 120, 180)
    with pytest.raises(AdaptationError, match="x: no such patient, expected some of one"):
        choose([str(tmp_path)], hold_out=["x"])


def test_shuffled_labels_are_refused_before_anything_is_learned(tmp_path, model):
    records = [read_record(write_labelled(tmp_path, f"r{at}", at, at + 120)) for at in (540, 690)]
    opened = list(zip(survey_folder(tmp_path).recordings, records, strict=True))
    agreement.refuse_contradicting(opened, model)
    rng = np.random.default_rng(0)
    shuffled = [
        (one, replace(record, reference=replace(record.reference, symbol=rng.permutation(record.reference.symbol))))
        for one, record in opened
    ]
    with pytest.raises(AdaptationError, match=r"no better than by chance in 2 of 2 recordings .* r540 "):
        agreement.refuse_contradicting(shuffled, model)


def test_a_reader_who_labelled_only_beats_that_the_model_has_wrong_is_not_refused(tmp_path, model):
    record = read_record(write_labelled(tmp_path, "one", 540, 660))
    (chosen,) = survey_folder(tmp_path).recordings
    beats = analyse(record, model).beats
    wrong_s = beats.time_s[beats.usable & (beats.label == "N")][:25]
    corrected = replace(record, reference=Annotations(wrong_s, np.full(25, "V"), np.full(25, "")))
    agreement.refuse_contradicting([(replace(chosen, origin=Origin.READER), corrected)], model)
    with pytest.raises(AdaptationError, match="no better than by chance in 1 of 1 recording"):
        agreement.refuse_contradicting([(chosen, corrected)], model)


# From the task to the kept model


@pytest.fixture
def small_world(tmp_path, monkeypatch):
    """Four short recordings of a recorder, a source of two records, a small model, and fits of a few steps."""
    databases = tmp_path / "databases"
    mitdb, nstdb = (databases / name / "1.0.0" for name in ("mitdb", "nstdb"))
    write_labelled(mitdb, "100", 120, 480)
    write_labelled(mitdb, "200", 540, 900)
    for name in ("em", "ma", "bw"):
        write_labelled(nstdb, name, 120, 480)
    monkeypatch.setenv("ECG_DATABASES", str(databases))
    names = {source.REHEARSED: ("100",), source.MEASURED: ("200",)}
    monkeypatch.setattr(source, "split_names", lambda split: names[split])
    folder = tmp_path / "recorder"
    for number, start_s in enumerate((300, 500, 560, 620)):
        write_labelled(folder, f"r{number}", start_s, start_s + 320)
    torch.manual_seed(0)
    model = tmp_path / "small.pt"
    save_model(model, torch_model(SMALL_SPEC, BeatNetwork(SMALL_SPEC).eval()))
    monkeypatch.setattr(agreement, "LEAST_KAPPA", -1.0)  # a network that learned nothing agrees with nobody
    monkeypatch.setattr(running, "PLAN", replace(QUICK_PLAN, checkpoint_steps=1))
    return folder, model


def begun(folder, model, **values):
    chosen = choose([str(folder)], hold_out=["r2", "r3"])
    spec = load_model(model).spec
    return create(
        Task(
            name="mine", model=str(model), model_sha256=spec.sha256, recordings=chosen.survey.recordings,
            sides=chosen.sides, steps=2, **values,
        )
    )  # fmt: skip


@pytest.mark.parametrize("labels", list(Labels))
def test_an_adaptation_ends_with_a_proof_and_a_model_that_runs_in_8_bit_integers(small_world, labels):
    adaptation = begun(*small_world, labels=labels)
    seen = []
    state = running.run(adaptation, show=seen.append)
    assert state.state == DONE, state.problem
    assert [one.fraction for one in seen] == sorted(one.fraction for one in seen)
    proof = adaptation.proof
    assert proof["verdict"] == state.verdict
    assert {row["patient"] for row in proof["held_out_patients"]} <= {"r2", "r3"}
    assert {one["recording"] for one in proof["learned_from"]} == {"r0", "r1"}
    made = load_model(adaptation.folder / MODEL)
    assert made.spec.int8_sha256
    assert made.spec.calibration == ()


def test_a_lead_that_a_held_out_recording_lacks_is_refused_before_anything_is_fitted(small_world, capsys):
    folder, model = small_world
    asked = ["adapt", str(folder), "--model", str(model), "--hold-out", "r3", "--name", "mine", "--lead", "V9"]
    assert main(asked) == 2
    assert "r3, which is held out" in capsys.readouterr().err
    assert not find_all()
    state = running.run(begun(folder, model, lead="V9"))
    assert "V9" in state.problem
    assert state.fraction == 0


def test_before_and_after_are_measured_on_the_same_one_of_many_leads(small_world, monkeypatch):
    """The adapted model would choose the last lead, and the one before it the first."""
    folder, model = small_world
    for name, start_s in (("r2", 560), ("r3", 620)):
        write_labelled(folder, name, start_s, start_s + 320, leads=(0, 1, 6, 7))
    monkeypatch.setattr(leads, "LIKE_QUALITY", 0.0)
    monkeypatch.setattr(
        leads, "_quality", lambda model, clean: np.arange(4.0) * (1 if model.spec.name == "mine" else -1)
    )
    measured = []

    def measure(record, model, **values):
        found = evaluate_record(record, model, **values)
        measured.append((record.record_id, found.lead_names))
        return found

    monkeypatch.setattr(running, "evaluate_record", measure)
    assert running.run(begun(folder, model)).state == DONE
    of = {name: {lead_names for one, lead_names in measured if one == name} for name in ("r2", "r3")}
    first = read_record(folder / "r2").lead_names[:1]
    assert of == {"r2": {first}, "r3": {first}}


def test_a_cancelled_adaptation_is_resumed_where_it_was(small_world, monkeypatch):
    adaptation = begun(*small_world)

    def stop_at_the_fit(state):
        if state.stage.startswith("Fit"):
            adaptation.ask_to_stop()

    assert running.run(adaptation, show=stop_at_the_fit).state == CANCELLED
    assert list(adaptation.folder.glob("*.ckpt"))
    assert running.run(find("mine")).state == DONE


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit of this kind")
@pytest.mark.parametrize(
    ("stage", "room", "found"),
    [("Fit", 10_000, FAILED), ("Exporting", 10_000, FAILED), ("Fit", 0, INTERRUPTED)],  # 0: not even for a sentence
)
def test_a_full_disk_ends_in_a_sentence_and_loses_nothing(small_world, stage, room, found):
    """The writing of a file itself fails from a stage on, wherever it is written from."""
    import resource

    adaptation = begun(*small_world)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill_the_disk(state):
        if state.stage.startswith(stage):
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))

    try:
        state = running.run(adaptation, show=fill_the_disk)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert state.state == FAILED
    assert re.search(r"mine: cannot be written \(File too large\)\. Make room, then resume", state.problem)
    assert find("mine").state.state == found
    assert running.run(find("mine")).state == DONE


def test_a_killed_process_leaves_what_can_be_resumed(small_world):
    folder, model = small_world
    adaptation = begun(folder, model)
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], stdout=subprocess.DEVNULL)
    adaptation.note(State(RUNNING, "Fit", 0.3, 100.0, process.pid))
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert find("mine").state.state == INTERRUPTED
    assert running.run(find("mine")).state == DONE


def test_patients_that_an_adapted_model_learned_from_are_not_held_out_when_it_is_adapted_again(small_world, capsys):
    folder, model = small_world
    adaptation = begun(folder, model)
    assert running.run(adaptation).state == DONE
    moved = folder.rename(folder.with_name("elsewhere"))
    made = str(adaptation.model_path)
    assert main(["adapt", str(moved), "--model", made, "--name", "v2", "--hold-out", "r0", "--dry-run"]) == 2
    assert "1 patient cannot be held out: expected patients that neither" in capsys.readouterr().err
    chosen = choose([str(moved)], model=adaptation.model_path)
    assert [one.patient for one in chosen.survey.recordings if one.known_as] == ["r0", "r1"]
    assert main(["adapt", str(moved), "--model", made, "--name", "v2", "--dry-run"]) == 0
    again = create(
        replace(
            adaptation.task,
            name="v2",
            model=made,
            model_sha256=load_model(made).spec.sha256,
            recordings=chosen.survey.recordings,
            sides=adaptation.task.sides | {"r0": Side.HOLD_OUT},
        )
    )
    assert "r0, learned by mine" in running.run(again).problem


def test_a_model_that_changed_since_is_refused(small_world):
    folder, model = small_world
    adaptation = begun(folder, model)
    save_model(model, torch_model(replace(SMALL_SPEC, seed=1), BeatNetwork(SMALL_SPEC).eval()))
    assert "the model was changed since" in running.run(adaptation).problem


def test_an_adaptation_goes_on_where_its_model_was_renamed_before_it_or_while_it_runs(small_world):
    folder, _ = small_world
    adaptation = begun(folder, keep(adapted_files(), "ours").weights)
    rename("ours", "theirs")

    def rename_at_the_fit(state):
        if state.stage.startswith("Fit") and is_taken("theirs"):
            rename("theirs", "another")

    state = running.run(adaptation, show=rename_at_the_fit)
    assert state.state == DONE, state.problem
    assert adaptation.proof["from_model"] == "theirs"


@pytest.mark.parametrize("name", ["a\xa0b", "a\u200bb", "a\x1b[2J", "a\nb", "x" * 3000, "\ue000"])
def test_no_name_of_a_recording_keeps_an_adapted_model_from_being_kept(name):
    recordings = [replace(one, name=name) for one in patients(2)]
    spec = adapted_spec(SMALL_SPEC, "mine", recordings, labels=Labels.ALL, plan=QUICK_PLAN)
    weights = adapted_files()[WEIGHTS]
    files = {WEIGHTS: weights, SPEC: spec_bytes(replace(spec, sha256=digest_of(weights)))}
    assert checked_spec(files, where="mine").trained_on == ("mine/recording 1",) * 2


def test_the_weights_that_are_kept_lie_between_those_before_and_the_fitted_ones():
    torch.manual_seed(0)
    one, other = (BeatNetwork(SMALL_SPEC).eval() for _ in range(2))
    made = between(one, other, 0.75)
    expected = 0.25 * one.judge[0].weight + 0.75 * other.judge[0].weight
    assert torch.allclose(made.judge[0].weight, expected)


def test_a_kept_model_is_installed_with_its_proof(small_world):
    adaptation = begun(*small_world)
    running.run(adaptation)
    proof = adaptation.proof | {"may_keep": True, "verdict": "Better: made for this test"}
    task.write_json(adaptation.folder / task.PROOF, proof)
    keep_adapted(adaptation)
    kept = installed_model("mine")
    assert kept.verdict == "Better: made for this test"
    assert "What was measured" in kept.card


def test_a_kept_model_names_no_patient_and_its_adaptation_does(small_world):
    adaptation = begun(*small_world)
    sides = {f"Name {patient}": side for patient, side in adaptation.task.sides.items()}
    recordings = tuple(
        replace(one, name=f"Name\xa0of\u200b{one.name}", patient=f"Name {one.patient}")
        for one in adaptation.task.recordings
    )
    adaptation.discard()
    adaptation = create(replace(adaptation.task, recordings=recordings, sides=sides))
    assert running.run(adaptation).state == DONE
    assert {one["patient"] for one in adaptation.proof["learned_from"]} == {"Name r0", "Name r1"}
    task.write_json(adaptation.folder / task.PROOF, adaptation.proof | {"may_keep": True})
    kept = keep_adapted(adaptation)
    assert kept.spec.trained_on == ("mine/recording 1", "mine/recording 2")
    assert [one["patient"] for one in kept.proof["learned_from"]] == ["patient 1", "patient 2"]
    assert not [path for path in kept.weights.parent.iterdir() if b"Name" in path.read_bytes()]


@pytest.mark.parametrize(
    ("learned", "held_out", "stated"),
    [
        (("", ""), "", ""),
        (("Seer Light", "seer  light"), "", "seer  light"),
        (("Seer Light", ""), "Another", "Seer Light"),
        (("Seer Light", "Another"), "", ""),
        (("", ""), "Another", ""),
    ],
)
def test_the_recorder_of_a_model_is_the_one_that_its_recordings_state(small_world, learned, held_out, stated):
    asked = begun(*small_world).task
    of_patient = {"r0": learned[0], "r1": learned[1], "r2": held_out, "r3": held_out}
    recordings = tuple(replace(one, recorder=of_patient[one.patient]) for one in asked.recordings)
    adaptation = create(replace(asked, name="stated", recordings=recordings))
    about = running._Run(adaptation, None)._about(None)
    assert about["recorder"] == stated
    recorder = f"the recorder {stated}" if stated else "own recordings"
    assert origin_of(about).split() == f"adapted from small to {recorder}".split()


def test_the_proof_states_the_hours_that_were_learned_and_not_those_that_were_recorded(small_world):
    asked = begun(*small_world).task
    days = tuple(replace(one, duration_s=86400.0) for one in asked.recordings)
    about = running._Run(create(replace(asked, name="days", recordings=days)), None)._about(None)
    assert (about["patients"], about["hours"]) == (2, 4.0)


def test_the_proof_as_json_is_all_that_stands_on_the_output(small_world, capsys):
    folder, model = small_world
    asked = ["adapt", str(folder), "--model", str(model), "--hold-out", "r2,r3", "--name", "mine", "--steps", "2"]
    assert main([*asked, "--json"]) in (0, 1)  # 1: not better, as nothing was learned in two steps
    written = capsys.readouterr()
    assert json.loads(written.out) == find("mine").proof
    assert "hold out" in written.err


def test_an_installed_model_is_gone_on_from_by_its_name(small_world, capsys):
    folder, _ = small_world
    assert main(["adapt", str(folder), "--model", "adapted", "--hold-out", "r3", "--dry-run"]) == 0
    assert main(["adapt", str(folder), "--model", "nothing", "--hold-out", "r3", "--dry-run"]) == 2
    assert "expected one of general, adapted, source" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["1.0.0", "our recorder", "Ä"])
def test_a_folder_of_any_name_gives_a_name_that_a_model_can_have(small_world, name):
    folder = small_world[0].rename(small_world[0].with_name(name))
    assert is_name(choose([str(folder)]).name)


def test_a_name_that_no_model_can_have_is_refused_before_the_work(small_world, capsys):
    folder, _ = small_world
    assert main(["adapt", str(folder), "--name", "a b", "--hold-out", "r3", "--dry-run"]) == 2
    assert 'Error: "a b": expected a name of 1 to 40' in capsys.readouterr().err


def test_the_command_shows_the_split_and_begins_nothing_in_a_dry_run(small_world, capsys):
    folder, model = small_world
    assert main(["adapt", str(folder), "--model", str(model), "--hold-out", "r3", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "hold out" in shown
    assert "learn from" in shown
    assert not find_all()
