"""A network that gives a probability of fibrillation, but has not learned what it is."""

from dataclasses import replace

import torch

from ecg_core.classifier.model import Model
from ecg_core.classifier.network import BeatNetwork


def finding_af(model, *, raised=0.0):
    """The model with an untrained output of fibrillation, whose logit is ``raised``."""
    torch.manual_seed(0)
    spec = replace(model.spec, name="finding-af", finds_af=True)
    network = BeatNetwork(spec).eval()
    network.load_state_dict(model.network.state_dict(), strict=False)
    with torch.no_grad():
        network.fibrillation[-1].bias += raised
    return Model(spec, network)
