"""The one loop that fits the network: to a source database, or on to another recorder."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.ndimage import uniform_filter1d
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, pad
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..classifier.detection import pick_beats
from ..classifier.features import DISORDER, beat_frames, rr_features
from ..classifier.network import N_OUTPUTS, BeatNetwork
from ..errors import RecordError
from ..labels import CLASSES, NO_BEAT, UNLABELLED, Codes, class_codes
from ..schema import Float32, Float64, ModelSpec, Record
from ..signals.filters import FS_HZ, clean_leads, normalised
from .augmentation import (
    ECTOPIC_ATRIAL,
    NORMAL,
    SAME_BEAT_S,
    Crop,
    Material,
    TrainingRecord,
    draw_crop,
    gather_material,
)

AVERAGE_DECAY = 0.995  # the weights served are a moving average over some 200 steps
SETTLING_BATCHES = 60
TRAINING_SEQUENCE_BEATS = 128  # the BiLSTM learns on pieces this long: many short ones, all alike, are fastest
FALSE_HEAT, FALSE_SHARE = 0.2, 0.7  # what the detector finds from this heat on, in this share of the crops
DOUBTFUL_DISORDER, DOUBTFUL_SHARE, DOUBTFUL_BEATS = 0.5, 0.15, 61  # see ``without_doubtful``
FITTED_BY = (
    "training/augmentation.py",
    "training/fit.py",
    "classifier/network.py",
    "classifier/features.py",
)  # see ``_task``
MIN_RR_S = 0.05  # scattered marks may fall on each other


@dataclass(frozen=True)
class FitPlan:
    """How long and how hard to fit."""

    steps: int
    crops: int = 8  # records a step
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    class_power: float = 0.35  # classes are weighted by their frequency to the minus this
    heat_weight: float = 4.0
    first_look_weight: float = 0.3
    shape_weight: float = 0.3
    no_rhythm_share: float = 0.1  # of the crops, where the network has to do without RR
    seed: int = 0
    checkpoint_steps: int = 200


def prepare_record(record: Record, name: str, *, marks: tuple[Float64, Codes] | None = None) -> TrainingRecord:
    """Read a whole record and clean it as inference does.

    Parameters
    ----------
    marks
        Positions of its beats in samples at 125 Hz, and their codes; by default those of the reference annotations.

    """
    raw = record.source.read(0, record.n_samples, tuple(range(len(record.lead_names))))
    clean = clean_leads(raw, record.fs_hz)
    position, code = marks or reference_marks(record)
    return TrainingRecord(name, normalised(clean), clean.valid, position, without_doubtful(position, code))


def reference_marks(record: Record) -> tuple[Float64, Codes]:
    """Positions in samples at 125 Hz, and codes, of the beats that the reference annotations name."""
    if record.reference is None:
        raise RecordError(
            f"{record.record_id}: there is no reference annotation file ({record.record_id}.atr) beside it, so nothing "
            "can be learned from its beats; add it, or leave this record out."
        )
    code = class_codes(record.reference.symbol)
    is_beat = code != UNLABELLED
    return record.reference.time_s[is_beat] * FS_HZ, code[is_beat]


def without_doubtful(position: Float64, code: Codes) -> Codes:
    """The codes without those of supraventricular beats here and there in a rhythm without order.

    There is nothing to be premature to in fibrillation; the databases call some of its early beats S and others N.
    """
    disorder = rr_features(_intervals_s(position))[:, DISORDER]
    share = uniform_filter1d((code == ECTOPIC_ATRIAL).astype(np.float64), DOUBTFUL_BEATS)
    doubtful = (code == ECTOPIC_ATRIAL) & (disorder > DOUBTFUL_DISORDER) & (share < DOUBTFUL_SHARE)
    return np.where(doubtful, UNLABELLED, code)


def crop_loss(
    model: BeatNetwork,
    crops: Sequence[Crop],
    spec: ModelSpec,
    plan: FitPlan,
    weight: Tensor,
    rng: np.random.Generator,
) -> Tensor:
    """Detection, first look, shape and class of every beat of the crops, as one loss."""
    device = weight.device
    strips = torch.from_numpy(np.stack([crop.signal for crop in crops])).to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=_has_bfloat16(device)):
        frames, heat_logit = model.frames(strips)
    frames, heat_logit = frames.float(), heat_logit.float()
    heat = torch.from_numpy(np.stack([crop.heat for crop in crops])).to(device)
    found = torch.sigmoid(heat_logit.detach()).cpu().numpy()
    crops = [with_false_beats(crop, hot, spec, rng) for crop, hot in zip(crops, found, strict=True)]
    counts = [len(crop.position) for crop in crops]
    strip = torch.repeat_interleave(torch.arange(len(crops)), torch.tensor(counts)).to(device)
    index = np.concatenate([beat_frames(crop.position, spec, frames.shape[2]) for crop in crops])
    tokens, _ = model.tokens(frames, strip, torch.from_numpy(index).to(device))  # one gather: its gradient is dear
    shapes: list[Tensor] = []
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    first_look = frames.new_zeros(())
    for crop, own in zip(crops, torch.split(tokens, counts), strict=True):
        rr = torch.from_numpy(rr_features(_intervals_s(crop.position))).to(device)
        if rng.random() < plan.no_rhythm_share:
            rr = torch.zeros_like(rr)
        described, normal = model.describe(own, rr)
        code = torch.from_numpy(crop.code).to(device)
        known = code != UNLABELLED
        if known.any():
            truth = (code[known] == NORMAL).float()
            first_look = first_look + binary_cross_entropy_with_logits(normal[known], truth) / len(crops)
        shapes.append(model.shape(described))
        parts += [_sequence(described, rr, code, start) for start in _starts(len(code))]
    described, rr, code = (torch.stack(column) for column in zip(*parts, strict=True))
    logits = model.classify(described, rr)
    told = torch.cat([torch.from_numpy(crop.code) for crop in crops]).to(device)
    return (
        cross_entropy(logits.flatten(0, 1), code.flatten(), weight=weight, ignore_index=UNLABELLED)
        + plan.shape_weight * cross_entropy(torch.cat(shapes), told, weight=weight, ignore_index=UNLABELLED)
        + plan.heat_weight * binary_cross_entropy_with_logits(heat_logit, heat)
        + plan.first_look_weight * first_look
    )


def _starts(n_beats: int) -> list[int]:
    """Where the sequences of a crop begin that cover its beats: all of the same length, overlapping where need be."""
    n_sequences = -(-n_beats // TRAINING_SEQUENCE_BEATS)
    return np.linspace(0, max(0, n_beats - TRAINING_SEQUENCE_BEATS), n_sequences).round().astype(int).tolist()


def _sequence(described: Tensor, rr: Tensor, code: Tensor, start: int) -> tuple[Tensor, Tensor, Tensor]:
    """A sequence of beats, with nothing to learn at its end where the crop holds too few."""
    kept = slice(start, start + TRAINING_SEQUENCE_BEATS)
    missing = max(0, TRAINING_SEQUENCE_BEATS - len(code))
    return (
        pad(described[kept], (0, 0, 0, missing)),
        pad(rr[kept], (0, 0, 0, missing)),
        pad(code[kept], (0, missing), value=UNLABELLED),
    )


def with_false_beats(crop: Crop, heat: Float32, spec: ModelSpec, rng: np.random.Generator) -> Crop:
    """A crop with what the detector takes for beats where none is: so the sequence learns to tell noise from beats.

    Not always: what is judged a second time holds hardly any.
    """
    if rng.random() >= FALSE_SHARE:
        return crop
    found = spec.stride * pick_beats(heat, threshold=FALSE_HEAT, frame_s=spec.stride / FS_HZ)
    at = np.searchsorted(crop.position, found)
    padded = np.concatenate(([-np.inf], crop.position, [np.inf]))
    false = found[np.minimum(found - padded[at], padded[at + 1] - found) > SAME_BEAT_S * FS_HZ]
    at = np.searchsorted(crop.position, false)
    return replace(crop, position=np.insert(crop.position, at, false), code=np.insert(crop.code, at, NO_BEAT))


def _intervals_s(position: Float64) -> Float64:
    """RR to the beat before, NaN at the first."""
    return np.maximum(np.diff(position, prepend=np.nan) / FS_HZ, MIN_RR_S)


def _has_bfloat16(device: torch.device) -> bool:
    """Whether half-precision convolutions are faster here: on processors that only imitate them they are far slower."""
    return device.type == "cuda" or bool(torch.cpu._is_avx512_bf16_supported())


def class_weight(records: Sequence[TrainingRecord], power: float) -> Tensor:
    """Weight of each class, its frequency to the power of ``-power``; very rare classes share a floor."""
    code = np.concatenate([record.code for record in records])
    count = np.bincount(code[code != UNLABELLED], minlength=len(CLASSES))
    frequency = np.maximum(count / count.sum(), 0.03)
    weight = np.ones(N_OUTPUTS)  # noise that is taken for beats weighs as the most frequent class
    weight[: len(CLASSES)] = (frequency.max() / frequency) ** power
    return torch.from_numpy(weight).float()


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

    Goes on from ``checkpoint`` where it left off, with the same random numbers, if that file is of the same plan,
    code, records and weights to begin with.

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
    material = gather_material(records, noise)
    task = _task(model, records, plan)
    start = _resume(checkpoint, model, averaged, optimiser, task)
    model.train()
    losses: list[float] = []
    began = time.monotonic()
    for step in range(start, plan.steps):
        rng = np.random.default_rng((plan.seed, step))
        torch.manual_seed(plan.seed * 1_000_003 + step)
        chosen = rng.permutation(len(records))[: plan.crops]
        crops = [draw_crop(records[i], material, spec, rng) for i in chosen]
        crops = [crop for crop in crops if len(crop.position)]
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, plan)
        optimiser.zero_grad()
        loss = crop_loss(model, crops, spec, plan, weight, rng)
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
            _save(checkpoint, model, averaged, optimiser, task, step + 1)
    result = averaged.module
    assert isinstance(result, BeatNetwork)  # noqa: S101  # for the type checker: it wraps what it was given
    settle_batch_norm(result, records, material, spec, plan)
    return result.eval()


@torch.no_grad()
def settle_batch_norm(
    model: BeatNetwork, records: Sequence[TrainingRecord], material: Material, spec: ModelSpec, plan: FitPlan
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
        signal = np.stack([draw_crop(records[i], material, spec, rng).signal for i in chosen])
        model.frames(torch.from_numpy(signal).to(device))


def _task(model: nn.Module, records: Sequence[TrainingRecord], plan: FitPlan) -> dict[str, Any]:
    """What a checkpoint belongs to: the plan, the code, the weights it began with, and the records."""
    digest = hashlib.sha256()
    for name in FITTED_BY:
        digest.update((Path(__file__).parents[1] / name).read_bytes())
    for weight in model.state_dict().values():
        digest.update(weight.cpu().numpy().tobytes())
    for record in records:
        digest.update(record.name.encode() + record.code.tobytes())
    return {**asdict(plan), "start": digest.hexdigest()}


def _save(
    path: Path,
    model: nn.Module,
    averaged: nn.Module,
    optimiser: torch.optim.Optimizer,
    task: dict[str, Any],
    step: int,
) -> None:
    state = {
        "task": task,
        "step": step,
        "model": model.state_dict(),
        "averaged": averaged.state_dict(),
        "optimiser": optimiser.state_dict(),
    }
    half = path.with_suffix(".part")
    torch.save(state, half)
    half.replace(path)


def _resume(
    path: Path | None,
    model: nn.Module,
    averaged: nn.Module,
    optimiser: torch.optim.Optimizer,
    task: dict[str, Any],
) -> int:
    if path is None or not path.is_file():
        return 0
    state = torch.load(path, weights_only=True)
    if state["task"] != task:
        return 0
    model.load_state_dict(state["model"])
    averaged.load_state_dict(state["averaged"])
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"])
