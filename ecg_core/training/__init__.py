"""Fitting the network: augmentation, the fit loop, domain adaptation, calibration."""
