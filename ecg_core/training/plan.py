"""How a network is fitted: all numbers of the fit, in one frozen plan."""

from __future__ import annotations

from dataclasses import dataclass

from .augmentation_config import AUGMENTATION, Augmentation


@dataclass(frozen=True)
class FitPlan:
    """How long and how hard to fit, and on what crops."""

    steps: int
    parts: tuple[str, ...] = ()  # of the network that are fitted, the others stay as they are; by default all
    crops: int = 8  # a step, each of another record
    learning_rate: float = 2e-3
    warm_up_fraction: float = 0.05  # of the steps, until the learning rate is reached
    weight_decay: float = 0.02
    max_gradient_norm: float = 2.0  # clips the rare step on a crop that is nearly all noise
    average_decay: float = 0.995  # the result is a moving average of the weights over some 200 steps
    settling_batches: int = 60  # that the batch normalisation of the averaged weights is measured on
    class_power: float = 0.35  # a class weighs as its frequency to the minus this
    rarest_class: float = 0.03  # rarer classes weigh as if they were this frequent
    detection_weight: float = 4.0  # the parts of the loss, beside 1 for the class of a beat
    first_guess_weight: float = 0.3
    morphology_weight: float = 0.3
    fibrillation_weight: float = 0.5  # of a network that finds it
    no_rr_probability: float = 0.1  # of a crop without RR, so that morphology has to suffice
    false_beat_threshold: float = 0.2  # the lowest detection threshold that calibration tries
    false_beats_probability: float = 0.7  # of a crop in which the detector's false beats are learned
    seed: int = 0
    checkpoint_steps: int = 200
    augmentation: Augmentation = AUGMENTATION
