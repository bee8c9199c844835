"""Adaptations as they lie on disk, without any fit: tasks, states and made-up proofs."""

import os
from dataclasses import replace

import numpy as np

from ecg_core.adaptation.material import Labels, Origin, Recording, Survey, recording_of
from ecg_core.adaptation.split import Side
from ecg_core.adaptation.task import (
    CANCELLED,
    DONE,
    FAILED,
    MODEL,
    PROOF,
    RUNNING,
    TASK,
    State,
    Task,
    create,
    write_json,
)
from ecg_core.classifier.spec import DEFAULT_MODEL, read_spec
from ecg_core.files import lock_folder
from ecg_core.records import read_record

from .kept_models import RECORDER, adapted_files
from .records import write_record

FS_HZ = 257
N_SECONDS = 60
STATES = {
    RUNNING: State(RUNNING, "Fit: step 80 of 600, loss 0.412", 0.34, 400.0, os.getpid()),
    CANCELLED: State(CANCELLED, "Fit", 0.2, problem="The adaptation was cancelled. It can be resumed where it was."),
    FAILED: State(FAILED, "Opening p2", 0.02, problem="p2: the file was changed since the recordings were chosen."),
}
VERDICTS = {
    "better": "Better: V F1 0.802 -> 0.881, S F1 0.402 -> 0.611 on 2 patients not used; source V -0.001, S +0.002.",
    "no better": "No better: V F1 0.802 -> 0.803, S F1 0.402 -> 0.401 on 2 patients not used; source V -0.001.",
    "worse": "Worse: V F1 0.802 -> 0.702, S F1 0.402 -> 0.301 on 2 patients not used; source V -0.001, S +0.002. It "
    "cannot be kept: V F1 on held-out patients falls from 0.802 to 0.702.",
    "not shown": "Not shown: V not judged (3 beats; false 0.5 -> 0.4 an hour), S not judged (1 beat; false 1.0 -> 1.1 "
    "an hour) on 2 patients not used; source V -0.001, S +0.002. It cannot be kept: the held-out patients have too few "
    "ectopic beats to judge by.",
}
RATIOS = ("qrs_se", "qrs_ppv", "v_se", "v_ppv", "v_f1", "s_se", "s_ppv", "s_f1", "accuracy", "macro_f1")


def made_recording(name, patient, *, origin=Origin.REFERENCE, n_labels=(80, 6, 9, 0, 0), **values):
    """A recording that no file is needed for."""
    n_labels = n_labels if origin else (0,) * 5
    usual = {"duration_s": 1800.0, "fs_hz": 128.0, "lead_names": ("ECG1", "ECG2"), "no_signal_pct": 1.5}
    return Recording(f"/gone/{name}", name, patient, origin=origin, n_labels=n_labels, **{**usual, **values})


def made_survey(n_patients=6, *, left_out=()):
    """Recordings of some patients, the first with two of them."""
    found = [made_recording(f"r{number}", f"p{number}") for number in range(1, n_patients + 1)]
    return Survey((*found[:1], made_recording("r1b", "p1"), *found[1:]), tuple(left_out))


def write_labelled(folder, names, excerpt, *, fs_hz=FS_HZ):
    """Records of a minute of two leads, whose beats are annotated each second; some are ectopic."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        lead = excerpt[number * N_SECONDS * FS_HZ : (number + 1) * N_SECONDS * FS_HZ]
        path = write_record(folder, name, np.stack([lead, 0.5 * lead]), fs_hz)
        annotate(path, fs_hz)
    return folder


def annotate(path, fs_hz):
    """Annotations of a record: a beat each second, each tenth of them ventricular."""
    import wfdb

    sample = (np.arange(1, N_SECONDS - 1) * fs_hz).astype(int)
    symbol = ["V" if i % 10 == 0 else "N" for i in range(len(sample))]
    wfdb.wrann(path.name, "atr", sample, symbol, fs=fs_hz, write_dir=str(path.parent))


def make_task(name="mine", recordings=None, **values):
    """A task that learns from a patient and holds another one out."""
    recordings = recordings or (made_recording("r1", "p1"), made_recording("r2", "p2"))
    sides = {one.patient: Side.HOLD_OUT if number == 0 else Side.LEARN for number, one in enumerate(recordings)}
    spec = read_spec(DEFAULT_MODEL)
    usual = {"model": str(DEFAULT_MODEL), "model_sha256": spec.sha256, "sides": sides, "labels": Labels.ALL}
    return Task(name=name, recordings=tuple(recordings), **{**usual, **values})


def put_adaptation(state, name="mine", recordings=None, **values):
    """An adaptation in a state."""
    adaptation = create(make_task(name, recordings, **values))
    if state is not None:
        adaptation.note(STATES.get(state, state))
    if state == RUNNING:
        lock_folder(adaptation.folder, by=TASK)  # until this process ends
    return adaptation


def put_done(outcome="better", name="mine", recordings=None, **values):
    """An adaptation that is done, with its model and a proof."""
    proof = made_proof(outcome, recordings, **values)
    adaptation = put_adaptation(State(DONE, "Done", 1.0, 0.0, verdict=proof["verdict"]), name, recordings)
    write_json(adaptation.folder / PROOF, proof)
    for kind, content in adapted_files().items():
        if not kind.endswith("proof.json"):
            (adaptation.folder / MODEL).with_suffix(kind).write_bytes(content)
    return adaptation


def made_proof(outcome="better", recordings=None, *, fits=1, n_patients=5, **values):
    """A proof as ``describe_proof`` words it, of made-up figures."""
    gain = {"better": 0.08, "worse": -0.1}.get(outcome, 0.001)
    parts = ("held-out patients", "source")
    figures = {
        "patients": n_patients, **dict.fromkeys(RATIOS, 0.8), "false_v_per_hour": 3.25, "false_s_per_hour": 11.5,
        "af_duration_se": None, "af_duration_ppv": None,
    }  # fmt: skip
    recording = (recordings or (made_recording("r1", "p1"),))[0]
    beat = {"recording": recording.name, "path": recording.path, "study": recording.study}
    return {
        "verdict": VERDICTS[outcome], "outcome": outcome, "may_keep": outcome in ("better", "no better"),
        "problems": [], "fits": fits, "from_model": "general", "patients": 10, "hours": 5.0, "labels": "all",
        "lead": "auto", "seed": 0, "steps": 600, "recorder": RECORDER,
        "before": [{"measured on": part, **figures} for part in parts],
        "after": [
            {"measured on": part, **figures, **dict.fromkeys(RATIOS, 0.8 + gain), "false_v_per_hour": 1.25}
            for part in parts
        ],
        "change": [
            {"measured on": part, "figure": name, "change": gain, "low": gain - 0.02 if n_patients > 3 else None,
             "high": gain + 0.03 if n_patients > 3 else None}
            for part in parts for name in RATIOS
        ],
        "held_out_patients": [made_patient(number) for number in range(n_patients)],
        "reliability": [
            {"measured on": "held-out patients", "when": when, "class": label, "beats": 1200, "said": 0.9, "right": 0.8}
            for when in ("before", "after") for label in "NSV"
        ],
        "changed_beats": [
            {**beat, "time_s": time_s, "reference": "V", "before": before, "after": after, "better": better}
            for time_s, before, after, better in (
                (11.0, "N", "V", True), (31.0, "missed", "V", True), (51.0, "V", "N", False),
            )
        ],
        **values,
    }  # fmt: skip


def made_patient(number):
    """The errors of a held-out patient."""
    burdens = {"pvc_burden_pct": (4.0, 4.5), "sve_burden_pct": (9.0, 2.5)}
    return {
        "patient": f"p{number}", "hours": 0.5, "reference_pvc_burden_pct": 5.0, "reference_sve_burden_pct": 2.0,
        **{f"{name}_{when}": value[i] for name, value in burdens.items() for i, when in enumerate(("before", "after"))},
    }  # fmt: skip


def surveyed(path):
    """What is at hand of a record on disk, by the name of its file as patient."""
    return replace(recording_of(read_record(path), database=""), patient=path.name)
