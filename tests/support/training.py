"""A network small enough to be fitted in a test, and the plan that fits it."""

from dataclasses import replace

from ecg_core.labels import CLASSES
from ecg_core.schema import ModelSpec
from ecg_core.signals.filters import FS_HZ
from ecg_core.training.augmentation_config import Augmentation
from ecg_core.training.plan import FitPlan

SMALL_SPEC = ModelSpec(
    name="small", fs_hz=FS_HZ, stride=4, stem_channels=4, channels=(4, 4, 8), token_size=8, heads=2,
    attention_half_s=0.5, hidden_size=8, classes=CLASSES, detection_threshold=0.5, class_bias=(0.0,) * 5,
    trained_on=(), validated_on=(), seed=0, recipe="",
)  # fmt: skip
AF_SPEC = replace(SMALL_SPEC, name="small-af", finds_af=True)
CROP_S = 60.0
SHORT_CROPS = Augmentation(crop_s=CROP_S)
QUICK_PLAN = FitPlan(steps=4, crops=2, checkpoint_steps=2, settling_batches=2, augmentation=SHORT_CROPS)
