"""An adaptation from its task to its proof: fits, evaluation before and after, the model ready to be kept."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Final

from ..classifier.installed import installed_models, recorder_key
from ..classifier.leads import ALL, AUTO, FUSED_LEADS, choose_leads
from ..classifier.model import Model, load_model, save_spec, sha256_of
from ..classifier.spec import read_spec
from ..classifier.unnamed import database_of
from ..classifier.weights import save_model
from ..errors import AdaptationError, Cancelled, EcgError
from ..evaluation.evaluate import Evaluation, RecordEvaluation, evaluate_record
from ..files import write_json
from ..records import read_record
from ..schema import Record
from ..studies.store import Store, open_store
from ..training.domain import fit_domain
from ..training.export import calibration_strips, export_model
from ..training.preparation import prepare_record
from .agreement import refuse_contradicting
from .changes import ChangedBeats, changed_beats
from .fitting import PLAN, STEPS_OF_SEVERAL, SourceMaterial, adapted_spec, fit_to
from .known import mark_known
from .material import Labels, Recording, open_recording
from .proof import Comparison, Proof, describe_proof
from .source import MEASURED, NOISE, REHEARSED, SOURCE, database_folder, read_noise, require_source, source_paths
from .split import Fold, folds_of, require_lead
from .task import (
    CANCELLED,
    DONE,
    FAILED,
    PROOF,
    RUNNING,
    Adaptation,
    ProgressClock,
    State,
    Task,
)

FITTING: Final = (0.04, 0.84)  # part of all work before the fits, and until they are done
MEASURING: Final = 0.98  # until everything is measured
UNFORESEEN: Final = "An error of this program ended the adaptation"

Keep = Callable[[State], None]


def run(adaptation: Adaptation, *, show: Keep = lambda state: None) -> State:
    """Do what is asked for, or go on where it was stopped; the state is kept in its folder, and shown.

    An error of the work ends in a state with a sentence, and raises nothing.

    Raises
    ------
    AdaptationError
        Another process works on it.

    """
    is_started = adaptation.state.state == RUNNING  # then it may have been asked to stop since this process was started
    with adaptation.held():
        if not is_started:
            adaptation.begin()
        return _work(adaptation, show)


def _work(adaptation: Adaptation, show: Keep) -> State:
    def keep(state: State) -> None:
        adaptation.note(state)
        show(state)

    try:
        keep(State(RUNNING, "Opening the recordings", process=os.getpid()))
        proof = _Run(adaptation, ProgressClock(adaptation, keep)).prove()
        state = State(DONE, "Done", 1.0, 0.0, verdict=proof.verdict)
    except Cancelled as error:
        state = replace(adaptation.state, state=CANCELLED, left_s=None, problem=str(error))
    except EcgError as error:
        state = replace(adaptation.state, state=FAILED, left_s=None, problem=str(error))
    except OSError as error:
        problem = f"{adaptation.folder}: cannot be written ({error.strerror or error}). Make room, then resume."
        state = replace(adaptation.state, state=FAILED, left_s=None, problem=problem)
    except Exception as error:  # whoever waits for it reads the state and nothing else
        logging.getLogger(__name__).exception("adaptation %s", adaptation.task.name)
        problem = f"{UNFORESEEN} ({type(error).__name__}: {error})."
        state = replace(adaptation.state, state=FAILED, left_s=None, problem=problem)
    with suppress(OSError):  # a full disk: it reads as interrupted then, and can be resumed as well
        adaptation.note(state)
    show(state)
    return state


@dataclass(eq=False)
class _Run:
    """The work on one adaptation."""

    adaptation: Adaptation
    clock: ProgressClock
    changes: list[ChangedBeats] = field(default_factory=list, init=False)  # of each held-out recording

    def __post_init__(self) -> None:
        task = self.adaptation.task
        self.databases = require_source()
        self.weights = _weights_of(task)
        spec = read_spec(self.weights)
        if spec.sha256 != task.model_sha256:
            raise AdaptationError(
                f"{task.model}: the model was changed since the adaptation was asked for; begin a new one."
            )
        self.folds = folds_of(mark_known(task.recordings, spec), task.sides, task.labels)
        require_lead(self.folds, task.lead)
        self.store: Store | None = None
        if any(recording.study for recording in task.recordings):
            self.store = open_store(Path(task.studies) if task.studies else None)
        steps = task.steps or (PLAN.steps if len(self.folds) == 1 else STEPS_OF_SEVERAL)
        self.plan = replace(PLAN, steps=steps, seed=task.seed)

    @property
    def fits(self) -> list[Fold]:
        """All fits that are made: where patients are left out in turn, last the one to all of them."""
        if len(self.folds) == 1:
            return self.folds
        everyone = {recording.path: recording for fold in self.folds for recording in fold.learned}
        return [*self.folds, Fold(tuple(everyone.values()), ())]

    def prove(self) -> Proof:
        """Fit, measure, and keep both in the folder."""
        task = self.adaptation.task
        before, as_used = load_model(self.weights, engine="torch"), load_model(self.weights)
        if task.labels != Labels.NONE:
            opened = self._opened(self.fits[-1].learned, fraction=0.0)
            refuse_contradicting(opened, as_used)
        models = [self._fit(before, number) for number in range(len(self.fits))]
        final = self._save(models[-1])
        held_out = [
            (model, recording)
            for model, fold in zip([final] if len(models) == 1 else models, self.folds, strict=False)
            for recording in fold.held_out
        ]
        proof = self._measure(as_used, final, held_out)
        self.clock.at("Writing the proof", MEASURING)
        write_json(self.adaptation.folder / PROOF, describe_proof(proof) | self._about(proof), default=str)
        return proof

    def _fit(self, model: Model, number: int) -> Model:
        fits, plan = self.fits, self.plan
        first, last = FITTING
        each = (last - first) / len(fits)
        which = f" {number + 1} of {len(fits)}" if len(fits) > 1 else ""
        from_, name = first + number * each, f"fit-{number}"

        def report(step: int, loss: float, left_s: float) -> None:
            self.clock.at(f"Fit{which}: step {step} of {plan.steps}, loss {loss:.3f}", from_ + each * step / plan.steps)

        opened = self._opened(fits[number].learned, fraction=from_)
        return fit_to(
            model, opened, labels=self.adaptation.task.labels, source=self._source, plan=plan,
            checkpoint=self.adaptation.folder / f"{name}.ckpt", report=report,
            preparing=lambda done, total: self.clock.at(f"Preparing recording {done + 1} of {total}", from_),
        )  # fmt: skip

    def _opened(self, recordings: Sequence[Recording], *, fraction: float) -> list[tuple[Recording, Record]]:
        opened = []
        for recording in recordings:
            self.clock.at(f"Opening {recording.name}", fraction)
            opened.append((recording, open_recording(recording, self.store)))
        return opened

    @cached_property
    def _source(self) -> SourceMaterial:
        """The source's records and noise, made ready once."""
        paths = source_paths(self.databases, REHEARSED)
        records = [prepare_record(read_record(path), f"{SOURCE}/{path.name}") for path in paths]
        return SourceMaterial(records, read_noise(database_folder(self.databases, NOISE)))

    def _save(self, model: Model) -> Model:
        """Write the model with its graphs in 8-bit integers, and load it as it will be used."""
        task, path = self.adaptation.task, self.adaptation.model_path
        learned = self.fits[-1].learned
        self.clock.at("Exporting the model in 8-bit integers", FITTING[1])
        spec = adapted_spec(model.spec, task.name, learned, labels=task.labels, plan=self.plan)
        save_model(path, replace(model, spec=spec))
        records = [open_recording(recording, self.store) for recording in learned]
        records += [read_record(source) for source in source_paths(self.databases, REHEARSED)]
        export_model(path, calibration_strips(records, spec, self._source.noise))
        made = load_model(path)
        self.clock.at("Measuring the training recordings", FITTING[1])
        save_spec(path, replace(made.spec, domain=fit_domain(made, records, recipe=spec.recipe)))
        return load_model(path)

    def _measure(self, before: Model, final: Model, held_out: Sequence[tuple[Model, Recording]]) -> Proof:
        """Evaluate both models on the held-out patients and on the source."""
        lead = self.adaptation.task.lead
        paths = source_paths(self.databases, MEASURED)
        total, done = len(held_out) + len(paths), 0
        old: list[RecordEvaluation] = []
        new: list[RecordEvaluation] = []
        for after, recording in held_out:
            self._at(f"Measuring {recording.name}", done / total)
            record = open_recording(recording, self.store)
            alike = _lead_of_both(record, before, lead)
            pair = [
                replace(evaluate_record(record, model, lead=alike), patient=recording.patient)
                for model in (before, after)
            ]
            self.changes.append(changed_beats(recording, record, *pair))
            old.append(pair[0])
            new.append(pair[1])
            done += 1
        source_old, source_new = [], []
        database = f"{SOURCE}/1.0.0"
        for path in paths:
            self._at(f"Measuring the source, {path.name}", done / total)
            record = read_record(path)
            source_old.append(evaluate_record(record, before, database=database, lead=ALL))
            source_new.append(evaluate_record(record, final, database=database, lead=ALL))
            done += 1
        return Proof(
            Comparison(_evaluation("held out", lead, before, old), _evaluation("held out", lead, final, new)),
            Comparison(_evaluation(database, ALL, before, source_old), _evaluation(database, ALL, final, source_new)),
            n_fits=len(self.folds),
            is_simulated=any(one.is_simulated for fold in self.folds for one in (*fold.learned, *fold.held_out)),
        )

    def _at(self, stage: str, part: float) -> None:
        self.clock.at(stage, FITTING[1] + (MEASURING - FITTING[1]) * part)

    def _about(self, proof: Proof) -> dict[str, object]:
        """What the figures are of; no recorder where the recordings that were learned from state none, or several."""
        task, learned = self.adaptation.task, self.fits[-1].learned
        recorders = {recorder_key(one.recorder): one.recorder for one in learned if one.recorder}
        return {
            "from_model": self.weights.stem,
            "from_sha256": task.model_sha256,
            "recorder": next(iter(recorders.values())) if len(recorders) == 1 else "",
            "patients": len({one.patient for one in learned}),
            "hours": round(sum(one.learned_s for one in learned) / 3600, 2),
            "labels": task.labels,
            "lead": task.lead,
            "seed": task.seed,
            "steps": self.plan.steps,
            "learned_from": [_described(recording) for recording in learned],
            "held_out_recordings": [_described(recording) for fold in self.folds for recording in fold.held_out],
            "number_of_changed_beats": {
                "for the better": sum(part.n_better for part in self.changes),
                "for the worse": sum(part.n_worse for part in self.changes),
            },
            "changed_beats": [beat for part in self.changes for beat in part.shown],
        }


def _weights_of(task: Task) -> Path:
    """The weights that a task goes on from: where they were, else where their model is installed under another name."""
    path = Path(task.model)
    if path.is_file() and sha256_of(path) == task.model_sha256:
        return path
    return next((model.weights for model in installed_models() if model.spec.sha256 == task.model_sha256), path)


def _lead_of_both(record: Record, before: Model, lead: str) -> str:
    """What both models are measured on: where one of many leads is chosen by its quality, the choice of the first."""
    if lead != AUTO or len(record.lead_names) <= FUSED_LEADS:
        return lead
    chosen = choose_leads(record, before, lead)
    return record.lead_names[chosen[0]] if len(chosen) == 1 else lead


def _evaluation(database: str, lead: str, model: Model, records: Iterable[RecordEvaluation]) -> Evaluation:
    return Evaluation(database, lead, model.spec, tuple(records))


def _described(recording: Recording) -> dict[str, object]:
    return {
        "recording": recording.name,
        "database": database_of(recording.path),
        "patient": recording.patient,
        "is_simulated": recording.is_simulated,
        "hours": round(recording.duration_s / 3600, 3),
        "leads": list(recording.lead_names),
        "rate_hz": recording.fs_hz,
        "labels": recording.origin,
        "n_labels": list(recording.n_labels),
    }
