"""Resampling in time, filters, masks and quality: what leaves ``signals`` is where and what it was."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import butter, resample_poly, sosfiltfilt

from ecg_core.signals.filters import (
    FS_HZ,
    band_passed,
    clean_leads,
    normalise,
    rate_ratio,
    reached_hz,
    resample,
    to_sample,
)
from ecg_core.signals.quality import BLOCK_S, valid_share

RATES_HZ = (125.0, 128.0, 200.0, 250.0, 256.0, 257.0, 300.0, 360.0, 500.0, 977.0, 1000.0)
ODD_RATES_HZ = (62.4725, 249.89, 128.0123, 333.3333, 250.005, 9999.99)
DAY_S = 86_400.0
EXCERPT_FS_HZ = 257.0


def noise_mv(n, size=0.1, seed=0):
    return np.random.default_rng(seed).normal(0, size, n).astype(np.float32)


def peak_positions(signal, n_peaks):
    """Positions of the highest samples, refined by a parabola, ascending."""
    peak = np.sort(np.argsort(signal)[::-1][: 4 * n_peaks])
    peak = peak[(signal[peak] >= signal[peak - 1]) & (signal[peak] > signal[peak + 1])]
    peak = np.sort(peak[np.argsort(signal[peak])[::-1][:n_peaks]])
    before, at, after = signal[peak - 1], signal[peak], signal[peak + 1]
    return peak + 0.5 * (before - after) / (before - 2 * at + after)


@pytest.mark.parametrize("fs_hz", RATES_HZ)
@pytest.mark.parametrize("start_s", [0.0, 3600.0, DAY_S - 120.0])
def test_impulses_keep_their_time_within_half_a_sample_all_day(fs_hz, start_s):
    first = round(start_s * fs_hz)  # a piece is cut at whole samples of the record, as the pipeline does
    impulse = np.arange(1, 60) * round(2 * fs_hz) + np.random.default_rng(1).integers(0, round(fs_hz), 59)
    signal = np.zeros((1, round(125 * fs_hz)), dtype=np.float32)
    signal[0, impulse] = 1.0
    found_s = first / fs_hz + peak_positions(resample(signal, fs_hz)[0], len(impulse)) / reached_hz(fs_hz)
    true_s = (first + impulse) / fs_hz
    assert np.abs(found_s - true_s).max() < 0.5 / FS_HZ
    assert abs((found_s - true_s).mean()) < 0.3e-3


@pytest.mark.parametrize("fs_hz", RATES_HZ)
def test_an_hour_in_one_piece_does_not_drift(fs_hz):
    n = round(3600 * fs_hz)
    impulse = np.array([round(10 * fs_hz), n // 2, n - round(10 * fs_hz)])
    signal = np.zeros((1, n), dtype=np.float32)
    signal[0, impulse] = 1.0
    out = resample(signal, fs_hz)[0]
    assert np.abs(peak_positions(out, 3) / FS_HZ - impulse / fs_hz).max() < 0.5 / FS_HZ
    assert len(out) == -(-n * 125 // round(fs_hz))


@pytest.mark.parametrize("fs_hz", RATES_HZ)
def test_times_go_back_to_the_very_sample_they_came_from(fs_hz):
    n_samples = round(DAY_S * fs_hz)
    sample = np.append(np.random.default_rng(2).integers(0, n_samples, 10_000), [0, n_samples - 1])
    np.testing.assert_array_equal(to_sample(sample / fs_hz, fs_hz, n_samples), sample)


def test_a_mark_past_the_end_goes_to_the_last_sample():
    assert to_sample(np.array([-0.1, 10.0]), 360.0, 3600).tolist() == [0, 3599]


@pytest.mark.parametrize("fs_hz", RATES_HZ)
def test_whole_rates_are_met_exactly(fs_hz):
    up, down = rate_ratio(fs_hz)
    assert up * int(fs_hz) == down * 125
    assert reached_hz(fs_hz) == pytest.approx(FS_HZ, rel=1e-15)


@pytest.mark.parametrize("fs_hz", ODD_RATES_HZ)
def test_odd_rates_need_no_endless_filter_and_their_time_is_known(fs_hz):
    assert max(rate_ratio(fs_hz)) <= 65_000
    assert reached_hz(fs_hz) == pytest.approx(FS_HZ, rel=1e-4)


def test_impulses_at_an_odd_rate_keep_their_time():
    fs_hz = 333.3333
    signal = np.zeros((1, round(600 * fs_hz)), dtype=np.float32)
    impulse = np.array([2_000, 100_000, 198_000])
    signal[0, impulse] = 1.0
    found_s = peak_positions(resample(signal, fs_hz)[0], 3) / reached_hz(fs_hz)
    assert np.abs(found_s - impulse / fs_hz).max() < 1e-3


def level_db(tone_hz, fs_hz):
    t = np.arange(round(20 * fs_hz)) / fs_hz
    out = resample(np.sin(2 * np.pi * tone_hz * t)[None].astype(np.float32), fs_hz)[0]
    return 20 * np.log10(np.sqrt(2) * out[int(2 * FS_HZ) : -int(2 * FS_HZ)].std() + 1e-12)


@pytest.mark.parametrize("fs_hz", [200.0, 257.0, 360.0, 500.0, 1000.0])
@pytest.mark.parametrize("tone_hz", [63.0, 65.0, 75.0, 95.0])
def test_a_tone_above_the_new_nyquist_frequency_is_80_db_down(fs_hz, tone_hz):
    assert level_db(tone_hz, fs_hz) < -80


@pytest.mark.parametrize("fs_hz", RATES_HZ)
@pytest.mark.parametrize("tone_hz", [1.0, 10.0, 30.0, 45.0])
def test_a_tone_of_the_ecg_passes_within_half_a_db(fs_hz, tone_hz):
    assert abs(level_db(tone_hz, fs_hz)) < 0.5


@pytest.mark.parametrize("length_s", [1.0, 1.5, 2.0, 9.0, 700.0])
def test_the_band_is_that_of_scipys_filter_forwards_and_backwards(excerpt, length_s):
    raw = np.resize(excerpt, round(length_s * FS_HZ)) + np.float32(3.0)
    band = butter(2, (0.5, 40.0), "bandpass", fs=FS_HZ, output="sos")
    expected = sosfiltfilt(band, raw.astype(np.float64), padlen=min(len(raw) - 1, 500))
    found = clean_leads(raw[None], FS_HZ).signal_mv[0]
    np.testing.assert_allclose(found, expected, atol=1e-2 * np.ptp(expected))
    inside = slice(250, -250) if length_s > 4 else slice(0)
    np.testing.assert_allclose(found[inside], expected[inside], atol=1e-3 * np.ptp(expected))


@pytest.mark.parametrize(("fs_hz", "high_hz"), [(50.0, 22.5), (257.0, 40.0), (1000.0, 40.0)])
def test_a_lead_is_filtered_at_its_own_rate_as_by_scipy(excerpt, fs_hz, high_hz):
    raw = excerpt[: round(18 * EXCERPT_FS_HZ)]
    band = butter(2, (0.5, high_hz), "bandpass", fs=fs_hz, output="sos")
    expected = sosfiltfilt(band, raw.astype(np.float64), padlen=min(len(raw) - 1, round(4 * fs_hz)))
    np.testing.assert_allclose(band_passed(raw, fs_hz, high_hz), expected, atol=3e-3 * np.ptp(expected))


@pytest.mark.parametrize("fs_hz", [50.0, 100.0, 62.4725])
def test_lower_rates_are_interpolated(excerpt, fs_hz):
    t = np.arange(round(120 * fs_hz)) / fs_hz
    tones = [(0.3, 1.3), (1.0, 7.0), (0.5, 19.0)]
    raw = sum(size * np.sin(2 * np.pi * hz * t) for size, hz in tones)[None].astype(np.float32)
    out = resample(raw, fs_hz)[0]
    out_s = np.arange(len(out)) / reached_hz(fs_hz)
    expected = sum(size * np.sin(2 * np.pi * hz * out_s) for size, hz in tones)
    np.testing.assert_allclose(out[500:-500], expected[500:-500], atol=1e-3)
    assert np.isfinite(clean_leads(raw, fs_hz).signal_mv).all()


@pytest.mark.parametrize("fs_hz", [*RATES_HZ, *ODD_RATES_HZ, 50.0, 100.0, 4000.0])
@pytest.mark.parametrize("n", [1, 2, 100, 1001])
def test_a_recording_of_a_few_samples_is_resampled_to_its_length(fs_hz, n):
    raw = noise_mv(n)[None]
    up, down = rate_ratio(fs_hz)
    for out in (resample(raw, fs_hz), clean_leads(raw, fs_hz).signal_mv):
        assert out.shape == (1, -(-n * up // down))
        assert np.isfinite(out).all()
        assert np.abs(out).max() < 10 * np.abs(raw).max()


@pytest.mark.parametrize("fs_hz", [128.0, 333.3333, 360.0])
def test_a_resampled_piece_equals_the_whole_inside_its_margins(excerpt, fs_hz):
    n = round(1000 * fs_hz)
    raw = np.interp(np.arange(n) / fs_hz, np.arange(len(excerpt)) / EXCERPT_FS_HZ, excerpt).astype(np.float32)
    up, down = rate_ratio(fs_hz)
    first = round(200 * fs_hz) // down * down
    part = resample(raw[first:], fs_hz)
    inner = slice(int(60 * FS_HZ), -int(60 * FS_HZ))
    np.testing.assert_allclose(part[inner], resample(raw, fs_hz)[first // down * up :][inner], atol=1e-4)


def test_blocks_leave_no_trace_and_the_ecg_is_that_of_a_polyphase_filter(excerpt):
    raw = np.resize(excerpt, round(1500 * 360.0))
    expected = resample_poly(raw.astype(np.float64), 25, 72, padtype="line")
    band = butter(2, (0.5, 40.0), "bandpass", fs=FS_HZ, output="sos")
    expected = sosfiltfilt(band, expected)
    found = clean_leads(raw[None], 360.0).signal_mv[0]
    np.testing.assert_allclose(found[1250:-1250], expected[1250:-1250], atol=1e-2 * np.ptp(expected))


@pytest.mark.parametrize("fs_hz", [128.0, 257.0, 360.0])
def test_a_piece_equals_the_whole_inside_its_margins(excerpt, fs_hz):
    n = round(300 * fs_hz)
    raw = np.interp(np.arange(n) / fs_hz, np.arange(len(excerpt)) / EXCERPT_FS_HZ, excerpt)[None].astype(np.float32)
    raw[:, round(150 * fs_hz) : round(153 * fs_hz)] = np.nan
    whole = clean_leads(raw, fs_hz)
    part = clean_leads(raw[:, round(60 * fs_hz) : round(240 * fs_hz)], fs_hz)
    inner, outer = slice(int(60 * FS_HZ), int(120 * FS_HZ)), slice(int(120 * FS_HZ), int(180 * FS_HZ))
    np.testing.assert_allclose(part.signal_mv[:, inner], whole.signal_mv[:, outer], atol=1e-5)
    np.testing.assert_array_equal(part.valid[:, inner], whole.valid[:, outer])
    np.testing.assert_allclose(
        normalise(part.signal_mv[0], part.valid[0])[inner],
        normalise(whole.signal_mv[0], whole.valid[0])[outer],
        atol=0.05,
    )


def marked(excerpt, change):
    """Clean lead of a minute in which ``change`` was made, and the same without."""
    raw = excerpt[: round(60 * EXCERPT_FS_HZ)].copy()
    before = clean_leads(raw[None], EXCERPT_FS_HZ)
    change(raw)
    return clean_leads(raw[None], EXCERPT_FS_HZ), before


def seconds(start_s, stop_s, fs_hz=FS_HZ):
    return slice(round(start_s * fs_hz), round(stop_s * fs_hz))


def test_a_gap_is_marked_and_does_not_spread(excerpt):
    def gap(raw):
        raw[seconds(20, 25, EXCERPT_FS_HZ)] = np.nan

    after, before = marked(excerpt, gap)
    assert np.isfinite(after.signal_mv).all()
    assert not after.valid[0, seconds(20.1, 24.9)].any()
    assert after.valid[0, seconds(0, 19.9)].all()
    assert after.valid[0, seconds(25.1, 60)].all()
    np.testing.assert_allclose(after.signal_mv[0, seconds(30, 60)], before.signal_mv[0, seconds(30, 60)], atol=0.02)


def test_a_spike_of_100_volts_leaves_the_rest_of_the_lead_as_it_was(excerpt):
    def spikes(raw):
        raw[[5000, 9000]] = 1e5, -1e5

    after, before = marked(excerpt, spikes)
    assert (~after.valid).sum() <= 2
    np.testing.assert_allclose(after.signal_mv, before.signal_mv, atol=0.3)
    quiet = seconds(50, 60)
    np.testing.assert_allclose(after.signal_mv[0, quiet], before.signal_mv[0, quiet], atol=1e-3)


def test_a_flat_stretch_is_marked(excerpt):
    def flat(raw):
        raw[seconds(20, 25, EXCERPT_FS_HZ)] = 0.125

    after, _ = marked(excerpt, flat)
    assert not after.valid[0, seconds(20.1, 24.9)].any()
    assert after.valid[0, seconds(0, 19.9)].all()


def test_a_second_without_a_change_is_not_yet_flat(excerpt):
    def short(raw):
        raw[seconds(20, 21, EXCERPT_FS_HZ)] = 0.125

    after, _ = marked(excerpt, short)
    assert after.valid.all()


@pytest.mark.parametrize("first", [*range(3000, 3200, 17), 0])
@pytest.mark.parametrize("lacking", [0, 1])
def test_two_seconds_of_one_value_are_flat_wherever_they_begin(excerpt, first, lacking):
    length = int(2.0 * EXCERPT_FS_HZ) - lacking

    def flat(raw):
        raw[first : first + length] = 0.125
        raw[first - 1 if first else -1], raw[first + length] = 0.25, 0.0

    after, _ = marked(excerpt, flat)
    assert after.valid.all() == bool(lacking)


def test_an_offset_of_300_mv_changes_nothing(excerpt):
    def offset(raw):
        raw += 300

    after, before = marked(excerpt, offset)
    assert after.valid.all()
    np.testing.assert_allclose(after.signal_mv, before.signal_mv, atol=0.01)


@pytest.mark.parametrize("value", [0.0, 5.0, np.nan, 1e5])
def test_a_dead_lead_is_finite_and_not_valid_anywhere(value):
    clean = clean_leads(np.full((1, 3600), value, dtype=np.float32), 360.0)
    assert not clean.valid.any()
    assert np.isfinite(clean.signal_mv).all()
    scaled = normalise(clean.signal_mv[0], clean.valid[0])
    assert (scaled == 0).all()
    assert (valid_share(clean.valid[0]) == 0).all()


def test_arguments_are_not_changed(excerpt):
    raw = excerpt[None, :5000].copy()
    raw[0, 100:200] = np.nan
    kept = raw.copy()
    clean_leads(raw, EXCERPT_FS_HZ)
    np.testing.assert_array_equal(raw, kept)


@pytest.mark.parametrize("factor", [1e-4, 1e-2, 1e2, 1e4])
def test_the_network_sees_the_same_at_any_amplitude(excerpt, factor):
    def seen(raw):
        clean = clean_leads(raw[None], EXCERPT_FS_HZ)
        return normalise(clean.signal_mv[0], clean.valid[0])

    raw = excerpt[: round(120 * EXCERPT_FS_HZ)]
    np.testing.assert_allclose(seen((raw * factor).astype(np.float32)), seen(raw), atol=2e-3)


def test_the_scale_follows_a_change_of_gain(excerpt):
    raw = excerpt[: round(240 * EXCERPT_FS_HZ)].copy()
    raw[len(raw) // 2 :] *= 5
    clean = clean_leads(raw[None], EXCERPT_FS_HZ)
    scaled = normalise(clean.signal_mv[0], clean.valid[0])
    early, late = scaled[seconds(10, 80)], scaled[seconds(160, 230)]
    assert np.percentile(late, 99) == pytest.approx(np.percentile(early, 99), rel=0.3)


def test_the_share_of_valid_samples_is_zero_where_a_block_is_flat_and_only_there(excerpt):
    raw = excerpt[None, : round(60 * EXCERPT_FS_HZ)].copy()
    raw[0, seconds(20, 30, EXCERPT_FS_HZ)] = 0
    share = valid_share(clean_leads(raw, EXCERPT_FS_HZ).valid[0])
    assert share[2] == pytest.approx(0, abs=0.02)
    assert (np.delete(share, 2) > 0.99).all()


@pytest.mark.parametrize("length_s", [0.5, 9.9, 10.0, 10.1, 25.0])
def test_there_is_one_share_for_each_block_begun(length_s):
    n = round(length_s * FS_HZ)
    share = valid_share(np.arange(n) % 2 == 0)
    assert len(share) == max(1, np.ceil(n / (BLOCK_S * FS_HZ)))
    np.testing.assert_allclose(share, 0.5, atol=0.02 if length_s != 10.1 else 0.1)


@given(st.integers(0, 2**32 - 1), st.sampled_from(RATES_HZ), st.integers(5, 12))
def test_whatever_is_recorded_the_clean_lead_is_finite(seed, fs_hz, length_s):
    random = np.random.default_rng(seed)
    raw = random.normal(0, 10 ** random.uniform(-4, 4), (2, round(length_s * fs_hz))).astype(np.float32)
    for lead in raw:
        start, stop = np.sort(random.integers(0, len(lead), 2))
        lead[start:stop] = random.choice([np.nan, 0.0, 1e5, np.inf, -np.inf])
    clean = clean_leads(raw, fs_hz)
    assert np.isfinite(clean.signal_mv).all()
    assert clean.valid.shape == clean.signal_mv.shape
    scaled = np.stack([normalise(lead, valid) for lead, valid in zip(clean.signal_mv, clean.valid, strict=True)])
    assert np.isfinite(scaled).all()
    assert (scaled[~clean.valid] == 0).all()


def test_a_rate_of_its_own_in_every_record_does_not_fill_the_memory():
    tracemalloc.start()
    for number in range(24):
        resample(noise_mv(1000), 249.871 + 0.013 * number)
    kept_mb = tracemalloc.get_traced_memory()[0] / 1e6
    tracemalloc.stop()
    assert kept_mb < 50
