"""The loss of some crops: detection, first guess, morphology and class of their beats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, pad

from ..classifier.detection import pick_beats
from ..classifier.features import beat_frames, rr_features
from ..classifier.network import BeatNetwork
from ..labels import MATCH_WINDOW_S, NO_BEAT, UNLABELLED
from ..schema import Float32, ModelSpec
from ..signals.filters import FS_HZ
from .augmentation import Crop
from .plan import FitPlan
from .preparation import intervals_s
from .waveforms import NORMAL

TRAINING_SEQUENCE_BEATS = 128  # the BiLSTM learns fastest on many short sequences, all of one length


@dataclass(frozen=True, eq=False)
class DescribedCrop:
    """The beats of one crop as the network describes them."""

    described: Tensor  # (n_beats, hidden_size)
    rr: Tensor  # (n_beats, N_RR_FEATURES)
    normal_logit: Tensor  # (n_beats,), the first guess
    code: Tensor  # (n_beats,)
    in_af: Tensor  # (n_beats,)


def crop_loss(
    model: BeatNetwork,
    crops: Sequence[Crop],
    *,
    spec: ModelSpec,
    plan: FitPlan,
    class_weight: Tensor,
    rng: np.random.Generator,
) -> Tensor:
    """The weighted sum of all parts, a scalar.

    Parameters
    ----------
    class_weight
        Shape (N_OUTPUTS,), on the network's device.

    """
    frames, heatmap_logit = crop_frames(model, crops, device=class_weight.device)
    found = torch.sigmoid(heatmap_logit.detach()).cpu().numpy()
    filled = [
        with_false_beats(crop, heatmap, spec=spec, plan=plan, rng=rng)
        for crop, heatmap in zip(crops, found, strict=True)
    ]
    described = describe_crops(model, frames, filled, spec=spec, plan=plan, rng=rng)
    first_guess = first_guess_loss(described)
    morphology = morphology_loss(model, described, class_weight=class_weight)
    return (
        sequence_loss(model, described, class_weight=class_weight, af_weight=plan.fibrillation_weight)
        + plan.morphology_weight * morphology
        + plan.detection_weight * detection_loss(heatmap_logit, crops)
        + plan.first_guess_weight * first_guess
    )


def crop_frames(model: BeatNetwork, crops: Sequence[Crop], *, device: torch.device) -> tuple[Tensor, Tensor]:
    """Frames (n_crops, channels, n_frames), and logits of a beat at each (n_crops, n_frames)."""
    strips = torch.from_numpy(np.stack([crop.signal for crop in crops])).to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=_has_bfloat16(device)):
        frames, heatmap_logit = model.frames(strips)
    return frames.float(), heatmap_logit.float()


def with_false_beats(
    crop: Crop, beat_heatmap: Float32, *, spec: ModelSpec, plan: FitPlan, rng: np.random.Generator
) -> Crop:
    """A crop with the beats that the detector finds where there are none, so that the sequence learns to reject noise.

    Not in every crop: inference classifies a second time when noise was dropped, and then hardly any is left.
    """
    if rng.random() >= plan.false_beats_probability:
        return crop
    found = spec.stride * pick_beats(beat_heatmap, threshold=plan.false_beat_threshold, frame_s=spec.stride / FS_HZ)
    at = np.searchsorted(crop.position, found)
    padded = np.concatenate(([-np.inf], crop.position, [np.inf]))
    false = found[np.minimum(found - padded[at], padded[at + 1] - found) > MATCH_WINDOW_S * FS_HZ]
    at = np.searchsorted(crop.position, false)
    return replace(
        crop,
        position=np.insert(crop.position, at, false),
        code=np.insert(crop.code, at, NO_BEAT),
        in_af=np.insert(crop.in_af, at, UNLABELLED),
    )


def describe_crops(
    model: BeatNetwork,
    frames: Tensor,
    crops: Sequence[Crop],
    *,
    spec: ModelSpec,
    plan: FitPlan,
    rng: np.random.Generator,
) -> list[DescribedCrop]:
    """Describe the beats of each crop; in some crops without RR, so that morphology has to suffice."""
    device = frames.device
    counts = [len(crop.position) for crop in crops]
    strip = torch.repeat_interleave(torch.arange(len(crops)), torch.tensor(counts)).to(device)
    index = np.concatenate([beat_frames(crop.position, spec, frames.shape[2]) for crop in crops])
    tokens, _ = model.tokens(frames, strip, torch.from_numpy(index).to(device))  # one gather: its gradient is slow
    result = []
    for crop, crop_tokens in zip(crops, torch.split(tokens, counts), strict=True):
        rr = torch.from_numpy(rr_features(intervals_s(crop.position))).to(device)
        if rng.random() < plan.no_rr_probability:
            rr = torch.zeros_like(rr)
        described, normal_logit = model.describe(crop_tokens, rr)
        code, in_af = (torch.from_numpy(codes).to(device) for codes in (crop.code, crop.in_af))
        result.append(DescribedCrop(described, rr, normal_logit, code, in_af))
    return result


def detection_loss(heatmap_logit: Tensor, crops: Sequence[Crop]) -> Tensor:
    """Cross-entropy of the beat probability map (n_crops, n_frames) and its target, a scalar."""
    target = torch.from_numpy(np.stack([crop.target_heatmap for crop in crops])).to(heatmap_logit.device)
    return binary_cross_entropy_with_logits(heatmap_logit, target)


def first_guess_loss(crops: Sequence[DescribedCrop]) -> Tensor:
    """Cross-entropy of the first guess which beats are normal, the mean over the crops, a scalar."""
    total = crops[0].described.new_zeros(())
    for crop in crops:
        known = crop.code != UNLABELLED
        if known.any():
            target = (crop.code[known] == NORMAL).float()
            total = total + binary_cross_entropy_with_logits(crop.normal_logit[known], target) / len(crops)
    return total


def morphology_loss(model: BeatNetwork, crops: Sequence[DescribedCrop], *, class_weight: Tensor) -> Tensor:
    """Cross-entropy of the class by morphology alone, over the beats of all crops, a scalar."""
    logits = torch.cat([model.shape(crop.described) for crop in crops])
    code = torch.cat([crop.code for crop in crops])
    return cross_entropy(logits, code, weight=class_weight, ignore_index=UNLABELLED)


def sequence_loss(
    model: BeatNetwork, crops: Sequence[DescribedCrop], *, class_weight: Tensor, af_weight: float
) -> Tensor:
    """Cross-entropy of the class by the whole network, over all sequences of all crops, a scalar.

    And of atrial fibrillation, times ``af_weight``, where the network finds it.
    """
    parts = [cut_sequence(crop, start=start) for crop in crops for start in sequence_starts(len(crop.code))]
    described, rr, code, in_af = (torch.stack(column) for column in zip(*parts, strict=True))
    logits, af_logit = model.classify(described, rr)
    loss = cross_entropy(logits.flatten(0, 1), code.flatten(), weight=class_weight, ignore_index=UNLABELLED)
    known = in_af != UNLABELLED
    if af_logit is None or not known.any():
        return loss
    return loss + af_weight * binary_cross_entropy_with_logits(af_logit[known], in_af[known].float())


def sequence_starts(n_beats: int) -> list[int]:
    """First beats of the sequences that cover a crop: all of the same length, overlapping where they have to."""
    n_sequences = -(-n_beats // TRAINING_SEQUENCE_BEATS)
    starts = np.linspace(0, max(0, n_beats - TRAINING_SEQUENCE_BEATS), n_sequences).round()
    return [int(start) for start in starts]


def cut_sequence(crop: DescribedCrop, *, start: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A sequence of TRAINING_SEQUENCE_BEATS beats; a shorter crop is filled up with unlabelled beats of zeros."""
    kept = slice(start, start + TRAINING_SEQUENCE_BEATS)
    missing = max(0, TRAINING_SEQUENCE_BEATS - len(crop.code))
    return (
        pad(crop.described[kept], (0, 0, 0, missing)),
        pad(crop.rr[kept], (0, 0, 0, missing)),
        pad(crop.code[kept], (0, missing), value=UNLABELLED),
        pad(crop.in_af[kept], (0, missing), value=UNLABELLED),
    )


def _has_bfloat16(device: torch.device) -> bool:
    """Whether half-precision convolutions are faster here: processors that emulate them are far slower."""
    return device.type == "cuda" or bool(torch.cpu._is_avx512_bf16_supported())
