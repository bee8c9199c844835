"""The Markdown tables of the measured figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import Any

from ecg_core.classifier.spec import DEFAULT_MODEL, read_spec
from ecg_core.evaluation.test_sets import TEST_SETS
from ecg_core.rules import HIGH, OperatingPoint
from models.command import read_json
from models.databases import FOLDER

MODELS = ("source", "adapted", "general")
FIRST_SCREEN = ("mitdb_ds2", "mitdb_ds2_without_232", "svdb_test_all_leads", "svdb_test_all_leads_50_asked")
COLUMNS = {
    "QRS Se/+P": ("qrs_se", "qrs_ppv"),
    "V Se/+P": ("v_se", "v_ppv"),
    "V F1": ("v_f1",),
    "S Se/+P": ("s_se", "s_ppv"),
    "S F1": ("s_f1",),
    "accuracy": ("accuracy",),
    "always N": ("always_n_accuracy",),
    "macro F1": ("macro_f1",),
}
# What is known of svdb's test patients before their records are analysed: title, metrics file, test set
BUDGETS = (
    ("nothing (zero-shot)", "source", "svdb_test"),
    ("signals of 38 other records, no labels (inductive)", "svdb-unlabelled", "svdb_test"),
    ("signals of the test records, no labels (transductive)", "svdb-own-signals", "svdb_test"),
    ("labels of 38 other records", "adapted", "svdb_test"),
    ("12 patient labels, from the first beat on", "source", "svdb_test_12_own_beats"),
    ("50 patient labels, from the first beat on", "source", "svdb_test_50_own_beats"),
    ("labels of the patient's first 5 minutes", "source", "svdb_test_5_own_minutes"),
    ("labels of 38 other records, and 12 patient labels from the first beat on", "adapted", "svdb_test_12_own_beats"),
    ("labels of 38 other records, and 50 patient labels from the first beat on", "adapted", "svdb_test_50_own_beats"),
    ("labels of 38 other records, and of the patient's first 5 minutes", "adapted", "svdb_test_5_own_minutes"),
    ("50 queried beats labelled", "source", "svdb_test_50_asked"),
    ("labels of 38 other records, and 12 queried beats labelled", "adapted", "svdb_test_12_asked"),
    ("labels of 38 other records, and 50 queried beats labelled", "adapted", "svdb_test_50_asked"),
    ("50 queried beats excluded from the score, not labelled", "source", "svdb_test_50_left_out"),
    ("labels of 38 other records; 50 queried beats excluded, not labelled", "adapted", "svdb_test_50_left_out"),
)
ALARM_SETS = {"danger": "cudb and vfdb", "normal": "qtdb and icentia11k"}
ALARM_NAMES = {"vf": "ventricular fibrillation or flutter, 10 s or longer", "asystole": "asystole, 4 s or longer"}
# Sets on which coverage and reliability are measured, alone and together
TRUST_SETS = (
    ("mitdb_ds2",), ("svdb_test",), ("mitdb_ds2", "svdb_test"),
    ("mitdb_ds2_all_leads",), ("svdb_test_all_leads",), ("mitdb_ds2_all_leads", "svdb_test_all_leads"),
)  # fmt: skip
WORST_SETS = ("svdb_test_all_leads", "mitdb_ds2")  # whose worst patients are listed by name
NOT_MEASURED = "Not measured yet: `python -m models.evaluate NAME`."
WITH_INTERVAL = {"v_f1", "s_f1"}
BURDEN_TOLERANCE = 1.0  # percentage points from the reference that count as agreement

Metrics = dict[str, dict[str, Any]]  # by model, by test set


def measured_sets(metrics: Metrics, keys: Iterable[str] = TEST_SETS) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Title of each test set, model and figures; what was not measured is left out."""
    for key in keys:
        for model, measured in metrics.items():
            if key in measured:
                yield TEST_SETS[key], model, measured[key]


def figures_table(
    metrics: Metrics, *, keys: Sequence[str] = tuple(TEST_SETS), way: str = "detected_beats", pooling: str = "gross"
) -> str:
    """The figures of each test set and model, in per cent."""
    lines = ["| test set | model | " + " | ".join(COLUMNS) + " |", "|" + "---|" * (len(COLUMNS) + 2)]
    for title, model, measured in measured_sets(metrics, keys):
        row = measured[way][pooling]
        cells = ["/".join(percent(row[name]) for name in names) for names in COLUMNS.values()]
        lines.append(f"| {title} | {model} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def intervals_table(metrics: Metrics) -> str:
    """How far the figures of V and S would move with other patients of the same kind."""
    names = sorted(WITH_INTERVAL, reverse=True)
    titles = [f"{name[0].upper()} F1 (95 % interval)" for name in names]
    lines = [
        "| test set | model | " + " | ".join(titles) + " | false V/h | PVC burden within 1 point |",
        "|---|---|---|---|---|---|",
    ]
    for title, model, measured in measured_sets(metrics):
        part = measured["detected_beats"]
        cells = []
        for name in names:
            low, high = part["interval_95"][name]
            cells.append(f"{percent(part['gross'][name])} ({percent(low)} to {percent(high)})")
        cells.append(f"{part['gross']['false_v_per_hour']:.2f}")
        records = measured["records"]
        errors = [abs(record["pvc_burden_pct"] - record["reference_pvc_burden_pct"]) for record in records]
        cells.append(f"{sum(error <= BURDEN_TOLERANCE for error in errors)} of {len(errors)} records")
        lines.append(f"| {title} | {model} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def coverage_table(metrics: Metrics) -> str:
    """How many burdens of the reference lie in their intervals, and how wide these are; by test set and together."""
    lines = [
        "| test set | model | V inside | median width, points | S inside | median width, points |",
        "|---|---|---|---|---|---|",
    ]
    for model, measured in metrics.items():
        for together in TRUST_SETS:
            cells = []
            for label in "VS":
                rows = [row for key in together for row in _burdens(measured[key], label)]
                width = median(row["high_pct"] - row["low_pct"] for row in rows)
                n = sum(row["covered"] for row in rows)
                cells += [f"{n} of {len(rows)} ({100 * n / len(rows):.0f} %)", f"{width:.2f}"]
            title = "; ".join(TEST_SETS[key] for key in together)
            lines.append(f"| {title} | {model} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cross_validation_table(measured: Metrics) -> str:
    """Coverage and reliability in the patients of the calibration, cross-validated over them."""
    lines = [
        "| lead | model | V inside | S inside | class | probability → share of the class (beats) | farthest apart |",
        "|---|---|---|---|---|---|---|",
    ]
    for lead, title in (("first", "first lead"), ("all", "leads fused")):
        for model, by_lead in measured.items():
            coverage = by_lead[lead]["coverage"]
            inside = " | ".join(percent(coverage[label]["covered"] / coverage[label]["records"]) for label in "VS")
            for label, bins in by_lead[lead]["reliability"].items():
                lines.append(f"| {title} | {model} | {inside} | {label} | {_said_cells(bins)} |")
    return "\n".join(lines)


def operating_points_table() -> str:
    """Each mode of each model, for one lead and for several: what it adds, what it aims at, and its figures."""
    lines = [
        "| lead | model | mode | added to V, S | aim | V Se/+P | S Se/+P | false V/h | false S/h | aim reached |",
        "|" + "---|" * 10,
    ]
    for n_leads, title in ((1, "one lead"), (2, "leads fused")):
        for model in MODELS:
            for point in read_spec(FOLDER / f"{model}.pt").operating_points_of(n_leads).values():
                which = "Se" if point.sensitivity == HIGH else "+P"
                aim = f"{which} {percent(point.v_aim)}, {percent(point.s_aim)}" if point.v_aim else "best F1"
                figures = [(point.v_se, point.v_ppv), (point.s_se, point.s_ppv)]
                cells = [
                    f"{point.v_offset:+g}, {point.s_offset:+g}" if point.v_aim else "0, 0", aim,
                    *("/".join(map(percent, pair)) for pair in figures),
                    f"{point.false_v_per_hour:.1f}", f"{point.false_s_per_hour:.1f}",
                    _reached(point),
                ]  # fmt: skip
                lines.append(f"| {title} | {model} | {point.name.lower()} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _reached(point: OperatingPoint) -> str:
    """Whether the figures of a mode reach its aims."""
    if not point.v_aim:
        return "-"
    return f"not for {' and '.join(point.missed)}" if point.missed else "yes"


def _said_cells(bins: Sequence[dict[str, float]]) -> str:
    """What was said and what was right in each bin, and how far apart they are at most."""
    cells = [f"{_share(row['said'])} → {_share(row['right'])} ({row['beats']})" for row in bins]
    apart = max((abs(row["said"] - row["right"]) for row in bins), default=0.0)
    return f"{', '.join(cells)} | {_share(apart)}"


def _burdens(measured: dict[str, Any], label: str) -> list[dict[str, Any]]:
    """The burdens of a class in the records of a test set that have an interval and a reference."""
    rows = [row for record in measured["records"] for row in record["burdens"] if row["label"] == label]
    return [row for row in rows if row["low_pct"] is not None and row["reference_pct"] is not None]


def reliability_table(metrics: Metrics) -> str:
    """What probability was said and what share was right, in bins of .1 that hold enough beats."""
    lines = [
        "| test set | model | class | probability → share of the class (beats), in bins of .1 | farthest apart |",
        "|---|---|---|---|---|",
    ]
    for key in dict.fromkeys(key for together in TRUST_SETS for key in together):
        for model, measured in metrics.items():
            for label, bins in measured[key]["trust"]["reliability"].items():
                lines.append(f"| {TEST_SETS[key]} | {model} | {label} | {_said_cells(bins)} |")
    return "\n".join(lines)


def _share(value: float) -> str:
    return f"{value:.2f}".replace("0.", ".", 1)


def budgets_table() -> str:
    """What each label budget gains on svdb's test records, first lead, detected beats."""
    columns = {name: COLUMNS[name] for name in ("V Se/+P", "V F1", "S Se/+P", "S F1", "accuracy")}
    lines = ["| known of the test patients | " + " | ".join(columns) + " |", "|" + "---|" * (len(columns) + 1)]
    for title, model, key in BUDGETS:
        row = read_json(FOLDER / f"{model}.metrics.json")[key]["detected_beats"]["gross"]
        cells = ["/".join(percent(row[name]) for name in names) for names in columns.values()]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def seeds_table(metrics: Metrics, seeds: dict[str, dict[str, Metrics]]) -> str:
    """How far figures depend on chance: of each seed, and the mean over all."""
    numbers = ["0", *sorted({seed for by_seed in seeds.values() for seed in by_seed})]
    lines = [
        "| test set | model | figure | " + " | ".join(f"seed {n}" for n in numbers) + " | mean |",
        "|" + "---|" * (len(numbers) + 4),
    ]
    for key in next(iter(next(iter(seeds.values())).values())):
        for model, by_seed in seeds.items():
            rows = {"0": metrics[model][key]["detected_beats"]["gross"]}
            rows |= {seed: measured[key] for seed, measured in by_seed.items()}
            for name, figure in (("v_f1", "V F1"), ("s_f1", "S F1"), ("accuracy", "accuracy")):
                values = [rows.get(number, {}).get(name) for number in numbers]
                known = [value for value in values if value is not None]
                if min(known, default=0) > 0:
                    cells = " | ".join(map(percent, [*values, sum(known) / len(known)]))
                    lines.append(f"| {TEST_SETS[key]} | {model} | {figure} | {cells} |")
    return "\n".join(lines)


def horizon_table(measured: dict[str, Any]) -> str:
    """What the live monitor reaches when it waits longer, beside the analysis of whole records."""
    lines = [
        "| test set | horizon | QRS Se/+P | V F1 | S F1 | % of labels equal to the whole recording's |",
        "|---|---|---|---|---|---|",
    ]
    for key, by_horizon in measured["sets"].items():
        for horizon in sorted(by_horizon, key=float):
            row = by_horizon[horizon]
            waited = "the whole recording" if horizon == "inf" else f"{horizon} s"
            lines.append(f"| {TEST_SETS[key]} | {waited} | {_horizon_cells(row)} | {percent(row['same_as_whole'])} |")
    if measured["model_sha256"] != read_spec(DEFAULT_MODEL).sha256:
        earlier = measured["model_sha256"][:12]
        lines += ["", f"Measured with an earlier fit of the model (weights `{earlier}`), not with the shipped one."]
    return "\n".join(lines)


def alarms_table(measured: dict[str, Any]) -> str:
    """How many marked episodes the live monitor raises, how soon, and how often it raises an alarm wrongly."""
    if not measured:
        return "Not measured yet: `python -m models.alarms`."
    lines = [
        "| records | alarm | marked episodes | raised | in time | median delay | wrong alarms an hour |",
        "|---|---|---|---|---|---|---|",
    ]
    for key, row in measured["sets"].items():
        title = f"{ALARM_SETS[key]}, {row['records']} records, {row['hours']:.1f} h"
        for kind, name in ALARM_NAMES.items():
            of, delay = row[kind], row[kind]["median_delay_s"]
            cells = (
                f"{of['episodes']} | {of['raised']} | {of['in_time']} | {'-' if delay is None else f'{delay:.1f} s'}"
            )
            lines.append(f"| {title} | {name} | {cells} | {of['wrong'] / row['hours']:.2f} |")
    return "\n".join(lines)


def _horizon_cells(row: dict[str, float]) -> str:
    return f"{percent(row['qrs_se'])}/{percent(row['qrs_ppv'])} | {percent(row['v_f1'])} | {percent(row['s_f1'])}"


def live_lines(live: dict[str, Any]) -> str:
    """How fast the monitor is."""
    lines = ["| leads of a stream | median | 99 % of the labels within |", "|---|---|---|"]
    lines += [f"| {row['leads']} | {row['median_ms']:.1f} ms | {row['p99_ms']:.1f} ms |" for row in live["latency"]]
    lines += ["", "| streams of one lead at once | times real time |", "|---|---|"]
    lines += [f"| {row['leads']} | {row['times_real_time']:.1f} |" for row in live["leads"]]
    day = live["day"]
    lines += [
        "",
        f"Over {day['hours']:g} h of a stream of one lead ({day['beats']:,} beats) the process never used more than "
        f"{day['most_above_start_mb']} MB above its memory at the start.",
    ]
    return "\n".join(lines)


def records_table(metrics: Metrics, key: str) -> str:
    """Each record of a test set, on detected beats, with its PVC burden and that of the reference."""
    titles = [
        f"{title}, {model}" for model in metrics for title in ("QRS Se/+P", "V Se/+P", "S Se/+P", "PVC burden, %")
    ]
    lines = ["| record | " + " | ".join(titles) + " | reference burden, % |", "|" + "---|" * (len(titles) + 2)]
    for records in zip(*(measured[key]["records"] for measured in metrics.values()), strict=True):
        cells = []
        for record in records:
            row = record["detected_beats"]
            cells += [f"{percent(row[f'{beat}_se'])}/{percent(row[f'{beat}_ppv'])}" for beat in ("qrs", "v", "s")]
            cells.append(f"{record['pvc_burden_pct']:.2f}")
        lines.append(
            f"| {records[0]['record']} | " + " | ".join(cells) + f" | {records[0]['reference_pvc_burden_pct']:.2f} |"
        )
    return "\n".join(lines)


def fibrillation_table(metrics: Metrics, key: str) -> str:
    """The time in atrial fibrillation as found and as in the reference, of records that have any."""
    lines = ["| record | model | reference, s | found, s | both, s | Se/+P by duration |", "|---|---|---|---|---|---|"]
    for model, measured in metrics.items():
        rows = [(row["record"], row["fibrillation"]) for row in measured[key]["records"]]
        rows = [(name, af) for name, af in rows if af["found_s"] or af["reference_s"]]
        rows.append(("all 22", measured[key]["fibrillation"]))
        for name, af in rows:
            by_duration = [af["both_s"] / af[whole] if af[whole] else None for whole in ("reference_s", "found_s")]
            seconds = " | ".join(f"{af[part]:.0f}" for part in ("reference_s", "found_s", "both_s"))
            lines.append(f"| {name} | {model} | {seconds} | {'/'.join(map(percent, by_duration))} |")
    return "\n".join(lines)


def quality_table(quality: dict[str, Any]) -> str:
    """The detector's errors by its certainty."""
    lines = ["| certainty | blocks of 10 s | wrong beats per beat |", "|---|---|---|"]
    for row in quality["certainty"]:
        lines.append(f"| {row['from']:.2f} to {row['to']:.2f} | {row['blocks']} | {row['wrong_per_beat']:.3f} |")
    return "\n".join(lines)


def speed_lines(results: dict[str, Any]) -> str:
    """A sentence and a table on how long whole commands take."""
    medians, times = results["medians"], results["times_a_day"]
    titles = {**results, "day": results["what"], "xqrs_detect": "wfdb's `xqrs_detect` alone, on the day"}
    rows = [
        f"| {titles[name]} | {row['whole_s']:.1f} | {times[name]:.2f} | {row['memory_mb']:.0f} |"
        for name, row in medians.items()
    ]
    return "\n".join(
        [
            f"Whole `analyze` commands from a cold start on {results['cores']} cores, medians of {results['runs']} "
            f"(`python -m benchmarks.analyze`); the tables of the day are written after "
            f"{medians['day']['tables_s']:.1f} s:",
            "",
            "| | s | relative to one single-lead day | peak memory, MB |",
            "|---|---|---|---|",
            *rows,
        ]
    )


def scaling_table(results: dict[str, Any]) -> str:
    """Seconds and megabytes by length and number of leads."""
    cells = {(cell["length"], cell["leads"]): cell for cell in results["cells"]}
    lengths, leads = (list(dict.fromkeys(key[which] for key in cells)) for which in (0, 1))
    head = "".join(f" {n} lead{'s' if n > 1 else ''} |" for n in leads)
    rows = [f"| {length} |" + "".join(_scaling_cell(cells.get((length, n))) for n in leads) for length in lengths]
    return "\n".join([f"| |{head}", "|---" * (len(leads) + 1) + "|", *rows])


def _scaling_cell(cell: dict[str, Any] | None) -> str:
    return f" {cell['whole_s']:.1f} s, {cell['memory_mb']:.0f} MB |" if cell else " – |"


def percent(value: float | None) -> str:
    """A share in per cent with two decimals; a dash where it is not known."""
    return "–" if value is None else f"{100 * value:.2f}"


def fixed(value: float | None) -> str:
    """A number with two decimals; a dash where it is not known."""
    return "–" if value is None else f"{value:.2f}"


def waveform_table(figures: dict[str, Any]) -> str:
    """Fibrillation found in each record of cudb and vfdb by a head that was fitted without its patient."""
    columns = ("vf_s", "found_s", "false_s", "vt_called_vf_s", "episodes", "episodes_found", "long_vt", "long_vt_found")
    titles = (
        "VF, s", "found, s", "false, s", "VT called VF, s", "VF of 10 s", "found", "VT of 30 s", "found or in VF",
    )  # fmt: skip
    lines = ["| record | " + " | ".join(titles) + " |", "|" + "---|" * (len(titles) + 1)]
    rows = [*figures["records"], {"record": "all", **figures["total"]}]
    return "\n".join(
        [*lines, *(f"| {row['record']} | " + " | ".join(f"{row[name]}" for name in columns) + " |" for row in rows)]
    )


def waveform_lines(figures: dict[str, Any]) -> str:
    """Fibrillation by duration in a sentence, and what is found where there is none as a table."""
    total = figures["total"]
    lines = [
        f"By duration, sensitivity {percent(total['se'])} %; of what is called fibrillation "
        f"{percent(total['ppv'])} % is marked as such, and {percent(total['ppv_of_ventricular'])} % if marked "
        "tachycardia is left aside.",
        "",
        "| records without fibrillation | hours | VF | VF suspected | VT by the waveform |",
        "|---|---|---|---|---|",
    ]
    for name, row in figures["false"].items():
        lines.append(f"| {name} | {row['hours']:.1f} | {row['vf']} | {row['vf_suspected']} | {row['vt']} |")
    return "\n".join(lines)


def dangers_table(figures: dict[str, Any]) -> str:
    """What the default model makes of pauses, asystoles, tachycardias and records without any, end to end."""
    lines = ["| what | found | of |", "|---|---|---|"]
    for filling, row in figures["cut_pauses"]["by_filling"].items():
        name = {"noise": "low noise", "p_waves": "low noise and P waves", "flat": "a flat line"}[filling]
        found = f"{row['exact']} exactly, {row['no_signal']} as no signal"
        lines.append(f"| pauses of 3.5 to 90 s cut into five records, filled with {name} | {found} | {row['n']} |")
    marked = [row for database in ("vfdb/1.0.0", "cudb/1.0.0") for row in figures[database]]
    for name, title in (("asystoles", "vfdb's asystoles of 4 s or longer"), ("long_vt", "its VT of 30 s or longer")):
        found, total = (sum(row[key] for row in marked) for key in (f"{name}_found", name))
        lines.append(f"| {title} | {found} | {total} |")
    with_n, vf_s = (sum(row[key] for row in marked) for key in ("vf_seconds_with_n", "vf_s"))
    lines.append(f"| seconds of fibrillation of vfdb and cudb with a beat called N | {with_n} | {vf_s:.0f} |")
    for database in ("mitdb/1.0.0", "svdb/1.0.0", "icentia11k-continuous-ecg/1.0.0"):
        rows = figures[database]
        counts = {key: sum(row[key] for row in rows) for key in ("vf", "vf_suspected", "false_asystoles")}
        svt = sum(row["svt"] + row["svt_sustained"] for row in rows)
        found = f"VF {counts['vf']}, suspected {counts['vf_suspected']}, false asystoles {counts['false_asystoles']}"
        hours = sum(row["hours"] for row in rows)
        name = database.split("/")[0]
        title = f"{name} without 207" if name == "mitdb" else name
        lines.append(f"| {title}: findings | {found}; SVT {svt} | {hours:.1f} h |")
    return "\n".join(lines)
