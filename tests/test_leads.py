"""Which leads of a record are analysed, and their quality."""

import numpy as np
import pytest
from support.records import in_memory

from ecg_core.classifier import chunks, leads
from ecg_core.classifier.leads import choose_leads, other_leads
from ecg_core.errors import LeadError
from ecg_core.evaluation.comparison import compare_beats
from ecg_core.pipeline import analyse
from ecg_core.signals.quality import only_where_needed

FS_HZ = 257


def record_of(excerpt, **leads):
    return in_memory(np.stack(list(leads.values())), FS_HZ, lead_names=tuple(leads))


def noise(n, size):
    return np.random.default_rng(0).normal(0, size, n)


def test_auto_chooses_a_good_lead_among_dead_and_noisy_ones(excerpt, model):
    short = excerpt[: 120 * FS_HZ]
    noisy = {f"V{i}": short + noise(len(short), 0.3) for i in range(3, 6)}
    record = record_of(excerpt, II=0 * short, V1=short, **noisy, V6=np.full_like(short, np.nan))
    assert choose_leads(record, model, "auto") == (1,)


def test_auto_reads_up_to_three_leads_together_but_no_dead_one(excerpt, model):
    short = excerpt[: 120 * FS_HZ]
    record = record_of(
        excerpt, II=0 * short, V1=short + noise(len(short), 0.3), V2=short, V3=np.full_like(short, np.nan), V4=short
    )
    assert choose_leads(record, model, "auto") == (1, 2, 4)


def test_a_signal_between_the_samples_is_found(excerpt, model):
    hours = np.zeros((2, 4 * 3600 * FS_HZ))
    hours[0, 3000 * FS_HZ :][: len(excerpt)] = excerpt
    assert choose_leads(in_memory(hours, FS_HZ, lead_names=("V1", "V5")), model) == (0,)


def test_up_to_three_leads_are_chosen_without_the_network(excerpt, model, monkeypatch):
    monkeypatch.setattr(leads, "encode", None)
    short = excerpt[: 120 * FS_HZ]
    assert choose_leads(record_of(excerpt, I=short, II=0 * short, III=short), model, "auto") == (0, 2)


def test_auto_prefers_the_rhythm_lead_among_leads_of_like_quality(excerpt, model):
    short = excerpt[: 120 * FS_HZ]
    chest = {f"V{i}": short for i in range(1, 5)}
    assert choose_leads(record_of(excerpt, **chest, MLII=short), model, "auto") == (4,)
    assert choose_leads(record_of(excerpt, **chest), model, "auto") == (0,)


def test_leads_are_chosen_by_name_in_any_case_first_and_all(excerpt, model):
    record = record_of(excerpt, I=excerpt[:2000], II=excerpt[:2000])
    assert choose_leads(record, model, "ii") == (1,)
    assert choose_leads(record, model, "first") == (0,)
    assert choose_leads(record, model, "all") == (0, 1)
    with pytest.raises(LeadError, match='Lead "V9" is not in record memory'):
        choose_leads(record, model, "V9")


def limb_leads(excerpt, *, third):
    """I, II and V1, and all limb leads that are sums of I and II, but for what is added to III."""
    one = excerpt[: 120 * FS_HZ]
    two, v1 = np.roll(one, 3) * 1.5, -one
    return {
        "I": one, "II": two, "III": two - one + third, "aVR": -(one + two) / 2, "aVL": one - two / 2,
        "aVF": two - one / 2, "V1": v1,
    }  # fmt: skip


def test_all_leaves_out_limb_leads_that_are_sums_of_others(excerpt, model):
    leads = limb_leads(excerpt, third=0.0)
    assert choose_leads(record_of(excerpt, **leads), model, "all") == (0, 1, 6)
    three = {name: leads[name] for name in ("I", "II", "III")}
    assert choose_leads(record_of(excerpt, **three), model, "auto") == (0, 1)
    assert choose_leads(record_of(excerpt, **leads), model, "avf") == (5,)


def test_a_limb_lead_that_shows_more_than_the_sum_is_read(excerpt, model):
    leads = limb_leads(excerpt, third=noise(120 * FS_HZ, 0.2))
    assert choose_leads(record_of(excerpt, **leads), model, "all") == (0, 1, 2, 6)


# ------------------------------------------------------------------------------------- a lead that fails is replaced


@pytest.fixture
def two_samples(monkeypatch):
    """Leads are chosen by the first and the last minute, and chunks are so short that a record has several."""
    monkeypatch.setattr(leads, "SAMPLES", 2)
    monkeypatch.setattr(chunks, "CHUNK_S", 120.0)


def with_lead_off(excerpt, *, from_s, to_s, others=1.0):
    """Ten minutes of lead II, off from one second to another, and of four chest leads with some noise."""
    two = excerpt.copy()
    two[round(from_s * FS_HZ) : round(to_s * FS_HZ)] = 0
    chest = {f"V{i}": others * (excerpt + noise(len(excerpt), 0.02 * i)) for i in range(1, 5)}
    return record_of(excerpt, **chest, II=two)


def test_a_lead_that_is_off_between_the_samples_is_replaced_there(excerpt, model, two_samples):
    record, whole = with_lead_off(excerpt, from_s=170, to_s=430), with_lead_off(excerpt, from_s=0, to_s=0)
    found, expected = analyse(record, model), analyse(whole, model)
    assert found.usual_leads == expected.lead_names == ("II",)
    assert not expected.replaced
    assert {one.lead for one in found.replaced} == {"V1"}
    assert all(one.no_signal for one in found.replaced)
    inside = [one for one in found.replaced if one.start_s >= 160 and one.end_s <= 440]
    assert sum(one.end_s - one.start_s for one in inside) >= 260
    assert found.quality.usable.all()
    assert len(compare_beats(found.beats, expected.beats).time_s) <= 0.01 * len(expected.beats)


def test_where_the_usual_lead_holds_the_beats_are_those_of_it_alone(excerpt, model, two_samples):
    found = analyse(with_lead_off(excerpt, from_s=200, to_s=330), model)
    alone = analyse(with_lead_off(excerpt, from_s=200, to_s=330), model, lead="II")
    assert alone.lead_names == ("II",)
    assert not alone.replaced  # a reader chose it
    clear = [one.time_s[(one.time_s < 110) | (one.time_s > 370)] for one in (found.beats, alone.beats)]
    np.testing.assert_array_equal(*clear)


def test_a_lead_is_not_replaced_by_one_that_is_no_better(excerpt, model, two_samples):
    found = analyse(with_lead_off(excerpt, from_s=200, to_s=430, others=0.0), model)
    assert found.lead_names == ("II",)
    assert not found.replaced
    assert not found.quality.usable[21:42].any()


def test_leads_that_are_read_together_or_chosen_by_a_reader_have_none_to_replace_them(excerpt):
    four = record_of(excerpt, **dict.fromkeys(("I", "II", "V1", "V5"), excerpt[:500]))
    assert other_leads(four, (1,), "auto") == (0, 2, 3)
    assert other_leads(four, (1,), "ii") == other_leads(four, (0, 1), "auto") == other_leads(four, (0,), "first") == ()
    assert other_leads(record_of(excerpt, I=excerpt[:500], II=excerpt[:500]), (1,), "auto") == ()


def test_a_further_lead_counts_where_none_before_it_can_be_analysed_and_beside():
    score = np.array([[0.9, 0.9, 0.9, 0.1, 0.0, 0.5, 0.9], [0.8, 0.8, 0.8, 0.8, 0.1, 0.8, 0.8], [0.7] * 7], np.float32)
    kept = only_where_needed(score, 1)
    np.testing.assert_array_equal(kept[0], score[0])
    np.testing.assert_array_equal(kept[1] > 0, [0, 0, 1, 1, 1, 1, 0])
    np.testing.assert_array_equal(kept[2] > 0, [0, 0, 0, 1, 1, 1, 0])
    np.testing.assert_array_equal(only_where_needed(score, 3), score)


def test_quality_falls_with_noise_until_nothing_is_usable(excerpt, model):
    def quality(size):
        raw = (0.0 if size > 50 else 1.0) * excerpt[: 120 * FS_HZ] + noise(120 * FS_HZ, size)
        return analyse(in_memory(raw.astype(np.float32), FS_HZ), model).quality

    score = [quality(size).score.mean() for size in (0.0, 0.2, 0.8)]
    assert (np.diff(score) < 0).all()
    assert quality(0.0).usable.all()
    assert quality(100.0).usable.mean() < 0.2  # noise alone
