"""The network for serving: its convolutions in 8-bit integers, run by ONNX Runtime without torch.

The graphs are exported from the weights by ``training.export``; see there what is quantised. They lie in one file
beside the weights, ``NAME.int8.npz``, with the second stage's trees. Each call runs in the thread that makes it, so
that a result does not depend on how many threads there are.
"""

from __future__ import annotations

import os
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..parallel import parallel_map
from ..schema import Float32, Index, ModelSpec
from .engine import INT8, Frames, lower_median
from .trees import BoostedTrees

if TYPE_CHECKING:  # torch takes a second to load
    from .network import BeatNetwork

SUFFIX: Final = ".int8.npz"
# Each serves the method of ``Engine`` of the same name:
GRAPHS: Final = ("frames", "tokens", "reference", "beside", "logits")
TREES: Final = "trees."  # before the names of the trees' arrays
WEIGHTS: Final = "weights_sha256"  # of the weights that the graphs were exported from
ONLY_ERRORS: Final = 3  # are written to the terminal


class Int8Engine:
    """See ``Engine``."""

    name = INT8

    def __init__(self, stored: dict[str, Any], path: Path, spec: ModelSpec) -> None:
        self._stored, self._path, self._spec = stored, path, spec
        graphs = [stored[name].tobytes() for name in GRAPHS]
        self._sessions = dict(zip(GRAPHS, parallel_map(_session, graphs), strict=True))

    @cached_property
    def network(self) -> BeatNetwork:
        """See ``Engine``."""
        from .torch_engine import load_network  # noqa: PLC0415, as torch takes a second

        return load_network(self._path, self._spec)

    @cached_property
    def trees(self) -> BoostedTrees | None:
        """See ``Engine``."""
        arrays = {name.removeprefix(TREES): array for name, array in self._stored.items() if name.startswith(TREES)}
        return BoostedTrees(**arrays) if arrays else None

    def frames(self, strips: Float32) -> tuple[Frames, Float32]:
        """See ``Engine``."""
        frames, logit = self._run("frames", strips=strips[:, None, None])
        return frames, logit

    def tokens(self, frames: Frames, index: Index) -> tuple[Float32, Float32]:
        """See ``Engine``."""
        token, attention = self._run("tokens", frames=frames, index=index)
        return token, attention

    def reference(self, tokens: Float32, rr: Float32) -> Float32:
        """See ``Engine``."""
        (reference,) = self._run("reference", tokens=tokens, median=lower_median(tokens), rr=rr)
        return np.asarray(reference)

    def beside(self, tokens: Float32, reference: Float32) -> Float32:
        """See ``Engine``."""
        (described,) = self._run("beside", tokens=tokens, reference=reference)
        return np.asarray(described)

    def logits(self, described: Float32, rr: Float32) -> Float32:
        """See ``Engine``."""
        (logits,) = self._run("logits", described=described, rr=rr)
        return np.asarray(logits)

    def _run(self, graph: str, **inputs: np.ndarray[Any, Any]) -> list[Any]:
        outputs: list[Any] = self._sessions[graph].run(None, inputs)
        return outputs


@cache
def runtime() -> Any:
    """ONNX Runtime as a module. Unless forbidden, it reports its use to its maker over the network."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime  # noqa: PLC0415, as this is read when it is imported

    onnxruntime.disable_telemetry_events()
    return onnxruntime


def _session(graph: bytes) -> Any:
    """A graph, ready to run in the thread that calls it."""
    ort = runtime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = ONLY_ERRORS
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
