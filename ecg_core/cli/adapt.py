"""``ecg adapt FOLDER|STUDY ...``: adapt a model to a recorder, with a proof on patients that were not learned from."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ..errors import AdaptationError
from ..text import one_line, plural
from . import progress
from .options import FAILED, Commands, add_model_option, add_studies_option, model_of, names

if TYPE_CHECKING:
    from ..adaptation.material import Survey
    from ..adaptation.split import Side
    from ..adaptation.task import Adaptation, State

LABELS = ("none", "some", "all")  # as ``adaptation.material``, which takes time to load


def add_parser(commands: Commands) -> None:
    """Add the command and its options."""
    parser = commands.add_parser("adapt", help="adapt a model to a recorder, with a proof on held-out patients")
    parser.add_argument(
        "sources", nargs="*", metavar="FOLDER|STUDY",
        help="a folder of recordings, a database such as svdb, or studies by name, path or id",
    )  # fmt: skip
    parser.add_argument("--name", default="", metavar="NAME", help="of the new model (adapted- and that of the folder)")
    parser.add_argument(
        "--labels", choices=LABELS, default="all", help="which labels of the patients are learned (all)"
    )
    add_model_option(parser, help_="an installed model to go on from, by its name, or weights (general)")
    parser.add_argument("--hold-out", type=names, default=[], metavar="A,B", help="patients for the proof (a third)")
    parser.add_argument("--leave-out", type=names, default=[], metavar="A,B", help="patients that are not used")
    parser.add_argument("--lead", default="auto", metavar="auto|all|first|NAME", help="leads that are measured (auto)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the sides and the fit (0)")
    parser.add_argument("--steps", type=int, default=0, metavar="N", help="of each fit (600; 240 of several)")
    parser.add_argument("--dry-run", action="store_true", help="show recordings and sides, and do nothing")
    parser.add_argument("--list", action="store_true", help="the adaptations that are there, and how far they are")
    parser.add_argument("--resume", default="", metavar="NAME", help="go on with one that was stopped")
    parser.add_argument("--keep", default="", metavar="NAME", help="install the model of one that is done")
    parser.add_argument("--discard", default="", metavar="NAME", help="remove one with all that it made")
    parser.add_argument("--json", action="store_true", help="print the proof as JSON, and all else to the error stream")
    add_studies_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """List, resume, keep or discard an adaptation, or begin one."""
    if options.list:
        return _list()
    if options.discard:
        from ..adaptation.task import discard

        name, folder = _place(options.discard)
        discard(name, folder=folder)
        print(f"Discarded: {one_line(options.discard)}")
        return 0
    if options.keep:
        return _keep(_named(options.keep))
    if options.resume:
        adaptation = _named(options.resume)
        adaptation.require_idle()
        return _with_json(options, lambda out: _run(adaptation, out))
    if not options.sources:
        raise AdaptationError("No recordings were named: give a folder of the recorder, a database, or studies.")
    return _with_json(options, lambda out: _begin(options, out))


def _with_json(options: argparse.Namespace, work: Callable[[TextIO | None], int]) -> int:
    """Do what ends in a proof: where it is printed as JSON it goes to ``out``, and all else to the error stream."""
    if not options.json:
        return work(None)
    out = sys.stdout
    with redirect_stdout(sys.stderr):
        return work(out)


def _begin(options: argparse.Namespace, out: TextIO | None) -> int:
    from ..adaptation.choosing import choose
    from ..adaptation.keeping import require_free
    from ..adaptation.material import Labels
    from ..adaptation.split import folds_of, require_lead
    from ..adaptation.task import Task, check_name, create
    from ..classifier.spec import read_spec

    model = model_of(options)
    chosen = choose(
        options.sources, hold_out=options.hold_out, leave_out=options.leave_out, seed=options.seed,
        studies=options.studies, model=model, progress=progress.show_evaluation,
    )  # fmt: skip
    progress.clear_line()
    name = options.name or chosen.name
    require_free(check_name(name))
    print(survey_text(chosen.survey, chosen.sides))
    labels = Labels(options.labels)
    folds = folds_of(chosen.survey.recordings, chosen.sides, labels)
    require_lead(folds, options.lead)
    if len(folds) > 1:
        print(
            f"Nobody is held out: patients are left out in turn, in {plural(len(folds), 'fit')}, then all are fitted."
        )
    if options.dry_run:
        return 0
    _require_source()
    task = Task(
        name=name, model=str(model.resolve()), model_sha256=read_spec(model).sha256,
        recordings=chosen.survey.recordings, sides=chosen.sides, labels=labels, lead=options.lead, seed=options.seed,
        steps=options.steps, studies=str(options.studies or ""),
    )  # fmt: skip
    return _run(create(task), out)


def _require_source() -> None:
    """Fail before the work where the source's recordings are missing, with the command that fetches them."""
    from ..adaptation.source import require_source

    try:
        require_source()
    except AdaptationError as error:
        raise AdaptationError(f"{error} The command: ecg fetch mitdb nstdb --records all.") from error


def _run(adaptation: Adaptation, out: TextIO | None) -> int:
    """Run it, and install its model where it is better; the proof is printed as JSON to ``out``, else as tables."""
    from ..adaptation.running import run as run_adaptation
    from ..adaptation.task import CANCELLED, DONE

    state = run_adaptation(adaptation, show=_show)
    progress.clear_line()
    if state.state == CANCELLED:
        print(f"{state.problem} ecg adapt --resume {adaptation.task.name}")
        return FAILED
    if state.state != DONE:
        raise AdaptationError(state.problem)
    proof = adaptation.proof
    print(json.dumps(proof, ensure_ascii=False, indent=1) if out else proof_text(proof), file=out)
    if proof["outcome"] == "better":
        return _keep(adaptation)
    if proof["may_keep"]:
        print(f"It is not installed. To install it all the same: ecg adapt --keep {adaptation.task.name}")
        return 0
    return FAILED


def _show(state: State) -> None:
    left = "" if state.left_s is None else f", {max(1, round(state.left_s / 60))} min left"
    progress.show_line(f"{100 * state.fraction:3.0f} %{left}; {state.stage}")


def _keep(adaptation: Adaptation) -> int:
    from ..adaptation.keeping import keep_adapted

    model = keep_adapted(adaptation)
    print(f"Installed: {model.name}; use it with --model {model.name}, or choose it in the dashboard.")
    return 0


def _list() -> int:
    from ..adaptation.task import find_all

    for adaptation in find_all():
        state = adaptation.state
        print(f"{adaptation.task.name}: {state.state}, {100 * state.fraction:.0f} %; {state.verdict or state.problem}")
    return 0


def _named(name: str) -> Adaptation:
    """An adaptation by its name or its folder."""
    from ..adaptation.task import find

    plain, folder = _place(name)
    return find(plain, folder=folder)


def _place(name: str) -> tuple[str, Path | None]:
    """The name of an adaptation, and its folder where that is named."""
    path = Path(name)
    return path.name, path.parent if path.is_absolute() else None


def survey_text(survey: Survey, sides: dict[str, Side]) -> str:
    """What is at hand, by patient, and what each patient is for."""
    from ..clock import duration_text
    from .studies import table_text

    rows: list[Sequence[str]] = [
        ("patient", "side", "recording", "length", "leads", "Hz", "labels", "N", "S", "V", "F", "Q"),
    ]
    for one in sorted(survey.recordings, key=lambda one: (str(sides[one.patient]), one.patient)):
        rows.append(
            (
                one.patient, str(sides[one.patient]), one.name, duration_text(one.duration_s), ",".join(one.lead_names),
                f"{one.fs_hz:g}", str(one.origin or "none"), *(f"{n:,}" for n in one.n_labels),
            )
        )  # fmt: skip
    lines = [table_text(rows), *survey.doubts]
    lines += [f"Left out: {one_line(name)}: {one_line(reason)}" for name, reason in survey.left_out]
    return "\n".join(lines)


def proof_text(proof: dict[str, Any]) -> str:
    """The proof as a person reads it in a terminal."""
    from .studies import table_text

    rows = [("", "before", "after", "change", "95 % interval")]
    for before, after in zip(proof["before"], proof["after"], strict=True):
        rows.append((f"{before['measured on']}, {plural(before['patients'], 'patient')}", "", "", "", ""))
        changes = {row["figure"]: row for row in proof["change"] if row["measured on"] == before["measured on"]}
        for name, change in changes.items():
            interval = f"{_pct(change['low'])} to {_pct(change['high'])}" if change["low"] is not None else "too few"
            rows.append((f"  {name}, %", _pct(before[name]), _pct(after[name]), _pct(change["change"]), interval))
        for name in ("false_v_per_hour", "false_s_per_hour"):
            rows.append((f"  {name.replace('_', ' ')}", _plain(before[name]), _plain(after[name]), "", ""))
    patients = [("patient", "PVC burden: reference, before, after", "SVE burden: reference, before, after")]
    for row in proof["held_out_patients"]:
        burdens = (
            ", ".join(_plain(row[f"{kind}{when}"]) for kind, when in ends)
            for ends in (
                (("reference_pvc_burden_pct", ""), ("pvc_burden_pct", "_before"), ("pvc_burden_pct", "_after")),
                (("reference_sve_burden_pct", ""), ("sve_burden_pct", "_before"), ("sve_burden_pct", "_after")),
            )
        )
        patients.append((row["patient"], *burdens))
    changed = " and ".join(f"{plural(n, 'beat')} {how}" for how, n in proof.get("number_of_changed_beats", {}).items())
    lines = [table_text(rows), "", table_text(patients), "", *([f"Changed: {changed}."] if changed else [])]
    return "\n".join([*lines, proof["verdict"]])


def _pct(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
