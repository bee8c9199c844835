"""Verdicts that are limits of a day are not drawn from seconds, nor any from a recording without beats."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from support.analyses import make_analysis
from support.pdf import words

from ecg_core.classifier.classification import take_rows
from ecg_core.labels import CLASSES
from ecg_core.measuring import with_rules
from ecg_core.report.export import WRITERS, report_json
from ecg_core.report.fhir import fhir_bundle
from ecg_core.report.measures import VERDICT_MIN_S, YES_NO, measures
from ecg_core.report.pdf import report_pdf
from ecg_core.schema import Beats


class Silent:
    """A source of samples that are all zero."""

    def read(self, start, stop, leads):
        return np.zeros((len(leads), stop - start), dtype=np.float32)


def labelled(analysis, label):
    """The analysis with other classes of its beats, of which the classifier is as sure."""
    label = np.array(label)
    probability = np.full((len(label), 5), 0.04, dtype=np.float32)
    probability[np.arange(len(label)), [CLASSES.index(name) for name in label]] = 0.84
    beats = replace(analysis.predicted, label=np.where(analysis.predicted.usable, label, "Q"), probability=probability)
    return with_rules(replace(analysis, predicted=beats), analysis.rules)


def a_few_seconds():
    """Ten seconds with one S and one V among a dozen beats."""
    made = make_analysis(10.0)
    return labelled(made, ["N"] * 3 + ["V", "N", "N", "S"] + ["N"] * (len(made.beats) - 7))


def without_beats(duration_s=7200.0, unusable=()):
    made = make_analysis(duration_s, unusable=unusable)
    none = take_rows(made.predicted, slice(0, 0))
    assert isinstance(none, Beats)
    attention = replace(made.attention, weight=made.attention.weight[:0])
    return with_rules(replace(made, predicted=none, beats=none, attention=attention), made.rules)


def a_day(analysable_h):
    return make_analysis(86_400.0, rr_s=2.0, unusable=range(round(360 * analysable_h), 8640))


def found(analysis):
    return {measure.key: measure for measure in measures(analysis)}


def test_no_verdict_of_a_day_is_drawn_from_seconds():
    measured = found(a_few_seconds())
    for key in ("s_excessive", "pvc_burden_is_high"):
        assert (measured[key].value, measured[key].why) == (None, "less than 1 h of analysable signal")
    assert measured["pvc_burden_error"].value is None


@pytest.mark.parametrize(("duration_s", "lost"), [(3590.0, ()), (7200.0, range(359, 720))])
def test_an_hour_of_analysable_time_is_needed_however_long_the_recording_is(duration_s, lost):
    assert found(make_analysis(duration_s, unusable=lost))["s_excessive"].value is None
    whole = found(make_analysis(duration_s + VERDICT_MIN_S, unusable=lost))
    assert whole["s_excessive"].value == 1.0
    assert whole["pvc_burden_is_high"].value is not None


def test_a_run_of_twenty_proves_excessive_ectopy_in_any_recording():
    made = make_analysis(60.0)
    time_s = np.cumsum(np.concatenate((np.full(30, 0.9), [0.5], np.full(44, 0.4))))
    beats = replace(take_rows(made.predicted, slice(0, 75)), time_s=time_s, rr_s=np.diff(time_s, prepend=np.nan))
    attention = replace(made.attention, weight=made.attention.weight[:75])
    run = labelled(replace(made, predicted=beats, attention=attention), ["N"] * 30 + ["S"] * 45)
    assert run.burden.s.runs.most_beats.n_beats >= 20
    assert found(run)["s_excessive"].value == 1.0


@pytest.mark.parametrize("unusable", [(), range(720)])
def test_without_beats_there_is_no_verdict_but_a_reason(unusable):
    for measure in measures(without_beats(unusable=unusable)):
        if measure.unit == YES_NO and measure.group != "danger":
            assert (measure.value, bool(measure.why)) == (None, True), measure.key
    assert found(without_beats())["sve_uncertain"].why == "no beat was found"
    assert json.loads(report_json(without_beats()))["sve_doubt"] is None


@pytest.mark.parametrize(("analysable_h", "points"), [(1 / 6, None), (7.9, None), (8.0, 2.9), (24.0, 2.9)])
def test_the_expected_error_of_a_day_needs_a_third_of_it(analysable_h, points):
    error = found(a_day(analysable_h))["pvc_burden_error"]
    assert (error.value, error.why) == (
        points, "" if points else "measured for recordings from 24 h on, at least 8 h of them analysable",
    )  # fmt: skip


@pytest.mark.parametrize("key", ["s_excessive", "pvc_burden_is_high", "pvc_burden_error", "sve_uncertain"])
@pytest.mark.parametrize("analysis", [a_few_seconds(), without_beats()], ids=["seconds", "no beats"])
def test_every_output_agrees_on_a_verdict_and_its_reason(analysis, key):
    analysis = replace(analysis, record=replace(analysis.record, source=Silent()))
    measure = found(analysis)[key]
    (row,) = [
        row for row in csv.DictReader(io.StringIO(WRITERS["_burden.csv"](analysis).decode())) if row["measure"] == key
    ]
    value = "" if measure.value is None else f"{measure.value:g}"
    assert (row["value"], row["reason_if_empty"]) == (value, measure.why)
    (of_json,) = [one for one in json.loads(report_json(analysis))["measures"] if one["key"] == key]
    assert of_json["value"] == measure.value
    (observed,) = [
        one["resource"]
        for one in json.loads(fhir_bundle(analysis, pdf=b""))["entry"]
        if one["resource"].get("code", {}).get("coding", [{}])[0].get("code") == key
    ]
    assert ("dataAbsentReason" in observed) == (measure.value is None)
    if measure.value is None:
        assert measure.why in " ".join(words(report_pdf(analysis)))
