"""What a shipped model makes of dangers, end to end: ``ECG_DATABASES=... python -m models.dangers [NAME]``.

Pauses of known length cut into five records; the asystoles and the sustained tachycardias of vfdb; fibrillation that is
counted as normal beats; and what is found where there is none, in mitdb, svdb and icentia11k. Writes
``NAME.dangers.json``. The head of the waveform was fitted to cudb, vfdb and DS1; how it does on patients it was not
fitted to is in ``waveform.metrics.json``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from ecg_core.classifier.model import Model, load_model
from ecg_core.classifier.spec import DEFAULT_MODEL
from ecg_core.evaluation.cut_pauses import FILLINGS, with_pauses
from ecg_core.files import write_json
from ecg_core.labels import class_codes
from ecg_core.pipeline import analyse
from ecg_core.records import read_record
from ecg_core.rhythm.danger import Span, without
from ecg_core.schema import Analysis, Record
from models.command import parse, parser_of, print_line
from models.databases import FOLDER, ICENTIA, MITDB, SVDB
from models.waveform import CUDB, IS_VF, QTDB, VFDB, VT_S, rhythm_marks

PAUSES_S = (3.5, 8.0, 20.0, 40.0, 90.0)
CLEAN_RECORDS: Final = (
    f"{MITDB}/101",
    f"{MITDB}/112",
    f"{MITDB}/122",
    f"{SVDB}/801",
    f"{QTDB}/sel16272",
)  # none of a test set
EXACT_S = 0.1
ASYSTOLE_S = 4.0
STANDSTILL: Final = ("pause", "asystole", "no_signal")
FIBRILLATION: Final = ("vf", "vf_suspected")
WITH_FIBRILLATION: Final = "207"  # of mitdb


def spans_of(analysis: Analysis, *kinds: str) -> list[Span]:
    """Start and end of the events of some kinds."""
    return [(event.start_s, event.end_s) for event in analysis.events if event.kind in kinds]


def covered_s(span: Span, by: Sequence[Span]) -> float:
    """Seconds of a span that lie inside others."""
    return span[1] - span[0] - sum(b - a for a, b in without(span, by))


def cut_pauses(model: Model, databases: Path) -> dict[str, Any]:
    """How many of the pauses that were cut into records are found exactly, or are named for what they are."""
    rows, false = [], 0
    for name in CLEAN_RECORDS:
        clean = read_record(databases / name)
        for filling in FILLINGS:
            record, pauses = with_pauses(clean, PAUSES_S, filling)
            analysis = analyse(record, model)
            found, silent = spans_of(analysis, "pause"), spans_of(analysis, "no_signal")
            for span in pauses.tolist():
                exact = any(abs(a - span[0]) <= EXACT_S and abs(b - span[1]) <= EXACT_S for a, b in found)
                named = covered_s(tuple(span), silent) > 0.5 * (span[1] - span[0])
                rows.append(
                    {
                        "record": name,
                        "filling": filling,
                        "length_s": span[1] - span[0],
                        "exact": exact,
                        "no_signal": named,
                    }
                )
            false += sum(not any(a < d and c < b for c, d in pauses.tolist()) for a, b in found)
    by_filling = {
        filling: {
            "n": sum(row["filling"] == filling for row in rows),
            "exact": sum(row["exact"] for row in rows if row["filling"] == filling),
            "no_signal": sum(row["no_signal"] for row in rows if row["filling"] == filling),
        }
        for filling in FILLINGS
    }
    return {"by_filling": by_filling, "false": false, "pauses": rows}


def marked(analysis: Analysis) -> dict[str, Any]:
    """The annotated asystoles, sustained tachycardias and fibrillation of a record, and what was found of them."""
    marks = list(rhythm_marks(analysis.record))
    asystoles = [(a, b) for name, a, b in marks if name == "(ASYS" and b - a >= ASYSTOLE_S]
    long_vt = [(a, b) for name, a, b in marks if name == "(VT" and b - a >= VT_S]
    fibrillation = [(a, b) for name, a, b in marks if name in IS_VF]
    standing = spans_of(analysis, *STANDSTILL, *FIBRILLATION)
    fast = spans_of(analysis, "vt_sustained", *FIBRILLATION)
    normal_s = analysis.beats.time_s[(analysis.beats.label == "N") & analysis.beats.usable]
    return {
        "record": analysis.record.record_id,
        "asystoles": len(asystoles),
        "asystoles_found": sum(covered_s(span, standing) > 0 for span in asystoles),
        "long_vt": len(long_vt),
        "long_vt_found": sum(covered_s(span, fast) > 0.5 * (span[1] - span[0]) for span in long_vt),
        "vf_s": round(sum(b - a for a, b in fibrillation), 1),
        "vf_found_s": round(sum(covered_s(span, spans_of(analysis, *FIBRILLATION)) for span in fibrillation), 1),
        "vf_seconds_with_n": sum(_seconds_with(normal_s, span) for span in fibrillation),
    }


def _seconds_with(time_s: Any, span: Span) -> int:
    """Seconds of a span that hold one of these times."""
    return len(np.unique(np.floor(time_s[(time_s >= span[0]) & (time_s < span[1])])))


def false_findings(analysis: Analysis) -> dict[str, Any]:
    """Dangers in a record without fibrillation; an asystole is false if the annotations have a beat in it."""
    kinds = Counter(event.kind for event in analysis.events)
    return {
        "record": analysis.record.record_id,
        "hours": round(analysis.record.duration_s / 3600, 4),
        **{kind: kinds[kind] for kind in (*FIBRILLATION, "vt_sustained", "svt", "svt_sustained")},
        "false_asystoles": sum(_holds_beat(analysis.record, span) for span in spans_of(analysis, "asystole")),
    }


def _holds_beat(record: Record, span: Span) -> bool:
    if record.reference is None:
        return True
    beat_s = record.reference.time_s[class_codes(record.reference.symbol) >= 0]
    return bool(((beat_s > span[0] + 0.3) & (beat_s < span[1] - 0.3)).any())


def analysed(database: str, model: Model, databases: Path) -> Iterator[Analysis]:
    """Each record of a database."""
    for name in (databases / database / "RECORDS").read_text(encoding="utf-8").split():
        yield analyse(read_record(databases / database / name), model)


def main() -> None:
    """Measure, print, save."""
    parser = parser_of(__doc__)
    parser.add_argument("name", nargs="?", default=DEFAULT_MODEL.stem)
    options = parse(parser)
    model = load_model(FOLDER / f"{options.name}.pt")
    figures: dict[str, Any] = {"model_sha256": model.spec.sha256, "cut_pauses": cut_pauses(model, options.databases)}
    print_line(str(figures["cut_pauses"]["by_filling"]))
    for database in (VFDB, CUDB):
        figures[database] = [marked(analysis) for analysis in analysed(database, model, options.databases)]
        print_line(f"{database}: {_total(figures[database])}")
    for database in (MITDB, SVDB, ICENTIA):
        rows = [false_findings(analysis) for analysis in analysed(database, model, options.databases)]
        figures[database] = [row for row in rows if row["record"] != WITH_FIBRILLATION]
        print_line(f"{database}: {_total(figures[database])}")
    write_json(FOLDER / f"{options.name}.dangers.json", figures)


def _total(rows: list[dict[str, Any]]) -> dict[str, float]:
    return {name: round(sum(row[name] for row in rows), 3) for name in rows[0] if name != "record"}


if __name__ == "__main__":
    main()
