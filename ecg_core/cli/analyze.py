"""``ecg analyze RECORD ...``: label the beats of a record, or of many, and measure its arrhythmia burden."""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from .. import NOTICE
from ..classifier.spec import DEFAULT_MODEL, read_spec
from ..errors import RecordError, StoreError
from ..rules import BALANCED, RhythmRules
from ..text import plural
from . import progress
from .options import (
    FAILED,
    FEW_LEADS,
    Commands,
    add_model_options,
    add_override_options,
    add_rule_option,
    add_store_options,
    count,
    model_of,
    overrides_of,
    reader_of,
    rules_of,
)
from .remedies import with_remedies

if TYPE_CHECKING:
    from ..batch import Studies, Study
    from ..report.measures import Measure
    from ..schema import Analysis, Annotations, Ectopy, Record


SKIPPED_SHOWN = 5  # folders


def add_parser(commands: Commands) -> None:
    """Add the command and its options."""
    parser = commands.add_parser("analyze", help="label the beats of a record, or of many, and measure its burden")
    parser.add_argument(
        "records", type=Path, nargs="+", metavar="RECORD",
        help="a record of any supported format; or several, folders of records, or patterns such as 'db/*.hea'",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, default=Path(), metavar="DIR", help="folder of the results (the current one)"
    )
    parser.add_argument(
        "--own", type=Path, metavar="FILE",
        help="labelled beats of this patient, to fine-tune the model to (.atr or _labels.csv)",
    )  # fmt: skip
    parser.add_argument(
        "--learn-anyway", action="store_true",
        help="fine-tune to --own also where its check on held-out labels advises against it",
    )  # fmt: skip
    parser.add_argument(
        "--also", default="", metavar="xlsx,fhir,dicom",
        help="further forms of the report: a spreadsheet, FHIR R4, the PDF in DICOM; one, or several with commas",
    )  # fmt: skip
    parser.add_argument("--jobs", type=count, default=1, metavar="N", help="of many records, this many at a time (1)")
    parser.add_argument("--dask", default="", metavar="ADDRESS", help="send many records to this Dask scheduler")
    parser.add_argument(
        "--join", action="store_true",
        help="the records follow each other: analyse them as one recording, with the gaps between them",
    )  # fmt: skip
    parser.add_argument("--study", action="store_true", help="also add each record to the store of studies")
    add_store_options(parser)
    add_rule_option(parser, help_="another rule, for example pause_s=2.5; may be repeated; --rule help lists them")
    add_override_options(parser)
    model = "the default for the record's recorder, where it has one, else general"
    add_model_options(parser, auto=FEW_LEADS, model=model)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Analyse one record into the folder, or many records into a folder each."""
    from ..batch import is_many  # loads pandas and wfdb
    from ..report.export import check_also

    check_also(_also(options))
    if not options.study and (options.reader is not None or options.studies is not None):
        raise StoreError("--reader and --studies say how a study is kept; expected --study with them.")
    if options.study and options.engine is not None:
        raise StoreError(
            f"--engine {options.engine}: a study keeps what the usual engine finds; leave out one of both."
        )
    if options.join and options.dask:
        raise RecordError("--join makes one record of all", expected="no --dask with it")
    # One record for a Dask cluster is a study of one.
    many = not options.join and (options.dask or is_many(options.records))
    return _analyse_many(options) if many else _analyse_one(options)


def _also(options: argparse.Namespace) -> tuple[str, ...]:
    """Further forms of the report."""
    return tuple(form.strip() for form in options.also.split(",") if form.strip())


def _analyse_one(options: argparse.Namespace) -> int:
    from ..records import read_labels_of, read_record  # loads every format

    rules = rules_of(options)
    path = _write_join(options) if options.join else options.records[0]
    record = read_record(path, overrides_of(options))
    patient_labels = None if options.own is None else read_labels_of(options.own, record)[0]
    began_s = time.monotonic()
    work = _analyse_study if options.study else _analyse
    analysis, written = work(record, options, rules, patient_labels)
    progress.clear_line()
    print(summary(analysis, red=red_of(sys.stdout)))
    if options.model is None and (sentence := _default_sentence(record)):
        print(f"  {sentence}")
    names = [file.name for file in ([path] if options.join else []) + written]
    print(f"\nWritten in {time.monotonic() - began_s:.1f} s: {', '.join(names)}")
    print(f"to {options.out.resolve()}\n{NOTICE}")
    return 0


def _weights_for(record: Record, options: argparse.Namespace) -> Path:
    """The weights that ``--model`` names, else those that are the default for the recorder of a record."""
    from ..classifier.installed import default_weights  # loads platformdirs
    from ..records import recorder_of

    return (default_weights(recorder_of(record)) if options.model is None else model_of(options)).absolute()


def _default_sentence(record: Record) -> str:
    """That a record was analysed by the model that is the default for its recorder; empty where none is."""
    from ..classifier.installed import default_model_for
    from ..records import recorder_of

    recorder = recorder_of(record)
    model = default_model_for(recorder)
    if model is None:
        return ""
    return f"Model         {model.name} is the default for the recorder {recorder}; --model chooses another"


def _write_join(options: argparse.Namespace) -> Path:
    """Write the list of the pieces of a recording beside its results, and print how they follow each other."""
    from ..batch import plan
    from ..clock import duration_text
    from ..records import join_records, read_record, write_join

    overrides = overrides_of(options)
    pieces = [read_record(task.path, overrides) for task in plan(options.records, options.out)]
    path, joined = write_join(pieces, options.out), join_records(pieces)
    missing_s = joined.duration_s - sum(piece.duration_s for piece in pieces)
    missing = f", of which {duration_text(missing_s)} are missing between them" if round(missing_s) else ""
    print(f"{plural(len(pieces), 'piece')} joined, {duration_text(joined.duration_s)}{missing}", file=sys.stderr)
    return path


def _analyse(
    record: Record, options: argparse.Namespace, rules: RhythmRules, patient_labels: Annotations | None
) -> tuple[Analysis, list[Path]]:
    """Analyse a record and write its files; nothing else is kept."""
    from ..classifier.model import load_model  # loads the engine
    from ..measuring import with_labels
    from ..pipeline import analyse
    from ..report.export import write_files

    model = load_model(_weights_for(record, options), engine=options.engine)

    def analysed(labels: Annotations | None) -> Analysis:
        return analyse(
            record, model, rules, lead=options.lead, patient_labels=labels,
            progress=progress.record_progress(record.record_id),
        )  # fmt: skip

    analysis = analysed(patient_labels)
    if patient_labels is not None and analysis.learning and analysis.learning.problem and not options.learn_anyway:
        held_back = replace(analysis.learning, held_back_to=0)
        analysis = replace(with_labels(analysed(None), patient_labels), learning=held_back)
    return analysis, write_files(analysis, options.out, also=_also(options))


def _analyse_study(
    record: Record, options: argparse.Namespace, rules: RhythmRules, patient_labels: Annotations | None
) -> tuple[Analysis, list[Path]]:
    """Analyse a record as a study of the store, and write its files with what readers wrote about it."""
    from ..report.export import write_files
    from ..studies.analysing import Wanted, analyse_held, held_study
    from ..studies.store import open_store
    from ..studies.study import command_editor, note_export
    from ..studies.study_notes import notes_of

    wanted, editor = Wanted(_weights_for(record, options), options.lead, rules), command_editor(reader_of(options))
    with closing(open_store(options.studies)) as store:
        with held_study(store, record, editor) as study:
            analysis = analyse_held(
                store, record, study, wanted, editor, patient_labels=patient_labels, learn_anyway=options.learn_anyway,
                progress=progress.record_progress(record.record_id),
            )  # fmt: skip
        written = write_files(analysis, options.out, notes_of(store, record.sha256), also=_also(options))
        note_export(store, record.sha256, editor, files=[path.name for path in written], with_patient=False)
    return analysis, written


def _analyse_many(options: argparse.Namespace) -> int:
    from ..batch import Settings, analyse_many  # loads pandas and wfdb
    from ..measuring import operating_point

    if options.own is not None:
        raise RecordError(
            "--own takes the beats of one patient", where=options.own, expected="one record", got="several"
        )
    settings = Settings(
        model_of(options).absolute(),
        options.lead,
        rules_of(options),
        overrides_of(options),
        _studies_of(options),
        options.engine,
        _also(options),
        by_recorder=options.model is None,
    )
    operating_point(read_spec(settings.model), 1, settings.rules)  # a wrong model fails once, before the work
    study = analyse_many(
        options.records, settings, options.out, jobs=options.jobs, dask=options.dask, show=progress.study_progress()
    )
    progress.clear_line()
    return _print_study(study, options)


def _studies_of(options: argparse.Namespace) -> Studies | None:
    """The store for many records; a wrong one fails once, before the work."""
    from ..batch import Studies
    from ..studies.store import default_folder, open_store

    if not options.study:
        return None
    folder = (options.studies or default_folder()).expanduser().absolute()
    open_store(folder).close()  # made here, and not by several processes at a time
    return Studies(folder, reader_of(options))


def _print_study(study: Study, options: argparse.Namespace) -> int:
    from ..batch import FAILURES

    n, n_failed = len(study.outcomes), len(study.failed)
    n_done = n - n_failed - study.n_kept
    print(f"{plural(n, 'record')}: {n_done} analysed, {study.n_kept} already done, {n_failed} failed")
    for line in [] if options.model else _defaults_of_study(study):
        print(line)
    for line in _dangers_of_study(study):
        print(red_of(sys.stdout)(line))
    for line in (*_not_analysable_of_study(study), *_skipped(options.records)):
        print(line)
    print(f"Written: one folder per record, {', '.join(path.name for path in study.written)}")
    print(f"to {options.out.resolve()}\n{NOTICE}")
    if not study.failed:
        return 0
    settings = dict.fromkeys(setting for outcome in study.failed for setting in outcome.settings)
    sentence = f"Error: {n_failed} of {plural(n, 'record')} failed; {FAILURES} says why."
    print(with_remedies(sentence, settings, options), file=sys.stderr)
    return FAILED


def _defaults_of_study(study: Study) -> list[str]:
    """A line for each model that records were analysed by as the default for their recorder."""
    used = Counter(str(outcome.row.get("model")) for outcome in study.outcomes if not outcome.problem)
    of_recorders = {name: n for name, n in used.items() if name != DEFAULT_MODEL.stem}
    return [
        f"Model {name} is the default for the recorder of {plural(n, 'record')}; --model chooses another"
        for name, n in of_recorders.items()
    ]


def _dangers_of_study(study: Study) -> list[str]:
    """A line for each record with a danger."""
    found = [outcome for outcome in study.outcomes if not outcome.problem and outcome.row.get("danger_found")]
    if not found:
        return []
    of_records = f"{len(found)} of {plural(len(study.outcomes), 'record')}"
    head = f"VF, asystole or sustained VT, certain or suspected, in {of_records}:"
    return [head, *(f"  {outcome.task.name}: {_episodes(outcome.row)}" for outcome in found)]


def _not_analysable_of_study(study: Study) -> list[str]:
    """A line for each record in which much could not be looked at: that nothing was found there is no finding."""
    from ..report.dangers import MUCH_PCT

    done = [outcome for outcome in study.outcomes if not outcome.problem]
    shares = [(_not_analysable_pct(outcome.row), outcome.task.name) for outcome in done]
    found = sorted((each for each in shares if each[0] >= MUCH_PCT), key=lambda each: -each[0])
    if not found:
        return []
    of_records = f"{len(found)} of {plural(len(study.outcomes), 'record')}"
    head = f"Not analysable for {MUCH_PCT:g} % of the time or more, where nothing can be found, in {of_records}:"
    return [head, *(f"  {name}: {share:.0f} %" for share, name in found)]


def _not_analysable_pct(row: Mapping[str, str | float | None]) -> float:
    """Share of a record in which nothing was looked for, by a row of a study."""
    lost_s = sum(float(row.get(f"{kind}_time") or 0) for kind in ("not_analysable", "no_signal", "artefact"))
    return 100 * lost_s / (float(row.get("duration") or 0) or 1.0)


def _skipped(records: list[Path]) -> list[str]:
    """A line that names the folders inside those that were given whose records were not looked at."""
    from ..batch import skipped_folders

    skipped = skipped_folders(records)
    if not skipped:
        return []
    names = ", ".join(map(str, skipped[:SKIPPED_SHOWN])) + (", ..." if len(skipped) > SKIPPED_SHOWN else "")
    return [f"Not looked at: the records of {plural(len(skipped), 'folder')} inside, {names}; name them as well"]


def _episodes(row: Mapping[str, str | float | None]) -> str:
    """Number and length of the episodes of each kind of danger in a row of a study."""
    from ..clock import duration_text
    from ..rhythm.events import DANGERS, SHORT_NAMES

    parts = []
    for kind in DANGERS:
        n, seconds = (float(row.get(f"{kind}_{what}") or 0) for what in ("episodes", "time"))
        if n:
            parts.append(f"{SHORT_NAMES[kind]} {n:.0f}, {duration_text(seconds)}")
    return "; ".join(parts)


def red_of(stream: TextIO) -> Callable[[str], str]:
    """What makes a text red on a terminal; elsewhere, and where NO_COLOR is set, it stays as it is."""
    if stream.isatty() and not os.environ.get("NO_COLOR"):
        return lambda text: f"\x1b[1;31m{text}\x1b[0m"
    return lambda text: text


def summary(analysis: Analysis, *, red: Callable[[str], str] = lambda text: text) -> str:
    """What a person wants to know first, in a few lines; dangers come before all else, in red where asked."""
    from ..clock import duration_text
    from ..report.dangers import dangers, remarks
    from ..report.facts import model_text
    from ..report.measures import measures
    from ..report.operating import chosen_sensitivity
    from ..report.statements import statements

    burden, record = analysis.burden, analysis.record
    measured = {measure.key: measure for measure in measures(analysis)}
    counts = dict(zip("NSVFQ", burden.count.tolist(), strict=True))
    with_fusion = f" (V + F {measured['pvc_burden_with_fusion'].text})" if counts["F"] else ""
    lines = [
        f"{record.record_id}: {duration_text(record.duration_s)}, lead {', '.join(analysis.lead_names)}, "
        f"model {model_text(analysis.model)} in {analysis.model.engine}",
        *(red(f"  {danger.text}") for danger in dangers(analysis)),
        *(f"  {text}" for text in (*chosen_sensitivity(analysis), *remarks(analysis))),
        *(f"  {statement.text}" for statement in statements(analysis)),
        f"  Analysable    {duration_text(burden.analysable_s)} ({burden.analysable_pct:.1f} % of the recording)",
        f"  Beats         {burden.n_beats:,} analysable: " + ", ".join(f"{k} {n:,}" for k, n in counts.items()),
        "  PVC burden    "
        + _value(measured["pvc_burden"], f" of analysable beats{with_fusion}; {_complexity(burden.v)}"),
        *_idioventricular(analysis),
        "  SVE burden    " + _value(measured["sve_burden"], f" of analysable beats; {_complexity(burden.s)}"),
        "  AF burden     "
        + _value(measured["af_burden"], f" of analysable time, in this recording; episodes {burden.af.n}"),
        _pauses(analysis, measured),
        _heart_rate(analysis),
        *_remarks(analysis),
    ]
    return "\n".join(lines)


def _idioventricular(analysis: Analysis) -> list[str]:
    """That V beats in an idioventricular rhythm are not in the burden, where there are such."""
    found = analysis.burden.idioventricular
    counted = f"{plural(found.n, 'episode')}, {plural(found.n_beats, 'beat')}"
    return [f"  Idioventricular {counted}, not in the PVC burden"] if found.n else []


def _pauses(analysis: Analysis, measured: Mapping[str, Measure]) -> str:
    if measured["pauses"].value is None:
        return f"  Pauses        {_value(measured['pauses'])}"
    burden, rules = analysis.burden, analysis.rules
    in_af = f"; in AF {burden.af_pauses.n} of {rules.af_pause_s:g} s and more" if burden.af.n else ""
    counted = f"{burden.pauses.n} of {rules.pause_s:g} s and more{in_af}"
    return f"  Pauses        {counted}; longest RR {_value(measured['longest_rr'])}"


def _heart_rate(analysis: Analysis) -> str:
    burden = analysis.burden
    if not (burden.rate_min and burden.rate_max):
        mean = "" if math.isnan(burden.rate_mean_bpm) else f"; mean {burden.rate_mean_bpm:.0f} bpm over all RR"
        return f"  Heart rate    not enough consecutive beats in clear signal{mean}"
    return (
        f"  Heart rate    {burden.rate_min.bpm:.0f} / {burden.rate_mean_bpm:.0f} / {burden.rate_max.bpm:.0f} bpm "
        f"(min / mean / max; moving average of {analysis.rules.rate_average_beats} RR)"
    )


def _remarks(analysis: Analysis) -> list[str]:
    """Lines on the sensitivity, and on what is not as usual: rules, labels, calibration."""
    from ..records.units import ASSUMED_PER_MV
    from ..report.measures import format_edits
    from ..report.operating import sensitivity_text

    lines = []
    if analysis.rules.sensitivity == BALANCED:  # another one stands at the beginning
        lines.append(f"  Sensitivity   {sensitivity_text(analysis)}")
    if changed := analysis.rules.changed():
        lines.append("  Rules         " + ", ".join(f"{rule.key}={rule.value:g}" for rule in changed))
    if edited := format_edits(analysis):
        lines.append(f"  Edits         {edited}")
    if analysis.learning:
        lines.append(f"  Learning      {analysis.learning.sentence}")
    record = analysis.record
    if uncalibrated := [name for name, known in zip(record.lead_names, record.calibrated, strict=True) if not known]:
        lines.append(f"  Calibration   no gain for {', '.join(uncalibrated)}: {ASSUMED_PER_MV:g} counts per mV assumed")
    return lines


def _value(measure: Measure, of: str = "") -> str:
    """A measure with what follows it where it has a value."""
    return f"not measurable: {measure.why}" if measure.value is None else measure.text + of


def _complexity(ectopy: Ectopy) -> str:
    return f"couplets {ectopy.couplets}, runs {ectopy.runs.n}, bigeminy {ectopy.bigeminy.n}"
