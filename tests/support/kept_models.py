"""Files of a user's own model, made in a moment."""

import io
import json
from dataclasses import replace
from functools import cache

import torch

from ecg_core.classifier.model_files import PROOF, SPEC, WEIGHTS, digest_of
from ecg_core.classifier.network import BeatNetwork
from ecg_core.classifier.spec import DEFAULT_MODEL, read_spec, spec_bytes

from .training import SMALL_SPEC

RECORDER = "Made Recorder"
MEASURED = {
    "verdict": "Better in 4 of 5 patients.", "from_model": "general", "recorder": RECORDER, "patients": 5,
    "before": [{"Patients": "held out", "V F1": 0.91}], "after": [{"Patients": "held out", "V F1": 0.95}],
}  # fmt: skip


@cache
def adapted_files(seed=0, **values):
    """The files of a small model; another seed has other weights, ``values`` are others of its spec."""
    torch.manual_seed(seed)
    stream = io.BytesIO()
    torch.save(BeatNetwork(SMALL_SPEC).state_dict(), stream)
    weights = stream.getvalue()
    spec = replace(SMALL_SPEC, **{"sha256": digest_of(weights), **values})
    return {WEIGHTS: weights, SPEC: spec_bytes(spec), PROOF: json.dumps(MEASURED).encode()}


@cache
def whole_files():
    """The files of a model that analyses as ``general`` does, with its network in 8-bit integers."""
    state = torch.load(DEFAULT_MODEL, weights_only=True)
    stream = io.BytesIO()
    torch.save(dict(state), stream)  # the same numbers in another file
    spec = replace(read_spec(DEFAULT_MODEL), sha256=digest_of(stream.getvalue()), int8_sha256="")
    return {WEIGHTS: stream.getvalue(), SPEC: spec_bytes(spec), PROOF: json.dumps(MEASURED).encode()}
