"""The waveforms of beats: templates of each class, and measurements of a single beat."""
