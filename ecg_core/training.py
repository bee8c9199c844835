"""The one loop that fits the network: to a source database, or on to another recorder."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torch.nn.utils.rnn import pad_sequence
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from .labels import AAMI_OF_SYMBOL, CLASSES
from .network import BeatNetwork
from .schema import Float32, Float64, ModelSpec, Record
from .signals import FS_HZ, clean_leads, normalise
from .windows import beat_frames, rr_features

CROP_S = 240.0  # long enough to know the patient's normal beat, short enough for many patients a step
AVERAGE_DECAY = 0.995  # the weights served are a moving average over some 200 steps

SETTLING_BATCHES = 60

SEQUENCE_BEATS = 128  # the BiLSTM learns on pieces this long: many short ones are faster than a few long ones
MAX_STRETCH = 1.12  # the heart is made slower or faster by up to this factor

BUMP_FRAMES = 1.2  # width (one standard deviation) of the heat around a beat
JITTER_SAMPLES = 2.0  # the detector's own scatter around the reference mark
MISSED_SHARE, EXTRA_SHARE = 0.01, 0.015  # beats that a detector misses and invents
MIN_RR_S = 0.05  # scattered marks may fall on each other
NORMAL = CLASSES.index("N")
ARTEFACT = CLASSES.index("Q")  # what is no beat is unclassifiable
NO_BEAT = -100  # padding


@dataclass(frozen=True, eq=False)
class TrainingRecord:
    """A record ready for training."""

    name: str
    signal: Float32  # (n_leads, n) at 125 Hz, clean, in units of each lead's usual amplitude
    valid: NDArray[np.bool_]  # (n_leads, n)
    position: Float64  # (n_beats,), in samples at 125 Hz
    code: NDArray[np.int64]  # (n_beats,), index into CLASSES


@dataclass(frozen=True)
class FitPlan:
    """How long and how hard to fit."""

    steps: int
    crops: int = 6  # records a step
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    class_power: float = 0.5  # classes are weighted by their frequency to the minus this
    heat_weight: float = 4.0
    first_look_weight: float = 0.3
    seed: int = 0
    checkpoint_steps: int = 200


def prepare_record(record: Record, name: str) -> TrainingRecord:
    """Read a whole record with reference annotations and clean it as inference does."""
    if record.reference is None:
        raise ValueError(f"{name} has no reference annotations")
    raw = record.source.read(0, record.n_samples, tuple(range(len(record.lead_names))))
    clean = clean_leads(raw, record.fs_hz)
    signal = np.stack([normalise(lead, ok) for lead, ok in zip(clean.signal_mv, clean.valid, strict=True)])
    is_beat = np.isin(record.reference.symbol, list(AAMI_OF_SYMBOL))
    code = [CLASSES.index(AAMI_OF_SYMBOL[symbol]) for symbol in record.reference.symbol[is_beat]]
    position = record.reference.time_s[is_beat] * FS_HZ
    return TrainingRecord(name, signal, clean.valid, position, np.array(code, dtype=np.int64))


@dataclass(frozen=True, eq=False)
class Crop:
    """A piece of one lead of one record as the network sees it in training."""

    signal: Float32  # (n,)
    heat: Float32  # (n_frames,)
    position: Float64  # (n_beats,)
    code: NDArray[np.int64]  # (n_beats,)


def draw_crop(record: TrainingRecord, noise: Float32, spec: ModelSpec, rng: np.random.Generator) -> Crop:
    """A random piece of a record, changed as other recorders, leads and days would change it."""
    length = int(CROP_S * FS_HZ)
    drawn = int(length * MAX_STRETCH) + 2
    first = int(rng.integers(0, max(1, record.signal.shape[1] - drawn)))
    piece = slice(first, first + drawn)
    signal, valid = _mix_leads(record.signal[:, piece], record.valid[:, piece], rng)
    signal = _change_band(signal, rng)
    if rng.random() < 0.5:
        signal = _add_noise(signal, noise, rng)
    factor = rng.uniform(1 / MAX_STRETCH, MAX_STRETCH)  # a slower or faster heart, and another sampling grid
    source = np.arange(length) * factor
    signal = np.interp(source, np.arange(len(signal)), normalise(signal, valid)).astype(np.float32)
    position = (record.position - first) / factor
    inside = (position >= 0) & (position < length)
    position, code = position[inside], record.code[inside]
    heat = beat_heat(position, spec, -(-length // spec.stride))
    return Crop(signal, heat, *_disturb_detection(position, code, length, rng))


def beat_heat(position: Float64, spec: ModelSpec, n_frames: int) -> Float32:
    """The heat that the network is to give: a Gaussian bump around each beat, shape (n_frames,)."""
    if not len(position):
        return np.zeros(n_frames, dtype=np.float32)
    frame = np.arange(n_frames)
    place = position / spec.stride
    after = np.clip(np.searchsorted(place, frame), 1, max(1, len(place) - 1))
    distance = np.minimum(np.abs(frame - place[after - 1]), np.abs(frame - place[np.minimum(after, len(place) - 1)]))
    return np.exp(-0.5 * (distance / BUMP_FRAMES) ** 2).astype(np.float32)


def _mix_leads(
    signal: Float32, valid: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[Float32, NDArray[np.bool_]]:
    """One of the leads, or a new lead in between: the heart seen from another side; sometimes upside down."""
    order = rng.permutation(len(signal))
    one, other = order[0], order[-1]
    mixed = signal[one].copy()
    seen = valid[one]
    if one != other and rng.random() < 0.35:
        mixed += np.float32(rng.uniform(-0.8, 0.8)) * signal[other]
        seen = seen & valid[other]
    if rng.random() < 0.15:
        mixed = -mixed
    return mixed, seen


def _change_band(signal: Float32, rng: np.random.Generator) -> Float32:
    """Another recorder's bandwidth."""
    if rng.random() < 0.3:
        low = butter(2, rng.uniform(15, 38), "lowpass", fs=FS_HZ, output="sos")
        signal = sosfiltfilt(low, signal).astype(np.float32)
    if rng.random() < 0.3:
        high = butter(1, rng.uniform(0.5, 1.2), "highpass", fs=FS_HZ, output="sos")
        signal = sosfiltfilt(high, signal).astype(np.float32)
    return signal


def _add_noise(signal: Float32, noise: Float32, rng: np.random.Generator) -> Float32:
    """Recorded noise at a signal-to-noise ratio between -3 and 24 dB, louder and softer over time."""
    channel = noise[rng.integers(len(noise))]
    first = int(rng.integers(0, len(channel) - len(signal)))
    piece = channel[first : first + len(signal)] * rng.choice([-1.0, 1.0])
    knots = rng.uniform(0, 1, 9) ** 2
    loudness = np.interp(np.linspace(0, 8, len(signal)), np.arange(9), knots / knots.max())
    # nstdb's own measure: signal power is the squared peak-to-peak of a QRS over 8
    amplitude = np.sqrt(1 / 8 / 10 ** (rng.uniform(-3, 24) / 10))
    scaled = piece / max(float(np.std(piece)), 1e-6) * amplitude
    return (signal + scaled * loudness).astype(np.float32)


def _disturb_detection(
    position: Float64, code: NDArray[np.int64], n: int, rng: np.random.Generator
) -> tuple[Float64, NDArray[np.int64]]:
    """Positions as a detector would give them: scattered, a few missed, a few where no beat is."""
    kept = rng.random(len(position)) >= MISSED_SHARE
    position, code = position[kept], code[kept]
    position = position + rng.normal(0, JITTER_SAMPLES, len(position))
    extra = rng.uniform(0, n, rng.binomial(max(1, len(position)), EXTRA_SHARE))
    gap = np.abs(extra[:, None] - position).min(axis=1, initial=np.inf)
    extra = extra[gap > 0.15 * FS_HZ]
    merged = np.concatenate([position, extra])
    order = np.argsort(merged, kind="stable")
    codes = np.concatenate([code, np.full(len(extra), ARTEFACT)])
    return np.clip(merged, 0, n - 1)[order], codes[order]


def crop_loss(model: BeatNetwork, crops: Sequence[Crop], spec: ModelSpec, plan: FitPlan, weight: Tensor) -> Tensor:
    """Detection, first look and class of every beat of the crops, as one loss."""
    device = weight.device
    frames, heat_logit = model.frames(torch.from_numpy(np.stack([crop.signal for crop in crops])).to(device))
    heat = torch.from_numpy(np.stack([crop.heat for crop in crops])).to(device)
    parts: list[tuple[Tensor, Tensor]] = []
    first_look = frames.new_zeros(())
    for row, crop in enumerate(crops):
        index = torch.from_numpy(beat_frames(crop.position, spec, frames.shape[2])).to(device)
        tokens, _ = model.tokens(frames, torch.full((len(index),), row, device=device), index)
        interval = np.maximum(np.diff(crop.position, prepend=np.nan) / FS_HZ, MIN_RR_S)
        rr = torch.from_numpy(rr_features(interval)).to(device)
        described, normal = model.describe(tokens, rr)
        code = torch.from_numpy(crop.code).to(device)
        first_look = first_look + binary_cross_entropy_with_logits(normal, (code == NORMAL).float()) / len(crops)
        parts += zip(torch.split(described, SEQUENCE_BEATS), torch.split(code, SEQUENCE_BEATS), strict=True)
    length = torch.tensor([len(part) for part, _ in parts])
    logits = model.classify(pad_sequence([part for part, _ in parts], batch_first=True), length)
    code = pad_sequence([part for _, part in parts], batch_first=True, padding_value=NO_BEAT)
    return (
        cross_entropy(logits.flatten(0, 1), code.flatten(), weight=weight, ignore_index=NO_BEAT)
        + plan.heat_weight * binary_cross_entropy_with_logits(heat_logit, heat)
        + plan.first_look_weight * first_look
    )


def class_weight(records: Sequence[TrainingRecord], power: float) -> Tensor:
    """Weight of each class, its frequency to the power of ``-power``; very rare classes share a floor."""
    count = np.bincount(np.concatenate([record.code for record in records]), minlength=len(CLASSES))
    frequency = np.maximum(count / count.sum(), 0.03)
    return torch.from_numpy((frequency.max() / frequency) ** power).float()


def learning_rate(step: int, plan: FitPlan) -> float:
    """Linear warm-up over a twentieth, then half a cosine to zero."""
    warm = max(1, plan.steps // 20)
    if step < warm:
        return plan.learning_rate * (step + 1) / warm
    return plan.learning_rate * 0.5 * (1 + float(np.cos(np.pi * (step - warm) / max(1, plan.steps - warm))))


def fit(
    model: BeatNetwork,
    records: Sequence[TrainingRecord],
    noise: Float32,
    spec: ModelSpec,
    plan: FitPlan,
    *,
    checkpoint: Path | None = None,
    report: Callable[[int, float, float], None] = lambda step, loss, left_s: None,
) -> BeatNetwork:
    """Fit the network and return the moving average of its weights.

    Goes on from ``checkpoint`` where it left off if that file exists, with the same random numbers.

    Parameters
    ----------
    noise
        Recorded noise at 125 Hz, shape (n_channels, n).
    report
        Called every 20 steps with the step, the mean loss since the last call, and the seconds left.

    """
    device = next(model.parameters()).device
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(AVERAGE_DECAY))  # type: ignore[no-untyped-call]
    optimiser = torch.optim.AdamW(model.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay)
    weight = class_weight(records, plan.class_power).to(device)
    start = _resume(checkpoint, model, averaged, optimiser, plan)
    model.train()
    losses: list[float] = []
    began = time.monotonic()
    for step in range(start, plan.steps):
        rng = np.random.default_rng((plan.seed, step))
        torch.manual_seed(plan.seed * 1_000_003 + step)
        chosen = rng.permutation(len(records))[: plan.crops]
        crops = [draw_crop(records[i], noise, spec, rng) for i in chosen]
        crops = [crop for crop in crops if len(crop.position)]
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, plan)
        optimiser.zero_grad()
        loss = crop_loss(model, crops, spec, plan, weight)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimiser.step()
        averaged.update_parameters(model)
        losses.append(loss.item())
        if (step + 1) % 20 == 0 or step + 1 == plan.steps:
            left_s = (time.monotonic() - began) / (step + 1 - start) * (plan.steps - step - 1)
            report(step + 1, float(np.mean(losses)), left_s)
            losses.clear()
        if checkpoint and ((step + 1) % plan.checkpoint_steps == 0 or step + 1 == plan.steps):
            _save(checkpoint, model, averaged, optimiser, plan, step + 1)
    result = averaged.module
    assert isinstance(result, BeatNetwork)  # noqa: S101  # for the type checker: it wraps what it was given
    settle_batch_norm(result, records, noise, spec, plan)
    return result.eval()


@torch.no_grad()
def settle_batch_norm(
    model: BeatNetwork, records: Sequence[TrainingRecord], noise: Float32, spec: ModelSpec, plan: FitPlan
) -> None:
    """Measure the batch-norm statistics of averaged weights anew: averages of statistics are not theirs."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm1d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all batches
    model.train()
    rng = np.random.default_rng(plan.seed)
    device = next(model.parameters()).device
    for _ in range(SETTLING_BATCHES):
        chosen = rng.permutation(len(records))[: plan.crops]
        signal = np.stack([draw_crop(records[i], noise, spec, rng).signal for i in chosen])
        model.frames(torch.from_numpy(signal).to(device))


def _save(
    path: Path, model: nn.Module, averaged: nn.Module, optimiser: torch.optim.Optimizer, plan: FitPlan, step: int
) -> None:
    state = {
        "plan": asdict(plan),
        "step": step,
        "model": model.state_dict(),
        "averaged": averaged.state_dict(),
        "optimiser": optimiser.state_dict(),
    }
    half = path.with_suffix(".part")
    torch.save(state, half)
    half.replace(path)


def _resume(
    path: Path | None, model: nn.Module, averaged: nn.Module, optimiser: torch.optim.Optimizer, plan: FitPlan
) -> int:
    if path is None or not path.is_file():
        return 0
    state = torch.load(path, weights_only=True)
    if state["plan"] != asdict(plan):
        return 0
    model.load_state_dict(state["model"])
    averaged.load_state_dict(state["averaged"])
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"])
