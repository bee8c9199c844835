"""Which leads of a record are analysed."""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np

from ..errors import LeadError
from ..parallel import parallel_map
from ..records import lead_index
from ..records.stored_leads import SUMS as LIMB_SUMS
from ..schema import Bool, Float32, Record
from ..signals.filters import CleanLeads, clean_leads, normalised
from ..signals.quality import block_scores
from .encoder import encode
from .model import Model

AUTO, ALL, FIRST = "auto", "all", "first"
FUSED_LEADS = 3  # so many are read together where nothing else is asked for: a Holter recorder has no more
RHYTHM_LEADS = ("II", "MLII")  # where P waves are upright and tall: chosen among leads of like quality
LIKE_QUALITY = 0.05
# Limb leads by I and II (Goldberger 1942, doi:10.1016/S0002-8703(42)90129-X): they show nothing of their own.
SUMS: Final = {name.upper(): factors for name, factors in LIMB_SUMS.items()}
MOST_LEFT = 0.05  # of such a lead's amplitude: more differs from the sum than rounding and the recorder explain
SEARCHED_S = 600.0  # read at a time where a lead is looked for in the whole record
SAMPLES, SAMPLE_S = 8, 60.0  # quality of a lead is measured on so many stretches across the record


def choose_leads(record: Record, model: Model, lead: str = AUTO) -> tuple[int, ...]:
    """Positions of the leads to analyse.

    Parameters
    ----------
    lead
        A lead's name, ``all``, ``first``, or ``auto``: all of up to three leads that hold a signal, of more leads the
        single one of best quality in a few minutes; see ``other_leads`` for where it fails. ``all`` and ``auto`` leave
        out limb leads that are sums of I and II.

    Raises
    ------
    LeadError
        The record has no lead of this name, or none of its leads holds a signal.

    """
    names = [name.upper() for name in record.lead_names]
    if lead == FIRST:
        return (0,)
    if lead not in (ALL, AUTO):
        return (lead_index(record, lead),)
    if lead == ALL and not _may_be_sums(names):
        return tuple(range(len(names)))
    stretches = _sampled(record) if len(names) > FUSED_LEADS or _may_be_sums(names) else []
    sums = _sums_of_others(names, stretches)
    if lead == ALL:
        return tuple(np.flatnonzero(~sums).tolist())
    alive = np.flatnonzero(_holding_a_signal(record, stretches) & ~sums)
    if not len(alive):
        raise LeadError(
            f"{record.record_id}: no lead holds a signal (all are flat or missing); check the recording.",
            settings=("lead",),
        )
    if len(alive) <= FUSED_LEADS:
        return tuple(alive.tolist())
    score = np.mean(list(parallel_map(partial(_quality, model), stretches)), axis=0)
    like = np.flatnonzero(score >= score.max() - LIKE_QUALITY)
    preferred = [i for i in like if names[i] in RHYTHM_LEADS]
    return (int(preferred[0] if preferred else score.argmax()),)


def other_leads(record: Record, leads: tuple[int, ...], lead: str) -> tuple[int, ...]:
    """The leads that may replace those that ``choose_leads`` chose, where these cannot be analysed.

    Sums of I and II are among them: noise of one electrode may leave one of these clean. There are none where all
    leads are read together that hold a signal, or where a reader chose the lead.
    """
    n_leads = len(record.lead_names)
    if lead != AUTO or n_leads <= FUSED_LEADS or len(leads) > 1:
        return ()
    return tuple(at for at in range(n_leads) if at not in leads)


def _may_be_sums(names: list[str]) -> list[int]:
    """Positions of the leads that are sums of I and II by their names."""
    return [at for at, name in enumerate(names) if name in SUMS] if {"I", "II"} <= set(names) else []


def _sums_of_others(names: list[str], stretches: list[CleanLeads]) -> Bool:
    """Which leads are sums of I and II, as Einthoven and Goldberger define them, in these stretches too; (n_leads,)."""
    found = np.zeros(len(names), dtype=bool)
    for lead in _may_be_sums(names):
        two, of_all, left = [names.index("I"), names.index("II")], 0.0, 0.0
        for clean in stretches:
            known = clean.valid[[*two, lead]].all(axis=0)
            signal = clean.signal_mv[lead, known]
            of_all += float((signal**2).sum())
            left += float(((signal - np.array(SUMS[names[lead]]) @ clean.signal_mv[two][:, known]) ** 2).sum())
        found[lead] = left < MOST_LEFT**2 * of_all
    return found


def _sampled(record: Record) -> list[CleanLeads]:
    """A few stretches of all leads from across a record."""
    n = round(min(SAMPLE_S, record.duration_s) * record.fs_hz)

    def clean(start: int) -> CleanLeads:
        return clean_leads(record.source.read(start, start + n, tuple(range(len(record.lead_names)))), record.fs_hz)

    starts = np.unique(np.linspace(0, record.n_samples - n, SAMPLES).astype(int)).tolist()
    return list(parallel_map(clean, starts))


def _holding_a_signal(record: Record, stretches: list[CleanLeads]) -> Bool:
    """Which leads hold a signal; those of which the stretches show none are looked for in the whole record."""
    alive = np.zeros(len(record.lead_names), dtype=bool)
    for clean in stretches:
        alive |= clean.valid.any(axis=1)
    n = round(SEARCHED_S * record.fs_hz)
    for first in range(0, record.n_samples, n):
        dead = tuple(np.flatnonzero(~alive).tolist())
        if not dead:
            break
        signal = record.source.read(first, min(first + n, record.n_samples), dead)
        alive[list(dead)] = clean_leads(signal, record.fs_hz).valid.any(axis=1)
    return alive


def _quality(model: Model, clean: CleanLeads) -> Float32:
    """Mean quality of each lead of a stretch, shape (n_leads,)."""
    heatmap = encode(model, normalised(clean)).beat_heatmap
    score = block_scores(clean.valid, heatmap, slice(0, clean.valid.shape[1]), model.spec.stride)
    return np.asarray(score.mean(axis=1))
