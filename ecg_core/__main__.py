"""Command line: ``python -m ecg_core analyze RECORD`` and ``python -m ecg_core evaluate DATABASE_DIR``."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import NOTICE, __version__
from .classifier.spec import DEFAULT_MODEL, read_spec
from .errors import EcgError, OutputError, RecordError, RulesError
from .rules import RhythmRules, rules_from
from .text import one_line

if TYPE_CHECKING:
    from .report.measures import Measure
    from .schema import Analysis, Ectopy, RecordOverrides

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

FAILED, BAD_INPUT, STOPPED = 1, 2, 130  # exit codes


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except EcgError as error:
        _clear_line()
        print(f"Error: {error}", file=sys.stderr)
        return BAD_INPUT
    except OSError as error:  # a file that may not be read, a disk that is full
        _clear_line()
        sentence = f"Error: {error.filename or 'a file'}: {error.strerror}; check the file and its folder."
        print(one_line(sentence), file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        _clear_line()
        print("Stopped; nothing was left by half, and what was finished stays.", file=sys.stderr)
        return STOPPED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ecg_core", description=NOTICE)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    analyze, convert, inspect = _add_analyze(commands), _add_convert(commands), _add_inspect(commands)
    evaluate, monitor, replay = _add_evaluate(commands), _add_monitor(commands), _add_replay(commands)
    for command in (monitor, replay):
        command.add_argument("--speed", type=float, default=1.0, metavar="N", help="of a record; inf is at once (1)")
    for command in (analyze, convert, inspect):
        command.add_argument("--fs", type=float, metavar="HZ", help="the sampling rate, where the file states none")
        command.add_argument(
            "--unit", metavar="mV|uV|V|NUMBER", help="the unit, or the counts of a mV, where the file states none"
        )
    few = "up to three together, of more the best"
    for command, auto in ((analyze, few), (evaluate, few), (monitor, "all")):
        help_ = f"which leads to read (auto: {auto})"
        command.add_argument("--lead", default="auto", metavar="auto|all|first|NAME", help=help_)
        command.add_argument("--model", type=Path, metavar="PATH", help="weights to use (the ones shipped)")
    return parser


def _add_analyze(commands: Commands) -> argparse.ArgumentParser:
    analyze = commands.add_parser("analyze", help="label the beats of a record, or of many, and measure its burden")
    analyze.add_argument(
        "records", type=Path, nargs="+", metavar="RECORD",
        help="a record of any format that is read; or several, folders of records, or patterns such as 'db/*.hea'",
    )  # fmt: skip
    analyze.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="folder of the results (here)")
    analyze.add_argument(
        "--own", type=Path, metavar="FILE", help="beats of this patient to learn from first: rec.atr, x_labels.csv"
    )
    analyze.add_argument("--jobs", type=_count, default=1, metavar="N", help="of many records, so many at a time (1)")
    analyze.add_argument("--dask", default="", metavar="ADDRESS", help="send many records to this Dask scheduler")
    analyze.add_argument(
        "--rule", action="append", default=[], metavar="NAME=VALUE",
        help="count by another rule, for example pause_s=2.5; may be repeated; --rule help lists them",
    )  # fmt: skip
    analyze.set_defaults(run=_analyze)
    return analyze


def _add_convert(commands: Commands) -> argparse.ArgumentParser:
    convert = commands.add_parser("convert", help="write a record in another form")
    convert.add_argument("record", type=Path, metavar="RECORD", help="a record of any format that is read")
    convert.add_argument("--to", default="wfdb", metavar="wfdb|edf|csv|parquet", help="the form (wfdb)")
    convert.add_argument("--rate", type=int, choices=[125], help="resample to this rate in Hz")
    convert.add_argument("--annotations", type=Path, metavar="FILE", help="beats to write along: rec.atr, x_beats.csv")
    convert.add_argument(
        "--anonymise", action="store_true", help="write no name, no start, no comments; see docs/files.md"
    )
    convert.add_argument("--out", type=Path, default=Path("converted"), metavar="DIR", help="folder (converted)")
    convert.set_defaults(run=_convert)
    return convert


def _add_inspect(commands: Commands) -> argparse.ArgumentParser:
    inspect = commands.add_parser("inspect", help="say what files are, what is in them, and what is wrong with them")
    inspect.add_argument("files", type=Path, nargs="+", metavar="FILE")
    inspect.set_defaults(run=_inspect)
    return inspect


def _add_evaluate(commands: Commands) -> argparse.ArgumentParser:
    evaluate = commands.add_parser("evaluate", help="score a model against reference annotations by EC57")
    evaluate.add_argument("database", type=Path, metavar="DATABASE_DIR", help="folder of annotated WFDB records")
    evaluate.add_argument("--records", type=_names, metavar="A,B", help="only these records")
    evaluate.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    evaluate.set_defaults(run=_evaluate)
    return evaluate


def _add_monitor(commands: Commands) -> argparse.ArgumentParser:
    monitor = commands.add_parser("monitor", help="judge a live stream as it comes")
    monitor.add_argument("source", metavar="SOURCE", help="lsl:NAME, tcp:PORT, - (standard input), or a record")
    monitor.add_argument("--out", type=Path, metavar="DIR", help="record there; nothing is kept without")
    monitor.add_argument(
        "--record", action=argparse.BooleanOptionalAction, default=True, help="record samples too, not beats alone"
    )
    monitor.add_argument("--horizon", type=float, default=2.0, metavar="S", help="seconds a beat waits for (2)")
    monitor.add_argument("--rule", action="append", default=[], metavar="NAME=VALUE", help="as for analyze")
    monitor.add_argument("--quiet", action="store_true", help="tell alarms alone")
    monitor.set_defaults(run=_monitor)
    return monitor


def _add_replay(commands: Commands) -> argparse.ArgumentParser:
    replay = commands.add_parser("replay", help="send a record as if it came just now")
    replay.add_argument("record", type=Path, metavar="RECORD", help="a record of any format that is read")
    replay.add_argument("--to", required=True, metavar="lsl:NAME|tcp:PORT|-", help="where it goes; - prints it")
    replay.set_defaults(run=_replay)
    return replay


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _analyze(options: argparse.Namespace) -> int:
    from .batch import is_many  # noqa: PLC0415  # torch, wfdb and pandas load only when there is work

    many = options.dask or is_many(options.records)  # one record that goes elsewhere is a study of one
    return _analyze_many(options) if many else _analyze_one(options)


def _analyze_many(options: argparse.Namespace) -> int:
    from .batch import FAILURES, Settings, analyse_many  # noqa: PLC0415

    if options.own is not None:
        raise RecordError(f"{options.own}: --own names beats of one patient; expected one record, got several.")
    settings = Settings(
        (options.model or DEFAULT_MODEL).absolute(), options.lead, _rules(options.rule), _stated(options)
    )
    read_spec(settings.model)  # told now, not once a record
    study = analyse_many(
        options.records, settings, options.out, jobs=options.jobs, dask=options.dask, show=_show_study()
    )
    _clear_line()
    n, n_failed = len(study.outcomes), len(study.failed)
    print(f"{n} records: {n - n_failed - study.n_kept} analysed, {study.n_kept} finished before, {n_failed} failed")
    print(f"Written: a folder a record, {', '.join(path.name for path in study.written)}")
    print(f"to {options.out.resolve()}\n{NOTICE}")
    if study.failed:
        print(f"Error: {n_failed} of {n} records failed; {FAILURES} says why.", file=sys.stderr)
    return FAILED if study.failed else 0


def _analyze_one(options: argparse.Namespace) -> int:
    from .classifier.model import load_model  # noqa: PLC0415
    from .pipeline import analyse  # noqa: PLC0415
    from .records import read_annotations, read_record  # noqa: PLC0415
    from .report.export import write_files  # noqa: PLC0415

    rules = _rules(options.rule)
    record = read_record(options.records[0], _stated(options))
    own = None if options.own is None else read_annotations(options.own, record.fs_hz)
    model = load_model(options.model or DEFAULT_MODEL)
    began = time.monotonic()
    progress = _show_progress(record.record_id)
    analysis = analyse(record, model, rules, lead=options.lead, patient_labels=own, progress=progress)
    written = write_files(analysis, options.out)
    _clear_line()
    print(summary(analysis))
    print(f"\nWritten in {time.monotonic() - began:.1f} s: {', '.join(path.name for path in written)}")
    print(f"to {options.out.resolve()}\n{NOTICE}")
    return 0


def _rules(texts: list[str]) -> RhythmRules:
    """Rules from NAME=VALUE."""
    wrong = next((text for text in texts if "=" not in text), None)
    if wrong is not None:
        lines = [f"  {rule.key}={rule.value:g}   {rule.says} ... {rule.unit}" for rule in RhythmRules().rows()]
        raise RulesError(f"--rule {wrong}: expected NAME=VALUE. The rules and their defaults:\n" + "\n".join(lines))
    return rules_from(dict(text.split("=", 1) for text in texts))


def _stated(options: argparse.Namespace) -> RecordOverrides:
    """What the user says of the file."""
    from .records import per_mv_of  # noqa: PLC0415
    from .schema import RecordOverrides  # noqa: PLC0415

    return RecordOverrides(options.fs, None if options.unit is None else per_mv_of(options.unit))


def _convert(options: argparse.Namespace) -> int:
    from .records import read_record  # noqa: PLC0415
    from .records.convert import convert  # noqa: PLC0415

    record = read_record(options.record, _stated(options))
    written = convert(
        record, options.to, options.out, at_125_hz=options.rate == 125, annotations=options.annotations,
        anonymise=options.anonymise,
    )  # fmt: skip
    print(f"Written: {one_line(str(written))}")
    return 0


def _inspect(options: argparse.Namespace) -> int:
    from .records.inspect import inspect_text  # noqa: PLC0415

    stated = _stated(options)
    told = [inspect_text(path, stated) for path in options.files]
    print("\n\n".join(text for text, _ in told))
    return 0 if all(fine for _, fine in told) else BAD_INPUT


def _monitor(options: argparse.Namespace) -> int:
    from .live.console import monitor  # noqa: PLC0415

    monitor(
        options.source, _rules(options.rule), options.model or DEFAULT_MODEL, out=options.out, record=options.record,
        horizon_s=options.horizon, lead=options.lead, speed=options.speed, quiet=options.quiet,
    )  # fmt: skip
    return 0


def _replay(options: argparse.Namespace) -> int:
    from .live.console import replay  # noqa: PLC0415

    replay(options.record, options.to, speed=options.speed)
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from .classifier.model import load_model  # noqa: PLC0415
    from .evaluation.evaluate import evaluate, report_text, summarise  # noqa: PLC0415
    from .records import find_records  # noqa: PLC0415
    from .report.export import write_whole  # noqa: PLC0415

    if not options.database.is_dir():
        raise RecordError(f"{options.database}: this folder does not exist; name one that holds annotated records.")
    if options.json:
        _check_writable(options.json)
    paths = [options.database / name for name in options.records or []] or [
        path for path in find_records(options.database) if path.with_name(f"{path.name}.atr").is_file()
    ]
    if not paths:
        raise RecordError(f"{options.database}: none of its records has reference annotations (.atr).")
    model = load_model(options.model or DEFAULT_MODEL)
    name = "/".join(options.database.resolve().parts[-2:])
    result = evaluate(paths, model, database=name, lead=options.lead, progress=_show_records)
    _clear_line()
    print(report_text(result))
    if options.json:
        write_whole(options.json, (json.dumps(summarise(result), indent=1) + "\n").encode())
    return 0


def _check_writable(path: Path) -> None:
    """Fail before the work, not after it."""
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise OutputError(f"{path}: is a folder, or its folder cannot be written to; name another file with --json.")


def summary(analysis: Analysis) -> str:
    """What a person wants to know first."""
    from .report.measures import format_labels, measures  # noqa: PLC0415

    burden, record = analysis.burden, analysis.record
    told = {measure.key: measure for measure in measures(analysis)}
    hours = record.duration_s / 3600
    counts = dict(zip("NSVFQ", burden.count.tolist(), strict=True))
    lines = [
        f"{record.record_id}: {hours:.2f} h, lead {', '.join(analysis.lead_names)}, model {analysis.model.name}",
        f"  Analysable    {burden.analysable_s / 3600:.2f} h ({burden.analysable_pct:.1f} % of the recording)",
        f"  Beats         {burden.n_beats:,} analysable: " + ", ".join(f"{k} {n:,}" for k, n in counts.items()),
        f"  PVC burden    {_said(told['pvc_burden'])} of analysable beats; {_complexity(burden.v)}",
        f"  SVE burden    {_said(told['sve_burden'])} of analysable beats; {_complexity(burden.s)}",
        f"  AF burden     {_said(told['af_burden'])} of analysable time, in this recording; episodes {burden.af.n}",
        f"  Pauses        {burden.pauses.n} of {analysis.rules.pause_s:g} s and more; longest RR "
        f"{_said(told['longest_rr'])}",
    ]
    if burden.rate_min and burden.rate_max:
        lines.append(
            f"  Heart rate    {burden.rate_min.bpm:.0f} / {burden.rate_mean_bpm:.0f} / {burden.rate_max.bpm:.0f} bpm "
            f"(min / mean / max; mean of {analysis.rules.rate_average_beats} RR)"
        )
    else:
        lines.append("  Heart rate    not enough consecutive beats")
    if changed := analysis.rules.changed():
        lines.append("  Rules         " + ", ".join(f"{rule.key}={rule.value:g}" for rule in changed))
    if len(analysis.labelled):
        lines.append(f"  Labels        {format_labels(analysis)}")
    if not all(record.calibrated):
        lines.append("  Calibration   the header states no gain for some leads: 200 adu/mV assumed")
    return "\n".join(lines)


def _said(measure: Measure) -> str:
    return f"not measurable ({measure.why})" if measure.value is None else measure.text


def _complexity(ectopy: Ectopy) -> str:
    return f"couplets {ectopy.couplets}, runs {ectopy.runs.n}, bigeminy {ectopy.bigeminy.n}"


class _show_progress:  # used like a function
    """A line with the share that is done and the time left; silent where nobody watches."""

    def __init__(self, name: str) -> None:
        self.name, self.began = name, time.monotonic()

    def __call__(self, done_s: float, total_s: float) -> None:
        if not sys.stderr.isatty() or done_s <= 0:
            return
        left_s = (time.monotonic() - self.began) * (total_s / done_s - 1)
        print(f"\r{self.name}: {100 * done_s / total_s:3.0f} %, {left_s:.0f} s left ", end="", file=sys.stderr)


class _show_study:  # used like a function
    """A line with the records that are done, the time left and what is at work; silent where nobody watches."""

    def __init__(self) -> None:
        self.began = time.monotonic()

    def __call__(self, done: int, total: int, at_work: Sequence[str]) -> None:
        if not sys.stderr.isatty():
            return
        left = f", {(time.monotonic() - self.began) * (total / done - 1):.0f} s left" if done else ""
        now = f"; now {', '.join(at_work)}" if at_work else ""
        line = f"{done} of {total} records{left}{now}"
        print(f"\r\x1b[K{line[: shutil.get_terminal_size().columns - 1]}", end="", flush=True, file=sys.stderr)


def _show_records(name: str, done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{one_line(name)}: record {done + 1} of {total} ", end="", flush=True, file=sys.stderr)


def _clear_line() -> None:
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
