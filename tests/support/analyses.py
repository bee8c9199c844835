"""Analyses made by hand, for figures and pages: no network runs and no record is read."""

from dataclasses import replace
from datetime import datetime

import numpy as np

from ecg_core.labels import CLASSES
from ecg_core.rhythm.burden import measure_burden
from ecg_core.rhythm.danger import find_dangers, no_waveform, tachyarrhythmias
from ecg_core.rhythm.events import find_rhythms
from ecg_core.rhythm.fibrillation import af_episodes
from ecg_core.rules import RhythmRules
from ecg_core.schema import Analysis, Attention, Beats, ModelSpec, Quality, Record, RhythmEvent

FS_HZ = 250.0
TWELVE = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
SPEC = ModelSpec(
    name="made", fs_hz=125.0, stride=4, stem_channels=1, channels=(1, 1, 1), token_size=1, heads=1,
    attention_half_s=0.5, hidden_size=1, classes=CLASSES, detection_threshold=0.5, class_bias=(0.0,) * 5,
    trained_on=(), validated_on=(), seed=0, recipe="",
)  # fmt: skip


class ForbiddenSource:
    """A source of samples that must not be used."""

    def read(self, start, stop, leads):
        raise AssertionError("the samples of the record were read")


def rhythms_of(beats, rules):
    """The events of beats, with the fibrillation among them."""
    return find_rhythms(beats, rules, episodes=af_episodes(beats, rules))


def make_event(kind, start_s, end_s, *, n_beats=0, rate_bpm=float("nan"), at_least=False):
    """An event, by default one without beats."""
    return RhythmEvent(kind, start_s, end_s, n_beats, rate_bpm, at_least)


def with_events(analysis, *events):
    """The analysis with these events beside its own, all of them measured."""
    every = tuple(sorted((*analysis.events, *events), key=lambda event: (event.start_s, event.kind)))
    burden = measure_burden(
        analysis.beats, every, quality=analysis.quality, duration_s=analysis.record.duration_s, rules=analysis.rules
    )
    return replace(analysis, events=every, burden=burden)


def make_analysis(
    duration_s=1800.0, *, rr_s=0.8, reference=None, start=datetime(2001, 1, 1, 8), unusable=(), waveform=None
):
    """A beat each ``rr_s``, every tenth V, every tenth S, uniform attention; ``unusable`` are blocks of 10 s."""
    time_s = np.arange(0.4, duration_s - 0.2, rr_s)
    n = len(time_s)
    label = np.array(["N"] * n)
    label[4::10], label[7::10] = "V", "S"
    probability = np.full((n, 5), 0.04, dtype=np.float32)
    probability[np.arange(n), [CLASSES.index(name) for name in label]] = 0.84
    score = np.ones((1, int(np.ceil(duration_s / 10))), dtype=np.float32)
    usable_block = np.ones(score.shape[1], dtype=bool)
    usable_block[list(unusable)] = False
    quality = Quality(10.0, score, usable_block)
    usable = quality.usable_at(time_s)
    beats = Beats(time_s, np.where(usable, label, "Q"), probability, np.diff(time_s, prepend=np.nan), usable)
    n_samples = round(duration_s * FS_HZ)
    record = Record("made", ForbiddenSource(), FS_HZ, n_samples, TWELVE, (True,) * 12, start=start, reference=reference)
    rules = RhythmRules()
    waveform = waveform or no_waveform(duration_s)
    dangers = tuple(
        find_dangers(beats, tachyarrhythmias(waveform, rules), waveform, quality, duration_s=duration_s, rules=rules)
    )
    events = find_rhythms(beats, rules, episodes=af_episodes(beats, rules), others=dangers)
    steps = np.linspace(-0.512, 0.512, 33).astype(np.float32)
    return Analysis(
        record=record, lead_names=("II",), model=SPEC, rules=rules, quality=quality, predicted=beats, beats=beats,
        attention=Attention(np.full((n, 33), 1 / 33, dtype=np.float16), steps),
        waveform=waveform, events=events,
        burden=measure_burden(beats, events, quality=quality, duration_s=duration_s, rules=rules),
    )  # fmt: skip
