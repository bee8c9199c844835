"""How soon the live monitor raises its most serious alarms, and how often wrongly: ``python -m models.alarms``.

Replays cudb and vfdb, whose marks say where ventricular fibrillation and asystole begin, and normal recordings, through
the monitor at its default horizon. Writes ``alarms.metrics.json``, which ``models.card`` puts into the docs. A run that
was stopped goes on where it was; ``--records cudb/1.0.0/cu01,...`` measures these alone and prints their alarms.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from ecg_core import live
from ecg_core.classifier.model import Model, load_model
from ecg_core.classifier.spec import DEFAULT_MODEL
from ecg_core.files import write_json
from ecg_core.labels import class_codes
from ecg_core.live.engine import Monitor
from ecg_core.live.replay import Replay
from ecg_core.live.stream import Alarm
from ecg_core.parallel import n_cores, use_threads
from ecg_core.records import read_record
from ecg_core.schema import Annotations, Record
from models.command import parse, parser_of, print_line, read_json
from models.databases import FOLDER, ICENTIA

SETS: Final = {"danger": ("cudb/1.0.0", "vfdb/1.0.0"), "normal": ("qtdb/1.0.0", ICENTIA)}
MARKS: Final = {"vf": ("(VF", "(VFL", "(VFIB"), "asystole": ("(ASYS",)}
ALARMS: Final = {"vf": ("vf", "vf_suspected"), "asystole": ("asystole",)}
MIN_S: Final = {"vf": 10.0, "asystole": 4.0}  # shorter episodes are not scored
WITHIN_S: Final = {"vf": 10.0, "asystole": 6.0}  # of its onset an alarm is in time
NEAR_S = 5.0  # an alarm that comes so near to a marked episode, or to one of the other kind, is not wrong
CHUNK_S = 10.0  # the result does not depend on it
OUT = FOLDER / "alarms.metrics.json"


def raised_alarms(record: Record, model: Model) -> list[Alarm]:
    """The alarms of a record when it is replayed, each as it was over, or as it went on at the end."""
    source = Replay(record, speed=float("inf"), chunk_s=CHUNK_S)
    monitor = Monitor(source.stream, model)
    updates = [*(monitor.push(chunk) for chunk in source.chunks()), monitor.close()]
    return [alarm for update in updates for alarm in update.alarms]


def marked_episodes(marks: Annotations, kind: str, *, end_s: float) -> list[tuple[float, float]]:
    """Start and end of the marked episodes of a kind, seconds; marks that follow each other are one episode."""
    inside, episodes = None, []
    for time_s, symbol, aux in zip(marks.time_s.tolist(), marks.symbol.tolist(), marks.aux.tolist(), strict=True):
        begins = aux in MARKS[kind] or (symbol == "[" and kind == "vf")
        if begins and inside is None:
            inside = time_s
        elif inside is not None and not begins and (symbol == "]" or aux.startswith("(")):
            episodes.append((inside, time_s))
            inside = None
    return [*episodes, *([(inside, end_s)] if inside is not None else [])]


def beatless(marks: Annotations) -> list[tuple[float, float]]:
    """Start and end of each stretch between annotated beats that is as long as an asystole: not marked, but one."""
    beat_s = marks.time_s[class_codes(marks.symbol) >= 0]
    long = np.flatnonzero(np.diff(beat_s) >= MIN_S["asystole"])
    return [(float(beat_s[i]), float(beat_s[i + 1])) for i in long.tolist()]


def score_record(record: Record, alarms: list[Alarm]) -> dict[str, Any]:
    """Delay of the alarm of each marked episode, None where there is none, and the start of each wrong alarm."""
    marks = record.reference
    episodes = {
        kind: marked_episodes(marks, kind, end_s=record.duration_s) if marks is not None else [] for kind in MARKS
    }
    known = [episode for found in episodes.values() for episode in found]
    gaps = beatless(marks) if marks is not None else []
    result: dict[str, Any] = {"hours": round(record.duration_s / 3600, 4)}
    for kind, kinds in ALARMS.items():
        spans = _spans([alarm for alarm in alarms if alarm.kind in kinds], record.duration_s)
        delays = []
        for first_s, last_s in episodes[kind]:
            if last_s - first_s >= MIN_S[kind]:
                announcements = [announced for start, announced, end in spans if start < last_s and end > first_s]
                delays.append(round(max(0.0, min(announcements) - first_s), 2) if announcements else None)
        wrong = [
            round(start, 1)
            for start, _, end in spans
            if not any(start < last_s + NEAR_S and end > first_s - NEAR_S for first_s, last_s in known)
            and not (kind == "asystole" and any(start < last_s and end > first_s for first_s, last_s in gaps))
        ]
        result[kind] = {"delay_s": delays, "wrong_s": wrong}
    return result


def _spans(alarms: list[Alarm], end_s: float) -> list[tuple[float, float, float]]:
    """Start, first announcement and end of each alarm, seconds."""
    spans: dict[float, list[float]] = {}
    for alarm in alarms:
        span = spans.setdefault(alarm.start_s, [alarm.announced_s, end_s])
        span[1] = end_s if alarm.end_s is None else alarm.end_s
    return [(start, announced, end) for start, (announced, end) in spans.items()]


def summarise(records: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Of each kind: the marked episodes, how many were raised and how many in time, and wrong alarms an hour."""
    hours = sum(record["hours"] for record in records.values())
    figures: dict[str, Any] = {"records": len(records), "hours": round(hours, 2)}
    for kind in ALARMS:
        delays = [delay for record in records.values() for delay in record[kind]["delay_s"]]
        raised = sorted(delay for delay in delays if delay is not None)
        figures[kind] = {
            "episodes": len(delays),
            "raised": len(raised),
            "in_time": sum(delay <= WITHIN_S[kind] for delay in raised),
            "median_delay_s": raised[len(raised) // 2] if raised else None,
            "wrong": sum(len(record[kind]["wrong_s"]) for record in records.values()),
        }
    return figures


def main() -> None:
    """Replay and score; each record is kept at once."""
    parser = parser_of(__doc__)
    parser.add_argument("--records", type=lambda text: text.split(","), help="measure these alone, and write nothing")
    options = parse(parser)
    use_threads(1)  # a second of signal is too little work for two
    model = _model()
    for name in options.records or ():
        record = read_record(options.databases / name)
        alarms = raised_alarms(record, model)
        for alarm in alarms:
            print_line(f"{alarm.announced_s:8.1f} {alarm.kind} since {alarm.start_s:.1f}, end {alarm.end_s}")
        print_line(f"{name}: {score_record(record, alarms)}")
    if options.records:
        return
    known = read_json(OUT)
    made_from = {"model": model.spec.name, "model_sha256": model.spec.sha256, "live_sha256": live_sha256()}
    if any(known.get(name) != value for name, value in made_from.items()):
        known = {**made_from, "sets": {}, "records": {}}
    databases: Path = options.databases
    with ProcessPoolExecutor(n_cores(), initializer=use_threads, initargs=(1,)) as pool:
        for key, folders in SETS.items():
            records = known["records"].setdefault(key, {})
            every = [f"{folder}/{name}" for folder in folders for name in _names(databases, folder)]
            left = [name for name in every if name not in records]
            scores = pool.map(_score, (databases / name for name in left))
            for name, score in zip(left, scores, strict=True):
                records[name] = score
                known["sets"][key] = summarise(records)
                write_json(OUT, known)
                print_line(f"{name}: {score}")


def live_sha256() -> str:
    """Hash of the code of the monitor, whose figures these are."""
    digest = hashlib.sha256()
    for path in sorted(Path(live.__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _score(path: Path) -> dict[str, Any]:
    """The scores of a record, in a process of its own."""
    record = read_record(path)
    return score_record(record, raised_alarms(record, _model()))


@cache
def _model() -> Model:
    return load_model(DEFAULT_MODEL)


def _names(databases: Path, database: str) -> list[str]:
    return (databases / database / "RECORDS").read_text(encoding="utf-8").split()


if __name__ == "__main__":
    main()
