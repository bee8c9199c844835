"""The demo record is what its README says: physiological, reproducible, and marked as simulated."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

DEMO = Path(__file__).parents[1] / "demo_data"
FILES = ("demo.hea", "demo.dat", "demo.atr")
EC57_LEARNING_S = 300.0  # EC57 does not score the first five minutes

# wfdb calls pandas in a way that pandas 3.1 announces to remove; the tests are about the record
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame:DeprecationWarning")


@pytest.fixture(scope="module")
def script():
    """The script, imported from its file."""
    spec = importlib.util.spec_from_file_location("make_demo", DEMO / "make_demo.py")
    module = sys.modules["make_demo"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["make_demo"]


@pytest.fixture(scope="module")
def folder(script, tmp_path_factory):
    """A freshly made record."""
    made = tmp_path_factory.mktemp("demo")
    script.write_demo(made)
    return made


@pytest.fixture(scope="module")
def demo(folder):
    """Signals in counts and mV by lead, beats as columns, notes."""
    import wfdb

    record = wfdb.rdrecord(str(folder / "demo"), physical=False)
    marks = wfdb.rdann(str(folder / "demo"), "atr")
    beat = np.isin(marks.symbol, list("NAV"))
    sample = marks.sample[beat]
    return SimpleNamespace(
        fs_hz=record.fs,
        comments=record.comments,
        counts=dict(zip(record.sig_name, record.d_signal.T.astype(int), strict=True)),
        mv=dict(zip(record.sig_name, record.d_signal.T / record.adc_gain[0], strict=True)),
        sample=sample,
        time_s=sample / record.fs,
        rr_s=np.diff(sample, prepend=0) / record.fs,
        symbol=np.array(marks.symbol)[beat],
        notes=[(s / record.fs, note) for s, note in zip(marks.sample, marks.aux_note, strict=True) if note],
    )


def rhythm_of(demo):
    """Rhythm note in force at each beat."""
    start_s, note = zip(*demo.notes, strict=True)
    return np.array(note)[np.searchsorted(start_s, demo.time_s) - 1]


def clear(demo, script):
    """Beats outside the unusable stretch and the lead that came off."""
    (start_s, end_s), (_, off_s, on_s) = script.UNUSABLE_S, script.LEAD_OFF
    t = demo.time_s
    return ~((t > start_s - 1) & (t < end_s + 1)) & ~((t > off_s - 1) & (t < on_s + 1)) & (t > 1)


def mean_beat(demo, chosen, lead):
    """Average of a lead in mV from 0.3 s before to 0.45 s after the chosen beats, less its median."""
    offset = np.arange(round(-0.3 * demo.fs_hz), round(0.45 * demo.fs_hz))
    beat = demo.mv[lead][demo.sample[chosen][:, None] + offset].mean(axis=0)
    return offset / demo.fs_hz, beat - np.median(beat)


def qrs_width_s(demo, chosen):
    """Width of the QRS from how fast the heart's vector moves: from first to last time above an eighth of its peak."""
    independent = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
    speed = np.sqrt(sum(np.gradient(mean_beat(demo, chosen, lead)[1]) ** 2 for lead in independent))
    time_s = mean_beat(demo, chosen, "II")[0]
    fast = time_s[(speed > speed.max() / 8) & (np.abs(time_s) < 0.13)]
    return fast[-1] - fast[0]


def test_same_bytes_on_every_run(script, folder, tmp_path):
    script.write_demo(tmp_path)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_bundled_record_comes_from_this_script(folder, demo):
    import wfdb

    bundled = wfdb.rdrecord(str(DEMO / "demo"), physical=False).d_signal.T
    # another processor may round a sample to the neighbouring count
    assert np.abs(bundled - np.array(list(demo.counts.values()))).max() <= 1
    assert (DEMO / "demo.atr").read_bytes() == (folder / "demo.atr").read_bytes()


def test_record_says_that_it_is_simulated(demo):
    assert demo.comments[0] == "Simulated record: not a patient"
    assert "python demo_data/make_demo.py" in demo.comments[1]


def test_record_is_twelve_leads_of_thirty_minutes_below_12_mb(demo, folder):
    assert list(demo.counts) == ["I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6"]
    assert {len(lead) for lead in demo.counts.values()} == {1800 * 257}
    assert sum((folder / name).stat().st_size for name in FILES) < 12e6


def test_einthoven_and_goldberger_hold_within_quantisation(demo, script):
    lead = demo.counts
    inside = np.max(np.abs([lead[name] for name in ("I", "II", "III", "AVR", "AVL", "AVF")]), axis=0) < script.LIMIT
    assert inside.mean() > 0.995
    assert np.abs(lead["I"] + lead["III"] - lead["II"])[inside].max() <= 1  # three roundings: less than 1.5 counts
    assert np.abs(lead["AVR"] + lead["AVL"] + lead["AVF"])[inside].max() <= 1


def test_scored_part_holds_sixty_ventricular_and_sixty_atrial_ectopics(demo):
    scored = demo.symbol[demo.time_s > EC57_LEARNING_S]
    assert (scored == "V").sum() >= 60
    assert (scored == "A").sum() >= 60


@pytest.mark.parametrize("lead", ["II", "V5"])
def test_normal_beats_are_annotated_at_the_r_peak(demo, script, lead):
    reach = round(0.1 * demo.fs_hz)
    normal = demo.sample[(demo.symbol == "N") & clear(demo, script)]
    late = demo.mv[lead][normal[:, None] + np.arange(-reach, reach + 1)].argmax(axis=1) - reach
    assert np.mean(np.abs(late) / demo.fs_hz < 0.020) > 0.995


def test_normal_beat_has_amplitudes_of_a_healthy_adult(demo, script):
    normal = (demo.symbol == "N") & clear(demo, script) & (rhythm_of(demo) == "(N")
    beat = {}
    for lead in demo.mv:
        time_s, beat[lead] = mean_beat(demo, normal, lead)
    p, t = (time_s > -0.22) & (time_s < -0.1), (time_s > 0.15) & (time_s < 0.4)
    assert 1.0 < beat["II"].max() < 1.5
    assert 0.08 < beat["II"][p].max() < 0.2
    for lead in ("I", "II", "V3", "V4", "V5", "V6"):
        assert 0.05 < beat[lead][t].max() < 0.5
    r, s = zip(*((beat[lead].max(), -beat[lead].min()) for lead in ("V1", "V2", "V3", "V4", "V5", "V6")), strict=True)
    assert r[0] < s[0]  # V1: rS
    assert r[4] > 3 * s[4]  # V5: R
    assert r[0] < r[1] < r[2] < r[3]  # R grows from V1 to V4


def test_qrs_is_wide_in_ventricular_and_narrow_in_normal_beats(demo, script):
    visible = clear(demo, script)
    upright = demo.mv["II"][demo.sample] > 0.3  # distinguishes the two foci
    normal, atrial = (qrs_width_s(demo, visible & (demo.symbol == kind)) for kind in "NA")
    foci = [qrs_width_s(demo, visible & (demo.symbol == "V") & side) for side in (upright, ~upright)]
    assert 0.070 < normal < 0.110
    assert atrial < 0.120
    assert all(0.120 < width < 0.190 for width in foci)


@pytest.mark.parametrize("lead", ["II", "V1"])
def test_ventricular_t_wave_is_opposite_to_its_qrs(demo, script, lead):
    upright = demo.mv["II"][demo.sample] > 0.3
    for focus in (upright, ~upright):
        time_s, beat = mean_beat(demo, (demo.symbol == "V") & focus & clear(demo, script), lead)
        qrs, t = beat[np.abs(time_s) < 0.08], beat[(time_s > 0.2) & (time_s < 0.35)]
        assert qrs[np.abs(qrs).argmax()] * t[np.abs(t).argmax()] < 0


def test_single_ectopics_are_premature_and_pause_as_their_kind_does(demo):
    symbol, rr_s = demo.symbol, demo.rr_s
    single = np.flatnonzero((symbol != "N") & (rhythm_of(demo) != "(AFIB") & (demo.time_s > 2))
    single = single[(symbol[single - 1] == "N") & (symbol[single - 2] == "N") & (symbol[single + 1] == "N")]
    before, coupling, after = rr_s[single - 1], rr_s[single], rr_s[single + 1]
    ventricular = symbol[single] == "V"
    assert np.all(coupling < 0.85 * np.minimum(before, after))
    cycles = (coupling + after) / before
    assert np.median(cycles[ventricular & (symbol[single - 3] == "N")]) == pytest.approx(2, abs=0.05)
    assert np.median(cycles[~ventricular]) < 1.85


def test_fibrillation_is_irregular_and_has_no_p_wave(demo, script):
    rhythm, normal = rhythm_of(demo), (demo.symbol == "N") & clear(demo, script)
    steady = normal & np.roll(normal, 1)
    variation = {note: demo.rr_s[steady & (rhythm == note)] for note in ("(AFIB", "(N")}
    assert variation["(AFIB"].std() / variation["(AFIB"].mean() > 0.2
    assert variation["(N"].std() / variation["(N"].mean() < 0.2
    time_s, sinus = mean_beat(demo, normal & (rhythm == "(N"), "II")
    _, fibrillating = mean_beat(demo, normal & (rhythm == "(AFIB"), "II")
    p = (time_s > -0.2) & (time_s < -0.1)
    assert np.ptp(fibrillating[p]) < np.ptp(sinus[p]) / 3
    af_s = np.diff([at for at, note in demo.notes if note == "(AFIB"] + [1140.0])
    assert af_s == pytest.approx(240, abs=2)


def test_one_sinus_pause_of_3_4_seconds(demo):
    assert np.flatnonzero(demo.rr_s > 2.0).size == 1
    assert demo.rr_s.max() == pytest.approx(3.4, abs=0.01)


def test_runs_are_annotated_as_rhythms(demo):
    rhythm = rhythm_of(demo)
    assert [note for _, note in demo.notes] == [
        "(N", "(B", "(T", "(N", "(VT", "(N", "(AFIB", "(N", "(SVTA", "(N",
    ]  # fmt: skip
    assert demo.symbol[rhythm == "(VT"].tolist() == ["V"] * 7
    assert demo.symbol[rhythm == "(SVTA"].tolist() == ["A"] * 6
    assert 60 / demo.rr_s[rhythm == "(VT"][1:].mean() == pytest.approx(150, abs=8)


def test_no_ectopic_lies_in_an_unusable_stretch(demo, script):
    (start_s, end_s), (name, off_s, on_s) = script.UNUSABLE_S, script.LEAD_OFF
    hidden = ((demo.time_s > start_s) & (demo.time_s < end_s)) | ((demo.time_s > off_s) & (demo.time_s < on_s))
    assert hidden.sum() > 40
    assert set(demo.symbol[hidden]) == {"N"}
    assert np.ptp(demo.mv[name][round(off_s * demo.fs_hz) : round(on_s * demo.fs_hz)]) == 0
