"""A fitted network -> the graphs that serve it, its convolutions and BiLSTM in 8-bit integers.

Weights are quantised by channel to 7 bits, activations to 8 bits by the range that they have in strips of training
records (post-training static quantisation; Jacob 2018, doi:10.1109/CVPR.2018.00286). With 7 bits no sum of two products
overflows 16 bits on processors without instructions for 8-bit integers, so that all processors add up the same numbers.
The BiLSTM's weights are quantised likewise, its inputs by the range that they have in each call. The first convolution,
the attention, the comparison with the normal beat and the heads stay in single precision.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from ..classifier.engine import TORCH, lower_median
from ..classifier.features import N_RR_FEATURES, evenly, frame_offsets
from ..classifier.int8_engine import TREES, WEIGHTS, runtime
from ..classifier.model import int8_path, load_model, save_spec, sha256_of
from ..classifier.network import BeatNetwork, for_serving, pointwise
from ..classifier.trees import BoostedTrees
from ..files import atomic_file
from ..schema import Float32, ModelSpec, Record
from ..signals.filters import FS_HZ, SCALE_RANGE, clean_leads, normalised

OPSET: Final = 17
STRIPS_AT_ONCE: Final = 2
QUANTISED: Final = ("Conv", "Add", "Relu")  # the kinds of nodes that the trunk is made of
STEM: Final = "/stem/"  # stays single: 8 bits of a signal that may be five times the usual amplitude would lose P waves
RANGE_PCT: Final = 99.99  # of the values of an activation lie in its range; tried: 99.8 to 100, and symmetric ranges
TRUNK_OUTPUT: Final = "trunk_frames"
N_RECORDS: Final = 32  # evenly over those at hand, less those that are shorter than a strip
STRIP_S: Final = 60.0
STRIPS_EACH: Final = 4  # evenly over a record, from its leads in turn
Axes = Mapping[str, Mapping[int, str]]  # names of the axes that vary in length


class _Frames(nn.Module):
    """Strips as pictures one pixel high (n_strips, 1, 1, n) -> the trunk's frames, likewise, and logits of a beat."""

    def __init__(self, network: BeatNetwork) -> None:
        super().__init__()
        self.stem, self.trunk = network.stem[1:], network.trunk[:-1]  # without the change into pictures and back
        self.heat = network.heat

    def forward(self, strips: Tensor) -> tuple[Tensor, Tensor]:
        frames = self.trunk(self.stem(strips))
        return frames, pointwise(self.heat, frames[:, :, 0].transpose(1, 2))[:, :, 0]


class _Tokens(nn.Module):
    """Quantised frames (n_frames, channels) and the index of those around each beat -> tokens, mean attention."""

    def __init__(self, network: BeatNetwork, scale: float) -> None:
        super().__init__()
        self.network, self.scale = network, scale

    def forward(self, frames: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        around = frames[index].float() * self.scale
        token, attention = self.network.attend(around, pointwise(self.network.score, around))
        return token, attention.mean(1)


class _Step(nn.Module):
    """One of the network's own steps."""

    def __init__(self, network: BeatNetwork, step: Callable[..., Tensor]) -> None:
        super().__init__()
        self.network, self._step = network, step

    def forward(self, *inputs: Tensor) -> Tensor:
        return self._step(self.network, *inputs)


def _reference(network: BeatNetwork, tokens: Tensor, median: Tensor, rr: Tensor) -> Tensor:
    return network.reference_by(tokens, median, rr)[0]


def export_model(path: Path, strips: Float32) -> Path:
    """Write the file of a model in 8-bit integers beside its weights and name it in the spec; returns its path."""
    model = load_model(path, engine=TORCH)
    arrays = export_int8(model.network, model.spec, strips)
    graphs = int8_path(path)
    with atomic_file(graphs) as part, part.open("wb") as file:
        np.savez(file, allow_pickle=False, **{WEIGHTS: np.array(model.spec.sha256)}, **arrays)
    save_spec(path, replace(model.spec, int8_sha256=sha256_of(graphs)))
    return graphs


def calibration_strips(records: Sequence[Record], spec: ModelSpec, noise: Float32) -> Float32:
    """Normalised strips of records that a model was trained on, as they are and with noise, shape (n_strips, n).

    Parameters
    ----------
    noise
        Recorded noise at 125 Hz, shape (n_channels, n).

    """
    length = round(STRIP_S * spec.fs_hz / spec.stride) * spec.stride
    long_enough = [record for record in records if record.duration_s * FS_HZ >= length]
    some = [long_enough[number] for number in evenly(np.arange(len(long_enough)), N_RECORDS).tolist()]
    clean = np.concatenate([_strips_of(record, length, lead=number) for number, record in enumerate(some)])
    return np.concatenate([clean, _with_noise(clean, noise)])


def _with_noise(strips: Float32, noise: Float32) -> Float32:
    """Strips with noise of their power; in noise, activations are larger than beats alone make them."""
    rng = np.random.default_rng(0)
    made = []
    for number, strip in enumerate(strips):
        channel = noise[number % len(noise)]
        first = int(rng.integers(len(channel) - len(strip)))
        added = channel[first : first + len(strip)]
        made.append(np.clip(strip + added * strip.std() / added.std(), -SCALE_RANGE, SCALE_RANGE))
    return np.stack(made).astype(np.float32)


def _strips_of(record: Record, length: int, *, lead: int) -> Float32:
    """Strips of a lead of a record, counted round, shape (STRIPS_EACH, length)."""
    leads = (lead % len(record.lead_names),)
    signal = normalised(clean_leads(record.source.read(0, record.n_samples, leads), record.fs_hz))[0]
    starts = np.linspace(0, len(signal) - length, STRIPS_EACH).astype(int)
    return np.stack([signal[start : start + length] for start in starts])


def export_int8(network: BeatNetwork, spec: ModelSpec, strips: Float32) -> dict[str, NDArray[Any]]:
    """The arrays of ``Int8Engine``, but for the hash of the weights.

    Parameters
    ----------
    strips
        Normalised strips of training records, shape (n_strips, n), from which the range of each activation is learned.

    """
    logging.disable(logging.WARNING)  # the library recommends a step that ``for_serving`` makes needless
    try:
        return _exported_arrays(network, spec, strips)
    finally:
        logging.disable(logging.NOTSET)


def _exported_arrays(network: BeatNetwork, spec: ModelSpec, strips: Float32) -> dict[str, NDArray[Any]]:
    serving = for_serving(deepcopy(network))
    frames, scale = _quantised_frames(serving, strips)
    graphs = {
        "frames": frames,
        "tokens": _exported_tokens(serving, spec, scale),
        "reference": _exported_reference(serving, spec),
        "beside": _exported_beside(serving, spec),
        "logits": _exported_logits(serving, spec),
    }
    arrays = {name: np.frombuffer(graph, dtype=np.uint8) for name, graph in graphs.items()}
    if network.trees is not None:
        trees = network.trees.boosted
        arrays |= {TREES + array.name: getattr(trees, array.name) for array in fields(BoostedTrees)}
    return arrays


def _quantised_frames(network: BeatNetwork, strips: Float32) -> tuple[bytes, float]:
    """The trunk with quantised frames as an output, and the scale of these."""
    axes = {"strips": {0: "n_strips", 3: "n"}, TRUNK_OUTPUT: {0: "n_strips", 3: "n_frames"}, "logit": {0: "n_strips"}}
    module, example = _Frames(network), torch.from_numpy(strips[:STRIPS_AT_ONCE, None, None])
    exported = onnx.load_from_string(_exported(module, {"strips": example}, (TRUNK_OUTPUT, "logit"), axes))
    names = [node.name for node in exported.graph.node]
    single = [name for name in names if name.startswith(STEM)] + _nodes_after(exported, TRUNK_OUTPUT)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quantised.onnx"
        quantization = _quantization()
        quantization.quantize_static(
            exported, path, _Strips(strips), quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTISED),
            nodes_to_exclude=single, per_channel=True, reduce_range=True, activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8, calibrate_method=quantization.CalibrationMethod.Percentile,
            extra_options={"CalibPercentile": RANGE_PCT, "CalibTensorRangeSymmetric": False},
        )  # fmt: skip
        return _with_quantised_output(onnx.load(path))


def _nodes_after(model: onnx.ModelProto, output: str) -> list[str]:
    """Names of the nodes that follow one that gives an output."""
    names = [node.name for node in model.graph.node]
    last = next(number for number, node in enumerate(model.graph.node) if output in node.output)
    return names[last + 1 :]


def _with_quantised_output(model: onnx.ModelProto) -> tuple[bytes, float]:
    """The graph with the frames as they are quantised, a frame's channels side by side, and their scale."""
    graph = model.graph
    back = next(node for node in graph.node if node.op_type == "DequantizeLinear" and TRUNK_OUTPUT in node.output)
    constants = {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer}
    scale, zero = float(constants[back.input[1]]), int(constants[back.input[2]])
    if zero:
        raise ValueError(f"frames follow a ReLU, expected 0 as their zero point, got {zero}")
    graph.initializer.append(numpy_helper.from_array(np.array([2]), "height_axis"))
    graph.node.append(helper.make_node("Squeeze", [back.input[0], "height_axis"], ["quantised_rows"]))
    graph.node.append(helper.make_node("Transpose", ["quantised_rows"], ["frames"], perm=[0, 2, 1]))
    of_trunk = next(output for output in graph.output if output.name == TRUNK_OUTPUT)
    graph.output.remove(of_trunk)
    graph.output.insert(0, helper.make_tensor_value_info("frames", TensorProto.UINT8, ["n_strips", "n_frames", None]))
    onnx.checker.check_model(model)
    return model.SerializeToString(), scale


def _quantization() -> Any:
    """The part of ONNX Runtime that quantises graphs."""
    runtime()
    from onnxruntime import quantization  # noqa: PLC0415, see ``runtime``

    return quantization


class _Strips:
    """Strips of training records, a few at a time."""

    def __init__(self, strips: Float32) -> None:
        parts = (strips[first : first + STRIPS_AT_ONCE] for first in range(0, len(strips), STRIPS_AT_ONCE))
        self._inputs: Iterator[dict[str, Float32]] = ({"strips": part[:, None, None]} for part in parts)

    def get_next(self) -> dict[str, Float32] | None:
        return next(self._inputs, None)


def _exported_tokens(network: BeatNetwork, spec: ModelSpec, scale: float) -> bytes:
    n_steps, channels = len(frame_offsets(spec)), spec.channels[-1]
    inputs = {
        "frames": torch.zeros(4 * n_steps, channels, dtype=torch.uint8),
        "index": torch.arange(n_steps).repeat(3, 1),
    }
    axes = {"frames": {0: "n_frames"}, "index": {0: "n_beats"}, "token": {0: "n_beats"}, "attention": {0: "n_beats"}}
    return _exported(_Tokens(network, scale), inputs, ("token", "attention"), axes)


def _exported_reference(network: BeatNetwork, spec: ModelSpec) -> bytes:
    tokens = torch.randn(5, spec.token_size)
    inputs = {
        "tokens": tokens,
        "median": torch.from_numpy(lower_median(tokens.numpy())),
        "rr": torch.zeros(5, N_RR_FEATURES),
    }
    axes = {"tokens": {0: "n_beats"}, "rr": {0: "n_beats"}}
    return _exported(_Step(network, _reference), inputs, ("reference",), axes)


def _exported_beside(network: BeatNetwork, spec: ModelSpec) -> bytes:
    inputs = {name: torch.randn(5, spec.token_size) for name in ("tokens", "reference")}
    return _exported(
        _Step(network, BeatNetwork.beside),
        inputs,
        ("described",),
        {name: {0: "n_beats"} for name in (*inputs, "described")},
    )


def _exported_logits(network: BeatNetwork, spec: ModelSpec) -> bytes:
    inputs = {"described": torch.rand(2, 7, spec.hidden_size), "rr": torch.zeros(2, 7, N_RR_FEATURES)}
    axes = {name: {0: "n", 1: "n_beats"} for name in (*inputs, "logits")}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quantised.onnx"
        exported = onnx.load_from_string(_exported(_Step(network, BeatNetwork.all_logits), inputs, ("logits",), axes))
        quantization = _quantization()
        quantization.quantize_dynamic(
            exported, path, op_types_to_quantize=["LSTM"], per_channel=True, reduce_range=True,
            weight_type=quantization.QuantType.QInt8,
        )  # fmt: skip
        return path.read_bytes()


def _exported(module: nn.Module, inputs: Mapping[str, Tensor], outputs: tuple[str, ...], axes: Axes) -> bytes:
    """A module as a graph, in the bytes of ONNX."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        path = Path(folder) / "exported.onnx"
        # Of the two exporters of torch this one needs no further library and takes an LSTM of any batch.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(), tuple(inputs.values()), path, input_names=list(inputs), output_names=list(outputs),
            dynamic_axes=axes, opset_version=OPSET, dynamo=False,
        )  # fmt: skip
        return path.read_bytes()
