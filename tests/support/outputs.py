"""Analyses of beats that a test states, measured as the program measures them, and all that is written of them."""

import csv
import io
import json
from datetime import datetime

import numpy as np
import openpyxl
import pytest

from ecg_core.cli.analyze import summary
from ecg_core.labels import CLASSES, UNLABELLED
from ecg_core.measuring import measure
from ecg_core.report.columns import csv_bytes
from ecg_core.report.export import report_json
from ecg_core.report.fhir import fhir_bundle
from ecg_core.report.pdf import report_pdf
from ecg_core.report.spreadsheet import spreadsheet
from ecg_core.report.tables import burden_table, events_table
from ecg_core.rhythm.danger import no_waveform
from ecg_core.rules import RhythmRules
from ecg_core.schema import Analysis, Attention, Beats, Quality, Record, Waveform
from support.analyses import SPEC
from support.pdf import words

FS_HZ, BLOCK_S = 250.0, 10.0


class FlatSource:
    """Samples that are all zero."""

    def read(self, start, stop, leads):
        return np.zeros((len(leads), stop - start), dtype=np.float32)


def waveform_of(duration_s, *, vf_s=(), vt_s=()):
    """A waveform that shows fibrillation and tachycardia in these spans of whole seconds."""
    shown = {"vf": vf_s, "vt": vt_s}
    probability = {name: np.zeros(int(np.ceil(duration_s)), dtype=np.float32) for name in shown}
    for name, spans in shown.items():
        for start_s, end_s in spans:
            probability[name][start_s:end_s] = 0.95
    return Waveform(1.0, probability["vf"], probability["vt"], np.zeros((0, 2)), np.zeros((0, 2)))


def measured(time_s, label, duration_s, *, unusable=(), block_s=BLOCK_S, waveform=None, rules=None):
    """An analysis of these beats, of which the model is sure; ``unusable`` are blocks of ``block_s``."""
    rules, waveform = rules or RhythmRules(), waveform or no_waveform(duration_s)
    time_s, label = np.asarray(time_s, dtype=float), np.array(list(label), dtype="<U1")
    n, n_blocks = len(time_s), int(np.ceil(duration_s / block_s))
    probability = np.full((n, len(CLASSES)), 0.01, dtype=np.float32)
    probability[np.arange(n), [CLASSES.index(name) for name in label]] = 0.96
    usable_block = np.ones(n_blocks, dtype=bool)
    usable_block[list(unusable)] = False
    quality = Quality(block_s, usable_block[None].astype(np.float32), usable_block)
    usable = quality.usable_at(time_s) if n else np.zeros(0, dtype=bool)
    rr_s = np.diff(time_s, prepend=np.nan)
    block = np.minimum((time_s / block_s).astype(int), n_blocks - 1)
    lost = np.concatenate(([0], np.cumsum(~usable_block)))
    rr_s[1:][lost[block[1:] + 1] > lost[block[:-1]]] = np.nan
    beats = Beats(time_s, np.where(usable, label, "Q"), probability, rr_s, usable)
    record = Record(
        "made", FlatSource(), FS_HZ, round(duration_s * FS_HZ), ("I", "II"), (True, True), start=datetime(2001, 1, 1, 8)
    )
    counted, events, burden = measure(
        record, beats, quality, waveform, rules, labels=np.full(n, UNLABELLED), calibration=None
    )
    steps = np.linspace(-0.512, 0.512, 33).astype(np.float32)
    return Analysis(
        record=record, lead_names=("I",), model=SPEC, rules=rules, quality=quality, predicted=beats, beats=counted,
        attention=Attention(np.full((n, 33), 1 / 33, dtype=np.float16), steps), waveform=waveform, events=events,
        burden=burden,
    )  # fmt: skip


class Outputs:
    """What every form of a result says of an analysis: texts by the name of the form, and the measures in each."""

    def __init__(self, analysis):
        pdf = report_pdf(analysis)
        self.json = json.loads(report_json(analysis))
        self.fhir = json.loads(fhir_bundle(analysis, pdf=b""))
        self.book = openpyxl.load_workbook(io.BytesIO(spreadsheet(analysis)))
        tables = {name: csv_bytes(table(analysis)).decode() for name, table in TABLES.items()}
        self.rows = {row["measure"]: row for row in csv.DictReader(io.StringIO(tables["burden.csv"], newline=""))}
        cells = [[str(cell) for cell in row if cell is not None] for row in self.book["Summary"].values]
        self.text = {
            "terminal": summary(analysis),
            "narrative": self.json["narrative"],
            "pdf": " ".join(words(pdf)),
            "json": json.dumps({**self.json, "beats": []}, ensure_ascii=False),
            "xlsx": "\n".join(" ".join(row) for row in cells),
            "fhir": json.dumps(self.fhir, ensure_ascii=False),
            **tables,
        }

    def measure(self, key):
        """The value, or the reason for none, in CSV, JSON and FHIR; they are one."""
        row = self.rows[key]
        (stated,) = [one for one in self.json["measures"] if one["key"] == key]
        observed = self._observed(key)
        absent = observed.get("dataAbsentReason", {}).get("text", "")
        assert row["reason_if_empty"] == stated["why"] == absent
        value = observed.get("valueQuantity", {}).get("value", observed.get("valueBoolean"))
        assert (stated["value"] is None) == (row["value"] == "") == (value is None)
        if value is None:
            return absent
        assert [float(row["value"]), value] == pytest.approx([stated["value"]] * 2, rel=1e-3)  # rounded, each its way
        return value

    def _observed(self, key):
        resources = [entry["resource"] for entry in self.fhir["entry"]]
        observed = [one for one in resources if one["resourceType"] == "Observation"]
        (found,) = [one for one in observed if any(code["code"] == key for code in one["code"]["coding"])]
        return found


TABLES = {"burden.csv": burden_table, "events.csv": events_table}
