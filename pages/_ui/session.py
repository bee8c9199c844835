"""What one visitor has open: records, analyses, and the job at work. Nothing of it is seen by another session."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import threading
import weakref
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import streamlit as st

from ecg_core.classifier.spec import MODELS, find_models, read_spec
from ecg_core.errors import EcgError, MissingMetadataError, ModelError
from ecg_core.rules import RhythmRules
from ecg_core.schema import NO_OVERRIDES, Analysis, ModelSpec, Record, RecordOverrides
from ecg_core.text import plain_markdown

from .jobs import AnalysisKey, Job, Label, LabelEdit, all_labels
from .session_cleanup import session_cleanup, session_id
from .uploads import Upload, forget, make_folder, store

if TYPE_CHECKING:  # torch takes a second
    from ecg_core.live.session import LiveSession

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "demo_data" / "demo"
CANCELLED_S = 5.0  # an analysis stops at the next piece of its record


@dataclass(eq=False)
class Workspace:
    """Everything of one session; lives and dies with it."""

    records: dict[str, Record] = field(default_factory=dict)  # by sha256
    analyses: dict[AnalysisKey, Analysis] = field(default_factory=dict)
    shown: dict[str, AnalysisKey] = field(default_factory=dict)  # the analysis that is shown of each record
    told: dict[str, tuple[LabelEdit, ...]] = field(default_factory=dict)  # what the reader told of each record's beats
    time_s: dict[str, float] = field(default_factory=dict)  # where each record was left
    linked_s: dict[str, float] = field(default_factory=dict)  # moments that links name, by the name of the record
    current: str = ""  # sha256 of the record that is shown
    job: Job | None = None
    asked: dict[Path, MissingMetadataError] = field(default_factory=dict)  # files whose rate or unit has to be stated
    live: LiveSession | None = None  # a stream that is watched
    live_speed: float = 1.0
    notice: str = ""  # a sentence for the next page that is drawn
    kept: dict[str, tuple[Hashable, Any]] = field(default_factory=dict)  # what pages made, by its name: for what
    on_select: dict[str, Callable[[], object]] = field(default_factory=dict)  # by the key of a figure
    n_uploads: int = 0
    _folder: Path | None = None
    _folder_end: Callable[[], object] | None = None
    _live_end: Callable[[], object] | None = None

    @property
    def folder(self) -> Path:
        """Where uploads lie; made when first needed, removed with the workspace."""
        if self._folder is None:
            self._folder = make_folder()
            self._folder_end = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return self._folder

    def add(self, record: Record) -> None:
        """Open a record and show it."""
        self.records.setdefault(record.sha256, record)
        self.current = record.sha256
        self.time_s.setdefault(record.sha256, self.linked_s.pop(record.record_id, 0.0))

    def watch(self, live: LiveSession | None) -> None:
        """Watch a stream, or none, instead of the one before; it ends with the workspace."""
        if self._live_end is not None:
            self._live_end()
        self.live = live
        self._live_end = weakref.finalize(self, live.stop) if live else None
        self.clear_uploads()

    def follow_link(self, record_id: str, time_s: float) -> None:
        """Show the record that a link names; where it is not open, keep the moment until it is."""
        found = [sha256 for sha256, record in self.records.items() if record.record_id == record_id]
        if found and self.current not in found:
            self.current = found[0]
        elif not found:
            self.linked_s[record_id] = time_s
            if record_id == DEMO.name:
                open_demo()

    def close(self, sha256: str) -> None:
        """Forget a record and all that was made of it."""
        if self.job and self.job.key.record_sha256 == sha256:
            self.job.cancel()
            self.job.wait(CANCELLED_S)
            self.job = None
        self.records.pop(sha256, None)
        self.shown.pop(sha256, None)
        self.told.pop(sha256, None)
        self.time_s.pop(sha256, None)
        self.analyses = {key: value for key, value in self.analyses.items() if key.record_sha256 != sha256}
        self.current = next(reversed(self.records), "")
        self.kept.clear()
        self.on_select.clear()
        self.clear_uploads()

    def decline(self, path: Path) -> None:
        """Leave a file closed whose rate or unit was asked for."""
        self.asked.pop(path, None)
        self.clear_uploads()

    def clear_uploads(self) -> None:
        """Remove what was uploaded of records that are open no more; a stream that is watched may read them still."""
        if self._folder is None or self.live is not None:
            return
        needed = [*self.asked, *(path for record in self.records.values() for path in record.files)]
        for place in self._folder.iterdir():
            if not any(place in path.parents for path in needed):
                shutil.rmtree(place, ignore_errors=True)

    def empty(self) -> None:
        """Forget everything: the reader has left."""
        for sha256 in list(self.records):
            self.close(sha256)
        self.watch(None)
        self.asked.clear()
        self.linked_s.clear()
        if self._folder_end is not None:
            self._folder_end()
            self._folder, self._folder_end = None, None

    def begin(self, job: Job) -> None:
        """Work at something, instead of what was begun before."""
        if self.job is not None:
            self.job.cancel()
        self.job = job

    def put(self, key: AnalysisKey, analysis: Analysis) -> None:
        """Keep an analysis, and show it when its record is shown."""
        self.analyses[key] = analysis
        self.shown[key.record_sha256] = key

    def analysis(self, sha256: str) -> Analysis:
        """The analysis that is shown of a record, with what the reader told of its beats."""
        key = self.shown[sha256]
        read, told = self.analyses[key], self.told.get(sha256, ())
        if told == key.fitted_labels:
            return read
        return self.keep("labelled", (read, told), lambda: _labelled(read, all_labels(told)))

    def keep(self, name: str, key: Hashable, make: Callable[[], T]) -> T:
        """What ``make`` made for this key the last time, or makes now; one of each name is kept."""
        if name not in self.kept or self.kept[name][0] != key:
            self.kept[name] = (key, make())
        made: T = self.kept[name][1]
        return made

    def reading(self, sha256: str) -> Job | None:
        """The job whose result will be shown of a record, while it is at work."""
        job = self.job
        return job if job is not None and job.key.record_sha256 == sha256 and not job.beside else None

    def collect(self) -> None:
        """Take in the result of a job that has ended."""
        job = self.job
        if job is None or not job.finished:
            return
        self.job = None
        if job.result is not None and job.beside:
            self.analyses[job.key] = job.result
        elif job.result is not None:
            self.put(job.key, job.result)
        else:
            self.notice = self.plain(job.problem)

    def plain(self, sentence: str) -> str:
        """A sentence without the place where uploads lie."""
        if self._folder is None:
            return sentence
        places = [str(path) + os.sep for path in (*self._folder.iterdir(), self._folder)]
        for place in places:
            sentence = sentence.replace(place, "")
        return sentence


def _labelled(read: Analysis, labels: Sequence[Label]) -> Analysis:
    from .engine import labelled  # noqa: PLC0415, as torch takes a second: here it is loaded already

    return labelled(read, labels) if labels else read


def current_workspace() -> Workspace:
    """The workspace of this session; with ``ECG_DEMO=1`` the demo record is open in it and being analysed."""
    if "workspace" not in st.session_state:
        st.session_state["workspace"] = Workspace()
        session_cleanup().add(session_id(), st.session_state["workspace"])
        warm_up()
        if os.environ.get("ECG_DEMO") == "1":
            open_demo()
    workspace: Workspace = st.session_state["workspace"]
    workspace.collect()
    return workspace


@st.cache_resource(show_spinner=False)
def warm_up() -> None:
    """Import what an analysis needs while the reader looks at the first page; once for the whole server."""

    def load() -> None:
        try:
            from . import engine  # noqa: F401, PLC0415

            gc.freeze()  # streamlit collects garbage after every run; all that was imported need not be looked through
        except Exception:  # the analysis itself will say what is missing
            logging.getLogger(__name__).exception("warming up")

    threading.Thread(target=load, daemon=True).start()


def open_record(path: str | Path, overrides: RecordOverrides = NO_OVERRIDES) -> Record | None:
    """Open a record by its path; where it does not say its rate or its unit, the reader is asked, and it waits."""
    from ecg_core.records import read_record  # noqa: PLC0415, as wfdb takes half a second

    workspace = current_workspace()
    try:
        record = read_record(path, overrides)
    except MissingMetadataError as error:
        workspace.asked[Path(path)] = error
        return None
    workspace.asked.pop(Path(path), None)
    workspace.add(record)
    return record


def open_with_overrides(path: Path, *, fs_hz: float | None, unit: str | None) -> Record | None:
    """Open a record with what the reader states of it."""
    from ecg_core.records import per_mv_of  # noqa: PLC0415

    return open_record(path, RecordOverrides(fs_hz, per_mv_of(unit) if unit else None))


def fetched_records() -> dict[str, Path]:
    """Records that Setup_Test_Data fetched, by database and name; the copies at 125 Hz among them."""
    headers = sorted((ROOT / "data").glob("*/*/*.hea"))
    return {f"{path.parts[-3]} {path.stem}": path.with_suffix("") for path in headers}


def records_in(folder: Path) -> dict[str, Path]:
    """Records of a folder of this computer, by name."""
    from ecg_core.records import find_records  # noqa: PLC0415

    return {path.name: path for path in find_records(folder)}


def open_uploads(files: Sequence[Upload]) -> list[Record | None]:
    """Store uploaded files and open the records they make; None stands for one that waits for what has to be stated."""
    workspace = current_workspace()
    try:
        opened = [open_record(header) for header in store(files, workspace.folder)]
    finally:
        workspace.clear_uploads()
    forget(files)
    workspace.n_uploads += 1
    return opened


def open_demo() -> None:
    """Open the bundled record and analyse it."""
    record = open_record(DEMO)
    if record is not None:
        start_analysis(record)


def installed_models() -> dict[str, str]:
    """SHA-256 of each model beside its name, the default one first."""
    found: dict[str, str] = {}
    for weights in find_models():
        try:
            found[weights.stem] = read_spec(weights).sha256
        except ModelError as error:
            logging.getLogger(__name__).warning("%s", error)
    return found


def model_path(spec: ModelSpec) -> Path:
    """The weights that a spec belongs to."""
    for weights in find_models():
        if weights.stem in installed_models() and read_spec(weights).sha256 == spec.sha256:
            return weights
    raise ModelError(f"{spec.name}: the weights that made this analysis are no longer in models/; analyse it anew.")


def start_analysis(record: Record, *, lead: str = "auto", model: str = "", rules: RhythmRules | None = None) -> None:
    """Show the analysis that was asked for, or begin to make it."""
    workspace = current_workspace()
    models = installed_models()
    if not models:
        raise ModelError("No model is installed: models/ should hold adapted.pt and adapted.json. Get both anew.")
    name = model or next(iter(models))
    key = AnalysisKey(record.sha256, lead, models[name], rules or RhythmRules())
    if key in workspace.analyses:
        workspace.shown[record.sha256] = key
        return
    workspace.begin(Job(key, record, MODELS / f"{name}.pt"))


def analyse_beside(analysis: Analysis, model: str) -> None:
    """Begin to read the same leads of the same record with another model; the analysis that is shown stays."""
    workspace, record = current_workspace(), analysis.record
    whole = analysis.lead_names == record.lead_names
    several = "all" if whole else "auto"  # which leads hold a signal is the same for any model
    lead = several if len(analysis.lead_names) > 1 else analysis.lead_names[0]
    key = AnalysisKey(record.sha256, lead, installed_models()[model], analysis.rules)
    workspace.begin(Job(key, record, MODELS / f"{model}.pt", beside=True))


def reading_beside(analysis: Analysis, model: str) -> Analysis | None:
    """What another model read in the same leads, measured by the same rules; None where it was not asked yet."""
    from .engine import measured_by  # noqa: PLC0415, as torch takes a second: here it is loaded already

    workspace, sha256 = current_workspace(), installed_models()[model]
    made = {
        key: kept
        for key, kept in workspace.analyses.items()
        if (key.record_sha256, key.model_sha256, key.fitted_labels) == (analysis.record.sha256, sha256, ())
        and kept.lead_names == analysis.lead_names
    }
    same = next((kept for kept in made.values() if kept.rules == analysis.rules), None)
    if same is None and made:
        key, kept = made.popitem()
        same = workspace.analyses[key._replace(rules=analysis.rules)] = measured_by(kept, analysis.rules)
    return same


def change_rules(record: Record, rules: RhythmRules) -> None:
    """Measure the analysis that is shown by other rules; its beats stay, so that it takes no time."""
    from .engine import measured_by  # noqa: PLC0415, as torch takes a second: here it is loaded already

    workspace = current_workspace()
    shown = workspace.shown[record.sha256]
    key = shown._replace(rules=rules)
    if key in workspace.analyses:
        workspace.shown[record.sha256] = key
    else:
        workspace.put(key, measured_by(workspace.analyses[shown], rules))


def show_error(error: EcgError) -> None:
    """A message that a reader can act on."""
    st.error(plain_markdown(current_workspace().plain(str(error))), icon=":material/error:")
