"""The network: ResNet1D -> beats and soft attention around each -> the patient's own normal beat -> BiLSTM -> class."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..schema import ModelSpec
from .features import N_OUTPUTS, N_RR_FEATURES, frame_offsets
from .trees import BoostedTrees

DROPOUT = 0.3


class ResidualBlock(nn.Module):
    """Two convolutions and a short cut (He 2016, doi:10.1109/CVPR.2016.90), in one dimension."""

    def __init__(self, n_in: int, n_out: int, *, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        pad = dilation * (kernel // 2)
        self.conv1 = nn.Conv1d(n_in, n_out, kernel, stride, pad, dilation, bias=False)
        self.norm1 = nn.BatchNorm1d(n_out)
        self.conv2 = nn.Conv1d(n_out, n_out, kernel, 1, pad, dilation, bias=False)
        self.norm2 = nn.BatchNorm1d(n_out)
        same = n_in == n_out and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv1d(n_in, n_out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n_in, n) -> (batch, n_out, n / stride)."""
        y = torch.relu_(self.norm1(self.conv1(x)))
        return torch.relu_(self.norm2(self.conv2(y)).add_(self.shortcut(x)))


class TreeBuffers(nn.Module):
    """The second stage's trees among the network's weights, so that one file holds both."""

    feature: Tensor  # each as in ``BoostedTrees``
    threshold: Tensor
    left_open: Tensor
    value: Tensor

    def __init__(self, trees: BoostedTrees) -> None:
        super().__init__()
        for array in fields(BoostedTrees):
            self.register_buffer(array.name, torch.from_numpy(getattr(trees, array.name)))

    @property
    def boosted(self) -> BoostedTrees:
        """The trees, to be evaluated."""
        return BoostedTrees(**{array.name: getattr(self, array.name).numpy() for array in fields(BoostedTrees)})


class BeatNetwork(nn.Module):
    """One pass over a strip finds the beats and describes each by a token; a record's tokens are classified together.

    ``frames`` runs the trunk, ``tokens`` attends to the time steps around each beat, ``describe`` learns this patient's
    normal beat and compares each beat with it, ``classify`` reads the sequence of beats and RR. ``shape`` predicts the
    class from the description alone, in training only: so that a beat is described by its morphology and not by its
    prematurity, which the sequence adds.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        narrow, middle, wide = spec.channels
        self.stem = nn.Sequential(
            nn.Conv1d(1, spec.stem_channels, 11, 2, 5, bias=False),
            nn.BatchNorm1d(spec.stem_channels),
            nn.ReLU(inplace=True),
        )
        self.trunk = nn.Sequential(
            ResidualBlock(spec.stem_channels, narrow, kernel=7, stride=spec.stride // 2),
            ResidualBlock(narrow, narrow, kernel=7),
            ResidualBlock(narrow, middle, kernel=5),
            ResidualBlock(middle, middle, kernel=5, dilation=2),
            ResidualBlock(middle, wide, kernel=3, dilation=4),
            ResidualBlock(wide, wide, kernel=3, dilation=8),
        )
        n_steps = len(frame_offsets(spec))
        # The names of these attributes are the keys of the stored weights: a new name would orphan every model.
        self.heat = nn.Conv1d(wide, 1, 1)
        self.score = nn.Conv1d(wide, spec.heads, 1)
        self.position = nn.Parameter(torch.zeros(spec.heads, n_steps))
        self.token = nn.Sequential(nn.Linear(spec.heads * wide, spec.token_size), nn.LayerNorm(spec.token_size))
        self.first_look = nn.Sequential(
            nn.Linear(2 * spec.token_size + N_RR_FEATURES, 64), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(64, 1)
        )
        self.beat = nn.Sequential(nn.Linear(3 * spec.token_size, spec.hidden_size), nn.ReLU(), nn.Dropout(DROPOUT))
        self.shape = nn.Linear(spec.hidden_size, N_OUTPUTS)
        n_inputs = spec.hidden_size + N_RR_FEATURES
        self.sequence = nn.LSTM(
            n_inputs, spec.hidden_size, num_layers=2, batch_first=True, bidirectional=True, dropout=DROPOUT
        )
        self.judge = nn.Sequential(
            nn.Linear(n_inputs + 2 * spec.hidden_size, spec.hidden_size),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
            nn.Linear(spec.hidden_size, N_OUTPUTS),
        )
        self.fibrillation: nn.Module | None = None
        if spec.finds_af:
            self.fibrillation = nn.Sequential(
                nn.Linear(n_inputs + 2 * spec.hidden_size, spec.hidden_size // 2),
                nn.ReLU(),
                nn.Dropout(DROPOUT),
                nn.Linear(spec.hidden_size // 2, 1),
            )
        self.trees = TreeBuffers(BoostedTrees.empty(*spec.trees)) if spec.trees else None  # the second stage

    def frames(self, strips: Tensor) -> tuple[Tensor, Tensor]:
        """Strips (batch, n) -> frames (batch, channels, n / stride) and logits of a beat (batch, n / stride)."""
        frames = self.trunk(self.stem(strips[:, None]))
        return frames, self.heat_logit(frames)

    def heat_logit(self, frames: Tensor) -> Tensor:
        """Frames (batch, channels, n_frames) -> logits of a beat at each frame (batch, n_frames)."""
        return pointwise(self.heat, frames.transpose(1, 2))[:, :, 0]

    def tokens(self, frames: Tensor, strip: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """Describe each beat by what the attention takes from the frames around it.

        Parameters
        ----------
        frames
            (batch, channels, n_frames).
        strip, index
            The strip of each beat, shape (n_beats,), and the frames around it, shape (n_beats, n_steps).

        Returns
        -------
        Tokens (n_beats, token_size) and attention (n_beats, heads, n_steps), which sums to 1 over the steps.

        """
        frames = frames.transpose(1, 2).contiguous().transpose(1, 2)  # a frame's channels side by side, to be gathered
        around = frames.transpose(1, 2)[strip[:, None], index]  # (n_beats, n_steps, channels)
        score = pointwise(self.score, frames.transpose(1, 2))[strip[:, None], index]  # (n_beats, n_steps, heads)
        return self.attend(around, score)

    def attend(self, around: Tensor, score: Tensor) -> tuple[Tensor, Tensor]:
        """``tokens``, of the frames around each beat (n_beats, n_steps, channels) and their scores (..., heads)."""
        attention = torch.softmax(score.transpose(1, 2) + self.position, dim=-1)
        return self.token((attention @ around).flatten(1)), attention

    def describe(self, tokens: Tensor, rr: Tensor) -> tuple[Tensor, Tensor]:
        """Describe each beat beside this patient's own normal beat.

        A first guess, from each beat beside the median beat and its prematurity, says which beats are normal; the
        reference is the mean of these. In bigeminy, where the median beat is a mixture, the reference is not.

        Parameters
        ----------
        tokens, rr
            All beats of one record (or hour): (n_beats, token_size), (n_beats, N_RR_FEATURES).

        Returns
        -------
        Descriptions (n_beats, hidden_size), and the logit of "normal" of each beat (n_beats,).

        """
        reference, logit = self.reference(tokens, rr)
        return self.beside(tokens, reference), logit

    def reference(self, tokens: Tensor, rr: Tensor) -> tuple[Tensor, Tensor]:
        """The patient's own normal beat (token_size,), and the logit of "normal" of each beat (n_beats,)."""
        return self.reference_by(tokens, tokens.median(dim=0).values, rr)

    def reference_by(self, tokens: Tensor, median: Tensor, rr: Tensor) -> tuple[Tensor, Tensor]:
        """``reference``, with the median of the tokens (token_size,) given."""
        logit = self.first_look(torch.cat([tokens, tokens - median, rr], dim=-1))[:, 0]
        weight = torch.sigmoid(logit)[:, None] + 1e-3
        return (weight * tokens).sum(0) / weight.sum(0), logit

    def beside(self, tokens: Tensor, reference: Tensor) -> Tensor:
        """Tokens (..., token_size) compared with a reference that can be broadcast to them: (..., hidden_size)."""
        compared = torch.cat([tokens, reference.expand_as(tokens), tokens - reference], dim=-1)
        described: Tensor = self.beat(compared)
        return described

    def classify(self, described: Tensor, rr: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits (batch, n, N_OUTPUTS) of the class of each beat of a sequence, and last of its being no beat.

        And the logit of atrial fibrillation at each beat, (batch, n), where the network finds it.

        Parameters
        ----------
        described, rr
            (batch, n, hidden_size), (batch, n, N_RR_FEATURES).

        """
        inputs = torch.cat([described, rr], dim=-1)
        read = torch.cat([inputs, self.sequence(inputs)[0]], dim=-1)
        return self.judge(read), None if self.fibrillation is None else self.fibrillation(read)[:, :, 0]

    def all_logits(self, described: Tensor, rr: Tensor) -> Tensor:
        """``classify`` in one array, the logit of fibrillation last: (batch, n, N_OUTPUTS, or one more)."""
        logits, af_logit = self.classify(described, rr)
        return logits if af_logit is None else torch.cat([logits, af_logit[:, :, None]], dim=2)


def pointwise(convolution: nn.Conv1d, frames: Tensor) -> Tensor:
    """A convolution of width one over frames whose channels come last, (..., channels) -> (..., n_out).

    As a matrix product: the library's convolution of this width rounds differently for each number of threads.
    """
    return linear(frames, convolution.weight[:, :, 0], convolution.bias)


class Picture(nn.Module):
    """A picture one pixel high: (batch, channels, n) -> (batch, channels, 1, n), the channels side by side."""

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return x[:, :, None].to(memory_format=torch.channels_last)


class Row(nn.Module):
    """Out of the picture again: (batch, channels, 1, n) -> (batch, channels, n)."""

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return x[:, :, 0]


def for_serving(network: BeatNetwork) -> BeatNetwork:
    """Change a network so that it gives the same results in half the time; for inference only.

    Each batch normalisation is folded into its convolution, and the convolutions read the strips as pictures one pixel
    high whose channels lie side by side in memory: the processor's kernels for these are the fast ones.
    """
    network.eval()
    stem, norm, relu = network.stem
    network.stem = nn.Sequential(Picture(), _folded(stem, norm), relu)
    for block in network.trunk:
        block.conv1, block.norm1 = _folded(block.conv1, block.norm1), nn.Identity()
        block.conv2, block.norm2 = _folded(block.conv2, block.norm2), nn.Identity()
        if isinstance(block.shortcut, nn.Conv1d):
            block.shortcut = _of_pictures(block.shortcut)
    network.trunk = nn.Sequential(*network.trunk, Row())
    return network


def _folded(convolution: Any, norm: Any) -> nn.Conv2d:
    return _of_pictures(fuse_conv_bn_eval(convolution, norm))


def _of_pictures(convolution: Any) -> nn.Conv2d:
    """The same convolution of pictures one pixel high."""
    (kernel,), (stride,), (pad,), (dilation,) = (
        getattr(convolution, name) for name in ("kernel_size", "stride", "padding", "dilation")
    )
    same = nn.Conv2d(
        convolution.in_channels, convolution.out_channels, (1, kernel), (1, stride), (0, pad), (1, dilation),
        bias=convolution.bias is not None,
    )  # fmt: skip
    same.weight = nn.Parameter(convolution.weight.detach()[:, :, None].contiguous(memory_format=torch.channels_last))
    if convolution.bias is not None:
        same.bias = nn.Parameter(convolution.bias.detach())
    return same
