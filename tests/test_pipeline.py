"""The whole way of the data: what must not matter does not, and what cannot be analysed is marked."""

import tracemalloc
from dataclasses import fields, replace

import numpy as np
import pytest
from scipy.signal import resample_poly
from support.af_model import without_af
from support.records import in_memory, write_record

from ecg_core import pipeline
from ecg_core.classifier import chunks, classification
from ecg_core.classifier.classification import Predictions, classify, drop_noise
from ecg_core.classifier.encoder import BeatFeatures, Encoded
from ecg_core.classifier.features import CONTEXT_BEATS, frame_offsets
from ecg_core.errors import Cancelled, LeadError, RecordError
from ecg_core.evaluation.matching import match_beats
from ecg_core.labels import CLASSES
from ecg_core.measuring import measure, with_labels, with_rules
from ecg_core.parallel import use_threads
from ecg_core.pipeline import analyse
from ecg_core.records import read_record
from ecg_core.rules import RhythmRules
from ecg_core.schema import Annotations, Record
from ecg_core.signals.filters import MARGIN_S

FS_HZ = 257


@pytest.fixture(scope="module")
def plain(excerpt, model):
    """The excerpt as it is."""
    return analyse(in_memory(excerpt, FS_HZ), model)


def same_labels(a, b):
    return np.mean(a.beats.label == b.beats.label)


def assert_like(analysis, plain, *, within_s, labels):
    """As many beats at the same times, and nearly all with the same label."""
    np.testing.assert_allclose(analysis.beats.time_s, plain.beats.time_s, atol=within_s)
    assert same_labels(analysis, plain) >= labels


def seconds(start_s, stop_s):
    return slice(start_s * FS_HZ, stop_s * FS_HZ)


def between(time_s, start_s, stop_s):
    return (time_s >= start_s) & (time_s < stop_s)


# The demo record


def test_nearly_all_beats_of_the_demo_record_are_found(demo, demo_analysis):
    marks = demo.reference
    true_s = marks.time_s[np.isin(marks.symbol, list("NAV"))]
    true_s = true_s[~between(true_s, 1395, 1435)]  # 23:20 to 23:50 cannot be read on any lead
    found_s = demo_analysis.beats.time_s[~between(demo_analysis.beats.time_s, 1395, 1435)]
    program, _ = match_beats(true_s, found_s)
    assert np.mean(np.asarray(program) >= 0) > 0.99
    assert len(found_s) < 1.01 * len(true_s)


def measured(analysis, *, calibration):
    """Its predictions measured again, with another calibration."""
    return measure(
        analysis.record, analysis.predicted, analysis.quality, analysis.waveform, analysis.rules,
        labels=analysis.label_codes, calibration=calibration,
    )  # fmt: skip


def test_columns_agree_with_one_another(demo_analysis):
    beats, attention = demo_analysis.beats, demo_analysis.attention
    columns = [getattr(beats, item.name) for item in fields(beats)]
    assert {len(column) for column in columns if column is not None} == {len(beats)}
    assert set(beats.label) <= set(CLASSES)
    assert (np.diff(beats.time_s) > 0.15).all()
    assert attention.weight.shape == (len(beats), len(attention.offset_s))
    known = np.isfinite(beats.rr_s)
    np.testing.assert_allclose(beats.rr_s[known], np.diff(beats.time_s, prepend=0)[known])
    assert (beats.label[~beats.usable] == "Q").all()
    best = np.array(CLASSES)[measured(demo_analysis, calibration=None)[0].probability.argmax(axis=1)]
    assert (beats.label == best)[beats.usable].all()


def test_attention_of_each_beat_sums_to_one(demo_analysis):
    np.testing.assert_allclose(demo_analysis.attention.weight.sum(axis=1, dtype=float), 1, atol=5e-3)


def test_a_result_cannot_be_changed(demo_analysis):
    with pytest.raises(ValueError, match="read-only"):
        demo_analysis.beats.label[0] = "V"


def test_what_no_lead_shows_is_marked_and_counted_by_nobody(demo_analysis):
    quality, beats = demo_analysis.quality, demo_analysis.beats
    assert len(quality.usable) == 180
    assert not quality.usable[141:143].any()
    assert quality.usable.mean() > 0.95
    assert demo_analysis.burden.analysable_s == pytest.approx(10 * quality.usable.sum())
    assert not beats.usable[between(beats.time_s, 1410, 1430)].any()


# Candidates that turn out as noise


@pytest.fixture
def doubtful(monkeypatch):
    """Every tenth candidate is classified as noise in the first round."""
    rounds = []

    def tenth_is_noise(*args, **how):
        predictions = classify(*args, **how)
        n = len(predictions.noise)
        noise = np.zeros(n) if rounds else np.where(np.arange(n) % 10 == 5, 0.9, 0.1)
        rounds.append(n)
        return replace(predictions, noise=noise.astype(np.float32))

    monkeypatch.setattr(pipeline, "classify", tenth_is_noise)


def test_noise_is_no_beat_and_rr_spans_it(excerpt, model, plain, doubtful):
    beats = analyse(in_memory(excerpt, FS_HZ), model).beats
    left = np.delete(plain.beats.time_s, np.s_[5::10])
    np.testing.assert_array_equal(beats.time_s, left)
    known = np.isfinite(beats.rr_s)
    np.testing.assert_allclose(beats.rr_s[known], np.diff(left, prepend=0)[known])


def test_only_beats_with_noise_in_their_context_are_classified_again():
    rounds = []

    def classify_kept(kept, needed):
        rounds.append(kept[needed])
        noise = np.where(kept == 500, 0.9, 0.1) if len(rounds) == 1 else np.full(len(kept), 0.2)
        return 0.8 * np.ones(len(kept)), Predictions(np.tile(noise[:, None], 5), noise, noise)

    kept, _, predictions = drop_noise(1000, classify_kept)
    near = np.abs(kept - 500) <= CONTEXT_BEATS
    np.testing.assert_array_equal(kept, np.delete(np.arange(1000), 500))
    assert [len(beats) for beats in rounds] == [1000, 2 * CONTEXT_BEATS]
    np.testing.assert_array_equal(rounds[1], kept[near])
    np.testing.assert_array_equal(predictions.noise, np.where(near, 0.2, 0.1))
    np.testing.assert_array_equal(predictions.probability[:, 0], predictions.noise)
    np.testing.assert_array_equal(predictions.af, predictions.noise)


@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_time_without_a_signal_is_not_analysable(excerpt, model, value):
    dropped = excerpt.copy().reshape(-1, 10 * FS_HZ)
    dropped[:, 3 * FS_HZ : int(9.5 * FS_HZ)] = value  # 6.5 of each 10 s, which leaves each block its beats
    burden = analyse(in_memory(dropped.reshape(-1), FS_HZ), model).burden
    assert burden.n_unusable_beats == 0
    assert burden.analysable_s == pytest.approx(600 - burden.no_signal.total_s) == pytest.approx(210, abs=1)
    assert burden.v.per_hour == pytest.approx(3600 * burden.v.n_beats / 210, rel=0.01)


def test_a_long_interval_with_noise_in_it_is_no_pause(excerpt, model, plain, monkeypatch):
    def four_are_noise(*args, **how):
        predictions = classify(*args, **how)
        many = len(predictions.noise) == len(plain.beats)
        in_a_row = (np.arange(len(predictions.noise)) // 4 == 25) & many
        return replace(predictions, noise=np.where(in_a_row, 0.9, 0.1).astype(np.float32))

    monkeypatch.setattr(pipeline, "classify", four_are_noise)
    analysis = analyse(in_memory(excerpt, FS_HZ), model)
    assert len(analysis.beats) == len(plain.beats) - 4
    assert analysis.beats.time_s[100] - analysis.beats.time_s[99] > 3
    assert np.isnan(analysis.beats.rr_s[100])
    assert "pause" not in {event.kind for event in analysis.events}


def test_known_beats_stay_even_if_they_are_classified_as_noise(excerpt, model, plain, doubtful):
    beats = analyse(in_memory(excerpt, FS_HZ), model, beats_at_s=plain.beats.time_s).beats
    np.testing.assert_array_equal(beats.time_s, plain.beats.time_s)


# What must not matter


@pytest.mark.parametrize("chunk_s", [100.0, 300.0])
def test_the_cut_into_chunks_leaves_no_trace(excerpt, model, plain, monkeypatch, chunk_s):
    monkeypatch.setattr(chunks, "CHUNK_S", chunk_s)
    again = analyse(in_memory(excerpt, FS_HZ), model)
    assert_like(again, plain, within_s=1e-3, labels=0.999)
    np.testing.assert_allclose(again.quality.score, plain.quality.score, atol=0.02)
    np.testing.assert_array_equal(np.isnan(again.beats.rr_s), np.isnan(plain.beats.rr_s))


@pytest.mark.parametrize("fs_hz", [62.4725, 128.3, 333.3333])
def test_a_rate_that_fits_no_grid_leaves_no_trace_either(excerpt, model, monkeypatch, fs_hz):
    n = int(len(excerpt) / FS_HZ * fs_hz)
    signal = np.interp(np.arange(n) / fs_hz, np.arange(len(excerpt)) / FS_HZ, excerpt)
    gap = slice(round(500 * fs_hz), round(505 * fs_hz))
    signal[gap] = np.nan
    whole = analyse(in_memory(signal, fs_hz), model).beats
    monkeypatch.setattr(chunks, "CHUNK_S", 70.0)
    again = analyse(in_memory(signal, fs_hz), model).beats
    pairs = np.abs(again.time_s[:, None] - whole.time_s).min(axis=1)
    assert np.mean(pairs < 0.01) > 0.99  # a different grid moves a beat by a few milliseconds
    assert abs(len(again) - len(whole)) <= 2
    assert (np.diff(again.time_s) > 0.15).all()
    after_gap = np.searchsorted(again.time_s, 504.0)
    assert np.isnan(again.rr_s[after_gap])
    assert np.isnan(again.rr_s).sum() == np.isnan(whole.rr_s).sum()


def test_a_beat_on_the_edge_of_two_chunks_is_found_once(excerpt, model, plain, monkeypatch):
    for beat_s in plain.beats.time_s[[300, 301, 302]]:
        monkeypatch.setattr(chunks, "CHUNK_S", float(beat_s))
        again = analyse(in_memory(excerpt, FS_HZ), model)
        np.testing.assert_allclose(again.beats.time_s, plain.beats.time_s, atol=0.01)


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_the_amplitude_does_not_matter(excerpt, model, plain, factor):
    assert_like(analyse(in_memory(factor * excerpt, FS_HZ), model), plain, within_s=2e-3, labels=0.995)


def test_an_offset_does_not_matter(excerpt, model, plain):
    assert_like(analyse(in_memory(excerpt + 100, FS_HZ), model), plain, within_s=4e-3, labels=0.99)


def test_the_rate_it_was_stored_at_does_not_matter(excerpt, model, plain):
    stored = resample_poly(excerpt.astype(float), 360, FS_HZ, padtype="line")
    assert_like(analyse(in_memory(stored, 360), model), plain, within_s=4e-3, labels=0.98)


def test_the_same_record_gives_the_same_result(excerpt, model, plain):
    again = analyse(in_memory(excerpt, FS_HZ), model)
    for item in fields(plain.beats):
        np.testing.assert_array_equal(getattr(again.beats, item.name), getattr(plain.beats, item.name))
    np.testing.assert_array_equal(again.attention.weight, plain.attention.weight)
    assert again.events == plain.events


def test_the_record_is_not_changed(excerpt, model):
    signal = np.array(excerpt[: 60 * FS_HZ])
    analyse(in_memory(signal, FS_HZ), model)
    np.testing.assert_array_equal(signal, excerpt[: 60 * FS_HZ])


def test_a_file_that_is_written_to_while_it_is_read_is_refused(excerpt, model, tmp_path):
    record = read_record(write_record(tmp_path, "x", excerpt[: 60 * FS_HZ], FS_HZ))

    def replaced(done_s, total_s):
        with (tmp_path / "x.dat").open("ab") as stream:
            stream.write(b"more")

    with pytest.raises(RecordError, match=r"x\.dat: was changed since it was opened"):
        analyse(record, model, progress=replaced)


# What cannot be analysed


@pytest.mark.parametrize("value", [np.nan, 0.0, 4.99], ids=["gap", "lead off at zero", "lead off at the rail"])
def test_a_stretch_without_signal_holds_no_beats_and_no_interval_spans_it(excerpt, model, plain, value):
    signal = np.array(excerpt)
    signal[seconds(300, 340)] = value
    analysis = analyse(in_memory(signal, FS_HZ), model)
    beats, quality = analysis.beats, analysis.quality
    assert not between(beats.time_s, 300.1, 339.9).any()
    assert not quality.usable[30:34].any()
    assert quality.usable[:30].all()
    assert quality.usable[34:].all()
    first_after = np.searchsorted(beats.time_s, 339.9)
    assert np.isnan(beats.rr_s[first_after])
    assert np.isnan(beats.rr_s).sum() == 2  # that one and the record's first
    assert analysis.burden.analysable_s == pytest.approx(560)
    assert not any(event.start_s < 300 and event.end_s > 340 for event in analysis.events)
    away = ~between(plain.beats.time_s, 280, 360)
    assert np.isin(plain.beats.time_s[away].round(1), beats.time_s.round(1)).mean() > 0.97


def test_one_spike_of_100_volts_costs_no_more_than_its_neighbours(excerpt, model, plain):
    signal = np.array(excerpt)
    signal[200 * FS_HZ] = 1e5
    beats = analyse(in_memory(signal, FS_HZ), model).beats
    assert abs(len(beats) - len(plain.beats)) <= 3
    assert beats.usable.all()


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_dead_lead_by_name_has_no_analysable_time(model, value):
    record = in_memory(np.full(60 * FS_HZ, value), FS_HZ)
    for lead in ("II", "first", "all"):
        analysis = analyse(record, model, lead=lead)
        assert len(analysis.beats) == 0
        assert analysis.burden.analysable_s == 0
        assert np.isnan(analysis.burden.pvc_burden_pct)


@pytest.mark.parametrize("value", [0.0, np.nan])
@pytest.mark.parametrize("n_leads", [1, 2])
def test_a_record_of_dead_leads_is_refused_where_the_program_chooses(model, value, n_leads):
    record = in_memory(np.full((n_leads, 60 * FS_HZ), value), FS_HZ, lead_names=("I", "II")[:n_leads])
    with pytest.raises(LeadError, match=r"memory: no lead holds a signal"):
        analyse(record, model)


def test_all_leads_are_read_although_one_is_dead(excerpt, model, plain):
    leads = np.stack([excerpt, np.zeros_like(excerpt), np.full_like(excerpt, np.nan)])
    analysis = analyse(in_memory(leads, FS_HZ, lead_names=("II", "V1", "V2")), model, lead="all")
    assert analysis.lead_names == ("II", "V1", "V2")
    assert (analysis.quality.score[1:] == 0).all()
    assert_like(analysis, plain, within_s=1e-3, labels=0.995)


@pytest.mark.parametrize("length_s", [5, 6, 11])
def test_a_record_of_a_few_seconds_is_analysed(excerpt, model, length_s):
    analysis = analyse(in_memory(excerpt[: length_s * FS_HZ], FS_HZ), model)
    assert len(analysis.quality.usable) == -(-length_s // 10)
    assert analysis.burden.duration_s == length_s


@pytest.mark.parametrize("n_samples", [1251, 1252, 2501, 3751, 3752])
def test_a_last_block_that_is_shorter_than_a_frame_is_scored_as_well(excerpt, model, n_samples):
    analysis = analyse(in_memory(excerpt[:n_samples], 125.0), model)
    assert len(analysis.quality.usable) == -(-n_samples // 1250)


# Known beats


def test_known_beats_are_classified_where_they_are(excerpt, model, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_S", 100.0)
    random = np.random.default_rng(0).uniform(0, 600, 500)
    edges = [0.0, 99.999, 100.0, 100.001, 199.9999999, 200.0, 200.0, 599.999, 600.0]  # the last lies past the end
    known_s = np.sort(np.concatenate([random, edges]))
    beats = analyse(in_memory(excerpt, FS_HZ), model, beats_at_s=known_s).beats
    np.testing.assert_allclose(beats.time_s, known_s, atol=1e-9)
    assert np.isfinite(beats.probability).all()


def test_known_beats_get_the_same_labels_as_when_they_are_detected(excerpt, model, plain):
    known = analyse(in_memory(excerpt, FS_HZ), model, beats_at_s=plain.beats.time_s)
    assert_like(known, plain, within_s=1e-6, labels=0.999)


def test_no_known_beats_are_no_beats(excerpt, model):
    assert len(analyse(in_memory(excerpt, FS_HZ), model, beats_at_s=np.zeros(0)).beats) == 0


# Reader labels


def labels(time_s, symbol):
    return Annotations(np.asarray(time_s), np.asarray(list(symbol)), np.full(len(symbol), ""))


def test_labelled_beats_have_the_readers_class_and_are_counted_so(demo_analysis):
    before = demo_analysis
    beats = np.flatnonzero(before.beats.usable & (before.beats.label == "N"))[[10, 500, 900]]
    after = with_labels(before, labels(before.beats.time_s[beats] + [0.1, -0.1, 0.0], "VVS"))
    assert after.labelled.tolist() == beats.tolist()
    assert after.beats.label[beats].tolist() == ["V", "V", "S"]
    assert (after.beats.confidence[beats] == 1).all()
    assert (after.burden.count - before.burden.count).tolist() == [-3, 1, 2, 0, 0]
    others = np.delete(np.arange(len(before.beats)), beats)
    np.testing.assert_array_equal(after.beats.label[others], before.beats.label[others])
    assert with_rules(after, RhythmRules(af_min_s=45.0)).labelled.tolist() == beats.tolist()


def test_the_last_label_of_a_beat_counts(demo_analysis):
    beat = int(np.flatnonzero(demo_analysis.beats.usable)[100])
    time_s = demo_analysis.beats.time_s[beat]
    assert with_labels(demo_analysis, labels([time_s, time_s], "VS")).beats.label[beat] == "S"
    twice = with_labels(with_labels(demo_analysis, labels([time_s], "V")), labels([time_s], "N"))
    assert twice.beats.label[beat] == "N"
    assert twice.labelled.tolist() == [beat]


def test_a_label_at_no_beat_changes_nothing(demo_analysis):
    beats = demo_analysis.beats
    after = with_labels(demo_analysis, labels([float(beats.time_s[:2].mean())], "V"))
    assert after.labelled.tolist() == []
    np.testing.assert_array_equal(after.beats.label, beats.label)


def test_labels_of_another_record_are_refused_with_the_share_that_matched(excerpt, model, plain):
    foreign = labels(plain.beats.time_s[:20] + 0.4, "N" * 20)
    with pytest.raises(RecordError, match=r"expected at least 80 % of 20 labels at a beat, got 1 \(5 %\)"):
        analyse(in_memory(excerpt, FS_HZ), model, patient_labels=foreign)
    behind = labels(plain.beats.time_s[:20] + 1e5, "N" * 20)
    with pytest.raises(RecordError, match="the labels belong to another record"):
        analyse(in_memory(excerpt, FS_HZ), model, patient_labels=behind)


def test_beats_with_a_patient_label_keep_their_class_and_are_not_queried_again(excerpt, model, plain, monkeypatch):
    record, queried = in_memory(excerpt, FS_HZ), plain.queried
    assert 0 < len(queried) <= 50
    known = np.sort(queried[:10])
    other = np.where(plain.beats.label[known] == "V", "N", "V")  # not what the model predicted
    progress = []
    monkeypatch.setattr("ecg_core.classifier.cross_validation.N_FOLDS", 2)
    monkeypatch.setattr("ecg_core.classifier.fine_tuning.STEPS", 10)
    after = analyse(record, model, patient_labels=labels(plain.beats.time_s[known], other), fitting=progress.append)
    np.testing.assert_allclose(after.beats.time_s, plain.beats.time_s)
    assert after.labelled.tolist() == known.tolist()
    assert after.n_fitted == 10
    assert after.beats.label[known].tolist() == other.tolist()
    assert not set(after.queried.tolist()) & set(known.tolist())
    assert progress == sorted(progress)
    assert progress[-1] == 1


def test_fine_tuning_to_the_patient_may_be_stopped(excerpt, model, plain):
    def stop(fraction):
        raise Cancelled("enough")

    with pytest.raises(Cancelled, match="enough"):
        analyse(in_memory(excerpt, FS_HZ), model, patient_labels=labels(plain.beats.time_s[:5], "NNVNN"), fitting=stop)


# Progress and memory


def test_progress_grows_to_the_whole_length(excerpt, model, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_S", 100.0)
    calls = []
    analyse(in_memory(excerpt, FS_HZ), model, progress=lambda done_s, total_s: calls.append((done_s, total_s)))
    done_s = [done for done, _ in calls]
    assert done_s == sorted(done_s)
    assert len(set(done_s)) == 7
    assert done_s[-1] == 600
    assert {total for _, total in calls} == {600}


def test_the_progress_callback_may_stop_the_work(excerpt, model, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_S", 100.0)

    def stop(done_s, total_s):
        if done_s >= 200:
            raise Cancelled("enough")

    with pytest.raises(Cancelled, match="enough"):
        analyse(in_memory(excerpt, FS_HZ), model, progress=stop)


class Tiled:
    """A recording of any length that repeats some minutes; keeps the longest stretch that was asked for."""

    def __init__(self, minutes):
        self.minutes, self.longest = minutes, 0

    def read(self, start, stop, leads):
        self.longest = max(self.longest, stop - start)
        return np.stack([self.minutes.take(np.arange(start, stop), mode="wrap") for _ in leads])


def test_a_record_of_hours_is_never_held_whole(excerpt, model, monkeypatch):
    hours, chunk_s = 5, 600.0  # as many chunks as a record of 14 h has
    monkeypatch.setattr(chunks, "CHUNK_S", chunk_s)
    source, fs_hz, names = Tiled(excerpt[::2]), 125.0, ("I", "II", "V1")
    record = Record("long", source, fs_hz, int(hours * 3600 * fs_hz), names, (True,) * 3)
    n_steps, size = len(frame_offsets(model.spec)), model.spec.token_size

    def six_beats_a_minute(model, signal):
        heatmap = np.zeros((len(signal), -(-signal.shape[1] // 4)), np.float32)
        heatmap[:, ::312] = 1  # at 31.25 frames a second
        return Encoded((), heatmap)

    def plain_beats(model, encoded, position):
        shape = len(position), len(encoded.beat_heatmap)
        return BeatFeatures(np.zeros((*shape, size), np.float32), np.zeros((*shape, n_steps), np.float32))

    monkeypatch.setattr(pipeline, "encode", six_beats_a_minute)
    monkeypatch.setattr(
        pipeline, "still_frames", lambda model, encoded, clean: np.zeros(encoded.beat_heatmap.shape[1], bool)
    )
    monkeypatch.setattr(chunks, "describe_beats", plain_beats)
    tracemalloc.start()
    try:
        analysis = analyse(record, model, lead="all")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(analysis.beats) == pytest.approx(hours * 360, rel=0.02)
    assert source.longest <= (chunk_s + 2 * MARGIN_S) * fs_hz
    assert peak < 0.6 * record.n_samples * len(names) * 4


def test_other_rules_measure_the_same_beats_as_an_analysis_by_these_rules(demo, model, demo_analysis):
    rules = RhythmRules(pause_s=2.0, run_min_beats=7, af_min_s=60.0)
    measured, again = with_rules(demo_analysis, rules), analyse(demo, model, rules)
    assert measured.rules == rules
    assert measured.events == again.events != demo_analysis.events
    np.testing.assert_array_equal(measured.beats.label, again.beats.label)
    assert measured.burden.v == again.burden.v
    assert measured.burden.pauses == again.burden.pauses


def test_what_repeats_before_the_qrs_is_that_of_the_beats_that_are_kept(excerpt, model, monkeypatch):
    sizes = []

    def count(before_qrs, beats):
        sizes.append((len(before_qrs), len(beats)))
        return np.zeros(len(beats), dtype=np.float32)

    monkeypatch.setattr(pipeline, "repeating_fraction", count)
    monkeypatch.setattr(classification, "NOISE", 0.001)  # so that some candidates are dropped
    dropped = analyse(in_memory(excerpt, FS_HZ), model)
    monkeypatch.setattr(classification, "NOISE", 2.0)
    assert len(analyse(in_memory(excerpt, FS_HZ), model).beats) > len(dropped.beats)
    assert all(n_waveforms == n_beats for n_waveforms, n_beats in sizes)


def test_the_number_of_threads_changes_no_bit(excerpt, model, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_S", 25.0)  # several chunks at once
    lead = excerpt[: 120 * FS_HZ]
    record = in_memory(np.stack([lead, 0.5 * lead]), FS_HZ, lead_names=("II", "V1"))
    made = []
    try:
        for n_threads in (1, 2, 3):
            use_threads(n_threads)
            made.append(analyse(record, model, lead="all"))
    finally:
        use_threads(1)
    for other in made[1:]:
        for name in ("time_s", "label", "probability", "rr_s", "p_repeats"):
            np.testing.assert_array_equal(getattr(other.beats, name), getattr(made[0].beats, name))
        np.testing.assert_array_equal(other.attention.weight, made[0].attention.weight)
        np.testing.assert_array_equal(other.quality.score, made[0].quality.score)


def test_s_inside_fibrillation_is_suppressed_by_the_rules_in_force(demo, model):
    model = without_af(model)
    usual = analyse(demo, model)
    strict = RhythmRules(af_entropy=-2.2, af_entropy_p=0.0)
    changed = with_rules(usual, strict)
    af = [event for event in changed.events if event.kind == "af"]
    assert af
    assert changed.burden.af.total_s > usual.burden.af.total_s
    for event in af:
        inside = (changed.beats.time_s >= event.start_s) & (changed.beats.time_s <= event.end_s)
        assert "S" not in changed.beats.label[inside & changed.beats.usable]
    assert with_rules(changed, usual.rules).burden.s == usual.burden.s  # and is found again by the rules of before
    np.testing.assert_array_equal(changed.beats.label, analyse(demo, model, strict, lead="II").beats.label)


def test_a_readers_s_inside_fibrillation_stays(demo, model):
    usual = analyse(demo, without_af(model), lead="II")
    strict = RhythmRules(af_entropy=-2.2, af_entropy_p=0.0)
    changed = with_rules(usual, strict)
    suppressed = np.flatnonzero((usual.beats.label == "S") & (changed.beats.label == "N"))
    beat = int(suppressed[0])
    labelled = with_labels(usual, labels([usual.beats.time_s[beat]], "S"))
    assert with_rules(labelled, strict).beats.label[beat] == "S"


def test_calibration_changes_what_is_said_of_a_beat_and_not_its_class(demo_analysis):
    numbers = (demo_analysis.model.calibration_of(len(demo_analysis.lead_names)), None)
    shown, plain = (measured(demo_analysis, calibration=calibration) for calibration in numbers)
    assert shown[0].label.tolist() == plain[0].label.tolist() == demo_analysis.beats.label.tolist()
    np.testing.assert_array_equal(shown[0].probability, demo_analysis.beats.probability)
    assert np.abs(shown[0].probability - plain[0].probability).max() > 0.05
    low, high = shown[2].v.interval_pct
    assert low <= shown[2].v.burden_pct <= high
    assert np.isnan(plain[2].v.interval_pct).all()
