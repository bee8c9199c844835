"""Waveforms of beats: the templates of each class, and measurements of a single beat."""
