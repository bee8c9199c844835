"""What runs the network: 8-bit integers by default, or PyTorch in single precision, the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ..schema import Float32, Index
from .trees import BoostedTrees

if TYPE_CHECKING:  # torch takes a second to load
    from .network import BeatNetwork

INT8, TORCH = "int8", "torch"
ENGINES: Final = (INT8, TORCH)

Frames = NDArray[np.generic]  # (..., n_frames, channels), as the engine keeps them; ``tokens`` takes them back


class Engine(Protocol):
    """The steps of ``BeatNetwork`` for inference, arrays in and arrays out; threads may call it at the same time."""

    name: str  # one of ENGINES

    @property
    def network(self) -> BeatNetwork:
        """The network itself, for what learns; loads torch."""

    @property
    def trees(self) -> BoostedTrees | None:
        """The second stage, if there is one."""

    def frames(self, strips: Float32) -> tuple[Frames, Float32]:
        """Strips (n_strips, n) -> frames (n_strips, n_frames, channels), and logits of a beat (n_strips, n_frames)."""

    def tokens(self, frames: Frames, index: Index) -> tuple[Float32, Float32]:
        """Tokens (n_beats, token_size) and attention (n_beats, n_steps), the mean over the heads.

        Parameters
        ----------
        frames, index
            Those of one lead (n_frames, channels), and which of them lie around each beat (n_beats, n_steps).

        """

    def reference(self, tokens: Float32, rr: Float32) -> Float32:
        """The patient's normal beat (token_size,), of beats (n_beats, token_size) and (n_beats, N_RR_FEATURES)."""

    def beside(self, tokens: Float32, reference: Float32) -> Float32:
        """Beats compared with the normal beat, both (n_beats, token_size) -> (n_beats, hidden_size)."""

    def logits(self, described: Float32, rr: Float32) -> Float32:
        """What the network says of the beats of sequences, the logit of fibrillation last: (n, n_beats, n_logits).

        Parameters
        ----------
        described, rr
            Of each beat: (n, n_beats, hidden_size), see ``beside``, and (n, n_beats, N_RR_FEATURES).

        """


def lower_median(rows: NDArray[np.floating[Any]]) -> Float32:
    """Median of each column (n_columns,); of an even number of rows the lower one of the two in the middle."""
    columns = np.ascontiguousarray(rows.T, dtype=np.float32)
    middle = (len(rows) - 1) // 2
    return np.partition(columns, middle, axis=1)[:, middle]
