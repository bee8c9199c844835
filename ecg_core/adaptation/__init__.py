"""Adaptation of a model to a recorder: the recordings at hand, the split by patient, the fit, and the proof."""
