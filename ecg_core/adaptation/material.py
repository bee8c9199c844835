"""The recordings of a recorder: whose they are, and which of their beats are labelled."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np

from ..classifier.installed import recorder_key
from ..edits import lasting_labels
from ..errors import EcgError, RecordError
from ..evaluation.patients import KNOWN, patient_of
from ..labels import CLASSES, UNLABELLED, class_codes
from ..notes import Patient
from ..overrides import NO_OVERRIDES, RecordOverrides
from ..records import find_records, main_file, read_patient, read_record, recorder_of
from ..schema import Annotations, Float32, Record
from ..signals.filters import clean_leads
from ..studies.analysing import shown_analysis
from ..studies.edits import edits_of
from ..studies.store import Store
from ..studies.study import SIGNED, Study, get_study
from ..studies.study_notes import notes_of
from ..text import plural
from .identity import Stated, identity_doubts, name_patients

SAMPLED_MINUTES: Final = 8  # of a recording, evenly over it, in which the share without a signal is looked for
MINUTE_S: Final = 60.0
LEARNED_S: Final = 2 * 3600.0  # of a longer recording, the stretch with the most ectopic beats
NOT_ANALYSABLE: Final = "|"  # the symbol of WFDB for what resembles a QRS and is not judged


class Labels(StrEnum):
    """Which labels of the patients on the learning side are used."""

    NONE = "none"  # the signals alone
    SOME = "some"  # a few beats of each recording, those that the program queries or that a reader labelled
    ALL = "all"


class Origin(StrEnum):
    """Where the labels of a recording come from."""

    NONE = ""
    REFERENCE = "reference annotations"
    SIGNED = "signed report"
    READER = "reader labels"  # of some beats


@dataclass(frozen=True)
class Recording:
    """A recording that can be learned from, or held out for the proof."""

    path: str
    name: str
    patient: str
    duration_s: float
    fs_hz: float
    lead_names: tuple[str, ...]
    recorder: str = ""  # as its file states it
    origin: Origin = Origin.NONE
    n_labels: tuple[int, ...] = (0,) * len(CLASSES)  # labelled beats, by class
    no_signal_pct: float = 0.0  # of the sampled minutes, in which no lead holds an ECG
    study: str = ""  # SHA-256 of the recording, where it is a study of the store
    overrides: RecordOverrides = NO_OVERRIDES
    is_simulated: bool = False  # as its file states
    content_sha256: str = ""  # of its signal in the sampled minutes: the same wherever it lies, whatever it is called
    patient_id: str = ""  # the patient's number and name, as file or study state them
    patient_name: str = ""
    report_model: str = ""  # name of the model whose beats the reader of a signed report began from
    report_model_sha256: str = ""  # as studies state it: ``model_digest``, up to version 0.2 the hash of the weights
    known_as: str = ""  # what a model learned of its patient before, in words; see ``known.mark_known``

    @property
    def stated(self) -> Stated:
        """Whom it is of."""
        return Stated(self.patient, self.patient_id, self.patient_name)

    @property
    def is_complete(self) -> bool:
        """Whether every beat is labelled, so that a model can be measured on it."""
        return self.origin in (Origin.REFERENCE, Origin.SIGNED)

    @property
    def learned_s(self) -> float:
        """Seconds of it that are learned from, where it is learned from."""
        return min(self.duration_s, LEARNED_S)


@dataclass(frozen=True)
class Survey:
    """What is at hand of a recorder."""

    recordings: tuple[Recording, ...]
    left_out: tuple[tuple[str, str], ...] = ()  # name of a recording that cannot be used, and why
    model_sha256: str = ""  # of the weights that are gone on from; empty where none are chosen yet
    model_digest: str = ""  # of their model, see ``classifier.spec``

    @property
    def doubts(self) -> list[str]:
        """What is simulated, and what differs among the recordings that should be of one recorder, as sentences."""
        rates = sorted({recording.fs_hz for recording in self.recordings})
        leads = sorted({recording.lead_names for recording in self.recordings}, key=len)
        found = []
        if n_simulated := sum(recording.is_simulated for recording in self.recordings):
            found.append(f"Simulated, and no patients: {n_simulated} of {plural(len(self.recordings), 'recording')}.")
        recorders = {recorder_key(one.recorder): one.recorder for one in self.recordings if one.recorder}
        if len(recorders) > 1:
            listed = "; ".join(sorted(recorders.values())[:MOST_LISTED])
            found.append(f"The files state several recorders ({listed}): a model is adapted to one.")
        if len(rates) > 1:
            listed = ", ".join(f"{rate:g}" for rate in rates)
            found.append(f"The recordings have several sampling rates ({listed} Hz): are they of one recorder?")
        if len(leads) > 1:
            listed = "; ".join(", ".join(names) for names in leads[:MOST_LISTED])
            found.append(f"The recordings have different leads ({listed}): are they of one recorder?")
        found += identity_doubts([one.stated for one in self.recordings])
        if others := sorted({one.report_model for one in self.recordings if self._began_elsewhere(one)}):
            found.append(
                f"Signed reports began from the beats of another model ({', '.join(others)}), which their labels "
                "favour: a gain on them may be only that."
            )
        if known := known_patients(self.recordings):
            n_patients = len({recording.patient for recording in self.recordings})
            found.append(
                f"{len(known)} of {plural(n_patients, 'patient')} {'was' if len(known) == 1 else 'were'} used before "
                f"({list_known(known)}): they can be learned from or left out, and not held out."
            )
        return found

    def _began_elsewhere(self, one: Recording) -> bool:
        own = (self.model_sha256, self.model_digest)
        return bool(one.report_model and self.model_sha256) and one.report_model_sha256 not in own


MOST_LISTED: Final = 4


def known_patients(recordings: Iterable[Recording]) -> dict[str, str]:
    """Patients of whom the model or its source learned before, and what: on them nothing can be proven."""
    found: dict[str, str] = {}
    for recording in recordings:
        if recording.known_as:
            found.setdefault(recording.patient, recording.known_as)
    return found


def list_known(known: Mapping[str, str]) -> str:
    """Some of these patients in words."""
    listed = [f"{patient}, {known_as}" for patient, known_as in known.items()][:MOST_LISTED]
    more = len(known) - len(listed)
    return "; ".join(listed) + (f"; and {more} more" if more else "")


Progress = Callable[[str, int, int], None]  # name of the recording, how many are done, of how many


def survey_folder(folder: Path, *, progress: Progress = lambda name, done, total: None) -> Survey:
    """Look at the recordings of a folder, their signals at some minutes and their reference annotations.

    Raises
    ------
    RecordError
        The folder does not exist or holds no recording.

    """
    paths = find_records(folder)
    database = "/".join(folder.resolve().parts[-2:])
    found, left_out = [], []
    for number, path in enumerate(paths):
        progress(path.name, number, len(paths))
        try:
            found.append(recording_of(read_record(path), database=database))
        except EcgError as error:
            left_out.append((path.name, str(error)))
    return _without_copies(found, left_out)


def survey_studies(
    store: Store, studies: Sequence[Study], *, progress: Progress = lambda name, done, total: None
) -> Survey:
    """Look at studies: in a signed one every beat counts as labelled, in another one those that a reader labelled."""
    found, left_out = [], []
    for number, study in enumerate(studies):
        progress(study.record_id, number, len(studies))
        try:
            record, origin = labelled_record(store, study)
            recording = recording_of(record, database="")
        except EcgError as error:
            left_out.append((study.record_id, str(error)))
            continue
        found.append(_of_study(store, study, replace(recording, origin=origin)))
    return _without_copies(found, left_out)


def _without_copies(found: Sequence[Recording], left_out: Sequence[tuple[str, str]]) -> Survey:
    """What is at hand with each signal once: copies, as of two patients, could be learned from and held out at once.

    Of copies the one with the most labels is used.
    """
    used: dict[str, Recording] = {}
    for one in sorted(found, key=lambda one: (not one.is_complete, -sum(one.n_labels))):
        used.setdefault(one.content_sha256, one)
    copies = [
        (one.name, f"it is a copy of {kept.name}, which is used")
        for one in found
        if (kept := used[one.content_sha256]) is not one
    ]
    return Survey(identified([one for one in found if used[one.content_sha256] is one]), (*left_out, *copies))


def identified(recordings: Sequence[Recording]) -> tuple[Recording, ...]:
    """The recordings with one name for each patient; see ``identity``."""
    names = name_patients([recording.stated for recording in recordings])
    return tuple(replace(recording, patient=name) for recording, name in zip(recordings, names, strict=True))


def _of_study(store: Store, study: Study, recording: Recording) -> Recording:
    """A recording with what its study states: the patient, before what the file says, and the model of its report."""
    noted = notes_of(store, study.record_sha256).patient
    number = noted.patient_id.strip() or recording.patient_id
    name = noted.name.strip() or recording.patient_name
    is_signed = recording.origin == Origin.SIGNED
    return replace(
        recording,
        patient=number or name or recording.patient,
        patient_id=number,
        patient_name=name,
        study=study.record_sha256,
        report_model=study.model_name if is_signed else "",
        report_model_sha256=study.model_sha256 if is_signed else "",
    )


def recording_of(record: Record, *, database: str) -> Recording:
    """What is at hand of one record.

    Parameters
    ----------
    database
        Folders of its database, such as "svdb/1.0.0", by which the patients of known databases are known.

    """
    if record.path is None:
        raise RecordError("this record is not a file, expected one that can be opened again", where=record.record_id)
    n_labels = _count_labels(record)
    no_signal_pct, content_sha256 = _sampled(record)
    stated = _stated(record, database)
    return Recording(
        path=str(record.path.resolve()),
        name=record.record_id,
        patient=stated.patient_id or stated.name or _patient(record, database),
        duration_s=record.duration_s,
        fs_hz=record.fs_hz,
        lead_names=record.lead_names,
        recorder=recorder_of(record),
        origin=Origin.REFERENCE if any(n_labels) else Origin.NONE,
        n_labels=n_labels,
        no_signal_pct=no_signal_pct,
        overrides=record.overrides,
        is_simulated=record.is_simulated,
        content_sha256=content_sha256,
        patient_id=stated.patient_id,
        patient_name=stated.name,
    )


def _count_labels(record: Record) -> tuple[int, ...]:
    """Labelled beats, by class."""
    if record.reference is None:
        return (0,) * len(CLASSES)
    code = class_codes(record.reference.symbol)
    return tuple(np.bincount(code[code != UNLABELLED], minlength=len(CLASSES)).tolist())


def _patient(record: Record, database: str) -> str:
    """As the database is known to name its patients, else by the record."""
    return patient_of(database, record).rpartition("/")[2] if _is_known(database) else record.record_id


def _stated(record: Record, database: str) -> Patient:
    """The patient that the file states; nothing of a database that is known to name its patients otherwise."""
    return Patient() if _is_known(database) or not record.files else read_patient(main_file(record))


def _is_known(database: str) -> bool:
    return any(part in KNOWN for part in database.split("/"))


def _sampled(record: Record) -> tuple[float, str]:
    """Share of the sampled minutes in which no lead holds an ECG, in per cent, and the SHA-256 of their signal."""
    minutes = list(_minutes(record))
    missing = [1 - np.mean(clean_leads(signal_mv, record.fs_hz).valid.any(axis=0)) for signal_mv in minutes]
    return float(100 * np.mean(missing)), _content_sha256(record, minutes)


def content_sha256(record: Record) -> str:
    """SHA-256 of the signal in the sampled minutes, by which a recording is known wherever it lies."""
    return _content_sha256(record, _minutes(record))


def _content_sha256(record: Record, minutes: Iterable[Float32]) -> str:
    digest = hashlib.sha256(f"{record.n_samples} {record.fs_hz:g}".encode())
    for signal_mv in minutes:
        digest.update(np.ascontiguousarray(signal_mv, dtype="<f4").tobytes())
    return digest.hexdigest()


def _minutes(record: Record) -> Iterator[Float32]:
    """The signal of all leads in the sampled minutes."""
    n = round(MINUTE_S * record.fs_hz)
    starts = np.unique(np.linspace(0, max(0, record.n_samples - n), SAMPLED_MINUTES).astype(int))
    leads = tuple(range(len(record.lead_names)))
    for start in starts:
        yield record.source.read(int(start), min(record.n_samples, int(start) + n), leads)


def labelled_record(store: Store, study: Study) -> tuple[Record, Origin]:
    """The record of a study with the labels of its reader as its reference annotations, and what these are.

    What a signed report found in signal that is not analysable is marked as NOT_ANALYSABLE, which is no label: whether
    it is a beat is not known. Reference annotations of the file itself count only where no reader labelled a beat.

    Raises
    ------
    EcgError
        The recording cannot be read, or its signed analysis is not there.

    """
    record = read_record(study.path, overrides=study.overrides)
    if study.state == SIGNED:
        beats = shown_analysis(store, study, record).beats
        symbol = np.where(beats.usable, beats.label, NOT_ANALYSABLE)
        return replace(record, reference=_annotations(beats.time_s, symbol)), Origin.SIGNED
    labels = lasting_labels(edits_of(store, study.record_sha256))
    if labels:
        time_s, label = (np.array(column) for column in zip(*labels, strict=True))
        return replace(record, reference=_annotations(time_s, label)), Origin.READER
    return record, Origin.REFERENCE if record.reference is not None else Origin.NONE


def _annotations(time_s: np.ndarray, label: np.ndarray) -> Annotations:
    return Annotations(np.asarray(time_s, dtype=np.float64), label, np.full(len(label), ""))


def open_recording(recording: Recording, store: Store | None = None) -> Record:
    """The record, with its labels as reference annotations.

    Raises
    ------
    EcgError
        It cannot be read, or was changed since the survey: its signal or its labels differ, or its study was deleted.

    """
    if recording.study:
        study = None if store is None else get_study(store, recording.study)
        if store is None or study is None:
            raise RecordError(
                "its study is no longer in the store", where=recording.name, advice="Choose the studies again."
            )
        record, origin = labelled_record(store, study)
    else:
        record, origin = read_record(Path(recording.path), overrides=recording.overrides), recording.origin
    _refuse_changed(recording, record, origin)
    return record


def _refuse_changed(recording: Recording, record: Record, origin: Origin) -> None:
    """Refuse a record whose signal or labels are not those of the survey."""
    found = (round(record.duration_s, 3), record.fs_hz, record.lead_names)
    expected = (round(recording.duration_s, 3), recording.fs_hz, recording.lead_names)
    if found != expected:
        raise RecordError(
            "the file was changed since the recordings were chosen",
            where=recording.name,
            expected=_described(*expected),
            got=_described(*found),
            advice="Choose the recordings again.",
        )
    # Of tasks of an earlier version the content is not known.
    if recording.content_sha256 and content_sha256(record) != recording.content_sha256:
        raise RecordError(
            "the signal was changed since the recordings were chosen",
            where=recording.name,
            advice="Choose the recordings again.",
        )
    labels, chosen = (origin, _count_labels(record)), (recording.origin, recording.n_labels)
    if labels != chosen:
        raise RecordError(
            "the labels were changed since the recordings were chosen",
            where=recording.name,
            expected=_labels_text(*chosen),
            got=_labels_text(*labels),
            advice="Sign the report again, or choose the recordings again."
            if recording.origin == Origin.SIGNED
            else "Choose the recordings again.",
        )


def _labels_text(origin: Origin, n_labels: tuple[int, ...]) -> str:
    counts = ", ".join(f"{n:,} {label}" for label, n in zip(CLASSES, n_labels, strict=True) if n)
    return f"{origin} ({counts})" if counts else "no labels"


def _described(duration_s: float, fs_hz: float, lead_names: tuple[str, ...]) -> str:
    return f"{duration_s:g} s of {', '.join(lead_names)} at {fs_hz:g} Hz"
