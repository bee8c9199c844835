"""A network that has not learned what fibrillation is, but gives a probability of it, and one that gives none."""

from dataclasses import replace

import torch

from ecg_core.classifier.network import BeatNetwork
from ecg_core.classifier.weights import torch_model


def finding_af(model, *, raised=0.0):
    """The model with an untrained output of fibrillation, whose logit is ``raised``."""
    torch.manual_seed(0)
    made = _with_heads(model, name="finding-af", finds_af=True)
    with torch.no_grad():
        made.network.fibrillation[-1].bias += raised
    return made


def without_af(model):
    """The model without its output of fibrillation."""
    return _with_heads(model, name="without-af", finds_af=False)


def _with_heads(model, *, name, finds_af):
    """The model with a new output of fibrillation, or none; all else is as it was learned."""
    spec = replace(model.spec, name=name, finds_af=finds_af)
    network = BeatNetwork(spec).eval()
    learned = {key: value for key, value in model.network.state_dict().items() if not key.startswith("fibrillation.")}
    network.load_state_dict(learned, strict=False)
    return torch_model(spec, network)
