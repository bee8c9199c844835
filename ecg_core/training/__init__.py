"""Fitting the network: preparation of records, augmentation, loss, the fit loop, domain adaptation, calibration."""
